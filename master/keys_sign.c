/*
 * keys_sign.c - the only thing that is done with private keys here.
 *
 * K1  Only what looks like a part of a TLS handshake of the asking side is
 *     signed, with a key of that side. Hash and padding are made here: there
 *     is no raw RSA, and nothing is decrypted.
 * K2  A side has a number of signatures a second and a number under way; more
 *     is refused at once, and the other side does not wait for it. Slow ones
 *     (RSA, large curves) are computed by threads, so that all the rest goes
 *     on meanwhile.
 */
#include "master/keys_sign.h"

#include <sched.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "common/fiber/offload.h"
#include "master/keys_form.h"
#include "master/keys_store.h"

enum {
	SIDES = 2,
	UNDER_WAY = 1000,		/* a second's work of RSA, or less */
	TOKENS = 20000,			/* saved, and each second's */
	QUICK = 1, SLOW = 5,		/* what a signature takes of them */
	THREADS_MOST = 8,
	ROOM = 4096
};

/* What a side may still have. */
static struct side {
	unsigned	under_way;
	int64_t		tokens, since;
} sides[SIDES];

static unsigned	busy;
static uint64_t	total;

/* A signature on a thread. */
struct job {
	EVP_PKEY		*key;
	const char		*digest;	/* NULL: Ed25519 */
	bool			 is_pss;
	const unsigned char	*message;
	size_t			 length, got;
	unsigned char		 to[ROOM];
};

/* As many threads as processors. */
void
keys_sign_start(void)
{
	cpu_set_t	set;
	int		count = 2;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		count = CPU_COUNT(&set);
	offload_threads(count < 1 ? 1 : count > THREADS_MOST ? THREADS_MOST :
	    count);
	offload_prepare();
}

/* --- what is allowed ------------------------------------------------------ */

/* The size of a digest that we sign with, 0: none of them. */
static int
digest_size(const char *digest)
{
	static const struct { const char *name; int size; }	digests[] = {
		{ "SHA256", 32 }, { "SHA384", 48 }, { "SHA512", 64 }
	};
	size_t							i;

	for (i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
		if (strcmp(digest, digests[i].name) == 0)
			return digests[i].size;
	return 0;
}

/* Do digest and padding go with the key, and with the version? */
static const char *
check_how(const struct keys_key *k, const struct ask_signature *ask,
    enum keys_form form)
{
	int	size = digest_size(ask->digest);

	if (k->is_ed25519)
		return ask->digest[0] == '\0' && !ask->is_pss ? NULL :
		    "such a key takes no digest";
	if (size == 0)
		return "the digest is not one that is signed with";
	if (!k->is_rsa)
		return ask->is_pss ? "such a key takes no padding" : NULL;
	if (!ask->is_pss)
		return form == KEYS_TLS_1_3 || k->is_pss_only ?
		    "the padding must be PSS" : NULL;
	return ask->salt_length == RSA_PSS_SALTLEN_DIGEST ||
	    ask->salt_length == size ? NULL : "the salt has another length";
}

/* K1 */
static const char *
check(const struct keys_key *k, const struct ask_signature *ask,
    enum tls_role side)
{
	enum keys_form	form;

	if (k == NULL || !(side == TLS_SERVER ? k->is_for_server :
	    k->is_for_client))
		return "there is no such key";
	form = side == TLS_SERVER ?
	    keys_server_form(ask->message.data, ask->message.len) :
	    keys_client_form(ask->message.data, ask->message.len);
	if (form == KEYS_NO_FORM)
		return "that is no part of a handshake";
	return check_how(k, ask, form);
}

/* K2: may this side have one more now? */
static const char *
admit(struct side *s, int cost)
{
	int64_t	now = clock_now(), more;

	if (s->under_way >= UNDER_WAY)
		return "too many signatures under way";
	more = (now - s->since) * TOKENS / 1000;
	if (more > 0) {
		s->tokens = s->tokens + more > TOKENS ? TOKENS :
		    s->tokens + more;
		s->since = now;
	}
	if (s->tokens < cost)
		return "too many signatures in a second";
	s->tokens -= cost;
	return NULL;
}

/* --- signing -------------------------------------------------------------- */

/* Compute it, here or on a thread. 0 or -1. */
static int
compute(void *arg)
{
	struct job	*j = arg;
	EVP_MD_CTX	*c = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*p;
	bool		 is_good;

	j->got = sizeof(j->to);
	is_good = c != NULL && EVP_DigestSignInit_ex(c, &p, j->digest,
	    tls_library(), "provider=default", j->key, NULL) > 0;
	if (is_good && j->is_pss)
		is_good = EVP_PKEY_CTX_set_rsa_padding(p,
		    RSA_PKCS1_PSS_PADDING) > 0 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(p,
		    RSA_PSS_SALTLEN_DIGEST) > 0;
	is_good = is_good && EVP_DigestSign(c, j->to, &j->got, j->message,
	    j->length) > 0;
	EVP_MD_CTX_free(c);
	return is_good ? 0 : -1;
}

/* Sign what was found good. */
static WAITS const char *
sign(const struct keys_key *k, const struct ask_signature *ask,
    struct pool *pool, struct bytes *signature)
{
	bool		 is_quick = k->is_quick;
	struct job	*j = pool_alloc(pool, sizeof(*j));
	int		 result;

	*j = (struct job){ .key = k->key, .digest = ask->digest[0] == '\0' ?
	    NULL : ask->digest, .is_pss = ask->is_pss,
	    .message = ask->message.data, .length = ask->message.len };
	/* The store may be wiped while a thread is at work. */
	if (!EVP_PKEY_up_ref(j->key))
		return "no memory";
	result = is_quick ? compute(j) : offload(compute, j);
	EVP_PKEY_free(j->key);
	if (result == -1)
		return "OpenSSL does not sign";
	*signature = (struct bytes){ j->to, j->got };
	return NULL;
}

const char *
keys_sign(const struct ask_signature *ask, enum tls_role role,
    struct pool *pool, struct bytes *signature)
{
	struct side		*side = &sides[role == TLS_SERVER];
	const struct keys_key	*k = keys_store_key(ask->key.data);
	const char		*why;

	if ((why = check(k, ask, role)) != NULL ||
	    (why = admit(side, k->is_quick ? QUICK : SLOW)) != NULL)
		return why;
	side->under_way++;
	busy++;
	why = sign(k, ask, pool, signature);
	busy--;
	side->under_way--;
	total += why == NULL;
	return why;
}

unsigned
keys_sign_busy(void)
{
	return busy;
}

uint64_t
keys_sign_total(void)
{
	return total;
}
