# life.t - the system starts, tells how it is, and ends.

use strict;
use warnings;
use Test::More;
use Postrider qw(is_root wait_for slurp bin free_port);
use Time::HiRes qw(time);

my $mail = Postrider->new;
my ($status, $text);

($status, $text) = $mail->postrider('status');
is $status, 1, 'status fails when nothing runs';
like $text, qr/not running/, 'and says so';

$mail->start;
($status, $text) = $mail->postrider('status');
is $status, 0, 'status of a running system';
like $text, qr/process @{[$mail->pid]}\b/, 'names master';
for my $program (qw(log resolve qmgr pickup)) {
	like $text, qr/^$program\.1 .* ready /m, "$program runs from the start";
}
like $text, qr/^started when needed:.* smtp\b/m, 'smtp does not, yet';
unlike $text, qr/smtpd +\d+ ready/, 'nor does smtpd';

SKIP: {
	skip 'only root has other users', 2 unless is_root;
	($status, $text) = $mail->run('', 'runuser', '-u', $mail->user, '--',
	    bin() . '/postrider', '-c', $mail->etc, 'status');
	is $status, 1, 'another user is not told';
	$text =~ s/^==\d+==WARNING: ASan.*\n//m;
	is $text, "postrider: only root and the mail system's owner may do " .
	    "that\n", 'and hears who is';
}

is slurp($mail->spool . '/pid/master.pid'), $mail->pid . "\n",
    'the pid file has the number';
($status, $text) = $mail->run('', bin() . '/master', '-c', $mail->etc, '-f');
is $status, 1, 'a second master on the same queue does not start';
like $text, qr/already running: process @{[$mail->pid]}\b/, 'and says why';
($status, $text) = $mail->postrider('start');
is $status, 1, 'nor does postrider start';

my $client = $mail->client;
$client->expect(220);
is scalar($mail->children('smtpd')), 2,
    'the first connection starts two smtpd processes';

SKIP: {
	skip 'only root has users to tell apart', 12 unless is_root();
	my %user = (log => 'postrider-log', qmgr => 'postrider',
	    resolve => 'postrider-map', pickup => 'postrider-drop',
	    smtpd => 'postrider-smtpd');
	for my $program (sort keys %user) {
		my ($pid) = $mail->children($program);
		my $uid = 0;	# one that has just started is still root
		eval { wait_for(sub { ($uid) = slurp("/proc/$pid/status") =~
		    /^Uid:\s+(\d+)/m; $uid != 0 }, 10) };
		is getpwuid $uid, $user{$program},
		    "$program runs as $user{$program}";
	}
	my ($bounding) = slurp('/proc/' . $mail->pid . '/status') =~
	    /^CapBnd:\s+(\w+)/m;
	is hex($bounding) & (1 << 21 | 1 << 16 | 1 << 12 | 1 << 19), 0,
	    'master gave up SYS_ADMIN, SYS_MODULE, NET_ADMIN, SYS_PTRACE';

	my $spool = $mail->spool;
	my %mode = (maildrop => 01730, incoming => 0700, deferred => 0700,
	    public => 0755, private => 0711);
	for my $name (sort keys %mode) {
		is((stat "$spool/$name")[2] & 07777, $mode{$name},
		    sprintf '%s/ has mode %04o', $name, $mode{$name});
	}
	is((stat "$spool/private/control")[2] & 07777, 0600,
	    'only root may open the control socket');
}

is $mail->stop, 0, 'SIGTERM ends it';
ok !-e $mail->spool . '/private/control', 'the sockets are gone';
ok !eval { $mail->client }, 'nobody listens any more';
like $mail->log, qr/stopped\n\z/, 'the last words reach the log';

# postrider start and stop: in the background.
($status, $text) = $mail->postrider('start');
is $status, 0, 'postrider start' or diag $text, $mail->log;
like +($mail->postrider('status'))[1], qr/is running/, 'it runs when start ends';
my $began = time;
($status, $text) = $mail->postrider('stop', '--now');
is $status, 0, 'postrider stop --now';
cmp_ok time - $began, '<', 8, 'does not take long';
($status, $text) = $mail->postrider('start');
is $status, 0, 'the next start may follow at once' or diag $text;
($status, $text) = $mail->postrider('stop');
is $status, 0, 'postrider stop';

# What a killed system left behind, of other users since an upgrade perhaps.
my $left = $mail->spool . '/private/pickup.1';
my $owner = IO::Socket::UNIX->new(Local => $left, Listen => 1) or die "$!";
close $owner;
chmod 0644, $left or die "$!";
($status, $text) = $mail->postrider('start');
is $status, 0, 'a socket left behind keeps nothing from starting' or diag $text;
is((stat $left)[2] & 07777, 0600, 'and is replaced');
chmod 0666, $left;
($status, $text) = $mail->postrider('check');
like $text, qr/pickup\.1 has mode 0666, expected 0600/,
    'one of a running system is looked at';
chmod 0600, $left;
($status, $text) = $mail->postrider('stop');
is $status, 0, 'postrider stop' or diag $text;

# Closed standard descriptors: no file of master's takes their place.
for my $closed ('<&-', '<&- >&-', '<&- >&- 2>&-') {
	my @command = (bin() . '/postrider', '-c', $mail->etc);
	($status) = $mail->run('', 'sh', '-c', "exec \"\$@\" $closed",
	    'sh', @command, 'start');
	is $status, 0, "start $closed";
	is +($mail->postrider('status'))[0], 0, 'it runs, and holds its lock';
	is +($mail->postrider('stop'))[0], 0, 'stop';
}

# What keeps it from starting is said, and nothing stays behind.
my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
    LocalPort => $mail->port, ReuseAddr => 1) or die "$!";
($status, $text) = $mail->postrider('start');
is $status, 1, 'a port in use keeps it from starting';
like $text, qr/master\.cf:1: port @{[$mail->port]} at 127\.0\.0\.1: Address already in use/,
    'the message names file, line, port and reason';
close $taken;

is_deeply [ $mail->complaints ], [], 'nothing crashed';
done_testing;
