# dsn.t - whom the queue manager tells of what (RFC 3461), from RCPT to the
# report in the sender's mailbox.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Test::More;

my $mail = Postrider->new(settings => {
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', default_destination_rate_delay => '0s',
	delay_warning_time => '2s', confirm_delay_cleared => 'yes',
	local_recipient_maps => '', smtpd_peername_lookup => 'no' });
my $user = $mail->user;
my $down = "$mail->{dir}/down";
my $replies = sub {
	my ($verb, $line) = @_;

	return undef if $verb ne 'RCPT';
	return '550 5.1.1 no such user' if $line =~ /nobody/;
	return '450 4.2.0 not now' if $line =~ /later/ && -e $down;
	return undef;
};
# far.test and the senders' back.test take DSN duties, old.test does not.
my $far = $mail->sink(replies => $replies);
my $old = $mail->sink(replies => $replies,
    extensions => [qw(PIPELINING 8BITMIME)]);

spew($mail->etc . '/transport', 'far.test smtp:[127.0.0.1]:' . $far->port .
    "\nback.test smtp:[127.0.0.1]:" . $far->port .
    "\nold.test smtp:[127.0.0.1]:" . $old->port . "\n");
spew($mail->etc . '/virtual', "team\@v.test $user\@local.test, x\@far.test\n" .
    "one\@v.test $user\@local.test\n");
spew($mail->etc . '/aliases', "postmaster root\nmany $user, y\@far.test\n" .
    "single $user\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport',
    virtual_alias_maps => 'texthash:' . $mail->etc . '/virtual',
    virtual_alias_domains => 'v.test');
$mail->start;

my $number = 0;

# Send to recipients with their parameters; (queue id, sender). The sender is
# unlike any other, so that his reports are known.
sub post
{
	my ($options, @to) = @_;
	my $from = 's' . ++$number . '@back.test';
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command("MAIL FROM:<$from> $options", 250);
	while (my ($to, $how) = splice @to, 0, 2) {
		$c->command("RCPT TO:<$to> $how", 250);
	}
	$c->command('DATA', 354);
	my $reply = $c->data("Subject: test\nMessage-ID: <m$number\@x.test>\n" .
	    "\nThe body.\n");
	$c->command('QUIT', 221);
	return ($reply =~ /queued as (\w+)/ ? $1 : die($reply), $from);
}

# What the sender has been sent.
sub reports
{
	my ($from) = @_;

	return map { $_->{data} } grep { $_->{rcpt}[0] eq $from }
	    $far->messages;
}

# The one report, when the message and it are gone.
sub report
{
	my ($id, $from) = @_;

	$mail->wait_log(qr/$id: removed/, 20);
	$mail->wait_empty;
	my @all = reports($from);
	is(scalar @all, 1, 'one report') or diag($mail->log);
	return $all[0] // '';
}

sub no_report
{
	my ($id, $from) = @_;

	$mail->wait_log(qr/$id: removed/, 20);
	$mail->wait_empty;
	is(scalar(reports($from)), 0, 'no report');
}

# The fields of a recipient, as they stand in the report.
sub part
{
	my ($text, $final) = @_;

	return $text =~ /^((?:\S+: .*\r\n|[ \t].*\r\n)*Final-Recipient: rfc822; \Q$final\E\r\n(?:\S+: .*\r\n|[ \t].*\r\n)*)/m ?
	    $1 : '';
}

subtest 'a delivery is told to who asks: delivered' => sub {
	my ($id, $from) = post('RET=HDRS ENVID=QQ+2B1', "$user\@local.test" =>
	    'NOTIFY=SUCCESS ORCPT=rfc822;Al+2Bx@first.test');
	my $text = report($id, $from);

	$mail->wait_log(qr/bounce\[\d+\]: $id: sender delivery status notification: \w+/);
	like($text, qr/^Subject: Successful Mail Delivery Report\r$/m);
	like($text, qr/^Original-Envelope-Id: QQ\+1\r$/m);
	like($text, qr/^Reporting-MTA: dns; mail\.local\.test\r$/m);
	like($text, qr/^Received-From-MTA: dns; client\.test \(\[127\.0\.0\.1\]\)\r$/m);
	like($text, qr/^X-Postrider-Queue-ID: $id\r$/m);
	my $part = part($text, "$user\@local.test");
	like($part, qr/^Original-Recipient: rfc822;Al\+x\@first\.test\r$/m);
	like($part, qr/^Action: delivered\r\nStatus: 2\.0\.0\r$/m);
	like($part, qr/^Last-Attempt-Date: /m);
	like($text, qr/^Content-Type: text\/rfc822-headers\r$/m);
	unlike($text, qr/The body/);
	is(scalar $mail->mbox($user), 1);
};

subtest 'who does not ask hears nothing of it' => sub {
	no_report(post('', "$user\@local.test" => ''));
	no_report(post('', "$user\@local.test" => 'NOTIFY=FAILURE,DELAY'));
	no_report(post('', "$user\@local.test" => 'NOTIFY=NEVER'));
};

subtest 'a host that takes no duties: relayed' => sub {
	my $text = report(my ($id, $from) = post('',
	    'bob@old.test' => 'NOTIFY=SUCCESS,FAILURE'));

	like(part($text, 'bob@old.test'), qr/^Action: relayed\r\nStatus: 2\.\d\.\d\r\nRemote-MTA: dns; \S+\r$/m);
};

subtest 'a host that takes them has them' => sub {
	no_report(post('RET=FULL ENVID=E1', 'bob@far.test' =>
	    'NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@x.test'));
	my ($m) = grep { $_->{rcpt}[0] eq 'bob@far.test' } $far->messages;
	like($m->{mail}, qr/RET=FULL/);
	like($m->{mail}, qr/ENVID=E1/);
	like($m->{rcpt_lines}[0], qr/NOTIFY=SUCCESS,DELAY/);
	like($m->{rcpt_lines}[0], qr/ORCPT=rfc822;b\@x\.test/);
};

subtest 'an alias of one hands the wish on' => sub {
	my ($id, $from) = post('', 'single@local.test' => 'NOTIFY=SUCCESS');
	my $text = report($id, $from);

	like($text, qr/^Action: delivered\r$/m);
	like($text, qr/^Original-Recipient: rfc822; ?single\@local\.test\r$/m);
};

subtest 'an alias of several is told once: expanded' => sub {
	for my $to ('many@local.test', 'team@v.test') {
		my ($id, $from) = post('', $to => 'NOTIFY=SUCCESS,FAILURE');
		my $text = report($id, $from);
		like(part($text, $to), qr/^Action: expanded\r$/m);
		my @actions = $text =~ /^Action: (\w+)/mg;
		is_deeply(\@actions, ['expanded'], $to);
	}
	my ($m) = grep { $_->{rcpt}[0] eq 'x@far.test' } $far->messages;
	like($m->{rcpt_lines}[0], qr/NOTIFY=FAILURE(?!,)/);
	my ($id, $from) = post('', 'one@v.test' => 'NOTIFY=SUCCESS');
	like(report($id, $from), qr/^Action: delivered\r$/m);
};

subtest 'a failure: who wants to hear of it' => sub {
	no_report(post('', 'nobody@far.test' => 'NOTIFY=NEVER'));
	no_report(post('', 'nobody@far.test' => 'NOTIFY=SUCCESS,DELAY'));
	my $text = report(post('RET=FULL ENVID=F1', 'nobody@far.test' =>
	    'NOTIFY=FAILURE ORCPT=rfc822;no@x.test',
	    'nobody2@old.test' => '', 'nobody3@far.test' => 'NOTIFY=NEVER',
	    "$user\@local.test" => ''));
	my $part = part($text, 'nobody@far.test');
	like($part, qr/^Original-Recipient: rfc822;no\@x\.test\r$/m);
	like($part, qr/^Action: failed\r\nStatus: 5\.1\.1\r\nRemote-MTA: dns; \S+\r\nDiagnostic-Code: smtp; 550 5\.1\.1 no such user\r$/m);
	like(part($text, 'nobody2@old.test'), qr/^Action: failed\r$/m);
	is(part($text, 'nobody3@far.test'), '');
	is(part($text, "$user\@local.test"), '');
	like($text, qr/^Content-Type: message\/rfc822\r$/m);
	like($text, qr/^The body\.\r$/m);
	like($text, qr/^Original-Envelope-Id: F1\r$/m);
	like($text, qr/^<nobody\@far\.test>: host .*no such user/m);
	$text = report(post('RET=HDRS', 'nobody@far.test' => ''));
	like($text, qr/^Content-Type: text\/rfc822-headers\r$/m);
	unlike($text, qr/The body/);
};

subtest 'a success and a failure are two reports' => sub {
	my ($id, $from) = post('', 'nobody@far.test' => 'NOTIFY=SUCCESS,FAILURE',
	    "$user\@local.test" => 'NOTIFY=SUCCESS,FAILURE');

	$mail->wait_log(qr/$id: removed/, 20);
	$mail->wait_empty;
	my @all = sort map { /^Action: (\w+)/m ? $1 : '?' } reports($from);
	is_deeply(\@all, ['delivered', 'failed']);
};

subtest 'a delay is told once, and its end when that is wanted' => sub {
	spew($down, '');
	my ($id, $from) = post('', 'later@far.test' => '',
	    'later2@far.test' => 'NOTIFY=DELAY',
	    'later3@far.test' => 'NOTIFY=FAILURE');
	my ($id2, $from2) = post('', 'later4@far.test' => 'NOTIFY=FAILURE');

	$mail->wait_log(qr/$id: sender delay notification: \w+/, 15);
	my ($text) = wait_for(sub { reports($from) }, 10, 'the warning');
	($text) = reports($from);
	like($text, qr/^Subject: Delayed Mail/m);
	for my $to ('later@far.test', 'later2@far.test') {
		like(part($text, $to), qr/^Action: delayed\r\nStatus: 4\.2\.0\r$/m);
		like(part($text, $to), qr/^Will-Retry-Until: /m);
	}
	is(part($text, 'later3@far.test'), '');
	# two more attempts, and no more warnings
	my $before = () = $mail->log =~ /$id: to=<later\@/g;
	wait_for(sub { (() = $mail->log =~ /$id: to=<later\@/g) >
	    $before + 1 }, 20, 'two attempts');
	is(scalar(reports($from)), 1, 'once');
	unlink $down;
	$mail->wait_log(qr/$_: removed/, 20) for $id, $id2;
	$mail->wait_empty;
	my @all = reports($from);
	is(scalar @all, 2, 'the end of the delay');
	like(part($all[1], 'later@far.test'), qr/^Action: relayed\r$/m);
	is(part($all[1], 'later3@far.test'), '');
	is(scalar(reports($from2)), 0);
};

subtest 'a report that is due survives a crash' => sub {
	my ($bounce) = $mail->children('bounce');
	my $had = $mail->mbox($user);

	kill 'STOP', $bounce;
	my ($id, $from) = post('', "$user\@local.test" =>
	    'NOTIFY=SUCCESS ORCPT=rfc822;crash@x.test',
	    'bob@old.test' => 'NOTIFY=SUCCESS');
	$mail->wait_log(qr/$id: to=<\Q$user\E\@local\.test>.*status=sent/);
	$mail->wait_log(qr/$id: to=<bob\@old\.test>.*status=sent/);
	my ($file) = glob($mail->spool . "/incoming/$id " .
	    $mail->spool . "/incoming/*/$id");
	# the bytes: delivered, and relayed
	wait_for(sub { my $bytes = slurp($file);
	    $bytes =~ /d.{4}\x02?.{0,8}\Q$user\E\@local/s &&
	    $bytes =~ /p.{4}.{0,8}bob\@old/s }, 10, 'the bytes');
	$mail->crash;
	$mail->start;
	my $text = report($id, $from);
	like(part($text, "$user\@local.test"), qr/^Action: delivered\r$/m);
	like(part($text, 'bob@old.test'), qr/^Action: relayed\r$/m);
	is(scalar $mail->mbox($user), $had + 1, 'and nothing twice');
	is(scalar(grep { $_->{rcpt}[0] eq 'bob@old.test' } $old->messages), 2);
};

is_deeply([grep { !/signal 9/ } $mail->complaints], [], 'no complaints');
done_testing;
