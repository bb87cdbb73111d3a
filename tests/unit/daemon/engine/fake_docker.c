/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stand-in for the Docker engine, a thread for each connection.
 */

#include "fake_docker.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"

#define CONNECTIONS_MAX 64
#define REQUESTS_MAX    512
#define REQUEST_SIZE    16384
#define ROUTES_MAX      64

static const char not_found[] = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
				"Content-Length: 22\r\n\r\n{\"message\":\"no route\"}";

struct fake_docker {
	const struct fake_route *routes;
	unsigned used[ROUTES_MAX];
	int listen_fd;
	pthread_mutex_t lock;
	pthread_t acceptor;
	pthread_t threads[CONNECTIONS_MAX];
	int fds[CONNECTIONS_MAX];
	unsigned n_threads;
	char *requests[REQUESTS_MAX];
	unsigned n_requests;
	bool stopping;
};

struct connection {
	struct fake_docker *fake;
	unsigned index;
};

/* Reads one request with its body; false at the end of the connection. */
static bool read_request(int fd, char *buf, size_t size)
{
	size_t n = 0;
	size_t wanted = 0;

	while (wanted == 0 || n < wanted) {
		ssize_t r = recv(fd, buf + n, size - 1 - n, 0);

		if (r <= 0)
			return false;
		n += (size_t)r;
		buf[n] = '\0';

		char *end = strstr(buf, "\r\n\r\n");
		char *length = strcasestr(buf, "content-length:");

		if (end && wanted == 0) {
			wanted = (size_t)(end - buf) + 4;
			if (length && length < end)
				wanted += strtoul(length + 15, NULL, 10);
		}
		if (wanted >= size)
			return false;
	}
	return true;
}

static const struct fake_route *match(struct fake_docker *fake, const char *request)
{
	const struct fake_route *found = NULL;

	(void)pthread_mutex_lock(&fake->lock);
	if (fake->n_requests < REQUESTS_MAX)
		fake->requests[fake->n_requests++] = strdup(request);
	for (unsigned i = 0; !found && fake->routes[i].prefix; i++) {
		const struct fake_route *route = &fake->routes[i];

		if (strncmp(request, route->prefix, strlen(route->prefix)) != 0 ||
			(route->n_times > 0 && fake->used[i] >= route->n_times))
			continue;
		fake->used[i]++;
		found = route;
	}
	(void)pthread_mutex_unlock(&fake->lock);
	return found;
}

/* Sends a response; "Content-Length: ?" is filled in. */
static bool respond(int fd, const char *bytes)
{
	static const char unknown[] = "Content-Length: ?";
	const char *at = strstr(bytes, unknown);
	char length[64] = "";
	ssize_t r = 0;

	if (at) {
		const char *rest = at + strlen(unknown);

		(void)snprintf(length, sizeof(length), "Content-Length: %zu",
			strlen(strstr(bytes, "\r\n\r\n") + 4));
		r = send(fd, bytes, (size_t)(at - bytes), MSG_NOSIGNAL);
		if (r >= 0)
			r = send(fd, length, strlen(length), MSG_NOSIGNAL);
		bytes = rest;
	}
	if (r >= 0)
		r = send(fd, bytes, strlen(bytes), MSG_NOSIGNAL);
	return r >= 0;
}

static void *serve(void *arg)
{
	struct connection *connection = arg;
	struct fake_docker *fake = connection->fake;
	int fd = fake->fds[connection->index];
	char *request = malloc(REQUEST_SIZE);

	while (request && read_request(fd, request, REQUEST_SIZE)) {
		const struct fake_route *route = match(fake, request);
		const char *bytes = route ? route->bytes : not_found;

		if (!respond(fd, bytes))
			break;
		if (route && route->then == FAKE_CLOSE)
			break;
		if (route && route->then == FAKE_HANG)
			(void)recv(fd, request, 1, 0);
	}
	(void)shutdown(fd, SHUT_RDWR);
	free(request);
	free(connection);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct fake_docker *fake = arg;

	for (;;) {
		int fd = accept(fake->listen_fd, NULL, NULL);
		struct connection *connection = calloc(1, sizeof(*connection));

		(void)pthread_mutex_lock(&fake->lock);
		if (fd < 0 || fake->stopping || !connection || fake->n_threads == CONNECTIONS_MAX) {
			(void)pthread_mutex_unlock(&fake->lock);
			rh_close(fd);
			free(connection);
			return NULL;
		}
		connection->fake = fake;
		connection->index = fake->n_threads;
		fake->fds[fake->n_threads] = fd;
		if (pthread_create(&fake->threads[fake->n_threads], NULL, serve, connection) == 0)
			fake->n_threads++;
		(void)pthread_mutex_unlock(&fake->lock);
	}
}

struct fake_docker *fake_docker_start(const char *path, const struct fake_route *routes)
{
	struct fake_docker *fake = calloc(1, sizeof(*fake));

	if (!fake)
		abort();
	fake->routes = routes;
	(void)pthread_mutex_init(&fake->lock, NULL);
	fake->listen_fd = rh_unix_listen(path, SOCK_STREAM, 0600, 64);
	if (fake->listen_fd < 0 || pthread_create(&fake->acceptor, NULL, accept_all, fake) != 0)
		abort();
	return fake;
}

void fake_docker_cut(struct fake_docker *fake)
{
	(void)pthread_mutex_lock(&fake->lock);
	for (unsigned i = 0; i < fake->n_threads; i++)
		(void)shutdown(fake->fds[i], SHUT_RDWR);
	(void)pthread_mutex_unlock(&fake->lock);
}

void fake_docker_stop(struct fake_docker *fake)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->stopping = true;
	(void)pthread_mutex_unlock(&fake->lock);
	(void)shutdown(fake->listen_fd, SHUT_RDWR);
	(void)pthread_join(fake->acceptor, NULL);
	fake_docker_cut(fake);
	for (unsigned i = 0; i < fake->n_threads; i++) {
		(void)pthread_join(fake->threads[i], NULL);
		rh_close(fake->fds[i]);
	}
	for (unsigned i = 0; i < fake->n_requests; i++)
		free(fake->requests[i]);
	rh_close(fake->listen_fd);
	(void)pthread_mutex_destroy(&fake->lock);
	free(fake);
}

unsigned fake_docker_count(struct fake_docker *fake, const char *prefix)
{
	unsigned n = 0;

	(void)pthread_mutex_lock(&fake->lock);
	for (unsigned i = 0; i < fake->n_requests; i++)
		n += strncmp(fake->requests[i], prefix, strlen(prefix)) == 0;
	(void)pthread_mutex_unlock(&fake->lock);
	return n;
}

bool fake_docker_last(struct fake_docker *fake, const char *prefix, char *buf, size_t size)
{
	bool found = false;

	(void)pthread_mutex_lock(&fake->lock);
	for (unsigned i = fake->n_requests; !found && i > 0; i--) {
		const char *request = fake->requests[i - 1];

		found = strncmp(request, prefix, strlen(prefix)) == 0;
		if (found)
			(void)snprintf(buf, size, "%s", request);
	}
	(void)pthread_mutex_unlock(&fake->lock);
	return found;
}
