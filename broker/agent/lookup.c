/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Finding a step's program inside the image.
 */

#include "broker/agent/lookup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/err.h"

/* The dynamic loaders that tell which libc an image has. */
#if defined(__x86_64__)
#define LOADER_GLIBC "/lib64/ld-linux-x86-64.so.2"
#define LOADER_MUSL  "/lib/ld-musl-x86_64.so.1"
#elif defined(__aarch64__)
#define LOADER_GLIBC "/lib/ld-linux-aarch64.so.1"
#define LOADER_MUSL  "/lib/ld-musl-aarch64.so.1"
#else
#error "name the dynamic loaders of this architecture"
#endif

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* Whether a directory on the way may not be searched: then what the runner has found there (a tool
 * in its /root, say) was something else. */
static bool out_of_reach(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 && errno == EACCES;
}

static int write_path(char ret_path[PATH_MAX], const char *dir, size_t dir_size, const char *name)
{
	int n = snprintf(
		ret_path, PATH_MAX, "%.*s%s%s", (int)dir_size, dir, dir_size > 0 ? "/" : "", name);

	return n < 0 || n >= PATH_MAX ? rh_origin(-ENAMETOOLONG) : 0;
}

/* As rh_lookup_program(), for a bare name and one list. An empty element is the directory itself.
 */
static int search(const char *name, const char *list, char ret_path[PATH_MAX])
{
	int r = -ENOENT;

	for (const char *dir = list; dir;) {
		const char *colon = strchr(dir, ':');
		size_t dir_size = colon ? (size_t)(colon - dir) : strlen(dir);
		char path[PATH_MAX];
		struct stat st;

		if (dir_size < PATH_MAX && write_path(path, dir, dir_size, name) == 0 &&
			stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			bool can_execute = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;

			if (can_execute || r == -ENOENT)
				memcpy(ret_path, path, strlen(path) + 1);
			if (can_execute)
				return 0;
			r = -EACCES;
		}
		dir = colon ? colon + 1 : NULL;
	}
	return rh_trace(r);
}

static bool ends_with(const char *text, size_t size, const char *end)
{
	return size >= strlen(end) && memcmp(text + size - strlen(end), end, strlen(end)) == 0;
}

int rh_lookup_alpine_node(const char *path, char ret_path[PATH_MAX])
{
	static const char tail[] = "/bin/node";
	size_t size = strlen(path);

	if (!ends_with(path, size, tail))
		return rh_origin(-ENOENT);
	size -= strlen(tail);

	size_t name_end = size;

	while (size > 0 && isdigit((unsigned char)path[size - 1]))
		size--;
	if (size == name_end || !ends_with(path, size, "/externals/node"))
		return rh_origin(-ENOENT);

	int n = snprintf(ret_path, PATH_MAX, "%.*s_alpine%s", (int)name_end, path, tail);

	return n < 0 || n >= PATH_MAX ? rh_origin(-ENAMETOOLONG) : 0;
}

static int as_it_is(const char *path, char ret_path[PATH_MAX])
{
	char alpine[PATH_MAX];

	if (rh_lookup_alpine_node(path, alpine) == 0 && !exists(LOADER_GLIBC) &&
		exists(LOADER_MUSL) && exists(alpine))
		path = alpine;
	return write_path(ret_path, "", 0, path);
}

int rh_lookup_program(const struct rh_lookup *lookup, char ret_path[PATH_MAX])
{
	const char *slash = strrchr(lookup->path, '/');
	const char *name = slash ? slash + 1 : lookup->path;
	bool hidden = slash && lookup->path[0] == '/' && out_of_reach(lookup->path);

	if (slash && !hidden && (lookup->path[0] != '/' || exists(lookup->path)))
		return as_it_is(lookup->path, ret_path);
	if (*name == '\0')
		return rh_origin(-ENOENT);

	int r = search(name, lookup->step_path, ret_path);

	if (r == -ENOENT)
		r = search(name, lookup->image_path, ret_path);
	if (r == -ENOENT && hidden)
		return as_it_is(lookup->path, ret_path);
	return rh_trace(r);
}
