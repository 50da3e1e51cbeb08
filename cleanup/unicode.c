/*
 * unicode.c - mail that needs SMTPUTF8 though nobody said so.
 *
 * Called by headers.c and intake.c. Programs that post mail know nothing of
 * RFC 6531; what they post needs it when an address of the envelope or the
 * head is UTF-8, as written or by our own tables. Mail that is not looked at
 * so stays what it was called: 8-bit text in a head was common long before,
 * and takes its chances. Bytes that are not UTF-8 are no reason either.
 */
#include "cleanup/unicode.h"

#include <string.h>

#include "common/base/bug.h"
#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/param/site.h"

/* A class of mail by who brought it, and how it came. */
static const struct class {
	const char	*name, *origin;
	int64_t		 flag;		/* it has, or 0 */
} classes[] = {
	{ "verify",	"pickup",	MAIL_IS_PROBE },
	{ "sendmail",	"pickup",	0 },
	{ "smtpd",	"smtpd",	0 },
	{ "forward",	"local",	0 },
	{ "bounce",	"bounce",	0 },
	{ "notify",	"bounce",	0 },
	{ "qmqpd",	"qmqpd",	0 }
};
enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };

static char	*autodetect;
static bool	 is_looked_at[CLASSES];

const struct param unicode_params[] = {
	PARAM_STRING("smtputf8_autodetect_classes", autodetect,
	    "sendmail, verify", 0, 0,
	    "Mail that is looked at for UTF-8 in envelope and head, and then "
	    "needs SMTPUTF8 on its way: sendmail, verify, smtpd, forward, "
	    "bounce, notify, qmqpd, all."),
	PARAM_END
};

/* The place of a word among the classes. */
static size_t
find(const char *word)
{
	size_t	i;

	for (i = 0; i < CLASSES; i++)
		if (text_equal(classes[i].name, word))
			return i;
	die("smtputf8_autodetect_classes: %s: expected sendmail, verify, "
	    "smtpd, forward, bounce, notify, qmqpd or all", word);
}

void
unicode_start(void)
{
	struct pool	 *pool = pool_new("classes", 0);
	char		**words;
	size_t		  count, i;
	bool		  is_all = false;

	words = text_words(pool, autodetect, &count);
	memset(is_looked_at, 0, sizeof(is_looked_at));
	for (i = 0; i < count; i++)
		if (text_equal(words[i], "all"))
			is_all = true;
		else
			is_looked_at[find(words[i])] = true;
	for (i = 0; is_all && i < CLASSES; i++)
		is_looked_at[i] = true;
	pool_free(pool);
}

/* UTF-8, and more of it than ASCII? */
static bool
is_utf8(const char *text, size_t len)
{
	return has_8bit(text, len) && utf8_is_valid(text, len);
}

void
unicode_note(struct transaction *t, const char *text, size_t len)
{
	t->has_utf8_head = t->has_utf8_head || is_utf8(text, len);
}

/* Of a class that is looked at? */
static bool
is_of_class(const struct transaction *t)
{
	size_t	i;

	for (i = 0; i < CLASSES; i++)
		if (is_looked_at[i] &&
		    strcmp(classes[i].origin, t->mail.origin) == 0 &&
		    (t->mail.flags & MAIL_IS_PROBE) == classes[i].flag)
			return true;
	return false;
}

/* Does the envelope have UTF-8? */
static bool
has_utf8_envelope(const struct transaction *t)
{
	size_t	i;

	if (is_utf8(t->mail.sender, strlen(t->mail.sender)))
		return true;
	for (i = 0; i < t->count; i++)
		if (is_utf8(t->rows[i].address, strlen(t->rows[i].address)))
			return true;
	return false;
}

void
unicode_decide(struct transaction *t)
{
	if (site.smtputf8_enable && !t->is_again && is_of_class(t) &&
	    (t->has_utf8_head || has_utf8_envelope(t)))
		t->mail.flags |= MAIL_IS_UTF8;
}
