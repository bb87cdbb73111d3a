/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Post steps that wait for the end of the job, or for the post of their composite action.
 */

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "runner/action.h"

void rh_action_register_post(struct rh_step *step, struct json_object *condition)
{
	struct rh_scope *scope = step->scope;

	for (struct rh_post *post = scope->posts; post; post = post->next)
		if (strcmp(post->context_name, step->context_name) == 0)
			return;

	struct rh_post *post = rh_must(calloc(1, sizeof(*post)));

	*post = (struct rh_post){
		.def = json_object_get(step->def),
		.condition = condition ? json_object_get(condition)
				       : rh_must(json_object_new_string("always()")),
		.context_name = rh_dup(step->context_name),
		.display = rh_dup(
			rh_starts_with(step->display, "Pre ") ? step->display + 4 : step->display),
		.next = scope->posts,
	};
	scope->posts = post;
	if (step->outer)
		rh_action_register_post(step->outer, NULL);
}

struct rh_post *rh_post_take(struct rh_scope *scope)
{
	struct rh_post *post = scope->posts;

	scope->posts = post->next;
	return post;
}

void rh_post_free(struct rh_post *post)
{
	(void)json_object_put(post->def);
	(void)json_object_put(post->condition);
	free(post->context_name);
	free(post->display);
	free(post);
}
