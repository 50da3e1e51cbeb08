/*
 * greet.c - the greeting, and the pause before it.
 *
 * Called by session.c. A client that talks before it was greeted is a program
 * that does not listen, which is how much spam is sent. Services whose line in
 * master.cf says postscreen wait for them, as Postfix's postscreen does with
 * the same parameters; all may forbid it (smtpd_forbid_unauth_pipelining).
 *
 * P1  Clients in mynetworks never wait, and who has waited once in
 *     postscreen_greet_ttl does not wait again while this process lives.
 */

#include "smtpd/greet.h"

#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/param/site.h"

#include "smtpd/gate.h"
#include "smtpd/hear.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"

enum { GLANCE = 250, PLACES = 8192 };

const struct param greet_params[] = {
	PARAM_TIME("postscreen_greet_wait", set.greet_wait,
	    "${stress?{2}:{6}}s", 1, 600,
	    "How long a service that is called postscreen in master.cf waits "
	    "for clients that talk before the greeting."),
	PARAM_STRING("postscreen_greet_action", set.greet_action, "ignore", 1,
	    20, "What is done about clients that talk before the greeting: "
	    "ignore (log it), enforce (refuse every recipient with 550) or "
	    "drop (hang up with 521)."),
	PARAM_STRING("postscreen_greet_banner", set.greet_banner,
	    "$smtpd_banner", 0, 400,
	    "The first line of the greeting, said before the pause; none, when "
	    "empty."),
	PARAM_TIME("postscreen_greet_ttl", set.greet_ttl, "1d", 1, 31536000,
	    "How long a client that has waited need not wait again."),
	PARAM_STRING("smtpd_refusal_greeting", set.refusal, "", 0, 400,
	    "The greeting of a service that takes no mail at all: 521 or 554 "
	    "and a text; the name of this host is put between."),
	PARAM_END
};

/* Who has waited: one place for many addresses, the last of them wins. */
static struct patient {
	struct inetaddr	 address;
	int64_t		 until;
} patients[PLACES];

static enum { IGNORE, ENFORCE, DROP } action;

void
greet_prepare(void)
{
	static const char *const	names[] = { "ignore", "enforce",
					    "drop" };
	size_t				i;

	for (i = 0; i < 3 && !text_equal(names[i], set.greet_action); i++)
		;
	if (i == 3)
		die("postscreen_greet_action = %s: expected ignore, enforce "
		    "or drop", set.greet_action);
	action = i;
	if (set.refusal[0] != '\0' && !text_starts(set.refusal, "521 ") &&
	    !text_starts(set.refusal, "554 "))
		die("smtpd_refusal_greeting = %s: expected 521 or 554 and a "
		    "text", set.refusal);
}

/* The client's place: by its address alone, whatever the port. */
static struct patient *
place_of(const struct inetaddr *address)
{
	return &patients[hash_bytes(HASH_START, address->bytes,
	    sizeof(address->bytes)) % PLACES];
}

/* Need this client not wait? */
static bool
is_excused(const struct session *s)
{
	const struct patient	*p = place_of(&s->address);

	return strcmp(daemon_command(), "postscreen") != 0 ||
	    s->is_trusted || set.refusal[0] != '\0' ||
	    (p->until > clock_now() &&
	    inetaddr_equal(&p->address, &s->address));
}

/* Wait for input, without reading more than comes at once: 1 when there is
 * some, 0 when there is none in time, -1. */
WAITS static int
watch(struct session *s, int64_t end)
{
	int	result = 0;

	s->is_waiting = true;
	while (result == 0 && clock_now() < end) {
		if (io_has_input(s->io))
			break;
		if (io_is_over(s->io)) {
			errno = ECONNRESET;
			result = -1;
		} else
			result = fiber_sleep(GLANCE);
	}
	s->is_waiting = false;
	return result == -1 ? -1 : io_has_input(s->io);
}

/* Somebody could not wait. */
WAITS static int
meet_early(struct session *s, int64_t start)
{
	const char	*text;
	size_t		 len = io_peek(s->io, &text);
	int64_t		 after = clock_now() - start;

	log_info("PREGREET %zu after %lld.%02lld from [%s]:%u: %.*s", len,
	    (long long)(after / 1000), (long long)(after % 1000 / 10),
	    s->address_text, (unsigned)s->address.port,
	    hear_shown(text, len), text);
	if (action == ENFORCE)
		s->is_early = true;
	if (action != DROP)
		return DONE;
	io_discard_input(s->io);
	s->is_over = true;
	return say(s, REPLY_EARLY_DROP) == GONE ? GONE : REFUSED;
}

int
greet_wait(struct session *s)
{
	int64_t	start = clock_now();
	int	found;

	if (is_excused(s))
		return gate_pipeline(s, "CONNECT", true);
	if (set.greet_banner[0] != '\0' &&
	    (say(s, REPLY_GREETING_PART, set.greet_banner) == GONE ||
	    io_flush(s->io) == -1))
		return GONE;
	if ((found = watch(s, start + set.greet_wait)) == -1)
		return GONE;
	if (found)
		return meet_early(s, start);
	*place_of(&s->address) = (struct patient){ s->address,
	    clock_now() + set.greet_ttl };
	return gate_pipeline(s, "CONNECT", true);
}

int
greet_say(struct session *s)
{
	if (set.refusal[0] == '\0')
		return say(s, REPLY_GREETING, set.banner);
	s->is_denied = true;
	log_info("refused %s: %s", s->ident, set.refusal);
	return say(s, REPLY_REFUSAL, set.refusal, site.myhostname,
	    set.refusal + 4) == GONE ? GONE : DONE;
}

/* RFC 5321 3.1 and RFC 7504 3. */
int
greet_repeat(struct session *s)
{
	if (text_starts(set.refusal, "521"))
		return say(s, REPLY_NO_MAIL_HERE);
	return say(s, REPLY_DENIED, s->ident);
}
