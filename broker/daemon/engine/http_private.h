/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP's own parts: what http.c (requests) and http_loop.c (libcurl on libuv) share.
 */

#include <curl/curl.h>

#include "broker/daemon/engine/http.h"
#include "runnerhub/list.h"

struct rh_http {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	struct curl_slist *headers_json; /* of requests with a body */
	struct curl_slist *headers_none;
	struct rh_list requests;
	struct rh_list ready; /* streams with something to tell */
	unsigned n_handles; /* open libuv handles: the timer, each watcher */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
	char *socket_path;
};

struct rh_http_request {
	struct rh_list node;
	struct rh_list ready_node;
	struct rh_http *http;
	CURL *easy;
	struct rh_http_options options; /* pointers to texts are not kept */
	char *body;
	size_t size;
	int abort_r; /* why a callback cut the transfer */
	bool opened; /* a stream's response has begun */
	bool told; /* and on_open was called */
};

/* Reads all of libcurl's completion messages. Owed after each report to it. */
void rh_http_read_messages(struct rh_http *http);
/* Ends what is under way with -ECANCELED. */
void rh_http_abort_all(struct rh_http *http);
