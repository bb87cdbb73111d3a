/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What iptables-save(8) says is there: lines of ":CHAIN POLICY [COUNTERS]" and "-A CHAIN RULE".
 */

#include <errno.h>
#include <string.h>

#include "broker/daemon/config/strv.h"
#include "broker/daemon/network/xtables.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

const char *const rh_xtables_hooks[RH_XTABLES_HOOKS] = {"FORWARD", "INPUT", "DOCKER-USER"};

const char *rh_xtables_suffix(enum rh_xtables_hook hook)
{
	return hook == RH_XTABLES_INPUT ? "-in" : "-fwd";
}

static uint64_t add_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * FNV_PRIME;
	return (hash ^ '\n') * FNV_PRIME;
}

void rh_xtables_base(const char *table, char buf[RH_XTABLES_BASE_SIZE])
{
	uint64_t hash = add_text(FNV_BASIS, table);

	if (strlen(table) < RH_XTABLES_BASE_SIZE)
		(void)snprintf(buf, RH_XTABLES_BASE_SIZE, "%s", table);
	else
		(void)snprintf(buf, RH_XTABLES_BASE_SIZE, "%.7s-%08x", table,
			(unsigned)(hash ^ hash >> 32));
}

bool rh_xtables_is_own(
	const char *base, const char *chain, char ret_instance[RH_XTABLES_DIGITS + 1])
{
	static const char *const fixed[] = {"fwd", "in", "src", "no", "bad"};
	size_t n = strlen(base);
	const char *rest = chain + n + 1;

	if (strncmp(chain, base, n) != 0 || chain[n] != '-')
		return false;
	if (ret_instance)
		ret_instance[0] = '\0';
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (strcmp(rest, fixed[i]) == 0)
			return true;
	}
	if (!*rest || !strchr("crs", *rest) ||
		strspn(rest + 1, "0123456789abcdef") != RH_XTABLES_DIGITS ||
		rest[1 + RH_XTABLES_DIGITS] != '\0')
		return false;
	if (ret_instance)
		(void)snprintf(ret_instance, RH_XTABLES_DIGITS + 1, "%s", rest + 1);
	return true;
}

/* Of -A HOOK RULE. Another instance's jump, to a chain of the same kind, decides nothing. */
static void take_hook(
	struct rh_xtables_seen *seen, enum rh_xtables_hook hook, const char *base, const char *rule)
{
	char own[RH_XTABLES_CHAIN_SIZE + 8];
	const char *suffix = rh_xtables_suffix(hook);
	size_t n = strlen(rule);

	(void)snprintf(own, sizeof(own), "-j %s%s", base, suffix);
	if (strcmp(rule, own) == 0) {
		seen->n_jumps[hook]++;
		return;
	}
	if (seen->n_jumps[hook] == 0 &&
		(strncmp(rule, "-j ", 3) != 0 || strchr(rule + 3, ' ') || n < strlen(suffix) ||
			strcmp(rule + n - strlen(suffix), suffix) != 0))
		seen->first[hook] = false;
}

static int take_chain(struct rh_xtables_seen *seen, const char *base, char *chain)
{
	chain[strcspn(chain, " ")] = '\0';
	for (size_t i = 0; i < RH_XTABLES_HOOKS; i++)
		seen->has[i] = seen->has[i] || strcmp(chain, rh_xtables_hooks[i]) == 0;
	if (!rh_xtables_is_own(base, chain, NULL))
		return 0;
	seen->hash = add_text(seen->hash, chain);
	return rh_trace(rh_strv_append(&seen->chains, chain));
}

static void take_rule(struct rh_xtables_seen *seen, const char *base, char *line)
{
	char *rule = line + strcspn(line, " ");

	if (*rule)
		*rule++ = '\0';
	/* It ends in a blank in some versions. */
	for (size_t n = strlen(rule); n > 0 && rule[n - 1] == ' '; n--)
		rule[n - 1] = '\0';
	for (size_t i = 0; i < RH_XTABLES_HOOKS; i++) {
		if (strcmp(line, rh_xtables_hooks[i]) == 0)
			take_hook(seen, i, base, rule);
	}
	if (!rh_xtables_is_own(base, line, NULL))
		return;
	seen->n_rules++;
	seen->hash = add_text(add_text(seen->hash, line), rule);
}

int rh_xtables_parse(char *text, const char *base, struct rh_xtables_seen *ret_seen)
{
	char *rest = NULL;
	int r = 0;

	*ret_seen = (struct rh_xtables_seen){.hash = FNV_BASIS, .first = {true, true, true}};
	for (char *line = strtok_r(text, "\n", &rest); line && r == 0;
		line = strtok_r(NULL, "\n", &rest)) {
		if (line[0] == ':')
			r = take_chain(ret_seen, base, line + 1);
		else if (strncmp(line, "-A ", 3) == 0)
			take_rule(ret_seen, base, line + 3);
	}
	return rh_trace(r);
}

void rh_xtables_forget(struct rh_xtables_seen *seen)
{
	rh_strv_free(rh_steal(&seen->chains));
}

bool rh_xtables_is_reached(const struct rh_xtables_seen *seen)
{
	for (size_t i = 0; i < RH_XTABLES_HOOKS; i++) {
		if ((i != RH_XTABLES_DOCKER || seen->has[i]) &&
			(seen->n_jumps[i] != 1 || !seen->first[i]))
			return false;
	}
	return true;
}
