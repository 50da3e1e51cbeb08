# resources.t - too little of everything: memory, descriptors, processes. Under
# load, no accepted message is lost, clients hear 4xx or are cut off, and within
# ten seconds after the shortage there is mail again. Master lives through all.
#
# A memory cgroup of 64 to 300 MB is filled until the kernel kills; daemons have
# 40 descriptors and more clients than that; nothing can be forked while
# processes die; one malloc() of a daemon fails.
#
# POSTRIDER_LEDGER makes it the long round: POSTRIDER_ROUNDS (20) of each.
use strict;
use warnings;
use Test::More;
use Postrider qw(slurp spew wait_for is_alive);
use Postrider::Traffic;
use List::Util qw(max shuffle);
use POSIX ();
use Time::HiRes qw(sleep time);

Postrider::need_root();
my $build = $ENV{BUILD} // 'build';
my $rounds = defined $ENV{POSTRIDER_LEDGER} ? $ENV{POSTRIDER_ROUNDS} || 20 : 1;
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
my $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my @classes = qw(smtpd cleanup qmgr resolve smtp local helper log anvil pickup);
# What clients may hear: 250, 4xx, the end of the connection, or nothing.
my $fine = qr/^(?:2|4)\d\d|closed|^write: |^cannot connect|^no answer/;
diag("seed $seed");
srand $seed;

# --- groups of processes ------------------------------------------------------

# A control group (version 1) of this kind for this test; undef where there are
# none, or they may not be made.
my @groups;
sub group {
	my ($kind) = @_;
	my $path = "/sys/fs/cgroup/$kind/prt-$$";
	return undef unless -d "/sys/fs/cgroup/$kind" && mkdir $path;
	push @groups, $path;
	return $path;
}

my $main = $$;
my ($mail, $ballast);
END {
	if ($$ == $main) {
		local $?;
		$mail->stop(now => 1) if $mail && $mail->pid;
		eval { wait_for(sub { rmdir $_ }, 5) } for @groups;
		system('umount', '-l', $ballast) if defined $ballast;
	}
}

sub put { my ($file, $text) = @_; open my $f, '>', $file or return 0;
    my $done = defined syswrite $f, $text; close $f; return $done }

# --- the system ---------------------------------------------------------------

# Each phase has a system of its own; `before` is what master is run by.
my ($traffic, $user, $sink);
sub start {
	my ($name, %o) = @_;
	$mail = Postrider->new(settings => { Postrider::Traffic::settings(),
	    service_throttle_time => '60s', %{ $o{settings} // {} } });
	$user = $mail->user(0);
	$sink = $mail->sink;
	$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
	$o{prepare}->() if $o{prepare};
	$mail->{before_master} = $o{before} // [];
	$mail->start;
	$traffic = Postrider::Traffic->new($mail, sink => $sink, seed => $seed,
	    writers => $o{writers} // 5, users => [$user],
	    to => Postrider::Traffic::mixed($user));
	$traffic->begin($name =~ s/ /-/gr);
	wait_for(sub { $traffic->accepted > 20 }, 20, 'mail');
}

# What holds after each; master is who it was.
sub finish {
	my ($name, $master, %r) = @_;
	$traffic->end;
	is($mail->pid, $master, "$name: master");
	ok(is_alive($master), "$name: lives");
	$traffic->judge(name => $name, fine => $fine, may_be_phantoms => 1,
	    drain => 90, twice => 10 * ($r{faults} + 1), %r);
	my @panics = grep { /panic:|signal (?!9\b)\d+|Sanit/ } split /^/,
	    $mail->log . $mail->output;
	is("@panics", '', "$name: nothing crashed of itself");
	is($mail->stop, 0, "$name: the system stops as it should");
}

sub times_of_all {
	return map { my @f = split ' ', slurp("/proc/$_/stat") =~ s/.*\) //sr;
	    @f > 13 ? ($_ => $f[11] + $f[12]) : () }
	    $mail->pid, $mail->children;
}

# Who takes a whole processor, though there is little that can be done?
sub spinning {
	my %before = times_of_all();
	my $start = time;
	sleep 1;
	my %after = times_of_all();
	my $time = time - $start;
	return map { sprintf '%s: %.0f %%', (split /\0/,
	    slurp("/proc/$_/cmdline"))[0], 100 * ($after{$_} - $before{$_}) /
	    $tick / $time } grep { ($after{$_} - $before{$_}) / $tick >
	    0.6 * $time } grep { defined $before{$_} } keys %after;
}

# --- memory -------------------------------------------------------------------

SKIP: {
	my $group = group('memory') // skip 'memory cgroups cannot be had', 1;
	start('memory cgroup', before => ['sh', '-c', "echo \$\$ > " .
	    "$group/cgroup.procs; exec \"\$@\"", 'sh']);
	$ballast = $mail->dir . '/ballast';
	mkdir $ballast;
	system('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', $ballast)
	    == 0 or die 'tmpfs';
	my ($master, $worst, $faults) = ($mail->pid, 0, 0);
	my $own = slurp("/proc/$master/oom_score_adj") + 0;
	is_deeply([ grep { slurp("/proc/$_/oom_score_adj") <= $own }
	    $mail->children ], [], 'memory: master is the last to be chosen');
	my $kills = sub { slurp("$group/memory.oom_control") =~
	    /^oom_kill (\d+)/m ? $1 : 0 };
	for (1 .. $rounds * 2) {
		my $limit = 64 + int rand 237;
		my $used = slurp("$group/memory.usage_in_bytes") / 1048576;
		$limit = int($used) + 8 if $limit < $used + 8;
		put("$group/memory.limit_in_bytes", $limit << 20)
		    or diag("limit $limit: $!");
		# What nobody has mapped cannot be freed by killing anybody;
		# the rest is enough for master.
		my $rest = 6 + int rand 8;
		my $before = $kills->();
		my $pid = fork // die;
		if ($pid == 0) {
			open STDERR, '>', '/dev/null';
			exec 'sh', '-c', "echo \$\$ > $group/cgroup.procs; " .
			    "exec dd if=/dev/zero of=$ballast/b bs=64k " .
			    'count=' . ($limit - $rest) * 16;
		}
		eval { wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid ||
		    $kills->() - $before > 3 + rand 6 }, 10) };
		sleep rand 0.5;
		kill 'KILL', $pid;
		unlink "$ballast/b";
		put("$group/memory.limit_in_bytes", -1);
		waitpid $pid, 0;
		my $slow = $traffic->recovery(time);
		$worst = $slow if $slow > $worst;
		$faults += $kills->() - $before;
	}
	cmp_ok($faults, '>', 0, 'memory: the kernel has killed');
	finish('memory cgroup', $master, faults => $faults, worst => $worst);
}

# --- descriptors --------------------------------------------------------------

# Each daemon is run by a shell that limits it.
sub wrap {
	my ($limit) = @_;
	my $place = $mail->dir . '/wrapped';
	mkdir $place;
	for my $path (glob Postrider::bin() . '/*') {
		my ($name) = $path =~ m{([^/]+)$};
		spew("$place/$name", "#!/bin/bash\nulimit $limit\nexec -a " .
		    "$name $path \"\$\@\"\n");
		chmod 0755, "$place/$name";
	}
	$mail->set(daemon_directory => $place);
}

{
	start('40 descriptors', prepare => sub { wrap('-n 40') },
	    writers => 12);
	my ($master, $worst, $faults, @spinning) = ($mail->pid, 0, 0);
	my ($limit) = slurp('/proc/' . ($mail->children('smtpd'))[0] .
	    '/limits') =~ /^Max open files\s+(\d+)/m;
	is($limit, 40, 'descriptors: there are 40');
	for (1 .. $rounds) {
		my @idle = grep { defined } map { eval { $mail->client } }
		    1 .. 120;
		$faults++;
		push @spinning, spinning();
		sleep rand 1;
		@idle = ();
		my $slow = $traffic->recovery(time);
		$worst = $slow if $slow > $worst;
	}
	is("@spinning", '', 'descriptors: nobody spins');
	cmp_ok($mail->said(qr/Too many open files/), '>', 0,
	    'descriptors: the log tells');
	finish('40 descriptors', $master, faults => $faults, worst => $worst);
}

# --- processes ----------------------------------------------------------------

SKIP: {
	my $group = group('pids') // skip 'pids cgroups cannot be had', 1;
	start('no processes', before => ['sh', '-c', "echo \$\$ > " .
	    "$group/cgroup.procs; exec \"\$@\"", 'sh']);
	my ($master, $worst, $faults, @spinning) = ($mail->pid, 0, 0);
	for (1 .. $rounds) {
		# Nor may anybody take the place of one that was killed.
		put("$group/pids.max", 1);
		for my $class (@classes) {
			my @pids = $mail->children($class) or next;
			$faults += kill 'KILL', $pids[rand @pids];
		}
		push @spinning, spinning();
		sleep(defined $ENV{POSTRIDER_LEDGER} ? rand 15 : 1);
		put("$group/pids.max", 'max');
		my $slow = $traffic->recovery(time);
		$worst = $slow if $slow > $worst;
	}
	is("@spinning", '', 'processes: nobody spins');
	# As soon as there is somebody again who writes it.
	ok(eval { wait_for(sub { $mail->said(
	    qr/cannot start \w+: Resource temporarily/) }, 15) },
	    'processes: the log tells');
	finish('no processes', $master, faults => $faults, worst => $worst);
}

# --- malloc -------------------------------------------------------------------

SKIP: {
	my $preload = "$build/t/crash/nomemory.so";
	skip "there is no $preload: run make tests first", 1 unless -e $preload;
	skip 'the sanitizers have a malloc of their own', 1
	    if Postrider::is_sanitized();
	my $page;
	start('malloc fails', prepare => sub {
		$page = $mail->dir . '/memory';
		spew($page, pack 'Z16 l2', '', 0, 0);
		chmod 0666, $page;
		system('cp', $preload, $mail->dir) == 0 or die 'cp';
		$mail->set(import_environment => 'LANG=C LD_PRELOAD=' .
		    $mail->dir . '/nomemory.so POSTRIDER_TEST_MEMORY=' . $page);
	});
	my ($master, $worst, $faults, %struck) = ($mail->pid, 0, 0);
	my $order = sub {
		open my $f, '+<', $page or die "$page: $!";
		syswrite $f, pack 'Z16 l2', @_, 0;
	};
	my $failed = sub { (unpack 'Z16 l2', slurp($page))[2] };
	my @each = grep { !/^(?:log|pickup)$/ } @classes;
	for (1 .. $rounds) {
		for my $class (shuffle(@each)) {
			# The short round has had enough.
			last if !defined $ENV{POSTRIDER_LEDGER} && $faults > 6;
			$order->($class, 1 + int exp rand log 2000);
			eval { wait_for(sub { $failed->() }, 3) } or next;
			$faults++;
			$struck{$class}++;
			sleep rand 0.2;
			next if rand() < 0.5;
			my $slow = $traffic->recovery(time);
			$worst = $slow if $slow > $worst;
		}
	}
	$order->('', 0);
	my $slow = $traffic->recovery(time);
	$worst = $slow if $slow > $worst;
	diag('malloc failed: ' . join ', ', map { "$_ $struck{$_}" }
	    sort keys %struck);
	cmp_ok($faults, '>', 4, 'malloc: it failed');
	finish('malloc fails', $master, faults => $faults, worst => $worst);
}

done_testing();
