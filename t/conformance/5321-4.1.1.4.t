# 5321-4.1.1.4.t - RFC 5321 section 4.1.1.4: DATA, its end, and what becomes of
# the message.
use strict;
use warnings;
use Test::More;
use Postrider qw(is_root wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(relay => { is_noting => 1 },
    aliases => "failing \"|exit 67\"\n",
    # A log that is open can be written though its directory cannot.
    settings => { message_size_limit => 50000, cleanup_wal_size => 0 })->start;
my $number = 0;

# A connection that has been told to go ahead.
sub open_data
{
	my ($who, @to) = @_;
	my $c = $who eq 'friend' ? $sut->friend : $sut->stranger;

	$c->command('MAIL FROM:<s@remote.test>', 250);
	$c->command("RCPT TO:<$_>", 250) for @to;
	$c->command('DATA', 354);
	return $c;
}

# The message with this subject: in a mailbox, or at relay-ok.test.
sub in_mailbox
{
	my ($subject) = @_;

	return ($sut->wait_mail('alice', qr/^Subject: \Q$subject\E$/m))[0];
}

sub at_relay
{
	my ($subject) = @_;

	return ($sut->wait_relay(qr/^Subject: \Q$subject\E\r$/m))[0];
}

sub body { return $_[0] =~ /\r?\n\r?\n(.*)\z/s ? $1 : die 'no body' }

sub visible { return $_[0] =~ s/\r/CR/gr =~ s/\n/LF/gr =~ s/\0/NUL/gr }

# --- data and its end ---------------------------------------------------------

{
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250);
	like($c->command('DATA'), qr/\A354 /, '5321-4.1.1.4-a DATA is told 354');
	$c->raw("Subject: plain\r\n\r\nl1\r\nNOOP\r\nQUIT\r\nl2\r\n");
	ok(!$c->has_input(0.3), '5321-4.1.1.4-a lines are data, no commands');
	$c->raw(".\r\n");
	like($c->reply, qr/\A250 /, '5321-4.1.1.4-a until the end');
	is(body(in_mailbox('plain')) =~ s/\n\n\z/\n/r, "l1\nNOOP\nQUIT\nl2\n",
	    '5321-4.1.1.4-a they are stored, the end mark is not');
}

# All that looks like the end. Some of it comes a byte at a time.
my @ends;
for my $before ("\r\n", "\n", "\r", "\r\r\n", "\r\0\n") {
	for my $after ("\r\n", "\n", "\r", "\r\r\n", "\r\0\n") {
		push @ends, "$before.$after"
		    unless $before =~ /\r\n\z/ && $after eq "\r\n";
	}
}
for my $who ('stranger', 'friend') {
	my %open;
	for my $i (0 .. $#ends) {
		my $c = $open{$i} = open_data($who, 'u@relay-ok.test');
		my @pieces = ("Subject: end-$who-$i\r\n\r\nx",
		    $i % 2 ? split //, $ends[$i] : $ends[$i],
		    'MAIL FROM:<evil@x.test>');
		if ($i % 2) {
			$c->raw(shift @pieces), select undef, undef, undef,
			    0.001 while @pieces;
		} else {
			$c->raw(join '', @pieces);
		}
	}
	select undef, undef, undef, 0.4;
	for my $i (0 .. $#ends) {
		my $seen = visible($ends[$i]);
		ok(!$open{$i}->has_input,
		    "5321-4.1.1.4-b $seen from a $who is not the end");
		$open{$i}->raw("\r\nlast\r\n.\r\n");
		like($open{$i}->reply, qr/\A250 /,
		    "5321-4.1.1.4-b CRLF.CRLF after $seen is");
		$open{$i}->command('QUIT', 221);
	}
	for my $i (0 .. $#ends) {
		like(at_relay("end-$who-$i")->{data},
		    qr/MAIL FROM:<evil.*\r\nlast\r\n\z/s,
		    '5321-4.1.1.4-b all is one message: ' .
		    visible($ends[$i]));
	}
}
is(scalar(grep { /(?<!\r)\n|\r(?!\n)/ } $sut->relay->raw), 0,
    '5321-4.1.1.4-b what goes on has no bare CR or LF');
is(scalar(grep { /\n\.\r\n(?!QUIT)/ } $sut->relay->raw), 0,
    '5321-4.1.1.4-b and one end a message');

for my $who ('stranger', 'friend') {
	my $c = open_data($who, 'alice@local.test');
	$c->raw("Subject: lf-$who\r\n\r\na\nb\n.c\n..d\n.\n" .
	    "MAIL FROM:<evil\@x.test>\r\nRCPT TO:<bob\@local.test>\r\n" .
	    "DATA\r\nSubject: smuggled\r\n\r\ne\r\n");
	ok(!$c->has_input(0.4),
	    "5321-4.1.1.4-d LF.LF from a $who gets no reply");
	$c->raw(".\r\n");
	like($c->reply, qr/\A250 /, '5321-4.1.1.4-d the real end gets one');
	ok(!$c->has_input(0.2), '5321-4.1.1.4-d and only one');
	my $body = body(in_mailbox("lf-$who"));
	like($body, qr/^\.\nMAIL FROM:<evil/m,
	    '5321-4.1.1.4-d what follows is text');
	like($body, qr/\Aa\nb\n\.c\n\.\.d\n\.\n/,
	    '5321-4.1.1.4-c a dot behind a bare LF is no dot of ours');
	is(scalar(grep { /^Subject: smuggled/m } $sut->mail('bob')), 0,
	    '5321-4.1.1.4-d nothing for bob');
}
{
	my $strict = Postrider::Fixture->new(settings => {
		smtpd_forbid_bare_newline => 'reject' })->start;
	my $c = $strict->stranger;
	for my $text ("a\nb\r\n.\r\n", "a\n.\nb\r\n.\r\n",
	    "a\r\n.\nb\r\n.\r\n") {
		$c->script('MAIL FROM:<s@remote.test>' => 250,
		    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
		$c->raw("Subject: x\r\n\r\n$text");
		like($c->reply, qr/\A550 5\.5\.2 /, '5321-4.1.1.4-c ' .
		    'smtpd_forbid_bare_newline = reject: ' . visible($text));
		like($c->command('NOOP'), qr/^250/,
		    '5321-4.1.1.4-c and it is in step');
	}
	ok($strict->take($c, from => 's@remote.test',
	    to => ['alice@local.test'], text => "Subject: clean\n\nx\n"),
	    '5321-4.1.1.4-c lines with CRLF are taken');
	$strict->wait_mail('alice', qr/^Subject: clean$/m);
	is(scalar($strict->mail('alice')), 1,
	    '5321-4.1.1.4-c and delivered, the others not');
}

# --- what is written ----------------------------------------------------------

# The bytes of a session between 354 and QUIT.
sub sent
{
	my ($subject) = @_;
	my ($raw) = grep { /^Subject: $subject\r$/m } $sut->relay->raw;

	return $raw =~ /^DATA\r\n(.*)\z/ms ? $1 : die 'no data';
}
{
	my $c = open_data('stranger', 'u@relay-ok.test', 'alice@local.test');
	$c->raw("Subject: ends\r\n\r\nlast\r\n.\r\n");
	$c->expect(250);
	at_relay('ends');
	like(sent('ends'), qr/\r\n\r\nlast\r\n\.\r\n(?:QUIT\r\n)?\z/,
	    '5321-4.1.1.4-e no line is added before the end');
	is(body(in_mailbox('ends')), "last\n\n",
	    '5321-4.1.1.4-e nor in the mailbox, but mbox\'s own');
}
{
	$sut->sendmail("To: u\@relay-ok.test\nSubject: cut\n\nabc", '-i', '-t',
	    '-f', 's@remote.test');
	at_relay('cut');
	like(sent('cut'), qr/\r\n\r\nabc\r\n\.\r\n(?:QUIT\r\n)?\z/,
	    '5321-4.1.1.4-f a last line is completed');
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<u@relay-ok.test>' => 250);
	my $text = "Subject: chunk\r\n\r\nabc";
	$c->raw('BDAT ' . length($text) . " LAST\r\n$text");
	like($c->reply, qr/^250/, '5321-4.1.1.4-f a chunk without line end');
	at_relay('chunk');
	like(sent('chunk'), qr/\r\n\r\nabc\r\n\.\r\n(?:QUIT\r\n)?\z/,
	    '5321-4.1.1.4-f is completed too');
}
{
	my $c = open_data('stranger', 'u@relay-ok.test');
	$c->raw("Subject: odd\r\n\r\n\x01bell\x07\x1b[1m\x7f\x0b\r\n.\r\n");
	$c->expect(250);
	is(body(at_relay('odd')->{data}), "\x01bell\x07\x1b[1m\x7f\x0b\r\n",
	    '5321-4.1.1.4-g foreign control characters go through');
}
{
	my ($id) = open_data('stranger', 'alice@local.test',
	    'u@relay-ok.test');
	$id->raw("Received: from a\r\nSubject: trace\r\n\r\nx\r\n.\r\n");
	$id->expect(250);
	like(at_relay('trace')->{data}, qr/\AReceived: from /,
	    '5321-4.1.1.4-k Received is the first line for the next host');
	is(scalar(() = at_relay('trace')->{data} =~ /^Received: /mg), 2,
	    '5321-4.1.1.4-k and it is ours, before the others');
	like(in_mailbox('trace') =~ s/\AFrom .*\n//r =~ s/\n[ \t]+/ /gr,
	    qr/\A(?:(?:Return-Path|X-Original-To|Delivered-To): .*\n)*Received: from c\.test .*\nReceived: from a\n/,
	    '5321-4.1.1.4-k in a mailbox after what delivery adds');
}

# --- replies ------------------------------------------------------------------

# One reply to the end, and afterwards there is no transaction.
sub check_end
{
	my ($c, $about, $re) = @_;

	like($c->reply, qr/\A$re[^\n]*\z/, "5321-4.1.1.4-h $about");
	ok(!$c->has_input(0.2), '5321-4.1.1.4-h and nothing else');
	like($c->command('RCPT TO:<bob@local.test>'), qr/^503/,
	    "5321-4.1.1.4-i $about: no RCPT without MAIL");
	like($c->command('DATA'), qr/^503/,
	    "5321-4.1.1.4-i $about: nor DATA");
	like($c->command('MAIL FROM:<t@remote.test>'), qr/^250/,
	    "5321-4.1.1.4-i $about: MAIL begins another");
	like($c->command('DATA'), qr/^(?:503|554)/,
	    "5321-4.1.1.4-i $about: which has no recipient yet");
}
{
	my $c = open_data('stranger', 'alice@local.test');
	$c->raw("Subject: good\r\n\r\nx\r\n.\r\n");
	check_end($c, 'a good message', qr/250 2\.0\.0 /);

	$c = open_data('stranger', 'alice@local.test');
	$c->raw("Subject: big\r\n\r\n" . "x\r\n" x 20000 . ".\r\n");
	check_end($c, 'one that is too big', qr/552 5\.3\.4 /);
	is(scalar(grep { /^Subject: big/m } $sut->mail('alice')), 0,
	    '5321-4.1.1.4-h what was refused is not delivered');

	$c = open_data('stranger', 'alice@local.test');
	$c->raw('Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000' .
	    "\r\n") for 1 .. 120;
	$c->raw("Subject: loop\r\n\r\nx\r\n.\r\n");
	check_end($c, 'one that goes in circles', qr/5\d\d 5\.4\.\d /);

	$c = open_data('stranger', 'alice@local.test');
	$c->raw(".\r\n");
	like($c->reply, qr/\A[25]\d\d /, '5321-4.1.1.4-l no data at all');
	ok(!$c->has_input(0.2), '5321-4.1.1.4-l gets one reply');
	like($c->command('NOOP'), qr/^250/, '5321-4.1.1.4-l all is in step');
	ok($sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: after\n\nx\n"), '5321-4.1.1.4-l the next is good');
	ok(in_mailbox('after'), '5321-4.1.1.4-l and delivered');
}
{
	my $c = open_data('stranger', 'failing@local.test');
	$c->raw("Subject: late\r\n\r\nx\r\n.\r\n");
	like($c->reply, qr/^250/, '5321-4.1.1.4-j it was accepted');
	my @reports = $sut->wait_remote(qr/^Subject: late\r$/m);
	is(scalar @reports, 1, '5321-4.1.1.4-j and then failed: a report');
	is($reports[0]{rcpt}[0], 's@remote.test', '5321-4.1.1.4-j to its sender');
	is($reports[0]{from}, '', '5321-4.1.1.4-j from nobody');
	like($reports[0]{data}, qr/^Action: failed\r\nStatus: 5\.\d+\.\d+\r$/m,
	    '5321-4.1.1.4-j with a code');
	unlike($reports[0]{data} =~ s/\r\n//gr,
	    qr/[\x00-\x08\x0a-\x1f\x7f-\xff]/,
	    '5321-4.1.1.4-g our own reports have none');
}
# A queue that cannot be written.
SKIP: {
	skip 'daemons have users only if root tests', 3 unless is_root();
	my $c = open_data('stranger', 'alice@local.test');
	$c->raw("Subject: stuck\r\n\r\nx\r\n");
	my $incoming = $sut->spool . '/incoming';
	my $mode = (stat $incoming)[2] & 07777;
	chmod 0, $incoming;
	$c->raw(".\r\n");
	my $reply = $c->reply;
	chmod $mode, $incoming;
	like($reply, qr/\A4\d\d 4\.\d\.\d /, '5321-4.1.1.4-h it could not be stored');
	$sut->wait_empty;
	is(scalar(grep { /^Subject: stuck/m } $sut->mail('alice')), 0,
	    '5321-4.1.1.4-h and it is not delivered');
	like($c->command('RCPT TO:<bob@local.test>'), qr/^503/,
	    '5321-4.1.1.4-i the transaction is over all the same');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
