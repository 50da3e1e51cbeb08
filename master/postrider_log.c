/*
 * postrider_log.c - postrider log: what was logged about somebody or something.
 *
 *	postrider log [-f] [-n lines] [-s since] [word ...]
 *	postrider log -w text
 *
 * A word may be a queue id, an address, a host, anything. Shown are the lines
 * that have all words, and every other line about the same messages. -s takes
 * "2h", "14:30" or "2026-01-31 14:30". -f goes on with what comes.
 */
#include "master/postrider.h"

#include <sys/stat.h>
#include <sys/tree.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/param/site.h"

enum {
	ID_LEAST	= 6,		/* characters of a queue id */
	ID_MOST		= 32,
	LINES		= 20,		/* shown when nothing is asked for */
	PAUSE		= 200 * 1000000	/* nanoseconds between two looks */
};

/* A message whose lines are wanted. */
struct wanted {
	RB_ENTRY(wanted) node;
	char		 id[ID_MOST + 1];
};

RB_HEAD(wanteds, wanted);

static struct {
	struct pool	*pool;
	const char	*path;
	FILE		*file;
	char	       **words;
	time_t		 since, now, last;	/* last: of the line before */
	struct wanteds	 ids;
	char	       **kept;			/* the last lines, a ring */
	size_t		 room, next;
} view;

/* Order of two messages. */
static int
compare(struct wanted *a, struct wanted *b)
{
	return strcmp(a->id, b->id);
}

/* RB_GENERATE_STATIC wants a macro that libbsd does not have. */
RB_GENERATE_INTERNAL(wanteds, wanted, node, compare,
    static __attribute__((unused)))

/* "Nov 22 03:15:19 ..." or "2026-11-22T03:15:19.123+01:00 ...". */
static time_t
time_of(const char *line)
{
	struct tm	 t = { .tm_isdst = -1 };
	const char	*rest;
	time_t		 when;

	if (isdigit((unsigned char)line[0])) {
		if ((rest = strptime(line, "%Y-%m-%dT%H:%M:%S", &t)) == NULL)
			return view.last;
		rest += strspn(rest, ".0123456789");
		return strptime(rest, "%z", &t) != NULL ?
		    timegm(&t) - t.tm_gmtoff : mktime(&t);
	}
	if (localtime_r(&view.now, &t) == NULL ||
	    strptime(line, "%b %e %H:%M:%S", &t) == NULL)
		return view.last;
	t.tm_isdst = -1;
	if ((when = mktime(&t)) > view.now + 86400) {
		t.tm_year--;		/* the line does not tell it */
		t.tm_isdst = -1;
		when = mktime(&t);
	}
	return when;
}

/* What -s says. */
static time_t
parse_since(const char *text)
{
	struct tm	 t;
	const char	*rest, *word = text;
	int64_t		 ago;

	if (text_duration(text, 'm', 0, INT32_MAX, &ago) == NULL)
		return view.now - ago / 1000;
	if (localtime_r(&view.now, &t) == NULL)
		die("localtime: %s", strerror(errno));
	t.tm_sec = 0;
	if (strlen(text) > 9 && (rest = strptime(text, "%Y-%m-%d", &t)) !=
	    NULL) {
		t.tm_hour = t.tm_min = 0;
		if (*rest == '\0')
			return mktime(&t);
		text = rest + 1;
	}
	t.tm_isdst = -1;
	rest = strptime(text, "%H:%M", &t);
	if (rest != NULL && *rest == ':')
		rest = strptime(rest, ":%S", &t);
	if (rest == NULL || *rest != '\0')
		die("-s %s: expected a time like 2h, 14:30 or 2026-01-31 14:30",
		    word);
	return mktime(&t);
}

/* The message that the line is about; false if there is none. */
static bool
find_id(const char *line, struct wanted *w)
{
	const char	*at = strstr(line, "]: ");
	size_t		 len;

	if (at == NULL)
		return false;
	at += 3;
	len = strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz");
	if (len < ID_LEAST || len > ID_MOST || at[len] != ':' ||
	    strcspn(at, "0123456789") >= len)
		return false;
	memcpy(w->id, at, len);
	w->id[len] = '\0';
	return true;
}

/* Has the line all words? */
static bool
has_words(const char *line)
{
	char	**word;

	for (word = view.words; *word != NULL; word++)
		if (strcasestr(line, *word) == NULL)
			return false;
	return true;
}

/* Is the line one to be shown? Its message is wanted from now on. */
static bool
is_wanted(const char *line)
{
	struct wanted	*w, key;
	bool		 has_id;

	view.last = time_of(line);
	if (view.last < view.since)
		return false;
	if (*view.words == NULL)
		return true;
	has_id = find_id(line, &key);
	if (!has_words(line))
		return has_id && RB_FIND(wanteds, &view.ids, &key) != NULL;
	if (has_id && RB_FIND(wanteds, &view.ids, &key) == NULL) {
		w = pool_alloc(view.pool, sizeof(*w));
		memcpy(w->id, key.id, sizeof(w->id));
		RB_INSERT(wanteds, &view.ids, w);
	}
	return true;
}

/* Show the line now, or keep it while no later ones take its place. */
static void
show(const char *line)
{
	char	**place;

	if (view.room == 0) {
		fputs(line, stdout);
		return;
	}
	place = &view.kept[view.next++ % view.room];
	free(*place);
	if ((*place = strdup(line)) == NULL)
		die("%s", strerror(errno));
}

/* Show what was kept, and keep nothing any more. */
static void
show_kept(void)
{
	size_t	i, room = view.room;

	view.room = 0;
	for (i = 0; i < room; i++)
		if (view.kept[(view.next + i) % room] != NULL)
			show(view.kept[(view.next + i) % room]);
}

/* The rest of the file; lines that are being written wait. */
static void
read_lines(bool shows)
{
	char	*line = NULL;
	size_t	 size = 0;
	ssize_t	 len;

	while ((len = getline(&line, &size, view.file)) != -1) {
		if (line[len - 1] != '\n') {
			(void)fseek(view.file, -len, SEEK_CUR);
			break;
		}
		if (is_wanted(line) && shows)
			show(line);
	}
	free(line);
	clearerr(view.file);
}

/* Does the name mean another file now, or is it shorter? */
static bool
is_rotated(void)
{
	struct stat	mine, its;

	return stat(view.path, &its) == 0 &&
	    fstat(fileno(view.file), &mine) == 0 &&
	    (its.st_ino != mine.st_ino || its.st_dev != mine.st_dev ||
	    its.st_size < ftell(view.file));
}

/* Go on until somebody ends it. */
static _Noreturn void
follow(void)
{
	struct timespec	 pause = { .tv_nsec = PAUSE };
	FILE		*file;

	for (;;) {
		read_lines(true);
		if (fflush(stdout) == EOF)
			exit(1);
		(void)nanosleep(&pause, NULL);
		if (!is_rotated() || (file = fopen(view.path, "re")) == NULL)
			continue;
		read_lines(true);
		fclose(view.file);
		view.file = file;
	}
}

/* The file with the log: ours, or the one of the system's log. */
static const char *
find_file(void)
{
	static const char *const	usual[] = {
		"/var/log/mail.log", "/var/log/maillog", "/var/log/syslog",
		"/var/log/messages"
	};
	size_t	i;

	(void)site_load(postrider_directory);
	if (*site.maillog_file == '/' &&
	    strncmp(site.maillog_file, "/dev/", 5) != 0)
		return site.maillog_file;
	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (access(usual[i], F_OK) == 0)
			return usual[i];
	die("the log is in no file; try journalctl -u postrider");
}

/* -w: the words become one line. */
static int
write_words(struct pool *pool, char **argv)
{
	struct str	words;
	int		i;

	if (argv[0] == NULL)
		postrider_usage();
	str_init(&words, pool, 1500);
	for (i = 0; argv[i] != NULL; i++)
		str_addf(&words, "%s%s", i > 0 ? " " : "", argv[i]);
	return postrider_write(pool, LOG_LEVEL_INFO, "postrider", words.data);
}

/* Show, and follow if that is asked for. */
static int
run(bool follows, int64_t lines)
{
	view.path = find_file();
	if ((view.file = fopen(view.path, "re")) == NULL)
		die("%s: %s", view.path, strerror(errno));
	if (lines == -1 && *view.words == NULL && view.since == 0)
		lines = LINES;
	if (lines > 0)
		view.kept = pool_array(view.pool, (size_t)lines,
		    sizeof(char *));
	if (*view.words != NULL) {
		read_lines(false);	/* which messages */
		rewind(view.file);
	}
	view.room = lines > 0 ? (size_t)lines : 0;
	view.last = 0;
	read_lines(lines != 0);
	show_kept();
	if (follows)
		follow();
	return fflush(stdout) == EOF ? 1 : 0;
}

/* log */
int
postrider_log(struct pool *pool, char **argv)
{
	int64_t	lines = -1;
	int	option, argc = 0;
	bool	follows = false;

	while (argv[argc] != NULL)
		argc++;
	view.pool = pool;
	view.now = time(NULL);
	RB_INIT(&view.ids);
	optind = 0;			/* other words than before */
	while ((option = getopt(argc, argv, "+fn:s:w")) != -1)
		switch (option) {
		case 'f': follows = true; break;
		case 'n':
			if (text_integer(optarg, 0, 1000000, &lines) != NULL)
				die("-n %s: expected a number of lines",
				    optarg);
			break;
		case 's': view.since = parse_since(optarg); break;
		case 'w': return write_words(pool, argv + optind);
		default: postrider_usage();
		}
	view.words = argv + optind;
	return run(follows, lines);
}
