# 6531.t - RFC 6531 and 6533: addresses, headers and reports in UTF-8; and what
# is in no way UTF-8, or no domain.
use strict;
use warnings;
use lib 't/lib';
use IO::Socket::INET;
use MIME::Base64 qw(decode_base64);
use POSIX ();
use Test::More;
use Postrider qw(bin free_port spew wait_for);
use Postrider::Fixture;

plan skip_all => 'built without libidn2'
    unless `ldd @{[bin()]}/dns 2>/dev/null` =~ /libidn2/;

# bytes only: these are UTF-8
my $user = "\xe7\x94\xa8\xe6\x88\xb7";		# two letters from China
my $greek = "\xce\xb4\xce\xbf\xce\xba\xce\xb9\xce\xbc\xce\xae";
my $buecher = "b\xc3\xbccher.test";
my $ace = 'xn--bcher-kva.test';
my @new = qw(PIPELINING 8BITMIME SMTPUTF8 DSN);
my @old = qw(PIPELINING 8BITMIME DSN);

# A name server that notes what it is asked for. Each name of %mx has these
# hosts; every other name is a host at 127.0.0.1.
my $dns = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp')
    or die $!;
my $dns_port = $dns->sockport;
my %mx = ($ace => ['mx.test'], 'two.test' => ['old.two.test', 'new.two.test'],
    'none.test' => ['old.none.test']);
my %address = ('new.two.test' => '127.0.0.4', 'mx.test' => '127.0.0.3');

sub name_of { return join '', map { pack 'C/a', $_ } split(/\./, $_[0]), '' }

# One question, answered.
sub answer
{
	my ($packet) = @_;
	my ($id) = unpack 'n', $packet;
	my ($at, @labels) = 12;

	while (my $len = ord substr $packet, $at++, 1) {
		push @labels, substr $packet, $at, $len;
		$at += $len;
	}
	my $name = lc join '.', @labels;
	my ($type) = unpack 'n', substr $packet, $at, 2;
	my $question = substr $packet, 12, $at - 12 + 4;
	my @data;
	if ($type == 15 && $mx{$name}) {
		my $n = 0;
		@data = map { pack('n', $n += 10) . name_of($_) }
		    @{ $mx{$name} };
	} elsif ($type == 1 && !$mx{$name}) {
		@data = Socket::inet_aton($address{$name} // '127.0.0.3');
	}
	my $rcode = $name =~ /missing/ ? 3 : 0;
	@data = () if $rcode;
	return ($name, pack('n6', $id, 0x8580 | $rcode, 1, scalar @data, 0, 0) .
	    $question . join '', map { pack('nnnNn/a', 0xc00c, $type, 1, 60,
	    $_) } @data);
}

my $sut = Postrider::Fixture->new(
	remote => { extensions => \@new, is_noting => 1 },
	relay => { extensions => \@old, is_noting => 1, replies => sub {
		return $_[0] eq 'RCPT' && $_[1] =~ /<gone/ ?
		    '550 5.1.1 who?' : undef } },
	aliases => "$user ALICE\nj\xc3\xb6rg BOB\n",
	settings => { relay_domains => "relay-ok.test, plain.test, two.test, " .
	    "none.test, $buecher, xn--wgv71a119e.test",
	    dns_servers => "127.0.0.1\@$dns_port", dns_timeout => '5s',
	    inet_protocols => 'ipv4', smtp_host_lookup => 'dns',
	    local_recipient_maps => '$alias_maps', disable_vrfy_command => 'no',
	    smtpd_expn_clients => '127.0.0.1/32',
	    myhostname => "s\xc3\xbcf.test",
	    default_transport => 'smtp', relay_transport => 'smtp' });

# The last asked names, by the file that they go to.
my $asked = $sut->etc . '/asked';
spew($asked, '');
my $server = fork // die "fork: $!";
if ($server == 0) {
	open my $notes, '>>', $asked;
	$notes->autoflush;
	while (defined(my $from = recv $dns, my $packet, 4096, 0)) {
		my ($name, $reply) = answer($packet);
		print $notes "$name\n";
		send $dns, $reply, 0, $from;
	}
	POSIX::_exit(0);
}
sub names { return split /\n/, Postrider::slurp($asked) }

# Two hosts at one port: 127.0.0.3 has no SMTPUTF8, 127.0.0.4 has.
my $plain = $sut->sink(address => '127.0.0.3', extensions => \@old,
    is_noting => 1);
my $global = $sut->sink(address => '127.0.0.4', port => $plain->port,
    extensions => \@new, is_noting => 1);
$sut->set(smtp_tcp_port => $plain->port, inet_interfaces => '127.0.0.1, ' .
    '127.0.0.2', relocated_maps => 'inline:{moved@local.test=' .
    "$user\@remote.test}",
    canonical_maps => "inline:{{short\@local.test=$user\@local.test}}",
    virtual_alias_domains => "k\xc3\xb6ln.test, xn--mnchen-3ya.test",
    virtual_alias_maps => "inline:{{a\@xn--kln-sna.test=alice\@local.test}, " .
    "{b\@m\xc3\xbcnchen.test=bob\@local.test}, " .
    "{all\@local.test=$greek\@remote.test}}");
$sut->start;
END { local $?; kill 'TERM', $server if $server }

my $number = 0;

# A message with a parameter or without; its subject.
sub mail
{
	my (%o) = @_;
	my $subject = 'number-' . $number++;
	my $c = $sut->friend;

	$sut->take($c, from => 's@remote.test', mail => ' SMTPUTF8', %o,
	    text => "Subject: $subject\n" .
	    ($o{header} // "From: a\@remote.test\n") .
	    "\n" . ($o{body} // "x\n"));
	$c->command('QUIT', 221);
	return $subject;
}

sub at
{
	my ($sink, $subject) = @_;
	my @found;

	wait_for(sub { (@found = grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sink->messages) > 0 }, 20, "$subject to arrive");
	return $found[0];
}

# A report about a message: the report that came to a sink.
sub report
{
	my ($sink, $re) = @_;
	my @found;

	wait_for(sub { (@found = grep { $_->{from} eq '' &&
	    $_->{data} =~ $re } $sink->messages) > 0 }, 20, "a report: $re");
	return $found[0];
}

# --- the server ---------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	my $reply = $c->command('EHLO c.test', 250);
	like($reply, qr/^250[- ]SMTPUTF8$/m,
	    '6531-3.1-a SMTPUTF8 is announced as a word alone');
	like($reply, qr/^250[- ]8BITMIME$/m,
	    '6531-3.1-b 8BITMIME is offered with it');
	like($reply, qr/^250[- ]DSN$/m, '6531-3.2-f DSN is offered, and');

	like($c->command("MAIL FROM:<$greek\@x.test> SMTPUTF8"), qr/^250 /,
	    '6531-3.2-a a sender in UTF-8');
	like($c->command("RCPT TO:<$user\@local.test>"), qr/^250 /,
	    '6531-3.2-a a recipient in UTF-8');
	like($c->command("RCPT TO:<\"$user x\"\@local.test>"), qr/^[25]50 /,
	    '6531-3.2-a in quotes');
	like($c->command("RCPT TO:<$user\@local.test> " .
	    "ORCPT=utf-8;$user\@x.test"), qr/^250 /,
	    '6533-3-a ORCPT in plain UTF-8');
	like($c->command("RCPT TO:<$user\@local.test> " .
	    'ORCPT=utf-8;\\x{7528}@x.test'), qr/^250 /,
	    '6533-3-a and in its ASCII form');
	for (['%c0%af', 'an overlong form'], ['%ed%a0%80', 'a surrogate'],
	    ['%f4%90%80%80', 'more than U+10FFFF'], ['%bf', 'a tail alone'],
	    ['%e7%94', 'a cut character'], ['%c2%85', 'a C1 control']) {
		my ($bytes, $name) = @$_;
		$bytes =~ s/%(..)/chr hex $1/ge;
		like($c->command("RCPT TO:<a$bytes\@local.test>"),
		    qr/^(?:50[01]|553) /, "6531-3.3-a $name is refused");
		like($c->command("RCPT TO:<a\@x$bytes.test>"),
		    qr/^(?:50[01]|553) /, "6531-3.3-a in a domain, too: $name");
		like($c->command("VRFY a$bytes SMTPUTF8"),
		    qr/^(?:50[01]|553) /, "6531-3.3-a and with VRFY: $name");
	}
	like($c->command('RSET'), qr/^250 /, '6531-3.3-a and it goes on');
	like($c->command('MAIL FROM:<a@b.test> SMTPUTF8=1'), qr/^501 /,
	    '6531-3.4-b the parameter has no value');
	like($c->command("MAIL FROM:<$user\@x.test>"), qr/^553 5\.6\.7 /,
	    '6531-3.2-e a sender in UTF-8 without the parameter');
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command("RCPT TO:<$user\@local.test>"), qr/^553 5\.6\.7 /,
	    '6531-3.2-e a recipient without the parameter');
	like($c->command("RCPT TO:<a\@$buecher>"), qr/^553 5\.6\.7 /,
	    '6531-3.2-e or only a domain');
	like($c->command('RCPT TO:<alice@local.test> ' .
	    "ORCPT=utf-8;$user\@x.test"), qr/^553 5\.6\.7 /,
	    '6531-3.2-e or an ORCPT');
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250 /,
	    '6531-3.2-e and the transaction goes on');
	unlike($c->command('RCPT TO:<moved@local.test>'), qr/[\x80-\xff]/,
	    '6531-3.7.4.1-a where somebody moved to is not told in UTF-8');
	$c->command('RSET', 250);
	like($reply, qr/\A250-xn--sf-xka\.test$/m,
	    '6531-3.7.1-a our own name is in A-labels');
	like($c->command("EHLO $buecher"), qr/^50[01] /,
	    '6531-3.7.1-a the same is asked of clients');
	$c->command('HELO c.test', 250);
	like($c->command('MAIL FROM:<a@b.test> SMTPUTF8'), qr/^50[0-9] /,
	    '6531-3.1-a it needs EHLO');
}
{
	my $c = $sut->friend;
	$c->command('MAIL FROM:<a@b.test> SMTPUTF8', 250);
	like($c->command('RCPT TO:<moved@local.test>'), qr/\Q$user\E/,
	    '6531-3.7.4.1-a who said SMTPUTF8 is told');
	$c->command('RSET', 250);
	unlike($c->command('EXPN all'), qr/[\x80-\xff]/,
	    '6531-3.7.4.2-a EXPN shows UTF-8 to nobody who has not said so');
	like($c->command('EXPN all SMTPUTF8'), qr/^250 2\.1\.5 <\Q$greek\E\@/,
	    '6531-3.7.4.2-a and to others');
	like($c->command("EXPN $user SMTPUTF8"), qr/^2/,
	    '6531-3.7.4.2-b EXPN takes the parameter');
	unlike($c->command('EXPN all'), qr/[\x80-\xff]/,
	    '6531-3.7.4.2-a it holds for one command');
	like($c->command("VRFY $user\@local.test SMTPUTF8"),
	    qr/^252 .*\Q$user\E/, '6531-3.7.4.2-b VRFY takes the parameter');
	like($c->command("VRFY $user\@local.test"), qr/^553 5\.6\.7 /,
	    '6531-3.7.4.2-a VRFY with UTF-8 needs it');
	like($c->command("VRFY no-$user\@local.test SMTPUTF8"),
	    qr/^550 .*\Q$user\E/, '6531-3.7.4.2-b and says who is unknown');
}

# --- delivery here ------------------------------------------------------------

{
	my $subject = mail(from => "$greek\@remote.test",
	    to => ["$user\@local.test"], header => "To: $user <$user\@local" .
	    ".test>\n");
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($m, qr/^From \Q$greek\E\@remote\.test /,
	    '6531-3.2-a the sender in an mbox');
	like($m, qr/^Return-Path: <\Q$greek\E\@remote\.test>$/m,
	    '6531-3.2-a and in Return-Path');
	like($m, qr/with UTF8SMTP id/, '6531-3.7.3-a Received has UTF8SMTP');
	like($m, qr/^Delivered-To: \Q$user\E\@local\.test$/m,
	    '6531-3.2-a Delivered-To has the recipient as he was written')
	    or diag $m;
	like($m, qr/^To: \Q$user <$user\E\@local\.test>$/m,
	    '6531-3.2-a a header in UTF-8 is as it was');
}
{
	my $c = $sut->friend;
	for (["a\@k\xc3\xb6ln.test", 'alice'], ['a@xn--kln-sna.test', 'alice'],
	    ["b\@m\xc3\xbcnchen.test", 'bob'], ['b@xn--mnchen-3ya.test', 'bob'],
	    ["b\@M\xc3\x9cNCHEN.TEST", 'bob']) {
		my ($to, $who) = @$_;
		my $subject = mail(to => [$to]);
		is(scalar($sut->wait_mail($who, qr/^Subject: $subject$/m)), 1,
		    "6531-3.2-d tables have either spelling of $to");
	}
}

# --- the client ---------------------------------------------------------------

{
	my $m = at($sut->remote, mail(mail => ' BODY=8BITMIME', to =>
	    ['a@remote.test'], header => "MIME-Version: 1.0\nContent-Type: " .
	    "text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
	    body => "c\xc3\xa9\n"));
	like($m->{mail}, qr/BODY=8BITMIME/, '6531-3.4-a a body of 8 bits is');
	unlike($m->{mail}, qr/SMTPUTF8/, '6531-3.4-a no matter of SMTPUTF8');
	$m = at($sut->remote, mail(to => ['a@remote.test']));
	unlike($m->{mail}, qr/SMTPUTF8/,
	    '6531-3.4-a nor is what was only called so');
	my %needs = ('a recipient' => [to => ["$user\@remote.test"]],
	    'a sender' => [from => "$greek\@remote.test"],
	    'a header' => [header => "X-Name: $user\n"]);
	for my $what (sort keys %needs) {
		$m = at($sut->remote, mail(to => ['a@remote.test'],
		    @{ $needs{$what} }));
		like($m->{mail}, qr/ SMTPUTF8/,
		    "6531-3.4-a but $what in UTF-8 is");
	}
	like($m->{helo}, qr/\AEHLO xn--sf-xka\.test\z/,
	    '6531-3.7.1-a EHLO has the A-labels of our name');
}
{
	my $lost = mail(to => ["$user\@relay-ok.test"]);
	my $named = mail(to => ['a@relay-ok.test'], header => "X: $user\n");
	my $m = report($sut->remote, qr/^Subject: $lost\r$/m);
	like($m->{data}, qr/^Status: 5\.6\.7\r$/m,
	    '6531-3.2-b a host without SMTPUTF8 gets no such address');
	$m = report($sut->remote,
	    qr/Content-Type: message\/global\r\nContent-Transfer-Encoding: base64/);
	like($m->{data}, qr/^Status: 5\.6\.7\r$/m,
	    '6531-3.2-b and no such header');
	my ($copy) = $m->{data} =~ /Transfer-Encoding: base64\r\n\r\n(.*?)\r\n--/s;
	like(decode_base64($copy), qr/^Subject: $named\r\nX: \Q$user\E\r$/m,
	    '6533-4.4-a the message comes back as message/global');
	is(scalar(grep { /[\x80-\xff]/ } $sut->relay->raw), 0,
	    '6531-3.2-b not a byte of it went there');

	my $subject = mail(to => ["info\@$buecher"]);
	$m = at($plain, $subject);
	is("@{ $m->{rcpt} }", "info\@$ace",
	    '6531-3.2-b a domain goes in its ASCII form');
	unlike($m->{mail}, qr/SMTPUTF8/, '6531-3.2-b without more');
	is(scalar(grep { /[^\x00-\x7f]/ } names()), 0,
	    '6531-3.2-d DNS is never asked for U-labels');
	is(scalar(grep { $_ eq $ace } names()) > 0, 1,
	    '6531-3.2-d it is asked for A-labels');

	$m = at($plain, mail(to => ['a@none.test'],
	    from => "s\@$buecher", header => "From: s\@$ace\n"));
	like($m->{mail}, qr/FROM:<s\@\Q$ace\E>/,
	    '6531-3.2-b the same for a sender');
	$m = at($global, mail(to => ["$user\@two.test"]));
	is("@{ $m->{rcpt} }", "$user\@two.test",
	    '6531-3.2-c the next MX that has SMTPUTF8 gets it');
	$lost = mail(to => ["$user\@none.test"]);
	$m = report($sut->remote, qr/^Subject: $lost\r$/m);
	like($m->{data}, qr/^Status: 5\.6\.7\r$/m,
	    '6531-3.2-c when there is none it comes back');
	$m = at($sut->relay, mail(to => ['a@relay-ok.test'],
	    rcpt => " ORCPT=utf-8;$user+2Bx\@a.test"));
	like($m->{rcpt_lines}[0], qr/
	    ORCPT=utf-8;\\x\{7528\}\\x\{6237\}\\x\{2B\}x\@a\.test$/x,
	    '6533-3-b ORCPT in ASCII to a host without SMTPUTF8');
}

# --- reports ------------------------------------------------------------------

{
	my $lost = mail(from => "$greek\@remote.test",
	    to => ['gone@relay-ok.test'], body => "Some text.\n");
	my $m = report($sut->remote, qr/^Subject: $lost\r$/m);
	is($m->{rcpt}[0], "$greek\@remote.test",
	    '6533-4.4-a a report to a sender in UTF-8');
	like($m->{mail}, qr/ SMTPUTF8/, '6533-4.4-a is sent with SMTPUTF8');
	like($m->{data}, qr{^Content-Type: message/$_\r$}m,
	    "6533-4.4-a it has a message/$_")
	    for qw(global-delivery-status global);
	like($m->{data}, qr/report-type=global-delivery-status/,
	    '6533-4.4-a and says so');
	like($m->{data}, qr/^To: \Q$greek\E\@remote\.test\r$/m,
	    '6533-4.4-a To is in UTF-8');
	$lost = mail(from => "$greek\@remote.test", to =>
	    ["$user\@relay-ok.test"], mail => ' SMTPUTF8 RET=HDRS');
	$m = report($sut->remote, qr/^Subject: $lost\r$/m);
	like($m->{data}, qr{^Content-Type: message/global-headers\r$}m,
	    '6533-4.4-a or a message/global-headers');
	like($m->{data}, qr/^Final-Recipient: utf-8; \Q$user\E\@relay/m,
	    '6533-4.4-a and addresses of the type utf-8');

	$lost = mail(from => 's@plain.test', to => ["$user\@relay-ok.test"],
	    header => "X: $user\n");
	$m = report($plain, qr/base64/);
	my ($status) = $m->{data} =~
	    m{(Content-Type: message/delivery-status.*?\r\n--)}s;
	unlike($status, qr/[\x80-\xff]/,
	    '6533-4.5-a a report to an ASCII address has ASCII fields');
	like($status, qr/^Final-Recipient: utf-8; \\x\{7528\}\\x\{6237\}\@/m,
	    '6533-4.5-a with such addresses in ASCII');
	unlike($m->{mail}, qr/SMTPUTF8/,
	    '6533-4.5-a and is sent to who has no SMTPUTF8');
	my ($copy) = $m->{data} =~ /(Content-Type: message\/global.*)/s;
	unlike($copy, qr/[\x80-\xff]/, '6533-4.5-a the message is encoded');

	$lost = mail(from => "s\@$buecher", to => ['gone@relay-ok.test']);
	$m = report($plain, qr/^Subject: $lost\r$/m);
	is($m->{rcpt}[0], "s\@$ace",
	    '6533-4.5-a a sender by his A-label when that is enough');
	like($m->{data}, qr/^To: s\@\Q$ace\E\r$/m, '6533-4.5-a in the header');
}

# --- programs of this machine -------------------------------------------------

{
	my $number_of = sub {
		my ($input, @words) = @_;
		my $subject = 'number-' . $number++;
		$sut->sendmail("Subject: $subject\n" .
		    $input, @words);
		return $subject;
	};
	my $m = at($sut->remote, $number_of->("To: $user <$user\@remote.test>" .
	    "\n\nx\n", '-t'));
	is("@{ $m->{rcpt} }", "$user\@remote.test",
	    '6531-3.2-a sendmail -t finds addresses in UTF-8');
	like($m->{mail}, qr/ SMTPUTF8/, '6531-3.4-a and mail from it is told');
	$m = at($sut->remote, $number_of->("X: $user\n\nx\n", 'a@remote.test'));
	like($m->{mail}, qr/ SMTPUTF8/, '6531-3.4-a a header alone as well');
	$m = at($sut->remote, $number_of->("X: \xe9\n\nx\n", 'a@remote.test'));
	unlike($m->{mail}, qr/ SMTPUTF8/,
	    '6531-3.4-a but none that is not UTF-8');
	$m = at($sut->remote, $number_of->("\nx\n", '-f', 'short@local.test',
	    'a@remote.test'));
	is($m->{from}, "$user\@local.test",
	    '6531-3.2-a a table may make an address UTF-8');
	like($m->{mail}, qr/ SMTPUTF8/, '6531-3.4-a which is noticed');
	$m = at($sut->remote, $number_of->("\nx\n", 'all@local.test'));
	is("@{ $m->{rcpt} }", "$greek\@remote.test",
	    '6531-3.2-a an alias may, too');
}

# --- attacks ------------------------------------------------------------------

{
	my $c = $sut->friend;
	like($c->command("EHLO \xc0\xaf"), qr/^50[01] /,
	    'PRS-14 EHLO with an overlong form');
	$c->command('EHLO c.test', 250);
	for my $bad ("\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	    "\xe7\x94", "\xfe\xff", "\xbf" x 200) {
		like($c->command("MAIL FROM:<a$bad\@x.test> SMTPUTF8"),
		    qr/^5(?:0[01]|53) /, 'PRS-14 MAIL with ' .
		    unpack('H*', substr $bad, 0, 4));
	}
	like($c->command('MAIL FROM:<' . "\xbf" x 100000), qr/^500 /,
	    'PRS-14 a line of tails');
	like($c->command('MAIL FROM:<' . 'a' x (2046 - 11) . "\xe7\x94\xa8"),
	    qr/^50[01] /, 'PRS-14 a character on the edge of the buffer');
	$c->command('EHLO c.test', 250);
	my $subject = 'number-' . $number++;
	$sut->take($c, from => 's@remote.test', mail => ' SMTPUTF8',
	    to => ['alice@local.test'], text => "Subject: $subject\n" .
	    "From: \"\xc0\xaf\xed\xa0\x80\" <a\@b.test>\nTo: \xe7\x94\n\n" .
	    "\xbf" x 50000 . "\n\xe7");
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    'PRS-14 a header that is not UTF-8 is data');
}
{
	my $c = $sut->friend;
	$c->command('MAIL FROM:<s@remote.test> SMTPUTF8', 250);
	for (['a@local%e3%80%82test', 'U+3002 for a dot'],
	    ['a%ef%bc%a0local.test', 'U+FF20 for an @'],
	    ['a@local%ef%bc%8ftest', 'U+FF0F'], ['a@local%e2%80%a4test',
	    'U+2024 for a dot'], ['a@lo%e2%80%8dcal.test', 'a joiner'],
	    ['a@lo%e2%80%aecal.test', 'an order of direction'],
	    ['a@%ef%bd%8cocal.test', 'wide letters'],
	    ['a@%d7%90x.test', 'letters of both directions in one label'],
	    ['a@' . 'x' x 64 . '.test', 'a label of 64'],
	    ['a@' . 'x' x 10000 . '.test', 'a label of 10000'],
	    ['a@' . '%c3%bc' x 60 . '.test', 'one whose A-label is too long'],
	    ['a@xn--%c3%bc.test', 'half an A-label'],
	    ['a@%f0%9f%92%a9%00.test', 'a zero']) {
		my ($address, $name) = @$_;
		$address =~ s/%(..)/chr hex $1/ge;
		like($c->command("RCPT TO:<$address>"), qr/^5/,
		    "PRS-15 $name is refused");
	}
	for ('xn--a.test', 'xn--', 'xn--.test') {
		my $reply = $c->command("RCPT TO:<a\@$_>");
		unlike($reply, qr/^4/, "PRS-15 $_ has an answer");
	}
	like($c->command("RCPT TO:<a\@l\xd0\xbecal.test>"), qr/^[25]/,
	    'PRS-15 a letter that looks like another is another domain');
	$c->command('RSET', 250);
	$c->command('QUIT', 221);
	$c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test> SMTPUTF8', 250);
	for ("l\xd0\xbecal.test", "loc\xc3\xa1l.test", 'xn--local.test',
	    "\xc4\xb0.test", 'xn--i-9tb.test') {
		like($c->command("RCPT TO:<alice\@$_>"), qr/^554 5\.7\.1 /,
		    "PRS-15 $_ is none of ours");
	}
}

is(join("\n", $sut->complaints), '', 'nothing to complain about');
done_testing;
