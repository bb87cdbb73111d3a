/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One request on control.sock: from a line to a call.
 */

#include "broker/daemon/control/call.h"

#include <errno.h>

#define DEPTH_MAX 16

RH_DEFINE_CLEANUP(struct json_tokener *, json_tokener_free);

static int parse_object(
	const char *line, size_t size, struct json_object **ret_object, struct rh_err *err)
{
	_cleanup_(json_tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);

	if (!tokener)
		return rh_err_set(err, -ENOMEM, "out of memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);

	_cleanup_(json_object_putp) struct json_object *object =
		json_tokener_parse_ex(tokener, line, (int)size);
	enum json_tokener_error error = json_tokener_get_error(tokener);

	if (error == json_tokener_continue)
		return rh_err_set(err, -EINVAL, "the line is not a whole JSON object");
	if (error != json_tokener_success)
		return rh_err_set(err, -EINVAL, "not JSON: %s at byte %zu",
			json_tokener_error_desc(error), json_tokener_get_parse_end(tokener));
	if (json_tokener_get_parse_end(tokener) != size)
		return rh_err_set(err, -EINVAL, "there is something behind the object, at byte %zu",
			json_tokener_get_parse_end(tokener));
	if (!json_object_is_type(object, json_type_object))
		return rh_err_set(err, -EINVAL, "a request is a JSON object");
	*ret_object = rh_steal(&object);
	return 0;
}

int rh_call_parse(const char *line, size_t size, struct rh_call *ret_call, struct rh_err *err)
{
	_cleanup_(json_object_putp) struct json_object *request = NULL;
	struct json_object *id = NULL, *op = NULL, *args = NULL;
	int r = parse_object(line, size, &request, err);

	if (r < 0)
		return rh_trace(r);
	json_object_object_foreach (request, key, value) {
		if (strcmp(key, "id") == 0)
			id = value;
		else if (strcmp(key, "op") == 0)
			op = value;
		else if (strcmp(key, "args") == 0)
			args = value;
		else
			return rh_err_set(err, -EINVAL, "unknown member %.64s", key);
	}
	if (id && !json_object_is_type(id, json_type_int) &&
		!json_object_is_type(id, json_type_string))
		return rh_err_set(err, -EINVAL, "id must be a number or a string");
	if (!json_object_is_type(op, json_type_string))
		return rh_err_set(err, -EINVAL, "op must be a string");
	if (args && !json_object_is_type(args, json_type_object))
		return rh_err_set(err, -EINVAL, "args must be an object");

	ret_call->id = json_object_get(id);
	ret_call->op = json_object_get_string(op);
	ret_call->args = args ? json_object_get(args) : json_object_new_object();
	ret_call->request = rh_steal(&request);
	return 0;
}

void rh_call_deinit(struct rh_call *call)
{
	(void)json_object_put(rh_steal(&call->id));
	(void)json_object_put(rh_steal(&call->args));
	(void)json_object_put(rh_steal(&call->request));
}
