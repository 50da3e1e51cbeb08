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
 * P1  When all slots are in use the door is closed, so that a process with
 *     slots to give takes who is outside. Every moment it is opened for those
 *     who are still there: each gets the slot of somebody idle, who hears
 *     421, or, if there is nobody, hears 421 itself. So nobody waits outside
 *     for long.
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
	LOOK_EVERY = 500,	/* for those who are slow */
	TELL_EVERY = 10 * 1000,
	MANY = 100,		/* sessions, whose memory is worth a search */
	LEFT = 10,		/* one of so many that there were */

	FEW_SLOTS = 5,		/* less have no four fifths */
	PRESSURE = 10 * 1000,	/* how long one at the door is a sign */

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
static int64_t	 pressed_until;		/* since somebody was at the door */
static bool	 is_closed, has_usher;
static unsigned	 most;			/* since memory was given back */
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

/* Are so many slots in use, and short? Of very few all are as soon as anybody
 * is there, which is no crowd before somebody else wants to come in. */
static bool
is_crowded(unsigned used)
{
	return slots_used >= used &&
	    (slots >= FEW_SLOTS || clock_now() < pressed_until);
}

bool
crowd_is_full(void)
{
	return is_crowded(slots);
}

bool
crowd_is_near(void)
{
	return is_crowded(slots - slots / 5);
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

/* Take those who are outside now, at most as many as a fiber takes before it
 * lets the others run, and nobody who comes later (P1). */
WAITS static void
let_in(void)
{
	open_door();
	fiber_yield();
	if (slots_used >= slots)
		close_door();
}

/* While there is a crowd: see that nobody is slow, and open the door now and
 * then. */
WAITS static void
usher(void *unused)
{
	int64_t	next_look = 0;

	(void)unused;
	fiber_name("usher");
	while (crowd_is_near() || is_closed || sent_away > 0) {
		tell();
		if (crowd_is_near() && clock_now() >= next_look) {
			turn_dismiss_slow();
			next_look = clock_now() + LOOK_EVERY;
		}
		if (fiber_sleep(MOMENT) == -1)
			break;
		if (is_closed && !daemon_is_draining())
			let_in();
	}
	has_usher = false;
}

/* There are so many now. */
static void
count(unsigned visits)
{
	slots_used = visits;
	if (visits > most)
		most = visits;
	if (visits < slots)
		open_door();
	else
		close_door();
	if ((crowd_is_near() || is_closed) && !has_usher) {
		has_usher = true;
		(void)fiber_start(usher, NULL);
	}
}

bool
crowd_arrived(unsigned visits)
{
	bool	may_stay = visits <= slots || turn_make_room();

	if (visits > slots)
		pressed_until = clock_now() + PRESSURE;
	if (!may_stay)
		sent_away++;
	count(visits);
	return may_stay;
}

void
crowd_departed(unsigned visits)
{
	count(visits);
	if (most >= MANY && visits <= most / LEFT) {
		(void)malloc_trim(0);
		most = visits;
	}
}
