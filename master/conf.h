#ifndef MASTER_CONF_H
#define MASTER_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/param/param.h"

/* What the command line of postrider-conf asks for. */
struct request {
	enum { SHOW, EDIT, COMMENT_OUT, REMOVE, SERVICES, MANUAL } verb;
	enum { ALL, DEFAULTS, NOT_DEFAULTS } which;
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

/* Print services of master.cf; the exit status. */
int	 conf_services(struct pool *, const struct request *);

/*
 * Load the directory's main.cf with the request's overrides, and the
 * catalog, so that every default is known. Problems go to the log; what can
 * be shown is shown. NULL when there is no main.cf.
 */
struct maincf	*conf_load(struct pool *, const struct request *,
		    struct catalog *);

#endif
