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
void
complain(const char *format, ...)
{
	va_list	 arguments;
	char	*text;
	int	 len;

	va_start(arguments, format);
	len = vasprintf(&text, format, arguments);
	va_end(arguments);
	fprintf(stderr, "%s: ", command.name);
	if (len >= 0) {
		print_safe(stderr, text);
		free(text);
	}
	fputc('\n', stderr);
}

/* One more order. */
struct order *
order_add(const char *verb)
{
	struct order	*o;
	size_t		 room = command.room;

	if (command.count == room) {
		command.room = room == 0 ? 4 : 2 * room;
		command.orders = mem_resize(command.orders,
		    command.room * sizeof(*command.orders));
	}
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
	if (o->count == o->room) {
		o->room = o->room == 0 ? 16 : 2 * o->room;
		o->ids = mem_resize(o->ids, o->room * sizeof(*o->ids));
	}
	o->ids[o->count++] = id;
}

/* An id as mailq shows it, with or without its marks. */
static void
add_word(struct order *o, const char *word)
{
	char	*id = pool_strdup(command.pool, word);

	id[strcspn(id, "*!#")] = '\0';
	if (queue_id_is_valid(id)) {
		add_id(o, id);
		return;
	}
	complain("%s: not a queue id", word);
	exit(command.is_postfix ? 1 : EX_USAGE);
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
