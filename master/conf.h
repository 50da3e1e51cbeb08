#ifndef MASTER_CONF_H
#define MASTER_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/param/known.h"
#include "common/param/mastercf.h"
#include "common/param/param.h"

enum { CLASS_BUILTIN = 1, CLASS_SERVICE = 2, CLASS_USER = 4, CLASS_ALL = 7 };

/* What the command line of postrider-conf asks for. */
struct request {
	enum { SHOW, EDIT, COMMENT_OUT, REMOVE } verb;
	enum { PARAMETERS, SERVICES, FIELDS, OPTIONS } subject;
	enum { ALL, DEFAULTS, NOT_DEFAULTS } which;
	unsigned	 classes;	/* CLASS_... */
	int		 list;		/* one of aAblmtTM, or 0 */
	const char	*tls;		/* of -T */
	bool		 expand, fold, without_name, without_value;
	const char	*directory;	/* -c, or NULL */
	char	       **overrides;	/* -o name=value */
	size_t		 override_count;
	char	       **words;		/* names, name=value, service/type */
	size_t		 word_count;
};

/* Every parameter of every program, sorted by name. */
struct catalog {
	struct param	*rows;
	size_t		 count, room;
};

/*
 * Ask the programs in the directory for their rows. Programs that are not
 * there are passed over; those that fail are told in the log.
 */
void	 catalog_learn(struct pool *, struct catalog *, const char *directory);

const struct param *catalog_find(const struct catalog *, const char *name);

/* Print parameters, or the manual's list; the exit status. */
int	 conf_show(struct pool *, const struct request *);

/* Change main.cf; the exit status. */
int	 conf_edit(struct pool *, const struct request *);

/* Print services of master.cf, their fields or options; the exit status. */
int	 conf_services(struct pool *, const struct request *);

/* Change master.cf; the exit status. */
int	 conf_change(struct pool *, const struct request *);

/* Print what -a -A -b -l -m -t -T ask for; the exit status. */
int	 conf_list(struct pool *, const struct request *);

/* Print a value with its runs of white space made one, folded if asked; the
 * line is at `column` already. */
void	 conf_print_value(const char *value, size_t column, bool folds);

/* A line "name = value", as the request wants it. */
void	 conf_print(const struct request *, const char *name,
	    const char *value);

/*
 * The settings that exist once for each transport in master.cf (type NAME:
 * its name and a known row that begins with "*"): call `each` for all of them.
 */
void	 conf_each_of_service(const struct mastercf *,
	    void (*each)(void *, const char *service, const struct known *),
	    void *context);

/* master.cf of the directory; NULL with *why. */
struct mastercf	*conf_master(struct pool *, const struct request *,
		    char **why);

/*
 * Load the directory's main.cf with the request's overrides, and the
 * catalog, so that every default is known. Problems go to the log; what can
 * be shown is shown. NULL when there is no main.cf.
 */
struct maincf	*conf_load(struct pool *, const struct request *,
		    struct catalog *);

#endif
