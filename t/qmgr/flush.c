/*
 * flush.c - requests for a site's mail: what nobody knows is read for each of
 * them, and who is one too many is told so.
 *
 * needs: qmgr/flush.c qmgr/waiting.c qmgr/marks.c qmgr/again.c qmgr/retry.c
 */
#include "qmgr/flush.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/fs.h"
#include "common/fiber/loop.h"
#include "qmgr/lane.h"
#include "qmgr/route.h"
#include "qmgr/scan.h"
#include "qmgr/transport.h"
#include "qmgr/waiting.h"

enum { WISHES = 64 };			/* as in flush.c */

/* Instead of the rest of qmgr: no site, and nobody who opens anything. */
struct link	*to_resolve;

static int
compare(const struct destination *a, const struct destination *b)
{
	return strcmp(a->label, b->label);
}

RB_GENERATE(destinations, destination, entry, compare)

struct transport *
transport_next(struct transport *before)
{
	(void)before;
	return NULL;
}

struct transport *
transport_at(unsigned index)
{
	(void)index;
	return NULL;
}

struct job *
message_next_job(struct message *m, struct job *before)
{
	(void)m;
	(void)before;
	return NULL;
}

void
feed_wake(void)
{
}

void
lane_kick(struct lane *lane)
{
	(void)lane;
}

void
window_start(struct window *w, const struct pace *pace)
{
	(void)w;
	(void)pace;
}

void
schedule_refresh(struct destination *s)
{
	(void)s;
}

static char	directory[] = "/tmp/prt-flush-XXXXXX";

/* A queue in which nothing is. */
static int
set_up(void **state)
{
	int	fd, result;

	(void)state;
	if (mkdtemp(directory) == NULL || chdir(directory) == -1 ||
	    mkdir("deferred", 0700) == -1 ||
	    (fd = fs_open_directory(AT_FDCWD, ".")) == -1)
		return -1;
	result = queue_open(fd, 1u << QUEUE_DEFERRED);
	close(fd);
	return result;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir("deferred") == -1 || chdir("/") == -1 ? -1 :
	    rmdir(directory);
}

/* Ask for a site: how many wait for it, and what becomes of the rest. */
static size_t
ask(int number, enum flush_rest *rest)
{
	char	domain[32];

	snprintf(domain, sizeof(domain), "site%d.test", number);
	return flush_site(domain, rest);
}

static void
one_request_too_many_is_told_so(void **state)
{
	static const char	known[] = "0dZK5000000000K",
				unknown[] = "0dZK5000000000U";
	struct marks		marks = { .site = 3 };
	enum flush_rest		rest;
	int			i;

	(void)state;
	assert_int_equal(ask(0, &rest), 0);
	assert_int_equal(rest, FLUSH_REST_NONE);
	marks_add(&marks, marks_hash("site500.test", 12));
	assert_true(waiting_add(known, QUEUE_DEFERRED, 1000));
	assert_true(waiting_set_marks(known, &marks, 0));
	assert_true(waiting_add(unknown, QUEUE_DEFERRED, 1000));
	for (i = 0; i < WISHES; i++) {
		assert_int_equal(ask(i, &rest), 0);
		assert_int_equal(rest, FLUSH_REST_READ);
	}
	/* what is known is found all the same */
	assert_int_equal(ask(500, &rest), 1);
	assert_int_equal(rest, FLUSH_REST_LEFT);
	/* and whoever asked before may ask again */
	assert_int_equal(ask(5, &rest), 0);
	assert_int_equal(rest, FLUSH_REST_READ);
	loop_run();				/* until all has been read */
	assert_int_equal(ask(1000, &rest), 0);
	assert_int_equal(rest, FLUSH_REST_READ);
	loop_run();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(
		    one_request_too_many_is_told_so, set_up, tear_down),
	};

	loop_open();
	return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
