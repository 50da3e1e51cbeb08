#ifndef QMGR_EVICT_H
#define QMGR_EVICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/param/param.h"
#include "qmgr/message.h"

/*
 * Room among the open messages: when there is none, messages that wait only
 * for the most loaded site (or transport) are put back, so that others come
 * in.
 */
extern const struct param	evict_params[];

/* Is there room for one more message; for one with many recipients? */
bool		 evict_has_room(void);
/* The same for one that was tried before: nine tenths are for those, so that
 * new mail has room beside any number of them. */
bool		 evict_has_room_for_tried(void);
bool		 evict_has_room_for_many(void);
/* How many messages may be open. */
size_t		 evict_limit(void);
/* How many recipients are few. */
size_t		 evict_few(void);

/* Make room. False when nothing can be put back now. */
bool		 evict_make_room(void);

/* Are no more messages wanted that wait for the site or lane with this mark? */
bool		 evict_is_clogged(uint32_t mark);
/* The job of a message that is to be put back at once, since it only waits for
 * such a site; NULL: it may stay. Its message then lives as long as the caller
 * does not wait; evict() puts it back. */
struct job	*evict_wanted(struct message *);
void		 evict(struct job *);

/* A delivery to this site is over: fetch some that were put back. */
void		 evict_refill(struct destination *);
/* When one that was put back is looked at again, if nobody fetches it. */
int64_t		 evict_pause(void);

#endif
