/*
 * queue_print.c - the list of the queue, in the two shapes that scripts know
 * from Postfix: mailq's columns, as they are with long queue ids, and one JSON
 * object a line (RFC 8259).
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/mail/chars.h"
#include "qmgr/queue.h"

enum { REASON_END = 78, ADDRESS_COLUMN = 47 };

static struct {
	FILE		*out;
	bool		 as_json;
	int64_t		 bytes;
	uint64_t	 messages;
} list;

/* Begin. */
void
print_start(FILE *out, bool as_json)
{
	memset(&list, 0, sizeof(list));
	list.out = out;
	list.as_json = as_json;
}

/* The sender; the null one has a name here. */
static const char *
sender_of(const struct queue_entry *e)
{
	return e->sender[0] != '\0' ? e->sender : "MAILER-DAEMON";
}

/* --- for people ---------------------------------------------------------- */

/* Would a terminal obey it: controls, and marks that turn the direction of
 * writing, so that one address looks like another? */
static bool
is_mark(uint32_t point)
{
	return point < ' ' || (point >= 0x7f && point < 0xa0) ||
	    (point >= 0x200e && point <= 0x200f) ||
	    (point >= 0x2028 && point <= 0x202e) ||
	    (point >= 0x2066 && point <= 0x2069);
}

/* Text of strangers, without what a terminal obeys. */
void
print_safe(FILE *out, const char *text)
{
	size_t		len = strlen(text), n;
	uint32_t	point;

	for (; len > 0; text += n, len -= n) {
		n = utf8_length(text, len, &point);
		if (n == 0 || is_mark(point)) {
			fputc('?', out);
			n = n == 0 ? 1 : n;
		} else
			fwrite(text, 1, n, out);
	}
}

/* The line of the message. */
static void
print_head(const struct queue_entry *e)
{
	char		date[32] = "";
	time_t		when = (time_t)(e->arrival_us / 1000000);
	struct tm	parts;
	char		id[QUEUE_ID_MAX + 3];

	if (list.messages == 0)
		fputs("----Queue ID----- --Size-- ---Arrival Time---- "
		    "--Sender/Recipient------\n", list.out);
	else
		fputc('\n', list.out);
	if (localtime_r(&when, &parts) != NULL)
		strftime(date, sizeof(date), "%a %b %e %H:%M:%S", &parts);
	snprintf(id, sizeof(id), "%s%s%s", e->queue_id,
	    strcmp(e->queue, "active") == 0 ? "*" :
	    strcmp(e->queue, "hold") == 0 ? "!" : "",
	    e->is_expired ? "#" : "");
	fprintf(list.out, "%-17s %8jd %-19s ", id, (intmax_t)e->size, date);
	print_safe(list.out, sender_of(e));
	fputc('\n', list.out);
}

/* A recipient; its reason before it, unless the last one had the same. */
static void
print_recipient(const struct queue_recipient *r, const char *last_reason)
{
	int	len = (int)strlen(r->reason) + 2;

	if (r->reason[0] != '\0' && strcmp(r->reason, last_reason) != 0) {
		fprintf(list.out, "%*s(", len < REASON_END ? REASON_END - len :
		    0, "");
		print_safe(list.out, r->reason);
		fputs(")\n", list.out);
	}
	fprintf(list.out, "%*s", ADDRESS_COLUMN, "");
	print_safe(list.out, r->address);
	fputc('\n', list.out);
}

/* A message. */
static void
print_for_people(const struct queue_entry *e)
{
	const char	*reason = "";
	size_t		 i;

	print_head(e);
	for (i = 0; i < e->count; i++) {
		print_recipient(&e->recipients[i], reason);
		reason = e->recipients[i].reason;
	}
}

/* --- for programs -------------------------------------------------------- */

/* A JSON string: what is no UTF-8 becomes the replacement character. */
static void
print_string(const char *text)
{
	size_t		len = strlen(text), n;
	uint32_t	point;

	fputc('"', list.out);
	for (; len > 0; text += n, len -= n) {
		if ((n = utf8_length(text, len, &point)) == 0) {
			fputs("\\ufffd", list.out);
			n = 1;
		} else if (point == '"' || point == '\\')
			fprintf(list.out, "\\%c", (char)point);
		else if (is_mark(point))
			fprintf(list.out, "\\u%04x", (unsigned)point);
		else
			fwrite(text, 1, n, list.out);
	}
	fputc('"', list.out);
}

/* One recipient. */
static void
print_row(const struct queue_recipient *r, bool is_first)
{
	fputs(is_first ? "{\"address\": " : ", {\"address\": ", list.out);
	print_string(r->address);
	if (r->reason[0] != '\0') {
		fputs(", \"delay_reason\": ", list.out);
		print_string(r->reason);
	}
	fputc('}', list.out);
}

/* A message. */
static void
print_for_programs(const struct queue_entry *e)
{
	size_t	i;

	fputs("{\"queue_name\": ", list.out);
	print_string(e->queue);
	fputs(", \"queue_id\": ", list.out);
	print_string(e->queue_id);
	fprintf(list.out, ", \"arrival_time\": %jd, \"message_size\": %jd, "
	    "\"forced_expire\": %s, \"sender\": ",
	    (intmax_t)(e->arrival_us / 1000000), (intmax_t)e->size,
	    e->is_expired ? "true" : "false");
	print_string(sender_of(e));
	fputs(", \"recipients\": [", list.out);
	for (i = 0; i < e->count; i++)
		print_row(&e->recipients[i], i == 0);
	fputs("]}\n", list.out);
}

/* --- both ---------------------------------------------------------------- */

/* One message. Returns whether to go on. */
bool
print_entry(void *context, const struct queue_entry *e)
{
	(void)context;
	if (list.as_json)
		print_for_programs(e);
	else
		print_for_people(e);
	list.bytes += e->size;
	list.messages++;
	return !ferror(list.out);
}

/* The end of the list. */
void
print_end(void)
{
	if (!list.as_json && list.messages == 0)
		fputs("Mail queue is empty\n", list.out);
	else if (!list.as_json)
		fprintf(list.out, "\n-- %jd Kbytes in %ju Request%s.\n",
		    (intmax_t)(list.bytes / 1024), (uintmax_t)list.messages,
		    list.messages == 1 ? "" : "s");
}
