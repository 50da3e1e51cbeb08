# 8314.t - RFC 8314: TLS for users' mail, on a submission server.
use strict;
use warnings;
use Test::More;
use IO::Socket::SSL;
use MIME::Base64;
use Postrider qw(free_port slurp spew wait_for);
use Postrider::AuthServer;
use Postrider::CA;
use Postrider::Fixture;

my %port = map { $_ => free_port() } qw(submissions submission none nones);
my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtpd_tls_received_header => 'yes',
	smtpd_sasl_type => 'dovecot',
	tls_server_sni_maps => 'texthash:${config_directory}/sni' },
    master => "127.0.0.1:$port{submissions} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes\n" .
    "127.0.0.1:$port{submission} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes\n" .
    "127.0.0.1:$port{none} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_chain_files=\n" .
    "127.0.0.1:$port{nones} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_chain_files= -o smtpd_tls_wrappermode=yes\n");
my $ca = Postrider::CA->new($sut->etc . '/ca');
my $mx = $ca->issue(name => 'sut.test');
my $second = $ca->issue(name => 'mail.second.test');
spew($sut->etc . '/sni', "mail.second.test $second->{all}\n");
my $auth = Postrider::AuthServer->new($sut->dir . '/auth',
    users => { alice => 'good' });
$sut->set(smtpd_tls_chain_files => $mx->{all},
    smtpd_sasl_path => $sut->dir . '/auth');
$sut->start;

# A friend inside TLS, where it begins at once or after STARTTLS.
sub client
{
	my ($name, %o) = @_;
	my $c = Postrider::Client->new($port{$name}, from => '127.0.0.1');

	if ($name eq 'submissions') {
		my $why = $c->encrypt(%o);
		die "TLS: $why" if defined $why;
		$c->expect(220);
		$c->command('EHLO c.test', 250);
	} else {
		$c->expect(220);
		$c->command('EHLO c.test', 250);
		$c->starttls(%o);
	}
	return $c;
}

# What s_client makes of a port; what it says, after QUIT.
sub s_client
{
	my ($name, @options) = @_;
	my @way = $name eq 'submissions' ? () : qw(-starttls smtp);

	local $ENV{OPENSSL_CONF} = '/dev/null';
	return scalar `(sleep 0.3; printf 'QUIT\\r\\n') | timeout 20 openssl s_client -ign_eof -connect 127.0.0.1:$port{$name} @way @options 2>&1`;
}

# --- 3.3, 3.4: ports ----------------------------------------------------------
{
	my $c = Postrider::Client->new($port{submissions});
	ok(!$c->has_input(0.5), '8314-3.3-a in clear there is no greeting');
	is($c->encrypt, undef, '8314-3.3-a TLS begins with the first byte');
	like($c->reply, qr/^220 /, '8314-3.3-a then comes 220');
	like(s_client('submissions', '-quiet'), qr/^220 .*^221 /ms,
	    '8314-3.3-a for openssl as well');
}
for my $name ('submissions', 'submission') {
	my $subject = $sut->subject;
	my $c = client($name);
	like($c->command('AUTH PLAIN ' . encode_base64("\0alice\0good", '')),
	    qr/^235 /, "8314-3.3-b with AUTH on $name");
	$sut->take($c, from => 'alice@local.test', to => ['bob@local.test'],
	    text => "Subject: $subject\n\nx\n");
	$c->command('QUIT', 221);
	my ($mail) = $sut->wait_mail('bob', qr/^Subject: $subject$/m);
	ok($mail, "8314-3.3-b submission works on $name");
	like($mail, qr/\n\s+tls TLS_AES_256_GCM_SHA384;/,
	    "8314-4.3-a Received: of $name has a tls clause");
}
{
	# s_client tells of each alert; a connection that only ends is another
	# thing to it.
	my $said = s_client('submissions', '-msg');
	like($said, qr/<<< TLS 1\.3, Alert \[length 0002\], warning close_notify/,
	    '8314-3.4-a close_notify comes before the end');
}

{
	my @said = map {
		my $c = $sut->stranger(port => $port{submission}, helo => undef);
		$c->command('EHLO c.test', 250) . "\n" . $c->command('AUTH PLAIN ' .
		    encode_base64("\0alice\0$_", ''));
	} 'good', 'wrong';
	is($said[0], $said[1],
	    '8314-4.1-a in clear a good password and a bad one hear the same');
	like($said[0], qr/^5[03]\d /m, '8314-4.1-a which is a refusal');
	unlike($said[0], qr/^250[- ]AUTH/m, '8314-4.1-a of what was not offered');
}

# --- 4: servers ---------------------------------------------------------------
for my $name ('submissions', 'submission') {
	my %old = map { $_ => s_client($name, "-$_", '-cipher',
	    'ALL:\@SECLEVEL=0') } qw(tls1 tls1_1);
	like($old{$_}, qr/alert protocol version|no protocols|New, \(NONE\)/,
	    "8314-4-a $name has no $_") for sort keys %old;
	like(s_client($name, '-tls1_2'), qr/New, TLSv1\.2/,
	    "8314-4-a $name has TLS 1.2");
	like(s_client($name, '-tls1_3'), qr/New, TLSv1\.3/,
	    "8314-4-a $name has TLS 1.3");
	unlike(s_client($name, '-msg', '-tls1_2'), qr/CertificateRequest/,
	    "8314-4.2-a $name does not ask for certificates");
	for (['sut.test', $mx], ['mail.second.test', $second]) {
		like(s_client($name, '-servername', $_->[0], '-CAfile',
		    $ca->file, '-verify_return_error', '-verify_hostname',
		    $_->[0]), qr/^Verification: OK/m,
		    "8314-4.4-a $name has a certificate for $_->[0]");
	}
}
{
	my $c = $sut->stranger(port => $port{none}, helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/STARTTLS/,
	    '8314-4-b without a certificate STARTTLS is not offered');
	ok($sut->wait_log(qr/STARTTLS is not offered: there is no certificate/),
	    '8314-4-b and the log says why');
	$c = Postrider::Client->new($port{nones});
	ok($c->is_closed, '8314-4-b nor does TLS begin at once');
	ok($sut->wait_log(qr/no TLS for .*: there is no certificate \(smtpd_tls_chain_files\)/),
	    '8314-4-b which is told, too');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
