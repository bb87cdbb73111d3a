/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The constructor: finds out whether this process is a Worker and, if so, everything that is
 * needed later, while nothing of the Worker has run yet, and puts its environment right before .NET
 * copies it: LD_PRELOAD loses this library, PATH gains the stubs at its end (the Worker looks for a
 * shell on the host), marker names are taken out, so that the Worker's own helpers lack them.
 * Settings that cannot be used close the process: every exec fails, nothing runs on the host.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "runnerhub/limits.h"
#include "runnerhub/wire.h"
#include "state.h"

struct rh_state rh_state;

/* In glibc 2.34 dlsym moved from libdl, which a small program may not have, to libc: asked for by
 * its old name, and weak. */
#if defined(__x86_64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
#elif defined(__aarch64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.17");
#endif
#pragma weak dlsym

#define RESOLVE(name) *(void **)&state->next.name = &dlsym ? dlsym(RTLD_NEXT, #name) : NULL;

/* Keeps "a/b", or "a" if there is no @b. NULL if it does not fit. */
static char *keep(struct rh_state *state, const char *a, size_t a_size, const char *b)
{
	size_t b_size = b ? strlen(b) + 1 : 0; /* with the slash */
	char *at = state->text + state->text_used;

	if (a_size + b_size + 1 > sizeof(state->text) - state->text_used)
		return NULL;
	memcpy(at, a, a_size);
	at[a_size] = b ? '/' : '\0';
	memcpy(at + a_size + 1, b ? b : "", b_size);
	state->text_used += a_size + b_size + 1;
	return at;
}

static bool is_file(const char *path)
{
	struct statx stx;

	return statx(AT_FDCWD, path, 0, STATX_TYPE, &stx) == 0 && !S_ISDIR(stx.stx_mode);
}

/* As the runner looks programs up: the first file of that name in PATH, executable or not. */
static const char *find_program(struct rh_state *state, const char *path, const char *name)
{
	while (path && *(path += strspn(path, ":"))) {
		size_t n = strcspn(path, ":");
		size_t shown = path[n - 1] == '/' ? n - 1 : n;
		const char *candidate = keep(state, path, shown, name);

		if (!candidate)
			return NULL;
		if (is_file(candidate))
			return candidate;
		state->text_used = (size_t)(candidate - state->text); /* taken back */
		path += n;
	}
	return NULL;
}

/* A hook counts only if a job could not have written it: outside the runner's directory, and not
 * writable for the runner's user (which says nothing about root). */
static const char *find_hook(struct rh_state *state, const char *variable, const char *root)
{
	const char *path = getenv(variable);
	size_t n = strlen(root);

	if (!path || path[0] != '/' || !is_file(path) ||
		(strncmp(path, root, n) == 0 && path[n] == '/') ||
		(geteuid() != 0 && access(path, W_OK) == 0))
		return NULL;
	return keep(state, path, strlen(path), NULL);
}

/* The work directory by both of its names. The Worker takes it from .runner, which config.sh has
 * written. A text with escapes is none that can be compared. */
static bool find_work(struct rh_state *state, const char *root, size_t root_size)
{
	char text[8192] = "";
	const char *settings = keep(state, root, root_size, ".runner");
	int fd = settings ? open(settings, O_RDONLY | O_CLOEXEC) : -1;
	char *folder = NULL;
	ssize_t n = 0;

	(void)!read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	folder = strstr(text, "\"workFolder\"");
	folder = folder ? strchr(folder + 12, '"') : NULL;
	folder = folder ? folder + 1 : memcpy(text, "_work", 6);
	for (n = (ssize_t)strcspn(folder, "\""); n > 1 && folder[n - 1] == '/'; n--)
		;
	folder[n] = '\0';
	state->work = folder[0] == '/' ? keep(state, folder, (size_t)n, NULL)
				       : keep(state, root, root_size, folder);
	if (!state->work || strchr(folder, '\\'))
		return false;
	state->real_work =
		realpath(state->work, text) ? keep(state, text, strlen(text), NULL) : state->work;
	return state->real_work != NULL;
}

static bool set_environment(struct rh_state *state, const char *preload, const char *stubs)
{
	const char *path = getenv("PATH");
	char *rest = state->text + state->text_used;

	/* Both values are built behind what is kept; setenv() copies them. */
	if (!rh_facts_without(preload, rest, sizeof(state->text) - state->text_used) ||
		(rest[0] ? setenv("LD_PRELOAD", rest, 1) : unsetenv("LD_PRELOAD")) != 0)
		return false;
	if (path && path[0]) {
		char *both = keep(state, path, strlen(path), stubs);

		if (!both)
			return false;
		both[strlen(path)] = ':';
		stubs = both;
	}
	if (setenv("PATH", stubs, 1) != 0)
		return false;
	for (const char *const *name = rh_policy_marker_names; *name; name++)
		(void)unsetenv(*name); /* fails for an invalid name only */
	return true;
}

/* Says to the broker that a job is coming, and the kernel attaches who says it. One packet, without
 * waiting: it is lost without harm, as where the path is longer than an address may be. */
static void announce(const char *path)
{
	const struct rh_wire_header header = {
		.magic = RH_WIRE_MAGIC, .version = RH_WIRE_VERSION, .type = RH_WIRE_ANNOUNCE};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (strlen(path) < sizeof(address.sun_path)) {
		memcpy(address.sun_path, path, strlen(path) + 1);
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			(void)send(fd, &header, sizeof(header), MSG_NOSIGNAL);
	}
	(void)close(fd);
}

static enum rh_mode arm(struct rh_state *state, const char *exe, size_t root_size)
{
	static const char *const verbs[RH_VERDICTS] = {
		[RH_VERDICT_RELAY] = RH_LIBEXEC_EXEC,
		[RH_VERDICT_JOB_STARTED] = RH_LIBEXEC_JOB_STARTED,
		[RH_VERDICT_JOB_COMPLETED] = RH_LIBEXEC_JOB_COMPLETED,
		[RH_VERDICT_UNTAR] = RH_LIBEXEC_UNTAR,
		[RH_VERDICT_REFUSE] = RH_LIBEXEC_REFUSE,
	};
	const char *preload = secure_getenv("LD_PRELOAD");
	struct rlimit limit;
	size_t word_size = 0;
	const char *word = preload ? rh_facts_word(preload, &word_size) : NULL;

	if (!word)
		return RH_MODE_CLOSED;

	size_t libexec_size = word_size - strlen(RH_PRELOAD_NAME) - 1;
	const char *broker = keep(state, word, libexec_size, RH_LIBEXEC_RUN "/" RH_BROKER_SOCKET);
	const char *stubs = keep(state, word, libexec_size, RH_LIBEXEC_STUBS);
	const char *root = keep(state, exe, root_size, NULL);
	bool complete = broker && stubs && root && find_work(state, exe, root_size);

	for (size_t i = 0; i < RH_VERDICTS; i++) {
		state->verbs[i] = keep(state, word, libexec_size, verbs[i]);
		complete = complete && state->verbs[i];
	}
	if (!complete || !set_environment(state, preload, stubs))
		return RH_MODE_CLOSED;
	state->policy = (struct rh_policy){
		.started_hook = find_hook(state, "ACTIONS_RUNNER_HOOK_JOB_STARTED", root),
		.completed_hook = find_hook(state, "ACTIONS_RUNNER_HOOK_JOB_COMPLETED", root),
		.tar = find_program(state, getenv("PATH"), "tar"),
		.docker = find_program(state, getenv("PATH"), "docker"),
	};
	if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur > RH_WORKER_DATA_MAX) {
		limit.rlim_cur = RH_WORKER_DATA_MAX; /* jobs choose what it reads */
		(void)(rh_weakened("worker-data") || setrlimit(RLIMIT_DATA, &limit));
	}
	announce(broker);
	return RH_MODE_ARMED;
}

__attribute__((constructor)) static void setup(void)
{
	struct rh_state *state = &rh_state;
	char exe[PATH_MAX];
	int saved_errno = errno;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	/* Without /proc only the name it was started by is left. */
	const char *name = n < 0 ? (const char *)getauxval(AT_EXECFN) : NULL;

	if (name)
		memcpy(exe, name, (size_t)(n = (ssize_t)strnlen(name, sizeof(exe) - 1)));
	exe[n < 0 ? 0 : n] = '\0';

	size_t root_size = rh_facts_root(exe);

	RH_ORIGINALS(RESOLVE)
	if (root_size > 0)
		state->mode = arm(state, exe, root_size);
	(void)mprotect(state, sizeof(*state), PROT_READ);
	errno = saved_errno;
}
