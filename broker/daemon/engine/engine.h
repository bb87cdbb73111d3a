/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The container engine: create, start, kill, remove, rename, inspect, list, events.
 *
 * Today the Docker Engine API over its Unix socket (libcurl multi on the loop, keep-alive; version
 * negotiated from 1.41 up). The rest of the broker knows this header alone, so that another engine
 * is another file. All calls are asynchronous; callbacks run on the loop thread, never before the
 * call returns, exactly once, also when the engine closes (-ECANCELED). Responses are hostile:
 * bounded in size, depth and time. Source: Docker Engine API v1.41.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/log/log.h"
#include "runnerhub/err.h"

#define RH_ENGINE_ID_SIZE 65 /* 64 hex digits */

struct rh_engine;

struct rh_engine_bind {
	const char *source; /* on the host */
	const char *target;
	bool read_only;
	bool slave; /* what the host mounts there later appears inside */
};

struct rh_engine_spec {
	const char *name; /* container name */
	const char *hostname;
	const char *image;
	const char *const *entrypoint; /* NULL-terminated */
	const char *const *env; /* NULL-terminated */
	const char *const *labels; /* NULL-terminated key, value, key, value */
	const struct rh_engine_bind *binds;
	size_t n_binds;
	const char *network; /* the id of an engine's network, or "none" */
	const char *const *dns; /* NULL-terminated; NULL or none: the engine's own resolvers */
	double cpus;
	uint64_t memory_bytes;
	uint64_t shm_bytes;
	uint32_t pids;
	uint64_t nofile;
	uint64_t disk_bytes; /* of the writable layer; 0: no quota is asked for */
	const char *const *ulimits; /* NULL-terminated NAME=SOFT or NAME=SOFT:HARD */
	const char *const *cap_drop;
	const char *const *cap_add;
	const char *const *security; /* NULL-terminated, as the engine calls them */
	const char *const *masked_paths; /* NULL-terminated: seen as empty */
	const char *const *readonly_paths;
	const char *runtime; /* NULL: the engine's own choice */
	const char *ipc; /* NULL: a namespace of its own */
};

/* A bridge network: what is wanted of it. */
struct rh_engine_network_spec {
	const char *name;
	const char *id; /* of the one that it was so far: kept while it is there; NULL or "" */
	const char *hub; /* label runnerhub.hub: which broker's it is */
	const char *ip6; /* its IPv6 subnet; NULL or "": none */
	bool open; /* let containers reach each other */
};

/* And what it is. */
struct rh_engine_network {
	char id[RH_ENGINE_ID_SIZE];
	char bridge[16]; /* the interface (IFNAMSIZ) */
	char gateway[48]; /* the host's IPv4 address on it, or "" */
	int64_t created_ms;
	bool ours; /* made by this hub */
	bool isolated; /* a bridge, inter-container traffic off */
	bool has_ip6;
};

struct rh_engine_container {
	char id[RH_ENGINE_ID_SIZE];
	char name[128];
	char instance[33]; /* label runnerhub.instance, "" if absent or malformed */
	char profile[64]; /* label runnerhub.profile */
	char revision[17]; /* label runnerhub.revision, inspect only */
	char state[16]; /* created running paused restarting removing exited dead */
	int64_t created_ms;
	int64_t started_ms; /* inspect only */
	int64_t finished_ms; /* inspect only: when it last stopped, also if it runs again; 0: never
			      */
	pid_t pid; /* inspect only; 0 if not running */
	int exit_code;
	bool oom_killed;
	uint32_t restart_count;
};

struct rh_engine_info {
	char version[64];
	char api_version[16];
	char storage_driver[32];
	bool may_have_quota; /* that driver can limit a container's writable layer, on some file
				systems */
	char cgroup_driver[32];
	int cgroup_version;
	uint32_t n_cpus;
	uint64_t memory_bytes;
	char root_dir[4096];
	char kernel[128];
	char default_runtime[64];
	char runtimes[1024]; /* lines of "NAME PROGRAM"; "": it does not say */
};

enum rh_engine_event_kind {
	RH_ENGINE_UP, /* the event stream is (again) connected: reconcile with list() */
	RH_ENGINE_DOWN, /* it broke; the engine reconnects by itself */
	RH_ENGINE_DIED, /* a container of ours died: id, instance, exit_code */
	RH_ENGINE_OOM,
	RH_ENGINE_PAUSED,
	RH_ENGINE_DESTROYED,
};

struct rh_engine_event {
	enum rh_engine_event_kind kind;
	char id[RH_ENGINE_ID_SIZE];
	char instance[33];
	int exit_code;
};

typedef void (*rh_engine_event_fn)(void *arg, const struct rh_engine_event *event);
/* r: 0, or -ENOENT (404), -EEXIST (409), -EIO (5xx), -ETIMEDOUT, -ECONNREFUSED, -EPROTO
 * (malformed), … */
typedef void (*rh_engine_done_fn)(void *arg, int r, const struct rh_err *err);
typedef void (*rh_engine_create_fn)(void *arg, int r, const char *id, const struct rh_err *err);
typedef void (*rh_engine_list_fn)(void *arg, int r, const struct rh_engine_container *list,
	size_t n, const struct rh_err *err);
typedef void (*rh_engine_network_fn)(
	void *arg, int r, const struct rh_engine_network *network, const struct rh_err *err);
typedef void (*rh_engine_info_fn)(
	void *arg, int r, const struct rh_engine_info *info, const struct rh_err *err);

struct rh_engine_options {
	const char *socket;
	/* "runnerhub.managed=true", and more labels behind newlines; rh_containers_label_filter()
	 */
	const char *label_filter;
	uint64_t timeout_ms; /* one request */
	rh_engine_event_fn on_event;
	void *arg;
};

/* Return: 0; negative errno. Connects in the background; RH_ENGINE_UP tells. Context: loop thread.
 */
int rh_engine_start(uv_loop_t *loop, const struct rh_engine_options *options, struct rh_log *log,
	struct rh_engine **ret_engine);
void rh_engine_close(struct rh_engine *engine, void (*cb)(void *arg), void *arg);
bool rh_engine_is_up(const struct rh_engine *engine);
/* Why it is not, in a sentence for people. */
const char *rh_engine_problem(const struct rh_engine *engine);

/*
 * Calls return 0, and then call back once; or -ENOTCONN before the engine has answered for the
 * first time (its API version is not known), -ESHUTDOWN while closing, -EINVAL, -ENOMEM, and then
 * do not call back.
 */

/* @spec is borrowed for the call. -ENOENT: the image is missing, @err says what to do. */
int rh_engine_create(struct rh_engine *engine, const struct rh_engine_spec *spec,
	rh_engine_create_fn cb, void *arg);
/* -ERANGE: the host refuses the nofile limit or the quota. Create another one: it is left out from
 * now on. */
int rh_engine_start_container(
	struct rh_engine *engine, const char *id, rh_engine_done_fn cb, void *arg);
int rh_engine_kill(struct rh_engine *engine, const char *id, const char *signal,
	rh_engine_done_fn cb, void *arg);
/* Kills and removes, with anonymous volumes. A container that is gone is a success. @cb: or NULL.
 */
int rh_engine_remove(struct rh_engine *engine, const char *id, rh_engine_done_fn cb, void *arg);
int rh_engine_rename(struct rh_engine *engine, const char *id, const char *name,
	rh_engine_done_fn cb, void *arg);
int rh_engine_inspect(struct rh_engine *engine, const char *id, rh_engine_list_fn cb, void *arg);
/* All containers with the label filter, also stopped ones. */
int rh_engine_list(struct rh_engine *engine, rh_engine_list_fn cb, void *arg);
/*
 * Fetches an image from its registry, without credentials: for as long as RH_ENGINE_PULL_MS.
 * @err: what the registry, or the engine, has against it.
 */
int rh_engine_pull(struct rh_engine *engine, const char *image, rh_engine_done_fn cb, void *arg);
#define RH_ENGINE_PULL_MS 1800000

/* 0 if the image is there, -ENOENT if not. @err names it and what to do. */
int rh_engine_image(struct rh_engine *engine, const char *image, rh_engine_done_fn cb, void *arg);
/*
 * Makes the bridge network if it is missing. -EEXIST: there is one that is not as wanted.
 *
 * The engine allows several of one name, and makes them if it is asked twice at a time, as by a
 * broker that was killed and the next one: one is chosen, and the others of this hub are removed as
 * soon as nobody is on them. Use the network by its id.
 */
int rh_engine_network(struct rh_engine *engine, const struct rh_engine_network_spec *spec,
	rh_engine_network_fn cb, void *arg);
int rh_engine_info(struct rh_engine *engine, rh_engine_info_fn cb, void *arg);
/* Last lines of a container's own output (the agent's), bounded; for "why did it not start". */
int rh_engine_logs(struct rh_engine *engine, const char *id, unsigned n_lines,
	rh_engine_create_fn cb, void *arg);

/* Counters for status and metrics. */
struct rh_engine_stats {
	uint64_t n_requests;
	uint64_t n_failed;
	uint64_t n_in_flight;
};
void rh_engine_stats(const struct rh_engine *engine, struct rh_engine_stats *ret_stats);
