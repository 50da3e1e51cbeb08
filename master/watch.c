/*
 * watch.c - who runs, who fell, who comes next.
 *
 * Each place in the table of services has a keeper, a fiber that starts a
 * process when the place is wanted and again when it fell. A process that a
 * reload made old has no place any more; it leaves when it has finished what
 * it has.
 *
 * whole-4  No process is one that may not die: whichever is killed, at any
 *          moment, nothing is lost, and mail flows again without anybody's
 *          help.
 * W1  A service that was called once is kept running from then on.
 * W2  A process that ends is replaced; one that died within a minute not
 *     before a second after its own start. After each attempt that does not
 *     even become ready there is a pause, twice as long as the one before, up
 *     to service_throttle_time (pause.c).
 * W3  After a reload an old process serves until its successor is ready. If
 *     that cannot start, the old one goes on.
 * W4  Of a service that must be alone (qmgr, pickup) a second process is
 *     started only when the first has gone.
 * W5  While the system stops, who is called is still started until its own
 *     turn to end comes: a delivery that began can end.
 * W6  A start is given up when a program says that it cannot work here, or
 *     when a place has fallen START_TRIES times: who was killed, or found no
 *     memory, is tried again.
 */
#include "master/watch.h"

#include <sys/wait.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/log.h"
#include "common/fiber/queue.h"
#include "common/ipc/packets.h"
#include "master/listeners.h"
#include "master/pause.h"
#include "master/process.h"

enum {
	START_TRIES = 4,		/* 1, 2, 4 seconds in between */
	REAP_TIME = 5000		/* for the end of a killed process */
};

int64_t				 watch_throttle_time = 60 * 1000;

/* Who ends after whom: first those who bring mail in, last those whom others
 * need. smtp beside qmgr, so that what its hosts keep waiting ends at once,
 * and qmgr still hears of it. */
enum { STAGES = 4 };
static const struct {
	const char	*programs[8];
	int		 time_left;		/* sixths of all time */
} stop_order[STAGES] = {
	{ { "smtpd", "pickup" }, 4 },
	{ { "qmgr", "smtp" }, 2 },
	{ { "local", "error", "bounce", "spawn", "token" }, 1 },
	{ { "helper", "cleanup", "resolve", "dns", "anvil", "keys", "auth" },
	    0 }
};

static struct services		*current;
static bool			 is_stopping;
static unsigned			 stage;		/* rows that were told to end */
static struct fiber_queue	 changed;	/* who waits for a change */
static char			 failure[512];	/* for wait_ready() */

/* Wake the fiber that waits for a change. */
void
watch_changed(void)
{
	fiber_queue_wake_all(&changed);
}

/* Let every keeper look again. */
static void
wake_keepers(void)
{
	struct unit	*unit;
	unsigned	 i;

	if (current == NULL)
		return;
	for (unit = current->units; unit < current->units + current->count;
	    unit++)
		for (i = 0; i < unit->worker_count; i++)
			if (unit->workers[i].keeper != NULL)
				fiber_wake(unit->workers[i].keeper);
}

/* --- deaths -------------------------------------------------------------- */

/* Would it end like this again? Whoever exits has found something wrong, but
 * for EX_TEMPFAIL; who is killed, by the kernel for lack of memory perhaps, may
 * have better luck. (W6) */
static bool
is_hopeless(struct worker *w, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) != EX_TEMPFAIL)
		return true;
	return w != NULL && ++w->falls >= START_TRIES;
}

/* Was it told to leave, so early that nothing in it heard SIGTERM? */
static bool
is_obedient(const struct process *p, int status)
{
	return p->is_leaving && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGTERM;
}

/* One ended: say so, and see to its place. */
static void
ended(struct process *p, int status)
{
	struct worker	*w = p->worker;
	char		 text[512];

	process_describe(p, status, text, sizeof(text));
	if (status != 0 && !is_obedient(p, status))
		log_warning("%s", text);
	if (status != 0 && !p->is_ready && !is_stopping)
		log_warning("%s: bad command startup -- throttling", p->path);
	if (!p->is_ready && is_hopeless(w, status))
		strlcpy(failure, text, sizeof(failure));
	if (w != NULL) {
		w->process = NULL;
		pause_after_death(w, p, status);
	}
}

/* SIGCHLD came: collect, then let everybody look. */
void
watch_reap(void)
{
	process_reap(ended);
	wake_keepers();
	watch_changed();
}

/* --- keepers ------------------------------------------------------------- */

/* Has somebody called here, or will the place be filled anyway? */
static bool
is_wanted(const struct worker *w)
{
	size_t	i;

	if (w->is_wanted)
		return true;
	for (i = 0; i < w->listener_count; i++)
		if (listener_is_called(w->listeners[i]))
			return true;
	return false;
}

/* Is an older process of a service that must be alone still there? */
static bool
must_wait(const struct worker *w)
{
	const struct process	*p;

	if (!(w->unit->flags & UNIT_ALONE))
		return false;
	TAILQ_FOREACH(p, &processes, entry)
		if (strcmp(p->program, w->unit->program) == 0)
			return true;
	return false;
}

/* Until when shall this keeper sleep? 0: start a process now. */
static int64_t
next_look(const struct worker *w)
{
	if (w->process != NULL || !is_wanted(w) || must_wait(w))
		return NEVER;
	return w->not_before <= clock_now() ? 0 : w->not_before;
}

/* It could not even be started: try again after a growing pause. */
static void
refused(struct worker *w)
{
	if (++w->falls >= START_TRIES)
		(void)snprintf(failure, sizeof(failure), "cannot start %s",
		    w->unit->program);
	pause_after_refusal(w);
	watch_changed();
}

/* One of these? */
static bool
is_among(const char *const *programs, const char *program)
{
	size_t	i;

	for (i = 0; programs[i] != NULL; i++)
		if (strcmp(programs[i], program) == 0)
			return true;
	return false;
}

/* May this program still be started? (W5) */
static bool
may_start(const char *program)
{
	unsigned	i;

	for (i = stage; is_stopping && i < STAGES; i++)
		if (is_among(stop_order[i].programs, program))
			return true;
	return !is_stopping;
}

/* Fiber: keep a process in this place until a reload takes the place away, or
 * the end of the system comes to it. */
static void
keep(void *arg)
{
	struct worker	*w = arg;
	struct services	*services = w->unit->services;
	int64_t		 until;

	fiber_name(w->unit->name);
	while (!w->is_retired && may_start(w->unit->program)) {
		if ((until = next_look(w)) != 0)
			(void)fiber_park(until);
		else if ((w->process = process_start(w)) == NULL)
			refused(w);
	}
	w->keeper = NULL;
	if (--services->keepers == 0 && services != current)
		pool_free(services->pool);
}

/* Give every place its keeper. */
static void
start_keepers(struct services *services)
{
	struct unit	*unit;
	unsigned	 i;

	for (unit = services->units; unit < services->units + services->count;
	    unit++)
		for (i = 0; i < unit->worker_count; i++) {
			services->keepers++;
			unit->workers[i].keeper = fiber_start(keep,
			    &unit->workers[i]);
		}
}

/* Begin with this table. */
void
watch_start(struct services *services)
{
	current = services;
	fiber_queue_init(&changed);
	listeners_on_call(wake_keepers);
	start_keepers(services);
}

/* Is everything that starts at once ready? */
static bool
is_all_ready(void)
{
	const struct unit	*unit;
	const struct worker	*w;

	for (unit = current->units; unit < current->units + current->count;
	    unit++)
		for (w = unit->workers;
		    w < unit->workers + unit->worker_count; w++)
			if (w->is_wanted && (w->process == NULL ||
			    !w->process->is_ready))
				return false;
	return true;
}

/* Wait until all is well or the first thing is not. */
const char *
watch_wait_ready(int64_t deadline)
{
	const char	*why = NULL;

	while (!is_stopping && !is_all_ready() && why == NULL) {
		if (failure[0] != '\0')
			why = failure;
		else if (fiber_queue_wait(&changed, deadline) == -1)
			why = "the daemons do not become ready";
	}
	return why;
}

/* --- reload -------------------------------------------------------------- */

/* The same options as before? */
static bool
has_same_options(const struct unit *a, const struct unit *b)
{
	size_t	i;

	if (a->option_count != b->option_count || a->maxproc != b->maxproc ||
	    a->worker_count != b->worker_count ||
	    a->is_verbose != b->is_verbose ||
	    a->is_debugged != b->is_debugged)
		return false;
	for (i = 0; i < a->option_count; i++)
		if (strcmp(a->options[i].name, b->options[i].name) != 0 ||
		    strcmp(a->options[i].value, b->options[i].value) != 0)
			return false;
	return true;
}

/* May the process stay and read its configuration again? Not when its
 * program was replaced by another version. */
static bool
may_stay(const struct process *p, const struct unit *before,
    const struct unit *after)
{
	struct program_file	now;

	spawn_look(after, &now);
	return (after->flags & UNIT_IN_PLACE) && !p->is_leaving &&
	    memcmp(&now, &p->file, sizeof(now)) == 0 &&
	    has_same_options(before, after);
}

/* Hand one place on to its successor, which may be NULL. */
static void
succeed(struct worker *before, struct worker *after)
{
	struct process	*p = before->process;

	before->is_retired = true;
	before->process = NULL;
	if (after != NULL && is_wanted(before))
		after->is_wanted = true;
	if (p == NULL)
		return;
	p->worker = NULL;
	if (after == NULL || (after->unit->flags & UNIT_ALONE))
		process_drain(p);
}

/* The place in the table with this name and number, of the same kind. */
static struct worker *
find_place(struct services *services, const struct unit *like, unsigned number)
{
	struct unit	*unit;

	for (unit = services->units; unit < services->units + services->count;
	    unit++)
		if (strcmp(unit->name, like->name) == 0 &&
		    (unit->flags & UNIT_IS_INET) ==
		    (like->flags & UNIT_IS_INET))
			return number <= unit->worker_count ?
			    &unit->workers[number - 1] : NULL;
	return NULL;
}

/* Hand over all places of one unit. */
static void
succeed_unit(struct unit *unit, struct services *services)
{
	struct worker	*after, *before;
	struct process	*p;
	unsigned	 i;

	for (i = 0; i < unit->worker_count; i++) {
		before = &unit->workers[i];
		after = find_place(services, unit, i + 1);
		p = before->process;
		if (p == NULL || after == NULL ||
		    !may_stay(p, unit, after->unit)) {
			succeed(before, after);
			continue;
		}
		before->process = NULL;
		before->is_retired = true;
		after->process = p;
		p->worker = after;
		process_reload(p);
	}
}

/* Take another table into use. */
void
watch_replace(struct services *services)
{
	struct services	*before = current;
	size_t		 i;

	for (i = 0; i < before->count; i++)
		succeed_unit(&before->units[i], services);
	wake_keepers();
	current = services;
	start_keepers(services);
}

/* Is a process of this program on its way to being ready? */
static bool
is_starting(const char *program)
{
	const struct process	*p;

	TAILQ_FOREACH(p, &processes, entry)
		if (strcmp(p->program, program) == 0 && !p->is_ready)
			return true;
	return false;
}

/* Fresh processes for one program, as a reload would start them. One that
 * runs goes on until its successor is ready (W3). */
bool
watch_renew(const char *program)
{
	struct unit	*unit;
	struct worker	*w;

	if (is_stopping)
		return true;
	if (is_starting(program))
		return false;
	for (unit = current->units; unit < current->units + current->count;
	    unit++)
		for (w = unit->workers; w < unit->workers +
		    unit->worker_count; w++) {
			if (strcmp(unit->program, program) != 0 ||
			    w->process == NULL)
				continue;
			w->is_wanted = true;
			w->process->worker = NULL;
			w->process = NULL;
			w->not_before = 0;
		}
	wake_keepers();
	return true;
}

/* An answer that nobody wants to read. */
static void
ignore(const struct watch_row *row, void *context)
{
	(void)row;
	(void)context;
}

/*
 * Wait for the end of a reload. Orders are obeyed one after the other: who
 * answers for its status has done what DRAIN asked for before.
 */
bool
watch_settle(int64_t deadline)
{
	while (!is_stopping && !is_all_ready())
		if (fiber_queue_wait(&changed, deadline) == -1)
			return false;
	if (!is_stopping)
		watch_status(ignore, NULL);
	return true;
}

/* --- stop ---------------------------------------------------------------- */

/* Is one of these programs still running? NULL asks for all but log. */
static bool
is_running(const char *const *programs)
{
	const struct process	*p;

	TAILQ_FOREACH(p, &processes, entry)
		if (programs == NULL ? strcmp(p->program, "log") != 0 :
		    is_among(programs, p->program))
			return true;
	return false;
}

/* Nobody will answer any more where these programs are not running: whoever
 * has called there and waits hears so now. */
static void
close_abandoned(const char *const *programs)
{
	struct unit	*unit;
	unsigned	 i;

	for (unit = current->units; unit < current->units + current->count;
	    unit++)
		for (i = 0; i < unit->worker_count; i++)
			if (unit->workers[i].process == NULL &&
			    is_among(programs, unit->program))
				unit->workers[i].listener_count = 0;
	listeners_sweep(current);
}

/* SIGTERM says that the whole system stops: to those who have strangers at
 * the other end, for whom we do not wait. */
static bool
has_strangers(const struct process *p)
{
	return strcmp(p->program, "smtpd") == 0 ||
	    strcmp(p->program, "pickup") == 0 ||
	    strcmp(p->program, "smtp") == 0 ||
	    strcmp(p->program, "spawn") == 0;
}

/* Tell these programs to leave and wait for them until the deadline. */
static WAITS void
drain_programs(const char *const *programs, int64_t deadline)
{
	struct process	*p;

	TAILQ_FOREACH(p, &processes, entry)
		if (is_among(programs, p->program)) {
			process_drain(p);
			if (has_strangers(p))
				(void)kill(p->pid, SIGTERM);
		}
	do
		close_abandoned(programs);
	while (is_running(programs) &&
	    fiber_queue_wait(&changed, deadline) == 0);
}

/* End what did not end itself: all but log, or log. */
static WAITS void
kill_rest(bool is_log)
{
	static const char *const	log[] = { "log", NULL };
	struct process			*p;
	int64_t				 deadline = clock_now() + REAP_TIME;

	TAILQ_FOREACH(p, &processes, entry)
		if ((strcmp(p->program, "log") == 0) == is_log) {
			log_warning("process %s pid %d does not end; killing "
			    "it", p->path, (int)p->pid);
			(void)kill(p->pid, SIGKILL);
		}
	while (is_running(is_log ? log : NULL) &&
	    fiber_queue_wait(&changed, deadline) == 0)
		continue;
}

/* End all in the order of the table. */
void
watch_stop(int64_t deadline)
{
	int64_t	time = deadline - clock_now();
	size_t	i;

	is_stopping = true;
	for (i = 0; i < STAGES; i++) {
		stage++;
		wake_keepers();
		drain_programs(stop_order[i].programs,
		    deadline - time * stop_order[i].time_left / 6);
	}
	kill_rest(false);
}

/* The very last: log writes what it still has. */
void
watch_stop_log(int64_t deadline)
{
	static const char *const	log[] = { "log", NULL };

	drain_programs(log, deadline);
	kill_rest(true);
}

/* --- status -------------------------------------------------------------- */

/* Name the services without a process. */
void
watch_idle(void (*say)(const char *, void *), void *context)
{
	size_t		i;
	unsigned	k;

	for (i = 0; i < current->count; i++) {
		for (k = 0; k < current->units[i].worker_count; k++)
			if (current->units[i].workers[k].process != NULL)
				break;
		if (k == current->units[i].worker_count)
			say(current->units[i].name, context);
	}
}
