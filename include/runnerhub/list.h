/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Intrusive doubly linked lists. A head and a node are the same structure; a node that is in no
 * list points to itself. Everything but walking takes constant time. Context: any thread, with the
 * list's owner's lock.
 */

#include <stdbool.h>
#include <stddef.h>

struct rh_list {
	struct rh_list *next;
	struct rh_list *prev;
};

static inline void rh_list_init(struct rh_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool rh_list_is_empty(const struct rh_list *list)
{
	return list->next == list;
}

/* @node must be in no list. */
static inline void rh_list_append(struct rh_list *list, struct rh_list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

/* May be called on a node that is in no list. */
static inline void rh_list_remove(struct rh_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	rh_list_init(node);
}

/* The structure of @type whose member @member is @node. */
#define rh_list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The first entry, or NULL. */
#define rh_list_first(list, type, member) \
	(rh_list_is_empty(list) ? NULL : rh_list_entry((list)->next, type, member))

/* Walks @list; @it may be removed while it is visited, no other node may. */
#define rh_list_for_each(it, list)                                                  \
	for (struct rh_list *it = (list)->next, *rh_next_ = it->next; it != (list); \
		it = rh_next_, rh_next_ = it->next)
