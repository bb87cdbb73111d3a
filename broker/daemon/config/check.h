/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Forms of text options. All: what is wrong ("must …"), or NULL. Pure functions.
 */

const char *rh_check_path(const char *text); /* absolute and canonical in writing */
const char *rh_check_image(const char *text);
const char *rh_check_network(const char *text);
const char *rh_check_network_name(const char *text);
const char *rh_check_subnet6(const char *text); /* or none */
const char *rh_check_address(const char *text);
const char *rh_check_keep(const char *text); /* relative, without "." and ".." */
const char *rh_check_capability(const char *text);
const char *rh_check_ulimit(const char *text); /* NAME=SOFT or NAME=SOFT:HARD */
const char *rh_check_runtime(const char *text);
const char *rh_check_apparmor(const char *text);
const char *rh_check_env(const char *text); /* NAME=VALUE */
const char *rh_check_pattern(const char *text); /* NAME or NAME* */
const char *rh_check_profile_name(const char *text);
const char *rh_check_runner_name(const char *text);
const char *rh_check_group(const char *text);
