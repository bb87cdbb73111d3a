/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A stand-in for the Docker engine: threads that answer HTTP requests on a Unix socket from a
 * table, with whatever bytes the test wants.
 */

#include <stdbool.h>
#include <stddef.h>

enum fake_then {
	FAKE_KEEP, /* the connection lives on */
	FAKE_CLOSE, /* it is closed behind the bytes */
	FAKE_HANG, /* nothing more comes, it stays open */
};

struct fake_route {
	const char *prefix; /* "GET /version"; a NULL ends the table */
	const char *bytes; /* the whole response; "Content-Length: ?" is filled in */
	enum fake_then then;
	unsigned n_times; /* used so often, then passed over; 0: always */
};

struct fake_docker;

/* @routes is borrowed; the first that matches answers, and 404 where none does. */
struct fake_docker *fake_docker_start(const char *path, const struct fake_route *routes);
void fake_docker_stop(struct fake_docker *fake);
/* How many requests began with @prefix. */
unsigned fake_docker_count(struct fake_docker *fake, const char *prefix);
/* Copies the last request that began with @prefix, whole; false if there was none. */
bool fake_docker_last(struct fake_docker *fake, const char *prefix, char *buf, size_t size);
/* Cuts every connection that is open. */
void fake_docker_cut(struct fake_docker *fake);
