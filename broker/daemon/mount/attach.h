/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole of an attach and of a release, as a helper does them.
 */

#include "broker/daemon/mount/idmap.h"
#include "broker/daemon/mount/inside.h"
#include "broker/daemon/mount/mount.h"
#include "runnerhub/err.h"

/**
 * rh_attach_run() - give a container its job's directories
 * @home: the helper's own namespace
 *
 * Nothing is left on the host but the marker; on failure not even that. What was attached to the
 * container by then stays: it must be discarded.
 * Context: the helper process, or a single-threaded test. Return: 0; negative errno with @err.
 */
int rh_attach_run(const struct rh_home *home, struct rh_idmaps *maps,
	const struct rh_mount_attach *attach, struct rh_mount_result *ret_result,
	struct rh_err *err);

/* After the job. Return: 0; negative errno with @err. */
int rh_release_run(const struct rh_mount_release *release, struct rh_mount_result *ret_result,
	struct rh_err *err);
