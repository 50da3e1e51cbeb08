#ifndef MAIL_CHECK_H
#define MAIL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * What a table of header_checks or body_checks says about a field or a line:
 * "VERB text", the verb in any case.
 */
enum check_verb {
	/* anywhere */
	CHECK_DUNNO,		/* also OK: go on */
	CHECK_IGNORE,		/* leave it out */
	CHECK_STRIP,		/* the same, with a line in the log */
	CHECK_REPLACE,		/* text instead */
	CHECK_PREPEND,		/* text in front */
	CHECK_INFO, CHECK_WARN,	/* log it */
	/* while mail comes in */
	CHECK_REJECT, CHECK_DISCARD, CHECK_HOLD,
	CHECK_FILTER,		/* text: transport:nexthop */
	CHECK_REDIRECT, CHECK_BCC, /* text: an address */
	CHECK_DELAY,		/* delay: milliseconds */
	CHECK_PASS		/* no more checks for this message */
};

struct check {
	enum check_verb	 verb;
	const char	*text;		/* "" without one; in the pool */
	char		 dsn[12];	/* REJECT: "5.7.1" or as the text says;
					 * text is behind it */
	int64_t		 delay;
};

/* NULL, or what is wrong with it ("PREPEND without text"), in the pool. What
 * replaces a header must be one: "Name: value". */
const char	*check_parse(struct pool *, const char *value, bool is_header,
		    struct check *);

/* A text of the table as it stands in the message: line ends in it (of a folded
 * field that it quotes) are CRLF and, in a header, followed by white space;
 * has_end: with CRLF behind it. */
struct str	 check_content(struct pool *, const char *text,
		    bool is_header, bool has_end);

/* The verb in lower case, as it stands in the log: "replace", "warning". */
const char	*check_name(enum check_verb);
/* Only while mail comes in? */
bool		 check_is_for_input(enum check_verb);

#endif
