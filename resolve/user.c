/*
 * user.c - postrider user: who may log in, for smtpd_sasl_type = postrider.
 *
 *	postrider user add NAME [-]		with a password
 *	postrider user password NAME [-]	another password
 *	postrider user delete NAME
 *	postrider user list
 *
 * The password is asked for at the terminal, or is the first line of standard
 * input ("-"). The table is the texthash that smtpd_sasl_users names; auth
 * sees the change by itself.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/param/site.h"
#include "common/sasl/scram.h"
#include "resolve/user.h"

#define TEXT_TYPE	"texthash:"

enum { NAME_LENGTH = 320 };

static struct {
	char	*users;
	int64_t	 iterations;
} set;

static const struct param params[] = {
	PARAM_STRING("smtpd_sasl_users", set.users,
	    "texthash:${config_directory}/users", 0, 4096,
	    "The users of smtpd_sasl_type = postrider: a table of login names "
	    "and what postrider user makes of their passwords. A file that "
	    "is missing means that there are none."),
	PARAM_INT("smtpd_sasl_scram_iterations", set.iterations,
	    "16384", SCRAM_MIN, SCRAM_MAX,
	    "How much work a SCRAM verifier that postrider user makes costs "
	    "whoever tries passwords, and whoever logs in."),
	PARAM_END
};

static const char	*path;

/* How it is called. */
static void
print_usage(FILE *to)
{
	fprintf(to,
	    "usage: postrider user [-c dir] add NAME [-]\n"
	    "       postrider user [-c dir] password NAME [-]\n"
	    "       postrider user [-c dir] delete NAME\n"
	    "       postrider user [-c dir] list\n");
}

_Noreturn static void
usage(void)
{
	print_usage(stderr);
	exit(EX_USAGE);
}

/* --- the pieces ---------------------------------------------------------- */

/* Which file it is. */
static void
configure(const char *directory)
{
	const struct param *const	tables[] = { params, NULL };
	struct str			problems;

	str_init(&problems, pool_new("problems", 0), 0);
	if (param_load(site_load(directory), tables, &problems) == -1)
		die("%s", problems.data);
	if (strncmp(set.users, TEXT_TYPE, strlen(TEXT_TYPE)) != 0 ||
	    strpbrk(set.users, ", \t") != NULL)
		die("smtpd_sasl_users = %s: this program changes a single "
		    "table of type texthash; others have programs of their "
		    "own", set.users);
	path = set.users + strlen(TEXT_TYPE);
}

/* A name that a table can hold, as it is looked up. */
static char *
check_name(char *name)
{
	const char	*c;

	if (*name == '\0' || strlen(name) > NAME_LENGTH)
		die("expected a name of 1 to 320 characters");
	for (c = name; *c != '\0'; c++)
		if (is_control((unsigned char)*c) ||
		    strchr(" #\"\\,", *c) != NULL)
			die("%s: a name has no blanks, quotes, commas, "
			    "backslashes or #", name);
	if (!utf8_is_valid(name, strlen(name)))
		die("%s: it is not UTF-8", name);
	text_lower(name);
	return name;
}

/* --- the verbs ----------------------------------------------------------- */

/* It has to be there, or it must not be. */
static void
expect(const char *name, bool wanted)
{
	if (wanted && !file_has(name))
		die("%s: there is no user %s", path, name);
	if (!wanted && file_has(name))
		die("%s: user %s is there already; \"postrider user "
		    "password\" changes the password", path, name);
}

/* add and password. The terminal is asked before anything is locked. */
static void
set_password(struct pool *pool, char *name, bool is_new, bool from_input)
{
	char	secret[SECRET_MAX + 2], *value;

	file_read(pool_new("first look", 0), path);
	expect(name, !is_new);
	file_forget();
	secret_read(secret, from_input);
	value = secret_value(pool, secret, set.iterations);
	explicit_bzero(secret, sizeof(secret));
	file_lock(path);
	file_read(pool, path);
	expect(name, !is_new);
	file_set(name, value);
	file_write(path);
}

/* delete. */
static void
delete(struct pool *pool, const char *name)
{
	file_lock(path);
	file_read(pool, path);
	expect(name, true);
	file_set(name, NULL);
	file_write(path);
}

/* One name of list. */
static void
print_name(const char *name)
{
	puts(name);
}

/* Do what the words say. */
static void
run(struct pool *pool, int count, char **words)
{
	bool	from_input = count == 3 && strcmp(words[2], "-") == 0;
	bool	has_name = count == 2 || from_input;

	if (count == 3 && !from_input)
		die("a password is no argument, which everybody could see: "
		    "type it when asked, or give it on standard input, and "
		    "\"-\" behind the name");
	if (count > 0 && strcmp(words[0], "add") == 0 && has_name)
		set_password(pool, check_name(words[1]), true, from_input);
	else if (count > 0 && strcmp(words[0], "password") == 0 && has_name)
		set_password(pool, check_name(words[1]), false, from_input);
	else if (count == 2 && strcmp(words[0], "delete") == 0)
		delete(pool, check_name(words[1]));
	else if (count == 1 && strcmp(words[0], "list") == 0) {
		file_read(pool, path);
		file_names(print_name);
	} else
		usage();
}

/* The postrider user command. */
int
main(int argc, char **argv)
{
	static const struct option	longer[] = {
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	const char			*directory = NULL;
	int				 option;

	fs_open_standard();
	log_name("postrider", "postrider-user");
	while ((option = getopt_long(argc, argv, "+c:hv", longer, NULL)) != -1)
		switch (option) {
		case 'c': directory = optarg; break;
		case 'v': log_verbose(1); break;
		case 'h': print_usage(stdout); return 0;
		default: usage();
		}
	if (optind == argc)
		usage();
	configure(directory);
	run(pool_new("postrider user", 0), argc - optind, argv + optind);
	return fflush(stdout) == EOF ? 1 : 0;
}
