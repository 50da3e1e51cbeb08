#ifndef PARAM_MAINCF_H
#define PARAM_MAINCF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * main.cf: name = value, continuation lines begin with white space, comment
 * lines with #; the last setting of a name wins. A file is data: it is read
 * whole and knows the line of everything.
 */
struct maincf;

struct setting {
	const char	*name;
	const char	*value;		/* not expanded, continuation joined */
	const char	*file;
	unsigned	 line;
};

/* Read a file; NULL with *why ("main.cf:12: expected name = value"). The
 * struct lives in the pool. */
struct maincf	*maincf_read(struct pool *, const char *path, char **why);

/* An empty one, for tests and for defaults only. */
struct maincf	*maincf_empty(struct pool *);
struct pool	*maincf_pool(struct maincf *);
/* The directory of the file; "" for an empty one. */
const char	*maincf_directory(const struct maincf *);

/* Override as -o name=value does; `where` is told instead of file and line.
 * "$name" in a value of its own is what it was before. */
void		 maincf_set(struct maincf *, const char *name,
		    const char *value, const char *where);

/* The setting in force, NULL when the file is silent. */
const struct setting *maincf_find(const struct maincf *, const char *name);
/* All settings in force, in the file's order; NULL at the end. */
const struct setting *maincf_at(const struct maincf *, size_t index);

/* Settings that a later one of the same name hides; NULL at the end. */
const struct setting *maincf_hidden(const struct maincf *, size_t index);

/* "main.cf:12", or what maincf_set() was told, or "default" for NULL. */
const char	*maincf_where(struct pool *, const struct setting *);

/* Defaults of known parameters, so that $name works for unset ones. */
void		 maincf_default(struct maincf *, const char *name,
		    const char *value);
/* Who tells the default of a name that was given none, or NULL. */
void		 maincf_defaults(struct maincf *,
		    const char *(*find)(const char *name));
/* The setting's value, else the default, else NULL; not expanded. */
const char	*maincf_text(const struct maincf *, const char *name);

/* Does a file that was read again say what it said before, and are the defaults
 * that it was given the same? Where a setting stands does not matter. */
bool		 maincf_is_same(const struct maincf *before,
		    const struct maincf *again);

/*
 * Note the names that a text uses as $name (values of master.cf's -o, say),
 * and ask whether any text so noted, or any setting of the file, uses one.
 */
void		 maincf_note_uses(struct maincf *, const char *text);
bool		 maincf_is_used(const struct maincf *, const char *name);

/*
 * The value with every $name ${name} $(name) ${name?text} ${name?{text}}
 * ${name:text} ${name:{text}} ${name?{a}:{b}} and ${{x} == {y} ? {a} : {b}}
 * (also != < <= > >=, numbers compared as numbers; with "level" behind the
 * operator as dotted versions) replaced; $$ is a dollar sign. A name that
 * nobody knows is empty. NULL with *why for a loop or bad syntax.
 */
const char	*maincf_expand(struct maincf *, struct pool *,
		    const char *value, char **why);
/* Find, or default, then expand; NULL when there is neither (*why NULL). */
const char	*maincf_value(struct maincf *, struct pool *,
		    const char *name, char **why);

/*
 * Change settings in a file: comments and order kept, replaced atomically.
 * A NULL value removes the name (comments it out with `comment_out`). Editors
 * at the same time wait for each other. NULL, or a sentence in the pool.
 */
const char	*maincf_edit(struct pool *, const char *path,
		    const char *const *names, const char *const *values,
		    size_t count, bool comment_out);

#endif
