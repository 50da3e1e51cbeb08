/*
 * unwanted.c - write-ahead logs of a time when there were some.
 *
 * Called when cleanup starts with cleanup_wal_size = 0. What those who ran
 * before have left in incoming/ is as large as ever, and qmgr, who does not
 * know whether a log is wanted, keeps it for them. It is removed when he has
 * released it: some may be at work on it still, so there is more than one look.
 *
 * P1  As in batch.c: a log that is not released, or that somebody holds, stays.
 */
#include "cleanup/batch.h"

#include <errno.h>

#include "common/base/log.h"
#include "common/fiber/fiber.h"
#include "common/fiber/offload.h"
#include "common/queue/wal.h"

enum { LOOK_EVERY = 2000 };

/* What a look has found. */
struct sight { unsigned removed, left; };

/* Is it nobody's? Then it goes. */
static bool
remove_released(struct wal *w)
{
	return wal_is_released(w) && wal_lock(w) == 0 &&
	    wal_refresh(w) == 0 && wal_is_released(w) &&
	    wal_remove(w->number) == 0;
}

/* On a thread. One that is damaged is left to people. */
static int
look(void *arg)
{
	struct sight	*f = arg;
	struct wal	 w;
	unsigned	 number;

	*f = (struct sight){ 0 };
	for (number = 0; number < WAL_FILES; number++) {
		if (wal_open(&w, number) == -1) {
			if (errno == ENODATA && wal_reap(number) == -1)
				f->left++;
			continue;
		}
		if (remove_released(&w))
			f->removed++;
		else
			f->left++;
		wal_close(&w);
	}
	return 0;
}

/* Until there are none. */
static void
remove_unwanted(void *unused)
{
	struct sight	f;

	(void)unused;
	fiber_name("unwanted logs");
	do {
		(void)offload(look, &f);
		if (f.removed > 0)
			log_info("%u write-ahead logs of before are removed, "
			    "since cleanup_wal_size is 0", f.removed);
	} while (f.left > 0 && fiber_sleep(LOOK_EVERY) == 0);
}

/* Those of others, in the background. */
void
unwanted_start(void)
{
	if (!batch_has_logs())
		fiber_start(remove_unwanted, NULL);
}
