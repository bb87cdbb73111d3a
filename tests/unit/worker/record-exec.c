/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record-exec: adds one JSON line about itself to the file that RH_RECORD names, then becomes the
 * program its argv names. The line has the members of the recording of the real Worker.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/json.h"
#include "common/text.h"

static struct json_object *parent_environment(void)
{
	_cleanup_(rh_freep) char *path = rh_fmt("/proc/%d/environ", (int)getppid());
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	struct json_object *names = rh_must(json_object_new_object());

	(void)rh_file_read(path, &text);
	for (char *p = text.data; p && p < text.data + text.size; p += strlen(p) + 1) {
		_cleanup_(rh_freep) char *name = rh_must(strndup(p, strcspn(p, "=")));

		rh_json_set_str(names, name, "");
	}
	return names;
}

static void add_strings(struct json_object *line, const char *key, char **strings)
{
	struct json_object *list = rh_must(json_object_new_array());

	for (; *strings; strings++)
		(void)json_object_array_add(list, rh_must(json_object_new_string(*strings)));
	rh_json_set(line, key, list);
}

static void add_environment(struct json_object *line)
{
	_cleanup_(rh_json_putp) struct json_object *below = parent_environment();
	struct json_object *added = rh_must(json_object_new_array());

	for (char **p = environ; *p; p++) {
		_cleanup_(rh_freep) char *name = rh_must(strndup(*p, strcspn(*p, "=")));

		if (!rh_json_has(below, name) && strcmp(name, "CI") != 0 &&
			strcmp(name, "GITHUB_ACTIONS") != 0)
			(void)json_object_array_add(added, rh_must(json_object_new_string(name)));
	}
	rh_json_set(line, "env_added", added);
	rh_json_set(line, "marker",
		json_object_new_boolean(getenv("RUNNER_TEMP") && getenv("GITHUB_RUN_ID")));
	rh_json_set_str(line, "path", getenv("PATH") ? getenv("PATH") : "");
}

/* How many descriptors above 2 there are, and whether all are pipes. */
static void add_descriptors(struct json_object *line, int own_fd)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0, n_pipes = 0;

	for (struct dirent *entry = NULL; dir && (entry = readdir(dir));) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		struct stat st = {0};

		if (entry->d_name[0] == '.' || fd <= 2 || fd == own_fd || fd == dirfd(dir))
			continue;
		n++;
		n_pipes += fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
	}
	if (dir)
		(void)closedir(dir);
	rh_json_set(line, "n_fds", json_object_new_int(n));
	rh_json_set(line, "n_pipes", json_object_new_int(n_pipes));
}

static void add_streams(struct json_object *line)
{
	char byte = 0;
	int n_pipes = 0;

	for (int fd = 0; fd < 3; fd++) {
		struct stat st = {0};

		n_pipes += fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
	}
	rh_json_set(line, "n_stream_pipes", json_object_new_int(n_pipes));
	rh_json_set(line, "stdin_ends", json_object_new_boolean(read(0, &byte, 1) == 0));
	rh_json_set(line, "own_process_group",
		json_object_new_boolean(getpgid(0) != getpgid(getppid())));
}

static void add_status(struct json_object *line)
{
	static const char *const names[] = {"SigIgn:", "SigBlk:", "Umask:"};
	_cleanup_(rh_text_deinit) struct rh_text text = {0};

	(void)rh_file_read("/proc/self/status", &text);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *at = text.data ? strstr(text.data, names[i]) : NULL;
		_cleanup_(rh_freep) char *rest = rh_dup(at ? at + strlen(names[i]) : "");
		_cleanup_(rh_freep) char *key = rh_must(strndup(names[i], strlen(names[i]) - 1));

		rest[strcspn(rest, "\n")] = '\0';

		_cleanup_(rh_freep) char *value = rh_trimmed(rest);

		rh_json_set_str(line, key, value);
	}
}

int main(int argc, char **argv)
{
	const char *path = getenv("RH_RECORD");
	char cwd[4096] = "";
	_cleanup_(rh_json_putp) struct json_object *line = rh_must(json_object_new_object());
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;

	add_strings(line, "argv", argv);
	rh_json_set_str(line, "cwd", getcwd(cwd, sizeof(cwd)) ? cwd : "");
	add_environment(line);
	add_descriptors(line, fd);
	add_streams(line);
	add_status(line);
	(void)dprintf(fd, "%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	(void)close(fd);
	(void)execve(argv[0], argv, environ);
	return 127;
}
