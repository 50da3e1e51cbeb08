#ifndef PARAM_KNOWN_H
#define PARAM_KNOWN_H

#include "common/base/str.h"
#include "common/param/maincf.h"

/*
 * Every parameter that Postfix 3.7 and later document, and every one that
 * only Postrider has, and how it stands here. The table is data (known.tsv
 * beside known.c) and grows with the program: a row of PARAM_... anywhere
 * wants a line there that says "acts".
 */
enum standing {
	STANDING_ACTS,		/* some program's rows declare it */
	STANDING_HARMLESS,	/* ignoring it weakens and changes nothing */
	STANDING_OBSOLETE,	/* means another name and value; mapped */
	STANDING_NOT_YET,	/* protects, filters, rewrites, encrypts or
				 * routes: refuse service when in force */
	STANDING_UNKNOWN
};

struct known {
	enum standing	 standing;
	unsigned	 place;		/* of its texts, which follow */
};

const char	*known_name(const struct known *);
const char	*known_standard(const struct known *);	/* default */
/* Whom it affects: "smtpd cleanup". */
const char	*known_programs(const struct known *);
/* Values that ask for nothing; below. */
const char	*known_harmless(const struct known *);
/* OBSOLETE: what is meant now; HARMLESS: why, if it is not plain. */
const char	*known_note(const struct known *);

/*
 * `harmless` is a list separated by '|' of values that ask for nothing:
 *	a value		compared without case, all runs of white space and
 *			commas alike; nothing between the bars is the empty one
 *	words:a,b	a list made of these words only
 * For a name that acts, these are the values that it acts upon; none: all.
 * A name of the table that begins with "*" stands for all names that end with
 * the rest: settings of one transport.
 *
 * `note` of an obsolete name is the name it means now, alone if it takes the
 * same values, else followed by values: "smtpd_tls_security_level yes=may".
 */
/* The row of a name, NULL: unknown. All of them by index, NULL at the end. */
const struct known	*known_find(const char *name);
const struct known	*known_at(size_t index);

/* Is the word among words separated by white space or commas? */
bool			 known_has_word(const char *words, const char *word);

/*
 * The first setting in force that `program` would have to act upon and does
 * not, as a sentence with file and line in the pool of the maincf; NULL: none.
 */
const char		*known_unsupported(struct maincf *,
			    const char *program);

/* Make $name work for all of them. */
void			 known_defaults(struct maincf *);

/* Set what obsolete settings mean now, unless the file sets that, too. */
void			 known_translate(struct maincf *);

/* Does the file use the name for itself, as $name or as a class? */
bool			 known_is_own(struct maincf *, const char *name);

/*
 * One line for every unknown, obsolete or unsupported setting; returns how
 * many of them refuse service. A name used as $name elsewhere is not unknown.
 */
unsigned		 known_report(struct maincf *, struct str *lines);

#endif
