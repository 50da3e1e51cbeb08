/*
 * memory.c - what was found out about domains, so that the next recipient
 * there costs no lookups.
 *
 * Class, "is it ours" and the entry of transport_maps depend on the domain
 * alone. An answer is kept until any table or setting changes (a new
 * generation), and only if all tables that it came from can be watched for
 * changes. Least recently asked goes first.
 */
#include <sys/queue.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "resolve/resolve.h"

enum { DOMAINS_MAX = 20000 };

struct entry {
	RB_ENTRY(entry)		 by_name;
	TAILQ_ENTRY(entry)	 by_use;
	int64_t			 generation;
	struct fact		 facts[FACTS];
	char			 name[];
};

RB_HEAD(entry_tree, entry);
static TAILQ_HEAD(entry_list, entry) used = TAILQ_HEAD_INITIALIZER(used);
static struct entry_tree tree = RB_INITIALIZER(&tree);
static size_t			count;

/* The order of names. */
static int
by_name(const struct entry *a, const struct entry *b)
{
	return strcmp(a->name, b->name);
}

/* RB_GENERATE_STATIC wants a macro that libbsd does not have. */
RB_GENERATE_INTERNAL(entry_tree, entry, by_name, by_name,
    __attribute__((unused)) static)

/* Forget the facts of a name. */
static void
clear(struct entry *e)
{
	size_t	i;

	for (i = 0; i < FACTS; i++) {
		free(e->facts[i].text);
		e->facts[i] = (struct fact){ 0 };
	}
	e->generation = rules_generation();
}

/* Forget the name itself. */
static void
forget(struct entry *e)
{
	clear(e);
	RB_REMOVE(entry_tree, &tree, e);
	TAILQ_REMOVE(&used, e, by_use);
	count--;
	free(e);
}

/* The entry of a name, NULL if there is none. */
static struct entry *
find(const char *name)
{
	struct entry	*e = RB_ROOT(&tree);
	int		 order;

	while (e != NULL && (order = strcmp(name, e->name)) != 0)
		e = order < 0 ? RB_LEFT(e, by_name) : RB_RIGHT(e, by_name);
	return e;
}

/* What is known and still holds; good until the next wait. */
const struct fact *
memory_recall(const char *name, enum fact_kind kind)
{
	struct entry	*e = find(name);

	if (e == NULL || e->generation != rules_generation() ||
	    !e->facts[kind].is_known)
		return NULL;
	TAILQ_REMOVE(&used, e, by_use);
	TAILQ_INSERT_HEAD(&used, e, by_use);
	return &e->facts[kind];
}

/* A new entry. */
static struct entry *
add(const char *name)
{
	size_t		 len = strlen(name) + 1;
	struct entry	*e;

	if (count == DOMAINS_MAX)
		forget(TAILQ_LAST(&used, entry_list));
	e = mem_alloc(sizeof(*e) + len);
	memset(e, 0, sizeof(*e));
	memcpy(e->name, name, len);
	e->generation = rules_generation();
	(void)RB_INSERT(entry_tree, &tree, e);
	TAILQ_INSERT_HEAD(&used, e, by_use);
	count++;
	return e;
}

/* Keep a fact, unless something changed while it was being found out. */
void
memory_keep(const char *name, enum fact_kind kind, int64_t generation,
    int number, const char *text)
{
	struct entry	*e;

	if (generation != rules_generation())
		return;
	if ((e = find(name)) == NULL)
		e = add(name);
	else if (e->generation != generation)
		clear(e);
	free(e->facts[kind].text);
	e->facts[kind] = (struct fact){ .is_known = true, .number = number,
	    .text = text != NULL ? mem_strdup(text) : NULL };
}
