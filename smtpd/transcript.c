/*
 * transcript.c - what was said in a session, for the postmaster.
 *
 * Called by session.c and replies.c with every line. Nothing is kept unless
 * notify_classes has a class that a session can fall into, and nothing is sent
 * unless this one did; bounce writes the mail. The log shows the same of those
 * whom debug_peer_list names.
 *
 * P1  The text of a message is never kept, nor what follows AUTH, nor the
 *     answers to it that some clients send though nobody asked.
 * P2  A session keeps at most some 28 KiB: its beginning and its end.
 */

#include "smtpd/transcript.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"

#include "smtpd/settings.h"

enum {
	HEAD_MAX = 14 * 1024,
	TAIL_MAX = 7 * 1024,		/* of each of two, used in turn */
	LINE_MAX_LEN = 600,
	BOUNCE_PATIENCE = 30 * 1000
};

const struct param transcript_params[] = {
	PARAM_STRING("notify_classes", set.notify_classes,
	    "resource, software", 0, 200,
	    "Which problems the postmaster is told by mail: bounce, 2bounce, "
	    "data, delay, policy, protocol, resource, software."),
	PARAM_END
};

/* The classes of a session, the worst one last. */
enum class { CLASS_NONE, CLASS_PROTOCOL, CLASS_POLICY, CLASS_RESOURCE,
    CLASS_SOFTWARE, CLASSES };

static const char *const names[CLASSES] = {
	[CLASS_NONE] = "", [CLASS_PROTOCOL] = "protocol",
	[CLASS_POLICY] = "policy", [CLASS_RESOURCE] = "resource",
	[CLASS_SOFTWARE] = "software"
};

/* The others are for bounce to know. */
static const char *const others[] = { "bounce", "2bounce", "data", "delay" };

static bool	 is_wanted[CLASSES], is_kept;

/* The lines of one session. */
struct record {
	struct str	 head, tail[2];
	int		 now;		/* the tail that grows */
	bool		 has_tail;
	unsigned	 lines[2];	/* in each tail */
	unsigned	 cut;		/* lines left out in the middle */
	enum class	 worst;
};

/* Is it a class that somebody else acts upon? */
static bool
is_other(const char *word)
{
	size_t	i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (text_equal(others[i], word))
			return true;
	return false;
}

void
transcript_prepare(void)
{
	struct pool	*pool;
	char	       **words;
	size_t		 count, i, k;

	pool = pool_new("classes", 0);
	words = text_words(pool, set.notify_classes, &count);
	for (i = 0; i < count; i++) {
		for (k = CLASS_NONE + 1; k < CLASSES; k++)
			if (text_equal(words[i], names[k]))
				break;
		if (k < CLASSES)
			is_kept = is_wanted[k] = true;
		else if (!is_other(words[i]))
			log_warning("notify_classes: \"%s\" is no class of "
			    "problems", words[i]);
	}
	pool_free(pool);
}

/* --- what kind of problem ------------------------------------------------- */

/*
 * The class of a reply, by its codes (RFC 3463): x.5 is the protocol, but for
 * too many recipients; x.7 and x.1 are policy, but for the syntax of an
 * address. Ends of sessions that nobody did wrong belong to none.
 */
static enum class
class_of(const char *line)
{
	const char	*dsn;

	if (line[0] != '4' && line[0] != '5')
		return CLASS_NONE;
	dsn = strlen(line) > 8 ? line + 4 : "x.0.0";
	if (dsn[2] == '3') {
		if (line[0] == '4' && (dsn[4] == '0' || dsn[4] == '5'))
			return CLASS_SOFTWARE;
		if (dsn[4] == '1')
			return CLASS_RESOURCE;
		return dsn[4] == '4' ? CLASS_POLICY : CLASS_NONE;
	}
	if (dsn[2] == '4')
		return CLASS_NONE;
	if (strncmp(line + 1, "01", 2) == 0)
		return CLASS_PROTOCOL;
	if (dsn[2] == '5')
		return dsn[4] == '3' ? CLASS_POLICY : CLASS_PROTOCOL;
	return CLASS_POLICY;
}

/* --- keeping -------------------------------------------------------------- */

/* The session's record; NULL when none is kept. */
static struct record *
record_of(struct session *s)
{
	struct record	*r;

	if (s->record != NULL || !is_kept)
		return s->record;
	r = s->record = pool_alloc(s->pool, sizeof(*r));
	str_init(&r->head, s->pool, HEAD_MAX);
	return r;
}

/* Where a line of this length goes: the head while it has room, then the two
 * tails in turn, the older of which is emptied. */
static struct str *
place(struct session *s, struct record *r, size_t len)
{
	if (!r->has_tail && r->head.len + len <= HEAD_MAX)
		return &r->head;
	if (!r->has_tail) {
		r->has_tail = true;
		str_init(&r->tail[0], s->pool, TAIL_MAX);
		str_init(&r->tail[1], s->pool, TAIL_MAX);
	}
	if (r->tail[r->now].len + len > TAIL_MAX) {
		r->now = !r->now;
		r->cut += r->lines[r->now];
		r->lines[r->now] = 0;
		str_clear(&r->tail[r->now]);
	}
	r->lines[r->now]++;
	return &r->tail[r->now];
}

/* Keep one line of `len` bytes (P2). */
static void
keep(struct session *s, struct record *r, const char *who, const char *line,
    size_t len)
{
	struct str	*to;
	size_t		 i, n;

	if (len > LINE_MAX_LEN)
		len = LINE_MAX_LEN;
	to = place(s, r, len + strlen(who) + 1);
	str_add(to, who);
	for (i = 0; i < len; i++) {
		n = text_printable(line + i, len - i);
		str_add_mem(to, line + i, n);
		if ((i += n) < len)
			str_add_char(to, (unsigned char)line[i] < ' ' ||
			    line[i] == 0x7f ? '?' : line[i]);
	}
	str_add_char(to, '\n');
}

/* A line of base64; our commands have four letters, or a blank. */
static bool
is_base64(const char *line)
{
	size_t	len = strlen(line);

	return (len > 4 || strpbrk(line, "0123456789+/=") != NULL) &&
	    len % 4 == 0 && line[strspn(line,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789+/=")] == '\0';
}

bool
transcript_hides(const struct session *s, const char *line)
{
	return s->has_auth && is_base64(line);
}

/* How much of a line may be kept (P1). */
static size_t
open_part(struct session *s, const char *line)
{
	size_t	len;

	if (text_starts(line, "AUTH") && strchr(" \t", line[4]) != NULL) {
		s->has_auth = true;
		len = 4 + strspn(line + 4, " \t");
		return len + strcspn(line + len, " \t");
	}
	if (transcript_hides(s, line))
		return 0;
	s->has_auth = false;
	return strlen(line);
}

/* A line for the log, of a session that it shows in detail (peers.h). */
static void
show(const struct session *s, char way, const char *line, size_t len)
{
	if (s->detail > 0)
		log_info("%c %s: %.*s", way, s->ident, (int)len, line);
}

/* One line, as far as it may be seen. */
static void
hear_part(struct session *s, struct record *r, const char *line, size_t len)
{
	show(s, '<', line, len);
	if (r != NULL)
		keep(s, r, "In:  ", line, len);
}

void
transcript_heard(struct session *s, const char *line)
{
	struct record	*r = record_of(s);
	size_t		 len;

	if (r == NULL && s->detail == 0)
		return;
	if ((len = open_part(s, line)) == 0 && *line != '\0')
		transcript_heard_secret(s);
	else
		hear_part(s, r, line, len);
}

void
transcript_heard_secret(struct session *s)
{
	static const char	words[] = "(not shown)";

	hear_part(s, record_of(s), words, strlen(words));
}

void
transcript_said(struct session *s, const char *line)
{
	struct record	*r = record_of(s);
	enum class	 class;

	show(s, '>', line, strlen(line));
	if (r == NULL)
		return;
	keep(s, r, "Out: ", line, strlen(line));
	class = class_of(line);
	if (is_wanted[class] && class > r->worst)
		r->worst = class;
}

/* --- sending -------------------------------------------------------------- */

/* All lines. */
static char *
lines_of(struct pool *pool, const struct record *r)
{
	struct str	all;

	str_init(&all, pool, 0);
	str_add(&all, r->head.data);
	if (r->cut > 0)
		str_addf(&all, "(%u lines are left out here)\n", r->cut);
	if (r->has_tail) {
		str_add(&all, r->tail[!r->now].data);
		str_add(&all, r->tail[r->now].data);
	}
	return all.data;
}

void
transcript_send(struct session *s)
{
	struct record		*r = s->record;
	static char		 nothing[1];
	struct transcript	 news;
	struct bounced		 answer;
	struct pool		*pool;

	if (r == NULL || r->worst == CLASS_NONE)
		return;
	pool = pool_new("transcript", 0);
	news.class = (char *)(uintptr_t)names[r->worst];
	news.peer = (char *)(uintptr_t)s->ident;
	news.queue_id = nothing;
	news.lines = lines_of(pool, r);
	if (link_ask(to_bounce, PACKET_TRANSCRIPT, &news, PACKET_BOUNCED,
	    &answer, pool, clock_now() + BOUNCE_PATIENCE, false) == -1)
		log_warning("the postmaster was not told of the session with "
		    "%s: %s", s->ident, strerror(errno));
	else if (answer.code != 250)
		log_warning("the postmaster was not told of the session with "
		    "%s: %s", s->ident, answer.text);
	pool_free(pool);
}
