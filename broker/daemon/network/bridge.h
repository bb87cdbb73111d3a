/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bridge as an interface of the host.
 */

#include <netinet/in.h>

/* Its first IPv4 address, which is the containers' gateway; 0: none. Context: any thread. */
struct in_addr rh_bridge_address(const char *name);
