/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The network helper: its loop.
 */

#include "broker/daemon/network/helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/daemon/network/dns/names.h"
#include "broker/daemon/network/flow.h"
#include "broker/daemon/network/netlink.h"
#include "broker/daemon/network/protocol.h"
#include "broker/daemon/network/table.h"
#include "broker/daemon/network/watch.h"
#include "runnerhub/clock.h"

#define DATAGRAM_MAX    RH_NETWORK_PACKET_MAX
#define AT_ONCE_MAX     64 /* messages read before somebody else has a turn */
#define TIDY_AFTER_MS   250
#define RESTORE_GAP_MS  50 /* between two restorations: others may be at it for a while */
#define RETRY_AFTER_MS  1000
#define LOOK_AFTER_MS   2000 /* where the kernel does not tell of changes */
#define FIRST_LOG_GROUP 20480 /* so that other listeners are unlikely to be there */

struct helper {
	int fd;
	int watch_fd;
	int flow_fd;
	struct rh_table table;
	struct rh_names names;
	bool spoilt; /* somebody changed it */
	int64_t restore_ms; /* not before */
	int64_t look_ms; /* when to look next, if looks are needed */
	uint8_t packet[DATAGRAM_MAX];
};

/* Whoever does not read what is told, misses it; answers wait. */
static void say(struct helper *helper, const struct rh_network_reply *reply)
{
	int flags = MSG_NOSIGNAL | (reply->kind == RH_NETWORK_FLOW ? MSG_DONTWAIT : 0);

	(void)send(helper->fd, reply, sizeof(*reply), flags);
}

static void say_state(struct helper *helper, int r, const char *text)
{
	struct rh_network_reply reply;

	rh_network_reply_init(&reply, RH_NETWORK_STATE);
	reply.r = r;
	(void)snprintf(reply.text, sizeof(reply.text), "%s", text);
	say(helper, &reply);
}

/* We change it by nft, and by a socket of our own. */
static bool is_foreign(const struct helper *helper, size_t size)
{
	const struct rh_table *table = &helper->table;

	return rh_watch_is_foreign(helper->packet, size, table->rules.table, table->firewall.own) &&
		(!table->has_elements_fd ||
			rh_watch_is_foreign(
				helper->packet, size, table->rules.table, table->own_socket));
}

/* What came while we changed it ourselves is looked at with our own name in mind. */
static void look(struct helper *helper)
{
	for (unsigned i = 0; i < AT_ONCE_MAX; i++) {
		ssize_t n = recv(helper->watch_fd, helper->packet, sizeof(helper->packet), 0);

		if (n < 0 && errno == ENOBUFS)
			helper->spoilt = true; /* something was missed */
		if (n <= 0)
			break;
		if (rh_table_needs_looks(&helper->table))
			helper->look_ms = rh_now_ms(); /* iptables may be nftables within */
		else if (helper->table.configured && is_foreign(helper, (size_t)n))
			helper->spoilt = true;
	}
}

static void restore(struct helper *helper)
{
	struct rh_err err = {0};
	bool was_in_force = helper->table.in_force;
	bool spoilt = helper->spoilt;
	int r = rh_table_restore(&helper->table, &err);

	helper->spoilt = false;
	look(helper);
	helper->restore_ms = rh_now_ms() + (r < 0 ? RETRY_AFTER_MS : RESTORE_GAP_MS);
	if (r < 0)
		say_state(helper, r, err.text);
	else if (spoilt || !was_in_force)
		say_state(helper, 0, "somebody changed the rules; they were put back");
}

static int open_ears(struct helper *helper)
{
	int r = 0;

	if (helper->watch_fd < 0)
		helper->watch_fd = rh_watch_open();
	if (helper->watch_fd < 0)
		return rh_trace(helper->watch_fd);
	if (helper->flow_fd < 0) {
		helper->table.rules.log_group = FIRST_LOG_GROUP;
		helper->flow_fd = rh_flow_open(&helper->table.rules.log_group);
		r = helper->flow_fd;
	}
	return r < 0 ? rh_trace(r) : 0;
}

/* Says the firewall, and the gateway's address: names are looked up there. */
static int configure(
	struct helper *helper, const struct rh_network_request *request, struct rh_err *err)
{
	char text[INET_ADDRSTRLEN] = "";
	int r = rh_table_configure(&helper->table, request, err);

	if (r < 0)
		return rh_trace(r);
	rh_names_update(&helper->names);
	(void)inet_ntop(AF_INET, &helper->table.rules.gateway, text, sizeof(text));
	return rh_err_set(err, 0, "%s %s", helper->table.firewall.backend->name, text);
}

static int admit(
	struct helper *helper, const struct rh_network_request *request, struct rh_err *err)
{
	struct rh_table_port *entry = NULL;
	int r = rh_table_admit(&helper->table, request, err);

	if (r < 0)
		return rh_trace(r);
	entry = rh_table_find(&helper->table, request->words[0]);
	return entry ? rh_trace(rh_names_check(&helper->names, entry->port->egress, err)) : 0;
}

static void on_refused(void *arg, const char *instance, const char *text)
{
	struct helper *helper = arg;
	struct rh_network_reply reply;

	rh_network_reply_init(&reply, RH_NETWORK_FLOW);
	(void)snprintf(reply.instance, sizeof(reply.instance), "%s", instance);
	(void)snprintf(reply.text, sizeof(reply.text), "refused %s", text);
	say(helper, &reply);
}

static int serve(
	struct helper *helper, const struct rh_network_request *request, struct rh_err *err)
{
	int r = open_ears(helper);

	if (r < 0)
		return rh_err_set(
			err, r, "the kernel's netfilter cannot be listened to: %s", strerror(-r));
	switch (request->op) {
	case RH_NETWORK_CONFIGURE:
		return rh_trace(configure(helper, request, err));
	case RH_NETWORK_ADMIT:
		return rh_trace(admit(helper, request, err));
	case RH_NETWORK_DISMISS:
		return rh_trace(rh_table_dismiss(&helper->table, request, err));
	case RH_NETWORK_OPS:
		break;
	}
	return rh_err_set(err, -EOPNOTSUPP, "an unknown request");
}

/* Return: 0; negative errno when it is over. */
static int take_request(struct helper *helper)
{
	struct rh_network_request request;
	struct rh_network_reply reply;
	struct rh_err err = {0};
	ssize_t n = recv(helper->fd, helper->packet, sizeof(helper->packet), 0);

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0 || rh_network_request_parse(helper->packet, (size_t)n, &request) < 0)
		return rh_origin(-EPIPE);
	rh_network_reply_init(&reply, RH_NETWORK_DONE);
	reply.seq = request.seq;
	reply.r = serve(helper, &request, &err);
	if (helper->watch_fd >= 0)
		look(helper); /* while we know which process it was that changed things for us */
	(void)snprintf(reply.text, sizeof(reply.text), "%s", err.text);
	say(helper, &reply);
	return 0;
}

static void tell(struct helper *helper, const struct rh_flow *flow)
{
	static const char *const words[] = {[RH_FLOW_REFUSED] = "refused",
		[RH_FLOW_SEEN] = "seen",
		[RH_FLOW_FORGED] = "forged"};
	struct rh_table_port *entry = rh_table_new_flow(&helper->table, flow);
	struct rh_network_reply reply;
	char text[RH_FLOW_TEXT_SIZE];

	if (!entry)
		return;
	rh_flow_format(flow, text);
	rh_network_reply_init(&reply, RH_NETWORK_FLOW);
	memcpy(reply.instance, entry->port->instance, sizeof(reply.instance));
	(void)snprintf(reply.text, sizeof(reply.text), "%s %s%s", words[flow->verdict], text,
		entry->n_flows == RH_TABLE_FLOWS_MAX ? " (no more will be told)" : "");
	say(helper, &reply);
}

static void take_flows(struct helper *helper)
{
	for (unsigned i = 0; i < AT_ONCE_MAX; i++) {
		ssize_t n = recv(helper->flow_fd, helper->packet, sizeof(helper->packet), 0);
		struct nlmsghdr head;
		const uint8_t *body = NULL;
		struct rh_flow flow;

		if (n <= 0)
			return; /* some were lost with ENOBUFS: there were too many */
		for (size_t at = 0;
			(body = rh_netlink_next_message(helper->packet, (size_t)n, &at, &head));) {
			if (rh_flow_parse(body, head.nlmsg_len - sizeof(head), &flow) == 0)
				tell(helper, &flow);
		}
	}
}

static int sooner(int a_ms, int b_ms)
{
	return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

static int wait_ms(const struct helper *helper)
{
	const struct rh_table *table = &helper->table;
	int64_t left = helper->restore_ms - rh_now_ms();
	int names_ms = rh_names_wait_ms(&helper->names);

	if (table->configured && (helper->spoilt || !table->in_force))
		return sooner(left > 0 ? (int)left : 0, names_ms);
	if (table->n_gone > 0)
		return sooner(TIDY_AFTER_MS, names_ms);
	left = helper->look_ms - rh_now_ms();
	if (rh_table_needs_looks(table))
		return sooner(left > 0 ? (int)left : 0, names_ms);
	return names_ms;
}

static void take_lookups(struct helper *helper)
{
	rh_names_turn(&helper->names);
	if (helper->watch_fd >= 0)
		look(helper); /* what was learned was put there by us */
}

/* Asked of the kernel by a program, which takes some milliseconds. */
static void look_closely(struct helper *helper)
{
	struct rh_err err;

	if (!rh_table_needs_looks(&helper->table) || rh_now_ms() < helper->look_ms)
		return;
	helper->look_ms = rh_now_ms() + LOOK_AFTER_MS;
	if (!rh_table_look(&helper->table))
		helper->spoilt = true;
	else if (rh_table_has_ended(&helper->table))
		(void)rh_table_restore(&helper->table, &err);
}

static void when_idle(struct helper *helper, int n_ready)
{
	struct rh_table *table = &helper->table;

	if (!table->configured)
		return;
	if (table->in_force)
		look_closely(helper);
	if (helper->spoilt || !table->in_force) {
		if (rh_now_ms() >= helper->restore_ms)
			restore(helper);
	} else if (n_ready == 0) {
		rh_table_tidy(table);
		look(helper);
	}
}

int rh_network_helper_main(void)
{
	struct helper *helper = calloc(1, sizeof(*helper));
	int r = 0;

	if (!helper)
		return EXIT_FAILURE;
	helper->fd = RH_NETWORK_HELPER_FD;
	helper->watch_fd = -1;
	helper->flow_fd = -1;
	helper->names =
		(struct rh_names){.table = &helper->table, .refused = on_refused, .arg = helper};
	(void)fcntl(helper->fd, F_SETFD, FD_CLOEXEC);
	(void)prctl(PR_SET_NAME, "rh-network");
	/* The broker's to answer; the helper ends with its socket. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	while (r == 0) {
		struct pollfd fds[] = {{.fd = helper->fd, .events = POLLIN},
			{.fd = helper->watch_fd, .events = POLLIN},
			{.fd = helper->flow_fd, .events = POLLIN},
			{.fd = rh_names_fd(&helper->names), .events = POLLIN}};
		int n = poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(helper));

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && fds[1].revents)
			look(helper);
		if (n > 0 && fds[2].revents)
			take_flows(helper);
		if (n >= 0 && (fds[3].revents || rh_names_wait_ms(&helper->names) == 0))
			take_lookups(helper);
		if (n > 0 && fds[0].revents)
			r = take_request(helper);
		if (n >= 0)
			when_idle(helper, n);
	}
	rh_close(helper->watch_fd);
	rh_close(helper->flow_fd);
	rh_names_deinit(&helper->names);
	rh_table_deinit(&helper->table);
	free(helper);
	return EXIT_SUCCESS;
}
