/*
 * conf.c - postrider-conf: show and change the configuration.
 *
 *	postrider conf [-n | -d] [-fhHx] [-C CLASS] [-o name=value] [name ...]
 *	postrider conf [-e] name=value ...	set
 *	postrider conf -# name ...		comment out
 *	postrider conf -X name ...		remove
 *	postrider conf -M [-fx] [service[/type] ...]
 *	postrider conf -M[e#X] service/type[=line] ...
 *	postrider conf -F [-fhH] [service[/type[/field]] ...]
 *	postrider conf -F[e] service/type/field=value ...
 *	postrider conf -P [-fhHx] [service[/type[/parameter]] ...]
 *	postrider conf -P[eX] service/type/parameter[=value] ...
 *	postrider conf -a | -A | -l | -m	what there is to choose from
 *	postrider conf -t | -b [file]		the texts of notices
 *	postrider conf -T what			about the TLS library
 *	postrider conf --manual			the manual's list, in mdoc
 *
 * The same as postconf in Postfix, also under that name, with one difference:
 * -e refuses a value that the parameter's program would refuse.
 */
#include "master/conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"

/* The only help there is besides the manual. */
static int
usage(void)
{
	fputs("usage: postrider conf [-dnfhHpvx] [-c directory] [-C class] "
	    "[-o name=value] [name ...]\n"
	    "       postrider conf [-c directory] [-e] name=value ...\n"
	    "       postrider conf [-c directory] -# | -X name ...\n"
	    "       postrider conf [-c directory] -M [-fx] "
	    "[service[/type] ...]\n"
	    "       postrider conf [-c directory] -Me service/type=line ...\n"
	    "       postrider conf [-c directory] -M# | -MX service/type ...\n"
	    "       postrider conf [-c directory] -F [-e] "
	    "service/type/field[=value] ...\n"
	    "       postrider conf [-c directory] -P [-e | -X] "
	    "service/type/name[=value] ...\n"
	    "       postrider conf -a | -A | -l | -m | -t [file] | -b [file] | "
	    "-T what\n"
	    "       postrider conf --manual\n", stderr);
	return 1;
}

/* Two things that exclude each other. */
static bool
refuse(const char *what)
{
	log_error("%s", what);
	return false;
}

/* What to do, once. */
static bool
set_verb(struct request *r, int verb)
{
	if (r->verb != SHOW && (int)r->verb != verb)
		return refuse("expected one of -e, -# and -X");
	r->verb = verb;
	return true;
}

/* What it is about, once. */
static bool
set_subject(struct request *r, int subject)
{
	if (r->subject != PARAMETERS && (int)r->subject != subject)
		return refuse("expected one of -M, -F and -P");
	r->subject = subject;
	return true;
}

/* Which parameters, once. */
static bool
set_which(struct request *r, int which)
{
	if (r->which != ALL && (int)r->which != which)
		return refuse("expected one of -d and -n");
	r->which = which;
	return true;
}

/* -C builtin,service,user */
static bool
set_classes(struct request *r, char *list)
{
	char	*word;

	while ((word = text_next_word(&list)) != NULL) {
		if (strcmp(word, "builtin") == 0)
			r->classes |= CLASS_BUILTIN;
		else if (strcmp(word, "service") == 0)
			r->classes |= CLASS_SERVICE;
		else if (strcmp(word, "user") == 0)
			r->classes |= CLASS_USER;
		else if (strcmp(word, "all") == 0)
			r->classes |= CLASS_ALL;
		else
			return refuse("-C: expected builtin, service, user "
			    "or all");
	}
	return true;
}

/* One option; false if there is none like it. */
static bool
take(struct request *r, int option, char *value)
{
	switch (option) {
	case '#': return set_verb(r, COMMENT_OUT);
	case 'C': return set_classes(r, value);
	case 'F': return set_subject(r, FIELDS);
	case 'M': return set_subject(r, SERVICES);
	case 'P': return set_subject(r, OPTIONS);
	case 'X': return set_verb(r, REMOVE);
	case 'd': return set_which(r, DEFAULTS);
	case 'e': return set_verb(r, EDIT);
	case 'n': return set_which(r, NOT_DEFAULTS);
	case 'H': r->without_value = true; break;
	case 'T': r->list = 'T'; r->tls = value; break;
	case 'a': case 'A': case 'b': case 'l': case 'm': case 't':
		r->list = option;
		break;
	case 'c': r->directory = value; break;
	case 'f': r->fold = true; break;
	case 'h': r->without_name = true; break;
	case 'o': r->overrides[r->override_count++] = value; break;
	case 'p': break;
	case 'v': log_verbose(1); break;
	case 'x': r->expand = true; break;
	default: return false;
	}
	return true;
}

/* Do the options go together? */
static bool
is_sensible(const struct request *r)
{
	size_t	i;

	if (r->verb != SHOW && r->which != ALL)
		return refuse("expected to show or to change, not both");
	if (r->verb != SHOW && r->word_count == 0)
		return refuse("expected the names of what to change");
	if (r->subject != PARAMETERS && r->which != ALL)
		return refuse("-d and -n are not for master.cf");
	if (r->subject == FIELDS && (r->verb == REMOVE ||
	    r->verb == COMMENT_OUT))
		return refuse("a field can be set only");
	if (r->subject == OPTIONS && r->verb == COMMENT_OUT)
		return refuse("-P# is not possible, -PX removes");
	for (i = 0; i < r->override_count; i++)
		if (strchr(r->overrides[i], '=') == NULL)
			return refuse("-o: expected name=value");
	return true;
}

/* The command line; false if it makes no sense. */
static bool
parse(struct pool *pool, int argc, char **argv, struct request *r)
{
	int	option;
	size_t	i;

	if (argc == 2 && strcmp(argv[1], "--manual") == 0) {
		r->list = 'M';
		r->which = DEFAULTS;
		return true;
	}
	r->overrides = pool_array(pool, (size_t)argc, sizeof(char *));
	while ((option = getopt(argc, argv,
	    "#aAbc:C:deFfhHlmMno:pPtT:vxX")) != -1)
		if (!take(r, option, optarg))
			return false;
	if (r->classes == 0)
		r->classes = CLASS_ALL;
	r->words = argv + optind;
	r->word_count = (size_t)(argc - optind);
	for (i = 0; i < r->word_count && r->verb == SHOW && r->list == 0; i++)
		if (strchr(r->words[i], '=') != NULL)
			r->verb = EDIT;
	return is_sensible(r);
}

/* Do it; the exit status. */
static int
run(struct pool *pool, const struct request *r)
{
	if (r->list != 0 && r->list != 'M')
		return conf_list(pool, r);
	if (r->subject == PARAMETERS)
		return r->verb == SHOW ? conf_show(pool, r) :
		    conf_edit(pool, r);
	return r->verb == SHOW ? conf_services(pool, r) :
	    conf_change(pool, r);
}

int
main(int argc, char **argv)
{
	struct pool	*pool = pool_new("postrider-conf", 0);
	struct request	 r = { .verb = SHOW, .which = ALL };
	const char	*slash = strrchr(argv[0], '/');
	int		 status;

	fs_open_standard();
	log_name("postrider", slash != NULL ? slash + 1 : argv[0]);
	if (!parse(pool, argc, argv, &r))
		return usage();
	status = run(pool, &r);
	if (fflush(stdout) == EOF || ferror(stdout))
		status = 1;
	pool_free(pool);
	return status;
}
