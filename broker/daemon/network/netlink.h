/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Netlink messages: walking them, asking, listening. Walkers are pure and trust no length.
 */

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rh_netlink_attribute {
	uint16_t type; /* without its flags */
	const uint8_t *data;
	size_t size;
};

/**
 * rh_netlink_next_message() - the next message of a datagram
 * @at: 0 at first; moved behind it
 * Return: NULL at the end, or where a length leads out. Not aligned in general: copy what is read.
 */
const uint8_t *rh_netlink_next_message(
	const uint8_t *data, size_t size, size_t *at, struct nlmsghdr *ret_head);
/* The next attribute, likewise. Return: false at the end, or where a length leads out. */
bool rh_netlink_next_attribute(
	const uint8_t *data, size_t size, size_t *at, struct rh_netlink_attribute *ret_attribute);
/* Numbers as they stand there. Return: false if the size is not that of the number. */
bool rh_netlink_u32(const struct rh_netlink_attribute *attribute, uint32_t *ret_number);

/* A request being written. */
struct rh_netlink_request {
	size_t size;
	_Alignas(struct nlmsghdr) uint8_t bytes[1024];
};

/* Begins it with a message head and @n bytes behind. */
void rh_netlink_begin(struct rh_netlink_request *request, uint16_t type, uint16_t flags,
	const void *head, size_t n);
/* @data must fit: requests are small and ours. */
void rh_netlink_put(
	struct rh_netlink_request *request, uint16_t type, const void *data, size_t size);

/**
 * rh_netlink_ask() - send a request and hand each answer to @fn
 * @fn: NULL for requests that are only acknowledged; its messages' bodies begin at @data
 * Context: the network helper (blocks, 2 s at most). Return: 0; negative errno.
 */
int rh_netlink_ask(int fd, struct rh_netlink_request *request,
	void (*fn)(void *arg, uint16_t type, const uint8_t *data, size_t size), void *arg);
/* @groups: of the socket's address. Return: a descriptor; negative errno. */
int rh_netlink_open(int protocol, uint32_t groups);
