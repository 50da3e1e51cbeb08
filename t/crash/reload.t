# reload.t - reloads and upgrades under load: nobody is refused, nothing is
# lost, nothing grows.
#
# Twenty clients send all the time. Meanwhile the configuration is read again
# a hundred times a second; main.cf is broken, half written, gone; the programs
# are replaced by those of the next version (whose HELLO is another one) and
# back. Each client must hear 250 for each message, and never be refused.
#
# POSTRIDER_LEDGER makes it the long round: POSTRIDER_SECONDS (60) of reloads.
use strict;
use warnings;
use Test::More;
use Postrider qw(slurp spew wait_for is_alive);
use Postrider::Traffic;
use Time::HiRes qw(sleep time);

Postrider::need_root();
my $build = $ENV{BUILD} // 'build';
my $next = "$build/t/crash/next/bin";
my $is_long = defined $ENV{POSTRIDER_LEDGER};
my $seconds = $is_long ? $ENV{POSTRIDER_SECONDS} || 60 : 0;
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
diag("seed $seed");
srand $seed;

my $mail = Postrider->new(settings => { Postrider::Traffic::settings() });
my $user = $mail->user(0);
my $sink = $mail->sink;
my $programs = $mail->dir . '/programs';
mkdir $programs;
system('cp', '-a', glob(Postrider::bin() . '/*'), $programs) == 0 or die 'cp';
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port,
    daemon_directory => $programs);
$mail->start;
my $traffic = Postrider::Traffic->new($mail, sink => $sink, seed => $seed,
    writers => 20, pause => $is_long ? 0.02 : 0.25, users => [$user],
    to => Postrider::Traffic::mixed($user));

# The private memory of a process in KiB, and how many files it has open.
sub size_of {
	my ($pid) = @_;
	my ($memory) = slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
	opendir my $d, "/proc/$pid/fd" or return ($memory // 0, 0);
	return ($memory // 0, scalar grep { !/^\./ } readdir $d);
}

# Those that live through reloads.
sub lasting {
	return ($mail->pid, map { $mail->children($_) } qw(qmgr resolve));
}

# As few processes as before: all that were replaced have gone.
sub wait_settled {
	my ($count) = @_;
	return eval { wait_for(sub { $mail->children <= $count }, 30); 1 };
}

# What holds whenever the system was reloaded.
sub judge_reload {
	my ($name, $faults, %more) = @_;
	$traffic->end;
	my @refused = grep { $_->[1] eq '-' } $traffic->heard;
	is(scalar @refused, 0, "$name: no connection is refused or cut off")
	    or diag(explain([ @refused[0 .. 2] ]));
	return $traffic->judge(name => $name, faults => $faults, fine => qr/^250$/,
	    drain => 90, %more);
}

# --- a hundred a second -------------------------------------------------------

# Everybody is there before anything is counted.
$traffic->begin('warm');
wait_for(sub { $traffic->accepted > 200 }, 30, 'the first messages');
$traffic->end;
$mail->wait_empty(30);
$mail->reload;
sleep 0.5;
my $processes = scalar $mail->children;
my @before = sort { $a <=> $b } lasting();

$traffic->begin('reload');
my ($asked, $commands, $failed) = (0, 0, 0);
my $end = time + $seconds;
while ($asked < 30 || time < $end) {
	kill 'HUP', $mail->pid;
	$asked++;
	if ($asked % 25 == 0 && $commands < 4) {	# one that hears the end
		my ($status, $text) = $mail->postrider('reload');
		$commands++;
		diag("reload: $status $text") if $status;
		$failed++ if $status;
	}
	sleep 0.01;
}
my $start = time;
is(($mail->postrider('reload'))[0], 0, 'one more reload is obeyed');
cmp_ok(time - $start, '<', 10, 'without having to wait for all the others');
is($failed, 0, 'each reload is');
judge_reload('reload', $asked + $commands);
ok(wait_settled($processes), 'in the end there are as many processes as ' .
    'before') or diag(scalar($mail->children) . " and $processes before");
my $done = $mail->said(qr/reload -- version/);
diag("$asked HUPs and $commands commands were $done reloads");
cmp_ok($done, '<', $asked, 'several that are asked for at a time are one');
is_deeply([sort { $a <=> $b } lasting()], \@before,
    'master, qmgr and resolve are who they were');

# Without a load nothing else takes memory: as many again.
my %idle = map { $_ => [size_of($_)] } lasting();
my $reloads = 0;
for (1 .. ($is_long ? 500 : 50)) {
	kill 'HUP', $mail->pid;
	sleep 0.01;
}
is(($mail->postrider('reload'))[0], 0, 'a reload without a load');
wait_settled($processes);
$reloads = $mail->said(qr/reload -- version/) - $done;
my @grown = map { my ($memory, $files) = size_of($_);
    $memory - $idle{$_}[0] > 100 + 20 * $reloads ||
    $files - $idle{$_}[1] > 4 ?
    "$_: $idle{$_}[0] KiB, $idle{$_}[1] files, then $memory, $files" : ()
    } keys %idle;
is("@grown", '', "and $reloads more make them neither grow nor open more " .
    'files');

# --- settings that change -----------------------------------------------------

# What was read stays in memory; who has read much makes place for another.
if ($is_long) {
	$traffic->begin('changes');
	for my $n (1 .. 250) {
		$mail->set(smtpd_banner => "\$myhostname ESMTP $n");
		my $from = length $mail->log;
		kill 'HUP', $mail->pid;
		wait_for(sub { substr($mail->log, $from) =~
		    /tables and settings read again/ }, 20);
		sleep 0.05;
	}
	judge_reload('changes', 250);
	is($mail->said(qr/the settings have changed \d+ times: leaving/), 3,
	    'changes: qmgr and each resolve make place');
	ok(wait_settled($processes), 'changes: and others have come');
}

# --- main.cf is broken --------------------------------------------------------

# What somebody may do to it, and what is said then.
my $good = slurp($mail->etc . '/main.cf');
my $cut = index $good, 'message_size_limit = 300000';
my @breaks = (
	[ 'a value out of bounds', "$good\nmessage_size_limit = huge\n",
	    qr/main\.cf:\d+: message_size_limit = huge: expected/ ],
	[ 'a line that is none', "$good\nthis is no setting\n",
	    qr/main\.cf:\d+: expected name = value/ ],
	[ 'a value that is half written', substr($good, 0, $cut) .
	    'message_size_limit = ', qr/main\.cf:\d+: message_size_limit = :/ ],
	[ 'an empty file', '', qr/main\.cf: it is empty, and was not/ ],
	[ 'a loop', "$good\nmydomain = \$myorigin\nmyorigin = \$mydomain\n",
	    qr/main\.cf:\d+: my\w+ = / ],
	[ 'no file', undef, qr/main\.cf: No such file/ ],
	[ 'a directory', \'', qr/main\.cf: / ],
);
my @pids = sort $mail->children;
$traffic->begin('broken');
my $faults = 0;
for (1 .. ($is_long ? 5 : 1)) {
	for my $break (@breaks) {
		my ($name, $text, $wanted) = @$break;
		my $path = $mail->etc . '/main.cf';
		unlink $path;
		ref $text ? mkdir $path : defined $text && spew($path, $text);
		my $from = length $mail->log;
		kill 'HUP', $mail->pid;
		ok(eval { wait_for(sub { substr($mail->log, $from) =~
		    /error: .*$wanted.*the configuration is as it was before/s
		    }, 10) }, "broken main.cf: the log says why: $name")
		    or diag(substr $mail->log, $from);
		my ($status, $said) = $mail->postrider('reload');
		isnt($status, 0, "broken main.cf: so does the command: $name");
		# Where the queue is stands in the file, too.
		like($said, $wanted, "broken main.cf: in its words: $name")
		    if !defined $text || $text ne '';
		rmdir $path if ref $text;
		spew($path, $good);
		$faults += 2;
	}
}
is_deeply([sort $mail->children], \@pids,
    'broken main.cf: every process is who it was');
judge_reload('broken main.cf', $faults);
is(($mail->postrider('reload'))[0], 0, 'a good one is taken again');

# --- the programs are replaced ------------------------------------------------

# As install(1) does: each under another name, then renamed.
sub install {
	my (@files) = @_;
	for my $file (@files) {
		my ($name) = $file =~ m{([^/]+)$};
		system('cp', $file, "$programs/.new") == 0 or die 'cp';
		rename "$programs/.new", "$programs/$name" or die "$name: $!";
	}
}

# Daemons whose program is not the one that is installed.
sub stale {
	return grep { (readlink "/proc/$_/exe" // '') =~ / \(deleted\)$/ }
	    $mail->children;
}

SKIP: {
	skip "there is no $next: run make tests first", 1 unless -d $next;
	my @old = map { Postrider::bin() . '/' . s{.*/}{}r } glob "$next/*";
	my @new = glob "$next/*";
	$traffic->begin('upgrade');
	my $swaps = 0;
	for my $round (1 .. ($is_long ? 10 : 1)) {
		for my $files (\@new, \@old) {
			# Some die in the middle: the new program comes before
			# anybody has asked for it.
			install(@$files[0 .. $#$files / 2]);
			my @victims = grep { $round > 1 } map {
			    $mail->children($_) } qw(anvil dns);
			kill 'TERM', @victims;
			sleep rand 0.5;
			install(@$files[$#$files / 2 + 1 .. $#$files]);
			$mail->reload;
			ok(eval { wait_for(sub { !stale() }, 30); 1 },
			    'upgrade: all daemons run what is installed') or
			    diag(explain([ map { readlink "/proc/$_/exe" }
			    stale() ]));
			$swaps++;
			sleep 0.5;
		}
	}
	judge_reload('upgrade', $swaps);
	unlike($mail->log, qr/another version of Postrider/,
	    'upgrade: neighbours understand each other');
}

is(join('', $mail->complaints), '', 'nothing crashed');
is($mail->stop, 0, 'and the system stops');
done_testing();
