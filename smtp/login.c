/*
 * login.c - who we are to a host: names, passwords and tokens from tables.
 *
 * Called by delivery.c before it looks for a conversation, and by auth.c. What
 * resolve says is in pools of their own, which are wiped when the delivery
 * ends or another host is asked.
 *
 * G1  A conversation that was authenticated serves only mail that would be
 *     authenticated with the same name: the login is a part of the text that
 *     cache.c compares. For one next hop and one host it depends on the
 *     sender alone, so that a conversation can be found by its next hop.
 * G2  A table that cannot be asked, or has a mistake in it, defers the mail:
 *     it is not sent without AUTH.
 */
#include "smtp/login.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/ipc/lookup.h"
#include "common/mail/encode.h"

#include "smtp/settings.h"

enum { TABLE_TIME = 60 * 1000, TOKEN_TIME = 120 * 1000 };

const struct param login_params[] = {
	PARAM_STRING("smtp_sasl_password_maps", set.sasl.password_maps, "", 0,
	    0, "Tables that give \"user:password\" for a sender, a host's "
	    "name or a next hop as it is written ([host]:port)."),
	PARAM_STRING("smtp_sasl_token_maps", set.sasl.token_maps, "", 0, 0,
	    "The same for OAuth: \"user:token\", or \"user\" alone when "
	    "smtp_sasl_oauth_token_command has the token; they go before "
	    "smtp_sasl_password_maps."),
	PARAM_BOOL("smtp_sender_dependent_authentication",
	    set.sasl.is_by_sender, "no", "Look the sender's address up in "
	    "these tables, too, and first: user@domain, @domain."),
	PARAM_END
};

/* The two sorts of tables. */
struct table {
	const char	*parameter;	/* as smtp has it */
	const char	*list;
	bool		 has_tokens;
};

/* --- one answer ----------------------------------------------------------- */

/* The undo of a login that nobody forgot. */
static void
free_login(void *arg)
{
	struct login	*login = arg;

	pool_free(login->pool);
	login->pool = NULL;
}

/* An empty one; it goes with the delivery at the latest. */
static struct login *
new_login(struct delivery *d)
{
	struct login	*login = pool_alloc(d->pool, sizeof(*login));

	login->pool = pool_new("login", 0);
	pool_make_secret(login->pool);
	pool_on_free(d->pool, free_login, login);
	return login;
}

/* Nobody is asked without what was wanted (G2). */
static int
fail(struct delivery *d, struct failure *f, const char *parameter,
    const char *why)
{
	memset(f, 0, sizeof(*f));
	f->dsn = "4.3.0";
	f->relay = "none";
	f->remote = f->diagnostic = "";
	f->why = pool_printf(d->pool, "%s: %s", settings_name(parameter), why);
	f->is_ours = f->is_final = true;
	return -1;
}

/* "user:password", "user:token", "user". NULL, or what is wrong with it. */
static const char *
read_value(struct login *login, char *value, bool has_tokens)
{
	char	*colon = strchr(value, ':');

	if (colon != NULL)
		*colon++ = '\0';
	if (*value == '\0' || (colon == NULL && !has_tokens))
		return has_tokens ? "expected user:token or user" :
		    "expected user:password";
	login->user = value;
	login->is_token = has_tokens;
	login->secret = has_tokens && colon != NULL && *colon == '\0' ?
	    NULL : colon;
	return NULL;
}

/* --- tables --------------------------------------------------------------- */

/* The first of the keys that is there. 1, and *to is set; 0; or -1. */
WAITS static int
ask_table(struct delivery *d, const struct table *table, int64_t how,
    struct key_row *keys, size_t count, struct login **to, struct failure *f)
{
	struct ask_lookup	 ask = {
		.service = pool_strdup(d->pool, settings_service()),
		.parameter = pool_strdup(d->pool,
		    settings_name(table->parameter)),
		.how = how, .keys = keys, .count = count
	};
	struct login		*login = new_login(d);
	struct found		 found;
	const char		*why;

	(void)lookup_ask(to_resolve, &ask, clock_now() + TABLE_TIME,
	    login->pool, &found);
	if (found.result == LOOKUP_TEMPORARY)
		return fail(d, f, table->parameter, found.text);
	if (found.result != LOOKUP_FOUND) {
		free_login(login);
		return 0;
	}
	why = read_value(login, found.value, table->has_tokens);
	if (why != NULL)
		return fail(d, f, table->parameter, pool_printf(d->pool,
		    "the entry of %s: %s", keys[found.which].key, why));
	*to = login;
	return 1;
}

/* Tokens first. 1, 0 or -1. */
WAITS static int
ask_tables(struct delivery *d, int64_t how, struct key_row *keys,
    size_t count, struct login **to, struct failure *f)
{
	const struct table	tables[] = {
		{ "smtp_sasl_token_maps", set.sasl.token_maps, true },
		{ "smtp_sasl_password_maps", set.sasl.password_maps, false }
	};
	size_t			i;
	int			found = 0;

	for (i = 0; i < 2 && found == 0; i++)
		if (tables[i].list[0] != '\0')
			found = ask_table(d, &tables[i], how, keys, count, to,
			    f);
	return found;
}

/* --- for one delivery ----------------------------------------------------- */

/* The name as one word without blanks. */
static const char *
add_word(const struct delivery *d, const char *text, const char *kind,
    const struct login *login)
{
	struct str	word;

	if (login == NULL)
		return text;
	str_init(&word, d->pool, 0);
	str_addf(&word, "%s;%s=", text, kind);
	xtext_encode(&word, login->user);
	return word.data;
}

int
login_find_sender(struct delivery *d, struct failure *f)
{
	struct key_row	key = { d->mail->sender };

	if (!set.sasl.is_enabled || !set.sasl.is_by_sender ||
	    key.key[0] == '\0')
		return 0;
	if (d->sender_login == NULL && ask_tables(d, LOOKUP_ADDRESS, &key, 1,
	    &d->sender_login, f) == -1)
		return -1;
	d->protection = add_word(d, d->protection, "sender-login",
	    d->sender_login);
	return 0;
}

int
login_find(struct delivery *d, const struct nexthop *hop,
    const struct target *t, struct failure *f)
{
	struct key_row	 keys[2] = {
		{ pool_strdup(d->pool, t->host) },
		{ pool_strdup(d->pool, hop->text) }
	};

	if (d->login != NULL && d->login != d->sender_login)
		free_login(d->login);
	d->login = d->sender_login;
	if (!set.sasl.is_enabled || d->login != NULL)
		return 0;
	return ask_tables(d, LOOKUP_KEYS, keys, 2, &d->login, f) == -1 ? -1 :
	    0;
}

const char *
login_protection(const struct delivery *d)
{
	return add_word(d, d->protection, "login", d->login);
}

/* --- tokens --------------------------------------------------------------- */

const char *
login_fetch(struct delivery *d, struct login *login, const char *host)
{
	struct ask_token	 ask = {
		.service = pool_strdup(d->pool, settings_service()),
		.user = login->user, .host = pool_strdup(d->pool, host)
	};
	struct token		 token;

	memset(&token, 0, sizeof(token));
	if (link_ask(to_resolve, PACKET_ASK_TOKEN, &ask, PACKET_TOKEN, &token,
	    login->pool, clock_now() + TOKEN_TIME, true) == -1)
		return pool_printf(d->pool, "no answer from resolve: %s",
		    strerror(errno));
	if (token.result != LOOKUP_FOUND)
		return pool_strdup(d->pool, token.text);
	login->secret = token.value;
	return NULL;
}
