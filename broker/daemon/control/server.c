/* SPDX-License-Identifier: Apache-2.0 */

/*
 * control.sock: connections, lines in, lines out.
 *
 * Who connects is root or in the configured group, by the socket's mode; only root's own operations
 * look closer. Calls outlive their connection, and the server too: the answer is then dropped.
 */

#include "broker/daemon/control/control.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/daemon/control/call.h"
#include "broker/daemon/ipc/door.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"
#include "runnerhub/weaken.h"

#define CONNS_MAX     64
#define CALLS_MAX     32 /* of one connection, unanswered */
#define OUT_QUEUE_MAX ((size_t)8 << 20) /* bytes a peer has yet to read */
#define OUT_TRIM_MIN  ((size_t)128 << 10) /* an answer whose memory is given back at once */
#define READ_SIZE     ((size_t)16 << 10)

struct rh_control_conn {
	struct rh_control *control;
	struct rh_control_conn *next, *prev;
	uv_pipe_t pipe;
	bool is_root;
	bool subscribed;
	bool closing;
	uint32_t n_calls;
	char *line; /* an unfinished line */
	size_t n_line;
	char chunk[READ_SIZE];
};

struct rh_control {
	struct rh_control_options options;
	struct rh_door *door;
	struct rh_control_conn *conns;
	struct rh_list calls;
	uint32_t n_conns;
	bool door_closed;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

struct out {
	uv_write_t request;
	size_t size;
	char *text;
};

const struct rh_control_options *rh_control_options(const struct rh_control *control)
{
	return &control->options;
}

static void maybe_closed(struct rh_control *control)
{
	if (!control->closing || !control->door_closed || control->conns)
		return;

	void (*cb)(void *) = control->on_closed;
	void *arg = control->closed_arg;

	rh_config_unref(control->options.config);
	free(control);
	if (cb)
		cb(arg);
}

static void on_conn_closed(uv_handle_t *handle)
{
	struct rh_control_conn *conn = handle->data;
	struct rh_control *control = conn->control;

	if (conn->prev)
		conn->prev->next = conn->next;
	else
		control->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	control->n_conns--;
	free(conn->line);
	free(conn);
	maybe_closed(control);
}

static void conn_close(struct rh_control_conn *conn)
{
	if (conn->closing)
		return;
	conn->closing = true;
	rh_list_for_each (at, &conn->control->calls) {
		struct rh_call *call = rh_list_entry(at, struct rh_call, node);

		if (call->conn == conn)
			call->conn = NULL;
	}
	conn->n_calls = 0;
	uv_close((uv_handle_t *)&conn->pipe, on_conn_closed);
}

static void on_written(uv_write_t *request, int status)
{
	struct out *out = request->data;

	free(out->text);
	/* Its objects are gone too by now. A large answer is rare, and what it took is not to stay.
	 */
	if (out->size > OUT_TRIM_MIN)
		(void)malloc_trim(0);
	free(out);
}

/* Queues one line. @object is consumed. */
void rh_control_send(struct rh_control_conn *conn, struct json_object *object)
{
	size_t n = 0;
	const char *text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &n);
	struct out *out = calloc(1, sizeof(*out));

	if (conn->closing || !text || !out ||
		uv_stream_get_write_queue_size((uv_stream_t *)&conn->pipe) + n > OUT_QUEUE_MAX) {
		free(out);
		(void)json_object_put(object);
		conn_close(conn); /* it does not read, or we cannot answer */
		return;
	}
	out->size = n;
	out->text = malloc(n + 2);
	if (out->text) {
		memcpy(out->text, text, n);
		memcpy(out->text + n, "\n", 2);
	}
	(void)json_object_put(object);

	uv_buf_t buf = uv_buf_init(out->text, (unsigned)(n + 1));

	out->request.data = out;
	if (!out->text ||
		uv_write(&out->request, (uv_stream_t *)&conn->pipe, &buf, 1, on_written) < 0) {
		free(out->text);
		free(out);
		conn_close(conn);
	}
}

/* -- calls -- */

void rh_call_free(struct rh_call *call)
{
	if (call->conn)
		call->conn->n_calls--;
	rh_list_remove(&call->node);
	rh_call_deinit(call);
	free(call);
}

void rh_call_subscribe(struct rh_call *call)
{
	if (call->conn)
		call->conn->subscribed = true;
}

static void dispatch(struct rh_call *call)
{
	for (const struct rh_op *op = rh_ops; op->name; op++) {
		if (strcmp(op->name, call->op) != 0)
			continue;
		if (op->class == RH_OP_OWN && !call->is_root)
			rh_call_fail(call, "forbidden", "%s is root's alone", op->name);
		else
			op->run(call);
		return;
	}
	rh_call_fail(call, "bad-request", "unknown operation %.64s", call->op);
}

static void on_line(struct rh_control_conn *conn, const char *line, size_t size)
{
	struct rh_call *call = calloc(1, sizeof(*call));
	struct rh_err err = {0};

	if (!call || conn->n_calls >= CALLS_MAX) {
		free(call);
		conn_close(conn); /* more unanswered calls than any program of ours makes */
		return;
	}
	call->control = conn->control;
	call->conn = conn;
	call->is_root = conn->is_root;
	conn->n_calls++;
	rh_list_append(&conn->control->calls, &call->node);
	if (rh_call_parse(line, size, call, &err) < 0)
		rh_call_fail(call, "bad-request", "%s", err.text);
	else
		dispatch(call);
}

/* -- reading -- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct rh_control_conn *conn = handle->data;

	*buf = uv_buf_init(conn->chunk, sizeof(conn->chunk));
}

/* Keeps an unfinished line. Return: 0; -EMSGSIZE; -ENOMEM. */
static int keep(struct rh_control_conn *conn, const char *data, size_t n)
{
	if (conn->n_line + n > RH_CONTROL_LINE_MAX)
		return rh_origin(-EMSGSIZE);

	char *line = realloc(conn->line, conn->n_line + n + 1);

	if (!line)
		return rh_origin(-ENOMEM);
	memcpy(line + conn->n_line, data, n);
	conn->line = line;
	conn->n_line += n;
	return 0;
}

static void take(struct rh_control_conn *conn, const char *data, size_t n)
{
	while (n > 0 && !conn->closing) {
		const char *newline = memchr(data, '\n', n);
		size_t part = newline ? (size_t)(newline - data) : n;

		if (newline && conn->n_line == 0) {
			on_line(conn, data, part);
		} else if (keep(conn, data, part) < 0) {
			rh_log_warning(conn->control->options.log,
				"control connection cut: line too long");
			conn_close(conn);
			return;
		} else if (newline) {
			on_line(conn, conn->line, conn->n_line);
			conn->n_line = 0;
		}
		part += newline != NULL;
		data += part;
		n -= part;
	}
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct rh_control_conn *conn = stream->data;

	if (n < 0)
		conn_close(conn);
	else if (n > 0)
		take(conn, buf->base, (size_t)n);
}

/* Of the door: takes @fd. */
static void on_connection(void *arg, int fd)
{
	struct rh_control *control = arg;
	struct rh_control_conn *conn = calloc(1, sizeof(*conn));
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t size = sizeof(cred);

	if (!conn) {
		rh_close(fd);
		return;
	}
	conn->control = control;
	(void)uv_pipe_init(control->options.loop, &conn->pipe, 0);
	conn->pipe.data = conn;
	conn->next = control->conns;
	if (conn->next)
		conn->next->prev = conn;
	control->conns = conn;
	control->n_conns++;
	if (uv_pipe_open(&conn->pipe, fd) < 0) {
		rh_close(fd);
		conn_close(conn);
		return;
	}
	if (control->n_conns > CONNS_MAX ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 ||
		uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read) < 0) {
		conn_close(conn);
		return;
	}
	conn->is_root = cred.uid == 0;
}

/* -- the server -- */

static int open_door(const struct rh_config *config, struct rh_control *control, struct rh_err *err)
{
	const struct group *group = config->group[0] ? getgrnam(config->group) : NULL;
	char path[4096];

	if (config->group[0] && !group)
		return rh_err_set(err, -ENOENT,
			"group: there is no group %s; make it (groupadd --system %s) or "
			"set group to \"\"",
			config->group, config->group);
	(void)snprintf(path, sizeof(path), "%s/" RH_CONTROL_SOCKET, config->runtime_dir);

	const struct rh_door_options door = {
		.loop = control->options.loop,
		.log = control->options.log,
		.path = path,
		.type = SOCK_STREAM,
		.mode = rh_weakened("control-mode") ? 0666
			: group                     ? 0660
						    : 0600,
		.gid = group ? group->gr_gid : RH_DOOR_NO_GID,
		.backlog = 64,
		.on_connection = on_connection,
		.arg = control,
	};

	return rh_trace(rh_door_open(&door, &control->door, err));
}

int rh_control_start(const struct rh_control_options *options, struct rh_control **ret_control,
	struct rh_err *err)
{
	struct rh_control *control = calloc(1, sizeof(*control));

	if (!control)
		return rh_err_set(err, -ENOMEM, "out of memory");
	control->options = *options;
	rh_list_init(&control->calls);

	int r = open_door(options->config, control, err);

	if (r < 0) {
		free(control);
		return rh_trace(r);
	}
	(void)rh_config_ref(control->options.config);
	*ret_control = control;
	return 0;
}

int rh_control_check(struct rh_control *control, struct rh_err *err)
{
	return rh_door_check(control->door, err);
}

static void on_door_closed(void *arg)
{
	struct rh_control *control = arg;

	control->door_closed = true;
	maybe_closed(control);
}

void rh_control_close(struct rh_control *control, void (*cb)(void *arg), void *arg)
{
	control->closing = true;
	control->on_closed = cb;
	control->closed_arg = arg;
	for (struct rh_control_conn *conn = control->conns; conn; conn = conn->next)
		conn_close(conn);
	/* The engine may take half a minute over its answer. */
	while (!rh_list_is_empty(&control->calls)) {
		struct rh_call *call = rh_list_first(&control->calls, struct rh_call, node);

		rh_list_remove(&call->node);
		call->control = NULL;
	}
	rh_door_close(control->door, on_door_closed, control);
}

void rh_control_reload(struct rh_control *control, struct rh_config *config)
{
	rh_config_unref(control->options.config);
	control->options.config = rh_config_ref(config);
}

void rh_control_publish(struct rh_control *control, const struct rh_store_event *event)
{
	for (struct rh_control_conn *conn = control->conns, *next = NULL; conn; conn = next) {
		next = conn->next;
		if (conn->subscribed && !conn->closing)
			rh_control_send(conn, rh_event_json(event));
	}
}
