#ifndef SMTP_SETTINGS_H
#define SMTP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/* TLS: security.c, starttls.c. */
struct tls_settings {
	char	*level, *policy_maps;
	bool	 is_used, is_enforced, enforces_name, is_wrapped;
	char	*protocols, *mandatory_protocols;
	char	*ciphers, *mandatory_ciphers, *exclude, *mandatory_exclude;
	char	*verify_match, *secure_match, *fingerprint_match, *digest;
	char	*servername, *anchor_file, *policy_anchors;

	char	*ca_file, *ca_path;
	bool	 notes_offer, blocks_early;
	int64_t	 depth, log_level, timeout, cache_time;
};

/* What main.cf says to smtp; times in milliseconds. Rows in their users. */
struct settings {
	/* settings.c */
	bool	 is_lmtp;	/* we were started as "lmtp" */

	/* delivery.c */
	char	*fallback_relay;
	int64_t	 session_limit, delivery_time;

	/* nexthop.c, hosts.c */
	char	*tcp_port, *host_lookup, *dns_reply_filter;
	char	*use_srv_lookup;
	int64_t	 address_limit;
	bool	 randomizes, balances, defers_no_mx_address;
	bool	 ignores_srv_error, allows_srv_fallback;
	char	*address_preference;

	/* session.c */
	char	*bind_address, *bind_address6;
	bool	 enforces_bind;
	char	*helo_name;
	bool	 never_ehlo, always_ehlo, skips_4xx, skips_5xx;
	bool	 skips_quit_answer, has_request_deadline;
	int64_t	 connect_timeout, helo_timeout, mail_timeout, rcpt_timeout,
		 data_init_timeout, data_xfer_timeout, data_done_timeout,
		 rset_timeout, quit_timeout;
	int64_t	 min_data_rate;
	char	*discard_ehlo_keywords, *discard_ehlo_maps;

	/* pix.c, xforward.c */
	char	*pix_workarounds, *pix_maps;
	int64_t	 pix_threshold, pix_delay;
	bool	 sends_xforward;
	int64_t	 xforward_timeout;

	/* transaction.c */
	bool	 quotes_envelope, assumes_final;

	/* cache.c */
	char	*cache_destinations;
	bool	 caches_on_demand;
	int64_t	 cache_time, reuse_time;
	int64_t	 reuse_count;

	struct tls_settings tls;

	/* auth.c, login.c, refusals.c; options in clear, under TLS, and under
	 * TLS with a verified host */
	struct {
		bool	 is_enabled, is_by_sender, is_soft, sends_dummy;
		char	*password_maps, *token_maps;
		char	*options[3], *filter;
		char	*cache_name;
		int64_t	 cache_time;
	} sasl;
};
extern struct settings set;
extern const struct param delivery_params[], hosts_params[], session_params[],
    transaction_params[], cache_params[], lmtp_params[], pix_params[],
    xforward_params[], security_params[], starttls_params[];

/*
 * The rows of all tables (ended by NULL) under the names of the program that
 * we are: as they stand for smtp, "smtp_x" as "lmtp_x" for lmtp, with lmtp's
 * defaults. Lives as long as the process.
 */
const struct param *const *settings_rows(const struct param *const *tables,
		    bool is_lmtp);

/* A parameter of ours in this program: "smtp_reply_filter" is
 * "lmtp_reply_filter" in lmtp. The text lives as long as the process. */
const char	*settings_name(const char *smtp_name);

/* Our line in master.cf as ask_lookup.service wants it: "relay/unix". */
const char	*settings_service(void);

#endif
