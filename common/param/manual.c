/*
 * manual.c - what the rows say of themselves: to postrider-conf, and to
 * people.
 */
#include "common/param/manual.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/text.h"

static const char	computed[] = "(computed)";

static const char *const kinds[] = {
	[PARAM_KIND_STRING] = "string",
	[PARAM_KIND_RAW] = "raw",
	[PARAM_KIND_INT] = "integer",
	[PARAM_KIND_BOOL] = "boolean",
	[PARAM_KIND_TIME] = "time",
	[PARAM_KIND_SIZE] = "size"
};

enum {
	KINDS	= sizeof(kinds) / sizeof(kinds[0]),
	COLUMNS	= 6
};

/* Print rows for a program. */
void
param_print_rows(const struct param *const *tables, FILE *to)
{
	const struct param	*row;
	char			 unit[3] = "";

	for (; *tables != NULL; tables++)
		for (row = *tables; row->name != NULL; row++) {
			unit[0] = row->kind == PARAM_KIND_TIME ? '/' : '\0';
			unit[1] = row->unit;
			fprintf(to, "%s\t%s%s\t%s\t%" PRId64 "\t%" PRId64
			    "\t%s\n", row->name, kinds[row->kind], unit,
			    row->standard == NULL ? computed : row->standard,
			    row->min, row->max, row->text);
		}
}

/* The kind of a word, and the unit behind it. */
static bool
read_kind(const char *word, struct param *row)
{
	size_t	len = strcspn(word, "/");
	int	k;

	for (k = 0; k < KINDS; k++)
		if (strlen(kinds[k]) == len &&
		    strncmp(kinds[k], word, len) == 0) {
			row->kind = (enum param_kind)k;
			row->unit = word[len] == '/' ? word[len + 1] : 's';
			return true;
		}
	return false;
}

/* Read what was printed above. */
bool
param_read_row(char *line, struct param *row)
{
	char	*columns[COLUMNS], *newline;
	int	 i;

	if ((newline = strchr(line, '\n')) != NULL)
		*newline = '\0';
	for (i = 0; i < COLUMNS; i++)
		if ((columns[i] = strsep(&line, "\t")) == NULL)
			return false;
	memset(row, 0, sizeof(*row));
	row->name = columns[0];
	row->standard = strcmp(columns[2], computed) == 0 ? NULL :
	    columns[2];
	row->text = columns[5];
	return *row->name != '\0' && read_kind(columns[1], row) &&
	    text_integer(columns[3], INT64_MIN, INT64_MAX, &row->min) ==
	    NULL &&
	    text_integer(columns[4], INT64_MIN, INT64_MAX, &row->max) == NULL;
}

/* What the row accepts. */
const char *
param_bounds(struct pool *pool, const struct param *row)
{
	switch (row->kind) {
	case PARAM_KIND_STRING:
	case PARAM_KIND_RAW:
		return row->min > 0 ? "text, not empty" : "text";
	case PARAM_KIND_BOOL:
		return "yes or no";
	case PARAM_KIND_INT:
		return pool_printf(pool, "a number from %" PRId64 " to %"
		    PRId64, row->min, row->max);
	case PARAM_KIND_SIZE:
		return row->max >= INT64_MAX / 4 ? "a size" :
		    pool_printf(pool, "a size from %" PRId64 " to %" PRId64
		    " bytes", row->min, row->max);
	case PARAM_KIND_TIME:
		break;
	}
	return pool_printf(pool, "a time from %" PRId64 "s to %" PRId64 "s; "
	    "a number alone is in %c", row->min, row->max, row->unit);
}

/* Text in mdoc: a dot or quote at the start of a line is no command. */
static void
write_text(const char *text, FILE *to)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", to);
	for (; *text != '\0'; text++)
		if (*text == '\\')
			fputs("\\e", to);
		else
			fputc(*text, to);
	fputc('\n', to);
}

/* One item of the manual's list. */
static void
write_item(const struct param *row, FILE *to)
{
	struct pool	*pool = pool_new("manual", 0);
	const char	*standard = row->standard;

	fprintf(to, ".It Ic %s\n", row->name);
	write_text(row->text, to);
	fprintf(to, "Takes %s; ", param_bounds(pool, row));
	if (standard == NULL || *standard == '\0')
		fprintf(to, "%s.\n", standard == NULL ?
		    "the default is computed" : "empty by default");
	else {
		fputs("the default is\n.Bd -literal -offset indent "
		    "-compact\n", to);
		write_text(standard, to);
		fputs(".Ed\n", to);
	}
	pool_free(pool);
}

/* All rows. */
void
param_write_manual(const struct param *const *rows, FILE *to)
{
	fputs(".Bl -tag -width Ds\n", to);
	for (; *rows != NULL; rows++)
		write_item(*rows, to);
	fputs(".El\n", to);
}
