# 4954.t - RFC 4954: AUTH, as a server. The client's rows are in t/smtp.
use strict;
use warnings;
use MIME::Base64;
use Test::More;
use Postrider qw(free_port wait_for);
use Postrider::AuthServer;
use Postrider::CA;
use Postrider::Fixture;

my ($clear, $strict, $weak, $all, $submission) = map { free_port() } 1 .. 5;
my $sut = Postrider::Fixture->new(settings => {
	smtpd_sasl_type => 'dovecot',
	smtpd_relay_restrictions => 'permit_mynetworks, ' .
	    'permit_sasl_authenticated, reject_unauth_destination',
	smtpd_sasl_authenticated_header => 'yes',
	smtpd_client_auth_rate_limit => 0,
    }, master => <<"END");
127.0.0.1:$clear inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
127.0.0.1:$strict inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes -o smtpd_tls_security_level=may
  -o smtpd_tls_received_header=yes
127.0.0.1:$weak inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_security_options=noanonymous,noplaintext
127.0.0.1:$all inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_security_options= -o smtpd_sasl_mechanism_filter=static:rest
  -o broken_sasl_auth_clients=yes
127.0.0.1:$submission inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_hard_error_limit=1
END
my $auth = Postrider::AuthServer->new($sut->dir . '/auth',
    users => { alice => 'good', 'bob@local.test' => 'secret' });
my $mx = Postrider::CA->new($sut->etc . '/ca')->issue(name => 'sut.test');
$sut->set(smtpd_sasl_path => $sut->dir . '/auth',
    smtpd_tls_chain_files => $mx->{all});
$sut->start;

sub plain { return encode_base64(join("\0", '', @_), '') }
my $good = plain('alice', 'good');
my $bad = plain('alice', 'wrong');

# --- what is offered ----------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/AUTH/,
	    '4954-3-a a service without AUTH does not announce it');
	like($c->command("AUTH PLAIN $good"), qr/^502 5\.5\.1 /,
	    '4954-3-a and has no such command');

	$c = $sut->stranger(port => $clear, helo => undef);
	like($c->command("AUTH PLAIN $good"), qr/^503 5\.5\.1 /,
	    '4954-3-a nor is there AUTH before EHLO');
	like($c->command('EHLO c.test', 250),
	    qr/^250[- ]AUTH PLAIN LOGIN STEPS LAST$/m,
	    '4954-3-a EHLO lists what is allowed');

	$c = $sut->stranger(port => $strict, helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/AUTH/,
	    '4954-3-a before TLS there is none');
	like($c->starttls, qr/^250[- ]AUTH PLAIN LOGIN/m,
	    '4954-3-a after STARTTLS there is');
	like($c->command("AUTH PLAIN $good"), qr/^235 2\.7\.0 /,
	    '4954-4-l PLAIN works over TLS');
	$c->command('QUIT', 221);
}
{
	my $c = $sut->stranger(port => $strict);
	for my $mechanism ("PLAIN $good", 'LOGIN', 'STEPS') {
		like($c->command("AUTH $mechanism"), qr/^538 5\.7\.11 /,
		    "4954-4-k smtpd_tls_auth_only: no $mechanism in clear");
	}
	$c = $sut->stranger(port => $weak, helo => undef);
	like($c->command('EHLO c.test'), qr/^250[- ]AUTH STEPS LAST$/m,
	    '4954-4-k noplaintext: PLAIN and LOGIN are not listed');
	like($c->command("AUTH PLAIN $good"), qr/^5(?:38 5\.7\.11|04 5\.5\.4) /,
	    '4954-4-k nor taken');
	unlike(join('|', $auth->heard), qr/PLAIN.*PLAIN/,
	    '4954-4-k nobody was asked about them');
	$c = $sut->stranger(port => $all, helo => undef);
	like($c->command('EHLO c.test'),
	    qr/^250-AUTH (PLAIN LOGIN EXTERNAL .*)\n250-AUTH=\1$/m,
	    '4954-3-a broken_sasl_auth_clients: twice');
}

# --- the command --------------------------------------------------------------

{
	my $c = $sut->stranger(port => $clear);
	like($c->command("auth plain $good"), qr/^235 2\.7\.0 /,
	    '4954-4-i good credentials; case does not count');
	like($c->command("AUTH PLAIN $good"), qr/^503 5\.5\.1 /,
	    '4954-4-a a second time');
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250 /,
	    '4954-4-j there is no security layer: EHLO still counts');
	$c->command('QUIT', 221);

	$c = $sut->stranger(port => $clear);
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command("AUTH PLAIN $good"), qr/^503 5\.5\.1 /,
	    '4954-4-b within a transaction');
	$c->command('RSET', 250);
	like($c->command('AUTH FOO'), qr/^504 5\.5\.4 /,
	    '4954-4-c an unknown mechanism');
	like($c->command('AUTH ' . 'X' x 400), qr/^504 5\.5\.4 /,
	    '4954-4-c a long one');
	like($c->command('AUTH'), qr/^501 5\.5\.4 /, '4954-4-c none');
	like($c->command("AUTH PLAIN $good x"), qr/^501 5\.5\.4 /,
	    '4954-4-c one word too many');
	for my $text ('=AAA', 'AAA=BBB', 'A!!!', 'AAA', 'AAAA=', '====',
	    'AGFsaWNl-_==', 'QQ==QQ==', '=x') {
		like($c->command("AUTH PLAIN $text"), qr/^501 5\.5\.2 /,
		    "4954-4-f initial response $text");
		$c->command('AUTH PLAIN', 334);
		like($c->command($text), qr/^501 5\.5\.2 /,
		    "4954-4-f response $text");
	}
	is($c->command('AUTH PLAIN'), '334 ', '4954-4-d an empty challenge');
	like($c->command('*'), qr/^501 5\.7\.0 /, '4954-4-e the client gives up');
	is($c->command('AUTH LOGIN'), '334 VXNlcm5hbWU6',
	    '4954-4-d base64, and nothing else');
	is($c->command(encode_base64('alice', '')), '334 UGFzc3dvcmQ6',
	    '4954-4-d again');
	like($c->command('*'), qr/^501 5\.7\.0 /, '4954-4-e here, too');
	like($c->command('NOOP'), qr/^250 /, '4954-4-e the session goes on');
	$c->command('AUTH LOGIN', 334);
	$c->command(encode_base64('bob@local.test', ''), 334);
	like($c->command(encode_base64('secret', '')), qr/^235 2\.7\.0 /,
	    '4954-4-i LOGIN');
	$c->command('QUIT', 221);

	$c = $sut->stranger(port => $all);
	like($c->command('AUTH EXTERNAL ='), qr/^235 2\.7\.0 /,
	    '4954-4-g "=" is an empty response');
	$c = $sut->stranger(port => $all);
	$c->command('AUTH EXTERNAL', 334);
	like($c->command(''), qr/^235 2\.7\.0 /,
	    '4954-4-g as is an empty line');
	$c = $sut->stranger(port => $clear);
	is($c->command('AUTH LAST AAAA'),
	    '334 ' . encode_base64('the end', ''),
	    '4954-4-d what the mechanism says last is a challenge');
	like($c->command(''), qr/^235 2\.7\.0 /, '4954-4-d answered by nothing');
}

# --- long lines ---------------------------------------------------------------

{
	my $c = $sut->stranger(port => $clear);
	like($c->command('AUTH STEPS ' . encode_base64('1', '')),
	    qr/^334 [A-Za-z0-9+\/]{1200}$/, '4954-4-h a long challenge');
	like($c->command('A' x 12288), qr/^235 /, '4954-4-h a long response');
	$c = $sut->stranger(port => $clear);
	like($c->command('AUTH PLAIN ' . 'A' x 12288), qr/^535 5\.7\.8 /,
	    '4954-4-h a long initial response');
	like($c->command('AUTH PLAIN ' . 'A' x 12292), qr/^500 5\.5\.6 /,
	    '4954-4-h one that is too long');
	like($c->command('AUTH PLAIN ' . 'A' x 70000), qr/^500 5\.5\.6 /,
	    '4954-4-h much too long');
	$c->command('AUTH PLAIN', 334);
	like($c->command('A' x 70000), qr/^500 5\.5\.6 /,
	    '4954-4-h a response of that kind');
	like($c->command('NOOP ' . 'x' x 3000), qr/^500 5\.5\.2 /,
	    '4954-4-h other commands are no longer than before');
	like($c->command("AUTH PLAIN $good"), qr/^235 /,
	    '4954-4-h the session goes on');
}

# --- success and failure --------------------------------------------------------

{
	my $c = $sut->stranger(port => $submission);
	like($c->command("AUTH PLAIN $bad"), qr/^535 5\.7\.8 /,
	    '4954-4-i a wrong password');
	like($c->command('AUTH PLAIN ' . plain('nobody', 'x')),
	    qr/^535 5\.7\.8 /, '4954-9-a a second failure');
	like($c->command("AUTH PLAIN $bad"), qr/^535 5\.7\.8 /,
	    '4954-9-a a third, whatever smtpd_hard_error_limit is');
	like($c->reply, qr/^421 4\.7\.0 /, '4954-9-a and that is enough');
	ok($c->is_closed, '4954-9-a it is the end');
	ok($sut->wait_log(qr/warning: unknown\[127\.0\.0\.2\]: SASL PLAIN authentication failed: [^,]*, sasl_username=nobody$/m),
	    '4954-9-a the log tells of it');
	ok($sut->wait_log(qr/disconnect from unknown\[127\.0\.0\.2\] ehlo=1 auth=0\/3 commands=1\/4/),
	    '4954-9-a and how often');

	$c = $sut->stranger(port => $submission);
	like($c->command('MAIL FROM:<alice@local.test>'),
	    qr/^530 5\.7\.0 Authentication required/,
	    '4954-6-a where all have to log in');
	$auth->stop;
	$c = $sut->stranger(port => $clear);
	like($c->command("AUTH PLAIN $good"), qr/^454 4\.7\.0 /,
	    '4954-6-a nobody to ask');
	$auth->start;
	# Each process finds its way back by itself.
	my $seen = 0;
	wait_for(sub {
		for (1 .. 8) {
			my $s = $sut->stranger(port => $clear, helo => undef);
			$seen = $s->command('EHLO c.test') =~ /AUTH/ ?
			    $seen + 1 : 0;
		}
		$seen >= 8 }, 20, 'AUTH again');
	$seen = 0;
	wait_for(sub {
		for (1 .. 8) {
			my $s = $sut->stranger(port => $strict);
			$s->starttls;
			$seen = $s->command('EHLO c.test') =~ /AUTH/ ?
			    $seen + 1 : 0;
		}
		$seen >= 8 }, 20, 'AUTH again in TLS');
}
like($sut->stranger(port => $clear)->command('AUTH PLAIN ' .
    plain('temp', 'x')), qr/^454 4\.7\.0 /,
    '4954-6-a who is asked cannot tell now');

# --- what becomes of mail -------------------------------------------------------

{
	my $c = $sut->stranger(port => $clear);
	for my $value ('<>', 'u+2Bx@b.test', 'u@b.test') {
		like($c->command("MAIL FROM:<a\@b.test> AUTH=$value"),
		    qr/^250 /, "4954-5-a AUTH=$value of anybody");
		$c->command('RSET', 250);
	}
	for my $value ('u x', 'u', 'u+2', 'a@b@', 'a+0Ab@c.test', '<a@b.test>',
	    '') {
		like($c->command("MAIL FROM:<a\@b.test> AUTH=$value"),
		    qr/^501 /, "4954-5-a AUTH=$value is none");
		$c->command('RSET', 250);
	}
	my $subject = $sut->subject;
	$sut->take($c, from => 'a@b.test', to => ['alice@local.test'],
	    mail => ' AUTH=boss@x.test', text => "Subject: $subject\n\nx\n");
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	unlike($m . $sut->log, qr/boss\@x\.test/,
	    '4954-5-b what an unknown client says of its author is dropped');

	$c->command("AUTH PLAIN $good", 235);
	$subject = $sut->subject;
	my $id = $sut->take($c, from => 'a@b.test', to => ['far@remote.test'],
	    mail => ' AUTH=boss@x.test', text => "Subject: $subject\n\nx\n");
	($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	unlike($m->{data}, qr/boss\@x\.test/,
	    '4954-5-b and nobody hears of it from us');
	ok($sut->wait_log(qr/ $id: client=unknown\[127\.0\.0\.2\], sasl_method=PLAIN, sasl_username=alice, sasl_sender=boss\@x\.test$/m),
	    '4954-5-b but for the log, of who has logged in');
	like($m->{data}, qr/^Received: from c\.test \(unknown \[127\.0\.0\.2\]\)\r\n\t\(Authenticated sender: alice\)\r\n\tby sut\.test \(\S+\) with ESMTPA id/m,
	    '4954-7-a ESMTPA, and who');

	$c = $sut->stranger(port => $strict);
	$c->starttls;
	$c->command("AUTH PLAIN $good", 235);
	$subject = $sut->subject;
	$sut->take($c, from => 'a@b.test', to => ['far@remote.test'],
	    text => "Subject: $subject\n\nx\n");
	($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	like($m->{data}, qr/\r\n\t\(Authenticated sender: alice\)\r\n\tby sut\.test \(\S+\) with ESMTPSA id/m,
	    '4954-7-a ESMTPSA under TLS');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
