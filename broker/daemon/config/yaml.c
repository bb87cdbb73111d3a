/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libyaml's events turned into paths and values.
 *
 * A stack of frames, one a mapping or list. A mapping's frame waits for a key (key is NULL) or for
 * that key's value. No recursion: the depth comes from the file.
 */

#include "broker/daemon/config/yaml.h"

#include <yaml.h>

#include "broker/daemon/config/strv.h"

/* Of "FILE:LINE: path"; half of what a message can hold. */
#define PREFIX_SIZE 256

struct frame {
	bool is_list;
	size_t n;
	char **keys; /* all that were seen; the last is the current one */
	const char *key;
};

struct walk {
	const char *name;
	rh_yaml_fn fn;
	void *arg;
	struct rh_err *err;
	struct frame frames[RH_YAML_DEPTH_MAX];
	size_t depth;
	size_t n_documents;
	bool done;
};

void rh_yaml_path(const struct rh_yaml_node *node, char *ret_text, size_t size)
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < node->depth && n < size; i++)
		n += (size_t)snprintf(ret_text + n, size - n, "%s%s", i ? "." : "", node->path[i]);
}

/* Says where; @r is returned. */
static int at(struct walk *walk, const yaml_event_t *event, int r)
{
	char prefix[PREFIX_SIZE];

	(void)snprintf(prefix, sizeof(prefix), "%s:%zu", walk->name, event->start_mark.line + 1);
	rh_err_prefix(walk->err, prefix);
	return r;
}

#define refuse(walk, event, ...) at((walk), (event), rh_err_set((walk)->err, -EINVAL, __VA_ARGS__))

static int visit(struct walk *walk, const yaml_event_t *event, struct rh_yaml_node *node)
{
	const char *path[RH_YAML_DEPTH_MAX];
	char text[160];
	char prefix[PREFIX_SIZE];

	for (size_t i = 0; i < walk->depth; i++)
		if (!walk->frames[i].is_list)
			path[node->depth++] = walk->frames[i].key;
	node->path = path;
	node->line = event->start_mark.line + 1;
	int r = walk->fn(walk->arg, node, walk->err);

	if (r >= 0)
		return 0;
	rh_yaml_path(node, text, sizeof(text));
	(void)snprintf(prefix, sizeof(prefix), "%s:%zu: %s", walk->name, node->line, text);
	rh_err_prefix(walk->err, prefix);
	return rh_trace(r);
}

static int on_start(struct walk *walk, const yaml_event_t *event, bool is_list)
{
	struct frame *top = walk->depth ? &walk->frames[walk->depth - 1] : NULL;
	bool has_extras = is_list
		? event->data.sequence_start.anchor || event->data.sequence_start.tag
		: event->data.mapping_start.anchor || event->data.mapping_start.tag;

	if (has_extras)
		return refuse(walk, event, "anchors and tags are not supported");
	if (!top && is_list)
		return refuse(walk, event, "a list where keys were expected");
	if (top && top->is_list)
		return refuse(walk, event, "a list holds plain values only");
	if (top && !top->key)
		return refuse(walk, event, "a key must be a plain word");
	if (walk->depth == RH_YAML_DEPTH_MAX)
		return refuse(walk, event, "nested too deeply");
	if (top) {
		struct rh_yaml_node node = {.kind = is_list ? RH_YAML_LIST : RH_YAML_MAP};
		int r = visit(walk, event, &node);

		if (r < 0)
			return rh_trace(r);
	}
	walk->frames[walk->depth++] = (struct frame){.is_list = is_list};
	return 0;
}

static void on_end(struct walk *walk)
{
	struct frame *top = &walk->frames[--walk->depth];

	rh_strv_free(top->keys);
	*top = (struct frame){0};
	if (walk->depth > 0)
		walk->frames[walk->depth - 1].key = NULL;
}

static int on_key(struct walk *walk, const yaml_event_t *event, const char *text)
{
	struct frame *top = &walk->frames[walk->depth - 1];

	if (!*text || strlen(text) > 128)
		return refuse(walk, event, "a key must have 1 to 128 characters");
	if (rh_strv_contains(top->keys, text))
		return refuse(walk, event, "%s: the key was there before", text);

	int r = rh_strv_append(&top->keys, text);

	if (r < 0)
		return rh_trace(r);
	top->key = top->keys[rh_strv_length(top->keys) - 1];
	return 0;
}

static bool is_null_text(const yaml_event_t *event, const char *text)
{
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		(!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int on_scalar(struct walk *walk, const yaml_event_t *event)
{
	struct frame *top = walk->depth ? &walk->frames[walk->depth - 1] : NULL;
	const char *text = (const char *)event->data.scalar.value;
	struct rh_yaml_node node = {.text = text, .is_null = is_null_text(event, text)};

	if (event->data.scalar.anchor || event->data.scalar.tag)
		return refuse(walk, event, "anchors and tags are not supported");
	for (size_t i = 0; i < event->data.scalar.length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return refuse(walk, event, "a value contains a control character");
	if (!top)
		return node.is_null ? 0 : refuse(walk, event, "a word where keys were expected");
	if (!top->is_list && top->key) {
		node.kind = RH_YAML_SCALAR;
		int r = visit(walk, event, &node);

		top->key = NULL;
		return rh_trace(r);
	}
	if (++top->n > RH_YAML_ENTRIES_MAX)
		return refuse(walk, event, "more than %d entries", RH_YAML_ENTRIES_MAX);
	if (!top->is_list)
		return rh_trace(on_key(walk, event, text));
	node.kind = RH_YAML_ITEM;
	return rh_trace(visit(walk, event, &node));
}

static int on_event(struct walk *walk, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++walk->n_documents > 1)
			return refuse(walk, event, "only one document is allowed");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(walk, event, "aliases are not supported");
	case YAML_SCALAR_EVENT:
		return rh_trace(on_scalar(walk, event));
	case YAML_MAPPING_START_EVENT:
		return rh_trace(on_start(walk, event, false));
	case YAML_SEQUENCE_START_EVENT:
		return rh_trace(on_start(walk, event, true));
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		on_end(walk);
		return 0;
	case YAML_STREAM_END_EVENT:
		walk->done = true;
		return 0;
	default:
		return 0;
	}
}

static int on_parser_error(struct walk *walk, const yaml_parser_t *parser)
{
	size_t line = parser->problem_mark.line;

	if (parser->error == YAML_MEMORY_ERROR)
		return rh_err_set(walk->err, -ENOMEM, "%s: out of memory", walk->name);
	/* The reader, which checks the encoding, does not say where. */
	if (parser->error == YAML_READER_ERROR)
		line = parser->mark.line;
	return rh_err_set(walk->err, -EINVAL, "%s:%zu: %s", walk->name, line + 1,
		parser->problem ? parser->problem : "not YAML");
}

int rh_yaml_walk(const char *name, const char *data, size_t size, rh_yaml_fn fn, void *arg,
	struct rh_err *err)
{
	struct walk walk = {.name = name, .fn = fn, .arg = arg, .err = err};
	yaml_parser_t parser;
	int r = 0;

	if (size > RH_YAML_SIZE_MAX)
		return rh_err_set(err, -EFBIG, "%s: larger than %zu bytes", name, RH_YAML_SIZE_MAX);
	if (!yaml_parser_initialize(&parser))
		return rh_err_set(err, -ENOMEM, "%s: out of memory", name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, size);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	while (r == 0 && !walk.done) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			r = on_parser_error(&walk, &parser);
			break;
		}
		r = on_event(&walk, &event);
		yaml_event_delete(&event);
	}
	while (walk.depth > 0)
		on_end(&walk);
	yaml_parser_delete(&parser);
	if (r == -ENOMEM)
		(void)rh_err_set(err, r, "%s: out of memory", name);
	return rh_trace(r);
}
