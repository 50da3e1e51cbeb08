# hands.t - administrators with quick hands: hold, release, requeue, delete,
# expire and flush, at random, under load, while the very messages are being
# delivered; while qmgr is down, while it starts, and while it is killed.
#
# Each accepted message ends at its next hop, or in a report to its sender, or
# in hold, or was deleted by somebody. Twice it may come only after a kill of
# qmgr, which can happen between a delivery and the note of it. What a command
# said it deleted is not delivered afterwards, unless its delivery was running:
# GRACE seconds are what one takes here, and the next attempt would be later.
#
#	POSTRIDER_SECONDS=600 prove -v ...	(each of three parts: a third)
use strict;
use warnings;

use lib 't/lib';
use List::Util qw(sum0);
use POSIX ();
use Postrider qw(bin slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep time);

Postrider::need_root();
use constant { GRACE => 1.5, CLIENTS => 2, HANDS => 3,
	PATIENCE => 60 };	# twice what a command waits for the lock
my $seconds = ($ENV{POSTRIDER_SECONDS} || 21) / 3;
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
diag("POSTRIDER_SEED=$seed");

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '4s', maximal_backoff_time => '4s',
	queue_run_delay => '2s', service_throttle_time => '1s',
	smtpd_client_connection_count_limit => 10000,
	smtpd_client_event_limit_exceptions => '' });
my ($dir, $spool) = ($mail->dir, $mail->spool);
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef if $verb ne 'RCPT';
	return '550 5.1.1 nobody here' if $line =~ /<refused/;
	return '450 4.2.0 not now' if $line =~ /<m/ && !-e "$dir/over" &&
	    rand() < 0.4;
	sleep rand 0.2;
	return undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
mkdir "$dir/names";
symlink bin() . '/postrider-queue', "$dir/names/$_"
    for qw(postqueue postsuper);
$ENV{MAIL_CONFIG} = $mail->etc;
$mail->start;

# --- who sends ----------------------------------------------------------------

# Each accepted message: a line in the ledger, its name and its queue id.
sub client
{
	my ($n) = @_;

	open my $ledger, '>>', "$dir/ledger.$n" or die;
	$ledger->autoflush(1);
	for (my $i = 0; !-e "$dir/enough"; $i++) {
		my $id = "m$n-$i";
		my $to = $i % 7 == 3 ? "refused-$id" : $id;
		my $reply = eval { $mail->send(from => "s$n\@relay.test",
		    to => ["$to\@relay.test"],
		    text => "X-Id: $id\n\n$id\n") };
		syswrite $ledger, "$id $1\n"
		    if ($reply // '') =~ /^250 .*queued as (\w+)/;
		sleep defined $reply ? 0.01 : 0.1;
	}
}

# --- whose hands --------------------------------------------------------------

# What is in the queue, as whoever looks sees it: some of it is already gone.
sub some_ids
{
	my @ids = map { m{/(\w+)$} ? $1 : () }
	    glob("$spool/incoming/* $spool/deferred/*/* $spool/hold/*");

	return map { $ids[rand @ids] } 1 .. (@ids ? 1 + rand 4 : 0);
}

# A command for these: its program and words.
my @verbs = (
	(map { my @v = split; sub { ('queue', @v, @_) } } qw(hold release
	    release requeue flush delete expire), 'expire --later',
	    'expire --release'),
	(map { my $f = $_; sub { ("$dir/names/postsuper", map { ($f, $_) }
	    @_) } } qw(-h -H -H -r -d -e -f)),
	(map { my $f = $_; sub { ("$dir/names/postqueue", @$f) } } ['-f']),
);

# Note what was about to be deleted, and when that was done: time and ids.
sub hand
{
	my ($n) = @_;

	srand $seed + $n;
	open my $ledger, '>>', "$dir/hands.$n" or die;
	$ledger->autoflush(1);
	until (-e "$dir/enough") {
		my @ids = some_ids();
		my @words = @ids ? $verbs[rand @verbs]->(@ids) : ();
		my $is_delete = "@words" =~ /(?:delete|postsuper -d) /;
		syswrite $ledger, "try @ids\n" if $is_delete;
		syswrite $ledger, "expire @ids\n"
		    if "@words" =~ /(?:expire|postsuper -[ef]) /;
		my $begin = time;
		my ($status, $text) = !@words ? (0, '') :
		    $words[0] eq 'queue' ? $mail->postrider(@words) :
		    $mail->run('', @words);
		syswrite $ledger, sprintf("%s %.3f %s\n", $status == 0 ?
		    'done' : 'part', time, "@ids") if $is_delete;
		syswrite $ledger, sprintf "command %.1f\n", time - $begin;
		syswrite $ledger, 'strange ' . $text =~ s/\n/ /gr . "\n"
		    if $status > 128 || $text =~ /panic|Sanitizer/;
		sleep 0.05 unless @ids;
	}
}

my @pids;
sub begin
{
	my ($code, $n) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		eval { $code->($n); 1 } or do {
			print STDERR $@;
			POSIX::_exit(1);
		};
		POSIX::_exit(0);
	}
	push @pids, $pid;
}

# --- three parts --------------------------------------------------------------

begin(\&client, $_) for 1 .. CLIENTS;
begin(\&hand, $_) for 1 .. HANDS;
my $part_end = time + $seconds;
sleep 0.1 until time > $part_end;

# qmgr is not there, or is just coming, or going: the hands go on alone.
my $stops = 0;
for ($part_end = time + $seconds; time < $part_end; $stops++) {
	$mail->stop;
	sleep rand 2;
	$mail->start;
	sleep rand 1;
}
my $calm = time;

# And it is killed.
my $kills = 0;
for ($part_end = time + $seconds; time < $part_end; ) {
	my ($qmgr) = $mail->children('qmgr');
	$kills += kill 'KILL', $qmgr if $qmgr;
	sleep 0.5 + rand 1;
}
spew("$dir/enough", '');
for (@pids) {
	waitpid $_, 0;
	is($?, 0, 'a client or a hand came to its end');
}
@pids = ();

# --- the account --------------------------------------------------------------

spew("$dir/over", '');
my $start = time;
my $released = $mail->queue_count('hold');
$mail->run('', "$dir/names/postsuper", '-H', 'ALL');
wait_for(sub { $mail->postrider('queue', 'flush'); $mail->queue_count == 0 },
    120, 'the queue to run empty');
my $drained = time - $start;

my (%name_of, @accepted);
for my $n (1 .. CLIENTS) {
	for (split /\n/, slurp("$dir/ledger.$n")) {
		my ($id, $queue_id) = split / /;
		push @accepted, $id;
		$name_of{$queue_id} = $id;
	}
}
# What it was called later, and the reports about it. A message is on its way
# under its new name before the log says who it was: then the lines come the
# other way round, so they are looked at until nothing is new. Of a requeue in
# which qmgr was killed pickup alone tells.
my ($log, %is_report) = $mail->log;
my @renamed = map { /(\w+): requeued as (\w+)/ ? [$1, $2, 0] :
    /(\w+): sender non-delivery notification: (\w+)/ ? [$1, $2, 1] :
    /(\w+): uid=.* orig_id=(\w+)/ ? [$2, $1, 0] : () }
    split /\n/, $log;
for (my $known = -1; $known != keys(%name_of) + keys %is_report; ) {
	$known = keys(%name_of) + keys %is_report;
	for (@renamed) {
		my ($old, $new, $is_about) = @$_;
		$name_of{$new} //= $name_of{$old} if defined $name_of{$old};
		$is_report{$new} = 1 if $is_about || $is_report{$old};
	}
}

my (%tried, %done, $commands, @strange);
my $slowest = 0;
for my $n (1 .. HANDS) {
	for (split /\n/, slurp("$dir/hands.$n")) {
		my ($what, @words) = split / /;
		if ($what eq 'command') {
			$commands++;
			$slowest = $words[0] if $words[0] > $slowest;
		}
		push @strange, $_ if $what eq 'strange';
		my $time = $what eq 'done' ? shift @words : undef;
		if ($what eq 'try') {
			$tried{$name_of{$_} // ''} = 1 for @words;
		}
		# Of a report that is expired nobody is told.
		if ($what eq 'expire') {
			$tried{$name_of{$_} // ''} = 1
			    for grep { $is_report{$_} } @words;
		}
		next unless $what eq 'done';
		$done{$_} = $time for @words;
	}
}
# Deleted is what the log says; qmgr and the command say it in the same words
# as after a delivery, but then there was one.
my (%copies, %late, @damaged, %at, %reported);
for my $m ($sink->messages) {
	my ($id) = $m->{data} =~ /^X-Id: (\S+)\r?$/m;
	if (!defined $id || $m->{data} !~ /^\Q$id\E\r?$/m) {
		push @damaged, substr $m->{data}, 0, 80 if !defined $id ||
		    $m->{data} !~ /^Content-Type: multipart/m;
		next unless defined $id;
	}
	$copies{$id}++;
	$at{$id} = $m->{time};
	$reported{$id} = 1 if $m->{data} =~ /^Content-Type: multipart/m;
}
my @lost = grep { !$copies{$_} && !$tried{$_} } @accepted;
my $gone = grep { !$copies{$_} && $tried{$_} } @accepted;
for my $queue_id (keys %done) {
	my $id = $name_of{$queue_id} // next;
	push @{ $late{$id} }, $queue_id if defined $at{$id} &&
	    !$reported{$id} && $at{$id} > $done{$queue_id} + GRACE;
}
# A command may name what has gone on under another id since.
my @late = grep { my $id = $_; grep { $log !~ /$_: requeued as|orig_id=$_$/m }
    @{ $late{$id} } } keys %late;
for my $id (@lost[0 .. ($#lost < 2 ? $#lost : 2)], @late) {
	my @ids = grep { $name_of{$_} eq $id } keys %name_of;
	diag("$id:\n", grep { my $line = $_; grep { $line =~ /$_/ } @ids }
	    split /^/, $log);
	diag("it arrived at $at{$id}; deleted at $done{$_}")
	    for grep { $done{$_} } @ids;
}
my @twice = grep { ($copies{$_} // 0) > 1 } @accepted;
my @early = grep { $at{$_} < $calm } @twice;
my $more = sum0(map { $copies{$_} - 1 } @twice);

diag(sprintf '%d commands, %d stops, %d kills; accepted %d, deleted %d, ' .
    'lost %d, duplicates %d, damaged %d, held in the end %d, empty after ' .
    '%.1f s', $commands, $stops, $kills, scalar @accepted, $gone,
    scalar @lost, $more, scalar @damaged, $released, $drained);
if (defined $ENV{POSTRIDER_LEDGER}) {
	open my $ledger, '>>', $ENV{POSTRIDER_LEDGER} or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	print $ledger join("\t", POSIX::strftime('%Y-%m-%d', gmtime),
	    $version || '-', 'queue commands', $commands, scalar @accepted,
	    scalar @lost, $more, scalar @damaged,
	    sprintf '%.1f', $drained), "\n";
}
cmp_ok($commands, '>', 10 * $seconds, 'there were many commands');
cmp_ok(scalar @accepted, '>', 20 * $seconds, 'and much mail');
cmp_ok($gone, '>', 0, 'some of it was deleted');
is("@lost", '', 'nothing is lost but what somebody deleted');
is("@damaged", '', 'nothing is damaged');
is("@early", '', 'nothing came twice without a kill');
cmp_ok($more, '<=', 20 * $kills, 'nor often with them');
is("@late", '', 'what was deleted was not delivered afterwards');
is("@strange", '', 'no command crashed');
cmp_ok($slowest, '<', PATIENCE, 'nor waited for who waited for it');
is(join('', grep { !/killed by signal 9/ } $mail->complaints), '',
    'nor anything else');
done_testing;
