/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/config/config.h: defaults, every option, what is refused and how it is said.
 */

#include "broker/daemon/config/config.h"

#include "rh-config.h"
#include "rh-test.h"
#include "runnerhub/client_conf.h"
#include "test_config.h"

struct rh_err test_err;

struct rh_config *parse(const char *text)
{
	struct rh_config *config = NULL;

	test_err = (struct rh_err){0};
	int r = rh_config_parse("x.yaml", text, strlen(text), &config, &test_err);

	ck_assert_int_eq(r == 0, config != NULL);
	return config;
}

void refused(const char *text, const char *message)
{
	ck_assert_ptr_null(parse(text));
	ck_assert_str_eq(test_err.text, message);
}

static size_t count(char *const *strv)
{
	size_t n = 0;

	while (strv && strv[n])
		n++;
	return n;
}

START_TEST(defaults_hold)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = parse(LEAST);
	const struct rh_profile *profile = rh_config_profile(config, "default");

	ck_assert_ptr_nonnull(profile);
	ck_assert_str_eq(config->path, "x.yaml");
	ck_assert_str_eq(config->runtime_dir, RH_RUNTIME_DIR);
	ck_assert_str_eq(config->runners_dir, RH_CONFIG_DIR "/runners.d");
	ck_assert_str_eq(config->docker_socket, "/var/run/docker.sock");
	ck_assert_str_eq(config->group, "runnerhub");
	ck_assert_uint_eq(config->log_level, RH_LOG_INFO);
	ck_assert_uint_eq(config->log_format, RH_LOG_TEXT);
	ck_assert_uint_eq(config->broker_wait_ms, 30000);
	ck_assert_uint_eq(config->job_start_wait_ms, 60000);
	ck_assert_uint_eq(config->id_map_base, 1879048192);
	ck_assert_uint_eq(config->store_keep_ms, 30ull * 86400000);
	ck_assert_str_eq(config->env_pass[0], "CI");
	ck_assert_str_eq(config->env_pass[3], "LC_*");
	ck_assert_uint_eq(profile->user, RH_USER_ROOT);
	ck_assert_double_eq(profile->cpus, 2);
	ck_assert_uint_eq(profile->memory_bytes, 4096ull << 20);
	ck_assert_uint_eq(profile->pids, 512);
	ck_assert_str_eq(profile->network, "isolated");
	ck_assert_uint_eq(profile->job_timeout_ms, INT64_C(6) * 3600000);
	ck_assert_ptr_null(profile->cap_add);
	ck_assert_ptr_null(profile->ulimits);
	ck_assert_str_eq(profile->runtime, "default");
	ck_assert_uint_eq(config->n_runners, 0);
	ck_assert_ptr_null(rh_config_profile(config, "other"));
	ck_assert_ptr_null(rh_config_runner(config, "other"));
}
END_TEST

static const char everything[] =
	"log: {level: debug, format: json}\n"
	"docker:\n  socket: /d.sock\n  request_timeout: 2s\n  parallel_creates: 7\n"
	"timeouts:\n  broker_wait: 2s\n  job_start: 3s\n  agent: 4s\n  drain: 0\n"
	"  announce_keep: 5s\n"
	"id_map: {base: 100000}\n"
	"environment: {pass: [A, \"B*\"]}\n"
	"store: {keep: 7d, keep_jobs: 5}\n"
	"runtime_dir: /r\nstate_dir: /s\nlibexec_dir: /l\nrunners_dir: /n\n"
	"group: \"\"\ndefault_profile: p\n"
	"profiles:\n  p:\n    image: a/b:c@sha256:0\n    user: 1000:100\n"
	"    cpus: 1.5\n    memory: none\n    pids: 0\n    nofile: 100\n"
	"    shm: 1G\n    network: none\n    cap_add: [NET_RAW, SYS_PTRACE]\n"
	"    env: {A: b=c, D: }\n    warm: 0\n    max: 1\n    job_timeout: none\n"
	"  q: {image: x, user: runner, env: [A=1, B=]}\n";

START_TEST(every_option_is_read)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = parse(everything);

	ck_assert_msg(config != NULL, "%s", test_err.text);
	ck_assert_uint_eq(config->log_level, RH_LOG_DEBUG);
	ck_assert_uint_eq(config->log_format, RH_LOG_JSON);
	ck_assert_str_eq(config->docker_socket, "/d.sock");
	ck_assert_uint_eq(config->engine_timeout_ms, 2000);
	ck_assert_uint_eq(config->engine_parallel, 7);
	ck_assert_uint_eq(config->broker_wait_ms, 2000);
	ck_assert_uint_eq(config->job_start_wait_ms, 3000);
	ck_assert_uint_eq(config->agent_timeout_ms, 4000);
	ck_assert_uint_eq(config->drain_timeout_ms, 0);
	ck_assert_uint_eq(config->announce_keep_ms, 5000);
	ck_assert_uint_eq(config->id_map_base, 100000);
	ck_assert_uint_eq(count(config->env_pass), 2);
	ck_assert_str_eq(config->env_pass[1], "B*");
	ck_assert_uint_eq(config->store_keep_ms, INT64_C(7) * 86400000);
	ck_assert_uint_eq(config->store_keep_jobs, 5);
	ck_assert_str_eq(config->runtime_dir, "/r");
	ck_assert_str_eq(config->state_dir, "/s");
	ck_assert_str_eq(config->libexec_dir, "/l");
	ck_assert_str_eq(config->runners_dir, "/n");
	ck_assert_str_eq(config->group, "");
}
END_TEST

START_TEST(every_option_of_a_profile_is_read)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = parse(everything);
	const struct rh_profile *p = config ? &config->profiles[0] : NULL;

	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(p->image, "a/b:c@sha256:0");
	ck_assert_uint_eq(p->user, RH_USER_IDS);
	ck_assert_uint_eq(p->uid, 1000);
	ck_assert_uint_eq(p->gid, 100);
	ck_assert_double_eq(p->cpus, 1.5);
	ck_assert_uint_eq(p->memory_bytes, 0);
	ck_assert_uint_eq(p->pids, 0);
	ck_assert_uint_eq(p->nofile, 100);
	ck_assert_uint_eq(p->shm_bytes, 1 << 30);
	ck_assert_str_eq(p->network, "none");
	ck_assert_str_eq(p->cap_add[1], "SYS_PTRACE");
	ck_assert_str_eq(p->env[0], "A=b=c");
	ck_assert_str_eq(p->env[1], "D=");
	ck_assert_ptr_null(p->env[2]);
	ck_assert_uint_eq(p->warm, 0);
	ck_assert_uint_eq(p->max, 1);
	ck_assert_uint_eq(p->job_timeout_ms, 0);
	ck_assert_uint_eq(p[1].user, RH_USER_RUNNER);
	ck_assert_str_eq(p[1].env[1], "B=");
}
END_TEST

/* A line with one option, and what is said about it. */
static const struct {
	const char *text;
	const char *message;
} mistakes[] = {
	{"", "x.yaml: profiles: at least one must be there, with its image"},
	{"profiles:\n", "x.yaml: profiles: at least one must be there, with its image"},
	{"profiles: [a]\n", "x.yaml:1: profiles: must be a mapping of names to profiles"},
	{"profiles: {A: {}}\n",
		"x.yaml:1: profiles.A: must be a name of a-z, 0-9, _ . - that begins with a letter "
		"or digit, at most 63"},
	{"\nprofiles: {a: 3}\n", "x.yaml:2: profiles.a: must be a mapping"},
	{"profiles: {a: }\n",
		"x.yaml:1: profiles.a.image: must be set (image of the job's container; "
		"NAME@sha256:DIGEST is the same for ever)"},
	{"profiles: {a: {image: x}}\n",
		"x.yaml: default_profile: must name one of the profiles, since none is called "
		"default"},
	{"default_profile: b\nprofiles: {a: {image: x}}\n",
		"x.yaml:1: default_profile: there is no profile b"},
	{"profiles: {a: {image: x, warm: 9, max: 8}}\n",
		"x.yaml:1: profiles.a.warm: 9 is more than max (8) allows"},
	{"\n\nlog:\n  lvel: debug\n", "x.yaml:4: log.lvel: unknown key; known here: level, format"},
	{"a: 1\n",
		"x.yaml:1: a: unknown key; known here: log, docker, network, timeouts, id_map, "
		"environment, store, runtime_dir, state_dir, libexec_dir, runners_dir, group, "
		"default_profile, profiles"},
	{"log.level: debug\n", "x.yaml:1: log.level: unknown key"},
	{"log: debug\n", "x.yaml:1: log: must be a mapping"},
	{"log: {level: loud}\n",
		"x.yaml:1: log.level: \"loud\": must be error, warning, notice, "
		"info or debug"},
	{"log: {level: }\n",
		"x.yaml:1: log.level: must be error, warning, notice, info or debug, not nothing"},
	{"log: {level: [debug]}\n",
		"x.yaml:1: log.level: must be error, warning, notice, info or debug, not a list"},
	{"timeouts: {agent: 10}\n",
		"x.yaml:1: timeouts.agent: \"10\": must be a duration such as 30s (ms, s, m, h, d) "
		"from 100ms to 10m"},
	{"timeouts: {agent: 11m}\n",
		"x.yaml:1: timeouts.agent: \"11m\": must be a duration such as 30s (ms, s, m, h, "
		"d) from 100ms to 10m"},
	{"timeouts: {agent: -1s}\n",
		"x.yaml:1: timeouts.agent: \"-1s\": must be a duration such as 30s (ms, s, m, h, "
		"d) from 100ms to 10m"},
	{"id_map: {base: 0}\n",
		"x.yaml:1: id_map.base: \"0\": must be a number from 65536 to 4294770688"},
	{"docker: {socket: docker.sock}\n",
		"x.yaml:1: docker.socket: \"docker.sock\": must be an absolute path"},
	{"docker: {socket: /a/../b}\n",
		"x.yaml:1: docker.socket: \"/a/../b\": must not contain "
		"//, /./ or /../, nor end in a slash"},
	{"environment: {pass: A}\n",
		"x.yaml:1: environment.pass: must be a list, not a single value"},
	{"environment: {pass: [\"A,B\"]}\n",
		"x.yaml:1: environment.pass: \"A,B\": must be a variable's name, or its beginning "
		"followed by *"},
	{"profiles: {a: {image: -x}}\n",
		"x.yaml:1: profiles.a.image: \"-x\": must be an image "
		"reference such as debian:bookworm"},
	{"profiles: {a: {memory: 4096}}\n",
		"x.yaml:1: profiles.a.memory: \"4096\": must be a size such as 512M (K, M, G, T) "
		"from 16M to 64T, or none"},
	{"profiles: {a: {cpus: 0.001}}\n",
		"x.yaml:1: profiles.a.cpus: \"0.001\": must be a number from 0.010 to 4096, or "
		"none"},
	{"profiles: {a: {user: \"0:0\"}}\n",
		"x.yaml:1: profiles.a.user: \"0:0\": must be root, runner, or UID:GID with ids up "
		"to 65533"},
	{"profiles: {a: {network: host}}\n",
		"x.yaml:1: profiles.a.network: \"host\": must not be host, which is no isolation "
		"at all"},
	{"profiles: {a: {image: x, pull: daily}}\n",
		"x.yaml:1: profiles.a.pull: \"daily\": must be never, missing or always"},
	{"default_profile: a\nprofiles:\n  a: {image: x, pin: true}\n",
		"x.yaml:3: profiles.a.pin: the image x is not named by its digest "
		"(NAME@sha256:…)"},
	{"profiles: {a: {image: x, ulimits: {core: 1}}}\n",
		"x.yaml:1: profiles.a.ulimits.core: must name cpu, data, fsize, locks, memlock, "
		"msgqueue, nice, nproc, rss, rtprio, rttime, sigpending or stack"},
	{"profiles: {a: {image: x, ulimits: {nproc: many}}}\n",
		"x.yaml:1: profiles.a.ulimits.nproc: must be the name of a limit and its value, "
		"such as memlock: 65536 or nproc: 1000:2000"},
	{"profiles: {a: {image: x, apparmor: unconfined}}\n",
		"x.yaml:1: profiles.a.apparmor: \"unconfined\": must not be unconfined, which is "
		"none at all"},
	{"profiles: {a: {image: x, runtime: ../x}}\n",
		"x.yaml:1: profiles.a.runtime: \"../x\": must be the name of a runtime as the "
		"engine lists it"},
	{"profiles: {a: {cap_add: [ALL]}}\n",
		"x.yaml:1: profiles.a.cap_add: \"ALL\": must be the name of a capability without "
		"CAP_, such as NET_RAW"},
	{"profiles: {a: {env: {1A: x}}}\n",
		"x.yaml:1: profiles.a.env.1A: must be a variable's name and its value"},
	{"profiles: {a: {env: {\"A=B\": x}}}\n",
		"x.yaml:1: profiles.a.env.A=B: must be a variable's name"},
	{"profiles: {a: {env: {A: {B: c}}}}\n",
		"x.yaml:1: profiles.a.env.A: must be a single value"},
	{"profiles: {a: {env: [A=1, A=2]}}\n",
		"x.yaml:1: profiles.a.env: A: the variable was there before"},
	{"profiles: {a: {env: [secret]}}\n",
		"x.yaml:1: profiles.a.env: must be a variable's name and its value"},
	{"profiles: {a: {imag: x}}\n",
		"x.yaml:1: profiles.a.imag: unknown key; known here: image, pull, pin, user, cpus, "
		"memory, "
		"pids, nofile, shm, network, ulimits, runtime, apparmor, egress, dns, scrub, keep, "
		"cap_add, env, warm, max, job_timeout, step_timeout, disk, files, tool_cache, "
		"output"},
};

START_TEST(mistakes_are_named)
{
	refused(mistakes[_i].text, mistakes[_i].message);
}
END_TEST

START_TEST(only_some_changes_need_a_restart)
{
	_cleanup_(rh_config_unrefp) struct rh_config *a = parse(LEAST);
	_cleanup_(rh_config_unrefp) struct rh_config *b =
		parse("log: {level: debug}\nstore: {keep: 1d}\n" LEAST);
	_cleanup_(rh_config_unrefp) struct rh_config *c = parse("docker: {socket: /x}\n" LEAST);
	_cleanup_(rh_config_unrefp) struct rh_config *d = parse("id_map: {base: 65536}\n" LEAST);

	ck_assert_ptr_null(rh_config_needs_restart(a, b));
	ck_assert_str_eq(rh_config_needs_restart(a, c), "docker.socket");
	ck_assert_str_eq(rh_config_needs_restart(d, a), "id_map.base");
}
END_TEST

static void copied_equal(const struct rh_option_table *table, void *object, const void *from)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct rh_option *option = &table->rows[i];

		ck_assert_int_eq(rh_option_copy(option, object, from), 0);
		ck_assert_msg(rh_option_equal(option, object, from), "%s", option->name);
	}
}

START_TEST(options_are_copied)
{
	_cleanup_(rh_config_unrefp) struct rh_config *a = parse(LEAST);
	_cleanup_(rh_config_unrefp) struct rh_config *b =
		parse("log: {level: debug}\nenvironment: {pass: [A, B]}\nstore: {keep: 1d}\n"
		      "group: \"\"\nid_map: {base: 65536}\n"
		      "profiles: {default: {image: x, user: \"5:6\", cpus: 1.5, memory: 1G,\n"
		      "  env: {A: b}}}\n");

	copied_equal(&rh_options_config, a, b);
	copied_equal(&rh_options_profile, &a->profiles[0], &b->profiles[0]);
	ck_assert_ptr_ne(a->group, b->group);
	ck_assert_ptr_ne(a->env_pass[0], b->env_pass[0]);
	ck_assert_uint_eq(a->profiles[0].gid, 6);
}
END_TEST

START_TEST(references_count)
{
	struct rh_config *config = parse(LEAST);

	ck_assert_ptr_eq(rh_config_ref(config), config);
	rh_config_unref(config);
	ck_assert_str_eq(config->default_profile, "default");
	rh_config_unref(config);
	rh_config_unref(NULL);
}
END_TEST

START_TEST(help_names_every_option)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	rh_config_print_help(out);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_ptr_nonnull(strstr(text, "  docker.socket PATH (/var/run/docker.sock)\n"));
	ck_assert_ptr_nonnull(strstr(text, "  profiles.NAME.image IMAGE (required)\n"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_uint_le(strlen(line), 200);
	free(text);
}
END_TEST

static void tests_of_config(Suite *suite)
{
	TCase *loop = tcase_create("mistakes");

	RH_ADD_TESTS(suite, "config", defaults_hold, every_option_is_read,
		every_option_of_a_profile_is_read, only_some_changes_need_a_restart,
		options_are_copied, references_count, help_names_every_option);
	tcase_add_loop_test(
		loop, mistakes_are_named, 0, (int)(sizeof(mistakes) / sizeof(mistakes[0])));
	suite_add_tcase(suite, loop);
}

RH_TEST_MAIN(
	"config", tests_of_config, tests_of_example, tests_of_files, tests_of_value, tests_of_yaml);
