#!/usr/bin/perl
# mailbox.t - the recipient's own process: its rights, its end, its death.

use strict;
use warnings;
use lib 't/lib';

use Fcntl qw(:DEFAULT :flock);
use POSIX ();
use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(settings => { mailbox_size_limit => '20000',
    message_size_limit => '15000', minimal_backoff_time => '1s',
    maximal_backoff_time => '1s', queue_run_delay => '1s' })->start;
my $alice = $mail->user(0);
my $box = $mail->dir . "/mail/$alice";

# The process of a user in this system: its number, 0 when there is none.
sub process_of
{
	my ($user) = @_;

	for my $dir (glob('/proc/[0-9]*')) {
		my $line = slurp("$dir/cmdline");
		return $dir =~ s{/proc/}{}r if $line =~ /\Amailbox\0/ &&
		    $line =~ /\0\Q$mail->{dir}\E/ &&
		    $line =~ /\0$user\0?\z/;
	}
	return 0;
}

# Has the process a message of the queue in its hands?
sub holds_message
{
	my ($pid) = @_;

	return grep { (readlink // '') =~ m{/spool/|^/memfd:} }
	    glob("/proc/$pid/fd/*");
}

sub post
{
	my ($to, $text) = @_;

	$mail->send(from => '', to => [$to], text => $text) =~
	    /queued as (\w+)/ or die;
	return $1;
}

subtest 'root\'s process can do nothing that root can' => sub {
	my $id = post('root@local.test', "Subject: x\n\ny\n");

	$mail->wait_log(qr/$id: to=.*status=sent/);
	my $status = slurp('/proc/' . process_of('root') . '/status');
	like($status, qr/^CapPrm:\t0+$/m, 'no capabilities');
	like($status, qr/^CapEff:\t0+$/m, 'none in effect');
	like($status, qr/^NoNewPrivs:\t1$/m, 'none to be had');
	is((stat $mail->dir . '/mail/root')[4], 0, 'it still delivers');
};

subtest 'nobody becomes a user of the mail system itself' => sub {
	for my $user ('postrider', 'postrider-map') {
		my $id = post("$user\@local.test", "Subject: x\n\ny\n");

		like($mail->wait_log(qr/$id: to=.*status=.*/),
		    qr/status=bounced \(unknown user: "$user"\)/, $user);
		is(process_of($user), 0, 'there is no process');
		ok(!-e $mail->dir . "/mail/$user", 'and no mailbox');
	}
};

subtest 'a full mailbox returns mail' => sub {
	my $id = post("$alice\@local.test", "Subject: x\n\n" . 'x' x 900 .
	    "\n" x 2);
	$mail->wait_log(qr/$id: to=.*status=sent/);
	spew($box, slurp($box) . "\n" x 18000);
	my $size = -s $box;
	$id = post("$alice\@local.test", "Subject: x\n\n" . ('x' x 70 . "\n") x 50);
	like($mail->wait_log(qr/$id: to=.*status=.*/),
	    qr/dsn=5\.2\.2, status=bounced \(mailbox full: /, 'status');
	is(-s $box, $size, 'and stays as it was');
	truncate $box, 0;
};

subtest 'a message interrupted by kill -9 is delivered once more' => sub {
	sysopen my $lock, "$box.lock", O_CREAT | O_EXCL | O_WRONLY or die "$!";
	my $id = post("$alice\@local.test", "Subject: killed\n\nx\n");
	my $pid = wait_for(sub { process_of($alice) }, 10, 'the process');

	wait_for(sub { holds_message($pid) }, 10, 'the message to get there');
	kill 'KILL', $pid;
	like($mail->wait_log(qr/$id: to=.*status=.*/),
	    qr/dsn=4\.3\.0, status=deferred \(the mailbox process of $alice gave no answer/,
	    'it is tried again');
	unlink "$box.lock";
	$mail->wait_log(qr/$id: to=.*status=sent/, 20);
	is(scalar(grep { /Subject: killed/ } $mail->mbox($alice)), 1,
	    'and arrives');
};

# Packets to local go out behind the sync of what they tell of (mailbox-1).
SKIP: {
	skip 'there is no strace', 1 unless -x '/usr/bin/strace';
	subtest 'a batch is answered in one call, after its sync' => sub {
		sysopen my $lock, "$box.lock", O_CREAT | O_EXCL | O_WRONLY
		    or die "$!";
		my @ids = map { post("$alice\@local.test",
		    "Subject: together $_\n\nx\n") } 1 .. 6;
		my $pid = wait_for(sub { process_of($alice) }, 10,
		    'the process');
		wait_for(sub { holds_message($pid) == 6 }, 10,
		    'all messages to get there');
		my $trace = $mail->dir . '/trace';
		my $tracer = fork // die;
		if ($tracer == 0) {
			open STDERR, '>', '/dev/null';
			exec 'strace', '-f', '-o', $trace, '-e',
			    'trace=fsync,sendmsg,sendmmsg', '-p', $pid
			    or POSIX::_exit(1);
		}
		wait_for(sub { slurp("/proc/$pid/status") =~
		    /^TracerPid:\s+[1-9]/m }, 10, 'strace');
		unlink "$box.lock";
		$mail->wait_log(qr/$_: to=.*status=sent/, 20) for @ids;
		kill 'INT', $tracer;
		waitpid $tracer, 0;
		my $calls = slurp($trace);
		my $sends = () = $calls =~ /send\w+\(3,/g;
		cmp_ok($sends, '>=', 1, 'there are answers');
		cmp_ok($sends, '<=', 2, 'of six messages') or diag($calls);
		unlike((split /fsync\(\d+\)\s+= 0|fsync resumed>\)\s+= 0/,
		    $calls)[0], qr/send\w+\(3,/, 'none before the sync');
		is(scalar(grep { /Subject: together/ } $mail->mbox($alice)),
		    6, 'all are there, once');
	};
}

subtest 'signals do not interrupt it, the end of local does' => sub {
	my $pid = process_of($alice) or die 'no process';

	kill $_, $pid for qw(TERM INT HUP);
	my $id = post("$alice\@local.test", "Subject: calm\n\nx\n");
	$mail->wait_log(qr/$id: to=.*status=sent/);
	ok(kill(0, $pid), 'it is still there');
	$mail->stop;
	wait_for(sub { !kill(0, $pid) }, 10, 'its end');
	pass('it ends with local');
};

is(scalar(grep { !/the mailbox process of/ } $mail->complaints), 0,
    'no complaints');
done_testing();
