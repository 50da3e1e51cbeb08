#ifndef PARAM_MASTERCF_H
#define PARAM_MASTERCF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"

/*
 * master.cf: which programs run, how many, as whom. Eight columns
 *
 *	service type private unpriv chroot wakeup maxproc command + args
 *
 * "-" means the default; continuation lines begin with white space; options
 * are -o name=value, -o { name = value with spaces }, -v, and others kept as
 * they are.
 */
struct service_option { const char *name, *value; };

struct service {
	const char		*name;		/* "smtp", "127.0.0.1:10025" */
	const char		*type;		/* inet, unix, fifo, pass... */
	const char		*columns[5];	/* private..maxproc, as is */
	bool			 is_private;	/* default y */
	bool			 wants_chroot;	/* default n */
	int			 wakeup;	/* seconds, 0 never */
	int			 maxproc;	/* 0 unlimited, -1 default */
	const char		*command;	/* program */
	struct service_option	*options;	/* -o */
	size_t			 option_count;
	char		       **arguments;	/* all words after it */
	size_t			 argument_count;
	size_t			 option_words;	/* of them, before others */
	const char		*file;
	unsigned		 line;
};

struct mastercf {
	struct service	*services;
	size_t		 count;
};

/* NULL with *why: "master.cf:7: maxproc: expected ..., got ...". */
struct mastercf	*mastercf_read(struct pool *, const char *path, char **why);

/* The same from text in memory; `path` is for messages. */
struct mastercf	*mastercf_parse(struct pool *, const char *path,
		    const char *text, size_t len, char **why);

/* By name and type; type may be NULL. */
const struct service *mastercf_find(const struct mastercf *, const char *name,
		    const char *type);

/*
 * The eight columns as the file would have them, each at its place; with
 * `folds` every option -o in a line of its own and long lines continued. No
 * newline at the end.
 */
char		*mastercf_text(struct pool *, const struct service *,
		    bool folds);
/* The command and its arguments only; `column` is where they begin. */
char		*mastercf_command(struct pool *, const struct service *,
		    size_t column, bool folds);

/* The names of the columns for those who name one, ended by NULL; and what
 * stands in one of the first seven. */
enum { MASTERCF_COMMAND = 7 };
extern const char *const mastercf_fields[];
const char	*mastercf_field(const struct service *, size_t field);

/*
 * One change. `name` and `type` choose services, "*" any of them. A NULL
 * value removes what is named, or comments it out.
 */
struct mastercf_change {
	enum { CHANGE_SERVICE, CHANGE_FIELD, CHANGE_OPTION } what;
	const char	*name, *type;
	const char	*item;		/* a field's or an option's name */
	const char	*value;		/* SERVICE: the whole line */
	bool		 comments_out;	/* SERVICE only */
	bool		 was_found;	/* out */
};

/*
 * Change the file: comments and order kept, replaced atomically; editors at
 * the same time wait for each other. A service that is set and not there goes
 * to the end. A change that would break a good file is refused. NULL, or a
 * sentence in the pool.
 */
const char	*mastercf_edit(struct pool *, const char *path,
		    struct mastercf_change *, size_t count);

#endif
