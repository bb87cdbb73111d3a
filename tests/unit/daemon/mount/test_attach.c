/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/attach.h, seen from inside a container and from the host.
 */

#include "broker/daemon/mount/attach.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "rh-test.h"

static struct rh_home home = RH_HOME_INIT;
static struct rh_views views;
static struct rh_idmaps maps;
static struct rh_mount_result result;
static struct rh_err err;

static void setup(void)
{
	fake_setup();
	ck_assert_int_eq(rh_home_open(&home), 0);
}

static void teardown(void)
{
	rh_idmaps_deinit(&maps);
	rh_home_close(&home);
	fake_teardown();
}

static int attach(const struct rh_mount_attach *request)
{
	err.text[0] = '\0';

	int n_mounts = fake_n_mounts();
	const struct rh_attach_tools tools = {.home = &home, .maps = &maps, .views = &views};
	int r = rh_attach_run(&tools, request, &result, &err);

	ck_assert_int_eq(fake_n_mounts(), n_mounts);
	return r;
}

static void must_attach(const struct rh_mount_attach *request)
{
	int r = attach(request);

	ck_assert_msg(r == 0, "attach: %s (%s)", err.text, strerror(-r));
}

START_TEST(a_job_sees_its_directories)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach request = fake_attach(&c, 0);

	ck_assert_int_eq(fake_write(in_work("demo/demo/there")), 0);
	ck_assert_int_eq(fake_write(in_work("_actions/action.js")), 0);
	ck_assert_int_eq(fake_write(in_root("externals/node20/node")), 0);
	ck_assert_int_eq(fake_write(in_root(".credentials")), 0);
	must_attach(&request);
	ck_assert(result.id_mapped);
	ck_assert(!result.swapped_workspace);
	ck_assert_int_eq(result.n_temp_leftovers, 0);

	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_work("demo/demo/there")), 't');
	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_work("_actions/action.js")), 't');
	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_root("externals/node20/node")), 't');
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("bin/hashFiles")), 1);
	/* Read only: */
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_actions/x")), -EROFS);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_root("externals/x")), -EROFS);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_root("bin/hashFiles/x")), -EROFS);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_temp/_github_workflow/x")), -EROFS);
	/* Invisible: */
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root(".credentials")), -ENOENT);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("bin/secret")), -ENOENT);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("_diag")), -ENOENT);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_work("_PipelineMapping")), -ENOENT);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_work("_runnerhub")), -ENOENT);
	/* The Worker can still write what the job cannot. */
	ck_assert_int_eq(fake_uid_of(in_work("_temp/_github_workflow")), 47);
	/* The agent's socket has gone, and mount points hold. */
	ck_assert_int_eq(fake_run(&c, 0, fake_rename_dir, "/.runnerhub/socket"), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_rename_dir, in_work("_temp")), -EBUSY);
	fake_stop(&c);
}
END_TEST

START_TEST(ids_are_mapped)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach request = fake_attach(&c, 0);

	ck_assert_int_eq(fake_write(in_work("demo/demo/roots")), 0);
	ck_assert_int_eq(chmod(in_work("demo/demo/roots"), 0600), 0);
	must_attach(&request);
	ck_assert_int_eq(fake_run(&c, 0, fake_uid_of, in_work("demo/demo")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	/* Others have a range of their own, which shows the other way too. */
	ck_assert_int_eq(fake_run(&c, 0, fake_chown_1000, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 20);
	ck_assert_int_eq(fake_run(&c, 0, fake_uid_of, in_work("demo/demo/f")), 10);
	/* Host root's files are nobody's: root inside is not their owner and has no power over
	 * them. */
	ck_assert_int_eq(fake_run(&c, 0, fake_uid_of, in_work("demo/demo/roots")), 99);
	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_work("demo/demo/roots")), -EACCES);
	fake_stop(&c);
}
END_TEST

START_TEST(another_uid_is_mapped_too)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach request = fake_attach(&c, 1000);

	must_attach(&request);
	ck_assert(result.id_mapped);
	ck_assert_int_eq(fake_run(&c, 1000, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	ck_assert_int_eq(fake_run(&c, 1000, fake_write, in_work("_temp/f")), 0);
	ck_assert_int_eq(fake_run(&c, 1000, fake_write, in_work("_tool/f")), 0);
	/* Directories on the way are the step's. */
	ck_assert_int_eq(fake_run(&c, 1000, fake_mkdir, in_work("more")), 0);
	fake_stop(&c);
}
END_TEST

START_TEST(the_runners_own_uid_needs_no_map)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach request = fake_attach(&c, FAKE_RUNNER_UID);

	request.step_gid = FAKE_RUNNER_GID;
	must_attach(&request);
	ck_assert(!result.id_mapped);
	ck_assert_int_eq(fake_run(&c, FAKE_RUNNER_UID, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	ck_assert_int_eq(fake_run(&c, FAKE_RUNNER_UID, fake_write, in_work("_tool/f")), 0);
	ck_assert_int_eq(fake_exists(in_work("_tool/f")), -ENOENT);
	fake_stop(&c);
}
END_TEST

START_TEST(the_tool_cache_is_an_overlay)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach request = fake_attach(&c, 0);

	ck_assert_int_eq(fake_mkdir(in_work("_tool/node")), 0);
	ck_assert_int_eq(chown(in_work("_tool/node"), FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(fake_write(in_work("_tool/node/complete")), 0);
	ck_assert_int_eq(
		chown(in_work("_tool/node/complete"), FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	/* A file that the runner could not read itself. */
	ck_assert_int_eq(fake_write(in_work("_tool/secret")), 0);
	ck_assert_int_eq(chmod(in_work("_tool/secret"), 0600), 0);
	must_attach(&request);
	ck_assert_int_eq(fake_run(&c, 0, fake_uid_of, in_work("_tool/node")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_work("_tool/node/complete")), 't');
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_tool/node/complete")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_tool/node/new")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_rename_dir, in_work("_tool/node")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_work("_tool/secret")), -EACCES);
	ck_assert_int_eq(fake_run(&c, 0, fake_chown_1000, in_work("_tool/secret")), -EOVERFLOW);
	ck_assert_int_eq(fake_exists(in_work("_tool/node/new")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("_tool/node/complete")), 1);
	fake_stop(&c);
}
END_TEST

START_TEST(an_image_that_has_the_runner_is_used)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach request = fake_attach(&c, 1000);

	/* No small tmpfs is put over what the image brings. */
	ck_assert_int_eq(fake_run(&c, 0, fake_mkdir, fake_dir), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_mkdir, fake_root), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_root("of-the-image")), 0);
	must_attach(&request);
	ck_assert_int_eq(fake_run(&c, 1000, fake_read, in_root("of-the-image")), 't');
	ck_assert_int_eq(fake_run(&c, 1000, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&c, 1000, fake_mkdir, in_work("more")), 0);
	fake_stop(&c);
}
END_TEST

START_TEST(a_container_is_attached_once)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach request = fake_attach(&c, 0);

	must_attach(&request);
	ck_assert_int_eq(attach(&request), -ESTALE);
	ck_assert_ptr_nonnull(strstr(err.text, "not the container"));
	fake_stop(&c);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *attached = tcase_create("attached");

	tcase_add_checked_fixture(attached, setup, teardown);
	tcase_add_test(attached, a_job_sees_its_directories);
	tcase_add_test(attached, ids_are_mapped);
	tcase_add_test(attached, another_uid_is_mapped_too);
	tcase_add_test(attached, the_runners_own_uid_needs_no_map);
	tcase_add_test(attached, the_tool_cache_is_an_overlay);
	tcase_add_test(attached, an_image_that_has_the_runner_is_used);
	tcase_add_test(attached, a_container_is_attached_once);
	suite_add_tcase(suite, attached);
}

RH_TEST_MAIN("mount-attach", tests);
