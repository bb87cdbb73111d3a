/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directories of containers, workspaces that were leased or set aside, and what is mounted in them.
 */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "broker/cli/doctor/verify/verify.h"

#define MOUNTS_MAX ((size_t)4 * 1024 * 1024)
#define MARKER     "leased-"

static void close_dirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* Calls @fn for each entry of a directory, which may be missing. */
static void each_entry(struct rh_verify *verify, const char *path,
	void (*fn)(struct rh_verify *verify, const char *path, const char *name))
{
	_cleanup_(close_dirp) DIR *dir = opendir(path);
	const struct dirent *entry = NULL;

	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			fn(verify, path, entry->d_name);
	}
}

static void say_remove(char *fix, size_t size, const char *path)
{
	char quoted[PATH_MAX];

	(void)snprintf(fix, size, "rm -rf --one-file-system %s",
		rh_verify_quote(path, quoted, sizeof(quoted)));
}

static void check_container(struct rh_verify *verify, const char *parent, const char *name)
{
	struct json_object *record = rh_verify_find(verify->records, "instance", name);
	char path[PATH_MAX + NAME_MAX + 2], fix[PATH_MAX + 512];

	verify->n_compared++;
	if (record && strcmp(rh_json_text(record, "state"), "removed") != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", parent, name);
	say_remove(fix, sizeof(fix), path);
	rh_verify_differs(verify, fix, "%s is of no container", path);
}

static void check_trash(struct rh_verify *verify, const char *parent, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 2], fix[PATH_MAX + 512];

	verify->n_compared++;
	(void)snprintf(path, sizeof(path), "%s/%s", parent, name);
	say_remove(fix, sizeof(fix), path);
	rh_verify_differs(verify, fix, "%s was set aside, and is not deleted yet", path);
}

static bool has_job(const struct rh_verify *verify, const char *runner)
{
	return rh_verify_find(rh_json_member(verify->status, "jobs"), "runner", runner) != NULL;
}

static void check_runner(struct rh_verify *verify, const struct rh_doctor_runner *runner)
{
	char path[PATH_MAX], workspace[PATH_MAX + NAME_MAX + 2], fix[3 * PATH_MAX],
		quoted[PATH_MAX];
	const struct dirent *entry = NULL;

	(void)snprintf(path, sizeof(path), "%s/_runnerhub/trash", runner->work);
	each_entry(verify, path, check_trash);
	(void)snprintf(path, sizeof(path), "%s/_runnerhub", runner->work);

	_cleanup_(close_dirp) DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		const char *repo = entry->d_name + strlen(MARKER);

		if (strncmp(entry->d_name, MARKER, strlen(MARKER)) != 0)
			continue;
		verify->n_compared++;
		if (has_job(verify, runner->name))
			continue;
		(void)snprintf(workspace, sizeof(workspace), "%s/%s", runner->work, repo);
		say_remove(fix, sizeof(fix), workspace);
		(void)snprintf(workspace, sizeof(workspace), "%s/%s", path, entry->d_name);
		(void)snprintf(fix + strlen(fix), sizeof(fix) - strlen(fix), " %s",
			rh_verify_quote(workspace, quoted, sizeof(quoted)));
		rh_verify_differs(verify, fix,
			"workspace %s of runner %s is leased, and the runner has no job", repo,
			runner->name);
	}
}

void rh_verify_files(struct rh_verify *verify)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/containers", verify->doctor->state_dir);
	if (verify->records)
		each_entry(verify, path, check_container);
	for (size_t i = 0; verify->status && i < verify->doctor->n_runners; i++)
		check_runner(verify, &verify->doctor->runners[i]);
}

/* Undoes the octal escapes of /proc/self/mountinfo, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; to++) {
		if (at[0] == '\\' && at[1] && at[2] && at[3]) {
			*to = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

static bool is_ours(const struct rh_verify *verify, const char *point)
{
	const struct rh_doctor *doctor = verify->doctor;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/containers", doctor->state_dir);
	if (rh_look_is_below(point, path))
		return true;
	for (size_t i = 0; i < doctor->n_runners; i++) {
		(void)snprintf(path, sizeof(path), "%s/_runnerhub", doctor->runners[i].work);
		if (rh_look_is_below(point, path))
			return true;
	}
	return false;
}

/* The slot of a container that is not leased yet, on a kernel before 5.12: <containers>/ID/slot. */
static bool is_slot(const struct rh_verify *verify, const char *point)
{
	const char *slash = strrchr(point, '/');
	char instance[NAME_MAX + 1] = "";
	const char *begin = slash;

	if (!slash || strcmp(slash, "/slot") != 0)
		return false;
	while (begin > point && begin[-1] != '/')
		begin--;
	(void)snprintf(instance, sizeof(instance), "%.*s", (int)(slash - begin), begin);

	const char *state =
		rh_json_text(rh_verify_find(verify->records, "instance", instance), "state");

	return strcmp(state, "creating") == 0 || strcmp(state, "warm") == 0;
}

/* All late mounts are in the containers' own namespaces: the host's has none of them. */
void rh_verify_mounts(struct rh_verify *verify)
{
	_cleanup_(rh_freep) char *text = malloc(MOUNTS_MAX);
	char *rest = NULL;

	if (!text || rh_look_host(verify->doctor, "/proc/self/mountinfo", text, MOUNTS_MAX) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char point[PATH_MAX] = "", fix[PATH_MAX + 16], quoted[PATH_MAX];

		verify->n_compared++;
		/* id, parent, device, root, mount point */
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
			continue;
		unescape(point);
		if (!is_ours(verify, point) || is_slot(verify, point))
			continue;
		(void)snprintf(fix, sizeof(fix), "umount -l %s",
			rh_verify_quote(point, quoted, sizeof(quoted)));
		rh_verify_differs(verify, fix, "something is mounted on the host at %s", point);
	}
}
