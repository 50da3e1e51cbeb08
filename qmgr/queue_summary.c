/*
 * queue_summary.c - whose mail waits, and for how long: recipients by domain
 * and by age, in columns that double, as Postfix's qshape prints them.
 */
#include <sys/tree.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "qmgr/queue.h"

enum { AGES = 10, FIRST_AGE = 5 };	/* minutes: 5 10 20 ... 1280 1280+ */

struct row {
	RB_ENTRY(row)	 entry;
	uint64_t	 total, ages[AGES];
	char		 domain[DOMAIN_MAX + 1];
};

static int
compare(const struct row *a, const struct row *b)
{
	return strcmp(a->domain, b->domain);
}

RB_HEAD(rows, row);
RB_PROTOTYPE(rows, row, entry, )
RB_GENERATE(rows, row, entry, compare)

static struct rows	rows = RB_INITIALIZER(&rows);
static struct row	total;
static uint64_t		queues[SELECT_QUEUES];
static size_t		row_count;
static bool		is_by_sender;
static int64_t		now_us;

/* Begin. */
void
summary_start(bool by_sender)
{
	is_by_sender = by_sender;
	now_us = clock_wall_us();
}

/* The row of an address's domain. */
static struct row *
row_of(const char *address)
{
	const char	*local, *domain;
	size_t		 len;
	struct row	 key, *row;

	address_split(address, &local, &len, &domain);
	strlcpy(key.domain, *address == '\0' ? "MAILER-DAEMON" :
	    domain != NULL ? domain : "(none)", sizeof(key.domain));
	if (domain != NULL)
		text_lower(key.domain);
	if ((row = RB_FIND(rows, &rows, &key)) != NULL)
		return row;
	row = mem_alloc(sizeof(*row));
	memset(row, 0, sizeof(*row));
	memcpy(row->domain, key.domain, sizeof(row->domain));
	RB_INSERT(rows, &rows, row);
	row_count++;
	return row;
}

/* The column of an age. */
static size_t
column(int64_t arrival_us)
{
	int64_t	minutes = (now_us - arrival_us) / 60000000, limit = FIRST_AGE;
	size_t	i = 0;

	while (i < AGES - 1 && minutes >= limit) {
		limit *= 2;
		i++;
	}
	return i;
}

/* Count. */
static void
count(struct row *row, size_t age, uint64_t n)
{
	row->total += n;
	row->ages[age] += n;
}

/* One message. */
bool
summary_entry(void *context, const struct queue_entry *e)
{
	size_t	i, age = column(e->arrival_us);
	int	queue = select_queue(e->queue);

	(void)context;
	if (queue != -1)
		queues[queue]++;
	for (i = 0; i < e->count && !is_by_sender; i++)
		count(row_of(e->recipients[i].address), age, 1);
	if (is_by_sender)
		count(row_of(e->sender), age, e->count);
	count(&total, age, e->count);
	return true;
}

/* Who has most comes first. */
static int
by_total(const void *a, const void *b)
{
	const struct row	*x = *(struct row *const *)a,
				*y = *(struct row *const *)b;

	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return strcmp(x->domain, y->domain);
}

/* A line. */
static void
print_row(FILE *out, const struct row *row)
{
	size_t	i;

	fprintf(out, "%*s", 40 - (int)strlen(row->domain) < 0 ? 0 :
	    40 - (int)strlen(row->domain), "");
	print_safe(out, row->domain);
	fprintf(out, " %7ju", (uintmax_t)row->total);
	for (i = 0; i < AGES; i++)
		fprintf(out, " %6ju", (uintmax_t)row->ages[i]);
	fputc('\n', out);
}

/* The heads of the columns. */
static void
print_heads(FILE *out)
{
	int	i, minutes = FIRST_AGE;

	fprintf(out, "%40s %7s", "", "T");
	for (i = 0; i < AGES - 1; i++, minutes *= 2)
		fprintf(out, " %6d", minutes);
	fprintf(out, "  %d+\n", minutes / 2);
}

/* All of it. */
void
summary_print(FILE *out)
{
	static const char *const	names[SELECT_QUEUES] = {
		"incoming", "active", "deferred", "hold", "corrupt" };
	struct row			**sorted, *row;
	size_t				  i = 0;

	for (i = 0; i < SELECT_CORRUPT; i++)
		fprintf(out, "%s%s %ju", i > 0 ? ", " : "messages: ",
		    names[i], (uintmax_t)queues[i]);
	fputs("\n\n", out);
	sorted = mem_alloc((row_count + 1) * sizeof(struct row *));
	i = 0;
	RB_FOREACH(row, rows, &rows)
		sorted[i++] = row;
	qsort(sorted, row_count, sizeof(struct row *), by_total);
	print_heads(out);
	strlcpy(total.domain, "TOTAL", sizeof(total.domain));
	print_row(out, &total);
	for (i = 0; i < row_count; i++)
		print_row(out, sorted[i]);
	free(sorted);
}
