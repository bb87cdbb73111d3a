/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The firewall by iptables and ip6tables, whichever of their two kinds these are, or by the older
 * one by its name.
 *
 * Nothing tells of changes, so what is there is looked at now and then, and compared with what was
 * there right after it had been put. Each change writes all of our chains anew, in one transaction
 * for each family; programs wait for each other's by themselves (-w).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/network/firewall.h"
#include "broker/daemon/network/program.h"
#include "broker/daemon/network/xtables.h"
#include "runnerhub/cleanup.h"

#define RESOURCE_PROBLEM 4 /* the exit status, also when somebody holds the lock for too long */

struct programs {
	const char *save[2]; /* IPv4, IPv6 */
	const char *restore[2];
};

static const struct programs usual = {
	{"iptables-save", "ip6tables-save"}, {"iptables-restore", "ip6tables-restore"}};
static const struct programs legacy = {{"iptables-legacy-save", "ip6tables-legacy-save"},
	{"iptables-legacy-restore", "ip6tables-legacy-restore"}};

static const int families[] = {AF_INET, AF_INET6};

/* A kernel without IPv6 has no rules for it, and no packets. */
static bool is_there(size_t i)
{
	return families[i] == AF_INET || access("/proc/net/if_inet6", F_OK) == 0;
}

static int failed(const char *name, const struct rh_program_result *result, struct rh_err *err)
{
	char text[200];

	rh_program_first_line(result, text, sizeof(text));
	if (result->status == RESOURCE_PROBLEM && strstr(result->output, "xtables lock"))
		return rh_err_set(
			err, -EBUSY, "%s: another program holds the lock of iptables", name);
	if (result->status >= 128)
		return rh_err_set(
			err, -EINTR, "%s was ended by signal %d", name, result->status - 128);
	return rh_err_set(err, -EINVAL, "%s refuses the rules: %s", name,
		text[0] ? text : "it does not say why");
}

static int look_at(const char *program, const struct rh_rules *rules,
	struct rh_xtables_seen *ret_seen, struct rh_err *err)
{
	const char *const argv[] = {program, "-t", "filter", NULL};
	struct rh_program_result result;
	char base[RH_XTABLES_BASE_SIZE];
	int r = rh_program_run(argv, "", 0, &result, err);

	if (r < 0)
		return rh_trace(r);
	rh_xtables_base(rules->table, base);
	if (result.status != 0) {
		r = failed(program, &result, err);
	} else {
		r = rh_xtables_parse(result.output, base, ret_seen);
		if (r < 0) {
			rh_xtables_forget(ret_seen);
			(void)rh_err_set(err, r, "%s: %s", program, strerror(-r));
		}
	}
	free(result.output);
	return rh_trace(r);
}

/* Takes @script. */
static int restore(struct rh_firewall *firewall, const char *program, char *script, size_t size,
	struct rh_err *err)
{
	const char *const argv[] = {program, "-w", "5", "--noflush", NULL};
	struct rh_program_result result;
	int r = rh_program_run(argv, script, size, &result, err);

	free(script);
	if (r < 0)
		return rh_trace(r);
	if (firewall)
		firewall->own = result.pid;
	if (result.status != 0)
		r = failed(program, &result, err);
	free(result.output);
	return rh_trace(r);
}

/* @view: NULL: nothing is to be there. */
static int write_script(const struct rh_rules *rules, const struct rh_firewall_view *view,
	const struct rh_xtables_seen *seen, int family, char **ret_script, size_t *ret_size,
	size_t *ret_n_rules)
{
	char base[RH_XTABLES_BASE_SIZE];
	FILE *out = open_memstream(ret_script, ret_size);

	if (!out)
		return rh_origin(-ENOMEM);
	rh_xtables_base(rules->table, base);
	if (view)
		*ret_n_rules =
			rh_xtables_write(out, family, rules, view->ports, view->n_ports, seen);
	else
		rh_xtables_write_none(out, base, seen);
	return fclose(out) == 0 ? 0 : rh_origin(-ENOMEM);
}

/* One family. */
static int put_one(struct rh_firewall *firewall, const struct programs *programs, size_t i,
	const struct rh_firewall_view *view, struct rh_err *err)
{
	struct rh_xtables_seen seen = {0};
	char *script = NULL;
	size_t size = 0, n_rules = 0;
	int r = look_at(programs->save[i], view->rules, &seen, err);

	if (r < 0)
		return rh_trace(r);
	r = write_script(view->rules, view, &seen, families[i], &script, &size, &n_rules);
	rh_xtables_forget(&seen);
	if (r < 0) {
		free(script);
		return rh_err_set(err, r, "out of memory");
	}
	r = restore(firewall, programs->restore[i], script, size, err);
	if (r == 0)
		r = look_at(programs->save[i], view->rules, &seen, err);
	if (r < 0)
		return rh_trace(r);
	firewall->left[i] = seen.hash;
	if (!rh_xtables_is_reached(&seen) || seen.n_rules != n_rules)
		r = rh_err_set(
			err, -EAGAIN, "somebody changes the rules of iptables at the same time");
	rh_xtables_forget(&seen);
	return rh_trace(r);
}

/* Containers that would share a chain would share what they may reach. */
static bool has_twins(const struct rh_firewall_view *view)
{
	for (size_t i = 0; i < view->n_ports; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strncmp(view->ports[i]->instance, view->ports[k]->instance,
				    RH_XTABLES_DIGITS) == 0)
				return true;
		}
	}
	return false;
}

static int put(struct rh_firewall *firewall, const struct programs *programs,
	const struct rh_firewall_view *view, struct rh_err *err)
{
	int r = 0;

	if (has_twins(view))
		return rh_err_set(err, -EEXIST, "two containers' identities begin alike");

	for (size_t i = 0; i < 2 && r == 0; i++) {
		if (is_there(i))
			r = put_one(firewall, programs, i, view, err);
	}
	return rh_trace(r);
}

static bool look(const struct rh_firewall *firewall, const struct programs *programs,
	const struct rh_rules *rules)
{
	bool same = true;

	for (size_t i = 0; i < 2 && same; i++) {
		struct rh_xtables_seen seen = {0};
		struct rh_err err;

		if (!is_there(i))
			continue;
		same = look_at(programs->save[i], rules, &seen, &err) == 0 &&
			rh_xtables_is_reached(&seen) && seen.hash == firewall->left[i];
		rh_xtables_forget(&seen);
	}
	return same;
}

static void take_away(const struct programs *programs, const struct rh_rules *rules)
{
	for (size_t i = 0; i < 2; i++) {
		struct rh_xtables_seen seen = {0};
		char *script = NULL;
		size_t size = 0;
		struct rh_err err;

		if (!is_there(i) || look_at(programs->save[i], rules, &seen, &err) < 0)
			continue;
		if (!seen.chains)
			continue;
		if (write_script(rules, NULL, &seen, families[i], &script, &size, NULL) == 0)
			(void)restore(NULL, programs->restore[i], script, size, &err);
		else
			free(script);
		rh_xtables_forget(&seen);
	}
}

static int probe(
	const struct programs *programs, const struct rh_firewall_view *view, struct rh_err *err)
{
	char path[RH_PROGRAM_PATH_MAX];
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0; i++) {
		struct rh_xtables_seen seen = {0};

		if (!is_there(i))
			continue;
		r = look_at(programs->save[i], view->rules, &seen, err);
		rh_xtables_forget(&seen);
		if (r == 0 && rh_program_find(programs->restore[i], path) < 0)
			r = rh_err_set(err, -ENOENT, "the program %s is not installed",
				programs->restore[i]);
	}
	return rh_trace(r);
}

static int probe_usual(const struct rh_firewall_view *view, struct rh_err *err)
{
	return rh_trace(probe(&usual, view, err));
}

static int put_usual(
	struct rh_firewall *firewall, const struct rh_firewall_view *view, struct rh_err *err)
{
	return rh_trace(put(firewall, &usual, view, err));
}

static bool look_usual(const struct rh_firewall *firewall, const struct rh_rules *rules)
{
	return look(firewall, &usual, rules);
}

static void take_usual_away(const struct rh_rules *rules)
{
	take_away(&usual, rules);
}

const struct rh_firewall_backend rh_firewall_iptables = {
	.name = "iptables",
	.probe = probe_usual,
	.put = put_usual,
	.look = look_usual,
	.remove = take_usual_away,
	.guards_no_frames = true,
};

static int probe_legacy(const struct rh_firewall_view *view, struct rh_err *err)
{
	return rh_trace(probe(&legacy, view, err));
}

static int put_legacy(
	struct rh_firewall *firewall, const struct rh_firewall_view *view, struct rh_err *err)
{
	return rh_trace(put(firewall, &legacy, view, err));
}

static bool look_legacy(const struct rh_firewall *firewall, const struct rh_rules *rules)
{
	return look(firewall, &legacy, rules);
}

/* Looking at a table of theirs makes it: where none is used there is nothing. */
static void take_legacy_away(const struct rh_rules *rules)
{
	char names[256] = "";
	_cleanup_(rh_closep) int fd = open("/proc/net/ip_tables_names", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, names, sizeof(names) - 1) > 0 && strstr(names, "filter"))
		take_away(&legacy, rules);
}

const struct rh_firewall_backend rh_firewall_iptables_legacy = {
	.name = "iptables-legacy",
	.probe = probe_legacy,
	.put = put_legacy,
	.look = look_legacy,
	.remove = take_legacy_away,
	.guards_no_frames = true,
};
