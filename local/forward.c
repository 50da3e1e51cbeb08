/*
 * forward.c - what a user wrote into his .forward.
 *
 * Called by recipient.c with the user's own process, which reads the file and
 * ignores it when somebody else could have written it. With an extension,
 * .forward+EXTENSION is asked for first.
 */
#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/param/site.h"

#include "local/homes.h"
#include "local/local.h"

enum { READ_TIME = 2 * 60 * 1000 };

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

	str_init(&list, pool, 2 * CONTENT_MAX);
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

/* Ask for one file: 1 with its list, 0 when there is none, -1: settled. */
WAITS static int
read_file(struct addressee *a, struct home *h, char *path, char **list)
{
	struct pool		*pool = a->delivery->pool;
	struct read_forward	 ask = { path };
	struct forward		 answer;
	const struct bytes	*data = &answer.data;

	if (channel_ask(h->channel, PACKET_READ_FORWARD, &ask, PACKET_FORWARD,
	    &answer, pool, clock_now() + READ_TIME) == -1)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "cannot read %s: %s", path, strerror(errno));
	if (answer.result == ROUTE_IMPOSSIBLE)
		return 0;
	if (answer.result != ROUTE_OK)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0", "%s",
		    answer.text);
	if (data->len > 0 && memchr(data->data, '\0', data->len) != NULL)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s has a NUL byte", path);
	*list = join_lines(pool, data->len == 0 ? "" :
	    pool_strndup(pool, data->data, data->len));
	return **list != '\0';		/* an empty one is none */
}

/* Is the extension one that a file's name may have? */
static bool
is_plain(const char *extension)
{
	return *extension != '\0' && strchr(extension, '/') == NULL &&
	    strlen(extension) <= 64;
}

/* The list of the file that counts; *path is its name. As read_file(). */
WAITS static int
find_list(struct addressee *a, struct home *h, char **path, char **list)
{
	struct pool	*pool = a->delivery->pool;
	int		 found = 0;

	if (a->extension != NULL && is_plain(a->extension)) {
		*path = pool_printf(pool, "%s/.forward%c%s", h->path,
		    a->extension[-1], a->extension);
		found = read_file(a, h, *path, list);
	}
	if (found == 0) {
		*path = pool_printf(pool, "%s/.forward", h->path);
		found = read_file(a, h, *path, list);
	}
	return found;
}

/* --- delivery ------------------------------------------------------------ */

/* As the user's .forward says: 1, or 0 without one, or -1: settled. */
int
forward_deliver(struct addressee *a, struct home *h)
{
	struct expansion	 e = { .to = a };
	char			*path, *list;
	size_t			 i;
	int			 found;

	if (strlen(h->path) > 2000 || h->path[0] != '/')
		return 0;
	if ((found = find_list(a, h, &path, &list)) != 1)
		return found;
	e.source = path;
	e.sender = a->delivery->mail->sender;
	if (expand_text(&e, list) == -1)
		return -1;
	if (e.has_self)
		(void)recipient_to_user(a, h->user, false);
	for (i = 0; i < e.direct_count && !addressee_is_deferred(a); i++)
		(void)recipient_to_user(a, e.direct[i], false);
	if (e.count > 0 && !addressee_is_deferred(a))
		(void)repost(&e);
	return a->outcome->outcome == OUTCOME_SENT ||
	    a->outcome->outcome == OUTCOME_REROUTED ? 1 : -1;
}
