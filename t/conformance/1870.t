# 1870.t - RFC 1870: what a message weighs, said beforehand.
use strict;
use warnings;
use File::Temp ();
use Test::More;
use Postrider qw(free_port spew wait_for);
use Postrider::Fixture;

my $limit = 60_000;
my $once = File::Temp->newdir;
my ($endless, $scarce) = (free_port(), free_port());

# True the first time.
sub is_first
{
	my ($what) = @_;

	return 0 if -e "$once/$what";
	spew("$once/$what", '');
	return 1;
}

# What both hosts say, by the sender's or recipient's name.
sub talk
{
	my ($verb, $line, $s) = @_;
	my $from = $s->{from} // '';

	if ($verb eq 'MAIL') {
		return '552 5.3.4 too big' if $line =~ /<never\@/;
		return '552 too big' if $line =~ /<plain\@/;
		return '452 4.3.1 no room' if $line =~ /<later\@/ &&
		    is_first('mail');
	} elsif ($verb eq 'RCPT') {
		return '452 4.2.2 full' if $line =~ /<full\@/;
		return '552 5.2.3 too big for him' if $line =~ /<small\@/;
	} elsif ($verb eq 'DATA') {
		return '552 5.3.4 too big' if $from =~ /^data552/;
	} elsif ($verb eq 'DOT') {
		return '552 5.3.4 too big' if $from =~ /^dot552/;
		return '452 4.3.1 no room' if $from =~ /^dot452/ &&
		    is_first('dot');
	}
	return undef;
}

my $sut = Postrider::Fixture->new(remote => { replies => \&talk },
    relay => { replies => \&talk, is_noting => 1,
	extensions => ['8BITMIME', 'SIZE 1000'] },
    settings => { message_size_limit => $limit },
    master => <<"END")->start;
127.0.0.1:$endless inet n - n - - smtpd -o message_size_limit=0
127.0.0.1:$scarce inet n - n - - smtpd -o queue_minfree=900000000000000
END

# A body of so many octets on the wire, header and all.
sub weighing
{
	my ($octets, $subject) = @_;
	my $head = "Subject: $subject\r\n\r\n";
	my $left = $octets - length $head;
	my $text = ('x' x 68 . "\r\n") x ($left / 70);

	$left -= length $text;
	$text .= 'y' x ($left - 2) . "\r\n" if $left >= 2;
	substr $text, -2, 0, 'z' if $left == 1;
	return $head . $text;
}

# Send the octets; the answer to the dot.
sub post
{
	my ($c, $text, $parameters) = @_;

	$c->script("MAIL FROM:<s\@remote.test> $parameters" => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
	$c->raw("$text.\r\n");
	return $c->reply;
}

# The report that this sender got.
sub report
{
	my ($to) = @_;
	my @found;

	wait_for(sub { @found = grep { $_->{rcpt}[0] eq $to &&
	    $_->{from} eq '' } $sut->remote->messages }, 20,
	    "a report for $to\n" . $sut->log);
	return $found[0]{data};
}

# --- what EHLO says -----------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	like($c->command('EHLO c.test'), qr/^250[- ]SIZE $limit$/m,
	    '1870-4-a SIZE tells the limit');
	like(post($c, weighing($limit, 'at-limit'), ''), qr/^250/,
	    '1870-4-a a message of that size is taken');
	like(post($c, weighing($limit + 1, 'over-limit'), ''),
	    qr/^552 5\.3\.4/, '1870-4-a one more octet is not');
	my $d = $sut->friend(port => $endless, helo => undef);
	like($d->command('EHLO c.test'), qr/^250[- ]SIZE(?: 0)?$/m,
	    '1870-4-a without a limit there is no number, or 0');
	like($d->command('MAIL FROM:<s@remote.test> SIZE=70000'), qr/^250/,
	    '1870-4-a and more than the others take may come');
}

# --- the parameter ------------------------------------------------------------

{
	my $c = $sut->stranger;
	for my $size ('00000000000000000010', '0', '1', '000') {
		like($c->command("MAIL FROM:<s\@remote.test> SIZE=$size"),
		    qr/^250/, "1870-3-a SIZE=$size is a size");
		$c->command('RSET', 250);
	}
	for my $size ('=abc', '=', '=-1', '', '=+1', '=1.5', '=0x10',
	    '=1k', '=000000000000000000010') {
		like($c->command("MAIL FROM:<s\@remote.test> SIZE$size"),
		    qr/^501/, "1870-3-a SIZE$size is none");
	}
	my $line = 'MAIL FROM:<' . 'a' x 64 . '@' . join('.', ('b' x 60) x 3) .
	    '.test> BODY=8BITMIME RET=HDRS ENVID=' . 'e' x 100;
	$line .= ' ' x (512 - 2 - length $line) .
	    ' SIZE=00000000000000000010';
	is(length $line, 512 + 26 - 2, 'a line as long as RFC 1870 lets it be');
	like($c->command($line), qr/^250/, '1870-3-a a line of 538 octets');
	$c->command('RSET', 250);
	like($c->command('MAIL FROM:<s@remote.test> SIZE=1 SIZE=2'),
	    qr/^(?:501|555)/, '1870-6-b two of them are one too many');
	like($c->command('MAIL FROM:<s@remote.test> SIZE=1 size=1'),
	    qr/^(?:501|555)/, '1870-6-b however they are written');
	like($c->command('MAIL FROM:<s@remote.test> SIZE=' . ($limit + 1)),
	    qr/^552 5\.3\.4 /, '1870-6.1-a a size over the limit is refused');
	like($c->command("MAIL FROM:<s\@remote.test> SIZE=$limit"), qr/^250/,
	    '1870-6.1-a the limit itself is not');
	$c->command('RSET', 250);
	like($c->command('MAIL FROM:<s@remote.test> SIZE=99999999999999999999'),
	    qr/^552 5\.3\.4 /, '1870-6.1-a nor is a number of 20 digits lost');
	my $d = $sut->friend(port => $scarce);
	like($d->command('MAIL FROM:<s@remote.test> SIZE=50000'),
	    qr/^452 4\.3\.1 /, '1870-6.1-b there is no room now');
}

# --- it is no more than a hint ------------------------------------------------

{
	my $c = $sut->stranger;
	my $text = weighing(500, 'declared-10');
	like(post($c, $text, 'SIZE=10'), qr/^250/,
	    '1870-6-a 10 declared, 500 sent');
	my ($m) = $sut->wait_mail('alice', qr/^Subject: declared-10$/m);
	is(($m =~ /\n\n(.*?)\n*\z/s)[0], ($text =~ s/\r//gr =~
	    /\n\n(.*?)\n*\z/s)[0], '1870-6-a all of them are there');
	like($c->command('NOOP'), qr/^250/, '1870-6-a and nothing is over');
	like(post($c, weighing(40, 'declared-5000'), 'SIZE=5000'), qr/^250/,
	    '1870-6-a 5000 declared, 40 sent');
	like($c->command('NOOP'), qr/^250/, '1870-6-a the dot was the end');
	like(post($c, weighing(200, 'declared-100'), 'SIZE=100'), qr/^250/,
	    '1870-6.1-c more than declared, less than the limit');
	is(scalar($sut->wait_mail('alice', qr/^Subject: declared-100$/m)), 1,
	    '1870-6.1-c is delivered');
	like(post($c, weighing($limit + 500, 'liar'), 'SIZE=100'),
	    qr/^552 5\.3\.4/, '1870-6.3-a 552 is for who sends too much');
	for my $size (40, 1000, 59_999, $limit) {
		like(post($c, weighing($size, "true-$size"), "SIZE=$size"),
		    qr/^250/, "1870-6.3-a $size declared and sent");
	}
}

# --- the client ---------------------------------------------------------------

sub mail
{
	my ($from, $to, $text) = @_;

	return $sut->take($sut->friend, from => $from,
	    to => ref $to ? $to : [$to], text => $text);
}

{
	mail('s@remote.test', 'far@remote.test', "Subject: dots\n\n.\n..\n" .
	    ".x\n" x 100 . "\nend\n");
	my ($m) = $sut->wait_remote(qr/^Subject: dots\r$/m);
	my ($size) = $m->{mail} =~ / SIZE=(\d+)/;
	is($size, length $m->{data}, '1870-5-a the size is what is sent, ' .
	    'without stuffed dots and the last one');
}
{
	mail('heavy@remote.test', 'x@relay-ok.test', weighing(5000, 'heavy'));
	like(report('heavy@remote.test'), qr/^Status: 5\.3\.4\r$/m,
	    '1870-4-b what is over the host\'s limit is returned');
	my ($raw) = join '', $sut->relay->raw;
	like($raw, qr/\AEHLO \S+\r\n/, '1870-4-b the host was asked');
	unlike($raw, qr/heavy/, '1870-4-b and is spared the message');
}
for my $from ('never', 'plain') {
	mail("$from\@remote.test", 'x@relay-ok.test', "Subject: $from\n\nx\n");
	my $report = report("$from\@remote.test");
	like($report, qr/^Action: failed\r$/m,
	    "1870-6.2-a $from: 552 returns the message");
	like($report, qr/^Status: 5\.3\.4\r$/m, "1870-6.2-a $from: as too big");
	my ($raw) = wait_for(sub { (grep { /<$from\@/ && /QUIT|RSET/ }
	    $sut->relay->raw)[0] }, 10, 'the end of the session');
	like($raw, qr/^MAIL FROM:<$from\@\S+ [^\r]*\r\n(?:RSET|QUIT)\r\n/m,
	    "1870-6.2-a $from: RSET or QUIT follows");
	unlike($raw, qr/^DATA/m, "1870-6.2-a $from: and no DATA");
}
{
	my %id;
	$id{mail} = mail('later@remote.test', 'x@relay-ok.test',
	    "Subject: later\n\nx\n");
	$id{dot} = mail('dot452@remote.test', 'x@relay-ok.test',
	    "Subject: dot452\n\nx\n");
	mail("$_\@remote.test", 'x@relay-ok.test', "Subject: $_\n\nx\n")
	    for 'dot552', 'data552';
	mail('each@remote.test', [map { "$_\@remote.test" }
	    qw(full small fine)], "Subject: each\n\nx\n");
	for my $what ('mail', 'dot') {
		my $row = $what eq 'mail' ? '1870-6.2-b' : '1870-6.2-c';
		ok($sut->wait_log(qr/ $id{$what}: to=.*dsn=4\.3\.1, status=deferred/),
		    "$row 452 to $what: it waits");
	}
	is(($sut->postrider('queue', 'flush'))[0], 0, 'the queue is run');
	is(scalar($sut->wait_relay(qr/^Subject: later\r$/m)), 1,
	    '1870-6.2-b and goes with the next attempt');
	is(scalar($sut->wait_relay(qr/^Subject: dot452\r$/m)), 1,
	    '1870-6.2-c 452 to the dot: the same');
	like(report("$_\@remote.test"), qr/^Status: 5\.3\.4\r$/m,
	    "1870-6.2-c $_: the sender hears of it") for 'dot552', 'data552';

	ok($sut->wait_log(qr/to=<full\@remote\.test>.*dsn=4\.2\.2, status=deferred/),
	    '1870-6.4-a 452 for one recipient: he is tried again');
	my $report = report('each@remote.test');
	like($report, qr/^Final-Recipient: rfc822; small\@remote/m,
	    '1870-6.4-a 552 for another: he fails');
	unlike($report, qr/^Final-Recipient: rfc822; f/m,
	    '1870-6.4-a and only he');
	my ($m) = $sut->wait_remote(qr/^Subject: each\r$/m);
	is("@{ $m->{rcpt} }", 'fine@remote.test',
	    '1870-6.4-a the third has it');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
