/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A container's port of the bridge: finding it.
 *
 * In the container's network namespace the interface says its addresses and the index of its other
 * end; out here that other end must be a port of the bridge.
 */

#include "broker/daemon/network/port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/daemon/config/strv.h"
#include "broker/daemon/network/netlink.h"
#include "runnerhub/weaken.h"

#define LINKS_MAX 8 /* a container has one beside lo */

struct link {
	uint32_t index;
	uint32_t peer; /* the other end's index, out here */
	uint32_t master;
	uint8_t mac[6];
	char name[IF_NAMESIZE];
};

struct links {
	struct link at[LINKS_MAX];
	size_t n;
};

struct rh_rules_port *rh_port_new(const char *instance)
{
	struct rh_rules_port *port = calloc(1, sizeof(*port));

	if (port)
		(void)snprintf(port->instance, sizeof(port->instance), "%s", instance);
	return port;
}

void rh_port_free(struct rh_rules_port *port)
{
	if (port) {
		rh_strv_free(port->egress);
		rh_strv_free(port->dns);
		free(port->learned);
	}
	free(port);
}

static void on_link(void *arg, uint16_t type, const uint8_t *data, size_t size)
{
	struct links *links = arg;
	struct rh_netlink_attribute attribute;
	struct ifinfomsg head;
	struct link link = {0};

	if (type != RTM_NEWLINK || size < sizeof(head) || links->n == LINKS_MAX)
		return;
	memcpy(&head, data, sizeof(head));
	if (head.ifi_flags & IFF_LOOPBACK)
		return;
	link.index = (uint32_t)head.ifi_index;
	for (size_t at = NLMSG_ALIGN(sizeof(head));
		rh_netlink_next_attribute(data, size, &at, &attribute);) {
		if (attribute.type == IFLA_LINK)
			(void)rh_netlink_u32(&attribute, &link.peer);
		else if (attribute.type == IFLA_MASTER)
			(void)rh_netlink_u32(&attribute, &link.master);
		else if (attribute.type == IFLA_ADDRESS && attribute.size == sizeof(link.mac))
			memcpy(link.mac, attribute.data, sizeof(link.mac));
		else if (attribute.type == IFLA_IFNAME && attribute.size <= sizeof(link.name))
			(void)snprintf(link.name, sizeof(link.name), "%.*s", (int)attribute.size,
				(const char *)attribute.data);
	}
	links->at[links->n++] = link;
}

struct addresses {
	struct rh_rules_port *port;
	uint32_t index; /* of the interface that is asked about */
};

static void on_address(void *arg, uint16_t type, const uint8_t *data, size_t size)
{
	struct addresses *wanted = arg;
	struct rh_netlink_attribute attribute;
	struct ifaddrmsg head;

	if (type != RTM_NEWADDR || size < sizeof(head))
		return;
	memcpy(&head, data, sizeof(head));
	if (head.ifa_index != wanted->index)
		return;
	for (size_t at = NLMSG_ALIGN(sizeof(head));
		rh_netlink_next_attribute(data, size, &at, &attribute);) {
		struct in6_addr *ip6 = head.ifa_scope == RT_SCOPE_LINK ? &wanted->port->link_local
								       : &wanted->port->ip6;

		if (head.ifa_family == AF_INET && attribute.type == IFA_LOCAL &&
			attribute.size == sizeof(wanted->port->ip4))
			memcpy(&wanted->port->ip4, attribute.data, attribute.size);
		else if (head.ifa_family == AF_INET6 && attribute.type == IFA_ADDRESS &&
			attribute.size == sizeof(*ip6))
			memcpy(ip6, attribute.data, attribute.size);
	}
}

/* All links of this network namespace, or the one with @index. */
static int list_links(int fd, uint32_t index, struct links *ret_links)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
	struct rh_netlink_request request;

	*ret_links = (struct links){0};
	rh_netlink_begin(
		&request, RTM_GETLINK, index ? NLM_F_ACK : NLM_F_DUMP, &head, sizeof(head));
	return rh_trace(rh_netlink_ask(fd, &request, on_link, ret_links));
}

static int list_addresses(int fd, uint32_t index, struct rh_rules_port *port)
{
	struct ifaddrmsg head = {.ifa_family = AF_UNSPEC};
	struct addresses wanted = {.port = port, .index = index};
	struct rh_netlink_request request;

	rh_netlink_begin(&request, RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head));
	return rh_trace(rh_netlink_ask(fd, &request, on_address, &wanted));
}

/* A socket keeps the namespace that it was made in. */
static int open_inside(pid_t pid)
{
	char path[64];
	_cleanup_(rh_closep) int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_(rh_closep) int there = -1;
	int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		return rh_origin(-errno);
	fd = rh_netlink_open(NETLINK_ROUTE, 0);
	/* In a foreign namespace nothing of ours would be right. */
	if (setns(here, CLONE_NEWNET) < 0)
		abort();
	return rh_trace(fd);
}

/* The one of @inside whose other end is a port of the bridge; @ret_port: that end. */
static int match(int fd, const struct links *inside, uint32_t bridge, struct link *ret_inside,
	struct link *ret_port)
{
	for (size_t i = 0; i < inside->n; i++) {
		struct links outside;

		if (inside->at[i].peer == 0)
			continue;
		if (list_links(fd, inside->at[i].peer, &outside) == 0 && outside.n == 1 &&
			outside.at[0].master == bridge &&
			outside.at[0].peer == inside->at[i].index) {
			*ret_inside = inside->at[i];
			*ret_port = outside.at[0];
			return 0;
		}
	}
	return rh_origin(-ENODEV);
}

/* Linux 4.18; the rules do it too, so its absence is none. */
static void isolate(int fd, uint32_t index)
{
	struct ifinfomsg head = {.ifi_family = AF_BRIDGE, .ifi_index = (int)index};
	struct {
		struct nlattr head;
		uint8_t on;
		uint8_t padding[3];
	} isolated = {{sizeof(struct nlattr) + 1, IFLA_BRPORT_ISOLATED}, 1, {0}};
	struct rh_netlink_request request;

	if (rh_weakened("network-neighbour"))
		return;
	rh_netlink_begin(&request, RTM_SETLINK, NLM_F_ACK, &head, sizeof(head));
	rh_netlink_put(&request, IFLA_PROTINFO | NLA_F_NESTED, &isolated, sizeof(isolated));
	(void)rh_netlink_ask(fd, &request, NULL, NULL);
}

/*
 * Neighbour advertisements of containers are dropped, since nft cannot say which address one may
 * speak for; so the host is told here. Return: 0; negative errno.
 */
static int tell_neighbour(int fd, uint32_t bridge, const struct rh_rules_port *port)
{
	const struct in6_addr *addresses[] = {&port->ip6, &port->link_local};
	struct ndmsg head = {
		.ndm_family = AF_INET6, .ndm_ifindex = (int)bridge, .ndm_state = NUD_PERMANENT};
	struct rh_netlink_request request;
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0; i++) {
		if (IN6_IS_ADDR_UNSPECIFIED(addresses[i]))
			continue;
		rh_netlink_begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK,
			&head, sizeof(head));
		rh_netlink_put(&request, NDA_DST, addresses[i], sizeof(*addresses[i]));
		rh_netlink_put(&request, NDA_LLADDR, port->mac, sizeof(port->mac));
		r = rh_netlink_ask(fd, &request, NULL, NULL);
	}
	return rh_trace(r);
}

/* The kernel makes it when the link comes up, which may be later: RFC 4291, appendix A. */
static void expect_link_local(struct rh_rules_port *port)
{
	const uint8_t *m = port->mac;
	const uint8_t bytes[16] = {
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};

	if (IN6_IS_ADDR_UNSPECIFIED(&port->link_local) && !IN6_IS_ADDR_UNSPECIFIED(&port->ip6))
		memcpy(&port->link_local, bytes, sizeof(bytes));
}

static int find(int fd, int inside_fd, struct rh_rules_port *port, uint32_t bridge)
{
	struct links links;
	struct link inside = {0};
	struct link outside = {0};
	int r = list_links(inside_fd, 0, &links);

	if (r == 0)
		r = match(fd, &links, bridge, &inside, &outside);
	if (r == 0)
		r = list_addresses(inside_fd, inside.index, port);
	if (r < 0)
		return rh_trace(r);
	if (!rh_rules_is_interface(outside.name) || port->ip4.s_addr == 0)
		return rh_origin(-ENODEV);
	memcpy(port->name, outside.name, sizeof(port->name));
	memcpy(port->mac, inside.mac, sizeof(port->mac));
	port->index = outside.index;
	expect_link_local(port);
	isolate(fd, outside.index);
	return rh_trace(tell_neighbour(fd, bridge, port));
}

int rh_port_find(struct rh_rules_port *port, pid_t pid, const char *bridge, struct rh_err *err)
{
	_cleanup_(rh_closep) int fd = rh_netlink_open(NETLINK_ROUTE, 0);
	_cleanup_(rh_closep) int inside_fd = open_inside(pid);
	uint32_t bridge_index = if_nametoindex(bridge);
	int r = 0;

	if (bridge_index == 0)
		return rh_err_set(err, -ENODEV, "there is no bridge %s", bridge);
	if (fd < 0 || inside_fd < 0)
		return rh_err_set(err, fd < 0 ? fd : inside_fd,
			"its network namespace cannot be looked at: %s",
			strerror(fd < 0 ? -fd : -inside_fd));
	r = find(fd, inside_fd, port, bridge_index);
	return r < 0 ? rh_err_set(err, r, "its port of the bridge %s cannot be found: %s", bridge,
			       strerror(-r))
		     : 0;
}
