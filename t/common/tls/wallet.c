/*
 * wallet.c - claims about certificates and keys as files: which are loaded,
 * and what is said of those that are not as they should be.
 */
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/fs.h"
#include "common/map/map.h"
#include "common/tls/wallet.h"

/* What Postrider::CA makes for us. */
static const char	script[] =
    "use Postrider::CA; my $d = shift; umask 022; mkdir $d;"
    "system \"openssl ecparam -genkey -noout -name secp256k1 -out "
    "$d/odd.key; openssl genpkey -algorithm ed448 -out $d/ed448.key\";"
    "my $ca = Postrider::CA->new($d); my $mid = $ca->intermediate;"
    "for (['rsa', key => 'rsa'], ['ec', key => 'ec'],"
    "    ['ed', key => 'ed25519'], ['short', key => 'rsa1024'],"
    "    ['old', days => -3], ['soon', days => 5.5], ['new', starts => 2],"
    "    ['ec2', key => 'ec'], ['client', client => 1],"
    "    ['odd', key => \"$d/odd.key\"], ['ed448', key => \"$d/ed448.key\"],"
    "    ['strange', name => \"a\\e[1mb\", san => ['a.test'], days => -3],"
    "    ['long', extensions => 'nsComment=' . 'x' x 33000],"
    "    ) {"
    "    my ($file, @o) = @$_;"
    "    $ca->issue(file => $file, name => \"$file.test\", ca => $mid, @o);"
    "}";

static char		 dir[] = "/tmp/prt-wallet-XXXXXX";
static struct pool	*pool;
static struct maincf	*mc;
static struct mastercf	*services;
static struct wallet	*wallet;
static struct str	 said;
static unsigned		 fatal;

/* --- the stage ----------------------------------------------------------- */

static int
make_certificates(void **state)
{
	char	command[200];

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(command, sizeof(command), "%s/make.pl", dir);
	if (fs_replace_file(command, script, sizeof(script) - 1, 0600) == -1)
		return -1;
	(void)snprintf(command, sizeof(command), "perl -It/lib %s/make.pl %s",
	    dir, dir);
	return system(command);
}

static int
remove_certificates(void **state)
{
	char	command[100];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static int
begin(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	mc = maincf_empty(pool);
	services = NULL;
	wallet = NULL;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	wallet_free(wallet);
	pool_free(pool);
	return 0;
}

static char *
path(const char *name)
{
	return pool_printf(pool, "%s/%s", dir, name);
}

/* The text with every @ replaced by the directory and a slash. */
static const char *
in_dir(const char *text)
{
	struct str	all;

	str_init(&all, pool, 0);
	for (; *text != '\0'; text++)
		if (*text == '@')
			str_addf(&all, "%s/", dir);
		else
			str_add_char(&all, *text);
	return all.data;
}

static void
set(const char *name, const char *value)
{
	maincf_set(mc, name, in_dir(value), "main.cf:1");
}

static void
hear(void *context, const char *problem, bool is_fatal)
{
	(void)context;
	str_addf(&said, "%s\n", problem);
	fatal += is_fatal;
}

/* Load; how many fatal problems there were. */
static unsigned
load(void)
{
	wallet_free(wallet);
	str_init(&said, pool, 0);
	fatal = 0;
	wallet = wallet_load(mc, services, hear, NULL);
	return fatal;
}

static void
write_file(const char *name, mode_t mode, const char *const *parts)
{
	struct str	all;
	size_t		len;
	char		*text;

	str_init(&all, pool, 0);
	for (; *parts != NULL; parts++) {
		text = fs_read_file(pool, path(*parts), 1 << 20, &len);
		assert_non_null(text);
		str_add_mem(&all, text, len);
	}
	(void)unlink(path(name));
	assert_int_equal(fs_replace_file(path(name), all.data, all.len, mode),
	    0);
}
#define PARTS(...) ((const char *const []){ __VA_ARGS__, NULL })

static const struct wallet_row *
row(const char *service, const char *program, const char *name)
{
	size_t	i;

	for (i = 0; i < wallet->count; i++)
		if (strcmp(wallet->rows[i].service, service) == 0 &&
		    strcmp(wallet->rows[i].program, program) == 0 &&
		    strcmp(wallet->rows[i].name, name) == 0)
			return &wallet->rows[i];
	return NULL;
}

static void
assert_said(const char *what)
{
	if (strstr(said.data, in_dir(what)) == NULL)
		fail_msg("expected \"%s\" in \"%s\"", in_dir(what), said.data);
}

static const char *
name_in(const struct tls_chain *chain)
{
	static char	text[100];

	X509_NAME_get_text_by_NID(X509_get_subject_name(chain->certificate),
	    NID_commonName, text, sizeof(text));
	return text;
}

/* --- what is loaded ------------------------------------------------------ */

static void
nothing_named_is_nothing_loaded(void **state)
{
	(void)state;
	assert_int_equal(load(), 0);
	assert_int_equal(wallet->count, 0);
	assert_int_equal(wallet->file_count, 0);
	assert_string_equal(said.data, "");
}

static void
chain_files_have_keys_of_several_types(void **state)
{
	const struct wallet_row	*r;

	(void)state;
	set("smtpd_tls_chain_files", "@ed.all.pem, @ec.all.pem\n@rsa.all.pem");
	assert_int_equal(load(), 0);
	assert_string_equal(said.data, "");
	r = row("", "smtpd", "");
	assert_non_null(r);
	assert_int_equal(r->count, 3);
	assert_int_equal(r->role, TLS_SERVER);
	assert_string_equal(name_in(&r->chains[0]), "ed.test");
	assert_int_equal(sk_X509_num(r->chains[0].others), 1);
	assert_int_equal(wallet->count, 1);
	assert_int_equal(wallet->file_count, 3);
}

static void
one_file_may_have_several_keys(void **state)
{
	(void)state;
	write_file("two.pem", 0600, PARTS("ec.all.pem", "rsa.all.pem"));
	set("smtpd_tls_chain_files", "@two.pem");
	assert_int_equal(load(), 0);
	assert_int_equal(row("", "smtpd", "")->count, 2);
}

static void
a_key_and_its_chain_may_be_two_files(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@ec.key, @ec.chain.pem");
	assert_int_equal(load(), 0);
	assert_int_equal(row("", "smtpd", "")->count, 1);
	assert_int_equal(sk_X509_num(row("", "smtpd", "")->chains[0].others),
	    1);
}

static void
cert_and_key_files_are_pairs(void **state)
{
	(void)state;
	set("smtpd_tls_cert_file", "@rsa.chain.pem");
	set("smtpd_tls_key_file", "@rsa.key");
	set("smtpd_tls_eccert_file", "@ec.all.pem");
	assert_int_equal(load(), 0);
	assert_string_equal(said.data, "");
	assert_int_equal(row("", "smtpd", "")->count, 2);
	assert_string_equal(name_in(&row("", "smtpd", "")->chains[1]),
	    "ec.test");
}

static void
chain_files_win_over_cert_files(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@ec.all.pem");
	set("smtpd_tls_cert_file", "@rsa.all.pem");
	assert_int_equal(load(), 0);
	assert_said("main.cf:1: smtpd_tls_cert_file: ignored, because "
	    "smtpd_tls_chain_files is set");
	assert_int_equal(row("", "smtpd", "")->count, 1);
	assert_string_equal(name_in(&row("", "smtpd", "")->chains[0]),
	    "ec.test");
}

static void
none_is_no_certificate(void **state)
{
	(void)state;
	set("smtpd_tls_cert_file", "none");
	assert_int_equal(load(), 0);
	assert_int_equal(wallet->count, 0);
}

static void
clients_have_their_own(void **state)
{
	(void)state;
	set("smtp_tls_cert_file", "@client.all.pem");
	set("lmtp_tls_chain_files", "@ec.all.pem");
	assert_int_equal(load(), 0);
	assert_null(row("", "smtpd", ""));
	assert_int_equal(row("", "smtp", "")->role, TLS_CLIENT);
	assert_string_equal(name_in(&row("", "smtp", "")->chains[0]),
	    "client.test");
	assert_string_equal(name_in(&row("", "lmtp", "")->chains[0]),
	    "ec.test");
}

static void
parse_services(const char *text)
{
	char	*why;

	text = in_dir(text);
	services = mastercf_parse(pool, "master.cf", text, strlen(text), &why);
	if (services == NULL)
		fail_msg("%s", why);
}

static void
a_line_of_master_cf_may_have_others(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@ec.all.pem");
	set("other", "@rsa.all.pem");
	parse_services("smtp inet n - n - - smtpd\n"
	    "submission inet n - n - - smtpd\n"
	    "  -o smtpd_tls_security_level=encrypt\n"
	    "465 inet n - n - - smtpd\n"
	    "  -o smtpd_tls_chain_files=$other\n"
	    "26 inet n - n - - smtpd -o smtpd_tls_chain_files=\n"
	    "slow unix - - n - - smtp -o smtp_tls_cert_file=@client.all.pem"
	    "\n");
	assert_int_equal(load(), 0);
	assert_null(row("smtp/inet", "smtpd", ""));
	assert_null(row("submission/inet", "smtpd", ""));
	assert_string_equal(name_in(&row("465/inet", "smtpd", "")->chains[0]),
	    "rsa.test");
	assert_non_null(row("26/inet", "smtpd", ""));
	assert_int_equal(row("26/inet", "smtpd", "")->count, 0);
	assert_non_null(row("slow/unix", "smtp", ""));
	assert_null(row("", "smtp", ""));
}

/* --- names --------------------------------------------------------------- */

static void
sni_tables_of_text_name_files(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@ec.all.pem");
	set("tls_server_sni_maps", "inline:{ { MX.Test = @rsa.all.pem "
	    "@ed.all.pem }, .test=@ec2.all.pem }");
	assert_int_equal(load(), 0);
	assert_string_equal(said.data, "");
	assert_int_equal(row("", "smtpd", "mx.test")->count, 2);
	assert_string_equal(name_in(&row("", "smtpd", ".test")->chains[0]),
	    "ec2.test");
	assert_int_equal(wallet->count, 3);
}

static void
names_that_nobody_can_ask_for_are_told(void **state)
{
	static const char *const	bad[] = {
		"mx.test.", "mx_1.test", ("b\xc3\xbc" "cher.test"), "a..test",
		"*.test", "..test", "."
	};
	struct str			table;
	size_t				i;

	(void)state;
	set("smtpd_tls_chain_files", "@ec.all.pem");
	str_init(&table, pool, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		str_addf(&table, "%s @rsa.all.pem\n", bad[i]);
	str_addf(&table, "good-1.test @rsa.all.pem\nxn--bcher-kva.test "
	    "@rsa.all.pem\n");
	assert_int_equal(fs_replace_file(path("names"), in_dir(table.data),
	    strlen(in_dir(table.data)), 0600), 0);
	set("tls_server_sni_maps", "texthash:@names");
	assert_int_equal(load(), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_said(pool_printf(pool, "names: %s: expected a host's "
		    "name", bad[i]));
		assert_null(row("", "smtpd", bad[i]));
	}
	assert_non_null(row("", "smtpd", "good-1.test"));
	assert_non_null(row("", "smtpd", "xn--bcher-kva.test"));
}

static void
sni_tables_with_an_index_have_the_text(void **state)
{
	const char	*why, *table = pool_printf(pool, "hash:%s/sni", dir);
	char		*lines;
	unsigned	 entries;
	struct str	 warnings;

	(void)state;
	lines = pool_strdup(pool, in_dir("mx.test @rsa.all.pem @ed.key "
	    "@ed.chain.pem\n"));
	str_init(&warnings, pool, 0);
	why = map_merge(pool, table, lines, "sni", MAP_FILES, &entries,
	    &warnings);
	assert_null(why);
	assert_int_equal(chmod(path("sni.db"), 0600), 0);
	set("tls_server_sni_maps", table);
	assert_int_equal(load(), 0);
	assert_string_equal(said.data, "");
	assert_int_equal(row("", "smtpd", "mx.test")->count, 2);
	assert_int_equal(wallet->file_count, 1);
	assert_string_equal(wallet->files[0], path("sni.db"));

	assert_int_equal(chmod(path("sni.db"), 0644), 0);
	assert_int_equal(load(), 0);
	assert_said("@sni.db has a private key and can be read by everybody");
	assert_int_equal(chmod(path("sni.db"), 0600), 0);

	assert_null(map_put(pool, table, "plain.test", path("rsa.all.pem")));
	assert_int_equal(load(), 1);
	assert_said("plain.test: expected the text of PEM files, found \"@");
	assert_non_null(row("", "smtpd", "mx.test"));
}

static void
sni_tables_without_a_list_are_refused(void **state)
{
	(void)state;
	set("tls_server_sni_maps", "regexp:@x");
	assert_int_equal(load(), 1);
	assert_said("main.cf:1: tls_server_sni_maps: regexp:@x: expected a "
	    "table of type hash");
}

static void
files_are_known_before_they_are_read(void **state)
{
	const char	**files;
	size_t		count;

	(void)state;
	set("smtpd_tls_cert_file", "@ec.pem");
	set("smtpd_tls_key_file", "@missing.key");
	set("tls_server_sni_maps", "hash:@sni inline:{a=@rsa.all.pem}");
	parse_services("465 inet n - n - - smtpd\n"
	    "  -o smtpd_tls_chain_files=@ed.all.pem\n");
	files = wallet_files(pool, mc, services, &count);
	assert_int_equal(count, 5);
	assert_string_equal(files[0], path("ec.pem"));
	assert_string_equal(files[1], path("missing.key"));
	assert_string_equal(files[2], path("sni.db"));
	assert_string_equal(files[3], path("rsa.all.pem"));
	assert_string_equal(files[4], path("ed.all.pem"));
}

/* --- what is wrong ------------------------------------------------------- */

/* What smtpd and smtp would only find out in a handshake. */
static void
keys_that_nobody_signs_with_are_told(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@odd.all.pem, @ed448.all.pem, "
	    "@ec.all.pem");
	(void)load();
	assert_said("found EC (secp256k1), which clients do not take");
	assert_said("found ED448, which clients do not take");
	assert_int_equal(row("", "smtpd", "")->count, 1);
}

static void
chains_that_no_packet_holds_are_told(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@long.all.pem");
	assert_int_equal(load(), 1);
	assert_said("expected a chain of certificates of at most 32768 bytes, "
	    "found ");
	assert_null(row("", "smtpd", ""));
}

/* C2 */
static void
missing_files_are_named_once(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@no.pem, @ec.all.pem");
	set("smtp_tls_chain_files", "$smtpd_tls_chain_files");
	assert_int_equal(load(), 1);
	assert_string_equal(said.data, in_dir("main.cf:1: "
	    "smtpd_tls_chain_files: @no.pem: No such file or directory\n"));
	assert_int_equal(row("", "smtpd", "")->count, 1);
	assert_int_equal(row("", "smtp", "")->count, 1);
}

static void
a_key_that_is_missing_leaves_the_others(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@no.key @rsa.chain.pem @ec.all.pem");
	assert_int_equal(load(), 1);
	assert_int_equal(row("", "smtpd", "")->count, 1);
	set("smtpd_tls_chain_files", "@rsa.key @no.pem @ec.all.pem");
	assert_int_equal(load(), 1);
	assert_int_equal(row("", "smtpd", "")->count, 1);
}

/* C1 */
static void
a_key_of_another_certificate_is_refused(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@ec2.key @ec.chain.pem @rsa.all.pem");
	assert_int_equal(load(), 1);
	assert_said("main.cf:1: smtpd_tls_chain_files: @ec.chain.pem:1: the "
	    "certificate of ec.test does not belong to the private key at "
	    "@ec2.key:1\n");
	assert_int_equal(row("", "smtpd", "")->count, 1);
	assert_string_equal(name_in(&row("", "smtpd", "")->chains[0]),
	    "rsa.test");
}

static void
a_chain_in_the_wrong_order_is_explained(void **state)
{
	(void)state;
	write_file("upside.pem", 0600, PARTS("ec.key", "intermediate.pem",
	    "ec.pem"));
	set("smtpd_tls_chain_files", "@upside.pem");
	assert_int_equal(load(), 1);
	assert_said("the private key at @upside.pem:1 belongs to this "
	    "certificate; expected it first");
	write_file("gap.pem", 0600, PARTS("ec.key", "ec.pem", "ca.pem"));
	set("smtpd_tls_chain_files", "@gap.pem");
	assert_int_equal(load(), 0);
	assert_said("expected the certificate that signed that of ec.test, "
	    "found Postrider Test Root");
}

static void
certificates_before_any_key_are_refused(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@ec.chain.pem @ec.key");
	assert_int_equal(load(), 2);
	assert_said("@ec.chain.pem:1: expected a private key before the "
	    "certificate");
	assert_said("@ec.key:1: expected a certificate behind this private "
	    "key, found none");
	set("smtpd_tls_chain_files", "");
	set("smtpd_tls_cert_file", "@ec.chain.pem");
	assert_int_equal(load(), 1);
	assert_said("main.cf:1: smtpd_tls_cert_file: @ec.chain.pem: expected "
	    "a private key, found certificates only");
}

static void
other_files_are_refused(void **state)
{
	FILE	*f = fopen(path("junk.pem"), "w");

	(void)state;
	assert_non_null(f);
	fputs("remark\n-----BEGIN CERTIFICATE-----\n!!!\n", f);
	fclose(f);
	set("smtpd_tls_chain_files", "@make.pl @junk.pem relative.pem @");
	assert_int_equal(load(), 4);
	assert_said("@make.pl: expected certificates and private keys in PEM, "
	    "found none");
	assert_said("@junk.pem:2: expected PEM, found a block that is "
	    "damaged");
	assert_said("relative.pem: expected a path that begins with /");
	assert_null(row("", "smtpd", ""));
}

static void
a_file_without_end_is_refused(void **state)
{
	FILE	*f = fopen(path("big.pem"), "w");
	size_t	 i;

	(void)state;
	assert_non_null(f);
	for (i = 0; i < 300 * 1024; i++)
		fputc('x', f);
	fclose(f);
	set("smtpd_tls_chain_files", "@big.pem");
	assert_int_equal(load(), 1);
	assert_said("@big.pem: expected a file of at most 256 KiB");
}

static void
keys_with_a_pass_phrase_are_refused(void **state)
{
	(void)state;
	assert_int_equal(system(in_dir("openssl pkey -in @ec.key -aes128 "
	    "-passout pass:secret -out @locked.key")), 0);
	set("smtpd_tls_chain_files", "@locked.key @ec.chain.pem");
	assert_int_equal(load(), 1);
	assert_said("@locked.key:1: expected a private key without a pass "
	    "phrase");
}

static void
time_is_told_and_stops_nothing(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@old.all.pem");
	assert_int_equal(load(), 0);
	assert_said("the certificate of old.test expired on 20");
	assert_int_equal(row("", "smtpd", "")->count, 1);
	set("smtpd_tls_chain_files", "@soon.all.pem");
	assert_int_equal(load(), 0);
	assert_said("the certificate of soon.test expires in 5 days (20");
	set("smtpd_tls_chain_files", "@new.all.pem");
	assert_int_equal(load(), 0);
	assert_said("the certificate of new.test is not valid before 20");
}

static void
a_certificate_says_nothing_to_a_terminal(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@strange.all.pem");
	assert_int_equal(load(), 0);
	assert_said("the certificate of a\\033[1mb expired on 20");
}

static void
weak_and_double_keys_are_told(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@short.all.pem @rsa.all.pem");
	assert_int_equal(load(), 0);
	assert_said("@short.all.pem:1: the RSA key has 1024 bits, expected "
	    "2048 or more");
	assert_said("@rsa.all.pem:1: a second key of type RSA; the last one "
	    "counts");
	assert_int_equal(row("", "smtpd", "")->count, 1);
	assert_string_equal(name_in(&row("", "smtpd", "")->chains[0]),
	    "rsa.test");
}

static void
a_server_needs_a_certificate_for_servers(void **state)
{
	(void)state;
	set("smtpd_tls_chain_files", "@client.all.pem");
	assert_int_equal(load(), 0);
	assert_said("the certificate of client.test is not for servers");
}

static void
keys_that_others_reach_are_told(void **state)
{
	(void)state;
	write_file("open.pem", 0644, PARTS("ec.all.pem"));
	set("smtpd_tls_chain_files", "@open.pem");
	assert_int_equal(load(), 0);
	assert_said("@open.pem has a private key and can be read by everybody "
	    "(mode 0644); expected 0600");
	assert_int_equal(chmod(path("open.pem"), 0660), 0);
	assert_int_equal(load(), 0);
	assert_said("can be written by others than its owner (mode 0660)");
	assert_int_equal(chmod(path("open.pem"), 0640), 0);
	assert_int_equal(load(), 0);
	assert_string_equal(said.data, "");
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(path("open.pem"), 12345, 0), 0);
	assert_int_equal(load(), 0);
	assert_said("belongs to user 12345; expected root");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest	tests[] = {
		TEST(nothing_named_is_nothing_loaded),
		TEST(chain_files_have_keys_of_several_types),
		TEST(one_file_may_have_several_keys),
		TEST(a_key_and_its_chain_may_be_two_files),
		TEST(cert_and_key_files_are_pairs),
		TEST(chain_files_win_over_cert_files),
		TEST(none_is_no_certificate),
		TEST(clients_have_their_own),
		TEST(a_line_of_master_cf_may_have_others),
		TEST(sni_tables_of_text_name_files),
		TEST(names_that_nobody_can_ask_for_are_told),
		TEST(sni_tables_with_an_index_have_the_text),
		TEST(sni_tables_without_a_list_are_refused),
		TEST(files_are_known_before_they_are_read),
		TEST(keys_that_nobody_signs_with_are_told),
		TEST(chains_that_no_packet_holds_are_told),
		TEST(missing_files_are_named_once),
		TEST(a_key_that_is_missing_leaves_the_others),
		TEST(a_key_of_another_certificate_is_refused),
		TEST(a_chain_in_the_wrong_order_is_explained),
		TEST(certificates_before_any_key_are_refused),
		TEST(other_files_are_refused),
		TEST(a_file_without_end_is_refused),
		TEST(keys_with_a_pass_phrase_are_refused),
		TEST(time_is_told_and_stops_nothing),
		TEST(a_certificate_says_nothing_to_a_terminal),
		TEST(weak_and_double_keys_are_told),
		TEST(a_server_needs_a_certificate_for_servers),
		TEST(keys_that_others_reach_are_told)
	};

	return cmocka_run_group_tests(tests, make_certificates,
	    remove_certificates);
}
