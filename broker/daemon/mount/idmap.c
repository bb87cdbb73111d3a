/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A user namespace needs a process to be born in: a child that unshares, says so, and waits until
 * its maps were written and its namespace was opened. It ends when its socket closes, so it does
 * not outlive a helper that is killed in between. Made with _Fork(), see zygote.c.
 */

#include "broker/daemon/mount/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"

bool rh_idmap_is_needed(const struct rh_idmap_key *key)
{
	return key->step_uid == 0 || key->step_uid != key->runner_uid ||
		key->step_gid != key->runner_gid;
}

int rh_idmap_text(uint32_t disk, uint32_t seen, uint32_t base, char ret_text[RH_IDMAP_TEXT_MAX])
{
	const uint32_t last = RH_IDMAP_IDS - 1;
	size_t n = 0;

	/* The range must be free of ids that people or services have, and end below (uid_t)-1. */
	if (base < RH_IDMAP_IDS || base > UINT32_MAX - RH_IDMAP_IDS || seen == UINT32_MAX ||
		disk == UINT32_MAX || rh_idmap_in_range(base, disk))
		return rh_origin(-EINVAL);

	n = (size_t)snprintf(ret_text, RH_IDMAP_TEXT_MAX, "%u %u 1\n", disk, seen);
	if (seen > last) {
		n += (size_t)snprintf(
			ret_text + n, RH_IDMAP_TEXT_MAX - n, "%u 0 %u\n", base, RH_IDMAP_IDS);
		return (int)n;
	}
	if (seen > 0)
		n += (size_t)snprintf(ret_text + n, RH_IDMAP_TEXT_MAX - n, "%u 0 %u\n", base, seen);
	if (seen < last)
		n += (size_t)snprintf(ret_text + n, RH_IDMAP_TEXT_MAX - n, "%u %u %u\n",
			base + seen + 1, seen + 1, last - seen);
	return (int)n;
}

/* The child. Its word on the socket is 0 or an errno. */
static _Noreturn void be_born(int fd)
{
	int r = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	char c = 0;

	if (send(fd, &r, sizeof(r), MSG_NOSIGNAL) == (ssize_t)sizeof(r))
		(void)recv(fd, &c, 1, 0); /* until the other end closes */
	_exit(0);
}

static int write_map(pid_t pid, const char *file, const char *text, size_t length)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);

	_cleanup_(rh_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return rh_origin(-errno);
	/* The kernel takes a map in one write only. */
	if (write(fd, text, length) != (ssize_t)length)
		return rh_origin(errno ? -errno : -EIO);
	return 0;
}

static int wait_unshared(int fd)
{
	int word = EPIPE;
	ssize_t n = -1;

	do
		n = recv(fd, &word, sizeof(word), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(word))
		return rh_origin(-EPIPE);
	return -word;
}

static int map_and_open(int fd, pid_t pid, const struct rh_idmap_key *key, int *ret_fd)
{
	char uids[RH_IDMAP_TEXT_MAX];
	char gids[RH_IDMAP_TEXT_MAX];
	char path[64];
	int n_uids = rh_idmap_text(key->runner_uid, key->step_uid, key->base, uids);
	int n_gids = rh_idmap_text(key->runner_gid, key->step_gid, key->base, gids);
	int r = wait_unshared(fd);

	if (n_uids < 0 || n_gids < 0)
		return rh_origin(-EINVAL);
	if (r == 0)
		r = write_map(pid, "uid_map", uids, (size_t)n_uids);
	if (r == 0)
		r = write_map(pid, "gid_map", gids, (size_t)n_gids);
	if (r < 0)
		return rh_trace(r);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);

	int ns_fd = open(path, O_RDONLY | O_CLOEXEC);

	if (ns_fd < 0)
		return rh_origin(-errno);
	*ret_fd = ns_fd;
	return 0;
}

static int make(const struct rh_idmap_key *key, int *ret_fd)
{
	int pair[2] = {-1, -1};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return rh_origin(-errno);

	pid_t pid = _Fork();

	if (pid == 0) {
		(void)close(pair[0]);
		be_born(pair[1]);
	}

	int r = pid < 0 ? rh_origin(-errno) : 0;

	(void)close(pair[1]);
	if (r == 0)
		r = map_and_open(pair[0], pid, key, ret_fd);
	(void)close(pair[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return rh_trace(r);
}

static int check(const struct rh_idmap_key *key, struct rh_err *err)
{
	char text[RH_IDMAP_TEXT_MAX];

	if (rh_idmap_text(key->runner_uid, key->step_uid, key->base, text) > 0 &&
		rh_idmap_text(key->runner_gid, key->step_gid, key->base, text) > 0)
		return 0;
	return rh_err_set(err, -EINVAL,
		"the id range that begins at %u does not suit the runner's ids %u:%u; choose "
		"another "
		"id_map_base",
		key->base, key->runner_uid, key->runner_gid);
}

int rh_idmaps_get(
	struct rh_idmaps *maps, const struct rh_idmap_key *key, int *ret_fd, struct rh_err *err)
{
	size_t oldest = 0;

	for (size_t i = 0; i < RH_IDMAPS_MAX; i++) {
		if (maps->slots[i].used && memcmp(&maps->slots[i].key, key, sizeof(*key)) == 0) {
			maps->slots[i].used = ++maps->clock;
			*ret_fd = maps->slots[i].fd;
			return 0;
		}
		if (maps->slots[i].used < maps->slots[oldest].used)
			oldest = i;
	}

	int fd = -1;
	int r = check(key, err);

	if (r < 0)
		return rh_trace(r);
	r = make(key, &fd);
	if (r < 0)
		return rh_err_set(
			err, r, "cannot make a user namespace for the id map: %s", strerror(-r));
	if (maps->slots[oldest].used)
		(void)close(maps->slots[oldest].fd);
	maps->slots[oldest].key = *key;
	maps->slots[oldest].fd = fd;
	maps->slots[oldest].used = ++maps->clock;
	*ret_fd = fd;
	return 0;
}

void rh_idmaps_deinit(struct rh_idmaps *maps)
{
	for (size_t i = 0; i < RH_IDMAPS_MAX; i++) {
		if (maps->slots[i].used)
			(void)close(maps->slots[i].fd);
		maps->slots[i].used = 0;
	}
}
