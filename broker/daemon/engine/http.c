/* SPDX-License-Identifier: Apache-2.0 */

/*
 * HTTP requests: what libcurl is told about each, what it hands back, and how one ends.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/http_private.h"
#include "runnerhub/cleanup.h"

#define HTTP_CONNECT_TIMEOUT_MS 5000
#define HTTP_URL_MAX            16384
#define HTTP_BUFFER_SIZE        16384L

static void request_free(struct rh_http_request *request)
{
	rh_list_remove(&request->node);
	rh_list_remove(&request->ready_node);
	if (request->easy) {
		(void)curl_multi_remove_handle(request->http->multi, request->easy);
		curl_easy_cleanup(request->easy);
	}
	free(request->body);
	free(request);
}

static void request_end(struct rh_http_request *request, int r)
{
	assert(request); /* lists are looked at before they are taken from */

	struct rh_http_options options = request->options;
	_cleanup_(rh_freep) char *body = rh_steal(&request->body);
	size_t size = request->size;
	long status = 0;

	if (r == 0)
		(void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	request_free(request);
	options.on_done(options.arg, r, status, body ? body : "", body ? size : 0);
}

/* libcurl's codes become ours here and nowhere else. */
static int translate(const struct rh_http_request *request, CURLcode code)
{
	long os_errno = 0;

	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
		return os_errno == EACCES || os_errno == EPERM ? -EACCES : -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return -ECONNRESET;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_WRITE_ERROR:
	case CURLE_ABORTED_BY_CALLBACK:
		return request->abort_r < 0 ? request->abort_r : -EPROTO;
	default:
		return -EPROTO;
	}
}

/* A stream's owner may send and close, but libcurl forbids that inside its own callbacks. */
static void tell_streams(struct rh_http *http)
{
	while (!http->closing && !rh_list_is_empty(&http->ready)) {
		struct rh_http_request *request =
			rh_list_first(&http->ready, struct rh_http_request, ready_node);
		_cleanup_(rh_freep) char *data = rh_steal(&request->body);
		size_t size = request->size;

		rh_list_remove(&request->ready_node);
		request->size = 0;
		if (!request->told) {
			request->told = true;
			request->options.on_open(request->options.arg);
		}
		if (size > 0 && !request->options.on_data(request->options.arg, data, size))
			request_end(request, rh_origin(-EPROTO));
	}
}

void rh_http_read_messages(struct rh_http *http)
{
	tell_streams(http);
	CURLMsg *message = NULL;
	int n_left = 0;

	while (!http->closing && (message = curl_multi_info_read(http->multi, &n_left))) {
		struct rh_http_request *request = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		request_end(request, rh_trace(translate(request, code)));
	}
}

void rh_http_abort_all(struct rh_http *http)
{
	while (!rh_list_is_empty(&http->requests))
		request_end(
			rh_list_first(&http->requests, struct rh_http_request, node), -ECANCELED);
}

static void mark_ready(struct rh_http_request *request)
{
	if (request->opened && rh_list_is_empty(&request->ready_node))
		rh_list_append(&request->http->ready, &request->ready_node);
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
	struct rh_http_request *request = arg;

	if (size > request->options.body_max - request->size) {
		request->abort_r = rh_origin(-EFBIG);
		return 0;
	}

	char *body = realloc(request->body, request->size + size + 1);

	if (!body) {
		request->abort_r = rh_origin(-ENOMEM);
		return 0;
	}
	memcpy(body + request->size, data, size);
	request->body = body;
	request->size += size;
	body[request->size] = '\0';
	mark_ready(request);
	return size;
}

/* Called for each header line; the empty one ends them. */
static size_t on_header(char *data, size_t one, size_t size, void *arg)
{
	struct rh_http_request *request = arg;
	long status = 0;

	(void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	if (size == 2 && data[0] == '\r' && status == 200) {
		request->opened = true;
		mark_ready(request);
	}
	return size;
}

#define SET(request, option, value)                                               \
	do {                                                                      \
		if (curl_easy_setopt((request)->easy, option, value) != CURLE_OK) \
			return rh_origin(-ENOMEM);                                \
	} while (0)

static int set_options(struct rh_http_request *request, const struct rh_http_options *options)
{
	struct rh_http *http = request->http;
	char url[HTTP_URL_MAX];
	int n = snprintf(url, sizeof(url), "http://engine%s", options->path);

	if (n < 0 || (size_t)n >= sizeof(url))
		return rh_origin(-EINVAL);
	SET(request, CURLOPT_URL, url);
	SET(request, CURLOPT_UNIX_SOCKET_PATH, http->socket_path);
	SET(request, CURLOPT_PROTOCOLS_STR, "http");
	SET(request, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(request, CURLOPT_PROXY, ""); /* whatever the environment says */
	SET(request, CURLOPT_NOSIGNAL, 1L);
	SET(request, CURLOPT_FOLLOWLOCATION, 0L);
	SET(request, CURLOPT_BUFFERSIZE, HTTP_BUFFER_SIZE);
	SET(request, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
	SET(request, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	SET(request, CURLOPT_PRIVATE, request);
	SET(request, CURLOPT_WRITEFUNCTION, on_body);
	SET(request, CURLOPT_WRITEDATA, request);
	if (options->on_open) {
		SET(request, CURLOPT_HEADERFUNCTION, on_header);
		SET(request, CURLOPT_HEADERDATA, request);
	}
	if (strcmp(options->method, "POST") == 0) {
		/* An empty body must be said, or libcurl reads one from stdin. */
		const char *body = options->body ? options->body : "";

		SET(request, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		SET(request, CURLOPT_COPYPOSTFIELDS, body);
	} else if (strcmp(options->method, "GET") != 0) {
		SET(request, CURLOPT_CUSTOMREQUEST, options->method);
	}
	SET(request, CURLOPT_HTTPHEADER, options->body ? http->headers_json : http->headers_none);
	return 0;
}

int rh_http_send(struct rh_http *http, const struct rh_http_options *options,
	struct rh_http_request **ret_request)
{
	struct rh_http_request *request = NULL;
	int r = 0;

	if (http->closing)
		return rh_origin(-ESHUTDOWN);
	request = calloc(1, sizeof(*request));
	if (!request)
		return rh_origin(-ENOMEM);
	rh_list_init(&request->node);
	rh_list_init(&request->ready_node);
	request->http = http;
	request->options = *options;
	request->options.method = NULL;
	request->options.path = NULL;
	request->options.body = NULL;
	request->easy = curl_easy_init();
	r = request->easy ? set_options(request, options) : -ENOMEM;
	if (r == 0 && curl_multi_add_handle(http->multi, request->easy) != CURLM_OK)
		r = rh_origin(-ENOMEM);
	if (r < 0) {
		request_free(request);
		return rh_trace(r);
	}
	rh_list_append(&http->requests, &request->node);
	if (ret_request)
		*ret_request = request;
	return 0;
}

void rh_http_cancel(struct rh_http_request *request)
{
	request_end(request, -ECANCELED);
}
