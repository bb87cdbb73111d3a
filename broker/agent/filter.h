/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What no process of a job may ask the kernel for, on top of the engine's own filter.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RH_FILTER_MAX 256

struct rh_filter {
	struct sock_filter code[RH_FILTER_MAX];
	size_t n;
};

/**
 * rh_filter_build() - compile the rules
 * @agent:      its pid as the job sees it; nobody changes its limits and priorities
 * @namespaces: whether new namespaces may be made (the profile has granted SYS_ADMIN)
 */
void rh_filter_build(struct rh_filter *filter, pid_t agent, bool namespaces);

/**
 * rh_filter_install() - filter this thread and whatever it starts, for ever
 *
 * Sets no_new_privs, without which an unprivileged process may not do so.
 * Return: 0; negative errno. Source: seccomp(2).
 */
int rh_filter_install(const struct rh_filter *filter);
