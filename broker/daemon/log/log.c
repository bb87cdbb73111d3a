/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The log: a bounded ring of bytes between the loop and the descriptor.
 *
 * The loop formats a line and puts it into the ring whole, or counts it as dropped. Who writes:
 * before rh_log_start() the caller itself, as much as goes without blocking; afterwards a thread,
 * which may wait. Only the writer takes bytes out, so it can copy them, let go of the lock, write,
 * and then remove what was written. When lines were dropped the next one that fits is preceded by a
 * line that says how many.
 */

#include "broker/daemon/log/log.h"

#include <pthread.h>
#include <signal.h>

#include "broker/daemon/log/format.h"
#include "broker/daemon/log/sink.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"

#define RING_SIZE ((size_t)64 * 1024)
/* How long rh_log_free() waits for a reader that does not read. */
#define FREE_WAIT_MS 1000
#define POLL_MS      100
#define PREFIX_SIZE  3u /* "<6>" */

struct rh_log {
	struct rh_log_sink sink;
	enum rh_log_level level;
	enum rh_log_format format;

	pthread_mutex_t lock; /* what stands below */
	pthread_cond_t changed;
	bool has_thread;
	bool stopping;
	bool stopped;
	uint64_t n_dropped;
	size_t head; /* first byte */
	size_t n;
	char ring[RING_SIZE];
};

struct rh_log *rh_log_new(int fd, enum rh_log_level level, enum rh_log_format format)
{
	struct rh_log *log = calloc(1, sizeof(*log));
	pthread_condattr_t attr;

	if (!log)
		return NULL;
	log->level = level;
	log->format = format;
	rh_log_sink_init(&log->sink, fd);
	/* None of these fails with glibc or musl on valid arguments. */
	(void)pthread_mutex_init(&log->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&log->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	return log;
}

static void ring_put(struct rh_log *log, const char *data, size_t n)
{
	size_t tail = (log->head + log->n) % RING_SIZE;
	size_t first = n < RING_SIZE - tail ? n : RING_SIZE - tail;

	memcpy(log->ring + tail, data, first);
	memcpy(log->ring, data + first, n - first);
	log->n += n;
}

/* The bytes at the head that lie in one piece, at most a page of them. */
static size_t ring_peek(const struct rh_log *log, char ret_data[RH_LOG_LINE_MAX])
{
	size_t n = log->n < RING_SIZE - log->head ? log->n : RING_SIZE - log->head;

	n = n < RH_LOG_LINE_MAX ? n : RH_LOG_LINE_MAX;
	memcpy(ret_data, log->ring + log->head, n);
	return n;
}

/* Removes @n bytes; lost ones are counted by their lines. */
static void ring_drop(struct rh_log *log, size_t n, bool lost)
{
	for (size_t i = 0; lost && i < n; i++)
		log->n_dropped += log->ring[log->head + i] == '\n';
	log->head = (log->head + n) % RING_SIZE;
	log->n -= n;
}

/*
 * Writes one piece. The lock is held by the caller and let go of while writing.
 * Return: false if nothing is left or the sink would block.
 */
static bool write_piece(struct rh_log *log)
{
	char data[RH_LOG_LINE_MAX];
	size_t size = ring_peek(log, data);

	if (size == 0)
		return false;
	(void)pthread_mutex_unlock(&log->lock);

	ssize_t n = rh_log_sink_write(&log->sink, data, size);

	(void)pthread_mutex_lock(&log->lock);
	if (n == -EAGAIN)
		return false;
	/* A full disk or a closed pipe: the bytes are lost, and said to be if it gets better. */
	ring_drop(log, n < 0 ? size : (size_t)n, n < 0);
	return true;
}

static void write_pieces(struct rh_log *log)
{
	while (write_piece(log))
		;
}

static void *writer(void *arg)
{
	struct rh_log *log = arg;
	int64_t deadline_ms = 0;

	(void)pthread_mutex_lock(&log->lock);
	for (;;) {
		while (log->n == 0 && !log->stopping)
			(void)pthread_cond_wait(&log->changed, &log->lock);
		if (log->stopping && deadline_ms == 0)
			deadline_ms = rh_now_ms() + FREE_WAIT_MS;
		if (log->n == 0 || (deadline_ms && rh_now_ms() >= deadline_ms))
			break;
		if (write_piece(log) || log->n == 0)
			continue;
		(void)pthread_mutex_unlock(&log->lock);
		rh_log_sink_wait(&log->sink, POLL_MS);
		(void)pthread_mutex_lock(&log->lock);
	}
	log->stopped = true;
	(void)pthread_cond_broadcast(&log->changed);
	(void)pthread_mutex_unlock(&log->lock);
	return NULL;
}

int rh_log_start(struct rh_log *log)
{
	sigset_t all;
	sigset_t old;
	pthread_t thread;

	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&thread, NULL, writer, log);

	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return rh_origin(-r);
	/* Detached: one that hangs in a dead file system must not hang our end. */
	(void)pthread_detach(thread);
	log->has_thread = true;
	return 0;
}

/* Return: false if the thread hangs and may still use @log. */
static bool stop_thread(struct rh_log *log)
{
	struct timespec deadline = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += FREE_WAIT_MS / 500;
	(void)pthread_mutex_lock(&log->lock);
	log->stopping = true;
	(void)pthread_cond_broadcast(&log->changed);

	int r = 0;

	while (!log->stopped && r == 0)
		r = pthread_cond_timedwait(&log->changed, &log->lock, &deadline);
	bool stopped = log->stopped;

	(void)pthread_mutex_unlock(&log->lock);
	return stopped;
}

static void flush_here(struct rh_log *log)
{
	int64_t deadline_ms = rh_now_ms() + FREE_WAIT_MS;

	(void)pthread_mutex_lock(&log->lock);
	while (log->n > 0 && rh_now_ms() < deadline_ms)
		if (!write_piece(log))
			rh_log_sink_wait(&log->sink, POLL_MS);
	(void)pthread_mutex_unlock(&log->lock);
}

void rh_log_free(struct rh_log *log)
{
	if (!log)
		return;
	if (log->has_thread && !stop_thread(log))
		return;
	if (!log->has_thread)
		flush_here(log);
	rh_log_sink_deinit(&log->sink);
	(void)pthread_cond_destroy(&log->changed);
	(void)pthread_mutex_destroy(&log->lock);
	free(log);
}

void rh_log_set(struct rh_log *log, enum rh_log_level level, enum rh_log_format format)
{
	log->level = level;
	log->format = format;
}

bool rh_log_enabled(const struct rh_log *log, enum rh_log_level level)
{
	return log && level <= log->level;
}

/* For the journal with its priority in front; RH_LOG_ERROR is 3, as in syslog(3). */
static size_t format_line(struct rh_log *log, const struct rh_log_entry *entry, char *line)
{
	size_t n = 0;

	if (log->sink.is_journal && log->format == RH_LOG_TEXT)
		n = (size_t)snprintf(line, PREFIX_SIZE + 1, "<%d>", 3 + (int)entry->level);
	return n + rh_log_format_line(log->format, entry, line + n);
}

/* Puts a line into the ring, after what there is to say about lost ones; or counts it as lost. */
static void queue_line(struct rh_log *log, const char *line, size_t n)
{
	char lost[PREFIX_SIZE + RH_LOG_LINE_MAX];
	size_t n_lost = 0;

	if (log->n_dropped > 0) {
		const struct rh_log_field count = RH_NUM("lines", log->n_dropped);
		const struct rh_log_entry entry = {.level = RH_LOG_WARNING,
			.wall_ms = rh_wall_ms(),
			.event = "log lines dropped",
			.fields = &count,
			.n_fields = 1};

		n_lost = format_line(log, &entry, lost);
	}
	if (n + n_lost > RING_SIZE - log->n) {
		log->n_dropped++;
		return;
	}
	if (n_lost > 0)
		ring_put(log, lost, n_lost);
	ring_put(log, line, n);
	log->n_dropped = 0;
}

void rh_log_write(struct rh_log *log, enum rh_log_level level, const char *event,
	const struct rh_log_field *fields, size_t n_fields)
{
	if (!rh_log_enabled(log, level))
		return;

	const struct rh_log_entry entry = {.level = level,
		.wall_ms = rh_wall_ms(),
		.event = event,
		.fields = fields,
		.n_fields = n_fields};
	char line[PREFIX_SIZE + RH_LOG_LINE_MAX];
	size_t n = format_line(log, &entry, line);

	(void)pthread_mutex_lock(&log->lock);
	if (log->has_thread) {
		queue_line(log, line, n);
		(void)pthread_cond_signal(&log->changed);
	} else {
		write_pieces(log);
		queue_line(log, line, n);
		write_pieces(log);
	}
	(void)pthread_mutex_unlock(&log->lock);
}
