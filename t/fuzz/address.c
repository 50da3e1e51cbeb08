/*
 * address.c - fuzz: paths of MAIL and RCPT, lists of headers and aliases.
 *
 * First byte: the rules. Every address that comes out must be canonical:
 * parsed once more it is itself, and it cannot end a line or a command.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/idn.h"

/* Take an address apart and put its local part together again. The null
 * address has no parts. */
static void
check_parts(struct pool *pool, const char *address)
{
	const char	*local, *domain;
	char		*plain, *quoted;
	size_t		 len, user;

	address_split(address, &local, &len, &domain);
	MUST(local == address && len <= strlen(address));
	MUST(domain == NULL || domain == address + len + 1);
	plain = address_unquote_local(pool, local, len);
	quoted = address_quote_local(pool, plain);
	MUST(strlen(quoted) == len && memcmp(quoted, local, len) == 0);
	if (address_split_extension(local, len, "+-", &user))
		MUST(user < len);
}

/* What every address that was accepted promises. */
static void
check(struct pool *pool, const char *address, unsigned rules)
{
	const char	*c;
	char		*again = NULL;

	for (c = address; *c != '\0'; c++)
		MUST((unsigned char)*c >= ' ' && *c != 0x7f);
	MUST(address_parse(pool, address, rules | PATH_ALLOW_EMPTY |
	    PATH_ALLOW_BARE_LOCAL, &again) == NULL);
	MUST(strcmp(address, again) == 0);
	if (address[0] != '\0')
		check_parts(pool, address);
}

/* One path, and where it ends. */
static void
try_path(struct pool *pool, const char *text, unsigned rules)
{
	const char	*at = text;
	char		*address;

	if (address_parse_path(pool, &at, rules, &address) == NULL) {
		MUST(at >= text && at <= text + strlen(text));
		MUST(address[0] != '\0' || (rules & PATH_ALLOW_EMPTY));
		check(pool, address, rules);
	}
	if (address_parse(pool, text, rules, &address) == NULL)
		check(pool, address, rules);
}

/* A list, as a header and as an alias. */
static void
try_list(struct pool *pool, const char *text, int how)
{
	struct list_item	*items;
	size_t			 count, i;

	if (address_list_parse(pool, text, how, &items, &count) != NULL)
		return;
	for (i = 0; i < count; i++) {
		MUST(how == LIST_IS_ALIAS || items[i].kind == LIST_ADDRESS);
		MUST(is_one_line(items[i].value));
		if (items[i].kind == LIST_ADDRESS && items[i].value[0] != '\\')
			check(pool, items[i].value, PATH_ALLOW_UTF8);
	}
}

/* A domain in its spellings: A-labels are ASCII and a domain, and what they are
 * in letters leads back to them. */
static void
try_domain(struct pool *pool, const char *text)
{
	char	*ascii, *again, *others[IDN_OTHERS + 1];

	idn_others(pool, text, others);
	idn_other_addresses(pool, text, others);
	if (text[0] == '[' || !has_8bit(text, strlen(text)) ||
	    idn_to_ascii(pool, text, &ascii) != NULL)
		return;
	MUST(domain_is_valid(text, true));
	MUST(!has_8bit(ascii, strlen(ascii)) && domain_is_valid(ascii, false));
	MUST(idn_to_ascii(pool, idn_to_unicode(pool, ascii), &again) == NULL);
	MUST(strcasecmp(ascii, again) == 0);
	MUST(domain_equal(text, ascii));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	unsigned	 rules = input_byte(&in) & 15;
	struct pool	*pool = pool_new("fuzz", 0);
	char		*text = input_text(pool, &in);

	try_path(pool, text, rules);
	try_list(pool, text, LIST_IS_HEADER);
	try_list(pool, text, LIST_IS_ALIAS);
	(void)domain_is_valid(text, rules & 1);
	try_domain(pool, text);
	pool_free(pool);
	return 0;
}
