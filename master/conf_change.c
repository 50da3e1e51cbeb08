/*
 * conf_change.c - change services of master.cf, their fields and parameters.
 */
#include "master/conf.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/site.h"

/* Is the value of the last part of the name one that can be set? */
static bool
is_field(const char *item)
{
	size_t	i;

	for (i = 0; mastercf_fields[i] != NULL; i++)
		if (strcmp(item, mastercf_fields[i]) == 0)
			return true;
	log_error("there is no field \"%s\"", item);
	return false;
}

/* Cut "service/type[/item][=value]". */
static bool
cut(struct pool *pool, const struct request *r, const char *word,
    struct mastercf_change *c)
{
	char	*rest = pool_strdup(pool, word), *value = NULL, *sign;

	if (r->verb == EDIT && (sign = strchr(rest, '=')) != NULL) {
		*sign = '\0';
		value = text_trim(sign + 1);
	}
	rest = text_trim(rest);
	c->name = strsep(&rest, "/");
	c->type = strsep(&rest, "/");
	c->item = rest;
	c->value = value;
	c->comments_out = r->verb == COMMENT_OUT;
	c->what = r->subject == SERVICES ? CHANGE_SERVICE :
	    r->subject == FIELDS ? CHANGE_FIELD : CHANGE_OPTION;
	if (c->type != NULL && *c->type != '\0' &&
	    (c->item != NULL) == (r->subject != SERVICES) &&
	    (value != NULL) == (r->verb == EDIT) &&
	    (c->item == NULL || *c->item != '\0'))
		return r->subject != FIELDS || is_field(c->item);
	log_error("%s: expected service/type%s%s", word,
	    r->subject == FIELDS ? "/field" :
	    r->subject == OPTIONS ? "/parameter" : "",
	    r->verb == EDIT ? "=value" : "");
	return false;
}

/* Change master.cf. */
int
conf_change(struct pool *pool, const struct request *r)
{
	struct mastercf_change	*changes;
	const char		*why;
	size_t			 i;

	changes = pool_array(pool, r->word_count, sizeof(*changes));
	for (i = 0; i < r->word_count; i++)
		if (!cut(pool, r, r->words[i], &changes[i]))
			return 1;
	why = mastercf_edit(pool, pool_printf(pool, "%s/master.cf",
	    site_directory(r->directory)), changes, r->word_count);
	if (why != NULL) {
		log_error("%s", why);
		return 1;
	}
	for (i = 0; i < r->word_count; i++)
		if (!changes[i].was_found && r->verb == EDIT)
			log_warning("unmatched request: \"%s\"",
			    r->words[i]);
	return 0;
}
