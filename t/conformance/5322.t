# 5322.t - RFC 5322: what is written here is by its grammar, what others wrote
# is left alone; RFC 3834 for reports, RFC 7103 and RFC 8058 for relays.
use strict;
use warnings;
use Test::More;
use Postrider qw(slurp);
use Postrider::Fixture;

my $long = join '.', ('x' x 60) x 4;
my $sut = Postrider::Fixture->new(
	aliases => "failing \"|exit 67\"\n",
	settings => { delay_warning_time => '0', header_checks =>
	    'regexp:{{/^Subject: named/ PREPEND X-Named: yes} ' .
	    '{/^Subject: unnamed/ PREPEND no field at all} ' .
	    '{/^Subject: spaced/ PREPEND bad name: x} ' .
	    '{/^Subject: renamed/ REPLACE bad name: x}}' });
$sut->start;
my $number = 0;

# A message through a relay, or to whom `to` says: as it arrives, with \n,
# without the Received field that is new.
sub relayed
{
	my ($text, %o) = @_;
	my $mark = 'mark-' . $number++;
	my $c = $o{is_friend} ? $sut->friend : $sut->stranger;

	$text =~ s/MARK/$mark/;
	$sut->take($c, from => 's@remote.test', to => ['u@relay-ok.test'],
	    text => $text);
	my ($m) = $sut->wait_relay(qr/$mark/);
	my $got = $m->{data} =~ s/\r\n/\n/gr;
	$got =~ s/\AReceived: .*?\n(?![ \t])//s or return 'no trace';
	return ($got, $text);
}

# The report about a message that fails; its fields before the first empty line.
sub report
{
	my (%o) = @_;
	my $mark = 'mark-' . $number++;
	my $c = $sut->stranger;

	$sut->take($c, from => 's@remote.test', to => ['failing@local.test'],
	    text => ($o{header} // '') . "Subject: $mark\n\nx\n", %o);
	my ($m) = $sut->wait_remote(qr/$mark/);
	return $m;
}

# --- what is written here -----------------------------------------------------

my $report = report(header => "Reply-To: r\@relay-ok.test\n" .
    "From: author\@relay-ok.test\nSender: sender\@relay-ok.test\n" .
    "Errors-To: e\@relay-ok.test\n");
my $text = $report->{data};
my ($head) = $text =~ /\A(.*?\r\n)\r\n/s;
{
	my @lines = split /\r\n/, $text;
	is(scalar(grep { length > 998 } @lines), 0,
	    '5322-2.1.1-a no line of a report is over 998');
	is(scalar(grep { length > 78 } @lines), 0,
	    '5322-2.1.1-a nor over 78 where it need not be');
	for my $name (qw(Date From To Subject Message-ID MIME-Version
	    Content-Type Auto-Submitted)) {
		is(scalar(() = $head =~ /^$name:/mgi), 1,
		    "5322-3.6-a a report has one $name");
	}
	my @names = $head =~ /^([^ \t].*?):/mg;
	is(join('|', grep { !/\A[!-9;-~]+\z/ } @names), '',
	    '5322-2.2-a names of fields are printable ASCII');
	ok(@names >= 8, '5322-2.2-a all of ' . @names);
	like($head, qr/^Auto-Submitted: auto-replied\r$/m,
	    '3834-5.2-a a report is auto-replied');
	unlike($text, qr/auto-generated/,
	    '3834-5.2-a and not called auto-generated');
	is("@{ $report->{rcpt} }", 's@remote.test',
	    '3834-4-a a report goes to the reverse path');
	$sut->wait_empty;
	is($sut->relay->count, 0,
	    '3834-4-a and to no address that the header has');
	my $before = $sut->remote->count;
	$sut->take($sut->stranger, from => '', to => ['failing@local.test'],
	    text => "From: s\@remote.test\nReply-To: s\@remote.test\n" .
	    "Subject: silent\n\nx\n");
	$sut->take($sut->stranger, from => '', to => ['alice@local.test'],
	    rcpt => ' NOTIFY=SUCCESS,FAILURE',
	    text => "From: s\@remote.test\nSubject: silent\n\nx\n");
	$sut->wait_mail('alice', qr/^Subject: silent$/m);
	$sut->wait_empty;
	is($sut->remote->count, $before,
	    '3834-2-b mail from <> is answered by no report');
}
{
	my $c = $sut->stranger(helo => "EHLO $long");
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: folded\n\nx\n");
	my ($m) = $sut->wait_mail('alice', qr/^Subject: folded$/m);
	my ($received) = $m =~ /^(Received: .*?\n)(?![ \t])/ms;
	like($received, qr/\Q$long\E/, '5322-3.2.2-a a long name is kept');
	unlike($received, qr/^[ \t]*$/m,
	    '5322-3.2.2-a and no line of the field is empty');
	is(scalar(grep { length > 998 } split /\n/, $received), 0,
	    '5322-2.1.1-a or over 998');
	like($received, qr/\n\t\S/, '5322-3.2.2-a though it is folded');
	like($m, qr/\AFrom\ .*\nReturn-Path:\ <s\@remote\.test>\n
	    (?:[A-Za-z-]+To:\ alice\@local\.test\n)*Received:\ /x,
	    '5322-3.6.7-a a delivery begins with Return-Path, then the trace');
	is(scalar(() = $m =~ /^Return-Path:/mg), 1,
	    '5322-3.6.7-a of which there is one');
	$c = $sut->stranger;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Return-Path: <false\@x.test>\nReceived: from a by b; " .
	    "Sun, 22 Nov 2026 10:00:00 +0000\nSubject: traced\n\nx\n");
	($m) = $sut->wait_mail('alice', qr/^Subject: traced$/m);
	is(join(' ', $m =~ /^(Return-Path|Received):/mg),
	    'Return-Path Received Received',
	    '5322-3.6.7-a one that came with it is not left');
	unlike($m, qr/false/, '5322-3.6.7-a or believed');
}
{
	my @clients = map { $sut->friend } 1 .. 6;
	for (1 .. 15) {
		$_->raw("MAIL FROM:<s\@remote.test>\r\n" .
		    "RCPT TO:<u\@relay-ok.test>\r\nDATA\r\n") for @clients;
		$_->expect(250), $_->expect(250), $_->expect(354) for @clients;
		$_->raw("Subject: many\r\n\r\nx\r\n.\r\n") for @clients;
		$_->expect(250) for @clients;
	}
	my @m = $sut->wait_relay(qr/^Subject: many\r$/m, 90);
	my %ids = map { $_->{data} =~ /^Message-ID: (<.*>)\r$/mi ? ($1 => 1) :
	    () } @m;
	is(scalar keys %ids, scalar @m, '5322-3.6.4-a of ' . @m . ' messages ' .
	    'in parallel each has its own Message-ID');
}
{
	like((relayed("Subject: named MARK\n\nx\n"))[0],
	    qr/\AX-Named: yes\nSubject: named/,
	    '5322-2.2-a a rule may add a field');
	for my $what (qw(unnamed spaced renamed)) {
		my $c = $sut->stranger;
		$c->script('MAIL FROM:<s@remote.test>' => 250,
		    'RCPT TO:<u@relay-ok.test>' => 250, 'DATA' => 354);
		like($c->data("Subject: $what\nX-Next: y\n\nx\n", qr/^\d/),
		    qr/^451 /, "5322-2.2-a but not one without a name: $what");
	}
}

# --- what others wrote --------------------------------------------------------

my $old_style = <<'END';
Return-Receipt-To: <@a.test,@b.test:who@relay-ok.test>
From : "Joe" Q. Public <@a.test:joe@x.test>
Date: Fri, 21 Nov 97 09:55 EST
To: A Group(Some people)
     :Chris Jones <c@(Chris's host.)public.example>,
         joe@example.test . uk;
Message-ID: <1 . x @ y.test>
END
{
	my $trace = "Received: from a by b; Sun, 22 Nov 2026 10:00:03 +0000\n" .
	    "Resent-From: one\@x.test\nResent-Date: Sun, 22 Nov 2026 09:00:00 +0000\n" .
	    "Received: from c by d; Sun, 22 Nov 2026 08:00:03 +0000\n" .
	    "Resent-Date: Sat, 21 Nov 2026 09:00:00 +0000\n" .
	    "Resent-From: two\@x.test\nX-Between: 1\n" .
	    "Received: from e by f; Sat, 21 Nov 2026 08:00:03 +0000\n";
	for my $is_friend (0, 1) {
		my ($got, $sent) = relayed("${trace}Date: Sun, 22 Nov 2026 " .
		    "10:00:00 +0000\nFrom: x\@x.test\nMessage-ID: <1\@x>\n" .
		    "Resent-Message-ID: <2\@x>\nSubject: MARK\n\nx\n",
		    is_friend => $is_friend);
		is($got, $sent, '5322-3.6-b trace and resent fields keep ' .
		    'their places');
	}
	my ($got, $sent) = relayed("${old_style}Subject: MARK\n\nx\n");
	is($got, $sent, '5322-4-a obsolete syntax is passed on');
	my $subject = 'old-' . $number++;
	my ($status, $said) = $sut->sendmail("To: <\@a.test,\@b.test:old\@" .
	    "relay-ok.test>,, John . Q <j\@relay-ok.test> ,\n" .
	    "Cc : (c) . \"k\" <k \@ relay-ok . test>\nDate: Fri, 21 Nov 97 " .
	    "09:55 EST\nSubject: $subject\n\nx\n", '-t');
	is($status, 0, '5322-4-a and understood where recipients are read');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is(join(' ', sort @{ $m->{rcpt} }), join(' ',
	    map { "$_\@relay-ok.test" } qw(j k old)),
	    '5322-4-a each of them');
	my ($new) = $m->{data} =~ /\A(Received: .*?\r\n)(?=To:)/s;
	like($new, qr/; \w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [-+]\d{4}\r\n/,
	    '5322-4-a and never written: dates');
	unlike(join("\n", @{ $m->{rcpt_lines} }), qr/<@|\(|[ .] *\@|\@ /,
	    '5322-4-a and never written: addresses');
}
{
	my $subject = 'groups-' . $number++;
	$sut->sendmail("To: A group: a\@relay-ok.test, \"b,c\" <d\@relay-ok.test>;,\n" .
	    "  =?utf-8?Q?J=C3=B6rg=2C_x=40y?= <e\@relay-ok.test> (not\n" .
	    "  f\@relay-ok.test, \\) (nested)), \"g h\"\@relay-ok.test\n" .
	    "Cc: empty:;, \"x \\\" <y\@z>\" <i\@relay-ok.test>\n" .
	    "Subject: $subject\n\nx\n", '-t');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is(join(' ', sort @{ $m->{rcpt} }), join(' ', sort
	    map { "$_\@relay-ok.test" } qw(a d e i), '"g h"'),
	    '5322-3.4-a groups, comments, quotes and encoded words are read');
	like($m->{data}, qr/^To: A group: /m, '5322-3.4-a and kept');
}
{
	my %malformed = (
		'no From or Date' => "Subject: MARK\n\nx\n",
		'two of each' => "Subject: MARK\nSubject: b\nFrom: a\@x\n" .
		    "From: b\@x\nDate: x\nDate: y\nTo: a\nTo: b\n\nx\n",
		'8-bit fields' => "Subject: MARK caf\xe9 \xc3\xa9\nTo: \xff\n\nx\n",
		'blanks' => "Subject : MARK\nX-A:b\nX-B:\t c  \n \n\tmore\n\nx\n",
		'a broken address' => "Subject: MARK\nTo: <a\@, b\@x>; (\n\nx\n",
		'a long line of 900' => "Subject: MARK\nX-A: " . 'y' x 890 . "\n\nx\n",
		'broken MIME' => "Subject: MARK\nMIME-Version: 1.0\n" .
		    "Content-Type: multipart/mixed\nContent-Transfer-Encoding: " .
		    "x-y\n\n--a\nx\n",
		'MIME without a version' => "Subject: MARK\nContent-Type: " .
		    "text/plain; charset=\"\n\nx\n",
		'control characters' => "Subject: MARK \x07\x1b[0m\n\n\x01\n",
	);
	for my $name (sort keys %malformed) {
		my ($got, $sent) = relayed($malformed{$name});
		is($got, $sent, "5322-MTA-a $name: not repaired in relay");
		is($got, $sent, "2505+5068+6647-7103-a $name: not half repaired");
	}
	my ($got) = relayed("Subject: MARK\nX-Long: " . 'y ' x 1500 .
	    "\n\nx\n");
	is(($got =~ s/\n[ \t]//gr) =~ tr/y//, 1500,
	    '5322-MTA-a a field of 3000 loses nothing');
	is(scalar(grep { length > 998 } split /\n/, $got), 0,
	    '5322-MTA-a and goes out in lines that are allowed');
	my $unsubscribe = "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=a;\n" .
	    "\th=from:list-unsubscribe:list-unsubscribe-post; bh=x=;\n\tb=y=\n" .
	    "From: l\@x.test\nList-Unsubscribe: <https://x.test/u?a=1>,\n" .
	    " <mailto:u\@x.test>\nList-Unsubscribe-Post: " .
	    "List-Unsubscribe=One-Click\nSubject: MARK\n\nx\n";
	($got, my $sent) = relayed($unsubscribe);
	is($got, $sent, '2505+5068+6647-8058-a a signed header of a list ' .
	    'passes byte by byte');
}

# --- where a header ends ------------------------------------------------------

for my $begin ("This is no field MARK\nX-A: b\n\nx\n",
    "From nobody Sun Nov 22 10:00:00 2026\nSubject: MARK\n\nx\n",
    "\nSubject: MARK\n", " begins with a blank MARK\n\nx\n",
    "X-A: b\nno field MARK\nX-B: c\n\nx\n") {
	my ($name) = $begin =~ /\A\n?(.{1,20})/;
	my ($got) = relayed($begin, is_friend => 1);
	my $mark = 'mark-' . ($number - 1);
	my $sent = $begin =~ s/MARK/$mark/r;
	my ($header, $body) = split /\n\n/, $got, 2;
	my @kept = ($sent =~ /\A((?:X-A: b\n)?)(.*)\z/s);
	is($body // '', $kept[1] =~ s/\A\n//r,
	    "5322-MTA-c $name: it begins the body");
	ok(!grep({ !/^(?:[A-Za-z-]+:|[ \t])/ } split /\n/, $header),
	    '5322-MTA-c and the fields are fields');
}
{
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<u@relay-ok.test>' => 250, 'DATA' => 354);
	my $begin = time;
	my $field = 'X-' . 'f' x 60 . ': ' . 'v' x 60 . "\r\n";
	$c->raw($field x 8000) for 1 .. 10;
	$c->raw("Subject: huge\r\n\r\nx\r\n.\r\n");
	like($c->reply, qr/^(?:250|55[24]) /,
	    '5322-MTA-b a header of 10 MB gets an answer');
	ok(time - $begin < 15, '5322-MTA-b in good time');
	my ($most) = sort { $b <=> $a } map {
		slurp("/proc/$_/status") =~ /^VmHWM:\s+(\d+)/m ?
		    $1 : 0 } $sut->children;
	ok($most < 1024 * (Postrider::is_sanitized() ? 1000 : 100),
	    "5322-MTA-b and no process has more than $most kB");
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
