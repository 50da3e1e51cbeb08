# postsuper.t - the queue command under the names that scripts know from
# Postfix: mailq, postqueue, postsuper, postcat. And who may use it.

use strict;
use warnings;

use lib 't/lib';
use Fcntl qw(:flock);
use JSON::PP ();
use Postrider qw(bin is_root slurp spew wait_for);
use Test::More;

my $mail = Postrider->new(settings => {
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s' });
my $down = "$mail->{dir}/down";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return -e $down && $verb eq 'RCPT' && $line =~ /later/ ?
	    '450 4.2.0 not now' : undef;
});
my $names = "$mail->{dir}/names";
mkdir $names;
chmod 0755, $names;
symlink bin() . '/postrider-queue', "$names/$_"
    for qw(mailq postqueue postsuper postcat);

$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
spew($down, '');

sub post
{
	my ($from, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to,
	    text => "Subject: test\nX-Long: a\n\tb\n\nHi: there\n");

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# Run one of the names: (exit status, text).
sub run_input
{
	my ($input, $name, @words) = @_;
	local $ENV{MAIL_CONFIG} = $mail->etc;
	my ($status, $text) = $mail->run($input, "$names/$name", @words);

	$text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mg;
	return ($status, $text);
}
sub run_name { return run_input('', @_) }
sub text_of { return (run_name(@_))[1] }
sub queue_of
{
	my ($id) = @_;
	my ($e) = grep { $_->{queue_id} eq $id } map { JSON::PP::decode_json($_) }
	    split /\n/, text_of('postqueue', '-j');

	return $e ? $e->{queue_name} . ($e->{forced_expire} ? '#' : '') : '';
}
sub deferred
{
	my ($n) = @_;

	wait_for(sub { $mail->queue_count('deferred') == $n &&
	    text_of('postqueue', '-p') !~ /\*/ }, 10, "$n deferred messages");
}

my @ids;

subtest 'postqueue and mailq' => sub {
	is(text_of('mailq'), "Mail queue is empty\n");
	is(text_of('postqueue', '-p'), "Mail queue is empty\n");
	is(text_of('postqueue', '-j'), '');
	@ids = map { post("al$_\@one.test", "later$_\@far.test") } 1 .. 5;
	deferred(5);
	is(text_of('mailq'), text_of('postqueue', '-p'));
	like(text_of('mailq'), qr/^$ids[0] +\d+ \w{3} \w{3} /m);
	my ($status, $text) = run_name('postqueue');
	is($status, 69);
	like($text, qr/^postqueue: fatal: usage: postqueue -f \| postqueue -i/);
	is((run_name('postqueue', '-p', '-f'))[0], 69, 'one thing at a time');
	is((run_name('postqueue', '-x'))[0], 69);
	is((run_name('postqueue', '-i', 'x!'))[0], 69, 'not an id');
	is((run_name('postqueue', '-i', 'NOSUCHID'))[0], 0, 'none of ours');
	is((run_name('postqueue', '-s', 'a b'))[0], 69, 'not a site');
	my $n = () = $mail->log =~ /$ids[1]: from=.*queue active/g;
	is(text_of('postqueue', '-i', $ids[1]), '');
	wait_for(sub { $n < (() = $mail->log =~
	    /$ids[1]: from=.*queue active/g) }, 10, 'another attempt');
	$n = () = $mail->log =~ /$ids[0]: from=.*queue active/g;
	is(text_of('postqueue', '-f'), '');
	wait_for(sub { $n < (() = $mail->log =~
	    /$ids[0]: from=.*queue active/g) }, 10, 'another attempt');
	is((run_name('postqueue', '-s', 'far.test'))[0], 0);
	deferred(5);
};

subtest 'postsuper -h -H -r -e -f -d' => sub {
	is(text_of('postsuper', '-h', $ids[0]),
	    "postsuper: $ids[0]: placed on hold\n" .
	    "postsuper: Placed on hold: 1 message\n");
	is(queue_of($ids[0]), 'hold');
	is(text_of('postsuper', '-h', $ids[0]),
	    "postsuper: Placed on hold: 0 messages\n");
	is(text_of('postsuper', '-e', $ids[0], '-e', $ids[1]),
	    "postsuper: $ids[0]: expired\npostsuper: $ids[1]: expired\n" .
	    "postsuper: Force-expired: 2 messages\n");
	is(queue_of($ids[0]), 'hold#');
	is(queue_of($ids[1]), 'deferred#');
	is(text_of('postsuper', '-f', $ids[0]),
	    "postsuper: $ids[0]: released from hold\n" .
	    "postsuper: Force-expired: 0 messages\n" .
	    "postsuper: Released from hold: 1 message\n");
	$mail->wait_log(qr/$ids[0]: from=.*force-expired, returned/);
	is(text_of('postsuper', '-H', $ids[1], '-f', $ids[1]),
	    "postsuper: $ids[1]: expired\n" .
	    "postsuper: Force-expired: 1 message\n" .
	    "postsuper: Released from hold: 0 messages\n");
	$mail->wait_log(qr/$ids[1]: from=.*force-expired, returned/);
	is(text_of('postsuper', '-H', $ids[2]),
	    "postsuper: Released from hold: 0 messages\n");
	is(text_of('postsuper', '-d', $ids[2]),
	    "postsuper: $ids[2]: removed\npostsuper: Deleted: 1 message\n");
	my ($status, $text) = run_name('postsuper', '-d', $ids[2]);
	is($status, 0, 'what has gone is no failure');
	is($text, "postsuper: Deleted: 0 messages\n");
};

subtest 'postsuper with a list, ALL, and queues' => sub {
	my $wait = sub { $mail->queue_count('deferred', 'incoming') };

	wait_for(sub { $wait->() == 2 }, 10, 'the reports to leave');
	my ($status, $text) = run_input("$ids[3]\n", 'postsuper', '-h', '-');
	is($text, "postsuper: $ids[3]: placed on hold\n" .
	    "postsuper: Placed on hold: 1 message\n");
	is(text_of('postsuper', '-d', 'ALL', 'hold'),
	    "postsuper: Deleted: 1 message\n");
	is(queue_of($ids[4]), 'deferred', 'the other queue was not meant');
	is(text_of('postsuper', '-h', 'ALL', 'incoming', 'hold'),
	    "postsuper: Placed on hold: 0 messages\n");
	($status, $text) = run_name('postsuper', '-d', 'ALL', 'nosuch');
	is($status, 1, 'a queue that is none');
	is($text, "postsuper: fatal: invalid directory name: nosuch\n");
	is(text_of('postsuper', '-d', 'ALL', 'bounce', 'maildrop'),
	    "postsuper: Deleted: 0 messages\n", 'there are no messages there');
	($status, $text) = run_name('postsuper', '-d', 'all');
	is(queue_of($ids[4]), 'deferred', 'ALL is written in capitals');
	is(text_of('postsuper', '-h', 'ALL', 'deferred'),
	    "postsuper: Placed on hold: 1 message\n");
	is(text_of('postsuper', '-H', 'ALL'),
	    "postsuper: Released from hold: 1 message\n");
	deferred(1);
	is(text_of('postsuper', '-d', 'ALL'),
	    "postsuper: Deleted: 1 message\n");
	is($mail->queue_count, 0);
	is((run_name('postsuper', '-x'))[0], 1);
};

subtest 'postsuper -s and -p' => sub {
	my $spool = $mail->spool;
	my $id = post('al@two.test', 'later@far.test');

	deferred(1);
	$mail->stop;
	my ($path) = glob("$spool/deferred/*/$id");
	my ($hash) = $path =~ m{/(\w\w)/\w+$};
	my $other = $hash eq '00' ? '01' : '00';
	my @owner = (stat "$spool/incoming")[4, 5];
	mkdir "$spool/deferred/$other";
	mkdir "$spool/hold/$hash";
	chown @owner, "$spool/deferred/$other", "$spool/hold/$hash";
	rename $path, "$spool/deferred/$other/$id" or die $!;
	spew("$spool/deferred/$hash/a.file", 'what is this');
	spew("$spool/incoming/$_", 'x') for qw(ABANDONED WRITTEN);
	for (qw(ABANDONED WRITTEN)) {
		chown @owner, "$spool/incoming/$_";
		chmod 0600, "$spool/incoming/$_";
	}
	open my $f, '<', "$spool/incoming/WRITTEN" or die;
	flock $f, LOCK_EX or die;
	my ($status, $text) = run_name('postsuper');
	is($status, 0);
	like($text, qr/^postsuper: Moved to their places: 1 file$/m);
	like($text, qr/deferred\/$hash\/a\.file: not a message/);
	like($text, qr/^postsuper: Unfinished and removed: 1 file$/m);
	ok(-e $path, 'where it belongs');
	ok(!-e "$spool/incoming/ABANDONED");
	ok(-e "$spool/incoming/WRITTEN", 'its writer is alive');
	ok(-e "$spool/deferred/$hash/a.file", 'strays are left alone');
	close $f;
	unlink "$spool/incoming/WRITTEN", "$spool/deferred/$hash/a.file";

	open $f, '+<', $path or die;
	seek $f, -80, 2;
	my $good = slurp($path);
	# The last one: in the envelope, which has a checksum.
	my $bad = $good =~ s/.*\Ktwo\.test/twx.test/sr;
	close $f;
	spew($path, $bad);
	($status, $text) = $mail->postrider('queue', 'check', '--read');
	is($status, 65);
	like($text, qr/$id: .*damaged.*\n.*Damaged: 1 file$/m);
	spew($path, $good);
	is(($mail->postrider('queue', 'check', '--read'))[0], 0);
	$mail->start;
	run_name('postsuper', '-d', 'ALL');
};

subtest 'postcat' => sub {
	my $id = post('al@cat.test', 'later@far.test', 'now@far.test');

	deferred(1);
	$mail->wait_log(qr/$id: to=<now\@far\.test>.*sent/);
	wait_for(sub { text_of('postcat', '-q', $id) =~ /done_recip/ }, 10,
	    'the crossing off');
	my $text = text_of('postcat', '-q', $id);
	like($text, qr/^\*\*\* ENVELOPE RECORDS deferred\/..\/$id \*\*\*\n/);
	like($text, qr/^message_arrival_time: \w{3} \w{3} .{16}$/m);
	like($text, qr/^sender: al\@cat\.test$/m);
	like($text, qr/^original_recipient: later\@far\.test\nrecipient: later\@far\.test$/m);
	like($text, qr/^done_recipient: now\@far\.test$/m);
	like($text, qr/^\*\*\* MESSAGE CONTENTS deferred.*\*\*\*\nReceived/m);
	like($text, qr/\n\nHi: there\n\*\*\* HEADER EXTRACTED .*\n\*\*\* MESSAGE FILE END/);
	is(text_of('postcat', '-bq', $id), "\nHi: there\n");
	like(text_of('postcat', '-hq', $id), qr/X-Long: a\n\tb\n(\S+: .*\n)*\z/);
	unlike(text_of('postcat', '-hq', $id), qr/Hi: there/);
	my $whole = text_of('postcat', '-bhq', $id);
	is($whole, text_of('postcat', '-hq', $id) .
	    text_of('postcat', '-bq', $id), 'header and body are all of it');
	like(text_of('postcat', '-oeq', $id), qr/^ *\d+ sender: al/m);
	my ($path) = glob($mail->spool . "/deferred/*/$id");
	is(text_of('postcat', '-bh', $path), $whole, 'a file by name');
	my ($status, $error) = run_name('postcat', '-q', 'NONE');
	is($status, 1);
	like($error, qr/^postcat: fatal: open queue file NONE: No such file/);
	($status, $error) = run_name('postcat', '/etc/passwd');
	is($status, 0);
	like($error, qr/^postcat: warning: .*not a valid queue file/);
	is((run_name('postcat', '/nonexistent'))[0], 1);
};

subtest 'who may' => sub {
	plan skip_all => 'only root has other users' unless is_root();
	my ($one, $two) = ($mail->user(0), $mail->user(1));
	my $as = sub {
		my ($user, @words) = @_;
		my ($status, $text) = $mail->run('', 'runuser', '-u', $user,
		    '--', bin() . '/postrider', '-c', $mail->etc, 'queue',
		    @words);
		$text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mg;
		return ($status, $text);
	};
	my ($status, $text) = $as->($one, 'list');
	is($status, 0);
	is($text, ($mail->postrider('queue', 'list'))[1] =~
	    s/^==\d+==WARNING: ASan doesn't.*\n//mgr, 'all see the same');
	($status, $text) = $as->($one, 'list', '-j', '--sender', 'nobody');
	is("$status$text", '0', 'selection is for all');
	is(($as->($one, 'flush'))[0], 0);
	for my $verb (qw(hold delete expire requeue release show)) {
		($status, $text) = $as->($one, $verb, $verb eq 'show' ?
		    'NONE' : 'ALL');
		is($status, 77, "not $verb");
		like($text, qr/only root/);
	}

	my $set = sub {
		my ($list, $flush) = @_;
		$mail->set(authorized_mailq_users => $list,
		    authorized_flush_users => $flush);
		$mail->reload;
	};
	my $can = sub { my ($user, $verb) = @_;
	    return ($as->($user, $verb))[0] };
	$set->($one, "!$one, static:all");
	is($can->($one, 'list'), 0, 'named');
	is($can->($two, 'list'), 77, 'not named');
	is($can->($one, 'flush'), 77, 'named with !');
	is($can->($two, 'flush'), 0);
	is(($mail->postrider('queue', 'list'))[0], 0, 'root always may');
	spew($mail->etc . '/users', "$two yes\n");
	spew($mail->etc . '/list', "# some\n$one\n");
	$set->('texthash:' . $mail->etc . '/users', $mail->etc . '/list');
	is($can->($two, 'list'), 0, 'in the table');
	is($can->($one, 'list'), 77, 'not in the table');
	is($can->($one, 'flush'), 0, 'in the file');
	is($can->($two, 'flush'), 77, 'not in the file');
	$set->('', '');
	is($can->($one, 'list'), 77, 'nobody');
	is($can->($one, 'flush'), 77);
	is(($mail->postrider('queue', 'flush'))[0], 0, 'root always may');
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
