# 5321-2.t - RFC 5321 section 2: the model of SMTP and its words.
use strict;
use warnings;
use Test::More;
use Postrider qw(bin wait_for);
use Postrider::Fixture;

# The relay host can be told what it offers; remote.test refuses some.
my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1, replies => sub {
		my ($verb, $line) = @_;
		return '550 5.1.1 who?' if $verb eq 'RCPT' && $line =~ /<gone/;
		return undef;
	} },
	relay => { is_noting => 1 },
	settings => { relay_domains => 'relay-ok.test, plain.test, old.test, ' .
	    'broken.test, seven.test' });
my %special = (
	plain => { CONNECT => '220 mx ready' },
	old => { CONNECT => '220 old', EHLO => '502 5.5.1 what?' },
	broken => { EHLO => '500 5.5.1 what?' },
	seven => { EHLO => "250-seven.test\r\n250 SIZE" },
);
my %sink;
for my $name (sort keys %special) {
	my $say = $special{$name};
	$sink{$name} = $sut->sink(is_noting => 1,
	    replies => sub { return $say->{ $_[0] } });
	open my $f, '>>', $sut->etc . '/transport';
	printf $f "%s.test smtp:[127.0.0.1]:%d\n", $name,
	    $sink{$name}->port;
}
$sut->start;

my $number = 0;

# One message, by a stranger if nothing else is said; its subject, by which it
# is found.
sub mail { return $sut->post(@_) }

sub wait_sink
{
	my ($name, $subject) = @_;

	return ($sut->wait_at($sink{$name}, qr/^Subject: $subject\r$/m))[0];
}

# --- 2.1: the basic structure -------------------------------------------------

{
	my $good = mail('alice@local.test');
	my $bad = mail('relay@relay-ok.test', from => 's@remote.test');
	my $lost = 'lost-' . $number++;
	my $c = $sut->friend;
	$sut->take($c, from => 's@remote.test', to => ['gone@remote.test'],
	    text => "Subject: $lost\n\nx\n");
	is(scalar($sut->wait_mail('alice', qr/^Subject: $good$/m)), 1,
	    '5321-2.1-a what was accepted is delivered');
	is(scalar($sut->wait_relay(qr/^Subject: $bad\r$/m)), 1,
	    '5321-2.1-a or relayed');
	my @reports = $sut->wait_remote(qr/^Subject: $lost\r$/m);
	is(scalar @reports, 1, '5321-2.1-a or reported, once');
	like($reports[0]{data}, qr/^Final-Recipient: rfc822; gone\@remote/m,
	    '5321-2.1-a with the recipient that failed');
	$sut->wait_empty;
	pass('5321-2.1-a and nothing else is left');
}
{
	my $subject = mail([map { "$_\@relay-ok.test" } qw(a b c)]);
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is(join(' ', sort @{ $m->{rcpt} }), 'a@relay-ok.test b@relay-ok.test ' .
	    'c@relay-ok.test', '5321-2.1-b one copy for three recipients');
	my ($raw) = grep { /^Subject: $subject\r$/m } $sut->relay->raw;
	is(scalar(() = $raw =~ /^DATA\r$/mg), 1,
	    '5321-2.1-b and the data is sent once');
}
{
	my $c = $sut->stranger(helo => undef);
	for my $command ('EHLO c.test', 'HELO c.test', 'MAIL FROM:<a@b.test>',
	    'RCPT TO:<alice@local.test>', 'RSET', 'VRFY alice', 'EXPN team',
	    'HELP', 'NOOP', 'MAIL FROM:<a@b.test>',
	    'RCPT TO:<alice@local.test>', 'DATA', '.', 'QUIT') {
		my $reply = $c->command($command);
		like($reply, qr/\A[2-5][0-5][0-9][ -]/,
		    "5321-2.1-c $command gets one reply");
	}
	ok($c->is_closed, '5321-2.1-c and after QUIT nothing else comes');
}

# --- 2.2: extensions ----------------------------------------------------------

my @registered = qw(PIPELINING SIZE ETRN ENHANCEDSTATUSCODES 8BITMIME DSN
    SMTPUTF8 CHUNKING BINARYMIME LIMITS HELP EXPN VRFY AUTH STARTTLS
    REQUIRETLS DELIVERBY FUTURERELEASE MT-PRIORITY);
{
	my $c = $sut->stranger(helo => undef);
	my $reply = $c->command('EHLO c.test', 250);
	my @keywords = map { /^250[- ](\S+)/ ? $1 : () }
	    (split /\n/, $reply)[1 .. $reply =~ tr/\n//];
	ok(@keywords > 5, '5321-2.2.2-a EHLO has keywords');
	for my $keyword (@keywords) {
		ok(scalar(grep { $_ eq $keyword } @registered),
		    "5321-2.2.2-a $keyword is a registered extension");
	}
	unlike($reply, qr/^250[- ]X/m,
	    '5321-2.2.2-b a stranger is offered no X extension');
	for my $verb (qw(TURN SEND SOML SAML ATRN BURL WIZ DEBUG ONEX FOO)) {
		like($c->command($verb), qr/^50[02] /,
		    "5321-2.2.2-c $verb belongs to nothing that is offered");
	}
	for my $verb (qw(XCLIENT XFORWARD)) {
		unlike($c->command("$verb NAME=x"), qr/^[23]/,
		    "5321-2.2.2-b $verb is not for strangers");
	}
	like($c->command('HELO c.test'), qr/\A250 sut\.test\z/,
	    '5321-2.2.1-c HELO is answered in one line with our name');
}
for my $what (['plain', 'a greeting without the word ESMTP', '5321-2.2.1-b'],
    ['old', 'EHLO unknown', '5321-2.2.1-d'],
    ['broken', 'EHLO not implemented', '5321-2.2.1-d']) {
	my ($name, $about, $row) = @$what;
	my $subject = mail("x\@$name.test");
	my $m = wait_sink($name, $subject);
	my ($raw) = grep { /^Subject: $subject\r$/m } $sink{$name}->raw;
	like($raw, qr/\AEHLO sut\.test\r\n/,
	    "$row EHLO comes first after $about");
	next if $row eq '5321-2.2.1-b';
	like($raw, qr/\AEHLO \S+\r\nHELO sut\.test\r\n/,
	    "$row then HELO, in the same session");
	like($m->{mail}, qr/\AMAIL FROM:<s\@remote\.test>\z/,
	    "$row and no parameters");
}

# --- 2.3: words ---------------------------------------------------------------

# The header of what is made here is ASCII.
{
	my $name = (getpwuid $>)[0];
	my ($status) = $sut->sendmail("To: far\@remote.test\n" .
	    "Subject: locally-0\n\nx\n", '-t', '-F', "J\xc3\xb6rg");
	my ($m) = $sut->wait_remote(qr/^Subject: locally-0\r$/m);
	my ($header) = $m->{data} =~ /\A(.*?)\r\n\r\n/s;
	unlike($header, qr/[\x80-\xff]/,
	    '5321-2.3.1-a a header made here is ASCII');
	like($header, qr/^From: =\?utf-8\?[QB]\?/im,
	    '5321-2.3.1-a a name in it is encoded');
}
{
	my ($m) = $sut->relay->messages;
	unlike($m->{helo}, qr/\[/,
	    '5321-2.3.4-a the client says a name, no address');
	is($m->{helo}, 'EHLO sut.test',
	    '5321-2.3.5-c which is the host\'s primary one');
}
{
	my $subject = 'short-' . $number++;
	$sut->sendmail("To: far\@remote.test\nSubject: $subject\n\nx\n",
	    '-f', 'prt', '-t');
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is($m->{from}, 'prt@local.test',
	    '5321-2.3.5-a a bare sender is completed');
	like($m->{data}, qr/^From: (.*<)?prt\@local\.test>?\r$/m,
	    '5321-2.3.5-a in the header too');
}
{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<>', 250);
	like($c->command("RCPT TO:<$_>"), qr/^250/,
	    "5321-2.3.5-d <$_> is accepted") for qw(postmaster PostMaster);
	like($c->command('RCPT TO:<bob@hosta>'), qr/^5/,
	    '5321-2.3.5-a a stranger\'s partial name is not completed');
	$c->command('RSET', 250);
	like($c->command("MAIL FROM:<a\@$_>"), qr/^5/,
	    "5321-2.3.5-e a\@$_ is no mailbox")
	    for '-x.test', 'x-.test', 'x..test', '.test', 'a!b.test', 'x$y.test';
}
# Lines end with CRLF and nothing else.
{
	my $c = $sut->stranger(helo => undef);
	$c->raw("EHLO c.test\n");
	ok(!$c->has_input(1), '5321-2.3.8-a a bare LF ends no command');
	$c->raw("NOOP\r\n");
	like($c->reply, qr/^50[01]/, '5321-2.3.8-a the whole is one bad line');
	$c->raw("NOOP\rNOOP\r\n");
	like($c->reply, qr/^50[01]/, '5321-2.3.8-a nor does a bare CR');
	ok(!$c->has_input(0.2), '5321-2.3.8-a and it was one line');
	$c->raw('X' x 1001 . "\r\n");
	like($c->reply, qr/^500/, '5321-2.3.8-d a line of 1001 is too long');
	$c->raw('X' x 50_000 . "\r\n");
	like($c->reply, qr/^500/, '5321-2.3.8-d as is one of 50 kB');
	like($c->command('NOOP'), qr/^250/, '5321-2.3.8-d and all is in step');
}
{
	# Client.pm dies of replies with a bare LF.
	my $c = $sut->stranger;
	$c->raw("HELP\r\nVRFY alice\r\nFOO\r\n");
	my $bytes = '';
	wait_for(sub { $bytes .= $c->input; $bytes =~ /^5\d\d .*\n/m }, 10,
	    'replies');
	is(scalar(() = $bytes =~ /(?<!\r)\n|\r(?!\n)/g), 0,
	    '5321-2.3.8-b replies have CRLF only');
	unlike($bytes, qr/[^\x09\x0a\x0d\x20-\x7e]/,
	    '5321-2.4-f and ASCII only');
}
{
	my $subject = 'bare-' . $number++;
	$sut->sendmail("To: far\@remote.test\r\nSubject: $subject\n\n" .
	    "a\rb\nc\n\r\nd\r\r\ne", '-t', '-i');
	my $c = $sut->friend;
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<far@remote.test>' => 250, 'DATA' => 354);
	$c->raw("Subject: $subject\r\n\r\na\rb\nc\n\r\nd\r\r\ne\r\n.\r\n");
	$c->expect(250);
	$sut->wait_remote(qr/^Subject: $subject\r$/m, 2);
	my $wire = join '', $sut->remote->raw, $sut->relay->raw;
	is(scalar(() = $wire =~ /(?<!\r)\n|\r(?!\n)/g), 0,
	    '5321-2.3.8-c the client sends no bare CR or LF');
	is(scalar(() = $wire =~ /(?<!\r)\n/g), 0,
	    '5321-2.3.8-b and ends its lines with CRLF');
}

# What is relayed stays as it is.
{
	my $subject = 'odd-' . $number++;
	my $text = "X-One:  two spaces \r\nX-Fold: a\r\n\t b\r\n   c\r\n" .
	    "X-One: again\r\nSubject: $subject\r\nreceived: garbage\r\n\r\n" .
	    "trailing  \r\n\t\r\n.dot\r\n..two\r\n\xe9\xff\r\n";
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test> BODY=8BITMIME' => 250,
	    'RCPT TO:<a@relay-ok.test>' => 250, 'DATA' => 354);
	$c->raw($text =~ s/^\./../mgr . ".\r\n");
	$c->expect(250);
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my $got = $m->{data};
	ok($got =~ s/\AReceived: .*?\r\n(?![ \t])//s,
	    '5321-2.3.10-a a Received field is added');
	is($got, $text, '5321-2.3.10-a and nothing else changes');
	ok(mail('alice@relay-ok.test', header => ''),
	    '5321-2.4-i a message without From is relayed');
}
{
	my @parts = ('a%b', '"x y"', 'a!b', 'JoHn', 'Smith', 'smith', '"a@b"');
	my $subject = mail([map { "$_\@relay-ok.test" } @parts],
	    is_friend => 1, from => 'S.MiXeD@remote.test');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my @got = sort @{ $m->{rcpt} };
	is("@got", join(' ', sort map { "$_\@relay-ok.test" } @parts),
	    '5321-2.3.11-a local parts reach the next host as they were');
	ok(scalar(grep { $_ eq 'JoHn@relay-ok.test' } @got),
	    '5321-2.4-b with their case');
	is(scalar(grep { lc $_ eq 'smith@relay-ok.test' } @got), 2,
	    '5321-2.4-c and two that differ in case are two');
	is($m->{from}, 'S.MiXeD@remote.test', '5321-2.4-b senders too');
	my $raw = wait_for(sub { (grep { /^Subject: $subject\r\n.*^QUIT/ms }
	    $sut->relay->raw)[0] }, 10, 'QUIT');
	is(join(' ', $raw =~ /^(EHLO|MAIL|RCPT|DATA|QUIT)\b/mg),
	    'EHLO MAIL ' . 'RCPT ' x @parts . 'DATA QUIT',
	    '5321-2.4-d verbs are in upper case');
	$subject = mail('alice@local.test', from => 'S.MiXeD@remote.test');
	my ($kept) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($kept, qr/^Return-Path: <S\.MiXeD\@remote\.test>$/m,
	    '5321-2.4-b and in Return-Path');
}

# --- 2.4: syntax --------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	my @steps = ('ehlo c.test' => 250,
	    'MaIl fRoM:<s@remote.test> body=8bitmime' => 250,
	    'rcpt tO:<alice@LOCAL.Test>' => 250, 'dAtA' => 354);
	while (my ($command, $code) = splice @steps, 0, 2) {
		like($c->command($command), qr/^$code/,
		    "5321-2.4-a $command");
	}
	$c->data("Subject: case\n\nx\n", 250);
	$c->raw('QUIT');
	ok(!$c->has_input(1), '5321-2.4-e nothing happens before CRLF');
	$c->raw("\r\n");
	like($c->reply, qr/^221/, '5321-2.4-e then it does');
}
{
	my $subject = mail('x@seven.test', body => "caf\xe9\n",
	    header => "MIME-Version: 1.0\nContent-Type: text/plain; " .
	    "charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n");
	my $m = wait_sink('seven', $subject);
	unlike($m->{data}, qr/[\x80-\xff]/,
	    '5321-2.4-g a host without 8BITMIME gets 7 bits');
	like($m->{data}, qr/caf=E9/, '5321-2.4-g converted, not stripped');
	unlike(join('', $sink{seven}->raw), qr/[\x80-\xff]/,
	    '5321-2.4-k its envelope is ASCII');
}
{
	my $subject = mail('alice@local.test', body => "caf\xe9\n");
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($m, qr/^caf\xe9$/m, '5321-2.4-h 8-bit data without BODY is kept');
	$subject = mail('alice@local.test', body => "\x80\xff\n", header =>
	    "MIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n");
	($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($m, qr/^\x80\xff$/m,
	    '5321-2.4-j what is wrongly called 7bit is delivered as it is');
	$subject = mail('x@relay-ok.test', body => "caf\xe9\n");
	($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	unlike($m->{mail}, qr/BODY=8BITMIME/,
	    '5321-2.4-n BODY=8BITMIME is not said of what is not MIME');
}
{
	my $c = $sut->stranger;
	like($c->command("MAIL FROM:<\xc3\xbcser\@x.test>"),
	    qr/^(?:500|501|553)/, '5321-2.4-l bytes above 127 are refused');
	like($c->command("\xc3\xbc"), qr/^500/, '5321-2.4-l as a verb too');
	like($c->command('NOOP'), qr/^250/, '5321-2.4-l and the session goes on');
	like($c->command('EHLO c.test'), qr/^250[- ]8BITMIME$/m,
	    '5321-2.4-m 8BITMIME is offered');
	for my $command ('EHLOc.test', 'NOOP', 'FOO', 'RSET', 'VRFYalice') {
		like($c->command($command), qr/\A\d{3}[ -]\S/,
		    "5321-2.4-o a space follows the code ($command)");
	}
	like($c->command('EHLOc.test'), qr/^500/,
	    '5321-2.4-o and the verb needs one');
}

is(join('', $sut->complaints), '', 'nothing crashed');

# --- 2.2.1: no extensions at all ----------------------------------------------

{
	my $bare = Postrider::Fixture->new(settings => {
		smtpd_discard_ehlo_keywords => lc join(', ', @registered,
		    'XVERP', 'SILENT-DISCARD') })->start;
	my $c = $bare->stranger(helo => undef);
	my $reply = $c->command('EHLO c.test');
	like($reply, qr/\A250/, '5321-2.2.1-a EHLO works without extensions');
	is(scalar(() = $reply =~ /\n/g) <= 1, 1,
	    '5321-2.2.1-a of which none is left');
	ok($bare->take($c, from => 's@remote.test',
	    to => ['alice@local.test']), '5321-2.2.1-a and takes mail');
}
done_testing();
