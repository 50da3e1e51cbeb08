/*
 * auth.c - auth: is he who he says?
 *
 * smtpd passes on what clients say; we know the users' hashes and verifiers
 * and nothing else. The table is opened as root, the answers come from a jail
 * without files: a change of the table ends this process, and master starts a
 * fresh one.
 *
 * A1  A password is in memory while it is looked at and no longer: packets,
 *     pools and what crypt(3) works with are wiped.
 * A2  An answer tells nobody outside whether it was the name or the password
 *     that is wrong: neither by what it says nor by the time it takes.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "resolve/auth.h"

struct auth_settings	auth_set;

static const struct param auth_params[] = {
	PARAM_STRING("smtpd_sasl_users", auth_set.users,
	    "texthash:${config_directory}/users", 0, 4096,
	    "The users of smtpd_sasl_type = postrider: a table of login names "
	    "and what postrider user makes of their passwords. A file that "
	    "is missing means that there are none."),
	PARAM_INT("smtpd_sasl_scram_iterations", auth_set.iterations,
	    "16384", SCRAM_MIN, SCRAM_MAX,
	    "How much work a SCRAM verifier that postrider user makes costs "
	    "whoever tries passwords, and whoever logs in."),
	PARAM_END
};

/* ASK_MECHANISMS. */
static void
on_mechanisms(struct request *r)
{
	struct mechanisms	answer;

	answer.words = pool_strdup(r->pool, mechanisms_offered());
	(void)channel_reply(r, PACKET_MECHANISMS, &answer);
}

static const struct peer peers[] = {
	{ "smtpd", PACKET_ASK_MECHANISMS, on_mechanisms,	IN_ORDER },
	{ "smtpd", PACKET_AUTHENTICATE,	  exchanges_begin,	ON_A_FIBER },
	{ "smtpd", PACKET_AUTH_CONTINUE,  exchanges_continue,	ON_A_FIBER },
	{ "smtpd", PACKET_AUTH_END,	  exchanges_end,	IN_ORDER },
	{ NULL,	   PACKET_NONE,		  NULL,			IN_ORDER }
};

/* As root: everything that is a file. */
static void
before(void)
{
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	if (!daemon_is_checking())
		watch_open(auth_set.users);
	users_load();
	check_prepare();
}

/* In the jail. */
static WAITS void
start(void)
{
	watch_start();
}

/* The auth program. */
int
main(int argc, char **argv)
{
	static const struct param *const	params[] = {
		auth_params, NULL
	};
	static const struct daemon		auth = {
		.name = "auth", .params = params, .peers = peers,
		.before = before, .start = start,
		.closed = exchanges_forget, .busy = exchanges_count
	};

	return daemon_run(argc, argv, &auth);
}
