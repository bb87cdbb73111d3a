/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * YAML as GitHub reads it, into json objects: core schema scalars, no anchors, no tags.
 */

#include <stddef.h>

#include "runnerhub/err.h"

struct json_object;

/* A C string cannot hold the NUL that YAML's "\0" makes; this byte stands for it. */
#define RH_YAML_NUL '\x01'

/**
 * rh_yaml_load() - parse one document
 * @ret_value: new reference; NULL is null
 *
 * Return: 0; -EINVAL with line and reason in @err.
 */
int rh_yaml_load(const char *text, size_t size, struct json_object **ret_value, struct rh_err *err);
