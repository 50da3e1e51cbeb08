/*
 * template.c - what reports say to people, and the file that says it.
 *
 * Called by bounce before it goes to its jail. The file is the
 * administrator's, so mistakes in it are told with their lines; the text goes
 * into mail, so what would break a header or a line of mail is refused here.
 */
#include "qmgr/template.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

enum { LINE_MAX_LEN = 900, VALUE_MAX_LEN = 500 };

const char	template_standard[] =
    "failure_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Undelivered Mail Returned to Sender\n"
    "Postmaster-Subject: Postmaster Copy: Undelivered Mail\n"
    "\n"
    "This is the mail system of $myhostname.\n"
    "\n"
    "Your message could not be delivered to everyone it was meant for. Below\n"
    "are those it did not reach, each with the reason. They will not be tried\n"
    "again.\n"
    "\n"
    "If you need help, write to postmaster@$myhostname\n"
    "and include this report.\n"
    "EOF\n"
    "\n"
    "delay_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Delayed Mail (still being retried)\n"
    "Postmaster-Subject: Postmaster Warning: Delayed Mail\n"
    "\n"
    "This is the mail system of $myhostname.\n"
    "\n"
    "THIS IS A WARNING ONLY. YOU NEED NOT SEND YOUR MESSAGE AGAIN.\n"
    "\n"
    "Your message has not been delivered yet to those below, for the reasons\n"
    "given. It is more than $delay_warning_time_hours hour(s) old, and "
    "will be tried again until it\n"
    "is $maximal_queue_lifetime_days day(s) old.\n"
    "\n"
    "If you need help, write to postmaster@$myhostname\n"
    "and include this report.\n"
    "EOF\n"
    "\n"
    "success_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Successful Mail Delivery Report\n"
    "\n"
    "This is the mail system of $myhostname.\n"
    "\n"
    "Your message was delivered to those below, as you wanted to know. Where\n"
    "it was passed on to a system that does not report, or to the members of\n"
    "a list, you will not hear more.\n"
    "EOF\n"
    "\n"
    "verify_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Mail Delivery Status Report\n"
    "\n"
    "This is the mail system of $myhostname.\n"
    "\n"
    "Below is the report that you asked for: what became of your message at\n"
    "the first attempt, or, if you only asked, what would become of one.\n"
    "EOF\n";

static const char *const	names[TEMPLATES] = {
	[TEMPLATE_FAILURE] = "failure_template",
	[TEMPLATE_DELAY] = "delay_template",
	[TEMPLATE_SUCCESS] = "success_template",
	[TEMPLATE_VERIFY] = "verify_template"
};

/* The file being read, line by line. */
struct source {
	struct pool	*pool;
	const char	*file;
	const char	*at, *end;
	unsigned	 line;		/* of the one that was read last */
};

/* "FILE:LINE: why". */
static const char *
complain(const struct source *s, const char *why)
{
	return pool_printf(s->pool, "%s:%u: %s", s->file, s->line, why);
}

/* The next line without its end, NULL behind the last. */
static char *
next_line(struct source *s)
{
	const char	*end;
	char		*line;
	size_t		 len;

	if (s->at >= s->end)
		return NULL;
	end = memchr(s->at, '\n', (size_t)(s->end - s->at));
	if (end == NULL)
		end = s->end;
	len = (size_t)(end - s->at);
	line = pool_strndup(s->pool, s->at, len);
	s->at = end + 1;
	s->line++;
	if (len > 0 && line[len - 1] == '\r')
		line[len - 1] = '\0';
	return line;
}

/* --- the header ---------------------------------------------------------- */

/* Letters and digits, as names of character sets are. */
static bool
is_charset(const char *text)
{
	return *text != '\0' && strlen(text) <= 40 && strspn(text,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_.:+()") == strlen(text);
}

/* May it stand in a header as it is? */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (is_8bit(*text) || is_control((unsigned char)*text))
			return false;
	return true;
}

/* Set a field. */
static const char *
set_field(struct source *s, struct template *t, const char *name,
    const char *value)
{
	if (!is_plain(value) || strlen(value) > VALUE_MAX_LEN)
		return complain(s, "expected plain ASCII text (RFC 2047 "
		    "encodes other letters) of at most 500 bytes");
	if (*value == '\0')
		return complain(s, "expected a value");
	if (text_equal(name, "Charset")) {
		if (!is_charset(value))
			return complain(s, "expected the name of a character "
			    "set");
		t->charset = value;
	} else if (text_equal(name, "From"))
		t->from = value;
	else if (text_equal(name, "Subject"))
		t->subject = value;
	else if (text_equal(name, "Postmaster-Subject"))
		t->postmaster_subject = value;
	else
		return complain(s, "expected Charset, From, Subject or "
		    "Postmaster-Subject, or an empty line");
	return NULL;
}

/* The header, up to the empty line. */
static const char *
read_header(struct source *s, struct template *t)
{
	const char	*why;
	char		*line, *colon;

	for (;;) {
		if ((line = next_line(s)) == NULL)
			return complain(s, "the file ends within a template");
		if (*line == '\0')
			return NULL;
		if ((colon = strchr(line, ':')) == NULL)
			return complain(s, "expected \"Name: value\" or the "
			    "empty line that ends the header");
		*colon = '\0';
		if ((why = set_field(s, t, text_trim(line),
		    text_trim(colon + 1))) != NULL)
			return why;
	}
}

/* --- the text ------------------------------------------------------------ */

/* A line of mail? */
static const char *
check_line(const struct source *s, const struct template *t, const char *line)
{
	if (strlen(line) > LINE_MAX_LEN)
		return complain(s, "the line is longer than 900 bytes");
	for (; *line != '\0'; line++) {
		if (is_control((unsigned char)*line) && *line != '\t')
			return complain(s, "a control character");
		if (is_8bit(*line) && text_equal(t->charset, "us-ascii"))
			return complain(s, "letters other than ASCII want a "
			    "Charset that has them");
	}
	return NULL;
}

/* The text, up to the word. */
static const char *
read_text(struct source *s, struct template *t, const char *word)
{
	const char	*why;
	struct str	 text;
	char		*line;

	str_init(&text, s->pool, 0);
	t->line = s->line + 1;
	for (;;) {
		if ((line = next_line(s)) == NULL)
			return complain(s, pool_printf(s->pool,
			    "the file ends before \"%s\"", word));
		if (strcmp(line, word) == 0)
			break;
		if ((why = check_line(s, t, line)) != NULL)
			return why;
		str_add(&text, line);
		str_add_char(&text, '\n');
	}
	if (text.len == 0)
		return complain(s, "the template has no text");
	t->text = text.data;
	return NULL;
}

/* --- the file ------------------------------------------------------------ */

/* The kind that a name means, TEMPLATES for none. */
static unsigned
kind_of(const char *name)
{
	unsigned	kind;

	for (kind = 0; kind < TEMPLATES; kind++)
		if (strcmp(names[kind], name) == 0)
			break;
	return kind;
}

/* One template, of which the first line has been read. */
static const char *
read_template(struct source *s, char *line, struct template to[TEMPLATES])
{
	struct template	 t = { .charset = "us-ascii",
			    .from = "MAILER-DAEMON (Mail Delivery System)" };
	const char	*why;
	char		*word = strchr(line, '=');
	unsigned	 kind;

	if (word == NULL)
		return complain(s, "expected NAME = <<WORD");
	*word++ = '\0';
	word = text_trim(word);
	if ((kind = kind_of(text_trim(line))) == TEMPLATES)
		return complain(s, "expected failure_template, "
		    "delay_template, success_template or verify_template");
	if (strncmp(word, "<<", 2) != 0)
		return complain(s, "expected <<WORD after the =");
	word = text_trim(word + 2);
	if (*word == '\0' || strpbrk(word, " \t") != NULL)
		return complain(s, "expected one word after <<");
	if ((why = read_header(s, &t)) != NULL ||
	    (why = read_text(s, &t, word)) != NULL)
		return why;
	if (t.subject == NULL)
		t.subject = to[kind].subject;
	if (t.postmaster_subject == NULL)
		t.postmaster_subject = to[kind].postmaster_subject;
	to[kind] = t;
	return NULL;
}

/* The whole file. */
const char *
template_parse(struct pool *pool, const char *file, const char *text,
    size_t len, struct template to[TEMPLATES])
{
	struct source	 s = { pool, file, text, text + len, 0 };
	const char	*why;
	char		*line;

	if (memchr(text, '\0', len) != NULL)
		return pool_printf(pool, "%s: a NUL byte", file);
	while ((line = next_line(&s)) != NULL) {
		line = text_trim(line);
		if (*line == '\0' || *line == '#')
			continue;
		if ((why = read_template(&s, line, to)) != NULL)
			return why;
	}
	return NULL;
}

/* --- $name --------------------------------------------------------------- */

/* Give "delay_warning_time_hours" and its like their values. */
static void
name_units(struct pool *pool, struct maincf *mc, const char *name, char unit)
{
	static const struct { const char *name; int64_t seconds; } units[] = {
		{ "seconds", 1 }, { "minutes", 60 }, { "hours", 3600 },
		{ "days", 86400 }, { "weeks", 7 * 86400 }
	};
	char		*why, *value;
	int64_t		 ms, one;
	size_t		 i;

	value = (char *)(uintptr_t)maincf_value(mc, pool, name, &why);
	if (value == NULL ||
	    text_duration(value, unit, 0, INT32_MAX, &ms) != NULL)
		return;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		one = units[i].seconds * 1000;
		maincf_default(mc, pool_printf(pool, "%s_%s", name,
		    units[i].name), pool_printf(pool, "%jd",
		    (intmax_t)((ms + one / 2) / one)));
	}
}

/* The name behind a dollar sign, NULL when there is none; *at moves on. */
static char *
next_name(struct pool *pool, const char **at, unsigned *line)
{
	size_t	len;

	for (; **at != '\0'; ++*at) {
		if (**at == '\n')
			++*line;
		if (**at != '$')
			continue;
		if ((*at)[1] == '$') {
			++*at;
			continue;
		}
		++*at;
		*at += **at == '{' || **at == '(';
		len = strspn(*at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "abcdefghijklmnopqrstuvwxyz0123456789_");
		if (len > 0)
			return pool_strndup(pool, *at, len);
		--*at;
	}
	return NULL;
}

/* Is every name known? A name that nobody knows would vanish in silence. */
static const char *
check_names(struct pool *pool, const char *file, struct maincf *mc,
    const struct template *t)
{
	const char	*at = t->text;
	unsigned	 line = t->line;
	char		*name;

	while ((name = next_name(pool, &at, &line)) != NULL)
		if (maincf_text(mc, name) == NULL)
			return pool_printf(pool, "%s:%u: $%s is not a "
			    "parameter", file, line, name);
	return NULL;
}

/* Is it still a text of mail, whatever the parameters' values are? */
static const char *
check_expanded(struct pool *pool, const char *file, const struct template *t,
    const char *text)
{
	struct source	 s = { pool, file, text, text + strlen(text),
			    t->line - 1 };
	const char	*why;
	char		*line;

	while ((line = next_line(&s)) != NULL)
		if ((why = check_line(&s, t, line)) != NULL)
			return why;
	return NULL;
}

/* Expand the text of one template. */
const char *
template_expand(struct pool *pool, const char *file, struct maincf *mc,
    struct template *t)
{
	const char	*text, *why;
	char		*problem = NULL;

	name_units(pool, mc, "maximal_queue_lifetime", 'd');
	name_units(pool, mc, "bounce_queue_lifetime", 'd');
	name_units(pool, mc, "delay_warning_time", 'h');
	if ((why = check_names(pool, file, mc, t)) != NULL)
		return why;
	if ((text = maincf_expand(mc, pool, t->text, &problem)) == NULL)
		return pool_printf(pool, "%s:%u: %s", file, t->line,
		    problem != NULL ? problem : "cannot be expanded");
	t->text = text;
	return check_expanded(pool, file, t, text);
}
