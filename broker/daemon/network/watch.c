/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Watching our tables.
 */

#include "broker/daemon/network/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "broker/daemon/network/netlink.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

/* Tables, chains, rules, sets and elements all say their table in their first attribute. */
#define TABLE_ATTRIBUTE NFTA_TABLE_NAME

#define IS_ALIKE(attribute) ((int)(attribute) == (int)TABLE_ATTRIBUTE)

_Static_assert(IS_ALIKE(NFTA_CHAIN_TABLE) && IS_ALIKE(NFTA_RULE_TABLE) &&
		IS_ALIKE(NFTA_SET_TABLE) && IS_ALIKE(NFTA_SET_ELEM_LIST_TABLE),
	"the kernel numbers them alike");

static bool names_table(const uint8_t *body, size_t size, const char *table)
{
	struct rh_netlink_attribute attribute;
	size_t n = strlen(table);

	for (size_t at = NLMSG_ALIGN(sizeof(struct nfgenmsg));
		rh_netlink_next_attribute(body, size, &at, &attribute);) {
		if (attribute.type == TABLE_ATTRIBUTE)
			return attribute.size >= n && memcmp(attribute.data, table, n) == 0 &&
				(attribute.size == n || attribute.data[n] == '\0');
	}
	return false;
}

bool rh_watch_is_foreign(const uint8_t *data, size_t size, const char *table, pid_t own)
{
	struct nlmsghdr head;
	const uint8_t *body = NULL;

	for (size_t at = 0; (body = rh_netlink_next_message(data, size, &at, &head));) {
		uint16_t type = head.nlmsg_type & 0xff;

		if (head.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || type == NFT_MSG_NEWGEN)
			continue;
		/* nft's socket is named as its process is, or this is a change too many. */
		if (head.nlmsg_pid != (uint32_t)own &&
			names_table(body, head.nlmsg_len - sizeof(head), table))
			return true;
	}
	return false;
}

int rh_watch_open(void)
{
	_cleanup_(rh_closep) int fd =
		rh_netlink_open(NETLINK_NETFILTER, 1U << (NFNLGRP_NFTABLES - 1));

	if (fd < 0)
		return rh_trace(fd);
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? rh_origin(-errno) : rh_steal_fd(&fd);
}
