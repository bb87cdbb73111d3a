/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The zygote's life, as the broker sees it. When it dies its helpers go with it; another one is
 * executed in its place, and what waits for a helper goes on. A few that do not live for a second
 * are enough: something is wrong that no further one would mend.
 */

#include <string.h>

#include "broker/daemon/mount/mounter.h"
#include "runnerhub/clock.h"

#define LIFE_MIN_MS     1000
#define SHORT_LIVES_MAX 4

static void on_zygote_dead(uv_poll_t *poll, int status, int events);

static void on_zygote_handle_closed(uv_handle_t *handle)
{
	rh_mounter_on_handle_closed(handle->data);
}

int rh_mounter_watch_zygote(struct rh_mounter *mounter)
{
	int r = uv_poll_init(mounter->loop, &mounter->zygote_poll, mounter->zygote.pidfd);

	if (r < 0)
		return rh_trace(r);
	mounter->zygote_poll.data = mounter;
	mounter->zygote_born_ms = rh_now_ms();
	mounter->n_handles++;
	(void)uv_poll_start(&mounter->zygote_poll, UV_READABLE, on_zygote_dead);
	return 0;
}

static int replace_zygote(struct rh_mounter *mounter)
{
	rh_zygote_reap(&mounter->zygote);

	int r = mounter->program ? rh_zygote_exec(mounter->program, &mounter->zygote) : -ENOENT;

	if (r == 0)
		r = rh_mounter_watch_zygote(mounter);
	return rh_trace(r);
}

/* Its watcher is closed: the next one may be watched. */
static void on_watcher_closed(uv_handle_t *handle)
{
	struct rh_mounter *mounter = handle->data;

	mounter->zygote_awaited = false;
	if (!mounter->closing) {
		int r = replace_zygote(mounter);

		mounter->zygote_dead = r < 0;
		if (r < 0)
			rh_log_error(mounter->log,
				"no parent of mount helpers can be started; no job can start until "
				"runnerhubd is restarted",
				RH_ERRNO(r));
		for (size_t i = 0; i < RH_MOUNT_HELPERS; i++)
			rh_mount_channel_renew(&mounter->channels[i]);
	}
	rh_mounter_on_handle_closed(mounter);
}

/* The zygote ended: as it should while closing, else its helpers went with it. */
static void on_zygote_dead(uv_poll_t *poll, int status, int events)
{
	struct rh_mounter *mounter = poll->data;

	if (mounter->closing) {
		mounter->zygote_dead = true;
		uv_close((uv_handle_t *)poll, on_zygote_handle_closed);
		uv_close((uv_handle_t *)&mounter->kill_timer, on_zygote_handle_closed);
		return;
	}
	if (rh_now_ms() - mounter->zygote_born_ms >= LIFE_MIN_MS)
		mounter->n_short_lives = 0;
	else if (++mounter->n_short_lives >= SHORT_LIVES_MAX)
		mounter->program = NULL;
	rh_log_warning(mounter->log, "the parent of the mount helpers died; the next one follows");
	mounter->zygote_awaited = true;
	uv_close((uv_handle_t *)poll, on_watcher_closed);
}

static void on_kill_timer(uv_timer_t *timer)
{
	const struct rh_mounter *mounter = timer->data;

	rh_zygote_kill(&mounter->zygote);
}

void rh_mounter_end_zygote(struct rh_mounter *mounter)
{
	uv_handle_t *watcher = (uv_handle_t *)&mounter->zygote_poll;

	rh_zygote_end(&mounter->zygote);
	if (mounter->zygote_dead || mounter->zygote_awaited)
		return;
	if (!uv_is_active(watcher) || uv_timer_init(mounter->loop, &mounter->kill_timer) < 0) {
		rh_zygote_kill(&mounter->zygote);
		uv_close(watcher, on_zygote_handle_closed);
		return;
	}
	mounter->kill_timer.data = mounter;
	mounter->n_handles++;
	(void)uv_timer_start(&mounter->kill_timer, on_kill_timer, RH_MOUNT_END_MS, 0);
}
