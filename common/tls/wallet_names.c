/*
 * wallet_names.c - which files hold certificates and keys, by what main.cf
 * and the lines of master.cf say.
 *
 * Opens nothing but tables that are text, and links nothing of OpenSSL's, so
 * that master can watch the files.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/map/map.h"
#include "common/param/overlay.h"
#include "common/tls/wallet_inside.h"

/* Values of main.cf alone, to be checked by who has the rows. */
static struct {
	char	*chains[3], *certs[3], *keys[3], *ec_certs[3], *ec_keys[3],
		*d_certs[3], *d_keys[3], *sni;
} set;

const struct param	wallet_params[] = {
	PARAM_STRING("smtpd_tls_chain_files", set.chains[0], "", 0, 0,
	    "PEM files with the server's private keys, each before its "
	    "certificate and those that lead from there to the root. Several "
	    "types of keys may be given (RSA, ECDSA, Ed25519). Changed files "
	    "are noticed, see tls_certificate_check_interval. When this is "
	    "set, smtpd_tls_cert_file and its kin are ignored."),
	PARAM_STRING("smtpd_tls_cert_file", set.certs[0], "", 0, 0,
	    "A PEM file with the server's certificate, and behind it those "
	    "that lead from there to the root. \"none\" is none."),
	PARAM_STRING("smtpd_tls_key_file", set.keys[0],
	    "$smtpd_tls_cert_file", 0, 0, "The PEM file with the private key "
	    "of that certificate, without a pass phrase."),
	PARAM_STRING("smtpd_tls_eccert_file", set.ec_certs[0], "", 0, 0,
	    "Like smtpd_tls_cert_file, for a key of another type."),
	PARAM_STRING("smtpd_tls_eckey_file", set.ec_keys[0],
	    "$smtpd_tls_eccert_file", 0, 0, "The private key of that "
	    "certificate."),
	PARAM_STRING("smtpd_tls_dcert_file", set.d_certs[0], "", 0, 0,
	    "Like smtpd_tls_cert_file, for a key of another type. DSA, for "
	    "which it was made, is not used any more."),
	PARAM_STRING("smtpd_tls_dkey_file", set.d_keys[0],
	    "$smtpd_tls_dcert_file", 0, 0, "The private key of that "
	    "certificate."),
	PARAM_STRING("smtp_tls_chain_files", set.chains[1], "", 0, 0,
	    "PEM files with the SMTP client's private keys and certificates; "
	    "see smtpd_tls_chain_files. Few servers ask for one."),
	PARAM_STRING("smtp_tls_cert_file", set.certs[1], "", 0, 0,
	    "A PEM file with the SMTP client's certificate; see "
	    "smtpd_tls_cert_file."),
	PARAM_STRING("smtp_tls_key_file", set.keys[1],
	    "$smtp_tls_cert_file", 0, 0, "Its private key."),
	PARAM_STRING("smtp_tls_eccert_file", set.ec_certs[1], "", 0, 0,
	    "Another one, for a key of another type."),
	PARAM_STRING("smtp_tls_eckey_file", set.ec_keys[1],
	    "$smtp_tls_eccert_file", 0, 0, "Its private key."),
	PARAM_STRING("smtp_tls_dcert_file", set.d_certs[1], "", 0, 0,
	    "Another one, for a key of another type."),
	PARAM_STRING("smtp_tls_dkey_file", set.d_keys[1],
	    "$smtp_tls_dcert_file", 0, 0, "Its private key."),
	PARAM_STRING("lmtp_tls_chain_files", set.chains[2], "", 0, 0,
	    "PEM files with the LMTP client's private keys and certificates; "
	    "see smtpd_tls_chain_files."),
	PARAM_STRING("lmtp_tls_cert_file", set.certs[2], "", 0, 0,
	    "A PEM file with the LMTP client's certificate; see "
	    "smtpd_tls_cert_file."),
	PARAM_STRING("lmtp_tls_key_file", set.keys[2],
	    "$lmtp_tls_cert_file", 0, 0, "Its private key."),
	PARAM_STRING("lmtp_tls_eccert_file", set.ec_certs[2], "", 0, 0,
	    "Another one, for a key of another type."),
	PARAM_STRING("lmtp_tls_eckey_file", set.ec_keys[2],
	    "$lmtp_tls_eccert_file", 0, 0, "Its private key."),
	PARAM_STRING("lmtp_tls_dcert_file", set.d_certs[2], "", 0, 0,
	    "Another one, for a key of another type."),
	PARAM_STRING("lmtp_tls_dkey_file", set.d_keys[2],
	    "$lmtp_tls_dcert_file", 0, 0, "Its private key."),
	PARAM_STRING("tls_server_sni_maps", set.sni, "", 0, 0,
	    "Tables of further certificates by the name that a client asks "
	    "for (SNI): a name, or .domain for all names below it; the value "
	    "is a list of files as smtpd_tls_chain_files has it. hash, btree, "
	    "lmdb and cdb tables hold the files' text, so that only root may "
	    "read them: build them with \"postrider map -F\". texthash and "
	    "inline name the files. No other types."),
	PARAM_END
};

static const char *const	kinds[WALLET_KINDS] = { "", "ec", "d" };

/* --- who has which ------------------------------------------------------- */

/* "smtpd_tls_eccert_file": word is "cert_file", or "chain_files". */
const char *
wallet_parameter(struct pool *pool, const struct wallet_names *n, size_t kind,
    const char *word)
{
	return pool_printf(pool, "%s_tls_%s%s", n->program, kinds[kind], word);
}

/* An expanded value; one that cannot be expanded is somebody else's
 * complaint. */
static const char *
value_of(struct pool *pool, struct maincf *mc, const char *name,
    const char *otherwise)
{
	const char	*value;
	char		*why;

	if (maincf_find(mc, name) == NULL)
		return otherwise;
	value = maincf_value(mc, pool, name, &why);
	return value == NULL ? "" : value;
}

/* What a program's settings name. */
static void
read_names(struct pool *pool, struct maincf *mc, struct wallet_names *n)
{
	size_t	i;

	n->mc = mc;
	n->chain_files = value_of(pool, mc, wallet_parameter(pool, n, 0,
	    "chain_files"), "");
	for (i = 0; i < WALLET_KINDS; i++) {
		n->cert[i] = value_of(pool, mc, wallet_parameter(pool, n, i,
		    "cert_file"), "");
		if (i == 0 && text_equal(n->cert[i], "none"))
			n->cert[i] = "";
		n->key[i] = value_of(pool, mc, wallet_parameter(pool, n, i,
		    "key_file"), n->cert[i]);
	}
	n->sni = n->role == TLS_SERVER ? value_of(pool, mc,
	    "tls_server_sni_maps", "") : "";
}

/* Do both name the same? */
static bool
are_same(const struct wallet_names *a, const struct wallet_names *b)
{
	size_t	i;

	for (i = 0; i < WALLET_KINDS; i++)
		if (strcmp(a->cert[i], b->cert[i]) != 0 ||
		    strcmp(a->key[i], b->key[i]) != 0)
			return false;
	return strcmp(a->chain_files, b->chain_files) == 0 &&
	    strcmp(a->sni, b->sni) == 0;
}

static const struct {
	const char	*program;
	enum tls_role	 role;
} programs[] = {
	{ "smtpd",	TLS_SERVER },
	{ "smtp",	TLS_CLIENT },
	{ "lmtp",	TLS_CLIENT }
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

/* Which of them serves a line? PROGRAMS: none. */
static size_t
program_of(const struct service *line)
{
	const char	*command = line->command;
	size_t		 i;

	if (strcmp(command, "postscreen") == 0)
		command = "smtpd";
	if (strcmp(line->type, "pass") == 0)
		return PROGRAMS;
	for (i = 0; i < PROGRAMS; i++)
		if (strcmp(programs[i].program, command) == 0)
			break;
	return i;
}

/* All of them, main.cf's first. */
struct wallet_names *
wallet_names(struct pool *pool, struct maincf *mc,
    const struct mastercf *file, size_t *count)
{
	struct wallet_names	*all, *n;
	const struct service	*line;
	size_t			 i, lines = file == NULL ? 0 : file->count;

	n = all = pool_array(pool, PROGRAMS + lines, sizeof(*all));
	for (i = 0; i < PROGRAMS; i++, n++) {
		*n = (struct wallet_names){ .service = "",
		    .program = programs[i].program,
		    .role = programs[i].role };
		read_names(pool, mc, n);
	}
	for (line = lines == 0 ? NULL : file->services; lines > 0;
	    lines--, line++) {
		i = program_of(line);
		if (i == PROGRAMS ||
		    overlay_line(file, line)->option_count == 0)
			continue;
		*n = (struct wallet_names){
		    .service = overlay_name(pool, line),
		    .program = programs[i].program,
		    .role = programs[i].role };
		read_names(pool, overlay_settings(pool, mc, file, line), n);
		if (!are_same(n, &all[i]))
			n++;
	}
	*count = (size_t)(n - all);
	return all;
}

/* --- their files --------------------------------------------------------- */

/* A list of names without repetition. */
struct list {
	struct pool	*pool;
	const char	**names;
	size_t		 count, room;
};

/* One more. */
static void
add(struct list *l, const char *name)
{
	size_t	i;

	for (i = 0; i < l->count; i++)
		if (strcmp(l->names[i], name) == 0)
			return;
	l->names = pool_grow(l->pool, l->names, &l->room, l->count + 1,
	    sizeof(*l->names));
	l->names[l->count++] = pool_strdup(l->pool, name);
}

/* Every word. */
static void
add_words(struct list *l, const char *text)
{
	size_t	i, count;
	char	**words = text_words(l->pool, text, &count);

	for (i = 0; i < count; i++)
		add(l, words[i]);
}

/* A row of a table that names files. */
static void
add_row(void *list, const char *key, const char *value)
{
	(void)key;
	add_words(list, value);
}

/* The tables, and what those that are text name. */
static void
add_tables(struct list *l, const char *tables)
{
	char		*rest = pool_strdup(l->pool, tables), *word;
	const char	*file;

	while ((word = map_next_word(&rest)) != NULL) {
		if ((file = map_file(l->pool, word)) != NULL)
			add(l, file);
		if (map_is_text(word))
			(void)map_walk_text(l->pool, word, add_row, l);
	}
}

/* All names. */
const char **
wallet_files(struct pool *pool, struct maincf *mc,
    const struct mastercf *file, size_t *count)
{
	struct list		 l = { .pool = pool };
	struct wallet_names	*all, *n;
	size_t			 i, k, names;

	all = wallet_names(pool, mc, file, &names);
	for (i = 0, n = all; i < names; i++, n++) {
		add_words(&l, n->chain_files);
		for (k = 0; k < WALLET_KINDS && *n->chain_files == '\0'; k++)
			if (*n->cert[k] != '\0') {
				add(&l, n->cert[k]);
				add(&l, n->key[k]);
			}
		add_tables(&l, n->sni);
	}
	*count = l.count;
	return l.names;
}
