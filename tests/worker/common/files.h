/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files as the runner handles them: opened by open64 with O_CLOEXEC, never O_NOFOLLOW or O_TRUNC,
 * truncated by ftruncate afterwards. Links on the way are followed, as the runner does.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "common/text.h"
#include "runnerhub/err.h"

/* lstat, then open64. @flags without O_CLOEXEC. Return: descriptor; negative errno. */
int rh_file_open(const char *path, int flags, mode_t mode);
/* Return: 0; negative errno. What is read is added to @text. */
int rh_file_read(const char *path, struct rh_text *text);
int rh_file_write(const char *path, const char *data, size_t size);
int rh_file_write_str(const char *path, const char *string);
bool rh_file_exists(const char *path);
bool rh_dir_exists(const char *path);
/* mkdir -p. Return: 0; negative errno. */
int rh_dir_make(const char *path);
/* Removes what is in the directory, not the directory. Failures are left behind silently. */
void rh_dir_empty(const char *path);
void rh_dir_remove(const char *path);
/* Copies a tree or a file; links are followed, as the runner does with unpacked actions. */
int rh_tree_copy(const char *from, const char *to, struct rh_err *err);
/* chown of everything below and the path itself, links not followed. */
int rh_tree_chown(const char *path, uid_t uid, gid_t gid);
