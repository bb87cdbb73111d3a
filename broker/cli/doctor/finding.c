/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing findings.
 */

#include <stdarg.h>
#include <stdio.h>

#include "broker/cli/doctor/doctor.h"

void rh_found(struct rh_finding *f, enum rh_health health, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above, lost over files */
	(void)vsnprintf(f->message, sizeof(f->message), fmt, ap);
	va_end(ap);
	f->health = health;
}

void rh_advise(struct rh_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above, lost over files */
	(void)vsnprintf(f->advice, sizeof(f->advice), fmt, ap);
	va_end(ap);
}
