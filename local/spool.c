/*
 * spool.c - where mailboxes are.
 *
 * Linked into local, which names the mailbox, and helper, which makes the ones
 * that are missing and tells the recipient's process where the spool is.
 */
#include "local/spool.h"

#include <string.h>

struct spool	spool;

const struct param	spool_params[] = {
	PARAM_STRING("home_mailbox", spool.home_mailbox, "", 0, 255,
	    "The mailbox of a user below his home directory, for instance "
	    "\"Mailbox\", or \"Maildir/\": a slash at the end makes it a "
	    "Maildir. When empty, mailboxes are in mail_spool_directory."),
	PARAM_STRING("mail_spool_directory", spool.directory, "/var/mail", 1,
	    500, "The directory of mailboxes that are not in home "
	    "directories. A slash at the end makes each a Maildir."),
	PARAM_END
};

/* Is this a Maildir's path? */
bool
spool_is_maildir(const char *path)
{
	size_t	len = strlen(path);

	return len > 0 && path[len - 1] == '/';
}

/* DIRECTORY/USER or DIRECTORY/USER/ */
char *
spool_path(struct pool *pool, const char *user)
{
	bool	is_maildir = spool_is_maildir(spool.directory);

	return pool_printf(pool, "%s%s%s%s", spool.directory,
	    is_maildir ? "" : "/", user, is_maildir ? "/" : "");
}

/* Names from the user database are not strangers', but a slash or a dot in
 * the wrong place would be a file elsewhere. */
bool
spool_is_name(const char *user)
{
	return *user != '\0' && *user != '.' && *user != '-' &&
	    strchr(user, '/') == NULL;
}
