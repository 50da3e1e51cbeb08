#ifndef TLS_WALLET_H
#define TLS_WALLET_H

#include "common/param/maincf.h"
#include "common/param/mastercf.h"
#include "common/tls/tls.h"

enum { WALLET_CHAIN_BYTES = 32 * 1024 };	/* DER of one chain at most */

/*
 * The certificates and private keys that main.cf and master.cf name, as files:
 * smtpd_tls_chain_files (or cert_file, key_file and their ec and d kin), the
 * same of smtp_ and lmtp_, tls_server_sni_maps. Only the keys process and
 * "postrider check" load them, as root.
 *
 * A service of master.cf whose options change any of them has rows of its own
 * for its program, one with the name "" among them even if it has no
 * certificate, and no row of main.cf's is for it. All others share the rows of
 * the service "", where no row is no certificate.
 */
struct wallet_row {
	const char	*service;	/* "submission/inet"; "" is main.cf's */
	enum tls_role	 role;
	const char	*program;	/* "smtpd" "smtp" "lmtp" */
	const char	*name;		/* "" or one of SNI: "mx.example", or
					 * ".example" for all below it */
	struct tls_chain chains[TLS_CHAINS_MAX]; /* with private keys */
	size_t		 count;
};
struct wallet {
	struct pool		*pool;
	struct wallet_row	*rows;
	size_t			 count;
	const char		**files;	/* all that were read */
	size_t			 file_count;
};

/* All of the parameters above, for the tables of the keys process. What they
 * are for each service is read by wallet_load(). */
extern const struct param	wallet_params[];

/*
 * Load everything. Each problem is told once, by file, what was found and what
 * was expected: a missing or unreadable file, no PEM in it, a key that does
 * not belong to its certificate, an expired certificate (is_fatal false), a
 * key file that others can read (false). A chain with a fatal problem is left
 * out, the rest stays. mastercf may be NULL.
 */
struct wallet	*wallet_load(struct maincf *, const struct mastercf *,
		    void (*tell)(void *context, const char *problem,
		    bool is_fatal), void *context);
/* Just the names of the files, opening none but tables that are text: for who
 * watches. */
const char	**wallet_files(struct pool *, struct maincf *,
		    const struct mastercf *, size_t *count);
void		 wallet_free(struct wallet *);

#endif
