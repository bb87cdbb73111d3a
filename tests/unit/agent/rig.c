/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A running agent and its fake broker and clients.
 */

#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/agent/agent.h"
#include "rh-test.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

#define RIG_WAIT_MS 20000

extern char **environ;

static bool from_anywhere(uid_t uid, pid_t pid)
{
	return true;
}

static _Noreturn void be_agent(const struct rig *rig, rh_from_host_fn from_host)
{
	struct rh_agent_options options = {
		.socket_path = rig->socket,
		.environ = environ,
		.from_host = from_host,
	};

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);

	int r = rh_agent_run(&options);

	/* The leak checker wants to look at the process. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

void rig_init(struct rig *rig)
{
	*rig = (struct rig){.dir = "/tmp/rh-agent-XXXXXX", .broker = -1};
	ck_assert_ptr_nonnull(mkdtemp(rig->dir));
	(void)snprintf(rig->socket, sizeof(rig->socket), "%s/agent.sock", rig->dir);
	ck_assert_int_eq(rh_id_new(&rig->job), 0);
}

void rig_start_agent(struct rig *rig, bool (*from_host)(uid_t uid, pid_t pid))
{
	rig_init(rig);
	rig->agent = fork();
	ck_assert_int_ge(rig->agent, 0);
	if (rig->agent == 0)
		be_agent(rig, from_host ? from_host : from_anywhere);
}

int rig_connect(const struct rig *rig)
{
	int64_t end_ms = rh_now_ms() + RIG_WAIT_MS;

	for (;;) {
		int fd = rh_unix_connect(rig->socket, SOCK_SEQPACKET);

		if (fd >= 0)
			return fd;
		ck_assert_int_lt(rh_now_ms(), end_ms);
		ck_assert_int_eq(waitpid(rig->agent, NULL, WNOHANG), 0);
		(void)usleep(1000);
	}
}

void rig_expect(int fd, int type, struct rh_wire_msg *ret_msg)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	ck_assert_int_eq(poll(&poll_fd, 1, RIG_WAIT_MS), 1);
	ck_assert_int_eq(rh_wire_recv(fd, ret_msg), 0);
	ck_assert_int_eq(ret_msg->type, type);
	rh_wire_msg_close_fds(ret_msg);
}

void rig_expect_eof(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	struct rh_wire_msg msg;
	int r = 0;

	while (r == 0) {
		ck_assert_int_eq(poll(&poll_fd, 1, RIG_WAIT_MS), 1);
		r = rh_wire_recv(fd, &msg);
	}
	ck_assert_int_eq(r, RH_WIRE_E_EOF);
}

struct rh_wire_state rig_hello(int broker)
{
	struct rh_wire_msg msg;
	struct rh_wire_state state;

	ck_assert_int_eq(rh_wire_send(broker, RH_WIRE_HELLO, NULL, 0, NULL, 0), 0);
	rig_expect(broker, RH_WIRE_STATE, &msg);
	ck_assert_uint_eq(msg.body_size, sizeof(state));
	memcpy(&state, msg.body, sizeof(state));
	return state;
}

int rig_lease(int broker, const struct rh_id *job, uid_t uid, gid_t gid)
{
	struct rh_wire_lease lease = {.job = *job, .uid = uid, .gid = gid};
	struct pollfd poll_fd = {.fd = broker, .events = POLLIN};
	struct rh_wire_msg msg;

	ck_assert_int_eq(rh_wire_send(broker, RH_WIRE_LEASE, &lease, sizeof(lease), NULL, 0), 0);
	ck_assert_int_eq(poll(&poll_fd, 1, RIG_WAIT_MS), 1);
	ck_assert_int_eq(rh_wire_recv(broker, &msg), 0);
	return msg.type;
}

void rig_start(struct rig *rig)
{
	rig_start_agent(rig, NULL);
	rig->broker = rig_connect(rig);
	ck_assert_uint_eq(rig_hello(rig->broker).flags, 0);
	ck_assert_int_eq(rig_lease(rig->broker, &rig->job, getuid(), getgid()), RH_WIRE_LEASED);
}

void rig_clean(struct rig *rig)
{
	rh_close(rig->broker);
	rh_test_remove_tree(rig->dir);
}

void rig_stop(struct rig *rig)
{
	int status = 0;

	ck_assert_int_eq(kill(rig->agent, SIGTERM), 0);
	ck_assert_int_eq(waitpid(rig->agent, &status, 0), rig->agent);
	ck_assert_int_eq(status, 0);
	rig_clean(rig);
}

struct rh_block_spec rig_sh(char *argv[4], const char *script)
{
	static char *no_env[] = {NULL};
	struct rlimit stack = {0};

	argv[0] = "sh";
	argv[1] = "-c";
	argv[2] = (char *)(uintptr_t)script;
	argv[3] = NULL;
	ck_assert_int_eq(getrlimit(RLIMIT_STACK, &stack), 0);
	return (struct rh_block_spec){
		.umask = 022,
		.oom_score_adj = 500,
		.stack_soft = stack.rlim_cur,
		.sig_ignored = UINT64_C(1) << (SIGPIPE - 1),
		.path = "/bin/sh",
		.cwd = "/",
		.argv = argv,
		.envp = no_env,
	};
}

struct rig_step rig_send(struct rig *rig, const struct rh_block_spec *spec, bool with_stdin)
{
	struct rh_wire_step_ref ref = {.job = rig->job, .step = ++rig->last_id};
	struct rig_step step = {.id = ref.step, .in = -1};
	int in[2], out[2], err[2], channel[2];
	int block = rh_block_seal(spec);

	ck_assert_int_ge(block, 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	if (with_stdin) {
		ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
		step.in = in[1];
	} else {
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
	if (rig->go_ahead)
		ck_assert_int_eq(rh_wire_send(channel[0], RH_WIRE_GO, NULL, 0, NULL, 0), 0);
	if (rig->take_back)
		ck_assert_int_eq(shutdown(channel[0], SHUT_RD), 0);

	int fds[5] = {block, in[0], out[1], err[1], channel[1]};

	ck_assert_int_eq(rh_wire_send(rig->broker, RH_WIRE_STEP, &ref, sizeof(ref), fds, 5), 0);
	for (size_t i = 0; i < 5; i++)
		rh_close(fds[i]);
	step.channel = channel[0];
	step.out = out[0];
	step.err = err[0];
	return step;
}

struct rig_step rig_go(struct rig *rig, const struct rh_block_spec *spec, bool with_stdin)
{
	struct rig_step step = rig_send(rig, spec, with_stdin);
	struct rh_wire_msg msg;

	rig_expect(step.channel, RH_WIRE_READY, &msg);
	ck_assert_int_eq(rh_wire_send(step.channel, RH_WIRE_GO, NULL, 0, NULL, 0), 0);
	return step;
}

void rig_signal(const struct rig_step *step, int signal_number)
{
	struct rh_wire_signal body = {.signal = signal_number};

	ck_assert_int_eq(
		rh_wire_send(step->channel, RH_WIRE_SIGNAL, &body, sizeof(body), NULL, 0), 0);
}

void rig_close(struct rig_step *step)
{
	rh_close(step->channel);
	rh_close(step->in);
	rh_close(step->out);
	rh_close(step->err);
	*step = (struct rig_step){.channel = -1, .in = -1, .out = -1, .err = -1};
}

static void read_all(int fd, char *text, size_t size)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	char more[4096];

	for (;;) {
		ck_assert_int_eq(poll(&poll_fd, 1, RIG_WAIT_MS), 1);

		ssize_t r = read(fd, more, sizeof(more));

		ck_assert_int_ge(r, 0);
		if (r == 0)
			break;

		size_t fits = (size_t)r < size - 1 - n ? (size_t)r : size - 1 - n;

		memcpy(text + n, more, fits);
		n += fits;
	}
	text[n] = '\0';
}

void rig_finish(struct rig *rig, struct rig_step *step, struct rig_result *ret_result)
{
	struct rh_wire_msg msg;
	struct rh_wire_exit ended;

	*ret_result = (struct rig_result){0};
	read_all(step->out, ret_result->out, sizeof(ret_result->out));
	read_all(step->err, ret_result->err, sizeof(ret_result->err));
	rig_expect(step->channel, RH_WIRE_EXIT, &msg);
	ck_assert_uint_ge(msg.body_size, sizeof(ended));
	memcpy(&ended, msg.body, sizeof(ended));
	ret_result->exit_code = ended.exit_code;
	ret_result->flags = ended.flags;
	(void)snprintf(ret_result->text, sizeof(ret_result->text), "%.599s",
		(const char *)msg.body + sizeof(ended));

	rig_expect(rig->broker, RH_WIRE_STEP_ENDED, &msg);
	ck_assert_uint_eq(msg.body_size, sizeof(ret_result->report));
	memcpy(&ret_result->report, msg.body, sizeof(ret_result->report));
	ck_assert(rh_id_equal(&ret_result->report.job, &rig->job));

	struct rh_wire_step_ref ref = {.job = rig->job, .step = ret_result->report.step};

	ck_assert_int_eq(
		rh_wire_send(rig->broker, RH_WIRE_STEP_ACK, &ref, sizeof(ref), NULL, 0), 0);
	rig_close(step);
}

void rig_run(struct rig *rig, const struct rh_block_spec *spec, struct rig_result *ret_result)
{
	struct rig_step step = rig_go(rig, spec, false);
	uint64_t id = step.id;

	rig_finish(rig, &step, ret_result);
	ck_assert_uint_eq(ret_result->report.step, id);
}

void rig_run_sh(struct rig *rig, const char *script, struct rig_result *ret_result)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, script);

	rig_run(rig, &spec, ret_result);
}
