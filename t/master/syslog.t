# syslog.t - without maillog_file, lines go to the system's log, also after
# that was restarted. The test makes a /dev of its own in a private mount
# namespace, so that it disturbs nobody.

use strict;
use warnings;
use Test::More;
use Postrider qw(need_root wait_for slurp bin);
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);

need_root();
plan skip_all => 'there is no unshare' if system('unshare -m true 2>/dev/null');
if (!$ENV{PRIVATE_MOUNTS}) {
	$ENV{PRIVATE_MOUNTS} = 1;
	exec 'unshare', '-m', '--propagation', 'private', $^X, '-It/lib', $0;
}

my $mail = Postrider->new(settings => { maillog_file => '' });
my $dev = $mail->dir . '/dev';
mkdir $dev or die "$!";
system('mount', '-t', 'tmpfs', 'tmpfs', $dev) == 0 or die 'mount';
for my $node (['null', 3], ['zero', 5], ['random', 8], ['urandom', 9]) {
	system('mknod', '-m', '666', "$dev/$node->[0]", 'c', 1, $node->[1]);
}
system('mount', '--move', $dev, '/dev') == 0 or die 'mount --move';

# A small syslogd.
my ($server, @lines);
sub listen_at_dev_log
{
	unlink '/dev/log';
	$server = IO::Socket::UNIX->new(Type => SOCK_DGRAM,
	    Local => '/dev/log') or die "/dev/log: $!";
	$server->blocking(0);
	chmod 0666, '/dev/log';
}
sub wait_line
{
	my ($re) = @_;

	return wait_for(sub {
		my $text = '';
		while (defined $server->recv($text, 8192) && length $text) {
			push @lines, $text;
		}
		return (grep { $_ =~ $re } @lines)[0];
	}, 10, "a line $re");
}

listen_at_dev_log();
$mail->start;
like wait_line(qr/daemon started/),
    qr/^<22>\w{3} [ \d]\d \d\d:\d\d:\d\d postrider\/master\[\d+\]: daemon started -- version \S+, configuration \S+$/,
    'facility mail, severity info, no host, one datagram per line';

my ($qmgr) = $mail->children('qmgr');
kill 'KILL', $qmgr;
like wait_line(qr/killed by signal 9/), qr/^<20>.*: warning: process /,
    'a warning has the severity of one';

# The system's log goes away and comes back.
close $server;
unlink '/dev/log';
$mail->postrider('log', '-w', "while it was away $_") for 1 .. 5;
my ($log) = $mail->children('log');
listen_at_dev_log();
wait_line(qr/while it was away 5/);
is_deeply [ map { /while it was away (\d)/ ? $1 : () } @lines ],
    [ 1 .. 5 ], 'no line is lost or said twice meanwhile';
isnt +($mail->children('log'))[0], $log, 'it took another log program';

# A log program and its successor read from one socket. Both have the same
# line in hand while the system's log stands still; then one goes on and takes
# it, and the other one must not take the next line for it.
sub is_at_full_socket
{
	return slurp("/proc/$_[0]/syscall") =~ /^\d+ 0x5 /;	# write(5, ...)
}
my ($before) = $mail->children('log');
my $room = slurp('/proc/sys/net/unix/max_dgram_qlen') + 10;
$mail->postrider('log', '-w', "side by side $_") for 1 .. $room;
wait_for(sub { is_at_full_socket($before) }, 20, 'a full socket');
$mail->reload;
my $after;
wait_for(sub {
	($after) = grep { $_ != $before } $mail->children('log');
	$after && is_at_full_socket($after);
}, 20, 'the other one there');
kill 'STOP', $after;
wait_line(qr/side by side $room\b/);
wait_for(sub {
	wait_line(qr/./);		# makes room
	!grep { $_ == $before } $mail->children('log');
}, 20, 'the end of the first one');
$mail->postrider('log', '-w', 'the next line');
kill 'CONT', $after;
like wait_line(qr/the next line/), qr/: the next line$/,
    'no line is lost between a log program and its successor';

# Another facility, from daemons and from commands.
$mail->set(syslog_facility => 'Local3');
$mail->reload;
$mail->client->expect(220);
like wait_for(sub {
	$mail->client->expect(220);
	my $line = wait_line(qr/^<158>.*smtpd.*: connect from/);
}, 20, 'the new facility'), qr/^<158>/, 'syslog_facility = local3: 19 * 8 + 6';
$mail->set(syslog_facility => 'nonsense');
my ($status, $text) = $mail->postrider('check');
isnt $status, 0, 'a facility that there is not';
like $text, qr/syslog_facility = nonsense: expected a facility/, 'is told';
$mail->set(syslog_facility => 'local3');

is $mail->stop, 0, 'stop';
$mail->postrider('log', '-w', 'nobody is there');
like wait_line(qr/nobody is there/), qr/^<158>/, 'a command by itself';
wait_line(qr/master\[\d+\]: stopped/);
pass 'to the last line';
done_testing;
