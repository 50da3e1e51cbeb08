#ifndef MASTER_CHECK_H
#define MASTER_CHECK_H

#include "common/base/mem.h"
#include "common/param/maincf.h"
#include "common/param/mastercf.h"
#include "master/services.h"

/*
 * Everything that would stop the system or a service, told on standard error
 * one line each, with file and line where there is one: what is an error,
 * and what is worth knowing. Returns the number of errors. `site` and the
 * settings are loaded as far as they are good. Before a start, what is wrong
 * with certificates does not count: a machine that boots with a broken one has
 * its mail all the same, and no service goes on without TLS that demands it.
 * Strays are looked for by CHECK_ALL only: the queue may be long. An instance
 * of root's is seen by others as far as they may look; what they cannot know is
 * not told as wrong.
 */
enum check_what { CHECK_START, CHECK_RELOAD, CHECK_ALL };
unsigned	 check_all(struct pool *, const char *directory,
		    enum check_what);

/* Lines about settings that name a transport which master.cf has not. */
void		 check_transports(struct pool *, struct maincf *,
		    const struct mastercf *, struct str *warnings);

/* Lines about names of parameters, set or used, that nobody knows, and names of
 * this machine that are none. */
void		 check_names(struct pool *, struct maincf *,
		    const struct mastercf *, struct str *warnings);

/* Lines about users and programs of services that run commands. */
void		 check_commands(struct pool *, const struct mastercf *,
		    struct str *warnings);

/* Lines about TLS that nobody can use, passwords in clear, open relays; and
 * what is worth a note on a machine that talks to itself only. */
void		 check_tls(struct maincf *, const struct mastercf *,
		    struct str *warnings, struct str *notes);
/* The last of these for one line of master.cf with its settings. */
void		 check_relay(struct pool *, struct maincf *,
		    const struct service *, struct str *warnings);

/* Lines about programs that others call and that are not ours. */
void		 check_paths(struct pool *, struct maincf *,
		    struct str *warnings);

/* Lines about what lies about and is nobody's, with what to do about it. */
void		 check_strays(struct pool *, struct maincf *,
		    struct str *warnings);

/* Repair owners, modes and missing directories of the queue: a line for each
 * thing done, and for each that could not be. */
void		 check_repair(struct pool *, struct str *done,
		    struct str *errors);

/* Lines about owners and modes that are not as they must be, or should. */
void		 check_files(struct pool *, const struct services *,
		    struct str *errors, struct str *warnings);

#endif
