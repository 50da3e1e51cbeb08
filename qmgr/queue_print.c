/*
 * queue_print.c - the list of the queue, in the two shapes that scripts know
 * from Postfix: mailq's columns, and one JSON object a line.
 *
 * A message with many recipients comes in several entries of the same id.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/mail/chars.h"
#include "qmgr/queue.h"

enum { REASON_END = 76, ADDRESS_COLUMN = 42 };

static struct {
	bool		 as_json;
	char		 id[QUEUE_ID_MAX + 1];	/* of the last entry */
	int64_t		 bytes;
	unsigned	 messages;
	char		 reason[REPLY_MAX + 1];	/* that was printed last */
} list;

/* Begin. */
void
print_start(bool as_json)
{
	memset(&list, 0, sizeof(list));
	list.as_json = as_json;
}

/* --- for people ---------------------------------------------------------- */

/* Text of strangers, without what a terminal obeys. */
static void
print_safe(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(is_control((unsigned char)*text) ? '?' : *text);
}

/* The line of the message. */
static void
print_head(const struct queue_entry *e)
{
	char		date[32] = "";
	time_t		when = (time_t)(e->arrival_us / 1000000);
	struct tm	parts;
	char		id[QUEUE_ID_MAX + 2];

	if (list.messages == 0)
		puts("-Queue ID-  --Size-- ----Arrival Time---- "
		    "-Sender/Recipient-------");
	else
		putchar('\n');
	if (localtime_r(&when, &parts) != NULL)
		strftime(date, sizeof(date), "%a %b %e %H:%M:%S", &parts);
	snprintf(id, sizeof(id), "%s%s", e->queue_id,
	    strcmp(e->queue, "active") == 0 ? "*" :
	    strcmp(e->queue, "hold") == 0 ? "!" : "");
	printf("%-11s %8jd %-20s ", id, (intmax_t)e->size, date);
	print_safe(e->sender[0] != '\0' ? e->sender : "MAILER-DAEMON");
	putchar('\n');
}

/* A recipient; its reason before it, unless the last one had the same. */
static void
print_recipient(const struct queue_recipient *r)
{
	int	len = (int)strlen(r->reason) + 2;

	if (r->reason[0] != '\0' && strcmp(r->reason, list.reason) != 0) {
		printf("%*s(", len < REASON_END ? REASON_END - len : 0, "");
		print_safe(r->reason);
		puts(")");
	}
	snprintf(list.reason, sizeof(list.reason), "%s", r->reason);
	printf("%*s", ADDRESS_COLUMN, "");
	print_safe(r->address);
	putchar('\n');
}

/* --- for programs -------------------------------------------------------- */

/* A JSON string. */
static void
print_string(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if (is_control((unsigned char)*text))
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* The object up to its first recipient. */
static void
print_object(const struct queue_entry *e)
{
	if (list.messages > 0)
		puts("]}");
	fputs("{\"queue_name\": ", stdout);
	print_string(e->queue);
	fputs(", \"queue_id\": ", stdout);
	print_string(e->queue_id);
	printf(", \"arrival_time\": %jd, \"message_size\": %jd, "
	    "\"forced_expire\": false, \"sender\": ",
	    (intmax_t)(e->arrival_us / 1000000), (intmax_t)e->size);
	print_string(e->sender);
	fputs(", \"recipients\": [", stdout);
}

/* One recipient. */
static void
print_row(const struct queue_recipient *r, bool is_first)
{
	fputs(is_first ? "{\"address\": " : ", {\"address\": ", stdout);
	print_string(r->address);
	if (r->reason[0] != '\0') {
		fputs(", \"delay_reason\": ", stdout);
		print_string(r->reason);
	}
	putchar('}');
}

/* --- both ---------------------------------------------------------------- */

/* One entry. Returns whether to go on. */
bool
print_entry(void *context, const struct queue_entry *e)
{
	bool	is_new = strcmp(list.id, e->queue_id) != 0;
	size_t	i;

	(void)context;
	if (is_new) {
		if (list.as_json)
			print_object(e);
		else
			print_head(e);
		snprintf(list.id, sizeof(list.id), "%s", e->queue_id);
		list.reason[0] = '\0';
		list.bytes += e->size;
		list.messages++;
	}
	for (i = 0; i < e->count; i++)
		if (list.as_json)
			print_row(&e->recipients[i], is_new && i == 0);
		else
			print_recipient(&e->recipients[i]);
	return !ferror(stdout);
}

/* The end of the list. */
void
print_end(void)
{
	if (list.as_json && list.messages > 0)
		puts("]}");
	else if (!list.as_json && list.messages == 0)
		puts("Mail queue is empty");
	else if (!list.as_json)
		printf("\n-- %jd Kbytes in %u Request%s.\n",
		    (intmax_t)((list.bytes + 1023) / 1024), list.messages,
		    list.messages == 1 ? "" : "s");
}
