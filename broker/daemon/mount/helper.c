/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A mount helper. It waits for packets, works, answers. It never logs: what went wrong goes back in
 * the reply. A packet that it cannot read ends it: its broker would not have sent one.
 */

#include "broker/daemon/mount/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/daemon/mount/attach.h"
#include "broker/daemon/mount/idmap.h"
#include "broker/daemon/mount/inside.h"
#include "broker/daemon/mount/sweep.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

/* A sweep that goes on for longer leaves the rest for the next one: others wait too. */
#define SWEEP_MAX_MS      INT64_C(600000)
#define PROGRESS_EVERY_MS 500

struct helper {
	int fd;
	struct rh_home home;
	struct rh_idmaps maps;
	struct rh_views views;
	uint64_t seq; /* of the request at hand */
	int64_t began_ms;
	int64_t told_ms;
	uint8_t packet[RH_MOUNT_PACKET_MAX + 1];
};

static int reply_send(const struct helper *helper, struct rh_mount_reply *reply, int flags)
{
	ssize_t n = -1;

	reply->seq = helper->seq;
	rh_mount_reply_seal(reply);
	do
		n = send(helper->fd, reply, sizeof(*reply), MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? rh_origin(-errno) : 0;
}

/* "Still at it." That it does not fit is no reason to stop; that nobody listens is. */
static int on_progress(void *arg, const struct rh_tree_count *count)
{
	struct helper *helper = arg;
	int64_t now_ms = rh_now_ms();

	if (now_ms - helper->began_ms > SWEEP_MAX_MS)
		return rh_origin(-ETIMEDOUT);
	if (now_ms - helper->told_ms < PROGRESS_EVERY_MS)
		return 0;
	helper->told_ms = now_ms;

	struct rh_mount_reply reply = {
		.kind = RH_MOUNT_PROGRESS,
		.bytes = count->bytes,
		.n_files = count->n_files,
	};
	int r = reply_send(helper, &reply, MSG_DONTWAIT);

	return r == -EAGAIN ? 0 : rh_trace(r);
}

static const char *what_of(const struct rh_mount_request *request)
{
	switch (request->op) {
	case RH_MOUNT_ATTACH:
		return request->attach.work;
	case RH_MOUNT_RELEASE:
		return request->release.work;
	case RH_MOUNT_RETIRE:
		return request->retire.work;
	default:
		return request->dir.parent;
	}
}

static int do_request(struct helper *helper, const struct rh_mount_request *request,
	struct rh_mount_reply *reply, struct rh_err *err)
{
	struct rh_tree_count count = {.on_progress = on_progress, .arg = helper};
	const struct rh_attach_tools tools = {
		.home = &helper->home, .maps = &helper->maps, .views = &helper->views};
	struct rh_mount_result result = {0};
	int r = 0;

	switch (request->op) {
	case RH_MOUNT_ATTACH:
		r = rh_attach_run(&tools, &request->attach, &result, err);
		break;
	case RH_MOUNT_RELEASE:
		r = rh_release_run(&request->release, &result, err);
		break;
	case RH_MOUNT_RETIRE:
		r = rh_retire_run(&tools, &request->retire, err);
		break;
	case RH_MOUNT_MAKE_DIR:
		r = rh_sweep_make(request->dir.parent, request->dir.name, request->dir.slot);
		break;
	case RH_MOUNT_SWEEP:
		r = rh_sweep_trash(request->dir.parent, &count);
		break;
	case RH_MOUNT_REMOVE_TREE:
		r = rh_sweep_remove(request->dir.parent, request->dir.name, &count);
		break;
	default:
		r = rh_origin(-EBADMSG); /* the decoder lets none pass */
		break;
	}
	if (r < 0 && err->text[0] == '\0')
		(void)rh_err_set(err, r, "%.300s: %s", what_of(request), strerror(-r));
	reply->swapped_workspace = result.swapped_workspace;
	reply->n_temp_leftovers = result.n_temp_leftovers;
	reply->id_mapped = result.id_mapped;
	reply->no_follow = result.no_follow;
	reply->bytes = count.bytes;
	reply->n_files = count.n_files;
	return rh_trace(r);
}

static void serve(struct helper *helper, size_t size)
{
	struct rh_mount_reply reply = {.kind = RH_MOUNT_DONE};
	struct rh_mount_request request = {0};
	struct rh_err err = {0};

	if (rh_mount_request_decode(helper->packet, size, &request) < 0)
		_exit(1);
	helper->seq = request.seq;
	helper->began_ms = helper->told_ms = rh_now_ms();
	reply.r = do_request(helper, &request, &reply, &err);
	memcpy(reply.text, err.text, sizeof(reply.text));
	if (reply_send(helper, &reply, 0) < 0)
		_exit(1);
}

/* Keeps what mounting, mapping, owning and deleting other people's files takes, and no more. */
static void cut_capabilities(void)
{
	static const unsigned char kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
		CAP_FOWNER, CAP_FSETID, CAP_SETGID, CAP_SETUID, CAP_SYS_CHROOT, CAP_SYS_PTRACE,
		CAP_SYS_ADMIN, CAP_MKNOD, CAP_SETFCAP, CAP_LINUX_IMMUTABLE};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	uint32_t mask[_LINUX_CAPABILITY_U32S_3] = {0};

	for (size_t i = 0; i < sizeof(kept); i++)
		mask[CAP_TO_INDEX(kept[i])] |= CAP_TO_MASK(kept[i]);
	if (syscall(SYS_capget, &head, data) < 0)
		_exit(1);
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= mask[i];
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		_exit(1);
}

/* Everything but stderr, which sanitizers write to, and the socket, which becomes number 3. */
static void close_foreign(int *fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
		_exit(1);
	if (*fd != 3 && dup3(*fd, 3, O_CLOEXEC) < 0)
		_exit(1);
	*fd = 3;
	if (rh_close_from(4) < 0)
		_exit(1);
}

void rh_mount_process_init(const char *name, int *fd, pid_t parent)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
	sigset_t none;

	(void)prctl(PR_SET_NAME, name);
	/* It ends with its parent; who died before this call is noticed by the parent's number. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	/* A terminal's or service manager's signal to all is the broker's to act on. */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	close_foreign(fd);
	(void)umask(0);
	if (chdir("/") < 0)
		_exit(1);
}

void rh_mount_helper_main(int fd, enum rh_mount_helper_kind kind)
{
	static struct helper helper;

	helper.fd = fd;
	helper.home = (struct rh_home)RH_HOME_INIT;
	/*
	 * A job waits for the one, on a host that other jobs keep busy: it works for a millisecond
	 * and should not queue for ten. Nobody waits for the other; its turn at the disk follows.
	 */
	(void)setpriority(PRIO_PROCESS, 0, kind == RH_MOUNT_HELPER_FAST ? -10 : 10);
	cut_capabilities();
	if (rh_home_open(&helper.home) < 0)
		_exit(1);
	for (;;) {
		ssize_t n = recv(fd, helper.packet, sizeof(helper.packet), 0);

		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n <= 0)
			_exit(n < 0);
		serve(&helper, (size_t)n);
	}
}
