# soak.t - mixed load with faults for a long time: nothing is lost, nothing
# grows.
#
# All that Load.pm has, at a moderate steady rate: SMTP in plain, in TLS and
# logged in, sendmail; an mbox, two kinds of Maildirs, one of them behind an
# alias, a program, next hops by SMTP and LMTP, one of them slow, one that
# resets connections, one known by its name only; reports and deferrals; up to
# 1 MB. Every few seconds something goes wrong, by chance: a process is killed,
# the queue's disk is full for seconds, a daemon gets no more memory for
# seconds, hundreds of clients connect and say nothing, clients reset their
# connections in the middle of a message, the name service is silent, the
# configuration is read again, the clock is set forward and back.
#
# Every ten seconds memory (RSS and PSS) and descriptors of each daemon are
# written down. In the end: lost 0, and for each class how fast a process grows:
# least squares through what each process had while it lived, without its first
# minutes. In these are a reload, and some crowds for each smtpd: what they need
# at most is no growth. Growth is a fault if it is above the bound by more than
# twice its standard error: 1 MB and 5 descriptors an hour.
#
#	POSTRIDER_MINUTES=90 prove -v ...
#
# A run of less than 20 minutes tells the slopes but judges only the rest.
use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use List::Util qw(max min sum0);
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);
use Postrider qw(slurp spew wait_for);
use Postrider::Mounts;
use Postrider::Load;

Postrider::need_root();
my $alone = Postrider::Mounts::alone();
plan(skip_all => 'a private mount namespace cannot be had here') if !$alone;

my $minutes = $ENV{POSTRIDER_MINUTES} || 0.5;
my $rate = $ENV{POSTRIDER_RATE} || 30;
my $is_long = $minutes >= 20;
my $every = $minutes >= 3 ? 10 : 2;		# seconds between samples
my $pause = $minutes >= 3 ? 8 : 1.5;		# between faults
my $warm = $is_long ? 300 : 5;			# a process's first seconds
my ($most_kib, $most_descriptors) = (1024, 5);	# an hour
my $room = 512;					# MB of the queue's disk
my $main = $$;

# Where mail goes; Load.pm has the names of the first eight.
my @forms = (
	['%@relay.test', 40], ['%@inner.test', 10], ['%@box.test', 10],
	['ALICE+%@local.test', 10], ['later+%@relay.test', 6],
	['refused+%@relay.test', 3], ['%@pipe.test', 2], ['%@gone.test', 2],
	['team+%@local.test', 5], ['slow+%@slow.test', 2],
	['reset+%@relay.test', 2], ['%@named.test', 5],
);
my $lab = Postrider::Load->new(clock => 1, forms => \@forms, settings => {
	relay_domains => 'relay.test inner.test pipe.test gone.test ' .
	    'slow.test named.test' });
my $mail = $lab->mail;
my ($dir, $spool) = ($mail->dir, $mail->spool);

# --- more ways, and a disk that can be full -----------------------------------

mkdir $spool;
Postrider::Mounts::tmpfs($spool, "mode=755,size=${room}m");
mkdir "$dir/team";
chown +(getpwnam 'nobody')[2, 3], "$dir/team";
spew("$dir/etc/aliases", "postmaster root\nteam $dir/team/\n");
my ($names, $names_port) = name_service();
my $transports = slurp("$dir/etc/transport");
spew("$dir/etc/transport", "${transports}slow.test smtp:[127.0.0.1]:" .
    "$lab->{port}\nnamed.test smtp:[hop.named.test]:$lab->{port}\n");
$mail->set(dns_servers => "127.0.0.1\@$names_port");
$lab->{boxes} = ["$dir/team/new"];
my ($group, $has_groups);
END {
	if (defined $main && $$ == $main) {
		local $?;
		kill 'CONT', $names if $names;
		kill 'KILL', $names if $names;
		eval { $mail->stop(now => 1) } if $mail;
		Postrider::Mounts::leave();
		rmdir $group if $has_groups;
	}
}

# Answers every question for an address with 127.0.0.1 and has nothing else.
# (process, port)
sub name_service {
	my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp')
	    or die "udp: $!";
	my $pid = fork // die "fork: $!";
	return ($pid, $s->sockport) if $pid;
	while (getppid() == $main) {
		my $r = '';
		vec($r, fileno $s, 1) = 1;
		next unless select $r, undef, undef, 5;
		my $from = recv $s, my $q, 1500, 0 or next;
		my ($id, $flags, $n) = unpack 'n3', $q;
		my $question = substr $q, 12;
		next unless $question =~ /^((?:[\x01-\x3f][^\0]*?)?\0)(..)../s;
		my ($name, $type) = ($1, unpack 'n', $2);
		my $length = index($question, "\0") + 5;
		my $is_a = $type == 1;
		send $s, pack('n6', $id, 0x8580 | $flags & 0x100, 1, $is_a, 0,
		    0) . substr($question, 0, $length) . ($is_a ?
		    pack('n3 N n C4', 0xc00c, 1, 1, 2, 4, 127, 0, 0, 1) : ''),
		    0, $from;
	}
	POSIX::_exit(0);
}

# --- faults -------------------------------------------------------------------

my (%done, %killed_at);
my @classes = qw(smtpd cleanup qmgr resolve smtp local helper mailbox bounce
    log pickup dns anvil keys auth virtual lmtp error pipe);

# Whether this may come to an end now: in a long run who is alone, and all at
# once, lives for a quarter of an hour, so that it can be seen to grow.
my $is_hurried;
sub is_due {
	my ($name) = @_;
	my $since = $killed_at{$name} // $lab->{started};

	return 0 if $is_long && !$is_hurried && time - $since < 900;
	$killed_at{$name} = time;
	return 1;
}

# The youngest process of a class that may be ended.
sub victim {
	my ($class) = @_;
	my @pids = $lab->pids($class);

	return undef if !@pids || @pids == 1 && $class ne 'mailbox' &&
	    !is_due($class);
	return max(@pids);
}

sub kill_one {
	my $class = $classes[rand @classes];
	my $pid = victim($class) // return 0;

	return $lab->kill_now($class, $pid);
}

sub kill_master {
	return 0 unless is_due('all');
	$lab->kill_master;
	exercise();
	return 1;
}

# Let new processes get as large as reloads and crowds make them.
my $next_exercise = 0;
sub exercise {
	return unless $is_long;
	eval { $mail->reload };
	come_in_crowds() for 1 .. 3;
	$next_exercise = time + $warm / 2;
}

sub fill_disk {
	open my $f, '>', "$spool/fill" or return 0;
	my $block = 'x' x (1 << 20);
	for (1 .. $room) {
		last unless (syswrite($f, $block) // 0) == length $block;
	}
	close $f;
	sleep 1 + rand($is_long ? 4 : 1);
	unlink "$spool/fill";
	return 1;
}

# A process that gets two MB and no more for seconds, which the kernel may kill.
my $groups = '/sys/fs/cgroup/memory';
my ($own) = slurp('/proc/self/cgroup') =~ /^\d+:memory:(.*)$/m;
$group = "$groups/prt-soak-$$";
$has_groups = defined $own && -e "$groups$own/cgroup.procs" && mkdir $group;
diag('memory cannot be limited here') unless $has_groups;

sub press_memory {
	my $class = $classes[rand @classes];
	my $pid = victim($class) // return 0;

	spew("$group/memory.limit_in_bytes", 2 << 20);
	eval { spew("$group/cgroup.procs", $pid); 1 } or return 0;
	$lab->note_kill($class, 'pressed', $pid);
	sleep 1 + rand 2;
	for my $one ($pid, split ' ', slurp("$group/cgroup.procs")) {
		eval { spew("$groups$own/cgroup.procs", $one) };
	}
	return 1;
}

# Many who connect and say nothing.
sub come_in_crowds {
	my @crowd = map { eval { Postrider::Client->new($mail->port) } // () }
	    1 .. 300;

	sleep 1 + rand 2;
	return @crowd > 100 ? 1 : 0;
}

# Half a message, and a reset.
sub reset_connections {
	for (1 .. 5) {
		eval {
			my $c = Postrider::Client->new($mail->port,
			    patience => 5);
			$c->expect(220);
			$c->script('EHLO c.test' => 250, 'MAIL FROM:<>' => 250,
			    'RCPT TO:<x@relay.test>' => 250, 'DATA' => 354);
			$c->raw("Subject: half\r\n\r\nhalf of a mess");
			setsockopt $c->socket, SOL_SOCKET, SO_LINGER,
			    pack 'ii', 1, 0;
			$c->close;
		};
	}
	return 1;
}

sub silence_names {
	kill 'STOP', $names;
	sleep 1 + rand($is_long ? 8 : 1);
	kill 'CONT', $names;
	return 1;
}

# Most daemons are replaced by it.
sub reload {
	return 0 unless is_due('all');
	return (grep { eval { $mail->reload; 1 } } 1 .. 5) ? 1 : 0;
}

sub step_clock {
	my $seconds = int(rand 1200) - 600;

	$mail->advance($seconds, only => 'wall');
	sleep 1 + rand 3;
	$mail->advance(-$seconds, only => 'wall');
	return 1;
}

my %faults = (kill => [\&kill_one, 8], master => [\&kill_master, 1],
    'full disk' => [\&fill_disk, 2], crowd => [\&come_in_crowds, 2],
    $has_groups ? (memory => [\&press_memory, 2]) : (),
    reset => [\&reset_connections, 3], 'no names' => [\&silence_names, 2],
    reload => [\&reload, 4], clock => [\&step_clock, 2]);

sub some_fault {
	my ($name) = @_;

	if (!defined $name) {
		my $at = rand sum0(map { $_->[1] } values %faults);
		for (sort keys %faults) {
			$name = $_;
			last if ($at -= $faults{$_}[1]) < 0;
		}
	}
	$done{$name} += $faults{$name}[0]->();
}

# --- samples ------------------------------------------------------------------

my (%samples, %born);		# class => pid => [[hours, rss, pss, fds]]

sub sample {
	my $now = time;

	for my $class (@classes, 'master') {
		next if $class eq 'mailbox';	# live for seconds
		for my $pid ($lab->pids($class)) {
			my $born = $born{"$class $pid"} //= $now;
			my $text = slurp("/proc/$pid/smaps_rollup");
			my ($rss) = $text =~ /^Rss:\s+(\d+)/m or next;
			my ($pss) = $text =~ /^Pss:\s+(\d+)/m;
			opendir my $d, "/proc/$pid/fd" or next;
			my $descriptors = grep { !/^\./ } readdir $d;
			push @{ $samples{$class}{$pid} }, [$now / 3600, $rss,
			    $pss, $descriptors] if $now - $born >= $warm;
		}
	}
}

# Least squares with a level of its own for each process: (slope, its standard
# error, samples). What lies close together in time is no new evidence: a
# sixth of the samples counts.
sub slope {
	my ($class, $column) = @_;
	my ($xx, $xy, $yy, $n, $lines) = (0) x 5;

	for my $rows (values %{ $samples{$class} // {} }) {
		next if @$rows < 3;
		my ($mx, $my) = map { my $i = $_;
		    sum0(map { $_->[$i] } @$rows) / @$rows } 0, $column;
		for (@$rows) {
			my ($x, $y) = ($_->[0] - $mx, $_->[$column] - $my);
			$xx += $x * $x;
			$xy += $x * $y;
			$yy += $y * $y;
		}
		$n += @$rows;
		$lines++;
	}
	return (0, 0, $n) unless $xx;
	my $slope = $xy / $xx;
	my $left = max(0, $yy - $slope * $xy);
	return ($slope, sqrt(6 * $left / max(1, $n - $lines - 1) / $xx), $n);
}

# --- the run ------------------------------------------------------------------

$lab->start;
$lab->begin(writers => 8, rate => $rate, posts => 2);
exercise();
my $end = time + 60 * $minutes;
my ($next_sample, $next_fault) = (time + $every, time + $pause);
my @first = sort keys %faults;		# a short run has each of them
while (time < $end) {
	if (time >= $next_sample) {
		sample();
		$next_sample = time + $every;
	}
	if ($is_long && time >= $next_exercise) {
		come_in_crowds() for 1 .. 3;
		$next_exercise = time + $warm / 2;
	}
	if (time >= $next_fault) {
		some_fault(shift @first);
		$next_fault = time + rand 2 * $pause;
	}
	if ($is_long && -s "$dir/log" > 200e6) {
		my @bad = bad_lines();
		is("@bad", '', 'nothing crashed of itself until now');
		truncate "$dir/log", 0;
	}
	sleep 0.2;
}
# What there was no time for.
$is_hurried = 1;
for my $name (grep { !$done{$_} } sort keys %faults) {
	for (1 .. 20) {
		some_fault($name);
		last if $done{$name};
	}
}
sample();
$lab->finish;
$mail->postrider('queue', 'flush');
my $drained = $lab->drain(900);
my $r = $lab->judge;

sub bad_lines {
	return grep { /panic:|killed by signal (?!9\b)|Sanitizer/ } split /^/,
	    $mail->log . $mail->output;
}

# --- the result ---------------------------------------------------------------

my @growing;
my $format = '%-8s %7s KiB %+9.0f +- %-8.0f KiB/h  PSS %+9.0f  ' .
    'descriptors %4s %+7.1f +- %.1f /h  %s';
for my $class (sort keys %samples) {
	my @rows = map { @$_ } values %{ $samples{$class} };
	my ($rss, $rss_error) = slope($class, 1);
	my ($pss) = slope($class, 2);
	my ($fds, $fds_error) = slope($class, 3);
	my $grows = $rss - 2 * $rss_error > $most_kib ||
	    $fds - 2 * $fds_error > $most_descriptors;
	my $line = sprintf $format, $class, max(map { $_->[1] } @rows), $rss,
	    $rss_error, $pss, max(map { $_->[3] } @rows), $fds, $fds_error,
	    $is_long ? $grows ? 'GROWS' : 'flat' : '';
	diag($line);
	push @growing, $line if $grows;
}
diag("slopes: flat is at most $most_kib KiB and $most_descriptors " .
    'descriptors an hour for a process, within two standard errors');
diag('faults: ' . join ', ', map { "$_ $done{$_}" } sort keys %done);
diag(sprintf '%.1f minutes, accepted %d for %d, refused %d, unknown %d, ' .
    'lost %d, duplicates %d, damaged %d, phantom %d, empty after %.1f s, ' .
    'longest silence %.1f s', $minutes, @$r{qw(messages recipients refused
    unknown)}, scalar @{ $r->{lost} }, $r->{duplicates},
    scalar @{ $r->{damaged} }, scalar @{ $r->{phantom} }, $drained,
    $r->{silence});
if ($ENV{POSTRIDER_LEDGER}) {
	open my $f, '>>', $ENV{POSTRIDER_LEDGER} or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $f "%04d-%02d-%02d\t%s\tsoak %g minutes\t%d\t%d\t%d\t%d\t%d" .
	    "\t%.1f\t%s\n", $year + 1900, $month + 1, $day, $version || '-',
	    $minutes, sum0(values %done), $r->{messages},
	    scalar @{ $r->{lost} }, $r->{duplicates},
	    scalar @{ $r->{damaged} }, $drained, join ' ',
	    map { ($_ =~ tr/ /-/r) . "=$done{$_}" } sort keys %done;
}

cmp_ok($r->{messages}, '>', $minutes * 60 * $rate / 4, 'mail came in all along');
is_deeply($r->{lost}, [], 'no accepted message is lost');
is_deeply($r->{damaged}, [], 'none is damaged');
is_deeply($r->{returned}, [], 'none came back that nothing was wrong with');
is_deeply($r->{phantom}, [], 'none is there that was refused');
is_deeply($r->{bad}, [], 'no client was refused for good');
cmp_ok($done{$_} // 0, '>', 0, "there was a fault: $_") for sort keys %faults;
my @bad = bad_lines();
is("@bad", '', 'nothing crashed of itself');
for my $class (grep { $_ ne 'mailbox' } @classes) {
	ok($samples{$class}, "$class was watched");
}
is("@growing", '', 'memory and descriptors are flat') if $is_long;
done_testing();
