/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading back what is in force. The formats are those of proc(5); names of mounts and interfaces
 * are a job's or an image's to choose, and are only shown, escaped.
 */

#include "broker/daemon/container/enforced.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/daemon/container/cgroups.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"

#define TEXT_MAX ((size_t)512 * 1024)

static const char *const ns_names[RH_NS_KINDS] = {
	"mnt", "pid", "ipc", "uts", "net", "cgroup", "user"};

/* A file below /proc/PID. Return: its size; negative errno. */
static ssize_t read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	text[0] = '\0';
	return rh_read_file_at(AT_FDCWD, path, text, size);
}

/* The number behind "Key:" at the start of a line; @missing. */
static uint64_t status_number(const char *text, const char *key, int base, uint64_t missing)
{
	size_t n = strlen(key);

	for (const char *line = text; line && *line;) {
		if (strncmp(line, key, n) == 0)
			return strtoull(line + n, NULL, base);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return missing;
}

static int read_status(pid_t pid, char *text, struct rh_enforced *enforced)
{
	ssize_t n = read_proc(pid, "status", text, TEXT_MAX);

	if (n < 0)
		return rh_trace((int)n);
	enforced->cap_effective = status_number(text, "CapEff:", 16, UINT64_MAX);
	enforced->cap_bounding = status_number(text, "CapBnd:", 16, UINT64_MAX);
	enforced->seccomp = (int)status_number(text, "Seccomp:", 10, 0);
	enforced->n_filters = (int)(int64_t)status_number(text, "Seccomp_filters:", 10, UINT64_MAX);
	enforced->no_new_privs = status_number(text, "NoNewPrivs:", 10, 0) == 1;
	return 0;
}

static void copy_line(char *to, size_t size, const char *text)
{
	(void)snprintf(to, size, "%.*s", (int)strcspn(text, "\n"), text);
}

static void read_label(pid_t pid, char *text, struct rh_enforced *enforced)
{
	/* Without AppArmor the file is another module's, or gives EINVAL. */
	if (access("/sys/module/apparmor", F_OK) == 0 &&
		read_proc(pid, "attr/current", text, TEXT_MAX) > 0)
		copy_line(enforced->apparmor, sizeof(enforced->apparmor), text);
	if (read_proc(pid, "uid_map", text, TEXT_MAX) > 0)
		copy_line(enforced->uid_map, sizeof(enforced->uid_map), text);
}

/* The hard limit of a line of /proc/PID/limits: name, soft, hard, unit. */
static uint64_t hard_limit(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	char soft[32], hard[32];

	if (!line || sscanf(line + strlen(name), "%31s %31s", soft, hard) != 2)
		return RH_CGROUP_UNKNOWN;
	return strcmp(hard, "unlimited") == 0 ? RH_CGROUP_UNLIMITED : strtoull(hard, NULL, 10);
}

static void read_limits(pid_t pid, char *text, struct rh_enforced *enforced)
{
	(void)read_proc(pid, "limits", text, TEXT_MAX);
	enforced->core_max = hard_limit(text, "Max core file size");
	enforced->fsize_max = hard_limit(text, "Max file size");
	enforced->nofile_max = hard_limit(text, "Max open files");
}

static uint64_t ns_number(pid_t pid, const char *name)
{
	char path[64];
	char link[64] = "";
	const char *at = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return 0;
	at = strchr(link, '[');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void read_namespaces(pid_t pid, struct rh_enforced *enforced)
{
	for (int i = 0; i < RH_NS_KINDS; i++) {
		uint64_t ours = ns_number(getpid(), ns_names[i]);

		enforced->namespaces[i] = ns_number(pid, ns_names[i]);
		enforced->own[i] = enforced->namespaces[i] != 0 && enforced->namespaces[i] != ours;
	}
}

static void read_cgroups(pid_t pid, struct rh_enforced *enforced)
{
	struct rh_cgroups cgroups;
	bool v2 = false;
	uint64_t quota = 0, period = 0;

	enforced->cpus = -1;
	enforced->memory = enforced->memory_swap = enforced->pids = RH_CGROUP_UNKNOWN;
	if (rh_cgroups_of(pid, &cgroups) < 0)
		return;
	v2 = cgroups.version == 2;
	enforced->cgroup_version = cgroups.version;
	enforced->pids = rh_cgroup_number(&cgroups, RH_CONTROLLER_PIDS, "pids.max", "");
	enforced->memory = rh_cgroup_number(
		&cgroups, RH_CONTROLLER_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes", "");
	/* Version 1 counts memory and swap together. */
	enforced->memory_swap = rh_cgroup_number(&cgroups, RH_CONTROLLER_MEMORY,
		v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes", "");
	if (v2 && enforced->memory_swap < RH_CGROUP_UNLIMITED &&
		enforced->memory < RH_CGROUP_UNLIMITED)
		enforced->memory_swap += enforced->memory;
	quota = rh_cgroup_number(
		&cgroups, RH_CONTROLLER_CPU, v2 ? "cpu.max" : "cpu.cfs_quota_us", "");
	/* The second number of cpu.max; nobody sets another one than this. */
	period = v2 ? 100000
		    : rh_cgroup_number(&cgroups, RH_CONTROLLER_CPU, "cpu.cfs_period_us", "");
	if (quota < RH_CGROUP_UNLIMITED && period > 0 && period < RH_CGROUP_UNLIMITED)
		enforced->cpus = (double)quota / (double)period;
	else if (quota == RH_CGROUP_UNLIMITED)
		enforced->cpus = 0;
}

/* "36 25 0:40 /root /target options [tags] - type source super": octal escapes stay. */
static bool parse_mount(char *line, struct rh_enforced_mount *mount)
{
	char *fields[6] = {NULL};
	char *rest = strstr(line, " - ");
	char *save = NULL;

	if (!rest)
		return false;
	for (int i = 0; i < 6; i++) {
		fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!fields[i])
			return false;
	}
	(void)snprintf(mount->target, sizeof(mount->target), "%s", fields[4]);
	(void)snprintf(mount->options, sizeof(mount->options), "%s", fields[5]);
	(void)snprintf(
		mount->type, sizeof(mount->type), "%.*s", (int)strcspn(rest + 3, " "), rest + 3);
	return true;
}

static void read_root(pid_t pid, struct rh_enforced *enforced)
{
	struct statvfs fs;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	enforced->root_bytes =
		statvfs(path, &fs) == 0 ? (uint64_t)fs.f_blocks * fs.f_frsize : RH_CGROUP_UNKNOWN;
}

static void read_mounts(pid_t pid, char *text, struct rh_enforced *enforced)
{
	char *save = NULL;

	if (read_proc(pid, "mountinfo", text, TEXT_MAX) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save);
		line && enforced->n_mounts < RH_ENFORCED_MOUNTS;
		line = strtok_r(NULL, "\n", &save)) {
		if (parse_mount(line, &enforced->mounts[enforced->n_mounts]))
			enforced->n_mounts++;
	}
}

static void add_address(struct rh_enforced *enforced, const char *text)
{
	for (size_t i = 0; i < enforced->n_addresses; i++) {
		if (strcmp(enforced->addresses[i], text) == 0)
			return;
	}
	if (enforced->n_addresses < RH_ENFORCED_LINKS)
		(void)snprintf(enforced->addresses[enforced->n_addresses++],
			sizeof(enforced->addresses[0]), "%s", text);
}

/* A local address is the line before "/32 host LOCAL" in the routing tree. */
static void read_ipv4(pid_t pid, char *text, struct rh_enforced *enforced)
{
	const char *last = NULL;

	if (read_proc(pid, "net/fib_trie", text, TEXT_MAX) < 0)
		return;
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		const char *leaf = memmem(line, n, "|-- ", 4);
		char address[48];

		if (leaf) {
			last = leaf + 4;
		} else if (last && memmem(line, n, "/32 host LOCAL", 14)) {
			copy_line(address, sizeof(address), last);
			add_address(enforced, address);
		}
		line += n + (line[n] == '\n');
	}
}

static void read_ipv6(pid_t pid, char *text, struct rh_enforced *enforced)
{
	if (read_proc(pid, "net/if_inet6", text, TEXT_MAX) < 0)
		return;
	for (const char *line = text; strcspn(line, "\n") >= 32;) {
		struct in6_addr address = {0};
		char shown[48];

		for (size_t i = 0; i < 16; i++) {
			char digits[3] = {line[2 * i], line[2 * i + 1], '\0'};

			address.s6_addr[i] = (uint8_t)strtoul(digits, NULL, 16);
		}
		if (inet_ntop(AF_INET6, &address, shown, sizeof(shown)))
			add_address(enforced, shown);
		line = strchr(line, '\n');
		if (!line)
			break;
		line++;
	}
}

static void read_network(pid_t pid, char *text, struct rh_enforced *enforced)
{
	char *save = NULL;

	if (read_proc(pid, "net/dev", text, TEXT_MAX) > 0) {
		for (char *line = strtok_r(text, "\n", &save);
			line && enforced->n_links < RH_ENFORCED_LINKS;
			line = strtok_r(NULL, "\n", &save)) {
			char *colon = strchr(line, ':');

			/* The two lines of titles have none. */
			if (colon &&
				sscanf(line, " %15[^:]", enforced->links[enforced->n_links]) == 1)
				enforced->n_links++;
		}
	}
	read_ipv4(pid, text, enforced);
	read_ipv6(pid, text, enforced);
}

int rh_enforced_read(pid_t pid, struct rh_enforced *ret_enforced)
{
	_cleanup_(rh_freep) char *text = malloc(TEXT_MAX);
	int r = 0;

	*ret_enforced = (struct rh_enforced){0};
	if (!text)
		return rh_origin(-ENOMEM);
	r = read_status(pid, text, ret_enforced);
	if (r < 0)
		return rh_trace(r);
	read_label(pid, text, ret_enforced);
	read_limits(pid, text, ret_enforced);
	read_namespaces(pid, ret_enforced);
	read_cgroups(pid, ret_enforced);
	read_root(pid, ret_enforced);
	read_mounts(pid, text, ret_enforced);
	read_network(pid, text, ret_enforced);
	return 0;
}
