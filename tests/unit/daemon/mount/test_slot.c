/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/slot.h: an attach as on a kernel without detached mounts.
 */

#include "broker/daemon/mount/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attached.h"
#include "broker/daemon/mount/sweep.h"
#include "rh-test.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/limits.h"

static int state_fd(void)
{
	int fd = open(fake_state, O_PATH | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void make_slot(void)
{
	_cleanup_(rh_closep) int fd = state_fd();

	ck_assert_int_eq(rh_slot_make(fd), 0);
}

static void setup(void)
{
	fake_setup();
	make_slot();
	ck_assert_int_eq(rh_home_open(&fix_home), 0);
	fix_c = fake_start(NULL);
	fix_request = fake_attach(&fix_c, FAKE_RUNNER_UID);
	fix_request.step_gid = FAKE_RUNNER_GID;
}

/* The slot's mount is the one thing that goes. */
static int attach(void)
{
	int n_mounts = fake_n_mounts();

	fix_err.text[0] = '\0';

	int r = rh_attach_run(&fix_tools, &fix_request, &fix_result, &fix_err);

	ck_assert_msg(r == 0 || fix_err.text[0], "%s", strerror(-r));
	ck_assert_int_le(fake_n_mounts(), n_mounts);
	return r;
}

static void must_attach(void)
{
	int n_mounts = fake_n_mounts();
	int r = attach();

	ck_assert_msg(r == 0, "attach: %s (%s)", fix_err.text, strerror(-r));
	ck_assert_int_eq(fake_n_mounts(), n_mounts - 1);
}

static int as_step(fake_fn fn, const char *path)
{
	return fake_run(&fix_c, FAKE_RUNNER_UID, fn, path);
}

START_TEST(a_job_sees_its_directories)
{
	ck_assert_int_eq(fake_write(in_work("demo/demo/there")), 0);
	ck_assert_int_eq(fake_write(in_work("_actions/action.js")), 0);
	ck_assert_int_eq(fake_write(in_root("externals/node20/node")), 0);
	ck_assert_int_eq(fake_write(in_root(".credentials")), 0);
	must_attach();
	ck_assert(!fix_result.id_mapped);

	ck_assert_int_eq(as_step(fake_read, in_work("demo/demo/there")), 't');
	ck_assert_int_eq(as_step(fake_read, in_work("_actions/action.js")), 't');
	ck_assert_int_eq(as_step(fake_read, in_root("externals/node20/node")), 't');
	ck_assert_int_eq(as_step(fake_exists, in_root("bin/hashFiles")), 1);
	ck_assert_int_eq(as_step(fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	ck_assert_int_eq(as_step(fake_write, in_work("_temp/f")), 0);
	/* Read only, for root as well: */
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("_actions/x")), -EROFS);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_root("externals/x")), -EROFS);
	ck_assert_int_eq(
		fake_run(&fix_c, 0, fake_write, in_work("_temp/_github_workflow/x")), -EROFS);
	/* Invisible: */
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root(".credentials")), -ENOENT);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_work("_runnerhub")), -ENOENT);
	/* Mount points hold, and the agent's socket has gone. */
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_rename_dir, in_work("_temp")), -EBUSY);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_rename_dir, RH_AGENT_SOCKET_DIR), 0);
}
END_TEST

static int has_flags(const char *path)
{
	int found = 0;
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (file && fgets(line, sizeof(line), file)) {
		/* "… /target options …"; the name's blank is escaped, its end is enough. */
		if (strstr(line, path))
			found = strstr(line, "nosuid") && strstr(line, "nodev") ? 1 : 2;
		if (strstr(line, "master:") && strstr(line, path))
			found = 3;
	}
	if (file)
		(void)fclose(file);
	return found;
}

START_TEST(mounts_have_their_flags_and_no_tie_to_the_host)
{
	must_attach();
	ck_assert_int_eq(fake_run(&fix_c, 0, has_flags, "/demo "), 1);
	ck_assert_int_eq(fake_run(&fix_c, 0, has_flags, "/_temp "), 1);
	ck_assert_int_eq(fake_run(&fix_c, 0, has_flags, "/_tool "), 1);
	/* What the host mounts later stays on the host. */
	ck_assert_int_eq(fake_mkdir(in_work("demo/demo/later")), 0);
	ck_assert_int_eq(mount("tmpfs", in_work("demo/demo/later"), "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/later/f")), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_work("demo/demo/later/f")), -ENOENT);
	ck_assert_int_eq(umount2(in_work("demo/demo/later"), MNT_DETACH), 0);
}
END_TEST

START_TEST(the_slot_is_gone_on_both_sides)
{
	char path[400];

	must_attach();
	ck_assert_int_eq(fake_run(&fix_c, 0, has_flags, RH_AGENT_SLOT_DIR), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, RH_AGENT_SLOT_DIR "/0"), -ENOENT);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_rename_dir, RH_AGENT_SLOT_DIR), 0);
	(void)snprintf(path, sizeof(path), "%s/slot", fake_state);
	ck_assert_int_eq(fake_exists(path), -ENOENT);
	/* And the container cannot be attached again. */
	ck_assert_int_eq(attach(), -ESTALE);
}
END_TEST

START_TEST(the_tool_cache_is_an_overlay)
{
	ck_assert_int_eq(fake_write(in_work("_tool/node")), 0);
	ck_assert_int_eq(chown(in_work("_tool/node"), FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	must_attach();
	ck_assert_int_eq(as_step(fake_read, in_work("_tool/node")), 't');
	ck_assert_int_eq(as_step(fake_write, in_work("_tool/new")), 0);
	ck_assert_int_eq(fake_exists(in_work("_tool/new")), -ENOENT);
}
END_TEST

START_TEST(other_ids_than_the_runners_are_refused)
{
	fix_request.step_uid = fix_request.step_gid = 0;
	ck_assert_int_eq(attach(), -EOPNOTSUPP);
	fix_must_say("user: runner");
}
END_TEST

START_TEST(another_group_is_refused)
{
	fix_request.step_gid = 0;
	ck_assert_int_eq(attach(), -EOPNOTSUPP);
}
END_TEST

START_TEST(a_slot_that_hears_nothing_is_told)
{
	char path[400];

	/* Not a slave any more: what the host mounts does not arrive. */
	(void)snprintf(path, sizeof(path), "%s/slot", fake_state);
	ck_assert_int_eq(mount("none", path, "none", MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(attach(), -ENOLINK);
	fix_must_say("does not appear");
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), -ENOENT);
}
END_TEST

START_TEST(a_planted_slot_is_not_believed)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/slot", fake_state);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
	ck_assert_int_eq(mount("other", path, "tmpfs", 0, NULL), 0);
	ck_assert_int_lt(attach(), 0);
	fix_must_say("slot");
}
END_TEST

START_TEST(a_directory_with_a_slot_is_removed)
{
	struct rh_tree_count count = {0};
	int n_mounts = fake_n_mounts();

	ck_assert_int_eq(rh_sweep_make(fake_state, "c", true), 0);
	ck_assert_int_eq(fake_n_mounts(), n_mounts + 1);
	ck_assert_int_eq(rh_sweep_remove(fake_state, "c", &count), 0);
	ck_assert_int_eq(fake_n_mounts(), n_mounts);
	/* After a start of the host there is no mount. */
	ck_assert_int_eq(rh_sweep_make(fake_state, "d", true), 0);

	char path[400];

	(void)snprintf(path, sizeof(path), "%s/d/slot", fake_state);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
	ck_assert_int_eq(rh_sweep_remove(fake_state, "d", &count), 0);
}
END_TEST

START_TEST(it_holds_so_many)
{
	struct rh_slot slot = RH_SLOT_INIT;
	_cleanup_(rh_closep) int fd = state_fd();

	ck_assert_int_eq(rh_slot_open(fake_state, &slot), 0);
	ck_assert_int_ge(slot.host_fd, 0);
	for (int i = 0; i < RH_SLOT_MAX; i++)
		rh_close(rh_slot_add(&slot, fd, false));
	ck_assert_int_eq(rh_slot_add(&slot, fd, false), -ENOSPC);
	ck_assert_int_eq(rh_slot_end(&slot, fake_state), 0);
	rh_slot_deinit(&slot);
}
END_TEST

START_TEST(this_kernel_needs_none)
{
	/* The suite runs on kernels that have the calls. */
	ck_assert(!rh_slot_is_needed());
}
END_TEST

static void tests(Suite *suite)
{
	TCase *slot = tcase_create("slot");

	tcase_add_checked_fixture(slot, setup, fix_attach_teardown);
	tcase_add_test(slot, a_job_sees_its_directories);
	tcase_add_test(slot, mounts_have_their_flags_and_no_tie_to_the_host);
	tcase_add_test(slot, the_slot_is_gone_on_both_sides);
	tcase_add_test(slot, the_tool_cache_is_an_overlay);
	tcase_add_test(slot, other_ids_than_the_runners_are_refused);
	tcase_add_test(slot, another_group_is_refused);
	tcase_add_test(slot, a_slot_that_hears_nothing_is_told);
	tcase_add_test(slot, a_planted_slot_is_not_believed);
	tcase_add_test(slot, a_directory_with_a_slot_is_removed);
	tcase_add_test(slot, it_holds_so_many);
	tcase_add_test(slot, this_kernel_needs_none);
	suite_add_tcase(suite, slot);
}

RH_TEST_MAIN("mount-slot", tests);
