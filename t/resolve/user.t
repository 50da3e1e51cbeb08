# user.t - users come and go, and their passwords are seen by nobody.
use strict;
use warnings;
use lib 't/lib';

use Fcntl qw(O_RDWR O_NOCTTY LOCK_EX);
use File::Temp ();
use IO::Handle;
use POSIX ();
use Test::More;

use Postrider qw(bin is_root slurp spew wait_for);

my $temp = File::Temp->newdir('prt-user-XXXX', DIR => '/tmp');
my $dir = "$temp";
my $table = "$dir/users";
spew("$dir/main.cf", "smtpd_sasl_scram_iterations = 4096\n");

# Run it: exit status and what it said.
sub user
{
	my ($input, @words) = @_;

	spew("$dir/input", $input);
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		POSIX::setsid();	# no terminal
		open STDIN, '<', "$dir/input";
		open STDOUT, '>', "$dir/output";
		open STDERR, '>&', \*STDOUT;
		exec bin() . '/postrider-user', '-c', $dir, @words
		    or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return ($? >> 8, slurp("$dir/output"));
}

sub status { return (user(@_))[0] }
sub names { return join ' ', split /\n/, (user('', 'list'))[1] }

# --- coming and going -------------------------------------------------------

is(names(), '', 'there is nobody');
is(status("open sesame\r\nmore\n", 'add', 'Ann@Example.COM', '-'), 0, 'add');
is(status("tiger", 'add', 'bob', '-'), 0, 'without a line end');
is(names(), 'ann@example.com bob', 'names in small letters');
my ($row) = slurp($table) =~ /^(bob\t.*)\n/m;
like($row, qr/^bob\t\{CRYPT\}\$y\$\S+ SCRAM-SHA-256\$4096:\S{24}\$\S{44}:\S{44}$/,
    'a yescrypt hash and a verifier');
my ($hash) = $row =~ /\{CRYPT\}(\S+)/;
is(crypt('tiger', $hash), $hash, 'of the password');
my ($ann) = slurp($table) =~ /^ann\S*\t\{CRYPT\}(\S+)/m;
is(crypt('open sesame', $ann), $ann, 'without its line end');
unlike(slurp($table), qr/sesame|tiger/, 'and nothing else of it');

SKIP: {
	my @st = stat $table;
	skip 'only root gives files away', 2 unless is_root();
	is(sprintf('%o', $st[2] & 07777), '640', 'a new table has mode 0640');
	is($st[5], (getgrnam('postrider-auth'))[2], 'for the auth process');
}

is(status("lion\n", 'password', 'BOB', '-'), 0, 'another password');
my ($new) = slurp($table) =~ /^bob\t(.*)/m;
isnt("bob\t$new", $row, 'is another row');
is(status('', 'delete', 'ann@example.com'), 0, 'delete');
is(names(), 'bob', 'she is gone');

# --- what people wrote stays ------------------------------------------------

spew($table, "# ours\n\nann {CRYPT}x\n  more\n# hers\n  and more\n" .
    "bob {CRYPT}x\n# last");
chmod 0600, $table;
is(status("pw\n", 'password', 'bob', '-'), 0, 'one row changes');
like(slurp($table), qr/\A# ours\n\nann \{CRYPT\}x\n  more\n# hers\n  and more
bob\t\S+ \S+\n# last\z/, 'the others and the comments do not');
is(sprintf('%o', (stat $table)[2] & 07777), '600', 'nor does the mode');
is(status("pw\n", 'add', 'eve', '-'), 0, 'a row behind a line without end');
like(slurp($table), qr/\n# last\neve\t\S+ \S+\n\z/, 'is a line of its own');
is(status('', 'delete', 'ann'), 0, 'a row of several lines');
like(slurp($table), qr/\A# ours\n\nbob\t/, 'goes as a whole');
chmod 0644, $table;
like((user("pw\n", 'password', 'eve', '-'))[1], qr/everybody can read it/,
    'a table that all can read is told');

# --- what is refused --------------------------------------------------------

my $before = slurp($table);
for (['who is there already', "x\n", qr/there already/, 'add', 'bob', '-'],
    ['who is not there', "x\n", qr/no user zoe/, 'password', 'zoe', '-'],
    ['nor can he be deleted', '', qr/no user zoe/, 'delete', 'zoe'],
    ['a password as an argument', '', qr/no argument/, 'add', 'zoe', 'pw'],
    ['no password', '', qr/no line/, 'add', 'zoe', '-'],
    ['an empty one', "\n", qr/empty/, 'add', 'zoe', '-'],
    ['one with a tab', "a\tb\n", qr/control/, 'add', 'zoe', '-'],
    ['one with an umlaut', "gr\xc3\xbcn\n", qr/not ASCII/, 'add', 'zoe', '-'],
    ['one that is too long', 'x' x 501 . "\n", qr/no line|longer/, 'add',
	'zoe', '-'],
    ['a name with a blank', "x\n", qr/no blanks/, 'add', 'z oe', '-'],
    ['with a #', "x\n", qr/no blanks/, 'add', '#zoe', '-'],
    ['with a line end', "x\n", qr/no blanks/, 'add', "zoe\nx", '-'],
    ['without letters', "x\n", qr/expected a name/, 'add', '', '-'],
    ['without a terminal', '', qr/no terminal/, 'add', 'zoe']) {
	my ($what, $input, $text, @words) = @$_;
	my ($status, $said) = user($input, @words);
	is($status, 1, "refused: $what");
	like($said, $text, 'and why');
}
is(slurp($table), $before, 'nothing was changed by that');
is(status('', $_ // ()), 64, 'usage: ' . ($_ // 'nothing'))
    for undef, 'add', 'remove', '-x';
like((user('', '--help'))[1], qr/^usage: postrider user/, '--help');
is(status('', '--help'), 0, 'is no mistake');
spew("$dir/main.cf", "smtpd_sasl_users = hash:$dir/users\n");
like((user('', 'list'))[1], qr/changes a single table of type texthash/,
    'other types of tables');
spew("$dir/main.cf", "smtpd_sasl_scram_iterations = 4096\n");

# --- at a terminal ----------------------------------------------------------

# Start it at a terminal: our end of that.
sub begin
{
	my ($words, $child) = @_;
	my ($lock, $number) = (pack('i', 0), pack('I', 0));

	sysopen my $pty, '/dev/ptmx', O_RDWR | O_NOCTTY or die "ptmx: $!";
	ioctl $pty, 0x40045431, $lock or die "TIOCSPTLCK: $!";
	ioctl $pty, 0x80045430, $number or die "TIOCGPTN: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		POSIX::setsid();	# what is opened next is our terminal
		sysopen my $tty, '/dev/pts/' . unpack('I', $number), O_RDWR
		    or POSIX::_exit(126);
		POSIX::dup2(fileno $tty, $_) for 0 .. 2;
		exec bin() . '/postrider-user', '-c', $dir, @$words
		    or POSIX::_exit(127);
	}
	$$child = $pid;
	$pty->blocking(0);
	return $pty;
}

# Type these lines when asked; exit status and all that the screen showed.
sub type
{
	my ($words, @lines) = @_;
	my $pty = begin($words, \my $pid);
	my $seen = '';

	for my $line (@lines) {
		my $length = length $seen;
		wait_for(sub {
			sysread $pty, $seen, 1000, length $seen;
			substr($seen, $length) =~ /: \z/;
		}, 10, 'the question');
		syswrite $pty, "$line\n";
	}
	wait_for(sub {
		sysread $pty, $seen, 1000, length $seen;
		waitpid($pid, 1) == $pid;
	}, 10, 'the end');
	my $status = $? >> 8;
	sysread $pty, $seen, 1000, length $seen;
	return ($status, $seen);
}

my ($status, $seen) = type(['add', 'zoe'], 'sesame', 'sesame');
is($status, 0, 'a password is asked for at the terminal');
like($seen, qr/New password: .*Once more: /s, 'twice');
unlike($seen, qr/sesame/, 'and not shown');
my ($zoe) = slurp($table) =~ /^zoe\t\{CRYPT\}(\S+)/m;
is(crypt('sesame', $zoe), $zoe, 'it is hers');
($status, $seen) = type(['password', 'zoe'], 'sesame', 'simsim');
is($status, 1, 'two that differ');
like($seen, qr/nothing was changed/, 'change nothing');

# Who is interrupted finds his terminal as it was.
for my $signal ('INT', 'TERM') {
	my $echo = POSIX::Termios->new;
	my $pid;
	my $screen = begin(['password', 'zoe'], \$pid);
	wait_for(sub {
		sysread $screen, my $seen, 1000;
		($seen // '') =~ /: \z/;
	}, 10, 'the question');
	$echo->getattr(fileno $screen);
	is($echo->getlflag & POSIX::ECHO(), 0, "nothing is shown before $signal");
	kill $signal, $pid;
	waitpid $pid, 0;
	is($? & 127, $signal eq 'INT' ? 2 : 15, "$signal ends it");
	$echo->getattr(fileno $screen);
	isnt($echo->getlflag & POSIX::ECHO(), 0, 'and all is shown again');
}

# --- two at once ------------------------------------------------------------

# Anybody may lock a directory that he may read.
{
	open my $directory, '<', $dir or die "$dir: $!";
	flock $directory, LOCK_EX or die "flock: $!";
	local $SIG{ALRM} = sub { die "it waits for anybody\n" };
	alarm 20;
	is(status("pw\n", 'add', 'early', '-'), 0,
	    'a lock that anybody may have keeps nobody out');
	alarm 0;
}
unlink $table or die "$table: $!";
my @pids;
for my $i (1 .. 6) {
	my $pid = fork // die;
	if ($pid == 0) {
		open my $to, '|-', bin() . '/postrider-user', '-c', $dir,
		    'add', "many$i", '-' or POSIX::_exit(1);
		print $to "pw\n";
		close $to;
		POSIX::_exit($? ? 1 : 0);
	}
	push @pids, $pid;
}
waitpid $_, 0 for @pids;
is(join(' ', sort grep { /many/ } split / /, names()),
    'many1 many2 many3 many4 many5 many6', 'nobody is lost');
done_testing();
