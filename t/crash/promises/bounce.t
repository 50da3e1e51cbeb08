# bounce.t - a sender hears of each failure: qmgr/notify.c and bounce.c, struck
# at.
use strict;
use warnings;
use POSIX qw(EIO ENOSPC);
use Test::More;
use Postrider;
use Postrider::Promise;

my $lab = laboratory('bounce');
my $file = qr{spool/incoming/ID};

promise('bounce-1', sub {
	my @calls = watch($lab, 'qmgr');
	order(\@calls, 'the report' => qr{^sendmsg private/bounce},
	    '250 for it' => qr{^recvmsg private/bounce.* = \d},
	    'the removal' => qr/^unlinkat $file/);
	strike($lab, 'qmgr', qr{^sendmsg private/bounce}, 'before');
	strike($lab, 'qmgr', qr{^recvmsg private/bounce}, 'before',
	    twice => 1);
	strike($lab, 'bounce', qr{^recvmsg private/bounce}, 'before');
});

promise('bounce-2', sub {
	my @calls = watch($lab, 'bounce');
	order(\@calls, 'the report' => qr{^sendmsg private/cleanup},
	    '250 of cleanup' => qr{^recvmsg private/cleanup.* = \d},
	    'our own' => qr{^sendmsg private/bounce});
	# Before its sync the report is whole: it may be there, and another one.
	strike($lab, 'cleanup', qr/^fsync $file/, 'before', nth => 2,
	    twice => 1);
	strike($lab, 'cleanup', qr/^fsync $file/, EIO, nth => 2);
	strike($lab, 'cleanup', qr/^pwrite64 $file/, ENOSPC, nth => 2);
	strike($lab, 'bounce', qr{^recvmsg private/cleanup}, 'before',
	    twice => 1);
});

promise('bounce-3', sub {
	my $mail = $lab->mail;
	my $reply = $mail->send(from => '', to => ['refused-x@relay.test']);
	my ($id) = $reply =~ /queued as (\w+)/;
	$mail->wait_log(qr/$id: .*status=bounced.*\n(?:.*\n)*?.*$id: removed/);
	is($mail->queue_count, 0, 'nobody is told, and nothing stays');
	like($mail->log, qr/$id: .*to=<refused-x.*status=bounced/,
	    'the log knows');
	my ($bounce) = $mail->children('bounce');
	kill 'STOP', $bounce;
	($id) = $mail->send(from => '', to => ['refused-y@relay.test']) =~
	    /queued as (\w+)/;
	kill 'KILL', $bounce;
	$mail->wait_log(qr/$id: removed/, 30);
	is($mail->queue_count, 0, 'nor if bounce dies over it');
});
$lab->close;
done_testing();
