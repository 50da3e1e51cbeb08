# logging.t - what the log shows of clients, and when restrictions are asked.
use strict;
use warnings;

use IO::Socket::UNIX;
use Postrider qw(free_port is_root need_root slurp spew wait_for);
use Socket qw(SOCK_DGRAM);
use Test::More;

my @door = map { free_port() } 1 .. 6;
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	mynetworks => '127.0.0.1/32', notify_classes => '',
	smtpd_relay_restrictions => 'permit_mynetworks, ' .
	    'reject_unauth_destination',
	debug_peer_list => '127.0.0.6/32, debugged.test' },
    master => <<"END");
127.0.0.1:$door[0] inet n - n - - smtpd -o smtpd_client_port_logging=yes
127.0.0.1:$door[1] inet n - n - - smtpd -o smtpd_delay_reject=no
    -o { smtpd_client_restrictions = permit_mynetworks, reject }
127.0.0.1:$door[2] inet n - n - - smtpd -o smtpd_delay_reject=no
    -o { smtpd_helo_restrictions = permit_mynetworks, defer }
127.0.0.1:$door[3] inet n - n - - smtpd -o smtpd_delay_reject=no
    -o { smtpd_sender_restrictions = permit_mynetworks, reject }
127.0.0.1:$door[4] inet n - n - - smtpd
    -o { smtpd_client_restrictions = permit_mynetworks, permit }
    -o { smtpd_helo_restrictions = permit_mynetworks, reject }
127.0.0.1:$door[5] inet n - n - - smtpd -o debug_peer_level=1
END
my $sink = $mail->sink;
spew($mail->etc . '/transport', 'far.test smtp:[127.0.0.1]:' . $sink->port .
    "\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport');
spew($mail->etc . '/checks', "/^X-Warn:/ WARN\n");
$mail->set(header_checks => 'regexp:' . $mail->etc . '/checks');
$mail->start;

sub client
{
	my ($from, $port) = @_;

	return Postrider::Client->new($port // $mail->port, from => $from);
}

# The part of the log about this address.
sub lines_of
{
	my ($from) = @_;

	return join '', grep { /\[\Q$from\E\]/ } split /^/, $mail->log;
}

subtest 'smtpd_client_port_logging' => sub {
	my $c = client('127.0.0.1', $door[0]);
	my $port = $c->socket->sockport;
	my $ident = qr/unknown\[127\.0\.0\.1\]:$port/;

	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<nobody@local.test>' => 250, DATA => 354);
	$c->data("X-Warn: 1\n\nx\n");
	$c->command('MAIL FROM:<a..b@c.test>', 501);
	$c->command('QUIT', 221);
	$mail->wait_log(qr/: connect from $ident$/m);
	$mail->wait_log(qr/: client=$ident$/m);
	$mail->wait_log(qr/: warning: header X-Warn: 1 from $ident; from=/);
	$mail->wait_log(qr/: disconnect from $ident ehlo=1/);
	pass('the port is in every line');
	is($mail->said(qr/\[127\.0\.0\.1\](?!:$port)/), 0, 'really');
	client('127.0.0.2')->expect(220);
	like($mail->wait_log(qr/connect from \S+2\]\S*$/m), qr/\[127\.0\.0\.2\]$/,
	    'and nowhere else');
};

subtest 'who brings a message is said before it begins' => sub {
	my $c = client('127.0.0.1', $door[0]);

	$c->expect(220);
	$c->command('EHLO c.test', 250);
	my @ids = map {
		$c->script('MAIL FROM:<a@b.test>' => 250,
		    'RCPT TO:<nobody@local.test>' => 250, DATA => 354);
		$c->data("Subject: x\n\nx\n") =~ /queued as (\w+)/;
	} 1 .. 20;
	for my $id (@ids) {
		$mail->wait_log(qr/ $id: removed/);
		like($mail->log, qr/smtpd\S+ $id: client=.*qmgr\S+ $id: from=/s,
		    "$id: client, then queue manager");
	}
	is($mail->said(qr/ $ids[0]: client=/), 1, 'and once');
};

subtest 'smtpd_delay_reject = no' => sub {
	my $c = client('127.0.0.3', $door[1]);
	$c->expect(qr/^554 5\.7\.1 <unknown\[127\.0\.0\.3\]>: Client host rejected: Access denied$/);
	like($c->command('EHLO c.test'), qr/^503 5\.7\.0 .*access denied/,
	    'nothing helps');
	like($c->command('MAIL FROM:<a@b.test>'), qr/^503 5\.7\.0 /);
	$c->command('QUIT', 221);
	$mail->wait_log(qr/NOQUEUE: reject: CONNECT from unknown\[127\.0\.0\.3\]: 554 5\.7\.1 <unknown\[127\.0\.0\.3\]>: Client host rejected: Access denied; proto=SMTP$/m);
	$c = client('127.0.0.1', $door[1]);
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<x@local.test>' => 250, QUIT => 221);
	pass('who is permitted is not stopped later either');

	$c = client('127.0.0.3', $door[2]);
	$c->expect(220);
	like($c->command('EHLO c.test'),
	    qr/^450 4\.7\.1 <c\.test>: Helo command rejected: Try again later$/,
	    'HELO is refused at HELO');
	$mail->wait_log(qr/NOQUEUE: reject: EHLO from unknown\[127\.0\.0\.3\]: 450 4\.7\.1 <c\.test>: Helo command rejected: Try again later; proto=SMTP helo=<c\.test>$/m);
	like($c->command('HELO c.test'), qr/^450 /, 'again');
	$c->script('MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<x@local.test>' => 250, QUIT => 221);

	$c = client('127.0.0.3', $door[3]);
	$c->expect(220);
	$c->command('EHLO c.test', 250);
	like($c->command('MAIL FROM:<a@b.test>'),
	    qr/^554 5\.7\.1 <a\@b\.test>: Sender address rejected: Access denied$/,
	    'MAIL is refused at MAIL');
	$mail->wait_log(qr/NOQUEUE: reject: MAIL from unknown\[127\.0\.0\.3\]: 554 5\.7\.1 <a\@b\.test>: Sender address rejected: Access denied; from=<a\@b\.test> proto=ESMTP helo=<c\.test>$/m);
	$c->command('RCPT TO:<x@local.test>', 503);
	$c->command('QUIT', 221);
};

subtest 'smtpd_delay_reject = yes' => sub {
	my $c = client('127.0.0.4', $door[4]);
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250);
	like($c->command('RCPT TO:<x@local.test>'),
	    qr/^554 5\.7\.1 <c\.test>: Helo command rejected: Access denied$/,
	    'all is refused at RCPT; a list that permits ends itself only');
	$mail->wait_log(qr/NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.4\]: 554 .*; from=<a\@b\.test> to=<x\@local\.test> proto=ESMTP helo=<c\.test>$/m);
	like($c->command('RSET'), qr/^250/);
	like($c->command('ETRN far.test'), qr/^554 .*Helo command rejected/,
	    'ETRN as well');
	$c->command('QUIT', 221);
	$c = client('127.0.0.4', $door[4]);
	$c->expect(220);
	$c->script('MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<x@local.test>' => 250, QUIT => 221);
	pass('without HELO there is nothing to be refused for');
};

subtest 'debug_peer_list' => sub {
	my $c = client('127.0.0.6');
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'AUTH PLAIN c2VjcmV0' => 502,
	    'MAIL FROM:<a@b.test>' => 250, 'RCPT TO:<x@far.test>' => 554,
	    'RCPT TO:<y@local.test>' => 250, DATA => 354);
	$c->data("Subject: private\n\nwords\n");
	$c->command('QUIT', 221);
	$mail->wait_log(qr/disconnect from unknown\[127\.0\.0\.6\]/);
	my $seen = lines_of('127.0.0.6');
	like($seen, qr/: > unknown\[127\.0\.0\.6\]: 220 mail\.local\.test/,
	    'what we say');
	like($seen, qr/: > \S+: 250-PIPELINING$/m, 'every line of it');
	like($seen, qr/: < \S+: MAIL FROM:<a\@b\.test>$/m, 'what he says');
	like($seen, qr/: < \S+: AUTH PLAIN$/m, 'but no password');
	unlike($seen, qr/c2VjcmV0/, 'really');
	unlike($mail->log, qr/words|private/, 'and not the message');
	like($seen, qr/: unknown\[127\.0\.0\.6\]: smtpd_relay_restrictions: reject_unauth_destination decides$/m,
	    'and what decided, at level 2');

	$c = client('127.0.0.6', $door[5]);
	$c->expect(220);
	$c->script('EHLO other.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<z@far.test>' => 554, 'QUIT' => 221);
	$mail->wait_log(qr/< \S+: RCPT TO:<z\@far\.test>$/m);
	is($mail->said(qr/\]: smtpd_relay_restrictions: /), 1,
	    'not at level 1');
	$mail->wait_log(qr/connect from unknown\[127\.0\.0\.4\]/);
	unlike(lines_of('127.0.0.4'), qr/: [<>] /, 'others are not looked at');
};

subtest 'debug_peer_list of smtp' => sub {
	$mail->send(from => 'a@b.test', to => ['first@far.test']);
	$mail->wait_log(qr/to=<first\@far\.test>.*status=sent/);
	is($mail->said(qr/ postrider\/smtp\[\d+\]: [<>] /), 0, 'not yet');
	$mail->set(debug_peer_list => '127.0.0.1');
	$mail->reload;
	wait_for(sub {
		$mail->send(from => 'a@b.test', to => ['again@far.test']);
		return $mail->said(qr/ postrider\/smtp\[\d+\]: > /);
	}, 20, 'the new settings');
	my $port = $sink->port;
	my $to = qr/ postrider\/smtp\[\d+\]: . 127\.0\.0\.1\[127\.0\.0\.1\]:$port/;
	$mail->wait_log(qr/$to: 220 sink\.test ESMTP$/m);
	$mail->wait_log(qr/$to: EHLO mail\.local\.test$/m);
	$mail->wait_log(qr/$to: RCPT TO:<again\@far\.test>/);
	$mail->wait_log(qr/smtp\[\d+\]: \S+:$port: may use PIPELINING 8BITMIME DSN SIZE$/m);
	pass('both sides, and what was decided');
};

subtest 'info_log_address_format' => sub {
	my $strange = '"two words"@far.test';

	$mail->send(from => $strange, to => ['"a b"@far.test']);
	$mail->wait_log(qr/from=<"two words"\@far\.test>, size=/);
	$mail->wait_log(qr/to=<"a b"\@far\.test>, relay=.*status=sent/);
	pass('external, when nothing is set');
	is($mail->said(qr/=<(?:two words|a b)\@/), 0, 'everywhere');
	$mail->set(info_log_address_format => 'internal');
	$mail->reload;
	wait_for(sub {
		$mail->send(from => $strange, to => ['"a b"@far.test']);
		return $mail->said(qr/from=<two words\@far\.test>, size=/) &&
		    $mail->said(qr/to=<a b\@far\.test>, relay=/);
	}, 20, 'the new settings');
	pass('internal, in qmgr and smtp');
	my ($m) = grep { $_->{from} =~ /words/ } reverse $sink->messages;
	like($m->{mail}, qr/MAIL FROM:<"two words"\@far\.test>/,
	    'what is sent has its quotes');
	$mail->set(info_log_address_format => 'inside');
	my ($status, $text) = $mail->postrider('reload');
	isnt($status, 0, 'another word is refused');
	like($text, qr/main\.cf:\d+: info_log_address_format = inside: expected external or internal/,
	    'and told');
	$mail->set(info_log_address_format => undef);
};

subtest 'delay_logging_resolution_limit' => sub {
	$mail->set(delay_logging_resolution_limit => 6);
	$mail->reload;
	wait_for(sub {
		$mail->send(from => 'a@b.test', to => ['third@far.test']);
		return $mail->said(qr/to=<third\@far\.test>.* delay=0\.\d{3,6}, /);
	}, 20, 'more digits');
	pass('six digits');
	$mail->set(delay_logging_resolution_limit => 7);
	my ($status, $text) = $mail->postrider('reload');
	like($text, qr/delay_logging_resolution_limit = 7/, 'no more');
	$mail->set(delay_logging_resolution_limit => undef);
};

# There is no postscreen, whose lines this parameter is about: nothing that is
# logged calls anything white or black, whatever it is set to.
subtest 'respectful_logging' => sub {
	my @bad;
	for my $file (glob '{master,smtpd,smtp,qmgr,cleanup,local,resolve}/*.c '
	    . 'common/*/*.c') {
		my $text = slurp($file) =~ s{/\*.*?\*/}{}gsr;
		push @bad, "$file: $1"
		    while $text =~ /("[^"\n]*(?:white|black)[_ ]?list[^"\n]*")/gi;
	}
	is("@bad", '', 'no such words');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
