/*
 * remote.c - what this process knows of the keys process.
 *
 * R1  What one keys process gave is used while its channel takes questions.
 *     When it drains or is gone (certificates changed, or it fell), all is
 *     asked for again; sessions keep what they began with (remote_sign.c).
 * R2  Names that clients ask for (SNI) cost a question and a place among a
 *     bounded number of them, which those that exist never have to yield.
 *     Many who want one name at a time are one question.
 * R3  Ticket keys are fetched by a fiber of their own before they get old,
 *     and wiped when they are over.
 */
#include "common/tls/remote.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/fiber/queue.h"
#include "common/tls/remote_inside.h"

enum {
	NAMES_MOST = 1000,		/* that exist */
	NOTHINGS_MOST = 500,		/* that do not */
	NAME_LIFE = 5 * 60 * 1000,
	NOTHING_LIFE = 30 * 1000,
	NOT_READY_LIFE = 2 * 1000,	/* no answer, or no default name */
	COMPLAIN_EVERY = 60 * 1000,
	TICKETS_MOST = 8,
	LOOK_EVERY = 5 * 1000,		/* for a keys process that drains */
	NAME_ROOM = 256
};

/* An answer that is remembered, or one that is waited for. */
struct known {
	TAILQ_ENTRY(known)	 entry;
	struct tls_identity	*identity;	/* NULL: none for this name */
	int64_t			 until;
	char			 name[NAME_ROOM];
};
TAILQ_HEAD(knowns, known);

struct remote {
	struct link		*link;
	char			*service, *program;
	enum tls_role		 role;
	int64_t			 ticket_time;
	struct holder		*holder;	/* whose answers these are */
	struct knowns		 names, nothings, asked; /* latest first */
	unsigned		 name_count, nothing_count;
	struct fiber_queue	 answered;
	int64_t			 not_ready_until, complain_after;
	struct fiber		*keeper;	/* of the house; NULL: none */
	struct tls_ticket	 tickets[TICKETS_MOST];
	size_t			 ticket_count;
	int64_t			 refresh_tickets;	/* when */
};

/* --- what is remembered --------------------------------------------------- */

/* On which list it is, and how many are there. */
static struct knowns *
list_of(struct remote *r, const struct known *k, unsigned **count)
{
	*count = k->identity != NULL ? &r->name_count : &r->nothing_count;
	return k->identity != NULL ? &r->names : &r->nothings;
}

/* Forget an answer. */
static void
drop(struct remote *r, struct known *k)
{
	unsigned	*count;
	struct knowns	*list = list_of(r, k, &count);

	TAILQ_REMOVE(list, k, entry);
	(*count)--;
	tls_identity_release(k->identity);
	free(k);
}

/* Remember it, in front; the one that was wanted longest ago goes. */
static void
keep(struct remote *r, struct known *k)
{
	unsigned	*count;
	struct knowns	*list = list_of(r, k, &count);
	unsigned	 most = k->identity != NULL ? NAMES_MOST :
			    NOTHINGS_MOST;

	TAILQ_INSERT_HEAD(list, k, entry);
	if (++*count > most)
		drop(r, TAILQ_LAST(list, knowns));
}

/* Forget everything of a keys process (R1). */
static void
forget_all(struct remote *r)
{
	struct known	*k;

	while ((k = TAILQ_FIRST(&r->names)) != NULL)
		drop(r, k);
	while ((k = TAILQ_FIRST(&r->nothings)) != NULL)
		drop(r, k);
	OPENSSL_cleanse(r->tickets, sizeof(r->tickets));
	r->ticket_count = 0;
	r->refresh_tickets = 0;
	r->not_ready_until = 0;
	holder_release(r->holder);
	r->holder = NULL;
}

/* Is there an answer on this list? */
static struct known *
find_in(struct knowns *list, const char *name)
{
	struct known	*k;

	TAILQ_FOREACH(k, list, entry)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

/* A remembered answer that is still good, put in front; NULL: none. */
static struct known *
recall(struct remote *r, const char *name)
{
	struct known	*k;
	struct knowns	*list;
	unsigned	*count;

	if (!holder_is_good(r->holder)) {
		if (r->holder != NULL)
			forget_all(r);
		return NULL;
	}
	if ((k = find_in(&r->names, name)) == NULL &&
	    (k = find_in(&r->nothings, name)) == NULL)
		return NULL;
	if (k->until <= clock_now()) {
		drop(r, k);
		return NULL;
	}
	list = list_of(r, k, &count);
	TAILQ_REMOVE(list, k, entry);
	TAILQ_INSERT_HEAD(list, k, entry);
	return k;
}

/* --- asking --------------------------------------------------------------- */

/* Say once in a while that there is nobody to ask. */
static void
complain(struct remote *r, const char *what)
{
	if (clock_now() < r->complain_after)
		return;
	log_warning("TLS: no %s from the keys process: %s", what,
	    strerror(errno));
	r->complain_after = clock_now() + COMPLAIN_EVERY;
}

/* The keys process that we use now, held for the caller; NULL: none. */
static WAITS struct holder *
reach(struct remote *r)
{
	struct channel	*c;

	if (!holder_is_good(r->holder)) {
		if ((c = link_channel(r->link, 0, clock_now() +
		    REACH_TIME)) == NULL)
			return NULL;
		/* Another fiber may have been here meanwhile. */
		if (!holder_is_good(r->holder)) {
			if (r->holder != NULL)
				forget_all(r);
			r->holder = holder_new(c);
		}
	}
	r->holder->users++;
	return r->holder;
}

/* Make it of what came; NULL when none of its chains is good. */
static struct tls_identity *
make_identity(struct holder *h, const struct certificates *answer)
{
	struct tls_identity	*identity = mem_alloc(sizeof(*identity));
	size_t			 i;

	*identity = (struct tls_identity){ .users = 1,
	    .generation = (uint64_t)answer->generation };
	for (i = 0; i < answer->count && i < TLS_CHAINS_MAX; i++)
		if (holder_chain(h, &answer->chains[i].der,
		    &identity->chains[identity->count]))
			identity->count++;
	if (identity->count > 0)
		return identity;
	tls_identity_release(identity);
	return NULL;
}

/* Ask for a name. 0 with the identity, or NULL if there is none; -1: no
 * answer. */
static WAITS int
ask(struct remote *r, struct holder *h, const char *name,
    struct tls_identity **identity)
{
	struct ask_certificates	 question = { r->service, r->program,
				    (char *)(uintptr_t)name };
	struct certificates	 answer;
	struct pool		*pool = pool_new("certificates", 0);
	int			 result;

	*identity = NULL;
	result = channel_ask(h->channel, PACKET_ASK_CERTIFICATES, &question,
	    PACKET_CERTIFICATES, &answer, pool, clock_now() + REPLY_TIME);
	if (result == 0 && answer.is_there)
		*identity = make_identity(h, &answer);
	pool_free(pool);
	return result;
}

/* Ask, and remember what came if it is of the process that we use still. The
 * identity is held for the caller. */
static WAITS struct tls_identity *
fetch(struct remote *r, struct known *k)
{
	struct tls_identity	*identity = NULL;
	struct holder		*h = reach(r);
	bool			 is_answered;

	is_answered = h != NULL && ask(r, h, k->name, &identity) == 0;
	TAILQ_REMOVE(&r->asked, k, entry);
	/* Whose session was ended says nothing about the keys process. */
	if (!is_answered && !fiber_is_cancelled()) {
		complain(r, "certificates");
		r->not_ready_until = clock_now() + NOT_READY_LIFE;
	}
	if (is_answered && h == r->holder) {
		k->identity = identity == NULL ? NULL :
		    tls_identity_hold(identity);
		k->until = clock_now() + (identity != NULL ? NAME_LIFE :
		    k->name[0] == '\0' ? NOT_READY_LIFE : NOTHING_LIFE);
		keep(r, k);
	} else {
		free(k);
	}
	holder_release(h);
	fiber_queue_wake_all(&r->answered);
	return identity;
}

/* --- tickets -------------------------------------------------------------- */

/* Take the rows of an answer, whose own memory is wiped. */
static void
take_tickets(struct remote *r, const struct ticket_keys *answer)
{
	const struct ticket_row	*row;
	struct tls_ticket	*t;
	size_t			 i;

	OPENSSL_cleanse(r->tickets, sizeof(r->tickets));
	for (i = 0; i < answer->count && i < TICKETS_MOST; i++) {
		row = &answer->rows[i];
		t = &r->tickets[i];
		memcpy(t->name, row->name.data, sizeof(t->name));
		memcpy(t->secret, row->secret.data, sizeof(t->secret));
		memcpy(t->mac, row->mac.data, sizeof(t->mac));
		t->fresh_until = row->fresh_until;
		t->valid_until = row->valid_until;
		OPENSSL_cleanse((void *)(uintptr_t)row->secret.data,
		    row->secret.len);
		OPENSSL_cleanse((void *)(uintptr_t)row->mac.data,
		    row->mac.len);
	}
	r->ticket_count = i;
}

/*
 * Which shall seal now: of the fresh ones the one that ends first, since other
 * processes may not have the next one yet. It is put in front.
 */
static void
order_tickets(struct remote *r, int64_t now)
{
	struct tls_ticket	 t;
	size_t			 i, best = 0;

	for (i = 1; i < r->ticket_count; i++)
		if (r->tickets[i].fresh_until > now &&
		    (r->tickets[best].fresh_until <= now ||
		    r->tickets[i].fresh_until < r->tickets[best].fresh_until))
			best = i;
	if (best == 0)
		return;
	t = r->tickets[best];
	r->tickets[best] = r->tickets[0];
	r->tickets[0] = t;
	OPENSSL_cleanse(&t, sizeof(t));
}

/* Wipe those that are over (R3). */
static void
expire_tickets(struct remote *r, int64_t now)
{
	size_t	i, kept = 0;

	for (i = 0; i < r->ticket_count; i++)
		if (r->tickets[i].valid_until > now)
			r->tickets[kept++] = r->tickets[i];
	OPENSSL_cleanse(&r->tickets[kept],
	    (TICKETS_MOST - kept) * sizeof(r->tickets[0]));
	r->ticket_count = kept;
}

/* Ask for them; the next time after a quarter of a key's fresh time. */
static WAITS void
fetch_tickets(struct remote *r)
{
	struct ask_tickets	 question = { r->service, r->ticket_time };
	struct ticket_keys	 answer;
	struct holder		*h = reach(r);
	struct pool		*pool;

	r->refresh_tickets = clock_now() + NOT_READY_LIFE;
	if (h == NULL) {
		complain(r, "ticket keys");
		return;
	}
	pool = pool_new("tickets", 0);
	if (channel_ask(h->channel, PACKET_ASK_TICKETS, &question,
	    PACKET_TICKETS, &answer, pool, clock_now() + REPLY_TIME) == -1) {
		complain(r, "ticket keys");
	} else if (h == r->holder) {
		take_tickets(r, &answer);
		if (answer.count > 0)
			r->refresh_tickets = clock_now() +
			    r->ticket_time * 1000 / 8;
	}
	pool_free(pool);
	holder_release(h);
}

/* Fiber: ticket keys in time, and no hold on a keys process that leaves. */
static WAITS void
keep_house(void *arg)
{
	struct remote	*r = arg;
	bool		 wants = r->role == TLS_SERVER && r->ticket_time > 0;
	int64_t		 until;

	fiber_name("keys");
	for (;;) {
		if (r->holder != NULL && !holder_is_good(r->holder))
			forget_all(r);
		if (wants && clock_now() >= r->refresh_tickets)
			fetch_tickets(r);
		expire_tickets(r, clock_wall_us() / 1000);
		until = clock_now() + LOOK_EVERY;
		if (wants && r->refresh_tickets < until)
			until = r->refresh_tickets;
		if (fiber_park(until) == -1 && errno == ECANCELED)
			break;
	}
	r->keeper = NULL;
}

/* The first use: the house has a keeper from now on. */
static void
begin(struct remote *r)
{
	if (r->keeper == NULL)
		r->keeper = fiber_start(keep_house, r);
}

/* A channel to keys is gone. */
static void
on_closed(struct channel *c, void *context)
{
	struct remote	*r = context;

	(void)c;
	if (r->keeper != NULL)
		fiber_wake(r->keeper);
}

/* --- for others ----------------------------------------------------------- */

struct remote *
remote_new(struct link *to_keys, const char *service, const char *program,
    enum tls_role role, int64_t ticket_time)
{
	struct remote	*r = mem_alloc(sizeof(*r));

	*r = (struct remote){ .link = to_keys, .service = mem_strdup(service),
	    .program = mem_strdup(program), .role = role,
	    .ticket_time = ticket_time };
	TAILQ_INIT(&r->names);
	TAILQ_INIT(&r->nothings);
	TAILQ_INIT(&r->asked);
	fiber_queue_init(&r->answered);
	link_on_closed(to_keys, on_closed, r);
	return r;
}

/* tls_source.find */
static WAITS struct tls_identity *
find(void *state, const char *name)
{
	struct remote	*r = state;
	struct known	*k;
	int64_t		 deadline = clock_now() + REACH_TIME + REPLY_TIME;

	if (strlen(name) >= NAME_ROOM)
		return NULL;
	begin(r);
	for (;;) {
		if ((k = recall(r, name)) != NULL)
			return k->identity == NULL ? NULL :
			    tls_identity_hold(k->identity);
		if (find_in(&r->asked, name) == NULL)
			break;
		if (fiber_queue_wait(&r->answered, deadline) == -1)
			return NULL;
		if (clock_now() < r->not_ready_until)
			return NULL;	/* its asker got no answer either */
	}
	k = mem_alloc(sizeof(*k));
	*k = (struct known){ 0 };
	(void)strlcpy(k->name, name, sizeof(k->name));
	TAILQ_INSERT_HEAD(&r->asked, k, entry);
	return fetch(r, k);
}

/* tls_source.tickets */
static const struct tls_ticket *
tickets(void *state, size_t *count)
{
	struct remote	*r = state;
	int64_t		 now = clock_wall_us() / 1000;

	*count = 0;
	if (!holder_is_good(r->holder))
		return NULL;
	expire_tickets(r, now);
	order_tickets(r, now);
	*count = r->ticket_count;
	return r->ticket_count > 0 ? r->tickets : NULL;
}

struct tls_source
remote_source(struct remote *r)
{
	return (struct tls_source){ find, tickets, r };
}

bool
remote_is_ready(struct remote *r)
{
	struct tls_identity	*identity;
	struct known		*k;

	if ((k = recall(r, "")) != NULL)
		return k->identity != NULL;
	if (clock_now() < r->not_ready_until)
		return false;
	identity = find(r, "");
	tls_identity_release(identity);
	return identity != NULL;
}
