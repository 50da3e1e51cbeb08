/*
 * tokens.c - OAuth tokens for smtp: fetched by the token program, kept here
 * until shortly before their end.
 *
 * ASK_TOKEN names a user and a host; the answer of the token program is what
 * smtp_sasl_oauth_token_command wrote:
 *
 *	TOKEN		a line without blanks
 *	SECONDS		how long it is good; may be missing
 *
 * N1  For one user and host one command runs at a time; all who ask meanwhile
 *     get its answer.
 * N2  A command that fails is not run again for each message of a queue, and
 *     what is kept has a limit.
 */
#include "resolve/tokens.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/fiber/queue.h"

enum {
	CONNECT_TIME = 5 * 1000,	/* milliseconds */
	COMMAND_TIME = 100 * 1000,	/* more than its own limit */
	FAILURE_TIME = 5 * 1000,	/* N2 */
	UNTOLD_TIME = 60 * 1000,	/* a token that says nothing of it */
	MARGIN = 60,			/* seconds before its end */
	SECONDS_MAX = 31536000,
	ENTRIES_MAX = 1000
};

struct entry {
	TAILQ_ENTRY(entry)	 next;
	char			*user, *host;
	char			*value, *why;	/* one of them, or none yet */
	int64_t			 until;
	bool			 is_running;
	unsigned		 users;		/* fibers that hold it */
	struct fiber_queue	 news;
};
static TAILQ_HEAD(entry_list, entry)	 entries =
    TAILQ_HEAD_INITIALIZER(entries);
static unsigned				 entry_count;
static struct link			*to_token;

/* --- what the command says ------------------------------------------------ */

/* Only what a header could hold (RFC 6750 2.1, and what else is in use). */
static bool
is_token(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

const char *
token_parse(char *said, const char **value, int64_t *seconds)
{
	char	*second = said + strcspn(said, "\n"), *rest;

	*seconds = 0;
	if (*second != '\0')
		*second++ = '\0';
	*value = text_trim(said);
	if (!is_token(*value))
		return "its first line is no token";
	rest = second + strcspn(second, "\n");
	if (*rest != '\0')
		*rest++ = '\0';
	if (*text_trim(rest) != '\0')
		return "more than two lines";
	second = text_trim(second);
	if (*second != '\0' &&
	    text_integer(second, 1, SECONDS_MAX, seconds) != NULL)
		return "its second line is no number of seconds";
	return NULL;
}

/* --- what is kept --------------------------------------------------------- */

/* Not a trace of it. */
static void
wipe(char **text)
{
	if (*text != NULL)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static void
forget(struct entry *e)
{
	TAILQ_REMOVE(&entries, e, next);
	entry_count--;
	wipe(&e->value);
	free(e->why);
	free(e->user);
	free(e->host);
	free(e);
}

/* Those that are over, and the oldest of too many (N2). */
static void
tidy(void)
{
	struct entry	*e, *next;

	for (e = TAILQ_FIRST(&entries); e != NULL; e = next) {
		next = TAILQ_NEXT(e, next);
		if (e->users == 0 && (clock_now() >= e->until ||
		    entry_count > ENTRIES_MAX))
			forget(e);
	}
}

/* The entry for this user and host; held for the caller. */
static struct entry *
find(const char *user, const char *host)
{
	struct entry	*e;

	TAILQ_FOREACH(e, &entries, next)
		if (strcmp(e->user, user) == 0 && strcmp(e->host, host) == 0)
			break;
	if (e == NULL) {
		e = mem_alloc(sizeof(*e));
		memset(e, 0, sizeof(*e));
		e->user = mem_strdup(user);
		e->host = mem_strdup(host);
		fiber_queue_init(&e->news);
		TAILQ_INSERT_TAIL(&entries, e, next);
		entry_count++;
	}
	e->users++;
	return e;
}

/* --- fetching ------------------------------------------------------------- */

/* What the token program answers. NULL, or why there is no token. */
static WAITS const char *
ask(struct pool *pool, const struct ask_token *question, const char **value,
    int64_t *seconds)
{
	struct token	 token;
	struct channel	*c;
	const char	*why;
	int		 result, error;

	c = link_channel(to_token, 0, clock_now() + CONNECT_TIME);
	if (c == NULL)
		return pool_printf(pool, "the service token of master.cf "
		    "cannot be asked: %s", strerror(errno));
	channel_hold(c);
	result = channel_ask(c, PACKET_ASK_TOKEN, question, PACKET_TOKEN,
	    &token, pool, clock_now() + COMMAND_TIME);
	error = errno;
	channel_release(c);
	if (result == -1)
		return pool_printf(pool, "the service token does not answer: "
		    "%s", strerror(error));
	if (token.result != LOOKUP_FOUND)
		return token.text;
	why = token_parse(token.value, value, seconds);
	return why == NULL ? NULL : pool_printf(pool,
	    "smtp_sasl_oauth_token_command: %s", why);
}

/* Fetch it and tell all who wait (N1). */
static WAITS void
renew(struct entry *e, const struct ask_token *question)
{
	struct pool	*pool = pool_new("token", 0);
	const char	*value = NULL, *why;
	int64_t		 seconds = 0, margin;

	pool_make_secret(pool);
	e->is_running = true;
	why = ask(pool, question, &value, &seconds);
	e->is_running = false;
	wipe(&e->value);
	free(e->why);
	e->why = NULL;
	margin = seconds / 10 < MARGIN ? seconds / 10 : MARGIN;
	if (why != NULL)
		e->why = mem_strdup(why);
	else
		e->value = mem_strdup(value);
	e->until = clock_now() + (why != NULL ? FAILURE_TIME :
	    seconds == 0 ? UNTOLD_TIME : (seconds - margin) * 1000);
	fiber_queue_wake_all(&e->news);
	pool_free(pool);
}

/* Answer smtp. */
WAITS void
token_find(struct pool *pool, const struct ask_token *question,
    struct token *to)
{
	struct entry	*e;
	int64_t		 deadline = clock_now() + COMMAND_TIME;
	bool		 is_late = false;

	tidy();
	e = find(question->user, question->host);
	if (e->is_running)
		while (e->is_running && !is_late)
			is_late = fiber_queue_wait(&e->news, deadline) == -1;
	else if (clock_now() >= e->until)
		renew(e, question);
	to->result = e->value != NULL && !is_late ? LOOKUP_FOUND :
	    LOOKUP_TEMPORARY;
	to->value = pool_strdup(pool, to->result == LOOKUP_FOUND ? e->value :
	    "");
	to->text = pool_strdup(pool, to->result == LOOKUP_FOUND ? "" :
	    e->why != NULL && !is_late ? e->why :
	    "the command takes too long");
	e->users--;
}

void
tokens_forget(void)
{
	struct entry	*e;

	TAILQ_FOREACH(e, &entries, next)
		e->until = 0;
}

void
tokens_start(void)
{
	to_token = link_new("token", 1, NULL);
}
