/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Answers to calls: data, or an error with a code and a sentence; and events for subscribers.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/daemon/control/call.h"

static struct json_object *answer(const struct rh_call *call, bool ok)
{
	struct json_object *object = json_object_new_object();

	(void)json_object_object_add(object, "id", json_object_get(call->id));
	(void)json_object_object_add(object, "ok", json_object_new_boolean(ok));
	return object;
}

void rh_call_reply(struct rh_call *call, struct json_object *data)
{
	if (call->conn) {
		struct json_object *object = answer(call, true);

		(void)json_object_object_add(object, "data", data);
		rh_control_send(call->conn, object);
	} else {
		(void)json_object_put(data);
	}
	rh_call_free(call);
}

void rh_call_fail(struct rh_call *call, const char *code, const char *fmt, ...)
{
	if (call->conn) {
		struct json_object *object = answer(call, false);
		struct json_object *error = json_object_new_object();
		char text[512];
		va_list ap;

		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		(void)json_object_object_add(error, "code", json_object_new_string(code));
		(void)json_object_object_add(error, "message", json_object_new_string(text));
		(void)json_object_object_add(object, "error", error);
		rh_control_send(call->conn, object);
	}
	rh_call_free(call);
}

void rh_call_fail_errno(struct rh_call *call, int r, const char *what)
{
	switch (r) {
	case -EINVAL:
		rh_call_fail(call, "bad-request", "%s: an argument is wrong", what);
		break;
	case -ENOENT:
		rh_call_fail(call, "not-found", "%s: there is none", what);
		break;
	case -EEXIST:
		rh_call_fail(
			call, "bad-request", "%s: more than one begins so; give more digits", what);
		break;
	case -ENOBUFS:
		rh_call_fail(call, "busy", "%s: too much is queued; try again", what);
		break;
	default:
		rh_call_fail(call, "internal", "%s: %s", what, strerror(-r));
	}
}

static struct json_object *id_json(const struct rh_id *id)
{
	char text[RH_ID_TEXT_SIZE];

	if (rh_id_is_null(id))
		return NULL;
	rh_id_format(id, text);
	return json_object_new_string(text);
}

struct json_object *rh_event_json(const struct rh_store_event *event)
{
	struct json_object *line = json_object_new_object();
	struct json_object *body = json_object_new_object();
	const char *message = event->message ? event->message : "";

	(void)json_object_object_add(body, "timeMs", json_object_new_int64(event->time_ms));
	(void)json_object_object_add(body, "kind", json_object_new_string(event->kind));
	(void)json_object_object_add(body, "message", json_object_new_string(message));
	(void)json_object_object_add(body, "job", id_json(&event->job));
	(void)json_object_object_add(body, "container", id_json(&event->container));
	(void)json_object_object_add(line, "event", body);
	return line;
}
