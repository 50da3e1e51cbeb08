#ifndef MAIL_CONVERT_H
#define MAIL_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/mail/mime.h"

/*
 * Eight bits to seven, for a host without 8BITMIME (RFC 6152 3). The message
 * is read twice: a survey finds what each part needs, which stands in the
 * part's header, in front of its body; then the converter, told by a reader
 * what stands there, tells its own listener what is to be sent instead (lines
 * without is_outside and is_signed).
 *
 *	text, 8-bit			quoted-printable
 *	other leaf parts, 8-bit		base64
 *	multipart, message		their label becomes 7bit
 *	outside of all parts		bytes above 127 become "?"
 *	in quoted-printable or base64	stray bytes above 127 become =XX or "?"
 *	headers				left as they are
 *
 * What stands inside multipart/signed must not be altered (RFC 1847 2.1): a
 * message with eight bits there is refused, so that the sender hears of it;
 * the recipient of a converted one would be told that it was forged.
 */
struct survey;

struct survey	*survey_new(struct pool *);
extern const struct mime_events	survey_events;	/* context: the survey */
void		 survey_finish(struct survey *);	/* after the reader */

/* Is there anything to convert? */
bool		 survey_has_8bit(const struct survey *);
/* Why the message must not be converted, "... are signed ..."; or NULL. */
const char	*survey_refusal(const struct survey *);
/* About how many bytes the message will grow by. */
int64_t		 survey_growth(const struct survey *);

struct converter;

struct converter *converter_new(struct pool *, const struct survey *,
		    const struct mime_events *to, void *context);
extern const struct mime_events	convert_events;	/* context: the converter */
void		 converter_finish(struct converter *);	/* after the reader */

#endif
