/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A Worker for tests: starts a program as .NET does (vfork, handlers reset, dup2, chdir, execve,
 * SIGPIPE ignored) and ends as the program did.
 *
 *   Runner.Worker [OPTION]... -- PROGRAM [ARGUMENT]...
 *
 *   step         add the marker of a step to the program's environment
 *   set=K=V      add a variable
 *   empty        give it no environment at all
 *   argv0=NAME   give it another argv[0]
 *   words=N      give it N words more
 *   close=012    close these in the child
 *   files=N      RLIMIT_NOFILE of the child
 *   cwd=DIR      working directory of the child
 *   many=T,R     T threads start it R times each, and check that it printed "ok"
 *   entries      try every other way to start a program, print which worked
 *   env          print the Worker's own environment and its limit of memory instead
 *   opens        open each word itself, in every way, and print what was read or why not:
 *                r:PATH, w:PATH (made if need be), d:PATH
 *
 * It leaks two descriptors into its children, as the real one does.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 4096

static struct {
	bool entries, env, empty, opens;
	const char *close;
	const char *cwd;
	int files;
	int threads, rounds;
	char *path;
	char *argv[WORDS_MAX + 1];
	char *envp[WORDS_MAX + 1];
} job;

static void add(char **list, char *word)
{
	size_t n = 0;

	while (list[n])
		n++;
	if (n < WORDS_MAX)
		list[n] = word;
}

/* Between vfork and execve only what .NET does there. */
static pid_t start(const int fds[3])
{
	volatile int saved_errno = 0;
	const struct sigaction handler = {.sa_handler = SIG_DFL};
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);

	/* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): as .NET does */
	pid_t pid = vfork();

	if (pid == 0) {
		/* NOLINTBEGIN(clang-analyzer-unix.Vfork): what .NET does there */
		(void)sigaction(SIGINT, &handler, NULL);
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
		for (int i = 0; i < 3; i++)
			(void)dup2(fds[i], i);
		for (const char *c = job.close; *c; c++)
			(void)close(*c - '0');
		if (job.files > 0)
			(void)setrlimit(RLIMIT_NOFILE,
				&(struct rlimit){(rlim_t)job.files, (rlim_t)job.files});
		if (job.cwd && chdir(job.cwd) < 0)
			_exit(124);
		(void)execve(job.path, job.argv, job.empty ? (char *[]){NULL} : job.envp);
		saved_errno = errno;
		/* NOLINTEND(clang-analyzer-unix.Vfork) */
		_exit(123);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (saved_errno != 0)
		(void)fprintf(stderr, "execve: %s\n", strerrorname_np(saved_errno));
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int round_of_many(void)
{
	int out[2];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char text[16] = "";
	size_t n = 0;

	if (null < 0 || pipe2(out, O_CLOEXEC) < 0)
		return 1;

	pid_t pid = start((const int[]){null, out[1], STDERR_FILENO});

	(void)close(out[1]);
	for (ssize_t r = 0; (r = read(out[0], text + n, sizeof(text) - 1 - n)) > 0;)
		n += (size_t)r;
	(void)close(out[0]);
	(void)close(null);
	return wait_for(pid) != 0 || strcmp(text, "ok\n") != 0;
}

static void *on_thread(void *arg)
{
	size_t failed = 0;

	for (int i = 0; i < job.rounds; i++) {
		/* Others hold the allocator's locks meanwhile. */
		void *block = malloc(1000 + (size_t)i);

		failed += (size_t)round_of_many();
		free(block);
	}
	return (void *)failed;
}

static int run_many(void)
{
	pthread_t threads[64];
	size_t failed = 0;

	for (int i = 0; i < job.threads; i++)
		(void)pthread_create(&threads[i], NULL, on_thread, NULL);
	for (int i = 0; i < job.threads; i++) {
		void *n = NULL;

		(void)pthread_join(threads[i], &n);
		failed += (size_t)n;
	}
	(void)printf("%d rounds, %zu failed\n", job.threads * job.rounds, failed);
	return failed == 0 ? 0 : 1;
}

static void say(const char *name, int error)
{
	(void)printf("%s %s\n", name, error ? strerrorname_np(error) : "worked");
	(void)fflush(stdout);
}

/* Runs an exec function in a child; what it leaves in errno is the child's status. */
#define TRY(name, call)                    \
	do {                               \
		pid_t pid_ = fork();       \
                                           \
		if (pid_ == 0) {           \
			(void)call;        \
			_exit(errno);      \
		}                          \
		say(name, wait_for(pid_)); \
	} while (0)

static int run_entries(void)
{
	char *const argv[] = {"true", NULL};
	pid_t pid = -1;
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	int r = 0;

	TRY("execv", execv("/bin/true", argv));
	TRY("execvp", execvp("true", argv));
	TRY("execvpe", execvpe("true", argv, environ));
	TRY("execl", execl("/bin/true", "true", "a", "b", (char *)NULL));
	TRY("execlp", execlp("true", "true", (char *)NULL));
	TRY("execle", execle("/bin/true", "true", "a", (char *)NULL, environ));
	TRY("fexecve", fexecve(fd, argv, environ));
	TRY("execveat", execveat(AT_FDCWD, "/bin/true", argv, environ, 0));
	r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);
	say("posix_spawn", r ? r : wait_for(pid));
	r = posix_spawnp(&pid, "true", NULL, NULL, argv, environ);
	say("posix_spawnp", r ? r : wait_for(pid));
	/* NOLINTNEXTLINE(cert-env33-c): that it is refused is what is tried */
	r = system("exit 0");
	say("system", r == 0 ? 0 : errno);

	/* NOLINTNEXTLINE(cert-env33-c): likewise */
	FILE *stream = popen("exit 0", "r");

	say("popen", stream && pclose(stream) == 0 ? 0 : errno);
	return 0;
}

/* What is behind a descriptor or an error, each once: all ways must agree. */
static void say_open(char *seen, const char *way, int fd)
{
	char text[64] = "";
	int error = errno;

	if (fd < 0)
		(void)snprintf(text, sizeof(text), "%s", strerrorname_np(error));
	else if (read(fd, text, sizeof(text) - 1) < 0)
		(void)snprintf(text, sizeof(text), "opened");
	text[strcspn(text, "\n")] = '\0';
	if (fd >= 0)
		(void)close(fd);
	if (seen[0] && strcmp(seen, text) != 0)
		(void)printf("%s differs: ", way);
	if (strcmp(seen, text) != 0)
		(void)printf("%s\n", text);
	(void)snprintf(seen, sizeof(text), "%s", text);
}

static void open_one(const char *word)
{
	const char *path = word + 2;
	char seen[64] = "";
	int flags = word[0] == 'w' ? O_WRONLY | O_CREAT : O_RDONLY;

	if (word[0] == 'd') {
		DIR *dir = opendir(path);
		int n = 0;

		while (dir && readdir(dir))
			n++;
		(void)printf("%s %d\n", dir ? "entries" : strerrorname_np(errno), n);
		if (dir)
			(void)closedir(dir);
		return;
	}
	say_open(seen, "open", open(path, flags | O_CLOEXEC, 0644));
	say_open(seen, "open64", open64(path, flags | O_CLOEXEC, 0644));
	say_open(seen, "openat", openat(AT_FDCWD, path, flags | O_CLOEXEC, 0644));
	say_open(seen, "openat64", openat64(AT_FDCWD, path, flags | O_CLOEXEC, 0644));

	FILE *file = fopen64(path, word[0] == 'w' ? "ae" : "re");

	say_open(seen, "fopen64", file ? dup(fileno(file)) : -1);
	if (file)
		(void)fclose(file);
}

static int run_opens(void)
{
	for (char *const *word = job.argv; *word; word++)
		open_one(*word);
	return 0;
}

static void option(char *word)
{
	if (strcmp(word, "step") == 0) {
		add(job.envp, "RUNNER_TEMP=/work/_temp");
		add(job.envp, "RUNNER_OS=Linux");
		add(job.envp, "GITHUB_RUN_ID=7");
	} else if (strncmp(word, "set=", 4) == 0) {
		add(job.envp, word + 4);
	} else if (strncmp(word, "argv0=", 6) == 0) {
		job.argv[0] = word + 6;
	} else if (strncmp(word, "words=", 6) == 0) {
		for (long n = strtol(word + 6, NULL, 10); n > 0; n--)
			add(job.argv, "x");
	} else if (strncmp(word, "close=", 6) == 0) {
		job.close = word + 6;
	} else if (strncmp(word, "files=", 6) == 0) {
		job.files = (int)strtol(word + 6, NULL, 10);
	} else if (strncmp(word, "cwd=", 4) == 0) {
		job.cwd = word + 4;
	} else if (strncmp(word, "many=", 5) == 0) {
		char *comma = NULL;

		job.threads = (int)strtol(word + 5, &comma, 10);
		job.rounds = *comma == ',' ? (int)strtol(comma + 1, NULL, 10) : 1;
	}
	job.entries |= strcmp(word, "entries") == 0;
	job.env |= strcmp(word, "env") == 0;
	job.opens |= strcmp(word, "opens") == 0;
	job.empty |= strcmp(word, "empty") == 0;
}

int main(int argc, char **argv)
{
	int first = 1;

	job.close = "";
	(void)signal(SIGPIPE, SIG_IGN);
	while (first < argc && strcmp(argv[first], "--") != 0)
		first++;
	for (char **e = environ; *e; e++)
		add(job.envp, *e);
	for (int i = first + 1; i < argc; i++)
		add(job.argv, argv[i]);
	job.path = job.argv[0];
	for (int i = 1; i < first; i++)
		option(argv[i]);
	if (job.entries)
		return run_entries();
	if (job.opens)
		return run_opens();
	if (job.env) {
		struct rlimit data = {0};

		for (char **e = environ; *e; e++)
			(void)puts(*e);
		(void)getrlimit(RLIMIT_DATA, &data);
		(void)printf("data limit %ju MiB\n", (uintmax_t)data.rlim_cur >> 20);
		return 0;
	}
	/* The Listener's channel: not close-on-exec. */
	(void)dup2(open("/dev/zero", O_RDONLY), 40);
	(void)dup2(40, 41);
	if (job.threads > 0)
		return run_many();

	pid_t pid = start((const int[]){0, 1, 2});

	return pid < 0 ? 122 : wait_for(pid);
}
