/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The other end of control.sock, against brokers of every kind.
 */

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "broker/cli/cli.h"
#include "capture.h"
#include "rh-test.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"

static struct rh_cli cli;

static void setup(void)
{
	cli = (struct rh_cli){.socket = test_path("s"), .connection = -1, .timeout_ms = 2000};
}

static int ask(struct json_object **ret_data, const char **ret_err)
{
	capture_begin();

	int status = rh_cli_request(&cli, "status", NULL, ret_data);

	(void)capture_end(ret_err);
	return status;
}

static void fails(int status, const char *message)
{
	struct json_object *data = NULL;
	const char *err = NULL;

	ck_assert_int_eq(ask(&data, &err), status);
	ck_assert_ptr_null(data);
	if (!strstr(err, message))
		ck_abort_msg("%s", err);
}

START_TEST(an_answer_in_pieces_is_put_together)
{
	static const struct fake_answer script[] = {{"{\"id\":1,\"ok\":tr"}, {""},
		{"ue,\"data\":{\"n\":4"}, {""}, {"2}}\n{\"event\":{\"kind\":\"a\"}}\n{\"ev"}, {""},
		{"ent\":{\"kind\":\"b\"}}\n"}, {0}};
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	const char *err = NULL;

	fake_broker(cli.socket, script, FAKE_CLOSES);
	ck_assert_int_eq(ask(&data, &err), RH_EXIT_OK);
	ck_assert_int_eq(rh_json_number(data, "n"), 42);
	for (const char *kind = "a"; *kind; kind = *kind == 'a' ? "b" : "") {
		_cleanup_(json_object_putp) struct json_object *line = NULL;

		ck_assert_int_eq(rh_cli_next(&cli, &line), RH_EXIT_OK);
		ck_assert_str_eq(rh_json_text(rh_json_member(line, "event"), "kind"), kind);
	}
	capture_begin();

	struct json_object *none = NULL;
	int status = rh_cli_next(&cli, &none);

	(void)capture_end(&err);
	ck_assert_int_eq(status, RH_EXIT_FAILURE);
	ck_assert_str_eq(err, "runnerhub: the broker closed the connection\n");
}
END_TEST

START_TEST(no_socket_means_not_running)
{
	fails(RH_EXIT_NO_BROKER, "the broker is not running (");
}
END_TEST

START_TEST(nobody_listens)
{
	int fd = rh_unix_listen(cli.socket, SOCK_STREAM, 0600, 1);

	ck_assert_int_ge(fd, 0);
	(void)close(fd); /* as a broker that was killed leaves it */
	fails(RH_EXIT_NO_BROKER, "Connection refused");
}
END_TEST

START_TEST(permission_is_told_apart)
{
	static const struct fake_answer script[] = {{0}};

	fake_broker(cli.socket, script, FAKE_HANGS);
	ck_assert_int_eq(chmod(test_dir(), 0755), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(60003), 0);
	else
		ck_assert_int_eq(chmod(cli.socket, 0), 0);
	fails(RH_EXIT_NO_PERMISSION, "permission denied");
	ck_assert_int_eq(seteuid(getuid()), 0);
}
END_TEST

START_TEST(a_closed_connection_is_said)
{
	static const struct fake_answer script[] = {{"{\"id\":1,"}, {0}};

	fake_broker(cli.socket, script, FAKE_CLOSES);
	fails(RH_EXIT_FAILURE, "runnerhub: the broker closed the connection\n");
}
END_TEST

START_TEST(silence_is_said)
{
	static const struct fake_answer script[] = {{0}};

	cli.timeout_ms = 50;
	fake_broker(cli.socket, script, FAKE_HANGS);
	fails(RH_EXIT_FAILURE, "runnerhub: the broker does not answer; see its log\n");
}
END_TEST

START_TEST(drops_do_not_hold_off_the_deadline)
{
	static const struct fake_answer script[] = {{" "}, {""}, {" "}, {""}, {" "}, {""}, {" "},
		{""}, {" "}, {""}, {" "}, {""}, {" "}, {""}, {" "}, {0}};

	cli.timeout_ms = 20;
	fake_broker(cli.socket, script, FAKE_HANGS);
	fails(RH_EXIT_FAILURE, "the broker does not answer");
}
END_TEST

static const char *const garbage[] = {"hello\n", "{]\n", "[1]\n", "1\n", "null\n", "\"x\"\n",
	"{\"ok\":1}\n", "{\"ok\":false}\n", "{\"ok\":false,\"error\":7}\n", "\xff\xfe\n"};

START_TEST(garbage_is_said)
{
	const struct fake_answer script[] = {{garbage[_i]}, {0}};

	fake_broker(cli.socket, script, FAKE_HANGS);
	fails(RH_EXIT_FAILURE, "runnerhub: the broker's answer is malformed\n");
}
END_TEST

START_TEST(depth_is_bounded)
{
	static const struct fake_answer script[] = {{"[", 100}, {0}};

	fake_broker(cli.socket, script, FAKE_HANGS);
	fails(RH_EXIT_FAILURE, "malformed");
}
END_TEST

START_TEST(length_is_bounded)
{
	static char spaces[65537];
	const struct fake_answer script[] = {{spaces, 1100}, {0}};

	(void)memset(spaces, ' ', sizeof(spaces) - 1);
	cli.timeout_ms = 60000;
	fake_broker(cli.socket, script, FAKE_HANGS);
	fails(RH_EXIT_FAILURE, "malformed");
}
END_TEST

static const struct {
	const char *answer;
	int status;
} refusals[] = {
	{"{\"ok\":false,\"error\":{\"code\":\"forbidden\",\"message\":\"root alone\"}}\n",
		RH_EXIT_NO_PERMISSION},
	{"{\"ok\":false,\"error\":{\"code\":\"busy\",\"message\":\"root alone\"}}\n",
		RH_EXIT_FAILURE},
};

START_TEST(the_broker_refuses)
{
	const struct fake_answer script[] = {{refusals[_i].answer}, {0}};

	fake_broker(cli.socket, script, FAKE_HANGS);
	fails(refusals[_i].status, "runnerhub: root alone\n");
}
END_TEST

START_TEST(words_can_go_to_the_caller)
{
	struct rh_err said = {0};
	struct json_object *data = NULL;
	const char *err = NULL;

	cli.said = &said;
	ck_assert_int_eq(ask(&data, &err), RH_EXIT_NO_BROKER);
	ck_assert_str_eq(err, "");
	ck_assert_ptr_nonnull(strstr(said.text, "the broker is not running"));
}
END_TEST

START_TEST(missing_members_read_as_nothing)
{
	_cleanup_(json_object_putp) struct json_object *object =
		json_tokener_parse("{\"text\":1,\"number\":\"x\",\"flag\":1,\"list\":{}}");

	ck_assert_str_eq(rh_json_text(object, "text"), "");
	ck_assert_int_eq(rh_json_number(object, "number"), 0);
	ck_assert(!rh_json_bool(object, "flag"));
	ck_assert_uint_eq(rh_json_length(rh_json_member(object, "list")), 0);
	ck_assert_ptr_null(rh_json_member(object, "none"));
	ck_assert_ptr_null(rh_json_member(NULL, "none"));
	ck_assert_uint_eq(rh_json_length(NULL), 0);
}
END_TEST

void tests_of_client(Suite *suite);
void tests_of_client(Suite *suite)
{
	TCase *loops = tcase_create("answers");
	TCase *single = tcase_create("client");

	tcase_add_checked_fixture(loops, setup, NULL);
	tcase_add_loop_test(loops, garbage_is_said, 0, sizeof(garbage) / sizeof(garbage[0]));
	tcase_add_loop_test(loops, the_broker_refuses, 0, sizeof(refusals) / sizeof(refusals[0]));
	suite_add_tcase(suite, loops);
	tcase_add_checked_fixture(single, setup, NULL);
	tcase_set_timeout(single, 60);
	tcase_add_test(single, an_answer_in_pieces_is_put_together);
	tcase_add_test(single, no_socket_means_not_running);
	tcase_add_test(single, nobody_listens);
	tcase_add_test(single, permission_is_told_apart);
	tcase_add_test(single, a_closed_connection_is_said);
	tcase_add_test(single, silence_is_said);
	tcase_add_test(single, drops_do_not_hold_off_the_deadline);
	tcase_add_test(single, depth_is_bounded);
	tcase_add_test(single, length_is_bounded);
	tcase_add_test(single, words_can_go_to_the_caller);
	tcase_add_test(single, missing_members_read_as_nothing);
	suite_add_tcase(suite, single);
}
