# downgrade.t - ways around the protection that main.cf asks for: other
# spellings of a domain, mistakes beside the point, what a host was once.
use strict;
use warnings;
use lib 't/lib', 't/resolve';
use Alone;
use MIME::Base64 qw(decode_base64);
use Test::More;
use Postrider qw(bin free_port);
use Postrider::CA;
use File::Temp;

plan skip_all => 'nsd is not installed' unless Alone::nsd();

my $dns = free_port();
my $work = File::Temp->newdir('prt-ca-XXXXXX', DIR => '/tmp');
chmod 0755, $work;
my $ca = Postrider::CA->new("$work/ca");
my $mx = $ca->issue(name => 'mx', san => ['mx.test', 'xn--bcher-kva.test']);
my %tls = (cert => $mx->{chain}, key => $mx->{key});
my $foreign = $ca->issue(name => 'foreign', client => 1);
my %alice = (user => 'alice', password => 'pass%word');

# Everybody has 70 labels; names have 127 at most.
my $deep = join '.', ('a') x 70, 'deep.test';

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	dns_servers => "127.0.0.1\@$dns", smtp_processes => 1,
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', smtp_connection_cache_on_demand => 'no',
	smtp_tls_CAfile => $ca->file,
});
my $etc = $mail->etc;
my $clear = $mail->sink;
my $good = $mail->sink(tls => { %tls });
my $plus = $mail->sink(tls => { %tls }, auth => { %alice,
    mechanisms => 'SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN' });
my $thief = $mail->sink(auth => { %alice, mechanisms => 'PLAIN' },
    replies => sub { return $_[0] eq 'AUTH' ? '235 2.7.0 thanks' : undef });

# Services, with the port that mail to a domain without one goes to.
my %services = (
	toclear => [$clear, ''],
	togood => [$good, ''],
	filter => [$plus, 'smtp_sasl_auth_enable=yes ' .
	    'smtp_tls_security_level=encrypt smtp_sasl_security_options= ' .
	    "smtp_sasl_mechanism_filter=texthash:$etc/mechanisms"],
	nofilter => [$plus, 'smtp_sasl_auth_enable=yes ' .
	    'smtp_tls_security_level=encrypt smtp_sasl_security_options= ' .
	    "smtp_sasl_mechanism_filter=texthash:$etc/nothing"],
	thief => [$thief, 'smtp_sasl_auth_enable=yes ' .
	    'smtp_sasl_security_options= ' .
	    'smtp_sender_dependent_authentication=yes'],
	digest => [$good, 'smtp_tls_security_level=may ' .
	    'smtp_tls_fingerprint_digest=sha2566'],
	options => [$good, 'smtp_tls_security_level=may ' .
	    'tls_ssl_options=NO_TIKET'],
	identity => [$good, 'smtp_tls_security_level=encrypt ' .
	    "smtp_tls_cert_file=$foreign->{cert} " .
	    "smtp_tls_key_file=$mx->{key}"],
);
$mail->{master} = join '', map { my ($sink, $options) = @{ $services{$_} };
	"$_ unix - - n - - smtp -o smtp_tcp_port=" . $sink->port .
	join('', map { " -o $_" } split / /, $options) . "\n" }
    sort keys %services;

# Recipient's domain, service, next hop if it is another.
my %domains = (
	$deep => ['toclear'],
	'xn--mnchen-3ya.test' => ['toclear'],
	'a.xn--mnchen-3ya.test' => ['toclear'],
	'iu.test' => ['togood', "b\xc3\xbccher.test"],
	'ascii.test' => ['toclear', "xn--bcher-kva.test"],
	'upper.test' => ['toclear', "B\xc3\x9cCHER.test"],
	'thief.test' => ['thief'],
	'list.test' => ['toclear', 'bad.test,mx.test'],
	map({ ("$_.test" => [$_, 'mx.test']) } qw(filter nofilter digest options
	    identity)),
);
Postrider::spew("$etc/test.zone", <<'END' . join '', map { "$_. A 127.0.0.1\n" }
$ORIGIN test.
$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
ns	A	127.0.0.1
END
    $deep, 'mx.test', 'thief.test', 'xn--bcher-kva.test', 'xn--mnchen-3ya.test',
    'a.xn--mnchen-3ya.test');
Alone::name_server($etc, $dns, 'test' => 'test.zone');
Postrider::spew("$etc/routes", join '', map { my $d = $domains{$_};
	"$_ $d->[0]:" . ($d->[1] // $_) . "\n" } sort keys %domains);
Postrider::spew("$etc/policies", ".deep.test encrypt\n" .
    "m\xc3\xbcnchen.test encrypt\n.m\xc3\xbcnchen.test encrypt\n" .
    "b\xc3\xbccher.test secure\nbad.test encript\n");
Postrider::spew("$etc/passwords", "mx.test alice:pass%word\n" .
    "[relay.test]:587 relay:pass%word\n" .
    "carol\@local.test carol:pass%word\n");
Postrider::spew("$etc/mechanisms", "SCRAM-SHA-256 yes\n");
Postrider::spew("$etc/nothing", "OTHER yes\n");
$mail->set(transport_maps => "texthash:$etc/routes",
    smtp_sasl_password_maps => "texthash:$etc/passwords",
    smtp_tls_policy_maps => "texthash:$etc/policies");
$mail->start;

sub outcome { return $mail->try_domain(@_) }
my $waits = qr/dsn=4\.\d\.\d, status=deferred .*TLS is required/;

subtest 'the table of policies knows a domain' => sub { SKIP: {
	like(outcome($deep), $waits, 'however many labels it has');
	is($clear->count, 0, 'nothing was sent in clear');
	skip 'built without libidn2: tables have domains in A-labels only', 6
	    if `ldd @{[bin()]}/smtp` !~ /libidn2/;
	like(outcome('xn--mnchen-3ya.test'), $waits, 'in A-labels');
	like(outcome('a.xn--mnchen-3ya.test'), $waits, 'and what is below it');
	like(outcome('ascii.test'), $waits, 'as a next hop');
	like(outcome('upper.test'), $waits, 'in capitals');
	is($clear->count, 0, 'none of it was sent in clear');
	like(outcome('iu.test'), qr/status=sent/,
	    'and a certificate has A-labels');
	is(($good->messages)[-1] && ($good->messages)[-1]{tls}{sni},
	    'xn--bcher-kva.test', 'as SNI');
} };

subtest 'smtp_sasl_mechanism_filter that is a table' => sub {
	like(outcome('filter.test'), qr/status=sent/, 'lets mail through');
	my $lines = ($plus->messages)[-1]{auth_lines};
	like($lines->[0], qr/^AUTH SCRAM-SHA-256 /, 'with what it has');
	like(decode_base64(($lines->[0] =~ /(\S+)$/)[0]), qr/^n,/,
	    'and is not taken for somebody who hides the PLUS (RFC 5802 6)');
	like(outcome('nofilter.test'),
	    qr/status=deferred .*no mechanism available/,
	    'that has none of them is not one that has all');
};

# Whoever may choose his sender's address must not choose what password is
# shown to a host of his: keys of hosts are none of senders.
subtest 'smtp_sender_dependent_authentication' => sub {
	for my $from ('mx.test@local.test', '"[relay.test]:587"@local.test',
	    'mx.test@mail.local.test') {
		like(outcome('thief.test', $from), qr/status=sent/, $from);
		is(($thief->messages)[-1]{auth}, undef, 'has no login');
	}
	outcome('thief.test', 'carol@local.test');
	is(($thief->messages)[-1]{auth}, 'carol', 'a whole address has');
};

subtest 'a mistake beside the point' => sub {
	my $line = outcome('digest.test');

	ok($line !~ /status=sent/ || ($good->messages)[-1]{tls},
	    'in smtp_tls_fingerprint_digest is none to speak in clear')
	    or diag $line;
	my $before_clear = $clear->count;
	like(outcome('list.test'), qr/status=deferred .*bad\.test: "encript"/,
	    'one in the policy of a next hop defers the mail');
	is($clear->count, $before_clear, 'and the others of the list get none');
	$line = outcome('options.test');
	like($line, qr/status=deferred .*TLS engine is unavailable/,
	    'nor one in tls_ssl_options');
	my $before = $good->count;
	like(outcome('identity.test'), qr/status=deferred .*smtp_tls_cert_file/,
	    'a certificate of ours that cannot be used is told');
	is($good->count, $before, 'and nobody gets mail without it');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
