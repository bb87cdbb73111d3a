/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runners directory: who may ask for containers at all.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "broker/daemon/config/apply.h"
#include "broker/daemon/config/check.h"
#include "broker/daemon/config/load.h"

#define RUNNERS_MAX 1024
#define SUFFIX      ".yaml"

struct builder {
	struct rh_runner *runner;
	uint64_t seen;
};

static int on_node(void *arg, const struct rh_yaml_node *node, struct rh_err *err)
{
	struct builder *builder = arg;

	return rh_trace(
		rh_option_apply(&rh_options_runner, builder->runner, node, 0, &builder->seen, err));
}

void rh_runner_deinit(struct rh_runner *runner)
{
	rh_options_deinit(&rh_options_runner, runner);
	free(runner->name);
	*runner = (struct rh_runner){0};
}

/* NULL if @path is its own canonical form, or is not there: a runner's disk may be away. */
static const char *check_canonical(const char *path)
{
	_cleanup_(rh_freep) char *real = realpath(path, NULL);

	return real && strcmp(real, path) != 0 ? "must not lead through symbolic links" : NULL;
}

int rh_runner_parse(const char *path, const char *data, size_t size, struct rh_runner *ret_runner,
	struct rh_err *err)
{
	struct builder builder = {.runner = ret_runner};
	const char *base = strrchr(path, '/');
	const struct rh_option *missing = NULL;
	const char *wrong = NULL;

	base = base ? base + 1 : path;
	ret_runner->name = strndup(base, strlen(base) - strlen(SUFFIX));
	if (!ret_runner->name)
		return rh_err_set(err, -ENOMEM, "%s: out of memory", path);
	wrong = rh_check_runner_name(ret_runner->name);
	if (wrong)
		return rh_err_set(err, -EINVAL, "%s: the file's name %s", path, wrong);
	int r = rh_yaml_walk(path, data, size, on_node, &builder, err);

	if (r < 0)
		return rh_trace(r);
	missing = rh_options_missing(&rh_options_runner, builder.seen);
	if (missing)
		return rh_err_set(err, -EINVAL, "%s:1: %s: must be set (%s)", path, missing->name,
			missing->help);
	wrong = check_canonical(ret_runner->root);
	if (wrong)
		return rh_err_set(err, -EINVAL, "%s:1: root: %s", path, wrong);
	wrong = check_canonical(ret_runner->work);
	if (wrong)
		return rh_err_set(err, -EINVAL, "%s:1: work: %s", path, wrong);
	return 0;
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static int check_ids(const struct rh_config *config, const struct rh_runner *runner,
	const char *path, struct rh_err *err)
{
	if (runner->uid - config->id_map_base < 65536 || runner->gid - config->id_map_base < 65536)
		return rh_err_set(err, -EINVAL,
			"%s:1: uid, gid: must not be among the 65536 ids from id_map.base (%u)",
			path, config->id_map_base);
	return 0;
}

int rh_config_check_runner_ids(const struct rh_config *config, struct rh_err *err)
{
	char path[PATH_MAX + NAME_MAX + 2];

	for (size_t i = 0; i < config->n_runners; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s" SUFFIX, config->runners_dir,
			config->runners[i].name);
		int r = check_ids(config, &config->runners[i], path, err);

		if (r < 0)
			return rh_trace(r);
	}
	return 0;
}

/* What must fit the configuration and the runners before it. */
static int check_runner(const struct rh_config *config, const struct rh_runner *runner,
	const char *path, struct rh_err *err)
{
	if (runner->profile && !rh_config_profile(config, runner->profile))
		return rh_err_set(err, -EINVAL, "%s:1: profile: there is no profile %s", path,
			runner->profile);
	int r = check_ids(config, runner, path, err);

	if (r < 0)
		return rh_trace(r);
	for (size_t i = 0; i < config->n_runners; i++) {
		const struct rh_runner *other = &config->runners[i];

		if (is_same(runner->root, other->root) || is_same(runner->work, other->work))
			return rh_err_set(err, -EINVAL,
				"%s:1: %s: the same directory as runner %s has", path,
				is_same(runner->root, other->root) ? "root" : "work", other->name);
	}
	return 0;
}

static int add_runner(struct rh_config *config, int dir_fd, const char *name, struct rh_err *err)
{
	_cleanup_(rh_freep) char *data = NULL;
	struct rh_runner runner = {0};
	char path[PATH_MAX + NAME_MAX + 2];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", config->runners_dir, name);
	int r = rh_config_read_file(dir_fd, name, path, &data, &size, err);

	if (r == 0)
		r = rh_runner_parse(path, data, size, &runner, err);
	if (r == 0)
		r = check_runner(config, &runner, path, err);
	if (r == 0)
		config->runners[config->n_runners++] = runner;
	else
		rh_runner_deinit(&runner);
	return rh_trace(r);
}

/* Not hidden, and with the suffix; what editors leave beside it is nobody's. */
static int is_runner_file(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > strlen(SUFFIX) &&
		strcmp(entry->d_name + n - strlen(SUFFIX), SUFFIX) == 0;
}

static void free_entries(struct dirent **entries, int n)
{
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
}

static int add_runners(
	struct rh_config *config, int dir_fd, struct dirent **entries, size_t n, struct rh_err *err)
{
	if (n > RUNNERS_MAX)
		return rh_err_set(
			err, -E2BIG, "%s: more than %d runners", config->runners_dir, RUNNERS_MAX);
	config->runners = calloc(n + 1, sizeof(*config->runners));
	if (!config->runners)
		return rh_err_set(err, -ENOMEM, "%s: out of memory", config->runners_dir);
	for (size_t i = 0; i < n; i++) {
		int r = add_runner(config, dir_fd, entries[i]->d_name, err);

		if (r < 0)
			return rh_trace(r);
	}
	return 0;
}

int rh_config_load_runners(struct rh_config *config, struct rh_err *err)
{
	const char *dir = config->runners_dir;
	_cleanup_(rh_closep) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	struct stat st;
	int r = 0;

	if (dir_fd < 0 && errno == ENOENT)
		return 0;
	if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
		return rh_err_set(err, -errno, "%s: %s", dir, strerror(errno));
	r = rh_config_check_owner(&st, dir, err);
	if (r < 0)
		return rh_trace(r);
	int n = scandirat(dir_fd, ".", &entries, is_runner_file, alphasort);

	if (n < 0)
		return rh_err_set(err, -errno, "%s: %s", dir, strerror(errno));
	r = add_runners(config, dir_fd, entries, (size_t)n, err);
	free_entries(entries, n);
	return rh_trace(r);
}
