/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The link to the broker. Steps do not depend on it. Anything unexpected closes it: the broker
 * connects again and is told the whole state.
 */

#include "broker/agent/link.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "runnerhub/block.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

void rh_link_close(struct rh_link *link)
{
	if (link->fd < 0)
		return;
	rh_loop_remove(link->loop, link->fd);
	rh_close(rh_steal_fd(&link->fd));
}

static int send_reports(struct rh_link *link)
{
	const struct rh_wire_step_report *report = NULL;

	while ((report = rh_reports_next(link->reports))) {
		int r = rh_wire_send(
			link->fd, RH_WIRE_STEP_ENDED, report, sizeof(*report), NULL, 0);

		if (r < 0)
			return rh_trace(r);
		rh_reports_sent(link->reports);
	}
	return 0;
}

void rh_link_flush(struct rh_link *link)
{
	if (link->fd < 0 || !link->greeted)
		return;

	int r = send_reports(link);
	bool is_full = r == -EAGAIN;

	if (is_full)
		r = 0;
	if (r == 0 && is_full != link->is_full)
		r = rh_loop_change(link->loop, link->fd, is_full ? EPOLLIN | EPOLLOUT : EPOLLIN,
			&link->source);
	link->is_full = is_full;
	if (r < 0)
		rh_link_close(link);
}

static int send_state(struct rh_link *link, enum rh_wire_type type)
{
	struct rh_wire_state state = {
		.flags = link->lease->taken ? RH_WIRE_STATE_LEASED : 0,
		.n_steps = link->steps->n,
		.job = link->lease->job,
		.last_step = link->steps->last_id,
	};

	return rh_trace(rh_wire_send(link->fd, type, &state, sizeof(state), NULL, 0));
}

static int on_hello(struct rh_link *link, struct rh_wire_msg *msg)
{
	int r = send_state(link, RH_WIRE_STATE);

	if (r < 0)
		return rh_trace(r);
	link->greeted = true;
	rh_reports_rewind(link->reports);
	rh_link_flush(link);
	return 0;
}

static int refuse(struct rh_link *link, const char *text)
{
	return rh_trace(rh_wire_send(link->fd, RH_WIRE_REFUSED, text, strlen(text), NULL, 0));
}

static int on_lease(struct rh_link *link, struct rh_wire_msg *msg)
{
	const struct rh_wire_lease *body = rh_wire_body(msg, sizeof(*body));

	if (!body)
		return rh_origin(-EPROTO);

	const char *image_home = rh_env_get(link->steps->image->environ, "HOME");

	switch (rh_lease_take(link->lease, link->root_fd, image_home, body)) {
	case 0:
		return rh_trace(send_state(link, RH_WIRE_LEASED));
	case RH_LEASE_E_OTHER:
		return rh_trace(refuse(link, "this container already has a job"));
	default:
		return rh_trace(refuse(link, "the lease names no job, or no valid user"));
	}
}

static int on_step(struct rh_link *link, struct rh_wire_msg *msg)
{
	return rh_trace(rh_steps_accept(link->steps, msg));
}

static int on_ack(struct rh_link *link, struct rh_wire_msg *msg)
{
	const struct rh_wire_step_ref *body = rh_wire_body(msg, sizeof(*body));

	if (!body)
		return rh_origin(-EPROTO);
	rh_reports_ack(link->reports, body);
	return 0;
}

static int on_step_kill(struct rh_link *link, struct rh_wire_msg *msg)
{
	struct rh_wire_step_ref ref;

	if (msg->body_size < sizeof(ref))
		return rh_origin(-EPROTO);
	memcpy(&ref, msg->body, sizeof(ref));
	/* Received bodies are terminated. */
	if (rh_lease_is(link->lease, &ref.job))
		rh_steps_kill(link->steps, ref.step, (const char *)msg->body + sizeof(ref));
	return 0;
}

static int dispatch(struct rh_link *link, struct rh_wire_msg *msg)
{
	static const struct {
		enum rh_wire_type type;
		int (*handle)(struct rh_link *link, struct rh_wire_msg *msg);
	} rows[] = {
		{RH_WIRE_HELLO, on_hello},
		{RH_WIRE_LEASE, on_lease},
		{RH_WIRE_STEP, on_step},
		{RH_WIRE_STEP_ACK, on_ack},
		{RH_WIRE_STEP_KILL, on_step_kill},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].type == msg->type)
			return rh_trace(rows[i].handle(link, msg));
	}
	return 0; /* of a newer broker: not for us */
}

static void on_link(void *arg, uint32_t events)
{
	struct rh_link *link = arg;
	struct rh_wire_msg msg;

	if (events & EPOLLOUT)
		rh_link_flush(link);
	if (link->fd < 0 || !(events & ~(uint32_t)EPOLLOUT))
		return;

	int r = rh_wire_recv(link->fd, &msg);

	if (r == RH_WIRE_E_AGAIN)
		return;
	if (r == 0) {
		r = dispatch(link, &msg);
		rh_wire_msg_close_fds(&msg);
	}
	if (r != 0)
		rh_link_close(link);
}

void rh_link_take(struct rh_link *link, int fd)
{
	rh_link_close(link);
	link->fd = fd;
	link->greeted = false;
	link->is_full = false;
	link->source = (struct rh_source){.on_event = on_link, .arg = link};
	if (rh_loop_add(link->loop, fd, EPOLLIN, &link->source) < 0)
		rh_close(rh_steal_fd(&link->fd));
}
