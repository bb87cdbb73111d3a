/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tar, and the watch over it: what it has unpacked is measured several times a second, so an
 * archive that goes on for good fills no disk, and what it says about each of a million names fills
 * no log.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"
#include "runnerhub/weaken.h"
#include "say.h"
#include "untar.h"

#define WATCH_MS 200
#define WORDS    16384 /* bytes of what tar says that are passed on */

struct watch {
	pid_t pid;
	int signal_fd, words_fd;
	size_t n_words, n_left_out;
};

/* No file may be larger than all of them together may. What dies of that leaves no core. */
static void limit_files(void)
{
	static const struct rlimit none = {0};
	struct rlimit size = {0};

	if (getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_max > RH_UNTAR_BYTES_MAX) {
		size.rlim_cur = size.rlim_max = RH_UNTAR_BYTES_MAX;
		(void)setrlimit(RLIMIT_FSIZE, &size); /* one may always be lowered */
	}
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(SIGXFSZ, SIG_DFL);
}

static _Noreturn void become_tar(char *archive, pid_t parent, int words_fd, const sigset_t *mask)
{
	static const char *const programs[] = {"/usr/bin/tar", "/bin/tar"};
	char path[] = "PATH=/usr/bin:/bin";
	char *envp[] = {path, NULL};
	/* tar itself takes neither absolute names nor "..", unless it is told to (-P). */
	char how[] = "-xPzf";
	char *words[] = {(char[]){"tar"}, (char[]){"--no-same-owner"}, how, archive, NULL};
	int r = 0;

	if (!rh_weakened("untar-names"))
		memcpy(how, "-xzf", sizeof("-xzf"));
	/* It ends with its parent, which may be killed. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(RH_EXIT_FAILURE);
	if (!rh_weakened("untar-bounds"))
		limit_files();
	if (dup2(words_fd, STDERR_FILENO) < 0 || sigprocmask(SIG_SETMASK, mask, NULL) < 0)
		_exit(RH_EXIT_FAILURE);
	if (!rh_weakened("untar-box"))
		r = rh_untar_confine(archive);
	if (r < 0) {
		rh_say("tar cannot be confined: %s", strerror(-r));
		_exit(RH_EXIT_FAILURE);
	}
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		(void)execve(programs[i], words, envp);
	rh_say("tar cannot be run on the host: %s", strerror(errno));
	_exit(RH_EXIT_FAILURE);
}

/* Passes on what tar says, up to the bound. Return: whether there may be more. */
static bool pass_words(struct watch *w)
{
	char buf[4096];
	ssize_t n = read(w->words_fd, buf, sizeof(buf));

	if (n <= 0)
		return n < 0 && errno == EINTR;

	size_t room = WORDS - w->n_words;
	size_t size = (size_t)n < room ? (size_t)n : room;

	(void)rh_write_all(STDERR_FILENO, buf, size); /* there is nobody else to tell */
	w->n_words += size;
	if (size > 0 && w->n_words == WORDS)
		(void)rh_write_all(STDERR_FILENO, "\n", 1);
	w->n_left_out += (size_t)n - size;
	return true;
}

/* Kills what is left and waits for it. Return: as waitpid(2) says. */
static int stop(const struct watch *w)
{
	int status = 0;

	(void)kill(w->pid, SIGKILL);
	while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int exit_of(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
		rh_say("this action cannot be used: a file of it is larger than %llu MiB",
			RH_UNTAR_BYTES_MAX >> 20);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Whether what there is by now keeps to the bounds; 0, or what to exit with. */
static int look(void)
{
	int r = rh_weakened("untar-bounds") ? 0 : rh_untar_measure(".", false);

	if (r == 0)
		return 0;
	rh_untar_say_bound(r);
	return RH_EXIT_FAILURE;
}

/* Until tar ends, a signal comes, or a bound is passed. Return: what to exit with. */
static int watch(struct watch *w)
{
	int64_t next_ms = rh_now_ms() + WATCH_MS;

	for (;;) {
		struct pollfd fds[] = {{.fd = w->signal_fd, .events = POLLIN},
			{.fd = w->words_fd, .events = POLLIN}};
		int64_t wait_ms = next_ms - rh_now_ms();
		struct signalfd_siginfo info = {0};
		int status = 0;

		if (poll(fds, 2, wait_ms > 0 ? (int)wait_ms : 0) < 0 && errno != EINTR)
			return exit_of(stop(w));
		if ((fds[0].revents & POLLIN) &&
			read(w->signal_fd, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD) {
				(void)stop(w);
				return 128 + (int)info.ssi_signo;
			}
			if (waitpid(w->pid, &status, WNOHANG) == w->pid)
				return exit_of(status);
		}
		if (fds[1].revents && !pass_words(w)) {
			rh_close(w->words_fd);
			w->words_fd = -1;
		}
		if (rh_now_ms() < next_ms)
			continue;

		int r = look();

		if (r) {
			(void)stop(w);
			return r;
		}
		next_ms = rh_now_ms() + WATCH_MS;
	}
}

static int watched(struct watch *w)
{
	int r = watch(w);

	/* What it said last. Its decompressor may still have the other end. */
	if (w->words_fd >= 0 && fcntl(w->words_fd, F_SETFL, O_NONBLOCK) == 0) {
		while (pass_words(w))
			;
	}
	if (w->n_left_out > 0)
		rh_say("tar said %zu bytes more, which are left out", w->n_left_out);
	rh_close(w->words_fd);
	return r ? r : look();
}

int rh_untar_tar(char *archive, const sigset_t *mask)
{
	struct watch w = {.words_fd = -1};
	pid_t self = getpid();
	sigset_t signals;
	int words[2];

	/* Those that are blocked are read instead. */
	(void)sigprocmask(SIG_SETMASK, NULL, &signals);

	_cleanup_(rh_closep) int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);

	if (signal_fd < 0 || pipe2(words, O_CLOEXEC) < 0) {
		rh_say("tar cannot be watched: %s", strerror(errno));
		return RH_EXIT_FAILURE;
	}
	w.signal_fd = signal_fd;
	w.words_fd = words[0];
	w.pid = fork();
	if (w.pid == 0)
		become_tar(archive, self, words[1], mask);
	rh_close(words[1]);
	if (w.pid < 0) {
		rh_say("tar cannot be started: %s", strerror(errno));
		rh_close(words[0]);
		return RH_EXIT_FAILURE;
	}
	return watched(&w);
}
