/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environments as json objects, see environ.h.
 */

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/environ.h"
#include "common/json.h"
#include "common/text.h"

struct json_object *rh_environ_load(void)
{
	struct json_object *env = rh_must(json_object_new_object());

	for (char **p = environ; *p; p++) {
		const char *equals = strchr(*p, '=');

		if (!equals || equals == *p)
			continue;

		_cleanup_(rh_freep) char *name = rh_must(strndup(*p, (size_t)(equals - *p)));

		rh_json_set_str(env, name, equals + 1);
	}
	return env;
}

char **rh_environ_strings(struct json_object *env)
{
	char **strings =
		rh_must(calloc((size_t)json_object_object_length(env) + 1, sizeof(*strings)));
	size_t n = 0;

	json_object_object_foreach (env, key, value) {
		strings[n++] = rh_fmt("%s=%s", key, json_object_get_string(value));
	}
	return strings;
}

void rh_environ_place(char **ret_bin, char **ret_root)
{
	char path[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(path, '/');

		if (slash)
			*slash = '\0';
		if (i == 0)
			*ret_bin = rh_dup(path);
		else if (ret_root)
			*ret_root = rh_dup(path);
	}
}
