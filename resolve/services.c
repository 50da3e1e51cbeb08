/*
 * services.c - what master.cf says: which program serves a name, and which
 * settings are its own.
 *
 * Services of one program differ by their -o options, so that "relay" may
 * have other tables than "smtp". Without a readable master.cf names mean what
 * they mean in the one we ship.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/param/mastercf.h"
#include "common/param/overlay.h"
#include "common/param/site.h"
#include "resolve/resolve.h"

static struct mastercf	*mastercf;
static struct pool	*mastercf_pool;

/* --- who serves a name --------------------------------------------------- */

/* Read master.cf; if it cannot be read, what was known stays. */
void
services_load(void)
{
	struct pool	*pool = pool_new("master.cf", 0);
	struct mastercf	*read;
	char		*why;

	read = mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    site.config_directory), &why);
	if (read == NULL) {
		log_debug("%s", why);
		pool_free(pool);
		return;
	}
	pool_free(mastercf_pool);
	mastercf = read;
	mastercf_pool = pool;
}

/* The program behind a command of master.cf, or behind a name that has no
 * line there: every instance has an smtp and a relay. */
static const char *
program_of(const char *command)
{
	static const char *const	smtp[] = { "smtp", "relay", "lmtp" };
	static const char *const	local[] = { "local", "virtual",
					    "pipe" };
	size_t				i;

	for (i = 0; i < sizeof(smtp) / sizeof(smtp[0]); i++)
		if (strcmp(command, smtp[i]) == 0)
			return "smtp";
	for (i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if (strcmp(command, local[i]) == 0)
			return "local";
	if (strcmp(command, "postscreen") == 0)
		return "smtpd";
	return command;
}

/* "relay/unix" to its line, NULL when it has none. */
static const struct service *
find_line(const char *service)
{
	const char	*slash = strrchr(service, '/');
	size_t		 i, len;

	if (slash == NULL || mastercf == NULL)
		return NULL;
	len = (size_t)(slash - service);
	for (i = 0; i < mastercf->count; i++)
		if (strncmp(mastercf->services[i].name, service, len) == 0 &&
		    mastercf->services[i].name[len] == '\0' &&
		    strcmp(mastercf->services[i].type, slash + 1) == 0)
			return &mastercf->services[i];
	return NULL;
}

/* Which program serves "relay/unix". */
const char *
service_program(struct pool *pool, const char *service)
{
	const struct service	*line = find_line(service);

	return line != NULL ? program_of(line->command) :
	    program_of(pool_strndup(pool, service, strcspn(service, "/")));
}

/* What kind of program stands behind a transport. */
enum transport_kind
transport_kind(const char *name)
{
	const struct service	*service = NULL;
	const char		*program = name;

	if (mastercf != NULL)
		service = mastercf_find(mastercf, name, "unix");
	if (service != NULL)
		program = service->command;
	if (strcmp(program, "lmtp") == 0)
		return TRANSPORT_LMTP;
	if (strcmp(program_of(program), "smtp") == 0)
		return TRANSPORT_SMTP;
	if (strcmp(program, "local") == 0 || strcmp(program, "virtual") == 0)
		return TRANSPORT_MAILBOX;
	return TRANSPORT_OTHER;
}

/* --- settings of their own ----------------------------------------------- */

/* Call `each` with main.cf itself (service ""), then with the settings of
 * every line that changes any, and the program that serves it. */
void
services_walk(void (*each)(void *, const char *service, const char *program,
    struct maincf *), void *context)
{
	const struct service	*line;
	struct pool		*pool;
	size_t			 i;

	each(context, "", NULL, daemon_maincf());
	for (i = 0; mastercf != NULL && i < mastercf->count; i++) {
		line = &mastercf->services[i];
		if (overlay_line(mastercf, line)->option_count == 0)
			continue;
		pool = pool_new("service", 0);
		each(context, overlay_name(pool, line),
		    program_of(line->command), overlay_settings(pool,
		    daemon_maincf(), mastercf, line));
		pool_free(pool);
	}
}
