/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Shared by the files of the expression evaluator only: values, their conversions, functions.
 */

#include "common/expr.h"

enum { RH_EXPR_ARGS_MAX = 64 };

/* One evaluation. References that were made on the way are kept until its end. */
struct rh_expr_run {
	const struct rh_expr_env *env;
	struct rh_err *err;
	struct json_object *kept; /* array */
};

/* Hands a new reference to the run and returns it borrowed. */
struct json_object *rh_expr_keep(struct rh_expr_run *run, struct json_object *value);

double rh_expr_number(struct json_object *value);
/* -1, 0, 1; 2 if the two cannot be compared. */
int rh_expr_compare(struct json_object *a, struct json_object *b);
bool rh_expr_equal(struct json_object *a, struct json_object *b);

/**
 * rh_expr_call() - a function by name
 * @args: borrowed
 * Return: 0; -ENOENT if there is no such function; negative errno with the run's err.
 */
int rh_expr_call(struct rh_expr_run *run, const char *name, struct json_object **args,
	size_t n_args, struct json_object **ret_value);
bool rh_expr_is_function(const char *name);
