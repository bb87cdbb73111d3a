/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The options of a profile.
 */

#include "broker/daemon/config/check.h"
#include "broker/daemon/config/config.h"
#include "broker/daemon/config/egress.h"
#include "broker/daemon/config/option.h"

#define PROFILE(field) offsetof(struct rh_profile, field)
#define N_ROWS(rows)   (sizeof(rows) / sizeof((rows)[0]))

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)

/* In the order of the enums in config.h. */
static const char *const scrubs[] = {"all", "none", NULL};
static const char *const pulls[] = {"never", "missing", "always", NULL};
static const char *const booleans[] = {"false", "true", NULL};

static const struct rh_option profile_rows[] = {
	{.name = "image",
		.type = RH_OPTION_TEXT,
		.offset = PROFILE(image),
		.required = true,
		.check = rh_check_image,
		.unit = "IMAGE",
		.help = "image of the job's container; NAME@sha256:DIGEST is the same for ever"},
	{.name = "pull",
		.type = RH_OPTION_CHOICE,
		.offset = PROFILE(pull),
		.fallback = "never",
		.choices = pulls,
		.help = "whether the image is fetched, without credentials: never, when it is "
			"missing, or "
			"always when the broker starts or reads its configuration"},
	{.name = "pin",
		.type = RH_OPTION_CHOICE,
		.offset = PROFILE(pin),
		.fallback = "false",
		.choices = booleans,
		.help = "accept only an image that is named by its digest"},
	{.name = "user",
		.type = RH_OPTION_USER,
		.offset = PROFILE(user),
		.fallback = "root",
		.unit = "USER",
		.help = "who steps are inside: root (outside, its files are the runner's), runner "
			"(the runner's own ids) or UID:GID"},
	{.name = "cpus",
		.type = RH_OPTION_DECIMAL,
		.offset = PROFILE(cpus),
		.fallback = "2",
		.min = 10,
		.max = 4096000,
		.zero_is_none = true,
		.help = "processors' worth of time"},
	{.name = "memory",
		.type = RH_OPTION_SIZE,
		.offset = PROFILE(memory_bytes),
		.fallback = "4G",
		.min = 16 * MIB,
		.max = 65536 * GIB,
		.zero_is_none = true,
		.help = "memory; there is no swap on top"},
	{.name = "pids",
		.type = RH_OPTION_COUNT32,
		.offset = PROFILE(pids),
		.fallback = "512",
		.min = 16,
		.max = 4194304,
		.zero_is_none = true,
		.help = "processes and threads"},
	{.name = "nofile",
		.type = RH_OPTION_COUNT,
		.offset = PROFILE(nofile),
		.fallback = "65536",
		.min = 64,
		.max = 1073741816,
		.help = "open files of one process"},
	{.name = "shm",
		.type = RH_OPTION_SIZE,
		.offset = PROFILE(shm_bytes),
		.fallback = "64M",
		.min = MIB,
		.max = 1024 * GIB,
		.help = "size of /dev/shm"},
	{.name = "network",
		.type = RH_OPTION_TEXT,
		.offset = PROFILE(network),
		.fallback = "isolated",
		.check = rh_check_network,
		.unit = "NETWORK",
		.help = "isolated (the internet, no other container), none, or one of the engine's "
			"networks by its name"},
	{.name = "ulimits",
		.type = RH_OPTION_ENV,
		.offset = PROFILE(ulimits),
		.fallback = "",
		.check = rh_check_ulimit,
		.unit = "NAME: SOFT:HARD",
		.help = "limits of each process, as ulimit has them: memlock, stack, fsize, nproc, "
			"sigpending and so on; core is always 0, nofile has a key of its own"},
	{.name = "runtime",
		.type = RH_OPTION_TEXT,
		.offset = PROFILE(runtime),
		.fallback = "default",
		.check = rh_check_runtime,
		.unit = "RUNTIME",
		.help = "OCI runtime by the engine's name, or default for the engine's choice; it "
			"must share the host's kernel, as runc, crun and youki do, since "
			"directories are mounted into running containers"},
	{.name = "apparmor",
		.type = RH_OPTION_TEXT,
		.offset = PROFILE(apparmor),
		.fallback = "default",
		.check = rh_check_apparmor,
		.unit = "PROFILE",
		.help = "AppArmor profile that the host has loaded, or default: the engine's own, "
			"where the host has AppArmor"},
	{.name = "egress",
		.type = RH_OPTION_LIST,
		.offset = PROFILE(egress),
		.fallback = "allow",
		.check = rh_egress_check,
		.or_word = true,
		.unit = "PLACE",
		.help = "what an isolated container reaches beyond this host: allow, audit (allow, "
			"and note it with the job), deny, or a list of addresses, networks, names "
			"and ports such as 192.0.2.0/24, 192.0.2.7:443, *:443, github.com:443, "
			"*.example.org"},
	{.name = "dns",
		.type = RH_OPTION_LIST,
		.offset = PROFILE(dns),
		.fallback = "",
		.check = rh_check_address,
		.unit = "ADDRESS",
		.help = "resolvers that its containers are given instead of the engine's own"},
	{.name = "scrub",
		.type = RH_OPTION_CHOICE,
		.offset = PROFILE(scrub),
		.fallback = "all",
		.choices = scrubs,
		.help = "what of its workspace a job loses when it ends; none leaves it to the "
			"next job of the same repository, with everything planted in it, and "
			"with files that belong to ids of the container"},
	{.name = "keep",
		.type = RH_OPTION_LIST,
		.offset = PROFILE(keep),
		.fallback = "",
		.check = rh_check_keep,
		.unit = "PATH",
		.help = "files and folders of the workspace that scrubbing leaves, such as .git "
			"for "
			"a fast checkout; the next job must be able to trust them"},
	{.name = "cap_add",
		.type = RH_OPTION_LIST,
		.offset = PROFILE(cap_add),
		.fallback = "",
		.check = rh_check_capability,
		.unit = "CAPABILITY",
		.help = "capabilities beyond the usual ones; with SYS_PTRACE or SYS_ADMIN a job's "
			"root can take over the agent of its own container, and then say what "
			"it likes of its own steps"},
	{.name = "env",
		.type = RH_OPTION_ENV,
		.offset = PROFILE(env),
		.fallback = "",
		.check = rh_check_env,
		.unit = "NAME: VALUE",
		.help = "environment of the container, below that of the steps"},
	{.name = "warm",
		.type = RH_OPTION_COUNT32,
		.offset = PROFILE(warm),
		.fallback = "2",
		.min = 0,
		.max = 1024,
		.help = "containers kept ready"},
	{.name = "max",
		.type = RH_OPTION_COUNT32,
		.offset = PROFILE(max),
		.fallback = "64",
		.min = 1,
		.max = 4096,
		.help = "containers at once, ready and used"},
	{.name = "job_timeout",
		.type = RH_OPTION_DURATION,
		.offset = PROFILE(job_timeout_ms),
		.fallback = "6h",
		.min = SECOND,
		.max = 365 * DAY,
		.zero_is_none = true,
		.help = "how long a job may take"},
	{.name = "step_timeout",
		.type = RH_OPTION_DURATION,
		.offset = PROFILE(step_timeout_ms),
		.fallback = "none",
		.min = SECOND,
		.max = 365 * DAY,
		.zero_is_none = true,
		.help = "how long a step may take, whatever its workflow says"},
	{.name = "disk",
		.type = RH_OPTION_SIZE,
		.offset = PROFILE(disk_bytes),
		.fallback = "32G",
		.min = 16 * MIB,
		.max = 65536 * GIB,
		.zero_is_none = true,
		.help = "disk space of a job: what it writes in its container, its workspace and "
			"its temporary directory; looked at each second, and where the engine's "
			"storage has quotas (overlay2 on xfs with pquota, btrfs, zfs) the "
			"container's part is one; no single file may be larger (ulimits: fsize "
			"says otherwise), sparse or not"},
	{.name = "files",
		.type = RH_OPTION_COUNT,
		.offset = PROFILE(disk_files),
		.fallback = "2000000",
		.min = 1000,
		.max = UINT64_C(1) << 40,
		.zero_is_none = true,
		.help = "files and directories of a job in the same places"},
	{.name = "tool_cache",
		.type = RH_OPTION_SIZE,
		.offset = PROFILE(tools_bytes),
		.fallback = "16G",
		.min = 16 * MIB,
		.max = 65536 * GIB,
		.zero_is_none = true,
		.help = "disk space of what a job changes in its tool cache, which is thrown away "
			"with it; looked at each second, and counted in `disk` too"},
	{.name = "output",
		.type = RH_OPTION_SIZE,
		.offset = PROFILE(output_bytes),
		.fallback = "4G",
		.min = MIB,
		.max = 65536 * GIB,
		.zero_is_none = true,
		.help = "bytes that the steps of a job may write to its log, as the runner's "
			"Worker reads "
			"them; looked at each second"},
};

const struct rh_option_table rh_options_profile = {.rows = profile_rows, .n = N_ROWS(profile_rows)};
