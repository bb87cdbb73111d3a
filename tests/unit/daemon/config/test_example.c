/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The example file: it is what the option table prints, and what it shows are the defaults.
 */

#include <fcntl.h>

#include "rh-config.h"
#include "rh-test.h"
#include "runnerhub/fd.h"
#include "test_config.h"

static char *example(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	rh_config_print_example(out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

START_TEST(the_committed_file_is_generated)
{
	static char committed[65536];
	char *text = example();

	ck_assert_int_gt(rh_read_file_at(AT_FDCWD, RH_SOURCE_DIR "/examples/runnerhub.yaml",
				 committed, sizeof(committed)),
		0);
	/* Directories are the build's. */
	if (strcmp(RH_LIBEXEC_DIR RH_STATE_DIR RH_RUNTIME_DIR RH_CONFIG_DIR,
		    "/usr/local/lib/runnerhub/var/lib/runnerhub/run/runnerhub/etc/runnerhub") == 0)
		ck_assert_str_eq(text, committed);
	_cleanup_(rh_config_unrefp) struct rh_config *config = parse(committed);

	ck_assert_ptr_nonnull(config);
	free(text);
}
END_TEST

/* Takes the # away from every line that sets an option. */
static void uncomment(char *text)
{
	char *out = text;

	for (const char *p = text; *p; p++)
		if (*p != '#' || p[1] == ' ')
			*out++ = *p;
	*out = '\0';
}

START_TEST(what_it_shows_are_the_defaults)
{
	char *text = example();
	_cleanup_(rh_config_unrefp) struct rh_config *bare = parse(text);

	ck_assert_msg(bare != NULL, "%s", test_err.text);
	uncomment(text);
	_cleanup_(rh_config_unrefp) struct rh_config *full = parse(text);

	ck_assert_msg(full != NULL, "%s", test_err.text);
	for (size_t i = 0; i < rh_options_config.n; i++)
		ck_assert_msg(rh_option_equal(&rh_options_config.rows[i], bare, full), "%s",
			rh_options_config.rows[i].name);
	ck_assert_uint_eq(full->n_profiles, 1);
	for (size_t i = 0; i < rh_options_profile.n; i++)
		ck_assert_msg(rh_option_equal(
				      &rh_options_profile.rows[i], bare->profiles, full->profiles),
			"%s", rh_options_profile.rows[i].name);
	free(text);
}
END_TEST

void tests_of_example(Suite *suite)
{
	RH_ADD_TESTS(
		suite, "example", the_committed_file_is_generated, what_it_shows_are_the_defaults);
}
