/*
 * builtin.c - asking our own auth process.
 *
 * An exchange stays with the channel that it began on, since the process at
 * its other end remembers it. While auth is replaced, the first question of an
 * exchange is asked again.
 */
#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/ipc/packets.h"
#include "common/sasl/server_inside.h"

enum {
	OFFERS_MAX = 16,
	OFFERS_TIME = 2000,	/* milliseconds to wait for them */
	OFFERS_LIFE = 5000	/* and to believe them */
};

struct builtin {
	char			 words[200];
	struct sasl_offer	 offers[OFFERS_MAX];
	size_t			 count;
	int64_t			 valid_until;
	int64_t			 last_number;
};

struct conversation {
	struct channel	*channel;
	int64_t		 number;
};

/* --- mechanisms ---------------------------------------------------------- */

/* What a mechanism does. */
static unsigned
properties_of(const char *name)
{
	return text_starts(name, "SCRAM-") ? SASL_MUTUAL : SASL_PLAINTEXT;
}

/* Cut up what auth said. */
static void
take_words(struct builtin *b)
{
	char	*at = b->words, *word;

	b->count = 0;
	while (b->count < OFFERS_MAX && (word = strsep(&at, " ")) != NULL)
		if (*word != '\0')
			b->offers[b->count++] = (struct sasl_offer){ word,
			    properties_of(word) };
}

/* Ask, unless that was just done. */
static WAITS const struct sasl_offer *
offers(struct sasl_server *s, size_t *count)
{
	struct builtin		*b = s->state;
	struct ask_mechanisms	 ask = { .service =
				    (char *)(uintptr_t)s->service };
	struct mechanisms	 answer;
	struct pool		*pool;

	if (clock_now() >= b->valid_until) {
		pool = pool_new("mechanisms", 0);
		b->count = 0;
		if (link_ask(s->link, PACKET_ASK_MECHANISMS, &ask,
		    PACKET_MECHANISMS, &answer, pool, clock_now() +
		    OFFERS_TIME, true) == 0) {
			b->valid_until = clock_now() + OFFERS_LIFE;
			strlcpy(b->words, answer.words, sizeof(b->words));
			take_words(b);
		} else
			log_warning("nobody can log in: auth does not answer: "
			    "%s", strerror(errno));
		pool_free(pool);
	}
	*count = b->count;
	return b->offers;
}

/* --- an exchange --------------------------------------------------------- */

/* What auth answered. */
static void
take_step(struct sasl_exchange *e, const struct auth_step *step,
    struct sasl_answer *answer)
{
	*answer = (struct sasl_answer){ .result = SASL_UNAVAILABLE,
	    .text = step->text, .user = step->user };
	if (step->result <= SASL_UNAVAILABLE)
		answer->result = (enum sasl_result)step->result;
	if (answer->result == SASL_CONTINUE || step->data.len > 0) {
		answer->data = step->data.data;
		answer->length = step->data.len;
	}
	e->is_over = answer->result != SASL_CONTINUE;
}

/* One question on the exchange's channel; -1 when that broke. */
static WAITS int
ask(struct sasl_exchange *e, unsigned type, const void *question,
    struct sasl_answer *answer, int64_t deadline)
{
	struct conversation	*c = e->state;
	struct auth_step	 step;

	if (channel_ask(c->channel, type, question, PACKET_AUTH_STEP, &step,
	    e->pool, deadline) == -1)
		return -1;
	take_step(e, &step, answer);
	return 0;
}

/* Whatever may still come of it: nobody wants it any more. */
static void
forget(const struct conversation *c)
{
	struct auth_end	question = { .exchange = c->number };

	if (channel_is_open(c->channel))
		(void)channel_post(c->channel, PACKET_AUTH_END,
		    channel_next_id(c->channel), &question);
}

/* Find somebody who answers the first question. */
static WAITS int
ask_first(struct sasl_exchange *e, const struct authenticate *question,
    struct sasl_answer *answer)
{
	struct conversation	*c = e->state;
	int64_t			 deadline = clock_now() + SASL_ASK_TIME;
	int			 error;

	while (clock_now() < deadline) {
		c->channel = link_channel(e->server->link, 0, deadline);
		if (c->channel == NULL)
			return -1;
		channel_hold(c->channel);
		if (ask(e, PACKET_AUTHENTICATE, question, answer,
		    deadline) == 0)
			return 0;
		error = errno;
		forget(c);
		channel_release(c->channel);
		c->channel = NULL;
		errno = error;
		if (error != ECONNRESET)
			return -1;
	}
	errno = ETIMEDOUT;
	return -1;
}

/* Nobody answers. */
static void
give_up(struct sasl_exchange *e, struct sasl_answer *answer)
{
	sasl_unavailable(answer, pool_printf(e->pool,
	    "auth does not answer: %s", strerror(errno)));
}

/* The bytes of a channel binding, if there are any. */
static struct bytes
binding(const unsigned char *data, size_t len)
{
	return (struct bytes){ len > 0 ? (const void *)data : "", len };
}

/* AUTHENTICATE. */
static WAITS void
begin(struct sasl_exchange *e, const struct sasl_peer *peer,
    const char *mechanism, const struct bytes *said,
    struct sasl_answer *answer)
{
	struct builtin		*b = e->server->state;
	struct conversation	*c = pool_alloc(e->pool, sizeof(*c));
	struct authenticate	 question = {
		.exchange = ++b->last_number,
		.mechanism = pool_strdup(e->pool, mechanism),
		.has_initial = said != NULL,
		.is_encrypted = peer->is_encrypted,
		.initial = said != NULL ? *said : (struct bytes){ "", 0 },
		.exporter = { "", 0 }, .end_point = { "", 0 },
		.client_address = pool_strdup(e->pool, peer->client_address)
	};

	if (!e->server->hides_plus) {
		question.exporter = binding(peer->exporter,
		    peer->exporter_length);
		question.end_point = binding(peer->end_point,
		    peer->end_point_length);
	}
	c->number = question.exchange;
	e->state = c;
	if (ask_first(e, &question, answer) == -1)
		give_up(e, answer);
}

/* AUTH_CONTINUE. */
static WAITS void
next(struct sasl_exchange *e, const struct bytes *said,
    struct sasl_answer *answer)
{
	struct conversation	*c = e->state;
	struct auth_continue	 question = { .exchange = c->number,
				    .response = *said };

	if (c->channel == NULL || ask(e, PACKET_AUTH_CONTINUE, &question,
	    answer, clock_now() + SASL_ASK_TIME) == -1)
		give_up(e, answer);
}

/* AUTH_END, if there is something to end. */
static void
end(struct sasl_exchange *e)
{
	struct conversation	*c = e->state;

	if (c == NULL || c->channel == NULL)
		return;
	if (!e->is_over)
		forget(c);
	channel_release(c->channel);
}

/* The state of a process. */
void
sasl_builtin_open(struct sasl_server *s)
{
	struct builtin	*b = mem_alloc(sizeof(*b));

	*b = (struct builtin){ .count = 0 };
	s->state = b;
}

const struct sasl_backend sasl_builtin = {
	.binds_channels = true, .offers = offers, .begin = begin,
	.next = next, .end = end
};
