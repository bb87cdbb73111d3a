/* SPDX-License-Identifier: Apache-2.0 */

/*
 * NULL-terminated arrays of strings.
 */

#include "broker/daemon/config/strv.h"

#include <stdlib.h>
#include <string.h>

#include "runnerhub/err.h"

size_t rh_strv_length(char *const *strv)
{
	size_t n = 0;

	while (strv && strv[n])
		n++;
	return n;
}

int rh_strv_append(char ***strv, const char *text)
{
	size_t n = rh_strv_length(*strv);
	_cleanup_(rh_freep) char *copy = strdup(text);
	char **grown = copy ? reallocarray(*strv, n + 2, sizeof(*grown)) : NULL;

	if (!grown)
		return rh_origin(-ENOMEM);
	grown[n] = rh_steal(&copy);
	grown[n + 1] = NULL;
	*strv = grown;
	return 0;
}

bool rh_strv_contains(char *const *strv, const char *text)
{
	for (; strv && *strv; strv++)
		if (strcmp(*strv, text) == 0)
			return true;
	return false;
}

bool rh_strv_equal(char *const *a, char *const *b)
{
	size_t n = rh_strv_length(a);

	if (n != rh_strv_length(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

void rh_strv_free(char **strv)
{
	for (char **p = strv; p && *p; p++)
		free(*p);
	free(strv);
}
