#ifndef PARAM_SITE_H
#define PARAM_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/*
 * The parameters that every program of an instance knows, and how a program
 * finds its instance: -c DIR, or MAIL_CONFIG, or the built-in directory.
 */
struct site {
	char	*config_directory, *compatibility_level;
	char	*queue_directory;
	char	*daemon_directory, *command_directory, *data_directory;
	char	*sendmail_path, *mailq_path, *newaliases_path;
	char	*myhostname, *mydomain, *myorigin, *mydestination, *mynetworks;
	char	*mynetworks_style;
	char	*inet_interfaces, *inet_protocols;
	char	*syslog_name, *maillog_file, *syslog_facility;
	char	*log_address_format;
	int64_t	 delay_digits;
	char	*mail_owner, *setgid_group;
	char	*recipient_delimiter;
	char	*alias_database, *default_database_type;
	char	*alternate_config_directories;
	char	*import_environment;
	int64_t	 message_size_limit;		/* bytes, 0 unlimited */
	int64_t	 queue_minfree;			/* bytes */
	int64_t	 line_length_limit;
	int64_t	 tcp_windowsize;		/* bytes, 0: the system's */
	int64_t	 default_process_limit;
	int64_t	 ipc_timeout;			/* milliseconds */
	bool	 soft_bounce;			/* nothing fails for good */
	bool	 smtputf8_enable;		/* RFC 6531 */
	bool	 is_idna2003;			/* see common/mail/idn.h */
	/* processes per program; sessions share them */
	int64_t	 smtpd_processes, cleanup_processes, resolve_processes,
		 dns_processes, smtp_processes, local_processes;
	char	*origin_file;	/* that myorigin names, or NULL */
	bool	 is_root;	/* false: one user, isolation is off */
};
extern struct site site;
extern const struct param site_params[];

/*
 * Find the directory, read main.cf, load site_params; die()s with every
 * problem told. `directory` may be NULL. Returns the file for param_load().
 */
struct maincf	*site_load(const char *directory);

/* The same without dying: NULL, problems told. */
struct maincf	*site_try(struct pool *, const char *directory,
		    struct str *problems);

/*
 * The same for a command that starts for every message and goes by no name of
 * the site: those that are not ASCII stay as they are spelled, so that it does
 * without libidn2, which takes the loader longer than the C library.
 */
struct maincf	*site_glance(struct pool *, const char *directory,
		    struct str *problems);

/* Steps of these: read the directory's main.cf; set `site` from it, its names
 * once they have been spelled. */
struct maincf	*site_read(struct pool *, const char *directory,
		    struct str *problems);
int		 site_set(struct maincf *,
		    int (*spell)(struct maincf *, struct str *problems),
		    struct str *problems);

/*
 * A file of the configuration that everybody may write is one that nobody may
 * obey: -1, and it is told. 0: it is not.
 */
int		 site_refuse_open(struct pool *, const char *name,
		    struct str *problems);

/* The directory that is meant: `option`, MAIL_CONFIG, or the built-in one. */
const char	*site_directory(const char *option);

/*
 * Set `site` from the file again, after maincf_set() overrode settings in it.
 * site_try() did it once already. -1 with problems told, `site` as it was.
 */
int		 site_apply(struct maincf *, struct str *problems);

/* Processes of a program by name ("cleanup"): from the parameters above, 1
 * for programs that have one. */
unsigned	 site_processes(const char *program);

/* The bytes that mail from outside leaves in the queue's file system:
 * queue_minfree, or a message of the greatest size and half of another. */
int64_t		 site_queue_floor(void);

#endif
