/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the engine's own process may do: its limits bound those of the containers it starts.
 */

#include <stdint.h>

/* Hard "Max open files" in the text of /proc/pid/limits; UINT64_MAX for unlimited or none there. */
uint64_t rh_docker_parse_nofile(const char *limits);
/**
 * rh_docker_nofile_max() - the largest descriptor limit that the engine's process can give
 * @socket: of the engine; the listener's process is the kernel's word (SO_PEERCRED)
 *
 * Only a bound: a service manager may have made the socket. Context: loop thread, does not block.
 * Return: UINT64_MAX if it cannot be told.
 */
uint64_t rh_docker_nofile_max(const char *socket);
