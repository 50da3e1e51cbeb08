/*
 * include.c - lists of recipients in files: what :include: names, and the
 * text of a .forward.
 *
 * Called by expand.c and forward.c. The file is read by a process with the
 * rights of whoever named it: an alias of root's by default_privs, a .forward
 * by its user. What the file itself asks for is done with the rights of its
 * owner; one of root's changes nothing.
 */
#include <errno.h>
#include <string.h>

#include "common/base/clock.h"

#include "local/expand.h"

enum {
	READ_TIME = 2 * 60 * 1000,
	LIST_MAX = 8 * 1024 * 1024,
	INCLUDES_MAX = 50
};

/* --- the text ------------------------------------------------------------ */

/* Is there nothing but space in front of the end of this line? */
static bool
is_blank(const char *line, size_t len)
{
	while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
		len--;
	return len == 0;
}

/* The lines as one list: comments and empty lines go, a line that begins with
 * a space belongs to the one before. */
static char *
join_lines(struct pool *pool, const char *text)
{
	struct str	 list;
	size_t		 len;

	str_init(&list, pool, 2 * LIST_MAX);
	for (; *text != '\0'; text += len + (text[len] != '\0')) {
		len = strcspn(text, "\n");
		if (*text == '#' || is_blank(text, len))
			continue;
		if (list.len > 0)
			str_add(&list, *text == ' ' || *text == '\t' ? " " :
			    ", ");
		str_add_mem(&list, text, len > 0 && text[len - 1] == '\r' ?
		    len - 1 : len);
	}
	return list.data;
}

/* --- the file ------------------------------------------------------------ */

/* Ask for a part: 1 with the answer, 0 when there is no file, -1: settled. */
WAITS static int
read_part(struct addressee *a, struct home *h,
    const struct read_forward *ask, struct forward *answer)
{
	if (channel_ask(h->channel, PACKET_READ_FORWARD, ask, PACKET_FORWARD,
	    answer, a->delivery->pool, clock_now() + READ_TIME) == -1)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "cannot read %s: %s", ask->path, strerror(errno));
	if (answer->result == ROUTE_IMPOSSIBLE)
		return 0;
	if (answer->result != ROUTE_OK)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0", "%s",
		    answer->text);
	if (answer->size > LIST_MAX)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s is too long", ask->path);
	if (answer->data.len > 0 &&
	    memchr(answer->data.data, '\0', answer->data.len) != NULL)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s has a NUL byte", ask->path);
	return 1;
}

/* The whole file, joined. */
int
include_read(struct addressee *a, struct home *h, int64_t kind, char *path,
    char **list, int64_t *owner)
{
	struct read_forward	 ask = { .kind = kind, .path = path };
	struct forward		 answer;
	struct str		 text;
	int64_t			 stamp = 0;
	int			 found;

	str_init(&text, a->delivery->pool, LIST_MAX);
	for (;; ask.offset += (int64_t)answer.data.len) {
		if ((found = read_part(a, h, &ask, &answer)) != 1)
			return found;
		if (ask.offset > 0 && answer.stamp != stamp)
			return addressee_settle(a, OUTCOME_DEFERRED, 0,
			    "4.3.0", "%s changed while it was read", path);
		stamp = answer.stamp;
		str_add_mem(&text, answer.data.data, answer.data.len);
		if (answer.data.len < CONTENT_MAX)
			break;
	}
	*owner = answer.owner;
	*list = join_lines(a->delivery->pool, text.data);
	/* an empty .forward is none */
	return **list != '\0' || kind != READ_IS_FORWARD;
}

/* --- :include: ----------------------------------------------------------- */

/* Read the file as whom the expansion says. 0, or -1: settled. */
WAITS static int
read_as(struct expansion *e, char *path, char **list, struct become *owner)
{
	struct addressee	*a = e->to;
	struct home		*h;
	const char		*why;
	int64_t			 uid;
	int			 result;

	if (home_take(a->delivery->pool, &e->as, &h, &why) != HOME_OK)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "cannot read %s: %s", path, why);
	result = include_read(a, h, READ_IS_INCLUDE, path, list, &uid);
	*owner = h->who;
	if (result == 1 && uid > 0 && uid != (int64_t)h->uid)
		*owner = (struct become){ .kind = BECOME_OWNER,
		    .user = pool_strdup(a->delivery->pool, ""), .uid = uid,
		    .gid = -1 };
	else
		owner->user = e->as.user;
	home_give(h);
	return result == 1 ? 0 : -1;
}

/* Add what it names, in its own context. */
int
include_add(struct expansion *e, char *path)
{
	struct become	 as = e->as, owner;
	const char	*context = e->context, *source = e->source,
			*extension = e->extension;
	char		*list;
	int		 result;

	if (*path != '/' || strlen(path) > 2000)
		return addressee_settle(e->to, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s: an included list is no absolute path", e->source);
	if (e->depth >= INCLUDES_MAX)
		return addressee_settle(e->to, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s: included lists are nested too deeply", e->source);
	if (read_as(e, path, &list, &owner) == -1)
		return -1;
	e->depth++;
	e->as = owner;
	e->context = "include";
	e->source = path;
	if (!expand_propagates("include"))
		e->extension = NULL;
	result = expand_text(e, list);
	e->extension = extension;
	e->as = as;
	e->context = context;
	e->source = source;
	e->depth--;
	return result;
}
