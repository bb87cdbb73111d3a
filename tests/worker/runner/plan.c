/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a job: each step's definition, context name and display name.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "runner/job.h"

char *rh_plan_display(struct json_object *def)
{
	struct json_object *name = rh_json_get(def, "name");

	if (name)
		return rh_expr_text(name);

	const char *run = rh_json_str(def, "run", NULL);
	const char *uses = rh_json_str(def, "uses", NULL);

	if (uses)
		return rh_fmt("Run %s", uses);
	if (!run)
		return rh_dup("Wait for background steps");
	run += strspn(run, " \t\r\n");
	return rh_fmt("Run %.*s", (int)strcspn(run, "\r\n"), run);
}

/* __run, __self, __owner_repo: what a step without an id is called. */
static char *base_name(struct json_object *def)
{
	const char *uses = rh_json_str(def, "uses", NULL);

	if (!uses)
		return rh_dup("__run");
	if (rh_starts_with(uses, "./"))
		return rh_dup("__self");

	size_t n = strcspn(uses, "@"), n_slashes = 0;
	char *name = rh_fmt("__%.*s", (int)n, uses);

	for (char *c = name; *c; c++) {
		n_slashes += *c == '/';
		if (n_slashes == 2)
			*c = '\0';
		else if (!isalnum((unsigned char)*c) && *c != '-')
			*c = '_';
		if (!*c)
			break;
	}
	return name;
}

static char *free_name(struct json_object *used, struct json_object *def)
{
	const char *id = rh_json_str(def, "id", NULL);

	if (id)
		return rh_dup(id);

	_cleanup_(rh_freep) char *base = base_name(def);

	for (int n = 1;; n++) {
		char *name = n == 1 ? rh_dup(base) : rh_fmt("%s_%d", base, n);

		if (!rh_json_has(used, name))
			return name;
		free(name);
	}
}

struct json_object *rh_plan_steps(struct rh_job *job)
{
	struct json_object *steps = rh_json_get(job->message, "steps");
	struct json_object *plan = rh_must(json_object_new_array());
	_cleanup_(rh_json_putp) struct json_object *used = rh_must(json_object_new_object());

	for (size_t i = 0; i < rh_json_len(steps); i++) {
		const char *id = rh_json_str(json_object_array_get_idx(steps, i), "id", NULL);

		if (id)
			rh_json_set_str(used, id, id);
	}
	for (size_t i = 0; i < rh_json_len(steps); i++) {
		struct json_object *def = json_object_array_get_idx(steps, i);
		struct json_object *entry = rh_must(json_object_new_object());
		_cleanup_(rh_freep) char *name = free_name(used, def);
		_cleanup_(rh_freep) char *display = rh_plan_display(def);

		rh_json_set_str(used, name, name);
		rh_json_set_ref(entry, "def", def);
		rh_json_set_str(entry, "name", name);
		rh_json_set_str(entry, "display", display);
		(void)json_object_array_add(plan, entry);
	}
	return plan;
}
