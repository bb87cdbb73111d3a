/* SPDX-License-Identifier: Apache-2.0 */

/*
 * refuse: runs in place of a program that would run on the host, and says why it does not.
 */

#include <string.h>

#include "hook.h"
#include "runnerhub/wire.h"
#include "say.h"

/* The last component of @path, or a word for one that may not be shown. */
static const char *shown(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;

	if (!name || !*name || !rh_wire_text_valid(name, strlen(name), false) || strchr(name, '\n'))
		return "a program";
	return name;
}

int rh_verb_refuse(const struct rh_hook *hook)
{
	const char *name = shown(hook->argv[0]);

	if (strcmp(name, "Runner.PluginHost") == 0) {
		rh_say("%s was refused, because it would run on the host with every secret of the "
		       "job; use a current version of the action (actions/checkout@v2 or later, "
		       "actions/upload-artifact@v2 or later)",
			name);
		return RH_EXIT_FAILURE;
	}
	if (strcmp(name, "docker") == 0 && hook->argv[1]) {
		rh_say("docker %.64s was refused, because it would run on the host; job "
		       "containers, "
		       "services and Docker container actions are not available on this runner",
			shown(hook->argv[1]));
		return RH_EXIT_FAILURE;
	}
	rh_say("%s was refused, because it would run on the host", name);
	return RH_EXIT_FAILURE;
}
