# states.t - commands out of order, cut short, too long, or not what they seem.
use strict;
use warnings;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider qw(slurp spew wait_for);
use Postrider::Fixture;

my $seed = $ENV{SEED} // 20261122;

my $sut = Postrider::Fixture->new(settings => {
	smtpd_authorized_xclient_hosts => '127.0.0.9',
	smtpd_authorized_xforward_hosts => '127.0.0.9',
	message_size_limit => 1_000_000,
	header_checks => 'regexp:${config_directory}/checks' },
    files => { checks => "/^Subject: refuse/ REJECT 5.7.1 not this\n" })->start;

# Memory of the servers, in kB, and their descriptors.
sub memory
{
	my $most = 0;

	for my $pid ($sut->children('smtpd')) {
		my ($kb) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
		$most = $kb if ($kb // 0) > $most;
	}
	return $most;
}

# Of all, with the spare processes that come and go left out.
sub descriptors
{
	return join ' ', sort map { my $pid = $_; my @fds = glob
	    "/proc/$pid/fd/*"; "$pid=" . @fds } $sut->children('smtpd');
}

sub with_mail
{
	my ($c, @to) = @_;

	$c->command('MAIL FROM:<a@b.test>', 250);
	$c->command("RCPT TO:<$_>", 250) for @to ? @to : 'alice@local.test';
	return $c;
}

sub is_in_step
{
	my ($c) = @_;

	$c->raw("NOOP still here\r\n");
	return ($c->reply // 'closed') =~ /^250 / && !$c->has_input(0.02);
}

# --- one at a time ------------------------------------------------------------

{
	my $c = with_mail($sut->stranger);
	$c->raw("BDAT 99999999999\r\n");
	like($c->reply, qr/^(?:5\d\d|421) /, 'STM-01 such a chunk is refused');
	$c->raw("DATA\r\n");
	like(eval { $c->reply } // 'closed', qr/^(?:503 5\.5\.1|closed)/,
	    'STM-01 and there is no DATA behind it');
}
{
	my $c = with_mail($sut->stranger, 'alice@local.test');
	$c->command('DATA', 354);
	like($c->data("Subject: refuse\n\nx\n", qr/^/), qr/^550 5\.7\.1/,
	    'STM-02 a rule refuses the message');
	like($c->command('RCPT TO:<bob@local.test>'), qr/^503 5\.5\.1/,
	    'STM-02 RCPT behind it needs MAIL');
	like($c->command('DATA'), qr/^503 5\.5\.1/, 'STM-02 DATA too');
	$sut->take($c, from => 't@remote.test', to => ['bob@local.test'],
	    text => "Subject: fresh\n\nx\n");
	my ($m) = $sut->wait_mail('bob', qr/^Subject: fresh$/m);
	like($m, qr/^Return-Path: <t\@remote\.test>$/m,
	    'STM-02 the next transaction is its own');
	$sut->wait_empty;
	is(scalar($sut->mail('alice')), 0,
	    'STM-02 and has nobody of the one before');
}
{
	my $c = with_mail($sut->stranger);
	like($c->command("VRFY <\xc3\xbc\@local.test>"), qr/^(?:252|501|553) /,
	    'STM-03 VRFY of UTF-8');
	like($c->command('DATA'), qr/^354/, 'STM-03 changes no transaction');
	like($c->data("Subject: verified\n\nx\n", qr/^/), qr/^250 2\.0\.0/,
	    'STM-03 which ends well');
	$sut->wait_mail('alice', qr/^Subject: verified$/m);
}
{
	my $c = with_mail($sut->stranger);
	$c->raw("BDAT 10\r\n0123456789");
	like($c->reply, qr/^250/, 'STM-04 a chunk');
	like($c->command('DATA'), qr/^503/, 'STM-04 DATA behind it');
	like($c->command('RSET'), qr/^250/, 'STM-04 RSET ends that');
	like($c->command('DATA'), qr/^503/, 'STM-04 and nothing is left');
	with_mail($c);
	$c->raw("BDAT 5\r\nab");
	ok(!$c->has_input(0.1), 'STM-04 half a chunk has no answer');
	$c->raw("RSET\r\n");
	like($c->reply, qr/^250 2\.0\.0 Ok: 5 bytes/,
	    'STM-04 RSET in a chunk is three of its bytes');
	like($c->reply, qr/^500/, 'STM-04 and the rest no command');
	like($c->command('RSET'), qr/^250/, 'STM-04 RSET behind it acts');
	with_mail($c);
	for my $byte ('.', "\r") {
		$c->raw("BDAT 1\r\n$byte");
		like($c->reply, qr/^250/, 'STM-04 chunks of one byte');
	}
	$c->raw("BDAT 1 LAST\r\n\n");
	like($c->reply, qr/^250 2\.0\.0 Ok: queued/,
	    'STM-04 that make a line of a dot');
	ok(is_in_step($c), 'STM-04 all is in step');
	my ($m) = $sut->wait_mail('alice', qr/\n\n?\.\n/);
	unlike($m, qr/0123456789|abRSE/,
	    'STM-04 what was given up is not delivered');
}
{
	my $c = $sut->stranger;
	$c->raw("MAIL\r\nRCPT TO:<no-such\@local.test>\r\nDATA\r\n" .
	    "Subject: x\r\n\r\nMAIL FROM:<a\@b.test>\r\n" .
	    "RCPT TO:<bob\@local.test>\r\nDATA\r\nSubject: run\r\n\r\nx\r\n" .
	    ".\r\nQUIT\r\n");
	my @replies;
	while (defined(my $reply = eval { $c->reply })) {
		push @replies, substr $reply, 0, 3;
	}
	like("@replies", qr/^501 503 50[34]\b/, "STM-11 @replies");
	unlike("@replies", qr/250|354/, 'STM-11 the body is not run');
	$c = $sut->stranger;
	$c->raw("MAIL FROM:<a\@b.test>\r\nRCPT TO:<no-such\@local.test>\r\n" .
	    "DATA\r\nMAIL FROM:<c\@b.test>\r\nRCPT TO:<bob\@local.test>\r\n" .
	    "DATA\r\nSubject: run\r\n\r\nx\r\n.\r\n");
	@replies = ();
	while (defined(my $reply = eval { $c->reply })) {
		push @replies, substr $reply, 0, 3;
	}
	like("@replies", qr/^250 550 554\b(?!.*(?:250|354))/,
	    "STM-11 nor when MAIL is good: @replies");
	$sut->wait_empty;
	is(scalar(grep { /^Subject: run/m } $sut->mail('bob')), 0,
	    'STM-11 bob has nothing');
}

# --- other people's names -----------------------------------------------------

{
	my $c = $sut->stranger;
	like($c->command("$_ ADDR=127.0.0.1 LOGIN=admin"), qr/^5(?:50|03) /,
	    "STM-07 $_ from a stranger") for qw(XCLIENT XFORWARD);
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<x@elsewhere.test>'), qr/^554 5\.7\.1/,
	    'STM-07 who stays one');
	my $proxy = Postrider::Client->new($sut->port, from => '127.0.0.9');
	$proxy->expect(220);
	$proxy->command('EHLO proxy.test', 250);
	for my $value ('NAME=a+0D+0Ab', 'NAME=a+0Ab', 'HELO=a+00b',
	    'ADDR=IPV6:::g', 'ADDR=IPV6:1:2:3', 'ADDR=1.2.3.4.5',
	    'ADDR=[127.0.0.1]', 'LOGIN=a+0Ab', 'PORT=99999', 'NAME=+0',
	    'NAME=' . 'x' x 1000) {
		my $about = substr $value, 0, 20;
		like($proxy->command("XCLIENT $value"), qr/^501 /,
		    "STM-07 XCLIENT $about");
		next if $value =~ /^LOGIN/;
		like($proxy->command("XFORWARD $value"), qr/^501 /,
		    "STM-07 XFORWARD $about");
	}
	like($proxy->command("$_ NAME=" . 'x' x 10_000), qr/^500 /,
	    "STM-07 $_ of 10 kB") for qw(XCLIENT XFORWARD);
	like($proxy->command("XCLIENT NAME=a\0b"), qr/^50[01] /,
	    'STM-07 with a NUL');
	ok(is_in_step($proxy), 'STM-07 all is in step');
	like($proxy->command('XCLIENT ADDR=198.51.100.9 NAME=[UNAVAILABLE]'),
	    qr/^220 /, 'STM-07 a good one acts');
	$proxy->command('EHLO c.test', 250);
	$proxy->command('MAIL FROM:<a@b.test>', 250);
	like($proxy->command('RCPT TO:<x@elsewhere.test>'), qr/^554 5\.7\.1/,
	    'STM-07 and makes a stranger');
	$sut->wait_log(qr/reject: RCPT from unknown\[198\.51\.100\.9\]/);
	unlike($sut->log, qr/[^\x20-\x7e\n]/, 'STM-07 nothing raw is logged');
}

# --- NUL, and forms of address ------------------------------------------------

{
	my $c = $sut->stranger;
	for my $command ("MAIL FROM:<root\0\@evil.test>", "EHLO a\0b",
	    "MAIL FROM:<a\@b.test>\0", "NOOP\0", "\0NOOP") {
		like($c->command($command), qr/^50[01] /, 'STM-13 ' .
		    $command =~ s/\0/NUL/gr);
	}
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command("RCPT TO:<alice\@local.test\0\@evil.test>"),
	    qr/^50[01] /, 'STM-13 nothing is cut at a NUL');
	like($c->command('DATA'), qr/^503|^554/,
	    'STM-13 and there is no recipient');
	unlike($sut->log, qr/\0/, 'STM-13 nor is one logged');
}
# Each form, what is said to it, and by strict_rfc821_envelopes; the address.
my @forms = (
	['mail from :<a@b.test>', '501', '501'],
	['MAIL FROM: <one@b.test>', '250', '250', 'one@b.test'],
	['MAIL FROM:two@b.test', '250', '501', 'two@b.test'],
	["MAIL\tFROM:<three\@b.test>", '250', '250', 'three@b.test'],
	['mAiL fRoM:<fOur@b.test>', '250', '250', 'fOur@b.test'],
	['MAIL FROM:<five@b.test>   ', '250', '250', 'five@b.test'],
	['MAIL  FROM:<six@b.test>', '250', '250', 'six@b.test'],
	['MAIL FROM:<seven@b.test>x', '501', '501'],
	['MAIL FROM:<eight@b.test', '501', '501'],
	['MAIL FROM:<<nine@b.test>>', '501', '501'],
	['MAIL FROM:<ten@b.test> <eleven@b.test>', '501', '501'],
	['MAIL FROM:Name <twelve@b.test>', '501', '501'],
	['MAIL FROM:<(c)thirteen@b.test>', '501', '501'],
	['MAIL FROM:<@x.test:fourteen@b.test>', '250', '250',
	    'fourteen@b.test'],
	[' MAIL FROM:<a@b.test>', '500', '500'],
	["\tMAIL FROM:<a\@b.test>", '500', '500'],
	['MAIL FROM', '501', '501'], ['MAIL TO:<a@b.test>', '501', '501'],
	['DATA x', '501', '501'], ['QUIT x', '501', '501'],
	['RSET x', '501', '501'], ['X' x 100_000, '500', '500'],
);
sub check_forms
{
	my ($sut, $column, $about) = @_;

	for my $form (@forms) {
		my ($command, $address) = @$form[0, 3];
		my $seen = substr $command, 0, 40;
		my $c = $sut->stranger;
		$c->raw("$command\r\n");
		my $reply = $c->reply;
		like($reply, qr/^$form->[$column] /, "STM-15 $about: $seen");
		$reply =~ /^2/ or ok(is_in_step($c),
		    "STM-15 $about: in step behind it"), next;
		for my $to ('RCPT TO:<>', 'RCPT TO: <alice@local.test',
		    'RCPT TO :<alice@local.test>') {
			like($c->command($to), qr/^501 /,
			    "STM-15 $about: $to");
		}
		$c->script('RCPT TO:<bob@local.test>' => 250, 'DATA' => 354);
		my ($id) = $c->data("Subject: form\n\nx\n") =~
		    /queued as (\w+)/;
		$sut->wait_log(qr/ $id: from=<\Q$address\E>,/);
		my ($m) = $sut->wait_mail('bob',
		    qr/^Return-Path: <\Q$address\E>$/m);
		like($m, qr/with ESMTP id $id$/m,
		    "STM-15 $about: the same is logged and delivered");
	}
}
check_forms($sut, 1, 'usually');

# --- ends of conversations ----------------------------------------------------

{
	# Each step, and whether it has an answer.
	my %ways = (DATA => ["EHLO c\r\n", "MAIL FROM:<s\@remote.test>\r\n",
	    "RCPT TO:<alice\@local.test>\r\n", "DATA\r\n",
	    "Subject: cut NUM\r\n\r\nbody\r\n.\r\n", "QUIT\r\n"],
	    BDAT => ["EHLO c\r\n", "MAIL FROM:<s\@remote.test>\r\n",
	    "RCPT TO:<alice\@local.test>\r\n",
	    "BDAT 20\r\nSubject: cut NUM\r\n\r\n",
	    "BDAT 6 LAST\r\nbody\r\n", "QUIT\r\n"]);
	wait_for(sub { my $log = $sut->log; (() = $log =~ / connect from/g) ==
	    (() = $log =~ /disconnect from/g) }, 20, 'all to be gone');
	my $before = descriptors();
	my $visits = $sut->said(qr/disconnect from/);
	my (%may, %must);
	my $number = 100;
	for my $way (sort keys %ways) {
		for my $end ('FIN', 'RST') {
			my @steps = @{ $ways{$way} };
			my $length = length join '', @steps;
			for my $k (1 .. $length) {
				my $name = $number++;
				my $c = Postrider::Client->new($sut->port,
				    from => '127.0.0.1');
				$c->expect(220);
				my $left = $k;
				for my $i (0 .. $#steps) {
					my $bytes = $steps[$i] =~
					    s/NUM/$name/r;
					$c->raw(substr $bytes, 0, $left);
					$may{$name} = 1 if $i == 4 &&
					    $left >= length $bytes;
					last if $left <= length $bytes;
					$left -= length $bytes;
					$must{$name} = 1 if $i == 4;
					$c->reply;
				}
				$must{$name} = 1 if $may{$name} &&
				    $end eq 'FIN';
				setsockopt $c->socket, SOL_SOCKET, SO_LINGER,
				    pack 'ii', 1, 0 if $end eq 'RST';
				$c->close;
			}
		}
	}
	cmp_ok($number, '>', 500, 'STM-10 cut ' . ($number - 100) . ' times');
	wait_for(sub { (() = slurp($sut->dir . '/log') =~
	    /disconnect from/g) >= $visits + $number - 100 }, 20,
	    'all to be gone');
	wait_for(sub { my %has = map { /^Subject: cut (\d+)$/m ? ($1 => 1) :
	    () } $sut->mail('alice'); !grep { !$has{$_} } keys %must }, 20,
	    'what was complete');
	$sut->wait_empty;
	my @got = map { /^Subject: cut (\d+)$/m ? $1 : () } $sut->mail('alice');
	is(scalar(grep { !$may{$_} } @got), 0,
	    'STM-10 only what was complete is delivered');
	my %times;
	$times{$_}++ for @got;
	is(scalar(grep { $_ > 1 } values %times), 0, 'STM-10 and that once');
	is(scalar(grep { /^Subject: cut/m && !/^body$/m } $sut->mail('alice')),
	    0, 'STM-10 and whole');
	is(eval { wait_for(sub { descriptors() eq $before }, 5,
	    'descriptors') } // descriptors() . " not $before", 1,
	    'STM-10 no descriptor stays open');
	is($sut->queue_count, 0, 'STM-10 nor a file in the queue');
}

# What a flood gets through before it is ended, and how memory grows.
sub flood
{
	my ($row, $about, $c, $start, $most) = @_;
	my $before = memory();
	my $sent = 0;
	my $block = 'x' x 1_000_000;

	local $SIG{PIPE} = 'IGNORE';
	$c->raw($start);
	while ($sent < $most) {
		my $n = syswrite $c->socket, $block;
		last unless defined $n;
		$sent += $n;
	}
	cmp_ok($sent, '<', $most, "$row $about: ended after $sent bytes");
	cmp_ok(memory() - $before, '<', Postrider::is_sanitized() ? 100_000 :
	    8000, "$row $about: memory is constant");
}
flood('STM-12', 'a command', $sut->stranger, '', 64_000_000);
flood('STM-12', 'a line behind EHLO', $sut->stranger, 'MAIL FROM:<',
    64_000_000);
flood('STM-12', 'a chunk', with_mail($sut->stranger),
    "BDAT 1000000000000\r\n", 64_000_000);
{
	my $c = with_mail($sut->stranger);
	$c->command('DATA', 354);
	flood('STM-12', 'a message', $c, '', 200_000_000);
}
{
	my $c = $sut->stranger;
	$c->raw('x' x 3000 . "\r\n");
	like($c->reply, qr/^500 /, 'STM-12 a line past the limit');
	ok(is_in_step($c), 'STM-12 that ends is only refused');
	# A megabyte is the end of it.
	eval { $c->raw('x' x 1_100_000) };
	my $began = time;
	my $reply = eval { $c->reply } // 'closed';
	like($reply, qr/^421 |^closed$/, 'STM-12 one without end: ' .
	    substr $reply, 0, 20);
	cmp_ok(time - $began, '<', 5, 'STM-12 at once');
}

# --- a walk beside a model ----------------------------------------------------

# Commands, how often each is chosen, and the code that the model wants. The
# model: is_extended, has_helo, mail, rcpts, had_rcpt, chunks, is_failed.
my $m;
my $message = 0;		# the number of the one being built
my (%accepted, $c, @said);

sub forget { @$m{qw(mail rcpts had_rcpt chunks is_failed)} = (0, [], 0, 0, 0) }

sub mail_says
{
	my ($needs_ehlo, $code) = @_;

	return 503 if $m->{mail} || ($needs_ehlo && !$m->{is_extended} &&
	    $code != 501);
	if ($code == 250) {
		forget();
		$m->{mail} = 1;
	}
	return $code;
}

sub rcpt_says
{
	my ($who, $code) = @_;

	return 503 if !$m->{mail} || $m->{chunks} || $m->{is_failed};
	$m->{had_rcpt} = 1;
	push @{ $m->{rcpts} }, $who if $code == 250;
	return $code;
}

sub content_says
{
	return 503 if !$m->{mail} || $m->{is_failed};
	return 0 if @{ $m->{rcpts} };
	return $m->{had_rcpt} ? 554 : 503;
}

sub accept_it
{
	$accepted{$_}{ $m->{word} }++ for keys %{ { map { $_ => 1 }
	    @{ $m->{rcpts} } } };
	forget();
	return 250;
}

sub chunk_says
{
	my ($is_last, $is_good) = @_;
	my $no = $m->{is_extended} ? content_says() : 503;

	$no ||= 501 unless $is_good;
	if ($no) {
		$m->{is_failed} = 1 if $m->{mail};
		forget() if $is_last;
		return $no;
	}
	$m->{chunks}++;
	return $is_last ? accept_it() : 250;
}

# Text of a message that says which it is, so long.
sub text { return sprintf "walk-%06d\r\n", $message }

my @alphabet = (
	[4, 'EHLO c.test', sub { forget(); @$m{qw(has_helo is_extended)} =
	    (1, 1); 250 }],
	[1, 'HELO c.test', sub { forget(); @$m{qw(has_helo is_extended)} =
	    (1, 0); 250 }],
	[1, 'EHLO', sub { 501 }], [1, 'HELO -bad-.test', sub { 501 }],
	[8, 'MAIL FROM:<s@remote.test>', sub { mail_says(0, 250) }],
	[2, 'MAIL FROM:<>', sub { mail_says(0, 250) }],
	[3, 'MAIL FROM:<s@remote.test> RET=HDRS', sub { mail_says(1, 250) }],
	[1, 'MAIL FROM:<s@remote.test> FOO=1', sub { mail_says(1, 555) }],
	[1, 'MAIL FROM:<bad@@b>', sub { mail_says(0, 501) }],
	[10, 'RCPT TO:<alice@local.test>', sub { rcpt_says('alice', 250) }],
	[5, 'RCPT TO:<bob@second.test>', sub { rcpt_says('bob', 250) }],
	[2, 'RCPT TO:<no-such@local.test>', sub { rcpt_says('', 550) }],
	[2, 'RCPT TO:<x@elsewhere.test>', sub { rcpt_says('', 554) }],
	[1, 'RCPT TO:<bad', sub { rcpt_says('', 501) }],
	[5, 'DATA', sub { $m->{chunks} ? 503 : content_says() || 354 }],
	[1, 'DATA x', sub { 501 }],
	[4, 'BDAT 13', sub { chunk_says(0, 1) }, 13],
	[3, 'BDAT 13 LAST', sub { chunk_says(1, 1) }, 13],
	[1, 'BDAT 0', sub { chunk_says(0, 1) }],
	[1, 'BDAT 13 LAST X', sub { chunk_says(0, 0) }, 13],
	[2, 'RSET', sub { forget(); 250 }], [1, 'RSET x', sub { 501 }],
	[1, 'NOOP', sub { 250 }], [1, 'NOOP x', sub { 250 }],
	[1, 'NOOP ' . 'x' x 3000, sub { 500 }], [1, "NOOP\0", sub { 500 }],
	[1, 'VRFY alice', sub { 252 }], [1, 'VRFY', sub { 501 }],
	[1, 'EXPN team', sub { 502 }], [1, 'HELP', sub { 214 }],
	[1, 'ETRN relay-ok.test', sub { !$m->{has_helo} || $m->{mail} ? 503 :
	    qr/^25[013] / }],
	[1, 'ETRN', sub { !$m->{has_helo} || $m->{mail} ? 503 : 500 }],
	[1, 'XCLIENT ADDR=127.0.0.1', sub { $m->{mail} ? 503 : 550 }],
	[1, 'AUTH PLAIN AGEAYg==', sub { qr/^50[023] / }],
	[1, 'STARTTLS', sub { qr/^50[023] / }], [1, 'FOO', sub { 500 }],
	[1, '', sub { 500 }], [1, 'QUIT x', sub { 501 }], [1, 'QUIT', sub {
	    221 }],
);
my @lots = map { ($_) x $_->[0] } @alphabet;

sub begin
{
	$c = $sut->stranger(helo => undef);
	$m = { has_helo => 0, is_extended => 0 };
	forget();
}

# One step: '' when model and server agree, or what happened.
sub step
{
	my ($command, $want, $octets) = @{ $lots[rand @lots] }[1 .. 3];

	$message++ if !$m->{mail};
	$m->{word} = sprintf 'walk-%06d', $message;
	my $expected = $want->();
	$expected = qr/^$expected / unless ref $expected;
	$c->raw("$command\r\n" . ($octets ? text() : ''));
	my $reply = $c->reply // 'closed';
	$reply =~ s/\n.*//s;
	push @said, substr("$command ", 0, 40) . "-> $reply";
	return "$command: got $reply, not $expected"
	    unless $reply =~ s/^(\d{3})-/$1 /r =~ $expected;
	begin() if $command eq 'QUIT';
	return '' unless $reply =~ /^354/;
	$c->raw(text() . ".\r\n");
	accept_it();
	$reply = $c->reply // 'closed';
	return $reply =~ /^250 / ? '' : "the message: $reply";
}
{
	note("seed $seed");
	srand $seed;
	my ($steps, $trouble) = (0, '');
	for (1 .. 40) {
		begin();
		@said = ();
		for (1 .. 200) {
			$steps++;
			last if ($trouble = step()) ne '';
		}
		last if $trouble ne '';
	}
	is($trouble, '',
	    "STM-05 seed $seed: every step of walks of 200 agrees") or
	    diag(join "\n", splice @said, -20);
	is($steps, 8000, 'STM-05 all of 8000');
	my $count = 0;
	for my $who ('alice', 'bob') {
		my %want = %{ $accepted{$who} // {} };
		$count += keys %want;
		my %got;
		eval { wait_for(sub {
			%got = ();
			for ($sut->mail($who)) {
				$got{$1}++ if /^(walk-\d+)/m;
			}
			return keys %got >= keys %want;
		}, 20, 'the messages') };
		is(join(' ', map { "$_=$got{$_}" } sort keys %got),
		    join(' ', map { "$_=$want{$_}" } sort keys %want),
		    "STM-05 what was accepted for $who is what the model has");
	}
	cmp_ok($count, '>', 100, "STM-05 $count messages");
	undef $c;
}
is(join('', $sut->complaints), '', 'nothing crashed');

# --- strict, and with the usual limits ----------------------------------------

{
	my $other = Postrider::Fixture->new(relay => { replies => sub {
		return $_[0] eq 'RCPT' ? '450 4.2.0 not now' : undef } },
	    settings => { strict_rfc821_envelopes => 'yes',
		smtpd_hard_error_limit => undef,
		smtpd_junk_command_limit => undef })->start;
	check_forms($other, 2, 'strict');

	my $c = $other->stranger;
	$other->take($c, from => 's@remote.test', to => ['u@relay-ok.test']);
	$other->wait_log(qr/to=<u\@relay-ok\.test>.*status=deferred/);
	for my $args ("#x' OR 1=1--", '@..', '@', '', 'a b', '-x.test', 'a..b',
	    '$(id).test', "x\ty", '*', '%s%n', '../../etc',
	    'x' x 300 . '.test') {
		like($c->command("ETRN $args"), qr/^(?:500|501|459|458) /,
		    'STM-09 ETRN ' . substr $args, 0, 20);
	}
	$c = $other->stranger;
	my $before = $other->said(qr/to=<u\@relay-ok\.test>.*status=deferred/);
	eval { $c->raw("ETRN relay-ok.test\r\n" x 10_000) };
	my @replies;
	while (defined(my $reply = eval { $c->reply })) {
		push @replies, substr $reply, 0, 3;
	}
	my $good = grep { /^25/ } @replies;
	cmp_ok(scalar @replies, '<', 300,
	    'STM-09 10000 at once are ended after ' . @replies . ' answers');
	like($replies[-1] // '421', qr/^(?:421|459|25\d|5\d\d)$/,
	    "STM-09 the last of which is $replies[-1]");
	$other->settle;
	my $tries = $other->said(qr/to=<u\@relay-ok\.test>.*status=deferred/) -
	    $before;
	cmp_ok($tries, '<=', 5,
	    "STM-09 $good were taken, $tries attempts made");
	is(join('', $other->complaints), '', 'nothing crashed');
}
done_testing();
