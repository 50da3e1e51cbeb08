# sessions.t - thousands of idle sessions, and mail goes through.
#
#	POSTRIDER_SESSIONS=20000 prove -v t/load/sessions.t
use strict;
use warnings;
use Test::More;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);
use Postrider;
use Postrider::Crowd qw(need_files);

my $wanted = $ENV{POSTRIDER_SESSIONS} || 5000;
my $files = $wanted + 200;

need_files($files);

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	default_process_limit => 4 * $wanted,
	smtpd_client_connection_count_limit => 0, smtpd_timeout => '1000s',
	smtpd_overload_timeout => '1000s',
});
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
my $user = $mail->user(0);

# Kilobytes of all processes, what they share counted once; 0 if nobody tells.
sub memory {
	my $sum = 0;
	for my $pid ($mail->pid, $mail->children) {
		Postrider::slurp("/proc/$pid/smaps_rollup") =~
		    /^Pss:\s+(\d+)/m or return 0;
		$sum += $1;
	}
	return $sum;
}

# One message in and out; the seconds to the greeting and to the end of it.
my $count = 0;
sub pass_through {
	my $to = 'm' . $count++ . '@relay.test';
	my $start = time;
	my $c = $mail->client;
	$c->expect(220);
	my $greeted = time - $start;
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@local.test>' => 250,
	    "RCPT TO:<$to>" => 250, DATA => 354);
	$c->data("Subject: through\n\nx\n");
	$c->command('QUIT', 221);
	my $n = $count;
	Postrider::wait_for(sub { $sink->count >= $n }, 20,
	    "message $n\n");
	return ($greeted, time - $start);
}

# Everything that will run does before memory is measured.
pass_through() for 1 .. 20;
my $before = memory();

# Open them a hundred at a time: greeted, presented, and silent from then on.
my @sessions;
my $start = time;
while (@sessions < $wanted) {
	my @new;
	for (1 .. 100) {
		my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $mail->port, Proto => 'tcp') or last;
		push @new, $s;
	}
	for my $s (@new) {
		my $greeting = IO::Select->new($s)->can_read(20) ? <$s> : undef;
		last unless defined $greeting && $greeting =~ /^220 /;
		syswrite $s, "EHLO idle.test\r\n";
		while (defined(my $line = <$s>)) {
			last unless $line =~ /^250-/;
		}
		push @sessions, $s;
	}
	last if @new < 100;
}
my $opened = time - $start;
is(scalar(@sessions), $wanted, "$wanted sessions are open at once");
my $during = memory();

my ($slowest, $longest) = (0, 0);
for (1 .. 50) {
	my ($greeted, $done) = pass_through();
	$slowest = $greeted if $greeted > $slowest;
	$longest = $done if $done > $longest;
}
cmp_ok($slowest, '<', 1, 'a new client is greeted within a second');
pass('mail goes through meanwhile');

# Local mail, too: other processes, the same machine.
my ($status, $text) = $mail->sendmail("To: $user\nSubject: local\n\nx\n", '-t');
is($status, 0, 'sendmail posts meanwhile') or diag $text;
Postrider::wait_for(sub { $mail->mbox($user) }, 20, 'the mailbox');

# They are all still there.
my $alive = 0;
for my $s (@sessions) {
	syswrite $s, "NOOP\r\n";
	my $reply = <$s>;
	$alive++ if defined $reply && $reply =~ /^250/;
}
is($alive, $wanted, 'each session is alive');

my $each = ($during - $before) / $wanted;
diag(sprintf '%d sessions in %.1f s; greeting at most %.0f ms, a message ' .
    'through in at most %.0f ms', $wanted, $opened, 1000 * $slowest,
    1000 * $longest);
SKIP: {
	skip 'only root may look at the memory of the daemons', 1 unless $before;
	diag(sprintf 'memory of all processes: %.1f MiB before, %.1f MiB ' .
	    'with them, %.1f KiB per session', $before / 1024, $during / 1024,
	    $each);
	skip 'sanitizers need memory of their own', 1
	    if ($ENV{BUILD} // '') =~ /sanitize/;
	cmp_ok($each, '<', 64, 'a session costs less than 64 KiB');
}

# A stop tells each of them.
$start = time;
kill 'TERM', $mail->pid;
my $told = 0;
for my $s (@sessions) {
	my $reply = IO::Select->new($s)->can_read(20) ? <$s> : undef;
	$told++ if defined $reply && $reply =~ /^421 4\.3\.2 /;
}
is($told, $wanted, 'when the system stops, each hears 421');
is($mail->stop, 0, 'and it stops');
diag(sprintf 'stopped in %.1f s', time - $start);
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
