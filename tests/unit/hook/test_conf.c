/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/conf.h: client.conf, with everything that may be wrong with it.
 */

#include "conf.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/limits.h"

static struct rh_conf conf;

static void parse(const char *text)
{
	(void)snprintf(conf.text, sizeof(conf.text), "%s", text);
	rh_conf_parse(&conf);
}

START_TEST(keys_are_taken)
{
	parse("broker_wait_ms=2000\nunknown=1\njob_start_wait_ms=0\n\nenv_pass=A,B_*\n");
	ck_assert_int_eq(conf.broker_wait_ms, 2000);
	ck_assert_int_eq(conf.job_start_wait_ms, 0);
	ck_assert_str_eq(conf.env_pass, "A,B_*");
	/* Without a newline at the end, and nothing. */
	parse("broker_wait_ms=7");
	ck_assert_int_eq(conf.broker_wait_ms, 7);
	parse("env_pass=");
	ck_assert_str_eq(conf.env_pass, "");
}
END_TEST

START_TEST(what_is_wrong_leaves_the_default)
{
	static const char *const texts[] = {"", "\n\n", "=", "broker_wait_ms",
		"broker_wait_ms=", "broker_wait_ms=-1", "broker_wait_ms=+1", "broker_wait_ms= 1",
		"broker_wait_ms=1x", "broker_wait_ms=99999999999999999999",
		"broker_wait_ms=86400001", " broker_wait_ms=1", "BROKER_WAIT_MS=1",
		"broker_wait_ms =1"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		parse(texts[i]);
		ck_assert_msg(conf.broker_wait_ms == RH_BROKER_WAIT_MS, "%s", texts[i]);
		ck_assert_int_eq(conf.job_start_wait_ms, RH_JOB_START_WAIT_MS);
		ck_assert_str_eq(conf.env_pass, RH_CLIENT_CONF_ENV_PASS_DEFAULT);
	}
}
END_TEST

START_TEST(the_file_is_found_below_libexec)
{
	char dir[] = "/tmp/rh-conf.XXXXXX";
	char path[128];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	rh_conf_load(&conf, dir);
	ck_assert_int_eq(conf.broker_wait_ms, RH_BROKER_WAIT_MS);

	(void)snprintf(path, sizeof(path), "%s/run", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/run/client.conf", dir);

	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	(void)fputs("broker_wait_ms=5\n", file);
	(void)fflush(file);
	rh_conf_load(&conf, dir);
	ck_assert_int_eq(conf.broker_wait_ms, 5);
	/* Too large to be ours. */
	for (int i = 0; i < RH_CLIENT_CONF_SIZE_MAX; i++)
		(void)fputc('\n', file);
	(void)fclose(file);
	rh_conf_load(&conf, dir);
	ck_assert_int_eq(conf.broker_wait_ms, RH_BROKER_WAIT_MS);
	(void)unlink(path);
	(void)rmdir(dirname(path));
	(void)rmdir(dir);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "conf", keys_are_taken, what_is_wrong_leaves_the_default,
		the_file_is_found_below_libexec);
}

RH_TEST_MAIN("hook/conf", tests);
