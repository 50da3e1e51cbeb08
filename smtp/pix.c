/*
 * pix.c - firewalls that take SMTP apart, and what helps.
 *
 * Called by open.c with the greeting, and by data.c before the final dot.
 * Cisco PIX boxes are the ones that the parameters are named after.
 */
#include "smtp/pix.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/ipc/lookup.h"

#include "smtp/settings.h"

enum { STARS = 4, ASK_TIME = 30 * 1000 };

const struct param pix_params[] = {
	PARAM_STRING("smtp_pix_workarounds", set.pix_workarounds,
	    "disable_esmtp,delay_dotcrlf", 0, 200, "What to do about a "
	    "firewall that hides the greeting behind asterisks: disable_esmtp "
	    "says HELO, delay_dotcrlf sends the final dot after a while."),
	PARAM_STRING("smtp_pix_workaround_maps", set.pix_maps, "", 0, 0,
	    "Tables that say by the host's address what counts in place of "
	    "smtp_pix_workarounds."),
	PARAM_TIME("smtp_pix_workaround_threshold_time", set.pix_threshold,
	    "500s", 0, 86400, "How old a message must be until delay_dotcrlf "
	    "is tried with it."),
	PARAM_TIME("smtp_pix_workaround_delay_time", set.pix_delay, "10s", 1,
	    600, "How long the final dot waits for delay_dotcrlf."),
	PARAM_END
};

bool
pix_is_greeting(const char *text)
{
	size_t	stars = strspn(text, "*");

	/* "*****************02**0*0**" is what is left of a sentence. */
	return stars >= STARS &&
	    strchr(" \n0123456789", text[stars]) != NULL;
}

/* The words for this host; NULL when nobody knows. */
WAITS static const char *
find_words(struct delivery *d, const char *address)
{
	struct key_row		 key = { (char *)(uintptr_t)address };
	struct ask_lookup	 ask = {
		.service = (char *)(uintptr_t)settings_service(),
		.parameter = (char *)(uintptr_t)settings_name(
		    "smtp_pix_workaround_maps"),
		.how = LOOKUP_KEYS, .keys = &key, .count = 1
	};
	struct found		 found;

	if (set.pix_maps[0] == '\0')
		return set.pix_workarounds;
	if (lookup_ask(to_resolve, &ask, clock_now() + ASK_TIME, d->pool,
	    &found) == -1 || found.result == LOOKUP_TEMPORARY)
		return NULL;
	return found.result == LOOKUP_FOUND ? found.value :
	    set.pix_workarounds;
}

int
pix_workarounds(struct delivery *d, const char *address, const char *host)
{
	const char	*words = find_words(d, address);
	char	       **word;
	size_t		 count, i;
	int		 what = 0;

	if (words == NULL)
		return -1;
	word = text_words(d->pool, words, &count);
	for (i = 0; i < count; i++) {
		if (text_equal(word[i], "disable_esmtp"))
			what |= PIX_NO_ESMTP;
		else if (text_equal(word[i], "delay_dotcrlf"))
			what |= PIX_DELAYS_DOT;
		else
			log_warning("%s: \"%s\" is no workaround",
			    settings_name("smtp_pix_workarounds"), word[i]);
	}
	if (what != 0)
		log_info("%s: enabling PIX workarounds:%s%s for %s",
		    d->mail->queue_id,
		    (what & PIX_NO_ESMTP) != 0 ? " disable_esmtp" : "",
		    (what & PIX_DELAYS_DOT) != 0 ? " delay_dotcrlf" : "",
		    host);
	return what;
}

int
pix_wait(const struct delivery *d, const struct connection *c)
{
	int64_t	age = (clock_wall_us() - d->mail->arrival_us) / 1000;

	if (!c->delays_dot || age < set.pix_threshold)
		return 0;
	return fiber_sleep(set.pix_delay);
}
