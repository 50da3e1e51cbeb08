/*
 * auth_mechanism.c - PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login) and
 * SCRAM-SHA-256 with or without channel binding (scram.h).
 *
 * A mechanism is a function that takes what the client said and tells what to
 * answer; what it has to remember is in the dialogue.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/sasl/sasl.h"
#include "resolve/auth.h"

struct dialogue {
	struct pool		*pool;
	void			(*step)(struct dialogue *, struct pool *,
				    const struct bytes *, struct auth_step *);
	bool			 has_spoken;
	char			*login;		/* of LOGIN, first */
	struct scram_server	*scram;
	const char		*wrong;		/* why no proof can be good */
	char			*user;
	const char		*client;	/* his address */
};

/* --- answers ------------------------------------------------------------- */

/* What came of it, and why. */
static void
answer(struct auth_step *to, struct pool *pool, enum sasl_result result,
    const char *text)
{
	to->result = result;
	to->text = pool_strdup(pool, text);
}

/* A challenge. */
static void
challenge(struct auth_step *to, struct pool *pool, const char *text)
{
	answer(to, pool, SASL_CONTINUE, "");
	to->data.data = pool_strdup(pool, text);
	to->data.len = strlen(text);
}

/* Is it a name that somebody could have: text that logs can show? */
static bool
is_name(const char *name)
{
	const char	*c;

	for (c = name; *c != '\0'; c++)
		if (is_control((unsigned char)*c))
			return false;
	return c > name && c - name <= ADDRESS_MAX &&
	    utf8_is_valid(name, (size_t)(c - name));
}

/* --- passwords ----------------------------------------------------------- */

/* Compare. Whoever is not there costs as much as who is. */
static WAITS void
check_login(struct dialogue *d, char *name, const char *password, size_t len,
    struct auth_step *to)
{
	struct pool		*pool = d->pool;
	struct scram_verifier	 v;
	struct account		 a;
	enum map_result		 found = users_find(pool, name, &a);
	int			 is_right;

	to->user = pool_strdup(pool, name);
	if (found != MAP_FOUND)
		users_decoy(pool, name, &a, &v);
	is_right = check_password(pool, &a, password, len, d->client);
	if (found == MAP_ERROR || is_right == -1)
		answer(to, pool, SASL_UNAVAILABLE, found == MAP_ERROR ?
		    "the table of users cannot be read" :
		    "passwords cannot be checked now");
	else if (found == MAP_NOT_FOUND)
		answer(to, pool, SASL_REFUSED, "user unknown");
	else if (!is_right)
		answer(to, pool, SASL_REFUSED, "wrong password");
	else {
		answer(to, pool, SASL_OK, "");
		to->user = pool_strdup(pool, a.name);
	}
}

/* [authzid] NUL authcid NUL passwd. */
static WAITS void
step_plain(struct dialogue *d, struct pool *pool, const struct bytes *said,
    struct auth_step *to)
{
	char	*authorize, *name, *password, *end;

	if (said == NULL) {
		if (d->has_spoken)
			return answer(to, pool, SASL_MALFORMED, "nothing");
		return challenge(to, pool, "");
	}
	authorize = pool_strndup(d->pool, said->data, said->len);
	end = authorize + said->len;
	name = authorize + strlen(authorize) + 1;
	password = name <= end ? name + strlen(name) + 1 : end + 1;
	if (password > end || password + strlen(password) != end ||
	    password == end || !is_name(name))
		return answer(to, pool, SASL_MALFORMED,
		    "not two names and a password");
	check_login(d, name, password, (size_t)(end - password), to);
	if (to->result == SASL_OK && *authorize != '\0' &&
	    !text_equal(authorize, name))
		answer(to, pool, SASL_REFUSED,
		    "nobody may act as somebody else");
}

/* A name, a password. */
static WAITS void
step_login(struct dialogue *d, struct pool *pool, const struct bytes *said,
    struct auth_step *to)
{
	if (said == NULL)
		return challenge(to, pool, "Username:");
	if (d->login == NULL) {
		d->login = pool_strndup(d->pool, said->data, said->len);
		if (strlen(d->login) != said->len || !is_name(d->login))
			return answer(to, pool, SASL_MALFORMED,
			    "that is no name");
		return challenge(to, pool, "Password:");
	}
	if (said->len == 0)
		return answer(to, pool, SASL_MALFORMED, "no password");
	check_login(d, d->login, pool_strndup(d->pool, said->data,
	    said->len), said->len, to);
}

/* --- SCRAM --------------------------------------------------------------- */

/* Who is it, and what do we know of him? */
static void
begin_scram(struct dialogue *d, struct pool *pool, const struct bytes *said,
    struct auth_step *to)
{
	struct scram_verifier	 v;
	struct account		 a;
	enum map_result		 found;
	const char		*why, *name;

	why = scram_server_first(d->scram, said->data, said->len);
	name = scram_server_user(d->scram);
	to->user = is_name(name) ? pool_strdup(pool, name) : to->user;
	if (why != NULL || !is_name(name))
		return answer(to, pool, SASL_MALFORMED, why != NULL ? why :
		    "that is no name");
	if ((found = users_find(d->pool, name, &a)) == MAP_ERROR)
		return answer(to, pool, SASL_UNAVAILABLE,
		    "the table of users cannot be read");
	d->user = pool_strdup(d->pool, found == MAP_FOUND ? a.name : name);
	if (found == MAP_NOT_FOUND)
		d->wrong = "user unknown";
	else if (a.verifier == NULL || !scram_verifier_parse(&v, a.verifier))
		d->wrong = "he has no verifier for SCRAM";
	if (d->wrong != NULL)
		users_decoy(d->pool, name, &a, &v);
	/* The salt is his own, as it is without this wish. */
	else if (*scram_server_authorize(d->scram) != '\0' &&
	    !text_equal(scram_server_authorize(d->scram), name))
		d->wrong = "nobody may act as somebody else";
	challenge(to, pool, scram_server_challenge(d->scram, &v));
	explicit_bzero(&v, sizeof(v));
}

/* The proof. */
static void
finish_scram(struct dialogue *d, struct pool *pool, const struct bytes *said,
    struct auth_step *to)
{
	const char		*reply, *why;
	enum scram_verdict	 verdict;

	verdict = scram_server_finish(d->scram, said->data, said->len, &reply,
	    &why);
	to->user = pool_strdup(pool, d->user);
	if (verdict == SCRAM_MALFORMED)
		answer(to, pool, SASL_MALFORMED, why);
	else if (d->wrong != NULL || verdict == SCRAM_IS_NOT)
		answer(to, pool, SASL_REFUSED, d->wrong != NULL ? d->wrong :
		    why);
	else {
		challenge(to, pool, reply);
		answer(to, pool, SASL_OK, "");
	}
	scram_server_wipe(d->scram);
}

/* Two messages of the client. */
static void
step_scram(struct dialogue *d, struct pool *pool, const struct bytes *said,
    struct auth_step *to)
{
	if (said == NULL)
		challenge(to, pool, "");
	else if (d->user == NULL)
		begin_scram(d, pool, said, to);
	else
		finish_scram(d, pool, said, to);
}

/* --- all of them --------------------------------------------------------- */

static const struct mechanism {
	const char	*name;
	void		(*step)(struct dialogue *, struct pool *,
			    const struct bytes *, struct auth_step *);
	bool		 is_scram, is_plus;
} mechanisms[] = {
	{ "PLAIN",		step_plain,	false,	false },
	{ "LOGIN",		step_login,	false,	false },
	{ "SCRAM-SHA-256",	step_scram,	true,	false },
	{ "SCRAM-SHA-256-PLUS",	step_scram,	true,	true },
};

/* For EHLO; -PLUS is for those who have a channel to bind. */
const char *
mechanisms_offered(void)
{
	return users_have_verifiers() ?
	    "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" : "PLAIN LOGIN";
}

/* The state of SCRAM, with the bindings that smtpd knows. */
static struct scram_server *
new_scram(struct pool *pool, const struct mechanism *m,
    const struct authenticate *ask)
{
	struct scram_binding	bindings[2];
	size_t			count = 0;

	if (ask->exporter.len > 0)
		bindings[count++] = (struct scram_binding){ "tls-exporter",
		    ask->exporter.data, ask->exporter.len };
	if (ask->end_point.len > 0)
		bindings[count++] = (struct scram_binding){
		    "tls-server-end-point", ask->end_point.data,
		    ask->end_point.len };
	return scram_server_new(pool, m->is_plus, bindings, count, NULL);
}

/* Begin one. */
struct dialogue *
dialogue_new(struct pool *pool, const struct authenticate *ask)
{
	const struct mechanism	*m = mechanisms;
	size_t			 i = 0, n = sizeof(mechanisms) /
				    sizeof(mechanisms[0]);
	struct dialogue		*d;

	while (i < n && !text_equal(m[i].name, ask->mechanism))
		i++;
	if (i == n || (m[i].is_scram && !users_have_verifiers()))
		return NULL;
	d = pool_alloc(pool, sizeof(*d));
	d->pool = pool;
	d->step = m[i].step;
	d->client = pool_strdup(pool, ask->client_address);
	if (m[i].is_scram)
		d->scram = new_scram(pool, &m[i], ask);
	return d;
}

/* One step of it; the answer is in the pool. */
WAITS void
dialogue_step(struct dialogue *d, struct pool *pool, const struct bytes *said,
    struct auth_step *to)
{
	memset(to, 0, sizeof(*to));
	to->user = pool_strdup(pool, "");
	to->data.data = "";
	d->step(d, pool, said, to);
	d->has_spoken = true;
}
