/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Elements of nftables sets in our inet table, by netlink: an answer is not to wait for a program
 * to start. Context: the network helper.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Return: a descriptor; negative errno. @ret_id: what the kernel calls its owner. */
int rh_elements_open(pid_t *ret_id);

/**
 * rh_elements_put() - one that ends after @timeout_ms, whatever one like it said
 * Return: 0; -ENOENT: no such table or set; -ENFILE: the set is full; negative errno.
 */
int rh_elements_put(int fd, const char *table, const char *set, const uint8_t *key, size_t size,
	uint64_t timeout_ms);
/* Return: 0, also if there is none; negative errno. */
int rh_elements_remove(int fd, const char *table, const char *set, const uint8_t *key, size_t size);
/* @fn: of each that has time left. Return: 0; negative errno. */
int rh_elements_list(int fd, const char *table, const char *set,
	void (*fn)(void *arg, const uint8_t *key, size_t size, uint64_t left_ms), void *arg);
