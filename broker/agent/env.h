/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A step's environment: the image's below, the step's own above, PATH and HOME made for the
 * container.
 */

#include "broker/agent/users.h"
#include "runnerhub/block.h"

/* What a shell searches where an image says nothing. */
#define RH_ENV_PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The image's PATH, never NULL. */
const char *rh_env_image_path(char *const *image);

/**
 * rh_env_compose() - environment of one step
 * @image: the agent's own, which is the image's
 * @block: the step's
 * @user:  whose home is HOME if neither the step nor the image names one
 *
 * The result's strings are those of @image and @block, which must outlive it, but for PATH and
 * HOME. Return: NULL-terminated; NULL if memory is short.
 */
char **rh_env_compose(char *const *image, const struct rh_block *block, const struct rh_user *user);
void rh_env_free(char **env);
