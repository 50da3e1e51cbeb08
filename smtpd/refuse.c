/*
 * refuse.c - the line in the log that goes with a refusal.
 *
 * Called by all who refuse. The shape is the one that pflogsumm, fail2ban and
 * logwatch know: what is not known yet is not shown.
 */

#include "smtpd/refuse.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/daemon/peers.h"

/* Sender and recipient, or the only recipient there is. */
static void
add_addresses(struct str *line, const struct session *s,
    const char *recipient)
{
	if (s->mail == NULL)
		return;
	str_addf(line, " from=<%s>", log_address(s->mail->sender));
	if (recipient == NULL && s->mail->count == 1)
		recipient = s->mail->recipients[0].address;
	if (recipient != NULL)
		str_addf(line, " to=<%s>", log_address(recipient));
}

int
refuse(struct session *s, const char *stage, const char *recipient,
    const char *line)
{
	struct pool	*pool = pool_new("log line", 0);
	struct str	 about;

	str_init(&about, pool, 0);
	add_addresses(&about, s, recipient);
	str_addf(&about, " proto=%s", s->is_extended ? "ESMTP" : "SMTP");
	if (s->helo[0] != '\0')
		str_addf(&about, " helo=<%s>", s->helo);
	log_info("NOQUEUE: reject: %s from %s: %s;%s", stage, s->ident, line,
	    about.data);
	pool_free(pool);
	return say_line(s, line);
}

void
refuse_note_syntax(const struct session *s, const char *verb,
    const char *args)
{
	args += text_starts(args, "FROM:") ? 5 : text_starts(args, "TO:") ? 3 :
	    0;
	args += *args == ' ';
	log_warning("Illegal address syntax from %s in %s command: %.200s",
	    s->ident, verb, args);
}
