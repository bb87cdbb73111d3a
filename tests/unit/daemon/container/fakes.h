/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What containers stand on, as stand-ins: an engine whose containers are child processes that act
 * as agents, a mounter that only makes and deletes directories, a store that remembers states. They
 * replace the real ones by having their names. Callbacks come from the loop's later turns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "broker/daemon/engine/engine.h"
#include "broker/daemon/store/store.h"

#define FAKE_CONTAINERS_MAX 64
#define FAKE_RECORDS_MAX    256

/* How the next agents behave. */
enum fake_agent_mode {
	FAKE_AGENT_GOOD,
	FAKE_AGENT_SILENT, /* never listens */
	FAKE_AGENT_DIES, /* ends at once with status 3 */
	FAKE_AGENT_GARBAGE, /* answers HELLO with nonsense */
	FAKE_AGENT_REFUSES, /* no lease */
	FAKE_AGENT_BREAKS, /* closes the connection when it gets a lease, once */
	FAKE_AGENT_LEASED, /* says at once that it is */
	FAKE_AGENT_INVENTS, /* reports the end of a step that nobody began */
	FAKE_AGENT_REPEATS, /* reports the end of a step a thousand times */
};

struct fake_container {
	bool exists;
	char id[RH_ENGINE_ID_SIZE];
	char name[128];
	char instance[33];
	char profile[64];
	char revision[17];
	char socket_dir[4096];
	char image[256];
	char network[64];
	pid_t pid; /* 0: does not run */
	int exit_code;
	int64_t created_ms;
	int64_t started_ms;
	int64_t finished_ms;
	uint32_t restart_count;
	bool paused;
};

struct fake_record {
	char instance[33];
	char states[128]; /* all that were stored: "creating warm leased" */
	struct rh_store_container last;
	char profile[64];
	char engine_id[RH_ENGINE_ID_SIZE];
};

struct fakes {
	uv_loop_t *loop;
	enum fake_agent_mode mode;
	bool engine_down;
	int create_r; /* not 0: creates fail with it, and create_why */
	const char *create_why;
	int start_r;
	int remove_r;
	int list_r;
	unsigned n_trees_lost; /* so many deletions of a directory end with their helper */
	int network_r;
	unsigned n_networks_lost; /* as often, a start finds it gone until it is looked for */
	bool network_is_gone;
	int pull_r;
	int attach_r;
	bool slots; /* an old kernel */
	size_t n_binds; /* of the last container made */
	int store_r;
	bool start_is_slow; /* its answer never comes before the agent's */
	bool list_is_slow; /* the same */
	unsigned n_creates, n_removes, n_attaches, n_renames, n_inspects, n_logs, n_lists, n_pulls;
	unsigned n_at_once, n_at_once_max; /* creates under way */
	struct fake_container containers[FAKE_CONTAINERS_MAX];
	struct fake_record records[FAKE_RECORDS_MAX];
	unsigned n_records;
	unsigned n_pending; /* callbacks that are due */
};

extern struct fakes fakes;

void fakes_start(uv_loop_t *loop);
/* Kills what runs. */
void fakes_stop(void);
/* A new one that has no name yet. The argument of the real functions that take it. */
struct rh_engine *fakes_engine(void);
struct rh_mounter *fakes_mounter(void);
struct rh_store *fakes_store(void);
unsigned fakes_n_containers(void);
struct fake_container *fakes_find(const char *instance);
/* Ends a container's process and reaps it. */
void fakes_kill(struct fake_container *container);
const char *fakes_states(const char *instance);
/* Makes a running container that this broker has not made. */
struct fake_container *fakes_plant(
	const char *parent_dir, const char *profile, const char *revision);

void fakes_remove_tree(const char *path);

/* fake_agent.c: runs in the child and does not return. */
_Noreturn void fake_agent_run(const char *socket_path, enum fake_agent_mode mode);
