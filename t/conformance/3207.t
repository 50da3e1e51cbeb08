# 3207.t - RFC 3207: a server's STARTTLS, and what RFC 3848 calls it.
# What clients do is in 3207-client.t.
use strict;
use warnings;
use Test::More;
use IO::Socket::SSL;
use Postrider qw(free_port wait_for);
use Postrider::CA;
use Postrider::Fixture;

my %port = map { $_ => free_port() } qw(must need without);
my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtpd_tls_received_header => 'yes',
	smtpd_tls_CAfile => '${config_directory}/ca/ca.pem',
	smtpd_authorized_xclient_hosts => '127.0.0.9' },
    master => "127.0.0.1:$port{must} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_security_level=encrypt\n" .
    "127.0.0.1:$port{need} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_security_level=encrypt -o smtpd_tls_req_ccert=yes\n" .
    "127.0.0.1:$port{without} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_chain_files=\n");
my $ca = Postrider::CA->new($sut->etc . '/ca');
my $mx = $ca->issue(name => 'sut.test');
my $client = $ca->issue(name => 'client.test', client => 1);
$sut->set(smtpd_tls_chain_files => $mx->{all});
$sut->start;

# --- 4: the command -----------------------------------------------------------
{
	my $c = $sut->stranger;
	like($c->command('STARTTLS x'), qr/^501 5\.5\.4 /,
	    '3207-4-a an argument hears 501');
	like($c->command('STARTTLS'), qr/^220 /, '3207-4-a no argument 220');
	is($c->encrypt, undef, '3207-4-a and then the handshake is done');

	$c = $sut->stranger(port => $port{without}, helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/STARTTLS/,
	    '3207-4-a without a certificate it is not offered');
	like($c->command('STARTTLS'), qr/^454 4\.7\.0 /,
	    '3207-4-a and hears 454');
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250 /,
	    '3207-4-a which leaves the session as it was');
}
{
	my $subject = $sut->post('alice@local.test');
	ok($sut->wait_mail('alice', qr/^Subject: $subject$/m),
	    '3207-4-b mail in clear is taken and delivered');
}
{
	my $c = $sut->stranger(port => $port{must}, helo => undef);
	like($c->command('EHLO c.test'), qr/^250-.*^250-STARTTLS$/ms,
	    '3207-4-c where TLS is required EHLO is answered');
	like($c->command($_), qr/^530 5\.7\.0 /, "3207-4-c $_ hears 530")
	    for 'MAIL FROM:<s@remote.test>', 'RCPT TO:<alice@local.test>',
	    'DATA', 'RSET', 'VRFY alice', 'HELP', 'HELO c.test',
	    'ETRN local.test', 'EXPN list', 'AUTH PLAIN AGEAYg==';
	like($c->command('NOOP'), qr/^250 /, '3207-4-c NOOP works');
	like($c->command('QUIT'), qr/^221 /, '3207-4-c QUIT works');
	$c = $sut->stranger(port => $port{must});
	$c->starttls;
	like($c->command('MAIL FROM:<s@remote.test>'), qr/^250 /,
	    '3207-6-a a server that requires TLS takes mail with it');
	unlike($sut->stranger(port => $port{must})
	    ->command('MAIL FROM:<s@remote.test>'), qr/^2/,
	    '3207-6-a and none without');
}

# --- 4.1: after the handshake -------------------------------------------------
{
	my $c = $sut->stranger(port => $port{need});
	$c->command('STARTTLS', 220);
	$c->encrypt;
	like($c->command('EHLO c.test'), qr/^554 /,
	    '3207-4.1-a a server that is not satisfied says so at once');
	like($c->command($_), qr/^554 /, "3207-4.1-b $_ hears 554")
	    for 'MAIL FROM:<s@remote.test>', 'NOOP', 'STARTTLS', 'HELP',
	    'XYZ';
	like($c->command('QUIT'), qr/^221 /, '3207-4.1-b QUIT does not');
	$c = $sut->stranger(port => $port{need});
	$c->command('STARTTLS', 220);
	$c->encrypt(SSL_cert_file => $client->{chain},
	    SSL_key_file => $client->{key}, SSL_use_cert => 1);
	like($c->command('EHLO c.test'), qr/^250/,
	    '3207-4.1-a and one that is goes on');
}

# --- 4.2: what TLS makes forgotten --------------------------------------------
{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	$c->command('STARTTLS', 220);
	$c->encrypt;
	like($c->command('RCPT TO:<alice@local.test>'), qr/^503 /,
	    '3207-4.2-a the transaction is forgotten');
	like($c->command('MAIL FROM:<s@remote.test>'), qr/^503 /,
	    '3207-4.2-a the name is, too');
	unlike($c->command('EHLO c.test', 250), qr/STARTTLS/,
	    '3207-4.2-e STARTTLS is not listed inside TLS');
	like($c->command('STARTTLS'), qr/^(?:503|554) 5\.5\.1 /,
	    '3207-4.2-e and not done a second time');

	$c = Postrider::Client->new($sut->port, from => '127.0.0.9');
	$c->expect(220);
	$c->command('EHLO proxy.test', 250);
	$c->command('XCLIENT LOGIN=joe', 220);
	$c->command('EHLO c.test', 250);
	$c->starttls;
	my $subject = $sut->subject;
	$sut->take($c, from => 's@remote.test', to => ['bob@local.test'],
	    text => "Subject: $subject\n\nx\n");
	my ($mail) = $sut->wait_mail('bob', qr/^Subject: $subject$/m);
	unlike($mail, qr/with ESMTPS?A /,
	    '3207-4.2-a and so is who was logged in');
}
{
	my $c = $sut->stranger;
	$c->raw("STARTTLS\r\nRSET\r\n");
	my $heard = $c->reply;
	if ($heard =~ /^220/) {
		is($c->encrypt, undef, '3207-4.2-b TLS begins');
		ok(!$c->has_input(0.5),
		    '3207-4.2-b nothing sent in clear is answered inside it');
	} else {
		like($heard, qr/^[45]/,
		    '3207-4.2-b what comes with STARTTLS is refused');
		ok($c->is_closed, '3207-4.2-b and never run');
	}
}

# --- RFC 3848 -----------------------------------------------------------------
{
	my %c = (ESMTPS => $sut->stranger);
	$c{ESMTPS}->starttls;
	$c{ESMTP} = $sut->stranger;
	$c{ESMTPSA} = Postrider::Client->new($sut->port, from => '127.0.0.9');
	$c{ESMTPSA}->expect(220);
	$c{ESMTPSA}->command('EHLO proxy.test', 250);
	$c{ESMTPSA}->starttls;
	$c{ESMTPSA}->command('XCLIENT LOGIN=joe', 220);
	$c{ESMTPSA}->command('EHLO c.test', 250);
	for my $with (sort keys %c) {
		my $subject = $sut->subject;
		$sut->take($c{$with}, from => 's@remote.test',
		    to => ['bob@local.test'],
		    text => "Subject: $subject\n\nx\n");
		my ($mail) = $sut->wait_mail('bob', qr/^Subject: $subject$/m);
		like($mail, qr/\swith $with id /, "3848-1-a $with");
		like($mail, qr/TLSv1\.[23] with cipher \w+/,
		    "3848-1-a $with tells version and cipher")
		    if $with ne 'ESMTP';
	}
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
