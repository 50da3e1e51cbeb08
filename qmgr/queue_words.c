/*
 * queue_words.c - orders of the queue command, and the words that name
 * messages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/text.h"
#include "qmgr/queue.h"

struct command	command;

/* Say something: names of files and words of lists are strangers', too. */
static void
say(const char *label, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void
say(const char *label, const char *format, va_list arguments)
{
	char	*text;
	int	 len = vasprintf(&text, format, arguments);

	fprintf(stderr, "%s: %s", command.name, label);
	if (len >= 0) {
		print_safe(stderr, text);
		free(text);
	}
	fputc('\n', stderr);
}

/* And go on. */
void
complain(const char *format, ...)
{
	va_list	arguments;

	va_start(arguments, format);
	say("", format, arguments);
	va_end(arguments);
}

/* And end. */
void
give_up(int status, const char *format, ...)
{
	va_list	arguments;

	va_start(arguments, format);
	say(command.is_postfix ? "fatal: " : "", format, arguments);
	va_end(arguments);
	exit(status);
}

/* One more order. */
struct order *
order_add(const char *verb)
{
	struct order	*o;

	command.orders = mem_grow(command.orders, &command.room,
	    command.count + 1, sizeof(*o));
	o = &command.orders[command.count++];
	memset(o, 0, sizeof(*o));
	o->verb = verb;
	select_init(&o->select);
	return o;
}

/* One more id. */
static void
add_id(struct order *o, char *id)
{
	o->ids = mem_grow(o->ids, &o->room, o->count + 1, sizeof(*o->ids));
	o->ids[o->count++] = id;
}

/* An id as mailq shows it, with or without its marks; Postfix's programs want
 * it without. */
static void
add_word(struct order *o, const char *word)
{
	char	*id = pool_strdup(command.pool, word);

	if (!command.is_postfix)
		id[strcspn(id, "*!#")] = '\0';
	if (queue_id_is_valid(id)) {
		add_id(o, id);
		return;
	}
	if (!command.is_postfix)
		give_up(EX_USAGE, "%s: not a queue id", word);
	if (strcmp(o->verb, "flush") == 0)
		give_up(EX_UNAVAILABLE, "cannot flush: not a queue id: "
		    "\"%s\"", word);
	if (strcmp(o->verb, "show") == 0)
		give_up(1, "not a queue id: %s", word);
	complain("warning: invalid mail queue id: %s", word);
	o->is_input = true;	/* none of what is named may be there */
}

/* Every line of standard input. */
static void
add_input(struct order *o)
{
	char	*line = NULL, *word;
	size_t	 size = 0;

	while (getline(&line, &size, stdin) != -1) {
		word = text_trim(line);
		if (*word != '\0')
			add_word(o, word);
	}
	free(line);
	o->is_input = true;
}

/* A word that names messages. */
void
order_word(struct order *o, const char *word)
{
	if (strcmp(word, "ALL") == 0)
		o->is_all = true;
	else if (strcmp(word, "-") == 0)
		add_input(o);
	else
		add_word(o, word);
}
