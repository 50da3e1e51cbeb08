/*
 * queue_cat.c - show a message: its envelope, its content, its attempts, in
 * the words of Postfix's postcat.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/mail/chars.h"
#include "qmgr/queue.h"

enum { PIECE = 64 * 1024 };

/* A message that is shown. */
struct shown {
	struct pool		*pool;
	const char		*name;		/* "deferred/ID", or the file */
	int			 fd;
	unsigned		 show;
	struct envelope		 envelope;
	struct queue_layout	 layout;
};

/* The place in the file before a line, if wanted. */
static void
print_place(const struct shown *s, int64_t place)
{
	if ((s->show & SHOW_OFFSETS) != 0)
		printf("%9jd ", (intmax_t)place);
}

/* The head of a section. */
static void
print_section(const struct shown *s, const char *what, int64_t place)
{
	print_place(s, place);
	printf("*** %s %s ***\n", what, s->name);
}

/* --- envelope ------------------------------------------------------------ */

/* "name: value" */
static void
print_value(const struct shown *s, const char *name, const char *value)
{
	print_place(s, s->layout.envelope_offset);
	printf("%s: ", name);
	print_safe(stdout, value);
	putchar('\n');
}

/* "named_attribute: name=value", unless there is none. */
static void
print_attribute(const struct shown *s, const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	print_place(s, s->layout.envelope_offset);
	printf("named_attribute: %s=", name);
	print_safe(stdout, value);
	putchar('\n');
}

/* Who brought it. */
static void
print_origin(const struct shown *s)
{
	const struct mail	*m = &s->envelope.mail;

	print_attribute(s, "envelope_id", m->envelope_id);
	print_attribute(s, "ret_flags", m->return_what);
	print_attribute(s, "client_name", m->client_name);
	print_attribute(s, "client_address", m->client_address);
	print_attribute(s, "helo_name", m->helo);
	print_attribute(s, "protocol_name", m->protocol);
	print_attribute(s, "sasl_username", m->login);
	print_attribute(s, "verp_delimiters", m->verp);
	if (m->uid >= 0)
		print_attribute(s, "log_message_origin", pool_printf(s->pool,
		    "local, uid %jd", (intmax_t)m->uid));
}

/* One recipient. */
static void
print_recipient(const struct shown *s, const struct envelope_recipient *r)
{
	if (r->row.orcpt[0] != '\0')
		print_attribute(s, "dsn_orig_rcpt", r->row.orcpt);
	print_place(s, s->layout.envelope_offset);
	printf("original_recipient: ");
	print_safe(stdout, r->row.original[0] != '\0' ? r->row.original :
	    r->row.address);
	putchar('\n');
	print_place(s, r->status_offset);
	fputs(r->status == RECIPIENT_TO_DO ? "recipient: " :
	    r->status == RECIPIENT_FAILED ? "failed_recipient: " :
	    "done_recipient: ", stdout);
	print_safe(stdout, r->row.address);
	putchar('\n');
}

/* Sizes, times, sender, origin, recipients. */
static void
print_envelope(const struct shown *s)
{
	const struct envelope	*e = &s->envelope;
	time_t			 when = (time_t)(e->mail.arrival_us / 1000000);
	struct tm		 parts;
	char			 date[64] = "";
	size_t			 i;

	print_section(s, "ENVELOPE RECORDS", s->layout.envelope_offset);
	print_place(s, s->layout.envelope_offset);
	printf("message_size: %15jd %15jd %15zu\n",
	    (intmax_t)s->layout.content_length,
	    (intmax_t)s->layout.content_offset, e->count);
	if (localtime_r(&when, &parts) != NULL)
		strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &parts);
	print_value(s, "message_arrival_time", date);
	print_value(s, "sender", e->mail.sender);
	print_origin(s);
	for (i = 0; i < e->count; i++)
		print_recipient(s, &e->recipients[i]);
}

/* --- content ------------------------------------------------------------- */

/* Where a line is in the message: a header ends at the first line that is
 * neither a field nor the rest of one. */
struct reader {
	unsigned	 show;
	bool		 is_body, is_start;	/* of a line */
	bool		 has_colon, is_first, was_cr;
	bool		 is_seen;		/* by a terminal */
	unsigned char	 before;		/* the last one */
	char		 line[1024];		/* of a header, so far */
	size_t		 len;
};

/* Would a terminal obey it, alone or as the second byte of a C1 control? */
static bool
is_obeyed(unsigned char before, unsigned char c)
{
	return (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ||
	    (before == 0xc2 && c >= 0x80 && c < 0xa0);
}

/* One character that is to be shown: to a program as it is. */
static void
emit(struct reader *r, char c)
{
	bool	is_bad = r->is_seen && is_obeyed(r->before,
		    (unsigned char)c);

	if ((r->show & (r->is_body ? SHOW_BODY : SHOW_HEADER)) != 0)
		putchar(is_bad ? '?' : c);
	r->before = (unsigned char)c;
}

/* What was kept of the line belongs to this part. */
static void
release(struct reader *r)
{
	size_t	i;

	for (i = 0; i < r->len; i++)
		emit(r, r->line[i]);
	r->len = 0;
}

/* A character of a line of which it is not known what it is. */
static void
take_header(struct reader *r, char c)
{
	bool	is_more = r->is_start && is_blank(c) && !r->is_first;

	if (is_more || c == ':')
		r->has_colon = true;
	else if (c == '\n' || c == ' ' || r->len == sizeof(r->line) - 1)
		r->is_body = !r->has_colon;
	r->line[r->len++] = c;
	if (r->has_colon || r->is_body)
		release(r);
}

/* The next character, line ends as on this system. */
static void
take(struct reader *r, char c)
{
	if (r->is_body || (r->has_colon && !r->is_start))
		emit(r, c);
	else
		take_header(r, c);
	r->is_start = c == '\n';
	if (r->is_start && !r->is_body) {
		r->has_colon = false;
		r->is_first = false;
	}
}

/* A piece of it: CRLF becomes LF. */
static void
take_piece(struct reader *r, const char *piece, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		if (r->was_cr && piece[i] != '\n')
			take(r, '\r');
		r->was_cr = piece[i] == '\r';
		if (!r->was_cr)
			take(r, piece[i]);
	}
}

/* Header, body, or both. */
static int
print_content(const struct shown *s)
{
	struct reader	*r = pool_alloc(s->pool, sizeof(*r));
	char		*piece = pool_alloc(s->pool, PIECE);
	int64_t		 offset = s->layout.content_offset,
			 left = s->layout.content_length;
	ssize_t		 n;

	*r = (struct reader){ .show = s->show, .is_start = true,
	    .is_first = true, .is_seen = isatty(STDOUT_FILENO) == 1 };
	for (; left > 0; left -= n, offset += n) {
		n = fs_pread(s->fd, piece, left < PIECE ? (size_t)left : PIECE,
		    offset);
		if (n <= 0)
			return -1;
		take_piece(r, piece, (size_t)n);
	}
	r->is_body = r->is_body || r->len > 0;
	release(r);
	return 0;
}

/* --- attempts ------------------------------------------------------------ */

/* One record of the journal. */
static void
print_record(const struct shown *s, const struct journal *j)
{
	struct tm	parts;
	time_t		when = (time_t)(j->when_us / 1000000);
	char		date[64] = "";

	if (localtime_r(&when, &parts) != NULL)
		strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &parts);
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
	    s->layout.envelope_length);
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
	const char	*why = NULL;

	if (is_whole) {
		print_envelope(s);
		if ((s->show & (SHOW_HEADER | SHOW_BODY)) != 0)
			print_section(s, "MESSAGE CONTENTS",
			    s->layout.content_offset);
	}
	if ((s->show & (SHOW_HEADER | SHOW_BODY)) != 0 &&
	    print_content(s) == -1)
		return "its content cannot be read";
	if ((s->show & SHOW_ATTEMPTS) != 0)
		why = print_attempts(s);
	if (is_whole)
		print_section(s, "MESSAGE FILE END", end);
	return why;
}

/* An open file, closed here. */
static int
show_file(const struct order *o, const char *name, int fd)
{
	struct shown	 s = { .pool = pool_new("cat", 0), .fd = fd,
			    .name = name, .show = o->show };
	const char	*why;

	if ((s.show & (SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY |
	    SHOW_ATTEMPTS)) == 0)
		s.show |= SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY |
		    SHOW_ATTEMPTS;
	why = envelope_read(&s.envelope, &s.layout, s.pool, fd);
	if (why == NULL)
		why = show(&s);
	if (why != NULL)
		complain("%s: %s", name, why);
	pool_free(s.pool);
	close(fd);
	return why == NULL ? 0 : EX_DATAERR;
}

/* A message of the queue, wherever it is. */
static int
show_message(const struct order *o, const char *id)
{
	static const enum queue_dir	all[] = { QUEUE_INCOMING,
					    QUEUE_DEFERRED, QUEUE_HOLD,
					    QUEUE_CORRUPT };
	size_t				i;
	int				fd;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if ((fd = queue_open_file(all[i], id, O_RDONLY)) != -1)
			return show_file(o, queue_path(command.pool, all[i],
			    id), fd);
		if (errno != ENOENT)
			break;
	}
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
			complain("%s: %s", o->ids[i], strerror(errno));
		result = fd == -1 ? EX_NOINPUT :
		    show_file(o, o->ids[i], fd);
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
