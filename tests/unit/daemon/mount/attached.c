/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A runner's directory, a container, and a request to attach the one to the other.
 */

#include "attached.h"

#include <errno.h>
#include <string.h>

#include "rh-test.h"

struct rh_home fix_home = RH_HOME_INIT;
struct rh_idmaps fix_maps;
struct rh_views fix_views;
const struct rh_attach_tools fix_tools = {
	.home = &fix_home, .maps = &fix_maps, .views = &fix_views};
struct rh_mount_result fix_result;
struct rh_err fix_err;
struct fake_container fix_c = {-1, -1};
struct rh_mount_attach fix_request;

void fix_attach_setup(void)
{
	fake_setup();
	ck_assert_int_eq(rh_home_open(&fix_home), 0);
	fix_c = fake_start(NULL);
	fix_request = fake_attach(&fix_c, 0);
}

void fix_attach_teardown(void)
{
	if (fix_c.pid > 0)
		fake_stop(&fix_c);
	rh_views_deinit(&fix_views);
	rh_idmaps_deinit(&fix_maps);
	rh_home_close(&fix_home);
	fake_teardown();
}

int fix_attach(void)
{
	fix_err.text[0] = '\0';

	int n_mounts = fake_n_mounts();
	bool was_marked = fake_exists(in_work("_runnerhub/leased-demo")) == 1;
	int r = rh_attach_run(&fix_tools, &fix_request, &fix_result, &fix_err);
	bool is_marked = fake_exists(in_work("_runnerhub/leased-demo")) == 1;

	/* Whatever happened: no mount on the host, still at home, a word of why. */
	ck_assert_int_eq(fake_n_mounts(), n_mounts);
	ck_assert(r == 0 || fix_err.text[0]);
	ck_assert(r == 0 ? is_marked : !is_marked || was_marked);
	return r;
}

void fix_must_say(const char *words)
{
	ck_assert_msg(
		strstr(fix_err.text, words) != NULL, "'%s' does not say '%s'", fix_err.text, words);
}

void fix_restart(fake_plant_fn plant)
{
	fake_stop(&fix_c);
	fix_c = fake_start(plant);
	fix_request.container_pid = fix_c.pid;
}
