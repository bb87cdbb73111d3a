/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: a stream gives the same lines however it is cut; a log's text is printable and bounded.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	uint64_t hash;
	size_t n;
};

static void on_line(void *arg, const char *line, size_t size)
{
	struct sum *sum = arg;

	if (size == 0 || size > RH_DOCKER_LINE_MAX || memchr(line, '\n', size))
		abort();
	sum->n++;
	for (size_t i = 0; i < size; i++)
		sum->hash = (sum->hash ^ (uint8_t)line[i]) * UINT64_C(0x100000001b3);
	sum->hash = (sum->hash ^ '\n') * UINT64_C(0x100000001b3);
}

static struct sum feed(const char *text, size_t size, size_t step, int *ret_r)
{
	struct rh_docker_lines lines = {0};
	struct sum sum = {0};
	int r = 0;

	for (size_t at = 0; r == 0 && at < size; at += step)
		r = rh_docker_lines_feed(
			&lines, text + at, size - at < step ? size - at : step, on_line, &sum);
	rh_docker_lines_deinit(&lines);
	*ret_r = r;
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char logs[256];
	int r_whole = 0;
	int r_cut = 0;
	struct sum whole = feed(text, size, size ? size : 1, &r_whole);
	struct sum cut = feed(text, size, size ? 1 + data[0] % 7u : 1, &r_cut);

	if (whole.n != cut.n || whole.hash != cut.hash || r_whole != r_cut)
		abort();
	rh_docker_read_logs(text, size, logs, sizeof(logs));
	for (const char *p = logs; *p; p++) {
		if ((*p < 0x20 && *p != '\n') || *p == 0x7f)
			abort();
	}
	return 0;
}
