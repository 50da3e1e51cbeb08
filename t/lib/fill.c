/*
 * fill.c - fills a queue with messages, for tests of long queues.
 *
 *	fill QUEUE_DIRECTORY DIRECTORY COUNT [DOMAINS [WAIT]]
 *
 * Message i is from sender<i % 10>@from<i % 7>.test to user<i>@d<i %
 * DOMAINS>.test, came i seconds ago, failed once with a reason that names its
 * domain, and is due in WAIT seconds (3600). Nothing is synced. The owner of
 * incoming/ owns the files.
 */
#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/queue/queue.h"

static const char	content[] = "From: a@from.test\r\nSubject: filling\r\n"
			    "\r\nThis waits.\r\n";

/* Become the owner of the queue. */
static void
become_owner(void)
{
	struct stat	st;

	if (stat("incoming", &st) == -1)
		err(1, "incoming");
	if (geteuid() == 0 && (setgroups(0, NULL) == -1 ||
	    setgid(st.st_gid) == -1 || setuid(st.st_uid) == -1))
		err(1, "cannot become the owner");
}

/* An envelope with one recipient. */
static void
add_envelope(struct str *to, long i, long domains)
{
	char			 none[1] = "", sender[64], address[64];
	struct recipient_row	 row = { address, none, none, 0 };
	struct mail		 m = { .sender = sender,
				    .origin = none, .client_name = none,
				    .client_address = none, .helo = none,
				    .protocol = none, .full_name = none,
				    .envelope_id = none, .return_what = none,
				    .login = none, .extra = none, .verp = none,
				    .uid = -1, .size_hint = 0 };
	const char		*why;

	m.arrival_us = clock_wall_us() - i * 1000000;
	snprintf(sender, sizeof(sender), "sender%ld@from%ld.test", i % 10,
	    i % 7);
	snprintf(address, sizeof(address), "user%ld@d%ld.test", i,
	    i % domains);
	if ((why = envelope_encode(&m, &row, 1, to)) != NULL)
		errx(1, "envelope: %s", why);
}

/* The records of an attempt. */
static void
add_journal(struct str *to, long i, long domains)
{
	char		text[128];
	char		dsn[] = "4.4.1";
	struct journal	j = { .kind = JOURNAL_ATTEMPT, .number = -1,
			    .when_us = clock_wall_us() };

	(void)journal_encode(&j, to);
	snprintf(text, sizeof(text), "connect to mx.d%ld.test[192.0.2.1]:25: "
	    "Connection timed out", i % domains);
	j = (struct journal){ .kind = JOURNAL_OUTCOME, .when_us = j.when_us,
	    .outcome = OUTCOME_DEFERRED, .dsn = dsn, .text = text };
	(void)journal_encode(&j, to);
}

/* One message. */
static void
make(struct pool *pool, enum queue_dir dir, long i, long domains, long wait)
{
	struct queue_layout	layout = {
	    .content_offset = QUEUE_PREAMBLE,
	    .content_length = (int64_t)sizeof(content) - 1,
	    .envelope_offset = QUEUE_PREAMBLE + (int64_t)sizeof(content) - 1 };
	unsigned char		preamble[QUEUE_PREAMBLE];
	char			id[QUEUE_ID_MAX + 1];
	struct str		all, envelope;
	int			fd;

	str_init(&envelope, pool, 0);
	add_envelope(&envelope, i, domains);
	layout.envelope_length = (int64_t)envelope.len;
	queue_preamble_encode(preamble, &layout, envelope_crc(envelope.data,
	    envelope.len));
	str_init(&all, pool, 0);
	str_add_mem(&all, preamble, sizeof(preamble));
	str_add_mem(&all, content, sizeof(content) - 1);
	str_add_mem(&all, envelope.data, envelope.len);
	add_journal(&all, i, domains);
	queue_id_new(id, 1);
	if ((fd = queue_create(id)) == -1 ||
	    fs_write(fd, all.data, all.len) == -1 ||
	    queue_set_complete(fd) == -1 || close(fd) == -1)
		err(1, "%s", id);
	if ((dir != QUEUE_INCOMING &&
	    queue_move(id, QUEUE_INCOMING, dir) == -1) ||
	    queue_set_time(dir, id, clock_wall_us() + wait * 1000000) == -1)
		err(1, "%s", id);
}

int
main(int argc, char **argv)
{
	enum queue_dir	dir = QUEUE_DEFERRED;
	struct pool	*pool;
	long		i, count, domains, wait;
	int		fd;

	if (argc < 4)
		errx(1, "usage: fill queue directory count [domains [wait]]");
	if (strcmp(argv[2], "hold") == 0)
		dir = QUEUE_HOLD;
	else if (strcmp(argv[2], "incoming") == 0)
		dir = QUEUE_INCOMING;
	count = atol(argv[3]);
	domains = argc > 4 ? atol(argv[4]) : 100;
	wait = argc > 5 ? atol(argv[5]) : 3600;
	if (chdir(argv[1]) == -1)
		err(1, "%s", argv[1]);
	become_owner();
	if ((fd = fs_open_directory(AT_FDCWD, ".")) == -1 || queue_open(fd,
	    1u << QUEUE_INCOMING | 1u << QUEUE_DEFERRED | 1u << QUEUE_HOLD) ==
	    -1)
		err(1, "%s", argv[1]);
	for (i = 0; i < count; i++) {
		pool = pool_new("fill", 0);
		make(pool, dir, i, domains < 1 ? 1 : domains, wait);
		pool_free(pool);
	}
	return 0;
}
