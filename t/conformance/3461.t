# 3461.t - RFC 3461: what senders and clients ask of reports, and what becomes
# of it on the way.
use strict;
use warnings;
use Test::More;
use Postrider qw(wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(clock => 1,
	remote => { is_noting => 1, replies => sub {
		my ($verb, $line) = @_;
		return undef if $verb ne 'RCPT';
		return '550 5.1.1 who?' if $line =~ /<gone/;
		return '450 4.2.0 not now' if $line =~ /<later/;
		return undef;
	} },
	aliases => "readers m1\@remote.test, m2\@remote.test, bob\n" .
	    "owner-readers keeper\@remote.test\n" .
	    "both m1\@remote.test, m2\@remote.test\n",
	settings => { relay_domains => 'relay-ok.test, old.test',
	    delay_warning_time => '1h' });
# A host that takes no duties.
my $old = $sut->sink(is_noting => 1, extensions => [qw(PIPELINING 8BITMIME)],
    replies => sub { $_[0] eq 'RCPT' && $_[1] =~ /<gone/ ?
	'550 5.1.1 who?' : undef });
{
	open my $f, '>>', $sut->etc . '/transport';
	print $f 'old.test smtp:[127.0.0.1]:' . $old->port . "\n";
}
$sut->start;

my (%id, %subject);
my $number = 0;

# Send; what is sent has a name, a sender and a subject of its own.
# recipients: address => parameters.
sub post
{
	my ($name, $options, @to) = @_;
	my $c = $sut->friend;
	my $from = $name =~ /^null/ ? '' : "$name\@remote.test";

	$c->command("MAIL FROM:<$from> $options", 250);
	while (my ($to, $how) = splice @to, 0, 2) {
		$c->command("RCPT TO:<$to> $how", 250);
	}
	$c->command('DATA', 354);
	($id{$name}) = $c->data("Subject: $name\n" .
	    "Message-ID: <$name\@remote.test>\n\nx\n") =~ /queued as (\w+)/;
	$c->command('QUIT', 221);
}

# What the sender of this was sent, unfolded.
sub reports
{
	my ($name) = @_;

	return map { $_->{data} =~ s/\r\n[ \t]+/ /gr } grep {
	    $_->{rcpt}[0] eq "$name\@remote.test" && $_->{from} eq '' }
	    $sut->remote->messages;
}

# The actions that were reported for a recipient, or for all of them.
sub actions
{
	my ($name, $to) = @_;
	my @all;

	for my $report (reports($name)) {
		push @all, $report =~
		    /^Final-Recipient: \S+ (\S+)\r\nAction: (\w+)\r$/mg;
	}
	my @words;
	while (my ($address, $action) = splice @all, 0, 2) {
		push @words, $action if !defined $to || $address eq $to;
	}
	return join ' ', sort @words;
}

# Copies of this at a sink, and their first RCPT lines.
sub copies
{
	my ($name, $sink) = @_;

	return grep { $_->{data} =~ /^Subject: $name\r$/m && $_->{from} ne '' }
	    $sink->messages;
}

sub rcpt_lines { return map { @{ $_->{rcpt_lines} } } copies(@_) }

# --- what the server takes ----------------------------------------------------

# A MAIL or RCPT command with parameters, in a session; then RSET.
my $c = $sut->friend;

sub says
{
	my ($c, $command, $re, $name) = @_;

	like($c->command($command), $re, $name);
	$c->command('RSET', 250) if $command =~ /^MAIL/;
}

sub rcpt { return 'RCPT TO:<alice@local.test> ' . join ' ', @_ }
sub mail { return 'MAIL FROM:<s@remote.test> ' . join ' ', @_ }

for my $good ('RET=FULL', 'RET=hdrs', 'ret=Full', 'RET=HDRS') {
	says($c, mail($good), qr/^250/, "3461-4.3-a $good is taken");
}
for my $bad ('RET=X', 'RET=', 'RET', 'RET=FULLHDRS', 'RET=FULL,HDRS') {
	says($c, mail($bad), qr/^501/, "3461-4.3-a $bad is not");
}
my @good = ('ENVID=' . 'x' x 100, 'ENVID=QQ+2B314159', 'ENVID=a+20b',
    'ENVID=!~');
says($c, mail($_), qr/^250/, '3461-4.4-a ' . substr($_, 0, 20) . ' is taken')
    for @good;
for my $bad ('ENVID=' . 'x' x 101, 'ENVID=a+0Ab', 'ENVID=a+00', 'ENVID=+7F',
    'ENVID=a=b', "ENVID=a\tb", 'ENVID=') {
	says($c, mail($bad), qr/^501/, '3461-4.4-a ' .
	    substr($bad, 0, 20) . ' is not');
}
for my $bad ('ENVID=a+4', 'ENVID=a+zz', 'ENVID=a+2b', 'RET=FOO') {
	says($c, mail($bad), qr/^501/, "3461-5.1-b $bad gets 501");
}
for my $bad ('RET=FULL RET=HDRS', 'RET=FULL ret=FULL', 'ENVID=a ENVID=b',
    'ENVID=a RET=FULL envid=a') {
	says($c, mail($bad), qr/^501/, "3461-4.5-a $bad is refused");
	says($c, mail($bad), qr/^501/, "3461-5.1-b $bad gets 501");
}
$c->command(mail(), 250);
for my $good ('never', 'NEVER', 'Success,Failure', 'SUCCESS,FAILURE,DELAY',
    'delay', 'DELAY,SUCCESS') {
	says($c, rcpt("NOTIFY=$good"), qr/^250/,
	    "3461-4.1-a NOTIFY=$good is taken");
}
for my $bad ('NEVER,SUCCESS', 'SUCCESS,NEVER', '', 'FOO', 'SUCCESS,',
    ',DELAY', 'SUCCESS;DELAY', 'SUCCESS,FOO') {
	says($c, rcpt("NOTIFY=$bad"), qr/^501/,
	    "3461-4.1-a NOTIFY=$bad is not");
}
for my $good ('rfc822;a+2Bb@x.test', 'RFC822;a@x.test', 'x400;S+3Dname',
    'rfc822;' . 'x' x 493) {
	says($c, rcpt("ORCPT=$good"), qr/^250/,
	    '3461-4.2-a ORCPT=' . substr($good, 0, 30) . ' is taken');
}
for my $bad ('rfc822', 'rfc822;a+2bb@x.test', 'rfc822;a+2', 'rfc822;a=b',
    ';a@x.test', 'rfc822;', 'rfc822;' . 'x' x 494, 'a@x.test',
    'rfc822;a+00b') {
	says($c, rcpt("ORCPT=$bad"), qr/^501/,
	    '3461-4.2-a ORCPT=' . substr($bad, 0, 30) . ' is not');
}
says($c, rcpt($_), qr/^501/, "3461-5.1-b $_ gets 501")
    for 'NOTIFY=FOO', 'ORCPT=x';
says($c, rcpt($_), qr/^501/, "3461-4.5-a $_ is refused")
    for 'NOTIFY=NEVER NOTIFY=NEVER', 'NOTIFY=DELAY notify=SUCCESS',
    'ORCPT=rfc822;a@x.test ORCPT=rfc822;a@x.test';

# Replies are the same with wishes and without.
{
	my @cases = ('alice@local.test', 'no-such@local.test',
	    'a@elsewhere.test', 'a b@local.test', 'u@relay-ok.test');
	my $plain = $sut->stranger;
	my $wishing = $sut->stranger;
	for my $from ('<s@remote.test>', '<>', '<bad..dots@x.test>', '<a@>') {
		my $want = $plain->command("MAIL FROM:$from");
		is($wishing->command("MAIL FROM:$from RET=HDRS ENVID=e"),
		    $want, "3461-5.1-a the reply to MAIL FROM:$from");
		$_->command('RSET', 250) for $plain, $wishing;
	}
	$_->command('MAIL FROM:<s@remote.test>', 250) for $plain, $wishing;
	for my $to (@cases) {
		my $want = $plain->command("RCPT TO:<$to>");
		for my $wish ('NOTIFY=NEVER', 'NOTIFY=SUCCESS,DELAY ' .
		    'ORCPT=rfc822;else@x.test') {
			is($wishing->command("RCPT TO:<$to> $wish"), $want,
			    "3461-5.1-a the reply to <$to> $wish");
		}
	}
}

# The longest there may be.
{
	$c->command('RSET', 250);
	like($c->command(mail('RET=FULL', 'ENVID=' . 'y' x 100)), qr/^250/,
	    '3461-5.4-a ENVID of 100 characters and RET');
	my $line = rcpt('NOTIFY=SUCCESS,FAILURE,DELAY',
	    'ORCPT=rfc822;' . 'o' x 493);
	like($c->command($line), qr/^250/,
	    '3461-5.4-a ORCPT of 500 characters and NOTIFY');
	# RFC 5321 4.1.1: blanks before the line's end are tolerated.
	$line .= ' ' x (1036 - 2 - length $line);
	is(length("$line\r\n"), 1036, '3461-5.4-a a line of 1036');
	like($c->command($line), qr/^250/, '3461-5.4-a is taken');
	my $long = 'RCPT TO:<' . 'l' x 64 . '@' . 'd' x 60 . '.relay-ok.test>';
	like($c->command("$long NOTIFY=SUCCESS,FAILURE,DELAY " .
	    'ORCPT=rfc822;' . 'o' x 493), qr/^250/,
	    '3461-5.4-a with a long address too');
}

# --- messages with all kinds of wishes ----------------------------------------

my $wishes = 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;A+2BLice@first.test';

post('null-1', '', 'alice@local.test' => 'NOTIFY=SUCCESS,FAILURE',
    'gone@remote.test' => 'NOTIFY=SUCCESS,FAILURE',
    'gone@old.test' => 'NOTIFY=FAILURE');
post('kept', 'RET=HDRS ENVID=QQ+2Bx', 'k@relay-ok.test' =>
    'NOTIFY=DELAY ORCPT=rfc822;a@x.test');
post('bare', '', 'b@relay-ok.test' => '');
post('oldhost', 'RET=FULL ENVID=E1', 'o@old.test' =>
    'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@x.test');
post('oldquiet', 'RET=FULL', 'q@old.test' => 'NOTIFY=FAILURE,DELAY',
    'r@old.test' => '');
post('never', '', 'gone1@remote.test' => 'NOTIFY=NEVER',
    'gone2@old.test' => 'NOTIFY=NEVER', 'alice@local.test' => 'NOTIFY=NEVER',
    'o@old.test' => 'NOTIFY=NEVER', 'later@remote.test' => 'NOTIFY=NEVER');
post('wanted', '', 'alice@local.test' => 'NOTIFY=SUCCESS');
post('unwanted', '', 'alice@local.test' => 'NOTIFY=FAILURE',
    'bob@local.test' => '');
post('nodelay', '', 'later@remote.test' => 'NOTIFY=FAILURE',
    'later2@remote.test' => 'NOTIFY=SUCCESS,FAILURE');
post('delay', '', 'later@remote.test' => 'NOTIFY=DELAY',
    'later2@remote.test' => '');
post('fail-none', '', 'gone@remote.test' => '');
post('fail-failure', '', 'gone@remote.test' => 'NOTIFY=FAILURE');
post('fail-success', '', 'gone@remote.test' => 'NOTIFY=SUCCESS');
post('fail-delay', '', 'gone@remote.test' => 'NOTIFY=DELAY');
post('toreaders', 'RET=HDRS ENVID=L1', 'readers@local.test' => $wishes);
post('toone', 'RET=HDRS ENVID=O1', 'far-off@local.test' => $wishes);
post('toone-bare', '', 'far-off@local.test' => 'NOTIFY=FAILURE');
post('toboth', 'RET=HDRS ENVID=B1', 'both@local.test' => $wishes);
$sut->settle;

is(scalar(grep { $_->{from} eq '' && $_->{data} =~ /null-1/ }
    $sut->remote->messages), 0, '3461-5.2-a <> is sent no report');
like($sut->log, qr/ $id{'null-1'}: to=<gone\@remote\.test>.*status=bounced/,
    '3461-5.2-a though a recipient failed');
like($sut->log, qr/ $id{'null-1'}: to=<alice\@local\.test>.*status=sent/,
    '3461-5.2-a and one was delivered');
is(scalar(grep { /^Subject: .*(?:Report|Undeliver|Return)/m }
    $sut->mail('alice'), $sut->mail('bob')), 0,
    '3461-5.2-a nor is anybody else');

{
	my ($m) = copies('kept', $sut->relay);
	like($m->{mail}, qr/ RET=HDRS\b/, '3461-5.2.1-a RET is passed on');
	like($m->{mail}, qr/ ENVID=QQ\+2Bx(?: |$)/,
	    '3461-5.2.1-a and ENVID as it was');
	my ($line) = @{ $m->{rcpt_lines} };
	like($line, qr/ NOTIFY=DELAY(?: |$)/,
	    '3461-5.2.1-b NOTIFY is passed on');
	like($line, qr/ ORCPT=rfc822;a\@x\.test(?: |$)/,
	    '3461-5.2.1-b and ORCPT as it was');
	is(scalar(() = $m->{mail} =~ /\b$_=/g), 1,
	    "3461-4.5-a the client says $_ once") for qw(RET ENVID);
	is(scalar(() = $line =~ /\b$_=/g), 1,
	    "3461-4.5-a the client says $_ once") for qw(NOTIFY ORCPT);
	is(actions('kept'), '', '3461-5.2.1-b and the host has the duty');
	($m) = copies('bare', $sut->relay);
	unlike($m->{mail}, qr/\b(?:RET|ENVID)=/,
	    '3461-5.2.1-a nothing is added');
	unlike($m->{rcpt_lines}[0], qr/\bNOTIFY=/,
	    '3461-5.2.1-b no NOTIFY either');
	unlike($m->{rcpt_lines}[0], qr/ ORCPT=(?!rfc822;b\@relay-ok\.test)/,
	    '3461-5.2.1-b nor any ORCPT but of this recipient');
}
{
	is(actions('oldhost'), 'relayed',
	    '3461-5.2.2-a a host without DSN accepts: relayed');
	my ($report) = reports('oldhost');
	like($report, qr/^Action: relayed\r\nStatus: 2\.\d+\.\d+\r$/m,
	    '3461-5.2.2-a with a code of success');
	like($report, qr/^Original-Recipient: rfc822; ?o\@x\.test\r$/m,
	    '3461-5.2.2-a for the recipient that was named');
	is(actions('oldquiet'), '', '3461-5.2.2-a nobody asked: nothing');
	is(scalar(copies('oldquiet', $old)), 1,
	    '3461-5.2.2-a and the message was taken');
	is(scalar(grep { /\b(?:RET|ENVID|NOTIFY|ORCPT)=/ } $old->raw), 0,
	    '3461-5.2.2-b it hears no parameter');
	ok(scalar(grep { /^RCPT TO:<o\@old\.test>\r$/m } $old->raw),
	    '3461-5.2.2-b but the plain command');
}
is(actions('never'), '', '3461-5.2.2-c NEVER: no report of any kind');
for my $to ('gone1\@remote', 'gone2\@old') {
	like($sut->log, qr/ $id{never}: to=<$to\.test>.*status=bounced/,
	    "3461-5.2.2-c though there was a failure at $to");
}
{
	my ($report) = reports('wanted');
	is(actions('wanted'), 'delivered',
	    '3461-5.2.3-a a delivery is told to who asked');
	like($report, qr/^Status: 2\.\d+\.\d+\r$/m,
	    '3461-5.2.3-a with a code of success');
	is(actions('unwanted'), '', '3461-5.2.3-a and to nobody else');
	is(scalar(grep { /^Subject: unwanted$/m } $sut->mail('alice'),
	    $sut->mail('bob')), 2, '3461-5.2.3-a who has it all the same');
}
my %failures = ('fail-none' => 'failed', 'fail-failure' => 'failed',
    'fail-success' => '', 'fail-delay' => '');
for my $name (sort keys %failures) {
	is(actions($name), $failures{$name}, "3461-5.2.6-a $name: " .
	    ($failures{$name} || 'nothing'));
	like($sut->log, qr/ $id{$name}: to=<gone.*status=bounced/,
	    "3461-5.2.6-a $name has failed");
}
{
	my @lines = rcpt_lines('toreaders', $sut->remote);
	is(scalar @lines, 2, '3461-5.2.7.1-a a list has its members');
	is(scalar(grep { /\bNOTIFY=/ } @lines), 0,
	    '3461-5.2.7.1-a whose hosts hear nothing of NOTIFY');
	is(scalar(grep { !/<(m\d\@remote\.test)>(?: ORCPT=rfc822;\1)?$/ }
	    @lines), 0, '3461-5.2.7.1-a nor ORCPT but their own addresses');
	is(scalar(grep { $_->{mail} =~ /\b(?:RET|ENVID)=/ }
	    copies('toreaders', $sut->remote)), 0,
	    '3461-5.2.7.1-a nor of RET and ENVID');
	is(join(' ', map { $_->{from} } copies('toreaders', $sut->remote)),
	    'owner-readers@local.test', '3461-5.2.7.1-a it is the owner\'s');
	is(actions('toreaders'), 'delivered',
	    '3461-5.2.7.1-a the sender hears that the list has it');
	like((reports('toreaders'))[0] // '',
	    qr/^Final-Recipient: rfc822; readers\@local\.test\r$/m,
	    '3461-5.2.7.1-a by its address');
}
{
	my ($m) = copies('toone', $sut->remote);
	is($m->{rcpt}[0], 'far@remote.test', '3461-5.2.7.2-a an alias for one');
	like($m->{rcpt_lines}[0], qr/ NOTIFY=SUCCESS,FAILURE(?: |$)/,
	    '3461-5.2.7.2-a hands on NOTIFY');
	like($m->{rcpt_lines}[0],
	    qr/ ORCPT=rfc822;A\+2BLice\@first\.test(?: |$)/,
	    '3461-5.2.7.2-a and ORCPT');
	like($m->{mail}, qr/ RET=HDRS\b/, '3461-5.2.7.2-a and RET');
	like($m->{mail}, qr/ ENVID=O1\b/, '3461-5.2.7.2-a and ENVID');
	is($m->{from}, 'toone@remote.test', '3461-5.2.7.2-a and the sender');
	is(actions('toone'), '', '3461-5.2.7.2-a nothing is reported here');
	($m) = copies('toone-bare', $sut->remote);
	like($m->{rcpt_lines}[0], qr/ ORCPT=rfc822;far-off\@local\.test\b/,
	    '3461-5.2.1-b an ORCPT that is missing is made from RCPT');
}
{
	my @lines = rcpt_lines('toboth', $sut->remote);
	is(scalar @lines, 2, '3461-5.2.7.3-a an alias for two');
	is(scalar(grep { / NOTIFY=FAILURE(?: |$)/ } @lines), 2,
	    '3461-5.2.7.3-a hands on NOTIFY without SUCCESS');
	is(actions('toboth'), 'expanded',
	    '3461-5.2.7.3-a and tells that it was expanded');
	like((reports('toboth'))[0] // '',
	    qr/^Final-Recipient: rfc822; both\@local\.test\r$/m,
	    '3461-5.2.7.3-a itself');
}

# --- time passes --------------------------------------------------------------

{
	is(actions('delay') . actions('nodelay'), '',
	    '3461-5.2.5-a at first there is nothing to tell');
	for (1 .. 4) {
		$sut->advance(3600);
		$sut->settle;
	}
	is(actions('delay'), 'delayed delayed',
	    '3461-5.2.5-a a delay is told to who asked and by default');
	is(actions('nodelay'), '', '3461-5.2.5-a but not without DELAY');
	cmp_ok($sut->said(qr/ $id{nodelay}: to=<later\@.*status=deferred/),
	    '>=', 3, '3461-5.2.5-a which was tried several times');
	$sut->advance(6 * 86400);
	$sut->settle;
	is(actions('nodelay'), 'failed failed',
	    '3461-5.2.6-a its failure after days is told');
	is(actions('delay', 'later@remote.test'), 'delayed',
	    '3461-5.2.6-a but not to who asked for DELAY only');
	is(actions('delay', 'later2@remote.test'), 'delayed failed',
	    '3461-5.2.6-a and by default');
	is(actions('never'), '', '3461-5.2.2-c NEVER: still nothing');
	is(scalar(keys %{ $sut->due }), 0, '3461-5.2.2-c and it is over');
}

# --- not for everybody --------------------------------------------------------

{
	like($sut->stranger(helo => undef)->command('EHLO c.test'),
	    qr/^250[- ]DSN$/m, '3461-6-a DSN is offered');
	$sut->set(smtpd_discard_ehlo_keywords => 'dsn, silent-discard');
	$sut->reload;
	my $c = wait_for(sub {
		my $c = $sut->stranger(helo => undef);
		return $c->command('EHLO c.test') =~ /\bDSN\b/ ? undef : $c;
	}, 20, 'EHLO without DSN');
	like($c->command(mail('RET=FULL')), qr/^555/,
	    '3461-6-a hidden, RET is unknown');
	like($c->command(mail('ENVID=x')), qr/^555/,
	    '3461-6-a ENVID too');
	$c->command(mail(), 250);
	like($c->command(rcpt($_)), qr/^555/, "3461-6-a $_ as well")
	    for 'NOTIFY=NEVER', 'ORCPT=rfc822;a@x.test';
	like($c->command(rcpt()), qr/^250/, '3461-6-a without it all is well');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
