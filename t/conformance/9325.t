# 9325.t - RFC 9325: how TLS is to be used, by a server.
use strict;
use warnings;
use Test::More;
use Postrider qw(free_port spew wait_for);
use Postrider::CA;
use Postrider::Fixture;

my %port = map { $_ => free_port() } qw(smtps submission old);
my $sut = Postrider::Fixture->new(clock => 1, settings => {
	smtpd_tls_security_level => 'may',
	smtpd_tls_session_cache_timeout => '600s',
	tls_server_sni_maps => 'texthash:${config_directory}/sni' },
    master => "127.0.0.1:$port{smtps} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_wrappermode=yes\n" .
    "127.0.0.1:$port{submission} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_security_level=encrypt\n" .
    "127.0.0.1:$port{old} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_protocols=>=TLSv1\n");
$port{smtp} = $sut->port;
my $ca = Postrider::CA->new($sut->etc . '/ca');
my $mx = $ca->issue(name => 'sut.test');
my $rsa = $ca->issue(name => 'sut.test', key => 'rsa');
my $second = $ca->issue(name => 'mail.second.test');
spew($sut->etc . '/sni', "mail.second.test $second->{all}\n");
$sut->set(smtpd_tls_chain_files => "$mx->{all}, $rsa->{all}");
$sut->start;

# What s_client makes of a port. It is told of by its last words.
my $session = $sut->etc . '/session';
sub s_client
{
	my ($name, @options) = @_;
	my @way = $name eq 'smtps' ? () : qw(-starttls smtp);

	local $ENV{OPENSSL_CONF} = '/dev/null';
	return scalar `(sleep 0.2; printf 'QUIT\\r\\n') | timeout 20 openssl s_client -ign_eof -connect 127.0.0.1:$port{$name} @way @options 2>&1`;
}

for my $name (qw(smtp smtps submission)) {
	like(s_client($name, "-$_", '-cipher', 'ALL:\@SECLEVEL=0'),
	    qr/alert protocol version/, "9325-3.1.1-a $name has no $_")
	    for qw(tls1 tls1_1);
	like(s_client($name), qr/New, TLSv1\.3/,
	    "9325-3.1.1-b $name has TLS 1.3, and prefers it");
	my $old = s_client($name, '-tls1_2');
	like($old, qr/New, TLSv1\.2/, "9325-3.1.1-b $name has TLS 1.2");
	like($old, qr/Cipher is ECDHE-/,
	    "9325-4.1-b $name prefers forward secrecy");
	like(s_client($name, '-tls1_2', '-cipher', "AES256-SHA:$_"),
	    qr/Cipher is ECDHE-/, "9325-4.1-b to a client that does not: $_")
	    for 'ECDHE-RSA-AES128-GCM-SHA256';
	like($old, qr/^Compression: NONE/m, "9325-3.3-a $name: no compression");
	like($old, qr/Secure Renegotiation IS supported/,
	    "9325-3.3-a $name: RFC 5746");
	like(s_client($name, '-servername', $_->[0], '-CAfile', $ca->file,
	    '-verify_return_error', '-verify_hostname', $_->[0]),
	    qr/^Verification: OK/m, "9325-3.7-a $name: the name $_->[0]")
	    for ['sut.test'], ['mail.second.test'];
}
# By hand, since openssl has forgotten most of them.
{
	my %weak = ('NULL' => [1, 2, 0x3b, 0xc006, 0xc010],
	    'anonymous' => [0x34, 0x3a, 0x6c, 0xa6, 0xc018, 0xc019],
	    'EXPORT' => [3, 6, 8, 0x14], 'RC4' => [4, 5, 0xc007, 0xc011],
	    'DES' => [9, 0x15], '3DES' => [10, 0x16, 0xc008, 0xc012]);
	my $answer = sub {
		return Postrider::Client->new($port{smtps})->hello(
		    ciphers => $_[0]);
	};

	is($answer->([0xc02b]), 22, '9325-4.1-a a strong cipher is taken');
	is($answer->($weak{$_}), 21, "9325-4.1-a no $_ ever is")
	    for sort keys %weak;
}
like(s_client('old', '-tls1_1', '-cipher', 'ALL:\@SECLEVEL=0'),
    qr/New, TLSv1\.1|New, SSLv3|Protocol\s*: TLSv1\.1/,
    '9325-3.1.1-a unless smtpd_tls_protocols asks for it');
{
	# A client that asks to renegotiate is refused, or sent away.
	local $ENV{OPENSSL_CONF} = '/dev/null';
	my $said = `(sleep 0.3; echo R; sleep 0.7; printf 'QUIT\\r\\n') | timeout 20 openssl s_client -connect 127.0.0.1:$port{smtps} -tls1_2 2>&1`;
	like($said, qr/RENEGOTIATING/, '9325-3.3-a a client renegotiates');
	like($said, qr/no renegotiation|unexpected eof/i,
	    '9325-3.3-a and is refused');
}
{
	my $c = $sut->stranger(port => $port{submission});
	like($c->command('MAIL FROM:<a@b.test>'), qr/^530 /,
	    '9325-3.2-a a port can be for TLS only');
	like(s_client('smtps', '-quiet'), qr/^220 /m,
	    '9325-3.2-a and one can begin with it');
}

# Tickets: resumed while they are good, and for as long as we said.
for my $version ('tls1_2', 'tls1_3') {
	s_client('smtp', "-$version", '-sess_out', $session);
	like(s_client('smtp', "-$version", '-sess_in', $session),
	    qr/^Reused, TLS/m, "9325-3.4-a $version: a ticket resumes");
	$sut->advance(400);
	like(s_client('smtp', "-$version", '-sess_in', $session),
	    qr/^Reused, TLS/m, "9325-3.4-a $version: while it is fresh");
	$sut->advance(900);
	like(s_client('smtp', "-$version", '-sess_in', $session),
	    qr/^New, TLS/m, "9325-3.4-a $version: and not afterwards");
	s_client('smtp', "-$version", '-sess_out', $session);
	like(s_client('smtp', "-$version", '-sess_in', $session),
	    qr/^Reused, TLS/m, "9325-3.4-a $version: another key is in use");
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
