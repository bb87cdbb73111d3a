/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The mounter: requests become packets on a helper's channel.
 */

#include "broker/daemon/mount/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/mount/mounter.h"
#include "broker/daemon/mount/slot.h"
#include "runnerhub/cleanup.h"

int rh_mounter_fork(struct rh_mounter **ret_mounter, struct rh_err *err)
{
	struct rh_mounter *mounter = calloc(1, sizeof(*mounter));
	int r = mounter ? 0 : -ENOMEM;

	if (r < 0)
		return rh_err_set(err, r, "out of memory");
	mounter->deadline_ms = RH_MOUNT_DEADLINE_MS;
	mounter->slots = rh_slot_is_needed();
	mounter->zygote = (struct rh_zygote)RH_ZYGOTE_INIT;
	for (size_t i = 0; i < RH_MOUNT_HELPERS; i++)
		mounter->first_fds[i] = -1;
	r = rh_zygote_fork(&mounter->zygote);
	for (unsigned i = 0; i < RH_MOUNT_HELPERS && r == 0; i++)
		r = rh_zygote_spawn(
			&mounter->zygote, (enum rh_mount_helper_kind)i, &mounter->first_fds[i]);
	if (r < 0) {
		rh_mounter_close(mounter, NULL, NULL);
		return rh_err_set(err, r, "cannot fork the mount helpers: %s", strerror(-r));
	}
	*ret_mounter = mounter;
	return 0;
}

bool rh_mounter_uses_slots(const struct rh_mounter *mounter)
{
	return mounter->slots;
}

void rh_mounter_set_program(struct rh_mounter *mounter, const char *program)
{
	mounter->program = program;
}

int rh_mounter_start(struct rh_mounter *mounter, uv_loop_t *loop, struct rh_log *log)
{
	mounter->loop = loop;
	mounter->log = log;

	int r = rh_mounter_watch_zygote(mounter);

	if (mounter->n_handles == 0)
		mounter->loop = NULL; /* not started: nothing is to be closed */
	for (unsigned i = 0; i < RH_MOUNT_HELPERS && r == 0; i++)
		r = rh_mount_channel_start(&mounter->channels[i], mounter,
			(enum rh_mount_helper_kind)i, rh_steal_fd(&mounter->first_fds[i]));
	return rh_trace(r);
}

static void end(struct rh_mounter *mounter)
{
	void (*cb)(void *arg) = mounter->on_closed;
	void *arg = mounter->on_closed_arg;

	for (size_t i = 0; i < RH_MOUNT_HELPERS; i++)
		rh_close(mounter->first_fds[i]);
	rh_zygote_reap(&mounter->zygote);
	free(mounter);
	if (cb)
		cb(arg);
}

void rh_mounter_on_handle_closed(struct rh_mounter *mounter)
{
	if (--mounter->n_handles > 0 || !mounter->closing)
		return;
	for (size_t i = 0; i < RH_MOUNT_HELPERS; i++)
		rh_mount_channel_cancel(&mounter->channels[i], -ECANCELED);
	end(mounter);
}

void rh_mounter_close(struct rh_mounter *mounter, void (*cb)(void *arg), void *arg)
{
	if (!mounter || mounter->closing)
		return;
	mounter->closing = true;
	mounter->on_closed = cb;
	mounter->on_closed_arg = arg;
	if (!mounter->loop) {
		rh_zygote_end(&mounter->zygote);
		end(mounter);
		return;
	}
	rh_mounter_end_zygote(mounter);
	for (size_t i = 0; i < RH_MOUNT_HELPERS; i++)
		rh_mount_channel_close(&mounter->channels[i]);
}

/* Encodes and queues. One of @done and @swept is set, or none. */
static int submit(struct rh_mounter *mounter, struct rh_mount_request *request,
	rh_mount_done_fn done, rh_mount_swept_fn swept, void *arg)
{
	struct rh_mount_channel *channel = &mounter->channels[rh_mount_op_helper(request->op)];
	uint8_t packet[RH_MOUNT_PACKET_MAX];

	if (mounter->closing || !mounter->loop)
		return rh_origin(-ECANCELED);
	if (channel->n_pending >= RH_MOUNT_QUEUE_MAX)
		return rh_origin(-ENOBUFS);
	request->seq = ++mounter->seq;

	int n = rh_mount_request_encode(request, packet, sizeof(packet));

	if (n < 0)
		return rh_trace(n);

	struct rh_mount_pending *pending = malloc(sizeof(*pending) + (size_t)n);

	if (!pending)
		return rh_origin(-ENOMEM);
	*pending = (struct rh_mount_pending){
		.op = request->op,
		.seq = request->seq,
		.done = done,
		.swept = swept,
		.arg = arg,
		.size = (size_t)n,
	};
	memcpy(pending->packet, packet, (size_t)n);
	rh_mount_channel_submit(channel, pending);
	return 0;
}

int rh_mounter_attach(struct rh_mounter *mounter, const struct rh_mount_attach *attach,
	rh_mount_done_fn cb, void *arg)
{
	struct rh_mount_request request = {.op = RH_MOUNT_ATTACH, .attach = *attach};

	return rh_trace(submit(mounter, &request, cb, NULL, arg));
}

int rh_mounter_release(struct rh_mounter *mounter, const struct rh_mount_release *release,
	rh_mount_done_fn cb, void *arg)
{
	struct rh_mount_request request = {.op = RH_MOUNT_RELEASE, .release = *release};

	return rh_trace(submit(mounter, &request, cb, NULL, arg));
}

int rh_mounter_retire(struct rh_mounter *mounter, const struct rh_mount_retire *retire,
	rh_mount_done_fn cb, void *arg)
{
	struct rh_mount_request request = {.op = RH_MOUNT_RETIRE, .retire = *retire};

	return rh_trace(submit(mounter, &request, cb, NULL, arg));
}

int rh_mounter_sweep(struct rh_mounter *mounter, const char *work, rh_mount_swept_fn cb, void *arg)
{
	struct rh_mount_request request = {.op = RH_MOUNT_SWEEP, .dir = {.parent = work}};

	if (mounter->sweeps_ended)
		return rh_origin(-ECANCELED);
	return rh_trace(submit(mounter, &request, NULL, cb, arg));
}

void rh_mounter_end_sweeps(struct rh_mounter *mounter)
{
	mounter->sweeps_ended = true;
	for (size_t i = 0; i < RH_MOUNT_HELPERS && !mounter->closing; i++)
		rh_mount_channel_end_sweeps(&mounter->channels[i]);
}

int rh_mounter_make_dir(struct rh_mounter *mounter, const char *parent, const char *name,
	rh_mount_done_fn cb, void *arg)
{
	struct rh_mount_request request = {.op = RH_MOUNT_MAKE_DIR,
		.dir = {.parent = parent, .name = name, .slot = mounter->slots}};

	return rh_trace(submit(mounter, &request, cb, NULL, arg));
}

int rh_mounter_remove_tree(struct rh_mounter *mounter, const char *parent, const char *name,
	rh_mount_swept_fn cb, void *arg)
{
	struct rh_mount_request request = {
		.op = RH_MOUNT_REMOVE_TREE, .dir = {.parent = parent, .name = name}};

	return rh_trace(submit(mounter, &request, NULL, cb, arg));
}
