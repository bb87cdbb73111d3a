/* SPDX-License-Identifier: Apache-2.0 */

/*
 * without-calls: run a program on a kernel that is older than it is
 *
 *   without-calls NAME[,NAME]… [--] PROGRAM [ARGUMENT]…
 *
 * The named system calls answer ENOSYS to the program and to whatever it starts. The name
 * "nosymfollow" makes mount(2) refuse that flag, as before Linux 5.10. It needs root, and gives up
 * nothing else: no_new_privs is not set.
 */

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "this processor is not known"
#endif

#define NOSYMFOLLOW   0x100 /* MS_NOSYMFOLLOW, linux/mount.h */
#define INSTRUCTIONS  64
#define EXIT_USAGE    2
#define EXIT_NOT_DONE 125

static const struct {
	const char *name;
	long number;
} calls[] = {
	{"open_tree", SYS_open_tree},
	{"move_mount", SYS_move_mount},
	{"mount_setattr", SYS_mount_setattr},
	{"fsopen", SYS_fsopen},
	{"fsconfig", SYS_fsconfig},
	{"fsmount", SYS_fsmount},
	{"openat2", SYS_openat2},
	{"close_range", SYS_close_range},
	{"pidfd_open", SYS_pidfd_open},
	{"pidfd_send_signal", SYS_pidfd_send_signal},
	{"landlock_create_ruleset", SYS_landlock_create_ruleset},
	{"inotify_init1", SYS_inotify_init1},
};

struct program {
	struct sock_filter at[INSTRUCTIONS];
	unsigned short n;
};

static void add(struct program *program, struct sock_filter instruction)
{
	if (program->n < INSTRUCTIONS)
		program->at[program->n++] = instruction;
}

static void load(struct program *program, size_t offset)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *program, uint32_t action)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void refuse_call(struct program *program, long number)
{
	add(program,
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1));
	answer(program, SECCOMP_RET_ERRNO | ENOSYS);
}

/* Ends with the number loaded again. */
static void refuse_flag(struct program *program)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 0, 4));
	load(program, offsetof(struct seccomp_data, args[3])); /* its lower half: little-endian */
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NOSYMFOLLOW, 0, 1));
	answer(program, SECCOMP_RET_ERRNO | EINVAL);
	load(program, offsetof(struct seccomp_data, nr));
}

static int add_name(struct program *program, const char *name)
{
	if (strcmp(name, "nosymfollow") == 0) {
		refuse_flag(program);
		return 0;
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(name, calls[i].name) == 0) {
			refuse_call(program, calls[i].number);
			return 0;
		}
	}
	(void)fprintf(stderr, "without-calls: %s: no such call here\n", name);
	return -1;
}

int main(int argc, char **argv)
{
	struct program program = {.n = 0};
	char *save = NULL;
	int command = argc > 2 && strcmp(argv[2], "--") == 0 ? 3 : 2;

	if (argc <= command) {
		(void)fprintf(stderr, "usage: without-calls NAME[,NAME]... [--] PROGRAM...\n");
		return EXIT_USAGE;
	}
	load(&program, offsetof(struct seccomp_data, arch));
	add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0));
	answer(&program, SECCOMP_RET_ALLOW);
	load(&program, offsetof(struct seccomp_data, nr));
	for (char *name = strtok_r(argv[1], ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		if (add_name(&program, name) < 0)
			return EXIT_USAGE;
	}
	answer(&program, SECCOMP_RET_ALLOW);

	const struct sock_fprog filter = {.len = program.n, .filter = program.at};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0) {
		perror("without-calls: the filter");
		return EXIT_NOT_DONE;
	}
	(void)execvp(argv[command], argv + command);
	perror(argv[command]);
	return EXIT_NOT_DONE;
}
