/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhubd: command line and exit codes.
 */

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/broker.h"
#include "broker/daemon/mount/zygote.h"
#include "broker/daemon/network/helper.h"
#include "rh-config.h"

#define EXIT_USAGE  2
#define EXIT_CONFIG 78 /* EX_CONFIG, sysexits.h */

static void print_help(void)
{
	(void)printf(
		"Usage: runnerhubd [--config FILE] [--check-config]\n"
		"The broker of RunnerHub: every step of every job in a fresh container.\n"
		"\n"
		"  -c, --config FILE     configuration (default " RH_CONFIG_DIR "/runnerhub.yaml)\n"
		"      --check-config    read it, say what is wrong, and exit\n"
		"      --example-config  print a commented configuration, and exit\n"
		"  -h, --help            this text and every configuration key\n"
		"      --version\n"
		"\n"
		"Signals: SIGHUP reloads the configuration; SIGTERM drains and stops, a second "
		"one\n"
		"stops at once and leaves running jobs to the next broker.\n"
		"Exit status: 0 stopped as asked, 1 failure, 2 usage, 78 configuration.\n"
		"\n"
		"Configuration keys:\n");
	rh_config_print_help(stdout);
}

enum { OPT_CHECK = 256, OPT_EXAMPLE, OPT_VERSION };

struct options {
	const char *config;
	bool check;
};

/* Return: -1 to go on, or an exit status. */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, OPT_CHECK},
		{"example-config", no_argument, NULL, OPT_EXAMPLE},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, OPT_VERSION},
		{NULL, 0, NULL, 0},
	};

	for (;;) {
		switch (getopt_long(argc, argv, "c:h", options, NULL)) {
		case -1:
			if (optind == argc)
				return -1;
			(void)fprintf(stderr, "runnerhubd: unexpected argument %s; see --help\n",
				argv[optind]);
			return EXIT_USAGE;
		case 'c':
			ret_options->config = optarg;
			break;
		case OPT_CHECK:
			ret_options->check = true;
			break;
		case OPT_EXAMPLE:
			rh_config_print_example(stdout);
			return EXIT_SUCCESS;
		case 'h':
			print_help();
			return EXIT_SUCCESS;
		case OPT_VERSION:
			(void)printf("runnerhubd %s\n", RH_VERSION);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
}

/*
 * Memory stays what the work at hand takes: large blocks are mappings of their own, whatever was
 * freed before (mallopt(3): the threshold grows otherwise), and the few threads share their arenas.
 */
static void bound_heap(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	(void)mallopt(M_ARENA_MAX, 2);
}

int main(int argc, char **argv)
{
	struct options options = {.config = RH_CONFIG_DIR "/runnerhub.yaml"};
	struct rh_config *config = NULL;
	struct rh_mounter *mounter = NULL;
	struct rh_err err = {0};

	if (argc == 3 && strcmp(argv[1], RH_ZYGOTE_OPTION) == 0)
		rh_zygote_main(argv[2]);
	if (argc == 2 && strcmp(argv[1], RH_NETWORK_HELPER_OPTION) == 0)
		return rh_network_helper_main();

	int status = parse_options(argc, argv, &options);

	if (status >= 0)
		return status;
	if (rh_config_load(options.config, &config, &err) < 0) {
		(void)fprintf(stderr, "runnerhubd: %s\n", err.text);
		return EXIT_CONFIG;
	}
	if (options.check) {
		(void)printf("%s: ok, %zu profiles, %zu runners\n", options.config,
			config->n_profiles, config->n_runners);
		rh_config_unref(config);
		return EXIT_SUCCESS;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	bound_heap();

	/* Single-threaded still: the helpers are forked before anything else exists. */
	int r = rh_mounter_fork(&mounter, &err);

	if (r == 0) {
		/* The running program, also after another one was installed in its place. */
		rh_mounter_set_program(mounter, "/proc/self/exe");
		r = rh_broker_run(config, mounter, &err);
	}
	rh_config_unref(config);
	if (r < 0) {
		(void)fprintf(stderr, "runnerhubd: %s\n", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
