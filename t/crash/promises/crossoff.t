# crossoff.t - who has the mail, or whose sender was told, is crossed off, and
# nobody else: qmgr/record.c, outcome.c and sync.c, struck at.
use strict;
use warnings;
use POSIX qw(EIO ENOSPC);
use Test::More;
use Postrider;
use Postrider::Promise;

my $file = qr{spool/incoming/ID};
my @by = qw(smtpd cleanup qmgr resolve smtp bounce local helper);

# One recipient is refused, the other one has to wait.
my $lab = laboratory('failed', way => { is_report => 1, by => \@by,
    to => ['refused-ID@relay.test', 'later@relay.test'],
    where => { sink => 1, BOB => 1 } });

promise('crossoff-1', sub {
	my @calls = watch($lab, 'qmgr');
	order(\@calls, 'the reason' => qr/^pwrite64 $file.* = \d\d/,
	    'its sync' => qr/^fsync $file.* = 0/,
	    'the byte' => qr/^pwrite64 $file.* = 1$/);
	strike($lab, 'qmgr', qr/^fsync $file/, $_, twice => 1)
	    for 'before', 'after', EIO;
});

promise('crossoff-2', sub {
	my @calls = watch($lab, 'qmgr');
	order(\@calls, 'the answer of bounce' =>
	    qr{^recvmsg private/bounce.* = \d}, 'the byte' =>
	    qr/^pwrite64 $file.* = 1$/);
	# The report is the second message that cleanup commits.
	strike($lab, 'cleanup', qr/^fsync $file/, $_, nth => 2, twice => 1)
	    for 'before', EIO;
	strike($lab, 'smtp', qr{^sendmsg private/relay}, 'before', twice => 1);
});
$lab->close;

# One has the mail, the other one has to wait.
$lab = laboratory('part', way => { by => \@by,
    to => ['x@relay.test', 'later@relay.test'], where => { sink => 2 } });
promise('crossoff-4', sub {
	my @calls = watch($lab, 'qmgr');
	order(\@calls, 'the byte' => qr/^pwrite64 $file.* = 1$/,
	    'the sync of the file' => qr{^fsync spool/deferred/\w+/ID.* = 0},
	    'the removal' => qr/^unlinkat /,
	    'the sync of the directory' =>
	    qr{^fsync spool/deferred/\w+#\d+ = 0});
	strike($lab, 'qmgr', qr/^pwrite64 $file/, 'before', twice => 1);
	strike($lab, 'qmgr', qr{^fsync spool/deferred/}, 'after');
});

promise('crossoff-5', sub {
	my $r = strike($lab, 'qmgr', qr{^fsync spool/deferred/\w+/ID}, EIO);
	is(scalar(() = $r->{log} =~ /error: sync of .*Input\/output error/g),
	    1, 'the log says so');
});
$lab->close;

$lab = laboratory('success', way => { is_report => 1, by => \@by,
    to => ['x@relay.test'], asks => ' NOTIFY=SUCCESS',
    where => { sink => 1, BOB => 1 } });
promise('crossoff-3', sub {
	my @calls = watch($lab, 'qmgr');
	order(\@calls, 'the byte' => qr/^pwrite64 $file.* = 1$/,
	    'the report' => qr{^sendmsg private/bounce},
	    'its answer' => qr{^recvmsg private/bounce.* = \d},
	    'the removal' => qr/^unlinkat $file/);
	strike($lab, 'qmgr', qr/^pwrite64 $file/, 'after');
	strike($lab, 'qmgr', qr{^sendmsg private/bounce}, 'before');
	my $r = strike($lab, 'bounce', qr{^sendmsg private/bounce}, 'before',
	    twice => 1);
	like($r->{count}, qr/sink=1$/, 'the mail itself is not sent again');
});
$lab->close;
done_testing();
