/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: whatever an image's passwd and group say, names and homes are bounded strings, homes
 * absolute, groups bounded and each there once.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/agent/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	static struct rh_user user;

	user.n_groups = 0;
	memcpy(user.name, "u", 2);
	rh_group_collect(text, size, &user);
	if (user.n_groups > RH_USER_GROUPS_MAX)
		abort();
	for (size_t i = 0; i < user.n_groups; i++) {
		for (size_t k = 0; k < i; k++) {
			if (user.groups[i] == user.groups[k])
				abort();
		}
	}
	if (rh_passwd_find(text, size, 1000, user.name, user.home) == 0 &&
		(strnlen(user.name, sizeof(user.name)) == sizeof(user.name) ||
			strnlen(user.home, sizeof(user.home)) == sizeof(user.home) ||
			(user.home[0] != '\0' && user.home[0] != '/')))
		abort();
	return 0;
}
