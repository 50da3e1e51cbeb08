# xclient.t - a client that may do so becomes another one by XCLIENT, and is
# treated like that one.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	local_recipient_maps => '', mydestination => 'local.test',
	smtpd_peername_lookup => 'no', relayhost => '[127.0.0.1]:9',
	smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 1000,
	mynetworks => '127.0.0.0/8, 192.0.2.0/24',
	smtpd_authorized_xclient_hosts => '127.0.0.1, 198.51.100.7, good.test',
	smtpd_client_event_limit_exceptions => '',
	smtpd_client_connection_count_limit => 1,
	smtpd_relay_restrictions => 'permit_mynetworks, ' .
	    'permit_sasl_authenticated, reject_unauth_destination',
	defer_transports => 'smtp local', smtpd_processes => 1,
})->start;

sub session {
	my ($from) = @_;
	my $c = Postrider::Client->new($mail->port, from => $from);
	$c->expect(220);
	return $c;
}

# Who may not, hears of it nowhere.
{
	my $c = session('127.0.0.2');
	unlike($c->command('EHLO c.test', 250), qr/XCLIENT/,
	    'a stranger is not offered it');
	like($c->command('XCLIENT ADDR=192.0.2.1'), qr/^550 5\.7\.0/,
	    'and may not use it');
	$c->command('QUIT', 221);
}

# Syntax.
{
	my $c = session();
	like($c->command('EHLO c.test', 250), qr/^250-XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT$/m,
	    'EHLO tells the attributes');
	my @bad = (
		'' => 'Syntax: XCLIENT attribute=value...',
		'NAME' => 'Error: attribute=value expected',
		'NAME=' => 'Error: attribute=value expected',
		'=x' => 'Error: attribute=value expected',
		'FOO=bar' => 'Bad XCLIENT attribute name: FOO',
		'IDENT=x' => 'Bad XCLIENT attribute name: IDENT',
		'NAME=-bad' => 'Bad NAME syntax: -bad',
		'ADDR=1.2.3' => 'Bad ADDR syntax: 1.2.3',
		'ADDR=IPV6:1.2.3.4' => 'Bad ADDR syntax: IPV6:1.2.3.4',
		'ADDR=1.2.3.4%1' => 'Bad ADDR syntax: 1.2.3.4%1',
		'ADDR=+ZZ' => 'Bad ADDR syntax: +ZZ',
		'PORT=x' => 'Bad PORT syntax: x',
		'PORT=65536' => 'Bad PORT syntax: 65536',
		'PROTO=LMTP' => 'Bad PROTO syntax: LMTP',
		'HELO=a+0Db' => 'Bad HELO syntax: a+0Db',
		'DESTADDR=x' => 'Bad DESTADDR syntax: x',
		'LOGIN=' . 'x' x 300 => 'Bad LOGIN syntax: ' . 'x' x 100,
	);
	while (my ($args, $why) = splice @bad, 0, 2) {
		is($c->command("XCLIENT $args"), "501 5.5.4 $why", $why);
	}
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('XCLIENT ADDR=192.0.2.1'), qr/^503 5\.5\.1/,
	    'not within a transaction');
	$c->command('QUIT', 221);
}

# The session begins anew, as somebody else's.
{
	my $c = session();
	$c->command('EHLO before.test', 250);
	like($c->command('XCLIENT ADDR=203.0.113.9 NAME=mx.far.test PORT=99 ' .
	    'HELO=hello+2Btest PROTO=SMTP DESTADDR=192.0.2.9 DESTPORT=25'),
	    qr/^220 mail\.local\.test ESMTP/, 'XCLIENT is answered with 220');
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<x@far.test>'), qr/^554 5\.7\.1/,
	    'a stranger may not relay');
	ok($mail->wait_log(qr/NOQUEUE: reject: RCPT from mx\.far\.test\[203\.0\.113\.9\]: .* proto=SMTP helo=<hello\+test>/),
	    'the log has the new name, protocol and HELO');
	$c->script('RCPT TO:<r@local.test>' => 250, 'DATA' => 354);
	my ($id) = $c->data("Subject: x\n\ny\n") =~ /queued as (\w+)/;
	$mail->wait_log(qr/$id: client=mx\.far\.test\[203\.0\.113\.9\]\n/);
	my ($status, $text) = $mail->postrider('queue', 'cat', $id);
	like($text, qr/^Received: from .*\(mx\.far\.test \[203\.0\.113\.9\]\)/m,
	    'so has the header');
	like($text, qr/named_attribute: client_port=99$/m,
	    'and the queue file');
	like($c->command('XCLIENT ADDR=192.0.2.1'), qr/^550 5\.7\.0/,
	    'who became a stranger can become nobody else');
	unlike($c->command('EHLO after.test', 250), qr/XCLIENT/,
	    'and is not offered it any more');
	like($c->command('MAIL FROM:<a@b.test> SIZE=1'), qr/^250/,
	    'EHLO replaces what XCLIENT said of it');
	$c->command('QUIT', 221);
	ok($mail->wait_log(qr/disconnect from mx\.far\.test\[203\.0\.113\.9\] ehlo=2 xclient=1\/2 /),
	    'the counters go on');
}

# Trust goes by the new address, and may come back.
{
	my $c = session();
	$c->command('XCLIENT ADDR=198.51.100.7', 220);
	$c->script('EHLO a.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<x@far.test>' => 554, 'RSET' => 250);
	$c->command('XCLIENT ADDR=192.0.2.5 NAME=good.test', 220);
	$c->script('EHLO a.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<x@far.test>' => 250, 'RSET' => 250);
	$c->command('XCLIENT ADDR=[UNAVAILABLE] NAME=good.test', 220);
	$c->script('EHLO a.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<x@far.test>' => 554, 'RSET' => 250);
	ok($mail->wait_log(qr/reject: RCPT from good\.test\[unknown\]/),
	    'an address that is not known is trusted by nobody');
	$c->command('XCLIENT LOGIN=joe+40local.test', 220);
	$c->script('EHLO a.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<x@far.test>' => 250, 'DATA' => 354);
	my ($id) = $c->data("Subject: x\n\ny\n") =~ /queued as (\w+)/;
	ok($mail->wait_log(qr/$id: client=good\.test\[unknown\], sasl_username=joe\@local\.test\n/),
	    'LOGIN is a login');
	$c->command('XCLIENT NAME=[TEMPUNAVAIL]', 220);
	like($c->command('XCLIENT NAME=x.test'), qr/^550/,
	    'a name that is gone gives no rights');
	$c->command('QUIT', 221);
	ok($mail->wait_log(qr/disconnect from unknown\[unknown\]/),
	    'it is unknown');
}

# IPv6, and a new address has no old name.
{
	my $c = session();
	$c->command('XCLIENT NAME=good.test ADDR=IPV6:2001:DB8::1', 220);
	$c->command('XCLIENT ADDR=2001:db8::2', 220);
	$c->command('QUIT', 221);
	ok($mail->wait_log(qr/disconnect from unknown\[2001:db8::2\]/),
	    'an address without a name has none');
}

# Connections are counted for who is meant.
{
	my @held = map { my $c = session();
	    $c->command("XCLIENT ADDR=203.0.113.$_", 220); $c } 1 .. 3;
	my $c = session();
	like($c->command('XCLIENT ADDR=203.0.113.2'),
	    qr/^421 4\.7\.0 .* too many connections from 203\.0\.113\.2/,
	    'XCLIENT counts a connection of the client');
	ok($c->is_closed, 'one too many is the end');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
