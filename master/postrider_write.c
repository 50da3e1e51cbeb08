/*
 * postrider_write.c - lines for the log from scripts and people: postlog, and
 * postrider log -w.
 *
 * A running master writes them in the order in which they come. Who may not
 * speak to it, and a system that is down, write to where it would.
 */
#include "master/logfile.h"
#include "master/postrider.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/param/site.h"

enum { TEXT_MAX = 1500, LINE_MAX_BYTES = 4 * TEXT_MAX + 1,
    TAG_SHOWN = 128 };

/* What the levels are called. */
static const struct { const char *name; enum log_level level; } levels[] = {
	{ "info", LOG_LEVEL_INFO }, { "warn", LOG_LEVEL_WARNING },
	{ "warning", LOG_LEVEL_WARNING }, { "error", LOG_LEVEL_ERROR },
	{ "fatal", LOG_LEVEL_FATAL }, { "panic", LOG_LEVEL_PANIC }
};

/* To the system's log, which anybody may use. */
static int
write_syslog(enum log_level level, const char *text)
{
	log_to_syslog();
	log_at(level, "%s", text);
	return 0;
}

/* A line to the log without the system's help. */
static int
write_directly(enum log_level level, const char *name, const char *program,
    const char *text)
{
	char	date[32], host[256] = "localhost";
	int	fd;

	log_name(name, program);
	if (*site.maillog_file == '\0')
		return write_syslog(level, text);
	fd = strcmp(site.maillog_file, "/dev/stdout") == 0 ? STDOUT_FILENO :
	    logfile_open(site.maillog_file);
	if (fd == -1 && errno == EACCES)
		return write_syslog(level, text);
	if (fd == -1)
		die("%s: %s", site.maillog_file, strerror(errno));
	(void)gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	clock_log_date(date, sizeof(date), time(NULL));
	dprintf(fd, "%s %s %s/%s[%d]: %s%s\n", date, host, name, program,
	    (int)getpid(), log_level_prefix(level), text);
	if (fd != STDOUT_FILENO)
		close(fd);
	return 0;
}

/* The part of the tag behind the last slash is a program's name. A tag is the
 * caller's to choose, but makes no line of its own. */
static void
cut_tag(struct pool *pool, const char *tag, const char **name,
    const char **program)
{
	char		*shown = pool_alloc(pool, TAG_SHOWN);
	const char	*slash;

	(void)log_escape(shown, TAG_SHOWN, tag, strlen(tag));
	tag = shown;
	slash = strrchr(tag, '/');
	*name = slash == NULL ? site.syslog_name :
	    pool_strndup(pool, tag, (size_t)(slash - tag));
	*program = slash == NULL ? tag : slash + 1;
}

/* The lines that are to be written, one after the other. */
struct lines {
	struct pool	*pool;
	enum log_level	 level;
	const char	*tag;
	const char	*text;		/* one line, or NULL: of the input */
	bool		 is_over;
	char		*line;
	size_t		 size;
};

/* The next line, escaped; NULL at the end. */
static const char *
next_line(struct lines *l)
{
	char		*escaped;
	const char	*text = l->text;
	ssize_t		 len;

	if (l->is_over)
		return NULL;
	l->is_over = text != NULL;
	if (text == NULL) {
		if ((len = getline(&l->line, &l->size, stdin)) == -1)
			return NULL;
		if (len > 0 && l->line[len - 1] == '\n')
			l->line[len - 1] = '\0';
		text = l->line;
	}
	escaped = pool_alloc(l->pool, LINE_MAX_BYTES);
	(void)log_escape(escaped, LINE_MAX_BYTES, text,
	    strnlen(text, TEXT_MAX));
	return escaped;
}

/* The same as a verb for master. */
static const char *
next_verb(void *context)
{
	struct lines	*l = context;
	const char	*text = next_line(l);

	return text == NULL ? NULL : pool_printf(l->pool, "post %d %.64s "
	    "%.1800s", (int)l->level, l->tag, text);
}

/* Write all of them. */
static int
write_lines(struct lines *l)
{
	const char	*name, *program, *text;

	if (postrider_find_master(l->pool) != 0 && access(pool_printf(l->pool,
	    "%s/private/control", site.queue_directory), W_OK) == 0)
		return postrider_ask_master_all(next_verb, l);
	cut_tag(l->pool, l->tag, &name, &program);
	while ((text = next_line(l)) != NULL)
		(void)write_directly(l->level, name, program, text);
	return 0;
}

/* One line, or each of the input. */
int
postrider_write(struct pool *pool, enum log_level level, const char *tag,
    const char *text)
{
	struct lines	l = { pool, level, tag, text, false, NULL, 0 };
	int		status = write_lines(&l);

	free(l.line);
	return status;
}

/* The level of a name; usage for others. */
static enum log_level
level_of(const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(levels[i].name, name) == 0)
			return levels[i].level;
	die("-p %s: expected info, warn, error, fatal or panic", name);
}

/* postlog [-iv] [-c directory] [-p level] [-t tag] [text ...] */
int
postrider_postlog(struct pool *pool, int argc, char **argv)
{
	enum log_level	 level = LOG_LEVEL_INFO;
	const char	*tag = "postlog";
	struct str	 words;
	int		 option, i;

	while ((option = getopt(argc, argv, "+c:ip:t:v")) != -1)
		switch (option) {
		case 'c': postrider_directory = optarg; break;
		case 'p': level = level_of(optarg); break;
		case 't': tag = optarg; break;
		case 'i':
		case 'v': break;
		default:
			fprintf(stderr, "usage: postlog [-iv] [-c directory] "
			    "[-p level] [-t tag] [text ...]\n");
			return 1;
		}
	if (*tag == '\0' || strpbrk(tag, " \t\n") != NULL)
		die("-t: expected a word");
	if (optind == argc)
		return postrider_write(pool, level, tag, NULL);
	str_init(&words, pool, TEXT_MAX);
	for (i = optind; i < argc; i++)
		str_addf(&words, "%s%s", i > optind ? " " : "", argv[i]);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%s: %s%s\n", tag, log_level_prefix(level),
		    words.data);
	return postrider_write(pool, level, tag, words.data);
}
