# names.t - postfix, postlog, postkick, postlock, and postrider log.
use strict;
use warnings;
use Test::More;
use Postrider qw(is_root slurp spew wait_for);

my $mail = Postrider->new(settings => { syslog_name => 'postfix',
    deliver_lock_attempts => 2, deliver_lock_delay => '0s' });
my $dir = $mail->dir;
my $bin = Postrider::bin();
mkdir "$dir/names" or die;
symlink "$bin/postrider", "$dir/names/$_" or die
    for qw(postfix postlog postkick postlock);

# Run one of the names: (exit status, output with errors).
my $input = '/dev/null';
sub run {
	my ($name, @words) = @_;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', $input;
		open STDOUT, '>', "$dir/out";
		open STDERR, '>&', \*STDOUT;
		exec "$dir/names/$name", '-c', $mail->etc, @words
		    or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return ($? >> 8, slurp("$dir/out"));
}

# --- postfix ---------------------------------------------------------------------

is((run('postfix', 'status'))[0], 1, 'postfix status: it does not run');
is((run('postfix', 'check'))[0], 0, 'postfix check');
my ($status, $text) = run('postfix', 'start');
is($status, 0, 'postfix start') or diag $text;
is((run('postfix', 'start'))[0], 1, 'twice is a mistake');
is((run('postfix', '-v', '-D', 'status'))[0], 0, 'postfix status: it runs');
is((run('postfix', 'reload'))[0], 0, 'postfix reload');
is((run('postfix', 'flush'))[0], 0, 'postfix flush');
is((run('postfix', 'upgrade-configuration'))[0], 0, 'nothing to upgrade');
is((run('postfix'))[0], 2, 'a verb is needed');
($status, $text) = run('postfix', 'nothing');
is($status, 2, 'one that exists');
like($text, qr/^postrider: there is no verb "nothing"$/m, 'and it is named');
($status, $text) = run('postfix', 'help');
is($status, 0, 'help is no mistake');
like($text, qr/^  conf \| queue \| map \| user$/m, 'and tells of every command');

# --- postlog ---------------------------------------------------------------------

is((run('postlog', 'hello', "wor\nld"))[0], 0, 'postlog');
$mail->wait_log(qr/^\w{3} .* postfix\/postlog\[\d+\]: hello wor\\012ld$/m);
pass('writes one line in the usual shape');
run('postlog', '-t', 'postfix/mine', '-p', 'warn', '-i', 'careful');
$mail->wait_log(qr/ postfix\/mine\[\d+\]: warning: careful$/m);
pass('with a tag and a level');
spew("$dir/in", join '', map { "line $_ of input\n" } 1 .. 20);
$input = "$dir/in";
is((run('postlog', '-p', 'fatal', '-t', 'other'))[0], 0,
    'postlog reads its input');
$mail->wait_log(qr/ postfix\/other\[\d+\]: fatal: line 20 of input$/m);
is(scalar(() = $mail->log =~ /fatal: line \d+ of input/g), 20,
    'line by line');
$input = '/dev/null';
is((run('postlog', '-p', 'loud', 'x'))[0], 1, 'a level that is none');

# --- postkick --------------------------------------------------------------------

is((run('postkick', 'public', 'qmgr', 'F'))[0], 0, 'postkick: a flush');
is((run('postkick', 'public', 'pickup', 'W'))[0], 0, 'postkick: a wake-up');
is((run('postkick', 'somewhere', 'qmgr', 'F'))[0], 1, 'postkick: no class');
is((run('postkick', 'public'))[0], 1, 'postkick: more words are needed');

# --- postlock --------------------------------------------------------------------

spew("$dir/box", "From x\n");
($status, $text) = run('postlock', "$dir/box", 'sh', '-c',
    "test -e $dir/box.lock && echo locked; exit 7");
is("$status $text", "7 locked\n", 'postlock runs a command under the lock');
ok(!-e "$dir/box.lock", 'and gives it back');
($status) = run('postlock', "$dir/box", "$dir/names/postlock", '-c',
    $mail->etc, "$dir/box", 'true');
is($status, 75, 'a lock that is held excludes');
is((run('postlock', '-l', 'fcntl', "$dir/box", 'test', '-e',
    "$dir/box.lock"))[0], 1, '-l chooses the locks');
is((run('postlock', "$dir/none", 'true'))[0], 75, 'no file');
is((run('postlock', "$dir/box"))[0], 75, 'no command');
is((run('postlock', "$dir/box", "$dir/none"))[0], 75, 'none that exists');

# --- postrider log ---------------------------------------------------------------

my $id = '4XyZ12345678';
open my $log, '>>', "$dir/log" or die;
print $log "Jan  1 00:00:01 host postfix/smtpd[1]: $id: client=a[192.0.2.1]\n",
    "Jan  1 00:00:02 host postfix/qmgr[1]: $id: from=<Ann\@x.example>, size=1\n",
    "Jan  1 00:00:02 host postfix/qmgr[1]: 4Other345678: from=<b\@x.example>\n",
    "Jan  1 00:00:03 host postfix/smtp[1]: $id: to=<c\@y.example>, status=sent\n",
    "Jan  1 00:00:04 host postfix/qmgr[1]: $id: removed\n";
close $log;
($status, $text) = $mail->postrider('log', 'ann@x.example');
is($status, 0, 'postrider log');
is(scalar(() = $text =~ /$id/g), 4, 'an address shows all of its messages');
unlike($text, qr/Other/, 'and of no others');
is(scalar(() = ($mail->postrider('log', $id))[1] =~ /\n/g), 4, 'a queue id');
is(($mail->postrider('log', 'ann@', 'status=bounced'))[1], '',
    'all words must be in a line');
is(($mail->postrider('log', '-n', 1, $id))[1] =~ s/.*: //r, "removed\n",
    '-n: only the last');
is(($mail->postrider('log', '-s', '1h', $id))[1], '', '-s: what is new');
like(($mail->postrider('log', '-s', '2026-01-31 25:00', $id))[1],
    qr/ -s 2026-01-31 25:00: expected a time like /, '-s: a time that is none');
like(($mail->postrider('log', '-n', 'all', $id))[1],
    qr/ -n all: expected a number /, '-n: a number that is none');
is(scalar(() = ($mail->postrider('log'))[1] =~ /\n/g), 20,
    'without a word: the last lines');
isnt(($mail->postrider('log', '-s', 'soon'))[0], 0, 'a time that is none');

# Following, through a rotation.
my $follower = open my $pipe, '-|', "$bin/postrider", '-c', $mail->etc, 'log',
    '-f', '-n', 0, 'needle' or die;
my $seen = '';
my $look = sub { my $n = sysread $pipe, $seen, 4096, length $seen; $n };
wait_for(sub { slurp("/proc/$follower/wchan") =~ /nanosleep/ ||
    slurp("/proc/$follower/syscall") =~ /^(230|35) / }, 10, 'the follower');
run('postlog', 'first needle');
$look->();
like($seen, qr/first needle\n/, '-f shows what comes');
is(($mail->postrider('logrotate'))[0], 0, 'postrider logrotate');
run('postlog', 'no match');
run('postlog', 'second needle');
$look->() until $seen =~ /second needle\n/;
unlike($seen, qr/no match/, 'and only that, behind a rotation, too');
my ($old) = glob "$dir/log.*";
like($old // '', qr/log\.\d{8}-\d{6}\.gz$/, 'the old log is compressed');
kill 'TERM', $follower;
close $pipe;

is((run('postfix', 'abort'))[0], 0, 'postfix abort');
is((run('postfix', 'status'))[0], 1, 'it is gone');
is((run('postlog', 'while down'))[0], 0, 'postlog while nothing runs');
like($mail->log, qr/ postfix\/postlog\[\d+\]: while down$/m,
    'writes the same shape');
done_testing;
