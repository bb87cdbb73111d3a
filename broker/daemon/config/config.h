/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The broker's configuration: one YAML file, and a directory with one file per registered runner.
 *
 * A loaded configuration never changes. Reload makes a new one; jobs and containers keep a
 * reference to the one they began with. Every option is one row of a table (name, type, default,
 * range, unit, help) from which the parser, --help and the example file come. Durations are written
 * with a unit (500ms, 30s, 5m, 1h, 7d), sizes too (64K, 512M, 4G). An unknown key, a wrong type or
 * a value out of range is an error that names file, line and key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/daemon/log/log.h"
#include "runnerhub/err.h"

enum rh_pull {
	RH_PULL_NEVER,
	RH_PULL_MISSING,
	RH_PULL_ALWAYS, /* whenever the broker starts or reads its configuration */
};

enum rh_user_kind {
	RH_USER_ROOT, /* container root, id-mapped to the runner's uid on its directories */
	RH_USER_RUNNER, /* the runner's own uid and gid */
	RH_USER_IDS, /* uid:gid */
};

enum rh_scrub {
	RH_SCRUB_ALL, /* the workspace goes, but for what is to be kept */
	RH_SCRUB_NONE,
};

/* Profile: what a container of a job is made of. */
struct rh_profile {
	char *name; /* [a-z0-9][a-z0-9_.-]{0,62} */
	char *image; /* reference as the engine knows it */
	unsigned pull; /* enum rh_pull */
	unsigned pin; /* 1: the image must be named by its digest */
	enum rh_user_kind user;
	uid_t uid; /* of RH_USER_IDS */
	gid_t gid;
	double cpus; /* 0: no limit */
	uint64_t memory_bytes; /* swap is the same amount: none on top; 0: no limit */
	uint32_t pids; /* 0: no limit */
	uint64_t nofile; /* hard and soft; capped at what the engine's host allows */
	uint64_t shm_bytes;
	char *network; /* "isolated", "none", or an engine network's name */
	char *runtime; /* the engine's name of an OCI runtime, or "default" */
	char *apparmor; /* profile that the host has loaded, or "default" */
	char **ulimits; /* NULL-terminated NAME=SOFT or NAME=SOFT:HARD; core is always 0 */
	char **egress; /* NULL-terminated; what it may reach (egress.h) */
	char **dns; /* NULL-terminated; resolvers instead of the engine's own */
	enum rh_scrub scrub; /* of the workspace after a job */
	char **keep; /* NULL-terminated; paths in the workspace that scrubbing leaves */
	char **cap_add; /* NULL-terminated; capabilities on top of the default set */
	char **env; /* NULL-terminated NAME=VALUE, below the step's environment */
	uint32_t warm; /* containers kept ready, 0 allowed */
	uint32_t max; /* containers of this profile at once, warm and leased */
	uint64_t job_timeout_ms; /* 0: none */
	uint64_t step_timeout_ms; /* 0: none */
	uint64_t disk_bytes; /* of a job: its container's layer, workspace, _temp; 0: no limit */
	uint64_t disk_files; /* entries of those; 0: no limit */
	uint64_t tools_bytes; /* of a job's changes to the tool cache; 0: no limit of their own */
	uint64_t output_bytes; /* of a job, as its Worker reads it; 0: no limit */
};

/* A registered runner: one file NAME.yaml in the runners directory, root-owned, written by install.
 */
struct rh_runner {
	char *name; /* as its file */
	char *root; /* absolute, canonical directory with bin/Runner.Worker */
	char *work; /* absolute, canonical work directory */
	uid_t uid; /* that the Worker runs as */
	gid_t gid;
	char *profile; /* NULL: default_profile */
	char *started_hook; /* the administrator's own job-started hook, or NULL */
	char *completed_hook;
};

struct rh_config {
	unsigned n_refs;
	char *path; /* of the file */

	char *runtime_dir;
	char *state_dir;
	char *libexec_dir; /* holds runnerhub-agent */
	char *runners_dir;
	char *group; /* may use control.sock; "" is root alone */

	enum rh_log_level log_level;
	enum rh_log_format log_format;

	char *docker_socket;
	uint64_t engine_timeout_ms; /* one request */
	uint32_t engine_parallel; /* creates at once */

	char *network_name; /* of the isolated profiles' network */
	unsigned network_firewall; /* index into rh_config_firewalls */
	char *network_ip6; /* its IPv6 subnet, or "none" */

	uint64_t broker_wait_ms;
	uint64_t job_start_wait_ms;
	uint64_t agent_timeout_ms; /* a new container's agent must answer within */
	uint64_t drain_timeout_ms; /* SIGTERM: running jobs may take this long */
	uint64_t announce_keep_ms; /* an announced container nobody took is dropped after */

	uint32_t id_map_base; /* first of 65536 host ids that only jobs' files have */

	char **env_pass; /* NULL-terminated patterns */

	uint64_t store_keep_ms; /* ended jobs: age */
	uint32_t store_keep_jobs; /* ended jobs: count */

	char *default_profile;
	struct rh_profile *profiles;
	size_t n_profiles;
	struct rh_runner *runners;
	size_t n_runners;
};

/* What network.firewall may be, NULL-terminated. */
extern const char *const rh_config_firewalls[];

/**
 * rh_config_load() - read the file and the runners directory
 * @path:       a missing file is an error; a missing runners directory is an empty one
 * @ret_config: one reference
 *
 * Files must be owned by root (or by the caller's own uid) and not writable by group or others.
 * Context: start-up or worker thread (blocks on disk).
 * Return: 0; negative errno with @err "FILE:LINE: key: what is wrong".
 */
int rh_config_load(const char *path, struct rh_config **ret_config, struct rh_err *err);
/**
 * rh_config_reload() - read the file of a configuration that is in force once more
 * @old:       in force; only read, so it may be in use meanwhile
 * @ret_fixed: the first setting that the file changes and that needs a restart, or NULL
 *
 * What needs a restart stays as it is in force, so that the result can be used as a whole: who
 * reads it sees no state directory, network or socket that is not there yet.
 * Context: worker thread (blocks on disk). Return: as rh_config_load().
 */
int rh_config_reload(const struct rh_config *old, struct rh_config **ret_config,
	const char **ret_fixed, struct rh_err *err);
struct rh_config *rh_config_ref(struct rh_config *config);
void rh_config_unref(struct rh_config *config);
RH_DEFINE_CLEANUP(struct rh_config *, rh_config_unref);

/* The first setting that differs and needs a restart ("docker.socket"), or NULL. */
const char *rh_config_needs_restart(
	const struct rh_config *old, const struct rh_config *new_config);

const struct rh_profile *rh_config_profile(const struct rh_config *config, const char *name);
const struct rh_runner *rh_config_runner(const struct rh_config *config, const char *name);

/**
 * rh_config_publish() - write client.conf (client_conf.h) into the runtime directory
 *
 * Replaced at once with rename(2), readable by everybody. Context: start-up or worker thread.
 * Return: 0; negative errno with @err.
 */
int rh_config_publish(const struct rh_config *config, struct rh_err *err);

/* Writes the option table as --help text, or a commented example file. */
void rh_config_print_help(FILE *out);
void rh_config_print_example(FILE *out);
