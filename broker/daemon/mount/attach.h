/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole of an attach, of a release and of a retire, as a helper does them.
 */

#include "broker/daemon/mount/idmap.h"
#include "broker/daemon/mount/inside.h"
#include "broker/daemon/mount/mount.h"
#include "broker/daemon/mount/view.h"
#include "runnerhub/err.h"

/* What a helper keeps from one request to the next. */
struct rh_attach_tools {
	const struct rh_home *home; /* its own namespace */
	struct rh_idmaps *maps;
	struct rh_views *views;
};

/**
 * rh_attach_run() - give a container its job's directories
 *
 * Nothing is left on the host but the markers and the view; on failure not even those. What was
 * attached to the container by then stays: it must be discarded. Context: the helper process, or a
 * single-threaded test. Return: 0; negative errno with @err.
 */
int rh_attach_run(const struct rh_attach_tools *tools, const struct rh_mount_attach *attach,
	struct rh_mount_result *ret_result, struct rh_err *err);

/* After the job. Return: 0; negative errno with @err. */
int rh_release_run(const struct rh_mount_release *release, struct rh_mount_result *ret_result,
	struct rh_err *err);

/* After the job's Worker. Return: 0; -EAGAIN: one lives; negative errno; with @err. */
int rh_retire_run(const struct rh_attach_tools *tools, const struct rh_mount_retire *retire,
	struct rh_err *err);
