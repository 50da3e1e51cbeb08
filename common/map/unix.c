/*
 * unix.c - the system's users and groups: unix:passwd.byname, group.byname.
 *
 * The name service may go to a directory server and take its time, so a
 * fiber has a thread ask. Names that no system has are not asked for.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fiber/fiber.h"
#include "common/fiber/offload.h"
#include "common/map/inside.h"

enum { NAME_LIMIT = 255, BUFFER_FIRST = 4096, BUFFER_LIMIT = 1 << 20 };

/* What the thread gets and gives; all of it is plain memory. */
struct question {
	const char	*name;
	bool		 is_group;
	char		*buffer;
	size_t		 size;
	struct passwd	 user, *found_user;
	struct group	 group, *found_group;
	int		 error;
};

/* Ask for the name. */
static void
ask_name(struct question *q)
{
	if (q->is_group)
		q->error = getgrnam_r(q->name, &q->group, q->buffer, q->size,
		    &q->found_group);
	else
		q->error = getpwnam_r(q->name, &q->user, q->buffer, q->size,
		    &q->found_user);
	/* A name service that has no such name may say so by these two. */
	if (q->error == ENOENT || q->error == ESRCH)
		q->error = 0;
}

/* Who asks must be there himself. (Root would be no proof: some sources make
 * him up.) */
static bool
is_database_there(struct question *q)
{
	struct passwd	*user = NULL;
	struct group	*group = NULL;

	if (q->is_group)
		(void)getgrgid_r(getegid(), &q->group, q->buffer, q->size,
		    &group);
	else
		(void)getpwuid_r(geteuid(), &q->user, q->buffer, q->size,
		    &user);
	return user != NULL || group != NULL;
}

/*
 * Ask once; on a thread when called from a fiber. libc says that there is no
 * such name, too, when a source could not be read (out of descriptors, a bad
 * block) and the next one does not have it. So such a name is asked for once
 * more, after one that must be there.
 */
static int
ask_once(void *arg)
{
	struct question	*q = arg;

	ask_name(q);
	if (q->error != 0 || q->found_user != NULL || q->found_group != NULL)
		return 0;
	if (is_database_there(q))
		ask_name(q);
	else
		q->error = EIO;
	return 0;
}

/* Ask, with more room as long as that is what is missing. */
static void
ask(struct question *q)
{
	q->size = BUFFER_FIRST;
	do {
		q->buffer = mem_resize(q->buffer, q->size);
		if (fiber_self() != NULL)
			(void)offload(ask_once, q);
		else
			(void)ask_once(q);
		q->size *= 4;
	} while (q->error == ERANGE && q->size <= BUFFER_LIMIT);
}

/* "name:password:uid:gid:full name:home:shell"; no password, ever. */
static char *
user_line(struct pool *pool, const struct passwd *user)
{
	return pool_printf(pool, "%s:x:%ju:%ju:%s:%s:%s", user->pw_name,
	    (uintmax_t)user->pw_uid, (uintmax_t)user->pw_gid,
	    user->pw_gecos, user->pw_dir, user->pw_shell);
}

/* "name:password:gid:member,member". */
static char *
group_line(struct pool *pool, const struct group *group)
{
	struct str	 line;
	char		**member;

	str_init(&line, pool, MAP_VALUE_MAX + 1);
	str_addf(&line, "%s:x:%ju:", group->gr_name, (uintmax_t)group->gr_gid);
	for (member = group->gr_mem; *member != NULL; member++)
		str_addf(&line, "%s%s", member == group->gr_mem ? "" : ",",
		    *member);
	return line.data;
}

/* Ask the system, unless no system could know. */
static enum map_result
unix_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct question	q = { .name = key, .is_group = m->state != NULL };
	enum map_result	result = MAP_NOT_FOUND;

	if (strlen(key) > NAME_LIMIT || strpbrk(key, "@:/, \t\n") != NULL)
		return MAP_NOT_FOUND;
	ask(&q);
	if (q.found_user != NULL)
		*value = user_line(pool, q.found_user);
	else if (q.found_group != NULL)
		*value = group_line(pool, q.found_group);
	if (*value != NULL)
		result = MAP_FOUND;
	else if (q.error != 0)
		result = map_failed(pool, why, "%s: %s: %s", m->name, key,
		    strerror(q.error));
	free(q.buffer);
	return result;
}

/* Only two names mean something. The state is a flag: it is about groups. */
static const char *
unix_open(struct map *m)
{
	if (strcmp(m->rest, "group.byname") == 0)
		m->state = m;
	else if (strcmp(m->rest, "passwd.byname") != 0)
		return "expected passwd.byname or group.byname";
	return NULL;
}

const struct map_type map_unix = {
	.name = "unix", .traits = MAP_FOLDS, .open = unix_open,
	.find = unix_find
};
