/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Prints the configuration's options for the manual page, without a broker to ask.
 */

#include "broker/daemon/config/config.h"

int main(void)
{
	rh_config_print_help(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
