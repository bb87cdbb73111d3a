/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers' own parts: the objects, and what the files of this folder do for each other.
 *
 * A container's memory is counted: its place in the table, each call under way and each open
 * handle hold a reference. Callbacks that come after the container was let go (closing) find
 * "detached" set and only drop theirs.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/container/container.h"
#include "broker/daemon/container/link.h"
#include "broker/daemon/pool/pool.h"
#include "runnerhub/list.h"

#define RH_CONTAINER_N_STATES  6
#define RH_CONTAINER_N_BUCKETS 1024u

/* Whose a container is. */
enum rh_custody {
	RH_CUSTODY_POOL, /* nobody's yet: in creation or idle */
	RH_CUSTODY_REQUEST, /* promised; the request's callback is due */
	RH_CUSTODY_OWNER, /* handed out, until its owner's discard */
	RH_CUSTODY_NONE, /* given back, or never to be handed out */
};

/* How far its removal has come. */
enum rh_removal {
	RH_REMOVAL_NONE,
	RH_REMOVAL_STORING, /* that it is stopping */
	RH_REMOVAL_WAITING, /* for a slot, the engine, its own creation, or the retry timer */
	RH_REMOVAL_ENGINE,
	RH_REMOVAL_TREE,
	RH_REMOVAL_RECORD, /* storing that it is removed */
};

struct rh_container_pool {
	struct rh_list node; /* rh_containers.pools */
	char *name;
	const struct rh_profile *profile; /* NULL: no longer configured */
	char revision[17];
	struct rh_list idle; /* oldest first */
	struct rh_list waiting; /* requests without a container */
	struct rh_list announcements;
	uint32_t n_idle, n_waiting, n_announced;
	uint32_t n_coming; /* warm, but not offered yet: their record is being stored */
	uint32_t n_by_state[RH_CONTAINER_N_STATES];
	uint32_t n_refused; /* creations in a row that ended for what the next one may do without */
	struct rh_pool_backoff backoff;
	struct rh_containers *all; /* while pulling */
	bool pulling; /* its image is being fetched */
	bool pulled; /* it was, by this broker and for this configuration */
	int64_t pulled_ms;
	char problem[sizeof(((struct rh_err *)0)->text)]; /* "": none */
};

struct rh_container_request {
	struct rh_list node; /* pool's waiting, or rh_containers.due */
	struct rh_containers *all;
	struct rh_container_pool *pool;
	rh_container_acquired_fn cb;
	void *arg;
	int64_t began_ms;
	unsigned n_failures;
	struct rh_container *container; /* promised */
	bool cold;
	int r;
	struct rh_err err;
};

/* A lease under way: the store and the mounts at once, then the agent. */
struct rh_container_lease_call {
	rh_container_leased_fn cb; /* NULL: none under way */
	void *arg;
	unsigned n_waiting;
	bool sent; /* to the agent */
	bool over; /* the callback is due */
	uid_t uid; /* of the steps */
	gid_t gid;
	int r;
	struct rh_err err;
	struct rh_mount_result result;
};

/* Somebody waits until it is gone. */
struct rh_container_waiter {
	struct rh_list node;
	void (*cb)(void *arg);
	void *arg;
};

struct rh_container {
	struct rh_list node; /* rh_containers.list */
	struct rh_list idle_node;
	struct rh_list removal_node; /* rh_containers.removals */
	struct rh_container *next_in_bucket;
	struct rh_containers *all;
	struct rh_container_pool *pool;
	struct rh_config *config; /* its profile's */
	const struct rh_profile *profile;
	struct rh_profile *own_profile; /* of an adopted one whose profile is gone */
	unsigned n_refs;

	struct rh_id instance;
	char instance_text[RH_ID_TEXT_SIZE];
	char engine_id[RH_ENGINE_ID_SIZE]; /* "": not known */
	char name[128];
	char revision[17];
	char *dir;
	char *socket_path;
	int64_t created_ms;

	enum rh_container_state state;
	enum rh_custody custody;
	enum rh_removal removal;
	struct rh_container_request *request; /* that it is promised to */
	bool detached;
	bool coming; /* counted in its pool */
	bool adopting; /* not yet counted as settled */
	bool fresh; /* by its agent's word; the engine is asked when it is there */
	char reason[256];

	/* creation */
	unsigned n_to_create; /* preparations that are not done */
	bool create_in_flight;
	bool create_refused;
	bool asked; /* the engine may have it */
	bool recorded; /* from the store, whose word for its engine's id is not taken */
	uint64_t created_at_list; /* lists asked for when the engine told of it: later ones show it
				   */
	uint64_t seen_in_list;

	/* Waits for its network rules; then what follows. */
	void (*admitted)(struct rh_container *container, int r, const struct rh_err *err);

	/* life */
	struct rh_link link;
	pid_t pid;
	int pidfd;
	uv_poll_t exit_poll; /* while pidfd is open */
	uv_timer_t timer; /* lease, death, removal: one at a time */
	struct rh_id job;
	uint64_t last_step;
	uint64_t n_reports; /* of steps' ends, to this broker */
	struct rh_container_lease_call lease;
	void *owner;

	/* death */
	bool dying; /* its reason is being found out */
	bool oom;
	bool died; /* the engine said so */
	bool destroyed;
	int exit_code;
	unsigned n_inspections;

	/* removal */
	unsigned n_removal_failures;
	unsigned n_trees_lost; /* its directory's deletion ended with the helper */
	struct rh_list waiters;
};

struct rh_containers_adoption {
	bool (*wanted)(void *arg, const struct rh_id *job, struct rh_container *container);
	void (*cb)(void *arg, int r); /* NULL: none under way */
	void *arg;
	unsigned n_unsettled;
	bool listed;
	int r;
	int64_t deadline_ms;
};

struct rh_containers {
	struct rh_containers_options options;
	struct rh_config *config;
	struct rh_log *log;
	char *parent_dir; /* of the containers' directories */
	struct rh_engine_info info;
	unsigned n_refs; /* itself, each container */
	unsigned n_handles; /* open libuv handles and requests, of containers too */

	struct rh_list list;
	struct rh_list kept; /* gone, but their owners have not given them back */
	uint32_t n_containers;
	struct rh_container *buckets[RH_CONTAINER_N_BUCKETS];
	struct rh_list pools;
	uint32_t n_pools;

	uv_timer_t tick;
	uv_idle_t soon; /* runs what is due at the loop's next turn */
	struct rh_list due; /* requests to answer */
	struct rh_list errands; /* state.c */
	unsigned n_errands;

	struct rh_list removals; /* that wait for a slot */
	unsigned n_removing;

	struct rh_containers_adoption adoption;
	uint64_t n_lists; /* asked for */
	bool list_in_flight;
	bool listed; /* once: what is recorded has the engine's id, or the engine has it not */
	int64_t next_list_ms;
	bool network_ok; /* the isolated network is there and is isolated */
	char network_id[RH_ENGINE_ID_SIZE]; /* the engine's, "": not known */
	bool network_in_flight; /* it is being asked for, and perhaps made */
	bool info_known;
	bool filling;
	bool draining;
	bool closing;
	bool finished; /* its own handles are closed */
	int64_t close_deadline_ms;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* containers.c */
void rh_containers_unref(struct rh_containers *all);
/* Runs what is due at the loop's next turn. */
void rh_containers_wake(struct rh_containers *all);
/* Goes on with closing, if nothing is left to wait for. */
void rh_containers_check_closed(struct rh_containers *all);

/* object.c: the object, its memory, its handles, and the table. */

/* In state CREATING, in the table and in @pool. @instance: NULL for a new one. */
int rh_container_new(struct rh_containers *all, struct rh_container_pool *pool,
	const struct rh_id *instance, struct rh_container **ret_container);
/* The name of a container that has no job yet. */
void rh_container_name_for_pool(struct rh_container *container);
struct rh_container *rh_container_ref(struct rh_container *container);
void rh_container_unref(struct rh_container *container);
struct rh_container *rh_containers_find(struct rh_containers *all, const char *instance_text);
/* Takes it out of the table and closes its handles; the table's reference is dropped. */
void rh_container_detach(struct rh_container *container);
/* A handle or libuv request of the container was opened, or closed. */
void rh_container_hold(struct rh_container *container);
void rh_container_release(struct rh_container *container);
void rh_container_set_timer(
	struct rh_container *container, uint64_t wait_ms, void (*fn)(uv_timer_t *timer));
/* Opens the pidfd of its init and watches it. */
int rh_container_watch_init(struct rh_container *container, pid_t pid);
bool rh_container_has_ended(const struct rh_container *container);
void rh_container_set_custody(struct rh_container *container, enum rh_custody custody);

/* state.c: the one function that moves. */

/**
 * rh_container_move() - go to a state and store it
 * @then: once stored (or refused by the store), not before this returns; NULL: nothing
 */
void rh_container_move(struct rh_container *container, enum rh_container_state state,
	void (*then)(struct rh_container *container));
/* Stores the state that it has; @then as above. */
void rh_container_save(
	struct rh_container *container, void (*then)(struct rh_container *container));
/* Sets a state that the store knows already. */
void rh_container_set_state(struct rh_container *container, enum rh_container_state state);
/* Runs @fn from the loop's next turn; if the container is detached by then, only if @detached. */
void rh_container_soon(
	struct rh_container *container, void (*fn)(struct rh_container *container), bool detached);
void rh_containers_run_errands(struct rh_containers *all);

/* spec.c */
int rh_container_spec_create(struct rh_container *container, rh_engine_create_fn cb, void *arg);
/* What a container of the profile is made of, as 16 hex digits; a change makes warm ones stale. */
void rh_container_revision(const struct rh_profile *profile, char ret_revision[17]);

/* create.c */
int rh_container_begin(struct rh_containers *all, struct rh_container_pool *pool);
extern const struct rh_link_events rh_container_link_events;

/* isolated.c */
/* Sees to the isolated network, if a profile wants it. */
void rh_containers_check_network(struct rh_containers *all);
/*
 * Whether a container of this pool could not be started since the network is gone, after what the
 * engine @said: somebody removed it while no container was on it. It is seen to.
 */
bool rh_containers_network_missing(
	struct rh_containers *all, const struct rh_container_pool *pool, const char *said);
/* Why no container of this pool can be made or handed out at present, or NULL. */
const char *rh_containers_network_problem(
	const struct rh_containers *all, const struct rh_container_pool *pool);
/* @then: once its network rules are in force, or not; not if it ended meanwhile; may be at once. */
void rh_container_admit(struct rh_container *container,
	void (*then)(struct rh_container *container, int r, const struct rh_err *err));
/* The engine has removed it. */
void rh_container_dismiss(struct rh_container *container);

/* lease.c: what the agent says after its first word. */
void rh_container_lease_state(struct rh_container *container, const struct rh_wire_state *state);
void rh_container_on_leased(void *arg, const struct rh_wire_state *state);
void rh_container_on_refused(void *arg, const char *why);
void rh_container_on_step_ended(void *arg, const struct rh_wire_step_report *report);
/* Ends a lease that is under way; its callback comes from the loop's next turn. */
void rh_container_lease_failed(struct rh_container *container, int r, const char *why);

/* lost.c */
/* Its init is gone: find out why, tell its owner, remove it. */
void rh_container_init_ended(struct rh_container *container);
/* The agent is of no use any more: for a new container, with its last words. */
void rh_container_agent_lost(struct rh_container *container, const char *why);
void rh_container_lost(struct rh_container *container, const char *reason);

/* remove.c */
/* Kills it and begins its removal. @failed: by way of that state. */
void rh_container_end(struct rh_container *container, const char *reason, bool failed);
void rh_container_kill(struct rh_container *container);
/* What its removal waited for has happened. */
void rh_container_removal_go_on(struct rh_container *container);
void rh_containers_retry_removals(struct rh_containers *all);

/* fill.c */
void rh_containers_fill(struct rh_containers *all);
/* A creation of this pool failed. */
void rh_containers_pool_failed(
	struct rh_containers *all, struct rh_container_pool *pool, int r, const struct rh_err *err);
/* needs.c */
/* Whether the profile's runtime and image can be used; if not it says so, or fetches the image. */
bool rh_containers_needs_met(struct rh_containers *all, struct rh_container_pool *pool);
/* The engine does not have the image. Return: whether it is being fetched now. */
bool rh_containers_image_missing(struct rh_containers *all, struct rh_container_pool *pool);
/* Asks the engine what runtimes it has. */
void rh_containers_ask_info(struct rh_containers *all);
/* @wanted: a runtime's name, or "default". Return: 0; -EINVAL with @err. */
int rh_runtime_check(const struct rh_engine_info *info, const char *wanted, struct rh_err *err);

/* request.c */
/* It is warm and nobody's: to whoever waits, or to the idle ones. */
void rh_container_offer(struct rh_container *container);
/* It leaves the pool: not idle, not promised any more. */
void rh_container_withdraw(struct rh_container *container);
void rh_containers_answer_due(struct rh_containers *all);
/* Hands idle ones to those that wait, who could not be served before. */
void rh_containers_serve_waiting(struct rh_containers *all);
void rh_containers_fail_waiting(struct rh_containers *all, struct rh_container_pool *pool, int r,
	const struct rh_err *err, bool only_tired);
/* Whoever waits for a container of a profile that is no longer configured is told. */
void rh_containers_fail_orphans(struct rh_containers *all, struct rh_container_pool *pool);
void rh_containers_tick_requests(struct rh_containers *all, int64_t now_ms);
void rh_containers_drop_requests(struct rh_containers *all);

/* pools.c */
/* Makes one that has no profile if there is none. NULL if out of memory. */
struct rh_container_pool *rh_containers_pool_get(struct rh_containers *all, const char *profile);
/* Is it other than its profile says now? Then no job may have it. */
bool rh_container_is_stale(const struct rh_container *container);
int rh_containers_load_pools(struct rh_containers *all);
void rh_containers_free_pools(struct rh_containers *all);
void rh_containers_tick_announcements(struct rh_containers *all, int64_t now_ms);
void rh_container_pool_forget_runner(struct rh_container_pool *pool, const char *runner);

/* adopt.c */
/* Takes over one that the engine knows and the table does not. */
void rh_containers_adopt_listed(
	struct rh_containers *all, const struct rh_engine_container *listed);
void rh_container_adopt_state(struct rh_container *container, const struct rh_wire_state *state);
void rh_container_settle(struct rh_container *container);
/* The engine has listed, or will not: r. */
void rh_containers_adopt_settled(struct rh_containers *all, int r);
/* Asks the engine for those that waited for it, or gives them up if it is not there. */
void rh_containers_adopt_waiting(struct rh_containers *all);
void rh_containers_tick_adoption(struct rh_containers *all, int64_t now_ms);

/* sweep.c: deletes directories that no container has. */
void rh_containers_sweep_dirs(struct rh_containers *all);

/* reconcile.c */
void rh_containers_reconcile(struct rh_containers *all);
