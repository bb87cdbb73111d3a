/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * client.conf, read: see runnerhub/client_conf.h for the file.
 */

#include <stdint.h>

#include "runnerhub/client_conf.h"

struct rh_conf {
	int64_t broker_wait_ms;
	int64_t job_start_wait_ms;
	const char *env_pass; /* comma-separated; points into text or to the default */
	char text[RH_CLIENT_CONF_SIZE_MAX];
};

/**
 * rh_conf_parse() - take the settings out of conf->text
 *
 * Unknown keys are skipped; a value that is no number in range leaves the default.
 */
void rh_conf_parse(struct rh_conf *conf);

/* Reads <libexec>/run/client.conf; without it, or if it is too large, the defaults hold. */
void rh_conf_load(struct rh_conf *conf, const char *libexec);
