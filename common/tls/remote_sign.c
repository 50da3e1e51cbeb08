/*
 * remote_sign.c - signatures of the process that gave the certificates.
 *
 * Each key knows its holder, the channel to one keys process, and goes there
 * for signatures even when others come after it: a session that began with
 * the old certificate ends with the old key. The last key closes a channel
 * that nobody else needs, so that the old process can go.
 */
#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/tls/remote_inside.h"

/* --- asking --------------------------------------------------------------- */

/* Ask this channel; the answer is in the pool. */
static WAITS size_t
ask(struct channel *c, const struct ask_signature *question,
    struct pool *pool, unsigned char *to, size_t room)
{
	struct signature	answer;

	if (channel_ask(c, PACKET_ASK_SIGNATURE, question, PACKET_SIGNATURE,
	    &answer, pool, clock_now() + REPLY_TIME) == -1) {
		log_warning("TLS: no signature from the keys process: %s",
		    strerror(errno));
		return 0;
	}
	if (answer.data.len == 0 || answer.data.len > room) {
		log_warning("TLS: the keys process does not sign: %s",
		    answer.text[0] != '\0' ? answer.text : "it is too long");
		return 0;
	}
	memcpy(to, answer.data.data, answer.data.len);
	return answer.data.len;
}

/* What provider.c calls. A message that no packet has room for (a transcript
 * of TLS 1.2 with many certificates) is not signed. */
static WAITS size_t
sign(void *state, const unsigned char id[32], const char *digest,
    bool is_pss, int salt_length, const unsigned char *message, size_t length,
    unsigned char *to, size_t room)
{
	struct holder		*h = state;
	struct ask_signature	 question = {
		.key = { id, 32 }, .digest = (char *)(uintptr_t)digest,
		.is_pss = is_pss, .salt_length = salt_length,
		.message = { message, length }
	};
	struct pool		*pool;
	size_t			 got;

	if (length == 0 || length > SIGN_MESSAGE_MAX || fiber_self() == NULL)
		return 0;
	pool = pool_new("signature", 0);
	h->users++;
	got = ask(h->channel, &question, pool, to, room);
	holder_release(h);
	pool_free(pool);
	return got;
}

/* --- holders -------------------------------------------------------------- */

/* A key has gone. */
static void
released(void *state)
{
	holder_release(state);
}

struct holder *
holder_new(struct channel *c)
{
	struct holder	*h = mem_alloc(sizeof(*h));

	*h = (struct holder){ .users = 1, .channel = c,
	    .signer = { sign, h, released } };
	channel_hold(c);
	return h;
}

void
holder_release(struct holder *h)
{
	if (h == NULL || --h->users > 0)
		return;
	/* One that drains is on no list of the link's any more. */
	if (channel_is_draining(h->channel) && channel_load(h->channel) == 1)
		channel_close(h->channel);
	channel_release(h->channel);
	free(h);
}

bool
holder_is_good(const struct holder *h)
{
	return h != NULL && channel_is_open(h->channel) &&
	    !channel_is_draining(h->channel);
}

/* --- chains --------------------------------------------------------------- */

/* One certificate of several in a row; NULL: what is there is none. */
static X509 *
read_one(const unsigned char **at, const unsigned char *end)
{
	X509	*x = X509_new_ex(tls_library(), "?provider=default");

	if (x != NULL && d2i_X509(&x, at, end - *at) == NULL)
		return NULL;		/* and x is freed */
	return x;
}

/* The certificates behind the first. */
static bool
read_others(const unsigned char *at, const unsigned char *end,
    struct tls_chain *chain)
{
	X509	*x;

	if ((chain->others = sk_X509_new_null()) == NULL)
		return false;
	while (at < end) {
		if ((x = read_one(&at, end)) == NULL)
			return false;
		if (sk_X509_push(chain->others, x) <= 0) {
			X509_free(x);
			return false;
		}
	}
	return true;
}

/* What was made of it so far. */
static void
forget(struct tls_chain *chain)
{
	X509_free(chain->certificate);
	sk_X509_pop_free(chain->others, X509_free);
	EVP_PKEY_free(chain->key);
	*chain = (struct tls_chain){ 0 };
}

bool
holder_chain(struct holder *h, const struct bytes *der,
    struct tls_chain *chain)
{
	const unsigned char	*at = der->data, *end = at + der->len;

	*chain = (struct tls_chain){ 0 };
	chain->certificate = read_one(&at, end);
	if (chain->certificate != NULL && read_others(at, end, chain))
		chain->key = provider_key(tls_library(), chain->certificate,
		    &h->signer);
	if (chain->key == NULL) {
		log_warning("TLS: a certificate of the keys process cannot be "
		    "used");
		forget(chain);
		return false;
	}
	h->users++;
	return true;
}
