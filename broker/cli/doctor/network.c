/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The network: what keeps containers apart and lets them out.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/doctor/doctor.h"

/* Where daemon/network looks for programs, and which it needs for each firewall. */
static const char *const places[] = {"/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"};
static const struct firewall {
	const char *name; /* as network.firewall has it */
	const char *programs[5];
} firewalls[] = {
	{"nftables", {"nft"}},
	{"iptables", {"iptables-restore", "iptables-save", "ip6tables-restore", "ip6tables-save"}},
	{"iptables-legacy",
		{"iptables-legacy-restore", "iptables-legacy-save", "ip6tables-legacy-restore",
			"ip6tables-legacy-save"}},
};

#define N_FIREWALLS (sizeof(firewalls) / sizeof(firewalls[0]))

const char *rh_doctor_network(const struct rh_doctor *doctor)
{
	const char *name = rh_json_text(rh_json_member(doctor->status, "network"), "name");

	if (doctor->config)
		return doctor->config->network_name;
	return name[0] ? name : "runnerhub";
}

/* Whether any profile's containers are on the isolated bridge; true if nobody knows. */
static bool is_isolated_used(const struct rh_doctor *doctor)
{
	const struct rh_config *config = doctor->config;

	for (size_t i = 0; config && i < config->n_profiles; i++) {
		if (strcmp(config->profiles[i].network, "isolated") == 0)
			return true;
	}
	return !config;
}

static bool is_set(const struct rh_doctor *doctor, const char *path)
{
	char text[16];

	return rh_look_host(doctor, path, text, sizeof(text)) > 0 && text[0] == '1';
}

static bool has_program(const struct rh_doctor *doctor, const char *name)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s/%s", doctor->host, places[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* The first program that is not there, or NULL. */
static const char *missing(const struct rh_doctor *doctor, const struct firewall *firewall)
{
	for (const char *const *at = firewall->programs; *at; at++) {
		if (!has_program(doctor, *at))
			return *at;
	}
	return NULL;
}

static void check_programs(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const char *wanted =
		doctor->config ? rh_config_firewalls[doctor->config->network_firewall] : "auto";
	const char *lacks = NULL;
	bool any = strcmp(wanted, "auto") == 0;

	if (!is_isolated_used(doctor)) {
		rh_found(f, RH_HEALTH_SKIPPED, "no profile's network is isolated");
		return;
	}
	for (size_t i = 0; i < N_FIREWALLS; i++) {
		const char *lack = NULL;

		if (!any && strcmp(wanted, firewalls[i].name) != 0)
			continue;
		lack = missing(doctor, &firewalls[i]);
		if (!lack) {
			rh_found(f, RH_HEALTH_OK, "%s (%s)", firewalls[i].name,
				firewalls[i].programs[0]);
			return;
		}
		lacks = lacks ? lacks : lack;
	}
	rh_found(f, RH_HEALTH_FAILURE,
		"the program %s is not there: no container of an isolated profile is made",
		lacks ? lacks : wanted);
	rh_advise(f,
		any ? "install the package nftables; iptables may stay as it is"
		    : "install it, or set network.firewall to auto");
}

static void check_rules(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct json_object *network = rh_json_member(doctor->status, "network");

	if (!is_isolated_used(doctor)) {
		rh_found(f, RH_HEALTH_SKIPPED, "no profile's network is isolated");
	} else if (!network) {
		rh_found(f, RH_HEALTH_SKIPPED, "the broker, which knows, was not asked");
	} else if (rh_json_bool(network, "inForce")) {
		rh_found(f, RH_HEALTH_OK, "in force, by %s, under the name %s",
			rh_json_text(network, "firewall"), rh_doctor_network(doctor));
	} else {
		rh_found(f, RH_HEALTH_FAILURE, "not in force, so no job starts: %s",
			rh_json_text(network, "problem"));
		rh_advise(f,
			"nft list table inet %s, or iptables-save, says what is there; the broker "
			"tries again by itself",
			rh_doctor_network(doctor));
	}
}

static void check_forward(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	if (is_set(doctor, "/proc/sys/net/ipv4/ip_forward")) {
		rh_found(f, RH_HEALTH_OK, "containers reach the network");
		return;
	}
	rh_found(f, RH_HEALTH_WARNING, "net.ipv4.ip_forward is 0: containers reach no network");
	rh_advise(f, "sysctl -w net.ipv4.ip_forward=1 (and in /etc/sysctl.d)");
}

static void check_bridge(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	_cleanup_(json_object_putp) struct json_object *body = NULL;
	struct rh_err err = {0};
	int status = 0;

	if (rh_doctor_skip_engine(doctor, f))
		return;
	if (!is_isolated_used(doctor)) {
		rh_found(f, RH_HEALTH_SKIPPED, "no profile's network is isolated");
		return;
	}

	char path[512];

	(void)snprintf(path, sizeof(path), "/networks/%s", rh_doctor_network(doctor));

	int r = rh_ask_engine(doctor->docker_socket, path, &status, &body, &err);
	struct json_object *options = rh_json_member(body, "Options");

	if (r == 0 && status == 404) {
		rh_found(f, RH_HEALTH_OK, "not there yet; the broker makes it");
	} else if (r == 0 && status == 400) {
		/* What the engine says of a name that it finds twice. */
		rh_found(f, RH_HEALTH_WARNING,
			"several networks are called %s; the broker uses one of them",
			rh_doctor_network(doctor));
		rh_advise(f,
			"docker network ls -f name=%s; remove by their ids those that are not its "
			"own",
			rh_doctor_network(doctor));
	} else if (r < 0 || status != 200) {
		rh_found(f, RH_HEALTH_WARNING, "cannot be asked for: %s",
			r < 0 ? err.text : "an odd answer");
	} else if (strcmp(rh_json_text(body, "Driver"), "bridge") == 0 &&
		strcmp(rh_json_text(options, "com.docker.network.bridge.enable_icc"), "false") ==
			0) {
		rh_found(f, RH_HEALTH_OK, "a bridge of its own, nothing passes between containers");
	} else {
		rh_found(f, RH_HEALTH_FAILURE,
			"there is a network %s that does not keep containers apart",
			rh_doctor_network(doctor));
		rh_advise(f, "docker network rm %s; the broker makes it anew",
			rh_doctor_network(doctor));
	}
}

const struct rh_check rh_checks_network[] = {
	{"network.programs", "rules", check_programs},
	{"network.rules", "firewall", check_rules},
	{"network.ip_forward", "ip_forward", check_forward},
	{"network.bridge", "network", check_bridge},
	{0},
};
