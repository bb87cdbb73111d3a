/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Choosing what the rules are put into force with.
 */

#include "broker/daemon/network/firewall.h"

#include <errno.h>
#include <string.h>

static const struct rh_firewall_backend *const backends[] = {
	&rh_firewall_nft, &rh_firewall_iptables, &rh_firewall_iptables_legacy};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

static int choose_first(
	struct rh_firewall *firewall, const struct rh_firewall_view *view, struct rh_err *err)
{
	struct rh_err first = {0};
	struct rh_err last = {0};
	int r = -ENOENT;

	for (size_t i = 0; i < N_BACKENDS; i++) {
		r = backends[i]->probe(view, i == 0 ? &first : &last);
		if (r == 0) {
			firewall->backend = backends[i];
			return 0;
		}
	}
	return rh_err_set(err, r, "neither nftables nor iptables can be used: %.200s; %.200s",
		first.text, last.text);
}

int rh_firewall_choose(struct rh_firewall *firewall, const char *wanted,
	const struct rh_firewall_view *view, struct rh_err *err)
{
	if (strcmp(wanted, "auto") == 0)
		return firewall->backend ? 0 : rh_trace(choose_first(firewall, view, err));
	for (size_t i = 0; i < N_BACKENDS; i++) {
		if (strcmp(wanted, backends[i]->name) == 0) {
			firewall->backend = backends[i];
			return 0;
		}
	}
	return rh_err_set(err, -EINVAL, "there is no firewall %s", wanted);
}

int rh_firewall_put(
	struct rh_firewall *firewall, const struct rh_firewall_view *view, struct rh_err *err)
{
	int r = firewall->backend->put(firewall, view, err);

	/* Only now: there is no moment without any. */
	for (size_t i = 0; i < N_BACKENDS && r == 0 && !firewall->swept; i++) {
		if (backends[i] != firewall->backend)
			backends[i]->remove(view->rules);
	}
	firewall->swept = firewall->swept || r == 0;
	return rh_trace(r);
}
