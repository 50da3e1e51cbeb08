/*
 * postmaster.c - what the postmaster is told, and the letters about sessions.
 *
 * The part of bounce that knows notify_classes. smtpd and smtp send the
 * transcript of a session that went wrong; a letter is made of it unless there
 * were many already: an attacker must not be able to fill the postmaster's
 * mailbox, nor the disk.
 *
 * P1  Letters go out LETTERS_AT_ONCE at once, then one every LETTER_EVERY;
 *     each says how many were left out before it.
 */
#include "qmgr/postmaster.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/param/site.h"
#include "qmgr/post.h"

enum {
	LETTERS_AT_ONCE = 10,
	LETTER_EVERY = 60 * 1000,
	LINE_MAX_LEN = 900
};

static struct {
	char	*classes, *bounce, *second_bounce, *delay, *error, *sender;
} set;

const struct param	postmaster_params[] = {
	PARAM_STRING("notify_classes", set.classes, "resource, software", 0,
	    0, "What the postmaster is told: bounce, 2bounce, delay, data, "
	    "policy, protocol, resource, software."),
	PARAM_STRING("bounce_notice_recipient", set.bounce, "postmaster", 1,
	    512, "Who gets the headers of mail that is returned, if "
	    "notify_classes has bounce."),
	PARAM_STRING("2bounce_notice_recipient", set.second_bounce,
	    "postmaster", 1, 512, "Who gets reports that cannot be returned, "
	    "if notify_classes has 2bounce or bounce."),
	PARAM_STRING("delay_notice_recipient", set.delay, "postmaster", 1,
	    512, "Who gets the headers of delayed mail, if notify_classes has "
	    "delay."),
	PARAM_STRING("error_notice_recipient", set.error, "postmaster", 1,
	    512, "Who gets transcripts of sessions that went wrong, by the "
	    "other words of notify_classes."),
	PARAM_STRING("double_bounce_sender", set.sender, "double-bounce", 1,
	    512, "The sender of what the postmaster gets. Mail from it that "
	    "cannot be delivered is dropped."),
	PARAM_END
};

static const struct { const char *word; unsigned class; }	classes[] = {
	{ "bounce",	NOTIFY_BOUNCE },
	{ "2bounce",	NOTIFY_2BOUNCE },
	{ "delay",	NOTIFY_DELAYED },
	{ "data",	NOTIFY_DATA },
	{ "policy",	NOTIFY_POLICY },
	{ "protocol",	NOTIFY_PROTOCOL },
	{ "resource",	NOTIFY_RESOURCE },
	{ "software",	NOTIFY_SOFTWARE }
};

static unsigned			 wanted;
static const char		*own_sender;
static struct letter_rate	 rate;

/* --- who is told what ---------------------------------------------------- */

/* One word. */
static unsigned
class_of(const char *word)
{
	size_t	i;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (text_equal(classes[i].word, word))
			return classes[i].class;
	return 0;
}

/* A list of words. */
const char *
classes_parse(struct pool *pool, const char *list, unsigned *bits)
{
	size_t	 count, i;
	char	**words = text_words(pool, list, &count);
	unsigned class;

	*bits = 0;
	for (i = 0; i < count; i++) {
		if ((class = class_of(words[i])) == 0)
			return words[i];
		*bits |= class;
	}
	return NULL;
}

/* An address with a domain. */
static const char *
complete(struct pool *pool, const char *address)
{
	return strchr(address, '@') != NULL ? address :
	    pool_printf(pool, "%s@%s", address, site.myorigin);
}

/* Once, after the configuration was read; what is made here stays. */
const char *
postmaster_prepare(void)
{
	struct pool	*pool = pool_new("postmaster", 0);
	const char	*word;

	own_sender = complete(pool, set.sender);
	set.bounce = (char *)(uintptr_t)complete(pool, set.bounce);
	set.second_bounce = (char *)(uintptr_t)complete(pool,
	    set.second_bounce);
	set.delay = (char *)(uintptr_t)complete(pool, set.delay);
	set.error = (char *)(uintptr_t)complete(pool, set.error);
	if ((word = classes_parse(pool, set.classes, &wanted)) != NULL)
		return pool_printf(pool, "notify_classes: %s is none of "
		    "bounce, 2bounce, delay, data, policy, protocol, "
		    "resource, software", word);
	return NULL;
}

/* On? */
bool
postmaster_wants(unsigned bits)
{
	return (wanted & bits) != 0;
}

/* Each class has its reader. */
const char *
postmaster_address(unsigned bits)
{
	bits &= wanted;
	if (bits & NOTIFY_2BOUNCE)
		return set.second_bounce;
	if (bits & NOTIFY_BOUNCE)
		return set.bounce;
	return bits & NOTIFY_DELAYED ? set.delay : set.error;
}

/* Whether it is "bounce" or "2bounce" that is on. */
const char *
postmaster_2bounce(void)
{
	return set.second_bounce;
}

/* Whom the postmaster's mail is from. */
const char *
postmaster_sender(void)
{
	return own_sender;
}

/* Is it that one? */
bool
postmaster_is_sender(const char *address)
{
	return text_equal(address, own_sender);
}

/* --- letters about sessions ---------------------------------------------- */

/* A bucket that holds LETTERS_AT_ONCE and gets one more every LETTER_EVERY. */
bool
letter_is_due(struct letter_rate *r, int64_t now, unsigned *left_out)
{
	if (r->allowed_from < now - LETTERS_AT_ONCE * LETTER_EVERY)
		r->allowed_from = now - LETTERS_AT_ONCE * LETTER_EVERY;
	if (r->allowed_from + LETTER_EVERY > now) {
		r->left_out++;
		return false;
	}
	r->allowed_from += LETTER_EVERY;
	*left_out = r->left_out;
	r->left_out = 0;
	return true;
}

/* A line of the transcript: indented, printable, not too long for mail. */
static void
add_line(struct str *to, const char *line, size_t len)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	str_add_char(to, ' ');
	str_add_escaped(to, line, len < LINE_MAX_LEN / 4 ? len :
	    LINE_MAX_LEN / 4);
	str_add(to, len < LINE_MAX_LEN / 4 ? "\r\n" : "...\r\n");
}

/* The transcript. */
static void
add_lines(struct str *to, const char *lines)
{
	size_t	len;

	while (*lines != '\0') {
		len = strcspn(lines, "\n");
		add_line(to, lines, len);
		lines += len;
		lines += *lines == '\n';
	}
}

/* Which program sent it, as people call it. */
static const char *
program_of(const struct request *r)
{
	return strcmp(r->peer, "smtpd") == 0 ? "SMTP server" : "SMTP client";
}

/* The header of the letter. */
static void
add_header(struct str *to, const struct request *r, const char *address)
{
	const struct transcript	*t = r->object;
	char			 date[CLOCK_DATE_SIZE];
	int64_t			 now = clock_wall_us();
	uint64_t		 random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	clock_mail_date(date, sizeof(date), (time_t)(now / 1000000));
	str_addf(to, "Date: %s\r\n"
	    "From: MAILER-DAEMON@%s (Mail Delivery System)\r\n"
	    "To: %s\r\n"
	    "Message-ID: <%jx.%jx@%s>\r\n"
	    "Subject: Postrider %s: errors from ", date, site.myhostname,
	    address, (uintmax_t)now, (uintmax_t)random, site.myhostname,
	    program_of(r));
	str_add_escaped(to, t->peer, strlen(t->peer));
	str_add(to, "\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
}

/* The letter. */
static void
add_letter(struct str *to, const struct request *r, const char *address,
    unsigned left_out)
{
	const struct transcript	*t = r->object;

	add_header(to, r, address);
	str_addf(to, "This is the mail system of %s.\r\n\r\n"
	    "A session went wrong (%s). This is what was said:\r\n\r\n",
	    site.myhostname, t->class);
	add_lines(to, t->lines);
	if (t->queue_id[0] != '\0')
		str_addf(to, "\r\nThe message is %s; see the log.\r\n",
		    t->queue_id);
	if (left_out > 0)
		str_addf(to, "\r\n%u more sessions went wrong since the last "
		    "such letter; to spare you,\r\nthere is no letter about "
		    "them. The log has them all.\r\n", left_out);
}

/* Write it and have it queued: NULL, or why not. */
static WAITS const char *
send_letter(struct request *r, const char *address, unsigned left_out)
{
	struct posting	*p;
	struct queued	 queued;
	struct str	 text;

	str_init(&text, r->pool, 0);
	add_letter(&text, r, address, left_out);
	p = post_open(r->pool, own_sender, address, 0);
	if (p == NULL)
		return strerror(errno);
	if (post_text(p, &text) == -1) {
		posting_abandon(p);
		return strerror(errno);
	}
	if (posting_finish(p, &queued, clock_now() + POST_PATIENCE) == -1)
		return strerror(errno);
	return queued.code / 100 == 2 ? NULL : queued.reply;
}

/* A session went wrong. */
void
on_transcript(struct request *r)
{
	const struct transcript	*t = r->object;
	struct bounced		 answer = { .code = 250,
				    .queue_id = (char *)(uintptr_t)"",
				    .text = (char *)(uintptr_t)"" };
	const char		*why = NULL;
	unsigned		 bits, left_out;

	/* Words that we do not know ask for nothing. */
	(void)classes_parse(r->pool, t->class, &bits);
	if (daemon_unsupported() == NULL && postmaster_wants(bits)) {
		if (letter_is_due(&rate, clock_now(), &left_out))
			why = send_letter(r, postmaster_address(bits),
			    left_out);
		else if (rate.left_out == 1)
			log_warning("many sessions go wrong; the postmaster "
			    "gets one letter a minute about them");
	}
	if (why != NULL)
		log_warning("the postmaster cannot be told of errors from %s: "
		    "%s", t->peer, why);
	(void)channel_reply(r, PACKET_BOUNCED, &answer);
}
