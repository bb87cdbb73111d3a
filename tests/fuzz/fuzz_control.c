/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: an accepted request has a string op, object args, and an id that is absent, a number or
 * a string; it survives being written and read again.
 */

#include <stdint.h>
#include <stdlib.h>

#include "broker/daemon/control/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rh_call call = {0}, again = {0};
	struct rh_err err;
	size_t n = 0;

	if (size > 65536 || rh_call_parse((const char *)data, size, &call, &err) < 0)
		return 0;
	if (!call.op || !json_object_is_type(call.args, json_type_object))
		abort();

	const char *text =
		json_object_to_json_string_length(call.request, JSON_C_TO_STRING_PLAIN, &n);

	if (rh_call_parse(text, n, &again, &err) < 0)
		abort();
	rh_call_deinit(&again);
	rh_call_deinit(&call);
	return 0;
}
