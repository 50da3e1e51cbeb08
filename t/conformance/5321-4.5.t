# 5321-4.5.t - RFC 5321 sections 4.5.1 to 4.5.3.1: what every server has, dots,
# and the sizes of things that are sent.
use strict;
use warnings;
use Test::More;
use List::Util qw(max);
use Postrider qw(free_port slurp spew wait_for);
use Postrider::Fixture;

my ($few, $rated) = (free_port(), free_port());
my $limit = 1000000;
my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1 },
	relay => { is_noting => 1 },
	settings => { message_size_limit => $limit,
	    relay_domains => 'relay-ok.test, sized.test, unsized.test, ' .
		'long.test, wide.test, picky.test, long-path.test',
	    virtual_alias_domains => 'virtual.test',
	    virtual_alias_maps => 'inline:{ { x@virtual.test = alice } ' .
		'{ postmaster@virtual.test = alice } }',
	    wide_destination_recipient_limit => 500 },
	master => <<"END");
127.0.0.1:$few inet n - n - - smtpd
  -o smtpd_recipient_limit=100
127.0.0.1:$rated inet n - n - - smtpd
  -o smtpd_client_recipient_rate_limit=3
wide unix - - n - - smtp
END

# --- the hosts that mail goes to ----------------------------------------------

my %hosts = (
	sized => { EHLO => "250-s\r\n250 SIZE 100000000" },
	unsized => { EHLO => "250-s\r\n250 8BITMIME" },
	long => { CONNECT => '220 ' . 'g' x 5000,
	    EHLO => '250-' . 'e' x 5000 . "\r\n" . "250-X-ANY\r\n" x 2000 .
		'250 SIZE', MAIL => "250-ok\r\n" x 2000 . '250 ok',
	    RCPT => '250 ' . 'r' x 5000, DATA => '354 ' . 'd' x 5000,
	    DOT => '250 ' . 't' x 5000 },
);
my %sink;
sub host
{
	my ($name, $replies) = @_;

	$sink{$name} = $sut->sink(is_noting => 1, replies => $replies);
	open my $f, '>>', $sut->etc . '/transport';
	printf $f "%s.test %s:[127.0.0.1]:%d\n", $name,
	    $name =~ /wide|picky/ ? 'wide' : 'smtp', $sink{$name}->port;
}
for my $name (sort keys %hosts) {
	my $say = $hosts{$name};
	host($name, sub { return $say->{ $_[0] } });
}
host('wide', sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'RCPT' && @{ $s->{rcpt} } >= 100 ?
	    '452 4.5.3 Too many recipients' : undef;
});
host('picky', sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'RCPT' && @{ $s->{rcpt} } >= 3 ?
	    '552 too many recipients' : undef;
});
host('long-path', sub {
	my ($verb, $line) = @_;
	return $verb eq 'RCPT' && $line =~ /<[a-z]+(\d+)/ ?
	    "$1 5.3.4 path too long" : undef;
});
my $home = $sut->home(1);
spew("$home/.forward", "$home/Maildir/\n");
chown((getpwnam $sut->user(1))[2, 3], "$home/.forward");
$sut->start;

# One message, by a stranger; its subject, by which it is found.
sub mail { return $sut->post(@_) }

# The same with bytes as they are on the wire, dot and all.
sub mail_raw
{
	my ($to, @pieces) = @_;
	my $subject = $sut->subject;
	my $c = $sut->stranger;

	$c->command('MAIL FROM:<s@remote.test>', 250);
	$c->command("RCPT TO:<$_>", 250) for @$to;
	$c->command('DATA', 354);
	$c->raw("Subject: $subject\r\n\r\n");
	for my $piece (@pieces) {
		select undef, undef, undef, 0.03 if @pieces > 1;
		$c->raw($piece);
	}
	$c->expect(250, 'message');
	return $subject;
}

sub body { return ($_[0] =~ /\r?\n\r?\n(.*)\z/s)[0] }
sub wait_sink
{
	my ($name, $subject) = @_;

	return ($sut->wait_at($sink{$name}, qr/^Subject: $subject\r$/m))[0];
}

# --- 4.5.1 --------------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	for my $command ('HELO c.test', 'EHLO c.test', 'NOOP', 'VRFY alice',
	    'MAIL FROM:<s@remote.test>', 'RCPT TO:<alice@local.test>', 'RSET',
	    'MAIL FROM:<s@remote.test>', 'RCPT TO:<alice@local.test>',
	    'DATA', '.', 'QUIT') {
		like($c->command($command), qr/^(?:250|252|354|221)\b/,
		    "5321-4.5.1-a $command");
	}
}
{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	for my $to ('postmaster', 'Postmaster', 'POSTMASTER', map {
	    ("postmaster\@$_", "PostMaster\@$_") } qw(local.test second.test
	    sut.test relay-ok.test virtual.test [127.0.0.1])) {
		like($c->command("RCPT TO:<$to>"), qr/^250/,
		    "5321-4.5.1-b <$to> is somebody");
	}
	my $subject = mail('PostMaster');
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    '5321-4.5.1-b whom mail reaches');
}

# Who looks as bad as can be, and who has asked for too much.
for my $way (['127.0.0.9', undef, ''], ['127.0.0.9', 'EHLO sut.test', ''],
    ['127.0.0.9', 'HELO localhost', 'x@no-such-domain.test'],
    ['127.0.0.9', 'EHLO [192.0.2.1]', 'alice@local.test'],
    ['127.0.0.9', 'EHLO c_c', 'postmaster@local.test']) {
	my ($from, $helo, $sender) = @$way;
	my $c = $sut->_connect($from, helo => $helo);
	$c->command("MAIL FROM:<$sender>", 250);
	like($c->command('RCPT TO:<postmaster@local.test>'), qr/^250/,
	    "5321-4.5.1-c postmaster hears <$sender> after " .
	    ($helo // 'no word'));
}
{
	my @c = map { $sut->_connect($_, port => $rated) } '127.0.0.7',
	    '127.0.0.8';
	$_->command('MAIL FROM:<s@remote.test>', 250) for @c;
	my @said = map { $c[0]->command('RCPT TO:<postmaster@local.test>') }
	    1 .. 5;
	like($said[4], qr/^45\d /, '5321-4.5.1-c a client that asks too ' .
	    'often is only put off');
	like($c[1]->command('RCPT TO:<postmaster@local.test>'), qr/^250/,
	    '5321-4.5.1-c and no other client with it');
}

# --- 4.5.2 --------------------------------------------------------------------

{
	# Dots at the start, in the middle, and near the ends of buffers.
	my $body = join '', map { "$_\n" } '.', '..', '.x', '', '...', 'x.',
	    map { ('y' x $_, '.', '.z') } 1000, 8190, 8192, 16383, 65530;
	my $subject = mail('u@relay-ok.test', body => $body);
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my ($raw) = grep { /^Subject: $subject\r$/m } $sut->relay->raw;
	my ($wire) = $raw =~ /^Subject: $subject\r\n\r\n(.*?\r\n)\.\r\n/ms;
	like($wire, qr/\A\.\.\r\n\.\.\.\r\n\.\.x\r\n\r\n\.{4}\r\nx\.\r\n/,
	    '5321-4.5.2-a dots are doubled at the start of lines');
	is(scalar(() = $wire =~ /^\.\.z\r$/mg), 5, '5321-4.5.2-a each of them')
	    or diag(length $wire);
	is(scalar(() = $wire =~ /^\.(?!\.)/mg), 0, '5321-4.5.2-a without fail');
}
{
	my $subject = mail_raw(['alice@local.test', 'u@relay-ok.test'],
	    "..x\r\n..\r\n.x\r\n...\r\ny\r\n.\r\n");
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	is(body($m), ".x\n.\nx\n..\ny\n\n",
	    '5321-4.5.2-b the first dot of a line is taken away');
	my ($far) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is(body($far->{data}), ".x\r\n.\r\nx\r\n..\r\ny\r\n",
	    '5321-4.5.2-b wherever it goes');
	for my $pieces (["one\r\n", '.', "\r\n"], ["one\r\n.", "\r", "\n"],
	    ['one', "\r", "\n", '.', "\r", "\n"], ["one\r\n.\r\n"]) {
		$subject = mail_raw(['alice@local.test'], @$pieces);
		($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
		is(body($m), "one\n\n", '5321-4.5.2-c the end in ' .
		    @$pieces . ' pieces');
	}
}
{
	my $all = join '', map { chr } grep { $_ != 10 && $_ != 13 } 0 .. 127;
	my $body = "$all\r\nx\x00y\r\n\x7f\x1b[0m\x08\r\n\tz \t \r\n \r\n";
	my $from = "From here on\r\n>From before\r\n From\r\n";
	my $subject = mail_raw(['alice@local.test', $sut->user(1) .
	    '@local.test', 'u@relay-ok.test'], "$body$from.\r\n");
	my ($far) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	my @files;
	wait_for(sub { @files = grep { /^Subject: $subject$/m }
	    $sut->maildir("$home/Maildir") }, 10, "the maildir\n" . $sut->log);
	is(body($far->{data}), $body . $from,
	    '5321-4.5.2-d all of ASCII is relayed as it is');
	(my $local = $body . $from) =~ s/\r\n/\n/g;
	is(substr(body($m), 0, length($body =~ s/\r\n/\n/gr)),
	    $body =~ s/\r\n/\n/gr, '5321-4.5.2-d and delivered as it is');
	is(body($files[0]), $local, '5321-4.5.2-e a maildir changes nothing');
	is($files[0] =~ /\AReturn-Path/ ? 1 : 0, 1,
	    '5321-4.5.2-e but the head of the message');
	is(body($far->{data}), $body . $from,
	    '5321-4.5.2-e what is relayed has no > before From');
	like($m, qr/^>From here on$/m, '5321-4.5.2-e a mbox has');
	is(body($m) =~ s/^>From here/From here/mr, "$local\n",
	    '5321-4.5.2-e and with it taken away all is as it was');
}

# --- 4.5.3.1: sizes the server takes ------------------------------------------

# A domain of so many octets.
sub domain
{
	my ($length, $end) = @_;
	my $name = '';

	$name .= substr('d' x 63, 0, 63) . '.'
	    while $length - length($name) - length($end) > 64;
	return $name . 'd' x ($length - length($name) - length($end) - 1) .
	    ".$end";
}
sub local_part { return 'l' x $_[0] }
{
	my $c = $sut->friend;
	$c->command('MAIL FROM:<' . local_part(64) . '@remote.test>', 250);
	like($c->command('RCPT TO:<' . local_part(64) . '@relay-ok.test>'),
	    qr/^250/, '5321-4.5.3.1.1-a a local part of 64 octets');
	like($c->command('RCPT TO:<alice+' . 'x' x 58 . '@local.test>'),
	    qr/^250/, '5321-4.5.3.1.1-a here as well');
	my $domain = domain(253, 'relay-ok.test');
	is(length $domain, 253, 'the longest domain of the name system');
	like($c->command("RCPT TO:<u\@$domain>"), qr/^250/,
	    '5321-4.5.3.1.2-a is taken');
	my $path = '<' . local_part(64) . '@' . domain(189, 'relay-ok.test') .
	    '>';
	is(length $path, 256, 'a path of 256 octets');
	like($c->command("RCPT TO:$path"), qr/^250/,
	    '5321-4.5.3.1.3-a is taken');
	$c->command('RSET', 250);
	like($c->command("MAIL FROM:$path"), qr/^250/,
	    '5321-4.5.3.1.3-a in MAIL too');
}
{
	my $c = $sut->friend;
	my $noop = 'NOOP ' . 'n' x 505;
	is(length "$noop\r\n", 512, 'a command line of 512 octets');
	like($c->command($noop), qr/^250/, '5321-4.5.3.1.4-a is taken');
	my $path = '<' . local_part(64) . '@' . domain(189, 'relay-ok.test') .
	    '>';
	my $line = "MAIL FROM:$path SIZE=1000 BODY=8BITMIME RET=HDRS " .
	    'SMTPUTF8 ENVID=' . 'e' x 100;
	$line .= ' ' x (1022 - length $line);
	like($c->command($line), qr/^250/,
	    '5321-4.5.3.1.4-a and MAIL of 1024 octets');
	$line = "RCPT TO:$path NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" .
	    'o' x 480 . '@x.test';
	cmp_ok(length $line, '>', 790, 'a long RCPT');
	like($c->command($line), qr/^250/, '5321-4.5.3.1.4-a is taken too');
	$c->command('RSET', 250);
	for my $length (10000, 1000000) {
		my $other = $sut->stranger;
		$other->raw('NOOP ' . 'n' x $length . "\r\nNOOP\r\n");
		my $reply = $other->reply // '';
		like($reply, qr/^(?:500|421) /, '5321-4.5.3.1.4-b a line of ' .
		    "$length octets is refused once");
		like($other->reply // '', qr/^250 /, '5321-4.5.3.1.4-b and ' .
		    'the next one is answered') if $reply =~ /^500/;
	}
	like($c->command('NOOP'), qr/^250/,
	    '5321-4.5.3.1.4-b nobody else notices');
}

# The longest replies, to all that is long.
{
	my $c = $sut->friend;
	my $path = local_part(64) . '@' . domain(189, 'relay-ok.test');
	my $far = local_part(64) . '@' . domain(250, 'elsewhere.test');
	my @lines;
	for my $command ('EHLO ' . domain(253, 'x.test'), "VRFY $path",
	    "VRFY $far", 'VRFY ' . 'v' x 900, "MAIL FROM:<$far>",
	    "RCPT TO:<$path>", "RCPT TO:<$far>", 'RCPT TO:<' . 'r' x 900 .
	    '@local.test>', 'RCPT TO:<' . '"\"' . '\\"' x 400 .
	    '"@local.test>', 'RCPT TO:<' . 'z' x 400 . '@' . 'z' x 900 . '>',
	    'ETRN ' . 'e' x 900, 'ETRN ' . domain(253, 'e.test'),
	    'F' x 900, 'EHLO ' . 'h.' x 450, 'HELO ' . '<' x 900,
	    "MAIL FROM:<$far> X" . 'x' x 900) {
		$c->raw("$command\r\n");
		my $line;
		do { push @lines, $line = $c->line } while $line =~ /^\d{3}-/;
	}
	cmp_ok(max(map { length } @lines), '<=', 512,
	    '5321-4.5.3.1.5-a no reply line is longer than 512 octets');
	cmp_ok(max(map { length } @lines), '>', 200,
	    '5321-4.5.3.1.5-a though some are long');
}
{
	my $line = 't' x 998;
	my $subject = mail_raw(['alice@local.test', 'u@relay-ok.test'],
	    "$line\r\n..$line\r\n.\r\n") ;
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	is(body($m), "$line\n.$line\n\n",
	    '5321-4.5.3.1.6-a lines of 1000 octets and a bit');
	my ($far) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	like($far->{data}, qr/^$line\r$/m,
	    '5321-4.5.3.1.6-a go on as they came');
	my $endless = join ' ', 1 .. 2200;
	cmp_ok(length $endless, '>', 9000, 'a longer line');
	$subject = mail(['alice@local.test', 'u@relay-ok.test'],
	    body => "$endless\n");
	($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	is(body($m), "$endless\n\n", '5321-4.5.3.1.6-c is delivered whole');
	($far) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is(body($far->{data}) =~ s/\r\n (?!\z)//gr, "$endless\r\n",
	    '5321-4.5.3.1.6-c and relayed whole');
	my ($raw) = grep { /^Subject: $subject\r$/m } $sut->relay->raw;
	cmp_ok(max(map { length } split /(?<=\n)/, $raw), '<=', 1000,
	    '5321-4.5.3.1.6-b in lines of at most 1000 octets');
}
{
	my $body = ('m' x 70 . "\n") x 1000;
	my $subject = mail(['alice@local.test', 'u@relay-ok.test'],
	    body => $body);
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	is(body($m), "$body\n", '5321-4.5.3.1.7-a 71000 octets arrive');
	my $c = $sut->stranger(helo => undef);
	my ($size) = $c->command('EHLO c.test') =~ /^250[- ]SIZE (\d+)$/m;
	is($size, $limit, '5321-4.5.3.1.7-b SIZE tells the limit');
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
	my $text = ('m' x 998 . "\n") x 1000;
	like($c->data($text . 'm' x ($limit - 1000 * 1000 + 1) . "\n",
	    qr/^[25]/), qr/^552 5\.3\.4/,
	    '5321-4.5.3.1.7-b more than that is refused');
	like($c->command('NOOP'), qr/^250/, '5321-4.5.3.1.7-b with a reply');
}

# --- recipients ---------------------------------------------------------------

{
	my $c = $sut->stranger(port => $few);
	my $subject = $sut->subject;
	my @to = map { "u$_\@relay-ok.test" } 1 .. 105;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my @said = map { $c->command("RCPT TO:<$_>") } @to;
	is(scalar(grep { /^250/ } @said[0 .. 99]), 100,
	    '5321-4.5.3.1.8-a 100 recipients are taken');
	is(scalar(grep { /^452 4\.5\.3/ } @said[100 .. 104]), 5,
	    '5321-4.5.3.1.8-b more than the limit are not');
	like($said[100], qr/^452 4\.5\.3 /,
	    '5321-4.5.3.1.10-a the code is 452');
	like($said[100], qr/^452/, '5321-4.5.3.1.9-a of recipients, 452');
	like($c->command('DATA'), qr/^354/,
	    '5321-4.5.3.1.10-a DATA goes on');
	$c->data("Subject: $subject\n\nx\n", 250);
	my @got;
	wait_for(sub { (@got = map { @{ $_->{rcpt} } } grep {
	    $_->{data} =~ /^Subject: $subject\r$/m } $sut->relay->messages)
	    >= 100 }, 20, 'a hundred');
	is_deeply([sort @got], [sort @to[0 .. 99]],
	    '5321-4.5.3.1.8-a all of them get it');
	is(scalar @got, 100, '5321-4.5.3.1.8-b and nobody else');

	$subject = mail('alice@local.test', header => 'To: ' .
	    join(",\n\t", map { "someone-$_\@somewhere.test" } 1 .. 500) .
	    "\n");
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    '5321-4.5.3.1.8-c 500 addresses in To do not matter');
}
{
	my $c = $sut->stranger;
	like($c->command('NOOP ' . 'n' x 3000), qr/^50[01]/,
	    '5321-4.5.3.1.9-a of lines, 500');
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<' . local_part(64) . '@' .
	    domain(300, 'local.test') . '>'), qr/^5(?:01|53)/,
	    '5321-4.5.3.1.9-a of paths, 501');
	$c->command('RSET', 250);
	like($c->command('MAIL FROM:<s@remote.test> SIZE=' . ($limit + 1)),
	    qr/^552 5\.3\.4/, '5321-4.5.3.1.9-a of messages, 552');
}

# Ten times as much of everything.
{
	my $c = $sut->friend;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	for my $to (local_part(640) . '@relay-ok.test',
	    'u@' . domain(2530, 'relay-ok.test'),
	    local_part(640) . '@' . domain(1900, 'relay-ok.test')) {
		like($c->command("RCPT TO:<$to>"), qr/^[245]\d\d /,
		    '5321-4.5.3.1-a an address of ' . length($to) . ' octets');
	}
	like($c->command('NOOP ' . 'n' x 5000), qr/^(?:250|500) /,
	    '5321-4.5.3.1-a a line of 5000');
	my @to = map { "t$_\@relay-ok.test" } 1 .. 1000;
	$c->raw(join '', map { "RCPT TO:<$_>\r\n" } @to);
	my @said = map { $c->reply } @to;
	is(scalar(grep { /^(?:250|452)/ } @said), 1000,
	    '5321-4.5.3.1-a a thousand recipients');
	my $taken = grep { /^250/ } @said;
	$c->command('DATA', 354);
	my $subject = $sut->subject;
	like($c->data("Subject: $subject\n\n" . ('l' x 9990 . "\n") x 70),
	    qr/^250/, '5321-4.5.3.1-a lines of 10000 and 700000 octets');
	my $got = 0;
	wait_for(sub { $got = 0; $got += @{ $_->{rcpt} } for grep {
	    $_->{data} =~ /^Subject: $subject\r$/m } $sut->relay->messages;
	    $got >= $taken }, 30, 'a thousand');
	is($got, $taken, '5321-4.5.3.1-a what was taken is delivered');
}

# --- the client ---------------------------------------------------------------

{
	my $subject = mail('u@long.test');
	my $m = wait_sink('long', $subject);
	is("@{ $m->{rcpt} }", 'u@long.test',
	    '5321-4.5.3.1.5-b long replies and replies of 2000 lines');
	$sut->wait_log(qr/to=<u\@long\.test>.*status=sent/);
	my %size = map { ($_ => wait_sink($_, mail("u\@$_.test", body =>
	    'z' x 70 . "\n"))) } qw(sized unsized);
	my ($said) = $size{sized}{mail} =~ /^MAIL FROM:<\S+> SIZE=(\d+)/;
	ok(abs(($said // 0) - length $size{sized}{data}) <= 100,
	    "5321-4.5.3.1.7-c SIZE is told ($said) about the message (" .
	    length($size{sized}{data}) . ')');
	is($size{unsized}{mail}, 'MAIL FROM:<s@remote.test>',
	    '5321-4.5.3.1.7-c where it is understood');
}
for my $code (500, 501, 552) {
	my $subject = mail('a' x 60 . $code . '@long-path.test');
	my ($report) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	like($report->{data}, qr/^Diagnostic-Code: smtp; $code/m,
	    "5321-4.5.3.1-b a path that is refused with $code is reported");
}
{
	my $started = time;
	my $subject = mail([map { "w$_\@wide.test" } 1 .. 250]);
	my @m;
	wait_for(sub { (@m = grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sink{wide}->messages) >= 3 }, 20, "chunks\n" . $sut->log);
	is(join(' ', map { scalar @{ $_->{rcpt} } } @m), '100 100 50',
	    '5321-4.5.3.1.8-d the client goes on in hundreds');
	my %got = map { ($_ => 1) } map { @{ $_->{rcpt} } } @m;
	is(scalar keys %got, 250, '5321-4.5.3.1.8-d each gets a copy');
	$subject = mail([map { "p$_\@picky.test" } 1 .. 7]);
	wait_for(sub { (@m = grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sink{picky}->messages) >= 3 }, 20, "chunks\n" . $sut->log);
	is(join(' ', map { scalar @{ $_->{rcpt} } } @m), '3 3 1',
	    '5321-4.5.3.1.10-b 552 is the same');
	unlike($sut->log, qr/\@picky\.test>.*status=bounced/,
	    '5321-4.5.3.1.10-b no reason to bounce');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
