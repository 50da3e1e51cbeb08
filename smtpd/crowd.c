/*
 * crowd.c - how full the house is, and what is done when it is.
 *
 * Called by session.c as clients come and go. A process has its share of the
 * service's maxproc as slots, and never more than it has descriptors and
 * memory mappings for: those run out for nobody.
 *
 * Up to four fifths of the slots clients have smtpd_timeout for a command,
 * then smtpd_overload_timeout, and smtpd_full_timeout when all are in use:
 * also those whose command began before (turns.c). Nothing is restarted for
 * that, and no setting is read again.
 *
 * P1  When all slots are in use the door is closed for a moment, so that a
 *     process with slots to give takes who is outside. Then it is opened for
 *     a few: each gets the slot of somebody idle, who hears 421, or, if there
 *     is nobody, hears 421 itself. So nobody waits outside for long.
 * P2  All is as before as soon as there are slots again, and memory goes back
 *     to the kernel when the crowd has gone.
 */

#include "smtpd/crowd.h"

#include <malloc.h>
#include <sys/resource.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"

#include "smtpd/settings.h"
#include "smtpd/turns.h"

enum {
	MOMENT = 20,		/* milliseconds until the door opens again */
	AT_ONCE = 64,		/* who may come in through it then */
	LOOK_EVERY = 500,	/* for those who are slow */
	TELL_EVERY = 10 * 1000,
	FEW = 50,		/* one slot of so many */

	OWN_DESCRIPTORS = 256,	/* channels, and who is turned away */
	OTHER_MAPPINGS = 5000,	/* 65530 in all, unless somebody changed it */
	USUAL_MAPPINGS = 65530,
	MAPPINGS_OF_ONE = 2	/* a stack and its guard */
};

const struct param crowd_params[] = {
	PARAM_TIME("smtpd_overload_timeout", set.overload_timeout, "30s", 1,
	    3600, "What smtpd_timeout is at most while four fifths of the "
	    "sessions are in use."),
	PARAM_TIME("smtpd_full_timeout", set.full_timeout, "10s", 1, 3600,
	    "What smtpd_timeout is at most while all sessions are in use."),
	PARAM_INT("smtpd_full_hard_error_limit", set.full_errors, "1", 1,
	    100000, "What smtpd_hard_error_limit is at most while all sessions "
	    "are in use, for who is neither in mynetworks nor logged in."),
	PARAM_INT("smtpd_full_junk_command_limit", set.full_junk, "1", 1,
	    10000000, "What smtpd_junk_command_limit is at most then."),
	PARAM_END
};

static unsigned	 slots;			/* 0: no limit */
static unsigned	 slots_used;
static unsigned	 may_enter;		/* though all slots are in use */
static bool	 is_closed, has_usher;
static bool	 was_crowded;		/* since memory was given back */
static unsigned	 sent_away;		/* since that was told */

/* --- how many ------------------------------------------------------------- */

/* Sessions that descriptors are enough for; who asks for AUTH may need one
 * more. */
static unsigned
slots_by_descriptors(void)
{
	struct rlimit	limit;
	rlim_t		each = set.sasl_enable ? 2 : 1;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT32_MAX;
	if (limit.rlim_cur <= OWN_DESCRIPTORS)
		return 1;
	limit.rlim_cur = (limit.rlim_cur - OWN_DESCRIPTORS) / each;
	return limit.rlim_cur < UINT32_MAX ? (unsigned)limit.rlim_cur :
	    UINT32_MAX;
}

/* Sessions that the kernel maps stacks for. */
static unsigned
slots_by_mappings(void)
{
	struct pool	*pool = pool_new("mappings", 0);
	int64_t		 mappings = USUAL_MAPPINGS;
	char		*text;

	text = fs_read_file(pool, "/proc/sys/vm/max_map_count", 64, NULL);
	if (text != NULL && text_integer(text_trim(text), 1, INT32_MAX,
	    &mappings) != NULL)
		mappings = USUAL_MAPPINGS;
	pool_free(pool);
	if (mappings < 2 * OTHER_MAPPINGS)
		return OTHER_MAPPINGS / MAPPINGS_OF_ONE;
	return (unsigned)(mappings - OTHER_MAPPINGS) / MAPPINGS_OF_ONE;
}

void
crowd_prepare(void)
{
	unsigned	wanted = daemon_limit();
	unsigned	files = slots_by_descriptors();
	unsigned	mappings = slots_by_mappings();

	slots = wanted > 0 ? wanted : UINT32_MAX;
	if (slots > files)
		slots = files;
	if (slots > mappings)
		slots = mappings;
	if (wanted > slots && !daemon_is_checking())
		log_warning("service \"%s\": %u sessions in this process, not "
		    "%u: more would need %s", daemon_service(), slots, wanted,
		    files < mappings ? "more open files (ulimit -n)" :
		    "a greater vm.max_map_count");
}

/* --- how long ------------------------------------------------------------- */

bool
crowd_is_full(void)
{
	return slots_used >= slots;
}

bool
crowd_is_near(void)
{
	return slots_used >= slots - slots / 5;
}

static int64_t
lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
crowd_hasten(int64_t usual)
{
	if (crowd_is_near())
		usual = lesser(usual, set.overload_timeout);
	if (crowd_is_full())
		usual = lesser(usual, set.full_timeout);
	return usual;
}

int64_t
crowd_patience(void)
{
	return crowd_hasten(set.timeout);
}

/* --- the door ------------------------------------------------------------- */

static void
close_door(void)
{
	if (!is_closed)
		daemon_pause_listening();
	is_closed = true;
}

static void
open_door(void)
{
	if (is_closed)
		daemon_resume_listening();
	is_closed = false;
}

/* One line now and then, however many there are. */
static void
tell(void)
{
	static int64_t	next_full, next_away;

	if (crowd_is_full() && clock_now() >= next_full) {
		log_warning("service \"%s\" has reached its session limit "
		    "\"%u\": idle clients are asked to leave",
		    daemon_service(), slots);
		next_full = clock_now() + TELL_EVERY;
	}
	if (sent_away > 0 && clock_now() >= next_away) {
		log_warning("service \"%s\": %u new clients were told to come "
		    "back, since no session was idle", daemon_service(),
		    sent_away);
		sent_away = 0;
		next_away = clock_now() + TELL_EVERY;
	}
}

/* While there is a crowd: see that nobody is slow, and open the door now and
 * then. */
WAITS static void
usher(void *unused)
{
	int64_t	next_look = 0;

	(void)unused;
	fiber_name("usher");
	while (crowd_is_near() || sent_away > 0) {
		tell();
		if (clock_now() >= next_look) {
			turn_dismiss_slow();
			next_look = clock_now() + LOOK_EVERY;
		}
		if (fiber_sleep(MOMENT) == -1)
			break;
		if (is_closed && !daemon_is_draining()) {
			may_enter = AT_ONCE;
			open_door();
		}
	}
	has_usher = false;
}

/* There are so many now. */
static void
count(unsigned visits)
{
	slots_used = visits;
	if (crowd_is_near() && !has_usher) {
		has_usher = was_crowded = true;
		(void)fiber_start(usher, NULL);
	}
	if (visits < slots) {
		may_enter = 0;
		open_door();
	} else if (may_enter == 0)
		close_door();
}

bool
crowd_arrived(unsigned visits)
{
	bool	may_stay = visits <= slots || turn_make_room();

	if (visits > slots && may_enter > 0)
		may_enter--;
	if (!may_stay)
		sent_away++;
	count(visits);
	return may_stay;
}

void
crowd_departed(unsigned visits)
{
	count(visits);
	if (was_crowded && visits <= slots / FEW) {
		(void)malloc_trim(0);
		was_crowded = false;
	}
}
