/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files: owners and modes, registered runners, client.conf.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "rh-test.h"
#include "runnerhub/fd.h"
#include "test_config.h"

static char test_dir[128];
static char runners[160];
static char work[160];
static char path[256];

static void put(const char *file, const char *text, mode_t mode)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rh_write_all(fd, text, strlen(text)), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	(void)close(fd);
}

static void make_dir(void)
{
	char text[512];

	(void)snprintf(test_dir, sizeof(test_dir), "/tmp/rh-config-%d", (int)getpid());
	(void)snprintf(runners, sizeof(runners), "%s/runners.d", test_dir);
	(void)snprintf(work, sizeof(work), "%s/work", test_dir);
	(void)snprintf(path, sizeof(path), "%s/runnerhub.yaml", test_dir);
	ck_assert_int_eq(mkdir(test_dir, 0755), 0);
	ck_assert_int_eq(mkdir(runners, 0755), 0);
	ck_assert_int_eq(mkdir(work, 0755), 0);
	(void)snprintf(
		text, sizeof(text), "runners_dir: %s\nruntime_dir: %s\n" LEAST, runners, test_dir);
	put(path, text, 0644);
}

static void remove_dir(void)
{
	rh_test_remove_tree(test_dir);
}

/* An @ in @text stands for the test's directory. */
static void put_runner(const char *name, const char *text)
{
	char file[256];
	char full[1024];
	size_t n = 0;

	(void)snprintf(file, sizeof(file), "%s/%s", runners, name);
	for (; *text; text++)
		n += (size_t)snprintf(full + n, sizeof(full) - n, "%.*s", *text == '@' ? 128 : 1,
			*text == '@' ? test_dir : text);
	put(file, full, 0644);
}

static struct rh_config *load(void)
{
	struct rh_config *config = NULL;

	test_err = (struct rh_err){0};
	int r = rh_config_load(path, &config, &test_err);

	ck_assert_int_eq(r == 0, config != NULL);
	return config;
}

static void load_refused(const char *message)
{
	ck_assert_ptr_null(load());
	if (!strstr(test_err.text, message))
		ck_abort_msg("%s", test_err.text);
}

START_TEST(owners_and_modes_are_checked)
{
	rh_config_unref(load());
	ck_assert_int_eq(chmod(path, 0664), 0);
	load_refused("runnerhub.yaml: group or others may write to it; chmod go-w it");
	ck_assert_int_eq(chmod(path, 0646), 0);
	load_refused("may write");
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(chmod(runners, 0775), 0);
	load_refused("runners.d: group or others may write");
	ck_assert_int_eq(chmod(runners, 0755), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 1234, 0), 0);
		load_refused("belongs to uid 1234; it must be root's");
	}
	ck_assert_int_eq(unlink(path), 0);
	load_refused("No such file");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	load_refused("not a regular file");
}
END_TEST

#define RUNNER "root: @\nwork: @/work\nuid: 1000\ngid: 1000\n"

START_TEST(runners_are_read_in_order)
{
	put_runner("b.yaml", RUNNER);
	put_runner("a.yaml",
		"root: /nowhere\nwork: /nowhere/_work\nuid: 0\ngid: 0\nprofile: default\n"
		"started_hook: /h\ncompleted_hook: /c\n");
	put_runner(".hidden.yaml", "nonsense");
	put_runner("b.yaml~", "nonsense");
	_cleanup_(rh_config_unrefp) struct rh_config *config = load();

	ck_assert_msg(config != NULL, "%s", test_err.text);
	ck_assert_uint_eq(config->n_runners, 2);
	ck_assert_str_eq(config->runners[0].name, "a");
	ck_assert_str_eq(config->runners[0].started_hook, "/h");
	ck_assert_str_eq(config->runners[0].profile, "default");
	ck_assert_str_eq(rh_config_runner(config, "b")->work, work);
	ck_assert_uint_eq(config->runners[1].uid, 1000);
	ck_assert_ptr_null(config->runners[1].profile);
}
END_TEST

START_TEST(a_missing_runners_directory_is_empty)
{
	ck_assert_int_eq(rmdir(runners), 0);
	_cleanup_(rh_config_unrefp) struct rh_config *config = load();

	ck_assert_ptr_nonnull(config);
	ck_assert_uint_eq(config->n_runners, 0);
}
END_TEST

static const struct {
	const char *name;
	const char *text;
	const char *message;
} bad_runners[] = {
	{"a b.yaml", RUNNER, "a b.yaml: the file's name must be"},
	{"a.yaml", "root: /x\nwork: /y\nuid: 1\n", "a.yaml:1: gid: must be set"},
	{"a.yaml", "root: x\n", "a.yaml:1: root: \"x\": must be an absolute path"},
	{"a.yaml", "root: /x\nwork: /y\nuid: 1\ngid: 1\nprofile: z\n",
		"profile: there is no profile z"},
	{"a.yaml", "root: /x\nwork: /y\nuid: 1879048193\ngid: 1\n", "id_map.base (1879048192)"},
	{"a.yaml", "root: /x\nwork: /y\nuid: 1\ngid: 1879113727\n", "id_map.base (1879048192)"},
	{"a.yaml", "root: /x\nwork: /y\nuid: 4294967294\ngid: 1\n", "must be a number from 0"},
	{"a.yaml", "root: /x\nnames: z\n", "a.yaml:2: names: unknown key; known here: root, work"},
	{"a.yaml", "root: @/link\nwork: /y\nuid: 1\ngid: 1\n",
		"root: must not lead through symbolic links"},
	{"b.yaml", "root: /x\nwork: @/work\nuid: 1\ngid: 1\n",
		"b.yaml:1: work: the same directory as runner 0 has"},
	{"b.yaml", "root: @\nwork: /z\nuid: 1\ngid: 1\n",
		"b.yaml:1: root: the same directory as runner 0 has"},
};

START_TEST(bad_runners_are_named)
{
	char link[256];

	(void)snprintf(link, sizeof(link), "%s/link", test_dir);
	ck_assert_int_eq(symlink(work, link), 0);
	put_runner("0.yaml", RUNNER);
	put_runner(bad_runners[_i].name, bad_runners[_i].text);
	load_refused(bad_runners[_i].message);
}
END_TEST

START_TEST(client_conf_is_published)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = load();
	char file[256];
	char text[1024];
	struct stat st;

	(void)snprintf(file, sizeof(file), "%s/.client.conf.new", test_dir);
	put(file, "left by a crash", 0600);
	(void)umask(077);
	ck_assert_int_eq(rh_config_publish(config, &test_err), 0);
	ck_assert_int_eq(access(file, F_OK), -1);
	(void)snprintf(file, sizeof(file), "%s/client.conf", test_dir);
	ck_assert_int_gt(rh_read_file_at(AT_FDCWD, file, text, sizeof(text)), 0);
	ck_assert_str_eq(text,
		"broker_wait_ms=30000\njob_start_wait_ms=60000\n"
		"env_pass=CI,LANG,LANGUAGE,LC_*,TZ,http_proxy,https_proxy,no_proxy,"
		"all_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY,ALL_PROXY,"
		"AGENT_TOOLSDIRECTORY\n");
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0644);

	free(config->runtime_dir);
	config->runtime_dir = strdup("/nowhere");
	ck_assert_int_eq(rh_config_publish(config, &test_err), -ENOENT);
	ck_assert_str_eq(test_err.text, "/nowhere: No such file or directory");
}
END_TEST

START_TEST(client_conf_is_bounded)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = load();
	static char long_name[RH_OPTION_LIST_MAX * 64];

	memset(long_name, 'A', sizeof(long_name) - 1);
	free(config->env_pass[0]);
	config->env_pass[0] = strdup(long_name);
	ck_assert_int_eq(rh_config_publish(config, &test_err), -EFBIG);
}
END_TEST

static const char *other_value(const struct rh_option *option)
{
	switch (option->type) {
	case RH_OPTION_PATH:
		return "/elsewhere";
	case RH_OPTION_CHOICE:
		return option->choices[1];
	case RH_OPTION_DURATION:
		return "7s";
	case RH_OPTION_COUNT32:
		return "65536";
	default:
		return strcmp(option->name, "network.ipv6") == 0 ? "fd00:1234::/64" : "other";
	}
}

/* The file with another level of the log, and another value of this option. */
static void put_changed(const struct rh_option *option)
{
	const char *point = strchr(option->name, '.');
	int n_group = point ? (int)(point - option->name) : 0;
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"runners_dir: %s\nlog: {level: debug}\n%.*s%s%s: \"%s\"%s\n" LEAST, runners,
		n_group, option->name, point ? ": {" : "", point ? point + 1 : option->name,
		other_value(option), point ? "}" : "");
	put(path, text, 0644);
}

START_TEST(a_reload_keeps_what_needs_a_restart)
{
	size_t n = 0;

	for (size_t i = 0; i < rh_options_config.n; i++) {
		const struct rh_option *option = &rh_options_config.rows[i];
		_cleanup_(rh_config_unrefp) struct rh_config *old = NULL;
		_cleanup_(rh_config_unrefp) struct rh_config *config = NULL;
		_cleanup_(rh_config_unrefp) struct rh_config *fresh = NULL;
		const char *fixed = NULL;
		char text[256];

		if (!option->restart)
			continue;
		n++;
		(void)snprintf(text, sizeof(text), "runners_dir: %s\n" LEAST, runners);
		put(path, text, 0644);
		old = load();
		put_changed(option);
		fresh = load();
		ck_assert_msg(fresh && !rh_option_equal(option, old, fresh), "%s: %s", option->name,
			test_err.text);
		ck_assert_int_eq(rh_config_reload(old, &config, &fixed, &test_err), 0);
		ck_assert_str_eq(fixed, option->name);
		ck_assert_msg(rh_option_equal(option, old, config), "%s", option->name);
		ck_assert_ptr_null(rh_config_needs_restart(old, config));
		ck_assert_uint_eq(config->log_level, RH_LOG_DEBUG);
	}
	ck_assert_uint_gt(n, 8);
}
END_TEST

START_TEST(a_reload_checks_runners_by_the_ids_in_force)
{
	_cleanup_(rh_config_unrefp) struct rh_config *old = load();
	struct rh_config *config = NULL;
	const char *fixed = NULL;

	put_changed(rh_option_find(&rh_options_config, "id_map.base"));
	put_runner("a.yaml", "root: /x\nwork: /y\nuid: 1879048193\ngid: 1\n");
	rh_config_unref(load());
	ck_assert_int_eq(rh_config_reload(old, &config, &fixed, &test_err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(test_err.text,
		"a.yaml:1: uid, gid: must not be among the 65536 ids from id_map.base "
		"(1879048192)"));
}
END_TEST

void tests_of_files(Suite *suite)
{
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, make_dir, remove_dir);
	tcase_add_test(tcase, owners_and_modes_are_checked);
	tcase_add_test(tcase, runners_are_read_in_order);
	tcase_add_test(tcase, a_missing_runners_directory_is_empty);
	tcase_add_loop_test(tcase, bad_runners_are_named, 0,
		(int)(sizeof(bad_runners) / sizeof(bad_runners[0])));
	tcase_add_test(tcase, client_conf_is_published);
	tcase_add_test(tcase, client_conf_is_bounded);
	tcase_add_test(tcase, a_reload_keeps_what_needs_a_restart);
	tcase_add_test(tcase, a_reload_checks_runners_by_the_ids_in_force);
	suite_add_tcase(suite, tcase);
}
