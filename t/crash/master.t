# master.t - kill -9 of master under load: a fresh start serves within seconds,
# the daemons of the dead one end, and no accepted message is lost.
#
#	POSTRIDER_KILLS=50 prove -v ...
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider qw(wait_for slurp spew is_alive);

Postrider::need_root();
my $kills = $ENV{POSTRIDER_KILLS} || 3;
# Until the first 220, as issue 7 and the reference want it.
my $patience = Postrider::is_sanitized() ? 10 : 2;
my $writers = 4;
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', notify_classes => '',
	smtpd_client_event_limit_exceptions => '',
	smtpd_client_connection_rate_limit => 0 });
my ($reader, $sender) = ($mail->user(0), $mail->user(1));
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
my $stop_file = $mail->dir . '/enough';

# Messages until the end, one after the other; a line for each 250.
sub writer
{
	my ($n) = @_;
	my $i = 0;

	open my $ledger, '>>', $mail->dir . "/ledger.$n" or die;
	until (-e $stop_file) {
		my $id = "w$n-" . $i++;
		eval {
			$mail->send(from => "$sender\@local.test",
			    to => [$i % 2 ? "x\@relay.test" :
			    "$reader\@local.test"],
			    text => "X-Id: $id\n\n" . "$id " x 100 . "\n");
			syswrite $ledger, "$id\n";
		} or sleep 0.02;
	}
}

my @pids;
for my $n (1 .. $writers) {
	my $pid = fork // die;
	if ($pid == 0) {
		writer($n);
		POSIX::_exit(0);
	}
	push @pids, $pid;
}

sub accepted
{
	return map { split /\n/, slurp($_) } glob $mail->dir . '/ledger.*';
}

# One death, and the next start. How long until somebody hears 220?
sub kill_and_start
{
	my $old = $mail->pid;
	my $before = accepted();
	my @orphans;

	wait_for(sub { accepted() >= $before + 20 }, 30, 'some mail');
	@orphans = $mail->children;
	sleep rand 0.1;
	kill 'KILL', $old;
	waitpid $old, 0;
	delete $mail->{pid};
	my $start = time;
	$mail->start;
	my $client = $mail->client;
	$client->expect(220);
	my $seconds = time - $start;
	$client->command('QUIT', 221);
	eval { wait_for(sub { !grep { is_alive($_) } @orphans }, 20) }
	    or diag("they live: @orphans");
	return ($seconds, scalar(grep { is_alive($_) } @orphans));
}

my ($longest, $left) = (0, 0);
for (1 .. $kills) {
	my ($seconds, $orphans) = kill_and_start();
	$longest = $seconds if $seconds > $longest;
	$left += $orphans;
}
spew($stop_file, '');
waitpid $_, 0 for @pids;
wait_for(sub { $mail->queue_count == 0 }, 60, 'an empty queue');

my %copies;
for my $text ((map { $_->{data} } $sink->messages), $mail->mbox($reader)) {
	my ($id) = $text =~ /^X-Id: (\S+?)\r?$/m or next;
	$copies{$id}++ if $text =~ /^(\Q$id\E ){100}\r?$/m;
}
my @accepted = accepted();
my @lost = grep { !$copies{$_} } @accepted;
my $twice = 0;
$twice += $_ - 1 for values %copies;
diag(sprintf '%d kills, accepted %d, lost %d, duplicates %d, longest until ' .
    '220 %.2f s', $kills, scalar @accepted, scalar @lost, $twice, $longest);
if (defined $ENV{POSTRIDER_LEDGER}) {
	open my $ledger, '>>', $ENV{POSTRIDER_LEDGER} or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $ledger "%04d-%02d-%02d\t%s\tkill -9, master\t%d\t%d\t%d\t%d\t" .
	    "0\t%.1f\n", $year + 1900, $month + 1, $day, $version || '-',
	    $kills, scalar @accepted, scalar @lost, $twice, $longest;
}
cmp_ok(scalar(@accepted), '>=', 20 * $kills, 'mail was accepted all the while');
is("@lost", '', 'no accepted message is lost');
is($left, 0, 'the daemons of a dead master end');
cmp_ok($longest, '<', $patience, 'a start serves soon');
is(join('', grep { /panic:|Sanitizer/ } split /^/, $mail->log . $mail->output),
    '', 'nothing crashed of itself');
$mail->stop;
done_testing;
