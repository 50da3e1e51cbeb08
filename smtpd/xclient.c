/*
 * xclient.c - XCLIENT and XFORWARD: a client speaks for somebody else.
 *
 * Called through commands.c. After XCLIENT, which a proxy or a test sends, the
 * session is that of the client it names, from 220 on. XFORWARD, which a
 * filter sends that gives mail back, changes nothing but what is told of the
 * message: in the log, and to who gets it next by XFORWARD again.
 *
 * P1  Neither is heard from whom smtpd_authorized_xclient_hosts or
 *     smtpd_authorized_xforward_hosts does not name, and who became somebody
 *     else by XCLIENT may do what that one may.
 */

#include "smtpd/xclient.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/mail/origin.h"
#include "common/param/site.h"

#include "smtpd/auth.h"
#include "smtpd/client.h"
#include "smtpd/commands.h"
#include "smtpd/replies.h"

enum { FORWARDED_MEMORY = 16 * 1024 };

struct forwarded {
	struct pool	*pool;
	struct origin	 attributes;
};

/* What both refuse. */
WAITS static int
check(struct session *s, bool is_authorized, const char *keyword)
{
	if (s->mail != NULL)
		return say(s, REPLY_IN_TRANSACTION);
	if (!is_authorized || !extension_is_offered(s, keyword))
		return say(s, REPLY_NOT_AUTHORIZED);
	return DONE;
}

/* The client has another name in this session; what it said so far was said by
 * somebody else. */
static void
begin_again(struct session *s, const struct origin *f)
{
	xforward_forget(s);
	s->is_denied = s->is_extended = false;
	auth_forget(s);
	s->helo[0] = '\0';
	client_become(s, f);
	if (f->values[ORIGIN_HELO] != NULL)
		snprintf(s->helo, sizeof(s->helo), "%s",
		    f->values[ORIGIN_HELO]);
	if (f->values[ORIGIN_PROTO] != NULL)
		s->is_extended = text_equal(f->values[ORIGIN_PROTO],
		    "ESMTP");
}

int
command_xclient(struct session *s, char *args)
{
	struct origin	 f = { { NULL } };
	struct pool	*pool;
	const char	*why;
	int		 result;

	if ((result = check(s, s->may_xclient, "XCLIENT")) != DONE)
		return result;
	if (pool_is_over(s->pool)) {
		s->is_over = true;
		return say(s, REPLY_TOO_MANY_ERRORS, site.myhostname);
	}
	pool = pool_new("XCLIENT", 0);
	why = origin_parse(&f, pool, ORIGIN_XCLIENT, args);
	if (why != NULL) {
		result = say(s, REPLY_BAD_ATTRIBUTE, why);
	} else {
		begin_again(s, &f);
		if ((result = session_greet(s)) == REFUSED)
			s->is_over = true;
	}
	pool_free(pool);
	return result;
}

int
command_xforward(struct session *s, char *args)
{
	struct pool	*pool;
	const char	*why;
	int		 result;

	if ((result = check(s, s->may_xforward, "XFORWARD")) != DONE)
		return result;
	if (s->forwarded != NULL && pool_is_over(s->forwarded->pool))
		return say(s, REPLY_BAD_ATTRIBUTE,
		    "Error: too many attributes");
	if (s->forwarded == NULL) {
		pool = pool_new("XFORWARD", FORWARDED_MEMORY);
		s->forwarded = pool_alloc(pool, sizeof(*s->forwarded));
		s->forwarded->pool = pool;
	}
	why = origin_parse(&s->forwarded->attributes, s->forwarded->pool,
	    ORIGIN_XFORWARD, args);
	if (why != NULL)
		return say(s, REPLY_BAD_ATTRIBUTE, why);
	return say(s, REPLY_OK);
}

void
xforward_forget(struct session *s)
{
	if (s->forwarded == NULL)
		return;
	pool_free(s->forwarded->pool);
	s->forwarded = NULL;
}

/* --- what becomes of it --------------------------------------------------- */

/* One of its values; NULL when it was not given. */
static const char *
value_of(const struct session *s, enum origin_attribute a)
{
	return s->forwarded == NULL ? NULL :
	    s->forwarded->attributes.values[a];
}

char *
xforward_text(const struct session *s)
{
	struct str	text;

	str_init(&text, s->mail->pool, 0);
	if (s->forwarded != NULL)
		origin_format(&text, &s->forwarded->attributes,
		    ORIGIN_XFORWARD);
	return text.data;
}

int64_t
xforward_flags(const struct session *s)
{
	const char	*source = value_of(s, ORIGIN_SOURCE);

	if (source == NULL || *source == '\0')
		return 0;
	return text_equal(source, "LOCAL") ? MAIL_FROM_OURS :
	    MAIL_FROM_OTHERS;
}

const char *
xforward_note(const struct session *s)
{
	struct pool	*pool = s->mail->pool;
	const char	*name = value_of(s, ORIGIN_NAME),
			*address = value_of(s, ORIGIN_ADDR),
			*ident = value_of(s, ORIGIN_IDENT),
			*note = auth_note(s, pool);

	if (ident != NULL && *ident != '\0')
		note = pool_printf(pool, "%s, orig_queue_id=%s", note, ident);
	if (name == NULL && address == NULL)
		return note;
	note = pool_printf(pool, "%s, orig_client=%s", note, name == NULL ||
	    *name == '\0' ? "unknown" : name);
	return address == NULL ? note : pool_printf(pool, "%s[%s]", note,
	    *address == '\0' ? "unknown" : address);
}
