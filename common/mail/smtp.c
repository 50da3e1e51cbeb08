/*
 * smtp.c - the grammar of SMTP commands, their parameters and replies.
 *
 * The bytes of a message on their way in and out are in smtp_data.c.
 */
#include "common/mail/smtp.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"

enum {
	PARAMETERS_MAX	= 32,		/* no command has ten */
	REPLY_LINES_MAX	= 10000		/* more than anybody means to say */
};

/* Cut a command line into its verb and the rest. */
void
smtp_split_command(char *line, char **verb, char **args)
{
	size_t	len = strlen(line);

	while (len > 0 && is_blank(line[len - 1]))
		len--;
	line[len] = '\0';

	*verb = line;
	line += strcspn(line, " \t");
	if (*line != '\0')
		*line++ = '\0';
	*args = line + strspn(line, " \t");
}

/* RFC 5321 4.1.2: a letter or digit, then those and hyphens. */
static size_t
keyword_length(const char *text)
{
	size_t	len = 0;

	if (!is_alnum(text[0]))
		return 0;
	while (is_alnum(text[len]) || text[len] == '-')
		len++;
	return len;
}

/* Anything but controls, space and "="; beyond ASCII by RFC 6531 3.3. XVERP
 * is older than that grammar: "=" is one of its delimiters. */
static size_t
value_length(const char *text, bool has_equal)
{
	size_t	len = 0;

	while ((unsigned char)text[len] > ' ' &&
	    (text[len] != '=' || has_equal) && text[len] != 0x7f)
		len++;
	return len;
}

/* Read "KEYWORD" or "KEYWORD=value" and move behind it. */
static const char *
parse_parameter(struct pool *pool, const char **text,
    struct smtp_parameter *p)
{
	const char	*at = *text;
	size_t		 len;

	if ((len = keyword_length(at)) == 0)
		return "a parameter must begin with a letter or digit";
	p->keyword = pool_strndup(pool, at, len);
	p->value = NULL;
	at += len;
	if (*at == '=') {
		at++;
		len = value_length(at, text_equal(p->keyword, "XVERP"));
		if (len == 0)
			return "a parameter has no value behind its \"=\"";
		if (!utf8_is_valid(at, len))
			return "a parameter is not valid UTF-8";
		p->value = pool_strndup(pool, at, len);
		at += len;
	}
	if (*at != ' ' && *at != '\0')
		return "a parameter has a character that is not allowed";
	*text = at;
	return NULL;
}

/* Is the last of them there already? */
static bool
is_repeated(const struct smtp_parameter *list, size_t last)
{
	size_t	i;

	for (i = 0; i < last; i++)
		if (text_equal(list[i].keyword, list[last].keyword))
			return true;
	return false;
}

/* Parse all that follows a path. */
const char *
smtp_parse_parameters(struct pool *pool, const char *text,
    struct smtp_parameter **list, size_t *count)
{
	const char	*why;
	size_t		 n = 0;

	*list = pool_array(pool, PARAMETERS_MAX, sizeof(**list));
	*count = 0;
	if (*text != '\0' && *text != ' ')
		return "a space is missing before the parameters";
	for (text += strspn(text, " "); *text != '\0';
	    text += strspn(text, " ")) {
		if (n == PARAMETERS_MAX)
			return "there are too many parameters";
		if ((why = parse_parameter(pool, &text, &(*list)[n])) != NULL)
			return why;
		if (is_repeated(*list, n))
			return "a parameter is given twice";
		n++;
	}
	*count = n;
	return NULL;
}

/* Begin a reply; its text is cut at the limit. */
void
smtp_reply_start(struct smtp_reply *r, struct pool *pool, size_t limit)
{
	r->code = 0;
	str_init(&r->text, pool, limit);
	r->dsn[0] = '\0';
	r->lines = 0;
	r->is_complete = false;
}

/* RFC 5321 4.2: three digits, the first from 2 to 5; 0 if there is no code. */
static int
reply_code(const char *line)
{
	if (line[0] < '2' || line[0] > '5' || !is_digit(line[1]) ||
	    !is_digit(line[2]))
		return 0;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
}

/* Append a line's text; control bytes become '?' since we print it later. */
static void
add_reply_text(struct str *to, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char	c = (unsigned char)*text;

		str_add_char(to, c == '\t' ? ' ' : is_control(c) ? '?' : *text);
	}
}

/* The enhanced code of the first line whose class is that of the reply. */
static void
find_reply_dsn(struct smtp_reply *r)
{
	const char	*line = r->text.data;
	size_t		 len;

	for (;;) {
		len = dsn_find(line, r->code);
		if (len > 0 && len < sizeof(r->dsn)) {
			memcpy(r->dsn, line, len);
			r->dsn[len] = '\0';
			return;
		}
		if ((line = strchr(line, '\n')) == NULL)
			return;
		line++;
	}
}

/*
 * Take one more line. Lines that disagree about the code are survived: the
 * last one counts, as the sender stays in step by it (RFC 5321 4.2.1).
 */
const char *
smtp_reply_add(struct smtp_reply *r, const char *line)
{
	int	code = reply_code(line);

	if (r->is_complete)
		return "a line behind the end of the reply";
	if (code == 0)
		return "a reply must begin with a code from 200 to 599";
	if (line[3] != ' ' && line[3] != '-' && line[3] != '\0')
		return "a reply code must be followed by a space or hyphen";
	if (r->lines++ == REPLY_LINES_MAX)
		return "the reply has too many lines";

	r->code = code;
	if (r->lines > 1)
		str_add_char(&r->text, '\n');
	if (line[3] != '\0')
		add_reply_text(&r->text, line + 4);
	if (line[3] != '-') {
		find_reply_dsn(r);
		r->is_complete = true;
	}
	return NULL;
}

/*
 * Look a keyword up in the lines behind the greeting. Old servers write
 * "AUTH=LOGIN", so that "=" separates like a space.
 */
bool
smtp_ehlo_find(const char *text, const char *keyword, char *parameters,
    size_t size)
{
	size_t	len = strlen(keyword), left;

	if (size > 0)
		parameters[0] = '\0';
	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		text += strspn(text, " ");
		left = strcspn(text, "\n");
		if (left < len || !text_equal_mem(keyword, text, len) ||
		    (left > len && strchr(" =", text[len]) == NULL))
			continue;
		text += len;
		text += strspn(text, " =");
		left = strcspn(text, "\n");
		if (size > 0) {
			left = left < size ? left : size - 1;
			memcpy(parameters, text, left);
			parameters[left] = '\0';
		}
		return true;
	}
	return false;
}
