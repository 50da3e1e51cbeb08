/*
 * check_paths.c - do the commands that others call belong to us?
 *
 * sendmail_path, mailq_path and newaliases_path say where programs and people
 * look for them. When another mail system's program is there, mail that is
 * injected goes elsewhere and nobody is told.
 */
#include "master/check.h"

#include <sys/stat.h>

#include <errno.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/param/site.h"

enum { PROGRAM_MAX = 64 << 20 };

/* Is the file one of our own, of whatever version? */
static bool
is_ours(struct pool *pool, const char *path)
{
	static const char	mark[] = DEFAULT_CONFIG_DIRECTORY;
	const char		*data;
	size_t			 len;

	data = fs_read_file(pool, path, PROGRAM_MAX, &len);
	return data != NULL && memmem(data, len, mark, sizeof(mark) - 1) !=
	    NULL;
}

/* Is it the program of this instance? */
static bool
is_same(struct pool *pool, const struct stat *st)
{
	struct stat	own;

	return stat(pool_printf(pool, "%s/sendmail", site.command_directory),
	    &own) == 0 && own.st_dev == st->st_dev && own.st_ino == st->st_ino;
}

/* One of the commands. */
static void
check_path(struct pool *pool, struct maincf *mc, const char *name,
    const char *path, struct str *warnings)
{
	const struct setting	*s = maincf_find(mc, name);
	const char		*where = maincf_where(pool, s);
	struct pool		*scratch;
	struct stat		 st;

	if (*path == '\0')
		return;
	if (stat(path, &st) == -1) {
		if (s != NULL)
			str_addf(warnings, "%s: %s = %s: %s\n", where, name,
			    path, strerror(errno));
		return;
	}
	scratch = pool_new("program", 0);
	if (!is_same(scratch, &st) && !is_ours(scratch, path))
		str_addf(warnings, "%s: %s = %s: this is not Postrider's: "
		    "%s\n", where, name, path, strcmp(name, "sendmail_path") ==
		    0 ? "mail that programs inject there goes elsewhere" :
		    "it shows or changes what another mail system has");
	pool_free(scratch);
}

/* All of them. */
void
check_paths(struct pool *pool, struct maincf *mc, struct str *warnings)
{
	check_path(pool, mc, "sendmail_path", site.sendmail_path, warnings);
	check_path(pool, mc, "mailq_path", site.mailq_path, warnings);
	check_path(pool, mc, "newaliases_path", site.newaliases_path,
	    warnings);
}
