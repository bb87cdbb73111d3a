/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The service manager's notification protocol. Source: sd_notify(3), "Notes".
 */

/* Sends "READY=1" and the like to $NOTIFY_SOCKET; without one, nothing. Never blocks. */
void rh_notify(const char *state);
