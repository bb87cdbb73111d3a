/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent's event loop: epoll, level-triggered, one event a turn, so that a handler may close
 * and free anything without a stale event being left for it.
 */

#include <stdbool.h>
#include <stdint.h>

struct rh_source {
	void (*on_event)(void *arg, uint32_t events);
	void *arg;
};

struct rh_loop {
	int epoll_fd;
	bool stopping;
};

/* Return: 0; negative errno. */
int rh_loop_init(struct rh_loop *loop);
void rh_loop_deinit(struct rh_loop *loop);

/**
 * rh_loop_add() - watch a descriptor
 * @events: EPOLLIN and the like; 0 watches for hang-up and error
 * @source: borrowed; must live until the descriptor is removed
 *
 * Return: 0; negative errno. Source: epoll_ctl(2).
 */
int rh_loop_add(struct rh_loop *loop, int fd, uint32_t events, struct rh_source *source);
int rh_loop_change(struct rh_loop *loop, int fd, uint32_t events, struct rh_source *source);
/* Before the descriptor is closed: a copy of it elsewhere would keep its events coming. */
void rh_loop_remove(struct rh_loop *loop, int fd);

/* Runs until rh_loop_stop(). Return: 0; negative errno if epoll itself fails. */
int rh_loop_run(struct rh_loop *loop);
void rh_loop_stop(struct rh_loop *loop);
