# transcript.t - what the postmaster is told of sessions (notify_classes), and
# soft_bounce.
use strict;
use warnings;

use lib 't/lib';
use Postrider;
use Test::More;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => '',
	mynetworks => '127.0.0.9/32', notify_classes => 'protocol, policy',
	smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 1000,
	smtpd_soft_error_limit => 1000, smtpd_junk_command_limit => 100000 },
    files => { aliases => "postmaster root\n" })->start;

sub session
{
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	return $c;
}

# The postmaster's letters by now, at least so many.
sub letters
{
	my ($n) = @_;

	return Postrider::wait_for(sub {
		my @l = $mail->mbox('root');
		return @l >= $n ? \@l : undef;
	}, 20, "$n letters\n" . $mail->log);
}

SKIP: {
	skip 'mailboxes need root', 1 unless Postrider::is_root();

	subtest 'a session with a refusal' => sub {
		my $c = session();
		$c->script('MAIL FROM:<a@b.test>' => 250,
		    'RCPT TO:<x@elsewhere.test>' => 454,
		    'RCPT TO:<root@local.test>' => 250, DATA => 354);
		$c->data("Subject: x\n\nThe secret text\n");
		$c->command("AUTH PLAIN c2VjcmV0\tx", 502);
		$c->command("NOOP a\x01b", 250);
		$c->command('QUIT', 221);
		my ($letter) = grep { /errors from/ } @{ letters(2) };
		like($letter, qr/errors from unknown\[127\.0\.0\.1\]/, 'who');
		like($letter, qr/went wrong \(policy\)/, 'the worst class');
		like($letter, qr/^\s*Out: 220 mail\.local\.test/m, 'greeting');
		like($letter, qr/^\s*In:  EHLO client\.test/m, 'command');
		like($letter, qr/^\s*Out: 250-PIPELINING/m, 'each line');
		like($letter, qr/^\s*Out: 454 4\.7\.1 <x\@elsewhere\.test>/m,
		    'refusal');
		like($letter, qr/^\s*Out: 221/m, 'to the end');
		unlike($letter, qr/secret/, 'no message');
		like($letter, qr/^\s*In:  AUTH PLAIN$/m, 'no password');
		like($letter, qr/^\s*In:  NOOP a\?b$/m, 'no control bytes');
	};

	subtest 'a good session is nobody\'s business' => sub {
		my $before = @{ letters(2) };
		my $c = session();
		$c->script('NOOP' => 250, 'QUIT' => 221);
		$mail->send(from => 'a@b.test', to => ['root@local.test']);
		is(scalar @{ letters($before + 1) }, $before + 1,
		    'only the message itself came');
	};

	subtest 'a long session has a beginning and an end' => sub {
		my $before = @{ letters(3) };
		my $c = session();
		$c->command('WHAT', 500);
		for my $n (1 .. 1000) {
			$c->command("NOOP number $n " . 'x' x 100, 250);
		}
		$c->command('QUIT', 221);
		my $letter = letters($before + 1)->[-1];
		like($letter, qr/went wrong \(protocol\)/, 'its class');
		like($letter, qr/\(\d+ lines are left out here\)/, 'cut');
		like($letter, qr/NOOP number $_ /, "line $_") for 1, 50, 990,
		    1000;
		unlike($letter, qr/NOOP number 500 /, 'not the middle');
		cmp_ok(length $letter, '<', 34000, 'and is not long');
	};

	subtest 'classes that are not on' => sub {
		$mail->set(notify_classes => 'software');
		$mail->reload;
		my $before = @{ letters(4) };
		Postrider::wait_for(sub {
			my $c = session();
			$c->command('WHAT', 500);
			$c->command('QUIT', 221);
			$mail->send(from => 'a@b.test',
			    to => ['root@local.test']);
			my $now = @{ letters($before + 1) };
			my $is_quiet = $now == $before + 1;
			$before = $now;
			return $is_quiet;
		}, 20, 'silence');
		pass('are not told');
	};
}

subtest 'soft_bounce' => sub {
	$mail->set(soft_bounce => 'yes', notify_classes => '',
	    smtpd_relay_restrictions => 'reject_unauth_destination');
	$mail->reload;
	my $c = Postrider::wait_for(sub {
		my $c = session();
		return $c->command('WHAT') =~ /^400 4\.5\.2/ ? $c : undef;
	}, 20, 'the new settings');
	like($c->command('MAIL FROM:<a@b'), qr/^401 4\.1\.7/, 'syntax');
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<x@elsewhere.test>'),
	    qr/^454 4\.7\.1 .*Relay access denied/, 'relaying');
	like($c->command('RCPT TO:<nobody-here@local.test>'), qr/^450 4\.1\.1/,
	    'an unknown user');
	like($mail->wait_log(qr/NOQUEUE: reject: RCPT from \S+: \d+ 4\.7\.1/),
	    qr/: 454 /, 'the log has what was said');
	$c->command('RCPT TO:<root@local.test>', 250);
	$c->command('DATA', 354);
	like($c->data(("Received: by x\n" x 60) . "\nx\n", qr/^[45]/),
	    qr/^454 4\.4\.6 /, 'what cleanup refuses');
	like($c->command('QUIT'), qr/^221/, 'nothing else changes');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
