/*
 * answers.c - what resolve has said of an address, while it holds.
 *
 * Called by smtpd and qmgr, which ask about the same domains again and again.
 * Resolve tells with an answer how long it would say the same, which is until
 * it looks at its files the next time, and how much of the question did not
 * matter: the sender, or what stands before the @. An answer is kept as its
 * packet.
 *
 * A1  Nothing is recalled that resolve would not say now: an answer ends with
 *     its lease, counted from before the question; all end when one of resolve
 *     has said CHANGED, drains or is gone, those on their way as well.
 * A2  Only what is good is kept, and only of addresses without quotes, routes
 *     and other orders in them, so that one stands for its domain.
 * A3  When there are too many, or too long ones, all are forgotten.
 */
#include "common/ipc/answers.h"

#include <sys/tree.h>

#include <ctype.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/str.h"

enum {
	ANSWERS_MAX = 4096,
	ANSWERS_BYTES = 4 * 1024 * 1024	/* strangers choose how long */
};

struct question {
	unsigned	 type, reply_type;
	const void	*object;
	const char	*address, *sender;
};

struct answer {
	RB_ENTRY(answer)	 entry;
	const char		*key;
	char			*packet;
	size_t			 len, room;
	int64_t			 until;
};

RB_HEAD(answers, answer);
static struct answers	 answers = RB_INITIALIZER(&answers);
static struct pool	*memory;	/* of all that are kept */
static size_t		 count;
static uint64_t		 times_forgotten, partings;

/* The order of keys. */
static int
by_key(const struct answer *a, const struct answer *b)
{
	return strcmp(a->key, b->key);
}

/* RB_GENERATE_STATIC wants a macro that libbsd does not have. */
RB_GENERATE_INTERNAL(answers, answer, entry, by_key,
    __attribute__((unused)) static)

/* --- what is kept -------------------------------------------------------- */

void
answers_forget(void)
{
	times_forgotten++;
	RB_INIT(&answers);
	pool_free(memory);
	memory = NULL;
	count = 0;
}

/* Only who is there still may be quoted (A1). */
static void
forget_the_gone(struct link *resolve)
{
	uint64_t	now = link_partings(resolve);

	if (now != partings)
		answers_forget();
	partings = now;
}

/* Letters, digits and these, with something of them at both ends. */
static bool
is_word(const char *text, size_t len, const char *others)
{
	size_t	i;

	for (i = 0; i < len; i++)
		if (!isascii((unsigned char)text[i]) ||
		    (!isalnum((unsigned char)text[i]) &&
		    strchr(others, text[i]) == NULL))
			return false;
	return len > 0 && text[0] != '.' && text[len - 1] != '.';
}

/* A2: local@domain with nothing special in it. */
static bool
is_plain(const char *address)
{
	const char	*at = strchr(address, '@');

	return at != NULL && strlen(address) <= ADDRESS_MAX &&
	    is_word(address, (size_t)(at - address), "._+=-") &&
	    is_word(at + 1, strlen(at + 1), ".-");
}

/* May this be answered from memory? */
static bool
is_usual(const struct question *q)
{
	return is_plain(q->address) &&
	    (*q->sender == '\0' || is_plain(q->sender));
}

/* What a question and all that have the same answer have in common. */
static char *
key_of(struct pool *pool, const struct question *q, int64_t scope)
{
	return pool_printf(pool, "%u %s %s", q->type,
	    scope & LEASE_DOMAIN ? strchr(q->address, '@') : q->address,
	    scope & LEASE_ANY_SENDER ? "*" : q->sender);
}

/* The answer with this scope, NULL when there is none. */
static struct answer *
find(struct pool *pool, const struct question *q, int64_t scope)
{
	struct answer	wanted = { .key = key_of(pool, q, scope) };

	return RB_FIND(answers, &answers, &wanted);
}

/* Decode the answer that holds now: its scope, or -1. */
static int64_t
recall(const struct question *q, void *reply, struct pool *pool)
{
	struct answer	*a;
	struct packet	 p;
	int64_t		 scope;

	for (scope = LEASE_SCOPES - 1; scope >= 0; scope--) {
		a = find(pool, q, scope);
		if (a == NULL || a->until <= clock_now())
			continue;
		if (packet_parse(&p, a->packet, a->len) != NULL ||
		    packet_decode(&p, reply, pool) != NULL)
			bug("an answer that was kept cannot be read");
		return scope;
	}
	return -1;
}

/* A place for an answer with this scope. */
static struct answer *
make_place(struct pool *pool, const struct question *q, int64_t scope)
{
	struct answer	*a;

	if (memory != NULL && pool_is_over(memory))
		answers_forget();
	if ((a = find(pool, q, scope)) != NULL)
		return a;
	if (count == ANSWERS_MAX)
		answers_forget();
	if (memory == NULL)
		memory = pool_new("answers", ANSWERS_BYTES);
	a = pool_alloc(memory, sizeof(*a));
	a->key = key_of(memory, q, scope);
	(void)RB_INSERT(answers, &answers, a);
	count++;
	return a;
}

/* Keep an answer. */
static void
keep(const struct question *q, const struct lease *lease, const void *reply,
    int64_t asked_at, struct pool *pool)
{
	struct str	 packet;
	struct answer	*a;
	int		 fds[PACKET_FDS];
	size_t		 nfds;

	str_init(&packet, pool, PACKET_MAX);
	if (packet_encode(q->reply_type, 0, 0, reply, &packet, fds, &nfds) !=
	    NULL)
		return;
	a = make_place(pool, q, lease->scope);
	a->packet = pool_grow(memory, a->packet, &a->room, packet.len, 1);
	memcpy(a->packet, packet.data, packet.len);
	a->len = packet.len;
	a->until = asked_at + lease->time;
}

/* --- asking -------------------------------------------------------------- */

/* Recall or ask: the scope of what was recalled, else 0; -1. The lease is in
 * the reply, and is told there to be nothing if the answer is no good one. */
static WAITS int64_t
ask(struct link *resolve, const struct question *q, void *reply,
    bool (*is_good)(const void *reply), const struct lease *lease,
    struct pool *pool, int64_t deadline)
{
	int64_t		asked_at = clock_now(), scope;
	uint64_t	times;
	bool		may_recall = is_usual(q);

	forget_the_gone(resolve);
	if (may_recall && (scope = recall(q, reply, pool)) != -1)
		return scope;
	times = times_forgotten;
	if (link_ask(resolve, q->type, q->object, q->reply_type, reply, pool,
	    deadline, true) == -1)
		return -1;
	forget_the_gone(resolve);
	if (may_recall && times == times_forgotten && lease->time > 0 &&
	    is_good(reply))
		keep(q, lease, reply, asked_at, pool);
	return 0;
}

/* May the recipient be accepted? */
static bool
exists(const void *reply)
{
	const struct recipient_answer	*answer = reply;

	return answer->result == RECIPIENT_EXISTS;
}

/* Of a recipient. */
int
answers_recipient(struct link *resolve, const struct ask_recipient *question,
    struct recipient_answer *to, struct pool *pool, int64_t deadline)
{
	struct question	q = { PACKET_ASK_RECIPIENT, PACKET_RECIPIENT, question,
			    question->address, question->sender };
	int64_t		scope = ask(resolve, &q, to, exists, &to->lease, pool,
			    deadline);

	if (scope > 0 && (scope & LEASE_DOMAIN))
		to->address = pool_strdup(pool, question->address);
	return scope == -1 ? -1 : 0;
}

/* Is it a way to go? */
static bool
leads_somewhere(const void *reply)
{
	const struct route	*route = reply;

	return route->result == ROUTE_OK;
}

/* Of a route; what an agent passes on is asked for each time. */
int
answers_route(struct link *resolve, const struct ask_route *question,
    struct route *to, struct pool *pool, int64_t deadline)
{
	struct question	q = { PACKET_ASK_ROUTE, PACKET_ROUTE, question,
			    question->address, question->sender };
	int64_t		scope;

	if (*question->via != '\0')
		return link_ask(resolve, q.type, question, q.reply_type, to,
		    pool, deadline, true);
	scope = ask(resolve, &q, to, leads_somewhere, &to->lease, pool,
	    deadline);
	if (scope > 0 && (scope & LEASE_DOMAIN))
		to->recipient = pool_strdup(pool, question->address);
	return scope == -1 ? -1 : 0;
}

/* One of resolve reads other settings now. */
static void
on_changed(struct request *r)
{
	(void)r;
	answers_forget();
}

const struct peer answers_peers[] = {
	{ "resolve",	PACKET_CHANGED,	on_changed,	IN_ORDER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};
