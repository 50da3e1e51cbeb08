/*
 * queue_cat.c - show a message: its envelope, its attempts, and around its
 * content, in the words of Postfix's postcat.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/mail/dsn.h"
#include "common/mail/origin.h"
#include "qmgr/queue.h"

enum { DATE_SIZE = 64 };

/* The types of lines, as postcat -d numbers them. */
enum { IS_SIZE = 'C', IS_TIME = 'T', IS_ATTRIBUTE = 'A', IS_NAME = 'F',
    IS_SENDER = 'S', IS_FILTER = 'L', IS_ORIGINAL = 'O', IS_RECIPIENT = 'R',
    IS_DONE = 'D', IS_CONTENT = 'M', IS_EXTRACTED = 'X', IS_END = 'E' };

/* Begin a line, unless it stands before the place from which on lines are
 * wanted. */
bool
cat_begins(const struct shown *s, int64_t place, int type)
{
	if (place < s->skip)
		return false;
	if ((s->show & SHOW_OFFSETS) != 0)
		printf("%9jd ", (intmax_t)place);
	if ((s->show & SHOW_TYPES) != 0)
		printf("%3d ", type);
	return true;
}

/* The head of a section. */
static void
print_section(const struct shown *s, const char *what, int64_t place, int type)
{
	if (cat_begins(s, place, type))
		printf("*** %s %s ***\n", what, s->name);
}

/* --- envelope ------------------------------------------------------------ */

/* "name: value" */
static void
print_value(const struct shown *s, int64_t place, int type, const char *name,
    const char *value)
{
	if (!cat_begins(s, place, type))
		return;
	printf("%s: ", name);
	print_safe(stdout, value);
	putchar('\n');
}

/* "named_attribute: name=value", unless there is none. */
static void
print_attribute(const struct shown *s, const char *name, const char *value)
{
	if (value != NULL && *value != '\0')
		print_value(s, s->layout.envelope_offset, IS_ATTRIBUTE,
		    "named_attribute", pool_printf(s->pool, "%s=%s", name,
		    value));
}

/* A number, unless it is 0. */
static void
print_number(const struct shown *s, const char *name, int64_t value)
{
	if (value != 0)
		print_attribute(s, name, pool_printf(s->pool, "%jd",
		    (intmax_t)value));
}

/* "Sun Nov 22 05:46:23 2026" */
static const char *
date_of(struct pool *pool, int64_t when_us)
{
	time_t		 when = (time_t)(when_us / 1000000);
	struct tm	 parts;
	char		*date = pool_alloc(pool, DATE_SIZE);

	*date = '\0';
	if (localtime_r(&when, &parts) != NULL)
		strftime(date, DATE_SIZE, "%a %b %e %H:%M:%S %Y", &parts);
	return date;
}

/* Options that came with the sender, and his name. */
static void
print_sender(const struct shown *s)
{
	const struct mail	*m = &s->envelope.mail;
	int64_t			 place = s->layout.envelope_offset;

	print_attribute(s, "envelope_id", m->envelope_id);
	print_attribute(s, "ret_flags", *m->return_what == '\0' ? "" :
	    strcmp(m->return_what, "FULL") == 0 ? "1" : "2");
	if (m->full_name[0] != '\0')
		print_value(s, place, IS_NAME, "sender_fullname",
		    m->full_name);
	print_value(s, place, IS_SENDER, "sender", m->sender);
	print_attribute(s, "encoding", m->flags & MAIL_IS_8BIT ? "8bit" : "");
}

/* "mx.example.org[192.0.2.1]" */
static const char *
describe_client(struct pool *pool, const char *name, const char *address)
{
	return *address == '\0' ? name : pool_printf(pool, "%s[%s]", name,
	    address);
}

/* A value that XFORWARD gave. */
static const char *
given(const struct origin *o, enum origin_attribute a)
{
	return o->values[a] == NULL ? "" : o->values[a][0] == '\0' ?
	    "unknown" : o->values[a];
}

/* Where it came from at first, as XFORWARD told it. */
static void
print_first_origin(const struct shown *s)
{
	struct origin	o = { { NULL } };

	if (origin_parse(&o, s->pool, ORIGIN_XFORWARD,
	    s->envelope.mail.forwarded) != NULL)
		return;
	print_attribute(s, "log_ident", given(&o, ORIGIN_IDENT));
	print_attribute(s, "log_client_name", given(&o, ORIGIN_NAME));
	print_attribute(s, "log_client_address", given(&o, ORIGIN_ADDR));
	print_attribute(s, "log_client_port", given(&o, ORIGIN_PORT));
	print_attribute(s, "log_message_origin", describe_client(s->pool,
	    given(&o, ORIGIN_NAME), given(&o, ORIGIN_ADDR)));
	print_attribute(s, "log_helo_name", given(&o, ORIGIN_HELO));
	print_attribute(s, "log_protocol_name", given(&o, ORIGIN_PROTO));
}

/* Who brought it, for the log. */
static void
print_log_origin(const struct shown *s)
{
	const struct mail	*m = &s->envelope.mail;

	if (m->forwarded != NULL && m->forwarded[0] != '\0') {
		print_first_origin(s);
		return;
	}
	print_attribute(s, "log_client_name", m->client_name);
	print_attribute(s, "log_client_address", m->client_address);
	print_number(s, "log_client_port", m->client_port);
	print_attribute(s, "log_message_origin", m->uid >= 0 ?
	    pool_printf(s->pool, "local, uid %jd", (intmax_t)m->uid) :
	    describe_client(s->pool, m->client_name, m->client_address));
	print_attribute(s, "log_helo_name", m->helo);
	print_attribute(s, "log_protocol_name", m->protocol);
}

/* Who brought it: once for the log, once for the agents. */
static void
print_origin(const struct shown *s)
{
	const struct mail	*m = &s->envelope.mail;

	if ((m->flags & (MAIL_FROM_OURS | MAIL_FROM_OTHERS)) != 0)
		print_attribute(s, "rewrite_context",
		    (m->flags & MAIL_FROM_OURS) != 0 ? "local" : "remote");
	print_log_origin(s);
	print_attribute(s, "client_name", m->client_name);
	print_attribute(s, "client_address", m->client_address);
	print_number(s, "client_port", m->client_port);
	print_attribute(s, "helo_name", m->helo);
	print_attribute(s, "protocol_name", m->protocol);
	print_attribute(s, "sasl_username", m->login);
	print_attribute(s, "verp_delimiters", m->verp);
	if (m->filter[0] != '\0')
		print_value(s, s->layout.envelope_offset, IS_FILTER,
		    "content_filter", m->filter);
}

/* One recipient. Postfix's postcat knows no failures. */
static void
print_recipient(const struct shown *s, const struct envelope_recipient *r)
{
	bool	is_to_do = r->status == RECIPIENT_TO_DO;
	bool	has_failed = r->status == RECIPIENT_FAILED ||
		    r->status == RECIPIENT_OWED;

	print_number(s, "notify_flags", r->row.notify & ~NOTIFY_EXPANDED);
	print_attribute(s, "dsn_orig_rcpt", r->row.orcpt);
	print_value(s, s->layout.envelope_offset, IS_ORIGINAL,
	    "original_recipient", r->row.original[0] != '\0' ?
	    r->row.original : r->row.address);
	print_value(s, r->status_offset, is_to_do ? IS_RECIPIENT : IS_DONE,
	    is_to_do ? "recipient" : has_failed && !command.is_postfix ? "failed_recipient" : "done_recipient",
	    r->row.address);
}

/* Sizes, times, sender, origin, recipients. */
static void
print_envelope(const struct shown *s)
{
	const struct envelope		*e = &s->envelope;
	const struct queue_layout	*l = &s->layout;
	int64_t				 created;
	size_t				 i;

	if (l->envelope_offset >= s->skip)
		printf("*** ENVELOPE RECORDS %s ***\n", s->name);
	print_value(s, l->envelope_offset, IS_SIZE, "message_size",
	    pool_printf(s->pool, "%15jd %15jd %15zu %15d %15jd %15d",
	    (intmax_t)l->content_length, (intmax_t)l->content_offset,
	    e->count, 0, (intmax_t)l->content_length, 0));
	print_value(s, l->envelope_offset, IS_TIME, "message_arrival_time",
	    date_of(s->pool, e->mail.arrival_us));
	if ((created = queue_id_time(s->id)) > 0)
		print_value(s, l->envelope_offset, IS_ATTRIBUTE,
		    "create_time", date_of(s->pool, created));
	print_sender(s);
	print_origin(s);
	for (i = 0; i < e->count; i++)
		print_recipient(s, &e->recipients[i]);
}

/* --- attempts ------------------------------------------------------------ */

/* One record of the journal. */
static void
print_record(const struct shown *s, const struct journal *j)
{
	const char	*date = date_of(s->pool, j->when_us);

	if (j->kind == JOURNAL_ATTEMPT)
		printf("%s: attempt\n", date);
	else if (j->kind == JOURNAL_WARNED)
		printf("%s: the sender was warned\n", date);
	else if (j->kind == JOURNAL_OUTCOME && j->number >= 0 &&
	    j->number < (int64_t)s->envelope.count) {
		printf("%s: ", date);
		print_safe(stdout,
		    s->envelope.recipients[j->number].row.address);
		printf(": %s ", j->dsn);
		print_safe(stdout, j->text);
		putchar('\n');
	}
}

/* What was tried. */
static const char *
print_attempts(const struct shown *s)
{
	struct journal	*records;
	const char	*why;
	size_t		 count, i;
	int64_t		 end;

	why = journal_read(s->pool, s->fd, &s->layout, &records, &count, &end);
	if (why != NULL)
		return why;
	print_section(s, "DELIVERY ATTEMPTS", s->layout.envelope_offset +
	    s->layout.envelope_length, IS_ATTRIBUTE);
	for (i = 0; i < count; i++)
		print_record(s, &records[i]);
	return NULL;
}

/* --- a message ----------------------------------------------------------- */

/* All parts that are wanted; NULL, or what is wrong. */
static const char *
show(struct shown *s)
{
	int64_t		 end = s->layout.content_offset +
			    s->layout.content_length;
	bool		 is_whole = (s->show & SHOW_ENVELOPE) != 0;
	bool		 has_content = (s->show & (SHOW_HEADER | SHOW_BODY)) !=
			    0;
	const char	*why = NULL;

	if (is_whole)
		print_envelope(s);
	if (is_whole && (has_content || command.is_postfix))
		print_section(s, "MESSAGE CONTENTS",
		    s->layout.content_offset, IS_CONTENT);
	if (has_content && cat_content(s) == -1)
		return "its content cannot be read";
	if (is_whole && command.is_postfix)
		print_section(s, "HEADER EXTRACTED", end, IS_EXTRACTED);
	if ((s->show & SHOW_ATTEMPTS) != 0)
		why = print_attempts(s);
	if (is_whole)
		print_section(s, "MESSAGE FILE END", end +
		    s->layout.envelope_length, IS_END);
	return why;
}

/* What cannot be shown is no failure to postcat. */
static int
refuse(const char *name, const char *why)
{
	if (!command.is_postfix) {
		complain("%s: %s", name, why);
		return EX_DATAERR;
	}
	complain("warning: %s: input is not a valid queue file: %s", name, why);
	return 0;
}

/* An open file, closed here. */
static int
show_file(const struct order *o, const char *name, int fd)
{
	const char	*slash = strrchr(name, '/'), *why;
	struct shown	 s = { .pool = pool_new("cat", 0), .fd = fd,
			    .name = name, .show = o->show, .skip = o->skip,
			    .id = slash != NULL ? slash + 1 : name };
	struct stat	 st;

	if ((s.show & (SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY |
	    SHOW_ATTEMPTS)) == 0)
		s.show |= SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY |
		    SHOW_ATTEMPTS;
	why = envelope_read(&s.envelope, &s.layout, s.pool, fd);
	if (why != NULL && command.is_postfix && fstat(fd, &st) == 0 &&
	    st.st_size == 0)
		why = NULL;		/* nothing is shown of nothing */
	else if (why == NULL)
		why = show(&s);
	pool_free(s.pool);
	close(fd);
	return why == NULL ? 0 : refuse(name, why);
}

/* A message's file, wherever it is. */
static int
open_message(const char *id, enum queue_dir *dir)
{
	static const enum queue_dir	all[] = { QUEUE_INCOMING,
					    QUEUE_DEFERRED, QUEUE_HOLD,
					    QUEUE_CORRUPT };
	size_t				i;
	int				fd = -1;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		*dir = all[i];
		fd = queue_open_file(all[i], id, O_RDONLY);
		if (fd != -1 || errno != ENOENT)
			break;
	}
	return fd;
}

/* A message of the queue; one that is in a log only gets a file for it. */
static int
show_message(const struct order *o, const char *id)
{
	struct listing	active = { .count = 0 };
	enum queue_dir	dir;
	int		fd = open_message(id, &dir);

	if (fd == -1 && errno == ENOENT) {
		logs_ask(&active);
		listing_free(&active);
		fd = open_message(id, &dir);
	}
	if (fd != -1)
		return show_file(o, queue_path(command.pool, dir, id), fd);
	if (command.is_postfix)
		give_up(1, "open queue file %s: %s", id, strerror(errno));
	complain("%s: %s", id, errno == ENOENT ? "not in the queue" :
	    strerror(errno));
	return EX_NOINPUT;
}

/* Files that are named as such; none: standard input. */
static int
show_files(const struct order *o)
{
	size_t	i;
	int	fd, result, status = 0;

	if (o->count == 0)
		return show_file(o, "stdin", dup(STDIN_FILENO));
	for (i = 0; i < o->count; i++) {
		fd = open(o->ids[i], O_RDONLY | O_CLOEXEC);
		if (fd == -1)
			give_up(1, "open %s: %s", o->ids[i], strerror(errno));
		result = show_file(o, o->ids[i], fd);
		status = result != 0 ? result : status;
	}
	return status;
}

/* All that are named. */
int
cat(const struct order *o)
{
	size_t	i;
	int	result, status = 0;

	if ((o->show & SHOW_FILES) != 0)
		return show_files(o);
	if (!owner_is_here()) {
		complain("only root and the mail system's owner may do that");
		return EX_NOPERM;
	}
	for (i = 0; i < o->count; i++)
		if ((result = show_message(o, o->ids[i])) != 0)
			status = result;
	return status;
}
