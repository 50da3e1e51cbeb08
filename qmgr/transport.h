#ifndef QMGR_TRANSPORT_H
#define QMGR_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

#include "common/ipc/link.h"
#include "qmgr/schedule.h"
#include "qmgr/settings.h"

/*
 * A transport is a service of master.cf that delivers mail. It has workers;
 * each site belongs to one of them, so that connections kept warm there are
 * useful. A lane is what goes to one worker.
 */
struct lane {
	TAILQ_ENTRY(lane)	 next;		/* for its turn, see below */
	struct transport	*transport;
	unsigned		 hint;		/* for link_channel() */
	unsigned		 in_flight, limit;	/* limit 0: none */
	struct schedule		 schedule;
	bool			 is_running;	/* its fiber */
	bool			 is_in_turn;	/* it is in `turns` */
	struct fiber		*sleeper;	/* that fiber, while it waits */
	int64_t			 unavailable_until;
	int64_t			 heard;		/* the last outcome */
};

struct transport {
	RB_ENTRY(transport)	 entry;
	char			*name;
	uint16_t		 index;		/* from 1 */
	unsigned		 reading;	/* that saw its line last */
	struct link		*link;
	unsigned		 workers, last_lane;
	unsigned		 in_flight, limit;	/* limit 0: none */
	bool			 may_pass_on;	/* to another one: local */
	struct tuning		 tuning;
	/* transport_rate_delay: lanes that want to deliver, one by one. */
	int64_t			 not_before;
	TAILQ_HEAD(, lane)	 turns;
	RB_HEAD(destinations, destination) sites;
	struct lane		*lanes;			/* of each worker */
};

RB_PROTOTYPE(destinations, destination, entry, )

/* Read master.cf and the settings of each transport; die()s. */
void		 transports_read(void);
/* Make the links. `closed` hears of channels that die. */
void		 transports_open(const struct peer *,
		    void (*closed)(struct channel *, void *));
/* The same again after a reload, with what is new in master.cf. */
void		 transports_read_again(const struct peer *,
		    void (*closed)(struct channel *, void *));

/* NULL when master.cf has no such service. */
struct transport *transport_find(const char *name);
/* By its index; NULL for 0 and for indices that nobody has. */
struct transport *transport_at(unsigned index);
/* What waits for this name, made if it is new. `label` is the site as resolve
 * calls it: the same, but for transports with a site for each recipient. Its
 * worker goes by the label. */
struct destination *transport_destination(struct transport *,
		    const char *name, const char *label);
/* The lane that a site's mail takes. */
static inline struct lane *
lane_of(const struct destination *of)
{
	return of->schedule->owner;
}
/* Forget what is idle. */
void		 transports_sweep(void);
/* Every transport in turn; NULL at the end. */
struct transport *transport_next(struct transport *);

#endif
