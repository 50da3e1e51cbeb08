# senders.t - who sends much delays nobody who sends little: not to the same
# site, whether its mail is in memory or outside; nor does a user whose
# mailbox or command is slow delay another one.
#
# POSTRIDER_LONG=1: 50,000 messages of the one sender (else 1,200).
use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for spew);
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'with sanitizers this measures the sanitizers'
    if Postrider::is_sanitized();
my $messages = $ENV{POSTRIDER_LONG} ? 50_000 : 1_200;

# The connections of who sends much.
sub connections
{
	my ($mail, $count) = @_;

	return map {
		my $c = $mail->client;
		$c->expect(220);
		$c->command('EHLO client.test', 250);
		$c;
	} 1 .. $count;
}

# So many messages from one sender, to who the function says.
sub send_many
{
	my ($mail, $from, $count, $to) = @_;
	my @clients = connections($mail, 10);

	for (my $n = 0; $n < $count; $n += @clients) {
		$_->raw("MAIL FROM:<$from>\r\nRCPT TO:<" . $to->($n) .
		    ">\r\nDATA\r\n") for @clients;
		for my $c (@clients) {
			$c->expect($_) for 250, 250, 354;
			$c->raw("Subject: x\r\n\r\nx\r\n.\r\n");
		}
		$_->expect(250) for @clients;
	}
	$_->command('QUIT', 221) for @clients;
}

# One message; how long it took to its next hop, by the log. The sender's
# address is another one each time: who has much there is told by his own.
sub probe
{
	my ($mail, $to, $from) = @_;

	$mail->send(from => $from, to => [$to]);
	my $line = $mail->wait_log(
	    qr/to=<\Q$to\E>,.*delay=[\d.]+,.*status=sent/, 60);
	return (slurp_log($mail) =~ /to=<\Q$to\E>,.*delay=([\d.]+),/)[0];
}
sub slurp_log { return Postrider::slurp("$_[0]{dir}/log") }

# --- one site -----------------------------------------------------------------

for my $limit (20_000, 300) {
	my $mail = Postrider->new(settings => { smtpd_peername_lookup => 'no',
		default_destination_concurrency_limit => 4,
		initial_destination_concurrency => 4,
		qmgr_message_active_limit => $limit });
	my $busy = $mail->dir . '/busy';	# the site is slower yet
	my $sink = $mail->sink(replies => sub {
		sleep(-e $busy ? 1 : 0.1) if $_[0] eq 'RCPT';
		return undef;
	});
	my $table = $mail->etc . '/transport';
	spew($table, "slow.test smtp:[127.0.0.1]:" . $sink->port . "\n");
	$mail->set(transport_maps => "texthash:$table");
	$mail->start;
	spew($busy, '');	# so that they wait, however slow we are
	send_many($mail, 'much+1@local.test', $messages,
	    sub { "m$_[0]\@slow.test" });
	unlink $busy;
	my @took = map { probe($mail, "probe$_\@slow.test",
	    "little$_\@local.test") } 1 .. 8;
	my $left = $mail->queue_count('incoming', 'deferred');
	cmp_ok($left, '>', $messages / 4, "$left messages of one sender wait");
	@took = sort { $a <=> $b } @took;
	note(sprintf '%d open at most: those of others took %.2f to %.2f s',
	    $limit, @took[0, -1]);
	cmp_ok($took[-1], '<', 2, "with $limit open, one of another sender " .
	    'to the same site does not wait for them');

	# A list whose sender changes from one message to the other is one.
	send_many($mail, "list+$_=x\@local.test", 10,
	    sub { "l$_[0]\@slow.test" }) for 1 .. 20;
	my $more = probe($mail, "last\@slow.test", 'little@local.test');
	cmp_ok($more, '<', 2, 'and addresses with extensions are one sender');
	is(join('', $mail->complaints), '', 'nothing crashed');
	$mail->crash;
}

# --- mailboxes ----------------------------------------------------------------

SKIP: {
	skip 'needs root', 4 unless Postrider::is_root();
	my $mail = Postrider->new(settings => { smtpd_peername_lookup => 'no',
		default_process_limit => 20 });
	my ($slow, $quick) = ($mail->user(0), $mail->user(1));
	my $forward = $mail->home(0) . '/.forward';
	spew($forward, "\"|sleep 30\"\n");
	chown((getpwnam $slow)[2, 3], $forward);
	$mail->start;
	send_many($mail, 'much@local.test', 200, sub { "$slow\@local.test" });
	wait_for(sub { slurp_log($mail) =~ /to=<$slow|queue active/ }, 20,
	    'a delivery');
	my @took = map { $mail->send(from => "p$_\@local.test",
	    to => ["$quick\@local.test"]); my $n = $_;
	    my $begin = time; wait_for(sub { $mail->mbox($quick) >= $n }, 20,
	    'mail for the other one'); time - $begin } 1 .. 5;
	@took = sort { $a <=> $b } @took;
	note(sprintf 'beside a slow command: %.2f to %.2f s', @took[0, -1]);
	cmp_ok($took[-1], '<', 2, 'a user\'s slow command delays no other');
	unlink $forward;
	is(join('', $mail->complaints), '', 'nothing crashed');
	$mail->crash;
}

SKIP: {
	skip 'needs root', 2 unless Postrider::is_root();
	my $mail = Postrider->new(settings => { smtpd_peername_lookup => 'no',
		default_process_limit => 20 });
	my ($locked, $quick) = ($mail->user(0), $mail->user(1));
	$mail->start;
	$mail->send(from => 'a@local.test', to => ["$locked\@local.test"]);
	wait_for(sub { $mail->mbox($locked) == 1 }, 20, 'a first message');
	spew("$mail->{dir}/mail/$locked.lock", '');
	open my $held, '+<', "$mail->{dir}/mail/$locked" or die;
	require Fcntl;
	my $lock = pack 's s l! l! i', Fcntl::F_WRLCK(), 0, 0, 0, 0;
	# Who has just written into it may not have let go of it yet.
	fcntl($held, Fcntl::F_SETLKW(), $lock) or die "lock: $!";
	send_many($mail, 'much@local.test', 200,
	    sub { "$locked\@local.test" });
	my $begin = time;
	for my $n (1 .. 5) {
		$mail->send(from => "p$n\@local.test",
		    to => ["$quick\@local.test"]);
	}
	wait_for(sub { $mail->mbox($quick) == 5 }, 20, 'the other mailbox');
	note(sprintf 'beside a locked mailbox: %.2f s', time - $begin);
	cmp_ok(time - $begin, '<', 3, 'nor does a mailbox that is locked');
	is(scalar($mail->mbox($locked)), 1, 'which gets nothing meanwhile');
	$mail->crash;
}
done_testing;
