/*
 * queue_post.c - a message of Postfix's maildrop is posted with our sendmail,
 * since no cleanup has seen it yet.
 *
 * It runs as who posted it: he is told in the log, and he must be allowed
 * to. The command waits: sendmail brings the message to pickup, or puts it
 * into our maildrop while Postrider is stopped. What it complains of is seen
 * on standard error.
 */
#include "qmgr/queue_post.h"

#include <sys/mman.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/mail/dsn.h"
#include "qmgr/queue.h"
#include "qmgr/queue_import.h"

enum {
	WORDS_MAX = 1000000,	/* bytes, of the two million that exec takes */
	OPTIONS = 20
};

/* The words, and the message with line ends as on this system, in memory. -1
 * or a file. */
static int
make_file(struct pool *pool, const struct postfix_file *f, char **words,
    size_t n)
{
	struct str	text;
	const char	*at = f->content.data, *cr;
	const char	*end = at + f->content.len;
	size_t		 i;
	int		 fd;

	str_init(&text, pool, f->content.len + 4 * WORDS_MAX);
	for (i = 0; i < n; i++)
		str_add_mem(&text, words[i], strlen(words[i]) + 1);
	str_add_mem(&text, "", 1);
	while ((cr = memmem(at, (size_t)(end - at), "\r\n", 2)) != NULL) {
		str_add_mem(&text, at, (size_t)(cr - at));
		str_add_char(&text, '\n');
		at = cr + 2;
	}
	str_add_mem(&text, at, (size_t)(end - at));
	if (text.is_cut || (fd = memfd_create("message", MFD_CLOEXEC)) == -1)
		return -1;
	if (fs_write(fd, text.data, text.len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The words of -N. */
static char *
notify_words(struct pool *pool, int64_t notify)
{
	char	*words;

	if ((notify & NOTIFY_NEVER) != 0)
		return pool_strdup(pool, "never");
	words = pool_printf(pool, "%s%s%s", notify & NOTIFY_SUCCESS ?
	    ",success" : "", notify & NOTIFY_FAILURE ? ",failure" : "",
	    notify & NOTIFY_DELAY ? ",delay" : "");
	return words + 1;
}

/* The options; how many words. */
static size_t
add_options(struct pool *pool, const struct postfix_file *f, char **words)
{
	const struct mail	*m = &f->mail;
	int64_t			 notify = f->recipients[0].notify;
	size_t			 n = 0;

	words[n++] = pool_strdup(pool, "sendmail");
	if (command.directory != NULL)
		words[n++] = pool_printf(pool, "-C%s", command.directory);
	words[n++] = pool_strdup(pool, "-i");
	words[n++] = pool_strdup(pool, "-f");
	words[n++] = *m->sender != '\0' ? m->sender :
	    pool_strdup(pool, "<>");
	if (*m->full_name != '\0')
		words[n++] = pool_printf(pool, "-F%s", m->full_name);
	if (*m->envelope_id != '\0')
		words[n++] = pool_printf(pool, "-V%s", m->envelope_id);
	if (*m->verp != '\0')
		words[n++] = pool_printf(pool, "-XV%s", m->verp);
	if (*m->return_what != '\0')
		words[n++] = pool_printf(pool, "-R%s",
		    strcmp(m->return_what, "HDRS") == 0 ? "hdrs" : "full");
	if (notify != 0)
		words[n++] = pool_printf(pool, "-N%s", notify_words(pool,
		    notify));
	if ((m->flags & MAIL_IS_8BIT) != 0)
		words[n++] = pool_strdup(pool, "-B8BITMIME");
	words[n++] = pool_strdup(pool, "--");
	return n;
}

/* Can it be said on a command line? */
static const char *
check(const struct postfix_file *f)
{
	size_t	i, bytes = 0;

	for (i = 0; i < f->count; i++) {
		bytes += strlen(f->recipients[i].address) + 1 + sizeof(char *);
		if (f->recipients[i].notify != f->recipients[0].notify)
			return "its recipients want different notifications: "
			    "let Postfix take it";
	}
	return bytes > WORDS_MAX || f->count > SPOOL_WORDS - OPTIONS ? "it has too many recipients for a command "
	    "line: let Postfix take it" : NULL;
}

/* Post it. */
const char *
queue_post(struct pool *pool, const struct postfix_file *f, bool is_dry)
{
	char		**words;
	size_t		  i, n;
	const char	 *why = check(f);
	int		  fd;

	if (why != NULL || is_dry)
		return why;
	words = pool_array(pool, OPTIONS + f->count, sizeof(*words));
	n = add_options(pool, f, words);
	for (i = 0; i < f->count; i++)
		words[n++] = f->recipients[i].address;
	if ((fd = make_file(pool, f, words, n)) == -1)
		return strerror(errno);
	why = spool_post(fd) == 0 ? NULL : "sendmail did not take it";
	close(fd);
	return why;
}
