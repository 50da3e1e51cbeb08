/*
 * server.c - SASL for those who let others in: whom to ask, what may be
 * offered to whom, and the base64 in between.
 *
 * V1  What a client says is in pools that are wiped, and in no other memory
 *     of ours once sasl_end() returned.
 * V2  A mechanism is offered only if all that the settings forbid and need is
 *     known of it.
 */
#include "common/sasl/sasl.h"

#include <string.h>

#include "common/base/text.h"
#include "common/ipc/packets.h"
#include "common/mail/encode.h"
#include "common/sasl/server_inside.h"

#define PLUS	"-PLUS"

/* Whom to ask. */
struct sasl_server *
sasl_server_new(const char *type, const char *service,
    struct link *to_resolve, struct link *to_auth, const char **why)
{
	bool			 is_builtin = strcmp(type, "postrider") == 0;
	struct sasl_server	*s;

	if (!is_builtin && strcmp(type, "dovecot") != 0) {
		*why = strcmp(type, "cyrus") == 0 ? "Postrider has no Cyrus "
		    "SASL: use smtpd_sasl_type = postrider with users of its "
		    "own, or dovecot" : "expected postrider or dovecot";
		return NULL;
	}
	s = mem_alloc(sizeof(*s));
	*s = (struct sasl_server){ .service = mem_strdup(service) };
	s->backend = is_builtin ? &sasl_builtin : &sasl_dovecot;
	s->link = is_builtin ? to_auth : to_resolve;
	if (is_builtin)
		sasl_builtin_open(s);
	else
		sasl_dovecot_open(s);
	return s;
}

/* --- what is offered ----------------------------------------------------- */

/* Has the peer a channel that can be bound? */
static bool
has_binding(const struct sasl_peer *peer)
{
	return peer->exporter_length > 0 || peer->end_point_length > 0;
}

/* Is it good enough, and possible? */
static bool
fits(const struct sasl_server *s, const struct sasl_offer *o,
    const struct sasl_peer *peer, unsigned forbidden, unsigned needed)
{
	if ((o->properties & forbidden) != 0 ||
	    (o->properties & needed) != needed)
		return false;
	return !text_ends(o->name, PLUS) ||
	    (s->backend->binds_channels && has_binding(peer));
}

/* The words for EHLO. */
WAITS const char *
sasl_mechanisms(struct sasl_server *s, struct pool *pool,
    const struct sasl_peer *peer, unsigned forbidden, unsigned needed,
    const char *allowed)
{
	const struct sasl_offer	*offers;
	struct str		 words;
	size_t			 i, count;

	str_init(&words, pool, 0);
	offers = s->backend->offers(s, &count);
	for (i = 0; i < count; i++) {
		if (!fits(s, &offers[i], peer, forbidden, needed))
			continue;
		if (!sasl_is_allowed(allowed, offers[i].name)) {
			if (text_ends(offers[i].name, PLUS))
				s->hides_plus = true;
			continue;
		}
		str_addf(&words, "%s%s", words.len > 0 ? " " : "",
		    offers[i].name);
	}
	return words.data;
}

/* --- an exchange --------------------------------------------------------- */

/* Nobody to ask. */
void
sasl_unavailable(struct sasl_answer *a, const char *text)
{
	*a = (struct sasl_answer){ .result = SASL_UNAVAILABLE, .text = text };
}

/* The answer as the caller wants it. */
static void
tell(struct pool *pool, const struct sasl_answer *a, struct sasl_step *step)
{
	struct str	text;

	*step = (struct sasl_step){ .result = a->result };
	step->user = pool_strdup(pool, a->user != NULL ? a->user : "");
	str_init(&text, pool, 0);
	if (a->data != NULL)
		base64_encode(&text, a->data, a->length);
	switch (a->result) {
	case SASL_OK:
		step->text = step->user;
		step->final = a->data != NULL ? text.data : NULL;
		break;
	case SASL_CONTINUE:
		step->text = text.data;
		break;
	default:
		step->text = pool_strdup(pool, a->text != NULL ? a->text : "");
	}
}

/* What the client said, without its base64; -1: it is none. */
static int
decode(struct pool *pool, const char *text, struct bytes *said)
{
	size_t	 len = strlen(text);
	char	*data = pool_alloc(pool, len + 1);
	ssize_t	 n = base64_decode(data, text, len);

	if (n == -1)
		return -1;
	said->data = data;
	said->len = (size_t)n;
	return 0;
}

/* It cannot go on. */
static void
malformed(struct pool *pool, const char *text, struct sasl_step *step)
{
	struct sasl_answer	a = { .result = SASL_MALFORMED, .text = text };

	tell(pool, &a, step);
}

/* Begin. */
WAITS struct sasl_exchange *
sasl_begin(struct sasl_server *s, struct pool *pool,
    const struct sasl_peer *peer, const char *mechanism, const char *initial,
    struct sasl_step *step)
{
	struct pool		*own = pool_new("sasl", 0);
	struct sasl_exchange	*e;
	struct sasl_answer	 answer = { 0 };
	struct bytes		 said;

	pool_make_secret(own);
	e = pool_alloc(own, sizeof(*e));
	e->server = s;
	e->pool = own;
	if (initial != NULL && (strlen(initial) > SASL_DATA_MAX ||
	    decode(own, initial, &said) == -1)) {
		e->is_over = true;
		malformed(pool, "the initial response is not base64", step);
		return e;
	}
	s->backend->begin(e, peer, mechanism, initial != NULL ? &said : NULL,
	    &answer);
	tell(pool, &answer, step);
	return e;
}

/* Go on. */
WAITS void
sasl_continue(struct sasl_exchange *e, struct pool *pool, const char *response,
    struct sasl_step *step)
{
	struct sasl_answer	answer = { 0 };
	struct bytes		said;

	if (strlen(response) > SASL_DATA_MAX ||
	    decode(e->pool, response, &said) == -1)
		return malformed(pool, "the response is not base64", step);
	if (e->is_over)
		return malformed(pool, "nothing goes on", step);
	e->server->backend->next(e, &said, &answer);
	tell(pool, &answer, step);
}

/* The end. */
void
sasl_end(struct sasl_exchange *e)
{
	if (e == NULL)
		return;
	e->server->backend->end(e);
	pool_free(e->pool);
}
