/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A question to the engine, without the broker: one HTTP/1.0 request on a connection of its own.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/cli/doctor/doctor.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

#define TIMEOUT_MS 5000
#define ANSWER_MAX ((size_t)4 * 1024 * 1024)
#define DEPTH_MAX  32

RH_DEFINE_CLEANUP(struct json_tokener *, json_tokener_free);

int rh_ask_parse(const char *answer, size_t size, int *ret_status, const char **ret_body,
	size_t *ret_body_size)
{
	static const char version[] = "HTTP/1.";
	const char *end = memmem(answer, size, "\r\n\r\n", 4);
	const char *code = answer + sizeof(version) - 1 + 2; /* behind "0 " */
	int status = 0;

	if (!end || size < sizeof(version) + 4 ||
		memcmp(answer, version, sizeof(version) - 1) != 0 || code[-1] != ' ')
		return rh_origin(-EPROTO);
	for (int i = 0; i < 3; i++) {
		if (code[i] < '0' || code[i] > '9')
			return rh_origin(-EPROTO);
		status = status * 10 + (code[i] - '0');
	}
	*ret_status = status;
	*ret_body = end + 4;
	*ret_body_size = size - (size_t)(end + 4 - answer);
	return 0;
}

/* Reads up to the end of the connection. Return: 0; -ETIMEDOUT; -EFBIG; negative errno. */
static int read_all(int fd, char *buf, size_t size, size_t *ret_n)
{
	const int64_t deadline_ms = rh_now_ms() + TIMEOUT_MS;
	size_t n = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left_ms = deadline_ms - rh_now_ms();

		if (left_ms <= 0)
			return rh_origin(-ETIMEDOUT);
		if (poll(&p, 1, (int)left_ms) <= 0)
			continue; /* the clock decides */

		ssize_t r = read(fd, buf + n, size - n);

		if (r < 0 && errno != EINTR)
			return rh_origin(-errno);
		if (r == 0)
			break;
		n += r > 0 ? (size_t)r : 0;
		if (n == size)
			return rh_origin(-EFBIG);
	}
	*ret_n = n;
	return 0;
}

static struct json_object *parse_json(const char *text, size_t size)
{
	_cleanup_(json_tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);

	return tokener ? json_tokener_parse_ex(tokener, text, (int)size) : NULL;
}

int rh_ask_engine(const char *socket, const char *path, int *ret_status,
	struct json_object **ret_body, struct rh_err *err)
{
	_cleanup_(rh_freep) char *buf = malloc(ANSWER_MAX);
	_cleanup_(rh_closep) int fd = rh_unix_connect(socket, SOCK_STREAM | SOCK_NONBLOCK);
	const char *body = NULL;
	size_t n = 0, n_body = 0;
	char request[1024];

	if (!buf)
		return rh_err_set(err, -ENOMEM, "out of memory");
	if (fd < 0)
		return rh_err_set(err, fd, "%s", strerror(-fd));

	int size =
		snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: docker\r\n\r\n", path);

	if (size < 0 || (size_t)size >= sizeof(request))
		return rh_err_set(err, -ENAMETOOLONG, "the question is too long");

	int r = rh_write_all(fd, request, (size_t)size);

	if (r == 0)
		r = read_all(fd, buf, ANSWER_MAX, &n);
	if (r == -ETIMEDOUT)
		return rh_err_set(err, r, "no answer within %d s", TIMEOUT_MS / 1000);
	if (r == 0)
		r = rh_ask_parse(buf, n, ret_status, &body, &n_body);
	if (r == -EPROTO)
		return rh_err_set(err, r, "the answer is not HTTP");
	if (r < 0)
		return rh_err_set(err, r, "%s", strerror(-r));
	*ret_body = parse_json(body, n_body);
	return 0;
}
