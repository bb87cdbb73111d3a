/* SPDX-License-Identifier: Apache-2.0 */

/*
 * client.conf, read.
 */

#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/fd.h"
#include "runnerhub/limits.h"

/* A day: longer than any wait makes sense. */
#define WAIT_MS_MAX 86400000

static void set_wait(const char *value, int64_t *ret_ms)
{
	char *end = NULL;

	if (value[0] < '0' || value[0] > '9')
		return;
	errno = 0;

	long long ms = strtoll(value, &end, 10);

	if (errno == 0 && *end == '\0' && ms <= WAIT_MS_MAX)
		*ret_ms = ms;
}

static void set(struct rh_conf *conf, const char *key, const char *value)
{
	if (strcmp(key, RH_CLIENT_CONF_BROKER_WAIT) == 0)
		set_wait(value, &conf->broker_wait_ms);
	else if (strcmp(key, RH_CLIENT_CONF_JOB_START) == 0)
		set_wait(value, &conf->job_start_wait_ms);
	else if (strcmp(key, RH_CLIENT_CONF_ENV_PASS) == 0)
		conf->env_pass = value;
}

void rh_conf_parse(struct rh_conf *conf)
{
	conf->broker_wait_ms = RH_BROKER_WAIT_MS;
	conf->job_start_wait_ms = RH_JOB_START_WAIT_MS;
	conf->env_pass = RH_CLIENT_CONF_ENV_PASS_DEFAULT;

	for (char *line = conf->text; *line;) {
		char *end = strchrnul(line, '\n');
		bool last = *end == '\0';

		*end = '\0';

		char *equals = strchr(line, '=');

		if (equals) {
			*equals = '\0';
			set(conf, line, equals + 1);
		}
		if (last)
			return;
		line = end + 1;
	}
}

void rh_conf_load(struct rh_conf *conf, const char *libexec)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" RH_LIBEXEC_RUN "/" RH_CLIENT_CONF, libexec);

	if (n < 0 || (size_t)n >= sizeof(path) ||
		rh_read_file_at(AT_FDCWD, path, conf->text, sizeof(conf->text)) < 0)
		conf->text[0] = '\0';
	rh_conf_parse(conf);
}
