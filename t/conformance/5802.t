# 5802.t - RFC 5802, 7677, 9266 and 4616: users of ours prove who they are, in
# TLS, to a real smtpd and its auth.
use strict;
use warnings;
use lib 't/lib';

use MIME::Base64;
use Test::More;
use Net::SSLeay ();
use Postrider qw(bin free_port slurp spew wait_for);
use Postrider::CA;
use Postrider::Fixture;
use Postrider::Scram;

# RFC 7677's user with his password, as a verifier.
my $pencil = 'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$' .
    'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:' .
    'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';
my $submissions = free_port();
my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtpd_sasl_type => 'postrider',
	smtpd_sasl_auth_enable => 'yes', smtpd_tls_auth_only => 'yes',
	smtpd_relay_restrictions =>
	    'permit_sasl_authenticated, reject_unauth_destination',
	smtpd_sasl_scram_iterations => 4096,
    }, master => <<"END");
127.0.0.1:$submissions inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_tls_received_header=yes
END
my $ca = Postrider::CA->new($sut->etc . '/ca');
$sut->set(smtpd_tls_chain_files => $ca->issue(name => 'sut.test')->{all});
spew($sut->etc . '/users', "user $pencil\n");
is(($sut->run("good\n", bin() . '/postrider-user', '-c', $sut->etc, 'add',
    'alice', '-'))[0], 0, 'alice has a password');
$sut->start;

sub encode { return encode_base64($_[0], '') }
sub decode { return decode_base64($_[0] =~ /^334 (\S*)/ ? $1 : die $_[0]) }

# A session in TLS; which version, and the reply to EHLO.
sub session
{
	my ($version) = @_;
	my $c = $sut->stranger;

	return ($c, $c->starttls(SSL_version => $version // 'TLSv1_3'));
}

# Bytes that both ends of the TLS session know.
sub exporter
{
	my ($c) = @_;

	return Net::SSLeay::export_keying_material(
	    $c->socket->_get_ssl_object, 32, 'EXPORTER-Channel-Binding', '');
}

# SHA-256 of the server's certificate.
sub end_point
{
	my ($c) = @_;
	my $cert = Net::SSLeay::get_peer_certificate(
	    $c->socket->_get_ssl_object);

	return pack 'H*', Net::SSLeay::X509_get_fingerprint($cert, 'sha256')
	    =~ s/://gr;
}

# The whole exchange: the last reply.
sub scram
{
	my ($c, $mechanism, $s) = @_;
	my $challenge = decode($c->command("AUTH $mechanism " .
	    encode($s->first)));
	my $last = $c->command(encode($s->final($challenge)));

	return $last if $last !~ /^334/;
	return 'the server is not who it says' if !$s->is_server(decode($last));
	return $c->command('');
}

# --- SCRAM ------------------------------------------------------------------

my ($c, $ehlo) = session();
like($ehlo, qr/^250.AUTH (?=.*\bSCRAM-SHA-256\b)(?=.*\bSCRAM-SHA-256-PLUS\b)/m,
    '5802-5-a SCRAM-SHA-256 is offered, and with channel binding');
my $s = Postrider::Scram->new(user => 'user', password => 'pencil',
    nonce => 'rOprNGfwEbeRWgbNEkqO');
like(decode($c->command('AUTH SCRAM-SHA-256 ' . encode($s->first))),
    qr/^r=rOprNGfwEbeRWgbNEkqO[\w+\/]{32},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096$/,
    '5802-5-a the challenge of RFC 7677');
$c->command('*', 501);
like(scram($c, 'SCRAM-SHA-256', Postrider::Scram->new(user => 'user',
    password => 'pencil')), qr/^235 2\.7\.0 /,
    '5802-5-a RFC 7677: user and pencil');
like(scram((session())[0], 'SCRAM-SHA-256', Postrider::Scram->new(
    user => 'user', password => 'pen')), qr/^535 5\.7\.8 /,
    '5802-5-a another password');

($c) = session();
like(scram($c, 'SCRAM-SHA-256-PLUS', Postrider::Scram->new(user => 'alice',
    password => 'good', binding => ['tls-exporter', exporter($c)])),
    qr/^235 /, '5802-5-a -PLUS with the exporter of RFC 9266');
($c) = session('TLSv1_2');
like(scram($c, 'SCRAM-SHA-256-PLUS', Postrider::Scram->new(user => 'alice',
    password => 'good', binding => ['tls-server-end-point', end_point($c)])),
    qr/^235 /, '5802-5-a -PLUS with the end point of TLS 1.2');
my ($other) = session();
($c) = session();
like(scram($c, 'SCRAM-SHA-256-PLUS', Postrider::Scram->new(user => 'alice',
    password => 'good', binding => ['tls-exporter', exporter($other)])),
    qr/^535 5\.7\.8 /, '5802-5-a the binding of another channel');
($c) = session();
unlike($c->command('AUTH SCRAM-SHA-256 ' . encode(Postrider::Scram->new(
    user => 'alice', password => 'good', header => 'y,,')->first)),
    qr/^334/, '5802-5-a a client from whom -PLUS was hidden');

# --- PLAIN ------------------------------------------------------------------

sub plain { return ((session())[0])->command('AUTH PLAIN ' . encode($_[0])) }

like(plain("\0alice\0good"), qr/^235 2\.7\.0 /, '4616-2-a name and password');
like(plain("alice\0alice\0good"), qr/^235 /, '4616-2-a as oneself');
like(plain($_->[0]), qr/^5(?:35|01) /, "4616-2-a $_->[1]") for
    ["alice\0good", 'one NUL'], ["\0alice\0good\0", 'three of them'],
    ["\0\0good", 'no name'], ["\0alice\0", 'no password'],
    ["user\0alice\0good", 'as somebody else'],
    ["\0al\xffce\0good", 'a name that is not UTF-8'];

# --- others' programs, and changes ------------------------------------------

my ($status, $out) = $sut->run("Subject: by msmtp\n\nx\n", 'msmtp',
    '--host=127.0.0.1', "--port=$submissions", '--tls=on',
    '--tls-starttls=off', '--tls-certcheck=off', '--auth=scram-sha-256',
    '--user=alice', '--passwordeval=echo good', '--from=alice@local.test',
    'far@remote.test');
is($status, 0, '5802-5-a msmtp logs in by SCRAM-SHA-256') or diag $out;
like(($sut->wait_remote(qr/^Subject: by msmtp/m))[0]{data},
    qr/with ESMTPSA /, 'and its mail is relayed');

is(($sut->run("better\n", bin() . '/postrider', '-c', $sut->etc, 'user',
    'password', 'alice', '-'))[0], 0, 'alice changes her password');
ok(wait_for(sub { plain("\0alice\0better") =~ /^235 / }, 30,
    'the new password'), 'which counts soon');
like(plain("\0alice\0good"), qr/^535 /, 'unlike the old one');
is(($sut->run('', bin() . '/postrider', '-c', $sut->etc, 'user', 'list'))[1],
    "user\nalice\n", 'postrider user list');
$sut->stop;
done_testing();
