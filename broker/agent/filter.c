/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's system call filter. It is set on the agent itself before a job can be there, and
 * inherited by every step: it costs a step nothing, and whatever takes over the agent has it too.
 *
 * A rule's answer is ENOSYS where programs know how to go on without ("this kernel has none"), else
 * what the kernel says to who may not. The engine's filter stays in force beside it; should that be
 * switched off for the whole engine, these rules still hold. Each call interface has numbers of its
 * own: the native one, the 32-bit one, and x32 (which no distribution uses any more; refused).
 *
 *   - whole subsystems that a build needs none of and that most kernel exploits of recent years
 *     came through: io_uring, userfaultfd, bpf, perf, keyrings (the user's keyring is that of the
 *     host's user of the same id), modify_ldt
 *   - new namespaces: a user namespace gives its root every capability in it
 *   - socket families beside unix, IPv4, IPv6, netlink and packet (which needs NET_RAW): AF_VSOCK
 *     reaches the hypervisor past any network namespace, AF_ALG and the rest are attack surface
 *   - the agent's own limits and priorities: it has the user id of a job's root, so prlimit(2) or
 *     sched_setscheduler(2) could take its descriptors or its time
 *   - leases: they make an open(2) of somebody else wait, the agent's too
 */

#include "broker/agent/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runnerhub/err.h"

#if defined(__x86_64__)
#define ARCH_NATIVE    AUDIT_ARCH_X86_64
#define ARCH_COMPAT    AUDIT_ARCH_I386
#define PICK(x86, arm) x86
#define X32_BIT        0x40000000u
#elif defined(__aarch64__)
#define ARCH_NATIVE    AUDIT_ARCH_AARCH64
#define ARCH_COMPAT    AUDIT_ARCH_ARM
#define PICK(x86, arm) arm
#else
#error "name this architecture and its 32-bit one"
#endif

#define NONE UINT32_MAX

/* sched.h of an older C library lacks the last one. */
#define NEW_NAMESPACES                                                                         \
	(0x80u | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		CLONE_NEWPID | CLONE_NEWNET)
/* In clone(2) the low byte is a signal. */
#define NEW_NAMESPACES_CLONE (NEW_NAMESPACES & ~0xffu)

enum test {
	ALWAYS,
	EQUAL, /* the argument is the value */
	ANY_BIT, /* it has one of the value's bits */
	AGENT, /* it is the agent's pid */
	FAMILY, /* it is a socket family that is not allowed */
};

struct rule {
	uint32_t native, compat;
	enum test test;
	uint32_t value;
	uint16_t error;
	uint8_t argument;
	bool namespaces; /* only where new namespaces are not granted */
};

/* Numbers of the 32-bit interfaces: arch/x86/entry/syscalls/syscall_32.tbl, arch/arm/tools/… */
static const struct rule rules[] = {
	{425, 425, ALWAYS, 0, ENOSYS, 0, false}, /* io_uring_setup: one number everywhere */
	{426, 426, ALWAYS, 0, ENOSYS, 0, false}, {427, 427, ALWAYS, 0, ENOSYS, 0, false},
	{SYS_userfaultfd, PICK(374, 388), ALWAYS, 0, ENOSYS, 0, false},
	{SYS_keyctl, PICK(288, 311), ALWAYS, 0, ENOSYS, 0, false},
	{SYS_add_key, PICK(286, 309), ALWAYS, 0, ENOSYS, 0, false},
	{SYS_request_key, PICK(287, 310), ALWAYS, 0, ENOSYS, 0, false},
	{SYS_perf_event_open, PICK(336, 364), ALWAYS, 0, ENOSYS, 0, false},
	{SYS_bpf, PICK(357, 386), ALWAYS, 0, ENOSYS, 0, false},
#if defined(__x86_64__)
	{SYS_modify_ldt, 123, ALWAYS, 0, ENOSYS, 0, false},
#endif
	/* Its flags are in memory, which a filter cannot see; C libraries go on with clone. */
	{435, 435, ALWAYS, 0, ENOSYS, 0, true},
	{SYS_clone, 120, ANY_BIT, NEW_NAMESPACES_CLONE, EPERM, 0, true},
	{SYS_unshare, PICK(310, 337), ANY_BIT, NEW_NAMESPACES, EPERM, 0, true},
	{SYS_socket, PICK(359, 281), FAMILY, 0, EAFNOSUPPORT, 0, false},
	{SYS_socketpair, PICK(360, 288), FAMILY, 0, EAFNOSUPPORT, 0, false},
	/* Its arguments are in memory; C libraries of the last ten years do without. */
	{NONE, 102, EQUAL, 1, ENOSYS, 0, false},
	{SYS_prlimit64, PICK(340, 369), AGENT, 0, EPERM, 0, false},
	{SYS_sched_setaffinity, 241, AGENT, 0, EPERM, 0, false},
	{SYS_sched_setscheduler, 156, AGENT, 0, EPERM, 0, false},
	{SYS_sched_setparam, 154, AGENT, 0, EPERM, 0, false},
	{SYS_sched_setattr, PICK(351, 380), AGENT, 0, EPERM, 0, false},
	{SYS_setpriority, 97, AGENT, 0, EPERM, 1, false},
	{SYS_setpriority, 97, EQUAL, PRIO_USER, EPERM, 0, false},
	{SYS_ioprio_set, PICK(289, 314), AGENT, 0, EPERM, 1, false},
	{SYS_ioprio_set, PICK(289, 314), EQUAL, 3, EPERM, 0, false}, /* IOPRIO_WHO_USER */
	{SYS_fcntl, 55, EQUAL, F_SETLEASE, EINVAL, 1, false},
	{NONE, 221, EQUAL, F_SETLEASE, EINVAL, 1, false}, /* fcntl64 */
};

/* 0 is unspecified, which the kernel refuses by itself. */
static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNSPEC};

#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

static void emit(struct rh_filter *filter, struct sock_filter statement)
{
	if (filter->n == RH_FILTER_MAX)
		__builtin_trap(); /* the table has outgrown it */
	filter->code[filter->n++] = statement;
}

static void load(struct rh_filter *filter, size_t offset)
{
	emit(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void load_number(struct rh_filter *filter)
{
	load(filter, offsetof(struct seccomp_data, nr));
}

/* Goes @yes or @no statements on. */
static void jump(struct rh_filter *filter, uint16_t test, uint32_t value, size_t yes, size_t no)
{
	emit(filter,
		(struct sock_filter)BPF_JUMP(
			BPF_JMP | test | BPF_K, value, (uint8_t)yes, (uint8_t)no));
}

static void answer(struct rh_filter *filter, uint32_t action)
{
	emit(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* The low half of an argument: those that are tested are ints or flags below 2^32. */
static void load_argument(struct rh_filter *filter, uint8_t i)
{
	const size_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : sizeof(uint32_t);

	load(filter, offsetof(struct seccomp_data, args) + i * sizeof(uint64_t) + low);
}

static void add_rule(
	struct rh_filter *filter, const struct rule *rule, uint32_t number, uint32_t agent)
{
	const uint32_t refused = SECCOMP_RET_ERRNO | rule->error;

	switch (rule->test) {
	case ALWAYS:
		jump(filter, BPF_JEQ, number, 0, 1);
		answer(filter, refused);
		return;
	case FAMILY:
		jump(filter, BPF_JEQ, number, 0, N_FAMILIES + 3);
		load_argument(filter, rule->argument);
		for (size_t i = 0; i < N_FAMILIES; i++)
			jump(filter, BPF_JEQ, families[i], N_FAMILIES - i, 0);
		answer(filter, refused);
		load_number(filter);
		return;
	default:
		jump(filter, BPF_JEQ, number, 0, 4);
		load_argument(filter, rule->argument);
		jump(filter, rule->test == ANY_BIT ? BPF_JSET : BPF_JEQ,
			rule->test == AGENT ? agent : rule->value, 0, 1);
		answer(filter, refused);
		load_number(filter);
	}
}

static void add_rules(struct rh_filter *filter, bool compat, uint32_t agent, bool namespaces)
{
	load_number(filter);
#ifdef X32_BIT
	if (!compat) {
		jump(filter, BPF_JGE, X32_BIT, 0, 1);
		answer(filter, SECCOMP_RET_ERRNO | ENOSYS);
	}
#endif
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		uint32_t number = compat ? rules[i].compat : rules[i].native;

		if (number != NONE && !(rules[i].namespaces && namespaces))
			add_rule(filter, &rules[i], number, agent);
	}
	answer(filter, SECCOMP_RET_ALLOW);
}

void rh_filter_build(struct rh_filter *filter, pid_t agent, bool namespaces)
{
	size_t compat_from = 0;

	filter->n = 0;
	load(filter, offsetof(struct seccomp_data, arch));
	jump(filter, BPF_JEQ, ARCH_NATIVE, 3, 0);
	jump(filter, BPF_JEQ, ARCH_COMPAT, 1, 0);
	answer(filter, SECCOMP_RET_ERRNO | ENOSYS);
	/* The way to the second block is longer than a conditional jump's. */
	compat_from = filter->n;
	emit(filter, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	add_rules(filter, false, (uint32_t)agent, namespaces);
	filter->code[compat_from].k = (uint32_t)(filter->n - compat_from - 1);
	add_rules(filter, true, (uint32_t)agent, namespaces);
}

int rh_filter_install(const struct rh_filter *filter)
{
	const struct sock_fprog program = {
		.len = (unsigned short)filter->n,
		.filter = (struct sock_filter *)(uintptr_t)filter->code,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		return rh_origin(-errno);
	return 0;
}
