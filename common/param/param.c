/*
 * param.c - settings from rows: defaults, bounds, and every problem at once.
 *
 * P1  param_load() changes no setting unless all values of all its tables are
 *     good.
 */
#include "common/param/param.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"

struct value {
	const struct param	*row;
	char			*text;
	int64_t			 number;
};

/* Is the text as long as the row wants it? */
static const char *
check_length(const struct param *row, const char *text)
{
	static _Thread_local char	sentence[96];
	int64_t				len = (int64_t)strlen(text);

	if (len < row->min && len == 0)
		return "expected a value";
	if (len < row->min)
		snprintf(sentence, sizeof(sentence), "expected at least %"
		    PRId64 " characters", row->min);
	else if (row->max > 0 && len > row->max)
		snprintf(sentence, sizeof(sentence), "expected at most %"
		    PRId64 " characters", row->max);
	else
		return NULL;
	return sentence;
}

/* Read one value by its row's kind. */
static const char *
parse(const struct param *row, const char *text, int64_t *number)
{
	const char	*why;
	bool		 yes;

	switch (row->kind) {
	case PARAM_KIND_STRING:
	case PARAM_KIND_RAW:
		return check_length(row, text);
	case PARAM_KIND_INT:
		return text_integer(text, row->min, row->max, number);
	case PARAM_KIND_TIME:
		return text_duration(text, row->unit, row->min, row->max,
		    number);
	case PARAM_KIND_SIZE:
		return text_size(text, row->min, row->max, number);
	case PARAM_KIND_BOOL:
		if ((why = text_boolean(text, &yes)) == NULL)
			*number = yes;
		return why;
	}
	bug("parameter %s has kind %d", row->name, (int)row->kind);
}

/* Is the value good? */
const char *
param_check(const struct param *row, const char *value)
{
	int64_t	number;

	return parse(row, value, &number);
}

/* Put a good value in its place. */
static void
store(const struct value *v)
{
	switch (v->row->kind) {
	case PARAM_KIND_STRING:
	case PARAM_KIND_RAW:
		*(char **)v->row->place = v->text;
		break;
	case PARAM_KIND_BOOL:
		*(bool *)v->row->place = v->number != 0;
		break;
	case PARAM_KIND_INT:
	case PARAM_KIND_TIME:
	case PARAM_KIND_SIZE:
		*(int64_t *)v->row->place = v->number;
		break;
	}
}

/* One line about a bad value; the value only as far as a person reads it. */
void
param_complain(struct maincf *mc, const char *name, const char *value,
    const char *why, struct str *problems)
{
	enum { READABLE = 100 };
	const struct setting	*s = maincf_find(mc, name);
	const char		*where = maincf_where(maincf_pool(mc), s);

	str_addf(problems, "%s: %s = %.*s%s: %s\n", where, name,
	    READABLE, value, strlen(value) > READABLE ? "..." : "", why);
}

/* Find, expand and check one value; false with a line when it is bad. */
static bool
evaluate(struct maincf *mc, const struct param *row, struct value *v,
    struct str *problems)
{
	struct pool	*pool = maincf_pool(mc);
	const char	*text = maincf_text(mc, row->name), *value = text;
	const char	*bad;
	char		*why = NULL;

	if (text == NULL)
		bug("parameter %s has no default", row->name);
	if (row->kind != PARAM_KIND_RAW)
		value = maincf_value(mc, pool, row->name, &why);
	if (value == NULL) {
		param_complain(mc, row->name, text, why, problems);
		return false;
	}
	v->row = row;
	v->text = pool_strdup(pool, value);
	if ((bad = parse(row, value, &v->number)) == NULL)
		return true;
	param_complain(mc, row->name, value, bad, problems);
	return false;
}

/* Tell the file every default, and count the rows. */
static size_t
announce(struct maincf *mc, const struct param *const *tables)
{
	const struct param	*row;
	size_t			 count = 0;

	for (; *tables != NULL; tables++)
		for (row = *tables; row->name != NULL; row++, count++)
			if (row->standard != NULL)
				maincf_default(mc, row->name, row->standard);
	return count;
}

/* Defaults first, since values use each other; then all; then store. */
int
param_load(struct maincf *mc, const struct param *const *tables,
    struct str *problems)
{
	size_t			 count = announce(mc, tables), n = 0, i;
	struct value		*values;
	const struct param	*row;
	bool			 are_good = true;

	values = pool_array(maincf_pool(mc), count, sizeof(*values));
	for (; *tables != NULL; tables++)
		for (row = *tables; row->name != NULL; row++)
			if (!evaluate(mc, row, &values[n++], problems))
				are_good = false;
	if (!are_good)
		return -1;
	for (i = 0; i < count; i++)
		store(&values[i]);
	return 0;
}

/* The row of a name. */
const struct param *
param_find(const struct param *const *tables, const char *name)
{
	const struct param	*row;

	for (; *tables != NULL; tables++)
		for (row = *tables; row->name != NULL; row++)
			if (strcmp(row->name, name) == 0)
				return row;
	return NULL;
}

/* "smtp_destination_concurrency_limit", else the general one. */
const char *
param_of_transport(struct maincf *mc, struct pool *pool,
    const char *transport, const char *suffix, const char *otherwise)
{
	const char	*name = pool_printf(pool, "%s_%s", transport, suffix);
	const char	*value;
	char		*why;

	if (maincf_find(mc, name) == NULL)
		return otherwise;
	if ((value = maincf_value(mc, pool, name, &why)) != NULL)
		return value;
	log_warning("%s: %s: %s", maincf_where(pool, maincf_find(mc, name)),
	    name, why);
	return otherwise;
}

/* The number of this name, if there is one. */
static int
read_number(struct maincf *mc, struct pool *pool, const char *name,
    const struct param *row, int64_t *number, struct str *problems)
{
	const char	*value, *bad;
	char		*why;
	int64_t		 n;

	if (maincf_find(mc, name) == NULL)
		return 0;
	if ((value = maincf_value(mc, pool, name, &why)) == NULL) {
		param_complain(mc, name, maincf_text(mc, name), why, problems);
		return -1;
	}
	if ((bad = parse(row, value, &n)) != NULL) {
		param_complain(mc, name, value, bad, problems);
		return -1;
	}
	*number = n;
	return 0;
}

/* The same for a number. Nothing of it stays in the configuration's own pool:
 * that one lives on while main.cf says the same at each reload. */
int
param_number_of_transport(struct maincf *mc, const char *transport,
    const char *suffix, const struct param *row, int64_t *number,
    struct str *problems)
{
	struct pool	*pool = pool_new("setting", 0);
	int		 result;

	result = read_number(mc, pool, pool_printf(pool, "%s_%s", transport,
	    suffix), row, number, problems);
	pool_free(pool);
	return result;
}
