# data.t - only CRLF.CRLF ends a message, and what arrives is what was sent.
use strict;
use warnings;
use Test::More;
use Postrider;

my %settings = (local_recipient_maps => '', smtpd_peername_lookup => 'no',
    relay_domains => 'relay.test', message_size_limit => 100000,
    smtp_line_length_limit => 0);
my $mail = Postrider->new(settings => \%settings);
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

my $sent = 0;

# Send raw bytes after 354; the reply, and the one message that came of it.
sub deliver_raw {
	my ($bytes) = @_;
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250, 'DATA' => 354);
	$c->raw($bytes);
	my $reply = $c->reply;
	return $reply unless $reply =~ /^250/;
	$sent++;
	Postrider::wait_for(sub { $sink->count >= $sent }, 20,
	    "message $sent at the next hop\n" . $mail->log);
	my $data = ($sink->messages)[-1]{data};
	$data =~ s/\A.*?\r\n\r\n//s;
	return ($reply, $data, $c);
}

my ($reply, $body) = deliver_raw("Subject: x\r\n\r\n..dot\r\n...\r\n" .
    "a.b\r\n..\r\n.\r\n");
is($body, ".dot\r\n..\r\na.b\r\n.\r\n", 'dots are unstuffed and stuffed again');

# Every way to write a dot between line ends that are not CRLF on both sides.
for my $before ("\r", "\n", "\r\n") {
	for my $after ("\r", "\n", "\r\n") {
		next if $before eq "\r\n" && $after eq "\r\n";
		my $shown = "$before.$after";
		$shown =~ s/\r/CR/g;
		$shown =~ s/\n/LF/g;
		my ($answer, $text) = deliver_raw("Subject: x\r\n\r\none" .
		    "$before.${after}MAIL FROM:<evil\@local.test>\r\n" .
		    "last\r\n.\r\n");
		like($answer, qr/^250/, "$shown does not end the message");
		like($text, qr/MAIL FROM:<evil.*last\r\n\z/s,
		    'what follows it is still the message');
		unlike($text, qr/(?<!\r)\n|\r(?!\n)/,
		    'and no bare CR or LF goes on');
	}
}
is($sink->count, $sent, 'no second message was smuggled in');

# Limits.
like(deliver_raw('x' x 78 . "\r\n" x 1 . ('y' x 78 . "\r\n") x 1300 . ".\r\n"),
    qr/^552 5\.3\.4/, 'a message over the limit is refused');
($reply, $body) = deliver_raw("Subject: x\r\n\r\n" . 'z' x 5000 . "\r\n.\r\n");
like($reply, qr/^250/, 'a long line is a message all the same');
is($body, 'z' x 5000 . "\r\n", 'and arrives whole');

# A long message passes in blocks that nobody looks at line by line, on the way
# in and out; whatever stands at their edges, it is the same.
srand 1;
for my $seldom (2, 40, 2000) {
	my $text = '';
	while (length $text < 90_000) {
		$text .= ('x' x int rand 90) . "\r\n";
		$text .= ('.', '..', '.x', '')[rand 4] . "\r\n"
		    if rand $seldom < 1;
	}
	my $wire = $text =~ s/^\./../mgr;
	($reply, $body) = deliver_raw("Subject: x\r\n\r\n$wire.\r\n");
	like($reply, qr/^250/, "a long message, a dot in $seldom lines");
	ok($body eq $text, 'arrives as it was');

	my $odd = $text =~ s/(\r)\n|\r(\n)/rand $seldom < .5 ? $1 : $&/ger;
	$odd =~ s/x\r\n/rand $seldom < .5 ? "x\n" : $&/ge;
	($reply, $body) = deliver_raw("Subject: x\r\n\r\n" .
	    $odd =~ s/(\A|\r\n)\K\./../gr . "\r\n.\r\n");
	like($reply, qr/^250/, 'one with line ends that are none');
	ok($body eq ($odd =~ s/(?<!\r)\n/\r\n/gr =~ s/\r(?!\n)/ /gr) .
	    "\r\n", 'arrives with line ends and spaces for them');
}

# Who was refused may finish his message, not go on for ever.
{
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250, 'DATA' => 354);
	my $block = ('x' x 78 . "\r\n") x 800;
	my $written = 0;
	eval {
		for (; $written < 200e6; $written += length $block) {
			$c->raw($block);
		}
	};
	cmp_ok($written, '<', 120e6, 'a message without end is cut off');
	ok($mail->wait_log(qr/END-OF-MESSAGE from .*: 552 5\.3\.4/),
	    'with the refusal it had from the beginning');
}

# Split at every place, a message stays what it was.
{
	my $bytes = "Subject: x\r\n\r\n..a\r\nb\r\n.\r\n";
	my $c = $mail->client;
	$c->expect(220);
	$c->command('EHLO c.test', 250);
	for my $cut (1 .. length($bytes) - 1) {
		$c->script('MAIL FROM:<s@local.test>' => 250,
		    'RCPT TO:<r@relay.test>' => 250, 'DATA' => 354);
		$c->raw(substr $bytes, 0, $cut);
		select undef, undef, undef, 0.002;
		$c->raw(substr $bytes, $cut);
		$c->expect(250, "cut at $cut");
		$sent++;
	}
	Postrider::wait_for(sub { $sink->count >= $sent }, 30, 'all the cuts');
	my @bodies = map { $_->{data} =~ /\r\n\r\n(.*)/s; $1 }
	    ($sink->messages)[-(length($bytes) - 1) .. -1];
	is(scalar(grep { $_ eq ".a\r\nb\r\n" } @bodies), length($bytes) - 1,
	    'every cut makes the same message');
}

# Half a message is no message.
{
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250, 'DATA' => 354);
	$c->raw("Subject: half\r\n\r\nhalf a mess");
	$c->close;
	$mail->wait_log(qr/lost connection after DATA from/);
	Postrider::wait_for(sub { $mail->queue_count == 0 }, 10,
	    'half a message to be forgotten');
	is($sink->count, $sent, 'a message without its end is not delivered');
}

# Reject instead of repair, but for those we trust.
$mail->set(smtpd_forbid_bare_newline => 'reject',
    smtpd_forbid_bare_newline_exclusions => '');
$mail->reload;
ok(Postrider::wait_for(sub {
	(deliver_raw("Subject: x\r\n\r\na\nb\r\n.\r\n"))[0] =~ /^550 5\.5\.2/;
}, 10, 'the new setting'),
    'smtpd_forbid_bare_newline = reject refuses a bare LF');
($reply) = deliver_raw("Subject: x\r\n\r\na\r\nb\r\n.\r\n");
like($reply, qr/^250/, 'and takes what is in order');

# Without a limit any SIZE is heard, and the disk has the last word.
$mail->set(message_size_limit => 0, queue_minfree => 1000);
$mail->reload;
ok(Postrider::wait_for(sub {
	my $c = $mail->client;
	$c->expect(220);
	return $c->command('EHLO c.test', 250) =~ /^250[- ]SIZE 0$/m &&
	    $c->command('MAIL FROM:<> SIZE=9223372036854775807') =~
	    /^452 4\.3\.1/;
}, 10, 'the new limit'), 'a SIZE beyond the disk is refused');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
