/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The broker, and its records of jobs against the jobs that there are.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/cli/doctor/verify/verify.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"

#define RESTART "systemctl restart runnerhubd"

void rh_verify_broker(struct rh_verify *verify)
{
	const struct rh_doctor *doctor = verify->doctor;
	char path[PATH_MAX];

	verify->n_compared += 3;
	if (!verify->listed)
		rh_verify_differs(verify, "systemctl restart docker",
			"the container engine at %s does not answer", doctor->docker_socket);
	if (!verify->status) {
		rh_verify_differs(verify, "systemctl start runnerhubd",
			"no broker answers on %s; its records are not compared",
			verify->cli->socket);
		return;
	}
	if (!rh_json_bool(rh_json_member(verify->status, "engine"), "up"))
		rh_verify_differs(verify, "systemctl restart docker",
			"the broker has no connection to the container engine");
	(void)snprintf(path, sizeof(path), "%s/" RH_BROKER_SOCKET, doctor->runtime_dir);

	_cleanup_(rh_closep) int fd = rh_unix_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK);

	if (fd < 0)
		rh_verify_differs(verify, RESTART, "runners cannot reach the broker: %s: %s", path,
			strerror(-fd));
}

static void check_running(struct rh_verify *verify, struct json_object *job)
{
	pid_t worker = (pid_t)rh_json_number(job, "workerPid");
	const char *id = rh_json_text(job, "id");

	verify->n_compared++;
	if (worker > 0 && kill(worker, 0) < 0 && errno == ESRCH)
		rh_verify_differs(verify, RESTART,
			"job %s is said to run, and its Worker %d is gone", id, (int)worker);
	if (!rh_verify_find(verify->open_jobs, "id", id))
		rh_verify_differs(verify, "", "job %s runs, and has no open record", id);
}

void rh_verify_store(struct rh_verify *verify)
{
	struct json_object *jobs = rh_json_member(verify->status, "jobs");
	struct json_object *store = rh_json_member(verify->status, "store");
	const char *error = rh_json_text(store, "lastError");

	if (!verify->status)
		return;
	if (!verify->records || !verify->open_jobs) {
		rh_verify_differs(verify, RESTART, "the broker cannot read its own store");
		return;
	}
	if (*error)
		rh_verify_differs(verify, "df -h && " RESTART,
			"the store in %s takes no records: %s", verify->doctor->state_dir, error);
	for (size_t i = 0; i < rh_json_length(jobs); i++)
		check_running(verify, json_object_array_get_idx(jobs, i));
	for (size_t i = 0; i < rh_json_length(verify->open_jobs); i++) {
		const char *id =
			rh_json_text(json_object_array_get_idx(verify->open_jobs, i), "id");

		verify->n_compared++;
		if (!rh_verify_find(jobs, "id", id))
			rh_verify_differs(verify, RESTART,
				"job %s has an open record, and no such job runs", id);
	}
}
