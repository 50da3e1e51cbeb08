/*
 * pattern.c - tables of patterns, whichever the engine:
 *
 *	/pattern/flags  result			[!] before it: when not matched
 *	if /pattern/flags ... endif		the same, may be nested
 *
 * The result has $1, ${1} or $(1) for what a group matched and $$ for a
 * dollar sign. Any byte but a letter or digit may stand for the slash. A
 * line that is wrong spoils the table: skipping it would open what it closes.
 */
#include "common/map/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/str.h"
#include "common/base/text.h"

enum { DEPTH_MAX = 32, GROUP_MAX = 999, PATTERN_LONGEST = 16384 };

enum rule_kind { RULE_RESULT, RULE_IF, RULE_ENDIF };

struct rule {
	enum rule_kind	 kind;
	bool		 is_negated;
	unsigned	 line;
	void		*compiled;
	size_t		 groups;
	const char	*result;
	size_t		 endif;		/* IF: index of its end */
};

struct patterns {
	const struct pattern_engine	*engine;
	struct rule			*rules;
	size_t				 count, room;
	size_t				 open[DEPTH_MAX], depth;
	struct span			*spans;
	size_t				 most_groups;
};

/* A letter or digit? */
static bool
is_alnum(char c)
{
	return isalnum((unsigned char)c) != 0;
}

/* A new rule at the end. */
static struct rule *
add_rule(struct map *m, enum rule_kind kind, unsigned line)
{
	struct patterns	*p = m->state;
	struct rule	*rule;

	p->rules = pool_grow(m->pool, p->rules, &p->room, p->count + 1,
	    sizeof(*rule));
	rule = &p->rules[p->count++];
	memset(rule, 0, sizeof(*rule));
	rule->kind = kind;
	rule->line = line;
	return rule;
}

/*
 * The group that "$1", "${1}" or "$(1)" at `at` names; *end is behind it.
 * 0 for "$$", -1 for anything else.
 */
static int
group_number(const char *at, const char **end)
{
	char	closer = '\0';
	int	number = 0;

	if (*++at == '$') {
		*end = at + 1;
		return 0;
	}
	if (*at == '{' || *at == '(')
		closer = *at++ == '{' ? '}' : ')';
	if (*at < '1' || *at > '9')
		return -1;
	while (*at >= '0' && *at <= '9' && number <= GROUP_MAX)
		number = 10 * number + (*at++ - '0');
	if (closer != '\0' && *at++ != closer)
		return -1;
	*end = at;
	return number;
}

/* Is a group the first word of a result, or where FILTER hands mail over? */
static bool
decides(const char *result, const char *dollar)
{
	if (text_starts(result, "FILTER "))
		result += strcspn(result, " ") + strspn(result + 6, " \t");
	return result == dollar;
}

/* Does the result name only groups that there are? */
static const char *
check_result(struct map *m, const struct rule *rule)
{
	struct pool	*pool = m->pool;
	const char	*at = rule->result, *dollar;
	int		 group;

	while ((at = strchr(at, '$')) != NULL) {
		dollar = at;
		group = group_number(at, &at);
		m->takes_parts |= group > 0;
		m->begins_with_part |= group > 0 &&
		    decides(rule->result, dollar);
		if (group == -1)
			return "expected a number after $ (write $$ for a "
			    "dollar sign)";
		if (group > 0 && rule->is_negated)
			return "a pattern that must not match has no groups "
			    "for the result";
		if ((size_t)group > rule->groups)
			return pool_printf(pool, "the result uses $%d, but "
			    "the pattern has %zu groups", group,
			    rule->groups);
	}
	return NULL;
}

/* Read "!/pattern/flags", compile it; *text moves behind. */
static const char *
read_pattern(struct map *m, struct rule *rule, char **text)
{
	struct patterns	*p = m->state;
	char		*start = *text, *end, *flags, delimiter;
	const char	*why;

	for (; *start == '!'; start = text_trim(start + 1))
		rule->is_negated = !rule->is_negated;
	delimiter = *start;
	if (delimiter == '\0' || is_alnum(delimiter) || delimiter == '\\')
		return "expected a pattern between slashes";
	for (end = ++start; *end != '\0' && *end != delimiter; end++)
		if (*end == '\\' && end[1] != '\0')
			end++;
	if (*end == '\0')
		return pool_printf(m->pool, "expected %c at the end of the "
		    "pattern", delimiter);
	*end++ = '\0';
	for (flags = end; is_alnum(*end); end++)
		continue;
	if (*end != '\0' && !isspace((unsigned char)*end))
		return "expected white space after the pattern";
	if (*end != '\0')
		*end++ = '\0';
	*text = text_trim(end);
	/* The C library needs minutes for one of a megabyte. */
	if (strlen(start) > PATTERN_LONGEST)
		return pool_printf(m->pool, "a pattern has more than %d "
		    "bytes", PATTERN_LONGEST);
	why = p->engine->compile(m->pool, start, flags, &rule->compiled,
	    &rule->groups);
	if (why == NULL && rule->groups > p->most_groups)
		p->most_groups = rule->groups;
	return why;
}

/* Does the line begin with this word? Then *text moves behind it. */
static bool
is_word(char **text, const char *word)
{
	size_t	len = strlen(word);

	if (!text_starts(*text, word) || is_alnum((*text)[len]))
		return false;
	*text = text_trim(*text + len);
	return true;
}

/* if /pattern/ */
static const char *
read_if(struct map *m, char *text, unsigned number)
{
	struct patterns	*p = m->state;
	const char	*why;

	if (p->depth == DEPTH_MAX)
		return "too many ifs inside each other";
	p->open[p->depth++] = p->count;
	why = read_pattern(m, add_rule(m, RULE_IF, number), &text);
	if (why == NULL && *text != '\0')
		why = "expected nothing after the pattern of an if";
	return why;
}

/* endif */
static const char *
read_endif(struct map *m, char *text, unsigned number)
{
	struct patterns	*p = m->state;

	if (p->depth == 0)
		return "endif without if";
	if (*text != '\0')
		return "expected nothing after endif";
	p->rules[p->open[--p->depth]].endif = p->count;
	(void)add_rule(m, RULE_ENDIF, number);
	return NULL;
}

/* One logical line. */
static const char *
read_line(struct map *m, char *text, unsigned number)
{
	struct rule	*rule;
	const char	*why;

	if (is_word(&text, "if"))
		return read_if(m, text, number);
	if (is_word(&text, "endif"))
		return read_endif(m, text, number);
	rule = add_rule(m, RULE_RESULT, number);
	if ((why = read_pattern(m, rule, &text)) != NULL)
		return why;
	if (*text == '\0')
		return "expected a result after the pattern";
	rule->result = pool_strdup(m->pool, text);
	return check_result(m, rule);
}

/* Read the whole table. */
const char *
pattern_open(struct map *m, const struct pattern_engine *engine)
{
	struct patterns	*p = m->state = pool_alloc(m->pool, sizeof(*p));
	const char	*why;

	p->engine = engine;
	if ((why = map_read_rules(m, read_line)) != NULL)
		return why;
	if (p->depth > 0)
		return pool_printf(m->pool, "%s:%u: if without endif", m->rest,
		    p->rules[p->open[p->depth - 1]].line);
	p->spans = pool_array(m->pool, p->most_groups + 1, sizeof(*p->spans));
	return NULL;
}

/* Release what was compiled. */
void
pattern_close(struct map *m)
{
	struct patterns	*p = m->state;
	size_t		 i;

	for (i = 0; i < p->count; i++)
		if (p->rules[i].compiled != NULL)
			p->engine->release(p->rules[i].compiled);
	p->count = 0;
}

/* The result with its groups. */
static char *
expand(struct pool *pool, const struct rule *rule, const char *subject,
    const struct span *spans)
{
	struct str	 to;
	const char	*at = rule->result, *dollar;
	int		 group;

	str_init(&to, pool, MAP_VALUE_MAX + 1);
	while ((dollar = strchr(at, '$')) != NULL) {
		str_add_mem(&to, at, (size_t)(dollar - at));
		group = group_number(dollar, &at);
		if (group == 0)
			str_add_char(&to, '$');
		else if (spans[group].start != PATTERN_NO_SPAN)
			str_add_mem(&to, subject + spans[group].start,
			    spans[group].end - spans[group].start);
	}
	str_add(&to, at);
	return to.data;
}

/* From the first rule on, until one gives a result. */
enum map_result
pattern_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct patterns	*p = m->state;
	struct rule	*rule;
	const char	*problem = NULL;
	size_t		 i;
	int		 matched;

	for (i = 0; i < p->count; i++) {
		rule = &p->rules[i];
		if (rule->kind == RULE_ENDIF)
			continue;
		matched = p->engine->match(rule->compiled, key, p->spans,
		    rule->groups, &problem);
		if (matched == -1)
			return map_failed(pool, why, "%s:%u: %s", m->rest,
			    rule->line, problem);
		if ((matched == 1) == rule->is_negated) {
			if (rule->kind == RULE_IF)
				i = rule->endif;
			continue;
		}
		if (rule->kind == RULE_IF)
			continue;
		*value = expand(pool, rule, key, p->spans);
		return MAP_FOUND;
	}
	return MAP_NOT_FOUND;
}
