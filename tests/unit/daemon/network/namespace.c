/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A host of one's own.
 */

#include "namespace.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"

bool stage_runs(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command) == 0; /* NOLINT(cert-env33-c): a fixed command of a test */
}

void stage_setup(struct stage *stage)
{
	*stage = (struct stage){0};
	(void)snprintf(stage->dir, sizeof(stage->dir), "/tmp/rh-network-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(stage->dir));
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert(stage_runs("ip link set lo up && ip link add br0 type bridge && "
			     "ip address add 10.9.0.1/24 dev br0 && ip link set br0 up"));
}

void stage_teardown(struct stage *stage)
{
	for (size_t i = 0; i < stage->n; i++) {
		(void)kill(stage->pids[i], SIGKILL);
		(void)waitpid(stage->pids[i], NULL, 0);
	}
	rh_test_remove_tree(stage->dir);
}

pid_t stage_container(struct stage *stage, const char *instance, const char *port, unsigned last)
{
	char path[128];
	char byte = 0;
	int ready[2];
	pid_t pid = -1;

	ck_assert_uint_lt(stage->n, sizeof(stage->pids) / sizeof(stage->pids[0]));
	ck_assert_int_eq(pipe(ready), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", stage->dir, instance);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0)
			(void)!write(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	stage->pids[stage->n++] = pid;
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	ck_assert(stage_runs("ip link add %s type veth peer name eth0 netns %d && "
			     "ip link set %s master br0 up",
		port, (int)pid, port));
	ck_assert(stage_runs("nsenter -t %d -n sh -c 'ip link set lo up; ip link set eth0 up; "
			     "ip address add 10.9.0.%u/24 dev eth0; ip route add default via "
			     "10.9.0.1'",
		(int)pid, last));
	return pid;
}

bool stage_connects(pid_t from, const char *to, unsigned port)
{
	return stage_runs("nsenter -t %d -n timeout 5 bash -c 'exec 3<>/dev/tcp/%s/%u' 2>/dev/null",
		(int)from, to, port);
}

bool stage_loses(pid_t from, const char *to, unsigned port)
{
	return !stage_runs(
		"nsenter -t %d -n timeout 1 bash -c 'exec 3<>/dev/tcp/%s/%u' 2>/dev/null",
		(int)from, to, port);
}

void stage_serve(const char *where, unsigned port)
{
	ck_assert(stage_runs("%s python3 -c '\n"
			     "import os, socket\n"
			     "server = socket.create_server((\"0.0.0.0\", %u))\n"
			     "if os.fork() == 0:\n"
			     "    os.closerange(0, 3)\n"
			     "    server.settimeout(15)\n"
			     "    while True: server.accept()\n'",
		where, port));
}

int stage_configure(
	struct stage *stage, struct rh_table *table, const char *firewall, struct rh_err *err)
{
	struct rh_network_request request = {.op = RH_NETWORK_CONFIGURE,
		.n_words = 5,
		.words = {"rhtest", "br0", stage->dir, firewall, "10.9.0.1"}};

	return rh_table_configure(table, &request, err);
}

int stage_admit(struct rh_table *table, const char *instance, pid_t pid, const char *egress,
	struct rh_err *err)
{
	char number[16];
	struct rh_network_request request = {
		.op = RH_NETWORK_ADMIT, .n_words = 3, .words = {instance, number, egress}};

	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	return rh_table_admit(table, &request, err);
}

int stage_dismiss(struct rh_table *table, const char *instance, struct rh_err *err)
{
	struct rh_network_request request = {
		.op = RH_NETWORK_DISMISS, .n_words = 1, .words = {instance}};

	return rh_table_dismiss(table, &request, err);
}
