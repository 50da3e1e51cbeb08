# limits.t - how much of us one client may have.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtpd_client_event_limit_exceptions => '127.0.0.9/32',
	smtpd_client_connection_count_limit => 3,
	smtpd_soft_error_limit => 2, smtpd_hard_error_limit => 4,
	smtpd_error_sleep_time => '0s', smtpd_recipient_limit => 5,
	smtpd_junk_command_limit => 5, smtpd_timeout => '2s',
	relayhost => '[127.0.0.1]:9',
})->start;

# Connections at once, over all processes.
{
	my @held = map { $mail->client } 1 .. 3;
	$_->expect(220) for @held;
	my $fourth = $mail->client;
	like($fourth->reply, qr/^421 4\.7\.0 .*too many connections/,
	    'the fourth connection at once is refused');
	my $other = Postrider::Client->new($mail->port, from => '127.0.0.9');
	like($other->reply, qr/^220/, 'an excepted client is not counted');
	$_->command('QUIT', 221) for @held;
	like(Postrider::wait_for(sub {
		my $again = $mail->client;
		my $reply = $again->reply;
		return $reply =~ /^220/ ? $reply : undef;
	}, 10, 'a place'), qr/^220/, 'places come back');
}

# Counted too late, and all the same no longer than they stay.
{
	my ($anvil) = $mail->children('anvil');
	kill 'STOP', $anvil;
	my @held = map { $mail->client } 1 .. 3;
	$_->expect(220) for @held;
	ok($mail->wait_log(qr/cannot count client .*: anvil does not answer/),
	    'where nobody counts, clients are greeted, and the log says so');
	kill 'CONT', $anvil;
	$_->command('QUIT', 221) for @held;
	$_->is_closed for @held;
	@held = map { $mail->client } 1 .. 3;
	is(join(' ', map { substr $_->reply, 0, 3 } @held), '220 220 220',
	    'those who have left meanwhile are not counted any more');
	$_->command('QUIT', 221) for @held;
}

sub session {
	my $c = Postrider::Client->new($mail->port, from => '127.0.0.9');
	$c->expect(220);
	$c->command('EHLO c.test', 250);
	return $c;
}

# Errors, and commands that bring nothing.
{
	my $c = session();
	$c->command('WRONG', 500) for 1 .. 3;
	my $last = $c->command('WRONG') . "\n" . ($c->reply // '');
	like($last, qr/^500.*\n421 4\.7\.0 .*too many errors/,
	    'after the hard limit we hang up');
	ok($c->is_closed, 'really');
	$c = session();
	my ($n, $reply) = (0, '');
	while (defined $reply && $reply !~ /^421/ && $n++ < 50) {
		$reply = $c->command('NOOP');
	}
	cmp_ok($n, '<', 20, "junk commands end as errors (after $n)");
}

# Recipients: more than the limit are postponed, the others delivered.
{
	my $c = session();
	$c->command('MAIL FROM:<s@local.test>', 250);
	$c->command("RCPT TO:<r$_\@local.test>", 250) for 1 .. 5;
	like($c->command('RCPT TO:<r6@local.test>'), qr/^452 4\.5\.3/,
	    'one recipient too many is postponed');
	$c->command('DATA', 354);
	like($c->data("Subject: x\n\nx\n"), qr/^250/, 'the message goes to the rest');
}

# Patience: for a command as a whole, however slowly it drips in.
{
	my $c = session();
	my $start = time;
	like($c->reply // '', qr/^421 4\.4\.2 .*timeout/, 'silence ends in 421');
	cmp_ok(time - $start, '<=', 8, 'in time');
	$c = session();
	$start = time;
	my $reply;
	until (defined $reply || time - $start > 10) {
		$reply = eval { $c->raw('x'); undef } // ($@ ? $@ : undef);
		$reply //= IO::Select->new($c->socket)->can_read(0.3) ?
		    $c->reply // 'closed' : undef;
	}
	like($reply // '', qr/^421|closed|write/,
	    'a byte now and then does not keep a session');
	ok($mail->wait_log(qr/timeout after EHLO from/), 'and it is logged');
}

# The system stops: those who wait hear 421.
{
	my $c = session();
	$mail->stop;
	like($c->reply // '', qr/^421 4\.3\.2/, 'a stop is told with 421');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
