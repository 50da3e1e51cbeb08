/*
 * keys_ticket.c - the keys of session tickets: one secret, many services.
 *
 * For each lifetime of tickets there is a line of secrets from the kernel's
 * random numbers. A secret seals tickets for half the lifetime and opens them
 * for the other half. The next one is made, and handed out, a quarter of the
 * lifetime before its turn, so that all processes of a service know it when
 * the first of them seals with it.
 *
 * T1  What a service gets is derived with its name: the keys of smtp/inet open
 *     no ticket of submission/inet.
 * T2  A secret is wiped when its time is over, and none outlives this process.
 *     So a fresh process (certificates changed) means fresh tickets: clients
 *     with older ones shake hands in full, which costs a signature.
 */
#include "master/keys_ticket.h"

#include <string.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "common/tls/tls.h"

enum {
	LIFETIMES = 8,		/* services may differ, but not that much */
	SECRETS = 4,
	SECRET_SIZE = 32,
	NAME_SIZE = 16, KEY_SIZE = 32,
	DERIVED = NAME_SIZE + 2 * KEY_SIZE
};

struct secret {
	unsigned char	bytes[SECRET_SIZE];
	int64_t		fresh_until, valid_until;	/* 0: none */
};

/* Of one lifetime, the newest first. Their memory is OpenSSL's for secrets:
 * locked where that is allowed, and in no core file. */
struct line {
	int64_t		 lifetime;		/* milliseconds; 0: unused */
	int64_t		 asked;
	struct secret	*secrets;
};

static struct line	lines[LIFETIMES];

/* Forget all secrets of a line. */
static void
wipe(struct line *l)
{
	if (l->secrets != NULL)
		OPENSSL_secure_clear_free(l->secrets,
		    SECRETS * sizeof(struct secret));
	*l = (struct line){ 0 };
}

/* The line of this lifetime; the one that was not asked for longest makes
 * room for a new one. */
static struct line *
find(int64_t lifetime, int64_t now)
{
	struct line	*l, *oldest = &lines[0];

	for (l = lines; l < lines + LIFETIMES; l++) {
		if (l->lifetime == lifetime) {
			l->asked = now;
			return l;
		}
		if (l->asked < oldest->asked)
			oldest = l;
	}
	wipe(oldest);
	oldest->secrets = OPENSSL_secure_zalloc(SECRETS *
	    sizeof(struct secret));
	if (oldest->secrets == NULL)
		return NULL;
	oldest->lifetime = lifetime;
	oldest->asked = now;
	return oldest;
}

/* A new secret in front, fresh until then. */
static int
add(struct line *l, int64_t fresh_until)
{
	struct secret	*s = l->secrets;

	OPENSSL_cleanse(&s[SECRETS - 1], sizeof(*s));
	memmove(&s[1], &s[0], (SECRETS - 1) * sizeof(*s));
	OPENSSL_cleanse(&s[0], sizeof(*s));
	if (getrandom(s->bytes, sizeof(s->bytes), 0) !=
	    (ssize_t)sizeof(s->bytes))
		return -1;
	s->fresh_until = fresh_until;
	s->valid_until = fresh_until + l->lifetime / 2;
	return 0;
}

/* Wipe a line's secrets that are over, and all when the clock was set back:
 * otherwise they would live on for as long as it was. */
static void
expire(struct line *l, int64_t now)
{
	size_t	i;

	for (i = 0; i < SECRETS; i++)
		if (l->secrets[i].valid_until <= now ||
		    l->secrets[i].valid_until > now + 2 * l->lifetime)
			OPENSSL_cleanse(&l->secrets[i],
			    sizeof(l->secrets[i]));
}

/* See that there is a fresh secret, and in time another one. */
static int
renew(struct line *l, int64_t now)
{
	int64_t	half = l->lifetime / 2, fresh = l->secrets[0].fresh_until;

	expire(l, now);
	if (l->secrets[0].valid_until == 0 || fresh <= now)
		return add(l, now + half);
	return fresh - now < half / 2 ? add(l, fresh + half) : 0;
}

/* T1: what belongs to this service, by HKDF (RFC 5869). */
static int
derive(const struct secret *s, const char *service, unsigned char *to)
{
	static const char	 purpose[] = "postrider session tickets: ";
	EVP_KDF			*kdf;
	EVP_KDF_CTX		*c = NULL;
	OSSL_PARAM		 p[5];
	int			 is_good;

	p[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
	    (char *)(uintptr_t)"SHA256", 0);
	p[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
	    (void *)(uintptr_t)s->bytes, sizeof(s->bytes));
	p[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
	    (void *)(uintptr_t)purpose, sizeof(purpose) - 1);
	p[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
	    (void *)(uintptr_t)service, strlen(service));
	p[4] = OSSL_PARAM_construct_end();
	if ((kdf = EVP_KDF_fetch(tls_library(), "HKDF", NULL)) != NULL)
		c = EVP_KDF_CTX_new(kdf);
	is_good = c != NULL && EVP_KDF_derive(c, to, DERIVED, p) > 0;
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
	return is_good ? 0 : -1;
}

/* One row of the answer. */
static int
fill(struct ticket_row *row, const struct secret *s, const char *service,
    unsigned char *derived)
{
	if (derive(s, service, derived) == -1)
		return -1;
	row->name = (struct bytes){ derived, NAME_SIZE };
	row->secret = (struct bytes){ derived + NAME_SIZE, KEY_SIZE };
	row->mac = (struct bytes){ derived + NAME_SIZE + KEY_SIZE, KEY_SIZE };
	row->fresh_until = s->fresh_until;
	row->valid_until = s->valid_until;
	return 0;
}

/* Wipes them when the pool goes. */
static void
forget(void *derived)
{
	OPENSSL_cleanse(derived, SECRETS * DERIVED);
}

int
keys_ticket_rows(const char *service, int64_t lifetime, int64_t now,
    struct pool *pool, struct ticket_keys *to)
{
	struct line	*l = find(lifetime * 1000, now);
	unsigned char	*derived;
	size_t		 i;

	*to = (struct ticket_keys){ 0 };
	if (l == NULL || renew(l, now) == -1)
		return -1;
	to->rows = pool_array(pool, SECRETS, sizeof(*to->rows));
	derived = pool_array(pool, SECRETS, DERIVED);
	pool_on_free(pool, forget, derived);
	for (i = 0; i < SECRETS; i++) {
		if (l->secrets[i].valid_until == 0)
			continue;
		if (fill(&to->rows[to->count], &l->secrets[i], service,
		    derived + i * DERIVED) == -1)
			return -1;
		to->count++;
	}
	return 0;
}

void
keys_ticket_sweep(int64_t now)
{
	struct line	*l;

	for (l = lines; l < lines + LIFETIMES; l++) {
		if (l->lifetime == 0)
			continue;
		expire(l, now);
		if (l->asked + 2 * l->lifetime < now)
			wipe(l);
	}
}

void
keys_ticket_wipe(void)
{
	struct line	*l;

	for (l = lines; l < lines + LIFETIMES; l++)
		wipe(l);
}

size_t
keys_ticket_count(void)
{
	size_t	i, k, count = 0;

	for (i = 0; i < LIFETIMES; i++)
		for (k = 0; k < SECRETS && lines[i].lifetime != 0; k++)
			count += lines[i].secrets[k].valid_until != 0;
	return count;
}
