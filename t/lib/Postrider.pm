package Postrider;

# A whole private mail system in a temporary directory, on free loopback
# ports, for tests:
#
#	use lib 't/lib';
#	use Postrider;
#	my $mail = Postrider->new(settings => { relayhost => '[127.0.0.1]:2526' });
#	$mail->start;
#	$mail->send(from => 'a@local.test', to => ['b@far.test'], text => "Hi");
#	$mail->wait_log(qr/status=sent/);
#
# With clock => 1 its programs have clocks of their own, which advance() moves;
# now() is what time it is for them.
#
# Programs come from $ENV{BUILD}/bin (build/bin). Root tests the real thing,
# with a user per daemon; anybody else tests the one-user mode. When the test
# ends, the system is stopped and the directory removed; with KEEP=1 in the
# environment it stays and its name is told. With POSTRIDER_WAL=1 all small
# messages but the first go through write-ahead logs, however few they are.
# Only processes that were started here are ever killed. Perl's core modules are
# enough.

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use Fcntl qw(O_CREAT O_WRONLY);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use IO::Socket::INET;
use IO::Socket::UNIX;
use IPC::Open3 ();
use POSIX qw(WNOHANG);
use Socket qw(SOCK_DGRAM);
use Test::More ();
use Time::HiRes qw(sleep time);

use Postrider::Client;
use Postrider::Sink;

our @EXPORT_OK = qw(is_root need_root free_port wait_for slurp spew bin
    is_alive);
use Exporter 'import';

# The users of local deliveries when root tests. They are created if they are
# missing, with homes in /home, and stay; `userdel -r prt-alice` removes one.
our @USERS = qw(prt-alice prt-bob);

# Settings with which a few messages are enough for write-ahead logs. These are
# small ones: several systems are on a small disk.
our %LOGGED = (cleanup_wal_rate => 0, cleanup_wal_size => '1M');

my @living;		# systems to end
my @reports;		# what sanitizers said in them
my $parent = $$;	# only this process cleans up
$SIG{TERM} = $SIG{INT} = sub { exit 1 };	# and does so when ended early

# A program that ends leaves its memory to the kernel; leaks are the business
# of the unit tests. Everything else that a sanitizer finds is an end with 99.
$ENV{ASAN_OPTIONS} //= 'detect_leaks=0:exitcode=99';

$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 1 };	# by END

# --- small helpers ------------------------------------------------------------

sub is_root { return $> == 0 }

# The whole test is only for root.
sub need_root
{
	Test::More::plan(skip_all => 'only root can test this')
	    unless is_root();
}

# The numbers of packets by their names, from the one place where they stand;
# and VERSION, which a channel begins with: who says another one is refused.
sub packet_numbers
{
	my $text = slurp('common/ipc/packets.h');
	my ($enum) = $text =~ /enum packet_type \{(.*?)PACKET_TYPES/s
	    or die 'no packet types';
	my ($version) = $text =~ /IPC_VERSION = (\d+)/ or die 'no version';
	my %number;

	$enum =~ s{/\*.*?\*/}{}gs;
	$number{$_} = keys %number for $enum =~ /PACKET_(\w+)/g;
	return (%number, VERSION => $version);
}

# A port that nobody listens at now.
sub free_port
{
	my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
	    Proto => 'tcp') or die "no free port: $!";
	return $s->sockport;
}

# Wait until the code says true; returns what it said. Dies after so many
# seconds: a test that waits for nothing has failed.
sub wait_for
{
	my ($code, $seconds, $what) = @_;
	my $end = time + ($seconds // 10);

	for (my $pause = 0.01; ; $pause = $pause < 0.2 ? $pause * 1.5 : 0.2) {
		my $value = $code->();
		return $value if $value;
		croak('waited in vain for ' . ($what // 'a condition'))
		    if time > $end;
		sleep $pause;
	}
}

sub slurp
{
	my ($path) = @_;

	open my $f, '<:raw', $path or return '';
	local $/;
	return scalar(<$f>) // '';
}

sub spew
{
	my ($path, $text) = @_;

	open my $f, '>:raw', $path or die "$path: $!";
	print $f $text;
	close $f or die "$path: $!";
}

# Does this process run? One that only waits to be collected does not.
sub is_alive
{
	my ($pid) = @_;

	return slurp("/proc/$pid/stat") =~ /\) ([A-Z])/ && $1 ne 'Z';
}

# May everybody reach this path?
sub _is_open
{
	my ($path) = @_;

	for (;;) {
		return 0 unless ((stat $path)[2] // 0) & 1;
		return 1 if $path eq '/';
		$path = dirname($path);
	}
}

my $bin;

# The directory of the programs: the build's, or a copy of it when daemons
# with users of their own could not reach that one.
sub bin
{
	return $bin if defined $bin;
	my $build = $ENV{BUILD} // 'build';
	my $path = abs_path("$build/bin")
	    or die "there is no $build/bin: run make first\n";
	if (is_root() && !_is_open($path)) {
		my $copy = File::Temp->newdir('prt-bin-XXXX', DIR => '/tmp',
		    CLEANUP => 0) . '';
		chmod 0755, $copy;
		system('cp', glob("$path/*"), $copy) == 0 or die 'cp failed';
		push @Postrider::copies, $copy;
		$path = $copy;
	}
	return $bin = $path;
}

# The sanitizers' library, if the programs were built with it.
sub is_sanitized
{
	return (`ldd '@{[bin()]}/master'` =~ m{=> (\S*/libasan\S*)})[0];
}

# Are the users and groups of the daemons there?
sub _has_users
{
	my ($file) = @_;

	for my $row (split /^/, slurp($file)) {
		my ($type, $name) = split ' ', $row;
		return 0 if ($type // '') eq 'u' && !defined getpwnam $name ||
		    ($type // '') eq 'g' && !defined getgrnam $name;
	}
	return -s $file;
}

sub _make_users
{
	for my $user (@USERS) {
		next if defined getpwnam $user;
		system('useradd', '--create-home', '--home-dir', "/home/$user",
		    '--shell', '/bin/sh', $user) == 0
		    or die "cannot create the user $user\n";
	}
	my $conf = dirname(__FILE__) . '/../../conf';
	return if _has_users("$conf/postrider.sysusers");
	system("sh $conf/users.sh >/dev/null 2>&1") == 0
	    or die "cannot create the system users\n";
}

# --- a system -----------------------------------------------------------------

# new(settings => { name => value }, master => "lines for master.cf",
#     smtp => 0 for no port, files => { 'aliases' => text }, clock => 1)
sub new
{
	my ($class, %o) = @_;
	my $dir = File::Temp->newdir('prt-XXXXXX', DIR => '/tmp',
	    CLEANUP => 0) . '';
	my $self = bless { dir => $dir, port => free_port(), sinks => [],
	    settings => {}, master => $o{master} // '' }, $class;

	chmod 0755, $dir;
	push @living, $self;
	_make_users() if is_root();
	make_path("$dir/etc", "$dir/mail");
	$self->_open_mail_directory;
	$self->_prepare_clock if $o{clock};
	$self->{settings} = { $self->_defaults, %{ $o{settings} // {} } };
	$self->{wants_port} = $o{smtp} // 1;
	spew("$dir/etc/aliases", "postmaster root\n");	# texthash
	spew("$dir/etc/$_", $o{files}{$_}) for keys %{ $o{files} // {} };
	$self->write_config;
	return $self;
}

# Mailboxes: as /var/mail is on Debian.
sub _open_mail_directory
{
	my ($self) = @_;
	my $group = getgrnam 'mail';

	return unless is_root() && defined $group;
	chown 0, $group, "$self->{dir}/mail";
	chmod 02775, "$self->{dir}/mail";
}

sub _defaults
{
	my ($self) = @_;
	my $dir = $self->{dir};

	return (
		queue_directory => "$dir/spool",
		data_directory => "$dir/data",
		daemon_directory => bin(),
		command_directory => bin(),
		maillog_file => "$dir/log",
		mail_spool_directory => "$dir/mail",
		alias_maps => "texthash:$dir/etc/aliases",
		alias_database => '',
		myhostname => 'mail.local.test',
		mydomain => 'local.test',
		myorigin => '$mydomain',
		mydestination => 'local.test, mail.local.test, localhost',
		mynetworks => '127.0.0.0/8',
		inet_interfaces => '127.0.0.1',
		inet_protocols => 'ipv4',
		service_throttle_time => '1s',
		$ENV{POSTRIDER_WAL} ? %LOGGED : (),
		import_environment => join(' ', 'TZ', 'LANG=C',
		    'POSTRIDER_PAINT_STACKS', 'POSTRIDER_NO_SANDBOX',
		    'POSTRIDER_ALLOW_CORES', 'LD_PRELOAD',
		    'POSTRIDER_TEST_CLOCK',
		    'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS'),
	);
}

# Change settings: set(name => value, ...); undef takes one away. They act
# after write_config and start or reload; set() writes.
sub set
{
	my ($self, %new) = @_;

	for my $name (keys %new) {
		if (defined $new{$name}) {
			$self->{settings}{$name} = $new{$name};
		} else {
			delete $self->{settings}{$name};
		}
	}
	$self->write_config;
}

# A file that nobody finds half written: daemons start at any time.
sub _put
{
	my ($path, $text) = @_;

	spew("$path.new", $text);
	rename "$path.new", $path or die "$path: $!";
}

sub write_config
{
	my ($self) = @_;
	my $s = $self->{settings};
	my $port = $self->{wants_port} ?
	    "127.0.0.1:$self->{port} inet n - n - - smtpd\n" : '';

	_put("$self->{dir}/etc/main.cf",
	    join('', map { "$_ = $s->{$_}\n" } sort keys %$s));
	_put("$self->{dir}/etc/master.cf", $port . $self->{master});
}

sub dir   { return $_[0]{dir} }
sub etc   { return "$_[0]{dir}/etc" }
sub spool { return "$_[0]{dir}/spool" }
sub port  { return $_[0]{port} }
sub pid   { return $_[0]{pid} }

# Start master in the foreground and wait until it says that all is ready.
sub start
{
	my ($self) = @_;
	my $dir = $self->{dir};
	my $path = "$dir/notify";

	croak 'it runs already' if defined $self->{pid};
	unlink $path;
	my $notify = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path)
	    or die "$path: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$dir/output";
		open STDERR, '>>', "$dir/output";
		$ENV{NOTIFY_SOCKET} = $path;
		$self->_use_clock;
		exec(@{ $self->{before_master} // [] }, bin() . '/master',
		    '-c', "$dir/etc", '-f')
		    or POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	$notify->blocking(0);
	wait_for(sub {
		my $text = '';
		return 1 if defined $notify->recv($text, 512) &&
		    $text =~ /^READY=1/;
		return 0 unless waitpid($pid, WNOHANG) == $pid;
		delete $self->{pid};
		croak "the system did not start:\n" . $self->output .
		    $self->log;
	}, 60, "READY from master\n" . $self->output . $self->log);
	return $self;
}

# End it as `postrider stop` does (now => 1: --now); the exit status.
sub stop
{
	my ($self, %o) = @_;
	my $pid = $self->{pid} // return 0;

	kill 'TERM', $pid unless $o{now};
	$self->postrider('stop', '--now') if $o{now};
	wait_for(sub { waitpid($pid, WNOHANG) == $pid }, 45, 'the end');
	delete $self->{pid};
	return $? >> 8;
}

# Read the configuration again; dies if it is refused.
sub reload
{
	my ($self) = @_;
	my ($status, $text) = $self->postrider('reload');

	croak "reload: $text" if $status != 0;
}

# Kill -9 for master and all it started: a crash of everything, at once. Nobody
# has the time to see that another one is gone.
sub crash
{
	my ($self) = @_;
	my $pid = $self->{pid} // return;
	my @children = $self->children;

	kill 'STOP', $pid, @children;
	kill 'KILL', $pid, @children;
	waitpid $pid, 0;
	delete $self->{pid};
	wait_for(sub { !grep { is_alive($_) } @children }, 10,
	    'the end of the daemons');
}

# The process ids of the daemons; with a program's name, of that one's.
sub children
{
	my ($self, $program) = @_;
	my $pid = $self->{pid} // $self->_background // return ();
	my @pids = split ' ', slurp("/proc/$pid/task/$pid/children");

	return @pids unless defined $program;
	return grep {
		((split /\0/, slurp("/proc/$_/cmdline"))[0] // '') eq $program
	} @pids;
}

# --- clocks -------------------------------------------------------------------

# See clock.c: two clocks, each written twice, into a file that every program
# of this system maps. What a sanitizer preloads comes first.
sub _prepare_clock
{
	my ($self) = @_;
	my $dir = $self->{dir};
	my $build = $ENV{BUILD} // 'build';

	-e "$build/t/lib/clock.so" or
	    die "there is no $build/t/lib/clock.so: run make tests first\n";
	system('cp', "$build/t/lib/clock.so", $dir) == 0 or die 'cp failed';
	$self->{preload} = join ':', is_sanitized() // (), "$dir/clock.so";
	$self->{ahead} = [0, 0, 0];
	$self->_write_clock;
}

sub _write_clock
{
	my ($self) = @_;

	sysopen my $f, "$self->{dir}/clock", O_WRONLY | O_CREAT, 0644
	    or die "clock: $!";
	syswrite $f, pack 'q6', map { int $_ * 1e9 }
	    @{ $self->{ahead} }, @{ $self->{ahead} };
}

# For a program that is about to be run.
sub _use_clock
{
	my ($self) = @_;

	return unless $self->{preload};
	$ENV{LD_PRELOAD} = $self->{preload};
	$ENV{POSTRIDER_TEST_CLOCK} = "$self->{dir}/clock";
}

# What time it is for the system.
sub now
{
	my ($wall, undef, $stopped) = @{ $_[0]{ahead} // [0, 0, 0] };

	return $stopped || time + $wall;
}

# The wall clock stands still from now on, or runs again.
sub freeze
{
	my ($self, $on) = @_;

	$self->{ahead}[2] = $on ? time + $self->{ahead}[0] : 0;
	$self->_write_clock;
}

# Let so many seconds pass; only => 'wall' when somebody only sets the clock.
# The daemons notice within some milliseconds.
sub advance
{
	my ($self, $seconds, %o) = @_;

	$self->{ahead}[0] += $seconds;
	$self->{ahead}[2] += $seconds if $self->{ahead}[2];
	$self->{ahead}[1] += $seconds unless ($o{only} // '') eq 'wall';
	$self->_write_clock;
}

# When the deferred messages are due: { queue id => time }. One that is being
# tried has a time that is over.
sub due
{
	my ($self) = @_;
	my %due;

	for my $dir (glob "$self->{dir}/spool/deferred/*") {
		opendir my $d, $dir or next;
		for my $id (grep { !/^\./ } readdir $d) {
			my $time = (Time::HiRes::stat "$dir/$id")[9] // next;
			$due{$id} = $time;
		}
	}
	return \%due;
}

# Wait until nothing is under way: what is in the queue waits for its time.
sub settle
{
	my ($self, $seconds) = @_;

	wait_for(sub {
		return $self->queue_count(qw(maildrop incoming)) == 0 &&
		    !grep { $_ <= $self->now } values %{ $self->due };
	}, $seconds // 30, "the queue to settle\n" . $self->log);
}

# --- commands -----------------------------------------------------------------

# Run a program with this input: (exit status, standard output and error).
sub run
{
	my ($self, $input, @command) = @_;
	my ($in, $out);
	my $file = File::Temp->new;

	print $file $input // '';
	$file->flush;
	open my $stdin, '<', $file->filename or die "$!";
	local @ENV{qw(LD_PRELOAD POSTRIDER_TEST_CLOCK)};
	delete @ENV{qw(LD_PRELOAD POSTRIDER_TEST_CLOCK)};
	$self->_use_clock;
	my $pid = IPC::Open3::open3('<&' . fileno($stdin), $out, undef,
	    @command);
	local $/;
	my $text = <$out> // '';
	waitpid $pid, 0;
	return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $text);
}

sub postrider
{
	my ($self, @words) = @_;

	return $self->run('', bin() . '/postrider', '-c', $self->etc, @words);
}

sub sendmail
{
	my ($self, $input, @words) = @_;

	return $self->run($input, bin() . '/sendmail', '-C', $self->etc,
	    @words);
}

# --- mail in ------------------------------------------------------------------

# A connection to the SMTP port, or another one; see Client.pm.
sub client
{
	my ($self, $port) = @_;

	return Postrider::Client->new($port // $self->{port});
}

# One message by SMTP: send(from =>, to => [...], text => with \n). Returns
# the last reply, "250 2.0.0 Ok: queued as ..."; dies if refused earlier.
sub send
{
	my ($self, %o) = @_;
	my $c = $self->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command("MAIL FROM:<$o{from}>", 250);
	$c->command("RCPT TO:<$_>", 250) for @{ $o{to} };
	$c->command('DATA', 354);
	my $reply = $c->data($o{text} // "Subject: test\n\nHello.\n");
	$c->command('QUIT', 221);
	return $reply;
}

# One message to a new recipient of a domain; his line of the log.
sub try_domain
{
	my ($self, $domain, $from) = @_;
	my $to = 'r' . ++$self->{tries} . "\@$domain";

	$self->send(from => $from // '', to => [$to]);
	return $self->wait_recipient($to);
}

# What became of a recipient.
sub wait_recipient
{
	my ($self, $to) = @_;

	return $self->wait_log(qr/to=<\Q$to\E>, relay=.*\n/, 20);
}

# --- mail out -----------------------------------------------------------------

# A server that takes mail; see Sink.pm.
sub sink
{
	my ($self, %o) = @_;
	my $sink = Postrider::Sink->new(directory =>
	    "$self->{dir}/sink" . @{ $self->{sinks} }, %o);

	push @{ $self->{sinks} }, $sink;
	return $sink;
}

# A user for local deliveries.
sub user { return is_root() ? $USERS[$_[1] // 0] : (getpwuid $>)[0] }
sub home { my ($self, $n) = @_; return (getpwnam $self->user($n))[7] }

# The messages of a user's mbox, as strings.
sub mbox
{
	my ($self, $user) = @_;
	my $text = slurp("$self->{dir}/mail/$user");

	return grep { length } split /^(?=From )/m, $text;
}

# The messages of a Maildir.
sub maildir
{
	my ($self, $path) = @_;

	return map { slurp($_) } glob("$path/new/* $path/cur/*");
}

# The records of a write-ahead log that is in use: where each is, and whether it
# is done with.
sub records_of
{
	my ($path) = @_;
	my $log = slurp($path);
	my @records;

	return if length $log < 4096 || substr($log, 0, 8) ne "PRWAL\0\0\n";
	my (undef, $generation) = unpack 'QQ', substr $log, 16, 16;
	return if unpack('Q', substr $log, 2048, 8) == $generation;
	my $is_here = pack 'Q', $generation;
	for (my $at = 4096; ($at = index $log, 'PRwr', $at) >= 0; $at++) {
		next if $at % 256 != 0 ||
		    substr($log, $at + 8, 8) ne $is_here;
		push @records, { at => $at, is_marked =>
		    substr($log, 4096 + $at / 256, 1) eq "\xb7" };
	}
	return @records;
}

# Messages in a write-ahead log that are not done with.
sub logged
{
	my ($path) = @_;

	return scalar grep { !$_->{is_marked} } records_of($path);
}

# How many messages are in a queue directory ("incoming", "deferred"). A message
# gets a file before it is marked in a log, so that files are counted later.
sub queue_count
{
	my ($self, @queues) = @_;
	my $count = 0;

	for my $queue (@queues ? @queues : qw(maildrop incoming deferred hold)) {
		my @todo = ("$self->{dir}/spool/$queue");
		$count += logged($_) for glob "$todo[0]/wal.*";
		while (defined(my $path = shift @todo)) {
			opendir my $d, $path or next;
			for my $name (grep { !/^\./ } readdir $d) {
				if (-d "$path/$name") {
					push @todo, "$path/$name";
				} elsif ($name !~ /^wal\.\d+$/) {
					$count++;
				}
			}
		}
	}
	return $count;
}

# Until MAIL is taken ten times one after the other, and for so many seconds: an
# smtpd may say for one that there is no room.
sub wait_room
{
	my ($self, $seconds) = @_;

	wait_for(sub {
		my $start = time;
		for (my $n = 0; $n < 10 || time - $start < ($seconds // 0);
		    $n++) {
			my $c = $self->client;
			$c->expect(220);
			$c->command('EHLO c.test', 250);
			return 0 if $c->command('MAIL FROM:<s@remote.test>')
			    !~ /^250/;
			$c->command('QUIT', 221);
		}
		return 1;
	}, $seconds ? 30 : 10, "room\n" . $self->log);
}

sub wait_empty
{
	my ($self, $seconds) = @_;

	wait_for(sub { $self->queue_count == 0 }, $seconds // 20,
	    "an empty queue\n" . $self->log);
}

# --- the log ------------------------------------------------------------------

# The log, when nothing has been added for a moment: what a process wrote
# before it did what was seen may still be on its way into the file.
sub log
{
	my $file = "$_[0]{dir}/log";
	my ($end, $size, $since) = (time + 2, -1, 0);

	while (time < $end) {
		my $now = -s $file // 0;
		($size, $since) = ($now, time) if $now != $size;
		last if time - $since >= 0.03;
		sleep 0.005;
	}
	return slurp($file);
}
sub output { return slurp("$_[0]{dir}/output") }

# Does the log say this? How often?
sub said { return scalar(() = $_[0]->log =~ /$_[1]/g) }

# Wait for a line; returns the text that matched first.
sub wait_log
{
	my ($self, $re, $seconds) = @_;

	return eval {
		wait_for(sub {
			# Whole lines only: one may be half written now.
			my $log = slurp("$self->{dir}/log") =~
			    s/[^\n]*\z//r;
			return $log =~ $re ? $& : '';
		}, $seconds // 10,
		    "the log to match $re");
	} // croak "$@" . $self->log . $self->output;
}

# What must be in no log: crashes and sanitizers' reports.
sub complaints
{
	my ($self) = @_;

	return grep { /panic:|killed by signal|Sanitizer|runtime error/ }
	    split /^/, $self->log . $self->output;
}

# --- the end ------------------------------------------------------------------

# The master that `postrider start` left in the background, if it is ours.
sub _background
{
	my ($self) = @_;
	my ($pid) = slurp($self->spool . '/pid/master.pid') =~ /^(\d+)$/;

	return undef unless defined $pid && is_alive($pid);
	return undef if index(slurp("/proc/$pid/cmdline"), $self->etc) < 0;
	return $pid;
}

sub _end
{
	my ($self) = @_;
	my $pid = $self->{pid} // $self->_background;
	my @children = $self->children;

	$_->stop for @{ $self->{sinks} };
	if (defined $pid) {
		kill 'TERM', $pid;
		eval { wait_for(sub { waitpid $pid, WNOHANG; !is_alive($pid) },
		    10) } or kill 'KILL', $pid, @children;
		waitpid $pid, 0;
		delete $self->{pid};
	}
	push @reports, grep { /Sanitizer|runtime error/ } split /^/,
	    $self->log . $self->output;
	if ($ENV{KEEP}) {
		Test::More::diag("kept: $self->{dir}");
	} else {
		remove_tree($self->{dir});
	}
}

END {
	if ($$ == $parent) {
		my $status = $?;
		$_->_end for @living;
		remove_tree($_) for @Postrider::copies;
		Test::More::diag('a sanitizer found: ', @reports) if @reports;
		$? = $status || (@reports ? 99 : 0);
	}
}

1;
