# storm.t - a slow disk and much mail: reports are not kept waiting by mail from
# outside, nor that by many reports (P1 of commit.c).

use strict;
use warnings;

use lib 't/lib';
use List::Util qw(max);
use POSIX ();
use Postrider qw(need_root slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep time);

need_root();
plan(skip_all => 'there is no strace') unless -x '/usr/bin/strace';

my $mail = Postrider->new(settings => {
	cleanup_processes => 1, cleanup_sync_threads => 2,
	cleanup_wal_size => 0,		# where many share a sync
	relay_domains => 'far.test', in_flow_delay => '0s',
	smtpd_peername_lookup => 'no', minimal_backoff_time => '1000s' });
my $answer = $mail->dir . '/answer';
my $sink = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' && $_[1] =~ /back/ ? slurp($answer) : undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
spew($answer, '450 4.2.1 later');
$mail->start;
my ($main, $tracer, @clients) = $$;
END { kill 'KILL', grep { $_ } $tracer, @clients if $$ == ($main // 0) }

# Every sync of cleanup's takes so long from now on.
sub slow_down
{
	my ($seconds) = @_;
	my ($pid) = $mail->children('cleanup');

	$tracer = fork // die "fork: $!";
	if ($tracer == 0) {
		open STDERR, '>', '/dev/null';
		exec 'strace', '-f', '-o', '/dev/null', '-e', 'trace=fsync',
		    '-e', 'inject=fsync:delay_enter=' . $seconds * 1e6, '-p',
		    $pid or POSIX::_exit(127);
	}
	wait_for(sub { slurp("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m },
	    10, 'strace');
}

sub hurry_again
{
	kill 'INT', $tracer;
	waitpid $tracer, 0;
	undef $tracer;
}

# One message; how long the answer took.
sub send_one
{
	my ($to) = @_;
	my $began = time;

	$mail->send(from => 'root@local.test', to => [$to], text => "\nx\n");
	return time - $began;
}

# Messages that will come back.
sub to_come_back
{
	my ($count) = @_;

	send_one('back@far.test') for 1 .. $count;
	wait_for(sub { $mail->queue_count('deferred') >= $count }, 20,
	    'deferred messages');
}

sub reports { return $mail->said(qr/sender non-delivery notification/) }

subtest 'a report does not wait behind mail from outside' => sub {
	to_come_back(1);
	slow_down(0.3);
	my $began = time;
	for (1 .. 30) {
		my $pid = fork // die "fork: $!";
		push @clients, $pid if $pid;
		next if $pid;
		my $ok = eval { send_one('b@far.test') };
		POSIX::_exit($ok ? 0 : 1);
	}
	spew($answer, '550 5.1.1 never');
	$mail->postrider('queue', 'flush');
	wait_for(sub { reports() > 0 }, 20, 'the report');
	my $report = time - $began;
	my $bad = 0;
	for my $pid (splice @clients) {
		waitpid $pid, 0;
		$bad++ if $?;
	}
	my $all = time - $began;
	is($bad, 0, 'all were taken');
	diag(sprintf 'the report took %.1f s, 30 messages %.1f s', $report,
	    $all);
	cmp_ok($all, '>', 4, 'which took long');
	cmp_ok($report, '<', $all / 2, 'the report did not');
	hurry_again();
};

subtest 'mail from outside does not wait behind reports' => sub {
	spew($answer, '450 4.2.1 later');
	to_come_back(30);
	my $before = reports();
	slow_down(0.3);
	spew($answer, '550 5.1.1 never');
	my $began = time;
	$mail->postrider('queue', 'flush');
	wait_for(sub { reports() > $before }, 20, 'the first report');
	my @times = map { send_one('b@far.test') } 1 .. 3;
	my $seen = reports() - $before;
	diag(sprintf 'three messages took %.1f s at most, when %d of 30 ' .
	    'reports were there', max(@times), $seen);
	cmp_ok(max(@times), '<', 1.5, 'it is taken');
	cmp_ok($seen, '<', 25, 'while there are reports to be written');
	wait_for(sub { reports() == $before + 30 }, 60, 'all reports');
	cmp_ok(time - $began, '>', 4, 'which take long');
	hurry_again();
};

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop;
done_testing;
