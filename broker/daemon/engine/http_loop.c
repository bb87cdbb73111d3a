/* SPDX-License-Identifier: Apache-2.0 */

/*
 * HTTP on the loop: libcurl's multi interface driven by libuv.
 *
 * libcurl asks for two things: one timer, and one watcher for each descriptor it uses. After every
 * report to it (socket or timer) all its completion messages are read. Closing: a last turn of the
 * timer ends the requests and frees the multi handle; when the timer and the last watcher are
 * closed the owner is told.
 */

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/http_private.h"
#include "runnerhub/cleanup.h"

#define HTTP_IDLE_CONNECTIONS 4L

struct watcher {
	uv_poll_t poll;
	struct rh_http *http;
	curl_socket_t fd;
};

static void handle_closed(struct rh_http *http)
{
	if (--http->n_handles > 0)
		return;

	void (*closed)(void *arg) = http->closed;
	void *arg = http->closed_arg;

	curl_slist_free_all(http->headers_json);
	curl_slist_free_all(http->headers_none);
	curl_global_cleanup();
	free(http->socket_path);
	free(http);
	if (closed)
		closed(arg);
}

static void on_watcher_closed(uv_handle_t *handle)
{
	struct watcher *watcher = rh_list_entry(handle, struct watcher, poll);
	struct rh_http *http = watcher->http;

	free(watcher);
	handle_closed(http);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watcher *watcher = rh_list_entry(poll, struct watcher, poll);
	struct rh_http *http = watcher->http;
	int flags = 0;
	int n_running = 0;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	if (http->closing)
		return;
	/* The watcher may be gone after this. */
	(void)curl_multi_socket_action(http->multi, watcher->fd, flags, &n_running);
	rh_http_read_messages(http);
}

static struct watcher *watcher_new(struct rh_http *http, curl_socket_t fd)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher)
		return NULL;
	watcher->http = http;
	watcher->fd = fd;
	if (uv_poll_init_socket(http->loop, &watcher->poll, fd) < 0) {
		free(watcher);
		return NULL;
	}
	http->n_handles++;
	(void)curl_multi_assign(http->multi, fd, watcher);
	return watcher;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct rh_http *http = arg;
	struct watcher *watcher = socket_arg;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (watcher) {
			(void)uv_poll_stop(&watcher->poll);
			uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
			(void)curl_multi_assign(http->multi, fd, NULL);
		}
		return 0;
	}
	if (!watcher)
		watcher = watcher_new(http, fd);
	if (!watcher)
		return -1;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&watcher->poll, events, on_poll) < 0 ? -1 : 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_closed(rh_list_entry(handle, struct rh_http, timer));
}

static void on_close_turn(uv_timer_t *timer)
{
	struct rh_http *http = rh_list_entry(timer, struct rh_http, timer);

	rh_http_abort_all(http);
	(void)curl_multi_cleanup(http->multi); /* closes the watchers that are left */
	uv_close((uv_handle_t *)&http->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *timer)
{
	struct rh_http *http = rh_list_entry(timer, struct rh_http, timer);
	int n_running = 0;

	(void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
	rh_http_read_messages(http);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct rh_http *http = arg;

	if (http->closing)
		return 0;
	if (timeout_ms < 0)
		return uv_timer_stop(&http->timer) < 0 ? -1 : 0;
	return uv_timer_start(&http->timer, on_timer, timeout_ms ? (uint64_t)timeout_ms : 1, 0) < 0
		? -1
		: 0;
}

/* The constant header lists: no waiting for "100 Continue", JSON where there is a body. */
static int make_headers(struct rh_http *http)
{
	struct curl_slist *more = NULL;

	http->headers_none = curl_slist_append(NULL, "Expect:");
	http->headers_json = curl_slist_append(NULL, "Content-Type: application/json");
	more = http->headers_json ? curl_slist_append(http->headers_json, "Expect:") : NULL;
	return http->headers_none && more ? 0 : rh_origin(-ENOMEM);
}

int rh_http_start(uv_loop_t *loop, const char *socket_path, struct rh_http **ret_http)
{
	struct rh_http *http = calloc(1, sizeof(*http));
	int r = -ENOMEM;

	if (!http)
		return rh_origin(-ENOMEM);
	http->loop = loop;
	rh_list_init(&http->requests);
	rh_list_init(&http->ready);
	http->socket_path = strdup(socket_path);
	if (!http->socket_path)
		goto free_http;
	/* Plain HTTP needs no TLS library to be set up. */
	if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
		goto free_http;
	http->multi = curl_multi_init();
	if (!http->multi || make_headers(http) < 0)
		goto free_curl;
	(void)curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	(void)curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	(void)curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	(void)curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	(void)curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, HTTP_IDLE_CONNECTIONS);
	r = uv_timer_init(loop, &http->timer);
	if (r < 0)
		goto free_curl;
	http->n_handles = 1;
	*ret_http = http;
	return 0;

free_curl:
	(void)curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers_json);
	curl_slist_free_all(http->headers_none);
	curl_global_cleanup();
free_http:
	free(http->socket_path);
	free(http);
	return rh_origin(r);
}

void rh_http_close(struct rh_http *http, void (*cb)(void *arg), void *arg)
{
	if (http->closing)
		return;
	http->closing = true;
	http->closed = cb;
	http->closed_arg = arg;
	if (uv_timer_start(&http->timer, on_close_turn, 0, 0) < 0)
		on_close_turn(&http->timer);
}
