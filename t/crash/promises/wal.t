# wal.t - small messages that are committed together in a write-ahead log: the
# promises of common/queue/wal.c, and those of cleanup/commit.c for messages
# that have no file, struck at.
use strict;
use warnings;
use POSIX qw(EIO ENOSPC);
use Test::More;
use Postrider qw(slurp wait_for);
use Postrider::Promise;

my $lab = laboratory('relay', settings => { cleanup_wal_rate => 0,
    cleanup_wal_size => '256K' });
my $mail = $lab->mail;
my $write = qr{^pwritev2 spool/incoming/wal};
my $log = qr{^\w+ spool/incoming/wal};

promise('wal-1', sub {
	to_log($lab);
	my @calls = watch($lab, 'cleanup');
	order(\@calls, 'the write' => qr/$write.* = [1-9]/,
	    'the answer' => qr{^sendmsg private/cleanup},
	    'the news' => qr{^sendmsg private/qmgr});
	is(scalar(grep { /$write/ } @calls), 1, 'there is one write');
	is(scalar(grep { /^(fsync|fdatasync|openat) / } @calls), 0,
	    'and neither a file nor another sync');

	to_log($lab);
	my $r = strike($lab, 'cleanup', $write, 'before');
	isnt($r->{said}, 'accepted', 'nobody was told 250');
	is($r->{phantom}, 0, 'what was not written is nowhere');
	to_log($lab);
	$r = strike($lab, 'cleanup', $write, 'after');
	isnt($r->{said}, 'accepted', 'nor before the answer');
	like($r->{count}, qr/sink=1/, 'but what was written is a message');
	to_log($lab);
	$r = strike($lab, 'cleanup', qr{^sendmsg private/cleanup}, 'before');
	like($r->{count}, qr/sink=1/, 'which it stays');
	to_log($lab);
	$r = strike($lab, 'cleanup', qr{^sendmsg private/qmgr}, 'before');
	is($r->{said}, 'accepted', 'nobody waits for qmgr');
	for my $how (EIO, ENOSPC, 'short') {
		to_log($lab);
		is_refused($lab, strike($lab, 'cleanup', $write, $how));
		afresh($lab, 'cleanup');
	}
});
$lab->close;
done_testing();
