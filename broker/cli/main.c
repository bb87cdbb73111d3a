/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub: one command a row.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "rh-config.h"
#include "runnerhub/limits.h"

struct command {
	const char *name;
	const char *help;
	int (*run)(struct rh_cli *cli, int argc, char **argv);
};

static const struct command commands[] = {
	{"status", "the broker, its engine, pools and running jobs; --watch", rh_cmd_status},
	{"jobs", "jobs, newest first; `jobs show ID` one with its steps and events", rh_cmd_jobs},
	{"containers", "containers; --all with the removed ones", rh_cmd_containers},
	{"pools", "warm containers of each profile, and why there are none", rh_cmd_pools},
	{"events", "what happened; --follow", rh_cmd_events},
	{"doctor", "check kernel, engine, sockets and a runner's wiring", rh_cmd_doctor},
	{"drain", "take no new jobs; --resume takes them again", rh_cmd_drain},
	{"toolcache", "`toolcache warm`: let a trusted job fill the host's copy", rh_cmd_toolcache},
	{"reload", "read the configuration again", rh_cmd_reload},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	(void)printf("Usage: runnerhub [--socket PATH] [--json] COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		(void)printf("  %-12s %s\n", commands[i].name, commands[i].help);
	(void)printf("\n`runnerhub COMMAND --help` lists a command's options; every command takes "
		     "--json.\n"
		     "The socket is --socket, else $RUNNERHUB_SOCKET, else " RH_RUNTIME_DIR
		     "/" RH_CONTROL_SOCKET ".\n"
		     "Exit status: 0 done, 1 failure, 2 usage, 69 the broker is not running,\n"
		     "77 permission denied, 78 the configuration is wrong.\n");
}

static bool colour_wanted(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static int terminal_columns(void)
{
	struct winsize size = {0};

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int main(int argc, char **argv)
{
	const char *socket = getenv("RUNNERHUB_SOCKET");
	struct rh_cli cli = {
		.socket = socket && *socket ? socket : RH_RUNTIME_DIR "/" RH_CONTROL_SOCKET,
		.colour = colour_wanted(),
		.columns = terminal_columns(),
		.connection = -1,
	};
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--json") == 0) {
			cli.json = true;
		} else if (strcmp(argv[at], "--socket") == 0 && at + 1 < argc) {
			cli.socket = argv[++at];
		} else if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
			print_help();
			return RH_EXIT_OK;
		} else if (strcmp(argv[at], "--version") == 0) {
			(void)printf("runnerhub %s\n", RH_VERSION);
			return RH_EXIT_OK;
		} else {
			(void)fprintf(
				stderr, "runnerhub: unknown option %s; see --help\n", argv[at]);
			return RH_EXIT_USAGE;
		}
	}
	if (at == argc) {
		print_help();
		return RH_EXIT_USAGE;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[at]) == 0) {
			int status = commands[i].run(&cli, argc - at, argv + at);

			rh_close(cli.connection);
			/* A full disk or a closed pipe is a failure, too. */
			return fflush(stdout) == 0 ? status : RH_EXIT_FAILURE;
		}
	}
	(void)fprintf(stderr, "runnerhub: unknown command %s; see --help\n", argv[at]);
	return RH_EXIT_USAGE;
}
