/*
 * refusals.c - logins that were refused, so that they are not tried again.
 *
 * Called by auth.c. Postfix keeps these in a table that it writes
 * (smtp_sasl_auth_cache_name); we write no tables, and a process that was
 * restarted may well try once more. What is kept of a password is a digest
 * with a salt of this process's own.
 */
#include "smtp/refusals.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "common/base/clock.h"
#include "common/base/str.h"

#include "smtp/settings.h"

enum { REFUSALS_MAX = 200, SALT = 16, DIGEST = 32 };

const struct param refusals_params[] = {
	PARAM_STRING("smtp_sasl_auth_cache_name", set.sasl.cache_name, "", 0,
	    0, "If this is not empty, a login that a host refused (535) is not "
	    "tried there again with the same password; the memory of that "
	    "ends with the process, and no table is written."),
	PARAM_TIME("smtp_sasl_auth_cache_time", set.sasl.cache_time, "90d", 0,
	    31536000, "How long such a refusal is remembered."),
	PARAM_END
};

struct refusal {
	TAILQ_ENTRY(refusal)	 next;
	unsigned char		 digest[DIGEST];
	int64_t			 until;
	char			*dsn, *why;
	bool			 is_permanent;
};
static TAILQ_HEAD(refusal_list, refusal) refusals =
    TAILQ_HEAD_INITIALIZER(refusals);
static unsigned			 refusal_count;
static unsigned char		 salt[SALT];
static bool			 has_salt;

/* Host, user and secret as one number; false: there is none. */
static bool
make_digest(unsigned char digest[DIGEST], const struct connection *c,
    const struct login *login)
{
	EVP_MD_CTX	*md;
	bool		 is_good;

	if (!has_salt && getrandom(salt, sizeof(salt), 0) != SALT)
		return false;
	has_salt = true;
	if ((md = EVP_MD_CTX_new()) == NULL)
		return false;
	is_good = EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(md, salt, sizeof(salt)) == 1 &&
	    EVP_DigestUpdate(md, c->host, strlen(c->host) + 1) == 1 &&
	    EVP_DigestUpdate(md, login->user, strlen(login->user) + 1) == 1 &&
	    EVP_DigestUpdate(md, login->secret, strlen(login->secret)) == 1 &&
	    EVP_DigestFinal_ex(md, digest, NULL) == 1;
	EVP_MD_CTX_free(md);
	return is_good;
}

/* Tokens change by themselves: the next one may be good. */
static bool
is_remembered(const struct login *login)
{
	return set.sasl.cache_name[0] != '\0' && set.sasl.cache_time > 0 &&
	    !login->is_token && login->secret != NULL;
}

static void
forget(struct refusal *r)
{
	TAILQ_REMOVE(&refusals, r, next);
	refusal_count--;
	free(r->dsn);
	free(r->why);
	free(r);
}

void
refusals_note(const struct connection *c, const struct login *login,
    const char *dsn, const char *why, bool is_permanent)
{
	unsigned char	 digest[DIGEST];
	struct refusal	*r;

	if (!is_remembered(login) || !make_digest(digest, c, login))
		return;
	r = mem_alloc(sizeof(*r));
	memcpy(r->digest, digest, sizeof(digest));
	r->until = clock_now() + set.sasl.cache_time;
	r->dsn = mem_strdup(dsn);
	r->why = mem_strdup(why);
	r->is_permanent = is_permanent;
	TAILQ_INSERT_TAIL(&refusals, r, next);
	if (++refusal_count > REFUSALS_MAX)
		forget(TAILQ_FIRST(&refusals));
}

bool
refusals_find(struct delivery *d, const struct connection *c,
    struct failure *f)
{
	unsigned char	 digest[DIGEST];
	struct refusal	*r;

	if (!is_remembered(d->login) || !make_digest(digest, c, d->login))
		return false;
	while ((r = TAILQ_FIRST(&refusals)) != NULL && r->until < clock_now())
		forget(r);
	TAILQ_FOREACH(r, &refusals, next) {
		if (memcmp(r->digest, digest, sizeof(digest)) != 0)
			continue;
		f->dsn = pool_strdup(d->pool, r->dsn);
		f->why = pool_strdup(d->pool, r->why);
		f->is_permanent = f->is_final = r->is_permanent;
		return true;
	}
	return false;
}
