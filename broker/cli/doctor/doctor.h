/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * runnerhub doctor: is everything here as RunnerHub needs it?
 *
 * A check is a row of its area's table and a function that writes one finding. It changes nothing,
 * looks at what rh_doctor_gather() has collected or at the host itself, and knows no other check.
 * What it reads below /proc and /sys it reads below doctor->host, so that tests can give it a tree
 * of their own.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "broker/cli/cli.h"
#include "broker/daemon/config/config.h"

enum rh_health { RH_HEALTH_OK, RH_HEALTH_WARNING, RH_HEALTH_FAILURE, RH_HEALTH_SKIPPED };
#define RH_N_HEALTHS 4

struct rh_finding {
	enum rh_health health;
	char message[768]; /* what is so */
	char advice[512]; /* what to do, or "" */
};

/* What a late mount needs: 0 or a negative errno each. */
struct rh_probe {
	int clone; /* open_tree(2) */
	int user_namespace;
	int id_map; /* mount_setattr(2) */
	int move; /* move_mount(2) */
	int no_symlinks; /* MOUNT_ATTR_NOSYMFOLLOW */
	int overlay; /* fsopen(2), or mount(2) where slots are used */
	bool slots; /* the calls of 5.12 are missing: mounts take the way of old kernels */
};

struct rh_doctor_runner {
	char *name;
	char *root; /* canonical, unless it is not there */
	char *work;
	uid_t uid;
	gid_t gid;
	bool registered;
	char *env; /* text of .env, "" if there is none, or NULL */
	int env_error; /* why it is NULL */
};

struct rh_doctor {
	const char *host; /* what stands before /proc and /sys: "" but in tests */
	char control_socket[PATH_MAX];
	struct rh_config *config; /* NULL if it cannot be used, and config_err says why */
	struct rh_err config_err;
	struct json_object *status; /* the broker's own words, or NULL and status_err */
	struct rh_err status_err;
	int status_exit; /* RH_EXIT_… of asking it */

	/* From the configuration, else from the broker, else as built. */
	const char *state_dir;
	const char *runtime_dir;
	const char *libexec_dir;
	const char *docker_socket;

	char probed[PATH_MAX]; /* the state directory, or the nearest one above that is there */
	int probe_r; /* 0, or why probe is empty; -EPERM: not root */
	struct rh_probe probe;

	struct json_object *engine_version; /* its answers, or NULL and engine_err */
	struct json_object *engine_info;
	struct rh_err engine_err;
	int engine_r; /* errno of asking it, 0 if it answered */

	struct rh_doctor_runner *runners;
	size_t n_runners;
};

struct rh_check {
	const char *id; /* a NULL ends a table */
	const char *title;
	/* @runner is NULL in tables that are not about runners. */
	void (*run)(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
		struct rh_finding *f);
};

extern const struct rh_check rh_checks_kernel[];
extern const struct rh_check rh_checks_cgroup[];
extern const struct rh_check rh_checks_network[];
extern const struct rh_check rh_checks_engine[];
extern const struct rh_check rh_checks_config[];
extern const struct rh_check rh_checks_install[];
extern const struct rh_check rh_checks_runner[];

/* -- findings -- */

_printf_(3, 4) void rh_found(struct rh_finding *f, enum rh_health health, const char *fmt, ...);
_printf_(2, 3) void rh_advise(struct rh_finding *f, const char *fmt, ...);

/* Says why the engine was not asked. Return: true if so. */
bool rh_doctor_skip_engine(const struct rh_doctor *doctor, struct rh_finding *f);

/* The isolated profiles' network: by the configuration, else by the broker's word. */
const char *rh_doctor_network(const struct rh_doctor *doctor);

/* -- gather.c -- */

struct rh_doctor_wish {
	const char *config_path; /* NULL: the broker's, else the usual one */
	const struct rh_words *runner_dirs; /* none: every registered runner */
};
/* Return: 0; -ENOMEM. What cannot be found out is noted in @doctor for the checks. */
int rh_doctor_gather(
	struct rh_doctor *doctor, struct rh_cli *cli, const struct rh_doctor_wish *wish);
void rh_doctor_deinit(struct rh_doctor *doctor);

/* -- report.c -- */

/* Runs all checks and prints what they find. Return: RH_EXIT_OK or RH_EXIT_FAILURE. */
int rh_doctor_report(const struct rh_doctor *doctor, const struct rh_cli *cli);

/* -- look.c: looking at files that others may have made; nothing blocks, no link is followed last
 * -- */

/**
 * rh_look_read() - a small regular file
 * @ret_text: the caller's, NUL-terminated
 *
 * Return: length; -ELOOP for a symbolic link; -EINVAL if it is no regular file; -EFBIG; negative
 * errno.
 */
ssize_t rh_look_read(const char *path, size_t max, char **ret_text);
/* A file below doctor->host, such as /proc/cgroups. Return: length; negative errno. */
ssize_t rh_look_host(const struct rh_doctor *doctor, const char *path, char *buf, size_t size);
/**
 * rh_look_root_only() - can nobody but root change what this path leads to?
 * @ret_culprit: the path that somebody else can change, if not
 *
 * The file and all directories above it, links followed, belong to root and are not writable by
 * group or others (a sticky directory may be). Return: 0; -EPERM; negative errno.
 */
int rh_look_root_only(const char *path, char ret_culprit[PATH_MAX]);
/* The number at *@at, after blanks; *@at is moved behind it. Return: false if there is none. */
bool rh_look_number(const char **at, int base, unsigned long long *ret_number);
/* Whether @uid, with @gid alone, could write to or replace this file. */
bool rh_look_writable_by(const struct stat *st, uid_t uid, gid_t gid);
/* Whether @path lies in @dir; both canonical. */
bool rh_look_is_below(const char *path, const char *dir);

/* -- dotenv.c: the runner's .env -- */

/* The last line of @key counts, an empty value unsets it. Return: false if unset or too long. */
bool rh_dotenv_get(const char *text, const char *key, char *buf, size_t size);
/* A name's value in a block of NUL-terminated NAME=VALUE, as /proc/PID/environ is. */
const char *rh_environ_get(const char *block, size_t size, const char *key);

/* -- elf.c -- */

struct rh_elf {
	unsigned char class; /* 1: 32 bits, 2: 64 bits */
	unsigned machine; /* e_machine */
	bool interpreter; /* of the dynamic loader: it is not static */
};
/* Return: 0; -ENOEXEC; negative errno. */
int rh_elf_read(const char *path, struct rh_elf *ret_elf);

/* -- probe.c: tried in a child of its own, in a private mount namespace -- */

/* On the file system of this directory. Return: 0; negative errno. */
int rh_probe_run(const char *dir, struct rh_probe *ret_probe);

/* -- ask.c: the engine, asked directly -- */

/**
 * rh_ask_engine() - GET @path
 * @ret_status: of HTTP
 * @ret_body:   the caller's; NULL if it was not JSON
 *
 * Bounded in time and size. Return: 0; negative errno with @err.
 * Source: RFC 1945 (the answer ends where the connection does), Docker Engine API v1.41
 */
int rh_ask_engine(const char *socket, const char *path, int *ret_status,
	struct json_object **ret_body, struct rh_err *err);
/* Splits an answer that is complete. Return: 0; -EPROTO. */
int rh_ask_parse(const char *answer, size_t size, int *ret_status, const char **ret_body,
	size_t *ret_body_size);

/* -- process.c -- */

struct rh_process {
	pid_t pid;
	int64_t start_ms; /* wall clock */
	char exe[PATH_MAX];
};
/* Calls @fn for every process whose program is <root>/bin…/@name. */
void rh_process_each(const struct rh_doctor *doctor, const char *root, const char *name,
	void (*fn)(void *arg, const struct rh_process *process), void *arg);
