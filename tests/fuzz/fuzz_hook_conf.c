/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: whatever client.conf says, the waits are in range and the list is a string of the file
 * or the default.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rh_conf conf;
	const int64_t day_ms = 86400000;

	if (size >= sizeof(conf.text))
		return 0;
	memcpy(conf.text, data, size);
	conf.text[size] = '\0';
	rh_conf_parse(&conf);
	if (conf.broker_wait_ms < 0 || conf.broker_wait_ms > day_ms || conf.job_start_wait_ms < 0 ||
		conf.job_start_wait_ms > day_ms)
		abort();

	bool inside = conf.env_pass >= conf.text && conf.env_pass <= conf.text + size;

	if (!inside && strcmp(conf.env_pass, RH_CLIENT_CONF_ENV_PASS_DEFAULT) != 0)
		abort();
	if (strchr(conf.env_pass, '\n'))
		abort();
	return 0;
}
