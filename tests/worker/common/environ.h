/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Environments as json objects, and where this program lies in a runner directory.
 */

struct json_object;

/* This process's environment; a string without a name is left out. New reference. */
struct json_object *rh_environ_load(void);
/* "K=V" strings of an object, NULL at the end. Free each, then the array. */
char **rh_environ_strings(struct json_object *env);
/* The directory of this program's file, and the one above it. Allocated; @ret_root may be NULL. */
void rh_environ_place(char **ret_bin, char **ret_root);
