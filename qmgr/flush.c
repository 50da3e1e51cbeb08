/*
 * flush.c - waiting messages that come before their time: because somebody
 * asks for it (ETRN, RFC 1985; postrider queue flush -s), or because the site
 * they wait for answers again.
 *
 * The index of waiting messages has hashes of the names that each waits for;
 * so no file is opened to find them. Only those that nobody has opened since
 * the start, and those with more names than the index holds, are read, one
 * after the other, on a thread.
 *
 * P1  The same request soon after another one costs nothing and does nothing;
 *     no more than a few requests in a second are looked at.
 * P2  When a site comes back, the messages that waited for it come at most
 *     50 in a second, or within REVIVE_SPREAD if they are more; its window
 *     decides how many are delivered at once.
 * P3  Who wants all of a very long queue tried gets it at the rate at which a
 *     machine can deliver mail, and has room for other things meanwhile.
 */
#include "qmgr/flush.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/fiber/offload.h"
#include "common/ipc/lookup.h"
#include "common/mail/address.h"
#include "qmgr/again.h"
#include "qmgr/lane.h"
#include "qmgr/route.h"
#include "qmgr/scan.h"
#include "qmgr/transport.h"
#include "qmgr/waiting.h"

enum {
	PATIENCE = 20 * 1000,		/* with resolve */
	REPEAT = 10 * 1000,		/* a request is the same as before */
	WISHES = 64,			/* requests remembered */
	PER_SECOND = 10,
	BIG = 16 * 1024 * 1024,		/* an envelope that is not read */
	REVIVE_PAUSE = 1000,		/* sites are gathered so long */
	REVIVE_EACH = 20,
	REVIVE_SPREAD = 300 * 1000,
	REVIVED_MAX = 4096,
	ALL_AT_ONCE = 10000, ALL_PER_SECOND = 2000
};

/* A request: the name as it is, and without brackets and port. */
struct wish {
	uint32_t	 hashes[2];
	int64_t		 when;
	bool		 is_open;	/* files are to be read for it */
};

static struct wish	wishes[WISHES];
static const uint32_t	nobody[2];	/* no name has this hash */
static bool		is_reading, has_news;
static struct call	revived[REVIVED_MAX];
static size_t		revived_count;

/* --- sites ---------------------------------------------------------------- */

/* These sites may be alive. */
static void
revive_sites(const uint32_t *sites, size_t count, const uint32_t hashes[2])
{
	struct transport	*t;
	struct destination	*s;
	uint32_t		 label;
	size_t			 i;

	for (t = transport_next(NULL); t != NULL; t = transport_next(t))
		RB_FOREACH(s, destinations, &t->sites) {
			if (s->window.dead_until == 0)
				continue;
			label = again_hash(s->label);
			for (i = 0; i < count && sites[i] != s->load.mark; i++)
				;
			if (i == count && label != hashes[0] &&
			    label != hashes[1])
				continue;
			window_start(&s->window, s->pace);
			schedule_refresh(s);
			lane_kick(lane_of(s));
		}
}

/* --- messages of which nothing is known ---------------------------------- */

/* An envelope's bytes, read on a thread. */
struct reading {
	char			 id[QUEUE_ID_MAX + 1];
	enum queue_dir		 dir;
	struct queue_layout	 layout;
	uint32_t		 crc;
	void			*data;
	bool			 is_big;
};

/* Open, read, close. */
static int
read_envelope(void *arg)
{
	struct reading	*r = arg;
	unsigned char	 raw[QUEUE_PREAMBLE];
	size_t		 len;
	int		 fd, result = -1;

	if ((fd = queue_open_file(r->dir, r->id, O_RDONLY)) == -1)
		return -1;
	if (fs_pread(fd, raw, sizeof(raw), 0) == (ssize_t)sizeof(raw) &&
	    queue_preamble_decode(raw, sizeof(raw), &r->layout, &r->crc) ==
	    NULL) {
		len = (size_t)r->layout.envelope_length;
		r->is_big = len > BIG;
		if (!r->is_big && (r->data = malloc(len)) != NULL &&
		    fs_pread(fd, r->data, len, r->layout.envelope_offset) ==
		    (ssize_t)len)
			result = 0;
	}
	close(fd);
	return r->is_big ? 0 : result;
}

/* Is it one of a name that somebody asked for? */
static bool
is_wished(uint32_t hash)
{
	size_t	i;

	for (i = 0; i < WISHES; i++)
		if (wishes[i].is_open && (wishes[i].hashes[0] == hash ||
		    wishes[i].hashes[1] == hash))
			return true;
	return false;
}

/* The domains of those who wait. Is one of them asked for? */
static bool
look_at_recipients(const struct envelope *e, struct marks *marks)
{
	const char	*local, *domain;
	uint32_t	 hash;
	size_t		 i, len;
	bool		 is_it = false;

	for (i = 0; i < e->count; i++) {
		if (e->recipients[i].status != RECIPIENT_TO_DO)
			continue;
		address_split(e->recipients[i].row.address, &local, &len,
		    &domain);
		if (domain == NULL)
			continue;
		hash = marks_hash(domain, strlen(domain));
		marks_add(marks, hash);
		is_it |= is_wished(hash);
	}
	return is_it;
}

/* Decode what was read. What cannot be decoded is found out about when it is
 * opened; one that is too big to look into is tried. */
static bool
look_into(const struct reading *r, struct marks *marks)
{
	struct pool	*pool;
	struct envelope	 e;
	bool		 is_it = false;

	if (r->is_big) {
		marks->count = MARKS_MANY;
		return true;
	}
	pool = pool_new("flush", 0);
	if (envelope_decode(&e, pool, r->data,
	    (size_t)r->layout.envelope_length, r->layout.envelope_offset,
	    r->crc) == NULL)
		is_it = look_at_recipients(&e, marks);
	pool_free(pool);
	return is_it;
}

/* It is due, and its site, if that is known, may be alive. */
static void
bring_one(const char *id, uint32_t site)
{
	if (!waiting_set_due(id, clock_now()))
		return;
	if (site != 0)
		revive_sites(&site, 1, nobody);
	feed_wake();
}

/* One file; it may be open, or gone, when it has been read. */
static WAITS void
read_one(struct reading *r)
{
	struct marks	marks = { .site = 0 };
	uint32_t	site;
	bool		is_it;

	r->data = NULL;
	r->is_big = false;
	if (offload(read_envelope, r) == 0) {
		is_it = look_into(r, &marks);
		site = waiting_set_names(r->id, &marks);
		if (is_it)
			bring_one(r->id, site);
	}
	free(r->data);
}

/* Read all of which nothing is known, again while requests come in. */
static void
read_all(void *arg)
{
	struct reading	r;
	uint32_t	cursor;
	size_t		i;

	(void)arg;
	fiber_name("flush");
	while (has_news && !daemon_is_draining()) {
		has_news = false;
		for (cursor = 0; !daemon_is_draining() &&
		    waiting_next_unknown(&cursor, r.id, &r.dir); )
			read_one(&r);
	}
	for (i = 0; i < WISHES; i++)
		wishes[i].is_open = false;
	is_reading = false;
}

/* --- by name ------------------------------------------------------------- */

/* The place of a request: its own of before, or the oldest for which no files
 * are being read. NULL: there is none. */
static struct wish *
place_of(const uint32_t hashes[2])
{
	struct wish	*w, *oldest = NULL;

	for (w = wishes; w < wishes + WISHES; w++) {
		if (w->when != 0 && w->hashes[0] == hashes[0])
			return w;
		if (!w->is_open && (oldest == NULL || w->when < oldest->when))
			oldest = w;
	}
	return oldest;
}

/* What is known to wait for this is due, and its sites may be alive. */
static size_t
find(const uint32_t hashes[2], size_t *unknown)
{
	uint32_t	sites[FLUSHED_SITES];
	size_t		found;

	found = waiting_flush(hashes, 2, clock_now(), unknown, sites);
	revive_sites(sites, FLUSHED_SITES, hashes);
	feed_wake();
	return found;
}

/* Find; read what is not known. */
static size_t
begin(struct wish *w)
{
	size_t	unknown, found = find(w->hashes, &unknown);

	w->when = clock_now();
	if (unknown > 0) {
		w->is_open = true;
		has_news = true;
		if (!is_reading) {
			is_reading = true;
			fiber_start(read_all, NULL);
		}
	}
	return found;
}

/* By name. */
size_t
flush_site(const char *domain, enum flush_rest *rest)
{
	uint32_t	 hashes[2] = { marks_hash(domain, strlen(domain)),
			    again_hash(domain) };
	struct wish	*w = place_of(hashes);
	size_t		 found, unknown;

	if (w == NULL) {
		found = find(hashes, &unknown);
		*rest = unknown > 0 ? FLUSH_REST_LEFT : FLUSH_REST_NONE;
		return found;
	}
	memcpy(w->hashes, hashes, sizeof(hashes));
	found = begin(w);
	*rest = w->is_open ? FLUSH_REST_READ : FLUSH_REST_NONE;
	return found;
}

/* --- everything ---------------------------------------------------------- */

/* All that waits. */
size_t
flush_all(void)
{
	size_t	count = waiting_count();
	int64_t	spread = 0;

	if (count > ALL_AT_ONCE) {
		spread = (int64_t)count * 1000 / ALL_PER_SECOND;
		log_info("flush: %zu messages are tried within %jd seconds",
		    count, (intmax_t)(spread + 999) / 1000);
	}
	waiting_all_due(clock_now(), spread);
	feed_wake();
	return count;
}

/* --- ETRN ---------------------------------------------------------------- */

/* Have there been too many requests in this second? */
static bool
is_too_often(void)
{
	static int64_t	second;
	static unsigned	count;

	if (second != clock_now() / 1000) {
		second = clock_now() / 1000;
		count = 0;
	}
	return ++count > PER_SECOND;
}

/* May mail for this domain be asked for? */
static WAITS enum flush_result
ask_list(const char *domain, struct pool *pool)
{
	struct key_row		key = { (char *)(uintptr_t)domain };
	struct ask_lookup	question = { .how = LOOKUP_DOMAIN,
	    .service = (char *)(uintptr_t)"",
	    .parameter = (char *)(uintptr_t)"fast_flush_domains",
	    .keys = &key, .count = 1 };
	struct found		answer;

	if (lookup_ask(to_resolve, &question, clock_now() + PATIENCE, pool,
	    &answer) == -1) {
		log_warning("fast_flush_domains: resolve does not answer: %s",
		    strerror(errno));
		return FLUSH_LATER;
	}
	if (answer.result == LOOKUP_FOUND)
		return FLUSH_STARTED;
	return answer.result == LOOKUP_NOT_FOUND ? FLUSH_REFUSED :
	    FLUSH_LATER;
}

/* Do it, unless it was done a moment ago. */
static void
answer(const char *domain, struct flushed *to)
{
	uint32_t	 hashes[2] = { marks_hash(domain, strlen(domain)),
			    again_hash(domain) };
	struct wish	*w = place_of(hashes);

	to->result = FLUSH_STARTED;
	if (w != NULL && w->hashes[0] == hashes[0] && w->when != 0 &&
	    clock_now() - w->when < REPEAT)
		return;
	if (w == NULL || is_too_often()) {
		to->result = FLUSH_LATER;
		return;
	}
	memcpy(w->hashes, hashes, sizeof(hashes));
	to->count = (int64_t)begin(w);
	log_info("flush of %s: %jd messages are due%s", domain,
	    (intmax_t)to->count, w->is_open ? ", others are looked into" : "");
	if (to->count == 0 && !w->is_open)
		to->result = FLUSH_NONE;
}

/* PACKET_FLUSH_SITE. */
void
on_flush_site(struct request *r)
{
	const struct flush_site	*f = r->object;
	struct flushed		 to = { .count = 0 };

	to.result = ask_list(f->domain, r->pool);
	if (to.result == FLUSH_STARTED)
		answer(f->domain, &to);
	(void)channel_reply(r, PACKET_FLUSHED, &to);
}

/* --- sites that answer again --------------------------------------------- */

/* What waits for sites that came back comes forward, all of it in one go
 * through the index: after an outage they are many. */
static void
bring(void *arg)
{
	size_t	count;
	int64_t	spread;

	(void)arg;
	fiber_name("revival");
	(void)fiber_sleep(REVIVE_PAUSE);
	revived_count = waiting_sort(revived, revived_count);
	count = waiting_at_sites(revived, revived_count, WAITING_DEAD);
	spread = count > REVIVE_SPREAD / REVIVE_EACH ? REVIVE_SPREAD :
	    (int64_t)count * REVIVE_EACH;
	if (count > 0) {
		log_info("%zu sites answer again: %zu messages are tried "
		    "within %jd seconds", revived_count, count,
		    (intmax_t)(spread + 999) / 1000);
		(void)waiting_pull(revived, revived_count, WAITING_DEAD,
		    clock_now(), spread);
		feed_wake();
	}
	revived_count = 0;
}

/* One more. */
void
flush_revived(const struct destination *s)
{
	if (revived_count == REVIVED_MAX)
		return;
	revived[revived_count++] = (struct call){ .site = s->load.mark,
	    .limit = SIZE_MAX };
	if (revived_count == 1)
		fiber_start(bring, NULL);
}
