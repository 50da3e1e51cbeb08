# kill.t - kill -9 of each daemon class under load: no accepted message is lost.
#
# Messages carry an id; every 250 is noted in a ledger outside the system. A
# third go to the next hop, a third to a Maildir, a third of the rest to
# somebody whom the next hop refuses, so that a report must come back. In the
# end each accepted message must be in one of these places (lost: 0) as it was
# sent. Duplicates are counted and told.
#
#	POSTRIDER_KILLS=50 POSTRIDER_MESSAGES=20000 prove -v ...
use strict;
use warnings;
use Test::More;
use File::Path qw(remove_tree);
use List::Util ();
use Time::HiRes qw(sleep time);
use Postrider;

Postrider::need_root();
my $kills = $ENV{POSTRIDER_KILLS} || 3;
my $wanted = $ENV{POSTRIDER_MESSAGES} || 600;
my @classes = qw(smtpd cleanup qmgr resolve smtp local helper bounce log pickup
    dns anvil);
my $writers = 6;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '2s',
	queue_run_delay => '1s', service_throttle_time => '1s',
	smtpd_client_connection_count_limit => 10000,
	smtpd_client_event_limit_exceptions => '',
	home_mailbox => 'Maildir/', alias_maps => '',
	smtp_line_length_limit => 0,	# some lines are long on purpose
});
my ($reader, $sender) = ($mail->user(0), $mail->user(1));
my @maildirs = map { (getpwnam $_)[7] . '/Maildir' } $reader, $sender;
remove_tree(@maildirs);
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return $verb eq 'RCPT' && $line =~ /<refused/ ?
	    '550 5.1.1 nobody here' : undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

my $stop_file = $mail->dir . '/enough';

# Where message number i goes.
sub recipient_of {
	my ($id, $i) = @_;
	return $i % 3 == 0 ? "$id\@relay.test" :
	    $i % 3 == 1 ? "$reader\@local.test" :
	    $i % 9 == 2 ? "refused-$id\@relay.test" : "$id\@relay.test";
}

# One writer: sends until told to stop; one line per message in its ledger.
sub writer {
	my ($n) = @_;
	open my $ledger, '>>', $mail->dir . "/ledger.$n" or die;
	$ledger->autoflush(1);
	my $i = 0;
	until (-e $stop_file) {
		my $id = "m$n-$i";
		my $to = recipient_of($id, $i++);
		my $body = "$id " . 'x' x int(rand 3000) . "\n" . 'y' x int(rand 60);
		my $ok = eval {
			my $c = Postrider::Client->new($mail->port,
			    patience => 30);
			$c->expect(220);
			$c->script('EHLO c.test' => 250,
			    "MAIL FROM:<$sender\@local.test>" => 250,
			    "RCPT TO:<$to>" => 250, 'DATA' => 354);
			$c->data("X-Id: $id\n\n$body\n");
			syswrite $ledger, "$id\n";
			$c->command('QUIT', 221);
			1;
		};
		sleep 0.05 unless $ok;
	}
}

my @pids;
for my $n (1 .. $writers) {
	my $pid = fork // die;
	if ($pid == 0) {
		writer($n);
		POSIX::_exit(0);
	}
	push @pids, $pid;
}

sub accepted {
	my %ids;
	for my $file (glob $mail->dir . '/ledger.*') {
		$ids{$_} = 1 for split /\n/, Postrider::slurp($file);
	}
	return \%ids;
}

# Kill at random moments until each class had its share. A class that nobody
# needed within the time is told, not counted.
my (%killed, %absent);
for my $round (1 .. $kills) {
	for my $class (@classes) {
		my @running;
		eval { Postrider::wait_for(sub {
			@running = $mail->children($class) }, 5) };
		if (!@running) {
			$absent{$class}++;
			next;
		}
		sleep rand 0.1;
		$killed{$class} += kill 'KILL', $running[rand @running];
	}
}
my $end = time + 900;
sleep 0.2 until keys %{ accepted() } >= $wanted || time > $end;
Postrider::spew($stop_file, '');
waitpid $_, 0 for @pids;

my $accepted = accepted();
my $start = time;
Postrider::wait_for(sub { $mail->queue_count == 0 }, 300,
    'the queue to run empty');
my $drained = time - $start;

# Every copy of every message, wherever it is.
my (%copies, @damaged);
# (A host that says 354 without a recipient gets an empty message: RFC 2920.)
for my $text ((map { $_->{data} =~ s/\r\n/\n/gr }
    grep { @{ $_->{rcpt} } } $sink->messages),
    map { $mail->maildir($_) } @maildirs) {
	my ($id) = $text =~ /^X-Id: (\S+)$/m;
	if (!defined $id) {
		push @damaged, substr $text, 0, 80;
		next;
	}
	$copies{$id}++;
	push @damaged, $id unless $text =~ /\n\n\Q$id\E x*\ny*\n/;
}
my @lost = grep { !$copies{$_} } sort keys %$accepted;
my $twice = 0;
$twice += $_ - 1 for values %copies;

diag("accepted " . keys(%$accepted) . ", arrived " . keys(%copies) .
    ", lost " . @lost . ", damaged " . @damaged . ", duplicates $twice, " .
    sprintf('queue empty after %.1f s', $drained));
if (defined $ENV{POSTRIDER_LEDGER}) {
	open my $ledger, '>>', $ENV{POSTRIDER_LEDGER} or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $ledger "%04d-%02d-%02d\t%s\tkill -9\t%d\t%d\t%d\t%d\t%d\t%.1f\n",
	    $year + 1900, $month + 1, $day, $version || '-',
	    List::Util::sum0(values %killed), scalar keys %$accepted,
	    scalar @lost, $twice, scalar @damaged, $drained;
}
diag('kills: ' . join(', ', map { "$_ " . ($killed{$_} // 0) } @classes) .
    (%absent ? '; not running at the time: ' . join(', ',
    map { "$_ $absent{$_}" } sort keys %absent) : ''));
cmp_ok(scalar(keys %$accepted), '>=', $wanted, 'enough was accepted');
is("@lost", '', 'no accepted message is lost');
is("@damaged", '', 'no message is damaged');
for my $class (qw(smtpd cleanup qmgr resolve smtp local helper bounce log)) {
	is($killed{$class} // 0, $kills, "$class was killed each time");
}
my @panics = grep { /panic:|Sanitizer/ } split /^/, $mail->log . $mail->output;
is("@panics", '', 'nothing crashed of itself');
remove_tree(@maildirs);
done_testing();
