/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request on control.sock: parsed, dispatched, answered once.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/daemon/control/control.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/list.h"

RH_DEFINE_CLEANUP(struct json_object *, json_object_put);

struct rh_control_conn;

struct rh_call {
	struct rh_list node; /* the control's calls */
	struct rh_control *control; /* NULL once it is closed: whatever comes is dropped */
	struct rh_control_conn *conn; /* NULL once the peer has gone */
	struct json_object *id; /* as given, echoed */
	struct json_object *args; /* an object */
	const char *op; /* points into @request */
	struct json_object *request;
	bool is_root;
};

enum rh_op_class { RH_OP_VIEW, RH_OP_OPERATE, RH_OP_OWN };

struct rh_op {
	const char *name;
	enum rh_op_class class;
	const char *help;
	void (*run)(struct rh_call *call);
};

/**
 * rh_call_parse() - from one line
 * @line: without its newline
 *
 * Pure. On success @ret_call has id, op and args set. Return: 0; -EINVAL with @err.
 */
int rh_call_parse(const char *line, size_t size, struct rh_call *ret_call, struct rh_err *err);
void rh_call_deinit(struct rh_call *call);

/* Answer and free. @data is consumed. */
void rh_call_reply(struct rh_call *call, struct json_object *data);
/* @code: a word of "bad-request not-found forbidden busy unavailable internal". */
_printf_(3, 4) void rh_call_fail(struct rh_call *call, const char *code, const char *fmt, ...);
/* From a negative errno. */
void rh_call_fail_errno(struct rh_call *call, int r, const char *what);

/* server.c, for answers: takes the call off its connection; sends one object as a line, consumed.
 */
void rh_call_free(struct rh_call *call);
void rh_control_send(struct rh_control_conn *conn, struct json_object *object);

/* answer.c: one line of a subscription, the caller's. */
struct json_object *rh_event_json(const struct rh_store_event *event);

/* Makes the call's connection a subscriber. */
void rh_call_subscribe(struct rh_call *call);

/* The operations, terminated by a NULL name. */
extern const struct rh_op rh_ops[];
const struct rh_control_options *rh_control_options(const struct rh_control *control);
