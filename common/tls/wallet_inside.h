#ifndef TLS_WALLET_INSIDE_H
#define TLS_WALLET_INSIDE_H

#include "common/tls/pem.h"
#include "common/tls/wallet.h"

/* What the files of the wallet share; nobody else includes it. */

/* Which files one service names for one program. Values are expanded. */
enum { WALLET_KINDS = 3 };		/* "" "ec" "d" */
struct wallet_names {
	const char	*service, *program;
	enum tls_role	 role;
	struct maincf	*mc;
	const char	*chain_files;
	const char	*cert[WALLET_KINDS], *key[WALLET_KINDS];
	const char	*sni;		/* tables */
};
/* Of main.cf, then of each line of master.cf that changes any. */
struct wallet_names *wallet_names(struct pool *, struct maincf *,
		    const struct mastercf *, size_t *count);
/* "smtpd_tls_eccert_file" and so on, in the pool. */
const char	*wallet_parameter(struct pool *, const struct wallet_names *,
		    size_t kind, const char *word);

/* A loading under way. */
struct wallet_loading {
	struct wallet	*wallet;
	size_t		 row_room, file_room;
	void		(*tell)(void *, const char *, bool);
	void		*context;
	const char	*about;		/* "main.cf:7: smtpd_tls_cert_file" */
	const char	**told;
	size_t		 told_count, told_room;
	struct wallet_known *known;	/* chains.c: what was loaded before */
};
/* Say it with what it is about, unless it was said. */
void		 wallet_tell(struct wallet_loading *, bool is_fatal,
		    const char *format, ...)
		    __attribute__((format(printf, 3, 4)));
/* Note that a file was read. */
void		 wallet_read(struct wallet_loading *, const char *path);

/* Tell who else can read or change a file with private keys. */
void		 wallet_check_file(struct wallet_loading *, const char *path);

/* Chains of a row, added to those it has: key files each before their
 * certificates; PEM text with the same inside; a certificate's file and a
 * key's. What is wrong is told. */
void		 wallet_add_files(struct wallet_loading *, struct wallet_row *,
		    const char *list);
void		 wallet_add_text(struct wallet_loading *, struct wallet_row *,
		    const char *name, char *text, size_t len);
void		 wallet_add_pair(struct wallet_loading *, struct wallet_row *,
		    const char *certificates, const char *key);

/* The rows of the SNI tables. */
void		 wallet_add_sni(struct wallet_loading *,
		    const struct wallet_names *);
/* A new row. */
struct wallet_row *wallet_row_new(struct wallet_loading *,
		    const struct wallet_names *, const char *name);

#endif
