/* SPDX-License-Identifier: Apache-2.0 */

/*
 * client.conf: what the hook programs must know, where they look for it.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "broker/daemon/config/config.h"
#include "runnerhub/client_conf.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"

#define NEW_NAME "." RH_CLIENT_CONF ".new"

/* Return: the length, or -EFBIG. */
static ssize_t format(const struct rh_config *config, char *text, size_t size)
{
	int n = snprintf(text, size,
		RH_CLIENT_CONF_BROKER_WAIT "=%" PRIu64 "\n" RH_CLIENT_CONF_JOB_START "=%" PRIu64
					   "\n" RH_CLIENT_CONF_ENV_PASS "=",
		config->broker_wait_ms, config->job_start_wait_ms);

	for (char *const *p = config->env_pass; p && *p && n >= 0 && (size_t)n < size; p++)
		n += snprintf(
			text + n, size - (size_t)n, "%s%s", p == config->env_pass ? "" : ",", *p);
	if (n >= 0 && (size_t)n < size)
		n += snprintf(text + n, size - (size_t)n, "\n");
	return n < 0 || (size_t)n >= size ? rh_origin(-EFBIG) : n;
}

static int write_new(int dir_fd, const char *text, size_t n)
{
	/* A crash may have left one. */
	if (unlinkat(dir_fd, NEW_NAME, 0) < 0 && errno != ENOENT)
		return rh_origin(-errno);
	_cleanup_(rh_closep) int fd = openat(
		dir_fd, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return rh_origin(-errno);
	/* Runners of any uid read it, whatever our umask is. */
	if (fchmod(fd, 0644) < 0)
		return rh_origin(-errno);
	int r = rh_write_all(fd, text, n);

	if (r < 0)
		return rh_trace(r);
	if (renameat(dir_fd, NEW_NAME, dir_fd, RH_CLIENT_CONF) < 0)
		return rh_origin(-errno);
	return 0;
}

int rh_config_publish(const struct rh_config *config, struct rh_err *err)
{
	_cleanup_(rh_freep) char *text = malloc(RH_CLIENT_CONF_SIZE_MAX);
	_cleanup_(rh_closep) int dir_fd =
		open(config->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n = 0;
	int r = 0;

	if (dir_fd < 0)
		return rh_err_set(err, -errno, "%s: %s", config->runtime_dir, strerror(errno));
	if (!text)
		return rh_err_set(err, -ENOMEM, "%s: out of memory", config->runtime_dir);
	n = format(config, text, RH_CLIENT_CONF_SIZE_MAX);
	if (n < 0)
		return rh_err_set(err, (int)n, "%s: environment.pass: too long for %s",
			config->path, RH_CLIENT_CONF);
	r = write_new(dir_fd, text, (size_t)n);
	if (r < 0) {
		(void)unlinkat(dir_fd, NEW_NAME, 0);
		return rh_err_set(
			err, r, "%s/" RH_CLIENT_CONF ": %s", config->runtime_dir, strerror(-r));
	}
	return 0;
}
