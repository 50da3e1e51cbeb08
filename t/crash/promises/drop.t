# drop.t - what sendmail said 0 to is on its way: cleanup/postdrop.c,
# maildrop.c, pickup.c and submit.c, struck at.
use strict;
use warnings;
use POSIX qw(EIO ENOSPC EROFS);
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Promise;

# The system is down when the message is posted.
my $lab = laboratory('down');
my $drop = qr{maildrop/ID};

promise('drop-1', sub {
	my @calls = watch($lab, 'postdrop');
	order(\@calls, 'its name' => qr/^openat \S*$drop/,
	    'the message' => qr/^write \S*$drop/,
	    'the bit' => qr/^fchmod \S*$drop/,
	    'the sync' => qr/^fsync \S*$drop.* = 0/,
	    'the close' => qr/^close \S*$drop.* = 0/,
	    'the answer' => qr/^write pipe/);
	is(scalar(grep { /^(fsync|fdatasync) / } @calls), 1,
	    'there is one sync');
	for ([qr/^openat .*$drop/, EROFS], [qr/^write .*$drop/, ENOSPC],
	    [qr/^fsync .*$drop/, EIO], [qr/^close .*$drop/, EIO]) {
		my $r = strike($lab, 'postdrop', @$_);
		is($r->{said}, 'refused 75', 'sendmail says: later');
		is($r->{phantom}, 0, 'it is nowhere');
	}
});

promise('drop-2', sub {
	for ([qr/^openat .*$drop/, 'after'], [qr/^write .*$drop/, 'before'],
	    [qr/^fchmod .*$drop/, 'before']) {
		my $r = strike($lab, 'postdrop', @$_);
		is($r->{said}, 'refused 75', 'sendmail says: later');
		is($r->{phantom}, 0, 'and what was left is removed');
	}
});

promise('drop-3', sub {
	my @calls = watch($lab, 'pickup');
	order(\@calls, 'to cleanup' => qr{^sendmsg private/cleanup},
	    'its answer' => qr{^recvmsg private/cleanup.* = \d},
	    'the removal' => qr/^unlinkat .*$drop/);
	strike($lab, 'pickup', qr/^unlinkat .*$drop/, $_, twice => 1)
	    for 'before', 'after';
	strike($lab, 'cleanup', qr{^fsync .*incoming/ID}, $_, twice => 1)
	    for 'before', EIO;
});

promise('drop-7', sub {
	my $r = strike($lab, 'postdrop', qr/^write pipe/, 'before');
	is($r->{said}, 'refused 75', 'no word of postdrop is no success');
	$r = strike($lab, 'sendmail', qr/^(clone|vfork|clone3) /, EROFS);
	is($r->{said}, 'refused 75', 'nor is it if there is no postdrop');
});
$lab->close;

# The system is up.
$lab = laboratory('sendmail');
my $mail = $lab->mail;

promise('drop-4', sub {
	my $dir = $mail->spool . '/maildrop';
	my @stat = stat $dir;

	$lab->once;
	spew("$dir/4garbage0000000", 'this is no message');
	chown +(getpwnam $mail->user(0))[2], $stat[5], "$dir/4garbage0000000";
	chmod 0700, "$dir/4garbage0000000";
	$mail->wait_log(qr/maildrop\/4garbage0000000: .*kept as/);
	wait_for(sub { !-e "$dir/4garbage0000000" }, 10, 'it to go');
	my @kept = grep { !m{/[A-Za-z0-9]+\z} } glob "$dir/*";
	is(scalar @kept, 1, 'it is kept under another name');
	is(slurp($kept[0]), 'this is no message', 'unread');
	unlink @kept;
	$lab->once;
});

promise('drop-5', sub {
	my @calls = watch($lab, 'pickup');
	order(\@calls, 'to cleanup' => qr{^sendmsg private/cleanup},
	    'its answer' => qr{^recvmsg private/cleanup.* = \d},
	    'ours' => qr{^sendmsg public/pickup});
	strike($lab, 'cleanup', qr{^fsync .*incoming/ID}, $_, twice => 1)
	    for 'before', EIO;
	strike($lab, 'pickup', qr{^recvmsg private/cleanup}, 'before',
	    twice => 1);
});

promise('drop-6', sub {
	# The answer is lost, and sendmail asks once more.
	my $r = strike($lab, 'sendmail', qr{^recvmsg public/pickup}, EIO);
	is($r->{said}, 'accepted', 'sendmail has its answer in the end');
});
$lab->close;
done_testing();
