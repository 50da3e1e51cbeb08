# crowd.t - thousands who say nothing, hundreds who bring mail: a new client is
# greeted at once, and the mail goes through.
#
#	POSTRIDER_SESSIONS=5000 prove -v t/load/crowd.t
#
# One in ten sessions is busy. t/bench/run has the same in its scenario crowd.
use strict;
use warnings;
use Test::More;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);
use Postrider;
use Postrider::Crowd qw(memory_of need_files);

my $idle = $ENV{POSTRIDER_SESSIONS} || 2000;
my $active = $idle / 10;
my $seconds = 5;
my $files = $idle + $active + 200;
my $is_sanitized = ($ENV{BUILD} // '') =~ /sanitize/;

need_files($files);

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	default_process_limit => 4 * $idle,
	smtpd_client_connection_count_limit => 0,
});
$mail->set(default_transport => 'discard', relay_transport => 'discard');
$mail->start;

sub dial
{
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $mail->port, Proto => 'tcp') // die "connect: $!";
}

# A message after the other in so many sessions; how many were taken.
my @dialogue = ("EHLO c.test\r\n", "MAIL FROM:<s\@local.test>\r\n",
    "RCPT TO:<r\@relay.test>\r\n", "DATA\r\n", 'x' x 900 . "\r\n.\r\n");
sub bring
{
	my $select = IO::Select->new;
	my (%state, $taken, $refused) = ();
	my $end = time + $seconds;

	for (1 .. $active) {
		my $s = dial();
		$select->add($s);
		$state{$s} = 0;
	}
	while (time < $end) {
		for my $s ($select->can_read(0.1)) {
			sysread $s, my $reply, 4096 or do {
				$refused++;
				$select->remove($s);
				next;
			};
			next unless $reply =~ /^\d{3} .*\n\z/m;
			$refused++ unless $reply =~ /^[23]/;
			$taken++ if $reply =~ /queued as/;
			syswrite $s, $dialogue[$state{$s}];
			$state{$s} = 1 if ++$state{$s} > 4;
		}
	}
	return ($taken // 0) . ' ' . ($refused // 0) . "\n";
}

sub begin
{
	pipe my $reader, my $writer or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		syswrite $writer, bring();
		POSIX::_exit(0);
	}
	close $writer;
	return ($pid, $reader);
}

# Greet, and say how long that took.
sub wait_for_greeting
{
	my $start = time;
	my $s = dial();
	my $line = IO::Select->new($s)->can_read(20) ? <$s> // '' : '';
	my $took = 1000 * (time - $start);

	syswrite $s, "QUIT\r\n";
	return $line =~ /^220 / ? $took : undef;
}

# The mail alone, then with all the others.
sub run_for_a_while
{
	my ($name) = @_;
	my ($pid, $reader) = begin();
	my ($end, $memory, @wait) = (time + $seconds, 0);

	while (time < $end) {
		push @wait, wait_for_greeting() // (fail('a greeting'), 20000);
		$memory = memory_of($mail) if @wait == 20;
		sleep 0.02;
	}
	my ($taken, $refused) = split ' ', <$reader>;
	waitpid $pid, 0;
	@wait = sort { $a <=> $b } @wait;
	my @ms = @wait[@wait / 2, int(@wait * 0.99), -1];
	diag(sprintf '%s: %d active sessions, %.0f messages in a second; ' .
	    '220 after %.1f ms (median), %.1f (99 of 100), %.1f at most',
	    $name, $active, $taken / $seconds, @ms);
	is($refused, 0, "$name: no mail was refused");
	cmp_ok($taken, '>', $active, "$name: mail is taken");
	cmp_ok($ms[1], '<', $is_sanitized ? 3000 : 1000,
	    "$name: a new client is greeted within a second");
	return ($taken, $memory);
}

run_for_a_while('warming up');
my ($alone) = run_for_a_while('alone');
my $before = memory_of($mail);
my @idle;
while (@idle < $idle) {
	my @new = map { dial() } 1 .. 100;
	for my $s (@new) {
		my $line = IO::Select->new($s)->can_read(20) ? <$s> : undef;
		last unless defined $line && $line =~ /^220 /;
		syswrite $s, "EHLO idle.test\r\n";
		push @idle, $s;
	}
	last if @idle % 100;
}
is(scalar @idle, $idle, "$idle sessions say nothing");
my ($taken, $during) = run_for_a_while("beside $idle idle ones");
cmp_ok($taken, '>', $alone / 3, 'those who are busy notice little');
SKIP: {
	skip 'sanitizers need memory of their own', 1 if $is_sanitized;
	skip 'only root may look', 1 unless $before;
	my $each = ($during - $before) / ($idle + $active);
	diag(sprintf 'memory: %.1f KiB a session', $each);
	cmp_ok($each, '<', 64, 'a session costs less than 64 KiB');
}
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
