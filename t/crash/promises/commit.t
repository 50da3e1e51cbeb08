# commit.t - what was answered with 250 is on stable storage: the promises of
# cleanup/commit.c, struck at.
use strict;
use warnings;
use POSIX qw(EDQUOT EIO ENOSPC EROFS);
use Test::More;
use Postrider;
use Postrider::Promise;

my $lab = laboratory('relay');
my $file = qr{spool/incoming/ID};

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
});

promise('commit-3', sub {
	is_refused($lab, strike($lab, 'cleanup', @$_)) for
	    [qr/^openat $file/, EROFS], [qr/^pwrite64 $file/, ENOSPC],
	    [qr/^fchmod $file/, EROFS], [qr/^fsync $file/, EDQUOT];
	# A second sync would have said 0, and the answer 250.
	is_refused($lab, strike($lab, 'cleanup', qr/^fsync $file/, EIO));
	$lab->once;
});

promise('commit-4', sub {
	my $r = strike($lab, 'cleanup', qr{^sendmsg private/qmgr}, 'before');
	is($r->{said}, 'accepted', 'who posted it was told before');
	$r = strike($lab, 'qmgr', qr{^recvmsg private/qmgr}, 'before',
	    twice => 1);
	is($r->{said}, 'accepted', 'nor does he wait for qmgr');
});

$lab->close;
done_testing();
