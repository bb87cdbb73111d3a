/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of the broker's own life share. Context: loop thread.
 */

#include "broker/daemon/broker.h"

/* broker.c. Makes a directory that is the broker's user's alone to write, or checks that it is. */
int rh_broker_make_dir(const char *path, mode_t mode, struct rh_err *err);

/* doors.c. The sockets, and a look each second whether they are still there. */
int rh_broker_open_doors(struct rh_broker *broker, struct rh_err *err);

/* reload.c. @arg is the broker. Return: 0, and later the log says how it went; -EBUSY; -ENOMEM. */
int rh_broker_reload(void *arg, struct rh_err *err);
void rh_broker_on_hup(uv_signal_t *handle, int signum);

/* stop.c. @arg is the broker; @on: take no new jobs, or take them again. */
void rh_broker_drain(void *arg, bool on);
void rh_broker_on_stop_signal(uv_signal_t *handle, int signum);
void rh_broker_stop(struct rh_broker *broker);
