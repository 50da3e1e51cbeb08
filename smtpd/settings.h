#ifndef SMTPD_SETTINGS_H
#define SMTPD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/* What main.cf says to smtpd. Times in milliseconds, sizes in bytes. The rows
 * stand in the files that use them. */
struct settings {
	/* session.c */
	char	*banner;
	int64_t	 timeout;
	bool	 helo_required;

	/* offer.c, gate.c, greet.c, verify.c, footer.c */
	char	*reject_footer, *reject_footer_maps;
	char	*discard_ehlo_keywords, *discard_ehlo_maps;
	char	*command_filter, *forbidden_commands, *noop_commands;
	bool	 forbids_pipelining;
	int64_t	 greet_wait, greet_ttl;
	char	*greet_action, *greet_banner, *refusal;
	bool	 disable_vrfy;
	char	*expn_clients;

	/* envelope.c */
	bool	 reject_unlisted, strict_envelopes;
	int64_t	 recipient_limit, recipient_overshoot;

	/* data.c */
	int64_t	 data_rate;
	char	*forbid_bare_newline;
	char	*forbid_bare_newline_exclusions;
	int64_t	 data_done_timeout, bare_code;
	bool	 has_deadline;

	/* parameters.c */
	char	*verp_delimiters, *verp_filter;

	/* unicode.c */
	bool	 strict_smtputf8;

	/* tls_settings.c */
	char	*tls_level, *tls_ca_file, *tls_ca_path, *tls_digest;
	bool	 tls_wrappermode, tls_auth_only, tls_received;
	bool	 tls_asks_ccert, tls_needs_ccert;
	char	*tls_protocols, *tls_mandatory_protocols;
	char	*tls_ciphers, *tls_mandatory_ciphers;
	char	*tls_exclude, *tls_mandatory_exclude;
	int64_t	 tls_depth, tls_loglevel, tls_timeout, tls_ticket_time;

	/* auth.c, logins.c */
	bool	 sasl_enable, sasl_broken_clients, sasl_header;
	char	*sasl_type, *sasl_path, *sasl_service, *sasl_options;
	char	*sasl_tls_options, *sasl_filter, *sasl_exceptions;
	int64_t	 sasl_response_limit;
	char	*login_maps;

	/* limits.c */
	int64_t	 soft_errors, hard_errors, error_sleep;
	int64_t	 junk_limit;
	int64_t	 client_connections, client_rate, ipv4_prefix, ipv6_prefix;
	char	*limit_exceptions;

	/* crowd.c */
	int64_t	 overload_timeout, full_timeout, full_errors, full_junk;

	/* rates.c */
	int64_t	 message_rate, recipient_rate, new_tls_rate, auth_rate;

	/* client.c */
	bool	 wants_reverse, shows_port, hides_client;
	char	*verp_clients, *xclient_hosts, *xforward_hosts;

	/* proxy.c */
	char	*proxy_protocol, *proxy_networks;
	int64_t	 proxy_timeout;

	/* restrict.c */
	char	*relay_restrictions, *recipient_restrictions;
	char	*etrn_restrictions;
	char	*client_restrictions, *helo_restrictions, *sender_restrictions;
	bool	 delays_reject;
	int64_t	 relay_code, unlisted_code, plaintext_code;
	char	*relay_clientcerts;

	/* transcript.c */
	char	*notify_classes;
};
extern struct settings set;

extern const struct param session_params[], envelope_params[], data_params[],
    footer_params[], gate_params[], greet_params[], offer_params[],
    rates_params[], verify_params[], limits_params[], client_params[],
    restrict_params[], parameter_params[], transcript_params[],
    proxy_params[], unicode_params[], server_tls_params[],
    crowd_params[], tls_client_params[], auth_params[], login_params[];

#endif
