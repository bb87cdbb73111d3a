/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub-agent: the command line. There is nothing to set: a container's entry point takes no
 * options, and a job must not find any.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/agent/agent.h"
#include "rh-config.h"
#include "runnerhub/limits.h"

static const char usage[] =
	"usage: runnerhub-agent\n"
	"       runnerhub-agent --version | --help\n"
	"\n"
	"PID 1 of a RunnerHub job container. Listens at " RH_AGENT_SOCKET_DIR
	"/" RH_AGENT_SOCKET_NAME "\n"
	"for the broker of the host, starts the steps of one job, relays signals to them, reaps\n"
	"what ends and reports how. The broker starts it; it is of no use by hand.\n";

static int fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "runnerhub-agent: %s: %s\n", what, why);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("runnerhub-agent %s\n", RH_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0;
	if (argc != 1) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (getpid() != 1)
		return fail("cannot start", "it is PID 1 of a job container or nothing");

	struct rh_agent_options options = {
		.socket_path = RH_AGENT_SOCKET_DIR "/" RH_AGENT_SOCKET_NAME,
		.environ = environ,
		.from_host = rh_from_host,
	};
	int r = rh_agent_run(&options);

	return r < 0 ? fail("stopped", strerror(-r)) : EXIT_SUCCESS;
}
