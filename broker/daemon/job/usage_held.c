/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Disk space of a job that no walk of its trees sees: files that were deleted and that a process
 * still holds, by a descriptor, a mapping, or as its program; and the files of the engine that are
 * mounted into each container, and that its root may write.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/daemon/job/usage.h"
#include "broker/daemon/mount/kernel.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"
#include "runnerhub/weaken.h"

#define BLOCK_BYTES 512u
#define FIRST_SLOTS 1024u

/* Each file once, however many hold it: an open-addressed table, at most half full. */
struct held {
	struct rh_usage_count *count;
	size_t n, n_slots;
	struct id {
		dev_t dev; /* 0: a free slot */
		ino_t ino;
	} * slots;
};

static struct id *slot_of(struct id *slots, size_t n_slots, dev_t dev, ino_t ino)
{
	uint64_t hash = ((uint64_t)ino ^ ((uint64_t)dev << 40)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(hash >> 32) & (n_slots - 1);

	while (slots[at].dev != 0 && (slots[at].dev != dev || slots[at].ino != ino))
		at = (at + 1) & (n_slots - 1);
	return &slots[at];
}

static bool grow(struct held *held)
{
	size_t n_slots = held->n_slots > 0 ? held->n_slots * 2 : FIRST_SLOTS;
	struct id *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < held->n_slots; i++) {
		if (held->slots[i].dev != 0)
			*slot_of(slots, n_slots, held->slots[i].dev, held->slots[i].ino) =
				held->slots[i];
	}
	free(held->slots);
	held->slots = slots;
	held->n_slots = n_slots;
	return true;
}

static void add(struct held *held, const struct stat *st)
{
	struct id *slot = NULL;

	if (held->n * 2 >= held->n_slots && !grow(held)) {
		rh_usage_failed(held->count, ENOMEM);
		return;
	}
	slot = slot_of(held->slots, held->n_slots, st->st_dev, st->st_ino);
	if (slot->dev != 0)
		return;
	if (held->n == RH_USAGE_HELD) {
		held->count->too_many = true;
		return;
	}
	*slot = (struct id){.dev = st->st_dev, .ino = st->st_ino};
	held->n++;
	held->count->bytes += (uint64_t)st->st_blocks * BLOCK_BYTES;
	held->count->files++;
}

/* A link of /proc that stands for a file. */
static void look_at_link(struct held *held, const char *path)
{
	struct stat st;
	struct statfs fs;

	/* What is in memory counts as memory. */
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 &&
		statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC)
		add(held, &st);
}

/* Return: whether there was anything. */
static bool look_at_links(struct held *held, const char *dir_path)
{
	DIR *dir = opendir(dir_path);
	struct dirent *entry = NULL;
	char path[128];
	bool any = false;

	if (!dir) {
		rh_usage_failed(held->count, errno);
		return false;
	}
	while (rh_usage_goes_on(held->count) && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		any = true;
		(void)snprintf(path, sizeof(path), "%s/%.64s", dir_path, entry->d_name);
		look_at_link(held, path);
	}
	(void)closedir(dir);
	return any;
}

/* Where the kernel does not tell, they are taken for two. */
static bool share_descriptors(pid_t one, pid_t other)
{
	return syscall(SYS_kcmp, one, other, KCMP_FILES, 0UL, 0UL) == 0;
}

/*
 * A thread may have descriptors of its own, and the first one may have ended: each is asked whose
 * descriptors it uses. Mappings are the same for all; /proc has them by a thread's number, too.
 */
static void look_at_process(struct held *held, pid_t pid)
{
	char path[64];
	DIR *tasks = NULL;
	struct dirent *entry = NULL;
	pid_t last = 0;
	bool has_maps = false;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		rh_usage_failed(held->count, errno);
	while (tasks && rh_usage_goes_on(held->count) && (entry = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid <= 0)
			continue;
		if (last == 0 || !share_descriptors(last, tid)) {
			(void)snprintf(
				path, sizeof(path), "/proc/%d/task/%d/fd", (int)pid, (int)tid);
			(void)look_at_links(held, path);
			last = tid;
		}
		if (has_maps)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/map_files", (int)tid);
		has_maps = look_at_links(held, path);
		(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)tid);
		look_at_link(held, path);
	}
	if (tasks)
		(void)closedir(tasks);
}

void rh_usage_count_held(const struct rh_cgroups *cgroups, struct rh_usage_count *count)
{
	struct held held = {.count = count};
	char path[PATH_MAX + 32];
	FILE *procs = NULL;
	_cleanup_(rh_freep) char *line = NULL;
	size_t size = 0;

	if (rh_weakened("watch-held"))
		return;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroups->paths[RH_CONTROLLER_PIDS]);
	procs = fopen(path, "re");
	if (!procs)
		rh_usage_failed(count, errno);
	while (procs && rh_usage_goes_on(count) && getline(&line, &size, procs) > 0)
		look_at_process(&held, (pid_t)strtol(line, NULL, 10));
	if (procs)
		(void)fclose(procs);
	free(held.slots);
}

/* One field of mountinfo, without its escapes; "" if it does not fit. */
static void copy_field(char *to, size_t size, const char *from, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		char c = from[i];

		/* "\040": three octal digits. */
		if (c == '\\' && n - i > 3 && isdigit((unsigned char)from[i + 1])) {
			char digits[4] = {from[i + 1], from[i + 2], from[i + 3], '\0'};

			c = (char)strtol(digits, NULL, 8);
			i += 3;
		}
		if (k + 1 >= size) {
			k = 0;
			break;
		}
		to[k++] = c;
	}
	to[k] = '\0';
}

const char *rh_usage_engine_file(const char *mountinfo, char *ret_path, size_t size)
{
	static const char *const names[] = {"/hosts", "/hostname", "/resolv.conf"};

	for (const char *line = mountinfo; *line;) {
		const char *next = line + strcspn(line, "\n");
		const char *root = line;

		next += *next == '\n';
		/* "36 25 0:40 /containers/x/hosts /etc/hosts rw,… - ext4 …" */
		for (int i = 0; i < 3; i++) {
			root += strcspn(root, " \n");
			root += *root == ' ';
		}

		size_t n_root = strcspn(root, " \n");
		const char *target = root + n_root + (root[n_root] == ' ');

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			size_t n = strlen(names[i]);

			if (n_root < n || strncmp(root + n_root - n, names[i], n) != 0)
				continue;
			copy_field(ret_path, size, target, strcspn(target, " \n"));
			return next;
		}
		line = next;
	}
	return NULL;
}

static void add_engine_file(int root_fd, const char *path, struct rh_usage_count *count)
{
	struct stat st;
	const char *name = path + strspn(path, "/");
	_cleanup_(rh_closep) int fd =
		*name ? rh_sys_openat2(root_fd, name, O_PATH, RH_BENEATH) : -ENAMETOOLONG;

	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		count->failed = true;
	else if (fd < 0 || fstat(fd, &st) < 0)
		count->cut = true; /* it is not where the text says */
	else if (S_ISREG(st.st_mode))
		count->bytes += (uint64_t)st.st_blocks * BLOCK_BYTES;
}

void rh_usage_count_engine(pid_t init, struct rh_usage_count *count)
{
	_cleanup_(rh_freep) char *text = malloc(RH_USAGE_MOUNTINFO);
	_cleanup_(rh_closep) int root_fd = -1;
	char path[PATH_MAX];
	ssize_t n = -ENOMEM;

	if (rh_weakened("watch-engine"))
		return;
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)init);
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)init);
	if (text)
		n = rh_read_file_at(AT_FDCWD, path, text, RH_USAGE_MOUNTINFO);
	if (root_fd < 0 || n < 0) {
		/* It is too large by names that a job gives. */
		count->cut = n == -EFBIG;
		count->failed = !count->cut;
		return;
	}
	/* The directory that one lies in can be renamed, but not all the time by anybody honest. */
	for (const char *at = text; (at = rh_usage_engine_file(at, path, sizeof(path)));)
		add_engine_file(root_fd, path, count);
}
