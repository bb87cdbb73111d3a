/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Numbers with units: parsing without locale, sign or overflow, and printing.
 */

#include "broker/daemon/config/value.h"

#include <inttypes.h>

#include "runnerhub/err.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first, for printing. */
static const struct unit duration_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {{"T", UINT64_C(1) << 40}, {"G", UINT64_C(1) << 30},
	{"M", UINT64_C(1) << 20}, {"K", UINT64_C(1) << 10}, {NULL, 0}};

/* Reads digits; *ret_end is behind them. */
static int digits(const char *text, uint64_t *ret_number, const char **ret_end)
{
	uint64_t number = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
			return rh_origin(-ERANGE);
	}
	if (p == text)
		return rh_origin(-EINVAL);
	*ret_number = number;
	*ret_end = p;
	return 0;
}

int rh_value_count(const char *text, uint64_t *ret_count)
{
	uint64_t number = 0;
	const char *end = NULL;
	int r = digits(text, &number, &end);

	if (r < 0)
		return rh_trace(r);
	if (*end)
		return rh_origin(-EINVAL);
	*ret_count = number;
	return 0;
}

static int with_unit(const char *text, const struct unit *units, uint64_t *ret_value)
{
	uint64_t number = 0;
	const char *end = NULL;
	int r = digits(text, &number, &end);

	if (r < 0)
		return rh_trace(r);
	if (!*end && number == 0) {
		*ret_value = 0;
		return 0;
	}
	for (; units->name; units++) {
		if (strcmp(units->name, end) != 0)
			continue;
		if (__builtin_mul_overflow(number, units->factor, &number))
			return rh_origin(-ERANGE);
		*ret_value = number;
		return 0;
	}
	return rh_origin(-EINVAL);
}

int rh_value_duration(const char *text, uint64_t *ret_ms)
{
	return rh_trace(with_unit(text, duration_units, ret_ms));
}

int rh_value_size(const char *text, uint64_t *ret_bytes)
{
	return rh_trace(with_unit(text, size_units, ret_bytes));
}

int rh_value_thousandths(const char *text, uint64_t *ret_thousandths)
{
	uint64_t number = 0;
	uint64_t fraction = 0;
	const char *end = NULL;
	int r = digits(text, &number, &end);

	if (r < 0)
		return rh_trace(r);
	if (*end == '.') {
		const char *point = end;

		r = digits(point + 1, &fraction, &end);
		if (r < 0 || end - point > 4)
			return rh_origin(-EINVAL);
		for (const char *p = end; p < point + 4; p++)
			fraction *= 10;
	}
	if (*end)
		return rh_origin(-EINVAL);
	if (__builtin_mul_overflow(number, 1000, &number) ||
		__builtin_add_overflow(number, fraction, &number))
		return rh_origin(-ERANGE);
	*ret_thousandths = number;
	return 0;
}

static void print_with_unit(uint64_t value, const struct unit *units, char *ret_text)
{
	for (; value && units->name; units++) {
		if (value % units->factor != 0)
			continue;
		(void)snprintf(ret_text, RH_VALUE_TEXT_SIZE, "%" PRIu64 "%s", value / units->factor,
			units->name);
		return;
	}
	(void)snprintf(ret_text, RH_VALUE_TEXT_SIZE, "%" PRIu64, value);
}

void rh_value_print_duration(uint64_t ms, char ret_text[RH_VALUE_TEXT_SIZE])
{
	print_with_unit(ms, duration_units, ret_text);
}

void rh_value_print_size(uint64_t bytes, char ret_text[RH_VALUE_TEXT_SIZE])
{
	print_with_unit(bytes, size_units, ret_text);
}

void rh_value_print_thousandths(uint64_t thousandths, char ret_text[RH_VALUE_TEXT_SIZE])
{
	if (thousandths % 1000 == 0)
		(void)snprintf(ret_text, RH_VALUE_TEXT_SIZE, "%" PRIu64, thousandths / 1000);
	else
		(void)snprintf(ret_text, RH_VALUE_TEXT_SIZE, "%" PRIu64 ".%03" PRIu64,
			thousandths / 1000, thousandths % 1000);
}
