/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The network helper: a process of its own, since it visits network namespaces, runs nft and writes
 * files, none of which the event loop may wait for.
 *
 * It does what is asked on its socket, one request after the other; between them it watches the
 * tables and puts them back when somebody else changed them, and tells what was refused. It ends
 * with its socket. The rules stay in force without it.
 */

#define RH_NETWORK_HELPER_FD     3
#define RH_NETWORK_HELPER_OPTION "--network-helper"

/* Return: exit status. Context: a fresh process, single-threaded. */
int rh_network_helper_main(void);
