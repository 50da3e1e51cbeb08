# commit.t - what was answered with 250 is on stable storage: the promises of
# cleanup/commit.c, struck at, with a file for each message and with a write-ahead
# log.
use strict;
use warnings;
use POSIX qw(EDQUOT EIO ENOSPC EROFS);
use Test::More;
use Postrider;
use Postrider::Promise;

my $lab = laboratory('relay');
my $logs = laboratory('relay', settings => { cleanup_wal_rate => 0,
    cleanup_wal_size => '1M' });
my $file = qr{spool/incoming/ID};
my $write = qr{^pwritev2 spool/incoming/wal};

promise('commit-1', sub {
	my @calls = watch($lab, 'cleanup');

	order(\@calls, 'its name' => qr/^openat $file/,
	    'its content' => qr/^pwrite64 $file/,
	    'the bit' => qr/^fchmod $file/,
	    'the sync' => qr/^fsync $file.* = 0/,
	    'the close' => qr/^close $file.* = 0/,
	    'the answer' => qr{^sendmsg private/cleanup});
	is(scalar(grep { /^(fsync|fdatasync) / } @calls), 1,
	    'there is one sync');
	to_log($logs);
	@calls = watch($logs, 'cleanup');
	order(\@calls, 'the write' => qr/$write.* = [1-9]/,
	    'the answer' => qr{^sendmsg private/cleanup});
	is(scalar(grep { /^(fsync|fdatasync|openat|close) $file/ } @calls), 0,
	    'and no file');
	@calls = watch($lab, 'smtpd');
	order(\@calls, 'all of it' => qr{^sendmsg private/cleanup},
	    "cleanup's answer" => qr{^recvmsg private/cleanup\S* = \d},
	    '250' => qr/^(write|sendto) inet/);
	is_refused($lab, strike($lab, 'cleanup', qr/^fsync $file/, EIO));
	is_refused($lab, strike($lab, 'cleanup', qr/^close $file/, EIO));
});

promise('commit-2', sub {
	for my $call (qr/^openat $file/, qr/^pwrite64 $file/,
	    qr/^fchmod $file/) {
		my $r = strike($lab, 'cleanup', $call, 'before');
		is($r->{phantom}, 0, 'what was not complete is nowhere');
		isnt($r->{said}, 'accepted', 'nobody was told 250');
	}
	for my $call (qr/^fsync $file/, qr{^sendmsg private/cleanup}) {
		my $r = strike($lab, 'cleanup', $call, 'before');
		isnt($r->{said}, 'accepted', 'nobody was told 250');
	}
	to_log($logs);
	my $r = strike($logs, 'cleanup', $write, 'before');
	is($r->{phantom}, 0, 'what was not written is nowhere');
	isnt($r->{said}, 'accepted', 'nobody was told 250');
	for ([$write, 'after'], [qr{^sendmsg private/cleanup}, 'before']) {
		to_log($logs);
		$r = strike($logs, 'cleanup', @$_);
		isnt($r->{said}, 'accepted', 'nobody was told 250');
		like($r->{count}, qr/sink=1/, 'what was written is a message');
	}
});

promise('commit-3', sub {
	is_refused($lab, strike($lab, 'cleanup', @$_)) for
	    [qr/^openat $file/, EROFS], [qr/^pwrite64 $file/, ENOSPC],
	    [qr/^fchmod $file/, EROFS], [qr/^fsync $file/, EDQUOT];
	# A second sync would have said 0, and the answer 250.
	is_refused($lab, strike($lab, 'cleanup', qr/^fsync $file/, EIO));
	$lab->once;
	for (EIO, ENOSPC, 'short') {
		to_log($logs);
		is_refused($logs, strike($logs, 'cleanup', $write, $_));
		afresh($logs, 'cleanup');
	}
});

promise('commit-4', sub {
	my $r = strike($lab, 'cleanup', qr{^sendmsg private/qmgr}, 'before');
	is($r->{said}, 'accepted', 'who posted it was told before');
	$r = strike($lab, 'qmgr', qr{^recvmsg private/qmgr}, 'before',
	    twice => 1);
	is($r->{said}, 'accepted', 'nor does he wait for qmgr');
	for (['cleanup', qr{^sendmsg private/qmgr}, 'before'],
	    ['qmgr', qr{^recvmsg private/qmgr}, 'before'],
	    ['qmgr', qr{^recvmsg private/qmgr}, 'after']) {
		to_log($logs);
		$r = strike($logs, @$_, twice => 1);
		is($r->{said}, 'accepted', 'without a file it is the same');
	}
});

$_->close for $lab, $logs;
done_testing();
