# reload.t - a reload loses no session and refuses no connection.
use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);
use Postrider;

my $reloads = 20;
my $writers = 4;
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	smtpd_banner => '$myhostname ESMTP number 0',
	smtpd_client_connection_count_limit => 0,
});
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# --- short sessions, all the time ---------------------------------------------

# One writer: sessions until it is told to stop. Each is a line in its file:
# the message's id when all went well, else what went wrong.
sub writer {
	my ($n) = @_;
	open my $notes, '>>', $mail->dir . "/writer.$n" or die;
	$notes->autoflush(1);
	for (my $i = 0; !-e $mail->dir . '/enough'; $i++) {
		my $id = "w$n-$i";
		my $ok = eval {
			my $c = $mail->client;
			$c->expect(220);
			$c->script('EHLO c.test' => 250,
			    "MAIL FROM:<$id\@local.test>" => 250,
			    "RCPT TO:<$id\@relay.test>" => 250, DATA => 354);
			$c->data("Subject: $id\n\n$id\n");
			$c->command('QUIT', 221);
			1;
		};
		print $notes $ok ? "$id\n" : "error: $@" =~ s/\s+/ /gr . "\n";
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

sub notes {
	return map { split /\n/, Postrider::slurp($_) }
	    glob $mail->dir . '/writer.*';
}

# --- sessions that last longer than twenty reloads ----------------------------

my $long = $mail->client;
$long->expect(qr/^220 .* number 0$/);
$long->command('EHLO long.test', 250);
my $middle = $mail->client;		# in the middle of a message
$middle->expect(220);
$middle->script('EHLO middle.test' => 250, 'MAIL FROM:<middle@local.test>' =>
    250, 'RCPT TO:<middle@relay.test>' => 250, DATA => 354);
my $half = join '', map { "line $_\r\n" } 1 .. 20000;
$middle->raw("Subject: in two halves\r\n\r\n$half");

my $slowest = 0;
for my $n (1 .. $reloads) {
	$mail->set(smtpd_banner => "\$myhostname ESMTP number $n");
	my $start = time;
	my ($status, $text) = $mail->postrider('reload');
	is($status, 0, "reload $n") or diag $text;
	$slowest = time - $start if time - $start > $slowest;
	my $c = $mail->client;
	my $greeting = $c->expect(220);
	like($greeting, qr/ number $n$/, 'its settings act at once') if
	    $n == $reloads;
	$c->command('QUIT', 221);
	like($long->command('NOOP'), qr/^250/, 'the long session is there');
}
like($middle->data("line last\n"), qr/^250/,
    'a message that began before twenty reloads is taken');
$middle->command('QUIT', 221);
$long->script('MAIL FROM:<long@local.test>' => 250,
    'RCPT TO:<long@relay.test>' => 250, DATA => 354);
like($long->data("Subject: long\n\nx\n"), qr/^250/,
    'and so is one of the long session');

sleep 0.5;
Postrider::spew($mail->dir . '/enough', '');
waitpid $_, 0 for @pids;
my @notes = notes();
my @errors = grep { /^error/ } @notes;
is("@errors[0 .. ($#errors > 2 ? 2 : $#errors)]", '',
    'no short session was refused or lost');
cmp_ok(scalar(@notes), '>=', 200, 'there were hundreds of them');
diag(sprintf '%d sessions during %d reloads; the slowest took %.2f s',
    scalar(@notes), $reloads, $slowest);

my @wanted = (qw(middle long), grep { !/^error/ } @notes);
Postrider::wait_for(sub { $sink->count >= @wanted }, 30,
    "all of them at the next hop\n");
my (%copies, $whole);
for my $message ($sink->messages) {
	my $name = $message->{from} =~ s/\@.*//r;
	$copies{$name}++;
	$whole = $message->{data} if $name eq 'middle';
}
is(join(' ', grep { !$copies{$_} } @wanted), '', 'every message arrived');
is(join(' ', grep { $copies{$_} > 1 } @wanted), '', 'none arrived twice');
like($whole, qr/\r\n\r\n\Q$half\Eline last\r\n\z/,
    'the message in two halves is whole');

# --- who has nothing to do any more is gone -----------------------------------

my $kept = () = $mail->children('smtpd');
cmp_ok($kept, '>', 2, 'the long session\'s process has stayed for it');
$long->command('QUIT', 221);
Postrider::wait_for(sub { $mail->children('smtpd') == 2 }, 15,
    'the processes of before to leave') ;
pass('and leaves after it');

# --- listeners come and go ----------------------------------------------------

my $port = Postrider::free_port();
$mail->{master} = "127.0.0.1:$port inet n - n - - smtpd\n" .
    "\t-o { smtpd_banner = \$myhostname the other port }\n";
$mail->write_config;
$mail->reload;
my $there = $mail->client($port);
like($there->reply, qr/^220 \S+ the other port$/,
    'a listener that was added answers');
$there->command('EHLO c.test', 250);
like($mail->client->reply, qr/ number $reloads$/, 'the first one as well');
$mail->{master} = '';
$mail->write_config;
$mail->reload;
Postrider::wait_for(sub { !IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $port, Proto => 'tcp') }, 10, 'the port to be closed');
pass('a listener that was taken away is closed');
like($there->command('NOOP'), qr/^250/, 'its session is not');
$there->script('MAIL FROM:<there@local.test>' => 250,
    'RCPT TO:<there@relay.test>' => 250, DATA => 354);
like($there->data("x: y\n\nz\n"), qr/^250/, 'and sends its message');
$there->command('QUIT', 221);
Postrider::wait_for(sub { grep { $_->{from} eq 'there@local.test' }
    $sink->messages }, 15, 'that message');

# A session's settings are those it began with.
$there = $mail->client;
$there->expect(220);
$there->script('EHLO c.test' => 250, 'MAIL FROM:<a@local.test>' => 250);
$mail->set(smtpd_recipient_limit => 1);
$mail->reload;
$there->script('RCPT TO:<a@relay.test>' => 250, 'RCPT TO:<b@relay.test>' => 250,
    'RSET' => 250, 'QUIT' => 221);
$there = $mail->client;
$there->expect(220);
$there->script('EHLO c.test' => 250, 'MAIL FROM:<a@local.test>' => 250,
    'RCPT TO:<a@relay.test>' => 250, 'RCPT TO:<b@relay.test>' => 452);
pass('a session keeps its settings, the next one has the new ones');
$there->command('QUIT', 221);

# Reloads that come faster than they can be done.
kill 'HUP', $mail->pid for 1 .. 10;
like($mail->send(from => 's@local.test', to => ['last@relay.test']), qr/^250/,
    'ten signals at once do no harm');

$mail->wait_empty;
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
