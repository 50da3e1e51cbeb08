#ifndef QMGR_TEMPLATE_H
#define QMGR_TEMPLATE_H

#include <stddef.h>

#include "common/base/mem.h"
#include "common/param/maincf.h"

/*
 * What reports say to people, as a file of bounce_template_file says it: for
 * each kind a name, "= <<WORD", a header of Charset, From, Subject and
 * Postmaster-Subject, an empty line, the text, and WORD alone:
 *
 *	failure_template = <<EOF
 *	Charset: us-ascii
 *	From: MAILER-DAEMON (Mail Delivery System)
 *	Subject: Undelivered Mail Returned to Sender
 *	Postmaster-Subject: Postmaster Copy: Undelivered Mail
 *
 *	This is the mail system of $myhostname.
 *	EOF
 *
 * Between templates there may be empty lines and comments (#).
 */
enum template_kind { TEMPLATE_FAILURE, TEMPLATE_DELAY, TEMPLATE_SUCCESS,
    TEMPLATE_VERIFY, TEMPLATES };

struct template {
	const char	*charset, *from, *subject, *postmaster_subject;
	const char	*text;		/* LF line ends, expanded or not yet */
	unsigned	 line;		/* where the text begins, in its file */
};

/* The texts that Postrider brings along, in the form of such a file. */
extern const char	template_standard[];

/*
 * Read templates: those that the file names are set, the others stay as they
 * are. NULL, or "FILE:LINE: what is wrong"; then `to` may be set in part.
 * Pure: no I/O.
 */
const char	*template_parse(struct pool *, const char *file,
		    const char *text, size_t len,
		    struct template to[TEMPLATES]);

/*
 * Replace $name in the text: parameters of main.cf by their values; a
 * parameter of time with _seconds, _minutes, _hours, _days or _weeks behind
 * its name by a number of these (maximal_queue_lifetime, bounce_queue_lifetime
 * and delay_warning_time). NULL, or "FILE:LINE: what is wrong", which may be
 * that a value makes a line too long or has letters that the Charset has not.
 */
const char	*template_expand(struct pool *, const char *file,
		    struct maincf *, struct template *);

#endif
