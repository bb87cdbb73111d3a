/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hands over to <libexec>/attacks/lib/doctor, which is told where everything is.
 */

#include "broker/cli/doctor/attack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What root is about to run must be root's alone to change. */
static bool is_roots(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
		(st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int rh_attack_run(const struct rh_doctor *doctor, const struct rh_cli *cli, const char *match)
{
	const struct rh_config *config = doctor->config;
	char script[PATH_MAX];
	char self[PATH_MAX];
	ssize_t n_self = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (!config) {
		(void)fprintf(stderr, "runnerhub: %s\n", doctor->config_err.text);
		return RH_EXIT_CONFIG;
	}
	if (!doctor->status) {
		(void)fprintf(stderr, "runnerhub: %s\n", doctor->status_err.text);
		return doctor->status_exit;
	}

	int n = snprintf(script, sizeof(script), "%s/attacks/lib/doctor", doctor->libexec_dir);

	if (n < 0 || (size_t)n >= sizeof(script) || n_self < 0 || !is_roots(script)) {
		(void)fprintf(stderr,
			"runnerhub: %s is not there or not root's alone; install RunnerHub with "
			"scripts/install, which puts the attacks beside its programs\n",
			script);
		return RH_EXIT_FAILURE;
	}
	self[n_self] = '\0';

	const char *argv[] = {script, "--libexec", doctor->libexec_dir, "--runners",
		config->runners_dir, "--state", doctor->state_dir, "--network",
		config->network_name, "--socket", cli->socket, "--cli", self, "--match",
		match ? match : "*", cli->json ? "--json" : NULL, NULL};

	(void)execv(script, (char *const *)(const void *)argv);
	(void)fprintf(stderr, "runnerhub: %s: %s\n", script, strerror(errno));
	return RH_EXIT_FAILURE;
}
