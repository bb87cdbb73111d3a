/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which resolvers containers are given.
 */

#include "broker/daemon/network/resolvers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"

#define FILE_MAX    16384
#define DEPTH_MAX   16
#define ENGINE_CONF "/etc/docker/daemon.json"

/* systemd-resolved writes what it asks itself there: the engine reads that where the first one
 * names only the loopback. */
static const char *const files[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};

static bool is_loopback(const struct rh_rules_address *address)
{
	struct in6_addr ip6;

	if (address->family == AF_INET)
		return address->bytes[0] == 127;
	memcpy(&ip6, address->bytes, sizeof(ip6));
	return IN6_IS_ADDR_LOOPBACK(&ip6);
}

static bool add(struct rh_rules *rules, const struct rh_rules_address *address)
{
	for (size_t i = 0; i < rules->n_resolvers; i++) {
		if (memcmp(&rules->resolvers[i], address, sizeof(*address)) == 0)
			return true;
	}
	if (rules->n_resolvers == RH_RULES_RESOLVERS_MAX)
		return false;
	rules->resolvers[rules->n_resolvers++] = *address;
	return true;
}

bool rh_resolvers_add(struct rh_rules *rules, const char *text)
{
	struct rh_rules_address address = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(address.family, text, address.bytes) != 1)
		return false;
	if (is_loopback(&address)) {
		if (rules->n_upstreams < RH_RULES_UPSTREAMS_MAX)
			rules->upstreams[rules->n_upstreams++] = address;
		return false;
	}
	return add(rules, &address);
}

void rh_resolvers_parse(struct rh_rules *rules, const char *text, size_t size)
{
	static const char keyword[] = "nameserver";
	const char *end = text + size;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);
		char line[128] = "";

		(void)snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : 0), text);
		if (strncmp(line, keyword, sizeof(keyword) - 1) == 0) {
			char *at = line + sizeof(keyword) - 1;
			size_t blanks = strspn(at, " \t");

			at[blanks + strcspn(at + blanks, " \t\r%#;")] = '\0';
			if (blanks > 0)
				(void)rh_resolvers_add(rules, at + blanks);
		}
		text += n + 1;
	}
}

void rh_resolvers_parse_engine(struct rh_rules *rules, const char *text, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *root = NULL;
	struct json_object *list = NULL;

	if (!tokener)
		return;
	root = json_tokener_parse_ex(tokener, text, (int)size);
	if (json_object_is_type(root, json_type_object) &&
		json_object_object_get_ex(root, "dns", &list) &&
		json_object_is_type(list, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(list); i++) {
			struct json_object *item = json_object_array_get_idx(list, i);

			if (json_object_is_type(item, json_type_string))
				(void)rh_resolvers_add(rules, json_object_get_string(item));
		}
	}
	(void)json_object_put(root);
	json_tokener_free(tokener);
}

static size_t read_file(const char *path, char *buf, size_t size)
{
	_cleanup_(rh_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	n = read(fd, buf, size);
	return n > 0 ? (size_t)n : 0;
}

void rh_resolvers_read(struct rh_rules *rules)
{
	char text[FILE_MAX] = "";
	struct rh_rules host = {0};

	rh_resolvers_parse_engine(&host, text, read_file(ENGINE_CONF, text, sizeof(text)));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		rh_resolvers_parse(&host, text, read_file(files[i], text, sizeof(text)));
	for (size_t i = 0; i < host.n_resolvers; i++)
		add(rules, &host.resolvers[i]);
	/* Those on the loopback are for the host alone, and the last to be asked. */
	rules->n_upstreams = 0;
	for (size_t i = 0; i < host.n_resolvers && i < RH_RULES_UPSTREAMS_MAX; i++)
		rules->upstreams[rules->n_upstreams++] = host.resolvers[i];
	for (size_t i = 0; i < host.n_upstreams && rules->n_upstreams < RH_RULES_UPSTREAMS_MAX; i++)
		rules->upstreams[rules->n_upstreams++] = host.upstreams[i];
}
