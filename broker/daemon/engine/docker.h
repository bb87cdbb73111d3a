/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes of the Docker Engine API: what we write, and what we read from it. Pure functions, so
 * that they can be fuzzed; JSON becomes our structures here and nowhere else.
 *
 * Readers return -EPROTO for what is malformed, and -ENOMEM. Source: Docker Engine API v1.41.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/daemon/engine/engine.h"

/* API versions: what we ask for at least and at most, as minor numbers behind "1.". */
#define RH_DOCKER_API_OLDEST 41
#define RH_DOCKER_API_NEWEST 47

#define RH_DOCKER_LINE_MAX 65536u /* one event */

#define RH_DOCKER_E_OTHER 1 /* well-formed, but nothing for us */

/* Requests: JSON text, freed by the caller; NULL if out of memory. */
/* Without the disk quota if not @quota. */
char *rh_docker_write_create(const struct rh_engine_spec *spec, uint64_t nofile_max, bool quota);
char *rh_docker_write_network(const struct rh_engine_network_spec *spec);
/* The "filters" of list and events: labels separated by newlines. */
char *rh_docker_write_filters(const char *labels, bool events);
/* And of a list of networks, which lets names through that contain this one. */
char *rh_docker_write_name_filter(const char *name);
/* Appends @text percent-encoded (RFC 3986, unreserved kept). Return: 0; -ENAMETOOLONG. */
int rh_docker_encode(char *buf, size_t size, const char *text);

/* Responses: @data need not be NUL-terminated. */
int rh_docker_read_error(const char *data, size_t size, char *buf, size_t buf_size);
/* @ret_minor: the API version to talk. -EPROTONOSUPPORT: too old, or only newer than we know. */
int rh_docker_read_version(const char *data, size_t size, unsigned *ret_minor);
int rh_docker_read_created(const char *data, size_t size, char ret_id[RH_ENGINE_ID_SIZE]);
int rh_docker_read_list(
	const char *data, size_t size, struct rh_engine_container **ret_list, size_t *ret_n);
int rh_docker_read_inspect(
	const char *data, size_t size, struct rh_engine_container *ret_container);
/* What a pull has said. Return: 0; -EIO with the engine's words: it failed. */
int rh_docker_read_pull(const char *data, size_t size, char *buf, size_t buf_size);
int rh_docker_read_info(const char *data, size_t size, struct rh_engine_info *ret_info);
/* Those called @name; ours are those of @hub. @ret_list: freed by the caller. */
int rh_docker_read_networks(const char *data, size_t size, const char *name, const char *hub,
	struct rh_engine_network **ret_list, size_t *ret_n);
/* @ret_time_ns: when it happened, the engine's clock. Return: 0; RH_DOCKER_E_OTHER. */
int rh_docker_read_event(
	const char *data, size_t size, struct rh_engine_event *ret_event, int64_t *ret_time_ns);

/**
 * rh_docker_read_logs() - the text of a multiplexed log stream
 * @buf: NUL-terminated on return; the end is kept if it is too small
 *
 * Control characters other than newline become spaces. Frames that are cut short are ended.
 */
void rh_docker_read_logs(const char *data, size_t size, char *buf, size_t buf_size);

/* Splits a stream into lines. */
struct rh_docker_lines {
	char *buf;
	size_t size;
};

/**
 * rh_docker_lines_feed() - take in any piece of the stream
 * @fn: called for each whole line, without its newline; empty lines are left out
 *
 * Return: 0; -EPROTO for a line beyond RH_DOCKER_LINE_MAX; -ENOMEM.
 */
int rh_docker_lines_feed(struct rh_docker_lines *lines, const char *data, size_t size,
	void (*fn)(void *arg, const char *line, size_t size), void *arg);
void rh_docker_lines_deinit(struct rh_docker_lines *lines);
