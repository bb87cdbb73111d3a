/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Frames at a container's port of the bridge, where the firewall does not judge them: a filter at
 * the port itself lets in what the container may say of itself, before the bridge sees it. No
 * program is needed for it, and it goes with the port.
 */

#include <linux/filter.h>

#include "broker/daemon/network/rules.h"
#include "runnerhub/err.h"

#define RH_FRAMES_STEPS_MAX 80

/* Verdicts (linux/pkt_cls.h). */
#define RH_FRAMES_PASS 0
#define RH_FRAMES_DROP 2

/**
 * rh_frames_program() - the filter, as classic BPF that sees a frame from its Ethernet header on
 *
 * Passes IPv4, ARP and IPv6 with the port's own MAC address and IP addresses; drops what says who
 * the router or a neighbour is (RFC 4861), also behind further headers, and all other protocols.
 * Return: number of steps. Pure.
 */
size_t rh_frames_program(
	const struct rh_rules_port *port, struct sock_filter steps[RH_FRAMES_STEPS_MAX]);

/**
 * rh_frames_guard() - puts it in front of the port, or replaces it
 *
 * Also checks that nothing passes from port to port: by the bridge itself (Linux 4.18), or because
 * the firewall sees bridged packets.
 * Return: 0; negative errno with @err. Context: the network helper.
 */
int rh_frames_guard(const struct rh_rules_port *port, struct rh_err *err);
