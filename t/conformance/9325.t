# 9325.t - RFC 9325: how TLS is to be used, by a server.
use strict;
use warnings;
use Test::More;
use Postrider qw(free_port spew wait_for);
use Postrider::CA;
use Postrider::Fixture;

my %port = map { $_ => free_port() } qw(smtps submission);
my $sut = Postrider::Fixture->new(clock => 1, settings => {
	smtpd_tls_security_level => 'may',
	smtpd_tls_session_cache_timeout => '600s',
	tls_server_sni_maps => 'texthash:${config_directory}/sni' },
    master => "127.0.0.1:$port{smtps} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_wrappermode=yes\n" .
    "127.0.0.1:$port{submission} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_security_level=encrypt\n");
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

for my $name (sort keys %port) {
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
	like(s_client($name, '-tls1_2', '-cipher', "'$_:\@SECLEVEL=0'"),
	    qr/handshake failure|no ciphers|no cipher match/i,
	    "9325-4.1-a $name: no $_")
	    for qw(NULL aNULL EXPORT RC4 MD5 3DES);
	like(s_client($name, '-servername', $_->[0], '-CAfile', $ca->file,
	    '-verify_return_error', '-verify_hostname', $_->[0]),
	    qr/^Verification: OK/m, "9325-3.7-a $name: the name $_->[0]")
	    for ['sut.test'], ['mail.second.test'];
}
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
