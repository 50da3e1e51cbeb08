/*
 * actions.c - what header_checks and its kin want done.
 *
 * P1  What is not understood, or cannot be done here, postpones the message:
 *     a rule with a mistake in it lets nothing pass.
 */
#include "cleanup/checks.h"

#include <string.h>

#include "common/base/log.h"
#include "common/daemon/peers.h"
#include "common/mail/chars.h"
#include "common/mail/origin.h"

enum { SHOWN = 200 };		/* bytes in the log, as in Postfix */

/* The beginning of the text, on one line. */
static char *
show(struct pool *pool, const struct place *place)
{
	size_t	 len = place->len < SHOWN ? place->len : SHOWN, i, n = 0;
	char	*shown = pool_alloc(pool, len + 1);

	for (i = 0; i < len; i++) {
		if (place->text[i] == '\r' && i + 1 < place->len &&
		    place->text[i + 1] == '\n')
			continue;
		shown[n++] = is_control((unsigned char)place->text[i]) ? '?' :
		    place->text[i];
	}
	shown[n] = '\0';
	return shown;
}

/* The whole line; programs read it. */
void
action_log(struct transaction *t, const char *verb,
    const struct place *place, const char *why)
{
	const struct mail	*m = &t->mail;
	struct pool		*pool = pool_new("log line", 0);
	struct str		 line;

	str_init(&line, pool, 0);
	str_addf(&line, "%s: %s: %s %s from ", t->queue_id, verb,
	    place->context, show(pool, place));
	if (*m->client_address != '\0')
		str_addf(&line, (m->flags & MAIL_SHOWS_PORT) == 0 ?
		    "%s[%s];" : "%s[%s]:%lld;", m->client_name,
		    m->client_address,
		    (long long)m->client_port);
	else
		str_add(&line, "local;");
	str_addf(&line, " from=<%s>", log_address(m->sender));
	if (t->count > 0)
		str_addf(&line, " to=<%s>",
		    log_address(t->rows[0].address));
	if (*m->protocol != '\0')
		str_addf(&line, " proto=%s", origin_protocol(m->protocol));
	if (*m->helo != '\0')
		str_addf(&line, " helo=<%s>", m->helo);
	if (*why != '\0')
		str_addf(&line, ": %s", why);
	log_info("%s", line.data);
	pool_free(pool);
}

/* REJECT "5.7.1 reason" or "4.7.1 reason". */
static void
reject(struct transaction *t, const struct place *place,
    const struct check *check)
{
	const char	*text = *check->text != '\0' ? check->text :
			    "message content rejected";
	int		 code = *check->dsn == '4' ? 451 : 550;
	const char	*why = pool_printf(t->pool, "%s %.400s", check->dsn,
			    text);

	action_log(t, "reject", place, why);
	t->is_logged = true;
	transaction_refuse(t, code, pool_printf(t->pool, "%d %s", code, why));
}

/* One more recipient, of whom the sender hears nothing. */
static void
add_copy(struct transaction *t, const char *address)
{
	t->copies = pool_grow(t->pool, t->copies, &t->copy_room,
	    t->copy_count + 1, sizeof(*t->copies));
	t->copies[t->copy_count++] = pool_strdup(t->pool, address);
}

/* It cannot be done: say so, and let it wait. */
static enum action_result
postpone(struct transaction *t, const struct place *place, const char *why)
{
	log_warning("%s: %s: %s; the message is not accepted",
	    t->queue_id, place->table, why);
	transaction_refuse(t, 451, "451 4.3.5 Server configuration error");
	return ACTION_DROP;
}

/* What is decided about the whole message. */
static void
decide(struct transaction *t, const struct check *check)
{
	switch (check->verb) {
	case CHECK_DISCARD:
		t->is_discarded = true;
		break;
	case CHECK_HOLD:
		t->mail.flags |= MAIL_IS_HELD;
		break;
	case CHECK_FILTER:
		t->mail.filter = pool_strdup(t->pool, check->text);
		break;
	case CHECK_REDIRECT:
		t->redirect = pool_strdup(t->pool, check->text);
		break;
	case CHECK_BCC:
		add_copy(t, check->text);
		break;
	case CHECK_PASS:
		t->is_passed = true;
		break;
	default:
		break;
	}
}

/* Do it. */
enum action_result
action_take(struct transaction *t, struct pool *pool,
    const struct place *place, const char *value, struct check *check)
{
	const char	*why;

	why = check_parse(pool, value, strcmp(place->context, "header") == 0,
	    check);
	if (why != NULL)
		return postpone(t, place, why);
	switch (check->verb) {
	case CHECK_DELAY:
		return postpone(t, place, "DELAY is not supported");
	case CHECK_REJECT:
		reject(t, place, check);
		return ACTION_DROP;
	case CHECK_DUNNO:
		return ACTION_PASS;
	case CHECK_IGNORE:
		return ACTION_DROP;
	default:
		break;
	}
	action_log(t, check_name(check->verb), place, check->text);
	decide(t, check);
	if (check->verb == CHECK_REPLACE)
		return ACTION_REPLACE;
	if (check->verb == CHECK_PREPEND)
		return ACTION_PREPEND;
	return check->verb == CHECK_STRIP || check->verb == CHECK_DISCARD ?
	    ACTION_DROP : ACTION_PASS;
}
