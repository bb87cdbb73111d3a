/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent put together. Its parts know each other downwards only:
 *
 *   listen ──▶ link ──▶ step ──▶ spawn, child ──▶ lookup
 *              │  │       └────▶ cgroup, env, filecmd, stepfds
 *   signals ───│──│──────▲
 *              ▼  ▼
 *          lease  reports          filter: around all of it
 */

#include "broker/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/agent/filter.h"
#include "broker/agent/signals.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "runnerhub/weaken.h"

#define INHERITED_FD_MAX 1024

struct rh_agent {
	struct rh_loop loop;
	struct rh_image image;
	struct rh_cgroup cgroup;
	struct rh_lease lease;
	struct rh_reports reports;
	struct rh_steps steps;
	struct rh_link link;
	struct rh_listen listen;
	struct rh_signals signals;
	int root_fd;
};

static void on_step_ended(void *arg, const struct rh_wire_step_report *report)
{
	struct rh_agent *agent = arg;

	rh_reports_push(&agent->reports, report);
	rh_link_flush(&agent->link);
}

static void agent_free(struct rh_agent *agent)
{
	if (!agent)
		return;
	rh_signals_close(&agent->signals);
	rh_listen_close(&agent->listen);
	rh_link_close(&agent->link);
	rh_steps_deinit(&agent->steps);
	rh_cgroup_deinit(&agent->cgroup);
	rh_close(agent->root_fd);
	rh_loop_deinit(&agent->loop);
	free(agent);
}
RH_DEFINE_CLEANUP(struct rh_agent *, agent_free);

static void wire_up(struct rh_agent *agent, const struct rh_agent_options *options)
{
	agent->steps.loop = &agent->loop;
	agent->steps.lease = &agent->lease;
	agent->steps.cgroup = &agent->cgroup;
	agent->steps.image = &agent->image;
	agent->steps.on_ended = on_step_ended;
	agent->steps.arg = agent;
	agent->link = (struct rh_link){
		.loop = &agent->loop,
		.lease = &agent->lease,
		.steps = &agent->steps,
		.reports = &agent->reports,
		.root_fd = agent->root_fd,
		.fd = -1,
	};
	agent->listen = (struct rh_listen){
		.loop = &agent->loop,
		.link = &agent->link,
		.from_host = options->from_host,
		.fd = -1,
	};
	agent->signals = (struct rh_signals){
		.loop = &agent->loop,
		.steps = &agent->steps,
		.from_host = options->from_host,
		.fd = -1,
	};
}

/*
 * Steps get their streams as 0 to 2, so the agent's own descriptors must lie above. What else a
 * container runtime left open is none of a job's.
 */
static int tidy_descriptors(void)
{
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) < 0) {
		/* Before Linux 5.9. */
		for (int fd = STDERR_FILENO + 1; fd < INHERITED_FD_MAX; fd++)
			rh_close(fd);
	}
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* The lowest that is free is this one. */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
			return rh_origin(-errno);
	}
	return 0;
}

/*
 * What holds for the agent and is inherited by every step. There is no way back from any of it, and
 * none of it costs a step anything.
 */
static int confine(void)
{
	const struct rlimit none = {0, 0};
	struct rh_filter filter;

	if (!rh_weakened("dumpable") && prctl(PR_SET_DUMPABLE, 0) < 0)
		return rh_origin(-errno);
	if (!rh_weakened("core") && setrlimit(RLIMIT_CORE, &none) < 0)
		return rh_origin(-errno);
	if (rh_weakened("agent-filter") || rh_weakened("no-new-privileges"))
		return 0;
	/* Where the profile grants it, namespaces are what it is granted for. */
	rh_filter_build(&filter, getpid(), prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1);
	return rh_trace(rh_filter_install(&filter));
}

int rh_agent_run(const struct rh_agent_options *options)
{
	_cleanup_(agent_freep) struct rh_agent *agent = calloc(1, sizeof(*agent));
	char membership[4096] = "";

	if (!agent)
		return rh_origin(-ENOMEM);
	agent->loop.epoll_fd = -1;
	agent->root_fd = -1;
	wire_up(agent, options);

	int r = tidy_descriptors();

	if (r < 0)
		return rh_trace(r);
	agent->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	agent->link.root_fd = agent->root_fd;
	if (agent->root_fd < 0 || chdir("/") < 0)
		return rh_origin(-errno);
	/* A longer or missing list leaves version 1, or no answer at all. */
	if (rh_read_file_at(AT_FDCWD, "/proc/self/cgroup", membership, sizeof(membership)) < 0)
		membership[0] = '\0';
	rh_image_init(&agent->image, options->environ);
	rh_cgroup_init(&agent->cgroup, "/sys/fs/cgroup", membership);
	r = confine();
	if (r == 0)
		r = rh_loop_init(&agent->loop);
	if (r == 0)
		r = rh_steps_init(&agent->steps);
	if (r == 0)
		r = rh_signals_start(&agent->signals);
	if (r == 0)
		r = rh_listen_start(&agent->listen, options->socket_path);
	return r < 0 ? rh_trace(r) : rh_trace(rh_loop_run(&agent->loop));
}
