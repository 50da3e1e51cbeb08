# forged.t - what an owned daemon writes to the log's socket is lines of one
# shape, and does not stop the lines of the others.

use strict;
use warnings;
use Test::More;
use Postrider qw(is_alive slurp wait_for);
use POSIX ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_DGRAM SOCK_SEQPACKET MSG_DONTWAIT);

my $mail = Postrider->new;		# for its configuration
mkdir $mail->spool;
mkdir $mail->spool . '/private';
my $file = "$mail->{dir}/lines";

# Start the log program by itself: (its process, our end of its socket).
sub start_log
{
	my ($sink) = @_;

	socketpair(my $master, my $orders, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC)
	    or die "$!";
	socketpair(my $ours, my $lines, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC)
	    or die "$!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		my @far = map { POSIX::dup2(fileno $_->[0], $_->[1]) }
		    [$orders, 103], [$lines, 104], [$sink, 105];
		POSIX::dup2($_, $_ - 100) for @far;
		POSIX::close($_) for 6 .. 200;
		exec Postrider::bin() . '/log', '-c', $mail->etc, '-n', 'log',
		    '-t', 'unix', '-w', 1, '-p', 1 or POSIX::_exit(127);
	}
	return ($pid, $ours, $master);
}

# A datagram as common/base/log.h has it.
sub line
{
	my ($name, $program, $text) = @_;

	return pack('q< Q< L< L<', 1_700_000_000_000_000, 42, 0, 0) .
	    "$name\0$program\0$text\0";
}

my @nonsense = ('', 'x', pack('q< Q< L< L<', 1, 1, 1, 1),
    line('postrider', 'smtpd', 'no end') =~ s/\0$//r, 'y' x 6000, '<0>', 'n' x 65000, '');
my $forged = line("post\nrider", "sm\ntpd", "a\n" .
    'Nov 22 00:00:00 host sshd[1]: Accepted password for root' .
    "\r\x1b]0;x\x07 \xc2\x9b \xe2\x80\xae \xff " . '%n%s' . 'z' x 3500);
my $several = line('postrider', 'smtp', 'one of two') .
    line('postrider', 'smtp', 'two of two') . 'and a rest';
my $honest = line('postrider', 'qmgr', 'honest \\012 text');

# A file.
open my $sink, '>>', $file or die "$file: $!";
my ($pid, $ours, $master) = start_log($sink);
defined send $ours, $_, 0 or die "send: $!"
    for @nonsense, $forged, @nonsense, $several, $honest;
wait_for(sub { slurp($file) =~ /honest/ }, 20, 'the honest line');
my @lines = split /\n/, slurp($file);
is scalar @lines, 4,
    'INJ-24: as many lines as a datagram holds; nonsense is none';
like $lines[0], qr{ post\\012rider/sm\\012tpd\[42\]: a\\012Nov 22 },
    'a line end does not end a line';
unlike $lines[0], qr/[^\x20-\x7e]/,
    'INJ-24: nothing but printable characters';
cmp_ok length $lines[0], '<', 2048, 'INJ-24: not longer than a line';
like $lines[1], qr{ postrider/smtp\[42\]: one of two$}, 'the first of two';
like $lines[2], qr{ postrider/smtp\[42\]: two of two$}, 'the second of two';
like $lines[3], qr{ postrider/qmgr\[42\]: honest \\012 text$},
    'what was escaped stays as it is';
kill 'TERM', $pid;
waitpid $pid, 0;

# The system's log.
socketpair(my $syslog, my $out, AF_UNIX, SOCK_DGRAM, PF_UNSPEC) or die "$!";
($pid, $ours, $master) = start_log($out);
defined send $ours, $_, 0 or die "send: $!" for @nonsense, $forged,
    @nonsense, $several, $honest;
my @got;
wait_for(sub {
	while (defined recv $syslog, my $data, 8192, MSG_DONTWAIT) {
		push @got, $data;
	}
	return grep { /honest/ } @got;
}, 20, 'the honest line');
is scalar @got, 4, 'syslog: one datagram for each line';
like $got[2], qr{^<22>.* postrider/smtp\[42\]: two of two$},
    'syslog: the second of two';
unlike $got[0], qr/[^\x20-\x7e]/, 'syslog: nothing but printable characters';
ok is_alive($pid), 'and log still runs';
kill 'TERM', $pid;
waitpid $pid, 0;
done_testing;
