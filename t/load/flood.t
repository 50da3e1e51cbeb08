# flood.t - thousands of new connections in a second: others are greeted, and
# all is as before when it is over.
#
#	POSTRIDER_LONG=1 prove -v t/load/flood.t
use strict;
use warnings;
use Test::More;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket;
use Time::HiRes qw(sleep time);
use Postrider qw(free_port slurp);
use Postrider::Crowd qw(memory_of need_files);
use Postrider::CA;

my $seconds = $ENV{POSTRIDER_LONG} ? 15 : 4;
my $rate = 2000;
my $is_sanitized = ($ENV{BUILD} // '') =~ /sanitize/;
my $files = 12_000;

need_files($files);

my ($small, $tls) = (free_port(), free_port());
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', mynetworks => '127.0.0.1/32',
	default_process_limit => 4000, smtpd_processes => 2,
	smtpd_client_event_limit_exceptions => '127.0.0.1',
	smtpd_tls_security_level => 'may',
    },
    master => "127.0.0.1:$small inet n - n - 100 smtpd\n" .
    "127.0.0.1:$tls inet n - n - - smtpd -o smtpd_tls_wrappermode=yes " .
    "-o smtpd_client_connection_count_limit=0\n");
my $ca = Postrider::CA->new($mail->etc . '/ca');
$mail->set(smtpd_tls_chain_files => $ca->issue(name => 'sut.test')->{all});
$mail->start;

# --- what it costs ------------------------------------------------------------

# Seconds of the processor so far, of all programs.
sub processor
{
	my $ticks = 0;

	for my $pid ($mail->pid, $mail->children) {
		my @f = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //sr;
		$ticks += ($f[11] // 0) + ($f[12] // 0);
	}
	return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# How many connections of a port are established.
sub sessions
{
	return scalar grep { /^\s*\d+: \S+:(\S+) \S+ 01 / &&
	    hex $1 == $_[0] } split /^/, slurp('/proc/net/tcp');
}

# --- the flood ----------------------------------------------------------------

# Connect so often for a while, and say nothing but this; hold what is held.
sub pour
{
	my ($port, $address, $words) = @_;
	my ($n, $start, @held) = (0, time);
	my $to = sockaddr_in($port, inet_aton('127.0.0.1'));

	$SIG{PIPE} = 'IGNORE';
	while ((my $now = time - $start) < $seconds) {
		while ($n < $now * $rate) {
			socket my $s, PF_INET, SOCK_STREAM, 0 or last;
			setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1;
			bind $s, sockaddr_in(0, inet_aton($address->($n)))
			    or next;
			IO::Handle::blocking($s, 0);
			connect $s, $to;
			syswrite $s, $words if $words ne '';
			push @held, $s;
			close shift @held if @held > $files - 500;
			$n++;
		}
		sleep 0.005;
	}
	return $n;
}

# The same in a process of its own: its id, and where it tells how many.
sub begin
{
	pipe my $reader, my $writer or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		syswrite $writer, pour(@_) . "\n";
		POSIX::_exit(0);
	}
	close $writer;
	return ($pid, $reader);
}

# The time to the greeting, of one client after the other while it lasts.
sub probe
{
	my ($port, $end) = @_;
	my (@times, %codes);

	while (time < $end) {
		my $start = time;
		my $c = Postrider::Client->new($port, from => '127.0.0.9',
		    patience => 10);
		my $code = substr eval { $c->reply } // 'none', 0, 3;
		push @times, time - $start;
		$codes{$code}++;
		eval { $c->command('QUIT') } if $code eq '220';
		sleep 0.02;
	}
	@times = sort { $a <=> $b } @times;
	return (\%codes, map { 1000 * $_ } @times[@times / 2,
	    int(@times * 0.99), -1]);
}

sub flood
{
	my ($name, $port, $address, $words, %allowed) = @_;
	my ($cpu, $start, $base) = (processor(), time, memory_of($mail));
	my ($pid, $reader) = begin($port, $address, $words);
	my $peak = $base;

	my ($codes, @ms) = probe($allowed{probe} // $port,
	    time + $seconds - 1);
	$peak = memory_of($mail);
	my $n = <$reader>;
	waitpid $pid, 0;
	my $over = time;
	chomp $n;
	diag(sprintf '%s: %d connections, %.0f in a second; 220 in %.1f ms ' .
	    '(median), %.1f (99 of 100), %.1f at most; processor %.0f %%; ' .
	    'memory %.0f, %.0f MiB', $name, $n, $n / $seconds, @ms,
	    100 * (processor() - $cpu) / (time - $start), $base / 1024,
	    $peak / 1024);
	cmp_ok($n, '>', $rate * $seconds / 4, "$name: it is a flood");
	cmp_ok($ms[1], '<', $is_sanitized ? 3000 : 1000,
	    "$name: 99 of 100 others have an answer within a second");
	delete $codes->{421} if $allowed{421};
	is(join(' ', keys %$codes), '220', "$name: which is a greeting");
	Postrider::wait_for(sub { sessions($port) == 0 }, 10, 'the end of it');
	my ($after) = probe($allowed{probe} // $port, time + 0.1);
	is(join(' ', keys %$after), '220', "$name: then all is as before");
	cmp_ok(time - $over, '<', $is_sanitized ? 10 : 2,
	    "$name: within two seconds");
	return ($base, $peak);
}

# Everything that will run does before memory is measured.
probe($_, time + 0.3) for $mail->port, $small;
my $base = memory_of($mail);

my ($before, $peak) = flood('one address', $mail->port,
    sub { '127.0.0.2' }, '');
ok($mail->wait_log(qr/Connection concurrency limit exceeded/),
    'one address: its limit stops it');
($before, $peak) = flood('many addresses', $mail->port,
    sub { '127.1.' . ($_[0] >> 8 & 255) . '.' . ($_[0] & 255 || 1) },
    "EHLO c.test\r\n");
ok($mail->wait_log(qr/others need the session/),
    'many addresses: idle clients make room');
SKIP: {
	skip 'sanitizers need memory of their own', 2 if $is_sanitized;
	skip 'only root may look', 2 unless $base;
	cmp_ok(($peak - $before) / 4000, '<', 64,
	    'many addresses: a session costs less than 64 KiB');
	my $after = memory_of($mail);
	diag(sprintf 'memory: %.1f MiB before all, %.1f after it',
	    $base / 1024, $after / 1024);
	cmp_ok($after - $base, '<', 16 * 1024, 'memory is given back');
}

# A hundred slots are less than what comes in a second: nobody is idle, so
# that some hear 421, but each hears something, and at once.
flood('few slots', $small, sub { '127.2.' . ($_[0] >> 8 & 255) . '.' .
    ($_[0] & 255 || 1) }, '', 421 => 1);

# Handshakes: this is cheap for who asks, and not for who signs.
my $hello = do {
	my $extension = sub { pack 'n n/a*', @_ };
	my $all = join '', $extension->(10, pack 'n/a*', pack 'n*', 29, 23),
	    $extension->(11, "\1\0"), $extension->(13, pack 'n/a*',
	    pack 'n*', 0x0403, 0x0804, 0x0401);
	my $body = "\3\3" . 'r' x 32 . "\0" . pack('n/a*', pack 'n*', 0xc02b,
	    0xc02f) . "\1\0" . pack('n/a*', $all);
	"\x16\3\1" . pack 'n/a*', "\1\0" . pack 'n/a*', $body;
};
flood('handshakes', $tls, sub { '127.3.' . ($_[0] >> 8 & 255) . '.' .
    ($_[0] & 255 || 1) }, $hello, probe => $mail->port);
SKIP: {
	skip 'sanitizers need memory of their own', 1 if $is_sanitized;
	skip 'only root may look', 1 unless $base;
	my $after = eval { Postrider::wait_for(sub {
		my $now = memory_of($mail);
		return $now - $base < 48 * 1024 ? $now : undef;
	}, 5, 'memory') };
	diag(sprintf 'memory: %.1f MiB after it',
	    ($after // memory_of($mail)) / 1024);
	ok($after, 'handshakes: their memory is given back, too');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
