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
	const char		*file;
	unsigned		 line;
};

struct mastercf {
	struct service	*services;
	size_t		 count;
};

/* NULL with *why: "master.cf:7: maxproc: expected ..., got ...". */
struct mastercf	*mastercf_read(struct pool *, const char *path, char **why);

/* By name and type; type may be NULL. */
const struct service *mastercf_find(const struct mastercf *, const char *name,
		    const char *type);

#endif
