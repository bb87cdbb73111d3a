/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/engine/docker_host.h
 */

#include "broker/daemon/engine/docker_host.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/fd.h"

START_TEST(the_hard_limit_is_read)
{
	static const struct {
		const char *text;
		uint64_t max;
	} rows[] = {
		{"Limit  Soft  Hard  Units\nMax open files            1024                 20000   "
		 "    files\n",
			20000},
		{"Max open files            unlimited            unlimited            files\n",
			UINT64_MAX},
		{"Max open files            1024                 unlimited            files\n",
			UINT64_MAX},
		{"Max open files", UINT64_MAX},
		{"Max processes 1 2\n", UINT64_MAX},
		{"", UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_uint_eq(rh_docker_parse_nofile(rows[i].text), rows[i].max);
}
END_TEST

START_TEST(the_listening_process_is_asked)
{
	struct rlimit limit;
	char path[64];

	(void)snprintf(path, sizeof(path), "/tmp/rh-docker-host-%d.sock", (int)getpid());

	int fd = rh_unix_listen(path, SOCK_STREAM, 0600, 4);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(rh_docker_nofile_max(path),
		limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : limit.rlim_max);
	(void)close(fd);
	ck_assert_uint_eq(rh_docker_nofile_max(path), UINT64_MAX);
	(void)unlink(path);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "docker-host", the_hard_limit_is_read, the_listening_process_is_asked);
}

RH_TEST_MAIN("docker-host", tests);
