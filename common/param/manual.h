#ifndef PARAM_MANUAL_H
#define PARAM_MANUAL_H

#include <stdio.h>

#include "common/param/param.h"

/*
 * Rows as text, for `PROGRAM --parameters`: name, kind (string raw integer
 * boolean size, time/s with the unit that is meant when none is written),
 * default, min, max and text, separated by tabs; a default that is computed
 * is "(computed)".
 */
void	 param_print_rows(const struct param *const *tables, FILE *);

/*
 * Read such a line back; it is cut up in place. `row->place` is NULL. False
 * when it is none.
 */
bool	 param_read_row(char *line, struct param *row);

/* The list of an mdoc manual page: an item for each row, in their order. */
void	 param_write_manual(const struct param *const *rows, FILE *);

/* What a value may be, in words: "a number from 1 to 256". */
const char *param_bounds(struct pool *, const struct param *);

#endif
