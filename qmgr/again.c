/*
 * again.c - when the recipients of a message are tried again, and how the
 * message is found while it waits.
 *
 * A message has one time for its next attempt: that of the recipient whose
 * transport is the quickest. Each recipient has a lifetime of its own.
 *
 * P1  No recipient is given up for its age unless an agent tried it in the
 *     attempt that ends now, or its site was found dead by who was tried
 *     there, or its route could not be told.
 */
#include "qmgr/again.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/mail/address.h"
#include "qmgr/retry.h"
#include "qmgr/transport.h"

/* Does it wait for another attempt? */
static bool
waits(const struct work *w)
{
	return w->state == WORK_DEFERRED || w->state == WORK_WITHDRAWN ||
	    w->state == WORK_WAITING;
}

/* The settings for a recipient. */
static const struct retry_settings *
settings_of(const struct work *w)
{
	const struct transport	*t = transport_at(w->transport);

	return t != NULL ? &t->tuning.retry : &retry;
}

/* The quickest transport's pause. Its random part is the same for all: who
 * asks twice about the same settings asks in vain. */
int64_t
again_pause(const struct message *m)
{
	const struct retry_settings	*s, *before = NULL;
	uint32_t			 random = retry_random();
	int64_t				 pause, first = INT64_MAX;
	size_t				 i;

	for (i = 0; i < m->envelope.count; i++) {
		if (!waits(&m->work[i]))
			continue;
		if ((s = settings_of(&m->work[i])) == before)
			continue;
		before = s;
		pause = retry_pause(s, m->attempt, random);
		if (pause < first)
			first = pause;
	}
	return before != NULL ? first : retry_pause(&retry, m->attempt,
	    random);
}

/* Has it waited for too long? */
bool
again_is_too_old(const struct message *m, size_t number)
{
	const struct work		*w = &m->work[number];
	const struct retry_settings	*s = settings_of(w);
	const struct mail		*mail = &m->envelope.mail;

	return w->was_tried && retry_is_too_old(s, retry_age(s,
	    mail->arrival_us, m->attempt), mail->sender[0] == '\0');
}

/* --- what it waits for --------------------------------------------------- */

/* "[relay.example]:25" is relay.example. */
uint32_t
again_hash(const char *nexthop)
{
	size_t	len;

	if (*nexthop == '[') {
		len = strcspn(nexthop + 1, "]");
		return marks_hash(nexthop + 1, len);
	}
	len = strcspn(nexthop, ":, \t");
	return marks_hash(nexthop, len);
}

/* Has the site just failed? */
static bool
fails(const struct destination *s)
{
	return s->died != 0 || s->window.cohorts > 0;
}

/* Domains, next hops, sites; one that does not answer before all others. */
struct marks
again_marks(struct message *m, unsigned *flags)
{
	struct marks	 marks = { .site = 0 };
	struct job	*job;
	const char	*local, *domain;
	size_t		 i, len;

	*flags = 0;
	for (i = 0; i < m->envelope.count && marks.count != MARKS_MANY; i++) {
		if (!waits(&m->work[i]))
			continue;
		address_split(m->envelope.recipients[i].row.address, &local,
		    &len, &domain);
		if (domain != NULL)
			marks_add(&marks, marks_hash(domain, strlen(domain)));
	}
	for (job = message_next_job(m, NULL); job != NULL;
	    job = message_next_job(m, job)) {
		if (fails(job->site))
			*flags = WAITING_DEAD;
		if (fails(job->site) || marks.site == 0)
			marks.site = job->site->load.mark;
		marks_add(&marks, again_hash(job->nexthop));
		marks_add(&marks, again_hash(job->site->label));
	}
	return marks;
}

/* It waits. */
void
again_wait(struct message *m, int64_t due)
{
	unsigned	flags;
	struct marks	marks = again_marks(m, &flags);

	if (waiting_add(m->id, m->dir, due))
		(void)waiting_set_marks(m->id, &marks, flags);
}
