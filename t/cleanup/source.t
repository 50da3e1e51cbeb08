# source.t - a file that hangs: somebody posts descriptors of files on a file
# system of his own, which does not answer. Only he waits; pickup does not lose
# what it has lent him. The same with packets that are none, where only close(2)
# can hang.

use strict;
use warnings;

use lib 't/lib';
use POSIX ();
use Postrider qw(slurp wait_for);
use Postrider::Mounts;
use Postrider::Disk;
use Test::More;
use Time::HiRes qw(time);

my $alone = Postrider::Mounts::alone();
my $missing = !$alone ? 'a private mount namespace cannot be had here' :
    Postrider::Disk::missing();
plan(skip_all => $missing) if $missing;

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s' })->start;
my $lab = $mail->dir . '/lab';
Postrider::Mounts::tmpfs($lab, 'mode=755');
my ($main, $rogue, $server) = $$;
END {
	if ($mail && $$ == $main) {
		local $?;
		kill 'CONT', $server if $server;
		kill 'KILL', $rogue if $rogue;
		eval { $mail->stop(now => 1) };
		system("umount -R -l $lab 2>/dev/null");
	}
}

# The server of a file system in user space with files of 50,000 bytes.
mkdir "$lab/disks";
$server = fork // die "fork: $!";
if ($server == 0) {
	exec "$ENV{BUILD}/t/crash/disk", "$lab/disks", 50000, "$lab/log"
	    or POSIX::_exit(127);
}
wait_for(sub { -e "$lab/disks/marks" }, 10, 'the file system');

# As this user, posts a descriptor of the file on so many connections; then
# says how it was answered, a line each. "bad": the descriptors come too early,
# or in packets that are cut. "memory": of memory, sealed and not.
my $program = <<'END';
import fcntl, os, select, socket, struct, sys
path, spool, uid, version, count, how = sys.argv[1:]
fd = os.open(path, os.O_RDONLY)
os.setgroups([]); os.setgid(int(uid)); os.setuid(int(uid))
print("ready", flush=True)
sys.stdin.readline()
def text(s): return struct.pack('<BI', 3, len(s)) + s + b'\0'
def number(n): return struct.pack('<Bq', 1, n)
def head(kind, fields, fds):
	return struct.pack('<HHHHQ', kind, fields, fds, 0, 1)
hello = head(1, 2, 0) + text(b'sendmail') + number(int(version))
row = text(b'far@far.test') + text(b'') + text(b'') + number(0)
submit = head(18, 9, 1) + struct.pack('<BI', 4, 6) + b'x@test' + b'\0' + \
    text(b'') * 5 + number(0) + struct.pack('<BI', 6, 1) + row + b'\7\1'
os.chdir(spool)
sockets = []
def connect(name):
	s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	s.settimeout(10)
	s.connect('public/' + name)
	return s
def ends(s):
	try:
		while s.recv(65536): pass
		return True
	except ConnectionError:
		return True
	except TimeoutError:
		return False
def early(name):
	s = connect(name)
	socket.send_fds(s, [head(1, 2, 1) + hello[16:]], [fd])
	return ends(s)
def late(name, packet):
	s = connect(name)
	s.send(hello)
	socket.send_fds(s, [packet], [fd])
	return ends(s)
def memory(seals):
	fd = os.memfd_create('message', os.MFD_ALLOW_SEALING)
	os.write(fd, b'Subject: x\n\nx\n')
	fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
	return fd
def post(fd):
	s = connect('pickup')
	s.send(hello)
	socket.send_fds(s, [submit], [fd])
	return s
if how == 'memory':
	seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
	others = [post(memory(fcntl.F_SEAL_WRITE)),
	    post(memory(fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK))]
	print("sealed", post(memory(seals)).recv(65536)[0],
	    len(select.select(others, [], [], 0)[0]), flush=True)
	for s in others: s.settimeout(90)
	print("others", *[s.recv(65536)[0] for s in others], flush=True)
	sys.exit(0)
if how == 'bad':
	print("ended", early('pickup'), early('qmgr'), late('qmgr', submit),
	    all(late('pickup', submit[:-2]) for i in range(int(count))),
	    flush=True)
	sys.stdin.readline()
	sys.exit(0)
for i in range(int(count)):
	s = connect('pickup')
	s.send(hello)
	socket.send_fds(s, [submit], [fd])
	sockets.append(s)
print("sent", flush=True)
for s in sockets:
	s.settimeout(90)
	while True:
		data = s.recv(65536)
		if not data or data[0] == 19:
			break
	print("answered", len(data), flush=True)
END

# Start it; what to read its lines from, and what to write to.
sub start_rogue
{
	my ($count, $how) = @_;
	pipe my $in, my $to or die;
	pipe my $from, my $out or die;
	my $uid = (getpwnam $mail->user(0))[2];
	my $version = { Postrider::packet_numbers() }->{VERSION};
	my $file = ($how // '') eq 'memory' ? '/dev/null' : "$lab/disks/queue";
	$rogue = fork // die "fork: $!";
	if ($rogue == 0) {
		open STDIN, '<&', $in;
		open STDOUT, '>&', $out;
		exec 'python3', '-c', $program, $file,
		    $mail->spool, $uid, $version, $count, $how // 'good' or
		    POSIX::_exit(127);
	}
	$to->autoflush(1);
	return ($from, $to);
}

sub descriptors
{
	my ($pid) = @_;
	return scalar(() = glob "/proc/$pid/fd/*");
}

my ($status, $text) = $mail->sendmail("\nx\n", 'far@far.test');
is($status, 0, 'mail is taken') or diag $text;
my ($pickup) = wait_for(sub { ($mail->children('pickup'))[0] }, 10);
my $before = descriptors($pickup);

my ($from, $to) = start_rogue(60);
is(scalar <$from>, "ready\n", 'somebody has such a file');
kill 'STOP', $server;
print $to "go\n";
is(scalar <$from>, "sent\n", 'and posts it sixty times');
wait_for(sub { descriptors($pickup) >= $before + 60 }, 10, 'them all');

# P1 of source.c
for my $n (1 .. 5) {
	my $began = time;
	($status, $text) = $mail->sendmail("\nx\n", 'far@far.test');
	is($status, 0, 'others post') or diag $text;
	cmp_ok(time - $began, '<', 5, 'at once');
}
my @lines = split /^/, $mail->log;
is(scalar(grep { /pickup\[\d+\]: \w+: uid=0 from/ } @lines), 6,
    'through pickup');
my $hung = 0;
for my $stack (glob "/proc/$pickup/task/*/wchan") {
	$hung++ if slurp($stack) =~ /fuse|request_wait/;
}
cmp_ok($hung, '<=', 4, 'four threads hang at most') or diag $hung;
cmp_ok($hung, '>', 0, 'but some do');

my $first = $rogue;
my ($from_memory, $to_memory) = start_rogue(0, 'memory');
my $second = $rogue;
$rogue = $first;
is(scalar <$from_memory>, "ready\n", 'whose files hang has memory, too');
print $to_memory "go\n";
is(scalar <$from_memory>, "sealed 19 0\n",
    'what nobody can change needs no thread, what somebody can waits for one');

# P2 of source.c
kill 'CONT', $server;
is(scalar <$from_memory>, "others 19 19\n", 'which it gets in the end');
waitpid $second, 0;
my $answers = 0;
while (defined(my $line = <$from>)) {
	$answers++ if $line =~ /^answered [1-9]/;
}
is($answers, 60, 'when it answers, everybody is answered');
waitpid $rogue, 0;
undef $rogue;
wait_for(sub { descriptors($pickup) <= $before + 2 }, 20,
    'the end of all descriptors');

# P3 of source.c, A3 of common/ipc/admit.c
($from, $to) = start_rogue(150, 'bad');
is(scalar <$from>, "ready\n", 'somebody has such a file again');
kill 'STOP', $server;
print $to "go\n";
is(scalar <$from>, "ended True True True True\n",
    'whoever sends it in no packet is cut off at once');
my $began = time;
($status, $text) = $mail->sendmail("\nx\n", 'far@far.test');
is($status, 0, 'others post') or diag $text;
cmp_ok(time - $began, '<', 5, 'at once');
is(scalar(grep { /pickup\[\d+\]: \w+: uid=0 from/ } split /^/, $mail->log), 7,
    'through pickup');
$began = time;
{
	local $ENV{MAIL_CONFIG} = $mail->etc;
	($status, $text) = $mail->run('', Postrider::bin() .
	    '/postrider-queue', 'list');
}
is($status, 0, 'qmgr answers') or diag $text;
cmp_ok(time - $began, '<', 5, 'at once');
my $kept = descriptors($pickup) - $before;
cmp_ok($kept, '<', 110, 'there is an end to what is kept of his');
cmp_ok($kept, '>', 50, 'but much is');
kill 'CONT', $server;
print $to "go\n";
waitpid $rogue, 0;
undef $rogue;
wait_for(sub { descriptors($pickup) <= $before + 2 }, 20,
    'the end of all descriptors');
is(($mail->children('pickup'))[0], $pickup, 'pickup lives');
is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop;
done_testing;
