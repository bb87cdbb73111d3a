/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * GitHub's expressions: `${{ … }}` inside strings and the conditions of steps and jobs.
 *
 * Operators || && == != < <= > >= ! ( ) [ ] . .*; functions contains, startsWith, endsWith, format,
 * join, toJSON, fromJSON, hashFiles and the four that ask for a status. Strings compare without
 * regard to case, different types as numbers, as GitHub documents it.
 */

#include <stdbool.h>

#include "common/json.h"
#include "runnerhub/err.h"

enum rh_status {
	RH_STATUS_SUCCESS,
	RH_STATUS_FAILURE,
	RH_STATUS_CANCELLED,
};

/* What an expression can see. */
struct rh_expr_env {
	struct json_object *contexts; /* "github", "env", … */
	enum rh_status status; /* of the job, for always(), success(), failure(), cancelled() */
	/* hashFiles(); the digest in hex, allocated. NULL: the function is refused. */
	int (*hash_files)(
		void *arg, struct json_object *patterns, char **ret_hash, struct rh_err *err);
	void *arg;
};

/**
 * rh_expr_eval() - one expression without its ${{ }}
 * @ret_value: new reference; NULL is null
 *
 * Return: 0; negative errno with @err.
 */
int rh_expr_eval(const char *expression, const struct rh_expr_env *env,
	struct json_object **ret_value, struct rh_err *err);

/* The text an expression's value becomes inside a string, allocated. */
char *rh_expr_text(struct json_object *value);
bool rh_expr_truthy(struct json_object *value);

/* A string with any number of ${{ }}; @ret_text is allocated. */
int rh_template_text(
	const char *text, const struct rh_expr_env *env, char **ret_text, struct rh_err *err);

/**
 * rh_template_value() - evaluate every string in a value
 * @ret_value: new reference; a string that is one whole expression keeps the type of its value
 */
int rh_template_value(struct json_object *value, const struct rh_expr_env *env,
	struct json_object **ret_value, struct rh_err *err);

/* Members of a mapping as strings: environments and inputs. @ret_map: new reference. */
int rh_template_strings(struct json_object *map, const struct rh_expr_env *env,
	struct json_object **ret_map, struct rh_err *err);

/**
 * rh_condition_eval() - the if: of a step or job
 * @condition: NULL means success(); success() && (…) unless it asks for a status itself
 */
int rh_condition_eval(struct json_object *condition, const struct rh_expr_env *env, bool *ret_holds,
	struct rh_err *err);
