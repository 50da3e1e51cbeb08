#ifndef QMGR_QUEUE_H
#define QMGR_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "common/ipc/packets.h"
#include "common/queue/queue.h"
#include "qmgr/listing.h"
#include "qmgr/select.h"

/* The files of the queue command; nobody else includes this. */

/* What to show of a message (cat). */
enum { SHOW_ENVELOPE = 1, SHOW_HEADER = 2, SHOW_BODY = 4, SHOW_ATTEMPTS = 8,
    SHOW_OFFSETS = 16, SHOW_FILES = 32, SHOW_TYPES = 64, SHOW_LABELS = 128 };

/* One thing to do. */
struct order {
	const char		*verb;
	char			**ids;
	size_t			 count, room;
	bool			 is_all;	/* ALL, or no ids needed */
	bool			 is_input;	/* ids came from a list */
	const char		*site;		/* flush; import: a directory */
	struct selection	 select;
	bool			 as_json, is_summary, by_sender;
	bool			 is_dry, reads_files;
	unsigned		 show;		/* cat */
	int64_t			 skip;		/* cat: what stands before */
};

/* The command line. */
struct command {
	struct pool	*pool;
	const char	*name;		/* for messages: "postsuper" */
	const char	*directory;	/* -c */
	bool		 is_postfix;	/* speaks as Postfix's programs do */
	struct order	*orders;
	size_t		 count, room;
};
extern struct command	 command;

/* --- queue_words.c: orders ----------------------------------------------- */

/* One more; it selects everything. */
struct order	*order_add(const char *verb);
/* An id as mailq shows it, ALL, or "-" for a list on standard input. Dies if
 * it is none of these. */
void		 order_word(struct order *, const char *word);
/* Something on standard error, in the command's name. */
void		 complain(const char *format, ...)
		    __attribute__((format(printf, 1, 2)));
/* The same, and the end; Postfix's programs say "fatal: " before it. */
_Noreturn void	 give_up(int status, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));

/* --- queue_options.c, queue_names.c: the command line --------------------- */

void		 options_take(char **words);		/* postrider queue */
_Noreturn void	 options_usage(int status);
/* mailq, postqueue, postsuper, postcat: true if `name` is one of them. */
bool		 names_take(const char *name, int argc, char **argv);

/* --- queue_owner.c: who we are ------------------------------------------- */

/*
 * May we read and change the queue ourselves? Root becomes its owner first.
 * The directories are open then.
 */
bool		 owner_is_here(void);
/* How many messages there were in maildrop then, for pickup to take: those that
 * were posted while it did not run. 0 if we may not look. */
unsigned	 owner_saw_posted(void);

/* --- queue_find.c: which messages are meant ------------------------------- */

/* Every message that the order means, in the order of age (of very many, some
 * thousand after the other), until `each` says false. An exit status; what
 * went wrong was told. */
int		 find_each(const struct order *,
		    bool (*each)(void *, const struct queue_entry *),
		    void *context);

/* --- queue_remote.c: qmgr does it ----------------------------------------- */

enum remote { REMOTE_DONE, REMOTE_REFUSED, REMOTE_NOBODY };
struct answer {
	int		 status;
	int64_t		 changed;
	char		 text[512];	/* why not; a remark */
};

/* A verb for these messages. `problem` hears of those that could not be
 * changed, "" for what does not exist; `change` of what was done. */
enum remote	 remote_do(const char *verb, const char *argument, char **ids,
		    size_t count, struct answer *,
		    void (*problem)(const char *id, const char *why),
		    void (*change)(const char *id, const char *words));
/* What qmgr tells of these messages, or of all. */
enum remote	 remote_list(char **ids, size_t count, struct answer *,
		    bool (*each)(void *, const struct queue_entry *),
		    void *context);
/* The ids of what it has open. */
enum remote	 remote_active(struct listing *);

/* --- queue_pager.c: a list and its reader --------------------------------- */

/* Where to write a list; it is shown as it grows. */
FILE		*pager_start(void);
/* All of it is written. An exit status; what went wrong was told. */
int		 pager_end(FILE *);

/* --- queue_act.c: it is done ---------------------------------------------- */

/* Flush or change. An exit status; what was done and what went wrong was
 * told. */
int		 act(struct order *);
/* As postsuper: how many of each, of all orders. */
void		 act_tell_all(void);
/* Do we hold the lock that qmgr needs, and it can answer nothing? */
bool		 act_is_alone(void);

/* --- queue_logs.c ------------------------------------------------------- */

/* Messages in write-ahead logs get files, while there is no qmgr. */
void		 logs_recover(void);
/* What qmgr has open; what is in a log gets a file, from qmgr or from us. */
void		 logs_ask(struct listing *);

/* --- queue_print.c, queue_summary.c, queue_cat.c, queue_check.c ---------- */

void		 print_start(FILE *, bool as_json);
bool		 print_entry(void *, const struct queue_entry *);
void		 print_end(void);
void		 print_safe(FILE *, const char *);

void		 summary_start(bool by_sender);
bool		 summary_entry(void *, const struct queue_entry *);
void		 summary_print(FILE *);

int		 cat(const struct order *);

/* --- queue_content.c: of the message that queue_cat.c shows --------------- */

struct shown {
	struct pool		*pool;
	const char		*name;		/* "deferred/ID", or the file */
	const char		*id;
	int			 fd;
	unsigned		 show;
	int64_t			 skip;		/* lines before this place */
	struct envelope		 envelope;
	struct queue_layout	 layout;
};
/* Begin a line that has this place in the file; false: it is not wanted. */
bool		 cat_begins(const struct shown *, int64_t place, int type);
/* Header, body, or both: 0 or -1. */
int		 cat_content(const struct shown *);

/* What waits in Postfix's queue; an exit status. */
int		 import(const struct order *);

/* Names out of place, unfinished files; an exit status. */
int		 check_structure(bool reads_files);
int		 check_purge(void);

#endif
