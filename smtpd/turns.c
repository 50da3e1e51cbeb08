/*
 * turns.c - whose turn it is, and who has to go when others wait.
 *
 * Called by hear.c, data.c, bdat.c and starttls.c around each wait for the
 * client, and by crowd.c when slots are short. A turn that began when there
 * was room is not waited for until its end when there is none any more.
 *
 * P1  The time of a turn is for all of it. A message has one allowance for
 *     all its chunks and what is between them; it is filled up again, never
 *     over its brim, by smtpd_min_data_rate: neither a byte now and then nor
 *     a burst before a long silence holds a slot.
 * P2  Only who is waited for is asked to leave; what cleanup is storing is
 *     not interrupted.
 * P3  Strangers go before friends, who are trusted or logged in, and those
 *     outside a transaction before those in one. A friend in a transaction
 *     goes when its time is over, never to make room.
 */

#include "smtpd/turns.h"

#include <errno.h>

#include "common/fiber/fiber.h"

#include "smtpd/crowd.h"
#include "smtpd/limits.h"
#include "smtpd/settings.h"

/* Who was heard of a second ago may be on a slow network; it is not idle. */
enum { IDLE = 1000, RANKS = 3, LAST_TO_GO = RANKS - 1 };

TAILQ_HEAD(waiting, session);

/* Those whose turn it is, by rank, the longest waiting first. */
static struct waiting	waiting[RANKS] = {
	TAILQ_HEAD_INITIALIZER(waiting[0]),
	TAILQ_HEAD_INITIALIZER(waiting[1]),
	TAILQ_HEAD_INITIALIZER(waiting[2]),
};

/* P3. */
static unsigned
rank_of(const struct session *s)
{
	return (limits_is_friend(s) ? 1 : 0) + (s->mail != NULL ? 1 : 0);
}

void
turn_begin(struct session *s, bool is_text)
{
	int64_t	patience = crowd_patience();

	if (!is_text)
		s->turn.spent = 0;
	s->turn.since = clock_now() - s->turn.spent;
	s->turn.is_text = is_text;
	s->turn.is_on = true;
	s->turn.rank = rank_of(s);
	TAILQ_INSERT_TAIL(&waiting[s->turn.rank], s, turn.next);
	io_patience(s->io, patience);
	if (set.has_deadline)
		io_deadline(s->io, s->turn.since + patience);
}

void
turn_end(struct session *s)
{
	if (s->turn.is_on)
		TAILQ_REMOVE(&waiting[s->turn.rank], s, turn.next);
	s->turn.is_on = false;
	s->turn.spent = s->turn.is_text ? clock_now() - s->turn.since : 0;
	io_deadline(s->io, NEVER);
}

/* P1. What is less than a millisecond is kept for the next bytes. */
void
turn_credit(struct session *s, int64_t bytes)
{
	struct turn	*t = &s->turn;
	int64_t		 earned;

	if (set.data_rate == 0) {
		t->spent = 0;
		return;
	}
	t->bytes += bytes;
	earned = t->bytes * 1000 / set.data_rate;
	t->bytes -= earned * set.data_rate / 1000;
	t->spent = t->spent > earned ? t->spent - earned : 0;
}

int
turn_flush(struct session *s, bool is_text)
{
	int	result;

	turn_begin(s, is_text);
	result = io_flush(s->io);
	turn_end(s);
	if (s->dismissal == NOT_DISMISSED)
		return result;
	/* Though all was sent at last: nothing may be begun that would have
	 * to wait, and of which nobody would hear how it ends. */
	errno = ECANCELED;
	return -1;
}

/* P2: its wait ends now; session.c says why. */
static void
dismiss(struct session *s, enum dismissal why)
{
	TAILQ_REMOVE(&waiting[s->turn.rank], s, turn.next);
	s->turn.is_on = false;
	s->dismissal = why;
	fiber_cancel(s->fiber);
}

/* Of each rank the first has waited longest, or nearly so: one look does. */
bool
turn_make_room(void)
{
	struct session	*s;
	unsigned	 rank;

	for (rank = 0; rank < LAST_TO_GO; rank++) {
		s = TAILQ_FIRST(&waiting[rank]);
		if (s != NULL && clock_now() - s->turn.since >= IDLE) {
			dismiss(s, DISMISSED_FOR_ROOM);
			return true;
		}
	}
	return false;
}

void
turn_dismiss_slow(void)
{
	struct session	*s, *next;
	int64_t		 latest = clock_now() - crowd_patience();
	unsigned	 rank;

	for (rank = 0; rank < RANKS; rank++)
		for (s = TAILQ_FIRST(&waiting[rank]); s != NULL; s = next) {
			next = TAILQ_NEXT(s, turn.next);
			if (s->turn.since <= latest)
				dismiss(s, DISMISSED_AS_SLOW);
		}
}
