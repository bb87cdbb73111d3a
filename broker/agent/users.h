/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The image's users and groups: passwd(5) and group(5), read by ourselves, since libc's own readers
 * would load modules or talk to daemons of the image.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RH_USER_NAME_SIZE  256
#define RH_USER_HOME_SIZE  4096
#define RH_USER_GROUPS_MAX 256

struct rh_user {
	uid_t uid;
	gid_t gid;
	char name[RH_USER_NAME_SIZE]; /* "" without an entry */
	char home[RH_USER_HOME_SIZE]; /* "/" without one */
	bool image_has_home; /* HOME of the image's environment is its own word */
	size_t n_groups;
	gid_t groups[RH_USER_GROUPS_MAX]; /* supplementary, @gid first */
};

/**
 * rh_passwd_find() - name and home of a uid
 * @text: bytes of a passwd file, any
 *
 * The first entry counts. Names and homes that do not fit, and homes that are not absolute, are
 * taken as absent. Pure. Return: 0; -ENOENT.
 */
int rh_passwd_find(const char *text, size_t size, uid_t uid, char ret_name[RH_USER_NAME_SIZE],
	char ret_home[RH_USER_HOME_SIZE]);

/**
 * rh_group_collect() - groups that list a name as member
 * @user: its name is looked for; found groups are appended, each once, up to RH_USER_GROUPS_MAX
 *
 * Pure.
 */
void rh_group_collect(const char *text, size_t size, struct rh_user *user);

/**
 * rh_user_load() - who the steps are
 * @root_fd:    directory that holds etc/passwd and etc/group; both may be missing or nonsense
 * @image_home: HOME of the image's environment, or NULL. A container runtime fills in root's home
 *              where the image has none, so that this value is not taken for the image's word.
 */
void rh_user_load(
	int root_fd, uid_t uid, gid_t gid, const char *image_home, struct rh_user *ret_user);
