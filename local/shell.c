/*
 * shell.c - commands of local: from aliases, .forward files and
 * mailbox_command.
 *
 * Called by errand.c and recipient.c with the process that is to run it. A
 * command of words alone runs without a shell; others are given to /bin/sh,
 * or all to local_command_shell.
 *
 * S1  What strangers can choose (addresses, the client's name) reaches a
 *     command in its environment only, and there with an underscore in place
 *     of every character that command_expansion_filter does not name.
 * S2  Nothing for root is run by root: default_privs does it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/known.h"
#include "common/param/site.h"

#include "local/command.h"
#include "local/turns.h"

static struct {
	char	*mailbox_command, *mailbox_command_maps;
	char	*directory, *directory_filter, *filter, *shell;
	char	*export_environment, *prepend_delivered_header;
} set;
int64_t		shell_time_limit;

#define WORD_CHARACTERS	"1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyz" \
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ"

const struct param	shell_params[] = {
	PARAM_RAW("mailbox_command", set.mailbox_command, "", 0, 4000,
	    "The command that gets mail for users instead of their mailboxes. "
	    "It may use $USER, $HOME, $EXTENSION and other variables of its "
	    "environment; main.cf's own names are not filled in."),
	PARAM_STRING("mailbox_command_maps", set.mailbox_command_maps, "", 0,
	    10000, "Tables of users with what mailbox_command says of all."),
	PARAM_RAW("command_execution_directory", set.directory, "", 0, 1000,
	    "Where commands run, with $home, $user, $shell, $local, $domain, "
	    "$extension, $recipient, $recipient_delimiter filled in. When "
	    "empty: in the home directory."),
	PARAM_RAW("execution_directory_expansion_filter",
	    set.directory_filter, WORD_CHARACTERS, 0, 1000,
	    "Characters that names in command_execution_directory may stand "
	    "for; others become underscores."),
	PARAM_RAW("command_expansion_filter", set.filter, WORD_CHARACTERS, 0,
	    1000, "Characters that variables of a command's environment may "
	    "have; others become underscores."),
	PARAM_TIME("command_time_limit", shell_time_limit, "1000s", 1,
	    INT32_MAX / 1000, "How long a command may run until it is "
	    "killed."),
	PARAM_STRING("local_command_shell", set.shell, "", 0, 1000,
	    "A shell for all commands, with its options. When empty, /bin/sh "
	    "runs those that need a shell."),
	PARAM_STRING("export_environment", set.export_environment,
	    "TZ MAIL_CONFIG LANG", 0, 4000,
	    "Variables that commands inherit; NAME=VALUE sets one."),
	PARAM_STRING("prepend_delivered_header", set.prepend_delivered_header,
	    "command, file, forward", 0, 100, "Copies that begin with "
	    "Delivered-To:, by which loops are found: command, file, "
	    "forward."),
	PARAM_END
};

enum { VARIABLES = 40 };

/* --- names --------------------------------------------------------------- */

/* Does such a copy get a Delivered-To:? */
bool
shell_wants_delivered(const char *context)
{
	return known_has_word(set.prepend_delivered_header, context);
}

/* The delimiter that was found in the address, else those there are. */
static const char *
delimiter_of(struct addressee *a)
{
	return a->extension == NULL ? site.recipient_delimiter :
	    pool_strndup(a->delivery->pool, a->extension - 1, 1);
}

/* The names for settings. */
struct macro *
shell_macros(struct addressee *a, const struct home *h)
{
	const struct macro	 table[] = {
		{ "user", h != NULL ? h->user : a->user },
		{ "home", h != NULL ? h->path : NULL },
		{ "shell", h != NULL ? h->shell : NULL },
		{ "recipient", a->row->address },
		{ "extension", a->extension },
		{ "domain", a->domain },
		{ "local", a->name },
		{ "recipient_delimiter", delimiter_of(a) },
		{ NULL, NULL }
	};
	struct macro		*copy = pool_alloc(a->delivery->pool,
				    sizeof(table));

	memcpy(copy, table, sizeof(table));
	return copy;
}

/* --- the environment ----------------------------------------------------- */

/* PATH, and what export_environment names; room for so many more. */
struct word_row *
shell_exported(struct pool *pool, size_t room, size_t *count)
{
	size_t		 words, i;
	char		**list = text_words(pool, set.export_environment,
			    &words);
	struct word_row	*rows = pool_array(pool, words + room + 1,
			    sizeof(*rows));
	const char	*value;

	*count = 0;
	if (!text_starts(set.export_environment, "PATH=") &&
	    strstr(set.export_environment, " PATH=") == NULL)
		rows[(*count)++].word = pool_strdup(pool,
		    "PATH=/usr/bin:/bin");
	for (i = 0; i < words; i++) {
		value = strcmp(list[i], "MAIL_CONFIG") == 0 ?
		    site.config_directory : getenv(list[i]);
		if (strchr(list[i], '=') != NULL)
			rows[(*count)++].word = list[i];
		else if (value != NULL)
			rows[(*count)++].word = pool_printf(pool, "%s=%s",
			    list[i], value);
	}
	return rows;
}

/* Everything a command may know (S1). */
static struct word_row *
environment(struct addressee *a, const struct home *h, size_t *count)
{
	struct pool		*pool = a->delivery->pool;
	const struct deliver	*mail = a->delivery->mail;
	const struct { const char *name, *value; } variables[] = {
		{ "SHELL", h->shell },
		{ "HOME", h->path },
		{ "USER", h->user },
		{ "LOGNAME", h->user },
		{ "EXTENSION", a->extension },
		{ "LOCAL", a->name },
		{ "DOMAIN", a->domain },
		{ "RECIPIENT", a->row->address },
		{ "ORIGINAL_RECIPIENT", a->row->original[0] != '\0' ?
		    a->row->original : a->row->address },
		{ "SENDER", a->sender[0] != '\0' ? a->sender :
		    "MAILER-DAEMON" },
		{ "CLIENT_HOSTNAME", mail->client_name },
		{ "CLIENT_ADDRESS", mail->client_address },
		{ "CLIENT_HELO", mail->helo },
		{ "CLIENT_PROTOCOL", mail->protocol },
		{ "SASL_USERNAME", mail->login },
		{ "ENVID", mail->envelope_id }
	};
	struct word_row		*rows = shell_exported(pool, VARIABLES, count);
	char			*value;
	size_t			 i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		if (variables[i].value == NULL || variables[i].value[0] == '\0')
			continue;
		value = pool_strdup(pool, variables[i].value);
		macro_filter(value, set.filter);
		rows[(*count)++].word = pool_printf(pool, "%s=%s",
		    variables[i].name, value);
	}
	return rows;
}

/* --- the words ----------------------------------------------------------- */

/* Is the first word one that only a shell knows? */
static bool
is_builtin(const char *command)
{
	static const char	builtins[] = ". : alias bg break case cd "
	    "command continue eval exec exit export fg for getopts hash if "
	    "jobs local read readonly return set shift times trap type ulimit "
	    "umask unalias unset until wait while";
	char			word[32];
	size_t			len = strcspn(command, " \t");

	if (len >= sizeof(word))
		return false;
	memcpy(word, command, len);
	word[len] = '\0';
	return known_has_word(builtins, word);
}

/* The command as a list of words. */
static void
make_words(struct pool *pool, const char *text, struct command *c)
{
	size_t	 count, i;
	char	**words = NULL;
	bool	 is_simple;

	text += strspn(text, " \t");
	is_simple = *set.shell == '\0' &&
	    text[strspn(text, WORD_CHARACTERS " \t")] == '\0' &&
	    !is_builtin(text) && text[strcspn(text, "=")] == '\0';
	words = text_words(pool, *set.shell != '\0' ? set.shell :
	    "/bin/sh -c", &count);
	if (is_simple) {
		c->words = pool_array(pool, strlen(text) + 1,
		    sizeof(*c->words));
		for (char *rest = pool_strdup(pool, text), *word;
		    (word = strsep(&rest, " \t")) != NULL; )
			if (*word != '\0')
				c->words[c->count++].word = word;
		return;
	}
	c->words = pool_array(pool, count + 1, sizeof(*c->words));
	for (i = 0; i < count; i++)
		c->words[c->count++].word = words[i];
	c->words[c->count++].word = pool_strdup(pool, text);
}

/* --- running ------------------------------------------------------------- */

/* Where it runs. 0, or -1: settled. */
WAITS static int
make_directory(struct addressee *a, const struct home *h, char **directory)
{
	const char	*why;

	*directory = macro_expand(a->delivery->pool, set.directory,
	    shell_macros(a, h), set.directory_filter, NULL, &why);
	if (*directory != NULL)
		return 0;
	log_warning("command_execution_directory: %s", why);
	return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
	    "command_execution_directory is malformed");
}

/* Run the command by this process. */
int
shell_deliver(struct addressee *a, struct home *h, const char *text)
{
	struct pool	*pool = a->delivery->pool;
	static char	 lf[] = "\n";
	struct command	 c = {
		.shown = text, .eol = lf, .time_limit = shell_time_limit,
		.sent = pool_printf(pool, "delivered to command: %s", text)
	};
	struct verdict	 v = { OUTCOME_DEFERRED, 0, "4.3.0",
			    "too many commands run for this recipient" };
	struct turns	*turn;

	if (make_directory(a, h, &c.directory) == -1)
		return -1;
	make_words(pool, text, &c);
	c.environment = environment(a, h, &c.variables);
	c.head = pool_printf(pool, "%s\n%s", head_from_line(a),
	    head_make(a, shell_wants_delivered("command") ? HEAD_ALL :
	    HEAD_RETURN_PATH | HEAD_ORIGINAL));
	a->times.ready_us = clock_wall_us();
	if (turn_take(a, &turn) == 0) {
		command_run(a->delivery, h, &c, &v);
		turn_give(turn);
	}
	return addressee_accept(a, &v);
}

/* --- mailbox_command ----------------------------------------------------- */

/* Run it for root, by somebody else (S2). */
WAITS static int
run_for_root(struct addressee *a, const char *command)
{
	static char	 nobody[1];
	struct become	 who = { BECOME_DEFAULT, nobody, -1, -1,
			    NULL };
	struct home	*h;
	const char	*why;
	int		 result;

	if (home_take(a->delivery->pool, &who, &h, &why) != HOME_OK)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "%s", why);
	result = shell_deliver(a, h, command);
	home_give(h);
	return result;
}

/* Is there a command for any mailbox? */
bool
shell_may_mailbox(void)
{
	return *set.mailbox_command != '\0' ||
	    *set.mailbox_command_maps != '\0';
}

/* Run mailbox_command, if there is one. */
int
shell_mailbox(struct addressee *a, struct home *h)
{
	char	*command = set.mailbox_command;
	int	 found = look_up_user(a, "mailbox_command_maps",
		    set.mailbox_command_maps, h->user, &command);

	if (found != 1)
		return found;
	return (h->uid == 0 ? run_for_root(a, command) :
	    shell_deliver(a, h, command)) == 0 ? 1 : -1;
}
