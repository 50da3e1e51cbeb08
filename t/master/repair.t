# repair.t - what is wrong with the queue is told with what to do about it, and
# `postrider check -r` repairs what can be repaired, without being led astray.

use strict;
use warnings;
use Test::More;
use Postrider qw(is_root need_root slurp spew wait_for);

need_root();
my $mail = Postrider->new(settings => { relay_domains => 'relay.test',
    relayhost => '[127.0.0.1]:1' });
my $spool = $mail->spool;
my ($status, $text, $id, $path, @owner);

# On a copy: the programs that are tested are everybody's.
my $commands = $mail->dir . '/commands';
mkdir $commands or die;
system('cp', Postrider::bin() . '/postdrop', Postrider::bin() . '/sendmail',
    $commands) == 0 or die;
$mail->set(command_directory => $commands);

sub check { ($status, $text) = $mail->postrider('check', @_) }
sub owner_of { return join ':', (lstat $_[0])[4, 5] }
sub mode_of { return sprintf '%04o', (lstat $_[0])[2] & 07777 }

# A queue with one message that waits.
$mail->start;
($id) = $mail->send(from => '', to => ['x@relay.test']) =~ /queued as (\w+)/;
$mail->wait_log(qr/$id: .*status=deferred/);
($path) = wait_for(sub { (glob "$spool/deferred/*/$id")[0] }, 10, 'it');
$mail->stop;
@owner = (stat "$spool/incoming")[4, 5];
check();
is $status, 0, 'a good queue passes' or diag $text;
is $text, '', 'without a word';
my $pid_file = "$spool/pid/master.pid";
chown 65534, -1, $pid_file or die;
check();
is $status, 1, "a copied queue's pid file may be another's";
like $text, qr/error: $pid_file belongs to user 65534, not to root: remove it, /,
    'and what to do about it is told';
unlink $pid_file or die;
check('-r');
is $status, 0, 'nothing is wrong with the queue' or diag $text;
like $text, qr/\A\S+\/postdrop: owner .*\n\S+\/postdrop: mode 2755, was 0755\n\z/,
    'the posting command gets its group';
check('-r');
is "$status $text", '0 ', 'and there is nothing more to repair';

# --- owners and modes ---------------------------------------------------------

my %is = map { $_ => owner_of($_) . ' ' . mode_of($_) } glob("$spool/*"),
    $path, $path =~ s{/[^/]+$}{}r, $mail->dir . '/data';
chown 0, 0, "$spool/incoming", $path, $mail->dir . '/data';
chown 4711, 4711, "$spool/public", $path =~ s{/[^/]+$}{}r;
chmod 0777, "$spool/maildrop", "$spool/private", $mail->dir . '/data';
chmod 0755, $path;
rmdir "$spool/hold";
check();
is $status, 1, 'wrong owners and modes are errors';
like $text, qr/incoming belongs to 0:0, expected $owner[0]:$owner[1]/, 'told';
like $text, qr/$id belongs to user 0, expected $owner[0]: postrider check -r/,
    'of messages, too, with what to do';
check('-r');
is $status, 0, 'check -r repairs them' or diag $text;
is owner_of($_) . ' ' . mode_of($_), $is{$_}, $_ for sort keys %is;
is scalar(() = $text =~ /^\S+: (owner|mode) \S+, was \S+$/mg), 9,
    'with a line for each' or diag $text;
like $text, qr/^\Q$spool\E\/hold: created$/m, 'what was missing is made';
check('-r');
is "$status $text", '0 ', 'once';

# --- without being led astray -------------------------------------------------

my $victim = $mail->dir . '/victim';
spew($victim, 'precious');
chmod 0644, $victim;
link $victim, "$spool/deferred/4linked00000000" or die "$!";
symlink $victim, "$spool/incoming/4symbolic000000" or die "$!";
rmdir "$spool/hold";
mkdir $mail->dir . '/elsewhere', 0755;
symlink $mail->dir . '/elsewhere', "$spool/hold" or die "$!";
mkdir "$spool/deferred/zz";
rmdir "$spool/deferred/aa";
symlink $mail->dir . '/elsewhere', "$spool/deferred/aa" or die "$!";
check('-r');
is $status, 1, 'a link in place of a directory cannot be repaired';
like $text, qr/^\S*\Q$spool\E\/hold: Not a directory/m, 'which is said';
is owner_of($victim) . mode_of($victim), '0:00644',
    'what has another name outside the queue is left alone';
is owner_of($mail->dir . '/elsewhere') . mode_of($mail->dir . '/elsewhere'),
    '0:00755', 'and what a link leads to';
like $text, qr/deferred\/4linked00000000 has 2 names/, 'names are told';
like $text, qr/incoming\/4symbolic000000 is no message/, 'and links';
unlink $victim;
check('-r');
is owner_of("$spool/deferred/4linked00000000"), '0:0',
    'what has lost its name outside is not given away either';
like $text, qr/4linked00000000 belongs to user 0 and is no message/, 'but told';
unlink "$spool/hold", "$spool/deferred/4linked00000000",
    "$spool/incoming/4symbolic000000", "$spool/deferred/aa";
check('-r');
is $status, 0, 'without them all is well' or diag $text;
rmdir "$spool/deferred/zz";

# --- strays -------------------------------------------------------------------

sub stray
{
	my ($where, $re, $what, %o) = @_;

	spew($where, $o{text} // 'x');
	chown @owner, $where;
	chmod $o{mode} // 0600, $where;
	utime $o{time}, $o{time}, $where if $o{time};
	check();
	is $status, 0, "$what stops nothing" or diag $text;
	like $text, qr/warning: \Q$where\E $re/, 'but is told';
	unlink $where;
}
stray("$spool/incoming/notes.txt", qr/is no message.*remove it/,
    'a file that is no message');
stray("$spool/maildrop/4abc.bad", qr/is no message that could be posted/,
    'what pickup has moved aside');
stray("$spool/core", qr/is what a program left that crashed/, 'a core file');
stray("$spool/deferred/core.123", qr/is what a program left that crashed/,
    'another one');
stray("$spool/backup.tar", qr/is nothing of the mail system's/,
    "somebody's file");
stray("$spool/incoming/4old00000000000",
    qr/was never finished.*postrider queue check --purge/,
    'an old unfinished message', time => time - 7200);

# A write-ahead log: messages are in it that are nowhere else.
my $log = "$spool/incoming/wal.7";
spew($log, 'x');
chown @owner, $log;
chmod 0600, $log;
check();
unlike $text, qr/wal\.7/, 'a write-ahead log is no stray';
chmod 0666, $log;
check();
like $text, qr/wal\.7 has mode 0666 and is open to others/,
    'nobody else is to write it';
check('-r');
is mode_of($log), '0600', 'which is mended';
spew("$spool/incoming/wal.64", 'x');
check();
like $text, qr/wal\.64 is no message/, 'there are sixty-four of them';
unlink $log, "$spool/incoming/wal.64";

# A directory that is nobody's may have mail in it.
mkdir "$spool/hold/old" or die;
mkdir "$spool/incoming/3f" or die;
chown @owner, "$spool/incoming/3f";
spew("$spool/incoming/3f/4lost0000000000", 'x');
check();
like $text, qr/hold\/old is a directory where no program looks: see what is in/,
    'a directory is told, and nobody is told to remove it';
like $text, qr/3f\/4lost0000000000 is in the wrong directory/,
    'and a message where nobody finds it';
unlink "$spool/incoming/3f/4lost0000000000";
rmdir "$spool/incoming/3f";
rmdir "$spool/hold/old";

# A queue that is a file system of its own, with data_directory where it is by
# default.
my $data = $mail->dir . '/data';
rename $data, "$spool/data" or die;
mkdir "$spool/lost+found", 0700 or die;
mkdir "$spool/hold/lost+found", 0700 or die;
$mail->set(data_directory => '$queue_directory/data');
check();
is "$status $text", '0 ', 'lost+found and data_directory are no strays';
rename "$spool/data", $data or die;
rmdir "$spool/$_" for 'lost+found', 'hold/lost+found';
$mail->set(data_directory => $data);

my $wrong = $spool . '/deferred/' .
    ($path =~ m{/ff/} ? '00' : 'ff') . "/$id";
mkdir $wrong =~ s{/[^/]+$}{}r;
chown @owner, $wrong =~ s{/[^/]+$}{}r;
chmod 0700, $wrong =~ s{/[^/]+$}{}r;
rename $path, $wrong or die "$!";
check();
like $text, qr/$id is in the wrong directory.*postrider queue check moves/,
    'a message in the wrong directory is told';
($status, $text) = $mail->run('', Postrider::bin() . '/postrider-queue', '-c',
    $mail->etc, 'check');
is $status, 0, 'what was said is done' or diag $text;
ok -e $path, 'and moves it';

# What a postmap leaves that was killed: its process is not there any more.
my $gone = fork // die;
POSIX::_exit(0) if $gone == 0;
waitpid $gone, 0;
stray($mail->etc . "/access.db.$gone.new", qr/was left by a postmap/,
    'half a table');
spew($mail->etc . "/access.db.$$.new", '');
check();
is $text, '', 'while it is being written nothing is told';
unlink $mail->etc . "/access.db.$$.new";
mkdir $mail->dir . '/tables';
$mail->set(canonical_maps => 'texthash:' . $mail->dir . '/tables/canonical');
spew($mail->dir . '/tables/canonical', "a b\n");
stray($mail->dir . "/tables/canonical.cdb.$gone.new", qr/was left by a/,
    'and beside a table that main.cf names');

# Many of them are not as many lines.
spew("$spool/hold/stray.$_", '') for 1 .. 100;
check();
cmp_ok scalar(() = $text =~ /hold\/stray/g), '<=', 25, 'many are cut short';
like $text, qr/hold has 80 more of this kind/, 'and counted';
unlink glob "$spool/hold/*";

# An unfinished message that is being written is nobody's business.
open my $writer, '>', "$spool/incoming/4writing0000000" or die;
chown @owner, "$spool/incoming/4writing0000000";
chmod 0600, "$spool/incoming/4writing0000000";
flock $writer, 2;
utime time - 7200, time - 7200, "$spool/incoming/4writing0000000";
check();
is $text, '', 'one that is being written is not told';
close $writer;
unlink "$spool/incoming/4writing0000000";

# --- an ordinary user ---------------------------------------------------------

sub as_user
{
	my @words = @_;

	return $mail->run('', 'setpriv', '--reuid', $mail->user(0), '--regid',
	    (getpwnam $mail->user(0))[3], '--clear-groups',
	    Postrider::bin() . '/postrider', '-c', $mail->etc, @words);
}
($status, $text) = as_user('check');
unlike $text, qr/belongs to \d|has mode|expected|Permission denied/,
    'an ordinary user is told of no false owners';
like $text, qr/\Q$spool\E belongs to somebody else/, 'but what he cannot know';
is $status, 0, 'and finds no errors' or diag $text;
($status, $text) = as_user('check', '-r');
is $status, 1, 'he repairs nothing';
like $text, qr/belongs to somebody else: only he, or root/, 'and hears why';

check('-x');
is $status, 2, 'another option is none';
done_testing;
