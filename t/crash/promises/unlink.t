# unlink.t - a message leaves the queue when it is over, and not before:
# qmgr/outcome.c, struck at.
use strict;
use warnings;
use POSIX qw(EIO ENOSPC EROFS);
use Test::More;
use Postrider;
use Postrider::Promise;

my $lab = laboratory('relay');
my $file = qr{spool/incoming/ID};

promise('unlink-1', sub {
	my @calls = watch($lab, 'qmgr');
	order(\@calls, 'the delivery' => qr{^sendmsg private/relay},
	    'its outcome' => qr{^recvmsg private/relay.* = \d},
	    'the removal' => qr/^unlinkat $file.* = 0/);
	is(scalar(grep { /^unlink/ } @calls), 1, 'there is one removal');
	strike($lab, 'qmgr', qr/^unlinkat $file/, 'before', twice => 1);
	strike($lab, 'qmgr', qr/^unlinkat $file/, 'after');
	strike($lab, 'qmgr', qr/^unlinkat $file/, EIO);
	strike($lab, 'qmgr', qr{^sendmsg private/relay}, 'before');
});
$lab->close;

$lab = laboratory('later');
promise('unlink-2', sub {
	strike($lab, 'qmgr', @$_) for [qr/^openat $file/, EIO],
	    [qr/^pwrite64 $file/, ENOSPC], [qr/^pwrite64 $file/, EROFS],
	    [qr{^renameat2 spool/deferred}, ENOSPC],
	    [qr{^utimensat spool/deferred}, EIO];
});
$lab->close;
done_testing();
