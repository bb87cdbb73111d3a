/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Frames at a container's port of the bridge: putting the filter there.
 *
 * tc's "ingress" stands before the bridge; its filter "bpf" takes the verdict of the program as it
 * is (Linux 4.4).
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/network/frames.h"
#include "broker/daemon/network/netlink.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/weaken.h"

#define INGRESS    TC_H_MAKE(TC_H_INGRESS, 0)
#define PRIORITY   1
#define BR_NF_CALL "/proc/sys/net/bridge/bridge-nf-call-"

static int add_ingress(int fd, uint32_t index)
{
	struct tcmsg head = {.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)index,
		.tcm_handle = INGRESS,
		.tcm_parent = TC_H_INGRESS};
	struct rh_netlink_request request;
	int r = 0;

	rh_netlink_begin(
		&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &head, sizeof(head));
	rh_netlink_put(&request, TCA_KIND, "ingress", sizeof("ingress"));
	r = rh_netlink_ask(fd, &request, NULL, NULL);
	return r == -EEXIST ? 0 : rh_trace(r);
}

static int add_filter(int fd, const struct rh_rules_port *port)
{
	struct tcmsg head = {.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)port->index,
		.tcm_handle = 1,
		.tcm_parent = INGRESS,
		.tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL))};
	struct sock_filter steps[RH_FRAMES_STEPS_MAX];
	uint16_t n = (uint16_t)rh_frames_program(port, steps);
	uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
	struct rh_netlink_request options;
	struct rh_netlink_request request;

	/* Attributes within an attribute: written as a message of their own, without its head. */
	options.size = 0;
	rh_netlink_put(&options, TCA_BPF_OPS_LEN, &n, sizeof(n));
	rh_netlink_put(&options, TCA_BPF_OPS, steps, n * sizeof(steps[0]));
	rh_netlink_put(&options, TCA_BPF_FLAGS, &flags, sizeof(flags));
	rh_netlink_begin(&request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head,
		sizeof(head));
	rh_netlink_put(&request, TCA_KIND, "bpf", sizeof("bpf"));
	rh_netlink_put(&request, TCA_OPTIONS | NLA_F_NESTED, options.bytes, options.size);
	return rh_trace(rh_netlink_ask(fd, &request, NULL, NULL));
}

static bool find(const struct rh_netlink_attribute *in, uint16_t type,
	struct rh_netlink_attribute *ret_found)
{
	for (size_t at = 0; rh_netlink_next_attribute(in->data, in->size, &at, ret_found);) {
		if (ret_found->type == type)
			return true;
	}
	return false;
}

static void on_link(void *arg, uint16_t type, const uint8_t *data, size_t size)
{
	bool *isolated = arg;
	struct rh_netlink_attribute all = {0};
	struct rh_netlink_attribute info, port, flag;

	if (type != RTM_NEWLINK || size < NLMSG_ALIGN(sizeof(struct ifinfomsg)))
		return;
	all.data = data + NLMSG_ALIGN(sizeof(struct ifinfomsg));
	all.size = size - NLMSG_ALIGN(sizeof(struct ifinfomsg));
	*isolated = find(&all, IFLA_LINKINFO, &info) && find(&info, IFLA_INFO_SLAVE_DATA, &port) &&
		find(&port, IFLA_BRPORT_ISOLATED, &flag) && flag.size == 1 && flag.data[0] == 1;
}

static int is_isolated(int fd, uint32_t index, bool *ret_isolated)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
	struct rh_netlink_request request;

	*ret_isolated = false;
	rh_netlink_begin(&request, RTM_GETLINK, NLM_F_ACK, &head, sizeof(head));
	return rh_trace(rh_netlink_ask(fd, &request, on_link, ret_isolated));
}

static bool is_set(const char *path)
{
	_cleanup_(rh_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && text[0] == '1';
}

static int check_apart(int fd, uint32_t index, struct rh_err *err)
{
	bool isolated = false;
	int r = is_isolated(fd, index, &isolated);

	if (r < 0)
		return rh_err_set(err, r, "the port cannot be asked for: %s", strerror(-r));
	if (isolated || rh_weakened("network-neighbour") ||
		(is_set(BR_NF_CALL "iptables") && is_set(BR_NF_CALL "ip6tables")))
		return 0;
	return rh_err_set(err, -EOPNOTSUPP,
		"the bridge does not isolate its ports (Linux 4.18) and iptables does not see what "
		"it forwards: load br_netfilter");
}

int rh_frames_guard(const struct rh_rules_port *port, struct rh_err *err)
{
	_cleanup_(rh_closep) int fd = rh_netlink_open(NETLINK_ROUTE, 0);
	int r = fd < 0 ? fd : 0;

	if (rh_weakened("network-source"))
		return r < 0 ? rh_trace(r) : rh_trace(check_apart(fd, port->index, err));
	if (r == 0)
		r = add_ingress(fd, port->index);
	if (r == 0)
		r = add_filter(fd, port);
	if (r < 0)
		return rh_err_set(err, r,
			"its port takes no filter (kernel options NET_SCH_INGRESS, NET_CLS_BPF): "
			"%s",
			strerror(-r));
	return rh_trace(check_apart(fd, port->index, err));
}
