# qmgr.t - what the queue manager does with a message: deliver, defer, retry,
# return, and what administrators can do to it.

use strict;
use warnings;

use lib 't/lib';
use Fcntl qw(:flock);
use JSON::PP ();
use Postrider qw(slurp spew wait_for);
use Test::More;

# The next hop for everybody: local parts say what happens to them. While the
# file `down` exists, "later" is refused for now.
my $mail = Postrider->new(settings => {
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s' });
my $down = "$mail->{dir}/down";
my $first = "$mail->{dir}/first";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return undef if $verb ne 'RCPT' && $verb ne 'DATA';
	return '450 4.2.0 not now' if $line =~ /later/ && -e $down;
	return '550 5.1.1 no such user' if $line =~ /nobody/;
	if ($line =~ /hang/ && !-e $first) {
		spew($first, '');
		return 'HANG';
	}
	return undef;
});

$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# Send; the queue id.
sub post
{
	my ($from, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to,
	    text => "Subject: test\nMessage-ID: <one\@client.test>\n\nHi.\n");

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

sub queue
{
	my ($status, $text) = $mail->postrider('queue', @_);

	# A sanitizer's remark on fibers.
	return $text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mgr;
}

# The queue as it is told to programs.
sub entries { return map { JSON::PP::decode_json($_) }
    split /\n/, queue('list', '-j') }

# How often an address has received a message.
sub copies
{
	my ($to) = @_;

	return scalar grep { grep { $_ eq $to } @{ $_->{rcpt} } }
	    $sink->messages;
}

subtest 'a message is delivered and its file removed' => sub {
	my $id = post('al@one.test', 'bob@far.test');

	$mail->wait_log(qr/qmgr\[\d+\]: $id: from=<al\@one\.test>, size=\d+, nrcpt=1 \(queue active\)/);
	$mail->wait_log(qr/$id: to=<bob\@far\.test>, .*status=sent/);
	$mail->wait_log(qr/qmgr\[\d+\]: $id: removed/);
	$mail->wait_empty;
	is(copies('bob@far.test'), 1);
	is(queue(), "Mail queue is empty\n");
};

subtest 'recipients of a site share a delivery, up to the limit' => sub {
	my @to = map { "r$_\@far.test" } 1 .. 60;
	my $id = post('al@one.test', @to);

	$mail->wait_log(qr/$id: removed/, 20);
	is(copies($_), 1, $_) for @to[0, 30, 59];
	my @sizes = sort { $a <=> $b } map { scalar @{ $_->{rcpt} } }
	    grep { $_->{rcpt}[0] =~ /^r\d/ } $sink->messages;
	is_deeply(\@sizes, [10, 50]);
};

subtest 'what is refused for now waits, and only that' => sub {
	spew($down, '');
	my $id = post('al@one.test', 'now@far.test', 'later@far.test');

	$mail->wait_log(qr/$id: to=<later\@far\.test>.*status=deferred/);
	wait_for(sub { $mail->queue_count('deferred') == 1 }, 10, 'deferral');
	my ($entry) = wait_for(sub { (entries())[0] }, 5, 'an entry');
	is($entry->{queue_name}, 'deferred');
	is($entry->{queue_id}, $id);
	is($entry->{sender}, 'al@one.test');
	is(scalar @{ $entry->{recipients} }, 1);
	is($entry->{recipients}[0]{address}, 'later@far.test');
	like($entry->{recipients}[0]{delay_reason}, qr/not now/);

	my $list = queue();
	like($list, qr/^----Queue ID----- --Size-- ---Arrival Time---- /);
	like($list, qr/^$id +\d+ \w{3} \w{3} [ \d]\d [\d:]{8} +al\@one\.test$/m);
	like($list, qr/not now.*\)\n {47}later\@far\.test$/m);
	like($list, qr/^-- 0 Kbytes in 1 Request\.$/m);

	my ($file) = glob($mail->spool . "/deferred/*/$id");
	my $wait = (stat $file)[9] - time;
	ok($wait > 600 * 0.7 && $wait < 600 * 1.3, "tried again in $wait s");

	unlink $down;
	queue('flush', $id);
	$mail->wait_log(qr/$id: to=<later\@far\.test>.*status=sent/);
	$mail->wait_log(qr/$id: removed/);
	is(copies('now@far.test'), 1, 'not delivered twice');
	is(copies('later@far.test'), 1);
};

subtest 'a failure is reported to the sender' => sub {
	my $id = post('al@back.test', 'nobody@far.test', 'bob2@far.test');

	$mail->wait_log(qr/$id: to=<nobody\@far\.test>.*status=bounced/);
	my $line = $mail->wait_log(
	    qr/bounce\[\d+\]: $id: sender non-delivery notification: \w+/);
	my ($new) = $line =~ /(\w+)$/;
	$mail->wait_log(qr/$new: from=<>, size=\d+, nrcpt=1/);
	$mail->wait_log(qr/$new: removed/);
	$mail->wait_log(qr/$id: removed/);
	my ($report) = grep { $_->{rcpt}[0] eq 'al@back.test' }
	    $sink->messages;
	is($report->{from}, '');
	my $text = $report->{data};
	like($text, qr/^Subject: Undelivered Mail Returned to Sender\r$/m);
	like($text, qr/^From: MAILER-DAEMON.*\(Mail Delivery System\)\r$/m);
	like($text, qr/^In-Reply-To: <one\@client\.test>\r$/m);
	like($text, qr/^Final-Recipient: rfc822; nobody\@far\.test\r$/m);
	like($text, qr/^Action: failed\r\nStatus: 5\.1\.1\r$/m);
	like($text, qr/^Content-Type: message\/rfc822\r$/m);
	unlike($text, qr/rfc822; bob2/);
	$mail->wait_empty;
};

subtest 'without a sender nobody is told, but the log is' => sub {
	my $id = post('', 'nobody@far.test');

	$mail->wait_log(qr/warning: $id: to=<nobody\@far\.test> failed, and/);
	$mail->wait_log(qr/$id: removed/);
	unlike($mail->log, qr/$id: sender non-delivery/);
	$mail->wait_empty;
};

subtest 'hold, release, requeue, delete, expire' => sub {
	spew($down, '');
	my @ids = map { post('al@ctl.test', "later$_\@far.test") } 1 .. 4;

	wait_for(sub { $mail->queue_count('deferred') == 4 }, 10, 'deferral');
	like(queue('hold', $ids[0]), qr/Placed on hold: 1 message/);
	is($mail->queue_count('hold'), 1);
	like(queue(), qr/^$ids[0]! /m);
	queue('flush');
	is($mail->queue_count('hold'), 1, 'a flush leaves it alone');
	wait_for(sub { $mail->queue_count('deferred') == 3 &&
	    !grep { $_->{queue_name} eq 'active' } entries() }, 10, 'rest');

	like(queue('delete', $ids[1]), qr/Deleted: 1 message/);
	is($mail->queue_count('deferred'), 2);
	like(queue('delete', $ids[1]), qr/^postrider queue: $ids[1]: not in the queue$/,
	    'twice is once');

	like(queue('expire', $ids[2]), qr/Expired: 1 message/);
	$mail->wait_log(qr/$ids[2]: .*force-expired, returned to sender/);
	$mail->wait_log(qr/$ids[2]: sender non-delivery notification/);
	$mail->wait_log(qr/$ids[2]: removed/);

	unlink $down;
	like(queue('release', $ids[0]), qr/Released from hold: 1 message/);
	$mail->wait_log(qr/$ids[0]: removed/);
	like(queue('requeue', $ids[3]), qr/Requeued: 1 message/);
	$mail->wait_log(qr/$ids[3]: removed/);
	$mail->wait_empty;
	is(copies('later2@far.test'), 0, 'deleted');
	is(copies('later1@far.test'), 1, 'released');

	my ($status) = $mail->postrider('queue', 'hold', '../../etc/passwd');
	isnt($status, 0, 'an id is an id');
};

subtest 'an agent that dies gets its deliveries again' => sub {
	my $id = post('al@one.test', 'hang@far.test');

	wait_for(sub { -e $first }, 10, 'the delivery');
	kill 'KILL', $mail->children('smtp');
	$mail->wait_log(qr/deliveries are begun again/);
	$mail->wait_log(qr/$id: removed/, 20);
	is(copies('hang@far.test'), 1);
};

subtest 'a kill of qmgr loses nothing' => sub {
	spew($down, '');
	my @ids = map { post('al@kill.test', "later-k$_\@far.test",
	    "kill$_\@far.test") } 1 .. 5;

	kill 'KILL', $mail->children('qmgr');
	unlink $down;
	wait_for(sub { ($mail->postrider('queue', 'flush'))[0] == 0 &&
	    $mail->queue_count == 0 }, 30, 'an empty queue');
	ok(copies("later-k$_\@far.test") >= 1, "recipient $_") for 1 .. 5;
	ok(copies("kill$_\@far.test") >= 1, "recipient $_") for 1 .. 5;
};

subtest 'damaged and unfinished files' => sub {
	spew($down, '');
	my $id = post('al@bad.test', 'later@far.test');

	wait_for(sub { $mail->queue_count('deferred') == 1 }, 10, 'deferral');
	$mail->stop;
	my ($file) = glob($mail->spool . "/deferred/*/$id");
	my $text = slurp($file);
	my @owner = (stat $mail->spool . '/incoming')[4, 5];
	# In the envelope, which has a checksum and comes last.
	substr($text, rindex($text, 'al@bad.test'), 1) = 'X';
	spew($file, $text);
	for my $name (qw(ABANDONED WRITTEN)) {
		spew($mail->spool . "/incoming/$name", 'x');
		chown @owner, $mail->spool . "/incoming/$name";
		chmod 0600, $mail->spool . "/incoming/$name";
	}
	open my $f, '<', $mail->spool . '/incoming/WRITTEN' or die;
	flock $f, LOCK_EX or die;

	utime 0, 0, $file;
	$mail->start;
	$mail->wait_log(qr/error: $id: .*damaged.*corrupt/);
	ok(-e $mail->spool . "/corrupt/$id");
	like(($mail->postrider('queue', 'list', '--queue', 'corrupt'))[1],
	    qr/$id: the envelope is damaged/, 'the queue command tells why');
	wait_for(sub { !-e $mail->spool . '/incoming/ABANDONED' }, 10,
	    'the reaper');
	ok(-e $mail->spool . '/incoming/WRITTEN', 'its writer is alive');
	close $f;
	unlink $mail->spool . '/incoming/WRITTEN';
	unlink $down;
};

subtest 'the command works while the system is down' => sub {
	spew($down, '');
	my @ids = map { post('al@off.test', "later$_\@off.test") } 1 .. 3;

	wait_for(sub { $mail->queue_count('deferred') == 3 }, 10, 'deferral');
	$mail->stop;
	like(queue(), qr/^-- \d+ Kbytes in 3 Requests\.$/m);
	like(queue('hold', $ids[0]), qr/Placed on hold: 1 message/);
	like(queue('delete', $ids[1]), qr/Deleted: 1 message/);
	my ($status, $text) = $mail->postrider('queue', 'cat', $ids[2]);
	is($status, 0);
	like($text, qr/^recipient: later3\@off\.test$/m);
	like($text, qr/^Subject: test\n.*^Hi\.$/ms);
	like(queue('release', 'ALL'), qr/Released from hold: 1 message/);
	unlink $down;
	queue('flush');
	$mail->start;
	$mail->wait_log(qr/$ids[$_]: removed/) for 0, 2;
	$mail->wait_empty;
	is(copies("later2\@off.test"), 0);
};

is_deeply([grep { !/signal 9/ } $mail->complaints], [], 'no complaints');
done_testing;
