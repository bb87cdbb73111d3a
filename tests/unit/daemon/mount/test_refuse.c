/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/attach.h: everything that an attach has to get along with or refuse.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attached.h"
#include "rh-test.h"

static void remove_dir(const char *path)
{
	ck_assert_msg(rmdir(path) == 0, "%s: %s", path, strerror(errno));
}

START_TEST(what_is_missing_is_made_or_left_out)
{
	static const char *const dirs[] = {
		"bin/secret", "bin/hashFiles", "bin", "externals/node20", "externals"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		remove_dir(in_root(dirs[i]));
	remove_dir(in_work("_temp"));
	remove_dir(in_work("_actions"));
	remove_dir(in_work("_tool"));
	remove_dir(in_work("demo/demo"));
	remove_dir(in_work("demo"));
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert_int_eq(fake_uid_of(in_work("_temp")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("_temp/_github_workflow")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("_actions")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("_tool")), 47);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("_tool/f")), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root("externals")), -ENOENT);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root("bin")), -ENOENT);
}
END_TEST

START_TEST(links_in_place_of_directories_are_refused)
{
	static const char *const dirs[] = {"_temp", "_actions", "_tool", "_temp/_github_workflow"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		const char *path = in_work(dirs[i]);

		(void)rmdir(path);
		ck_assert_int_eq(symlink(fake_state, path), 0);

		int r = fix_attach();

		ck_assert_msg(r == -ELOOP || r == -ENOTDIR, "%s: %d", dirs[i], r);
		ck_assert_int_eq(unlink(path), 0);
		if (i < 3)
			ck_assert_int_eq(fake_mkdir(path), 0);
	}
	ck_assert_int_eq(symlink("hashFiles", in_root("bin/moved")), 0);
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
}
END_TEST

START_TEST(an_updated_runner_has_links)
{
	char link[400];

	ck_assert_int_eq(rename(in_root("bin"), in_root("bin.2.336.0")), 0);
	ck_assert_int_eq(rename(in_root("externals"), in_root("externals.2.336.0")), 0);
	(void)snprintf(link, sizeof(link), "%s/bin.2.336.0", fake_root);
	ck_assert_int_eq(symlink(link, in_root("bin")), 0);
	ck_assert_int_eq(symlink("externals.2.336.0", in_root("externals")), 0);
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root("bin/hashFiles")), 1);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root("bin.2.336.0/hashFiles")), 1);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root("externals/node20")), 1);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root("externals.2.336.0/node20")), 1);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_root("bin/secret")), -ENOENT);
}
END_TEST

START_TEST(other_links_of_the_runner_are_refused)
{
	static const char *const targets[] = {"/etc", "_diag", "externals/..", "../externals.1",
		"externals.1/node20", "/etc/externals.1", ".", "externalsX"};

	ck_assert_int_eq(rename(in_root("externals"), in_root("externals.1")), 0);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		ck_assert_int_eq(symlink(targets[i], in_root("externals")), 0);
		ck_assert_msg(fix_attach() == -ELOOP, "%s", targets[i]);
		ck_assert_int_eq(unlink(in_root("externals")), 0);
	}
	/* One level only: what the name leads to must be a directory. */
	ck_assert_int_eq(symlink("externals.2", in_root("externals")), 0);
	ck_assert_int_eq(symlink("externals.1", in_root("externals.2")), 0);
	ck_assert_int_lt(fix_attach(), 0);
}
END_TEST

START_TEST(a_container_that_is_gone)
{
	fake_stop(&fix_c);
	ck_assert_int_eq(fix_attach(), -ESRCH);
	fix_must_say("gone");
	fix_request.container_pid = -5;
	ck_assert_int_eq(fix_attach(), -ESRCH);
	fix_request.container_pid = 0;
	ck_assert_int_eq(fix_attach(), -ESRCH);
}
END_TEST

START_TEST(another_process_is_not_the_container)
{
	struct fake_container other = {-1, -1};
	char path[400];

	fix_request.container_pid = getpid();
	ck_assert_int_eq(fix_attach(), -EXDEV);
	fix_must_say("on the host");
	/* A container, but of another instance. */
	(void)snprintf(path, sizeof(path), "%s/socket", fake_state);
	ck_assert_int_eq(rename(path, in_root("was-socket")), 0);
	ck_assert_int_eq(fake_mkdir(path), 0);
	other = fake_start(NULL);
	fix_request.container_pid = fix_c.pid;
	ck_assert_int_eq(fix_attach(), -ESTALE);
	fix_must_say("not the container");
	fix_request.container_pid = other.pid;
	ck_assert_int_eq(fix_attach(), 0);
	fake_stop(&other);
	fix_request.container_pid = fix_c.pid;
	fix_request.state_dir = "/nowhere/at/all";
	ck_assert_int_eq(fix_attach(), -ENOENT);
}
END_TEST

START_TEST(a_second_attach_leaves_the_first_alone)
{
	int n_mounts = fake_n_mounts();

	ck_assert_int_eq(fix_attach(), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(rh_attach_run(&fix_tools, &fix_request, &fix_result, &fix_err), -ESTALE);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_read, in_work("demo/demo/f")), 't');
	ck_assert_int_eq(fake_exists(in_work("demo/demo/f")), 1);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), 1);
	ck_assert_int_eq(fake_n_mounts(), n_mounts);
}
END_TEST

/* Runs in the image's root: <fake_dir> leads elsewhere in the image. */
static void plant_link(const char *to)
{
	if (symlink(to, fake_dir + 1) < 0)
		_exit(80);
}

static void plant_absolute_link(void)
{
	(void)mkdir("data", 0755);
	plant_link("/data");
}

static void plant_escaping_link(void)
{
	(void)mkdir("data", 0755);
	plant_link("../../../../data");
}

static void plant_loop(void)
{
	plant_link(fake_dir);
}

static void plant_dangling_link(void)
{
	plant_link("/nothing");
}

static void plant_file(void)
{
	(void)fake_write(fake_dir + 1);
}

static void plant_magic_link(void)
{
	plant_link("/proc/1/root");
}

START_TEST(links_of_an_image_stay_in_the_image)
{
	fix_restart(plant_absolute_link);
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, "/data/runner 1"), 1);
	ck_assert_int_eq(fake_exists("/data/runner 1"), -ENOENT);

	fix_restart(plant_escaping_link);
	ck_assert_msg(rh_attach_run(&fix_tools, &fix_request, &fix_result, &fix_err) == 0, "%s",
		fix_err.text);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, "/data/runner 1"), 1);
	ck_assert_int_eq(fake_exists("/data/runner 1"), -ENOENT);
}
END_TEST

START_TEST(an_image_in_the_way_is_refused)
{
	static const fake_plant_fn plants[] = {
		plant_loop, plant_dangling_link, plant_file, plant_magic_link};
	static const int wants[] = {-ELOOP, -ENOTDIR, -ENOTDIR, -ELOOP};

	for (size_t i = 0; i < sizeof(plants) / sizeof(plants[0]); i++) {
		fix_restart(plants[i]);

		int r = fix_attach();

		ck_assert_msg(r == wants[i], "%zu: %d %s", i, r, fix_err.text);
		fix_must_say("cannot attach");
	}
}
END_TEST

START_TEST(file_systems_without_id_maps_are_named)
{
	ck_assert_int_eq(mount("ramfs", fake_work, "ramfs", 0, NULL), 0);
	ck_assert_int_eq(chown(fake_work, FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(fix_attach(), -EOPNOTSUPP);
	fix_must_say("user: runner");
	fix_must_say("demo");
	fix_request.step_uid = FAKE_RUNNER_UID;
	fix_request.step_gid = FAKE_RUNNER_GID;
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert(!fix_result.id_mapped);
	ck_assert_int_eq(fake_run(&fix_c, FAKE_RUNNER_UID, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	fake_stop(&fix_c);
	ck_assert_int_eq(umount2(fake_work, MNT_DETACH), 0);
}
END_TEST

START_TEST(externals_may_be_on_such_a_file_system)
{
	ck_assert_int_eq(mount("ramfs", in_root("externals"), "ramfs", 0, NULL), 0);
	ck_assert_int_eq(fake_write(in_root("externals/node")), 0);
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_read, in_root("externals/node")), 't');
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_root("externals/x")), -EROFS);
	ck_assert_int_eq(umount2(in_root("externals"), MNT_DETACH), 0);
}
END_TEST

START_TEST(the_work_directory_may_be_a_file_system)
{
	ck_assert_int_eq(mount("tmpfs", fake_work, "tmpfs", 0, "mode=755"), 0);
	ck_assert_int_eq(chown(fake_work, FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	fake_stop(&fix_c);
	ck_assert_int_eq(umount2(fake_work, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_runner_that_is_root)
{
	fix_request.runner_uid = 0;
	fix_request.runner_gid = 0;
	ck_assert_int_eq(chown(in_work("demo/demo"), 0, 0), 0);
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert(fix_result.id_mapped);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_chown_1000, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 20);
}
END_TEST

START_TEST(leftovers_are_counted)
{
	ck_assert_int_eq(fake_write(in_work("_temp/old")), 0);
	ck_assert_int_eq(fake_write(in_work("_runnerhub")), 0);
	ck_assert_int_lt(fix_attach(), 0); /* that is no directory */
	ck_assert_int_eq(unlink(in_work("_runnerhub")), 0);
	fix_request.worker_started_ms += 3600000;
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert_uint_eq(fix_result.n_temp_leftovers, 1);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_work("_temp/old")), -ENOENT);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {what_is_missing_is_made_or_left_out,
		links_in_place_of_directories_are_refused, an_updated_runner_has_links,
		other_links_of_the_runner_are_refused, a_container_that_is_gone,
		another_process_is_not_the_container, a_second_attach_leaves_the_first_alone,
		links_of_an_image_stay_in_the_image, an_image_in_the_way_is_refused,
		file_systems_without_id_maps_are_named, externals_may_be_on_such_a_file_system,
		the_work_directory_may_be_a_file_system, a_runner_that_is_root,
		leftovers_are_counted};
	TCase *refuse = tcase_create("attach");

	tcase_add_checked_fixture(refuse, fix_attach_setup, fix_attach_teardown);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(refuse, all[i]);
	suite_add_tcase(suite, refuse);
}

RH_TEST_MAIN("mount-refuse", tests);
