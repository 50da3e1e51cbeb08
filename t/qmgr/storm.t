# storm.t - a next hop that refuses everything at once: reports are made at
# their rate, one sender after the other, and new mail does not wait.
#
# qmgr is killed in the middle: what waited to be reported is reported all the
# same, and was delivered no second time for that.
#
# POSTRIDER_LONG=1: 20,000 messages at the rate that is the default; the short
# round: 1,000 at a rate below that of a busy machine's deliveries.
use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for slurp);
use List::Util ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'with sanitizers this measures the sanitizers'
    if Postrider::is_sanitized();

use constant { CLIENTS => 4, SINGLES => 30,
    RATE => $ENV{POSTRIDER_LONG} ? 100 : 30,
    # What a kill may do twice: the work of 0.2 s, and what the line has of a
    # sender, whose refusals are written down with their report.
    WINDOW => 60 + 100 };
my $storm = $ENV{POSTRIDER_LONG} ? 20_000 : 1_000;

my $mail = Postrider->new(settings => { smtpd_peername_lookup => 'no',
	smtpd_client_connection_count_limit => 1000, queue_run_delay => '2s',
	service_throttle_time => '1s', bounce_report_rate_limit => RATE });
my $far = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return $verb eq 'RCPT' && $line =~ /<refused/ ?
	    '550 5.1.1 nobody here' : undef;
});
my $other = $mail->sink;
my $table = $mail->etc . '/transport';
Postrider::spew($table, join '', map { "$_->[0] smtp:[127.0.0.1]:" .
    $_->[1]->port . "\n" } ['far.test', $far], ['other.test', $other]);
$mail->set(transport_maps => "texthash:$table");
$mail->start;

# --- the log, read once -------------------------------------------------------

my ($log, $half, %delay, %bounced, %reports) = (undef, '');
my ($most_due, $most_files) = (0, 0);
sub read_log
{
	open $log, '<', "$mail->{dir}/log" or die "log: $!" unless $log;
	seek $log, 0, 1;
	while (defined(my $line = <$log>)) {
		$half .= $line;
		last unless $half =~ /\n\z/;
		$delay{$1} = $2 if $half =~
		    /to=<(probe.*?)>.* delay=([\d.]+),.* status=sent/;
		$bounced{$1}++ if $half =~ /to=<(refused.*?)\@.*status=bounced/;
		push @{ $reports{$1} }, time if $half =~
		    /to=<(\w+)\@far\.test>.*status=sent/;
		$half = '';
	}
	my $due = keys(%bounced) - @{ $reports{greedy} // [] };
	return if $due <= $most_due;
	$most_due = $due;
	$most_files = $mail->queue_count('deferred') if $due > 300;
}

sub rss
{
	my ($pid) = $mail->children('qmgr');

	return slurp("/proc/$pid/status") =~ /VmRSS:\s+(\d+)/ ? $1 : 0;
}

# --- the storm ----------------------------------------------------------------

# Send what one client has to send.
sub send_all
{
	my ($from, @to) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	for my $to (@to) {
		$c->raw("MAIL FROM:<$from\@far.test>\r\nRCPT TO:" .
		    "<$to\@far.test>\r\nDATA\r\n");
		$c->expect($_) for 250, 250, 354;
		$c->raw("X-Id: $to\r\n\r\nx\r\n.\r\n");
		$c->expect(250);
	}
	$c->command('QUIT', 221);
}

my ($number, %sent) = (0);
sub probe
{
	my $to = 'probe' . ++$number . '@other.test';
	my $begin = time;

	$mail->send(from => 'fresh@other.test', to => [$to]);
	$sent{$to} = time - $begin;
}

probe() for 1 .. 3;
my $rss = rss();
my $begin = time;
my @pids;
for my $n (1 .. CLIENTS) {
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		eval { send_all('greedy', map { "refused-$n-$_" }
		    1 .. $storm / CLIENTS); 1 } or POSIX::_exit(1);
		POSIX::_exit(0);
	}
	push @pids, $pid;
}
wait_for(sub { read_log(); keys %bounced > $storm / 4 }, 60,
    'a part of the storm');

# Thirty other senders have one message refused each, in the middle of it.
my %single;
for my $n (1 .. SINGLES) {
	send_all("single$n", "refused-single-$n");
	$single{"single$n"} = time;
	probe();
	read_log();
	sleep 0.05;
}
wait_for(sub { read_log(); !grep { !$reports{$_} } keys %single }, 60,
    'the reports to those who had one message refused');
my @took = sort { $a <=> $b } map { $reports{$_}[0] - $single{$_} }
    keys %single;
note(sprintf 'reports to others took %.2f s, at most %.2f s',
    $took[@took / 2], $took[-1]);
cmp_ok($took[-1], '<', 5, 'one sender\'s storm delays no other\'s report');
for (@pids) {
	waitpid $_, 0;
	is($?, 0, 'all of it was accepted');
}
wait_for(sub { read_log(); probe(); keys %bounced == $storm + SINGLES }, 120,
    'all to be refused');
my $most = rss();
note(sprintf 'qmgr: %d KiB before, %d KiB later; at most %d reports were ' .
    'due, %d of them in the queue', $rss, $most, $most_due, $most_files);
cmp_ok($most - $rss, '<', 40_000, 'reports do not wait in memory');
cmp_ok($most_files, '>', 100, 'but in the queue');
my ($status, $text) = $mail->postrider('queue', 'list');
like($text, qr/nobody here/, 'which tells why');

# --- a crash ------------------------------------------------------------------

my $tries = List::Util::sum0(values %bounced);
my ($qmgr) = $mail->children('qmgr');
kill 'KILL', $qmgr;
wait_for(sub { my ($new) = $mail->children('qmgr');
    $new && $new != $qmgr }, 20, 'another qmgr');
while ($mail->queue_count > 0) {
	probe();
	read_log();
	sleep 0.2;
	last if time - $begin > 3 * ($storm / RATE) + 60;
}
my $end = time;
is($mail->queue_count, 0, 'in the end nothing waits');
read_log();
cmp_ok(List::Util::sum0(values %bounced) - $tries, '<=', WINDOW,
    'what waited for its report was not delivered again');
cmp_ok($end - $begin, '>=', ($storm / RATE) * 0.8,
    'there were not more reports in a second than allowed');
note(sprintf '%d reports in %.1f s', $storm, $end - $begin);

my %reported;
for my $m ($far->messages) {
	next unless $m->{data} =~ /^X-Id: (\S+)\r?$/m;
	$reported{$1}++;
}
my @due = ((map { my $n = $_; map { "refused-$n-$_" }
    1 .. $storm / CLIENTS } 1 .. CLIENTS),
    map { "refused-single-$_" } 1 .. SINGLES);
my @missing = grep { !$reported{$_} } @due;
is("@missing[0 .. ($#missing < 9 ? $#missing : 9)]", '',
    'each one was reported');
cmp_ok(List::Util::sum0(values %reported) - @due, '<=', WINDOW,
    'once, but for what the crash took');
wait_for(sub { read_log(); !grep { !defined $delay{$_} } keys %sent }, 20,
    'the last new mail');
@took = sort { $a <=> $b } map { $sent{$_} + $delay{$_} } keys %sent;
note(sprintf 'new mail: %d messages, median %.0f ms, 95 %% %.0f ms',
    scalar @took, 1000 * $took[@took / 2], 1000 * $took[@took * 0.95]);
cmp_ok($took[@took * 0.95], '<', 1, 'new mail did not wait');
is(join('', grep { !/killed by signal 9/ } $mail->complaints), '',
    'nothing else crashed');
done_testing;
