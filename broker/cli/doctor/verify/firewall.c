/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The firewall's rules against the containers: each one that is on the isolated network has its
 * part, and each part has its container.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/doctor/verify/verify.h"
#include "broker/daemon/network/port.h"
#include "broker/daemon/network/program.h"
#include "broker/daemon/network/xtables.h"

#define RESTART "systemctl restart runnerhubd"

/* Whether a live container is on the isolated network. */
static bool is_on_network(const struct rh_verify *verify, struct json_object *record)
{
	struct json_object *attached = rh_json_member(verify->network, "Containers");

	return rh_verify_is_live(record) &&
		rh_json_member(attached, rh_json_text(record, "engineId"));
}

static struct rh_rules_port *port_of(const struct rh_verify *verify, const char *instance)
{
	char dir[PATH_MAX];
	struct rh_rules_port *port = rh_port_new(instance);

	(void)snprintf(dir, sizeof(dir), "%s/containers", verify->doctor->state_dir);
	if (port && rh_port_load(dir, port) == 0)
		return port;
	rh_port_free(port);
	return NULL;
}

static bool is_someones(const struct rh_verify *verify, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < rh_json_length(verify->records) && !found; i++) {
		struct json_object *record = json_object_array_get_idx(verify->records, i);
		_cleanup_(rh_port_freep) struct rh_rules_port *port = NULL;

		if (rh_verify_is_live(record))
			port = port_of(verify, rh_json_text(record, "instance"));
		found = port && strcmp(port->name, name) == 0;
	}
	return found;
}

/* @text: nft's word of the set of ports, names in double quotes; is changed. */
static void check_ports(struct rh_verify *verify, char *text)
{
	char *end = NULL;

	for (char *at = strchr(text, '"'); at && (end = strchr(at + 1, '"'));
		at = strchr(end + 1, '"')) {
		*end = '\0';
		verify->n_compared++;
		if (!is_someones(verify, at + 1))
			rh_verify_differs(verify, RESTART,
				"port %s has rules in nftables, and no container", at + 1);
		*end = ' ';
	}
}

static bool is_an_instance(const struct rh_verify *verify, const char *digits)
{
	for (size_t i = 0; i < rh_json_length(verify->records); i++) {
		struct json_object *record = json_object_array_get_idx(verify->records, i);

		if (rh_verify_is_live(record) &&
			strncmp(rh_json_text(record, "instance"), digits, strlen(digits)) == 0)
			return true;
	}
	return false;
}

static void check_chains(struct rh_verify *verify, char **chains, const char *base)
{
	char digits[11];

	for (; chains && *chains; chains++) {
		if (!rh_xtables_is_own(base, *chains, digits) || !*digits)
			continue;
		verify->n_compared++;
		if (!is_an_instance(verify, digits))
			rh_verify_differs(verify, RESTART,
				"chain %s is in iptables, and no container", *chains);
	}
}

static bool has_chain(char *const *chains, const char *base, const char *instance)
{
	char wanted[RH_XTABLES_CHAIN_SIZE];

	(void)snprintf(wanted, sizeof(wanted), "%s-c%.10s", base, instance);
	for (; chains && *chains; chains++) {
		if (strcmp(*chains, wanted) == 0)
			return true;
	}
	return false;
}

/* Each container's part; @text: nft's word of its ports; @chains: those of iptables. */
static void check_containers(
	struct rh_verify *verify, const char *text, char *const *chains, const char *base)
{
	for (size_t i = 0; i < rh_json_length(verify->records); i++) {
		struct json_object *record = json_object_array_get_idx(verify->records, i);
		const char *instance = rh_json_text(record, "instance");
		_cleanup_(rh_port_freep) struct rh_rules_port *port = NULL;
		char quoted[IF_NAMESIZE + 2];

		if (!is_on_network(verify, record))
			continue;
		verify->n_compared++;
		port = port_of(verify, instance);
		(void)snprintf(quoted, sizeof(quoted), "\"%s\"", port ? port->name : "");
		if (!port || (text ? !strstr(text, quoted) : !has_chain(chains, base, instance)))
			rh_verify_differs(verify, RESTART,
				"container %s is on network %s, and has no rules in the firewall",
				instance, rh_doctor_network(verify->doctor));
	}
}

void rh_verify_rules(struct rh_verify *verify, const char *firewall, char *text)
{
	char base[RH_XTABLES_BASE_SIZE];
	struct rh_xtables_seen seen = {0};

	if (strcmp(firewall, "nftables") == 0) {
		check_containers(verify, text, NULL, NULL);
		check_ports(verify, text);
		return;
	}
	rh_xtables_base(rh_doctor_network(verify->doctor), base);
	if (rh_xtables_parse(text, base, &seen) == 0) {
		verify->n_compared++;
		if (!rh_xtables_is_reached(&seen))
			rh_verify_differs(verify, RESTART,
				"iptables does not come to the rules of network %s first",
				rh_doctor_network(verify->doctor));
		check_containers(verify, NULL, seen.chains, base);
		check_chains(verify, seen.chains, base);
	}
	rh_xtables_forget(&seen);
}

void rh_verify_firewall(struct rh_verify *verify)
{
	const char *network = rh_doctor_network(verify->doctor);
	const char *firewall = rh_json_text(rh_json_member(verify->status, "network"), "firewall");
	const char *const nft[] = {"nft", "list", "set", "bridge", network, "ports", NULL};
	const char *const usual[] = {"iptables-save", "-t", "filter", NULL};
	const char *const legacy[] = {"iptables-legacy-save", "-t", "filter", NULL};
	struct rh_program_result result;
	struct rh_err err;

	/* The broker has put nothing into force; or nobody else is told what is there. */
	if (!*firewall || geteuid() != 0)
		return;
	if (rh_program_run(strcmp(firewall, "nftables") == 0    ? nft
			    : strcmp(firewall, "iptables") == 0 ? usual
								: legacy,
		    "", 0, &result, &err) < 0) {
		rh_verify_differs(verify, "", "the firewall cannot be asked: %s", err.text);
		return;
	}
	if (result.status != 0)
		rh_verify_differs(
			verify, RESTART, "network %s has no rules in %s", network, firewall);
	else
		rh_verify_rules(verify, firewall, result.output);
	free(result.output);
}
