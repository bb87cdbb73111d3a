/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The network: what keeps containers apart and lets them out.
 */

#include <string.h>

#include "broker/cli/doctor/doctor.h"

/* As daemon/container names the network of the profiles that say "isolated". */
#define NETWORK "runnerhub"

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

static void check_br_netfilter(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	char text[16];
	const char *path = "/proc/sys/net/bridge/bridge-nf-call-iptables";

	if (!is_isolated_used(doctor)) {
		rh_found(f, RH_HEALTH_SKIPPED, "no profile's network is isolated");
	} else if (is_set(doctor, path)) {
		rh_found(f, RH_HEALTH_OK, "the firewall sees traffic between containers");
	} else if (rh_look_host(doctor, path, text, sizeof(text)) < 0) {
		rh_found(f, RH_HEALTH_FAILURE,
			"br_netfilter is not loaded: containers of one bridge reach each other");
		rh_advise(f, "modprobe br_netfilter, and name it in /etc/modules-load.d");
	} else {
		rh_found(f, RH_HEALTH_FAILURE,
			"bridge-nf-call-iptables is 0: containers of one bridge reach each other");
		rh_advise(
			f, "sysctl -w net.bridge.bridge-nf-call-iptables=1 (and in /etc/sysctl.d)");
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

	int r = rh_ask_engine(doctor->docker_socket, "/networks/" NETWORK, &status, &body, &err);
	struct json_object *options = rh_json_member(body, "Options");

	if (r == 0 && status == 404) {
		rh_found(f, RH_HEALTH_OK, "not there yet; the broker makes it");
	} else if (r < 0 || status != 200) {
		rh_found(f, RH_HEALTH_WARNING, "cannot be asked for: %s",
			r < 0 ? err.text : "an odd answer");
	} else if (strcmp(rh_json_text(body, "Driver"), "bridge") == 0 &&
		strcmp(rh_json_text(options, "com.docker.network.bridge.enable_icc"), "false") ==
			0) {
		rh_found(f, RH_HEALTH_OK, "a bridge of its own, nothing passes between containers");
	} else {
		rh_found(f, RH_HEALTH_FAILURE,
			"there is a network %s that does not keep containers apart", NETWORK);
		rh_advise(f, "docker network rm %s; the broker makes it anew", NETWORK);
	}
}

const struct rh_check rh_checks_network[] = {
	{"network.br_netfilter", "br_netfilter", check_br_netfilter},
	{"network.ip_forward", "ip_forward", check_forward},
	{"network.bridge", "network " NETWORK, check_bridge},
	{0},
};
