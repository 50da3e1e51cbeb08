# cli_modes.t - what users of this machine try while the system runs: modes of
# sendmail, other people's mail, files in the queue that are none, and what
# happens when a user cannot be changed. Each check has the id of a row of
# t/conformance/attacks.tsv.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Fcntl qw(O_CREAT O_RDWR O_WRONLY SEEK_SET);
use POSIX ();
use Postrider qw(bin is_alive need_root slurp spew wait_for);
use Postrider::QueueFile;
use Postrider::Users;
use Socket;
use Test::More;

need_root();
Postrider::Users::install()
    or plan skip_all => 'no mounts here: postdrop would refuse to run';
# A port that nobody listens at, and nobody else can take.
my $shut = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
    or die "socket: $!";
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . $shut->sockport,
	minimal_backoff_time => '1000s', queue_run_delay => '1s',
	alias_database => 'hash:/etc/postrider/aliases',
	authorized_flush_users => 'root', authorized_mailq_users => 'root' });
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $uid = getpwnam $alice;
my $maildrop = $mail->spool . '/maildrop';
my $is_sanitized = Postrider::is_sanitized();
Postrider::Users::list($mail);
spew('/etc/postrider/aliases', "postmaster: root\n");
END { Postrider::Users::leave($mail) if $mail }
$mail->start;

my $text = "Subject: x\n\nx\n";
sub as_alice
{
	my ($input, @words) = @_;

	return Postrider::Users::run_as($alice, { input => $input },
	    'sendmail', '-C', $mail->etc, @words);
}

sub names
{
	my ($dir) = @_;

	opendir my $d, $dir or die "$dir: $!";
	return sort grep { !/^\.(?:\.?$|posted)/ } readdir $d;
}

# Post as alice; the queue file.
my $seen = 0;
sub ids { return $mail->log =~ /pickup\[\d+\]: (\w+): uid=/g }
sub count { return scalar(() = ids()) }
sub post
{
	my ($input, @words) = @_;
	my ($status, $output) = as_alice($input, @words);
	my @ids;

	is($status, 0, "sendmail @words") or diag $output;
	$seen++;
	wait_for(sub { @ids = ids(); @ids >= $seen }, 20, 'the message');
	return Postrider::QueueFile->find($mail, $ids[-1]);
}

# --- CLI-10: the queue ---------------------------------------------------------

my $secret = post("Subject: secret\n\nsecret\n", 'bob@far.test');
my $id = (ids())[-1];
for my $name ('', 'x', 'xy', 'x' x 255, '*', '../../etc/passwd', '.', '..',
    '/etc/passwd', "$id/../$id", "$id\n", '%n', '-', 'ALL') {
	for my $verb (qw(show flush hold delete)) {
		my ($status, $out) = Postrider::Users::run_as($alice, {
		    input => '' }, 'postrider-queue', '-c', $mail->etc, $verb,
		    '--', $name);
		my $shown = $name =~ s/\n/\\n/r;
		$shown = 'x...' if length $shown > 99;
		$status != 0 && $out !~ /root:|secret/ or
		    fail("CLI-10 $verb '$shown': $status $out");
	}
}
pass('CLI-10 names that are no ids are refused');
for my $words (['list'], ['list', '--site', '[x;y]'], ['show', $id],
    ['cat', $id], ['flush'], ['flush', '--site', '[x;y]'], ['flush', $id],
    ['hold', $id], ['delete', $id], ['delete', 'ALL'], ['requeue', $id],
    ['expire', $id]) {
	my ($status, $out) = Postrider::Users::run_as($alice, {},
	    'postrider-queue', '-c', $mail->etc, @$words);
	isnt($status, 0, "CLI-10 a user may not @$words");
	unlike($out, qr/secret|far\.test/, "CLI-10 @$words: and learns nothing");
}
ok(-e Postrider::QueueFile->path($mail, $id), 'CLI-10 the message is there');
my ($status, $out) = as_alice('', '-bp');
isnt($status, 0, 'CLI-10 nor by mailq');
unlike($out, qr/far\.test/, 'CLI-10 which shows nothing');

# --- CLI-11: senders -----------------------------------------------------------

for my $case (['ceo@local.test', 'ceo@local.test'], ['', ''], ['<>', '']) {
	for my $option ('-f', '-r') {
		my $f = post($text, $option, $case->[0], 'bob@far.test');
		is($f->{sender}, $case->[1],
		    "CLI-11 $option '$case->[0]' is his to say");
		like($f->{content}, qr/^Received: by \S+ \(Postrider, from userid $uid\)/,
		    'CLI-11 but the header says who it was');
		$mail->wait_log(qr/pickup\[\d+\]: \w+: uid=$uid from=<\Q$case->[1]\E>/);
		pass('CLI-11 and so does the log');
	}
}
for my $words (['-f', 'a b'], ['-f', 'a@b@c'], ['-f', '<a'], ['-f', "a\tb"]) {
	($status) = as_alice($text, @$words, 'bob@far.test');
	is($status, 65, "CLI-11 $words->[1] is no sender");
}
is(post($text, '-oMr', 'bob@far.test')->{sender}, "$alice\@local.test",
    'CLI-11 -oMr changes nothing');
($status, $out) = as_alice("EHLO x\r\nXCLIENT NAME=root ADDR=10.0.0.1\r\n" .
    "MAIL FROM:<ceo\@local.test>\r\nRCPT TO:<bob\@far.test>\r\nDATA\r\n" .
    "\r\nx\r\n.\r\nQUIT\r\n", '-bs');
like($out, qr/^500 .*\r\n250 .*\r\n250 /m, 'CLI-11 XCLIENT is unknown to -bs');
my ($queued) = $out =~ /queued as (\w+)/;
$seen++;
like(Postrider::QueueFile->find($mail, $queued)->{content},
    qr/^Received: by \S+ \(Postrider, from userid $uid\)/,
    'CLI-11 whose mail is his');

# --- CLI-12: recipients in headers, odd content --------------------------------

for my $case (["Bcc: b\@far.test\n$text", ['b@far.test']],
    ["Bcc: a\@far.test\nTo: c\@far.test\nBCC:\n d\@far.test\n$text",
    [qw(a@far.test c@far.test d@far.test)]],
    ["To: a\@far.test\nResent-To: r\@far.test\nResent-Bcc: s\@far.test\n" .
    "Resent-To: t\@far.test\n$text", [qw(r@far.test s@far.test t@far.test)]]) {
	my $f = post($case->[0], '-t');
	is_deeply($f->{recipients}, $case->[1], 'CLI-12 recipients of headers');
	unlike($f->{content}, qr/^(?:Resent-)?Bcc/mi, 'CLI-12 without Bcc:');
	like($f->{content}, qr/^(?:Resent-)?From: .*\Q$alice\E/m,
	    'CLI-12 From: is added');
}
is_deeply(post("To: a\@far.test\n$text", '-t', 'w@far.test')->{recipients},
    ['w@far.test', 'a@far.test'], 'CLI-12 -t and a word');
is((as_alice($text, '-t'))[0], 64, 'CLI-12 nobody at all');
is((as_alice("To: <a\@far.test\n$text", '-t'))[0], 65, 'CLI-12 no address');
like(post("Subject: x\n\n.\n..\n", '-i', 'bob@far.test')->{content},
    qr/\r\n\r\n\.\r\n\.\.\r\n\z/, 'CLI-12 dots stay with -i');
my $binary = join '', map { chr } 0 .. 9, 11, 12, 14 .. 255;
like(post("Subject: x\n\n$binary\n", 'bob@far.test')->{content},
    qr/\r\n\r\n\Q$binary\E\r\n\z/, 'CLI-12 NUL and binary come as they are');
is((as_alice("X: " . "y" x 50_000_000 . "\n\n", 'bob@far.test'))[0], 69,
    'CLI-12 a header of 50 MB is above message_size_limit');
SKIP: {
	skip 'a sanitizer is too slow for a million recipients', 3
	    if $is_sanitized;
	$mail->settle;
	$mail->stop;
	my $begun = time;
	($status, $out) = as_alice("Bcc: " . join(",", 1 .. 1_000_000) .
	    "\n\nx\n", '-t');
	is($status, 0, 'CLI-12 a million in Bcc:') or diag $out;
	my ($file) = names($maildrop);
	my $data = slurp("$maildrop/$file");
	is(unpack('V', ($data =~ /\x06(....)\x03\x01\0\0\0001\0/s)[0] // ''),
	    1_000_000, 'CLI-12 all of them are kept');
	is((as_alice("Bcc: " . join(",", 1 .. 1_000_001) . "\n\nx\n",
	    '-t'))[0], 65, 'CLI-12 more are refused');
	note('in ' . (time - $begun) . ' s');
	unlink "$maildrop/$file";
	$mail->start;
}

# --- CLI-13: modes -------------------------------------------------------------

my @masters = $mail->pid;
for my $words (['-bd'], ['-bl'], ['-bD'], ['-q'], ["-qI$id"],
    ['-qRfar.test'], ['-bi'], ['-I'], ['-bp']) {
	($status, $out) = as_alice('', @$words);
	isnt($status, 0, "CLI-13 a user may not: @$words") or diag $out;
}
is(join(' ', $mail->pid), "@masters", 'CLI-13 the system is as it was');
($status, $out) = as_alice("EHLO x\r\nQUIT\r\n", '-bs');
is($status, 0, 'CLI-13 -bs he may');
like($out, qr/^250-SIZE 10240000\r$/m, 'CLI-13 with the same limits');
socketpair my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
syswrite $here, $text;
shutdown $here, 1;
my $pid = fork // die;
if ($pid == 0) {
	open STDIN, '<&', $there;
	Postrider::Users::become($alice);
	exec bin() . '/sendmail', '-C', $mail->etc, 'bob@far.test';
}
waitpid $pid, 0;
is($?, 0, 'CLI-13 input may be a socket');
$seen++;

# --- CLI-14: with the group of postdrop ----------------------------------------

$mail->settle;
$mail->stop;
is((Postrider::Users::run_as($bob, { input => $text }, 'sendmail', '-C',
    $mail->etc, 'x@far.test'))[0], 0, 'CLI-14 bob posts');
my ($bobs) = names($maildrop);
$mail->wait_log(qr/./);
my %tried;
my $child = fork // die;
if ($child == 0) {
	Postrider::Users::become($alice, 'postrider-drop');
	my $spool = $mail->spool;
	my @attempts = (
		['list maildrop' => sub { opendir my $d, $maildrop }],
		['remove a file of bob\'s' => sub { unlink "$maildrop/$bobs" }],
		['rename it' => sub { rename "$maildrop/$bobs",
		    "$maildrop/x" }],
		['write to it' => sub { open my $f, '>>', "$maildrop/$bobs" }],
		['write master.pid' => sub { open my $f, '>',
		    "$spool/pid/master.pid" }],
		(map { my $dir = $_; ["list $dir" => sub { opendir my $d,
		    "$spool/$dir" }] } qw(incoming deferred hold corrupt private)),
		(map { my $dir = $_; ["write to $dir" => sub { open my $f,
		    '>', "$spool/$dir/x" }] } qw(incoming deferred hold
		    corrupt private public pid)),
	);
	my @done = map { $_->[1]->() ? $_->[0] : () } @attempts;
	open my $f, '>', "$maildrop/0CLI14" or push @done, 'not even create';
	spew("/tmp/cli14.$$", join ', ', @done);
	POSIX::_exit(0);
}
waitpid $child, 0;
is(slurp("/tmp/cli14.$child"), '', 'CLI-14 the group may create, no more');
ok(-e "/tmp/cli14.$child", 'CLI-14 all of it was tried');
unlink "/tmp/cli14.$child";
ok(-e "$maildrop/$bobs", 'CLI-14 bob\'s file is there');
$mail->start;
$child = fork // die;
if ($child == 0) {
	Postrider::Users::become($alice, 'postrider-drop');
	my @open;
	for my $name (names_of_private()) {
		socket my $s, PF_UNIX, SOCK_SEQPACKET, 0 or die;
		push @open, $name if connect $s, sockaddr_un($mail->spool .
		    "/private/$name");
	}
	POSIX::_exit(scalar @open);
}
sub names_of_private
{
	return qw(cleanup.1 cleanup.2 resolve.1 resolve.2 dns.1 bounce qmgr
	    anvil helper local.1 smtp.1 log control);
}
waitpid $child, 0;
is($?, 0, 'CLI-14 and connect to nothing private');
$seen++;
wait_for(sub { count() >= $seen }, 10, 'bob\'s message');
wait_for(sub { !names($maildrop) }, 10, 'an empty maildrop');

# --- LOC-08, LOC-09: what lies in the queue and is no message --------------------

my $shadow = $mail->spool . '/shadow';
spew($shadow, "root:secret\n");
chmod 0740, $shadow;
my @before = (stat $shadow)[2, 4, 5];
link $shadow, "$maildrop/0LOC08root" or die "link: $!";
my $other = $mail->spool . '/alices';
spew($other, Postrider::Users::drop(to => ['loc08@far.test']));
chown $uid, scalar(getgrnam 'postrider-drop'), $other;
chmod 0740, $other;
link $other, "$maildrop/0LOC08alice" or die "link: $!";
$mail->wait_log(qr{maildrop/0LOC08root: it cannot be read; kept as});
$mail->wait_log(qr{maildrop/0LOC08alice: it has other names});
pass('LOC-08 a file with another name is not taken');
is(slurp($shadow), "root:secret\n", 'LOC-08 it is as it was');
is_deeply([(stat $shadow)[2, 4, 5]], \@before, 'LOC-08 and whose it was');
unlike($mail->log, qr/secret/, 'LOC-08 nothing of it is in the log');
unlike($mail->log, qr/loc08\@far/, 'LOC-08 nor was the other one sent');
is(join(' ', glob "$maildrop/*LOC08*"),
    "$maildrop/bad-0LOC08alice $maildrop/bad-0LOC08root",
    'LOC-08 both are moved aside');
unlink glob("$maildrop/bad-*"), $shadow, $other;

my %weird = (
	'0LOC09fifo' => sub { POSIX::mkfifo($_[0], 0740) },
	'0LOC09dir' => sub { mkdir $_[0], 0755 },
	'0LOC09link' => sub { symlink '/etc/shadow', $_[0] },
	'0LOC09loop' => sub { symlink $_[0], $_[0] },
	'0LOC09device' => sub { system('mknod', '-m', '740', $_[0], 'c', 1,
	    5) == 0 },
	'0LOC09socket' => sub { socket my $s, PF_UNIX, SOCK_STREAM, 0;
	    bind $s, sockaddr_un($_[0]); chmod 0740, $_[0] },
	'0LOC09sparse' => sub { spew($_[0], ''); truncate($_[0], 1 << 40) or
	    truncate $_[0], 1 << 33; chmod 0740, $_[0] },
	'0LOC09none' => sub { spew($_[0], 'x'); chmod 0, $_[0] },
	'0LOC09later' => sub { spew($_[0], 'x'); chmod 0740, $_[0];
	    utime 4102444800, 4102444800, $_[0] },
	"0LOC09\nline" => sub { spew($_[0], 'x'); chmod 0740, $_[0] },
	'..x' => sub { spew($_[0], 'x'); chmod 0740, $_[0] },
	'0' => sub { spew($_[0], 'x'); chmod 0740, $_[0] },
	'0' x 255 => sub { spew($_[0], 'x'); chmod 0740, $_[0] },
);
my @pids = map { $mail->children($_) } qw(pickup qmgr);
for my $place (['maildrop', 'postrider-drop'], ['incoming', 'postrider'],
    ['deferred', 'postrider']) {
	my ($name, $owner) = @$place;
	my $dir = $mail->spool . "/$name";
	my @ids = (getpwnam $owner)[2, 3];

	for my $file (keys %weird) {
		$weird{$file}->("$dir/$file") or die "$name/$file: $!";
		chown @ids, "$dir/$file" unless -l "$dir/$file";
	}
	post($text, '-f', "after-$name\@some.test", 'bob@far.test');
	$mail->wait_log(qr/from=<after-$name\@some\.test>.*queue active/);
	pass("LOC-09 with all that in $name mail goes its way");
}
$mail->stop;
$mail->start;
post($text, '-f', 'after-start@some.test', 'bob@far.test');
$mail->wait_log(qr/from=<after-start\@some\.test>.*queue active/, 20);
pass('LOC-09 after a start as well');
is(index($mail->log, (split /\n/, slurp('/etc/shadow'))[0]), -1,
    'LOC-09 nothing that a link led to was read');
is(join('', $mail->complaints), '', 'LOC-09 and nothing crashed');
like($mail->log, qr{maildrop/0LOC09sparse: .*kept as maildrop/bad-},
    'LOC-09 what looks like a message and is none is kept aside');
for my $name (qw(maildrop incoming deferred)) {
	my $dir = $mail->spool . "/$name";
	my @gone = grep { !-l "$dir/$_" && !-e "$dir/$_" && !-e "$dir/bad-$_" &&
	    !glob($mail->spool . "/corrupt/*" . quotemeta $_) }
	    qw(0LOC09fifo 0LOC09dir 0LOC09link 0LOC09device 0LOC09socket);
	is("@gone", '', "LOC-09 $name: what is no file stays where it is");
}
$mail->stop;
for my $name (qw(maildrop incoming deferred)) {
	my $dir = $mail->spool . "/$name";
	for my $file (grep { /LOC09|^bad-|^\.\.x$|^0+$/ } names($dir)) {
		unlink "$dir/$file" or rmdir "$dir/$file";
	}
}

# --- LOC-10: a file that is still being written --------------------------------

my @writers;
my @drops = map { Postrider::Users::drop(sender => "$_\@one.test",
    to => ["$_\@far.test"], content => "Subject: $_\n\n" . "$_\n" x 2000) }
    'aaaa', 'bbbb';
for my $n (10 .. 29) {
	spew("$maildrop/new-$n", $drops[0]);
	chown $uid, scalar(getgrnam 'postrider-drop'), "$maildrop/new-$n";
	chmod 0740, "$maildrop/new-$n";
	sysopen my $f, "$maildrop/new-$n", O_RDWR or die;
	my $writer = fork // die;
	if ($writer == 0) {
		my $end = time + 20;
		for (my $i = 0; time < $end; $i++) {
			sysseek $f, 0, SEEK_SET;
			syswrite $f, $drops[$i & 1];
			select undef, undef, undef, 0.0003;
		}
		POSIX::_exit(0);
	}
	push @writers, $writer;
	rename "$maildrop/new-$n", "$maildrop/0LOC10a$n" or die;
}
my $count = count();
$mail->start;
wait_for(sub { !grep { /^0LOC10/ } names($maildrop) }, 20,
    'all of them to be taken or put aside');
kill 'KILL', @writers;
waitpid $_, 0 for @writers;
my ($taken, $false) = (0, 0);
for my $new ((ids())[$count .. count() - 1]) {
	my $f = Postrider::QueueFile->find($mail, $new);
	my ($who) = $f->{sender} =~ /^(aaaa|bbbb)\@one\.test$/;
	$taken++;
	$false++ unless defined $who && "@{ $f->{recipients} }" eq
	    "$who\@far.test" && $f->{content} =~ /userid $uid\)/;
}
is($false, 0, "LOC-10 the envelopes of $taken messages are what was checked");
cmp_ok($taken + (grep { /^bad-0LOC10/ } names($maildrop)), '==',
    scalar(@writers), 'LOC-10 the others were put aside');
unlink map { "$maildrop/$_" } grep { /LOC10/ } names($maildrop);

# --- CLI-09: a user that cannot be changed -------------------------------------

SKIP: {
	skip 'a sanitizer does not bear ptrace', 1 if $is_sanitized;
	skip 'strace cannot be used here', 1
	    if system('strace -o /dev/null true 2>/dev/null') != 0;
	for my $case (['setresuid', 'EAGAIN'], ['setresgid', 'EPERM'],
	    ['setgroups', 'EPERM']) {
		my ($call, $error) = @$case;
		my $trace = $mail->dir . "/trace.$call";
		# Alice's mail starts it; bob's process is still to be made.
		$mail->send(from => '', to => ["$alice\@local.test"]);
		$mail->wait_log(qr/to=<$alice\@local\.test>.*status=sent/);
		my ($helper) = $mail->children('helper');
		my $strace = fork // die;
		if ($strace == 0) {
			open STDERR, '>', "$trace.err";
			exec 'strace', '-f', '-o', $trace, '-e',
			    "trace=$call", '-e', "inject=$call:error=$error",
			    '-p', $helper;
		}
		wait_for(sub { slurp("/proc/$helper/status") =~
		    /^TracerPid:\s+[1-9]/m }, 10, 'strace');
		my $who = $bob;
		my $before = $mail->mbox($who);
		$mail->send(from => "$call\@some.test",
		    to => ["$who\@local.test"]);
		my $line = $mail->wait_log(qr/to=<$who\@local\.test>.*status=\w+ .*/);
		my @bad = $mail->log =~ /(to=<$who\@local\.test>.*status=sent)/;
		is(scalar(@bad), 0, "CLI-09 $call fails: nothing is delivered");
		like($line, qr/status=deferred/, "CLI-09 $call: it waits");
		is($mail->mbox($who), $before, "CLI-09 $call: no mailbox");
		like(slurp($trace), qr/$call\(.*INJECTED/,
		    "CLI-09 $call did fail");
		kill 'TERM', $strace;
		waitpid $strace, 0;
		wait_for(sub { slurp("/proc/$helper/status") =~
		    /^TracerPid:\s+0/m }, 10, 'its end');
		is($mail->mbox($who), $before, "CLI-09 $call: nor later");
		$mail->stop;
		unlink $mail->dir . '/log';
		$mail->start;
	}
	$mail->stop;
	for my $case (['setresuid', 'EAGAIN'], ['setresgid', 'EPERM'],
	    ['setgroups', 'EPERM'], ['chroot', 'EPERM']) {
		my ($call, $error) = @$case;
		my $trace = $mail->dir . "/trace.$call.start";
		unlink $mail->dir . '/log';
		my $strace = fork // die;
		if ($strace == 0) {
			open STDIN, '<', '/dev/null';
			open STDOUT, '>', '/dev/null';
			open STDERR, '>', '/dev/null';
			exec 'strace', '-f', '-o', $trace, '-e',
			    "trace=$call", '-e', "inject=$call:error=$error",
			    bin() . '/master', '-c', $mail->etc, '-f';
		}
		wait_for(sub { 3 <= (() = slurp($trace) =~ /INJECTED/g) ||
		    !is_alive($strace) }, 15, 'failures');
		my @wrong = grep { runs_as_root($_) } (split ' ', slurp(
		    '/proc/' . master_of($strace) . '/task/' .
		    master_of($strace) . '/children'));
		select undef, undef, undef, 0.3;
		@wrong = grep { runs_as_root($_) } @wrong;
		is(join(' ', map { slurp("/proc/$_/cmdline") =~ s/\0.*//sr }
		    @wrong), '', "CLI-09 $call fails: nobody goes on as root");
		like(slurp($trace), qr/INJECTED/, "CLI-09 $call did fail");
		my $master = master_of($strace);
		kill 'KILL', $master, split(' ', slurp(
		    "/proc/$master/task/$master/children")) if $master;
		kill 'KILL', $strace;
		waitpid $strace, 0;
	}
}

# The process that this strace runs.
sub master_of
{
	my ($strace) = @_;

	return (split ' ', slurp("/proc/$strace/task/$strace/children"))[0]
	    // 0;
}

# Is it a daemon that ought to have become somebody else?
sub runs_as_root
{
	my ($process) = @_;
	my $name = slurp("/proc/$process/cmdline") =~ s/\0.*//sr;

	return 0 if $name =~ m{^(?:|helper|master|spawn)$};
	return slurp("/proc/$process/status") =~ /^Uid:\s.*\b0\b/m ? 1 : 0;
}

is(join('', grep { !/killed by signal 9/ } $mail->complaints), '',
    'nothing crashed');
done_testing;
