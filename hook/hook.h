/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The hook program: what a verb is given, and the verbs. Each runs in place of a program that the
 * runner's Worker wanted to start, as its direct child.
 */

#include "conf.h"

/* Exit codes that people and scripts see. */
#define RH_EXIT_FAILURE 1
#define RH_EXIT_USAGE   2

struct rh_hook {
	const char *libexec; /* directory of the links, absolute if the program was started so */
	char **argv; /* as the Worker gave it: argv[0] is the program it wanted */
	char **envp;
};

/* Each returns what the process exits with. Context: main thread. */
int rh_verb_exec(const struct rh_hook *hook);
int rh_verb_job_started(const struct rh_hook *hook);
int rh_verb_job_completed(const struct rh_hook *hook);
int rh_verb_untar(const struct rh_hook *hook);
int rh_verb_refuse(const struct rh_hook *hook);
int rh_verb_stub(const struct rh_hook *hook);
