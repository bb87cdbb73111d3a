/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A runner's directory, a container, and a request to attach the one to the other (fake.h).
 */

#include "broker/daemon/mount/attach.h"
#include "fake.h"

extern struct rh_home fix_home;
extern struct rh_idmaps fix_maps;
extern struct rh_views fix_views;
extern const struct rh_attach_tools fix_tools;
extern struct rh_mount_result fix_result;
extern struct rh_err fix_err;
extern struct fake_container fix_c;
extern struct rh_mount_attach fix_request;

/* Checked fixture. */
void fix_attach_setup(void);
void fix_attach_teardown(void);

/* rh_attach_run(), and that it left nothing on the host that it should not. */
int fix_attach(void);
/* The last error has these words. */
void fix_must_say(const char *words);
/* A new container, with things planted in its image. */
void fix_restart(fake_plant_fn plant);
