/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Unpacking an archive that somebody hostile made, on the host: the parts of the verb untar.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * What one archive may hold, and what the Worker's copy of it may come to. Ordinary actions have a
 * hundredth of this.
 */
#define RH_UNTAR_BYTES_MAX   (4ull * 1024 * 1024 * 1024)
#define RH_UNTAR_ENTRIES_MAX 500000u
#define RH_UNTAR_LINKED_MAX  10000u /* folders that are copied because a link leads to them */
#define RH_UNTAR_DEPTH_MAX   128

/* Nobody has a use for these in what was unpacked. */
#define RH_UNTAR_SET_BITS (S_ISUID | S_ISGID | S_ISVTX)

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
 * rh_untar_tar() - run tar in the working directory, and end it when it unpacks too much
 * @mask: the signals that tar is to have blocked
 *
 * Context: SIGCHLD, SIGINT, SIGTERM, SIGHUP and SIGQUIT are blocked; the last four end tar.
 * Return: what to exit with; what is wrong has been said. tar is not running any more.
 */
int rh_untar_tar(char *archive, const sigset_t *mask);

/**
 * rh_untar_enter() - open a directory of what was unpacked, whatever its mode
 * @name: in @dir_fd; no link is followed, also if it changes meanwhile
 *
 * Its owner may read, write and search it afterwards. Return: the descriptor; negative errno.
 */
int rh_untar_enter(int dir_fd, const char *name);

/* The same for the top of it; a link is followed. */
int rh_untar_open(const char *dir);

/**
 * rh_untar_measure() - whether what was unpacked keeps to the bounds
 * @dir:    of what was unpacked
 * @follow: count what a copier makes that follows links, which lead to nothing outside; otherwise
 *          links count as themselves, and tar may go on unpacking meanwhile
 *
 * Return: 0; -E2BIG: more bytes, entries or linked folders than the bounds; -ELOOP: nested too
 * deeply; negative errno.
 */
int rh_untar_measure(const char *dir, bool follow);

/* Says why rh_untar_measure() failed with @r. */
void rh_untar_say_bound(int r);

/**
 * rh_untar_clean() - remove what an action has no use for and its copier would fall for
 * @dir: of what was unpacked; nobody else may write in it
 *
 * Links that leave it or lead to a directory above them, hard links to what lies outside, FIFOs,
 * sockets and devices go, each of the first few with a line that says so; set-user-id and
 * set-group-id bits are taken off. Names that the Worker could not delete are not accepted: what is
 * not valid UTF-8, or too long with the path before it.
 * Return: 0; -ELOOP: it cannot be used; negative errno. What is wrong has been said.
 */
int rh_untar_clean(const char *dir);

/**
 * rh_untar_empty() - delete everything in a directory
 * @dir: nobody else may write in it
 *
 * By descriptors: names of any bytes, any depth, any modes, in bounded memory.
 * Return: 0; negative errno of what cannot be deleted.
 */
int rh_untar_empty(const char *dir);
