/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How much was unpacked, and how much its copy will be. Both walks end as soon as a bound is
 * passed, so links that lead to links to folders cost no more than the bound.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "say.h"
#include "untar.h"

struct measure {
	DIR *levels[RH_UNTAR_DEPTH_MAX];
	size_t n;
	bool follow;
	uint64_t n_entries, n_linked, n_bytes;
};

/* Consumes a descriptor, or an error. */
static int push(struct measure *m, int fd)
{
	if (fd >= 0 && m->n == RH_UNTAR_DEPTH_MAX) {
		rh_close(fd);
		return rh_origin(-ELOOP);
	}

	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		int r = fd < 0 ? fd : -errno;

		rh_close(fd);
		return rh_origin(r);
	}
	m->levels[m->n++] = dir;
	return 0;
}

static int enter(struct measure *m, int dir_fd, const char *name)
{
	struct stat st;

	if (!m->follow)
		return rh_untar_enter(dir_fd, name);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) &&
		++m->n_linked > RH_UNTAR_LINKED_MAX)
		return rh_origin(-E2BIG);

	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? rh_origin(-errno) : fd;
}

static int take(struct measure *m, const char *name)
{
	int dir_fd = dirfd(m->levels[m->n - 1]);
	struct stat st;
	int r = 0;

	if (++m->n_entries > RH_UNTAR_ENTRIES_MAX)
		return rh_origin(-E2BIG);
	/* It leads nowhere, or tar has replaced it meanwhile. */
	if (fstatat(dir_fd, name, &st, m->follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISREG(st.st_mode))
		m->n_bytes += (uint64_t)st.st_size;
	if (S_ISDIR(st.st_mode))
		r = push(m, enter(m, dir_fd, name));
	if (r == -ENOENT || r == -ENOTDIR)
		r = 0; /* likewise */
	return m->n_bytes > RH_UNTAR_BYTES_MAX ? rh_origin(-E2BIG) : rh_trace(r);
}

int rh_untar_measure(const char *dir, bool follow)
{
	struct measure m = {.follow = follow};
	int r = push(&m, rh_untar_open(dir));

	while (m.n > 0) {
		const struct dirent *entry = r < 0 ? NULL : readdir(m.levels[m.n - 1]);

		if (!entry)
			(void)closedir(m.levels[--m.n]);
		else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = take(&m, entry->d_name);
	}
	return rh_trace(r);
}

void rh_untar_say_bound(int r)
{
	if (r == -E2BIG)
		rh_say("this action cannot be used: unpacked, with what its links lead to, it is "
		       "more "
		       "than %llu MiB, %u files, or %u folders by links; use a smaller one",
			RH_UNTAR_BYTES_MAX >> 20, RH_UNTAR_ENTRIES_MAX, RH_UNTAR_LINKED_MAX);
	else if (r == -ELOOP)
		rh_say("this action cannot be used: its folders are nested deeper than %d",
			RH_UNTAR_DEPTH_MAX);
	else
		rh_say("this action cannot be used: what was unpacked cannot be looked at: %s",
			strerror(-r));
}
