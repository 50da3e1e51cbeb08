/*
 * virtual.c - the service virtual: mailboxes that belong to no user of this
 * machine.
 *
 * Called by main.c for each recipient. Tables tell path, uid and gid; helper
 * refuses ids below virtual_minimum_uid, whatever a table says.
 *
 * V1  A mailbox is below virtual_mailbox_base.
 * V2  A recipient that the table does not have is returned; one that nobody
 *     could be asked about, or whose owner is not told, is tried again.
 */
#include <string.h>

#include "common/base/text.h"

#include "local/homes.h"
#include "local/local.h"

static struct {
	char	*base, *uids, *gids;
	int64_t	 limit;
} set;

const struct param	virtual_params[] = {
	PARAM_STRING("virtual_mailbox_base", set.base, "", 0, 1000,
	    "The directory that the results of virtual_mailbox_maps are "
	    "below."),
	PARAM_STRING("virtual_uid_maps", set.uids, "", 0, 10000,
	    "Tables with the number of the user who owns a mailbox."),
	PARAM_STRING("virtual_gid_maps", set.gids, "", 0, 10000,
	    "Tables with the number of the group of a mailbox."),
	PARAM_SIZE("virtual_mailbox_limit", set.limit, "51200000", 0,
	    INT64_MAX, "The greatest size of an mbox file of virtual, and of "
	    "a message in a Maildir, in bytes. 0 is no limit."),
	PARAM_END
};

/* A number of one of the tables. 0, or -1: settled. */
WAITS static int
find_id(struct addressee *a, const char *parameter, const char *list,
    int64_t *id)
{
	struct found	found;
	int		known = 0;

	if (*list != '\0')
		known = look_up_recipient(a, parameter, &found);
	if (known == -1)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s: lookup of %s failed", parameter, a->row->address);
	if (known == 0)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "recipient %s is not in %s", a->row->address, parameter);
	if (text_integer(found.value, 1, UINT32_MAX - 1, id) != NULL)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "recipient %s has a bad value in %s", a->row->address,
		    parameter);
	return 0;
}

/* Does the path lead up? */
static bool
leads_up(const char *path)
{
	const char	*at = path;

	while ((at = strstr(at, "..")) != NULL) {
		if ((at == path || at[-1] == '/') &&
		    (at[2] == '/' || at[2] == '\0'))
			return true;
		at += 2;
	}
	return false;
}

/* The mailbox's path (V1). 0, or -1: settled. */
WAITS static int
find_path(struct addressee *a, char **path)
{
	struct found	found;

	switch (look_up_recipient(a, "virtual_mailbox_maps", &found)) {
	case -1:
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "virtual_mailbox_maps: lookup of %s failed",
		    a->row->address);
	case 0:
		return addressee_settle(a, OUTCOME_BOUNCED, 0, "5.1.1",
		    "unknown user: \"%s\"", a->row->address);
	default:
		break;
	}
	if (set.base[0] != '/')
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "virtual_mailbox_base is not an absolute path");
	if (found.value[0] == '\0' || leads_up(found.value))
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "recipient %s has a bad value in virtual_mailbox_maps",
		    a->row->address);
	*path = pool_printf(a->delivery->pool, "%s/%s", set.base,
	    found.value);
	return 0;
}

/* Deliver to one recipient. */
void
virtual_deliver(struct addressee *a)
{
	static char	 nobody[1];
	struct become	 who = { BECOME_VIRTUAL, nobody, -1, -1,
			    NULL };
	struct home	*h;
	const char	*why;
	char		*path;

	if (loops_is_one(a) || find_path(a, &path) == -1 ||
	    find_id(a, "virtual_uid_maps", set.uids, &who.uid) == -1 ||
	    find_id(a, "virtual_gid_maps", set.gids, &who.gid) == -1)
		return;
	if (home_take(a->delivery->pool, &who, &h, &why) != HOME_OK) {
		(void)addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5", "%s",
		    why);
		return;
	}
	(void)deposit(a, h, &(struct deposit){ .path = path,
	    .size_limit = set.limit, .head = HEAD_ALL });
	home_give(h);
}
