# 5321-4.2.t - RFC 5321 section 4.2: what replies look like, and what a client
# makes of those that it hears.
use strict;
use warnings;
use Postrider::Mounts;
my $is_alone;
BEGIN { $is_alone = Postrider::Mounts::alone() }
use Test::More;
use Postrider qw(free_port slurp wait_for);
use Postrider::Fixture;

# Every line that a server says here, and what it answers.
my @heard;
{
	no warnings 'redefine';
	my $line = \&Postrider::Client::line;
	*Postrider::Client::line = sub {
		my $got = $line->(@_);
		push @heard, $got if defined $got;
		return $got;
	};
}

my ($short, $busy, $wordy) = map { free_port() } 1 .. 3;
my $sut = Postrider::Fixture->new(clock => 1,
	remote => { is_noting => 1 },
	aliases => "many a\@relay-ok.test, b\@relay-ok.test, alice\n",
	settings => { dns_hosts_file => '/dev/null', delay_warning_time => '0',
	    smtp_host_lookup => 'native', smtp_randomize_addresses => 'no',
	    message_size_limit => 1_000_000, relay_domains =>
	    'relay-ok.test, broken.test', smtpd_expn_clients => '127.0.0.1',
	    header_checks => 'regexp:{{/^Subject: forbidden/ REJECT no}}' },
	master => <<"END");
127.0.0.1:$short inet n - n - - smtpd
  -o smtpd_recipient_limit=2 -o smtpd_timeout=1s
127.0.0.1:$busy inet n - n - - smtpd
  -o smtpd_recipient_restrictions=defer
127.0.0.1:$wordy inet n - n - - smtpd
  -o { smtpd_reject_footer = \\c. Call us.\\nSecond line\\nThird line }
END
my $spool = $sut->spool;
END {
	if ($sut) {
		local $?;
		$sut->stop;
		Postrider::Mounts::leave();
	}
}
Postrider::Mounts::tmpfs($spool, 'size=8m,nr_inodes=4000,mode=755')
    if $is_alone;

# How often a host heard this of a recipient.
sub count_of
{
	my ($what) = @_;

	return -s $sut->dir . "/count.$what" || 0;
}

sub count_one
{
	my ($what) = @_;

	open my $f, '>>', $sut->dir . "/count.$what" or die;
	syswrite $f, '.';
	close $f;
	return count_of($what);
}

# --- hosts that answer in many ways -------------------------------------------

sub three
{
	my ($code) = @_;

	return "$code-one\r\n$code-two\r\n$code three";
}

my %rcpt = (	# by the local part, at host rcpt.test
	r259 => '259 so be it', r459 => '459 not now', r559 => '559 never',
	fine => '250 error: failed', bad => '550 OK',
	first => ['550-a', '250 b'], last => ['250-a', '550 b'],
	r650 => '650 hi', r199 => '199 x', refused => '550 5.1.1 who?',
);
my %hosts = (
	bare => sub { return { CONNECT => '220', EHLO => '250', MAIL => '250',
	    RCPT => '250', DATA => '354', DOT => '250', QUIT => '221' }
	    ->{ $_[0] } },
	multi => sub { return { CONNECT => three(220), MAIL => three(250),
	    RCPT => three(250), DATA => three(354), DOT => three(250),
	    QUIT => three(221) }->{ $_[0] } },
	nospace => sub { return $_[0] eq 'EHLO' ?
	    "250-mx\r\n250-PIPELINING\r\n250" : undef },
	text => sub { return $_[0] =~ /^(?:EHLO|MAIL|DOT)$/ ?
	    '250 error: failed' : $_[0] eq 'DATA' ? '354 error' : undef },
	mixed => sub { return $_[0] eq 'MAIL' ? ['550-a', '250 b'] : undef },
	rcpt => sub {
		return undef unless $_[0] eq 'RCPT' && $_[1] =~ /<(\w+)\@/;
		count_one($1);
		return $rcpt{$1};
	},
	other => sub { return { MAIL => '299 yes', DATA => '399 go',
	    DOT => '299 it is here' }->{ $_[0] } },
	hi650 => sub { return $_[0] eq 'CONNECT' ? '650 hi' : undef },
	hi199 => sub { return $_[0] eq 'CONNECT' ? '199 x' : undef },
	later => sub { return $_[0] eq 'RCPT' && count_one('later') <= 2 ?
	    '450 4.2.0 later' : undef },
	dot4 => sub { return $_[0] eq 'DOT' && count_one('dot4') == 1 ?
	    '451 4.3.0 cannot write' : undef },
	dot5 => sub { return undef unless $_[0] eq 'DOT';
	    count_one('dot5'); return '554 5.6.0 no such content' },
);
my (%sink, $spare);
my ($names, $routes) = ('', '');
for my $name (sort keys %hosts) {
	$sink{$name} = $sut->sink(is_noting => 1, replies => $hosts{$name});
	my $port = $sink{$name}->port;
	$names .= "127.0.0.$_ $name.test\n" for 1, 2;
	$routes .= "$name.test smtp:[$name.test]:$port\n";
	$spare = $sut->sink(address => '127.0.0.2', port => $port)
	    if $name eq 'dot5';
}
Postrider::spew($sut->etc . '/hosts', $names);
Postrider::spew($sut->etc . '/transport', slurp($sut->etc . '/transport') .
    $routes);
$sut->set(dns_hosts_file => $sut->etc . '/hosts', relay_recipient_maps =>
    'inline:{a@relay-ok.test=x,b@relay-ok.test=x}, fail:broken');
$sut->start;

my %id;
{
	my @to = ((map { ["$_\@rcpt.test"] } sort keys %rcpt),
	    map { ["u\@$_.test"] } grep { $_ ne 'rcpt' } sort keys %hosts);
	my $c = $sut->friend;
	for my $to (@to, ['first@rcpt.test', 'last@rcpt.test', 'tail@rcpt.test']) {
		$id{"@$to"} = $sut->take($c, from => 's@remote.test',
		    to => $to, text => "Subject: to @$to\n\nx\n");
	}
	$c->command('QUIT', 221);
}

# The first line of the log about a recipient.
sub outcome
{
	my ($to) = @_;
	my ($name, $host) = split /@/, $to;
	my $id = $id{$to};

	return $sut->wait_log(qr/ $id: to=<\Q$to\E>, .*\n/, 20);
}

sub is_taken
{
	my ($host, $to) = @_;

	return grep { $_->{data} =~ /^Subject: to \Q$to\E\r$/m }
	    $sink{$host}->messages;
}

for my $what (['bare', '5321-4.2-c codes without a text'],
    ['multi', '5321-4.2-d replies of three lines to everything'],
    ['nospace', '5321-4.2.1-d no space on the last line'],
    ['text', '5321-4.2-i texts that speak of errors'],
    ['other', '5321-4.2-j 299 and 399 of which nobody has heard'],
    ['mixed', '5321-4.2.1-e lines that disagree']) {
	my ($host, $about) = @$what;
	like(outcome("u\@$host.test"), qr/status=sent/, "$about: sent");
	is(scalar(is_taken($host, "u\@$host.test")), 1, "$about: once");
}
{
	my ($raw) = $sink{multi}->raw;
	is(join(' ', $raw =~ /^(EHLO|MAIL|RCPT|DATA|\.|QUIT)\b?/mg),
	    'EHLO MAIL RCPT DATA . QUIT',
	    '5321-4.2-d and client and host are in step');
	($raw) = $sink{nospace}->raw;
	like($raw, qr/\AEHLO \S+\r\nMAIL FROM/,
	    '5321-4.2.1-d the client goes on with MAIL');
}
like(outcome('fine@rcpt.test'), qr/status=sent/,
    '5321-4.2-i 250 is a success, whatever its text');
like(outcome('bad@rcpt.test'), qr/status=bounced .*550 OK/,
    '5321-4.2-i 550 is a failure, whatever its text');
like(outcome('r259@rcpt.test'), qr/status=sent/, '5321-4.2-j 259: a success');
like(outcome('r459@rcpt.test'), qr/dsn=4\.\S+, status=deferred/,
    '5321-4.2-j 459: for now');
like(outcome('r559@rcpt.test'), qr/dsn=5\.\S+, status=bounced/,
    '5321-4.2-j 559: for good');
like(outcome('first@rcpt.test'), qr/status=sent/,
    '5321-4.2.1-e of lines that disagree the last one counts');
like(outcome('last@rcpt.test'), qr/status=bounced/,
    '5321-4.2.1-e to both sides');
{
	my $to = 'first@rcpt.test last@rcpt.test tail@rcpt.test';
	my $log = $sut->wait_log(qr/ $id{$to}: removed/) && $sut->log;
	like($log, qr/ $id{$to}: to=<$_\@rcpt\.test>.*status=sent/,
	    "5321-4.2.1-e $_ has the answer that is his")
	    for 'first', 'tail';
	like($log, qr/ $id{$to}: to=<last\@rcpt\.test>.*status=bounced/,
	    '5321-4.2.1-e and so has the other one');
}
for my $code (650, 199) {
	like(outcome("r$code\@rcpt.test"), qr/dsn=4\.\S+, status=deferred/,
	    "5321-4.2-l $code to RCPT: the message waits");
	my @raw = grep { /RCPT TO:<r$code\@/ } $sink{rcpt}->raw;
	is(scalar(grep { /^Subject: to r$code/m } @raw), 0,
	    "5321-4.2-l and $code ended the transaction before its data");
	like(outcome("u\@hi$code.test"), qr/dsn=4\.\S+, status=deferred/,
	    "5321-4.2-l $code as a greeting: the message waits");
	unlike(join('', $sink{"hi$code"}->raw), qr/MAIL|RCPT/,
	    "5321-4.2-l without a transaction");
}

# --- 4.2.1, 4.2.5: what is tried again, and what is not -----------------------

like(outcome('u@later.test'), qr/status=deferred .*450 4\.2\.0 later/,
    '5321-4.2.1-a 450: the message waits');
like(outcome('u@dot4.test'), qr/status=deferred .*451 4\.3\.0 cannot write/,
    '5321-4.2.5-d 451 to the end of data: it waits');
$sut->settle;
{
	my ($status, $list) = $sut->postrider('queue', 'list', '-j');
	my ($entry) = grep { /"\Q$id{'u@dot4.test'}\E"/ } split /\n/, $list;
	like($entry, qr/451 4\.3\.0 cannot write/,
	    '5321-4.2.5-d and the queue tells why');
	is(count_of('dot4'), 1, '5321-4.2.5-d it was offered once');
}
my @pauses;
for my $try (1, 2) {
	my $due = $sut->due->{ $id{'u@later.test'} };
	push @pauses, $due - $sut->now;
	is(count_of('later'), $try, "5321-4.2.1-a tried $try times before");
	$sut->advance($pauses[-1] - 60);
	$sut->send(from => '', to => ['alice@local.test'],
	    text => "Subject: after pause $try\n\nx\n");
	$sut->wait_mail('alice', qr/^Subject: after pause $try$/m);
	is(count_of('later'), $try, '5321-4.2.1-a not before its time');
	$sut->advance(61);
	wait_for(sub { count_of('later') > $try }, 10, 'the next attempt');
	$sut->settle;
}
for my $try (1, 2) {
	ok($pauses[$try - 1] > 700 * $try && $pauses[$try - 1] < 1300 * $try,
	    sprintf '5321-4.2.1-a pause %d is %d s', $try, $pauses[$try - 1]);
}
is(count_of('later'), 3, '5321-4.2.1-a the third attempt is the last one');
is(scalar(is_taken('later', 'u@later.test')), 1,
    '5321-4.2.1-a which delivers it');
is(scalar(is_taken('dot4', 'u@dot4.test')), 1,
    '5321-4.2.5-d the message goes out later, once');
like($sut->log, qr/$id{'u@dot4.test'}: to=.*status=sent/,
    '5321-4.2.5-d and is sent then');

is(count_of('refused'), 1, '5321-4.2.1-b after 550 nobody asks again');
is(scalar($sut->wait_remote(qr/^Final-Recipient: rfc822; refused\@/m)), 1,
    '5321-4.2.1-b the sender has one report');
like(outcome('u@dot5.test'), qr/status=bounced .*554 5\.6\.0/,
    '5321-4.2.5-c 554 to the end of data is the end');
is(count_of('dot5'), 1, '5321-4.2.5-c it was offered once') or
    diag(grep { /$id{'u@dot5.test'}/ } split /^/, $sut->log);
is($spare->sessions, 0, '5321-4.2.5-c and to no other host');
is(scalar($sut->wait_remote(qr/^Final-Recipient: rfc822; u\@dot5/m)), 1,
    '5321-4.2.5-c the sender has one report');

# --- the server's replies -----------------------------------------------------

{
	my $c = $sut->stranger;
	my @mixed = ('NOOP', 'FOO', 'RCPT TO:<alice@local.test>',
	    'MAIL FROM:<s@remote.test>', 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<alice@local.test>', 'RCPT TO:<no-such@local.test>',
	    'RCPT TO:<x@unrelated.test>', 'RSET', 'RSET x');
	$c->raw(join '', map { "$_\r\n" } (@mixed) x 5);
	my @replies = map { $c->reply } 1 .. 50;
	is(scalar(grep { /^[25]\d\d[ -]/ } @replies), 50,
	    '5321-4.2-a fifty commands, fifty replies');
	is(join(' ', map { /^(\d+)/ } @replies[0 .. 9]),
	    '250 500 503 250 503 250 550 554 250 501',
	    '5321-4.2-a in their order');
	ok(!$c->has_input(0.3), '5321-4.2-a and no reply more');
	$c->command('QUIT', 221);
}
{
	my $c = $sut->stranger(helo => undef);
	like($heard[-1], qr/\A220 sut\.test(?: |\r\n)/,
	    '5321-4.2-e the greeting begins with the server\'s name');
	$c->command('EHLO c.test', 250);
	for my $verb ('SEND FROM:<a@b.test>', 'SAML FROM:<a@b.test>',
	    'SOML FROM:<a@b.test>', 'TURN') {
		like($c->command($verb), qr/^50[02] /, "5321-4.2.4-a $verb");
	}
	like($c->command('EXPN team'), qr/^502 5\.5\.1/,
	    '5321-4.2.4-a 502 for a command that is known and not available');
	like($c->command('FOO'), qr/^500 5\.5\./,
	    '5321-4.2.4-a 500 for one that is not known');
	like($c->command('HELP FOO'), qr/^(?:504|214) /,
	    '5321-4.2.1-f HELP with an argument');
	like($c->command('AUTH FOO'), qr/^50[024] /,
	    '5321-4.2.1-f a mechanism that does not exist');
	like($c->command('MAIL FROM:<s@remote.test> BODY=FOO'), qr/^50[14] /,
	    '5321-4.2.1-f a value of BODY that does not exist');
}

# What EHLO offers is there.
{
	my $c = $sut->friend(helo => undef);
	my @offers = map { /^250[- ](\S+)/ ? $1 : () }
	    split /\n/, $c->command('EHLO c.test', 250);
	my %verbs = (VRFY => ['VRFY alice'], EXPN => ['EXPN many'],
	    HELP => ['HELP'], ETRN => ['ETRN relay-ok.test'],
	    CHUNKING => ['MAIL FROM:<s@remote.test>',
	    'RCPT TO:<alice@local.test>', 'BDAT 0 LAST'],
	    SIZE => ['MAIL FROM:<s@remote.test> SIZE=10', 'RSET'],
	    '8BITMIME' => ['MAIL FROM:<s@remote.test> BODY=8BITMIME', 'RSET'],
	    DSN => ['MAIL FROM:<s@remote.test> RET=HDRS ENVID=x',
	    'RCPT TO:<alice@local.test> NOTIFY=NEVER', 'RSET'],
	    SMTPUTF8 => ['MAIL FROM:<s@remote.test> SMTPUTF8', 'RSET'],
	    PIPELINING => ["NOOP\r\nNOOP"], LIMITS => ['NOOP'],
	    ENHANCEDSTATUSCODES => ['NOOP']);
	shift @offers;
	for my $offer (@offers) {
		my $list = $verbs{$offer};
		ok($list, "5321-4.2.4-b the test knows $offer") or next;
		unlike($c->command($_), qr/^50[02]/,
		    "5321-4.2.4-b $offer: @{[ s/\r\n/, /r ]}") for @$list;
		unlike($c->reply, qr/^50/, '5321-4.2.4-b both of them')
		    if $offer eq 'PIPELINING';
	}
}

# Lines of one reply.
sub check_lines
{
	my ($what, $reply, $least) = @_;
	my @lines = split /\n/, $reply // '';
	my $last = pop @lines;
	my ($code) = ($last // '') =~ /^(\d{3}) /;

	cmp_ok(1 + @lines, '>=', $least, "5321-4.2.1-c $what has lines");
	ok(defined $code, "5321-4.2.1-c $what: the last one has a space") or
	    return;
	is(scalar(grep { !/^$code-/ } @lines), 0,
	    "5321-4.2.1-c $what: the others have $code and a hyphen");
}
{
	my $c = $sut->friend(helo => undef);
	check_lines('EHLO', $c->command('EHLO c.test'), 5);
	check_lines('HELP', $c->command('HELP'), 1);
	check_lines('EXPN', $c->command('EXPN many'), 3);
	$c = $sut->stranger(port => $wordy);
	$c->command('MAIL FROM:<s@remote.test>', 250);
	check_lines('a long refusal',
	    $c->command('RCPT TO:<no-such@local.test>'), 3);
}

# --- 4.2.2: the codes of trouble ----------------------------------------------

{
	my $c = $sut->stranger(port => $busy);
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<alice@local.test>'), qr/^450 4\./,
	    '5321-4.2.2-a 450: this mailbox not now');
	$c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<a@broken.test>'), qr/^451 4\.3\./,
	    '5321-4.2.2-a 451: a lookup that fails');
	$c = $sut->stranger(port => $short);
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    map { ("RCPT TO:<$_\@local.test>" => 250) } qw(alice bob));
	like($c->command('RCPT TO:<team@local.test>'), qr/^452 4\.5\.3/,
	    '5321-4.2.2-a 452: too many recipients');
	$c = $sut->stranger(port => $short);
	$sut->advance(5);
	like($c->reply, qr/^421 4\.4\.2 sut\.test /,
	    '5321-4.2.2-a 421: it closes after a timeout');
	ok($c->is_closed, '5321-4.2.2-a and does so');
}

# --- 4.2.5: the end of data ---------------------------------------------------

# How many messages to alice are in the queue.
sub queued
{
	my ($status, $list) = $sut->postrider('queue', 'list', '-j');

	return scalar(() = $list =~ /alice\@local\.test|"prt-alice/g);
}
sub begin
{
	my $c = $sut->stranger;

	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, DATA => 354);
	return $c;
}
{
	my $reports = $sut->remote->count;
	like(begin()->data("Subject: forbidden\n\nx\n", qr/^\d/),
	    qr/^55[04] 5\.7\.1/, '5321-4.2.5-b a content that is refused');
	my $c = begin();
	$c->data("Subject: behind\n\nx\n", 250);
	$sut->wait_mail('alice', qr/^Subject: behind$/m);
	$sut->settle;
	is(scalar(grep { /^Subject: forbidden$/m } $sut->mail('alice')), 0,
	    '5321-4.2.5-b it is not delivered');
	is(queued(), 0, '5321-4.2.5-b nor queued');
	is($sut->remote->count, $reports,
	    '5321-4.2.5-b nor reported by this server');
}
sub check_postponed
{
	my ($subject, $code, $about, $break, $mend) = @_;
	my $half = ('y' x 70 . "\n") x 4000;
	my $text = "Subject: $subject\n\n$half$half";
	my $c = begin();

	$sut->give_beginning($c, "Subject: $subject\n\n$half");
	$break->();
	like($c->data($half, qr/^\d/), $code,
	    "5321-4.2.5-a $about: $code");
	$mend->();
	is(queued(), 0, '5321-4.2.5-a nothing is queued');
	wait_for(sub { $sut->stranger->command('MAIL FROM:<>') =~ /^250/ },
	    10, 'MAIL to be taken');
	wait_for(sub { eval { begin()->data($text, 250) } }, 10,
	    'the message to be taken');
	$sut->wait_mail('alice', qr/^Subject: $subject$/m);
	$sut->settle;
	is(scalar(grep { /^Subject: $subject$/m } $sut->mail('alice')), 1,
	    '5321-4.2.5-a the client comes again and there is one copy');
}
SKIP: {
	skip 'a private mount namespace cannot be had here', 4
	    unless $is_alone;
	check_postponed('no-space', qr/^45[12] 4\.3\./, 'a full disk', sub {
		open my $f, '>>:raw', "$spool/filler" or die;
		for my $size (65536, 4096, 1) {
			1 while syswrite $f, 'x' x $size;
		}
	}, sub {
		unlink "$spool/filler";
		$sut->wait_room;
	});
	like($heard[-1], qr/^2/, 'and mail is taken again');
}
check_postponed('no-cleanup', qr/^451 4\.3\./,
    'the end of the program that stores messages',
    sub { kill 'KILL', $sut->children('cleanup') }, sub { });

# --- everything that was said -------------------------------------------------

# Anything at all, the same each time.
{
	srand 5321;
	my $c = $sut->stranger;
	my @words = ('MAIL FROM:', 'RCPT TO:', '<s@remote.test>', 'NOOP',
	    '<alice@local.test>', ' ', ' SIZE=', '99', 'RSET', 'VRFY', 'EHLO',
	    ' BODY=7BIT', 'x', '<>', ':', '<no-such@local.test>', 'EXPN',
	    ' ORCPT=rfc822;a', "\t", 'HELO', 'ETRN', ' a.test', 'HELP',
	    '<a@unrelated.test>', '%s%n', ' NOTIFY=', "\x7f", '=');
	my @lines = map { my $n = 1 + int rand 4;
	    join '', map { $words[rand @words] } 1 .. $n } 1 .. 400;
	@lines = map { /^[A-Za-z]/ ? $_ : "NOOP $_" } @lines;
	$c->raw(join '', map { "$_\r\n" } @lines);
	my $replies = grep { defined $c->reply } @lines;
	is($replies, scalar @lines, '5321-4.2-a any line gets one reply');
	$c->command('QUIT', 221);
}
{
	my $c = $sut->stranger;
	is($sut->stop, 0, 'the system stops');
	like($c->reply, qr/^421 4\.3\.2 sut\.test /,
	    '5321-4.2.2-a 421: it shuts down');
}
cmp_ok(scalar @heard, '>', 500, scalar(@heard) . ' lines were heard');
my @bad = grep { !/\A[2-5][0-5]\d(?:[ -][\t\x20-\x7e]*)?\r\n\z/ } @heard;
is("@bad", '', '5321-4.2-b all of them are lines of replies');
@bad = grep { !/\A\d{3}[ -][\x21-\x7e]/ } @heard;
is("@bad", '', '5321-4.2-h none is a code alone');
@bad = grep { !/\A[2-5]/ } @heard;
is("@bad", '', '5321-4.2-k none begins with another digit');
# ETRN's own are in RFC 1985.
my %listed = map { $_ => 1 } 211, 214, 220, 221, 250 .. 252, 354, 421,
    450 .. 452, 455, 500 .. 504, 550 .. 556, 521, 253, 458, 459;
@bad = grep { !/\A(\d{3})/ || !$listed{$1} } @heard;
is("@bad", '', '5321-4.2-f all codes are listed somewhere');
my %said = map { /\A\d{3}[ -](.*?)\r/ ? ($1 => 1) : () } @heard;
ok((grep { /\bOk\b/i } keys %said) && (grep { /\ABye|\bBye\z/ } keys %said) &&
    (grep { /End data with <CR><LF>\.<CR><LF>/i } keys %said),
    'the texts are those that people know');

is(join('', grep { !m{/cleanup pid \d+ killed by signal 9$} }
    $sut->complaints), '', 'nothing else crashed');
done_testing();
