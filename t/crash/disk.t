# disk.t - disks that are full, broken, or not to be written on: under load, no
# accepted message is lost, and what cannot be kept is not accepted.
#
# Clients send all the time; each 250 is noted in a ledger outside the disk.
# Meanwhile the queue's disk of 64 MB is filled by somebody to between 90 and
# 100 percent, for random times; loses its last inodes; is made read-only; and,
# upon a disk that obeys (disk.c), fails at random writes with EIO. Each time
# clients must hear 452 or 451 and nothing worse, the log must tell, and within
# five seconds after the end of the trouble 250 must be said again (later where
# a busy machine says it seldom). In the end every accepted message is at the
# next hop, as it was sent.
use strict;
use warnings;
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Mounts;
use Postrider::Disk;
use List::Util qw(max sum0);
use Time::HiRes qw(sleep time);

my $alone = Postrider::Mounts::alone();
my $missing = !$alone ? 'a private mount namespace cannot be had here' :
    Postrider::Disk::missing();
plan(skip_all => $missing) if $missing;

my $rounds = $ENV{POSTRIDER_IMAGES} ? 20 : 1;	# of each trouble
my $ledger = $ENV{POSTRIDER_LEDGER};
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
my $writers = 3;
my $patience = 5;		# seconds until there is mail again; but see calm()
diag("seed $seed");
srand $seed;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', service_throttle_time => '1s',
	smtpd_client_connection_count_limit => 10000,
	smtpd_client_event_limit_exceptions => '',
	smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 1000,
	smtp_line_length_limit => 0, message_size_limit => 200000,
});
my ($main, @pids) = $$;		# of the clients
my ($dir, $spool, $lab) = ($mail->dir, $mail->spool, $mail->dir . '/lab');
END {
	if ($mail && $$ == $main) {
		local $?;
		kill 'KILL', @pids if @pids;
		eval { $mail->stop(now => 1) };
		system("umount -R -l $_ 2>/dev/null")
		    for $spool, "$lab/disks", $lab;
	}
}
mkdir $spool;
Postrider::Mounts::tmpfs($lab, 'mode=755');
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);

# --- clients ------------------------------------------------------------------

my $phase;

# One message; the code that ended it, 250 or another.
sub try_one {
	my ($c, $id) = @_;
	my $body = "$id " . 'x' x int(rand(rand() < 0.2 ? 100000 : 3000));
	for ("MAIL FROM:<s\@relay.test>", "RCPT TO:<$id\@relay.test>", 'DATA') {
		my $reply = $c->command($_) // '';
		my $code = substr $reply, 0, 3;
		next if $code =~ /^[23]/;
		$c->command('RSET');
		return $code;
	}
	return substr $c->data("X-Id: $id\n\n$body\n", qr/^\d/) // '', 0, 3;
}

# A line for each message: when, its name, the code.
sub send_mail {
	my ($n) = @_;
	my $i = 0;
	open my $f, '>>', "$dir/heard.$phase.$n" or die;
	until (-e "$dir/enough" || getppid() != $main) {
		eval {
			my $c = Postrider::Client->new($mail->port,
			    patience => 60);
			$c->expect(220);
			$c->command('EHLO c.test', 250);
			for (1 .. 10) {
				my $id = "$phase-$n-" . $i++;
				my $code = try_one($c, $id);
				syswrite $f, time . " $id $code\n";
				sleep 0.02 if $code ne '250';
			}
			$c->command('QUIT', 221);
			1;
		} or do {
			my ($why) = split /\n/, $@;
			syswrite $f, time . " - $why\n";
			sleep 0.05;
		};
	}
}

sub start_clients {
	($phase) = @_;
	unlink "$dir/enough";
	@pids = ();
	for my $n (1 .. $writers) {
		my $pid = fork // die;
		if ($pid == 0) {
			srand $seed + $n;
			send_mail($n);
			POSIX::_exit(0);
		}
		push @pids, $pid;
	}
}

# Everything that clients of a phase heard: [when, id, code].
sub heard {
	my ($which) = @_;
	return sort { $a->[0] <=> $b->[0] } map { [split / /, $_, 3] }
	    map { split /\n/, slurp($_) } glob "$dir/heard.$which.*";
}

sub end_clients {
	spew("$dir/enough", '');
	waitpid $_, 0 for splice @pids;
}

# How long after this moment somebody heard 250.
sub recovery {
	my ($since) = @_;
	my $good = eval { wait_for(sub { (grep { $_->[0] > $since &&
	    $_->[2] eq '250' } heard($phase))[0] }, 20) };
	return $good ? $good->[0] - $since : 99;
}

# Before a trouble: how long is one 250 from the next on this machine, now?
# What a busy one needs for fifty of them is no fault of ours.
sub calm {
	$patience = max($patience, 50 * max(map { recovery(time) } 1 .. 3));
}

# --- what holds for each trouble ----------------------------------------------

my %copies;

sub look_at_sink {
	my @damaged;
	for my $m ($sink->messages) {
		my ($id) = $m->{data} =~ /^X-Id: (\S+)\r$/m;
		push @damaged, $id // 'none' unless defined $id &&
		    $m->{data} =~ /\r\n\r\n\Q$id\E x*\r\n\z/;
		$copies{ $id // 'none' }++;
	}
	return @damaged;
}

# $r: name, faults, recoveries => [seconds], wants => codes that must have come
sub judge {
	my (%r) = @_;
	my $drained = eval { $mail->wait_empty(60); 1 };
	my @heard = heard($phase);
	my (%codes, %accepted, @lost);
	%copies = ();
	my @damaged = look_at_sink();
	$codes{ $_->[2] =~ /^\d{3}$/ ? $_->[2] : 'none' }++ for @heard;
	$accepted{ $_->[1] } = 1 for grep { $_->[2] eq '250' } @heard;
	@lost = grep { !$copies{$_} } sort keys %accepted;
	my $twice = sum0(map { $_ - 1 } values %copies);
	my @phantoms = grep { $copies{ $_->[1] } }
	    grep { $_->[2] =~ /^[45]\d\d$/ } @heard;
	my $worst = max(0, @{ $r{recoveries} });
	diag(sprintf '%s: %d faults, heard %s; lost %d, damaged %d, ' .
	    'duplicates %d (%d copies at most), refused but delivered %d, ' .
	    '250 again after %.2f s at most', $r{name}, $r{faults}, join(', ', map {
	    "$_: $codes{$_}" } sort keys %codes), scalar @lost,
	    scalar @damaged, $twice, max(0, values %copies), scalar @phantoms,
	    $worst);
	ok($drained, "$r{name}: the queue runs empty");
	cmp_ok(scalar keys %accepted, '>', 5, "$r{name}: mail was accepted");
	ok(sum0(map { $codes{$_} // 0 } qw(451 452)) > 0,
	    "$r{name}: and refused") or diag(explain(\%codes));
	# 421 is for who has come while the system was being killed.
	my $fine = $r{stops} ? qr/^(250|45[12]|421)$/ : qr/^(250|45[12])$/;
	is(join(' ', grep { $_ !~ $fine } sort keys %codes), '',
	    "$r{name}: with 451 or 452, nothing else")
	    or diag(join "\n", map { $_->[2] } grep { $_->[2] !~ $fine }
	    @heard);
	is("@lost", '', "$r{name}: nothing accepted is lost");
	is("@damaged", '', "$r{name}: nothing is damaged");
	cmp_ok(max(0, values %copies), '<=', 1 + ($r{stops} // 0),
	    "$r{name}: at most one copy more for each stop");
	# Whose sync fails because the file system stops, that one's file can
	# not be removed either: he hears 451, and it may be there afterwards.
	cmp_ok(scalar @phantoms, '<=', $writers * ($r{stops} // 0),
	    "$r{name}: nothing refused is delivered" . ($r{stops} ?
	    ', but what was under way at the stop' : ''));
	cmp_ok($worst, '<', $patience, "$r{name}: 250 again in time");
	$mail->stop;
	Postrider::Disk::detach($spool);
	unlink glob "$sink->{directory}/message.*";
	spew("$dir/log", '') unless $ENV{KEEP};
	write_ledger($r{name}, $r{faults}, scalar keys %accepted, scalar @lost,
	    $twice, scalar @damaged, $worst);
}

sub write_ledger {
	my ($name, @numbers) = @_;
	return unless defined $ledger;
	open my $f, '>>', $ledger or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $f "%04d-%02d-%02d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f\n",
	    $year + 1900, $month + 1, $day, $version || '-', $name, @numbers;
}

# A file system of 64 MB in a file.
sub small_disk {
	my ($inodes) = @_;
	my $image = "$lab/small";
	open my $f, '>', $image or die;
	truncate $f, 64 << 20 or die;
	close $f;
	system('mkfs.ext4', '-q', '-F', '-b', 4096, '-m', 0, '-N', $inodes,
	    $image) == 0 or die 'mkfs';
	Postrider::Disk::attach($image, $spool);
}

# --- no space -----------------------------------------------------------------

# How full it is, of 1.
sub fullness {
	my ($all, $free) = (split ' ', (`df -k --output=size,avail $spool`)[1]);
	return 1 - $free / $all;
}

# Take space until there is so much left, in KiB, or give it back.
sub leave_free {
	my ($want) = @_;
	open my $f, '>>', "$spool/ballast" or die "ballast: $!";
	for (1 .. 3) {		# others write, too
		my ($free) = (split ' ', (`df -k --output=avail $spool`)[1]);
		my $size = (-s "$spool/ballast") + ($free - $want) * 1024;
		if ($free > $want) {
			system("fallocate -l $size $spool/ballast 2>/dev/null");
		} else {
			truncate $f, $size < 0 ? 0 : $size;
		}
	}
	# The last crumbs.
	1 while $want == 0 && syswrite $f, 'x' x 4096;
}

small_disk(4096);
$mail->start;
start_clients('space');
calm();
my ($faults, @recoveries) = (0);
for (1 .. $rounds * 6) {
	leave_free(rand() < 0.6 ? 0 : int rand 6000);
	sleep 0.2 + rand 0.8;
	$faults++;
	if ($_ % 3 == 0) {
		unlink "$spool/ballast";
		push @recoveries, recovery(time);
	} else {
		leave_free(int rand 6000);
		sleep rand 0.4;
	}
}
unlink "$spool/ballast";
push @recoveries, recovery(time);
end_clients();
my $alarm = $mail->said(qr/No space left|insufficient system storage/);
cmp_ok($alarm, '>', 0, 'full disk: the log tells');
judge(name => 'full disk', faults => $faults, recoveries => \@recoveries);

# --- no inodes ----------------------------------------------------------------

small_disk(400);
$mail->start;
start_clients('inodes');
calm();
($faults, @recoveries) = (0);
mkdir "$spool/names";
for (1 .. $rounds * 2) {
	my $n = 0;
	my $end = time + 1 + rand 1;
	while (time < $end) {		# others give some back
		open(my $f, '>', "$spool/names/" . $n) ? $n++ : sleep 0.01;
	}
	$faults++;
	unlink glob "$spool/names/*";
	push @recoveries, recovery(time);
}
end_clients();
cmp_ok($mail->said(qr/No space left|insufficient system storage/), '>', 0,
    'no inodes: the log tells');
judge(name => 'no inodes', faults => $faults, recoveries => \@recoveries);

# --- a file system that stops -------------------------------------------------

# Then nothing can be written until somebody mounts it anew, which takes an end,
# a rough one, and a start of the system. A message that was delivered in
# between, and could not be removed, comes once more then, not at each attempt.
sub restart_on {
	my ($image) = @_;
	$mail->crash;
	Postrider::Disk::detach($spool);
	Postrider::Disk::attach($image, $spool);
	$mail->start;
}

# A connection that ended with the system, or was not had: that is no answer.
sub forget_silence {
	for my $file (glob "$dir/heard.$phase.*") {
		spew($file, join '', grep { / \d{3}\n/ }
		    map { "$_\n" } split /\n/, slurp($file));
	}
}

small_disk(4096);
$mail->start;
start_clients('readonly');
calm();
($faults, @recoveries) = (0);
for (1 .. $rounds) {
	sleep 0.5 + rand 0.5;
	system('mount', '-o', 'remount,abort', $spool) == 0 or die 'abort';
	sleep 2 + rand 1;	# longer than the time between attempts
	$faults++;
	restart_on("$lab/small");
	push @recoveries, recovery(time);
}
end_clients();
forget_silence();
cmp_ok($mail->said(qr/Read-only file system/), '>', 0,
    'read-only: the log tells');
judge(name => 'read-only', faults => $faults, recoveries => \@recoveries,
    stops => $faults);

# --- broken writes ------------------------------------------------------------

# When the journal is hit, the file system stops, too.
sub is_stopped {
	return slurp('/proc/mounts') =~
	    m{ \Q$spool\E \S+ \S*(emergency_ro|\bro\b)};
}

my $disk = Postrider::Disk->new($lab);
$disk->format('ext4', 'queue');
Postrider::Disk::attach($disk->path('queue'), $spool);
$mail->start;
start_clients('eio');
calm();
($faults, @recoveries) = (0);
my $stops = 0;

# The file system may find out late that its journal was hit.
sub recovery_from_eio {
	my ($since) = @_;
	eval { wait_for(sub { (grep { $_->[0] > $since &&
	    $_->[2] eq '250' } heard($phase)) || is_stopped() }, 20) };
	return recovery($since) unless is_stopped();
	sleep 0.5;
	$stops++;
	$disk->order('fail 0');
	restart_on($disk->path('queue'));
	return recovery(time);
}

for (1 .. $rounds * 6) {
	$disk->order('fail ' . (1 + int rand 60));
	$faults++;
	sleep 0.3 + rand 0.3;
	push @recoveries, recovery_from_eio(time) if is_stopped();
}
$disk->order('fail 0');
push @recoveries, recovery_from_eio(time);
end_clients();
forget_silence();
restart_on($disk->path('queue')) if is_stopped();
cmp_ok($mail->said(qr/Input\/output error|Read-only file system/), '>', 0,
    'EIO: the log tells');
diag("EIO: the file system stopped $stops times");
judge(name => 'EIO', faults => $faults, recoveries => \@recoveries,
    stops => $stops);

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
