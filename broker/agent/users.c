/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The image's users and groups. Nothing in these files can make the agent fail: what is not an
 * entry is skipped.
 */

#include "broker/agent/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

#define USERS_FILE_SIZE_MAX (4u * 1024 * 1024)
#define USERS_FIELDS_MAX    7

struct span {
	const char *start;
	size_t size;
};

/* Takes everything up to @stop, or up to the end, off the front. */
static struct span take(struct span *rest, char stop)
{
	const char *found = rest->size > 0 ? memchr(rest->start, stop, rest->size) : NULL;
	size_t size = found ? (size_t)(found - rest->start) : rest->size;
	struct span taken = {rest->start, size};

	if (found)
		size++;
	rest->start += size;
	rest->size -= size;
	return taken;
}

/* Splits a line at its colons. Return: whether it has exactly @n fields. */
static bool split(struct span line, struct span *ret_fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool is_last = i + 1 == n;
		bool has_colon = line.size > 0 && memchr(line.start, ':', line.size);

		if (is_last == has_colon)
			return false;
		ret_fields[i] = take(&line, ':');
	}
	return true;
}

static bool parse_id(struct span field, uint32_t *ret_id)
{
	uint64_t id = 0;

	if (field.size == 0 || field.size > 10)
		return false;
	for (size_t i = 0; i < field.size; i++) {
		if (field.start[i] < '0' || field.start[i] > '9')
			return false;
		id = id * 10 + (uint64_t)(field.start[i] - '0');
	}
	/* The largest is "no id" for chown(2) and setresuid(2). */
	if (id >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)id;
	return true;
}

/* Copies a field that fits and holds no NUL, else writes "". */
static void copy(struct span field, char *to, size_t to_size)
{
	to[0] = '\0';
	if (field.size == 0 || field.size >= to_size || memchr(field.start, '\0', field.size))
		return;
	memcpy(to, field.start, field.size);
	to[field.size] = '\0';
}

int rh_passwd_find(const char *text, size_t size, uid_t uid, char ret_name[RH_USER_NAME_SIZE],
	char ret_home[RH_USER_HOME_SIZE])
{
	struct span rest = {text, size};

	while (rest.size > 0) {
		struct span fields[USERS_FIELDS_MAX];
		uint32_t id = 0;

		/* name:password:uid:gid:comment:home:shell */
		if (!split(take(&rest, '\n'), fields, 7) || !parse_id(fields[2], &id) || id != uid)
			continue;
		copy(fields[0], ret_name, RH_USER_NAME_SIZE);
		copy(fields[5], ret_home, RH_USER_HOME_SIZE);
		if (ret_home[0] != '/')
			ret_home[0] = '\0';
		return 0;
	}
	return rh_origin(-ENOENT);
}

static void add_group(struct rh_user *user, gid_t gid)
{
	for (size_t i = 0; i < user->n_groups; i++) {
		if (user->groups[i] == gid)
			return;
	}
	if (user->n_groups < RH_USER_GROUPS_MAX)
		user->groups[user->n_groups++] = gid;
}

void rh_group_collect(const char *text, size_t size, struct rh_user *user)
{
	struct span rest = {text, size};
	size_t name_size = strlen(user->name);

	if (name_size == 0)
		return;
	while (rest.size > 0) {
		struct span fields[USERS_FIELDS_MAX];
		uint32_t id = 0;

		/* name:password:gid:member,member */
		if (!split(take(&rest, '\n'), fields, 4) || !parse_id(fields[2], &id))
			continue;
		while (fields[3].size > 0) {
			struct span member = take(&fields[3], ',');

			if (member.size == name_size &&
				memcmp(member.start, user->name, name_size) == 0)
				add_group(user, id);
		}
	}
}

/*
 * Return: the bytes of a regular file, owned by the caller, or NULL. An image may put anything
 * there: opening must not wait for a FIFO's writer.
 */
static char *read_file(int root_fd, const char *path, size_t *ret_size)
{
	_cleanup_(rh_closep) int fd =
		openat(root_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		st.st_size > (off_t)USERS_FILE_SIZE_MAX)
		return NULL;

	_cleanup_(rh_freep) char *text = malloc((size_t)st.st_size + 1);
	size_t n = 0;

	while (text && n < (size_t)st.st_size) {
		ssize_t r = read(fd, text + n, (size_t)st.st_size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return NULL;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*ret_size = n;
	return rh_steal(&text);
}

void rh_user_load(
	int root_fd, uid_t uid, gid_t gid, const char *image_home, struct rh_user *ret_user)
{
	struct rh_user *user = ret_user;
	char root_name[RH_USER_NAME_SIZE];
	char root_home[RH_USER_HOME_SIZE] = "";
	size_t size = 0;
	_cleanup_(rh_freep) char *passwd = read_file(root_fd, "etc/passwd", &size);

	*user = (struct rh_user){.uid = uid, .gid = gid};
	add_group(user, gid);
	if (passwd) {
		(void)rh_passwd_find(passwd, size, 0, root_name, root_home);
		(void)rh_passwd_find(passwd, size, uid, user->name, user->home);
	}
	if (root_home[0] == '\0')
		memcpy(root_home, "/", 2);
	if (user->home[0] == '\0')
		memcpy(user->home, "/", 2);
	user->image_has_home = image_home && strcmp(image_home, root_home) != 0;

	_cleanup_(rh_freep) char *group = read_file(root_fd, "etc/group", &size);

	if (group)
		rh_group_collect(group, size, user);
}
