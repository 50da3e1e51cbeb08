/*
 * cidr.c - tables of networks: "192.0.2.0/24 result", "!" before it when the
 * address must not be in it, if NETWORK ... endif. The first that fits counts.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/map/inside.h"
#include "common/net/inetaddr.h"

enum { DEPTH_MAX = 32 };
enum rule_kind { RULE_RESULT, RULE_IF, RULE_ENDIF };

struct rule {
	enum rule_kind	 kind;
	bool		 is_negated;
	struct inetaddr	 network;
	unsigned	 prefix;
	const char	*result;
	size_t		 endif;		/* IF: index of its end */
};

struct networks {
	struct rule	*rules;
	size_t		 count, room;
	size_t		 open[DEPTH_MAX], depth;
	unsigned	 if_line;
};

/* A new rule at the end. */
static struct rule *
add_rule(struct map *m, enum rule_kind kind)
{
	struct networks	*n = m->state;
	struct rule	*rule;

	n->rules = pool_grow(m->pool, n->rules, &n->room, n->count + 1,
	    sizeof(*rule));
	rule = &n->rules[n->count++];
	memset(rule, 0, sizeof(*rule));
	rule->kind = kind;
	return rule;
}

/* Read "!network"; *text moves behind it. */
static const char *
read_network(struct rule *rule, char **text)
{
	char	*start = *text, *end;

	for (; *start == '!'; start = text_trim(start + 1))
		rule->is_negated = !rule->is_negated;
	end = start + strcspn(start, " \t");
	*text = *end == '\0' ? end : text_trim(end + 1);
	*end = '\0';
	return inetaddr_parse_network(start, &rule->network, &rule->prefix);
}

/* if [!]NETWORK */
static const char *
read_if(struct map *m, char *text, unsigned number)
{
	struct networks	*n = m->state;
	const char	*why;

	if (n->depth == DEPTH_MAX)
		return "too many ifs inside each other";
	n->open[n->depth++] = n->count;
	n->if_line = number;
	why = read_network(add_rule(m, RULE_IF), &text);
	if (why == NULL && *text != '\0')
		why = "expected nothing after the network of an if";
	return why;
}

/* One logical line. */
static const char *
read_line(struct map *m, char *text, unsigned number)
{
	struct networks	*n = m->state;
	struct rule	*rule;
	const char	*why;

	if (text_starts(text, "if") && strpbrk(text, " \t!") == text + 2)
		return read_if(m, text_trim(text + 2), number);
	if (text_equal(text, "endif")) {
		if (n->depth == 0)
			return "endif without if";
		n->rules[n->open[--n->depth]].endif = n->count;
		(void)add_rule(m, RULE_ENDIF);
		return NULL;
	}
	rule = add_rule(m, RULE_RESULT);
	if ((why = read_network(rule, &text)) != NULL)
		return why;
	rule->result = pool_strdup(m->pool, text);
	return *text == '\0' ? "expected a result after the network" : NULL;
}

/* Read the whole table. */
static const char *
cidr_open(struct map *m)
{
	struct networks	*n = m->state = pool_alloc(m->pool, sizeof(*n));
	const char	*why;

	if ((why = map_read_rules(m, read_line)) != NULL)
		return why;
	return n->depth == 0 ? NULL : pool_printf(m->pool,
	    "%s:%u: if without endif", m->rest, n->if_line);
}

/* What is not an address is in no network. */
static enum map_result
cidr_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct networks	*n = m->state;
	struct rule	*rule;
	struct inetaddr	 address;
	size_t		 i;

	(void)why;
	if (!inetaddr_parse(&address, key))
		return MAP_NOT_FOUND;
	for (i = 0; i < n->count; i++) {
		rule = &n->rules[i];
		if (rule->kind == RULE_ENDIF)
			continue;
		if (inetaddr_in(&address, &rule->network, rule->prefix) ==
		    rule->is_negated) {
			if (rule->kind == RULE_IF)
				i = rule->endif;
			continue;
		}
		if (rule->kind == RULE_IF)
			continue;
		*value = pool_strdup(pool, rule->result);
		return MAP_FOUND;
	}
	return MAP_NOT_FOUND;
}

const struct map_type map_cidr = {
	.name = "cidr", .traits = MAP_IS_PATTERN, .open = cidr_open,
	.find = cidr_find
};
