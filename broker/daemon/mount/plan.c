/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The list of mounts of one job. Pure.
 */

#include "broker/daemon/mount/plan.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runnerhub/limits.h"
#include "runnerhub/weaken.h"

/* "leased-" and a repository's name must fit into one directory entry. */
#define REPO_MAX 200

/* Directories of the work directory that are not workspaces. */
static const char *const reserved[] = {
	"_PipelineMapping", "_actions", "_runnerhub", "_temp", "_tool", "_update"};

/* No tool cache is, or is below, one of these … */
static const char *const never_below[] = {
	"/boot", "/dev", "/etc", "/proc", "/run", "/sys", RH_AGENT_DIR};
/* … or is one of these. */
static const char *const never_exact[] = {"/bin", "/home", "/lib", "/lib32", "/lib64", "/media",
	"/mnt", "/opt", "/root", "/sbin", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/lib",
	"/usr/local", "/usr/sbin", "/usr/share", "/var", "/var/lib", "/var/log", "/var/tmp"};

bool rh_plan_is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 &&
		strcmp(name, "..") != 0;
}

bool rh_plan_is_path(const char *path)
{
	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return false;
	for (const char *p = path; *p;) {
		size_t length = strcspn(p + 1, "/");

		if (length == 0 || length > NAME_MAX || (length == 1 && p[1] == '.') ||
			(length == 2 && p[1] == '.' && p[2] == '.'))
			return false;
		p += 1 + length;
	}
	return true;
}

const char *rh_plan_below(const char *dir, const char *path)
{
	size_t length = strlen(dir);

	if (strncmp(path, dir, length) != 0 || path[length] != '/' || path[length + 1] == '\0')
		return NULL;
	return path + length + 1;
}

static bool is_listed(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, list[i]) == 0)
			return true;
	}
	return false;
}

#define IS_LISTED(name, list) is_listed(name, list, sizeof(list) / sizeof((list)[0]))

int rh_plan_check_repo(const char *repo, struct rh_err *err)
{
	if (!rh_plan_is_name(repo) || strlen(repo) > REPO_MAX)
		return rh_err_set(
			err, -EINVAL, "repository name '%.200s' is no directory name", repo);
	if (IS_LISTED(repo, reserved))
		return rh_err_set(err, -EINVAL,
			"a repository named '%s' would share its directory with the runner; rename "
			"it",
			repo);
	return 0;
}

static bool same_or_below(const char *dir, const char *path)
{
	return strcmp(dir, path) == 0 || rh_plan_below(dir, path);
}

/* The first component of @path is, or begins like, something of the runner's own. */
static bool is_runners_own(const char *path)
{
	return path[0] == '.' || strncmp(path, "bin", 3) == 0 || strncmp(path, "_diag", 5) == 0 ||
		strncmp(path, "externals", 9) == 0;
}

static bool is_workspace_or_reserved(const struct rh_mount_attach *attach, const char *path)
{
	size_t length = strcspn(path, "/");
	char first[NAME_MAX + 1];

	if (length >= sizeof(first))
		return true;
	memcpy(first, path, length);
	first[length] = '\0';
	if (strcmp(first, "_tool") == 0)
		return false;
	return strcmp(first, attach->repo) == 0 || IS_LISTED(first, reserved);
}

int rh_plan_check_tools(const struct rh_mount_attach *attach, const char *path, struct rh_err *err)
{
	const char *in_work = rh_plan_below(attach->work, path);
	const char *in_root = rh_plan_below(attach->root, path);
	bool bad = strcmp(path, "/") == 0 || IS_LISTED(path, never_exact) ||
		same_or_below(path, attach->work) || same_or_below(path, attach->root) ||
		same_or_below(path, attach->state_dir) || same_or_below(attach->state_dir, path);

	for (size_t i = 0; i < sizeof(never_below) / sizeof(never_below[0]) && !bad; i++)
		bad = same_or_below(never_below[i], path);
	if (in_work)
		bad = bad || is_workspace_or_reserved(attach, in_work);
	else if (in_root)
		bad = bad || is_runners_own(in_root);
	if (bad)
		return rh_err_set(err, -EPERM,
			"%.300s cannot be the tool cache of a job; set RUNNER_TOOL_CACHE to a "
			"directory of its own",
			path);
	return 0;
}

/* Adds an entry; @target_name is its name below the base, where that differs from @source. */
static int add(const struct rh_mount_attach *attach, struct rh_plan *plan,
	struct rh_plan_entry entry, const char *source, const char *target_name)
{
	struct rh_plan_entry *to = &plan->entries[plan->n_entries];
	const char *base = entry.base == RH_PLAN_WORK ? attach->work : attach->root;
	int n = 0;

	*to = entry;
	n = snprintf(to->source, sizeof(to->source), "%s", source);
	if (n < 0 || (size_t)n >= sizeof(to->source))
		return rh_origin(-ENAMETOOLONG);
	n = snprintf(
		to->target, sizeof(to->target), "%s/%s", base, target_name ? target_name : source);
	if (n < 0 || (size_t)n >= sizeof(to->target))
		return rh_origin(-ENAMETOOLONG);
	plan->n_entries++;
	return 0;
}

static int add_work(const struct rh_mount_attach *attach, struct rh_plan *plan)
{
	const struct rh_plan_entry rw = {.base = RH_PLAN_WORK, .create = true, .below = -1};
	struct rh_plan_entry ro = rw;
	int r = add(attach, plan, rw, attach->repo, NULL);

	ro.read_only = true;
	if (r == 0)
		r = add(attach, plan, rw, "_temp", NULL);
	if (r == 0)
		r = add(attach, plan, ro, "_actions", NULL);
	ro.below = 1; /* _temp */
	if (r == 0)
		r = add(attach, plan, ro, "_temp/_github_workflow", NULL);
	return rh_trace(r);
}

/* @name/@inner, under the name that it has and the one that it is known by. */
static int add_root(const struct rh_mount_attach *attach, struct rh_plan *plan, const char *name,
	const char *known_as, const char *inner)
{
	const struct rh_plan_entry ro = {
		.base = RH_PLAN_ROOT, .read_only = true, .map_optional = true, .below = -1};
	char source[NAME_MAX * 2];
	char target[NAME_MAX * 2];

	(void)snprintf(source, sizeof(source), "%s%s", name, inner);
	(void)snprintf(target, sizeof(target), "%s%s", known_as, inner);

	int r = add(attach, plan, ro, source, target);

	if (r == 0 && strcmp(name, known_as) != 0)
		r = add(attach, plan, ro, source, NULL);
	return rh_trace(r);
}

/* What a job would have without a plan: the runner's directory as it is. */
static int add_everything(const struct rh_mount_attach *attach, struct rh_plan *plan)
{
	const struct rh_plan_entry root = {.base = RH_PLAN_ROOT, .below = -1};

	plan->n_entries = 0;
	(void)add(attach, plan, root, ".", NULL);
	(void)snprintf(plan->entries[0].target, PATH_MAX, "%s", attach->root);
	return 0;
}

static int plan_tools(
	const struct rh_mount_attach *attach, struct rh_plan *plan, struct rh_err *err)
{
	char *path = plan->tools_target;
	size_t length = 0;

	if (!attach->tool_cache)
		return 0;
	length = strlen(attach->tool_cache);
	while (length > 1 && attach->tool_cache[length - 1] == '/')
		length--;
	(void)snprintf(path, PATH_MAX, "%.*s", (int)length, attach->tool_cache);
	if (!rh_plan_is_path(path))
		return rh_err_set(err, -EINVAL,
			"tool cache '%.300s' is not a plain absolute path; correct "
			"RUNNER_TOOL_CACHE",
			path);

	int r = rh_plan_check_tools(attach, path, err);
	const char *in_work = rh_plan_below(attach->work, path);

	if (r < 0)
		return rh_trace(r);
	plan->tools_kind = in_work ? RH_PLAN_TOOLS_BELOW_WORK : RH_PLAN_TOOLS_ELSEWHERE;
	(void)snprintf(plan->tools, sizeof(plan->tools), "%s", in_work ? in_work : path);
	return 0;
}

static int plan_workspace(
	const struct rh_mount_attach *attach, struct rh_plan *plan, struct rh_err *err)
{
	char path[PATH_MAX];
	size_t length = strlen(attach->workspace);

	while (length > 1 && attach->workspace[length - 1] == '/')
		length--;
	(void)snprintf(path, sizeof(path), "%.*s", (int)length, attach->workspace);

	const char *in_work = rh_plan_below(attach->work, path);
	const char *inner = in_work ? rh_plan_below(attach->repo, in_work) : NULL;

	if (!rh_plan_is_path(path) || !inner)
		return rh_err_set(err, -EINVAL, "workspace %.200s is not below %.200s/%.200s", path,
			attach->work, attach->repo);
	(void)snprintf(plan->workspace, sizeof(plan->workspace), "%s", in_work);
	return 0;
}

int rh_plan_make(const struct rh_mount_attach *attach, const struct rh_plan_names *names,
	struct rh_plan *plan, struct rh_err *err)
{
	plan->n_entries = 0;
	plan->tools_kind = RH_PLAN_TOOLS_NONE;
	if (!rh_plan_is_path(attach->root) || !rh_plan_is_path(attach->work) ||
		!rh_plan_is_path(attach->state_dir))
		return rh_err_set(err, -EINVAL,
			"root, work and state directory must be plain absolute paths");

	int r = rh_plan_check_repo(attach->repo, err);

	if (r == 0)
		r = plan_workspace(attach, plan, err);
	if (r == 0)
		r = plan_tools(attach, plan, err);
	if (r < 0)
		return rh_trace(r);

	r = add_work(attach, plan);
	if (r == 0 && names->externals)
		r = add_root(attach, plan, names->externals, "externals", "");
	if (r == 0 && names->bin)
		r = add_root(attach, plan, names->bin, "bin", "/hashFiles");
	if (r == 0 && rh_weakened("mount-plan"))
		r = add_everything(attach, plan);
	if (r < 0)
		return rh_err_set(err, r, "the paths of this job are too long");
	return 0;
}
