/*
 * token.c - OAuth tokens for smtp, which a command of the administrator's
 * fetches (smtp_sasl_oauth_token_command).
 *
 * Called by resolve only, which keeps the answers and asks once for each user
 * and host. Whoever asks names a user and a host, never a command: that is
 * main.cf's, read at the start, before anybody is connected.
 *
 * O1  The command runs as smtp_sasl_oauth_token_user, never as root or one of
 *     us (account.c), and inherits nothing (child.c).
 * O2  There is no shell. The command is words, cut up before anything is
 *     filled in; user and host are parts of a word, whatever stands in them,
 *     and no word that they begin can be an option.
 * O3  It has a time, and may say so much and no more; what it says on standard
 *     output is the token and goes to no log.
 * O4  A setting with a mistake gives no tokens, and the answer names it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/fiber/loop.h"
#include "common/fiber/queue.h"
#include "common/ipc/packets.h"
#include "common/mail/chars.h"

#include "local/account.h"
#include "local/child.h"

enum {
	SAID_MAX = 8192,		/* the token's packet holds no more */
	ERRORS_MAX = 500,
	COMMANDS_MAX = 10		/* at once, if master.cf has no limit */
};

static struct {
	char	*command, *user, *export_environment;
	int64_t	 time_limit;
} set;

static const struct param	token_params[] = {
	PARAM_STRING("smtp_sasl_oauth_token_command", set.command, "", 0, 0,
	    "The command, with its arguments, that writes an OAuth token on a "
	    "line, and perhaps on another one for how many seconds it is "
	    "good; its path begins with a slash, no shell sees it, and %u and "
	    "%h in its words are the user and the host."),
	PARAM_STRING("smtp_sasl_oauth_token_user", set.user, "nobody", 1, 200,
	    "The user, or user:group, as whom that command runs; never root."),
	PARAM_TIME("smtp_sasl_oauth_token_time_limit", set.time_limit, "30s",
	    1, 90, "How long that command may run until it is killed."),
	PARAM_STRING("export_environment", set.export_environment,
	    "TZ MAIL_CONFIG LANG", 0, 4000,
	    "Variables that commands inherit; NAME=VALUE sets one."),
	PARAM_END
};
static const struct param *const	params[] = { token_params, NULL };

/* What the settings say. */
static struct {
	struct account	 account;
	char		**words, **envp;
	size_t		 count;
	int		 nothing;		/* /dev/null */
	const char	*trouble;	/* why there are no tokens (O4) */
} ready = { .nothing = -1 };
static struct semaphore	places;

/* One of the command's pipes, read by a fiber of its own. */
struct stream {
	struct loop_fd	 watch;
	int		 theirs;
	char		*data;			/* room and a NUL */
	size_t		 len, room;
	bool		 is_cut, is_over;
};

/* --- the settings -------------------------------------------------------- */

/* Is every % in the word one that we know? */
static bool
is_template(const char *word)
{
	for (; (word = strchr(word, '%')) != NULL; word += 2)
		if (word[1] == '\0' || strchr("uh%", word[1]) == NULL)
			return false;
	return true;
}

/* The command as words: NULL, or what is wrong with it. */
static const char *
read_command(struct pool *pool)
{
	size_t	i;

	ready.words = text_words(pool, set.command, &ready.count);
	if (ready.count == 0)
		return "smtp_sasl_oauth_token_command is empty";
	if (ready.words[0][0] != '/' || strchr(ready.words[0], '%') != NULL)
		return "smtp_sasl_oauth_token_command: expected a path that "
		    "begins with a slash";
	for (i = 1; i < ready.count; i++)
		if (!is_template(ready.words[i]))
			return pool_printf(pool, "smtp_sasl_oauth_token_"
			    "command: %s: expected %%u, %%h or %%%%",
			    ready.words[i]);
	return NULL;
}

/* O4. */
static const char *
read_settings(struct pool *pool)
{
	const char	*why = read_command(pool);

	if (why != NULL)
		return why;
	why = account_find(&ready.account, pool, set.user);
	if (why != NULL)
		return pool_printf(pool, "smtp_sasl_oauth_token_user = %s: %s",
		    set.user, why);
	ready.envp = account_environment(pool, set.export_environment);
	ready.nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	return ready.nothing == -1 ? "/dev/null cannot be opened" : NULL;
}

/* As root, before any question. No command is no mistake until somebody
 * wants a token. */
static void
prepare(void)
{
	ready.trouble = read_settings(pool_new("settings", 0));
	if (ready.trouble == NULL || ready.count == 0)
		return;
	if (daemon_is_checking())
		die("%s", ready.trouble);
	log_error("%s", ready.trouble);
}

/* --- what it says -------------------------------------------------------- */

/* Take what is there; false at the end of it. What is too much is read all
 * the same, so that the command comes to its end (O3). */
static bool
take(struct stream *s)
{
	char	rest[256];
	size_t	free_bytes;
	ssize_t	n;

	for (;;) {
		free_bytes = s->room - s->len;
		n = free_bytes > 0 ?
		    read(s->watch.fd, s->data + s->len, free_bytes) :
		    read(s->watch.fd, rest, sizeof(rest));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == -1 && errno == EAGAIN;
		if (free_bytes > 0)
			s->len += (size_t)n;
		else
			s->is_cut = true;
		fiber_breathe();
	}
}

/* The life of a stream's fiber. */
WAITS static void
listen_to(void *arg)
{
	struct stream	*s = arg;

	while (take(s) && loop_wait_readable(&s->watch, NEVER) == 0)
		continue;
	s->is_over = true;
}

/* A pipe; 0, or -1. */
static int
stream_open(struct stream *s, struct pool *pool, size_t room)
{
	int	ends[2];

	memset(s, 0, sizeof(*s));
	s->theirs = s->watch.fd = -1;
	s->data = pool_alloc(pool, room + 1);
	s->room = room;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	s->theirs = ends[1];
	if (loop_add(&s->watch, ends[0]) == 0)
		return 0;
	close(ends[0]);
	s->watch.fd = -1;
	return -1;
}

/* The child has its end. */
static void
stream_start(struct stream *s)
{
	close(s->theirs);
	s->theirs = -1;
	fiber_start(listen_to, s);
}

/* The command has ended: what it left in the pipe is read by now or at once;
 * children of its own who hold the pipe are not waited for. */
WAITS static void
stream_close(struct stream *s, bool was_started)
{
	int	fd = s->watch.fd;

	if (s->theirs != -1)
		close(s->theirs);
	if (fd == -1)
		return;
	if (was_started && !s->is_over)
		(void)take(s);
	loop_remove(&s->watch);
	while (was_started && !s->is_over)
		fiber_yield();		/* until it has seen that */
	close(fd);
}

/* --- the command --------------------------------------------------------- */

/* A word with user and host filled in (O2). */
static char *
fill(struct pool *pool, const char *word, const struct ask_token *ask)
{
	struct str	to;

	str_init(&to, pool, 0);
	for (; *word != '\0'; word++) {
		if (*word != '%') {
			str_add_char(&to, *word);
			continue;
		}
		word++;
		str_add(&to, *word == 'u' ? ask->user :
		    *word == 'h' ? ask->host : "%");
	}
	return to.data;
}

/* The command's words for this question. */
static char **
arguments(struct pool *pool, const struct ask_token *ask)
{
	char	**argv = pool_array(pool, ready.count + 1, sizeof(*argv));
	size_t	  i;

	argv[0] = ready.words[0];
	for (i = 1; i < ready.count; i++)
		argv[i] = fill(pool, ready.words[i], ask);
	return argv;
}

/* Run it, to its end. NULL, and what it said is in the streams; or why not. */
static WAITS const char *
run(struct pool *pool, const struct ask_token *ask, struct stream *out,
    struct stream *errors)
{
	struct command	command = { .account = &ready.account,
			    .envp = ready.envp, .input = ready.nothing };
	struct child	child;

	command.argv = arguments(pool, ask);
	command.output = out->theirs;
	command.errors = errors->theirs;
	if (child_start(&child, &command, clock_now() + set.time_limit) ==
	    -1) {
		stream_close(out, false);
		stream_close(errors, false);
		return "cannot start a process";
	}
	stream_start(out);
	stream_start(errors);
	child_wait(&child);
	stream_close(out, true);
	stream_close(errors, true);
	return child_ended_well(&child) ? NULL :
	    "smtp_sasl_oauth_token_command failed";
}

/* What it complains about, for the log. */
static void
tell_errors(const struct ask_token *ask, struct stream *errors)
{
	errors->data[strcspn(errors->data, "\r\n")] = '\0';
	if (errors->data[0] != '\0')
		log_warning("command %s for %s at %s: %s", ready.words[0],
		    ask->user, ask->host, errors->data);
}

/* Fetch a token. NULL, and *said is what resolve is to read; or why not. */
static WAITS const char *
fetch(struct pool *pool, const struct ask_token *ask, char **said)
{
	struct stream	 out, errors;
	const char	*why;

	if (stream_open(&out, pool, SAID_MAX) == -1) {
		stream_close(&out, false);
		return "there is no pipe for the command";
	}
	if (stream_open(&errors, pool, ERRORS_MAX) == -1) {
		stream_close(&out, false);
		stream_close(&errors, false);
		return "there is no pipe for the command";
	}
	why = run(pool, ask, &out, &errors);
	tell_errors(ask, &errors);
	if (why == NULL && (out.is_cut || strlen(out.data) != out.len))
		why = "smtp_sasl_oauth_token_command says too much";
	*said = out.data;
	return why;
}

/* --- questions ----------------------------------------------------------- */

/* May it be a part of a command's word? (O2) */
static bool
is_argument(const char *text)
{
	if (*text == '-')
		return false;
	for (; *text != '\0'; text++)
		if (is_control((unsigned char)*text))
			return false;
	return true;
}

/* Answer in turn. */
static WAITS const char *
answer_to(struct pool *pool, const struct ask_token *ask, char **said)
{
	const char	*why;

	if (ready.trouble != NULL)
		return ready.trouble;
	if (!is_argument(ask->user) || !is_argument(ask->host))
		return "user or host cannot be told to a command";
	if (semaphore_take(&places, clock_now() + set.time_limit) == -1)
		return "too many commands run for other tokens";
	why = daemon_is_stopping() ? "the mail system stops" :
	    fetch(pool, ask, said);
	semaphore_give(&places);
	return why;
}

/* ASK_TOKEN, from resolve. */
static WAITS void
on_ask(struct request *r)
{
	char		*said = NULL;
	struct token	 answer = { .value = pool_strdup(r->pool, "") };
	const char	*why;

	pool_make_secret(r->pool);
	why = answer_to(r->pool, r->object, &said);
	answer.result = why == NULL ? LOOKUP_FOUND : LOOKUP_TEMPORARY;
	answer.text = pool_strdup(r->pool, why == NULL ? "" : why);
	if (why == NULL)
		answer.value = said;
	(void)channel_reply(r, PACKET_TOKEN, &answer);
}

static const struct peer	peers[] = {
	{ "resolve",	PACKET_ASK_TOKEN,	on_ask,		ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* The system stops. */
static void
drain(void)
{
	if (daemon_is_stopping())
		children_stop();
}

/* Hear of commands' ends. */
WAITS static void
start(void)
{
	semaphore_init(&places, daemon_limit() > 0 ? (long)daemon_limit() :
	    COMMANDS_MAX);
	children_start();
}

/* Be token. */
int
main(int argc, char **argv)
{
	static const struct daemon	token = {
		.name = "token", .params = params, .peers = peers,
		.before = prepare, .start = start, .drain = drain
	};

	return daemon_run(argc, argv, &token);
}
