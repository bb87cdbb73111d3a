/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The bridge as an interface of the host: netdevice(7).
 */

#include "broker/daemon/network/bridge.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"

struct in_addr rh_bridge_address(const char *name)
{
	_cleanup_(rh_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};
	struct sockaddr_in address = {0};

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%.*s",
		(int)sizeof(request.ifr_name) - 1, name);
	if (fd >= 0 && ioctl(fd, SIOCGIFADDR, &request) == 0)
		memcpy(&address, &request.ifr_addr, sizeof(address));
	return address.sin_addr;
}
