/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The hook program's entry. It is started under a verb's name: the kernel says in AT_EXECFN which
 * file was executed, its last component is the verb, its directory is where everything else lies.
 * argv and environment are those of the program that is replaced, so neither is asked.
 *
 *   <libexec>/exec …              a verb
 *   <libexec>/stubs/bash …        a stub
 *   <libexec>/runnerhub-hook VERB ARGUMENTS…
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hook.h"
#include "rh-config.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"
#include "runnerhub/weaken.h"
#include "say.h"

static const struct verb {
	const char *name;
	int (*run)(const struct rh_hook *hook);
	const char *help;
} verbs[] = {
	{RH_LIBEXEC_EXEC, rh_verb_exec, "run a step in the job's container"},
	{RH_LIBEXEC_JOB_STARTED, rh_verb_job_started, "get a container for the job"},
	{RH_LIBEXEC_JOB_COMPLETED, rh_verb_job_completed, "give it back"},
	{RH_LIBEXEC_UNTAR, rh_verb_untar, "unpack an action's archive"},
	{RH_LIBEXEC_REFUSE, rh_verb_refuse, "say that a program may not run here"},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	}
	return NULL;
}

/*
 * The Worker leaks its channel to the Listener into every child. What is missing of 0 to 2 becomes
 * the null device, so that no socket of ours takes its place.
 */
static int settle_descriptors(void)
{
	if (rh_close_from(3) < 0)
		return -1;
	for (int fd = 0; fd <= 2; fd++) {
		/* open() gives the lowest free number, which is this one. */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_NOCTTY) != fd)
			return -1;
	}
	return 0;
}

static int usage(FILE *to, int status)
{
	(void)fprintf(to,
		"usage: runnerhub-hook VERB [ARGUMENT]...\n"
		"       runnerhub-hook --version | --help\n"
		"\n"
		"Runs in place of a program that a GitHub runner's Worker starts. Usually it is\n"
		"started through a link that is named like the verb. Verbs:\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		(void)fprintf(to, "  %-14s %s\n", verbs[i].name, verbs[i].help);
	return status;
}

/* Started by its own name: the verb is a word. */
static int run_by_word(struct rh_hook *hook)
{
	const char *word = hook->argv[0] ? hook->argv[1] : NULL;

	if (!word)
		return usage(stderr, RH_EXIT_USAGE);
	if (strcmp(word, "--version") == 0) {
		(void)printf("runnerhub-hook " RH_VERSION "\n");
		return 0;
	}
	if (strcmp(word, "--help") == 0)
		return usage(stdout, 0);

	const struct verb *verb = find_verb(word);

	if (!verb)
		return usage(stderr, RH_EXIT_USAGE);
	hook->argv += 2;
	return verb->run(hook);
}

int main(int argc, char **argv, char **envp)
{
	/* Its environment and memory hold secrets of the job: for root alone, and no core. */
	if (!rh_weakened("client-proc"))
		(void)prctl(PR_SET_DUMPABLE, 0);
	if (settle_descriptors() < 0)
		return RH_EXIT_FAILURE;

	const char *execfn = (const char *)getauxval(AT_EXECFN);
	const char *slash = execfn ? strrchr(execfn, '/') : NULL;
	char libexec[PATH_MAX] = ".";

	if (slash && (size_t)(slash - execfn) < sizeof(libexec)) {
		memcpy(libexec, execfn, (size_t)(slash - execfn));
		libexec[slash - execfn] = '\0';
	}

	struct rh_hook hook = {.libexec = libexec, .argv = argv, .envp = envp};
	const struct verb *verb = find_verb(slash ? slash + 1 : "");
	const char *parent = strrchr(libexec, '/');

	if (verb)
		return verb->run(&hook);
	if (parent && strcmp(parent + 1, RH_LIBEXEC_STUBS) == 0)
		return rh_verb_stub(&hook);
	return run_by_word(&hook);
}
