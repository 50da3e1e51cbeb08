# kill.t - kill -9 of each daemon class under load: no accepted message is lost.
#
# Messages carry an id; every 250 is noted in a ledger outside the system. In
# the end each accepted message must have reached the next hop (lost: 0), with
# the content it was sent with. Duplicates are counted and told.
#
#	POSTRIDER_KILLS=50 POSTRIDER_MESSAGES=20000 prove -v ...
use strict;
use warnings;
use Test::More;
use Digest::MD5 qw(md5_hex);
use Time::HiRes qw(sleep time);
use Postrider;

Postrider::need_root();
my $kills = $ENV{POSTRIDER_KILLS} || 3;
my $wanted = $ENV{POSTRIDER_MESSAGES} || 400;
my @classes = qw(smtpd cleanup qmgr resolve smtp dns log pickup anvil bounce);
my $writers = 6;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '2s',
	queue_run_delay => '1s', service_throttle_time => '1s',
	smtpd_client_connection_count_limit => 0,
});
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

my $stop_file = $mail->dir . '/enough';

# One writer: sends until told to stop; one line per message in its ledger.
sub writer {
	my ($n) = @_;
	open my $ledger, '>>', $mail->dir . "/ledger.$n" or die;
	$ledger->autoflush(1);
	my $i = 0;
	until (-e $stop_file) {
		my $id = "m$n-" . $i++;
		my $body = "$id " . 'x' x int(rand 3000) . "\n" . 'y' x int(rand 60);
		my $ok = eval {
			my $c = Postrider::Client->new($mail->port,
			    patience => 30);
			$c->script('EHLO c.test' => 250,
			    "MAIL FROM:<$id\@local.test>" => 250,
			    "RCPT TO:<$id\@relay.test>" => 250) if $c->expect(220);
			$c->command('DATA', 354);
			$c->data("X-Id: $id\n\n$body\n");
			print $ledger "$id\n";
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

# Kill at random moments until each class had its share; when a class is not
# running (nobody needed it yet) that is told, not counted.
my (%killed, %absent);
srand 1;
for my $round (1 .. $kills) {
	for my $class (@classes) {
		my @running = $mail->children($class);
		if (!@running) {
			$absent{$class}++;
			next;
		}
		kill 'KILL', $running[rand @running];
		$killed{$class}++;
		sleep 0.02 + rand 0.1;
	}
}
my $end = time + 600;
sleep 0.2 until keys %{ accepted() } >= $wanted || time > $end;
Postrider::spew($stop_file, '');
waitpid $_, 0 for @pids;

my $accepted = accepted();
my $start = time;
Postrider::wait_for(sub { $mail->queue_count == 0 }, 180,
    'the queue to run empty');
my $drained = time - $start;

my %copies;
$copies{ $_->{from} =~ s/\@.*//r }++ for $sink->messages;
my @lost = grep { !$copies{$_} } sort keys %$accepted;
my @damaged = grep {
	my ($id) = $_->{data} =~ /^X-Id: (\S+)\r\n/m;
	!defined $id || $_->{data} !~ /\r\n\r\n\Q$id\E x*\r\ny*\r\n\z/;
} $sink->messages;
my $twice = 0;
$twice += $_ - 1 for values %copies;

diag("accepted " . keys(%$accepted) . ", delivered " . keys(%copies) .
    ", lost " . @lost . ", damaged " . @damaged . ", duplicates $twice, " .
    sprintf('queue empty after %.1f s', $drained));
diag('kills: ' . join(', ', map { "$_ " . ($killed{$_} // 0) } @classes) .
    (%absent ? '; not running at the time: ' . join(', ',
    map { "$_ $absent{$_}" } sort keys %absent) : ''));
cmp_ok(scalar(keys %$accepted), '>=', $wanted, 'enough was accepted');
is("@lost", '', 'no accepted message is lost');
is(scalar(@damaged), 0, 'no message is damaged');
for my $class (qw(smtpd cleanup qmgr resolve smtp log)) {
	cmp_ok($killed{$class} // 0, '>=', $kills / 2, "$class was killed");
}
my @panics = grep { /panic:|Sanitizer/ } split /^/, $mail->log . $mail->output;
is("@panics", '', 'nothing crashed of itself');
done_testing();
