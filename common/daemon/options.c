/*
 * options.c - the arguments of a daemon, as handover.h tells them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/text.h"
#include "common/daemon/inside.h"

/* A number of ours. */
static unsigned
number(char option, const char *text, int64_t min, int64_t max)
{
	const char	*why;
	int64_t		 value;

	if ((why = text_integer(text, min, max, &value)) != NULL)
		die("option -%c %s: %s", option, text, why);
	return (unsigned)value;
}

/* One more listener. */
static void
add_listener(struct options *o, const char *kind)
{
	bool	is_unix = strcmp(kind, "unix") == 0;

	if (!is_unix && strcmp(kind, "inet") != 0)
		die("option -l %s: expected unix or inet", kind);
	if (o->listeners == HANDOVER_LISTENERS_MAX)
		die("more than %d listeners", HANDOVER_LISTENERS_MAX);
	o->is_unix[o->listeners++] = is_unix;
}

/* One more setting for this service only. */
static void
add_override(struct options *o, char *setting)
{
	if (strchr(setting, '=') == NULL)
		die("option -o %s: expected name=value", setting);
	if (o->override_count == OVERRIDES_MAX)
		die("more than %d options -o", OVERRIDES_MAX);
	o->overrides[o->override_count++] = setting;
}

/* The first word, when it is one of the two long ones. */
static bool
take_long(struct options *o, const char *word)
{
	if (word == NULL)
		return false;
	o->wants_parameters = strcmp(word, "--parameters") == 0;
	o->wants_check = strcmp(word, "--check") == 0;
	return o->wants_parameters || o->wants_check;
}

/* One short option. */
static void
take(struct options *o, int option, char *value)
{
	switch (option) {
	case 'c':
		o->directory = value;
		break;
	case 'n':
		o->service = value;
		break;
	case 't':
		break;		/* master's own name for the socket type */
	case 'w':
		o->worker = number('w', value, 1, 10000);
		break;
	case 'p':
		o->processes = number('p', value, 1, 10000);
		break;
	case 'm':
		o->maxproc = number('m', value, 0, 1000000);
		break;
	case 'l':
		add_listener(o, value);
		break;
	case 'o':
		add_override(o, value);
		break;
	case 'a':
		if (o->argument_count == ARGUMENTS_MAX)
			die("more than %d options -a", ARGUMENTS_MAX);
		o->arguments[o->argument_count++] = value;
		break;
	case 'P':
		o->stands_for = value;
		break;
	case 'v':
		o->verbose++;
		break;
	default:
		die("unknown option; this program is started by master");
	}
}

/* All of them, with defaults for those that are not there. */
void
options_parse(struct options *o, int argc, char **argv,
    const struct daemon *d)
{
	int	option;

	*o = (struct options){ .service = d->name, .worker = 1,
	    .processes = 1 };
	if (take_long(o, argv[1])) {
		argc--;
		argv++;
	}
	opterr = 0;
	optind = 1;
	while ((option = getopt(argc, argv, "c:n:t:w:p:m:l:o:P:a:v")) != -1)
		take(o, option, optarg);
	if (optind < argc)
		die("unexpected argument %s", argv[optind]);
}
