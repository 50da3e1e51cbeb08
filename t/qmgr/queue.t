# queue.t - postrider queue: choosing messages, and what can be done to them,
# while the system is up, while it is down, and while they are delivered.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use Postrider qw(bin is_root slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep);

# The next hop: "later" waits while `down` exists; "slow" gets its answer when
# `go` exists.
my $mail = Postrider->new(settings => {
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s' });
my ($down, $go) = ("$mail->{dir}/down", "$mail->{dir}/go");
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return undef if $verb ne 'RCPT';
	return '450 4.2.0 not now' if $line =~ /later/ && -e $down;
	return '450 4.7.1 greylisted' if $line =~ /grey/ && -e $down;
	if ($line =~ /slow/) {
		spew("$down.slow", '');
		for (1 .. 400) {
			last if -e $go;
			sleep 0.05;
		}
		return '450 4.2.0 too slow' if $line =~ /slow-defer/ && -e $down;
	}
	return undef;
});

$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
spew($down, '');

sub post
{
	my ($from, $to, $size) = @_;
	my $reply = $mail->send(from => $from, to => [ref $to ? @$to : $to],
	    text => "Subject: test\n\n" . "x" x 70 . "\n" x 1 .
	    ("y" x 70 . "\n") x int(($size // 0) / 71));

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# (exit status, text without a sanitizer's remark on fibers)
sub run_queue
{
	my ($status, $text) = $mail->postrider('queue', @_);

	$text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mg;
	return ($status, $text);
}
sub queue { return (run_queue(@_))[1] }

# The ids that a list shows.
sub ids { return sort map { JSON::PP::decode_json($_)->{queue_id} }
    split /\n/, queue('list', '-j', @_) }
sub entry { return JSON::PP::decode_json(queue('list', '-j', @_)) }
sub deferred { my ($n) = @_; wait_for(sub {
    $mail->queue_count('deferred') == $n && !ids('--queue', 'active') }, 10,
    "$n deferred messages") }
sub copies
{
	my ($to) = @_;

	return scalar grep { grep { $_ eq $to } @{ $_->{rcpt} } }
	    $sink->messages;
}

my %id;

subtest 'messages are chosen by what they are' => sub {
	$id{a} = post('ann@One.test', 'later1@far.test');
	$id{b} = post('bob@two.test', ['later2@far.test', 'later@near.test']);
	$id{c} = post('', 'grey@far.test', 20000);
	deferred(3);
	is_deeply([ids()], [sort values %id], 'all');
	is_deeply([ids('--sender', '*@one.TEST')], [$id{a}]);
	is_deeply([ids('--sender=<>')], [$id{c}]);
	is_deeply([ids('--recipient', 'later?@*')], [sort @id{qw(a b)}]);
	is_deeply([ids('--domain', 'NEAR.test')], [$id{b}]);
	is_deeply([ids('--reason', 'greylisted')], [$id{c}]);
	is_deeply([ids('--size', '+10k')], [$id{c}]);
	is_deeply([ids('--size', '-10k')], [sort @id{qw(a b)}]);
	is_deeply([ids('--older', '1h')], []);
	is_deeply([ids('--younger', '1h', '--sender', 'bob*')], [$id{b}]);
	is_deeply([ids('--queue', 'hold')], []);
	is_deeply([ids('--limit', '2')], [@id{qw(a b)}], 'the oldest');
	is_deeply([ids($id{c}, $id{a}, '--domain', 'far.test', '--size',
	    '-10k')], [$id{a}], 'of those that are named');
};

subtest 'a dry run shows and does nothing' => sub {
	my ($status, $text) = run_queue('delete', '-n', '--sender', 'bob*');

	is($status, 0);
	like($text, qr/^$id{b} .*bob\@two\.test$/m);
	like($text, qr/nothing was done/);
	unlike($text, qr/$id{a}/);
	is($mail->queue_count('deferred'), 3);
};

subtest 'the summary counts by domain and age' => sub {
	my $text = queue('list', '--summary');

	like($text, qr/^messages: incoming 0, active 0, deferred 3, hold 0$/m);
	like($text, qr/^ +T +5 +10 .* 640 +1280 +1280\+$/m);
	like($text, qr/^ +TOTAL +4 +4 +0 /m);
	like($text, qr/^ +far\.test +3 +3 +0 /m);
	like($text, qr/^ +near\.test +1 +1 +0 /m);
	like(queue('list', '--by-sender'), qr/^ +two\.test +2 +2 +0 /m);
};

subtest 'usage is told, and told apart' => sub {
	my %status = (
		help => 0, '--help' => 0, nonsense => 64, delete => 64,
		'delete ALL 0ABC' => 64, 'delete --color red' => 64,
		'delete --older soon' => 64, 'hold --json ALL' => 64,
		'hold ../../etc/passwd' => 64, 'list --older' => 64,
		'delete NOSUCHID' => 66, 'show NOSUCHID' => 66,
		'delete ALL nonsense' => 64,
	);

	for my $words (sort keys %status) {
		my ($status, $text) = run_queue(split / /, $words);
		is($status, $status{$words}, "queue $words") or diag($text);
		like($text, $words =~ /help/ ? qr/^usage: postrider queue/ :
		    qr/^postrider queue: .+/, 'says something');
	}
	is($mail->queue_count('deferred'), 3, 'nothing was harmed');
};

subtest 'hold, release, by choice' => sub {
	like(queue('hold', '--sender', '*@one.test'),
	    qr/^postrider queue: Placed on hold: 1 message$/);
	$mail->wait_log(qr/$id{a}: placed on hold/);
	is(entry($id{a})->{queue_name}, 'hold');
	like(queue('list', $id{a}), qr/^$id{a}! /m);
	is(queue('hold', $id{a}), '', 'twice is once');
	is(queue('release', $id{b}), '', 'it is not held');
	like(queue('flush', $id{a}), qr/$id{a}: it is on hold/, 'flush leaves it');
	like(queue('release', 'ALL'), qr/Released from hold: 1 message/);
	$mail->wait_log(qr/$id{a}: released from hold/);
	$mail->wait_log(qr/$id{a}: to=<later1\@far\.test>.*status=deferred.*\n(.*\n)*.*$id{a}: to=<later1\@far\.test>.*status=deferred/);
	deferred(3);
};

subtest 'show: parts of a message' => sub {
	my $text = queue('show', $id{b});

	like($text, qr/^\*\*\* ENVELOPE RECORDS deferred\/\w\w\/$id{b} \*\*\*$/m);
	like($text, qr/^sender: bob\@two\.test$/m);
	like($text, qr/^recipient: later\@near\.test$/m);
	like($text, qr/^\*\*\* MESSAGE CONTENTS .*\nReceived: /m);
	like($text, qr/^Subject: test\n.*?\n\nx+\n\*\*\* DELIVERY ATT/ms);
	like($text, qr/: later2\@far\.test: 4\.2\.0 host .*not now/);
	like($text, qr/^\*\*\* MESSAGE FILE END/m);
	unlike($text, qr/\r/);
	unlike(queue('show', '-h', $id{b}), qr/^(\*|x|$)/m, 'header only');
	like(queue('show', '-b', $id{b}), qr/^\nx+\n$/, 'body only');
	unlike(queue('show', '-e', $id{b}), qr/Subject/, 'envelope only');
	unlike(queue('show', '-v', $id{b}), qr/Subject|sender:/);
};

subtest 'flush by site, by choice' => sub {
	my $before = () = $mail->log =~ /$id{b}: from=.*queue active/g;

	queue('flush', '--site', 'near.test');
	wait_for(sub { (() = $mail->log =~ /$id{b}: from=.*queue active/g) >
	    $before }, 10, 'another attempt');
	deferred(3);
	$before = () = $mail->log =~ /$id{c}: from=.*queue active/g;
	like(queue('flush', '--reason', 'greylisted'),
	    qr/Scheduled: 1 message/);
	wait_for(sub { (() = $mail->log =~ /$id{c}: from=.*queue active/g) >
	    $before }, 10, 'another attempt');
	deferred(3);
};

subtest 'delete by choice; a list on standard input' => sub {
	like(queue('delete', '--size', '+10k'), qr/Deleted: 1 message/);
	$mail->wait_log(qr/$id{c}: removed/);
	my ($status, $text) = $mail->run("$id{a}*\n\n$id{b}!#\nNOSUCHID\n",
	    bin() . '/postrider', '-c', $mail->etc, 'queue', 'delete', '-');
	is($status, 0, 'what has gone meanwhile is no failure');
	like($text, qr/Deleted: 2 messages/);
	is_deeply([ids()], []);
	is(queue(), "Mail queue is empty\n");
};

subtest 'expire: at once, later, and on hold' => sub {
	my @ids = map { post("al$_\@back.test", "later-e$_\@far.test") } 1 .. 4;

	deferred(4);
	like(queue('expire', '--later', $ids[0]), qr/Expired: 1|Force-expired: 1/i);
	$mail->wait_log(qr/$ids[0]: expired/);
	my $e = entry($ids[0]);
	ok($e->{forced_expire}, 'it is marked');
	is($e->{queue_name}, 'deferred', 'and waits');
	like(queue('list', $ids[0]), qr/^$ids[0]# /m);

	queue('hold', $ids[1]);
	queue('expire', $ids[1]);
	$e = entry($ids[1]);
	ok($e->{forced_expire} && $e->{queue_name} eq 'hold', 'held stays');
	like(queue('list', $ids[1]), qr/^$ids[1]!# /m);

	like(queue('expire', $ids[2]), qr/Expired: 1 message/);
	$mail->wait_log(qr/qmgr\[\d+\]: $ids[2]: from=<al3\@back\.test>, status=force-expired, returned to sender/);
	$mail->wait_log(qr/$ids[2]: sender non-delivery notification/);
	$mail->wait_log(qr/$ids[2]: removed/);
	my ($report) = wait_for(sub { my @r = grep {
	    $_->{rcpt}[0] eq 'al3@back.test' } $sink->messages; @r ? [@r] :
	    undef }, 10, 'the report')->[0];
	like($report->{data}, qr/not now/, 'the reason is that of the delay');

	queue('hold', $ids[3]);
	like(queue('expire', '--release', $ids[3]), qr/xpired: 1 message/);
	$mail->wait_log(qr/$ids[3]: from=.*force-expired/);

	# Marks survive; mail that waits is not delivered when its time comes.
	$mail->stop;
	$mail->start;
	ok(entry($ids[0])->{forced_expire}, 'a mark survives a restart');
	unlink $down;
	queue('release', $ids[1]);
	queue('flush', $ids[0]);
	$mail->wait_log(qr/$ids[$_]: from=.*status=force-expired/) for 0, 1;
	$mail->wait_empty;
	is(copies("later-e$_\@far.test"), 0, "$_ was not delivered") for 1 .. 4;
	spew($down, '');
};

# A message whose delivery runs now.
sub in_flight
{
	unlink $go, "$down.slow";
	my $id = post('al@fly.test', @_);
	wait_for(sub { -e "$down.slow" }, 10, 'the delivery');
	is(entry($id)->{queue_name}, 'active');
	like(queue('list', $id), qr/^$id\* /m);
	return $id;
}

subtest 'in flight: delete waits for what was handed out' => sub {
	my $id = in_flight('slow1@far.test');

	like(queue('delete', $id), qr/Deleted: 1 message/);
	is($mail->queue_count, 0, 'the file has gone');
	like(queue('delete', $id), qr/not in the queue/);
	spew($go, '');
	$mail->wait_log(qr/$id: to=<slow1\@far\.test>.*status=sent/);
	$mail->wait_empty;

	$id = in_flight('slow-defer@far.test');
	queue('delete', $id);
	spew($go, '');
	$mail->wait_log(qr/$id: to=<slow-defer\@far\.test>.*status=deferred/);
	wait_for(sub { !ids() }, 10, 'its end');
	is($mail->queue_count, 0);
	unlike($mail->log, qr/$id: sender non-delivery/);
};

subtest 'in flight: hold, and release again' => sub {
	my $id = in_flight(['slow-defer@far.test', 'later-x@far.test']);

	like(queue('hold', $id), qr/Placed on hold: 1 message/);
	is(entry($id)->{queue_name}, 'hold');
	is($mail->queue_count('hold'), 1, 'at once');
	spew($go, '');
	$mail->wait_log(qr/$id: to=<slow-defer\@far\.test>.*status=deferred/);
	is($mail->queue_count('hold'), 1, 'it stays there');
	queue('delete', $id);

	$id = in_flight('slow-defer2@far.test');
	queue('hold', $id);
	like(queue('release', $id), qr/Released from hold: 1 message/);
	is($mail->queue_count('hold'), 0);
	unlink $down;
	spew($go, '');
	$mail->wait_log(qr/$id: to=<slow-defer2\@far\.test>.*status=sent/);
	$mail->wait_empty;
	is(copies('slow-defer2@far.test'), 1);
	spew($down, '');
};

subtest 'in flight: held, what was delivered is not delivered again' => sub {
	my $id = in_flight(['slow2@far.test', 'later-y@near.test']);

	queue('hold', $id);
	spew($go, '');
	$mail->wait_log(qr/$id: to=<slow2\@far\.test>.*status=sent/);
	wait_for(sub { my $e = entry($id); @{ $e->{recipients} } == 1 }, 10,
	    'one recipient less');
	unlink $down;
	queue('release', $id);
	$mail->wait_log(qr/$id: removed/);
	is(copies('slow2@far.test'), 1);
	is(copies('later-y@near.test'), 1);
	spew($down, '');
};

subtest 'in flight: expire and requeue' => sub {
	my $id = in_flight('slow-defer3@far.test');

	queue('expire', $id);
	ok(entry($id)->{forced_expire}, 'marked while it flies');
	spew($go, '');
	$mail->wait_log(qr/$id: from=.*force-expired, returned to sender/);
	$mail->wait_empty;

	$id = in_flight('slow-defer4@far.test');
	like(queue('requeue', $id), qr/Requeued: 1 message/);
	unlink $down;
	spew($go, '');
	$mail->wait_log(qr/$id: to=<slow-defer4.*status=sent/);
	$mail->wait_empty;
	spew($down, '');
};

subtest 'the command works while the system is down' => sub {
	my @ids = map { post("al$_\@off.test", "later$_\@off.test") } 1 .. 6;

	deferred(6);
	$mail->stop;
	is_deeply([ids()], [sort @ids]);
	is_deeply([ids('--sender', 'al2@*')], [$ids[1]]);
	like(queue('hold', $ids[0]), qr/Placed on hold: 1 message/);
	like(queue('delete', '--recipient', 'later2@*'),
	    qr/Deleted: 1 message/);
	like(queue('expire', $ids[2]), qr/Expired: 1 message/);
	ok(entry($ids[2])->{forced_expire});
	like(queue('show', $ids[2]), qr/^sender: al3\@off\.test$/m);
	like(queue('delete', $ids[1]), qr/not in the queue/);
	like(queue('flush', '-s', 'off.test'), qr/Scheduled: 4 messages/);
	is(queue('flush'), '', 'a plain flush says nothing');
	like(queue('release', 'ALL'), qr/Released from hold: 1 message/);
	like(queue('requeue', $ids[3]), qr/Requeued: 1 message/);
	like(queue('list', '--summary'), qr/off\.test +5/);
	unlike(queue('list'), qr/maildrop/, 'nothing was posted meanwhile');
	is(($mail->sendmail("Subject: down\n\nx\n", 'later2@off.test'))[0], 0,
	    'something is');
	like(queue('list'), qr/^postrider queue: 1 more in maildrop, until /m,
	    'which the list tells of');
	unlink glob $mail->spool . '/maildrop/*';
	my %wrong = ('--older' => '5x', '--size' => 'big', '--queue' => 'foo',
	    '--limit' => 'none');
	like(queue('delete', $_, $wrong{$_}), qr/$_ $wrong{$_}: expected /,
	    "$_ says what it was given") for sort keys %wrong;
	SKIP: {
		skip 'only root has other users', 2 unless is_root();
		my ($status, $text) = $mail->run('', 'runuser', '-u',
		    $mail->user, '--', bin() . '/postrider', '-c',
		    $mail->etc, 'queue', 'list');
		is($status, 69);
		like($text, qr/the mail system is down/);
	}
	unlink $down;
	$mail->start;
	$mail->wait_log(qr/$ids[$_]: removed/) for 0, 2 .. 5;
	$mail->wait_log(qr/$ids[2]: from=.*force-expired/);
	$mail->wait_empty;
	is(copies("later$_\@off.test"), $_ == 2 || $_ == 3 ? 0 : 1, "later$_")
	    for 1 .. 6;
	spew($down, '');
};

subtest 'what strangers write is nothing that a terminal obeys' => sub {
	my $reply = $mail->send(from => 'al@bad.test',
	    to => ['later-b@far.test'],
	    text => "Subject: a\e[31mred\n\nb\e]0;title\a \xc2\x9b1m \x7f\n");
	my ($id) = $reply =~ /queued as (\w+)/;

	deferred(1);
	like(queue('show', $id), qr/^Subject: a\e\[31mred$/m,
	    'a program gets the message as it is');
	my ($status, $text) = $mail->run('', 'script', '-qec', join(' ', bin() .
	    '/postrider', '-c', $mail->etc, 'queue', 'show', $id), '/dev/null');
	$text =~ s/\r//g;
	like($text, qr/^Subject: a\?\[31mred$/m, 'a terminal does not');
	like($text, qr/^b\?\]0;title\? \xc2\?1m \?$/m);
	(undef, $text) = run_queue('delete', "\e[2Jnothing");
	like($text, qr/: \?\[2Jnothing: not a queue id/,
	    'nor what is in a list of ids');
	my $stray = $mail->spool . "/hold/\e[2J";
	spew($stray, '');
	(undef, $text) = run_queue('check');
	like($text, qr{hold/\?\[2J: not a message}, 'nor names of files');
	unlink $stray;
	is((run_queue('delete', $id))[0], 0);
};

SKIP: {
	skip 'only root has other users', 1 unless is_root();
	subtest 'of a list that cannot be kept nobody takes a part for all' =>
	    sub {
		my @list = ('runuser', '-u', $mail->user, '--', 'sh', '-c',
		    'trap "" XFSZ; "$@" | cat', 'sh', 'bash', '-c',
		    'ulimit -f "$0"; "$@"; echo "status $?"');
		my @command = (bin() . '/postrider', '-c', $mail->etc, 'queue',
		    'list');
		my (undef, $text) = $mail->run('', @list, 'unlimited',
		    @command);
		like($text, qr/^status 0$/m, 'with room it is whole');
		(undef, $text) = $mail->run('', @list, '0', @command);
		like($text, qr/^status 74$/m, 'without, that is told');
		like($text, qr/the list is not whole/, 'in words');
	};
}

subtest 'the command works while qmgr starts and stops' => sub {
	my @ids = map { post('al@flap.test', "later-f$_\@far.test") } 1 .. 20;

	deferred(20);
	my $pid = fork // die;
	if ($pid == 0) {
		$mail->postrider('stop');
		POSIX::_exit(0);
	}
	my $deleted = 0;
	for my $id (@ids[0 .. 9]) {
		my ($status, $text) = run_queue('delete', $id);
		is($status, 0, "deleted $id") or diag($text);
	}
	waitpid $pid, 0;
	waitpid $mail->{pid}, 0;
	delete $mail->{pid};
	$mail->start;
	for my $id (@ids[10 .. 19]) {
		kill 'KILL', $mail->children('qmgr') if $id eq $ids[12];
		my ($status, $text) = run_queue('delete', $id);
		is($status, 0, "deleted $id") or diag($text);
	}
	is($mail->queue_count, 0);
};

is_deeply([grep { !/signal 9/ } $mail->complaints], [], 'no complaints');
done_testing;
