/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The network helper's process and its socket.
 *
 * It is our own program, started with uv_spawn(): that forks, once at start-up and then only after
 * a helper died.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/daemon/network/helper.h"
#include "broker/daemon/network/network_private.h"
#include "broker/daemon/network/protocol.h"
#include "runnerhub/cleanup.h"

#define DEADLINE_MS    15000
#define START_AGAIN_MS 500
#define READS_AT_ONCE  64

static void on_handle_closed(uv_handle_t *handle)
{
	struct rh_network_link *link = handle->data;
	struct rh_network *network = link->network;

	if (--link->n_handles > 0)
		return;
	free(link);
	network->n_links--;
	rh_network_on_link_closed(network);
}

/* Its process ends with its socket; if not, by force. */
void rh_network_link_close(struct rh_network_link *link, bool kill_it)
{
	if (link->fd < 0)
		return;
	(void)uv_poll_stop(&link->poll);
	uv_close((uv_handle_t *)&link->poll, on_handle_closed);
	rh_close(link->fd);
	link->fd = -1;
	if (kill_it && uv_is_active((uv_handle_t *)&link->process))
		(void)uv_process_kill(&link->process, SIGKILL);
}

static void on_start_again(uv_timer_t *timer)
{
	rh_network_link_start(timer->data);
}

static void helper_lost(struct rh_network *network, const char *why)
{
	struct rh_network_link *link = rh_steal(&network->link);

	if (link)
		rh_network_link_close(link, true);
	if (network->closing)
		return;
	network->configured = false;
	rh_network_fail_all(network, -EPIPE, why);
	rh_network_set_state(network, -EPIPE, why);
	(void)uv_timer_start(&network->timer, on_start_again, START_AGAIN_MS, 0);
}

static void on_deadline(uv_timer_t *timer)
{
	helper_lost(timer->data, "the network helper did not answer in time");
}

static void take_flow(struct rh_network *network, struct rh_network_reply *reply)
{
	char kind[32];
	char *blank = strchr(reply->text, ' ');

	if (!blank || !network->options.on_flow || network->closing)
		return;
	*blank = '\0';
	(void)snprintf(kind, sizeof(kind), "network.%.20s", reply->text);
	network->options.on_flow(network->options.arg, reply->instance, kind, blank + 1);
}

static void take_reply(struct rh_network *network, struct rh_network_reply *reply)
{
	struct rh_err err;

	switch (reply->kind) {
	case RH_NETWORK_FLOW:
		take_flow(network, reply);
		break;
	case RH_NETWORK_STATE:
		if (reply->r == 0)
			rh_log_warning(network->options.log, "network rules restored",
				RH_STR("network", network->name), RH_STR("reason", reply->text));
		rh_network_set_state(network, reply->r, reply->text);
		break;
	case RH_NETWORK_DONE:
		if (!network->busy || reply->seq != network->head->seq)
			break; /* nobody waits for it any more */
		(void)rh_err_set(&err, reply->r, "%s", reply->text);
		rh_network_answer(network, reply->r, &err);
		rh_network_pump(network);
		break;
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct rh_network_link *link = poll->data;
	struct rh_network *network = link->network;
	struct rh_network_reply reply;
	uint8_t data[sizeof(reply) + 1];

	for (unsigned i = 0; i < READS_AT_ONCE && network->link == link; i++) {
		ssize_t n = recv(link->fd, data, sizeof(data), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || rh_network_reply_parse(data, (size_t)n, &reply) < 0) {
			helper_lost(network, "the network helper went away");
			return;
		}
		take_reply(network, &reply);
	}
}

void rh_network_pump(struct rh_network *network)
{
	struct rh_network_pending *pending = network->head;

	if (!pending || network->busy || !network->link ||
		(!network->configured && !pending->configures))
		return;
	network->busy = true;
	if (!network->closing)
		(void)uv_timer_start(&network->timer, on_deadline, DEADLINE_MS, 0);
	/* One at a time: the socket's buffer is empty. A failure is the helper's end, which is seen
	 * when it is read from. */
	(void)send(network->link->fd, pending->packet, pending->size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
	struct rh_network_link *link = process->data;
	struct rh_network *network = link->network;

	uv_close((uv_handle_t *)process, on_handle_closed);
	if (network->link == link)
		helper_lost(network, "the network helper died");
}

static int spawn(struct rh_network_link *link, const char *program, int fd)
{
	char *args[] = {(char[]){"rh-network"}, (char[]){RH_NETWORK_HELPER_OPTION}, NULL};
	uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
		{.flags = UV_INHERIT_FD, .data.fd = fd}};
	uv_process_options_t options = {.exit_cb = on_ended,
		.file = program ? program : "/proc/self/exe",
		.args = args,
		.stdio = stdio,
		.stdio_count = sizeof(stdio) / sizeof(stdio[0])};
	uv_loop_t *loop = link->network->options.loop;
	int r = uv_poll_init(loop, &link->poll, link->fd);

	if (r < 0)
		return rh_trace(r);
	link->poll.data = link;
	link->process.data = link;
	link->n_handles = 2;
	r = uv_spawn(loop, &link->process, &options);
	if (r == 0)
		return rh_trace(uv_poll_start(&link->poll, UV_READABLE, on_readable));
	/* The handle is there all the same, and must be closed. */
	uv_close((uv_handle_t *)&link->process, on_handle_closed);
	return rh_trace(r);
}

void rh_network_link_start(struct rh_network *network)
{
	struct rh_network_link *link = calloc(1, sizeof(*link));
	int fds[2] = {-1, -1};
	int r = link ? 0 : -ENOMEM;

	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		r = -errno;
	if (r < 0) {
		free(link);
		helper_lost(network, "the network helper cannot be started");
		return;
	}
	link->network = network;
	link->fd = fds[0];
	r = spawn(link, network->options.program, fds[1]);
	rh_close(fds[1]);
	if (link->n_handles == 0) {
		rh_close(link->fd);
		free(link);
	} else {
		network->n_links++;
		network->link = link;
	}
	if (r < 0)
		helper_lost(network, "the network helper cannot be started");
	else
		rh_network_pump(network);
}
