/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Command lines as .NET takes them apart, and programs as the runner's "which" finds them.
 */

/**
 * rh_args_split() - argv from a program and one string of arguments
 *
 * Blanks separate, double quotes group, backslashes escape quotes only. A word ends at
 * RH_YAML_NUL, as .NET's ends at a NUL once it is a C string.
 * Return: allocated, free with rh_args_free().
 */
char **rh_args_split(const char *program, const char *arguments);
void rh_args_free(char **argv);

/**
 * rh_which() - a program in the job's own path entries, then in PATH
 * @prepend: colon-separated, tried first; may be empty
 * @path:    the Worker's PATH
 *
 * An absolute name is taken as it is if the file is there. The x bit is not looked at.
 * Return: allocated, or NULL.
 */
char *rh_which(const char *name, const char *prepend, const char *path);
