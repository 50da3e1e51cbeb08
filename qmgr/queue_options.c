/*
 * queue_options.c - the command line of postrider queue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "qmgr/entry.h"
#include "qmgr/queue.h"

static const char	help[] =
"usage: postrider queue [-c DIRECTORY] VERB [OPTION ...] [ID ... | - | ALL]\n"
"\n"
"  list      what is in the queue; the verb when none is given\n"
"  show      a message: envelope, header, body, attempts (also: cat)\n"
"  flush     try again now: everything, some messages, or --site DOMAIN\n"
"  hold      no more attempts, until release\n"
"  release   out of hold, and try again\n"
"  requeue   through cleanup again, as another message, by the tables and\n"
"            the content filter of now; out of hold, too\n"
"  delete    remove; nobody is told\n"
"  expire    return to the sender now, unless it is on hold\n"
"  check     put files where they belong, tell what is none of ours\n"
"  import    take over what waits in DIRECTORY, Postfix's queue directory;\n"
"            Postfix must be stopped\n"
"  help      this\n"
"\n"
"Messages are named by their ids, by \"-\" for a list of ids on standard input,\n"
"by ALL, or by what they are; all that is said of them must be true:\n"
"  --sender PATTERN      who sent it; <> is the null sender\n"
"  --recipient PATTERN   one who has not got it yet\n"
"  --domain PATTERN      the domain of one who has not got it yet\n"
"  --reason PATTERN      somewhere in the text of the last failure\n"
"  --older TIME, --younger TIME   since it came: 30m, 5h, 2d\n"
"  --size [+|-]SIZE      at least (+), at most (-): 10k, 5m\n"
"  --queue NAME,...      incoming active deferred hold corrupt\n"
"  --limit N             of these, the N oldest\n"
"In a PATTERN * is any text and ? any character; quote it from the shell.\n"
"\n"
"  -n, --dry-run         show which messages are meant; do nothing\n"
"  -j, --json            list: one JSON object a line\n"
"  --summary             list: recipients by domain and age in minutes\n"
"  --by-sender           list --summary: by the sender's domain\n"
"  -e -h -b -v           show: only envelope, header, body, attempts\n"
"  --later, --release    expire: at the next attempt; and out of hold\n"
"  --purge, --read       check: remove unfinished files; read every message\n"
"\n"
"Exit status: 0 done, 64 usage, 66 no such message, 69 not now, 75 some of it\n"
"failed, 77 not allowed; import: 1 some messages stay where they are.\n";

/* How to use it. */
_Noreturn void
options_usage(int status)
{
	fputs(help, status == 0 ? stdout : stderr);
	exit(status);
}

/* What the verb may be given besides messages. */
static bool
is_verb(const char *word)
{
	static const char *const	verbs[] = { "list", "show", "flush",
					    "hold", "release", "requeue",
					    "delete", "expire", "check",
					    "import", "help" };
	size_t				i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i], word) == 0)
			return true;
	return false;
}

/* Something in the command line is wrong. */
static _Noreturn void
wrong(const char *word, const char *why)
{
	complain("%s: %s", word, why);
	fprintf(stderr, "See postrider queue help.\n");
	exit(EX_USAGE);
}

/* The value of "--name=value" or of "--name value". */
static const char *
value_of(const char *word, const char *equals, char ***words)
{
	if (equals != NULL)
		return equals + 1;
	if (**words == NULL)
		wrong(word, "expected a value");
	return *(*words)++;
}

/* A selection: "--older=2d". False if it is none. */
static bool
take_selection(struct order *o, const char *word, char ***words)
{
	const char	*equals = strchr(word, '='), *value, *why;
	char		*name = pool_strdup(command.pool, word + 2);

	if (equals != NULL)
		name[equals - word - 2] = '\0';
	if (strcmp(name, "site") == 0 && strcmp(o->verb, "flush") == 0) {
		o->site = value_of(word, equals, words);
		return true;
	}
	if (!select_is_option(name))
		return false;
	value = value_of(word, equals, words);
	why = select_option(&o->select, name, value);
	if (why != NULL)
		wrong(pool_printf(command.pool, "--%s %s", name, value), why);
	return true;
}

/* Flags that only some verbs know. */
static bool
take_flag(struct order *o, const char *word)
{
	bool	is_list = strcmp(o->verb, "list") == 0;
	bool	is_expire = change_of(o->verb) >= CHANGE_EXPIRE;
	bool	is_check = strcmp(o->verb, "check") == 0;

	if (is_list && strcmp(word, "--json") == 0)
		o->as_json = true;
	else if (is_list && strcmp(word, "--summary") == 0)
		o->is_summary = true;
	else if (is_list && strcmp(word, "--by-sender") == 0)
		o->is_summary = o->by_sender = true;
	else if (is_expire && strcmp(word, "--later") == 0)
		o->verb = "expire";
	else if (is_expire && strcmp(word, "--release") == 0)
		o->verb = "expire-release";
	else if (is_check && strcmp(word, "--read") == 0)
		o->reads_files = true;
	else if (is_check && strcmp(word, "--purge") == 0)
		o->is_all = true;
	else if (strcmp(word, "--dry-run") == 0)
		o->is_dry = true;
	else
		return false;
	return true;
}

/* One letter. */
static bool
take_letter(struct order *o, char letter)
{
	bool	is_show = strcmp(o->verb, "show") == 0;
	bool	is_list = strcmp(o->verb, "list") == 0;

	if (is_show && letter == 'e')
		o->show |= SHOW_ENVELOPE;
	else if (is_show && letter == 'h')
		o->show |= SHOW_HEADER;
	else if (is_show && letter == 'b')
		o->show |= SHOW_BODY;
	else if (is_show && letter == 'v')
		o->show |= SHOW_ATTEMPTS;
	else if (is_list && letter == 'j')
		o->as_json = true;
	else if (letter == 'n' && !is_show)
		o->is_dry = true;
	else
		return (is_show && letter == 'q') || (is_list && letter == 'p');
	return true;
}

/* An option, long or short. */
static void
take_option(struct order *o, const char *word, char ***words)
{
	const char	*letter;

	if (strcmp(o->verb, "flush") == 0 && strcmp(word, "-s") == 0) {
		o->site = value_of(word, NULL, words);
		return;
	}
	if (word[1] == '-') {
		if (!take_flag(o, word) && !take_selection(o, word, words))
			wrong(word, "there is no such option here");
		return;
	}
	for (letter = word + 1; *letter != '\0'; letter++)
		if (!take_letter(o, *letter))
			wrong(word, "there is no such option here");
}

/* flush DOMAIN, as an id cannot have a dot. */
static bool
take_site(struct order *o, const char *word)
{
	if (strcmp(o->verb, "flush") != 0 || strpbrk(word, ".[@:") == NULL)
		return false;
	o->site = *word == '@' ? word + 1 : word;
	return true;
}

/* A word: what it names, or behind ALL a queue. */
static void
take_word(struct order *o, const char *word)
{
	const char	*why;

	if (strcmp(o->verb, "import") == 0) {
		if (o->site != NULL)
			wrong(word, "expected one directory");
		o->site = word;
	} else if (o->is_all && select_queue(word) != -1) {
		if ((why = select_option(&o->select, "queue", word)) != NULL)
			wrong(word, why);
	} else if (!take_site(o, word))
		order_word(o, word);
}

/* Does it make sense as a whole? */
static void
check_order(struct order *o)
{
	bool	names_some = o->count > 0 || o->is_input;

	if (strcmp(o->verb, "import") == 0 && (o->site == NULL ||
	    !select_is_everything(&o->select)))
		wrong(o->verb, "expected Postfix's queue directory and no "
		    "more");
	if (strcmp(o->verb, "check") == 0 || strcmp(o->verb, "import") == 0)
		return;
	if (o->is_all && names_some)
		wrong("ALL", "expected either ALL or ids");
	if (o->site != NULL && (names_some ||
	    !select_is_everything(&o->select)))
		wrong("--site", "expected a site or a choice of messages");
	if (strcmp(o->verb, "show") == 0 && !names_some)
		wrong(o->verb, "expected the id of a message");
	if (strcmp(o->verb, "list") == 0 || strcmp(o->verb, "flush") == 0 ||
	    !select_is_everything(&o->select))
		o->is_all = !names_some;
	if (!names_some && !o->is_all)
		wrong(o->verb, "expected ids, ALL, or a choice of messages");
}

/* Our own options, which stand before the verb. */
static char **
take_own(char **words)
{
	while (*words != NULL && **words == '-' && strcmp(*words, "-j") != 0 &&
	    (*words)[1] != '-') {
		if (strcmp(*words, "-c") == 0 && words[1] != NULL)
			command.directory = *++words;
		else if (strcmp(*words, "-h") == 0)
			options_usage(0);
		else if (strcmp(*words, "-v") != 0)
			wrong(*words, "there is no such option here");
		words++;
	}
	return words;
}

/* postrider queue VERB ... */
void
options_take(char **words)
{
	struct order	*o;
	const char	*verb = "list", *word;

	words = take_own(words);
	if (*words != NULL && **words != '-')
		verb = *words++;
	else if (*words != NULL && strcmp(*words, "--help") == 0)
		verb = "help";
	if (strcmp(verb, "cat") == 0)
		verb = "show";
	if (!is_verb(verb))
		wrong(verb, "there is no such verb");
	if (strcmp(verb, "help") == 0)
		options_usage(0);
	o = order_add(strcmp(verb, "expire") == 0 ? "expire-now" : verb);
	while ((word = *words) != NULL) {
		words++;
		if (word[0] == '-' && word[1] != '\0')
			take_option(o, word, &words);
		else
			take_word(o, word);
	}
	check_order(o);
}
