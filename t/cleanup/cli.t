# cli.t - the set-gid command in the hands of somebody hostile: environment,
# descriptors, limits, signals, input. Each check has the id of a row of
# t/conformance/attacks.tsv.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Config;
use POSIX ();
use Postrider qw(bin need_root slurp spew wait_for);
use Postrider::Users;
use Test::More;

need_root();
Postrider::Users::install()
    or plan skip_all => 'no mounts here: postdrop would refuse to run';
# A port that nobody listens at, and nobody else can take.
my $shut = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
    or die "socket: $!";
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . $shut->sockport,
	minimal_backoff_time => '1000s' });
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $maildrop = $mail->spool . '/maildrop';
my $is_sanitized = Postrider::is_sanitized();
Postrider::Users::list($mail);
END { Postrider::Users::leave($mail) if $mail }
$mail->start;
$mail->stop;

my $good = Postrider::Users::drop();

# Names in maildrop/, those that are complete only.
sub names
{
	opendir my $d, $maildrop or die "$maildrop: $!";
	return grep { !/^\./ } readdir $d;
}
sub complete { return grep { (stat "$maildrop/$_")[2] & 0100 } names() }
sub clear { unlink map { "$maildrop/$_" } names() }

# Run postdrop, or sendmail, as alice.
sub run_postdrop
{
	my ($o, @words) = @_;

	return Postrider::Users::run_as($alice, { input => $good, %$o },
	    'postdrop', '-c', $mail->etc, @words);
}
sub run_sendmail
{
	my ($o, @words) = @_;

	return Postrider::Users::run_as($alice,
	    { input => "Subject: x\n\nx\n", %$o }, 'sendmail', '-C',
	    $mail->etc, @words);
}

# What was said is either true or safe: exit 0 and a message, or not and none.
sub is_honest
{
	my ($name, $status, $text) = @_;
	my $count = complete();

	is($count, $status == 0 ? 1 : 0, "$name (exit $status)")
	    or diag $text;
	clear();
	return $status;
}

# --- configuration ------------------------------------------------------------

my $evil = $mail->dir . '/evil';
mkdir $evil or die;
POSIX::mkfifo("$evil/main.cf", 0644) or die;
chmod 0755, $evil;
is_honest('CLI-01 postdrop as it is meant', run_postdrop({}));
for my $case (['-c', {}, '-c', $evil], ['MAIL_CONFIG', { env => {
    MAIL_CONFIG => $evil } }], ['-c above', {}, '-c', $mail->etc .
    '/../evil'], ['-c with a slash', {}, '-c', "$evil/"]) {
	my ($name, $o, @words) = @$case;
	# Whoever opened this FIFO would not come back.
	my ($status, $text) = Postrider::Users::run_as($alice, { input =>
	    $good, %$o, before => sub { alarm 20 } }, 'postdrop', @words);
	is($status, 78, "CLI-01 a directory of one's own by $name: refused");
	unlike($text, qr/evil\/main\.cf:/, "CLI-01 $name: and not read");
}
is((run_postdrop({}, '-D'))[0], 64, 'CLI-01 -D is no option');
is((run_postdrop({}, 'more'))[0], 64, 'CLI-01 nor are words');
is(scalar(names()), 0, 'CLI-01 nothing was left');
unlink "$evil/main.cf";
spew("$evil/main.cf", "queue_directory = $evil\ncommand_directory = $evil\n" .
    "alternate_config_directories = $evil\n");
my ($status, $text) = Postrider::Users::run_as($alice, { input => "\nx\n" },
    'sendmail', '-C', "$evil/main.cf", 'bob@far.test');
isnt($status, 0, 'CLI-01 sendmail -C: with somebody else\'s programs nothing ' .
    'is posted');
is(scalar(names()), 0, 'CLI-01 and not here');

{
	my $canary = $mail->dir . '/canary';
	mkdir $canary or die;
	chmod 01777, $canary;
	for my $words (["-X$canary/log", 'bob'], ['-X', "$canary/log", 'bob'],
	    ["-OQueueDirectory=$canary", 'bob'], ["-oQ$canary", 'bob'],
	    ['-be', '${run{id}}'], ['-f', "a -X$canary/x", 'bob'],
	    ["-D$canary/log", 'bob'], ["-oA$canary/x", 'bob']) {
		($status) = run_sendmail({ directory => $canary }, @$words);
		ok($status == 0 || $status == 64 || $status == 65,
		    "CLI-02 @$words: ignored or refused ($status)");
		is(join(' ', glob "$canary/*"), '',
		    "CLI-02 @$words: no file");
		clear();
	}
}

# --- environment, names, arguments --------------------------------------------

{
	my $trap = $mail->dir . '/trap';
	mkdir $trap or die;
	chmod 0777, $trap;
	spew("$trap/lib.c", "#include <stdlib.h>\n#include <unistd.h>\n" .
	    "#include <fcntl.h>\n__attribute__((constructor)) static void " .
	    "go(void) { if (getegid() != getgid()) close(open(" .
	    "\"$trap/sprung\", O_CREAT | O_WRONLY, 0600)); }\n");
	system('cc', '-shared', '-fPIC', '-o', "$trap/lib.so",
	    "$trap/lib.c") == 0 or die 'cc';
	spew("$trap/resolv.conf", "nameserver 127.0.0.1\n");
	my %bad = (LD_PRELOAD => "$trap/lib.so", LD_AUDIT => "$trap/lib.so",
	    LD_LIBRARY_PATH => $trap, LD_DEBUG => 'all',
	    LD_DEBUG_OUTPUT => "$trap/debug", LD_PROFILE => 'libc.so.6',
	    GCONV_PATH => $trap, LOCPATH => $trap, NLSPATH => "$trap/%N",
	    HOSTALIASES => "$trap/resolv.conf", RES_OPTIONS => 'debug',
	    LOCALDOMAIN => 'evil.test', TZ => ":$trap/zone", TZDIR => $trap,
	    TMPDIR => $trap, MALLOC_CHECK_ => 3, MALLOC_TRACE =>
	    "$trap/malloc", GLIBC_TUNABLES => 'glibc.malloc.check=3',
	    PATH => $trap, IFS => '/', HOME => $trap, ENV => "$trap/env",
	    BASH_ENV => "$trap/env", POSIXLY_CORRECT => 1,
	    MAIL_DEBUG => 1, MAIL_VERBOSE => 1, OPENSSL_CONF => "$trap/conf",
	    NAME => "x\nBcc: y", 'A' x 1000 => 'B' x 100000);
	for my $name (sort keys %bad) {
		my $shown = length $name > 40 ? 'a long one' : $name;
		($status, $text) = run_postdrop({ env => { %ENV,
		    $name => $bad{$name} } });
		is(is_honest("CLI-03 $shown", $status, $text), 0,
		    "CLI-03 $shown changes nothing");
	}
	($status, $text) = run_postdrop({ env => \%bad });
	is(is_honest('CLI-03 all of them', $status, $text), 0,
	    'CLI-03 all of them');
	is(join(' ', grep { !/lib\.(so|c)$|resolv/ } glob "$trap/*"), '',
	    'CLI-03 and nobody wrote a file with the group\'s rights');
}

SKIP: {
	my $execve = { x86_64 => 59, aarch64 => 221 }->{
	    (POSIX::uname())[4]} // skip 'no number of execve() here', 2;
	for my $program (qw(postdrop sendmail)) {
		my ($path, $none) = (bin() . "/$program\0", pack 'Q2', 0, 0);
		($status) = Postrider::Users::run_as($alice, { input => $good,
		    before => sub { syscall $execve, $path, $none, $none;
		    POSIX::_exit(126) } }, 'postdrop');
		# The kernel itself may put an empty name there.
		ok($status < 128 && $status != 126 && $status != 0,
		    "CLI-04 $program without argv[0]: $status");
	}
}
is(is_honest('CLI-04 a name of 100,000 bytes', run_postdrop({
    name => 'x' x 100000 })), 0, 'CLI-04 a name of 100,000 bytes is no matter');
is(is_honest('CLI-04 %n as a name', run_postdrop({ name => '%n%s%n' })), 0,
    'CLI-04 nor is %n');
is((run_postdrop({}, ('x' x 100000) x 15))[0], 64, 'CLI-04 1.5 MB of words');
is((run_postdrop({}, ('x') x 100000))[0], 64, 'CLI-04 100,000 words');
is(scalar(names()), 0, 'CLI-04 and nothing was left');

# --- descriptors --------------------------------------------------------------

for my $bits (0 .. 7) {
	my @closed = grep { $bits >> $_ & 1 } 0 .. 2;
	($status, $text) = run_postdrop({ closed => \@closed });
	is_honest("CLI-05 postdrop with closed: @closed", $status, $text);
	ok($bits & 1 ? $status =~ /^(?:65|75)$/ : $status == 0,
	    "CLI-05 closed: @closed: $status");
	($status, $text) = run_sendmail({ closed => \@closed },
	    'bob@far.test');
	is_honest("CLI-05 sendmail with closed: @closed", $status, $text);
}
is(is_honest('CLI-05 standard output is full', run_postdrop({
    stdout => '/dev/full' })), 0, 'CLI-05 what is queued is queued');
for my $case (['a directory', '/tmp'], ['/dev/null', '/dev/null'],
    ['a file that is not one of ours', '/etc/passwd'],
    ['endless zeros', '/dev/zero']) {
	($status, $text) = run_postdrop({ stdin => $case->[1] });
	isnt(is_honest("CLI-05 input is $case->[0]", $status, $text), 0,
	    "CLI-05 $case->[0] is refused");
}
{
	my @held;
	($status, $text) = run_postdrop({ before => sub {
		my $fd = POSIX::open('/etc/passwd', POSIX::O_RDONLY());
		POSIX::dup2($fd, $_) for 3 .. 1023;
	} });
	is(is_honest('CLI-05 1023 open descriptors', $status, $text), 0,
	    'CLI-05 1023 open descriptors are no matter');
}

# --- limits -------------------------------------------------------------------

my $large = "Subject: x\n\n" . ('y' x 70 . "\n") x 400;
my @limits = ((map { "--fsize=$_" } 0, 100, 10000),
    (map { "--nofile=$_" } 3 .. 10),
    (map { '--as=' . $_ * 1048576 } 2, 5, 10, 20, 50),
    '--cpu=1', '--stack=8192', '--nproc=0');
for my $limit (@limits) {
	for my $signal ($limit =~ /fsize/ ? qw(DEFAULT IGNORE) : 'DEFAULT') {
		next if $is_sanitized && $limit =~ /as=|stack/;
		($status, $text) = Postrider::Users::run_as($alice, { input =>
		    $large, signals => { XFSZ => $signal } },
		    '/usr/bin/prlimit', $limit, bin() . '/sendmail', '-C',
		    $mail->etc, 'bob@far.test');
		is_honest("CLI-06 sendmail $limit $signal", $status, $text);
		($status, $text) = Postrider::Users::run_as($alice, { input =>
		    Postrider::Users::drop(content => $large), signals => {
		    XFSZ => $signal } }, '/usr/bin/prlimit', $limit, bin() .
		    '/postdrop', '-c', $mail->etc);
		is_honest("CLI-06 postdrop $limit $signal", $status, $text);
	}
}

# --- signals ------------------------------------------------------------------

SKIP: {
	skip 'a sanitizer does not bear ptrace', 1 if $is_sanitized;
	my $trace = $mail->dir . '/trace';
	my $input = $mail->dir . '/drop';
	my @strace = ('strace', '-f', '-o', $trace);
	my @postdrop = (bin() . '/postdrop', '-c', $mail->etc);
	spew($input, $good);
	my $run = sub {
		my $pid = fork // die;
		if ($pid == 0) {
			open STDIN, '<', $input;
			open STDOUT, '>', '/dev/null';
			open STDERR, '>', '/dev/null';
			exec @_ or POSIX::_exit(127);
		}
		waitpid $pid, 0;
		return $? & 127 ? 128 + ($? & 127) : $? >> 8;
	};
	$run->(@strace, @postdrop) == 0
	    or skip 'strace cannot be used here', 1;
	# strace counts each kind of call by itself.
	my (%count, @calls);
	push @calls, "$_:" . ++$count{$_}
	    for slurp($trace) =~ /^\d+ +(\w+)\(/mg;
	my $calls = @calls;
	clear();
	cmp_ok($calls, '>', 20, "CLI-07 $calls system calls");
	my ($lies, $ended, $taken, $end) = (0, 0, 0, time + 90);
	my @signals = qw(TERM INT HUP QUIT);
	my $tried = 0;
	for my $at (@calls) {
		my ($call, $nth) = split /:/, $at;
		my $signal = $signals[$tried % 4];
		last if time > $end;
		$tried++;
		my $result = $run->(@strace, '-e',
		    "inject=$call:signal=$signal:when=$nth", @postdrop);
		my $count = complete();
		$lies++ if $count != ($result == 0 ? 1 : 0);
		$result == 0 ? $taken++ : $ended++;
		clear();
	}
	is($tried, $calls, 'CLI-07 a signal at each of them');
	is($lies, 0, "CLI-07 taken and acknowledged ($taken times), or " .
	    "neither ($ended times)");
	cmp_ok($ended, '>', 0, 'CLI-07 some of them ended it');
	cmp_ok($taken, '>', 0, 'CLI-07 at the end they come too late');
}

# --- input --------------------------------------------------------------------

my %bad = (
	'nothing' => '', 'a byte' => 'P', 'zeros' => "\0" x 10000,
	'another magic' => $good =~ s/^PRDROP1/PRDROP2/r,
	'a damaged head' => $good =~ s/bob/bab/r,
	'a head without end' => substr($good, 0, 40),
	'a content without end' => substr($good, 0, -1),
	'more than it says' => "${good}x",
	'a head of 4 GB' => "PRDROP1\n" . pack('V V', 0xffffffff, 0),
	'something behind the fields' => Postrider::Users::drop(
	    more => Postrider::Users::number(1)),
	'a field of an unknown kind' => Postrider::Users::drop(
	    more => "\x7f\0\0\0\0"),
	'more recipients than there are' => Postrider::Users::drop(
	    count => 2),
	'no recipients' => Postrider::Users::drop(to => []),
	'1,000,001 recipients' => Postrider::Users::drop(count => 1000001),
	'4 billion recipients' => Postrider::Users::drop(count => 0xffffffff),
	'a report of ours' => Postrider::Users::drop(flags => 16),
	'mail of the network\'s' => Postrider::Users::drop(flags => 64),
	'mail past the checks' => Postrider::Users::drop(flags => 256),
	'a negative length' => Postrider::Users::drop(length => -1),
	'a strange RET' => Postrider::Users::drop(return_what => 'ALL'),
	'a strange NOTIFY' => Postrider::Users::drop(notify => 3),
	'strange delimiters' => Postrider::Users::drop(verp => '/x'),
);
for my $name (sort keys %bad) {
	($status, $text) = run_postdrop({ input => $bad{$name} });
	is($status, 65, "CLI-08 $name: exit 65");
	is(scalar(names()), 0, "CLI-08 $name: nothing is left");
}
($status) = run_postdrop({ input => Postrider::Users::drop(
    length => 10 * 1024 ** 3) });
is($status, 69, 'CLI-08 10 GB: exit 69');
is(scalar(names()), 0, 'CLI-08 10 GB: nothing is left');
my $before = time;
($status) = run_postdrop({});
my ($file) = complete();
is((stat "$maildrop/$file")[4], scalar getpwnam $alice,
    'CLI-08 whose it is the kernel says');
cmp_ok((stat _)[9], '>=', $before - 1, 'CLI-08 and when it came');
clear();
for my $flags (512, 1024, 512 + 1024, 2048) {
	is(is_honest("INJ-19 flags $flags", run_postdrop({ input =>
	    Postrider::Users::drop(flags => $flags) })), 0,
	    "INJ-19 what -v, -bv and -G ask for ($flags) is taken");
}
for my $flags (1, 8, 16, 32, 64, 128, 256, 4096, 8192, 16384, 32768,
    65536, 512 + 16, -1) {
	($status) = run_postdrop({ input => Postrider::Users::drop(
	    flags => $flags) });
	is($status, 65, "INJ-19 flags $flags: nobody may say that");
}
for my $field (qw(sender name envelope_id)) {
	for my $bytes ("\n", "\r\nX: y", "\0", "\x7f", "\x1b[2J") {
		($status) = run_postdrop({ input => Postrider::Users::drop(
		    $field => "a${bytes}b") });
		is($status, 65, sprintf 'INJ-04 %vd in %s: exit 65', $bytes,
		    $field);
	}
}
for my $case ([to => ["a\nb\@x.test"]], [to => ["a\0b"]],
    [original => "a\nb"], [orcpt => "rfc822;a\r\nb"]) {
	is((run_postdrop({ input => Postrider::Users::drop(@$case) }))[0], 65,
	    "INJ-04 a line end or a NUL in $case->[0]: exit 65");
}
for my $words (['-f', "a\@b.test\nX: y", 'bob'], ["alice\r\nbob"],
    ['-F', "A\nBcc: y", 'bob'], ['-V', "a\nb", 'bob']) {
	($status, $text) = run_sendmail({}, @$words);
	ok($status == 64 || $status == 65, "INJ-04 sendmail: $status");
	is(scalar(names()), 0, 'INJ-04 and nothing is left');
}

# --- surroundings -------------------------------------------------------------

my $deep = $mail->dir . '/deep';
mkdir $deep or die;
chmod 0777, $deep;
for my $case (['umask 0', { umask => 0 }], ['umask 0777', { umask => 0777 }],
    ['nice', { before => sub { POSIX::nice(19) } }],
    ['a directory that is gone', { before => sub { mkdir "$deep/gone";
    chdir "$deep/gone"; rmdir "$deep/gone" } }],
    ['a directory that may not be read', { before => sub {
    mkdir "$deep/shut"; chdir "$deep/shut"; chmod 0, "$deep/shut" } }],
    ['a directory 5000 bytes deep', { before => sub { chdir $deep;
    for (1 .. 25) { mkdir 'd' x 200; chdir 'd' x 200 } } }],
    ['no terminal', { before => sub { POSIX::setsid() } }]) {
	my ($name, $o) = @$case;
	for my $way (\&run_sendmail, \&run_postdrop) {
		($status, $text) = $way->($o, $way == \&run_sendmail ?
		    'bob@far.test' : ());
		my ($one) = complete();
		is($one ? sprintf('%o', (stat "$maildrop/$one")[2] & 07777) :
		    '', '740', "CLI-15 $name: the mode is as always");
		is(is_honest("CLI-15 $name", $status, $text), 0,
		    "CLI-15 $name is no matter");
	}
}

# --- what the system refuses is temporary (drop-1) -----------------------------

# Without its group postdrop may do as little as alice may.
my $plain = $mail->dir . '/postdrop';
my $mode = (stat $maildrop)[2] & 07777;
spew($plain, slurp(bin() . '/postdrop'));
chmod 0755, $plain or die;
($status, $text) = run_postdrop({});
is($status, 0, 'alice has posted, and has a tally') or diag $text;
clear();
for my $case (['her tally', $mode], ['a new file', $mode | 01]) {
	chmod $case->[1], $maildrop or die;
	($status, $text) = Postrider::Users::run_as($alice, { input => $good },
	    $plain, '-c', $mail->etc);
	is($status, 75, "no right to $case->[0] is 75");
	like($text, qr/maildrop: Permission denied/, 'and why is said');
}
chmod $mode, $maildrop or die;

# Whoever calls may have said that it wants to hear of no child.
($status, $text) = run_sendmail({ signals => { CHLD => 'IGNORE' } },
    'bob@far.test');
is(is_honest('sendmail where SIGCHLD is ignored', $status, $text), 0,
    'hears of postdrop');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
