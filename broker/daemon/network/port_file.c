/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A container's port of the bridge: its file. Lines of NAME=VALUE, egress once for each item.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/config/check.h"
#include "broker/daemon/config/egress.h"
#include "broker/daemon/config/strv.h"
#include "broker/daemon/network/port.h"
#include "broker/daemon/network/protocol.h"
#include "runnerhub/cleanup.h"

/* RH_OPTION_LIST_MAX items of egress, and the rest. */
#define FILE_MAX 98304

int rh_port_write(FILE *out, const struct rh_rules_port *port)
{
	const uint8_t *m = port->mac;
	char ip4[INET6_ADDRSTRLEN];
	char ip6[INET6_ADDRSTRLEN];
	char link_local[INET6_ADDRSTRLEN];

	if (!inet_ntop(AF_INET, &port->ip4, ip4, sizeof(ip4)) ||
		!inet_ntop(AF_INET6, &port->ip6, ip6, sizeof(ip6)) ||
		!inet_ntop(AF_INET6, &port->link_local, link_local, sizeof(link_local)))
		return rh_origin(-EINVAL);
	(void)fprintf(out,
		"name=%s\nindex=%u\nmac=%02x:%02x:%02x:%02x:%02x:%02x\nip4=%s\nip6=%s\n"
		"link_local=%s\n",
		port->name, port->index, m[0], m[1], m[2], m[3], m[4], m[5], ip4, ip6, link_local);
	for (char **at = port->egress; at && *at; at++)
		(void)fprintf(out, "egress=%s\n", *at);
	for (char **at = port->dns; at && *at; at++)
		(void)fprintf(out, "dns=%s\n", *at);
	return 0;
}

static int parse_mac(const char *text, uint8_t mac[6])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 6; i++, text += 2) {
		const char *high = text[0] ? strchr(digits, text[0]) : NULL;
		const char *low = high && text[1] ? strchr(digits, text[1]) : NULL;

		if (!low)
			return rh_origin(-EINVAL);
		mac[i] = (uint8_t)((high - digits) << 4 | (low - digits));
		if (i < 5 && text++[2] != ':')
			return rh_origin(-EINVAL);
	}
	return *text ? rh_origin(-EINVAL) : 0;
}

static int parse_index(const char *text, uint32_t *ret_index)
{
	char *end = NULL;
	unsigned long index = strtoul(text, &end, 10);

	if (end == text || *end || index == 0 || index > INT32_MAX)
		return rh_origin(-EINVAL);
	*ret_index = (uint32_t)index;
	return 0;
}

int rh_port_add_word(struct rh_rules_port *port, const char *word)
{
	size_t n = strlen(RH_NETWORK_DNS);

	if (strncmp(word, RH_NETWORK_DNS, n) == 0)
		return rh_check_address(word + n) ? rh_origin(-EINVAL)
						  : rh_trace(rh_strv_append(&port->dns, word + n));
	return rh_egress_check(word) ? rh_origin(-EINVAL)
				     : rh_trace(rh_strv_append(&port->egress, word));
}

static int take(struct rh_rules_port *port, const char *name, const char *value)
{
	if (strcmp(name, "name") == 0) {
		if (!rh_rules_is_interface(value))
			return rh_origin(-EINVAL);
		(void)snprintf(port->name, sizeof(port->name), "%s", value);
		return 0;
	}
	if (strcmp(name, "index") == 0)
		return rh_trace(parse_index(value, &port->index));
	if (strcmp(name, "mac") == 0)
		return rh_trace(parse_mac(value, port->mac));
	if (strcmp(name, "ip4") == 0)
		return inet_pton(AF_INET, value, &port->ip4) == 1 ? 0 : rh_origin(-EINVAL);
	if (strcmp(name, "ip6") == 0)
		return inet_pton(AF_INET6, value, &port->ip6) == 1 ? 0 : rh_origin(-EINVAL);
	if (strcmp(name, "link_local") == 0)
		return inet_pton(AF_INET6, value, &port->link_local) == 1 ? 0 : rh_origin(-EINVAL);
	if (strcmp(name, "dns") == 0 && !rh_check_address(value))
		return rh_trace(rh_strv_append(&port->dns, value));
	if (strcmp(name, "egress") == 0 && !rh_egress_check(value))
		return rh_trace(rh_strv_append(&port->egress, value));
	return rh_origin(-EINVAL);
}

int rh_port_parse(char *text, struct rh_rules_port *port)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');
		int r = 0;

		if (!value)
			return rh_origin(-EINVAL);
		*value++ = '\0';
		r = take(port, line, value);
		if (r < 0)
			return rh_trace(r);
	}
	return port->name[0] && port->index && port->ip4.s_addr != 0 ? 0 : rh_origin(-EINVAL);
}

static int file_of(const char *dir, const char *instance, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s/%s/network", dir, instance);

	return n < 0 || (size_t)n >= size ? rh_origin(-ENAMETOOLONG) : 0;
}

int rh_port_save(const char *dir, const struct rh_rules_port *port)
{
	char path[4096];
	_cleanup_(rh_closep) int fd = -1;
	_cleanup_(rh_freep) char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int r = file_of(dir, port->instance, path, sizeof(path));

	if (!out)
		return rh_origin(-ENOMEM);
	if (r == 0)
		r = rh_port_write(out, port);
	if (fclose(out) != 0)
		r = -ENOMEM;
	if (r < 0)
		return rh_trace(r);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rh_origin(-errno);
	return write(fd, text, size) == (ssize_t)size ? 0 : rh_origin(-EIO);
}

int rh_port_load(const char *dir, struct rh_rules_port *port)
{
	char path[4096];
	char text[FILE_MAX];
	_cleanup_(rh_closep) int fd = -1;
	ssize_t n = 0;
	int r = file_of(dir, port->instance, path, sizeof(path));

	if (r < 0)
		return rh_trace(r);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return rh_origin(-errno);
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0 || memchr(text, '\0', (size_t)n))
		return rh_origin(-EINVAL);
	text[n] = '\0';
	return rh_trace(rh_port_parse(text, port));
}
