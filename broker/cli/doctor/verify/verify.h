/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * runnerhub doctor --verify: does what is there agree with itself?
 *
 * The engine's containers, the broker's word, its records, processes, mounts, control groups,
 * networks and files are compared with one another. An area is a row of the table in verify.c and a
 * function that names each difference it finds. It changes nothing.
 *
 * A machine at work differs from itself for moments: a container that is made is on the engine's
 * list before it is in the records. So everything is looked at again, and only what stays counts.
 */

#include "broker/cli/doctor/doctor.h"

struct rh_verify {
	const struct rh_doctor *doctor;
	struct rh_cli *cli;

	/* The engine's own list, of everybody's containers; NULL if it cannot be asked. */
	struct json_object *listed;
	struct json_object *network; /* of isolated containers; NULL: none */
	/* The broker's words; NULL if it cannot be asked. */
	struct json_object *status;
	struct json_object *records; /* of containers, also of removed ones */
	struct json_object *open_jobs; /* records of jobs that have not ended */

	struct json_object *found; /* array of area, message, fix */
	const char *area;
	size_t n_compared;
};

struct rh_verify_area {
	const char *id;
	void (*run)(struct rh_verify *verify);
};

/* Names a difference. @fix: a shell command that ends it, or "". */
__attribute__((__format__(__printf__, 3, 4))) void rh_verify_differs(
	struct rh_verify *verify, const char *fix, const char *fmt, ...);

/* -- gather.c -- */

/* Asks engine and broker anew. */
void rh_verify_gather(struct rh_verify *verify);
void rh_verify_forget(struct rh_verify *verify);
/* The member of @array whose @key is @value, or NULL. */
struct json_object *rh_verify_find(struct json_object *array, const char *key, const char *value);
/* Whether the engine's container is of this installation. */
bool rh_verify_is_ours(const struct rh_verify *verify, struct json_object *listed);
/* Whether a record says that its container is there, and meant to stay. */
bool rh_verify_is_live(struct json_object *record);
/* A text in single quotes, as the shell reads it back. */
const char *rh_verify_quote(const char *text, char *buf, size_t size);

/* -- the areas -- */

void rh_verify_broker(struct rh_verify *verify); /* store.c */
void rh_verify_store(struct rh_verify *verify); /* store.c */
void rh_verify_containers(struct rh_verify *verify);
void rh_verify_networks(struct rh_verify *verify); /* containers.c */
void rh_verify_firewall(struct rh_verify *verify);
/* @firewall: the broker's; @text: what its program says is there; is changed. */
void rh_verify_rules(struct rh_verify *verify, const char *firewall, char *text); /* firewall.c */
void rh_verify_cgroups(struct rh_verify *verify); /* containers.c */
void rh_verify_processes(struct rh_verify *verify);
void rh_verify_mounts(struct rh_verify *verify); /* files.c */
void rh_verify_files(struct rh_verify *verify);

/* -- verify.c -- */

struct rh_verify_wish {
	bool fix; /* print the commands alone */
	unsigned
		n_looks; /* what differs each time is a difference; 0: as many as a removal takes */
};

/* Return: RH_EXIT_OK, RH_EXIT_FAILURE if something differs. */
int rh_verify_run(
	const struct rh_doctor *doctor, struct rh_cli *cli, const struct rh_verify_wish *wish);
