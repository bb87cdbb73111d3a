/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What had not ended when the last broker did.
 */

#include "broker/daemon/store/db.h"
#include "broker/daemon/store/store.h"

/* Return: 0; negative errno. Context: start-up. */
int rh_store_load(struct rh_db *db, struct rh_store_open **ret_open);
