/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An exec in a sealed memfd.
 */

#include "runnerhub/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"

/* Up to here a copy costs less than a mapping, its page faults and its end. */
#define COPY_MAX 65536u

#define BLOCK_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int count(char *const *strings, uint32_t *ret_n, size_t *size)
{
	uint32_t n = 0;

	for (; strings && strings[n]; n++) {
		*size += strlen(strings[n]) + 1;
		if (n == RH_BLOCK_STRINGS_MAX || *size > RH_BLOCK_SIZE_MAX)
			return rh_origin(-E2BIG);
	}
	*ret_n = n;
	return 0;
}

static char *append(char *to, const char *string)
{
	size_t size = strlen(string) + 1;

	memcpy(to, string, size);
	return to + size;
}

static char *append_all(char *to, char *const *strings, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to = append(to, strings[i]);
	return to;
}

int rh_block_seal(const struct rh_block_spec *spec)
{
	struct rh_block_header header = {
		.magic = RH_BLOCK_MAGIC,
		.flags = spec->flags,
		.umask = spec->umask,
		.oom_score_adj = spec->oom_score_adj,
		.stack_soft = spec->stack_soft,
		.sig_ignored = spec->sig_ignored,
	};
	size_t size = strlen(spec->path) + 1 + strlen(spec->cwd) + 1;
	int r = count(spec->argv, &header.n_args, &size);

	if (r == 0)
		r = count(spec->envp, &header.n_envs, &size);
	if (r < 0)
		return rh_trace(r);
	if (header.n_args + header.n_envs > RH_BLOCK_STRINGS_MAX)
		return rh_origin(-E2BIG);
	header.strings_size = size;
	size += sizeof(header);
	if (size > RH_BLOCK_SIZE_MAX)
		return rh_origin(-E2BIG);

	_cleanup_(rh_freep) char *data = malloc(size);
	_cleanup_(rh_closep) int fd =
		(int)syscall(SYS_memfd_create, "runnerhub", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return rh_origin(-errno);
	if (!data)
		return rh_origin(-ENOMEM);
	memcpy(data, &header, sizeof(header));

	char *to = append(append(data + sizeof(header), spec->path), spec->cwd);

	to = append_all(to, spec->argv, header.n_args);
	(void)append_all(to, spec->envp, header.n_envs);
	r = rh_write_all(fd, data, size);
	if (r < 0)
		return rh_trace(r);
	if (fcntl(fd, F_ADD_SEALS, BLOCK_SEALS) < 0)
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}

/* Takes one NUL-terminated string off [*at, end), or NULL. */
static char *take(char **at, const char *end)
{
	char *string = *at;
	char *nul = memchr(string, '\0', (size_t)(end - string));

	if (!nul)
		return NULL;
	*at = nul + 1;
	return string;
}

int rh_block_parse(void *data, size_t size, struct rh_block *ret_block)
{
	struct rh_block_header header;

	if (size < sizeof(header) || size > RH_BLOCK_SIZE_MAX)
		return rh_origin(-EPROTO);
	memcpy(&header, data, sizeof(header));
	if (header.magic != RH_BLOCK_MAGIC || header.strings_size != size - sizeof(header))
		return rh_origin(-EPROTO);
	if (header.n_args > RH_BLOCK_STRINGS_MAX || header.n_envs > RH_BLOCK_STRINGS_MAX ||
		header.n_args + header.n_envs > RH_BLOCK_STRINGS_MAX)
		return rh_origin(-EPROTO);

	size_t n = (size_t)header.n_args + header.n_envs;
	_cleanup_(rh_freep) char **pointers = calloc(n + 2, sizeof(char *));
	char *at = (char *)data + sizeof(header);
	const char *end = (char *)data + size;

	if (!pointers)
		return rh_origin(-ENOMEM);

	char *path = take(&at, end);
	char *cwd = path ? take(&at, end) : NULL;

	if (!cwd)
		return rh_origin(-EPROTO);
	for (size_t i = 0; i < n; i++) {
		char *string = take(&at, end);

		if (!string)
			return rh_origin(-EPROTO);
		pointers[i < header.n_args ? i : i + 1] = string;
	}
	if (at != end)
		return rh_origin(-EPROTO);

	*ret_block = (struct rh_block){
		.header = data,
		.size = size,
		.path = path,
		.cwd = cwd,
		.argv = pointers,
		.envp = pointers + header.n_args + 1,
	};
	pointers = NULL;
	return 0;
}

/* The seals hold, so what is read here is what any other receiver reads. */
static void *load(int fd, size_t size)
{
	if (size > COPY_MAX) {
		void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

		return map == MAP_FAILED ? NULL : map;
	}

	void *data = malloc(size);

	if (data && pread(fd, data, size, 0) != (ssize_t)size) {
		free(data);
		return NULL;
	}
	return data;
}

static void unload(void *data, size_t size)
{
	if (size > COPY_MAX)
		(void)munmap(data, size);
	else
		free(data);
}

int rh_block_map(int fd, struct rh_block **ret_block)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	/* Not a memfd gives EINVAL. */
	if (seals < 0 || (seals & BLOCK_SEALS) != BLOCK_SEALS)
		return rh_origin(-EPROTO);
	if (fstat(fd, &st) < 0)
		return rh_origin(-errno);
	if (st.st_size < (off_t)sizeof(struct rh_block_header) || st.st_size > RH_BLOCK_SIZE_MAX)
		return rh_origin(-EPROTO);

	_cleanup_(rh_freep) struct rh_block *block = calloc(1, sizeof(*block));
	size_t size = (size_t)st.st_size;
	void *data = block ? load(fd, size) : NULL;

	if (!data)
		return rh_origin(-ENOMEM);

	int r = rh_block_parse(data, size, block);

	if (r < 0) {
		unload(data, size);
		return rh_trace(r);
	}
	*ret_block = rh_steal(&block);
	return 0;
}

void rh_block_free(struct rh_block *block)
{
	if (!block)
		return;
	free(block->argv);
	unload((void *)(uintptr_t)block->header, block->size);
	free(block);
}

const char *rh_env_get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++) {
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	}
	return NULL;
}
