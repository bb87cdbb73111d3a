/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP over a Unix socket on the loop: bounded requests, kept-alive connections, one streamed body.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "runnerhub/err.h"

struct rh_http;
struct rh_http_request;

/* @body: NUL-terminated behind @size, "" without one; borrowed. @status: 0 unless @r is 0. */
typedef void (*rh_http_done_fn)(void *arg, int r, long status, const char *body, size_t size);
/* Return: false cuts the transfer, which then ends with -EPROTO. */
typedef bool (*rh_http_data_fn)(void *arg, const char *data, size_t size);

struct rh_http_options {
	const char *method;
	const char *path; /* with query, percent-encoded */
	const char *body; /* JSON, copied; NULL: none */
	uint64_t timeout_ms; /* of the whole; 0: none, for streams */
	size_t body_max; /* beyond it the request fails with -EFBIG; a stream: not yet handed on */
	/* A stream: @on_open once, when a 200 response begins, then @on_data instead of a body. */
	void (*on_open)(void *arg);
	rh_http_data_fn on_data;
	rh_http_done_fn on_done; /* exactly once, never before rh_http_send() returns */
	void *arg;
};

/* Context: loop thread, like all of this. */
int rh_http_start(uv_loop_t *loop, const char *socket_path, struct rh_http **ret_http);
/* What is under way ends with -ECANCELED, then @cb. */
void rh_http_close(struct rh_http *http, void (*cb)(void *arg), void *arg);

/**
 * rh_http_send() - begin a request
 * @ret_request: may be NULL; valid until on_done is called
 *
 * Return: 0; -ESHUTDOWN while closing; -ENOMEM; -EINVAL.
 * In on_done: 0 with any status; -ECONNREFUSED (nobody listens), -EACCES, -ETIMEDOUT, -ECONNRESET,
 * -EPROTO (not HTTP), -EFBIG, -ECANCELED.
 */
int rh_http_send(struct rh_http *http, const struct rh_http_options *options,
	struct rh_http_request **ret_request);
/* Ends it with -ECANCELED, at once; not from on_data or on_open. */
void rh_http_cancel(struct rh_http_request *request);
