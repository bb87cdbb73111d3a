/* SPDX-License-Identifier: Apache-2.0 */

/*
 * exec: runs a step in the job's container. argv[0] is the program's path, as the preload library
 * has it. Everything that a step needs is gathered here and sealed; step.c does the rest.
 */

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <errno.h>
#include <stdio.h>

#include "broker.h"
#include "env.h"
#include "hook.h"
#include "inherit.h"
#include "runnerhub/limits.h"
#include "runnerhub/weaken.h"
#include "say.h"
#include "step.h"

/*
 * Everybody on the host may read /proc/PID/cmdline, for as long as the step runs, and what a
 * workflow puts behind a shell of its own can hold secrets. The program's name stays.
 */
static void hide_arguments(char *const *argv)
{
	for (size_t i = 1; argv[i] && !rh_weakened("client-args"); i++)
		memset(argv[i], 0, strlen(argv[i]));
}

/* Return: a sealed block of the step; negative errno, said. */
static int seal(const struct rh_hook *hook, const struct rh_environ *base, const char *pass)
{
	char stubs[PATH_MAX];
	char cwd[PATH_MAX];
	struct rh_env_rules rules = {.base = base->envp, .pass = pass, .stubs = stubs};
	struct rh_env env = {0};

	(void)snprintf(stubs, sizeof(stubs), "%s/" RH_LIBEXEC_STUBS, hook->libexec);
	if (!getcwd(cwd, sizeof(cwd))) {
		int r = -errno;

		rh_say("the step's working directory cannot be named: %s", strerror(-r));
		return r;
	}

	int r = rh_env_filter(&rules, hook->envp, &env);

	if (r == 0) {
		struct rh_block_spec spec = {
			.flags = env.flags,
			.path = hook->argv[0],
			.cwd = cwd,
			.argv = hook->argv,
			.envp = env.envp,
		};

		rh_inherit(&spec, hook->envp);
		r = rh_block_seal(&spec);
		rh_env_deinit(&env);
	}
	if (r < 0)
		rh_say("the step's arguments and environment cannot be sent: %s", strerror(-r));
	return r;
}

int rh_verb_exec(const struct rh_hook *hook)
{
	static struct rh_conf conf;
	struct rh_environ base = {0};
	int signal_fd = rh_signals_open();

	if (signal_fd < 0) {
		rh_say("signals cannot be read: %s", strerror(-signal_fd));
		return RH_EXIT_FAILURE;
	}
	if (!hook->argv[0] || !hook->argv[0][0]) {
		rh_say("no program was given to run");
		return RH_EXIT_FAILURE;
	}

	/* Early, so that the broker looks at who asks while the rest is gathered here. */
	_cleanup_(rh_closep) int broker_fd = rh_broker_connect(hook->libexec);

	rh_conf_load(&conf, hook->libexec);

	/* Without it the host's own variables could not be told from the job's. */
	int r = rh_environ_read(getppid(), &base);

	if (r < 0) {
		rh_say("the runner's environment cannot be read (%s), so the step was not run",
			strerror(-r));
		return RH_EXIT_FAILURE;
	}

	int block_fd = seal(hook, &base, conf.env_pass);

	hide_arguments(hook->argv);
	if (block_fd < 0) {
		rh_environ_deinit(&base);
		return RH_EXIT_FAILURE;
	}

	const struct rh_step_spec spec = {
		.libexec = hook->libexec,
		.block_fd = block_fd,
		.broker_fd = rh_steal_fd(&broker_fd),
		.signal_fd = signal_fd,
		.broker_wait_ms = conf.broker_wait_ms,
	};
	int status = rh_step_run(&spec);

	/* Not before the step: it waits for nothing that can be done later. */
	rh_environ_deinit(&base);
	rh_close(signal_fd);
	return status;
}
