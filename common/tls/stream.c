/*
 * stream.c - one TLS session: the handshake, and the layer of an io.
 *
 * S1  From tls_start() on nothing goes in clear: after a failed handshake
 *     the layer refuses to read and write.
 * S2  Input ends where the peer said so under the session's keys
 *     (close_notify); a connection that ends otherwise is ECONNRESET, so
 *     that nobody takes a message for whole that was cut.
 * S3  One fiber at a time is inside an SSL. A handshake may wait in there for
 *     a signature (provider.h); reading and writing never wait.
 * S4  What the peer sends besides data (new keys, tickets, empty records) has
 *     a bound between two bytes of data, or he would have our time and never
 *     come to an end.
 * S5  The queue of errors belongs to the thread: it is emptied before each
 *     call and read before the next wait.
 */
#include "common/tls/inside.h"

#include <sys/epoll.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"

enum {
	HELLO_BUDGET = 256 * 1024,	/* a chain of 100 kB, twice */
	READ_BUDGET = 64 * 1024		/* a record is 16 KiB */
};

/* Begin a call into OpenSSL. */
static void
enter(struct tls_stream *s, size_t budget)
{
	CLAIM(!s->is_busy);
	s->is_busy = true;
	s->budget = budget;
	s->error = 0;
	ERR_clear_error();
}

/* It is over. 0 and *wants: wait; or the errno that it came to. 0 without
 * wants: the peer has closed. */
static int
leave(struct tls_stream *s, int result, unsigned *wants)
{
	int	what = SSL_get_error(s->ssl, result);

	s->is_busy = false;
	*wants = what == SSL_ERROR_WANT_READ ? EPOLLIN :
	    what == SSL_ERROR_WANT_WRITE ? EPOLLOUT : 0;
	if (*wants != 0 || what == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (what == SSL_ERROR_SYSCALL)
		return s->error != 0 && s->error != EAGAIN ? s->error :
		    ECONNRESET;
	return EPROTO;
}

/* --- the layer ---------------------------------------------------------- */

/* Read what has come. */
static ssize_t
layer_read(void *state, void *to, size_t size, unsigned *wants)
{
	struct tls_stream	*s = state;
	size_t			 n = 0;
	int			 result;

	if (s->is_deaf) {
		errno = ECONNRESET;
		return -1;
	}
	enter(s, s->budget);
	if ((result = SSL_read_ex(s->ssl, to, size, &n)) == 1) {
		s->is_busy = false;
		s->budget = READ_BUDGET;
		return (ssize_t)n;
	}
	if (leave(s, result, wants) == 0) {
		errno = EAGAIN;
		return *wants == 0 ? 0 : -1;
	}
	ERR_clear_error();
	s->is_deaf = s->is_mute = true;
	errno = ECONNRESET;
	return -1;
}

/* Write what fits. After a write that the kernel refused, what the peer had
 * said before may still be read. */
static ssize_t
layer_write(void *state, const void *from, size_t size, unsigned *wants)
{
	struct tls_stream	*s = state;
	size_t			 n = 0;
	int			 result, error;

	if (s->is_mute) {
		errno = ECONNRESET;
		return -1;
	}
	enter(s, s->budget);
	if ((result = SSL_write_ex(s->ssl, from, size, &n)) == 1) {
		s->is_busy = false;
		return (ssize_t)n;
	}
	error = leave(s, result, wants);
	if (error == 0 && *wants != 0) {
		errno = EAGAIN;
		return -1;
	}
	ERR_clear_error();
	s->is_mute = true;
	s->is_deaf = s->is_deaf || error == EPROTO;
	errno = error == EPIPE ? EPIPE : ECONNRESET;
	return -1;
}

/* Say goodbye as well as it can be said without a wait, and free it all. */
static void
layer_close(void *state)
{
	struct tls_stream	*s = state;
	int			 error = errno;

	CLAIM(!s->is_busy);
	if (s->is_done && !s->is_mute) {
		enter(s, READ_BUDGET);
		(void)SSL_shutdown(s->ssl);
		ERR_clear_error();
	}
	SSL_free(s->ssl);
	X509_free(s->shown);
	OPENSSL_cleanse(s, sizeof *s);
	free(s);
	errno = error;
}

/* --- the handshake ------------------------------------------------------ */

/* What the errno of a broken handshake is called. */
static const char *
broken(struct pool *pool, int error)
{
	const char	*why = error == EPROTO ? reason(pool) : NULL;

	ERR_clear_error();
	switch (error) {
	case EPROTO:
		return why;
	case ETIMEDOUT:
		return "TLS handshake timed out";
	case ECANCELED:
		return "TLS handshake was cancelled";
	case ECONNABORTED:
		return "the peer sends too much";
	default:
		return "lost connection";
	}
}

/* Go on until it is done or cannot be. What went wrong first is what is
 * told: a refusal of ours is followed by the alert about it. */
static int
shake_hands(struct tls_stream *s, const char **why)
{
	const char	*refusal = NULL;
	unsigned	 wants;
	int		 result, error;

	for (;;) {
		enter(s, HELLO_BUDGET);
		if ((result = SSL_do_handshake(s->ssl)) == 1) {
			s->is_busy = false;
			return 0;
		}
		if (s->has_hello) {
			s->is_busy = s->has_hello = false;
			ERR_clear_error();
			(void)hello_answer(s, &refusal);
			continue;
		}
		if ((error = leave(s, result, &wants)) == 0 && wants == 0)
			error = ECONNRESET;
		if (error == 0 && io_wait(s->io, wants) == -1)
			error = errno;
		if (error != 0) {
			*why = s->has_no_identity ? refusal :
			    broken(s->pool, error);
			errno = error;
			return -1;
		}
	}
}

/* A stream that the io owns from now on; nothing goes by it yet. */
static struct tls_stream *
attach(struct io *io, struct tls_context *c, struct pool *pool)
{
	struct tls_stream	*s = mem_alloc(sizeof *s);

	*s = (struct tls_stream){
		.io = io, .context = c, .pool = pool, .sni = "",
		.is_deaf = true, .is_mute = true
	};
	io_set_layer(io, &(struct io_layer){ .read = layer_read,
	    .write = layer_write, .close = layer_close, .state = s });
	io_wipes(io);
	return s;
}

/* The anchors of a file; -1 when they were not loaded. */
static int
set_anchors(struct tls_stream *s, const struct tls_wishes *w,
    const char **why)
{
	struct anchors	*a;

	if (!w->has_anchors)
		return 0;
	SLIST_FOREACH(a, &s->context->anchors, next)
		if (strcmp(a->file, w->anchor_file) == 0) {
			s->anchors = a->certificates;
			return 0;
		}
	*why = pool_printf(s->pool, "trust anchors of %s are not loaded",
	    w->anchor_file);
	return -1;
}

/* A session of before, if there is one. */
static void
set_resumption(struct tls_stream *s, const struct tls_wishes *w)
{
	SSL_SESSION	*session;

	if (w->resume == NULL || s->context->setup.ticket_time <= 0)
		return;
	s->wants_resume = true;
	resume_key(s->key, w);
	if ((session = resume_take(s->context, s->key)) == NULL)
		return;
	(void)SSL_set_session(s->ssl, session);
	s->kept_until = (int64_t)SSL_SESSION_get_time(session) +
	    SSL_SESSION_get_timeout(session);
	SSL_SESSION_free(session);
}

/* Whom a client calls, who it is, what it resumes. */
static int
set_client(struct tls_stream *s, const struct tls_wishes *w,
    const char **why)
{
	const struct tls_source	*source = &s->context->setup.source;
	struct tls_identity	*identity = NULL;
	int			 outcome = 0;

	if (set_anchors(s, w, why) == -1)
		return -1;
	if (source->find != NULL)
		identity = source->find(source->state, "");
	if (identity != NULL && identity->count > 0)
		outcome = identity_install(s, identity, why);
	tls_identity_release(identity);
	if (outcome == -1)
		return -1;
	if (w->sni != NULL && *w->sni != '\0' &&
	    SSL_set_tlsext_host_name(s->ssl, w->sni) != 1) {
		*why = reason(s->pool);
		return -1;
	}
	set_resumption(s, w);
	SSL_set_connect_state(s->ssl);
	return 0;
}

/* A server without keys for tickets gives none. */
static void
set_server(struct tls_stream *s)
{
	SSL_set_accept_state(s->ssl);
	if (tickets_are_there(s->context))
		return;
	SSL_set_options(s->ssl, SSL_OP_NO_TICKET);
	SSL_set_num_tickets(s->ssl, 0);
}

/* The SSL with all that is known before the first byte. */
static int
prepare(struct tls_stream *s, const struct tls_wishes *w, const char **why)
{
	SSL_CTX	*profile;
	BIO	*wire;

	profile = context_profile(s->context, w, s->pool, why);
	if (profile == NULL)
		return -1;
	ERR_clear_error();
	if ((s->ssl = SSL_new(profile)) == NULL) {
		*why = reason(s->pool);
		return -1;
	}
	SSL_set_app_data(s->ssl, s);
	wire = wire_new(s);
	SSL_set_bio(s->ssl, wire, wire);
	if (s->context->setup.role == TLS_CLIENT)
		return set_client(s, w, why);
	set_server(s);
	return 0;
}

/* Nothing more will be signed: who has our keys need not stay because of us
 * when others come in their place. What we have shown may be asked for. */
static void
let_keys_go(struct tls_stream *s)
{
	s->shown = SSL_get_certificate(s->ssl);
	if (s->shown != NULL)
		X509_up_ref(s->shown);
	SSL_certs_clear(s->ssl);
}

/* Speak TLS from now on. */
int
tls_start(struct io *io, struct tls_context *c, const struct tls_wishes *w,
    struct pool *pool, struct tls_stream **stream, struct tls_summary *to,
    const char **why)
{
	struct tls_stream	*s;
	const char		*early;
	size_t			 early_len;
	int			 error;

	*why = "lost connection";
	if (io_flush(io) == -1)
		return -1;
	early_len = io_peek(io, &early);
	s = *stream = attach(io, c, pool);
	if (early_len > 0) {
		*why = "there was input before the TLS handshake";
		errno = EPROTO;
		return -1;
	}
	errno = EPROTO;
	if (prepare(s, w, why) == -1 || shake_hands(s, why) == -1) {
		error = errno;
		ERR_clear_error();
		errno = error;
		return -1;
	}
	s->is_done = true;
	s->is_deaf = s->is_mute = false;
	s->budget = READ_BUDGET;
	summary_fill(s, pool, to);
	verify_judge(s, w, pool, to);
	let_keys_go(s);
	ERR_clear_error();
	s->pool = NULL;
	s->sni = "";
	*why = "";
	return 0;
}
