/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/overlay.h: which directories are tool caches, and how they are given.
 */

#include "broker/daemon/mount/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attached.h"
#include "rh-test.h"

START_TEST(no_tool_cache_is_fine)
{
	fix_request.tool_cache = NULL;
	ck_assert_int_eq(fix_attach(), 0);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_exists, in_work("_tool")), -ENOENT);
}
END_TEST

START_TEST(tool_caches_elsewhere)
{
	char tools[400];
	char link[300];

	(void)snprintf(tools, sizeof(tools), "%s/tools", fake_dir);
	(void)snprintf(link, sizeof(link), "%s/tools-link", fake_dir);
	fix_request.tool_cache = tools;
	/* Missing: an empty one, and nothing is made on the host. */
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, tools), -EISDIR);
	ck_assert_int_eq(fake_exists(tools), -ENOENT);

	(void)unlink(in_work("_runnerhub/leased-demo"));
	fix_restart(NULL);
	ck_assert_int_eq(fake_mkdir(tools), 0);
	ck_assert_int_eq(fix_attach(), -EPERM);
	fix_must_say("belongs to uid 0");

	ck_assert_int_eq(chown(tools, FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(symlink(tools, link), 0);
	fix_request.tool_cache = link;
	ck_assert_msg(fix_attach() == 0, "%s", fix_err.text);
	(void)snprintf(tools, sizeof(tools), "%s/f", link);
	ck_assert_int_eq(fake_run(&fix_c, 0, fake_write, tools), 0);
	ck_assert_int_eq(fake_exists(tools), -ENOENT);
}
END_TEST

START_TEST(a_tool_cache_may_not_lead_to_other_things)
{
	static const char *const targets[] = {"/etc", "/proc/self", "_w \xc3\xb6rk/demo", "_diag",
		"_w \xc3\xb6rk/_runnerhub", "."};
	char link[400];

	(void)snprintf(link, sizeof(link), "%s/tools", fake_root);
	fix_request.tool_cache = link;
	fix_request.runner_uid = 0; /* so that owners are no obstacle */
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		ck_assert_int_eq(symlink(targets[i], link), 0);
		ck_assert_msg(fix_attach() == -EPERM, "%s: %s", targets[i], fix_err.text);
		ck_assert_int_eq(unlink(link), 0);
	}
	fix_request.tool_cache = fake_root;
	ck_assert_int_eq(fix_attach(), -EPERM);
	fix_request.tool_cache = fake_dir;
	ck_assert_int_eq(fix_attach(), -EPERM);
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
		.home = &fix_home,
	};
	int n_mounts = fake_n_mounts();

	ck_assert_int_eq(fake_write(in_work("_tool/f")), 0);
	ck_assert_int_eq(chown(in_work("_tool/f"), FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(rh_idmaps_get(&fix_maps, &key, &overlay.userns_fd, &fix_err), 0);
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
	const TTest *const all[] = {no_tool_cache_is_fine, tool_caches_elsewhere,
		a_tool_cache_may_not_lead_to_other_things, an_overlay_has_three_ways};
	TCase *refuse = tcase_create("attach");

	tcase_add_checked_fixture(refuse, fix_attach_setup, fix_attach_teardown);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(refuse, all[i]);
	suite_add_tcase(suite, refuse);
}

RH_TEST_MAIN("mount-overlay", tests);
