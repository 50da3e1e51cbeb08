/*
 * entry.c - a message that nobody has open, as administrators see and change
 * it.
 *
 * Called by qmgr, and by the queue command, which reads the directories itself
 * when it may, and changes them itself while qmgr is down.
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

enum { HEAD = 4096, TAIL = 16384 };	/* bytes that are read ahead */

/* --- showing ------------------------------------------------------------- */

/* Everything that is known of a file. */
struct known_file {
	struct envelope		 envelope;
	struct queue_layout	 layout;
	struct journal		*records;
	size_t			 count;
};

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

/* The recipients that still wait, if only to be reported. */
static void
add_recipients(struct queue_entry *e, const struct known_file *f,
    struct pool *pool)
{
	const struct envelope_recipient	 *r;
	char				**words = last_words(f, pool);
	size_t				  i;

	e->recipients = pool_array(pool, f->envelope.count,
	    sizeof(*e->recipients));
	for (i = 0; i < f->envelope.count; i++) {
		r = &f->envelope.recipients[i];
		if (r->status == RECIPIENT_TO_DO ||
		    r->status == RECIPIENT_OWED)
			e->recipients[e->count++] = (struct queue_recipient){
			    r->row.address, r->row.original, words[i] };
	}
}

/* The entry of an open file. */
static struct queue_entry *
entry_of(struct pool *pool, int fd, enum queue_dir dir, const char *id,
    const struct stat *st, const char **why)
{
	struct known_file	 f = { .count = 0 };
	struct queue_entry	*e;
	int64_t			 end;

	*why = envelope_read(&f.envelope, &f.layout, pool, fd);
	if (*why == NULL)
		*why = journal_read(pool, fd, &f.layout, &f.records, &f.count,
		    &end);
	if (*why != NULL)
		return NULL;
	e = pool_alloc(pool, sizeof(*e));
	e->queue = (char *)(uintptr_t)queue_dir_name(dir);
	e->queue_id = pool_strdup(pool, id);
	e->sender = f.envelope.mail.sender;
	e->size = f.layout.content_length;
	e->arrival_us = f.envelope.mail.arrival_us;
	e->next_try_us = (int64_t)st->st_mtim.tv_sec * 1000000 +
	    st->st_mtim.tv_nsec / 1000;
	if (e->next_try_us < 0)
		e->next_try_us = 0;
	e->is_expired = queue_is_expired(st->st_mode);
	add_recipients(e, &f, pool);
	return e;
}

/* Read it. */
struct queue_entry *
entry_load(struct pool *pool, enum queue_dir dir, const char *id,
    const char **why)
{
	struct queue_entry	*e = NULL;
	struct stat		 st;
	int			 fd;

	*why = NULL;
	if ((fd = queue_open_file(dir, id, O_RDONLY)) == -1) {
		if (errno != ENOENT)
			*why = pool_strdup(pool, strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) == 0 && queue_is_complete(st.st_mode))
		e = entry_of(pool, fd, dir, id, &st, why);
	close(fd);
	return e;
}

/* Read ahead: what stands before the content, and what stands behind it. */
void
entry_expect(enum queue_dir dir, const char *id)
{
	struct stat	st;
	int		fd;

	if ((fd = queue_open_file(dir, id, O_RDONLY)) == -1)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > HEAD + TAIL) {
		(void)posix_fadvise(fd, 0, HEAD, POSIX_FADV_WILLNEED);
		(void)posix_fadvise(fd, st.st_size - TAIL, TAIL,
		    POSIX_FADV_WILLNEED);
	} else
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	close(fd);
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
entry_goes_to(const struct queue_entry *e, const char *domain)
{
	size_t	i;

	for (i = 0; i < e->count; i++)
		if (is_of(e->recipients[i].address, domain))
			return true;
	return false;
}

/* --- finding ------------------------------------------------------------- */

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
	static const enum queue_dir	dirs[] = { QUEUE_DEFERRED,
					    QUEUE_INCOMING, QUEUE_HOLD,
					    QUEUE_CORRUPT };
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

/* --- changing ------------------------------------------------------------ */

/* Each change: its verb, and what the log says of it. */
static const struct {
	enum change	 change;
	const char	*verb, *said;
} changes[] = {
	{ CHANGE_HOLD,		"hold",		"placed on hold" },
	{ CHANGE_RELEASE,	"release",	"released from hold" },
	{ CHANGE_REQUEUE,	"requeue",	"requeued" },
	{ CHANGE_DELETE,	"delete",	"removed" },
	{ CHANGE_EXPIRE,	"expire",	"expired" },
	{ CHANGE_EXPIRE_NOW,	"expire-now",	"expired" },
	{ CHANGE_EXPIRE_RELEASE, "expire-release", "expired" },
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

/* The change that a verb means. */
enum change
change_of(const char *verb)
{
	size_t	i;

	for (i = 0; i < CHANGES; i++)
		if (strcmp(changes[i].verb, verb) == 0)
			return changes[i].change;
	return CHANGE_NONE;
}

/* What is said of a change. */
static const char *
said_of(enum change change)
{
	size_t	i = 0;

	while (i < CHANGES - 1 && changes[i].change != change)
		i++;
	return changes[i].said;
}

/* Of this one, and of the release that it needed. */
size_t
entry_words(enum change change, int changed, const char *words[2])
{
	size_t	n = 0;

	if (changed & CHANGED)
		words[n++] = said_of(change);
	if (changed & CHANGED_FREE)
		words[n++] = said_of(CHANGE_RELEASE);
	return n;
}

/* Tell. */
void
entry_log(enum change change, int changed, const char *id)
{
	const char	*words[2];
	size_t		 i, n = entry_words(change, changed, words);

	for (i = 0; i < n; i++)
		log_info("%s: %s", id, words[i]);
}

/* Move it if it is not there. */
static int
move(const char *id, enum queue_dir *dir, enum queue_dir to)
{
	if (*dir == to)
		return 0;
	if (queue_move(id, *dir, to) == -1)
		return -1;
	*dir = to;
	return 0;
}

/* Out of hold/, and due; a failure to set the time costs nothing but time. */
static int
make_due(const char *id, enum queue_dir *dir, bool *is_due)
{
	if (*dir == QUEUE_HOLD && move(id, dir, QUEUE_DEFERRED) == -1)
		return -1;
	if (queue_set_time(*dir, id, clock_wall_us()) == -1)
		log_warning("%s: cannot set its time: %s", id,
		    strerror(errno));
	*is_due = true;
	return 0;
}

/* Mark it; 1 it was not marked before, 0 it was, -1. */
static int
mark(const char *id, enum queue_dir dir, bool (*is_marked)(mode_t),
    int (*set_mark)(int fd))
{
	struct stat	st;
	int		fd, result = -1, saved;

	if ((fd = queue_open_file(dir, id, O_RDONLY)) == -1)
		return -1;
	if (fstat(fd, &st) == 0)
		result = is_marked(st.st_mode) ? 0 :
		    set_mark(fd) == 0 ? 1 : -1;
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

/* Mark it, and perhaps see that the mark is soon seen. */
static int
expire(enum change change, const char *id, enum queue_dir *dir, bool *is_due)
{
	int	result = mark(id, *dir, queue_is_expired, queue_set_expired);
	bool	is_held = *dir == QUEUE_HOLD;

	if (result == -1 || change == CHANGE_EXPIRE ||
	    (is_held && change == CHANGE_EXPIRE_NOW))
		return result;
	if (make_due(id, dir, is_due) == -1)
		return -1;
	return is_held ? result | CHANGED_FREE : CHANGED;
}

/* One change. */
static int
apply(enum change change, const char *id, enum queue_dir *dir, bool *is_due)
{
	switch (change) {
	case CHANGE_DELETE:
		return queue_remove(*dir, id) == -1 ? -1 : 1;
	case CHANGE_HOLD:
		if (*dir == QUEUE_HOLD)
			return 0;
		return move(id, dir, QUEUE_HOLD) == -1 ? -1 : 1;
	case CHANGE_RELEASE:
		if (*dir != QUEUE_HOLD)
			return 0;
		return make_due(id, dir, is_due) == -1 ? -1 : 1;
	case CHANGE_REQUEUE:
		return mark(id, *dir, queue_is_renewed, queue_set_renewed) ==
		    -1 || make_due(id, dir, is_due) == -1 ? -1 : 1;
	case CHANGE_EXPIRE:
	case CHANGE_EXPIRE_NOW:
	case CHANGE_EXPIRE_RELEASE:
		return expire(change, id, dir, is_due);
	case CHANGE_NONE:
		break;
	}
	return 0;
}

/* Do it. What is in corrupt/ can only be deleted. */
int
entry_change(enum change change, const char *id, enum queue_dir *dir,
    bool *is_due)
{
	int	result;

	*is_due = false;
	if (*dir == QUEUE_CORRUPT && change != CHANGE_DELETE)
		return 0;
	if ((result = apply(change, id, dir, is_due)) > 0)
		entry_log(change, result, id);
	return result == -1 && errno == ENOENT ? 0 : result;
}
