/* SPDX-License-Identifier: Apache-2.0 */

/*
 * include/runnerhub/block.h: sealing, mapping, hostile blocks.
 */

#include "runnerhub/block.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/limits.h"

static char *const args[] = {"bash", "-e", "a file", "", NULL};
static char *const envs[] = {"A=1", "EMPTY=", "NEWLINE=a\nb", NULL};

static struct rh_block_spec spec(void)
{
	return (struct rh_block_spec){
		.flags = RH_BLOCK_PATH_PREFIX,
		.umask = 022,
		.oom_score_adj = 500,
		.stack_soft = 8u << 20,
		.sig_ignored = 1u << 12,
		.path = "/usr/bin/bash",
		.cwd = "/work dir",
		.argv = args,
		.envp = envs,
	};
}

START_TEST(what_was_sealed_is_mapped)
{
	struct rh_block_spec in = spec();
	struct rh_block *out = NULL;
	int fd = rh_block_seal(&in);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rh_block_map(fd, &out), 0);
	(void)close(fd);
	ck_assert_str_eq(out->path, in.path);
	ck_assert_str_eq(out->cwd, in.cwd);
	for (size_t i = 0; i < 4; i++)
		ck_assert_str_eq(out->argv[i], args[i]);
	ck_assert_ptr_null(out->argv[4]);
	for (size_t i = 0; i < 3; i++)
		ck_assert_str_eq(out->envp[i], envs[i]);
	ck_assert_ptr_null(out->envp[3]);
	ck_assert_uint_eq(out->header->stack_soft, in.stack_soft);
	ck_assert_str_eq(rh_env_get(out->envp, "EMPTY"), "");
	ck_assert_ptr_null(rh_env_get(out->envp, "NEWLIN"));
	rh_block_free(out);
}
END_TEST

START_TEST(empty_arrays_are_fine)
{
	struct rh_block_spec in = {.path = "", .cwd = ""};
	struct rh_block *out = NULL;
	int fd = rh_block_seal(&in);

	ck_assert_int_eq(rh_block_map(fd, &out), 0);
	ck_assert_ptr_null(out->argv[0]);
	ck_assert_ptr_null(out->envp[0]);
	rh_block_free(out);
	(void)close(fd);
}
END_TEST

START_TEST(too_many_or_too_long_strings_are_refused)
{
	static char *many[RH_BLOCK_STRINGS_MAX + 2];
	struct rh_block_spec in = spec();
	char *big = malloc(RH_BLOCK_SIZE_MAX + 1);
	char *one[] = {big, NULL};

	for (size_t i = 0; i <= RH_BLOCK_STRINGS_MAX; i++)
		many[i] = "x";
	in.argv = many;
	ck_assert_int_eq(rh_block_seal(&in), -E2BIG);
	memset(big, 'x', RH_BLOCK_SIZE_MAX);
	big[RH_BLOCK_SIZE_MAX] = '\0';
	in.argv = one;
	ck_assert_int_eq(rh_block_seal(&in), -E2BIG);
	free(big);
}
END_TEST

START_TEST(unsealed_or_other_files_are_refused)
{
	struct rh_block *out = NULL;
	int memfd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(ftruncate(memfd, 4096), 0);
	ck_assert_int_eq(rh_block_map(memfd, &out), -EPROTO);
	ck_assert_int_eq(rh_block_map(null, &out), -EPROTO);
	/* Sealed, but no block. */
	ck_assert_int_eq(
		fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
		0);
	ck_assert_int_eq(rh_block_map(memfd, &out), -EPROTO);
	(void)close(memfd);
	(void)close(null);
}
END_TEST

START_TEST(every_truncation_and_wrong_count_is_refused)
{
	struct rh_block_spec in = spec();
	struct rh_block *whole = NULL;
	int fd = rh_block_seal(&in);

	ck_assert_int_eq(rh_block_map(fd, &whole), 0);
	for (size_t n = 0; n < whole->size; n++) {
		struct rh_block out = {0};
		char *copy = malloc(n + 1);

		memcpy(copy, whole->header, n);
		ck_assert_int_eq(rh_block_parse(copy, n, &out), -EPROTO);
		free(copy);
	}
	for (uint32_t n = 0; n < 9; n++) {
		struct rh_block out = {0};
		struct rh_block_header header = *whole->header;
		char *copy = malloc(RH_BLOCK_SIZE_MAX);

		header.n_args = n;
		memcpy(copy, whole->header, whole->size);
		memcpy(copy, &header, sizeof(header));
		ck_assert_int_eq(rh_block_parse(copy, whole->size, &out), n == 4 ? 0 : -EPROTO);
		free(out.argv);
		free(copy);
	}
	rh_block_free(whole);
	(void)close(fd);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "block", what_was_sealed_is_mapped, empty_arrays_are_fine,
		too_many_or_too_long_strings_are_refused, unsealed_or_other_files_are_refused,
		every_truncation_and_wrong_count_is_refused);
}

RH_TEST_MAIN("block", tests);
