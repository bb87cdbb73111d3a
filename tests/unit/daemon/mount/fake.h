/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A runner's directory and a container for it, without an engine: real namespaces, a tmpfs as root.
 *
 * The test process gets a mount namespace of its own in which the runner's directory lies on a
 * shared mount, as on most hosts, so that whatever leaks out of the container shows. Needs root.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "broker/daemon/mount/mount.h"

#define FAKE_RUNNER_UID 4711
#define FAKE_RUNNER_GID 4712
#define FAKE_BASE       2000000u

struct fake_container {
	pid_t pid; /* its init, as the test sees it */
	int fd;
};

/* "/tmp/…", with a blank and UTF-8 in it, and what a Worker has in place when its job starts. */
extern char fake_dir[256];
extern char fake_root[300];
extern char fake_work[320];
extern char fake_state[300]; /* of the container fake_start() starts */

/* Checked fixture. */
void fake_setup(void);
void fake_teardown(void);

/* Runs in the container's root as it begins, before pivot_root(2): plants things. */
typedef void (*fake_plant_fn)(void);
struct fake_container fake_start(fake_plant_fn plant);
void fake_stop(struct fake_container *container);

/* Runs @fn in the container, in a process of its own with these ids; returns what it returned. */
typedef int (*fake_fn)(const char *path);
int fake_run(const struct fake_container *container, uid_t uid, fake_fn fn, const char *path);

/* Things to run in the container (or to call outside): 0 or -errno, or what they name. */
int fake_write(const char *path); /* makes a file with some text */
int fake_read(const char *path); /* its first byte */
int fake_mkdir(const char *path);
int fake_uid_of(const char *path);
int fake_mode_of(const char *path);
int fake_chown_1000(const char *path);
int fake_exists(const char *path);
int fake_rename_dir(const char *path); /* to <path>.moved */

/* A path below the runner's root or work directory; four of them stay valid. */
const char *in_root(const char *path);
const char *in_work(const char *path);

/* An attach of repository "demo" for a step of this uid and gid. */
struct rh_mount_attach fake_attach(const struct fake_container *container, uid_t step);

/* Mounts that this process sees; a test that attaches compares it before and after. */
int fake_n_mounts(void); /* below fake_dir */
