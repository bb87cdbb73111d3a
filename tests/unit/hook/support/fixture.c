/* SPDX-License-Identifier: Apache-2.0 */

#include "support/fixture.h"

struct host host;
struct fake_broker broker;
struct run run;

void set_up(void)
{
	host_make(&host);
	broker.pid = 0;
}

void set_up_serving(void)
{
	set_up();
	fake_broker_start(&broker, &host, FAKE_SERVE);
}

void tear_down(void)
{
	if (broker.pid > 0)
		fake_broker_stop(&broker);
	host_remove(&host);
}
