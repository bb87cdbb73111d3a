/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/env.c
 */

#include "broker/agent/env.h"

#include <string.h>

#include "rh-test.h"

static struct rh_user user = {.home = "/home/u"};

static char **compose(uint32_t flags, char **image, char **step)
{
	struct rh_block_header header = {.flags = flags};
	struct rh_block block = {.header = &header, .envp = step};
	char **env = rh_env_compose(image, &block, &user);

	ck_assert_ptr_nonnull(env);
	return env;
}

static size_t count(char *const *env, const char *entry)
{
	size_t n = 0;

	for (; *env; env++)
		n += strcmp(*env, entry) == 0;
	return n;
}

START_TEST(the_step_lies_above_the_image)
{
	char *image[] = {"A=image", "AB=image", "PATH=/bin", NULL};
	char *step[] = {"A=step", "C=", "odd", NULL};
	char **env = compose(0, image, step);

	ck_assert_str_eq(rh_env_get(env, "A"), "step");
	ck_assert_uint_eq(count(env, "A=image"), 0);
	ck_assert_str_eq(rh_env_get(env, "AB"), "image");
	ck_assert_str_eq(rh_env_get(env, "C"), "");
	ck_assert_uint_eq(count(env, "odd"), 1);
	ck_assert_str_eq(rh_env_get(env, "PATH"), "/bin");
	rh_env_free(env);
}
END_TEST

START_TEST(path_is_the_jobs_entries_then_the_images)
{
	static const struct {
		uint32_t flags;
		char *image, *step;
		const char *expected;
	} rows[] = {
		{RH_BLOCK_PATH_PREFIX, "PATH=/bin", "PATH=/job", "/job:/bin"},
		{RH_BLOCK_PATH_PREFIX, "PATH=/bin", "PATH=", "/bin"},
		{RH_BLOCK_PATH_PREFIX, "PATH=/bin", "X=", "/bin"},
		{RH_BLOCK_PATH_PREFIX, "X=", "PATH=/job", "/job:" RH_ENV_PATH_DEFAULT},
		{0, "PATH=/bin", "PATH=/job", "/job"},
		{0, "PATH=/bin", "PATH=", ""},
		{0, "PATH=/bin", "X=", "/bin"},
		{0, "PATH=", "X=", RH_ENV_PATH_DEFAULT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *image[] = {rows[i].image, NULL};
		char *step[] = {rows[i].step, "PATH=second", NULL};

		if (strncmp(rows[i].step, "PATH=", 5) != 0)
			step[1] = NULL;

		char **env = compose(rows[i].flags, image, step);

		ck_assert_str_eq(rh_env_get(env, "PATH"), rows[i].expected);
		ck_assert_uint_eq(count(env, "PATH=second"), 0);
		rh_env_free(env);
	}
}
END_TEST

START_TEST(home_is_the_steps_the_images_or_the_users)
{
	char *image[] = {"HOME=/image", NULL};
	char *with_home[] = {"HOME=/step", NULL};
	char *without[] = {NULL};
	char **env = compose(0, image, with_home);

	ck_assert_str_eq(rh_env_get(env, "HOME"), "/step");
	ck_assert_uint_eq(count(env, "HOME=/image"), 0);
	rh_env_free(env);

	user.image_has_home = false;
	env = compose(0, image, without);
	ck_assert_str_eq(rh_env_get(env, "HOME"), "/home/u");
	ck_assert_uint_eq(count(env, "HOME=/image"), 0);
	rh_env_free(env);

	user.image_has_home = true;
	env = compose(0, image, without);
	ck_assert_str_eq(rh_env_get(env, "HOME"), "/image");
	rh_env_free(env);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "env", the_step_lies_above_the_image,
		path_is_the_jobs_entries_then_the_images,
		home_is_the_steps_the_images_or_the_users);
}

RH_TEST_MAIN("env", tests);
