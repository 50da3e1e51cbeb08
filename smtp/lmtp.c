/*
 * lmtp.c - what is different when we are called lmtp (RFC 2033).
 *
 * The rows that only lmtp has, and UNIX sockets, which are outside of our
 * jail: resolve connects and passes the descriptor, if the route of the
 * recipient really leads there. That each recipient has an answer of its own
 * behind the final dot is in data.c.
 */
#include "smtp/lmtp.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/param/site.h"

#include "smtp/settings.h"

enum { PATIENCE = 30 * 1000 };

const struct param lmtp_params[] = {
	PARAM_BOOL("lmtp_assume_final", set.assumes_final, "no",
	    "A host that offers no DSN delivers for good: a report of success "
	    "says \"delivered\", not \"relayed\"."),
	PARAM_END
};

/* Ask resolve for the connection. */
int
lmtp_dial(struct delivery *d, const struct target *target,
    struct failure *failure)
{
	struct deliver	*mail = d->mail;
	struct ask_dial	 ask = {
		.endpoint = (char *)(uintptr_t)target->path,
		.transport = mail->transport,
		.address = mail->recipients[0].address,
		.sender = mail->sender,
		.message = mail->message
	};
	struct dialed	 answer;
	const char	*why;
	size_t		 len;

	answer.socket = -1;
	if (link_ask(to_resolve, PACKET_ASK_DIAL, &ask, PACKET_DIALED,
	    &answer, d->pool, clock_now() + PATIENCE, true) == -1) {
		failure->why = pool_printf(d->pool, "connect to %s[%s]: "
		    "no answer from resolve", target->host, target->path);
		failure->dsn = "4.3.0";
		failure->is_ours = true;
		return -1;
	}
	if (answer.result == ROUTE_OK && answer.socket != -1)
		return answer.socket;
	/* It names the path, too. */
	len = strlen(target->path);
	why = answer.text;
	if (strncmp(why, target->path, len) == 0 && why[len] == ':')
		why += len + 1 + strspn(why + len + 1, " ");
	failure->why = pool_printf(d->pool, "connect to %s[%s]: %s",
	    target->host, target->path, why);
	return -1;
}
