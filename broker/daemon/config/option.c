/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a row of an option table means: finding, setting, comparing, clearing.
 *
 * Fields are reached through their offset; the type says what is there.
 */

#include "broker/daemon/config/option.h"

#include "broker/daemon/config/check.h"
#include "broker/daemon/config/config.h"
#include "broker/daemon/config/strv.h"
#include "broker/daemon/config/value.h"

_Static_assert(sizeof(enum rh_log_level) == sizeof(unsigned) &&
		sizeof(enum rh_log_format) == sizeof(unsigned) && sizeof(uid_t) == sizeof(uint32_t),
	"fields are written as these types");

static bool is_text(const struct rh_option *option)
{
	return option->type == RH_OPTION_TEXT || option->type == RH_OPTION_PATH;
}

static bool is_list(const struct rh_option *option)
{
	return option->type == RH_OPTION_LIST || option->type == RH_OPTION_ENV;
}

const struct rh_option *rh_option_find(const struct rh_option_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	return NULL;
}

bool rh_option_is_group(const struct rh_option_table *table, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < table->n; i++)
		if (strncmp(table->rows[i].name, name, n) == 0 && table->rows[i].name[n] == '.')
			return true;
	return false;
}

/* Return: 0; -EINVAL; -ERANGE. */
static int parse_number(const struct rh_option *option, const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;
	int r = 0;

	if (option->zero_is_none && strcmp(text, "none") == 0)
		r = 0;
	else if (option->type == RH_OPTION_DURATION)
		r = rh_value_duration(text, &number);
	else if (option->type == RH_OPTION_SIZE)
		r = rh_value_size(text, &number);
	else if (option->type == RH_OPTION_DECIMAL)
		r = rh_value_thousandths(text, &number);
	else
		r = rh_value_count(text, &number);
	if (r < 0)
		return rh_trace(r);
	if ((number < option->min || number > option->max) &&
		!(option->zero_is_none && number == 0))
		return rh_origin(-ERANGE);
	*ret_number = number;
	return 0;
}

static int set_number(
	const struct rh_option *option, void *object, const char *text, struct rh_err *err)
{
	uint64_t number = 0;
	char form[160];

	if (parse_number(option, text, &number) < 0) {
		rh_option_describe(option, form, sizeof(form));
		return rh_err_set(err, -EINVAL, "\"%.64s\": must be %s", text, form);
	}
	if (option->type == RH_OPTION_COUNT32)
		*(uint32_t *)rh_option_field(option, object) = (uint32_t)number;
	else if (option->type == RH_OPTION_DECIMAL)
		*(double *)rh_option_field(option, object) = (double)number / 1000;
	else
		*(uint64_t *)rh_option_field(option, object) = number;
	return 0;
}

static int set_choice(
	const struct rh_option *option, void *object, const char *text, struct rh_err *err)
{
	char form[160];

	for (unsigned i = 0; option->choices[i]; i++) {
		if (strcmp(option->choices[i], text) != 0)
			continue;
		*(unsigned *)rh_option_field(option, object) = i;
		return 0;
	}
	rh_option_describe(option, form, sizeof(form));
	return rh_err_set(err, -EINVAL, "\"%.64s\": must be %s", text, form);
}

static int set_user(struct rh_profile *profile, const char *text, struct rh_err *err)
{
	char uid_text[16];
	uint64_t uid = 0;
	uint64_t gid = 0;
	size_t n = strcspn(text, ":");

	if (strcmp(text, "root") == 0 || strcmp(text, "runner") == 0) {
		profile->user = text[1] == 'o' ? RH_USER_ROOT : RH_USER_RUNNER;
		profile->uid = 0;
		profile->gid = 0;
		return 0;
	}
	(void)snprintf(uid_text, sizeof(uid_text), "%.*s", (int)n, text);
	/* 65534 is nobody: what the kernel shows for ids without a mapping. */
	if (n > 5 || text[n] != ':' || rh_value_count(uid_text, &uid) < 0 ||
		rh_value_count(text + n + 1, &gid) < 0 || uid < 1 || uid > 65533 || gid > 65533)
		return rh_err_set(err, -EINVAL,
			"\"%.64s\": must be root, runner, or UID:GID with ids up to 65533", text);
	profile->user = RH_USER_IDS;
	profile->uid = (uid_t)uid;
	profile->gid = (gid_t)gid;
	return 0;
}

static int set_text(
	const struct rh_option *option, void *object, const char *text, struct rh_err *err)
{
	char **p = rh_option_field(option, object);
	const char *wrong = option->type == RH_OPTION_PATH ? rh_check_path(text) : NULL;
	char *copy = NULL;

	if (!wrong && option->check)
		wrong = option->check(text);
	if (wrong)
		return rh_err_set(err, -EINVAL, "\"%.100s\": %s", text, wrong);
	copy = strdup(text);
	if (!copy)
		return rh_origin(-ENOMEM);
	free(*p);
	*p = copy;
	return 0;
}

static int append_item(
	const struct rh_option *option, void *object, const char *text, struct rh_err *err)
{
	char ***p = rh_option_field(option, object);
	const char *wrong = option->check(text);

	/* An environment's values may be secrets. */
	if (wrong && option->type == RH_OPTION_ENV)
		return rh_err_set(err, -EINVAL, "%s", wrong);
	if (wrong)
		return rh_err_set(err, -EINVAL, "\"%.100s\": %s", text, wrong);
	if (rh_strv_length(*p) >= RH_OPTION_LIST_MAX)
		return rh_err_set(err, -EINVAL, "must have at most %d entries", RH_OPTION_LIST_MAX);
	return rh_trace(rh_strv_append(p, text));
}

int rh_option_set(
	const struct rh_option *option, void *object, const char *text, struct rh_err *err)
{
	switch (option->type) {
	case RH_OPTION_TEXT:
	case RH_OPTION_PATH:
		return rh_trace(set_text(option, object, text, err));
	case RH_OPTION_CHOICE:
		return rh_trace(set_choice(option, object, text, err));
	case RH_OPTION_LIST:
	case RH_OPTION_ENV:
		return rh_trace(append_item(option, object, text, err));
	case RH_OPTION_USER:
		return rh_trace(set_user(object, text, err));
	default:
		return rh_trace(set_number(option, object, text, err));
	}
}

void rh_option_clear(const struct rh_option *option, void *object)
{
	if (is_text(option)) {
		free(*(char **)rh_option_field(option, object));
		*(char **)rh_option_field(option, object) = NULL;
	} else if (is_list(option)) {
		rh_strv_free(*(char ***)rh_option_field(option, object));
		*(char ***)rh_option_field(option, object) = NULL;
	}
}

bool rh_option_equal(const struct rh_option *option, const void *a, const void *b)
{
	const void *p = rh_option_field(option, a);
	const void *q = rh_option_field(option, b);

	switch (option->type) {
	case RH_OPTION_TEXT:
	case RH_OPTION_PATH: {
		const char *s = *(char *const *)p;
		const char *t = *(char *const *)q;

		return s && t ? strcmp(s, t) == 0 : s == t;
	}
	case RH_OPTION_LIST:
	case RH_OPTION_ENV:
		return rh_strv_equal(*(char **const *)p, *(char **const *)q);
	case RH_OPTION_CHOICE:
		return *(const unsigned *)p == *(const unsigned *)q;
	case RH_OPTION_COUNT32:
		return *(const uint32_t *)p == *(const uint32_t *)q;
	case RH_OPTION_DECIMAL:
		return *(const double *)p == *(const double *)q;
	case RH_OPTION_USER: {
		const struct rh_profile *s = a;
		const struct rh_profile *t = b;

		return s->user == t->user && s->uid == t->uid && s->gid == t->gid;
	}
	default:
		return *(const uint64_t *)p == *(const uint64_t *)q;
	}
}

static int copy_text(char **p, const char *from)
{
	char *copy = from ? strdup(from) : NULL;

	if (from && !copy)
		return rh_origin(-ENOMEM);
	free(*p);
	*p = copy;
	return 0;
}

static int copy_list(char ***p, char *const *from)
{
	char **copy = NULL;

	for (; from && *from; from++) {
		if (rh_strv_append(&copy, *from) < 0) {
			rh_strv_free(copy);
			return rh_origin(-ENOMEM);
		}
	}
	rh_strv_free(*p);
	*p = copy;
	return 0;
}

static void copy_user(struct rh_profile *profile, const struct rh_profile *from)
{
	profile->user = from->user;
	profile->uid = from->uid;
	profile->gid = from->gid;
}

int rh_option_copy(const struct rh_option *option, void *object, const void *from)
{
	void *p = rh_option_field(option, object);
	const void *q = rh_option_field(option, from);

	switch (option->type) {
	case RH_OPTION_TEXT:
	case RH_OPTION_PATH:
		return rh_trace(copy_text(p, *(char *const *)q));
	case RH_OPTION_LIST:
	case RH_OPTION_ENV:
		return rh_trace(copy_list(p, *(char **const *)q));
	case RH_OPTION_CHOICE:
		*(unsigned *)p = *(const unsigned *)q;
		break;
	case RH_OPTION_COUNT32:
		*(uint32_t *)p = *(const uint32_t *)q;
		break;
	case RH_OPTION_DECIMAL:
		*(double *)p = *(const double *)q;
		break;
	case RH_OPTION_USER:
		copy_user(object, from);
		break;
	default:
		*(uint64_t *)p = *(const uint64_t *)q;
		break;
	}
	return 0;
}

/* A list's default is one text, its items separated by commas. */
static int set_fallback(const struct rh_option *option, void *object)
{
	_cleanup_(rh_freep) char *copy = NULL;
	char *state = NULL;

	if (!option->fallback)
		return 0;
	if (!is_list(option))
		return rh_trace(rh_option_set(option, object, option->fallback, NULL));
	copy = strdup(option->fallback);
	if (!copy)
		return rh_origin(-ENOMEM);
	for (char *item = strtok_r(copy, ",", &state); item; item = strtok_r(NULL, ",", &state)) {
		int r = rh_option_set(option, object, item, NULL);

		if (r < 0)
			return rh_trace(r);
	}
	return 0;
}

int rh_options_init(const struct rh_option_table *table, void *object)
{
	for (size_t i = 0; i < table->n; i++) {
		int r = set_fallback(&table->rows[i], object);

		if (r < 0)
			return rh_trace(r);
	}
	return 0;
}

void rh_options_deinit(const struct rh_option_table *table, void *object)
{
	for (size_t i = 0; i < table->n; i++)
		rh_option_clear(&table->rows[i], object);
}

const struct rh_option *rh_options_missing(const struct rh_option_table *table, uint64_t seen)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->rows[i].required && !(seen & UINT64_C(1) << i))
			return &table->rows[i];
	return NULL;
}
