/*
 * client.c - who we are, shown to a server.
 *
 * Called by smtp/auth.c. Mechanisms are rows of a table, the strongest first;
 * an exchange is a step number and what its row does in that step. Nothing
 * here waits.
 *
 * Y1  Whatever a server says, it gets the response of the mechanism's step or
 *     none: it cannot ask for the password in a mechanism that does not show
 *     it, nor for more steps than there are.
 * Y2  Passwords and tokens, and all that shows them, are in a pool of our own
 *     that is wiped in sasl_client_end(), or with the caller's pool.
 */
#include "common/sasl/sasl.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/base/bug.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/ipc/packets.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"
#include "common/sasl/scram.h"

enum {
	CHALLENGE_MAX = SASL_DATA_MAX / 4 * 3,
	COMPLAINT_MAX = 300,
	MD5_SIZE = 16
};

/* What a mechanism says in each step: 0 is the initial response, n the answer
 * to the n-th challenge. NULL is no response; *why is set if that is an
 * error. */
struct mechanism {
	const char	*name;
	unsigned	 properties;
	bool		 has_token, is_plus;
	const char	*(*step)(struct sasl_client *, const char *challenge,
			    size_t len, const char **why);
};

struct sasl_client {
	struct pool			*pool;	/* ours (Y2); NULL: ended */
	const struct mechanism		*mechanism;
	struct sasl_credentials		 who;
	int				 number;	/* of the step */
	const char			*complaint;
	struct str			 response;	/* of this step */
	struct scram_client		*scram;
	struct scram_binding		 binding;
	bool				 could_bind;	/* but may not */
	bool				 is_proven;	/* the server */
};

/* --- plain ones ---------------------------------------------------------- */

/* Too many steps for the mechanism (Y1). */
static const char *
too_many(const char **why)
{
	*why = "the server asks for more than the mechanism has";
	return NULL;
}

/* RFC 4616 2: authorize NUL user NUL password. */
static const char *
plain(struct sasl_client *c, const char *challenge, size_t len,
    const char **why)
{
	(void)challenge;
	(void)len;
	if (c->number > 0)
		return too_many(why);
	str_add_mem(&c->response, c->who.authorize,
	    strlen(c->who.authorize) + 1);
	str_add_mem(&c->response, c->who.user, strlen(c->who.user) + 1);
	str_add(&c->response, c->who.password);
	return c->response.data;
}

/* Never a standard: the user, then the password; servers differ in what they
 * ask for them with. */
static const char *
login(struct sasl_client *c, const char *challenge, size_t len,
    const char **why)
{
	(void)challenge;
	(void)len;
	switch (c->number) {
	case 0:
		return NULL;
	case 1:
		str_add(&c->response, c->who.user);
		return c->response.data;
	case 2:
		str_add(&c->response, c->who.password);
		return c->response.data;
	default:
		return too_many(why);
	}
}

/* RFC 2195 2: user, blank, and the digest of the challenge. */
static const char *
cram_md5(struct sasl_client *c, const char *challenge, size_t len,
    const char **why)
{
	static const char	digits[] = "0123456789abcdef";
	unsigned char		digest[EVP_MAX_MD_SIZE];
	unsigned		size = 0, i;

	if (c->number == 0)
		return NULL;
	if (c->number > 1)
		return too_many(why);
	if (len == 0) {
		*why = "the server's challenge is empty";
		return NULL;
	}
	if (HMAC(EVP_md5(), c->who.password, (int)strlen(c->who.password),
	    (const unsigned char *)challenge, len, digest, &size) == NULL ||
	    size != MD5_SIZE) {
		*why = "MD5 is not to be had";
		return NULL;
	}
	str_add(&c->response, c->who.user);
	str_add_char(&c->response, ' ');
	for (i = 0; i < size; i++) {
		str_add_char(&c->response, digits[digest[i] >> 4]);
		str_add_char(&c->response, digits[digest[i] & 15]);
	}
	return c->response.data;
}

/* --- SCRAM --------------------------------------------------------------- */

/* The server's last word: is it the one who knows the password? */
static const char *
scram_end(struct sasl_client *c, const char *challenge, size_t len,
    const char **why)
{
	c->is_proven = scram_client_verify(c->scram, challenge, len, why);
	return c->is_proven ? "" : NULL;
}

/* RFC 5802 5. */
static const char *
scram(struct sasl_client *c, const char *challenge, size_t len,
    const char **why)
{
	const char	*said = NULL;

	switch (c->number) {
	case 0:
		said = scram_client_first(c->scram);
		break;
	case 1:
		said = scram_client_final(c->scram, challenge, len, why);
		break;
	case 2:
		said = scram_end(c, challenge, len, why);
		break;
	default:
		return too_many(why);
	}
	if (said == NULL)
		return NULL;
	str_add(&c->response, said);
	return c->response.data;
}

/* What it begins with. */
static bool
scram_start(struct sasl_client *c, const char **why)
{
	c->scram = scram_client_new(c->pool, c->who.user, c->who.authorize,
	    c->who.password, c->mechanism->is_plus ? &c->binding : NULL,
	    c->could_bind, NULL, why);
	return c->scram != NULL;
}

/* --- OAuth --------------------------------------------------------------- */

/* The error answer: what it says is for the log, and the client must answer
 * it before the server says 535. */
static void
hear_complaint(struct sasl_client *c, const char *challenge, size_t len)
{
	struct str	text;

	str_init(&text, c->pool, COMPLAINT_MAX);
	str_add_escaped(&text, challenge, len);
	c->complaint = text.data;
}

/* As Google and Microsoft had it before there was a standard. */
static const char *
xoauth2(struct sasl_client *c, const char *challenge, size_t len,
    const char **why)
{
	if (c->number > 1)
		return too_many(why);
	if (c->number == 1) {
		hear_complaint(c, challenge, len);
		return "";
	}
	str_add(&c->response, "user=");
	str_add(&c->response, c->who.user);
	str_add(&c->response, "\1auth=Bearer ");
	str_add(&c->response, c->who.token);
	str_add(&c->response, "\1\1");
	return c->response.data;
}

/* RFC 5801 4: a name in a gs2 header. */
static void
add_name(struct str *to, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == ',')
			str_add(to, "=2C");
		else if (*name == '=')
			str_add(to, "=3D");
		else
			str_add_char(to, *name);
	}
}

/* RFC 7628 3.1. The answer to an error is one byte (3.2.3). */
static const char *
oauthbearer(struct sasl_client *c, const char *challenge, size_t len,
    const char **why)
{
	if (c->number > 1)
		return too_many(why);
	if (c->number == 1) {
		hear_complaint(c, challenge, len);
		return "\1";
	}
	str_add(&c->response, "n,a=");
	add_name(&c->response, c->who.user);
	str_add(&c->response, ",\1host=");
	str_add(&c->response, c->who.host);
	str_addf(&c->response, "\1port=%u\1auth=Bearer ", c->who.port);
	str_add(&c->response, c->who.token);
	str_add(&c->response, "\1\1");
	return c->response.data;
}

/* --- the choice ---------------------------------------------------------- */

/* The strongest first. A token is as good as a password to whoever hears
 * it. */
static const struct mechanism mechanisms[] = {
	{ "OAUTHBEARER", SASL_PLAINTEXT | SASL_ACTIVE, true, false,
	    oauthbearer },
	{ "XOAUTH2", SASL_PLAINTEXT | SASL_ACTIVE, true, false, xoauth2 },
	{ "SCRAM-SHA-256-PLUS", SASL_DICTIONARY | SASL_MUTUAL, false, true,
	    scram },
	{ "SCRAM-SHA-256", SASL_DICTIONARY | SASL_MUTUAL, false, false,
	    scram },
	{ "CRAM-MD5", SASL_DICTIONARY | SASL_ACTIVE, false, false, cram_md5 },
	{ "PLAIN", SASL_PLAINTEXT | SASL_DICTIONARY | SASL_ACTIVE, false,
	    false, plain },
	{ "LOGIN", SASL_PLAINTEXT | SASL_DICTIONARY | SASL_ACTIVE, false,
	    false, login }
};
enum { MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

bool
sasl_client_knows(const char *name)
{
	size_t	i;

	for (i = 0; i < MECHANISMS; i++)
		if (text_equal(mechanisms[i].name, name))
			return true;
	return false;
}

/* Is the name among the offered ones? */
static bool
is_offered(const char *offered, const char *name)
{
	size_t	len;

	for (;; offered += len) {
		offered += strspn(offered, " \t=");
		if ((len = strcspn(offered, " \t")) == 0)
			return false;
		if (text_equal_mem(name, offered, len))
			return true;
	}
}

/* Can these credentials do it, on this connection? */
static bool
is_able(const struct mechanism *m, const struct sasl_credentials *who)
{
	if (m->has_token ? who->token == NULL : who->password == NULL)
		return false;
	return !m->is_plus ||
	    who->exporter_length > 0 || who->end_point_length > 0;
}

/* The best one; NULL. */
static const struct mechanism *
choose(const char *offered, const char *allowed, unsigned forbidden,
    unsigned needed, const struct sasl_credentials *who)
{
	const struct mechanism	*m;

	for (m = mechanisms; m < mechanisms + MECHANISMS; m++)
		if (is_able(m, who) && is_offered(offered, m->name) &&
		    (m->properties & forbidden) == 0 &&
		    (m->properties & needed) == needed &&
		    sasl_is_allowed(allowed, m->name))
			return m;
	return NULL;
}

/* Something that stands between separators must not hold one. */
static bool
is_clean(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		if (is_control((unsigned char)*text))
			return false;
	return true;
}

/* --- one exchange -------------------------------------------------------- */

/* Copies of all that we need, which are ours to wipe. */
static void
keep(struct sasl_client *c, const struct sasl_credentials *who)
{
	c->who.user = pool_strdup(c->pool, who->user);
	c->who.authorize = pool_strdup(c->pool, who->authorize);
	c->who.password = pool_strdup(c->pool, who->password);
	c->who.token = pool_strdup(c->pool, who->token);
	c->who.host = pool_strdup(c->pool, who->host);
	c->who.port = who->port;
	if (who->exporter_length > 0) {		/* RFC 9266 */
		c->binding.type = "tls-exporter";
		c->binding.data = (unsigned char *)pool_strndup(c->pool,
		    who->exporter, who->exporter_length);
		c->binding.length = who->exporter_length;
	} else if (who->end_point_length > 0) {	/* RFC 5929 4 */
		c->binding.type = "tls-server-end-point";
		c->binding.data = (unsigned char *)pool_strndup(c->pool,
		    who->end_point, who->end_point_length);
		c->binding.length = who->end_point_length;
	}
}

/* The undo of a forgotten one. */
static void
end_with_pool(void *arg)
{
	sasl_client_end(arg);
}

struct sasl_client *
sasl_client_new(struct pool *pool, const char *offered, const char *allowed,
    unsigned forbidden, unsigned needed, const struct sasl_credentials *who,
    const char **why)
{
	const struct mechanism	*m;
	struct sasl_client	*c;

	*why = "no mechanism available";
	if ((m = choose(offered, allowed, forbidden, needed, who)) == NULL)
		return NULL;
	*why = "control characters in the credentials";
	if (!is_clean(who->user) || !is_clean(who->authorize) ||
	    !is_clean(who->token) || !is_clean(who->host))
		return NULL;
	c = pool_alloc(pool, sizeof(*c));
	c->pool = pool_new("sasl", 0);
	pool_make_secret(c->pool);
	pool_on_free(pool, end_with_pool, c);
	c->mechanism = m;
	c->complaint = "";
	c->could_bind = !m->is_plus && !is_offered(offered,
	    "SCRAM-SHA-256-PLUS") &&
	    (who->exporter_length > 0 || who->end_point_length > 0);
	keep(c, who);
	str_init(&c->response, c->pool, 0);
	if (m->step != scram || scram_start(c, why))
		return c;
	sasl_client_end(c);
	return NULL;
}

const char *
sasl_client_mechanism(const struct sasl_client *c)
{
	return c->mechanism->name;
}

/* A response in base64; what it was made of is forgotten. */
static const char *
encode(struct sasl_client *c, const char *said)
{
	struct str	text;

	str_init(&text, c->pool, 0);
	if (said == c->response.data)
		base64_encode(&text, said, c->response.len);
	else
		base64_encode(&text, said, strlen(said));
	str_clear(&c->response);
	return text.data;
}

const char *
sasl_client_initial(struct sasl_client *c)
{
	const char	*said, *why;

	CLAIM(c->number == 0 && c->pool != NULL);
	said = c->mechanism->step(c, "", 0, &why);
	c->number = 1;
	if (said == NULL)
		return NULL;
	said = encode(c, said);
	return *said == '\0' ? "=" : said;
}

const char *
sasl_client_answer(struct sasl_client *c, const char *challenge,
    const char **why)
{
	size_t		 len = strlen(challenge);
	const char	*said;
	char		*data;
	ssize_t		 n;

	CLAIM(c->number > 0 && c->pool != NULL);
	*why = "the server's challenge is too long";
	if (len > SASL_DATA_MAX)
		return NULL;
	data = pool_alloc(c->pool, CHALLENGE_MAX + 1);
	*why = "the server's challenge is no base64";
	if ((n = base64_decode(data, challenge, len)) == -1)
		return NULL;
	said = c->mechanism->step(c, data, (size_t)n, why);
	c->number++;
	return said == NULL ? NULL : encode(c, said);
}

const char *
sasl_client_complaint(const struct sasl_client *c)
{
	return c->complaint;
}

bool
sasl_client_is_satisfied(struct sasl_client *c)
{
	return (c->mechanism->properties & SASL_MUTUAL) == 0 || c->is_proven;
}

/* Y2. */
void
sasl_client_end(struct sasl_client *c)
{
	if (c == NULL || c->pool == NULL)
		return;
	if (c->scram != NULL)
		scram_client_wipe(c->scram);
	c->scram = NULL;
	c->complaint = "";
	pool_free(c->pool);
	c->pool = NULL;
}
