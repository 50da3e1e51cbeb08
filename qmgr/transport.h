#ifndef QMGR_TRANSPORT_H
#define QMGR_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

#include "common/ipc/link.h"
#include "common/param/param.h"
#include "qmgr/schedule.h"

/*
 * A transport is a service of master.cf that delivers mail. It has workers;
 * each site belongs to one of them, so that connections kept warm there are
 * useful. A lane is what goes to one worker.
 */
struct lane {
	struct transport	*transport;
	unsigned		 hint;		/* for link_channel() */
	unsigned		 in_flight, limit;	/* limit 0: none */
	struct schedule		 schedule;
	bool			 is_running;	/* its fiber */
	struct fiber		*sleeper;	/* that fiber, while it waits */
	int64_t			 unavailable_until;
};

struct transport {
	RB_ENTRY(transport)	 entry;
	char			*name;
	struct link		*link;
	unsigned		 workers, last_lane;
	unsigned		 in_flight, limit;	/* limit 0: none */
	bool			 is_deferred;		/* defer_transports */
	struct pace		 pace;
	RB_HEAD(destinations, destination) sites;
	struct lane		*lanes;			/* of each worker */
};

RB_PROTOTYPE(destinations, destination, entry, )

extern const struct param	 transport_params[];

/* Read master.cf and the settings of each transport; die()s. */
void		 transports_read(void);
/* Make the links. `closed` hears of channels that die. */
void		 transports_open(const struct peer *,
		    void (*closed)(struct channel *, void *));
/* The same again after a reload, with what is new in master.cf. */
void		 transports_read_again(const struct peer *,
		    void (*closed)(struct channel *, void *));
/* The settings again, after a reload. */
void		 transports_refresh(void);

/* NULL when master.cf has no such service. */
struct transport *transport_find(const char *name);
/* The site, made if it is new. */
struct destination *transport_destination(struct transport *,
		    const char *name);
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
