/*
 * remote.c - identities and ticket keys of a keys process, which is played
 * here by fibers of the same process.
 */
#include "common/tls/remote.h"

#include <sys/un.h>

#include "common/ipc/packets.h"
#include "common/tls/provider.h"
#include "t/common/ipc/pair.h"
#include "t/common/tls/made.h"

/* One keys process after the other, at the same socket. */
struct keys {
	struct channel	*channel;
	EVP_PKEY	*key;
	X509		*certificate;
	unsigned	 asked, signed_for, asked_tickets, closed;
	bool		 refuses, is_slow;
	int64_t		 generation;
};

enum { PROCESSES = 2 };
static struct keys	 processes[PROCESSES];
static unsigned		 current;		/* who accepts */
static struct loop_fd	 watch;
static int		 listener = -1;
static char		 directory[64];
static struct link	*to_keys;

/* --- the keys process ----------------------------------------------------- */

static struct keys *
keys_of(const struct request *r)
{
	return channel_context(r->channel);
}

static WAITS void
on_certificates(struct request *r)
{
	struct keys			*k = keys_of(r);
	const struct ask_certificates	*ask = r->object;
	struct certificates		 answer = {
		.generation = k->generation
	};
	struct chain_row		 row;
	unsigned char			*der = NULL;
	int				 len;

	k->asked++;
	if (k->is_slow)
		(void)fiber_sleep(20);
	len = i2d_X509(k->certificate, &der);
	row.der = (struct bytes){ der, (size_t)len };
	if (ask->name[0] == '\0' || strcmp(ask->name, "sni.test") == 0 ||
	    strcmp(ask->name, "other.test") == 0) {
		answer.is_there = true;
		answer.chains = &row;
		answer.count = 1;
	}
	(void)channel_reply(r, PACKET_CERTIFICATES, &answer);
	OPENSSL_free(der);
}

static void
on_signature(struct request *r)
{
	struct keys			*k = keys_of(r);
	const struct ask_signature	*ask = r->object;
	unsigned char			 to[512];
	struct signature		 answer = { { to, 0 },
					    (char *)(uintptr_t)"" };

	k->signed_for++;
	if (k->refuses)
		answer.text = (char *)(uintptr_t)"not today";
	else
		answer.data.len = made_signature(tls_library(), k->key,
		    ask->digest, ask->is_pss, (int)ask->salt_length,
		    ask->message.data, ask->message.len, to, sizeof(to));
	(void)channel_reply(r, PACKET_SIGNATURE, &answer);
}

static void
on_tickets(struct request *r)
{
	static const unsigned char	bytes[32] = "the bytes of one key";
	struct keys			*k = keys_of(r);
	int64_t				now = clock_wall_us() / 1000;
	struct ticket_row		rows[3] = {
		{ { "next next next.", 16 }, { bytes, 32 }, { bytes, 32 },
		    now + 90000, now + 120000 },
		{ { "now now now now", 16 }, { bytes, 32 }, { bytes, 32 },
		    now + 60000, now + 90000 },
		{ { "over over over.", 16 }, { bytes, 32 }, { bytes, 32 },
		    now - 2000, now - 1000 }
	};
	struct ticket_keys		answer = { rows, 3 };

	k->asked_tickets++;
	(void)channel_reply(r, PACKET_TICKETS, &answer);
}

static const struct peer	peers[] = {
	{ "tester", PACKET_ASK_CERTIFICATES, on_certificates, ON_A_FIBER },
	{ "tester", PACKET_ASK_SIGNATURE, on_signature, ON_A_FIBER },
	{ "tester", PACKET_ASK_TICKETS, on_tickets, IN_ORDER },
	{ NULL, PACKET_NONE, NULL, IN_ORDER }
};

/* Its last channel is gone. */
static void
on_end(struct channel *c, void *context)
{
	struct keys	*k = context;

	if (k->channel == c)
		k->channel = NULL;
	k->closed++;
}

static void
serve(void *unused)
{
	struct keys	*k;
	int		 fd;

	(void)unused;
	while (listener != -1) {
		fd = accept4(listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		k = &processes[current];
		if (fd != -1)
			k->channel = channel_new(fd, true, peers, on_end, k);
		else if (loop_wait_readable(&watch, NEVER) == -1)
			break;
	}
}

static void
start(void)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };

	snprintf(at.sun_path, sizeof(at.sun_path), "%skeys.1", directory);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (listener == -1 ||
	    bind(listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(listener, 10) == -1 ||
	    loop_add(&watch, listener) == -1)
		abort();
	fiber_start(serve, NULL);
}

/* --- the story ------------------------------------------------------------ */

/* Fibers write down what they saw; the test looks at it afterwards. */
static struct {
	bool		 is_ready_without, is_quick_without;
	bool		 is_ready, is_found, is_same, is_sni, is_other;
	unsigned	 asked_first, asked_again, asked_strange, asked_many;
	unsigned	 asked_after;
	size_t		 signature, refused, orphan;
	size_t		 tickets;
	char		 seals[16];
	uint64_t	 generation_before, generation_after;
	size_t		 old_signature;
	unsigned	 old_signed, closed_before, closed_after;
	bool		 tickets_gone;
	unsigned	 found_many, found_after_cancel;
	bool		 is_ready_after_cancel;
} seen;

static struct remote		*remote;
static struct tls_source	 source;

/* Sign as libssl would. */
static size_t
sign_with(struct tls_identity *identity)
{
	EVP_MD_CTX	*c = EVP_MD_CTX_new();
	unsigned char	 to[512];
	size_t		 len = sizeof(to);

	if (EVP_DigestSignInit_ex(c, NULL, "SHA256", tls_library(), NULL,
	    identity->chains[0].key, NULL) <= 0 ||
	    EVP_DigestSign(c, to, &len, (const unsigned char *)"text", 4) <= 0)
		len = 0;
	EVP_MD_CTX_free(c);
	return len;
}

/* One of many who want the same. */
static void
want_sni(void *unused)
{
	struct tls_identity	*identity = source.find(source.state,
				    "sni.test");

	(void)unused;
	seen.found_many += identity != NULL;
	tls_identity_release(identity);
}

/* A crowd for one name: before anything else is asked of it. */
static void
crowd(struct keys *k)
{
	unsigned	before = k->asked;
	int		i;

	k->is_slow = true;
	for (i = 0; i < 200; i++)
		fiber_start(want_sni, NULL);
	(void)fiber_sleep(100);
	k->is_slow = false;
	seen.asked_many = k->asked - before;
}

/* One of those who want a name whose asker is sent away. */
static void
want_other(void *unused)
{
	struct tls_identity	*identity = source.find(source.state,
				    "other.test");

	(void)unused;
	seen.found_after_cancel += identity != NULL;
	tls_identity_release(identity);
}

/* Somebody asks, others wait for the same answer, he is cancelled. */
static void
cancel_asker(struct keys *k)
{
	struct fiber	*asker;
	int		 i;

	k->is_slow = true;
	asker = fiber_start(want_other, NULL);
	for (i = 0; i < 5; i++)
		fiber_start(want_other, NULL);
	(void)fiber_sleep(5);
	fiber_cancel(asker);
	(void)fiber_sleep(100);
	k->is_slow = false;
	seen.is_ready_after_cancel = remote_is_ready(remote);
}

/* Wait until this is so, for a second at most. */
static bool
becomes(const unsigned *value, unsigned wanted)
{
	int	i;

	for (i = 0; i < 1000 && *value < wanted; i++)
		(void)fiber_sleep(1);
	return *value >= wanted;
}

/* With nobody to ask. */
static void
without(void)
{
	int64_t	before;

	seen.is_ready_without = remote_is_ready(remote);
	before = clock_now();
	(void)remote_is_ready(remote);
	seen.is_quick_without = clock_now() - before < 200;
}

/* Names that there are, that there are not, and how often it is asked. */
static struct tls_identity *
names(struct keys *k)
{
	struct tls_identity	*one, *two;
	char			 name[32];
	unsigned		 i, before;

	one = source.find(source.state, "");
	seen.is_found = one != NULL && one->count == 1 &&
	    EVP_PKEY_eq(one->chains[0].key, k->key) == 1;
	seen.asked_first = k->asked;
	two = source.find(source.state, "");
	seen.is_same = one == two;
	tls_identity_release(two);
	seen.is_ready = remote_is_ready(remote);
	seen.asked_again = k->asked;
	cancel_asker(k);
	crowd(k);
	two = source.find(source.state, "sni.test");
	seen.is_sni = two != NULL;
	tls_identity_release(two);
	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "strange%u.test", i);
		two = source.find(source.state, name);
		seen.is_other |= two != NULL;
	}
	before = k->asked;
	for (i = 0; i < 100; i++)
		(void)source.find(source.state, "strange1999.test");
	two = source.find(source.state, "sni.test");
	tls_identity_release(two);
	seen.asked_strange = k->asked - before;
	return one;
}

static void
tickets(struct keys *k)
{
	const struct tls_ticket	*rows;

	(void)becomes(&k->asked_tickets, 1);
	(void)fiber_sleep(20);
	rows = source.tickets(source.state, &seen.tickets);
	if (rows != NULL)
		memcpy(seen.seals, rows[0].name, 16);
}

/* Another process comes; the first one drains, with an identity in use. */
static void
replace(struct tls_identity *old)
{
	struct keys		*k = &processes[0], *fresh = &processes[1];
	const struct empty	 nothing = { 0 };
	struct tls_identity	*one;
	unsigned		 before = k->asked, old_signed = k->signed_for;

	seen.generation_before = old->generation;
	current = 1;
	(void)channel_post(k->channel, PACKET_GOODBYE, 0, &nothing);
	(void)fiber_sleep(20);
	one = source.find(source.state, "");
	seen.generation_after = one == NULL ? 0 : one->generation;
	seen.asked_after = k->asked - before;
	seen.old_signature = sign_with(old);
	seen.old_signed = k->signed_for - old_signed;
	seen.closed_before = k->closed;
	tls_identity_release(old);
	(void)becomes(&k->closed, 1);
	seen.closed_after = k->closed;

	/* and the other one falls */
	channel_close(fresh->channel);
	(void)becomes(&fresh->closed, 1);
	(void)fiber_sleep(5);
	seen.orphan = one == NULL ? 1 : sign_with(one);
	seen.tickets_gone = source.tickets(source.state, &seen.tickets) ==
	    NULL;
	tls_identity_release(one);
}

static void
story(void *unused)
{
	struct keys		*k = &processes[0];
	struct tls_identity	*one;
	size_t			 count;

	(void)unused;
	remote = remote_new(to_keys, "smtp/inet", "smtpd", TLS_SERVER, 3600);
	source = remote_source(remote);
	without();
	start();
	(void)fiber_sleep(2100);
	one = names(k);
	seen.signature = sign_with(one);
	k->refuses = true;
	seen.refused = sign_with(one);
	k->refuses = false;
	tickets(k);
	count = seen.tickets;
	replace(one);
	seen.tickets = count;
	loop_remove(&watch);
	close(listener);
	listener = -1;
	loop_stop();
}

static void
make_process(struct keys *k, int64_t generation)
{
	k->key = made_key(tls_library(), "P-256");
	k->certificate = made_certificate(tls_library(), k->key, "a.test");
	k->generation = generation;
}

static int
set_up(void **state)
{
	(void)state;
	loop_open();
	log_to_nothing();
	strlcpy(directory, "/tmp/postrider-remote-XXXXXX", sizeof(directory));
	if (mkdtemp(directory) == NULL)
		return -1;
	strlcat(directory, "/", sizeof(directory));
	link_identity("tester", directory);
	to_keys = link_new("keys", 1, NULL);
	make_process(&processes[0], 100);
	make_process(&processes[1], 200);
	fiber_start(story, NULL);
	loop_run();
	return 0;
}

static int
tear_down(void **state)
{
	char	path[128];
	int	i;

	(void)state;
	for (i = 0; i < PROCESSES; i++) {
		EVP_PKEY_free(processes[i].key);
		X509_free(processes[i].certificate);
	}
	snprintf(path, sizeof(path), "%skeys.1", directory);
	unlink(path);
	return rmdir(directory);
}

static void
without_a_keys_process_it_is_not_ready_and_does_not_wait(void **state)
{
	(void)state;
	assert_false(seen.is_ready_without);
	assert_true(seen.is_quick_without);
}

static void
an_identity_is_asked_for_once(void **state)
{
	(void)state;
	assert_true(seen.is_found);
	assert_true(seen.is_same);
	assert_true(seen.is_ready);
	assert_int_equal(seen.asked_first, 1);
	assert_int_equal(seen.asked_again, 1);
}

static void
R2_a_crowd_is_one_question(void **state)
{
	(void)state;
	assert_int_equal(seen.found_many, 200);
	assert_int_equal(seen.asked_many, 1);
}

static void
who_is_cancelled_takes_nobody_with_him(void **state)
{
	(void)state;
	assert_int_equal(seen.found_after_cancel, 5);
	assert_true(seen.is_ready_after_cancel);
}

static void
R2_strange_names_push_out_none_that_exist(void **state)
{
	(void)state;
	assert_true(seen.is_sni);
	assert_false(seen.is_other);
	assert_int_equal(seen.asked_strange, 0);
}

static void
its_keys_sign_and_a_refusal_is_no_signature(void **state)
{
	(void)state;
	assert_in_range(seen.signature, 60, 80);
	assert_int_equal(seen.refused, 0);
	assert_int_equal(seen.orphan, 0);
}

static void
R3_the_key_that_seals_is_one_that_all_know(void **state)
{
	(void)state;
	assert_int_equal(seen.tickets, 2);
	assert_memory_equal(seen.seals, "now now now now", 15);
}

static void
R1_another_process_is_asked_again_and_the_old_keys_sign_on(void **state)
{
	(void)state;
	assert_int_equal(seen.generation_before, 100);
	assert_int_equal(seen.generation_after, 200);
	assert_int_equal(seen.asked_after, 0);
	assert_in_range(seen.old_signature, 60, 80);
	assert_int_equal(seen.old_signed, 1);
	assert_int_equal(seen.closed_before, 0);
	assert_int_equal(seen.closed_after, 1);
	assert_true(seen.tickets_gone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    without_a_keys_process_it_is_not_ready_and_does_not_wait),
		cmocka_unit_test(an_identity_is_asked_for_once),
		cmocka_unit_test(R2_a_crowd_is_one_question),
		cmocka_unit_test(who_is_cancelled_takes_nobody_with_him),
		cmocka_unit_test(R2_strange_names_push_out_none_that_exist),
		cmocka_unit_test(its_keys_sign_and_a_refusal_is_no_signature),
		cmocka_unit_test(R3_the_key_that_seals_is_one_that_all_know),
		cmocka_unit_test(
		    R1_another_process_is_asked_again_and_the_old_keys_sign_on)
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
