# inflow.t - input that is faster than output is slowed down; nothing is without
# that; mail of our own making, and who brings little, do not pay for others;
# and a queue manager that does not answer keeps nobody from posting.

use strict;
use warnings;

use lib 't/lib';
use List::Util qw(max sum0);
use POSIX ();
use Postrider qw(slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep time);

# Some forty messages a second can leave.
my $mail = Postrider->new(settings => {
	cleanup_processes => 1, relay_domains => 'far.test',
	qmgr_message_active_limit => 100, minimal_backoff_time => '1000s',
	initial_destination_concurrency => 2,
	default_destination_concurrency_limit => 2,
	smtpd_peername_lookup => 'no' });
my $hang = $mail->dir . '/hang';
my $sink = $mail->sink(replies => sub {
	sleep 0.05 if $_[0] eq 'DOT';
	sleep 0.1 while -e $hang;
	return undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
my $main = $$;
my @clients;
END { kill 'KILL', @clients if $$ == ($main // 0) && @clients }

# Send from this address until the time is over, with pauses; the waits after
# the dot go to a file, a line each: when, how long.
sub send_until
{
	my ($from, $end, $pause, $file, $port) = @_;
	my $pid = fork // die "fork: $!";

	push @clients, $pid if $pid;
	return $pid if $pid;
	eval {
		my $c = Postrider::Client->new($port // $mail->port,
		    from => $from);
		open my $f, '>', $file or die;
		$c->expect(220);
		$c->command('EHLO c.test', 250);
		while (time < $end) {
			$c->script('MAIL FROM:<a@some.test>' => 250,
			    'RCPT TO:<b@far.test>' => 250, DATA => 354);
			my $began = time;
			$c->data("Subject: x\n\nx\n", 250);
			syswrite $f, sprintf("%.3f %.3f\n", time,
			    time - $began);
			sleep $pause if $pause;
		}
	};
	POSIX::_exit($@ ? 1 : 0);
}

# The waits in a file, from this time on.
sub waits
{
	my ($file, $since) = @_;
	return map { /^(\S+) (\S+)$/ && $1 >= $since ? $2 : () }
	    split /\n/, slurp($file);
}

sub mean { return @_ ? sum0(@_) / @_ : 0 }

# Eight clients of one address as fast as they can, and one of another who
# sends something every 300 ms. [fast waits], [slow waits] of the second half.
sub load
{
	my ($seconds) = @_;
	my $end = time + $seconds;
	my $half = $end - $seconds / 2;
	my @files = map { $mail->dir . "/waits.$_" } 0 .. 8;

	@clients = ();
	send_until('127.0.0.1', $end, 0, $files[$_]) for 1 .. 8;
	send_until('127.0.0.2', $end, 0.3, $files[0]);
	my $bad = 0;
	for my $pid (splice @clients) {
		waitpid $pid, 0;
		$bad++ if $?;
	}
	is($bad, 0, 'everybody heard 250');
	return ([map { waits($_, $half) } @files[1 .. 8]],
	    [waits($files[0], $half)], sum0(map { scalar waits($_, 0) }
	    @files));
}

sub backlog { return $mail->queue_count('incoming') }

subtest 'without limits the queue grows' => sub {
	$mail->set(in_flow_delay => '0s');
	$mail->start;
	my ($fast, $slow, $count) = load(5);
	cmp_ok(mean(@$fast), '<', 0.5, 'nobody waits');
	cmp_ok($count, '>', 500, 'much is accepted');
	is($mail->said(qr/input slowed/), 0, 'and nothing is said of it');
	diag("$count accepted in 5 s, " . backlog() . ' not tried; mean wait ' .
	    sprintf('%.3f s', mean(@$fast)));
};

# P1
subtest 'without pressure nobody waits' => sub {
	$mail->stop;
	system('find', $mail->spool . '/incoming', '-type', 'f', '-delete');
	$mail->set(in_flow_delay => '1s');
	$mail->start;
	my $end = time + 3;
	my $file = $mail->dir . '/waits.calm';
	waitpid send_until('127.0.0.1', $end, 0.1, $file), 0;
	cmp_ok(max(waits($file, 0)), '<', 0.5, 'a few messages a second');
	is($mail->said(qr/input slowed/), 0, 'are not slowed');
};

subtest 'with it the senders are slowed down' => sub {
	my ($fast, $slow, $count) = load(14);
	diag(sprintf '%d accepted in 14 s, %d not tried; in the second half ' .
	    '%d fast ones waited %.2f s (%.2f at most), %d slow ones %.2f s',
	    $count, backlog(), scalar @$fast, mean(@$fast), max(@$fast),
	    scalar @$slow, mean(@$slow));
	cmp_ok(mean(@$fast), '>', 0.05, 'who brings much waits');
	cmp_ok(max(@$fast), '<', 6, 'but never long');
	cmp_ok(@$fast / 7, '<', 150, 'so that little more comes than leaves');
	cmp_ok(mean(@$slow), '<', mean(@$fast) / 2 + 0.02,
	    'who brings little waits much less');
	$mail->wait_log(qr/cleanup\[\d+\]: input slowed: \d+ messages waited for \d+ ms on average; \d+ new ones have not been tried, /);
};

# P2
subtest 'reports do not wait' => sub {
	$mail->set(in_flow_delay => '5s');
	$mail->stop;
	$mail->start;
	spew($hang, '');
	my $end = time + 16;
	my @files = map { $mail->dir . "/waits.$_" } 1 .. 8;
	send_until('127.0.0.1', $end, 0, $_) for @files;
	wait_for(sub { mean(map { waits($_, time - 3) } @files) > 1 }, 15,
	    'long waits');
	my @times;
	for my $n (1 .. 3) {
		my ($status) = $mail->sendmail("x\n", '-f', 'root',
		    "nobody$n\@local.test");
		is($status, 0, 'mail for nobody');
		$mail->wait_log(qr/to=<nobody$n\@local.test>.*status=bounced/);
		my $began = time;
		wait_for(sub {
			$mail->said(qr/non-delivery notification/) >= $n
		}, 10, 'the report');
		push @times, time - $began;
	}
	diag(sprintf 'reports were there after %.2f s at most', max(@times));
	cmp_ok(max(@times), '<', 0.7, 'of ours that is at once');
	waitpid $_, 0 for splice @clients;
	unlink $hang;
};

# P3
subtest 'a queue manager that hangs keeps nobody waiting' => sub {
	my ($pid) = $mail->children('qmgr');
	kill 'STOP', $pid;
	sleep 8;		# longer than the pressure lasts
	my $file = $mail->dir . '/waits.hung';
	waitpid send_until('127.0.0.1', time + 3, 0.05, $file), 0;
	is($?, 0, 'mail is accepted');
	my @waits = waits($file, 0);
	cmp_ok(scalar @waits, '>', 12, 'much of it');
	cmp_ok(mean(@waits[-10 .. -1]), '<', 0.2, 'and at once');
	kill 'CONT', $pid;
};

# P2: while much waits for a filter, the filter must not wait for that.
subtest 'what a content filter gives back does not wait' => sub {
	$mail->stop(now => 1);
	system('find', $mail->spool . '/incoming', '-type', 'f', '-delete');
	my $back = Postrider::free_port();
	$mail->{master} = "127.0.0.1:$back inet n - n - - smtpd\n" .
	    "  -o content_filter=\n";
	$mail->set(content_filter => 'smtp:[127.0.0.1]:' . $sink->port);
	$mail->write_config;
	$mail->start;
	spew($hang, '');
	my $end = time + 18;
	my @files = map { $mail->dir . "/waits.$_" } 1 .. 8;
	spew($_, '') for @files;
	send_until('127.0.0.2', $end, 0, $_) for @files;
	wait_for(sub { mean(map { waits($_, time - 3) } @files) > 1 }, 15,
	    'long waits');
	my $file = $mail->dir . '/waits.back';
	waitpid send_until('127.0.0.1', time + 3, 0, $file, $back), 0;
	is($?, 0, 'the filter is heard');
	my @waits = waits($file, 0);
	diag(sprintf '%d waited %.3f s', scalar @waits, mean(@waits));
	cmp_ok(scalar @waits, '>', 20, 'much comes back');
	cmp_ok(max(@waits), '<', 1, 'and none of it waits');
	waitpid $_, 0 for splice @clients;
	unlink $hang;
};

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop(now => 1);
done_testing;
