/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The firewall by nftables.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/network/firewall.h"
#include "broker/daemon/network/nft.h"
#include "runnerhub/cleanup.h"

/* A script in memory. */
struct script {
	FILE *out;
	char *text;
	size_t size;
};

static int begin(struct script *script, struct rh_err *err)
{
	*script = (struct script){0};
	script->out = open_memstream(&script->text, &script->size);
	return script->out ? 0 : rh_err_set(err, -ENOMEM, "out of memory");
}

static int run(struct script *script, bool check_only, pid_t *own, struct rh_err *err)
{
	int r = fclose(script->out) == 0 ? 0 : rh_err_set(err, -ENOMEM, "out of memory");

	if (r == 0 && script->size > 0)
		r = rh_nft_run(script->text, script->size, check_only, own, err);
	free(script->text);
	return rh_trace(r);
}

static int write_and_run(
	const struct rh_firewall_view *view, bool check_only, pid_t *own, struct rh_err *err)
{
	struct script script;
	int r = begin(&script, err);

	if (r < 0)
		return rh_trace(r);
	rh_rules_write(script.out, view->rules, view->ports, view->n_ports);
	return rh_trace(run(&script, check_only, own, err));
}

static int probe(const struct rh_firewall_view *view, struct rh_err *err)
{
	return rh_trace(write_and_run(view, true, NULL, err));
}

static int put(
	struct rh_firewall *firewall, const struct rh_firewall_view *view, struct rh_err *err)
{
	return rh_trace(write_and_run(view, false, &firewall->own, err));
}

static int change(struct rh_firewall *firewall, const struct rh_firewall_view *gone,
	const struct rh_rules_port *added, struct rh_err *err)
{
	struct script script;
	int r = begin(&script, err);

	if (r < 0)
		return rh_trace(r);
	for (size_t i = 0; i < gone->n_ports; i++)
		rh_rules_write_gone(script.out, gone->rules, gone->ports[i]);
	if (added)
		rh_rules_write_port(script.out, gone->rules, added);
	return rh_trace(run(&script, false, &firewall->own, err));
}

static void take_away(const struct rh_rules *rules)
{
	struct script script;
	struct rh_err err;

	if (begin(&script, &err) < 0)
		return;
	rh_rules_write_none(script.out, rules);
	/* Where there is no nft, there is nothing of it. */
	(void)run(&script, false, NULL, &err);
}

const struct rh_firewall_backend rh_firewall_nft = {
	.name = "nftables",
	.probe = probe,
	.put = put,
	.change = change,
	.remove = take_away,
};
