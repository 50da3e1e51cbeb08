# recovery.t - what a crash leaves in the queue, and what becomes of it:
# common/queue/dirs.c, qmgr/scan.c, message.c and unfiled.c, struck at.
use strict;
use warnings;
use Fcntl qw(:flock);
use POSIX qw(EIO ENOSPC);
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Promise;

my $lab = laboratory('relay');
my $mail = $lab->mail;
my $file = qr{spool/incoming/ID};
my $incoming = $mail->spool . '/incoming';
my ($uid, $gid) = (stat $incoming)[4, 5];

# A file in the queue that no program of ours has made.
sub plant
{
	my ($name, $mode, $text) = @_;

	spew("$incoming/$name", $text);
	chown $uid, $gid, "$incoming/$name";
	chmod $mode, "$incoming/$name";
	return "$incoming/$name";
}

promise('recovery-1', sub {
	my $path = plant('4old00000000000', 0600, 'half a message');
	open my $writer, '+<', $path or die;
	flock $writer, LOCK_EX;
	utime 1000, 1000, $path;
	my ($pid) = $mail->children('qmgr');
	kill 'KILL', $pid;
	$mail->send(from => '', to => ['past@relay.test']);
	$mail->wait_log(qr/to=<past\@relay.test>.*status=sent/, 20);
	ok(-e $path, 'what is being written stays, however old it is');
	close $writer;
	($pid) = $mail->children('qmgr');
	kill 'KILL', $pid;
	wait_for(sub { !-e $path }, 20, 'the end of it');
	pass('once its writer is gone it is removed, however young it is');
});

promise('recovery-2', sub {
	# It has a name and no lock yet: whoever finds it takes it away.
	strike($lab, 'cleanup', qr/^flock $file/, $_) for 'before', 'after';
	my $r = strike($lab, 'cleanup', qr/^flock $file/, 11);
	isnt($r->{said}, 'refused 500', 'nor is a lock of somebody else fatal');
});

promise('recovery-3', sub {
	for my $call (qr/^pwrite64 $file/, qr/^fchmod $file/) {
		my $r = strike($lab, 'cleanup', $call, 'before');
		is($r->{phantom}, 0, 'it was no mail');
		is(join(' ', glob "$incoming/*"), '', 'and is gone');
	}
	strike($lab, 'cleanup', qr{^sendmsg private/qmgr}, 'before');
});

promise('recovery-4', sub {
	# A complete message whose writer has not let it go yet.
	my $text;
	$mail->stop;
	$lab->{sink}->stop;
	$mail->start;
	my ($id) = $mail->send(from => '', to => ['x@relay.test']) =~
	    /queued as (\w+)/;
	$mail->wait_log(qr/$id: .*status=deferred/);
	my ($found) = wait_for(sub { (glob $mail->spool . "/*/*/$id")[0] //
	    (glob $mail->spool . "/*/$id")[0] }, 10, 'the file');
	$text = slurp($found);
	ok(length $text, 'there is a message');
	my $path = plant('4new00000000000', 0600, $text);
	open my $writer, '+<', $path or die;
	flock $writer, LOCK_EX;
	chmod 0700, $path;
	my ($pid) = $mail->children('qmgr');
	kill 'KILL', $pid;
	wait_for(sub { grep { $_ != $pid } $mail->children('qmgr') }, 10,
	    'the next qmgr');
	$mail->send(from => '', to => ['y@relay.test']);
	$mail->wait_log(qr/to=<y\@relay.test>.*status=deferred/);
	unlike($mail->log, qr/4new00000000000: .*status/,
	    'what somebody holds the lock of is not touched');
	close $writer;
	$mail->wait_log(qr/4new00000000000: .*status/, 20);
	pass('and is delivered when he has let it go');
});
$lab->close;

# --- without a file -----------------------------------------------------------

my %logged = (settings => { cleanup_wal_rate => 0, cleanup_wal_size => '1M' });
my $log = qr{spool/incoming/wal};

# Messages of a log's generation without a mark, and whether it is released.
sub look
{
	my ($path) = @_;
	my $bytes = slurp($path);
	my $generation = substr $bytes, 24, 8;
	my $unmarked = grep { substr($bytes, 256 * $_, 4) eq 'PRwr' &&
	    substr($bytes, 256 * $_ + 8, 8) eq $generation &&
	    substr($bytes, 4096 + $_, 1) ne "\xb7" }
	    16 .. length($bytes) / 256 - 1;

	return ($unmarked, substr($bytes, 2048, 8) eq $generation);
}

# Cleanup dies while a message is in its log only; qmgr before or after it has
# written there the first or second time.
sub end_of_log
{
	my ($lab, $nth, $when) = @_;
	my $mail = $lab->mail;

	to_log($lab);
	kill 'STOP', my @stopped = $mail->children('smtp');
	$mail->send(from => '', to => ["end$nth-$when\@relay.test"]);
	my ($path) = grep { (look($_))[0] > 0 }
	    glob $mail->spool . '/incoming/wal.*';
	ok(defined $path, 'it is in a log');
	my ($is_over, $is_early);
	my $calls = $lab->during('qmgr', sub {
		kill 'KILL', $mail->children('cleanup');
		wait_for(sub {
			(my $unmarked, $is_over) = look($path);
			$is_early ||= $is_over && $unmarked > 0;
			$is_over;
		}, 30, 'a release');
	}, qr/^pwrite64 $log/, $when, $nth);
	like($calls, qr/^hit/m, "qmgr, $when its write $nth: struck");
	ok(!$is_early, 'it is not released before it is marked');
	kill 'KILL', @stopped;
	kill 'CONT', @stopped;
	$mail->wait_log(qr/to=<end$nth-$when\@relay.test>.*status=sent/, 30);
	wait_for(sub { $mail->queue_count == 0 }, 30, 'an empty queue');
	$lab->{is_new} = 1;
}

promise('recovery-5', sub {
	# Delivered: its mark is the only thing that is written.
	my $at_once = laboratory('relay', %logged);
	to_log($at_once);
	my @calls = watch($at_once, 'qmgr');
	order(\@calls, 'the delivery' => qr{^recvmsg private/relay\S* = [1-9]},
	    'the mark' => qr/^pwrite64 $log\S* = 1$/);
	is(scalar(grep { /ID/ } grep { !/^newfstatat/ } @calls), 0,
	    'it has no file');
	for (['before', 1], ['after', 0]) {
		my ($when, $twice) = @$_;
		to_log($at_once);
		strike($at_once, 'qmgr', qr/^pwrite64 $log/, $when,
		    twice => $twice);
	}
	to_log($at_once);
	strike($at_once, 'qmgr', qr/^pwrite64 $log/, EIO, twice => 1);
	$at_once->close;

	# Postponed: its file is on stable storage before the mark.
	my $later = laboratory('later', %logged);
	to_log($later);
	@calls = watch($later, 'qmgr');
	order(\@calls, 'its name' => qr/^openat $file/,
	    'what it holds' => qr/^pwrite64 $file/,
	    'the bit' => qr/^fchmod $file/,
	    'the sync' => qr/^fsync $file.* = 0/,
	    'the mark' => qr/^pwrite64 $log\S* = 1$/);
	for ([qr/^openat $file/, ENOSPC], [qr/^pwrite64 $file/, ENOSPC],
	    [qr/^fchmod $file/, EIO], [qr/^fsync $file/, EIO],
	    [qr/^pwrite64 $log/, EIO]) {
		my ($call, $error) = @$_;
		for my $when ('before', 'after', $error) {
			to_log($later);
			my $r = strike($later, 'qmgr', $call, $when);
			is($r->{said}, 'accepted', 'it was accepted');
		}
	}
	$later->close;
});

promise('recovery-6', sub {
	my $lab = laboratory('relay', %logged);
	my $mail = $lab->mail;

	# Nobody has told of it: only the look at the end finds it.
	for ([qr/^pwritev2 $log/, 'after'],
	    [qr{^sendmsg private/qmgr}, 'before']) {
		to_log($lab);
		my $r = strike($lab, 'cleanup', @$_);
		like($r->{count}, qr/sink=1/, 'what a look has found arrives');
	}

	# A log that was left with one that is open: it gets a file, which is
	# marked, and the log is released, whoever dies between them.
	for my $when ('before', 'after') {
		end_of_log($lab, $_, $when) for 1, 2;
	}
	$lab->close;
});
done_testing();
