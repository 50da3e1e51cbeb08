/*
 * pipe_line.c - what the line of a service pipe in master.cf says.
 *
 * "flags=DRhu user=vmail:vmail argv=/usr/bin/program -d ${recipient}": words
 * of name=value, and behind argv= the command. Read at the start, while the
 * groups of this machine are in sight. A line with a mistake, or with
 * something that is not done here, makes its mail wait.
 */
#include <errno.h>
#include <grp.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"

#include "local/local.h"
#include "local/pipe.h"

struct pipe_line	pipe_line;

static struct pool	*pool;

static const struct { char letter; unsigned flag; } letters[] = {
	{ 'B', PIPE_ADDS_LINE }, { 'D', PIPE_DELIVERED }, { 'F', PIPE_FROM },
	{ 'O', PIPE_ORIGINAL }, { 'R', PIPE_RETURN_PATH },
	{ 'X', PIPE_IS_FINAL }, { 'h', PIPE_FOLDS_HOST },
	{ 'q', PIPE_QUOTES }, { 'u', PIPE_FOLDS_USER },
	{ '>', PIPE_QUOTES_FROM }, { '.', PIPE_QUOTES_DOT }
};

/* flags= */
static const char *
read_flags(const char *value)
{
	size_t	i;

	for (; *value != '\0'; value++) {
		for (i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
			if (letters[i].letter == *value)
				break;
		if (i == sizeof(letters) / sizeof(letters[0]))
			return pool_printf(pool, "flag \"%c\" is not known",
			    *value);
		pipe_line.flags |= letters[i].flag;
	}
	if (pipe_line.flags & PIPE_ADDS_LINE)
		pipe_line.run_flags |= RUN_ADDS_LINE;
	if (pipe_line.flags & PIPE_QUOTES_FROM)
		pipe_line.run_flags |= RUN_QUOTES_FROM;
	if (pipe_line.flags & PIPE_QUOTES_DOT)
		pipe_line.run_flags |= RUN_QUOTES_DOT;
	return NULL;
}

/* user=NAME or user=NAME:GROUP; helper looks the name up. */
static const char *
read_user(const char *value)
{
	const struct group	*gr;
	size_t			 len = strcspn(value, ":");

	if (len == 0)
		return "user= names nobody";
	pipe_line.user = pool_strndup(pool, value, len);
	if (strcmp(pipe_line.user, "root") == 0)
		return "user= must not be root";
	if (value[len] == '\0')
		return NULL;
	value += len + 1;
	if (text_integer(value, 1, INT32_MAX, &pipe_line.gid) == NULL)
		return NULL;
	if ((gr = getgrnam(value)) == NULL)
		return pool_printf(pool, "there is no group %s", value);
	if (gr->gr_gid == 0)
		return "the group must not be root's";
	pipe_line.gid = gr->gr_gid;
	return NULL;
}

/* One character of eol=, which may be an escape of C: how many bytes of text
 * it took. */
static size_t
read_escape(const char *value, char *to)
{
	static const char	names[] = "nrtabfv\\";
	static const char	are[] = "\n\r\t\a\b\f\v\\";
	const char		*at;
	size_t			 n;
	unsigned		 code = 0;

	*to = value[0];
	if (value[0] != '\\' || value[1] == '\0')
		return 1;
	if ((at = strchr(names, value[1])) != NULL) {
		*to = are[at - names];
		return 2;
	}
	for (n = 1; n <= 3 && value[n] >= '0' && value[n] <= '7'; n++)
		code = code * 8 + (unsigned)(value[n] - '0');
	if (n > 1)
		*to = (char)code;
	return n;
}

/* eol=\r\n or \015\012 */
static const char *
read_eol(const char *value)
{
	struct str	text;
	char		c;

	str_init(&text, pool, 60);
	while (*value != '\0') {
		value += read_escape(value, &c);
		if (c == '\0')
			return "eol= cannot have a NUL";
		str_add_char(&text, c);
	}
	pipe_line.eol = text.data;
	return text.is_cut ? "eol= is too long" : NULL;
}

/* chroot=: helper goes by its own reading of master.cf. */
static const char *
read_root(char *value)
{
	if (*value != '/')
		return "chroot= is not an absolute path";
	pipe_line.root = value;
	return NULL;
}

/* One word name=value. */
static const char *
read_attribute(const char *name, char *value)
{
	const char	*why;

	if (strcmp(name, "flags") == 0)
		return read_flags(value);
	if (strcmp(name, "user") == 0)
		return read_user(value);
	if (strcmp(name, "eol") == 0)
		return read_eol(value);
	if (strcmp(name, "chroot") == 0)
		return read_root(value);
	if (strcmp(name, "directory") == 0)
		pipe_line.directory = value;
	else if (strcmp(name, "null_sender") == 0)
		pipe_line.null_sender = value;
	else if (strcmp(name, "size") == 0) {
		if ((why = text_size(value, 0, INT64_MAX,
		    &pipe_line.size)) != NULL)
			return pool_printf(pool, "size=%s: %s", value, why);
	} else
		return pool_printf(pool, "%s= is not supported", name);
	return NULL;
}

/* Is the name one of a recipient? Each has his own word then. */
static bool
has_recipient(const char *word)
{
	static const char *const	names[] = { "recipient", "user",
					    "extension", "mailbox", "domain",
					    "original_recipient" };
	const char			*at;
	size_t				 i, len;

	for (at = strchr(word, '$'); at != NULL; at = strchr(at + 1, '$'))
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			const char	*name = at + 1 + strspn(at + 1, "{(");

			len = strlen(names[i]);
			if (strncmp(name, names[i], len) == 0 &&
			    strspn(name, "abcdefghijklmnopqrstuvwxyz_") == len)
				return true;
		}
	return false;
}

/* Does a word begin with this name? */
bool
pipe_line_begins_with(const char *name)
{
	const char	*at;
	size_t		 i, len = strlen(name);

	for (i = 1; i < pipe_line.word_count; i++) {
		at = pipe_line.words[i];
		if (*at != '$')
			continue;
		at += 1 + strspn(at + 1, "{(");
		if (strncmp(at, name, len) == 0 &&
		    strspn(at, "abcdefghijklmnopqrstuvwxyz_") == len)
			return true;
	}
	return false;
}

/* Is every name in the word known? */
static const char *
check_word(const char *word)
{
	static const char *const	names[] = {
		"recipient", "original_recipient", "user", "mailbox",
		"extension", "domain", "sender", "nexthop", "queue_id",
		"size", "envid", "client_hostname", "client_address",
		"client_helo", "client_protocol", "client_port",
		"sasl_username", "sasl_method", "sasl_sender", NULL
	};
	struct macro			 table[sizeof(names) /
					    sizeof(names[0])] = { { 0 } };
	const char			*why;
	size_t				 i;

	for (i = 0; names[i] != NULL; i++)
		table[i].name = names[i];
	return macro_expand(pool, word, table, NULL, NULL, &why) != NULL ?
	    NULL : pool_printf(pool, "argv=: %s: %s", word, why);
}

/* argv=, and all words behind it. */
static const char *
read_command(char **words, size_t count)
{
	const char	*why;
	size_t		 i;

	if (*words[0] == '\0')
		return "argv= names no command";
	pipe_line.words = words;
	pipe_line.word_count = count;
	pipe_line.is_per_recipient = pool_array(pool, count, sizeof(bool));
	for (i = 0; i < count; i++) {
		if ((why = check_word(words[i])) != NULL)
			return why;
		pipe_line.is_per_recipient[i] = has_recipient(words[i]);
	}
	return NULL;
}

/* All words. */
static const char *
read_words(char **words, size_t count)
{
	const char	*why;
	char		*value, *name;
	size_t		 i;

	for (i = 0; i < count; i++) {
		value = pool_strdup(pool, words[i]);
		name = strsep(&value, "=");
		if (value == NULL)
			return pool_printf(pool, "\"%s\" is not name=value",
			    name);
		if (strcmp(name, "argv") == 0) {
			words[i] = value;
			if (pipe_line.user == NULL)
				return "user= is missing";
			return read_command(words + i, count - i);
		}
		if ((why = read_attribute(name, value)) != NULL)
			return why;
	}
	return "argv= is missing";
}

/* The time that a command may take: the service's own, or everybody's. */
static const char *
read_time_limit(void)
{
	const struct param	*row;
	struct str		 problems;

	for (row = shell_params; strcmp(row->name, "command_time_limit") != 0;
	    row++)
		;
	str_init(&problems, pool, 0);
	pipe_line.time_limit = shell_time_limit;
	return param_number_of_transport(daemon_maincf(), daemon_service(),
	    "time_limit", row, &pipe_line.time_limit, &problems) == 0 ?
	    NULL : problems.data;
}

/* Before the jail: read the line. */
void
pipe_prepare(void)
{
	static char	 lf[] = "\n", daemon_name[] = "MAILER-DAEMON";
	char		**words;
	size_t		  count;

	if (strcmp(daemon_command(), "pipe") != 0)
		return;
	pool = pool_new("pipe", 0);
	pipe_line.gid = -1;
	pipe_line.eol = lf;
	pipe_line.null_sender = daemon_name;
	words = daemon_arguments(&count);
	if ((pipe_line.wrong = read_words(words, count)) == NULL)
		pipe_line.wrong = read_time_limit();
	if (pipe_line.wrong != NULL)
		log_warning("service %s: %s", daemon_service(),
		    pipe_line.wrong);
}
