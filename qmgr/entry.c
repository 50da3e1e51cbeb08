/*
 * entry.c - a message that nobody has open, as administrators see and change
 * it.
 *
 * Called by qmgr's control.c, and by the queue command while qmgr is down and
 * the command has its lock.
 */
#include "qmgr/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/mail/address.h"

enum { ROOM = 40 * 1024, ROWS = 500 };

/* --- showing ------------------------------------------------------------- */

/* Everything that is known of a file. */
struct known_file {
	struct envelope		 envelope;
	struct queue_layout	 layout;
	struct journal		*records;
	size_t			 count;
	int64_t			 mtime_us;
};

/* Read it: false if there is nothing to show. */
static bool
read_all(struct known_file *f, struct pool *pool, enum queue_dir dir,
    const char *id)
{
	struct stat	st;
	int64_t		end;
	bool		is_good;
	int		fd;

	if ((fd = queue_open_file(dir, id, O_RDONLY)) == -1)
		return false;
	is_good = fstat(fd, &st) == 0 && queue_is_complete(st.st_mode) &&
	    envelope_read(&f->envelope, &f->layout, pool, fd) == NULL &&
	    journal_read(pool, fd, &f->layout, &f->records, &f->count,
	    &end) == NULL;
	close(fd);
	if (is_good)
		f->mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 +
		    st.st_mtim.tv_nsec / 1000;
	return is_good;
}

/* The last word on each recipient, "" for those without one. */
static char **
last_words(const struct known_file *f, struct pool *pool)
{
	static char	  nothing[1];
	char		**words;
	size_t		  i;

	words = pool_array(pool, f->envelope.count, sizeof(*words));
	for (i = 0; i < f->envelope.count; i++)
		words[i] = nothing;
	for (i = 0; i < f->count; i++)
		if (f->records[i].kind == JOURNAL_OUTCOME &&
		    f->records[i].number >= 0 &&
		    f->records[i].number < (int64_t)f->envelope.count)
			words[f->records[i].number] = f->records[i].text;
	return words;
}

/* The recipients that still wait, in pieces that fit into packets. */
static bool
show_recipients(const struct known_file *f, struct queue_entry *e,
    char **words, struct pool *pool,
    bool (*give)(void *, const struct queue_entry *), void *context)
{
	const struct envelope_recipient	*r;
	struct queue_recipient		*rows;
	size_t				 i, used = 0;
	bool				 was_given = false;

	rows = e->recipients = pool_array(pool, ROWS, sizeof(*rows));
	for (i = 0; i < f->envelope.count; i++) {
		r = &f->envelope.recipients[i];
		if (r->status != RECIPIENT_TO_DO)
			continue;
		rows[e->count++] = (struct queue_recipient){
		    r->row.address, r->row.original, words[i] };
		used += strlen(r->row.address) + strlen(r->row.original) +
		    strlen(words[i]) + 64;
		if (e->count < ROWS && used < ROOM)
			continue;
		if (!give(context, e))
			return false;
		was_given = true;
		e->count = used = 0;
	}
	return e->count == 0 && was_given ? true : give(context, e);
}

/* Show one message. */
bool
entry_show(enum queue_dir dir, const char *id, const char *queue,
    bool (*give)(void *, const struct queue_entry *), void *context)
{
	struct pool		*pool = pool_new("entry", 0);
	struct known_file	 f = { .count = 0 };
	struct queue_entry	 e;
	bool			 result = true;

	if (read_all(&f, pool, dir, id)) {
		e = (struct queue_entry){
		    .queue = (char *)(uintptr_t)queue,
		    .queue_id = (char *)(uintptr_t)id,
		    .sender = f.envelope.mail.sender,
		    .size = f.layout.content_length,
		    .arrival_us = f.envelope.mail.arrival_us,
		    .next_try_us = f.mtime_us > 0 ? f.mtime_us : 0 };
		result = show_recipients(&f, &e, last_words(&f, pool), pool,
		    give, context);
	}
	pool_free(pool);
	return result;
}

/* Does the address belong to the domain? */
static bool
is_of(const char *address, const char *domain)
{
	const char	*local, *of;
	size_t		 len;

	address_split(address, &local, &len, &of);
	return of != NULL && domain_equal(of, domain);
}

/* Does anything wait for this domain? */
bool
entry_goes_to(enum queue_dir dir, const char *id, const char *domain)
{
	struct pool		*pool = pool_new("entry", 0);
	struct known_file	 f = { .count = 0 };
	size_t			 i;
	bool			 goes = false;

	if (read_all(&f, pool, dir, id))
		for (i = 0; !goes && i < f.envelope.count; i++)
			goes = f.envelope.recipients[i].status ==
			    RECIPIENT_TO_DO &&
			    is_of(f.envelope.recipients[i].row.address, domain);
	pool_free(pool);
	return goes;
}

/* --- changing ------------------------------------------------------------ */

/* A complete file that nobody is writing? */
static bool
is_ours(enum queue_dir dir, const char *id)
{
	struct stat	st;
	bool		is_good;
	int		fd;

	if ((fd = queue_open_file(dir, id, O_RDONLY)) == -1)
		return false;
	is_good = fstat(fd, &st) == 0 && queue_is_complete(st.st_mode) &&
	    (dir != QUEUE_INCOMING || flock(fd, LOCK_SH | LOCK_NB) == 0);
	close(fd);
	return is_good;
}

/* Look in each directory. */
bool
entry_find(const char *id, enum queue_dir *dir)
{
	static const enum queue_dir	dirs[] = { QUEUE_INCOMING,
					    QUEUE_DEFERRED, QUEUE_HOLD };
	size_t				i;

	if (!queue_id_is_valid(id))
		return false;
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (is_ours(dirs[i], id)) {
			*dir = dirs[i];
			return true;
		}
	return false;
}

/* One of the verbs that change. */
bool
entry_is_change(const char *verb)
{
	return strcmp(verb, "hold") == 0 || strcmp(verb, "release") == 0 ||
	    strcmp(verb, "requeue") == 0 || strcmp(verb, "delete") == 0;
}

/* Move it, due at once, and say so. */
static int
move(const char *id, enum queue_dir from, enum queue_dir to, const char *said)
{
	if (from != to && queue_move(id, from, to) == -1)
		return -1;
	if (to != QUEUE_HOLD && queue_set_time(to, id, clock_wall_us()) == -1)
		log_warning("%s: cannot set its time: %s", id,
		    strerror(errno));
	log_info("%s: %s", id, said);
	return 1;
}

/* Do it. */
int
entry_change(const char *verb, const char *id, enum queue_dir from,
    enum queue_dir *to)
{
	*to = from;
	if (strcmp(verb, "delete") == 0) {
		if (queue_remove(from, id) == -1)
			return -1;
		log_info("%s: removed", id);
		return 1;
	}
	if (strcmp(verb, "hold") == 0) {
		if (from == QUEUE_HOLD)
			return 0;
		*to = QUEUE_HOLD;
		return move(id, from, *to, "placed on hold");
	}
	if (strcmp(verb, "release") == 0) {
		if (from != QUEUE_HOLD)
			return 0;
		*to = QUEUE_DEFERRED;
		return move(id, from, *to, "released from hold");
	}
	if (from == QUEUE_HOLD)
		*to = QUEUE_DEFERRED;
	return move(id, from, *to, "requeued");
}
