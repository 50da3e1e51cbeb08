/*
 * site.c - the parameters that every program of an instance knows.
 *
 * The names of the site are as main.cf spells them here; spell.c puts that
 * right, with libidn2, for all but those who start for every message.
 *
 * S1  A program with more rights than its caller reads a directory that the
 *     caller chose only if the built-in instance's main.cf lists it in
 *     alternate_config_directories.
 */
#include "common/param/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/auxv.h>
#include <sys/stat.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/known.h"
#include "common/param/lent.h"
#include "common/param/networks.h"

struct site	site;

const struct param	site_params[] = {
	PARAM_STRING("config_directory", site.config_directory,
	    NULL, 1, 1024,
	    "The directory of main.cf and master.cf. It is chosen by option "
	    "or by MAIL_CONFIG; setting it in main.cf only documents it."),
	PARAM_STRING("compatibility_level", site.compatibility_level, "3.6",
	    1, 32, "The version of Postfix by whose defaults a configuration "
	    "was written, as far as they changed; the default is the newest "
	    "of them. 0, 1 and 2 are those before 3.0."),
	PARAM_STRING("queue_directory", site.queue_directory,
	    DEFAULT_QUEUE_DIRECTORY, 1, 1024,
	    "The queue and the sockets of this instance. A path that begins "
	    "with a slash."),
	PARAM_STRING("daemon_directory", site.daemon_directory,
	    DEFAULT_DAEMON_DIRECTORY, 1, 1024,
	    "Where the daemons' programs are."),
	PARAM_STRING("command_directory", site.command_directory,
	    DEFAULT_COMMAND_DIRECTORY, 1, 1024,
	    "Where the administrator's commands are."),
	PARAM_STRING("sendmail_path", site.sendmail_path,
	    "/usr/sbin/sendmail", 0, 1024, "Where programs look for sendmail. "
	    "This, mailq_path and newaliases_path move nothing: postrider "
	    "check tells when another mail system has that file."),
	PARAM_STRING("mailq_path", site.mailq_path, "/usr/bin/mailq", 0, 1024,
	    "Where people look for mailq."),
	PARAM_STRING("newaliases_path", site.newaliases_path,
	    "/usr/bin/newaliases", 0, 1024, "Where people look for "
	    "newaliases."),
	PARAM_STRING("data_directory", site.data_directory,
	    "$queue_directory/data", 1, 1024,
	    "Where daemons keep data that they can make again."),
	PARAM_STRING("myhostname", site.myhostname, NULL, 1, 253,
	    "This machine's name on the Internet, with its domain. The "
	    "default is the system's host name, completed with mydomain when "
	    "it has no dot."),
	PARAM_STRING("mydomain", site.mydomain, NULL, 1, 253,
	    "The domain of this site; the default is myhostname without its "
	    "first part."),
	PARAM_STRING("myorigin", site.myorigin, "$myhostname", 1, 4096,
	    "The domain that mail posted here comes from, and that completes "
	    "an address without one. A name that begins with a slash is a "
	    "file with the domain in its first line."),
	PARAM_STRING("mydestination", site.mydestination,
	    "$myhostname, localhost.$mydomain, localhost", 0, 0,
	    "Domains that are delivered to users of this machine."),
	PARAM_STRING("mynetworks", site.mynetworks, NULL, 0, 0,
	    "Clients that may send through this machine to anybody. The "
	    "default is what mynetworks_style says."),
	PARAM_STRING("mynetworks_style", site.mynetworks_style,
	    "${{$compatibility_level} <level {2} ? {subnet} : {loopback}}",
	    1, 16, "Whom mynetworks holds when it is not set: loopback, this "
	    "machine as it calls itself; host, all its addresses; subnet, "
	    "all its networks; class, the whole classes of old."),
	PARAM_STRING("inet_interfaces", site.inet_interfaces, "all", 1, 0,
	    "Addresses that accept mail from the network: all, "
	    "loopback-only, or a list of names and addresses."),
	PARAM_STRING("inet_protocols", site.inet_protocols, "all", 1, 64,
	    "all, or a list of ipv4 and ipv6."),
	PARAM_STRING("syslog_name", site.syslog_name,
	    "${multi_instance_name?{$multi_instance_name}:{postrider}}",
	    1, 64, "What log lines begin with, in front of the program's "
	    "name."),
	PARAM_STRING("syslog_facility", site.syslog_facility, "mail", 1, 16,
	    "The facility of log lines that go to syslog: mail, daemon, "
	    "local0 and so on."),
	PARAM_STRING("info_log_address_format", site.log_address_format,
	    "external", 1, 16, "How log lines show an address whose local "
	    "part must be quoted: external, with the quotes; internal, "
	    "without."),
	PARAM_INT("delay_logging_resolution_limit", site.delay_digits, "2", 0,
	    6, "The most digits behind the point of delays in the log."),
	PARAM_STRING("maillog_file", site.maillog_file, "", 0, 1024,
	    "A file for the log, or /dev/stdout; syslog when empty."),
	PARAM_STRING("mail_owner", site.mail_owner, "postrider", 1, 64,
	    "The user who owns the queue."),
	PARAM_STRING("setgid_group", site.setgid_group, "postrider-drop",
	    1, 64, "The group that local users post mail with."),
	PARAM_STRING("recipient_delimiter", site.recipient_delimiter, "",
	    0, 32, "Characters that separate a user's name from an extension "
	    "that is the user's own."),
	PARAM_STRING("alias_database", site.alias_database,
	    "hash:/etc/aliases", 0, 0,
	    "The alias files that newaliases makes tables of."),
	PARAM_STRING("default_database_type", site.default_database_type,
	    "hash", 1, 32,
	    "The type of a table that is named without one."),
	PARAM_STRING("alternate_config_directories",
	    site.alternate_config_directories, "", 0, 0,
	    "Other configuration directories that a user may name to the "
	    "set-gid posting command. Only this instance's list counts."),
	PARAM_STRING("import_environment", site.import_environment,
	    "MAIL_CONFIG TZ LANG=C", 0, 0,
	    "Environment variables that the daemons keep; NAME=VALUE sets "
	    "one."),
	PARAM_SIZE("message_size_limit", site.message_size_limit, "10240000",
	    0, INT64_MAX / 4, "The greatest message, in bytes, envelope "
	    "included; 0 is no limit."),
	PARAM_SIZE("queue_minfree", site.queue_minfree, "0", 0, INT64_MAX / 2,
	    "Free bytes that must remain in the queue's file system."),
	PARAM_SIZE("line_length_limit", site.line_length_limit, "2048",
	    512, 1048576, "Longer lines of input are handled in pieces of "
	    "this many bytes."),
	PARAM_INT("tcp_windowsize", site.tcp_windowsize, "0", 0, 65535,
	    "The TCP window, for routers that break its scaling; 0 leaves it "
	    "to the system."),
	PARAM_INT("default_process_limit", site.default_process_limit,
	    "1000", 1, 1000000, "Sessions or deliveries at once for a service "
	    "whose line in master.cf leaves maxproc to the default. Each is "
	    "a fiber, which costs far less than a process."),
	PARAM_BOOL("soft_bounce", site.soft_bounce, "no",
	    "A safety net while a configuration is new: what would be "
	    "returned stays in the queue, and what would be refused for good "
	    "is refused for now."),
	PARAM_BOOL("smtputf8_enable", site.smtputf8_enable,
	    "${{$compatibility_level} <level {1} ? {no} : {yes}}",
	    "Take part in mail with UTF-8 in addresses and headers "
	    "(SMTPUTF8, RFC 6531): offer it, and use it with hosts that "
	    "offer it."),
	PARAM_BOOL("enable_idna2003_compatibility", site.is_idna2003, "no",
	    "Look up domains that are not ASCII by the older rules of "
	    "IDNA2003, for which some letters (the German sharp s, the Greek "
	    "final sigma) are others."),
	PARAM_TIME("ipc_timeout", site.ipc_timeout, "60s", 1, 86400,
	    "How long one program waits for another's answer."),
	PARAM_INT("smtpd_processes", site.smtpd_processes, "2", 1, 256,
	    "Processes of each smtpd service; they share its sessions."),
	PARAM_INT("cleanup_processes", site.cleanup_processes, "2", 1, 256,
	    "Processes of cleanup."),
	PARAM_INT("resolve_processes", site.resolve_processes, "2", 1, 256,
	    "Processes of resolve, which looks into tables."),
	PARAM_INT("dns_processes", site.dns_processes, "1", 1, 256,
	    "Processes of dns."),
	PARAM_INT("smtp_processes", site.smtp_processes, "2", 1, 256,
	    "Processes of each smtp service; a next hop stays with one."),
	PARAM_INT("local_processes", site.local_processes, "2", 1, 256,
	    "Processes of local."),
	PARAM_END
};

/* The domain of a host name: what is behind the first dot. */
static const char *
domain_of(const char *host)
{
	const char	*dot = strchr(host, '.');

	return dot == NULL || dot[1] == '\0' ? "localdomain" : dot + 1;
}

/*
 * Defaults of myhostname and mydomain, which need each other: whichever the
 * file sets decides the other; the system's name helps when it sets none.
 */
static void
default_names(struct maincf *mc)
{
	struct pool	*pool = maincf_pool(mc);
	char		 system_name[256] = "";
	const char	*host, *domain;
	char		*why;

	if (gethostname(system_name, sizeof(system_name) - 1) == -1 ||
	    *system_name == '\0')
		memcpy(system_name, "localhost", sizeof("localhost"));
	maincf_default(mc, "mydomain", domain_of(system_name));
	if (maincf_find(mc, "myhostname") == NULL) {
		domain = maincf_value(mc, pool, "mydomain", &why);
		if (strchr(system_name, '.') != NULL || domain == NULL)
			maincf_default(mc, "myhostname", system_name);
		else
			maincf_default(mc, "myhostname", pool_printf(pool,
			    "%s.%s", system_name, domain));
		return;
	}
	host = maincf_value(mc, pool, "myhostname", &why);
	domain = maincf_text(mc, "myhostname");
	if (host != NULL && strstr(domain, "mydomain") == NULL)
		maincf_default(mc, "mydomain", domain_of(host));
}

/* The default of mynetworks; what it needs from the system is asked then. */
static int
default_networks(struct maincf *mc, struct str *problems)
{
	const struct setting	*s = maincf_find(mc, "mynetworks_style");
	struct pool		*pool = maincf_pool(mc);
	const char		*style, *why;
	char			*networks, *wrong;

	if (maincf_find(mc, "mynetworks") != NULL)
		return 0;
	style = maincf_value(mc, pool, "mynetworks_style", &wrong);
	why = style == NULL ? wrong : networks_of_style(pool, style,
	    &networks);
	if (why == NULL) {
		maincf_default(mc, "mynetworks", networks);
		return 0;
	}
	str_addf(problems, "%s: mynetworks_style = %s: %s\n",
	    maincf_where(pool, s), style == NULL ? "" : style, why);
	return -1;
}

/* The directory that the caller means: option, environment, built in. */
const char *
site_directory(const char *option)
{
	const char	*environment = getenv("MAIL_CONFIG");

	if (option != NULL)
		return option;
	if (environment != NULL && *environment != '\0')
		return environment;
	return DEFAULT_CONFIG_DIRECTORY;
}

/* Does the built-in instance's main.cf list the directory? */
static bool
is_listed(struct pool *pool, const char *directory)
{
	struct maincf	*mc;
	const char	*list;
	char		*why, **words;
	size_t		 count, i;

	mc = maincf_read(pool, DEFAULT_CONFIG_DIRECTORY "/main.cf", &why);
	if (mc == NULL)
		return false;
	known_defaults(mc);
	list = maincf_value(mc, pool, "alternate_config_directories", &why);
	if (list == NULL)
		return false;
	words = text_words(pool, list, &count);
	for (i = 0; i < count; i++)
		if (strcmp(words[i], directory) == 0)
			return true;
	return false;
}

/* Keep promise S1. */
static bool
may_read(struct pool *pool, const char *directory)
{
	return getauxval(AT_SECURE) == 0 || getuid() == 0 ||
	    strcmp(directory, DEFAULT_CONFIG_DIRECTORY) == 0 ||
	    is_listed(pool, directory);
}

/* Every path from main.cf is meant for the whole system. */
static int
check_paths(struct maincf *mc, struct str *problems)
{
	const struct {
		const char	*name, *path;
	} paths[] = {
		{ "queue_directory", site.queue_directory },
		{ "daemon_directory", site.daemon_directory },
		{ "command_directory", site.command_directory },
		{ "data_directory", site.data_directory },
		{ "maillog_file", site.maillog_file }
	};
	size_t	i;
	int	status = 0;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i].path[0] == '/' || paths[i].path[0] == '\0')
			continue;
		str_addf(problems, "%s: %s = %s: expected a path that begins "
		    "with /\n", maincf_where(maincf_pool(mc),
		    maincf_find(mc, paths[i].name)), paths[i].name,
		    paths[i].path);
		status = -1;
	}
	return status;
}

/* Words of which there are only some. The facility acts at once. */
static int
check_words(struct maincf *mc, struct str *problems)
{
	const char	*name, *value, *expected;

	if (!log_facility(site.syslog_facility)) {
		name = "syslog_facility";
		value = site.syslog_facility;
		expected = "a facility of syslog, such as mail";
	} else if (!text_equal(site.log_address_format, "external") &&
	    !text_equal(site.log_address_format, "internal")) {
		name = "info_log_address_format";
		value = site.log_address_format;
		expected = "external or internal";
	} else
		return 0;
	str_addf(problems, "%s: %s = %s: expected %s\n",
	    maincf_where(maincf_pool(mc), maincf_find(mc, name)), name, value,
	    expected);
	return -1;
}

/* Is it a version, of two parts or three, or a level before 3.0? */
static int
check_level(struct maincf *mc, struct str *problems)
{
	const char	*at = site.compatibility_level;
	unsigned	 parts = 0;
	size_t		 digits;

	do {
		digits = strspn(at, "0123456789");
		at += digits;
		parts++;
	} while (digits > 0 && digits < 6 && *at == '.' && *at++ != '\0');
	if (digits > 0 && digits < 6 && *at == '\0' && parts <= 3)
		return 0;
	str_addf(problems, "%s: compatibility_level = %s: expected a level "
	    "such as 2 or 3.6\n", maincf_where(maincf_pool(mc),
	    maincf_find(mc, "compatibility_level")), site.compatibility_level);
	return -1;
}

/*
 * A myorigin that names a file, as on Debian, becomes the file's first line,
 * so that $myorigin means the domain everywhere.
 */
static int
read_origin(struct maincf *mc, struct str *problems)
{
	struct pool		*pool = maincf_pool(mc);
	const struct setting	*s = maincf_find(mc, "myorigin");
	const char		*path, *where;
	char			*why, *data, *line;
	size_t			 len;

	path = s == NULL ? NULL : maincf_value(mc, pool, "myorigin", &why);
	if (path == NULL || *path != '/')
		return 0;
	where = maincf_where(pool, s);
	site.origin_file = pool_strdup(pool, path);
	data = lent_read(pool, path, 65536, &len);
	line = data == NULL ? NULL : text_trim(strsep(&data, "\n"));
	if (line == NULL || *line == '\0') {
		str_addf(problems, "%s: myorigin = %s: %s\n", where, path,
		    line == NULL ? strerror(errno) :
		    "expected a domain in the file's first line");
		return -1;
	}
	maincf_set(mc, "myorigin", line, where);
	return 0;
}

/* Set `site` from the file as it is now; it stays as it was if that fails. */
int
site_set(struct maincf *mc, int (*spell)(struct maincf *, struct str *),
    struct str *problems)
{
	static const struct param *const	 tables[] = {
		site_params, NULL
	};
	const struct site			 before = site;
	const int				 facility =
						    log_facility_code();
	const char				*directory;

	directory = maincf_directory(mc);
	if (*directory == '\0')
		directory = DEFAULT_CONFIG_DIRECTORY;
	known_translate(mc);
	known_defaults(mc);
	maincf_default(mc, "config_directory", directory);
	maincf_default(mc, "mail_name", "Postrider");
	maincf_default(mc, "mail_version", POSTRIDER_VERSION);
	default_names(mc);
	if (default_networks(mc, problems) == -1 ||
	    read_origin(mc, problems) == -1 ||
	    (spell != NULL && spell(mc, problems) == -1) ||
	    param_load(mc, tables, problems) == -1)
		return -1;
	if (check_paths(mc, problems) == -1 ||
	    check_level(mc, problems) == -1 ||
	    check_words(mc, problems) == -1) {
		site = before;
		log_facility_again(facility);
		return -1;
	}
	site.config_directory = pool_strdup(maincf_pool(mc), directory);
	site.is_root = geteuid() == 0;
	return 0;
}

/* Read one directory's main.cf. */
struct maincf *
site_read(struct pool *pool, const char *option, struct str *problems)
{
	const char	*directory = site_directory(option);
	struct maincf	*mc;
	char		*why;

	if (!may_read(pool, directory)) {
		str_addf(problems, "%s is not among the "
		    "alternate_config_directories of "
		    DEFAULT_CONFIG_DIRECTORY "/main.cf\n", directory);
		return NULL;
	}
	mc = maincf_read(pool, pool_printf(pool, "%s/main.cf", directory),
	    &why);
	if (mc == NULL)
		str_addf(problems, "%s\n", why);
	return mc;
}

/* Load it as it is spelled. */
struct maincf *
site_glance(struct pool *pool, const char *option, struct str *problems)
{
	struct maincf	*mc = site_read(pool, option, problems);

	return mc == NULL || site_set(mc, NULL, problems) == -1 ? NULL : mc;
}

int
site_refuse_open(struct pool *pool, const char *name, struct str *problems)
{
	const char	*path = pool_printf(pool, "%s/%s",
			    site.config_directory, name);
	struct stat	 st;

	if (stat(path, &st) == -1 || !(st.st_mode & S_IWOTH))
		return 0;
	str_addf(problems, "%s may be written by everybody\n", path);
	return -1;
}

/* Processes of one program. */
unsigned
site_processes(const char *program)
{
	const struct {
		const char	*name;
		int64_t		 count;
	} programs[] = {
		{ "smtpd", site.smtpd_processes },
		{ "cleanup", site.cleanup_processes },
		{ "resolve", site.resolve_processes },
		{ "dns", site.dns_processes },
		{ "smtp", site.smtp_processes },
		{ "lmtp", site.smtp_processes },
		{ "local", site.local_processes }
	};
	size_t	i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(programs[i].name, program) == 0)
			return (unsigned)programs[i].count;
	return 1;
}

/* One and a half. */
int64_t
site_queue_floor(void)
{
	int64_t	most = site.message_size_limit;

	most += most / 2;
	return site.queue_minfree > most ? site.queue_minfree : most;
}
