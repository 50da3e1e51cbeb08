# recovery.t - what a crash leaves in the queue, and what becomes of it:
# common/queue/dirs.c, qmgr/scan.c and message.c, struck at.
use strict;
use warnings;
use Fcntl qw(:flock);
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
done_testing();
