#ifndef PARAM_PARAM_H
#define PARAM_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/param/maincf.h"

/*
 * A parameter is declared once, beside its user: name, member of the settings
 * struct, default, bounds, and the sentence of the manual. The default is
 * text as in main.cf and may use $name; NULL means that somebody computed it
 * and called maincf_default() before. Value types in the struct:
 *
 *	PARAM_STRING	char *, expanded; bounds are lengths, a greatest one of
 *			0 is no bound
 *	PARAM_RAW	char *, not expanded
 *	PARAM_INT	int64_t
 *	PARAM_BOOL	bool
 *	PARAM_TIME	int64_t in milliseconds; bounds in seconds
 *	PARAM_SIZE	int64_t in bytes
 */
enum param_kind { PARAM_KIND_STRING, PARAM_KIND_RAW, PARAM_KIND_INT,
    PARAM_KIND_BOOL, PARAM_KIND_TIME, PARAM_KIND_SIZE };

struct param {
	const char	*name;
	enum param_kind	 kind;
	char		 unit;		/* TIME: when none is written */
	void		*place;		/* address of the value; see below */
	size_t		 offset;	/* not used yet: 0 */
	const char	*standard;	/* default */
	int64_t		 min, max;
	const char	*text;		/* a sentence for the manual */
};

/*
 * Rows point at a static settings struct. A daemon that reloads in place
 * declares its rows against one static struct and swaps after a check:
 * param_load() changes nothing unless every value is good.
 */
#define PARAM_STRING(name, place, standard, min, max, text) \
	{ name, PARAM_KIND_STRING, 0, &(place), 0, standard, min, max, text }
#define PARAM_RAW(name, place, standard, min, max, text) \
	{ name, PARAM_KIND_RAW, 0, &(place), 0, standard, min, max, text }
#define PARAM_INT(name, place, standard, min, max, text) \
	{ name, PARAM_KIND_INT, 0, &(place), 0, standard, min, max, text }
#define PARAM_BOOL(name, place, standard, text) \
	{ name, PARAM_KIND_BOOL, 0, &(place), 0, standard, 0, 1, text }
#define PARAM_TIME(name, place, standard, min, max, text) \
	{ name, PARAM_KIND_TIME, 's', &(place), 0, standard, min, max, text }
#define PARAM_TIME_IN(name, unit, place, standard, min, max, text) \
	{ name, PARAM_KIND_TIME, unit, &(place), 0, standard, min, max, text }
#define PARAM_SIZE(name, place, standard, min, max, text) \
	{ name, PARAM_KIND_SIZE, 0, &(place), 0, standard, min, max, text }
#define PARAM_END \
	{ NULL, PARAM_KIND_STRING, 0, NULL, 0, NULL, 0, 0, NULL }

/*
 * Set every place of the tables (array ended by NULL) from the configuration.
 * Strings live as long as the maincf's pool. Each bad value adds one line
 * "FILE:LINE: NAME = VALUE: expected ..." to *problems (a str in the same
 * pool); then nothing is changed and -1 returned. 0 when all are good.
 */
int		 param_load(struct maincf *, const struct param *const *tables,
		    struct str *problems);

/* Check one value against a row: NULL, or what was expected. */
const char	*param_check(const struct param *, const char *value);

/* Look through the tables: the row, or NULL. */
const struct param *param_find(const struct param *const *tables,
		    const char *name);

/*
 * One value of a parameter that exists per transport, as Postfix names them:
 * "TRANSPORT_SUFFIX" if set in main.cf, else the general one.
 * The caller gives the general parameter's value as `otherwise`.
 */
const char	*param_of_transport(struct maincf *, struct pool *,
		    const char *transport, const char *suffix,
		    const char *otherwise);

/*
 * The same for an INT, TIME or BOOL, by the row of the general parameter:
 * *number is changed if TRANSPORT_SUFFIX is set and good. A bad one leaves it
 * alone, adds a line to *problems, and -1 is returned.
 */
int		 param_number_of_transport(struct maincf *,
		    const char *transport, const char *suffix,
		    const struct param *row, int64_t *number,
		    struct str *problems);

/* Any value of a parameter of one transport that is wrong: the same line. */
void		 param_complain(struct maincf *, const char *name,
		    const char *value, const char *why, struct str *problems);

#endif
