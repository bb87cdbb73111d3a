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
#include <sys/wait.h>
#include <unistd.h>

#include "broker/daemon/mount/attach.h"
#include "broker/daemon/mount/overlay.h"
#include "broker/daemon/mount/source.h"
#include "fake.h"
#include "rh-test.h"

static struct rh_home home = RH_HOME_INIT;
static struct rh_idmaps maps;
static struct rh_mount_result result;
static struct rh_err err;
static struct fake_container c = {-1, -1};
static struct rh_mount_attach request;

static void setup(void)
{
	fake_setup();
	ck_assert_int_eq(rh_home_open(&home), 0);
	c = fake_start(NULL);
	request = fake_attach(&c, 0);
}

static void teardown(void)
{
	if (c.pid > 0)
		fake_stop(&c);
	rh_idmaps_deinit(&maps);
	rh_home_close(&home);
	fake_teardown();
}

static int attach(void)
{
	err.text[0] = '\0';

	int n_mounts = fake_n_mounts();
	bool was_marked = fake_exists(in_work("_runnerhub/leased-demo")) == 1;
	int r = rh_attach_run(&home, &maps, &request, &result, &err);
	bool is_marked = fake_exists(in_work("_runnerhub/leased-demo")) == 1;

	/* Whatever happened: no mount on the host, still at home, a word of why. */
	ck_assert_int_eq(fake_n_mounts(), n_mounts);
	ck_assert(r == 0 || err.text[0]);
	ck_assert(r == 0 ? is_marked : !is_marked || was_marked);
	return r;
}

static void must_say(const char *words)
{
	ck_assert_msg(strstr(err.text, words) != NULL, "'%s' does not say '%s'", err.text, words);
}

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
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert_int_eq(fake_uid_of(in_work("_temp")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("_temp/_github_workflow")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("_actions")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("_tool")), 47);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_tool/f")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("externals")), -ENOENT);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("bin")), -ENOENT);
}
END_TEST

START_TEST(no_tool_cache_is_fine)
{
	request.tool_cache = NULL;
	ck_assert_int_eq(attach(), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_work("_tool")), -ENOENT);
}
END_TEST

START_TEST(links_in_place_of_directories_are_refused)
{
	static const char *const dirs[] = {"_temp", "_actions", "_tool", "_temp/_github_workflow"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		const char *path = in_work(dirs[i]);

		(void)rmdir(path);
		ck_assert_int_eq(symlink(fake_state, path), 0);

		int r = attach();

		ck_assert_msg(r == -ELOOP || r == -ENOTDIR, "%s: %d", dirs[i], r);
		ck_assert_int_eq(unlink(path), 0);
		if (i < 3)
			ck_assert_int_eq(fake_mkdir(path), 0);
	}
	ck_assert_int_eq(symlink("hashFiles", in_root("bin/moved")), 0);
	ck_assert_msg(attach() == 0, "%s", err.text);
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
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("bin/hashFiles")), 1);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("bin.2.336.0/hashFiles")), 1);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("externals/node20")), 1);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("externals.2.336.0/node20")), 1);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_root("bin/secret")), -ENOENT);
}
END_TEST

START_TEST(other_links_of_the_runner_are_refused)
{
	static const char *const targets[] = {"/etc", "_diag", "externals/..", "../externals.1",
		"externals.1/node20", "/etc/externals.1", ".", "externalsX"};

	ck_assert_int_eq(rename(in_root("externals"), in_root("externals.1")), 0);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		ck_assert_int_eq(symlink(targets[i], in_root("externals")), 0);
		ck_assert_msg(attach() == -ELOOP, "%s", targets[i]);
		ck_assert_int_eq(unlink(in_root("externals")), 0);
	}
	/* One level only: what the name leads to must be a directory. */
	ck_assert_int_eq(symlink("externals.2", in_root("externals")), 0);
	ck_assert_int_eq(symlink("externals.1", in_root("externals.2")), 0);
	ck_assert_int_lt(attach(), 0);
}
END_TEST

START_TEST(a_container_that_is_gone)
{
	fake_stop(&c);
	ck_assert_int_eq(attach(), -ESRCH);
	must_say("gone");
	request.container_pid = -5;
	ck_assert_int_eq(attach(), -ESRCH);
	request.container_pid = 0;
	ck_assert_int_eq(attach(), -ESRCH);
}
END_TEST

START_TEST(another_process_is_not_the_container)
{
	struct fake_container other = {-1, -1};
	char path[400];

	request.container_pid = getpid();
	ck_assert_int_eq(attach(), -EXDEV);
	must_say("on the host");
	/* A container, but of another instance. */
	(void)snprintf(path, sizeof(path), "%s/socket", fake_state);
	ck_assert_int_eq(rename(path, in_root("was-socket")), 0);
	ck_assert_int_eq(fake_mkdir(path), 0);
	other = fake_start(NULL);
	request.container_pid = c.pid;
	ck_assert_int_eq(attach(), -ESTALE);
	must_say("not the container");
	request.container_pid = other.pid;
	ck_assert_int_eq(attach(), 0);
	fake_stop(&other);
	request.container_pid = c.pid;
	request.state_dir = "/nowhere/at/all";
	ck_assert_int_eq(attach(), -ENOENT);
}
END_TEST

START_TEST(a_second_attach_leaves_the_first_alone)
{
	int n_mounts = fake_n_mounts();

	ck_assert_int_eq(attach(), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(rh_attach_run(&home, &maps, &request, &result, &err), -ESTALE);
	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_work("demo/demo/f")), 't');
	ck_assert_int_eq(fake_exists(in_work("demo/demo/f")), 1);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), 1);
	ck_assert_int_eq(fake_n_mounts(), n_mounts);
}
END_TEST

static void restart(fake_plant_fn plant)
{
	fake_stop(&c);
	c = fake_start(plant);
	request.container_pid = c.pid;
}

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
	restart(plant_absolute_link);
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, "/data/runner 1"), 1);
	ck_assert_int_eq(fake_exists("/data/runner 1"), -ENOENT);

	restart(plant_escaping_link);
	ck_assert_msg(rh_attach_run(&home, &maps, &request, &result, &err) == 0, "%s", err.text);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, "/data/runner 1"), 1);
	ck_assert_int_eq(fake_exists("/data/runner 1"), -ENOENT);
}
END_TEST

START_TEST(an_image_in_the_way_is_refused)
{
	static const fake_plant_fn plants[] = {
		plant_loop, plant_dangling_link, plant_file, plant_magic_link};
	static const int wants[] = {-ELOOP, -ENOTDIR, -ENOTDIR, -ELOOP};

	for (size_t i = 0; i < sizeof(plants) / sizeof(plants[0]); i++) {
		restart(plants[i]);

		int r = attach();

		ck_assert_msg(r == wants[i], "%zu: %d %s", i, r, err.text);
		must_say("cannot attach");
	}
}
END_TEST

START_TEST(file_systems_without_id_maps_are_named)
{
	ck_assert_int_eq(mount("ramfs", fake_work, "ramfs", 0, NULL), 0);
	ck_assert_int_eq(chown(fake_work, FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(attach(), -EOPNOTSUPP);
	must_say("user: runner");
	must_say("demo");
	request.step_uid = FAKE_RUNNER_UID;
	request.step_gid = FAKE_RUNNER_GID;
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert(!result.id_mapped);
	ck_assert_int_eq(fake_run(&c, FAKE_RUNNER_UID, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	fake_stop(&c);
	ck_assert_int_eq(umount2(fake_work, MNT_DETACH), 0);
}
END_TEST

START_TEST(externals_may_be_on_such_a_file_system)
{
	ck_assert_int_eq(mount("ramfs", in_root("externals"), "ramfs", 0, NULL), 0);
	ck_assert_int_eq(fake_write(in_root("externals/node")), 0);
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert_int_eq(fake_run(&c, 0, fake_read, in_root("externals/node")), 't');
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_root("externals/x")), -EROFS);
	ck_assert_int_eq(umount2(in_root("externals"), MNT_DETACH), 0);
}
END_TEST

START_TEST(the_work_directory_may_be_a_file_system)
{
	ck_assert_int_eq(mount("tmpfs", fake_work, "tmpfs", 0, "mode=755"), 0);
	ck_assert_int_eq(chown(fake_work, FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 47);
	fake_stop(&c);
	ck_assert_int_eq(umount2(fake_work, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_runner_that_is_root)
{
	request.runner_uid = 0;
	request.runner_gid = 0;
	ck_assert_int_eq(chown(in_work("demo/demo"), 0, 0), 0);
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert(result.id_mapped);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_chown_1000, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo/f")), 20);
}
END_TEST

START_TEST(leftovers_are_counted)
{
	ck_assert_int_eq(fake_write(in_work("_temp/old")), 0);
	ck_assert_int_eq(fake_write(in_work("_runnerhub")), 0);
	ck_assert_int_lt(attach(), 0); /* that is no directory */
	ck_assert_int_eq(unlink(in_work("_runnerhub")), 0);
	request.worker_started_ms += 3600000;
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert_uint_eq(result.n_temp_leftovers, 1);
	ck_assert_int_eq(fake_run(&c, 0, fake_exists, in_work("_temp/old")), -ENOENT);
}
END_TEST

START_TEST(tool_caches_elsewhere)
{
	char tools[400];
	char link[300];

	(void)snprintf(tools, sizeof(tools), "%s/tools", fake_dir);
	(void)snprintf(link, sizeof(link), "%s/tools-link", fake_dir);
	request.tool_cache = tools;
	/* Missing: an empty one, and nothing is made on the host. */
	ck_assert_msg(attach() == 0, "%s", err.text);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, tools), -EISDIR);
	ck_assert_int_eq(fake_exists(tools), -ENOENT);

	(void)unlink(in_work("_runnerhub/leased-demo"));
	restart(NULL);
	ck_assert_int_eq(fake_mkdir(tools), 0);
	ck_assert_int_eq(attach(), -EPERM);
	must_say("belongs to uid 0");

	ck_assert_int_eq(chown(tools, FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(symlink(tools, link), 0);
	request.tool_cache = link;
	ck_assert_msg(attach() == 0, "%s", err.text);
	(void)snprintf(tools, sizeof(tools), "%s/f", link);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, tools), 0);
	ck_assert_int_eq(fake_exists(tools), -ENOENT);
}
END_TEST

START_TEST(a_tool_cache_may_not_lead_to_other_things)
{
	static const char *const targets[] = {"/etc", "/proc/self", "_w \xc3\xb6rk/demo", "_diag",
		"_w \xc3\xb6rk/_runnerhub", "."};
	char link[400];

	(void)snprintf(link, sizeof(link), "%s/tools", fake_root);
	request.tool_cache = link;
	request.runner_uid = 0; /* so that owners are no obstacle */
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		ck_assert_int_eq(symlink(targets[i], link), 0);
		ck_assert_msg(attach() == -EPERM, "%s: %s", targets[i], err.text);
		ck_assert_int_eq(unlink(link), 0);
	}
	request.tool_cache = fake_root;
	ck_assert_int_eq(attach(), -EPERM);
	request.tool_cache = fake_dir;
	ck_assert_int_eq(attach(), -EPERM);
}
END_TEST

START_TEST(an_overlay_has_three_ways)
{
	static const enum rh_overlay_lower ways[] = {
		RH_OVERLAY_DETACHED, RH_OVERLAY_ATTACHED, RH_OVERLAY_PLAIN};
	const struct rh_idmap_key key = {FAKE_RUNNER_UID, FAKE_RUNNER_GID, 0, 0, FAKE_BASE};
	struct rh_overlay overlay = {
		.lower_fd = open(in_work("_tool"), O_PATH | O_DIRECTORY | O_CLOEXEC),
		.state_fd = open(fake_state, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.home = &home,
	};
	int n_mounts = fake_n_mounts();

	ck_assert_int_eq(fake_write(in_work("_tool/f")), 0);
	ck_assert_int_eq(chown(in_work("_tool/f"), FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(rh_idmaps_get(&maps, &key, &overlay.userns_fd, &err), 0);
	for (size_t i = 0; i < 3; i++) {
		int fd = rh_overlay_try(&overlay, ways[i]);
		struct stat st;

		ck_assert_msg(fd >= 0, "%zu: %s", i, strerror(-fd));
		ck_assert_int_eq(fstatat(fd, "f", &st, 0), 0);
		ck_assert_uint_eq(st.st_uid, ways[i] == RH_OVERLAY_PLAIN ? FAKE_RUNNER_UID : 0);
		ck_assert_int_eq(unlinkat(fd, "f", 0), 0);
		ck_assert_int_eq(fake_exists(in_work("_tool/f")), 1);
		(void)close(fd);
		ck_assert_int_eq(fake_n_mounts(), n_mounts);
	}
	(void)close(overlay.lower_fd);
	(void)close(overlay.state_fd);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *refuse = tcase_create("refuse");

	tcase_add_checked_fixture(refuse, setup, teardown);
	tcase_add_test(refuse, what_is_missing_is_made_or_left_out);
	tcase_add_test(refuse, no_tool_cache_is_fine);
	tcase_add_test(refuse, links_in_place_of_directories_are_refused);
	tcase_add_test(refuse, an_updated_runner_has_links);
	tcase_add_test(refuse, other_links_of_the_runner_are_refused);
	tcase_add_test(refuse, a_container_that_is_gone);
	tcase_add_test(refuse, another_process_is_not_the_container);
	tcase_add_test(refuse, a_second_attach_leaves_the_first_alone);
	tcase_add_test(refuse, links_of_an_image_stay_in_the_image);
	tcase_add_test(refuse, an_image_in_the_way_is_refused);
	tcase_add_test(refuse, file_systems_without_id_maps_are_named);
	tcase_add_test(refuse, externals_may_be_on_such_a_file_system);
	tcase_add_test(refuse, the_work_directory_may_be_a_file_system);
	tcase_add_test(refuse, a_runner_that_is_root);
	tcase_add_test(refuse, leftovers_are_counted);
	tcase_add_test(refuse, tool_caches_elsewhere);
	tcase_add_test(refuse, a_tool_cache_may_not_lead_to_other_things);
	tcase_add_test(refuse, an_overlay_has_three_ways);
	suite_add_tcase(suite, refuse);
}

RH_TEST_MAIN("mount-refuse", tests);
