# power.t - power cuts: no accepted message is lost, on ext4 and on XFS.
#
# The queue of a whole system, and the mailboxes on a file system of their own,
# are on disks that write down every write and every flush (disk.c); the same
# log has a mark for each 250 that a client heard and for each message that the
# next hop has taken. From that log images are made as a power cut would leave
# them at some moment: all up to the last flush, and none, all, some or torn
# ones of the later writes, with the caches of both disks in one or apart. A
# fresh system is started on the image and drains it. Each message that had its
# 250 before the cut must be at the next hop, in its mailbox, or returned
# (lost: 0), as it was sent (damaged: 0). Copies are allowed only of what was
# delivered within the time of the group commit before the cut.
#
# "load": cuts while mail comes and goes. "drain": cuts while a queue that was
# filled before is delivered. "logged": with write-ahead logs, from the second
# message on; else there are none. Then the counter-proof: the same with a
# cleanup, a mailbox, or a qmgr whose syncs do nothing (nosync.c) must show
# losses, or copies of what was delivered long before.
#
#	POSTRIDER_IMAGES=2000 POSTRIDER_SEED=1 prove -v ...
#
# A round is a system under load and the images made of it; its seed, which
# the ledger tells, makes it what it is. The next seed goes on where the last
# one of the ledger ended.
use strict;
use warnings;
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Mounts;
use Postrider::Disk;
use List::Util qw(max min sum0 shuffle);
use Time::HiRes qw(sleep time);

my $alone = Postrider::Mounts::alone();
my $missing = !$alone ? 'a private mount namespace cannot be had here' :
    Postrider::Disk::missing();
plan(skip_all => $missing) if $missing;

my $wanted = $ENV{POSTRIDER_IMAGES};
my $ledger = $ENV{POSTRIDER_LEDGER};
# Seconds: 0.2, and what a slow machine takes; ext4 alone would take five.
my $window = $wanted ? 2 : 3;
my $writers = 4;
my ($main, @pids) = $$;		# of the clients

# --- the next hop: one line for each message that it has taken ----------------

{
	package Noting;
	our @ISA = ('Postrider::Sink');

	sub _keep
	{
		my ($self, $message) = @_;
		my ($id) = $message->{data} =~ /^X-Id: (\S+)\r$/m;
		my $is_good = defined $id &&
		    ($message->{data} =~ /\r\n\r\n\Q$id\E x*\r\ny*\r\n/ ||
		    $message->{data} =~ /^Content-Type: multipart\/report/m);

		$id //= 'none';
		open my $f, '>>', $self->{arrived} or die;
		syswrite $f, "$id " . ($is_good ? 'whole' : 'damaged') . "\n";
		open my $marks, '>', $self->{marks} or return;
		syswrite $marks, "D $id\n";
	}
}

# --- the system ---------------------------------------------------------------

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', service_throttle_time => '1s',
	smtpd_client_connection_count_limit => 10000,
	smtpd_client_event_limit_exceptions => '',
	home_mailbox => 'Maildir/', alias_maps => '',
	smtp_line_length_limit => 0,
	virtual_mailbox_domains => 'box.test',
	virtual_minimum_uid => 1, message_size_limit => 1000000,
});
my $dir = $mail->dir;
my ($reader, $other) = ($mail->user(0), $mail->user(1));
my ($spool, $homes, $lab) = ($mail->spool, "$dir/homes", "$dir/lab");
END {
	if ($mail) {
		local $?;
		kill 'KILL', @pids if @pids && $$ == $main;
		eval { $mail->stop(now => 1) };
		system("umount -R -l $_ 2>/dev/null")
		    for $spool, $mail->home(0), $homes, "$lab/disks", $lab;
	}
}
mkdir $_ for $spool, $homes;
Postrider::Mounts::tmpfs($lab, 'mode=755');
system('cp', ($ENV{BUILD} // 'build') . '/t/crash/nosync.so', $dir) == 0
    or die 'nosync.so';
my ($mood, $arrived) = ("$dir/mood", "$dir/arrived");
mkdir "$dir/sink";
my $sink = Noting->new(directory => "$dir/sink/0", arrived => $arrived,
    marks => "$lab/disks/marks", replies => sub {
	my ($verb, $line) = @_;
	sleep 0.01 if $verb eq 'MAIL' && slurp($mood) eq 'slow';
	return $verb eq 'RCPT' && $line =~ /<refused/ ?
	    '550 5.1.1 nobody here' : undef;
});
push @{ $mail->{sinks} }, $sink;
my $number = (getpwnam $other)[2];
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port,
    virtual_mailbox_base => "$homes/boxes",
    virtual_mailbox_maps => "texthash:$dir/etc/boxes",
    virtual_uid_maps => "static:$number", virtual_gid_maps => "static:$number",
    import_environment => $mail->{settings}{import_environment} .
    ' POSTRIDER_TEST_NO_SYNC');
spew("$dir/etc/boxes", join '', map { "b$_\@box.test box$_\n" } 0 .. 3);

# A mailbox begins with an environment of its own, so that one that lies has to
# come by another one of the same name.
sub programs_with_false_mailbox {
	my $bin = "$dir/bin";
	return $bin if -e $bin;
	mkdir $bin;
	symlink $_, $bin . substr $_, rindex $_, '/'
	    for glob Postrider::bin() . '/*';
	unlink "$bin/mailbox";
	spew("$bin/mailbox", "#!/bin/sh\nexport LD_PRELOAD=$dir/nosync.so " .
	    "POSTRIDER_TEST_NO_SYNC=mailbox\n" .
	    'exec ' . Postrider::bin() . "/mailbox \"\$@\"\n");
	chmod 0755, "$bin/mailbox";
	return $bin;
}

# Start it, with programs whose syncs do nothing.
sub start {
	my ($liars) = @_;
	$mail->set(daemon_directory => $liars eq 'mailbox' ?
	    programs_with_false_mailbox() : Postrider::bin());
	local @ENV{qw(LD_PRELOAD POSTRIDER_TEST_NO_SYNC)} =
	    ("$dir/nosync.so", $liars) if $liars ne '';
	delete @ENV{qw(LD_PRELOAD POSTRIDER_TEST_NO_SYNC)} if $liars eq '';
	$mail->start;
}

# Mount the queue and the homes, the reader's where it belongs.
sub attach {
	my ($type, $queue, $home) = @_;
	my @options = $type eq 'xfs' ? 'nouuid' : ();
	Postrider::Disk::attach($queue, $spool, @options);
	return unless defined $home;
	Postrider::Disk::attach($home, $homes, @options);
	if (!-d "$homes/reader") {
		mkdir "$homes/$_" for qw(reader boxes);
		chown((getpwnam $reader)[2, 3], "$homes/reader");
		chown $number, $number, "$homes/boxes";
		system('sync', '-f', $homes) == 0 or die 'sync';
	}
	system('mount', '--bind', "$homes/reader", $mail->home(0)) == 0
	    or die 'mount';
}

sub detach {
	my ($has_home) = @_;
	Postrider::Disk::detach($spool);
	return unless $has_home;
	Postrider::Disk::detach($mail->home(0));
	Postrider::Disk::detach($homes);
}

# --- the clients --------------------------------------------------------------

# Where message number i goes, and who gets a report of it.
sub addresses_of {
	my ($id, $i, $has_home, $is_plain) = @_;
	my $kind = $is_plain ? 0 : $i % 4;
	return ("back-$id\@relay.test", $kind == 3 ? "refused-$id\@relay.test" :
	    "$id\@relay.test") unless $has_home;
	return ("$reader\@local.test", $kind == 0 ? "$id\@relay.test" :
	    $kind == 1 ? "$reader\@local.test" :
	    $kind == 2 ? 'b' . ($i / 4 % 4) . '@box.test' :
	    "refused-$id\@relay.test");
}

# One client: some messages to each connection, until somebody says enough.
sub write_mail {
	my ($n, $has_home, $count, $is_plain) = @_;
	my $i = 0;
	open my $marks, '>', "$lab/disks/marks" or die;
	until (-e "$dir/enough" || $i >= $count || getppid() != $main) {
		my $c = Postrider::Client->new($mail->port, patience => 60);
		$c->expect(220);
		$c->command('EHLO c.test', 250);
		for (1 .. 10) {
			my $id = "m$n-$i";
			my ($from, $to) = addresses_of($id, $i++,
			    $has_home, $is_plain);
			my $body = "$id " . 'x' x int(rand(rand() < 0.05 ?
			    100000 : 3000)) . "\n" . 'y' x int(rand 60);
			$c->script("MAIL FROM:<$from>" => 250,
			    "RCPT TO:<$to>" => 250, 'DATA' => 354);
			$c->data("X-Id: $id\n\n$body\n");
			syswrite $marks, "A $id\n";
			last if $i >= $count;
		}
		$c->command('QUIT', 221);
	}
}

sub start_writers {
	my ($seed, $has_home, $count, $is_plain) = @_;
	@pids = ();
	unlink "$dir/enough";
	for my $n (1 .. $writers) {
		my $pid = fork // die;
		if ($pid == 0) {
			srand $seed * 100 + $n;
			eval { write_mail($n, $has_home, $count // 1e9,
			    $is_plain); 1 }
			    or print STDERR "client: $@";
			POSIX::_exit(0);
		}
		push @pids, $pid;
	}
}

# --- a system that runs on the disks that remember ----------------------------

# Deferred until the drain: nothing leaves.
my %shut = (defer_transports => 'relay, local, virtual',
    maximal_backoff_time => '1h', minimal_backoff_time => '1h');
my %open = (defer_transports => undef, maximal_backoff_time => '1s',
    minimal_backoff_time => '1s');

# Let it run (slow: one message after the other, to the next hop alone); the
# disk, the marks, and the records between which to cut.
sub live {
	my ($r) = @_;
	my $disk = Postrider::Disk->new($lab);
	$disk->format($r->{type}, $_) for 'queue', $r->{home} ? 'home' : ();
	attach($r->{type}, $disk->path('queue'),
	    $r->{home} ? $disk->path('home') : undef);
	$mail->set($r->{drain} ? %shut : %open, $r->{logged} ?
	    %Postrider::LOGGED : (cleanup_wal_size => 0));
	start($r->{liars});
	$disk->mark("begin\n");
	start_writers($r->{seed}, $r->{home},
	    $r->{drain} ? $r->{queued} / $writers : undef, $r->{slow});
	if (!$r->{drain}) {
		sleep $r->{seconds};
		spew("$dir/enough", '');
	}
	waitpid $_, 0 for splice @pids;
	if ($r->{drain}) {
		$mail->stop;
		$mail->set(%open, relay_destination_concurrency_limit =>
		    $r->{slow} ? 1 : 20);
		spew($mood, $r->{slow} ? 'slow' : '');
		start($r->{liars});
		$disk->mark("begin\n");
		$mail->postrider('queue', 'flush');
		eval { wait_for(sub { $mail->queue_count == 0 },
		    $r->{patience} // 30 + $r->{queued} / 20) };
		sleep 1;		# and some time with nothing to do
	}
	my ($marks, $end) = $disk->marks;
	$mail->stop;
	spew($mood, '');
	detach($r->{home});
	@$r{qw(disk marks end)} = ($disk, $marks, $end);
	($r->{begin}) = map { $_->[0] } grep { $_->[2] eq 'begin' }
	    reverse @$marks;
	return $r;
}

# --- an image -----------------------------------------------------------------

# Where to cut: half of them right behind a mark, when it hurts most.
sub moment {
	my ($r) = @_;
	my @after = grep { $_->[0] > $r->{begin} } @{ $r->{marks} };
	return $after[rand @after][0] + 1 if @after && rand() < 0.5;
	return $r->{begin} + 1 + int rand($r->{end} - $r->{begin});
}

# A message of which an mbox has only the head, or not all of that: it was on
# its way into the file at the cut, and has not even an id. ext4 may write the
# new size before the content: it reads as NULs, until the next delivery.
my $head = qr/\A(?:From\ \S+\ [^\0\n]*\n(?:[\w-]+:[^\0\n]*\n|
    [ \t][^\0\n]*\n)*[^\0\n]*)?\0*\n{0,2}\z/x;

# The messages of an mbox; a part without an id is told, once for each box.
sub in_mbox {
	my ($box) = @_;
	my (@whole, @parts);
	for (split /^(?=From \S+ +\w+ \w+ )/m, slurp($box)) {
		push @{ !/^X-Id: \S+$/m && /$head/ ? \@parts : \@whole }, $_
		    if length;
	}
	push @whole, splice @parts, 1;		# one can be at a cut, not two
	diag("$box: a head of " . length($parts[0]) . ' octets') if @parts;
	return @whole;
}

# All copies that lie in mailboxes: [id, whole?, when].
sub in_mailboxes {
	my @found;
	my @texts = map { [$_, slurp($_)] } glob "$homes/reader/Maildir/new/*";
	for my $box (glob "$homes/boxes/box?") {
		push @texts, map { [undef, $_] } in_mbox($box);
	}
	for (@texts) {
		my ($path, $text) = @$_;
		my ($id) = $text =~ /^X-Id: (\S+)$/m;
		diag('no id: ' . ($path // 'in an mbox') . ': ' .
		    substr $text, 0, 300) unless defined $id;
		my $is_good = defined $id &&
		    ($text =~ /\n\n\Q$id\E x*\ny*\n/ ||
		    $text =~ /^Content-Type: multipart\/report/m);
		my ($s, $us) = ($path // '') =~ m{/(\d+)\.M(\d+)P[^/]*$};
		push @found, [$id // 'none', $is_good,
		    defined $s ? $s + $us / 1e6 : undef];
	}
	return @found;
}

# What each message's copies are after the drain: { id => [whole?...] }; and
# when the first of them was delivered, if that was before the cut.
sub copies_of {
	my ($r, $cut) = @_;
	my (%copies, %first);
	for (grep { $_->[0] < $cut && $_->[2] =~ /^D/ } @{ $r->{marks} }) {
		my $id = substr $_->[2], 2;
		push @{ $copies{$id} }, 1;
		$first{$id} //= $_->[1];
	}
	for (split /\n/, slurp($arrived)) {
		my ($id, $how) = split / /;
		push @{ $copies{$id} }, $how eq 'whole';
	}
	for ($r->{home} ? in_mailboxes() : ()) {
		my ($id, $is_good, $when) = @$_;
		push @{ $copies{$id} }, $is_good;
		$first{$id} = $when if defined $when && $when <
		    ($first{$id} // $when + 1);
	}
	return (\%copies, \%first);
}

# An mbox is written in place: of a message that was on its way into it there
# may be a part, and the whole behind it. All else that is not whole is damage.
sub is_damaged {
	my ($id, $copies) = @_;
	my $is_for_mbox = $id =~ /-(\d+)$/ && $1 % 4 == 2;
	return (grep { !$_ } @$copies) &&
	    !($is_for_mbox && grep { $_ } @$copies);
}

# Count what a cut has done.
sub judge {
	my ($r, $cut, $when) = @_;
	my %accepted = map { substr($_->[2], 2) => 1 } grep { $_->[0] < $cut &&
	    $_->[2] =~ /^A/ } @{ $r->{marks} };
	my ($copies, $first) = copies_of($r, $cut);
	my @twice = grep { @{ $copies->{$_} } > 1 } keys %$copies;
	return {
		accepted => scalar keys %accepted,
		lost => [grep { !$copies->{$_} } sort keys %accepted],
		damaged => [grep { is_damaged($_, $copies->{$_}) }
		    sort keys %$copies],
		partial => [grep { !is_damaged($_, $copies->{$_}) &&
		    grep { !$_ } @{ $copies->{$_} } } sort keys %$copies],
		twice => sum0(map { @{ $copies->{$_} } - 1 } @twice),
		ages => [map { max(0, $when - $first->{$_}) }
		    grep { defined $first->{$_} } @twice],
	};
}

# Start on the image, drain it, and see.
sub recover {
	my ($r, $images) = @_;
	my $result = {};
	my @fs = ($images->[0], $r->{home} ? $images->[1] : ());
	attach($r->{type}, @fs);
	detach($r->{home});		# the journals are replayed
	$result->{broken} = [grep { $_ ne '' }
	    map { Postrider::Disk::check($r->{type}, $_) } @fs];
	attach($r->{type}, @fs);
	my $start = time;
	$mail->set(%open);
	start('');
	$mail->postrider('queue', 'flush') if $r->{drain};
	my $c = $mail->client;
	$c->expect(220);
	$result->{greeting} = time - $start;
	$c->command('QUIT', 221);
	$result->{queued} = $mail->queue_count;
	$result->{is_drained} = eval { wait_for(sub {
		$mail->queue_count == 0 }, 30 + $result->{queued} / 10); 1 };
	diag(join "\n", (split /\n/, $mail->log)[-60 .. -1])
	    unless $result->{is_drained};
	$result->{drain} = time - $start;
	return $result;
}

my @whats = qw(none all some torn);

sub try_image {
	my ($r, $n) = @_;
	srand $r->{seed} * 1000 + $n;
	my $cut = moment($r);
	my $what = $whats[($r->{seed} + $n) % @whats];
	my $cache = rand() < 0.5 ? 'shared' : 'apart';
	spew($arrived, '');
	my ($images, $said, $when) = $r->{disk}->cut($cut, $what, $cache,
	    $r->{seed} * 1000 + $n);
	my $result = eval { recover($r, $images) };
	diag("$r->{name} image $n: $@") if $@;
	$result //= { broken => ["no start: $@"] };
	%$result = (%$result, %{ judge($r, $cut, $when) });
	$result->{name} = "$r->{name} image $n: $what, caches $cache, " .
	    "before record $cut";
	eval { $mail->stop(now => !$result->{is_drained}) };
	detach($r->{home});
	note("$result->{name} ($said): accepted $result->{accepted}, queued " .
	    ($result->{queued} // '?') . ', lost ' . @{ $result->{lost} } .
	    ", twice $result->{twice}, oldest " . sprintf('%.2f s', max(0,
	    @{ $result->{ages} })));
	return $result;
}

# --- a round ------------------------------------------------------------------

sub run_round {
	my (%r) = @_;
	$r{liars} //= '';
	$r{name} = join ' ', grep { $_ } $r{type}, $r{home} && 'home',
	    $r{slow} && 'slow', $r{drain} ? 'drain' : 'load',
	    $r{logged} && 'logged',
	    $r{liars} && "liars: $r{liars}",
	    "seed $r{seed}";
	my $r = live(\%r);
	my @results = map { try_image($r, $_) } 1 .. $r->{images};
	$r->{disk}->stop;
	$r->{accepted} = grep { $_->[2] =~ /^A/ } @{ $r->{marks} };
	$r->{results} = \@results;
	report($r);
	return $r;
}

sub all_of { my ($r, $what) = @_; return map { @{ $_->{$what} } }
    @{ $r->{results} } }

# The share p of numbers in order.
sub share { my ($p, @n) = @_; return @n ? (sort { $a <=> $b }
    @n)[min($#n, int $p * @n)] : 0 }

sub report {
	my ($r) = @_;
	my @results = @{ $r->{results} };
	my @twice = map { $_->{twice} } @results;
	my @ages = all_of($r, 'ages');
	my $lost = all_of($r, 'lost');
	my $damaged = all_of($r, 'damaged');
	my $partial = all_of($r, 'partial');
	diag("$r->{name}: parts in an mbox, with the whole behind them: " .
	    $partial) if $partial;
	diag(sprintf '%s: %d accepted, %d images, lost %d, damaged %d, ' .
	    'duplicates per cut p50 %d p99 %d max %d, their ages p50 %.2f ' .
	    'p99 %.2f max %.2f s, greeting %.2f s, drained %.1f s at most',
	    $r->{name}, $r->{accepted}, scalar @results, $lost, $damaged,
	    share(0.5, @twice), share(0.99, @twice), max(0, @twice),
	    share(0.5, @ages), share(0.99, @ages), max(0, @ages),
	    max(map { $_->{greeting} // 0 } @results),
	    max(map { $_->{drain} // 0 } @results));
	return unless defined $ledger;
	open my $f, '>>', $ledger or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $f "%04d-%02d-%02d\t%s\tpower cut %s\t%d\t%d\t%d\t%d\t%d\t%.1f\n",
	    $year + 1900, $month + 1, $day, $version || '-', $r->{name},
	    scalar @results, $r->{accepted}, $lost, sum0(@twice), $damaged,
	    max(map { $_->{drain} // 0 } @results);
}

# What holds in every round of the real programs.
sub is_proof {
	my ($r) = @_;
	my $name = $r->{name};
	my @worst = map { $_->{name} } grep { @{ $_->{lost} } }
	    @{ $r->{results} };
	cmp_ok($r->{accepted}, '>=', 20, "$name: enough was accepted");
	is(join(' ', all_of($r, 'lost')), '', "$name: nothing is lost")
	    or diag("@worst");
	is(join(' ', all_of($r, 'damaged')), '', "$name: nothing is damaged");
	is(join('', all_of($r, 'broken')), '',
	    "$name: the file systems are whole");
	is(scalar(grep { !$_->{is_drained} } @{ $r->{results} }), 0,
	    "$name: each queue ran empty");
	cmp_ok(max(0, all_of($r, 'ages')), '<', $window,
	    "$name: only what was just delivered comes twice");
}

# --- what is run --------------------------------------------------------------

my $seed = $ENV{POSTRIDER_SEED};
if (!defined $seed && defined $ledger) {
	$seed = 1 + max(0, slurp($ledger) =~ /power cut .*seed (\d+)/g);
}
$seed //= 1 + int rand 1e6;
diag("seed $seed");

my @kinds = (
	{ type => 'ext4', home => 1 }, { type => 'xfs', home => 1 },
	{ type => 'ext4', drain => 1, home => 1 },
	{ type => 'ext4' }, { type => 'xfs' },
	{ type => 'xfs', drain => 1, home => 1 },
	{ type => 'ext4', drain => 1 }, { type => 'xfs', drain => 1 },
	{ type => 'ext4', drain => 1, slow => 1 },
	{ type => 'xfs', drain => 1, slow => 1 },
);
# Ten seeds are all kinds, half of them logged; the next ten the other halves.
sub kind_of {
	my ($n) = @_;
	return (%{ $kinds[$n % @kinds] },
	    logged => ($n + int $n / @kinds) % 2);
}
if (!$wanted) {
	is_proof(run_round(%{ $kinds[$_] }, logged => $_ % 2 == 0,
	    seed => $seed + $_, images => 2, seconds => 1.5, queued => 200))
	    for 0 .. 2;
} else {
	my $done = 0;
	while ($done < $wanted) {
		my $images = min(24, $wanted - $done);
		my %kind = kind_of($seed);
		is_proof(run_round(%kind, seed => $seed, images => $images,
		    seconds => 3, queued => $kind{slow} ? 600 : 1200));
		$done += $images;
		$seed++;
	}
}

# The counter-proof is not for the ledger.
undef $ledger;
for my $logged ($wanted ? (0, 1) : 1) {
	my $wrong = run_round(type => 'ext4', home => 0, liars => 'cleanup',
	    logged => $logged, seed => $seed, images => $wanted ? 8 : 2,
	    seconds => 1.5);
	cmp_ok(scalar(all_of($wrong, 'lost')), '>', 0,
	    'a cleanup that does not sync ' . ($logged ? 'its logs ' : '') .
	    'is found out');
}
if ($wanted) {
	my $wrong = run_round(type => 'ext4', home => 1, liars => 'mailbox',
	    seed => $seed, images => 8, seconds => 2);
	cmp_ok(scalar(all_of($wrong, 'lost')), '>', 0,
	    'so is a mailbox that does not');
	$wrong = run_round(type => 'ext4', drain => 1, liars => 'qmgr',
	    slow => 1, seed => $seed, images => 8, queued => 600);
	cmp_ok(max(0, all_of($wrong, 'ages')), '>=', $window,
	    'and a qmgr that does not, by old duplicates');
}
my @panics = $mail->complaints;
is("@panics", '', 'nothing crashed of itself');
done_testing();
