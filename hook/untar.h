/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Unpacking an archive that somebody hostile made, on the host: the parts of the verb untar.
 */

/**
 * rh_untar_confine() - let this process write in the working directory alone
 * @archive: what it may read besides; nothing else but programs and their libraries
 *
 * Neither network nor devices are left to it. Context: the child that becomes tar.
 * Return: 0, also where the kernel has no Landlock (tar's own guard is what is left then); negative
 * errno.
 * Source: landlock(7)
 */
int rh_untar_confine(const char *archive);

/**
 * rh_untar_clean() - remove what an action has no use for and its copier would fall for
 * @dir: of what was unpacked; nobody else may write in it
 *
 * Links that leave it or lead to a directory above them, hard links to what lies outside, FIFOs,
 * sockets and devices go, each with a line that says so; set-user-id and set-group-id bits are
 * taken off. Return: 0; -ELOOP: it is nested too deeply; negative errno.
 */
int rh_untar_clean(const char *dir);
