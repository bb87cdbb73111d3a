/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A runner's directory and a container for it, without an engine.
 */

#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/clock.h"

char fake_dir[256];
char fake_root[300];
char fake_work[320];
char fake_state[300];

struct order {
	fake_fn fn;
	uid_t uid;
	char path[PATH_MAX];
};

static void make(const char *path, uid_t uid, gid_t gid)
{
	ck_assert_msg(mkdir(path, 0755) == 0, "mkdir %s: %s", path, strerror(errno));
	ck_assert_int_eq(chown(path, uid, gid), 0);
}

static const char *join(const char *dir, const char *path)
{
	static char text[4][PATH_MAX];
	static unsigned i;
	char *to = text[i++ % 4];

	(void)snprintf(to, PATH_MAX, "%s/%s", dir, path);
	return to;
}

const char *in_root(const char *path)
{
	return join(fake_root, path);
}

const char *in_work(const char *path)
{
	return join(fake_work, path);
}

void fake_setup(void)
{
	static const char *const dirs[] = {"bin", "bin/hashFiles", "bin/secret", "externals",
		"externals/node20", "_diag", "_w \xc3\xb6rk", "_w \xc3\xb6rk/_temp",
		"_w \xc3\xb6rk/_actions", "_w \xc3\xb6rk/_tool", "_w \xc3\xb6rk/_PipelineMapping",
		"_w \xc3\xb6rk/demo", "_w \xc3\xb6rk/demo/demo"};
	char path[PATH_MAX];

	(void)umask(0);
	(void)snprintf(fake_dir, sizeof(fake_dir), "/tmp/rh m\xc3\xb6unt %d", (int)getpid());
	(void)snprintf(fake_root, sizeof(fake_root), "%s/runner 1", fake_dir);
	(void)snprintf(fake_work, sizeof(fake_work), "%s/_w \xc3\xb6rk", fake_root);
	(void)snprintf(fake_state, sizeof(fake_state), "%s/state", fake_dir);
	ck_assert_msg(unshare(CLONE_NEWNS) == 0, "unshare: %s (tests of mounts need root)",
		strerror(errno));
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	make(fake_dir, 0, 0);
	ck_assert_int_eq(mount(fake_dir, fake_dir, "none", MS_BIND, NULL), 0);
	ck_assert_int_eq(mount("none", fake_dir, "none", MS_SHARED, NULL), 0);
	make(fake_root, FAKE_RUNNER_UID, FAKE_RUNNER_GID);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make(in_root(dirs[i]), FAKE_RUNNER_UID, FAKE_RUNNER_GID);
	make(fake_state, 0, 0);
	(void)snprintf(path, sizeof(path), "%s/socket", fake_state);
	make(path, 0, 0);
	(void)snprintf(path, sizeof(path), "%s/container", fake_dir);
	make(path, 0, 0);
}

void fake_teardown(void)
{
	char command[400];

	(void)umount2(fake_dir, MNT_DETACH);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", fake_dir);
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): a test's own directory */
}

/* As the engine binds it in: what the host mounts there appears here too. */
static void bind_slot(const char *slot)
{
	if (access(slot, F_OK) < 0)
		return;
	if (mkdir(".runnerhub/slot", 0755) < 0 ||
		mount(slot, ".runnerhub/slot", "none", MS_BIND, NULL) < 0)
		_exit(93);
}

static void enter_root(fake_plant_fn plant)
{
	char path[PATH_MAX];
	char socket[PATH_MAX];
	char slot[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/container", fake_dir);
	(void)snprintf(socket, sizeof(socket), "%s/socket", fake_state);
	(void)snprintf(slot, sizeof(slot), "%s/slot", fake_state);
	if (mount("none", "/", "none", MS_REC | MS_SLAVE, NULL) < 0 ||
		mount("tmpfs", path, "tmpfs", 0, NULL) < 0 || chdir(path) < 0 ||
		mkdir("tmp", 01777) < 0 || mkdir("old", 0700) < 0 || mkdir("proc", 0755) < 0)
		_exit(90);
	if (plant)
		plant();
	if ((mkdir(".runnerhub", 0755) < 0 && errno != EEXIST) ||
		mkdir(".runnerhub/socket", 0755) < 0 ||
		mount(socket, ".runnerhub/socket", "none", MS_BIND, NULL) < 0)
		_exit(91);
	bind_slot(slot);
	if (syscall(SYS_pivot_root, ".", "old") < 0 || chdir("/") < 0 ||
		mount("proc", "/proc", "proc", 0, NULL) < 0 || umount2("/old", MNT_DETACH) < 0)
		_exit(92);
}

/* In a process of its own, so that its ids can be given up. */
static int obey(const struct order *order)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (order->uid != 0 && (setgid(order->uid) < 0 || setuid(order->uid) < 0))
			_exit(255);
		int r = order->fn(order->path);

		_exit(r < 0 ? 128 + (-r & 127) : r & 127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status) >= 128 ? -(WEXITSTATUS(status) - 128) : WEXITSTATUS(status);
}

static _Noreturn void be_init(int fd, fake_plant_fn plant)
{
	static struct order order;
	int r = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter_root(plant);
	while (send(fd, &r, sizeof(r), 0) == (ssize_t)sizeof(r) &&
		recv(fd, &order, sizeof(order), 0) == (ssize_t)sizeof(order))
		r = obey(&order);
	_exit(0);
}

struct fake_container fake_start(fake_plant_fn plant)
{
	int pair[2] = {-1, -1};
	int r = -1;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);

	pid_t pid = (pid_t)syscall(
		SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0) {
		(void)close(pair[0]);
		be_init(pair[1], plant);
	}
	ck_assert_int_gt(pid, 0);
	(void)close(pair[1]);
	ck_assert_int_eq(recv(pair[0], &r, sizeof(r), 0), sizeof(r));
	return (struct fake_container){.pid = pid, .fd = pair[0]};
}

void fake_stop(struct fake_container *container)
{
	(void)close(container->fd);
	(void)kill(container->pid, SIGKILL);
	ck_assert_int_eq(waitpid(container->pid, NULL, 0), container->pid);
	container->pid = -1;
}

int fake_run(const struct fake_container *container, uid_t uid, fake_fn fn, const char *path)
{
	struct order order = {.fn = fn, .uid = uid};
	int r = 0;

	(void)snprintf(order.path, sizeof(order.path), "%s", path);
	ck_assert_int_eq(send(container->fd, &order, sizeof(order), 0), sizeof(order));
	ck_assert_int_eq(recv(container->fd, &r, sizeof(r), 0), sizeof(r));
	return r;
}

int fake_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && write(fd, "text", 4) != 4)
		r = -errno;
	if (fd >= 0)
		(void)close(fd);
	return r;
}

int fake_read(const char *path)
{
	char c = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : read(fd, &c, 1);

	if (fd >= 0)
		(void)close(fd);
	return n < 0 ? (int)n : c;
}

int fake_mkdir(const char *path)
{
	return mkdir(path, 0755) < 0 ? -errno : 0;
}

/* An exit status holds little: ids of interest are named by a small number. */
int fake_uid_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	switch (st.st_uid) {
	case FAKE_RUNNER_UID:
		return 47;
	case 65534:
		return 99;
	case 1000:
		return 10;
	case FAKE_BASE + 1000:
		return 20;
	default:
		return st.st_uid < 10 ? (int)st.st_uid : 100;
	}
}

int fake_mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? -errno : (int)(st.st_mode >> 6 & 077);
}

int fake_chown_1000(const char *path)
{
	return lchown(path, 1000, 1000) < 0 ? -errno : 0;
}

int fake_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? -errno : 1;
}

int fake_rename_dir(const char *path)
{
	char to[PATH_MAX];

	(void)snprintf(to, sizeof(to), "%s.moved", path);
	return rename(path, to) < 0 ? -errno : 0;
}

struct rh_mount_attach fake_attach(const struct fake_container *container, uid_t step)
{
	static char workspace[400];
	static char tools[400];

	(void)snprintf(workspace, sizeof(workspace), "%s/demo/demo", fake_work);
	(void)snprintf(tools, sizeof(tools), "%s/_tool", fake_work);
	return (struct rh_mount_attach){
		.container_pid = container->pid,
		.root = fake_root,
		.work = fake_work,
		.repo = "demo",
		.workspace = workspace,
		.tool_cache = tools,
		.state_dir = fake_state,
		.runner_uid = FAKE_RUNNER_UID,
		.runner_gid = FAKE_RUNNER_GID,
		.step_uid = step,
		.step_gid = step,
		.id_map_base = FAKE_BASE,
		.worker_started_ms = rh_wall_ms(),
	};
}

int fake_n_mounts(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	char escaped[4 * sizeof(fake_dir)];
	char *to = escaped;
	int n = 0;

	ck_assert_ptr_nonnull(file);
	/* proc(5): a blank is written as \040. */
	for (const char *from = fake_dir; *from; from++)
		to += snprintf(to, 5, *from == ' ' ? "\\040" : "%c", *from);
	*to = '\0';
	/* Those of others come and go meanwhile: what is removed elsewhere takes its mounts along.
	 */
	while (fgets(line, sizeof(line), file))
		n += strstr(line, escaped) != NULL;
	(void)fclose(file);
	return n;
}
