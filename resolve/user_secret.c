/*
 * user_secret.c - from a password to what is kept of it.
 *
 * It is read at the terminal or from standard input, never from the command
 * line, which everybody on the machine can see.
 */
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/str.h"
#include "common/sasl/scram.h"
#include "resolve/user.h"

enum { SALT = 16 };

static int		terminal = -1;
static struct termios	before;

/* --- reading ------------------------------------------------------------- */

/* Show again what is typed. */
static void
restore(void)
{
	if (terminal != -1)
		(void)tcsetattr(terminal, TCSAFLUSH, &before);
}

/* The same, on the way out. */
static void
on_signal(int number)
{
	restore();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

/* Show nothing of what is typed. */
static void
hide(void)
{
	struct termios	hidden;

	if ((terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)) == -1)
		die("there is no terminal to ask for the password: give it "
		    "on standard input, and \"-\" behind the name");
	if (tcgetattr(terminal, &before) == -1)
		die("terminal: %s", strerror(errno));
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGHUP, on_signal);
	(void)signal(SIGQUIT, on_signal);
	(void)signal(SIGTSTP, SIG_IGN);
	hidden = before;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	if (tcsetattr(terminal, TCSAFLUSH, &hidden) == -1)
		die("terminal: %s", strerror(errno));
}

/* One line without its end, read byte by byte so that nothing stays in a
 * buffer of the library's; false: it is too long, or there is none. */
static bool
read_line(int fd, char *to)
{
	size_t	len = 0;
	ssize_t	n;
	char	c = '\0';

	for (;;) {
		n = read(fd, &c, 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n != 1 || c == '\n')
			break;
		if (c == '\0' || len > SECRET_MAX)
			return false;
		to[len++] = c;
	}
	if (len > 0 && to[len - 1] == '\r')
		len--;
	to[len] = '\0';
	return n == 1 || (n == 0 && len > 0);
}

/* Ask for it once. */
static void
ask(const char *question, char *to)
{
	bool	is_read;

	(void)fs_write(terminal, question, strlen(question));
	is_read = read_line(terminal, to);
	(void)fs_write(terminal, "\n", 1);
	if (!is_read) {
		restore();
		die("no password");
	}
}

/* Twice, since nobody sees what he types. */
static void
ask_twice(char *secret)
{
	char	again[SECRET_MAX + 2];
	bool	is_same;

	hide();
	ask("New password: ", secret);
	ask("Once more: ", again);
	restore();
	is_same = strcmp(secret, again) == 0;
	explicit_bzero(again, sizeof(again));
	if (!is_same)
		die("the two passwords differ; nothing was changed");
}

/* From the one place or the other. */
void
secret_read(char *secret, bool from_input)
{
	const char	*why;

	if (!from_input)
		ask_twice(secret);
	else if (!read_line(STDIN_FILENO, secret))
		die("standard input has no line with a password");
	if ((why = scram_password_check(secret)) != NULL)
		die("this password cannot be used: %s", why);
}

/* --- keeping ------------------------------------------------------------- */

/* A hash of crypt(3), by the method that this system prefers. */
static void
add_hash(struct str *to, const char *secret)
{
	char			 setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data	*room = mem_alloc(sizeof(*room));
	const char		*hash;

	memset(room, 0, sizeof(*room));
	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting,
	    sizeof(setting)) == NULL)
		die("crypt(3) has no yescrypt: %s", strerror(errno));
	hash = crypt_r(secret, setting, room);
	if (hash == NULL || *hash == '*')
		die("crypt(3) cannot: %s", strerror(errno));
	str_addf(to, "{CRYPT}%s", hash);
	explicit_bzero(room, sizeof(*room));
	free(room);
}

/* A verifier of SCRAM-SHA-256. */
static void
add_verifier(struct str *to, const char *secret, int64_t iterations)
{
	struct scram_verifier	v = { .iterations = iterations,
				    .salt_length = SALT };

	arc4random_buf(v.salt, SALT);
	if (scram_verifier_make(&v, secret, strlen(secret)) == -1)
		die("OpenSSL cannot compute the verifier");
	scram_verifier_format(to, &v);
}

/* Both. */
char *
secret_value(struct pool *pool, const char *secret, int64_t iterations)
{
	struct str	value;

	str_init(&value, pool, 0);
	add_hash(&value, secret);
	str_add_char(&value, ' ');
	add_verifier(&value, secret, iterations);
	return value.data;
}
