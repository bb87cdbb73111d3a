/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The program nft(8).
 */

#include "broker/daemon/network/nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/network/program.h"

/* Its first line, without what it calls its input. */
static int refused(const struct rh_program_result *result, struct rh_err *err)
{
	char text[300];
	const char *at = text;

	rh_program_first_line(result, text, sizeof(text));
	if (strstr(text, "Error: "))
		at = strstr(text, "Error: ") + strlen("Error: ");
	return rh_err_set(
		err, -EINVAL, "nft refuses the rules: %s", at[0] ? at : "it does not say why");
}

int rh_nft_run(const char *script, size_t size, bool check_only, pid_t *ret_pid, struct rh_err *err)
{
	const char *const check[] = {"nft", "-c", "-f", "-", NULL};
	const char *const run[] = {"nft", "-f", "-", NULL};
	struct rh_program_result result;
	int r = rh_program_run(check_only ? check : run, script, size, &result, err);

	if (r == -ENOENT)
		return rh_err_set(
			err, r, "the program nft is not installed (Debian's package: nftables)");
	if (r < 0)
		return rh_trace(r);
	if (ret_pid)
		*ret_pid = result.pid;
	if (result.status >= 128)
		r = rh_err_set(err, -EINTR, "nft was ended by signal %d", result.status - 128);
	else if (result.status != 0)
		r = refused(&result, err);
	free(result.output);
	return rh_trace(r);
}
