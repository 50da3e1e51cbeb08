package Bench;

# What all parts of the bench share: where things are, how much is asked for,
# and who has to be ended.
#
#	POSTRIDER_SCALE		a factor for all counts of messages (1)
#	POSTRIDER_BENCH_DIR	both systems (/var/tmp/postrider-bench)
#	BUILD			the programs that are measured (build)

use strict;
use warnings;

use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use List::Util qw(first);
use POSIX ();

use Exporter 'import';
our @EXPORT_OK = qw($build $dir $unpacked $user count note run_command
    capture at_end make_place free_port percentile slurp spew wait_for);
use Postrider qw(slurp spew wait_for);

our $build = abs_path($ENV{BUILD} || 'build');
our $dir = $ENV{POSTRIDER_BENCH_DIR} || '/var/tmp/postrider-bench';
our $unpacked = first { -x "$_/usr/sbin/smtp-source" }
    map { "$_/bench/postfix" } $build, "$build/..", abs_path('build');
our $user = 'prt-bench';	# whose mailboxes are filled

my $scale = $ENV{POSTRIDER_SCALE} || 1;
my $parent = $$;
my (@ends, $lock);

# So many of them, in a run of this scale.
sub count
{
	my ($many, $least) = @_;
	my $n = int($many * $scale);

	$least //= 1;
	return $n < $least ? $least : $n;
}

# A line that belongs to the report and is no figure.
sub note { printf "# %s\n", join '', @_ }

sub run_command
{
	system(@_) == 0 or die "bench: @_: exit " . ($? >> 8) . "\n";
}

# What a program prints; it must succeed.
sub capture
{
	open my $out, '-|', @_ or die "bench: $_[0]: $!\n";
	local $/;
	my $text = <$out> // '';

	close $out or die "bench: @_: exit " . ($? >> 8) . "\n";
	return $text;
}

# A port that nobody has, below those that the kernel gives to clients: a
# system is stopped and started again, and nobody may have taken its port.
sub free_port
{
	for (1 .. 100) {
		my $port = 20000 + int rand 12000;
		return $port if IO::Socket::INET->new(Listen => 1,
		    LocalAddr => '127.0.0.1', LocalPort => $port);
	}
	die "bench: no free port\n";
}

# The greatest of the least so many per cent.
sub percentile
{
	my ($per_cent, @values) = @_;
	my @sorted = sort { $a <=> $b } @values;

	return $sorted[POSIX::ceil(@sorted * $per_cent / 100) - 1];
}

# Do this when the bench ends, however it ends; the last comes first.
sub at_end { unshift @ends, $_[0] }

END {
	my $status = $?;

	if ($$ == $parent) {
		for my $end (@ends) {
			eval { $end->(); 1 } or warn $@;
		}
	}
	$? = $status;
}

sub _make_users
{
	for my $name ($user, 'prt-postfix') {
		next if defined getpwnam $name;
		run_command('useradd', '-r', '-m', '-d', "/home/$name", '-s',
		    '/usr/sbin/nologin', $name);
	}
	run_command('groupadd', '-r', 'prt-postdrop')
	    unless defined getgrnam 'prt-postdrop';
}

# A certificate for whoever needs one: ECDSA, P-256.
sub _make_certificate
{
	run_command('openssl req -x509 -newkey ec ' .
	    '-pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 ' .
	    '-subj /CN=bench.test -addext subjectAltName=DNS:bench.test ' .
	    "-keyout $dir/tls.key -out $dir/tls.crt 2>$dir/tls.out");
	spew("$dir/tls.pem", slurp("$dir/tls.key") . slurp("$dir/tls.crt"));
	chmod 0600, "$dir/tls.pem", "$dir/tls.key";
}

# An empty place for everything. Nobody else may measure meanwhile.
sub make_place
{
	$> == 0 or die "bench: needs root, for two mail systems with users\n";
	defined $unpacked
	    or die "bench: no Postfix: make test-deps unpacks it\n";
	open $lock, '>', '/var/tmp/postrider-bench.lock' or die "lock: $!\n";
	if (!flock $lock, LOCK_EX | LOCK_NB) {
		note('another bench is running; this one waits for its end');
		flock $lock, LOCK_EX or die "lock: $!\n";
	}
	_make_users();
	remove_tree($dir);
	make_path($dir);
	chmod 0755, $dir;
	# On ext4 each system is then put into a part of the disk of its own,
	# which has room; otherwise what others have done near the first one
	# could make its files cost twice as much as those of the second.
	system("chattr +T $dir 2>/dev/null");
	_make_certificate();
	$ENV{LD_LIBRARY_PATH} = "$unpacked/usr/lib/postfix";
}

1;
