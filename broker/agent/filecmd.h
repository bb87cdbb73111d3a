/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The runner's file commands: files below _temp/_runner_file_commands that a step writes and the
 * Worker reads after it. What a step left there that is no regular file (a FIFO would hang the
 * Worker, a link would lead it elsewhere) is removed before the Worker hears that the step ended.
 */

#define RH_FILECMD_MAX 7

struct rh_filecmds {
	char *paths[RH_FILECMD_MAX]; /* owned; NULL where the step has none */
};

/**
 * rh_filecmds_init() - remember a step's file commands
 * @envp: the step's environment, copied from
 *
 * Only absolute paths of the form …/_runner_file_commands/NAME are taken.
 * Return: 0; -ENOMEM.
 */
int rh_filecmds_init(struct rh_filecmds *files, char *const *envp);
void rh_filecmds_deinit(struct rh_filecmds *files);

/* Removes those that are not regular files. No link below the parent directory is followed. */
void rh_filecmds_sweep(const struct rh_filecmds *files);
