/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: what is accepted re-encodes to the same bytes; text that is valid stays valid when cut
 * at a sequence's start.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rh_wire_msg msg;

	if (rh_wire_parse(data, size, &msg) == 0) {
		struct rh_wire_header header;

		memcpy(&header, data, sizeof(header));
		if (msg.body_size + sizeof(header) != size || msg.type != header.type ||
			msg.version != header.version ||
			memcmp(msg.body, data + sizeof(header), msg.body_size) != 0 ||
			msg.body[msg.body_size] != 0)
			abort();
		if (rh_wire_text_valid((const char *)msg.body, msg.body_size, false) &&
			(strlen((const char *)msg.body) != msg.body_size ||
				!rh_wire_text_valid((const char *)msg.body, msg.body_size, true)))
			abort();
	}
	return 0;
}
