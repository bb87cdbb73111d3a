/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The option table of the configuration file, but for its profiles.
 */

#include "broker/daemon/config/check.h"
#include "broker/daemon/config/config.h"
#include "broker/daemon/config/egress.h"
#include "broker/daemon/config/option.h"
#include "rh-config.h"
#include "runnerhub/client_conf.h"

#define CONFIG(field) offsetof(struct rh_config, field)
#define N_ROWS(rows)  (sizeof(rows) / sizeof((rows)[0]))

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* In the order of the enums in log.h. */
static const char *const log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};
const char *const rh_config_firewalls[] = {"auto", "nftables", "iptables", "iptables-legacy", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

/*
 * The first id: 0x70000000 to 0x7fffffff is what systemd's list of id ranges leaves free
 * (UIDS-GIDS.md); the last range must end below the two ids that mean "none" (2^32 - 2).
 */
#define ID_MAP_BASE     "1879048192"
#define ID_MAP_BASE_MIN 65536u
#define ID_MAP_BASE_MAX 4294770688u

static const struct rh_option config_rows[] = {
	{.name = "log.level",
		.type = RH_OPTION_CHOICE,
		.offset = CONFIG(log_level),
		.fallback = "info",
		.choices = log_levels,
		.help = "what is logged: this level and the graver ones"},
	{.name = "log.format",
		.type = RH_OPTION_CHOICE,
		.offset = CONFIG(log_format),
		.fallback = "text",
		.choices = log_formats,
		.help = "one event a line, as text or as a JSON object"},
	{.name = "docker.socket",
		.type = RH_OPTION_PATH,
		.offset = CONFIG(docker_socket),
		.fallback = "/var/run/docker.sock",
		.restart = true,
		.help = "socket of the Docker Engine (API 1.41 or newer)"},
	{.name = "docker.request_timeout",
		.type = RH_OPTION_DURATION,
		.offset = CONFIG(engine_timeout_ms),
		.fallback = "30s",
		.min = 100,
		.max = 10 * MINUTE,
		.restart = true,
		.help = "how long one request may take"},
	{.name = "docker.parallel_creates",
		.type = RH_OPTION_COUNT32,
		.offset = CONFIG(engine_parallel),
		.fallback = "4",
		.min = 1,
		.max = 64,
		.help = "containers created at the same time"},
	{.name = "network.name",
		.type = RH_OPTION_TEXT,
		.offset = CONFIG(network_name),
		.fallback = "runnerhub",
		.check = rh_check_network_name,
		.unit = "NAME",
		.restart = true,
		.help = "the isolated profiles' network in the engine, and their rules in the "
			"firewall; two brokers on one host need two"},
	{.name = "network.firewall",
		.type = RH_OPTION_CHOICE,
		.offset = CONFIG(network_firewall),
		.fallback = "auto",
		.choices = rh_config_firewalls,
		.restart = true,
		.help = "what the rules are put into force with; auto is nftables where it can be "
			"used, else iptables"},
	{.name = "network.ipv6",
		.type = RH_OPTION_TEXT,
		.offset = CONFIG(network_ip6),
		.fallback = "none",
		.check = rh_check_subnet6,
		.unit = "SUBNET",
		.restart = true,
		.help = "its IPv6 subnet, such as fd00:1234::/64"},
	{.name = "timeouts.broker_wait",
		.type = RH_OPTION_DURATION,
		.offset = CONFIG(broker_wait_ms),
		.fallback = "30s",
		.min = 100,
		.max = 10 * MINUTE,
		.help = "how long a step waits for an absent broker before it fails"},
	{.name = "timeouts.job_start",
		.type = RH_OPTION_DURATION,
		.offset = CONFIG(job_start_wait_ms),
		.fallback = "60s",
		.min = 100,
		.max = HOUR,
		.help = "how long the whole started hook may take before the job fails"},
	{.name = "timeouts.agent",
		.type = RH_OPTION_DURATION,
		.offset = CONFIG(agent_timeout_ms),
		.fallback = "10s",
		.min = 100,
		.max = 10 * MINUTE,
		.help = "how long a new container's agent may take to answer"},
	{.name = "timeouts.drain",
		.type = RH_OPTION_DURATION,
		.offset = CONFIG(drain_timeout_ms),
		.fallback = "30s",
		.min = 0,
		.max = 7 * DAY,
		.help = "how long running jobs may still take after SIGTERM; what then runs goes "
			"on and is adopted by the next broker"},
	{.name = "timeouts.announce_keep",
		.type = RH_OPTION_DURATION,
		.offset = CONFIG(announce_keep_ms),
		.fallback = "30s",
		.min = SECOND,
		.max = HOUR,
		.help = "how long a container is kept for a job that was announced and did not "
			"come"},
	{.name = "id_map.base",
		.type = RH_OPTION_COUNT32,
		.offset = CONFIG(id_map_base),
		.fallback = ID_MAP_BASE,
		.min = ID_MAP_BASE_MIN,
		.max = ID_MAP_BASE_MAX,
		.restart = true,
		.help = "first of 65536 user and group ids of the host that nothing else uses: "
			"files that a job leaves behind as another user than its own belong to "
			"them until they are removed"},
	{.name = "environment.pass",
		.type = RH_OPTION_LIST,
		.offset = CONFIG(env_pass),
		.fallback = RH_CLIENT_CONF_ENV_PASS_DEFAULT,
		.check = rh_check_pattern,
		.unit = "NAME",
		.help = "variables that reach a step although they come from the runner's own "
			"environment; NAME* stands for all that begin so; replaces this list"},
	{.name = "store.keep",
		.type = RH_OPTION_DURATION,
		.offset = CONFIG(store_keep_ms),
		.fallback = "30d",
		.min = MINUTE,
		.max = 3650 * DAY,
		.help = "how long the record of an ended job is kept"},
	{.name = "store.keep_jobs",
		.type = RH_OPTION_COUNT32,
		.offset = CONFIG(store_keep_jobs),
		.fallback = "10000",
		.min = 1,
		.max = 1000000,
		.help = "how many records of ended jobs are kept"},
	{.name = "runtime_dir",
		.type = RH_OPTION_PATH,
		.offset = CONFIG(runtime_dir),
		.fallback = RH_RUNTIME_DIR,
		.restart = true,
		.help = "the sockets and what the clients must know"},
	{.name = "state_dir",
		.type = RH_OPTION_PATH,
		.offset = CONFIG(state_dir),
		.fallback = RH_STATE_DIR,
		.restart = true,
		.help = "the store and the containers' own directories"},
	{.name = "libexec_dir",
		.type = RH_OPTION_PATH,
		.offset = CONFIG(libexec_dir),
		.fallback = RH_LIBEXEC_DIR,
		.restart = true,
		.help = "the programs that runners and containers are given"},
	{.name = "runners_dir",
		.type = RH_OPTION_PATH,
		.offset = CONFIG(runners_dir),
		.fallback = RH_CONFIG_DIR "/runners.d",
		.help = "one file NAME.yaml per registered runner, written by install"},
	{.name = "group",
		.type = RH_OPTION_TEXT,
		.offset = CONFIG(group),
		.fallback = "runnerhub",
		.check = rh_check_group,
		.restart = true,
		.unit = "GROUP",
		.help = "who may use the control socket beside root; \"\" for nobody"},
	{.name = "default_profile",
		.type = RH_OPTION_TEXT,
		.offset = CONFIG(default_profile),
		.fallback = "default",
		.check = rh_check_profile_name,
		.unit = "PROFILE",
		.help = "profile of the runners whose own file names none"},
};

const struct rh_option_table rh_options_config = {
	.rows = config_rows, .n = N_ROWS(config_rows), .also = "profiles"};
