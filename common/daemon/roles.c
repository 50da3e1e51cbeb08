/*
 * roles.c - who each program is and what it may do: one row per program.
 *
 * Read by the daemons when they drop what they do not need, by master for the
 * owners and modes of sockets, by the test that plays the rogue. Services of
 * master.cf under other names (relay, submission, retry) have the role of the
 * program that serves them.
 */
#include "common/daemon/roles.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bug.h"

static const struct role roles[] = {
	{ .program = "master", .user = NULL, .jail = JAIL_NONE,
	    .needs = NEEDS_ACCEPT | NEEDS_BECOME | NEEDS_FILES_READ |
	    NEEDS_FILES_WRITE,
	    .writes = { "pid" },
	    .callers = { "postrider" } },
	{ .program = "log", .user = "postrider-log", .jail = JAIL_PRIVATE },
	/* Signs with keys that were loaded before; gives none out. */
	{ .program = "keys", .user = "postrider-key", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT | NEEDS_THREADS,
	    .callers = { "smtpd", "smtp" } },
	/* Knows the users' passwords, as far as they can be known. */
	{ .program = "auth", .user = "postrider-auth", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT | NEEDS_THREADS,
	    .callers = { "smtpd" } },
	{ .program = "smtpd", .user = "postrider-smtpd", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX,
	    .calls = { "cleanup", "resolve", "dns", "anvil", "qmgr",
	    "bounce", "keys", "auth" } },
	{ .program = "anvil", .user = "postrider-smtpd", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT,
	    .callers = { "smtpd" } },
	{ .program = "cleanup", .user = "postrider", .jail = JAIL_QUEUE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX | NEEDS_FILES_READ |
	    NEEDS_FILES_WRITE | NEEDS_THREADS,
	    .calls = { "resolve", "qmgr" },
	    .writes = { "incoming" },
	    .callers = { "smtpd", "pickup", "bounce", "local" } },
	{ .program = "pickup", .user = "postrider-drop", .jail = JAIL_QUEUE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX | NEEDS_FILES_READ |
	    NEEDS_FILES_WRITE | NEEDS_THREADS,
	    .calls = { "cleanup", "resolve" },
	    .writes = { "maildrop" },
	    .callers = { "sendmail", "qmgr" } },
	{ .program = "qmgr", .user = "postrider", .jail = JAIL_QUEUE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX | NEEDS_FILES_READ |
	    NEEDS_FILES_WRITE | NEEDS_FILES_TIME | NEEDS_THREADS,
	    .calls = { "resolve", "bounce", "pickup", "smtp", "local",
	    "error" },
	    .writes = { "incoming", "deferred", "hold", "corrupt" },
	    .callers = { "cleanup", "smtpd", "postrider-queue" } },
	{ .program = "bounce", .user = "postrider", .jail = JAIL_QUEUE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX,
	    .calls = { "cleanup" },
	    .callers = { "qmgr", "smtpd", "smtp" } },
	{ .program = "resolve", .user = "postrider-map", .jail = JAIL_NONE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX | NEEDS_INET |
	    NEEDS_FILES_READ | NEEDS_THREADS,
	    .calls = { "dns", "spawn", "token" },
	    .reads = { "/" },
	    .callers = { "smtpd", "cleanup", "pickup", "qmgr", "smtp",
	    "local" } },
	{ .program = "dns", .user = "postrider-dns", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT | NEEDS_DNS | NEEDS_THREADS,
	    .callers = { "smtpd", "resolve", "smtp" } },
	{ .program = "smtp", .user = "postrider-smtp", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX | NEEDS_INET,
	    .calls = { "dns", "resolve", "bounce", "keys" },
	    .callers = { "qmgr" } },
	{ .program = "local", .user = "postrider-local", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT | NEEDS_UNIX,
	    .calls = { "helper", "resolve", "cleanup" },
	    .callers = { "qmgr" } },
	{ .program = "helper", .user = NULL, .jail = JAIL_NONE,
	    .needs = NEEDS_ACCEPT | NEEDS_BECOME | NEEDS_FILES_READ |
	    NEEDS_FILES_WRITE,
	    .callers = { "local" } },
	/* Started by helper as the recipient; drops nothing of its own. */
	{ .program = "mailbox", .user = NULL, .jail = JAIL_NONE,
	    .needs = NEEDS_FILES_READ | NEEDS_FILES_WRITE | NEEDS_THREADS |
	    NEEDS_BECOME },
	{ .program = "error", .user = "postrider-local", .jail = JAIL_PRIVATE,
	    .needs = NEEDS_ACCEPT,
	    .callers = { "qmgr" } },
	/* Runs commands of the administrator's for connections, as users that
	 * master.cf names; reads nothing from them. */
	{ .program = "spawn", .user = NULL, .jail = JAIL_NONE,
	    .needs = NEEDS_ACCEPT | NEEDS_BECOME | NEEDS_FILES_READ,
	    .callers = { "resolve" } },
	/* Runs smtp_sasl_oauth_token_command. */
	{ .program = "token", .user = NULL, .jail = JAIL_NONE,
	    .needs = NEEDS_ACCEPT | NEEDS_BECOME | NEEDS_FILES_READ,
	    .callers = { "resolve" } },
	{ .program = NULL }
};

enum { ROLES = sizeof(roles) / sizeof(roles[0]) };

/* The row of a program. lmtp is smtp under another name. */
const struct role *
role_find(const char *program)
{
	const struct role	*r;

	if (strcmp(program, "lmtp") == 0)
		program = "smtp";
	for (r = roles; r->program != NULL; r++)
		if (strcmp(r->program, program) == 0)
			return r;
	return NULL;
}

/* All rows. */
const struct role *
role_all(void)
{
	return roles;
}

/* The users of a service's callers: how many different ones (0, 1, or 2 for
 * more than one), and the first of them. */
static unsigned
caller_users(const struct role *service, const char **user)
{
	const struct role	*caller;
	const char		*name;
	size_t			 i;

	*user = NULL;
	for (i = 0; i < 8 && service->callers[i] != NULL; i++) {
		if ((caller = role_find(service->callers[i])) == NULL)
			continue;		/* a command */
		name = caller->user != NULL ? caller->user : "root";
		if (*user != NULL && strcmp(*user, name) != 0)
			return 2;
		*user = name;
	}
	return *user != NULL ? 1 : 0;
}

/* The group, if it takes one. The names are made once. */
const char *
role_socket_group(const char *service)
{
	static char		 names[ROLES][32];
	const struct role	*r = role_find(service);
	const char		*user;
	char			*name;

	if (r == NULL || caller_users(r, &user) < 2)
		return NULL;
	name = names[r - roles];
	CLAIM(snprintf(name, sizeof(names[0]), "postrider-to-%s",
	    r->program) < (int)sizeof(names[0]));
	return name;
}

/* The one user who calls; root when no daemon does; NULL for a group. */
const char *
role_socket_user(const char *service)
{
	const struct role	*r = role_find(service);
	const char		*user;

	if (r == NULL)
		return NULL;
	switch (caller_users(r, &user)) {
	case 0:
		return "root";
	case 1:
		return user;
	default:
		return NULL;
	}
}
