/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every bound that two programs must agree on.
 */

/* A message: one page with its header, so that a burst of small ones stays cheap. */
#define RH_WIRE_BODY_MAX 4080u
#define RH_WIRE_FDS_MAX  8

/*
 * argv and environment of one exec. execve(2) allows a quarter of RLIMIT_STACK, at most 6 MiB
 * (three quarters of _STK_LIM, fs/exec.c bprm_stack_limits()); the kernel counts the pointers too.
 */
#define RH_BLOCK_SIZE_MAX    (6u * 1024 * 1024 + 64 * 1024)
#define RH_BLOCK_STRINGS_MAX 65536u

/* Defaults of the deadlines that the hook programs keep; the broker publishes others if told to. */
#define RH_BROKER_WAIT_MS    30000
#define RH_JOB_START_WAIT_MS 60000

/*
 * What a Worker may allocate (RLIMIT_DATA, getrlimit(2)). It reads whole files that a job has
 * written, in the host's memory, where no limit of the job's counts; ordinary ones need a tenth of
 * this.
 */
#define RH_WORKER_DATA_MAX (2ull * 1024 * 1024 * 1024)

/* Control protocol: one JSON object a line. */
#define RH_CONTROL_LINE_MAX 1048576u

/* The names that make a libexec directory; the hook program finds its verb in its own path. */
#define RH_LIBEXEC_EXEC          "exec"
#define RH_LIBEXEC_JOB_STARTED   "job-started"
#define RH_LIBEXEC_JOB_COMPLETED "job-completed"
#define RH_LIBEXEC_UNTAR         "untar"
#define RH_LIBEXEC_REFUSE        "refuse" /* prints one line to stderr and exits 1: the policy's deny */
#define RH_LIBEXEC_STUBS         "stubs" /* directory of programs that exit 126 */
#define RH_LIBEXEC_RUN           "run" /* link to the broker's runtime directory */

/* In the runtime directory. */
#define RH_BROKER_SOCKET  "broker.sock"
#define RH_CONTROL_SOCKET "control.sock"
#define RH_CLIENT_CONF \
	"client.conf" /* what the broker tells the hook programs, see client_conf.h */

/* Inside a container. */
#define RH_AGENT_DIR         "/.runnerhub"
#define RH_AGENT_PATH        "/.runnerhub/agent" /* the agent's binary, read-only bind mount */
#define RH_AGENT_SOCKET_DIR  "/.runnerhub/socket" /* bind mount, detached before the lease */
#define RH_AGENT_SLOT_DIR    "/.runnerhub/slot" /* likewise, on kernels before 5.12 */
#define RH_AGENT_SOCKET_NAME "agent.sock"
