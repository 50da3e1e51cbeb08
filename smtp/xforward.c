/*
 * xforward.c - where a message came from at first, for a filter's log.
 *
 * Called by transaction.c before MAIL. Only what the host's EHLO named is
 * sent, in two commands, so that a long name does not make one too long.
 */
#include "smtp/xforward.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/mail/origin.h"

#include "smtp/settings.h"

const struct param xforward_params[] = {
	PARAM_BOOL("smtp_send_xforward_command", set.sends_xforward, "no",
	    "Tell hosts that offer XFORWARD where a message came from."),
	PARAM_TIME("smtp_xforward_timeout", set.xforward_timeout, "300s", 1,
	    3600, "How long to wait for the answer to XFORWARD."),
	PARAM_END
};

/* "unknown" is not known. */
static char *
known(char *value)
{
	static char	nothing[1];

	return strcmp(value, "unknown") == 0 ? nothing : value;
}

/* All that is known of the message. */
static void
fill(struct transaction *t, struct origin *o)
{
	struct deliver	*mail = t->d->mail;
	static char	 nothing[1], local[] = "LOCAL", remote[] = "REMOTE";

	memset(o, 0, sizeof(*o));
	o->values[ORIGIN_NAME] = known(mail->client_name);
	o->values[ORIGIN_ADDR] = known(mail->client_address);
	o->values[ORIGIN_PORT] = mail->client_port == 0 ? nothing :
	    pool_printf(t->pool, "%lld", (long long)mail->client_port);
	o->values[ORIGIN_PROTO] = mail->protocol;
	o->values[ORIGIN_HELO] = mail->helo;
	o->values[ORIGIN_IDENT] = mail->ident[0] != '\0' ? mail->ident :
	    mail->queue_id;
	o->values[ORIGIN_SOURCE] = (mail->flags & MAIL_FROM_OTHERS) != 0 ?
	    remote : local;
}

/* One command, with those of these attributes that the host knows. */
WAITS static int
send_some(struct transaction *t, const struct origin *o, unsigned which)
{
	struct smtp_reply	reply;
	struct str		line;

	if ((which &= t->c->xforward) == 0)
		return 0;
	str_init(&line, t->pool, 0);
	origin_format(&line, o, which);
	t->c->doing = "sending XFORWARD";
	if (connection_say(t->c, "XFORWARD %s", line.data) == -1 ||
	    connection_flush(t->c, set.xforward_timeout) == -1 ||
	    connection_hear(t->c, t->pool, &reply, set.xforward_timeout) == -1)
		return -1;
	if (reply.code == 421 || reply.code < 400) {
		if (reply.code / 100 == 2)
			return 0;
		/* It leaves, or is out of step. */
		t->c->is_broken = true;
		errno = reply.code == 421 ? ECONNRESET : EPROTO;
		return -1;
	}
	log_warning("%s: host %s said: %s (in reply to XFORWARD)",
	    t->d->mail->queue_id, t->c->name,
	    connection_said(t->pool, &reply));
	return 0;
}

bool
xforward_is_wanted(const struct transaction *t)
{
	return set.sends_xforward && t->c->xforward != 0;
}

int
xforward_send(struct transaction *t)
{
	const unsigned	client = 1u << ORIGIN_NAME | 1u << ORIGIN_ADDR |
			    1u << ORIGIN_PORT;
	struct origin	o;

	if (!xforward_is_wanted(t))
		return 0;
	fill(t, &o);
	return send_some(t, &o, client) == -1 ? -1 :
	    send_some(t, &o, ORIGIN_XFORWARD & ~client);
}
