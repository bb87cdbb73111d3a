/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Times are int64_t; the unit is in the name. Durations come from the monotonic clock, records from
 * the wall clock.
 */

#include <stdint.h>
#include <time.h>

static inline int64_t rh_clock_us(clockid_t clock)
{
	struct timespec ts = {0};

	(void)clock_gettime(clock, &ts); /* cannot fail for the clocks used here */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static inline int64_t rh_now_us(void)
{
	return rh_clock_us(CLOCK_MONOTONIC);
}

static inline int64_t rh_now_ms(void)
{
	return rh_now_us() / 1000;
}

static inline int64_t rh_wall_ms(void)
{
	return rh_clock_us(CLOCK_REALTIME) / 1000;
}
