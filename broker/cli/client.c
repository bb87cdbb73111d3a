/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The other end of control.sock.
 */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/cli/cli.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

#define TIMEOUT_MS 10000
#define JOBS_MAX   1000 /* that the broker lists at once */
#define DEPTH_MAX  32
#define CHUNK      ((size_t)64 * 1024)
#define ANSWER_MAX ((size_t)64 * 1024 * 1024) /* of one line */

RH_DEFINE_CLEANUP(struct json_tokener *, json_tokener_free);

/* What is left of the last read, behind the line that was taken. */
static struct {
	char bytes[CHUNK];
	size_t at, n;
} rest;

/* One line of people's words, to whoever wants them. */
_printf_(2, 3) static void tell(const struct rh_cli *cli, const char *fmt, ...)
{
	struct rh_err err;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	if (cli->said)
		*cli->said = err;
	else
		(void)fprintf(stderr, "runnerhub: %s\n", err.text);
}

static int say_not_running(const struct rh_cli *cli, int r)
{
	if (r == -EACCES || r == -EPERM) {
		tell(cli,
			"%s: permission denied; be root or a member of the broker's group (usually "
			"runnerhub)",
			cli->socket);
		return RH_EXIT_NO_PERMISSION;
	}
	tell(cli, "the broker is not running (%s: %s)", cli->socket, strerror(-r));
	if (!cli->said)
		(void)fprintf(stderr,
			"           start it with `systemctl start runnerhubd`, or name "
			"its socket with --socket\n");
	return RH_EXIT_NO_BROKER;
}

static int say(const struct rh_cli *cli, const char *what)
{
	tell(cli, "%s", what);
	return RH_EXIT_FAILURE;
}

static int dial(struct rh_cli *cli)
{
	if (cli->connection >= 0)
		return RH_EXIT_OK;

	int fd = rh_unix_connect(cli->socket, SOCK_STREAM);

	if (fd < 0)
		return say_not_running(cli, fd);
	cli->connection = fd;
	rest.at = rest.n = 0;
	return RH_EXIT_OK;
}

/* Fills the buffer. @deadline_ms: -1 waits for ever. */
static int fill(struct rh_cli *cli, int64_t deadline_ms)
{
	struct pollfd p = {.fd = cli->connection, .events = POLLIN};
	int64_t left_ms = deadline_ms < 0 ? -1 : deadline_ms - rh_now_ms();
	int r = deadline_ms >= 0 && left_ms <= 0 ? 0 : poll(&p, 1, (int)left_ms);

	if (r == 0)
		return say(cli, "the broker does not answer; see its log");
	if (r < 0)
		return errno == EINTR ? RH_EXIT_OK : say(cli, strerror(errno));

	ssize_t n = read(cli->connection, rest.bytes, sizeof(rest.bytes));

	if (n <= 0)
		return say(cli, n == 0 ? "the broker closed the connection" : strerror(errno));
	rest.at = 0;
	rest.n = (size_t)n;
	return RH_EXIT_OK;
}

/* Reads one line of JSON. */
static int read_line(struct rh_cli *cli, int64_t deadline_ms, struct json_object **ret_object)
{
	_cleanup_(json_tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	size_t total = 0;

	if (!tokener)
		return say(cli, "out of memory");
	for (;;) {
		while (rest.at == rest.n) {
			int status = fill(cli, deadline_ms);

			if (status != RH_EXIT_OK)
				return status;
		}

		struct json_object *object = json_tokener_parse_ex(
			tokener, rest.bytes + rest.at, (int)(rest.n - rest.at));
		enum json_tokener_error error = json_tokener_get_error(tokener);

		if (error == json_tokener_success) {
			rest.at += json_tokener_get_parse_end(tokener);
			/* The newline behind it. */
			while (rest.at < rest.n && rest.bytes[rest.at] == '\n')
				rest.at++;
			*ret_object = object;
			return RH_EXIT_OK;
		}
		total += rest.n - rest.at;
		if (error != json_tokener_continue || total > ANSWER_MAX)
			return say(cli, "the broker's answer is malformed");
		rest.at = rest.n;
	}
}

int rh_cli_request(
	struct rh_cli *cli, const char *op, struct json_object *args, struct json_object **ret_data)
{
	_cleanup_(json_object_putp) struct json_object *request = json_object_new_object();
	_cleanup_(json_object_putp) struct json_object *answer = NULL;
	int status = dial(cli);

	(void)json_object_object_add(request, "id", json_object_new_int(1));
	(void)json_object_object_add(request, "op", json_object_new_string(op));
	if (args)
		(void)json_object_object_add(request, "args", args);
	if (status != RH_EXIT_OK)
		return status;

	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);

	if (rh_write_all(cli->connection, text, strlen(text)) < 0 ||
		rh_write_all(cli->connection, "\n", 1) < 0)
		return say(cli, "the broker closed the connection");
	status = read_line(
		cli, rh_now_ms() + (cli->timeout_ms ? cli->timeout_ms : TIMEOUT_MS), &answer);
	if (status != RH_EXIT_OK)
		return status;
	if (!rh_json_bool(answer, "ok")) {
		struct json_object *error = rh_json_member(answer, "error");

		if (!*rh_json_text(error, "message"))
			return say(cli, "the broker's answer is malformed");
		tell(cli, "%s", rh_json_text(error, "message"));
		return strcmp(rh_json_text(error, "code"), "forbidden") == 0 ? RH_EXIT_NO_PERMISSION
									     : RH_EXIT_FAILURE;
	}
	*ret_data = json_object_get(rh_json_member(answer, "data"));
	return RH_EXIT_OK;
}

void rh_cli_hang_up(struct rh_cli *cli)
{
	rh_close(rh_steal_fd(&cli->connection));
}

int rh_cli_next(struct rh_cli *cli, struct json_object **ret_line)
{
	return read_line(cli, -1, ret_line);
}

int rh_cli_find_job(struct rh_cli *cli, const char *word, char ret_id[RH_JOB_ID_SIZE])
{
	_cleanup_(json_object_putp) struct json_object *jobs = NULL;
	struct json_object *args = json_object_new_object();
	const char *found = NULL;
	size_t n = strlen(word);

	(void)json_object_object_add(args, "limit", json_object_new_int(JOBS_MAX));

	int status = n < RH_JOB_ID_SIZE - 1 ? rh_cli_request(cli, "jobs", args, &jobs) : -1;

	if (status > RH_EXIT_OK)
		return status;
	if (status < 0)
		json_object_put(args);
	for (size_t i = 0; i < rh_json_length(jobs); i++) {
		const char *id = rh_json_text(json_object_array_get_idx(jobs, i), "id");

		if (n == 0 || strncmp(id, word, n) != 0)
			continue;
		if (found) {
			tell(cli, "more than one job's id begins with %.32s; give more digits",
				word);
			return RH_EXIT_FAILURE;
		}
		found = id;
	}
	if (!found && status == RH_EXIT_OK) {
		tell(cli, "there is no job whose id begins with %.32s; see `runnerhub jobs`", word);
		return RH_EXIT_FAILURE;
	}
	(void)snprintf(ret_id, RH_JOB_ID_SIZE, "%s", found ? found : word);
	return RH_EXIT_OK;
}
