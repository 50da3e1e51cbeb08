/*
 * sockets.c - who may open an internal socket: a row of roles.c in numbers.
 */
#include "master/sockets.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "common/daemon/roles.h"
#include "common/param/site.h"

/* Owner, group and mode. */
const char *
socket_owner(struct pool *pool, const char *program, uid_t *uid, gid_t *gid,
    mode_t *mode)
{
	const char		*user, *group;
	const struct passwd	*pw;
	const struct group	*gr;

	*uid = geteuid();
	*gid = (gid_t)-1;
	*mode = 0600;
	if (!site.is_root)
		return NULL;
	if ((group = role_socket_group(program)) != NULL) {
		if ((gr = getgrnam(group)) == NULL)
			return pool_printf(pool, "there is no group %s",
			    group);
		*gid = gr->gr_gid;
		*mode = 0660;
	} else if ((user = role_socket_user(program)) != NULL) {
		if ((pw = getpwnam(user)) == NULL)
			return pool_printf(pool, "there is no user %s", user);
		*uid = pw->pw_uid;
	}
	return NULL;
}
