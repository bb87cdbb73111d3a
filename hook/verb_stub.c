/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stub: the runner looks for a step's shell on the host before it starts it, so a name must be
 * found there. Executed by the Worker it is relayed to the container's own; executed by anyone else
 * it does nothing.
 */

#include <string.h>

#include "hook.h"
#include "say.h"

/* As a shell says of a program that it may not execute. */
#define STATUS_NOT_EXECUTABLE 126

int rh_verb_stub(const struct rh_hook *hook)
{
	rh_say("this is a stand-in for the program of that name in a job's container; it does not "
	       "run on the host");
	return STATUS_NOT_EXECUTABLE;
}
