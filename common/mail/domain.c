/*
 * domain.c - what may stand behind the @ (RFC 5321 4.1.2, 4.1.3).
 */
#include "common/mail/address.h"

#include <arpa/inet.h>

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

enum {
	LABEL_MAX	= 63		/* RFC 1035 2.3.4 */
};

/*
 * Beyond ASCII: characters that IDNA maps to a dot, and the wide forms of
 * ASCII among which "@" and "/" hide, would make one name look like another.
 */
static bool
is_confusing(uint32_t point)
{
	return point <= 0x9f || point == 0x3002 || point == 0x2024 ||
	    (point >= 0x2000 && point <= 0x200f) ||
	    (point >= 0x2028 && point <= 0x202f) ||
	    (point >= 0xff00 && point <= 0xffef) || point == 0xfeff;
}

/* The length of the label at the start of text, 0 when it is not valid. */
static size_t
label_length(const char *text, bool allow_utf8)
{
	size_t		len = 0, n, left = strcspn(text, ".");
	bool		is_ascii = true;
	uint32_t	point;

	for (; len < left; len += n) {
		n = 1;
		if (is_alnum(text[len]) || text[len] == '-' ||
		    text[len] == '_')
			continue;
		if (!allow_utf8 || !is_8bit(text[len]))
			return 0;
		n = utf8_length(text + len, left - len, &point);
		if (n == 0 || is_confusing(point))
			return 0;
		is_ascii = false;
	}
	if (len == 0 || text[0] == '-' || text[len - 1] == '-' ||
	    (is_ascii && len > LABEL_MAX))
		return 0;
	return len;
}

/* Digits only? "192.0.2.1" without brackets is no host name. */
static bool
is_number(const char *label, size_t len)
{
	return strspn(label, "0123456789") == len;
}

/* Labels and dots. */
static bool
is_host_name(const char *name, bool allow_utf8)
{
	size_t	len;

	for (;;) {
		if ((len = label_length(name, allow_utf8)) == 0)
			return false;
		if (name[len] == '\0')
			return !is_number(name, len);
		name += len + 1;
	}
}

/* A host name or an address literal. */
bool
domain_is_valid(const char *domain, bool allow_utf8)
{
	if (strnlen(domain, DOMAIN_MAX + 1) > DOMAIN_MAX)
		return false;
	return domain[0] == '[' ? domain_is_literal(domain) :
	    is_host_name(domain, allow_utf8);
}

/* RFC 5321 4.1.3; literals of other kinds have no user. */
bool
domain_is_literal(const char *domain)
{
	char		 copy[64];
	unsigned char	 bytes[16];
	size_t		 len = strnlen(domain, sizeof(copy));

	if (len < 3 || len == sizeof(copy) || domain[0] != '[' ||
	    domain[len - 1] != ']')
		return false;
	memcpy(copy, domain + 1, len - 2);
	copy[len - 2] = '\0';
	if (text_starts(copy, "IPv6:"))
		return inet_pton(AF_INET6, copy + 5, bytes) == 1;
	return inet_pton(AF_INET, copy, bytes) == 1;
}
