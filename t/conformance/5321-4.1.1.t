# 5321-4.1.1.t - RFC 5321 section 4.1.1 without DATA: what the server makes of
# each command.
use strict;
use warnings;
use Test::More;
use Postrider qw(wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(settings => { message_size_limit => 0,
    smtpd_expn_clients => '127.0.0.2',
    smtpd_authorized_xclient_hosts => '127.0.0.7' })->start;
my $hello = "Subject: x\n\nx\n";
my $number = 0;

# A stranger with an open transaction, and a recipient if that is wanted.
sub transaction
{
	my @to = @_;
	my $c = $sut->stranger;

	$c->command('MAIL FROM:<s@remote.test>', 250);
	$c->command("RCPT TO:<$_>", 250) for @to;
	return $c;
}

# Finish it; the subject, by which the message is found.
sub finish
{
	my ($c, $row, $about) = @_;
	my $subject = 'number-' . $number++;

	like($c->command('DATA'), qr/^354 /, "$row $about");
	$c->data("Subject: $subject\n\nx\n", 250);
	return $subject;
}

# The copies that alice or bob has, when the queue has nothing more.
sub copies
{
	my ($who, $subject) = @_;

	$sut->wait_empty;
	return grep { /^Subject: \Q$subject\E$/m } $sut->mail($who);
}

# --- all commands -------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	for my $step (['EHLO c.test  ', 250], ["NOOP  ", 250],
	    ["NOOP\t", 250], ['RSET ', 250], ["HELP \t ", 214],
	    ['MAIL FROM:<s@remote.test>  ', 250],
	    ['RCPT TO:<alice@local.test> ', 250],
	    ["RCPT TO:<bob\@local.test> \t", 250], ['DATA ', 354]) {
		my ($command, $code) = @$step;
		like($c->command($command), qr/^$code/, '5321-4.1.1-a white ' .
		    'space behind ' . $command =~ s/\s+\z//r);
	}
	$c->data($hello, 250);
	like($c->command('QUIT '), qr/^221/, '5321-4.1.1-a behind QUIT');
	ok($c->is_closed, '5321-4.1.1-a which ends the session');
}
{
	my $c = transaction();
	for my $local ('a..b', '.a', 'a.', '.', '..') {
		like($c->command("RCPT TO:<$local\@local.test>"),
		    qr/^(?:501 5\.1\.3|553)/,
		    "5321-4.1.1-b $local is no local part");
	}
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250/,
	    '5321-4.1.1-b alice is one');
	for my $command ('RSET x', 'DATA x', 'QUIT x', 'QUIT now please') {
		like($c->command($command), qr/^501 5\.5\.4/,
		    "5321-4.1.1-c $command is a syntax error");
	}
	like($c->command('NOOP'), qr/^250/,
	    '5321-4.1.1-c after which the session goes on');
	my $subject = finish($c, '5321-4.1.1-c', 'and the transaction too');
	is(scalar copies('alice', $subject), 1, '5321-4.1.1-c to its end');
}

# --- EHLO and HELO ------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	for my $helo ('EHLO [192.0.2.7] my laptop', 'EHLO c.test and more',
	    'HELO [192.0.2.7] my laptop') {
		like($c->command($helo), qr/^250/,
		    "5321-4.1.1.1-c text behind the argument: $helo");
	}
	like($c->command('NOOP'), qr/^250/, '5321-4.1.1.1-c no hanging up');

	$c = Postrider::Client->new($sut->port, from => '127.0.0.2');
	my ($greeting) = $c->expect(220) =~ /^220[ -](\S+)/;
	my ($ehlo) = $c->command('EHLO c.test') =~ /^250[ -](\S+)/;
	my ($helo) = $c->command('HELO c.test') =~ /^250[ -](\S+)/;
	is($greeting, 'sut.test', '5321-4.1.1.1-d our name in the greeting');
	is($ehlo, 'sut.test', '5321-4.1.1.1-d and behind EHLO');
	is($helo, 'sut.test', '5321-4.1.1.1-d and behind HELO');
}
for my $helo ('EHLO c.test', 'HELO c.test') {
	my $c = transaction('alice@local.test');
	like($c->command($helo), qr/^250/,
	    "5321-4.1.1.1-g $helo in a transaction");
	like($c->command('DATA'), qr/^503/,
	    '5321-4.1.1.1-g ends it: DATA is out of order');
	like($c->command('RCPT TO:<bob@local.test>'), qr/^503/,
	    '5321-4.1.1.1-g RCPT as well');
	$c->script('MAIL FROM:<t@remote.test>' => 250,
	    'RCPT TO:<bob@local.test>' => 250);
	my $subject = finish($c, '5321-4.1.1.1-g', 'and a new one');
	my @bob = copies('bob', $subject);
	is(scalar @bob, 1, '5321-4.1.1.1-g reaches its own recipient');
	like($bob[0], qr/^Return-Path: <t\@remote\.test>$/m,
	    '5321-4.1.1.1-g from its own sender');
	is(scalar copies('alice', $subject), 0,
	    '5321-4.1.1.1-g and nobody of the old one');
}
{
	my $c = $sut->stranger(helo => undef);
	for my $helo ('EHLO', 'HELO', 'EHLO   ', "HELO \t") {
		like($c->command($helo), qr/^501/, '5321-4.1.1.1-h "' .
		    $helo =~ s/\t/\\t/r . '" lacks its argument');
	}
	like($c->command('EHLO c.test'), qr/^250/,
	    '5321-4.1.1.1-h with one it is good');
	for my $name ('@', '[1.2.3]', '[1.2.3.256]', '[IPv6:zz]', '-x.test',
	    'x..test', 'a,b.test', '<c.test>', '[192.0.2.1', 'x!y',
	    'x' x 64 . '.test') {
		like($c->command("EHLO $name"), qr/^501/,
		    "5321-4.1.1.1-i $name is neither name nor literal");
	}
	for my $name ('c.test', 'localhost', '[192.0.2.1]', 'foo_bar',
	    '[IPv6:2001:db8::1]', 'xn--bcher-kva.test', '3com.test') {
		like($c->command("EHLO $name"), qr/^250/,
		    "5321-4.1.1.1-i $name is taken");
	}
}
{
	my $c = $sut->stranger(helo => undef);
	$c->raw("EHLO c.test\r\n");
	my @lines;
	do { push @lines, $c->line } until $lines[-1] =~ /^250 /;
	my $keyword = qr/[A-Za-z0-9][A-Za-z0-9-]*(?: [!-~]+)*/;
	ok(@lines > 5, '5321-4.1.1.1-j there are keywords');
	is(scalar(grep { !/\A250-/ } @lines[0 .. $#lines - 1]), 0,
	    '5321-4.1.1.1-j all lines but the last have a hyphen');
	like($lines[0], qr/\A250-sut\.test(?: [!-~ ]+)?\r\n\z/,
	    '5321-4.1.1.1-j name and perhaps a greeting');
	is(scalar(grep { !/\A250[- ]$keyword\r\n\z/ } @lines[1 .. $#lines]), 0,
	    '5321-4.1.1.1-j and a keyword a line');
}

# A client that may use XCLIENT.
sub known
{
	my $c = Postrider::Client->new($sut->port, from => '127.0.0.7');

	$c->expect(220);
	return $c;
}

# What is not listed does not work.
sub keywords
{
	my ($c) = @_;
	my ($first, @lines) = split /\n/, $c->command('EHLO c.test', 250);

	return { map { /^250[- ](\S+)/ ? ($1 => 1) : () } @lines };
}
{
	my $bare = Postrider::Fixture->new(settings => {
		smtpd_discard_ehlo_keywords => 'etrn, chunking, dsn, size, ' .
		    '8bitmime, smtputf8, expn, silent-discard',
		smtpd_expn_clients => '127.0.0.2',
		fast_flush_domains => 'relay-ok.test' })->start;
	my %verbs = (ETRN => 'ETRN relay-ok.test', EXPN => 'EXPN team',
	    CHUNKING => "BDAT 0 LAST", HELP => 'HELP', STARTTLS => 'STARTTLS',
	    AUTH => 'AUTH PLAIN AGEAYg==', XCLIENT => 'XCLIENT NAME=x',
	    XFORWARD => 'XFORWARD NAME=x', TURN => 'TURN', ATRN => 'ATRN',
	    BURL => 'BURL imap://x LAST');
	for my $what (['usual', $sut], ['discarding', $bare]) {
		my ($about, $system) = @$what;
		my $c = $system->stranger(helo => undef);
		my $listed = keywords($c);
		for my $keyword (sort keys %verbs) {
			my $reply = $c->command($verbs{$keyword});
			my $is_known = $reply !~ /^50[02]/;
			$is_known = 0 if $keyword =~ /^X/ && $reply =~ /^5/;
			is($is_known ? 'yes' : 'no', $listed->{$keyword} ?
			    'yes' : 'no', "5321-4.1.1.1-l $about: $keyword " .
			    'works if it is listed (' .
			    substr($reply, 0, 3) . ')');
			$c->command('RSET', 250);
		}
		is($listed->{ETRN} ? 1 : 0, $about eq 'usual' ? 1 : 0,
		    "5321-4.1.1.1-l $about: ETRN");
	}
	my $c = $bare->stranger;
	like($c->command("MAIL FROM:<a\@b.test> $_"), qr/^555/,
	    "5321-4.1.1.1-l $_ is not offered, not taken")
	    for 'SIZE=1', 'BODY=8BITMIME', 'RET=HDRS', 'SMTPUTF8';
	is(join('', $bare->complaints), '', 'nothing crashed there');

	ok(keywords(known())->{XCLIENT},
	    '5321-4.1.1.1-m who may use XCLIENT is told of it');
	ok(!keywords($sut->stranger(helo => undef))->{XCLIENT},
	    '5321-4.1.1.1-m others are not');
	ok(keywords(known())->{XCLIENT},
	    '5321-4.1.5-b an X feature is listed for whom it is');
	ok(!grep({ /^X/ } keys %{ keywords($sut->stranger(helo => undef)) }),
	    '5321-4.1.5-b and none for strangers');
	$c = $sut->stranger;
	for my $verb ('XFOO', 'XFOO a b', 'X', 'X-Y', 'XEXCH50 1 2') {
		like($c->command($verb), qr/^500 /,
		    "5321-4.1.5-a $verb is unknown");
	}
	like($c->command('NOOP'), qr/^250/, '5321-4.1.5-a and that is all');
}

# --- MAIL ---------------------------------------------------------------------

{
	my $c = transaction('alice@local.test');
	$c->script('RSET' => 250, 'MAIL FROM:<b@remote.test>' => 250);
	like($c->command('DATA'), qr/^(?:503|554)/,
	    '5321-4.1.1.2-a MAIL begins without recipients');
	$c->command('RCPT TO:<bob@local.test>', 250);
	my $subject = finish($c, '5321-4.1.1.2-a', 'with one it goes');
	my @bob = copies('bob', $subject);
	is(scalar copies('alice', $subject), 0,
	    '5321-4.1.1.2-a alice was of an earlier one');
	like($bob[0] // '', qr/^Return-Path: <b\@remote\.test>$/m,
	    '5321-4.1.1.2-a the last sender is the sender');
	# Data was cleared as well.
	is(scalar(() = $bob[0] =~ /^Subject:/mg), 1,
	    '5321-4.1.1.2-a and the data is only this one\'s');
}
{
	my $c = $sut->stranger;
	for my $command ('MAIL <a@b.test>', 'MAIL FROM a@b.test', 'MAIL FROM:',
	    'MAIL', 'MAIL FROM', 'MAIL FROM:<a@b.test>SIZE=1', 'MAIL TO:<a@b.test>',
	    'MAIL FROM:<a@b.test> <c@d.test>', 'MAIL FROM <a@b.test>') {
		like($c->command($command), qr/^501/,
		    "5321-4.1.1.2-b $command");
	}
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250/,
	    '5321-4.1.1.2-b while the right form is right');
	$c->command('RSET', 250);
	like($c->command('MAIL FROM:<>'), qr/^250/,
	    '5321-4.1.1.2-c the null path is a sender');
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250/,
	    '5321-4.1.1.2-c who may send to alice');
	my $subject = finish($c, '5321-4.1.1.2-c', 'and does');
	my @alice = copies('alice', $subject);
	is(scalar @alice, 1, '5321-4.1.1.2-c who gets it');
	like($alice[0], qr/^Return-Path: <>$/m,
	    '5321-4.1.1.2-c from nobody');
}

# --- RCPT ---------------------------------------------------------------------

{
	my $c = transaction();
	like($c->command('RCPT TO:<@x.test:alice@local.test>'), qr/^250/,
	    '5321-4.1.1.3-b a route is understood');
	like($c->command('RCPT TO:<@x.test,@y.test:bob@local.test>'), qr/^250/,
	    '5321-4.1.1.3-b a longer one too');
	like($c->command("RCPT TO:<$_>"), qr/^501/,
	    "5321-4.1.1.3-b $_ is none") for '@x.test', '@x.test:',
	    '@x.test alice@local.test', '@x.test;alice@local.test',
	    'x.test:alice@local.test', '@x.test,:alice@local.test';
	my $subject = finish($c, '5321-4.1.1.3-c', 'mail with routes');
	is(scalar copies('alice', $subject), 1,
	    '5321-4.1.1.3-c goes to the mailbox');
	is(scalar copies('bob', $subject), 1,
	    '5321-4.1.1.3-c whatever the route was');
	# x.test has the transport of all unknown domains: error.
	is($sut->said(qr/to=<[^>]*[xy]\.test/), 0,
	    '5321-4.1.1.3-c and nothing to its hosts');
}
{
	my $c = transaction('@x.test,@y.test:u@relay-ok.test');
	my $subject = finish($c, '5321-4.1.1.3-d', 'a routed recipient');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is($m->{from}, 's@remote.test',
	    '5321-4.1.1.3-d the sender stays as it was');
	is($m->{rcpt_lines}[0], 'RCPT TO:<u@relay-ok.test>',
	    '5321-4.1.1.3-d the recipient has no route');
	unlike("$m->{mail} $m->{data}", qr/[xy]\.test/,
	    '5321-4.1.1.3-d and nothing tells of the route\'s names');
}
{
	my $c = transaction('alice@local.test');
	like($c->command('RCPT TO:<no-such@local.test>'), qr/^550/,
	    '5321-4.1.1.3-e a bad recipient');
	$c->command('RCPT TO:<bob@local.test>', 250);
	my $subject = finish($c, '5321-4.1.1.3-e', 'between two good ones');
	for my $who (qw(alice bob)) {
		my @m = copies($who, $subject);
		is(scalar @m, 1, "5321-4.1.1.3-e $who has it");
		like($m[0], qr/^Return-Path: <s\@remote\.test>$/m,
		    '5321-4.1.1.3-e from the sender of MAIL');
	}
	is(scalar(grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sut->remote->messages), 0, '5321-4.1.1.3-e and no report');
}
{
	my $c = transaction();
	for my $who ('Postmaster', 'POSTMASTER', 'postmaster',
	    'PostMaster@local.test', 'postmaster@SECOND.test',
	    'postmaster@sut.test', '"postmaster"@local.test') {
		like($c->command("RCPT TO:<$who>"), qr/^250/,
		    "5321-4.1.1.3-f <$who>");
	}
	my $subject = finish($c, '5321-4.1.1.3-f', 'mail to all of them');
	ok(scalar copies('alice', $subject) >= 1,
	    '5321-4.1.1.3-f reaches the postmaster');

	$c = transaction();
	like($c->command('RCPT TO:<>'), qr/^(?:501|550|553)/,
	    '5321-4.1.1.3-h nobody is no recipient');
	like($c->command('RCPT TO:'), qr/^501/, '5321-4.1.1.3-h nor nothing');
	$c->command('RCPT TO:<bob@local.test>', 250);
	$subject = finish($c, '5321-4.1.1.3-h', 'the transaction is open');
	is(scalar copies('bob', $subject), 1, '5321-4.1.1.3-h and good');

	$c = transaction();
	for my $who (qw(no-such far team.x postmaster-x)) {
		like($c->command("RCPT TO:<$who>"), qr/^(?:501|504|550)/,
		    "5321-4.1.1.3-i a stranger's <$who> is refused");
	}
	# What is accepted is what the manual says: the origin is appended.
	$c->command('RCPT TO:<bob>');
	$subject = finish($c, '5321-4.1.1.3-i', 'a bare local user');
	is(scalar copies('bob', $subject), 1,
	    '5321-4.1.1.3-i is that user of $myorigin and nobody else');
}

# --- RSET ---------------------------------------------------------------------

{
	my $c = transaction('alice@local.test');
	for my $step (['RSET', 250], ['DATA', 503],
	    ['RCPT TO:<alice@local.test>', 503]) {
		my ($command, $code) = @$step;
		like($c->command($command), qr/^$code/,
		    "5321-4.1.1.5-a $command");
	}
	$c->script('MAIL FROM:<r@remote.test>' => 250,
	    'RCPT TO:<bob@local.test>' => 250);
	my $subject = finish($c, '5321-4.1.1.5-a', 'what comes then');
	is(scalar copies('alice', $subject), 0,
	    '5321-4.1.1.5-a is not for the first recipient');
	like((copies('bob', $subject))[0] // '', qr/^Return-Path: <r\@/m,
	    '5321-4.1.1.5-a nor from the first sender');
	like($c->command('RSET'), qr/^250/, '5321-4.1.1.5-b RSET after DATA');

	$c = $sut->stranger(helo => undef);
	like($c->command('RSET'), qr/^250/, '5321-4.1.1.5-b before EHLO');
	$c->command('EHLO c.test', 250);
	like($c->command('RSET'), qr/^250/, '5321-4.1.1.5-b after EHLO');
	is(scalar(grep { $c->command('RSET') =~ /^250/ } 1 .. 20), 20,
	    '5321-4.1.1.5-c twenty of them');
	like($c->command('NOOP'), qr/^250/, '5321-4.1.1.5-c and still there');
	like($c->command('MAIL FROM:<s@remote.test>'), qr/^250/,
	    '5321-4.1.1.5-e no second EHLO is needed');
}
{
	my $c = transaction('alice@local.test');
	my $before = $sut->said(qr/disconnect from/);
	my $mails = $sut->mail('alice');
	$c->close;
	wait_for(sub { $sut->said(qr/disconnect from/) > $before }, 10,
	    'the end of the session');
	is($sut->queue_count, 0, '5321-4.1.1.5-d who hangs up leaves nothing');
	is(scalar(my @now = $sut->mail('alice')), $mails,
	    '5321-4.1.1.5-d and nothing is delivered');
}

# --- VRFY, EXPN, HELP, NOOP ---------------------------------------------------

for my $what (['5321-4.1.1.6-a', 'VRFY bob', qr/^25[0-2]/],
    ['5321-4.1.1.6-a', 'VRFY no-such', qr/^[25]5/],
    ['5321-4.1.1.7-a', 'EXPN team', qr/^250/],
    ['5321-4.1.1.8-b', 'HELP', qr/^214/],
    ['5321-4.1.1.9-a', 'NOOP', qr/^250/]) {
	my ($row, $command, $re) = @$what;
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command($command), $re, "$row $command after MAIL");
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250/,
	    "$row then RCPT");
	like($c->command($command), $re, "$row $command after RCPT");
	my $subject = finish($c, $row, 'then DATA');
	is(scalar copies('alice', $subject), 1, "$row alice has it");
	is(scalar copies('bob', $subject), 0, "$row and nobody else");
}
{
	my $c = $sut->stranger(helo => undef);
	like($c->command('EXPN team'), qr/^250/, '5321-4.1.1.7-a before EHLO');
	like($c->command('VRFY'), qr/^501/, '5321-4.1.1.6-b VRFY of nobody');
	like($c->command('VRFY  '), qr/^501/, '5321-4.1.1.6-b or of blanks');
	like($c->command('HELP'), qr/^21[14] /, '5321-4.1.1.8-a HELP helps');
	like($c->command('HELP MAIL'), qr/^(?:21[14]|504) /,
	    '5321-4.1.1.8-a with a word too');
	like($c->command('NOOP hello'), qr/^250/, '5321-4.1.1.9-b NOOP hello');
	like($c->command('NOOP "a b"'), qr/^250/, '5321-4.1.1.9-b a string');
	like($c->command('NOOP a b c'), qr/^(?:250|501)/,
	    '5321-4.1.1.9-b several words');
}

# --- QUIT and hanging up ------------------------------------------------------

{
	my $c = $sut->stranger;
	$c->raw("QUIT\r\nNOOP\r\n");
	like($c->reply, qr/\A221 .*\bsut\.test\b/,
	    '5321-4.1.1.10-a QUIT is answered, with our name');
	ok($c->is_closed, '5321-4.1.1.10-a what comes after it is not');

	$c = $sut->stranger(helo => undef);
	for my $command ('FOO', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'ETRN',
	    'MAIL FROM:<', 'VRFY', "EHLO \x80", 'X' x 3000) {
		like($c->command($command), qr/^5/,
		    '5321-4.1.1.10-b an error: ' . substr($command, 0, 20)
		    =~ s/[^ -~]/?/gr);
	}
	$c->command('EHLO c.test', 250);
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<no-such@local.test>'), qr/^5/,
	    '5321-4.1.1.10-b a recipient that is not there');
	like($c->command('DATA'), qr/^5/, '5321-4.1.1.10-b DATA for nobody');
	ok(!$c->has_input(0.5), '5321-4.1.1.10-b nobody hangs up');
	like($c->command('QUIT'), qr/^221/, '5321-4.1.1.10-b before QUIT');
	ok($c->is_closed, '5321-4.1.1.10-b which ends it');

	$c = $sut->stranger(helo => undef);
	like($c->command('QUIT'), qr/^221/,
	    '5321-4.1.1.10-g QUIT before anything else');
	my @before = $sut->mail('alice');
	$c = transaction('alice@local.test');
	like($c->command('QUIT'), qr/^221/,
	    '5321-4.1.1.10-g QUIT in a transaction');
	ok($c->is_closed, '5321-4.1.1.10-g is possible');
	is($sut->queue_count, 0, '5321-4.1.1.10-g and leaves nothing');
	my @now = $sut->mail('alice');
	is(scalar @now, scalar @before, '5321-4.1.1.10-g nor is it delivered');
}
{
	my $c = transaction('alice@local.test');
	my $good = finish($c, '5321-4.1.1.10-e', 'a complete message');
	my $before = $sut->said(qr/disconnect from/);
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
	$c->raw("Subject: half-done\r\n\r\nhalf\r\n.");
	$c->close;
	wait_for(sub { $sut->said(qr/disconnect from/) > $before }, 10,
	    'the end of the session');
	is(scalar copies('alice', $good), 1, '5321-4.1.1.10-e is kept');
	is(scalar copies('alice', 'half-done'), 0,
	    '5321-4.1.1.10-e the one that broke off is not');
	is($sut->queue_count, 0, '5321-4.1.1.10-e nowhere');
}

# --- parameters ---------------------------------------------------------------

{
	my $c = $sut->stranger;
	like($c->command("MAIL FROM:<a\@b.test> $_"), qr/^555 5\.5\.4/,
	    "5321-4.1.1.11-a MAIL with $_")
	    for 'FOO=BAR', 'FOO', 'NOTIFY=NEVER', 'SIZE=1 FOO=1', 'REQUIRETLS';
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command("RCPT TO:<alice\@local.test> $_"), qr/^555 5\.5\.4/,
	    "5321-4.1.1.11-a RCPT with $_")
	    for 'XYZ', 'XYZ=1', 'SIZE=1', 'NOTIFY=NEVER XYZ';
	like($c->command('DATA'), qr/^(?:503|554)/,
	    '5321-4.1.1.11-a and such a recipient does not count');
	$c->command('RSET', 250);
	# RFC 1870 says 452 for a size that there is no room for now.
	like($c->command('MAIL FROM:<a@b.test> SIZE=9000000000000000000'),
	    qr/^4(?:55|52) /, '5321-4.1.1.11-b no room for now');
	like($c->command('MAIL FROM:<a@b.test> SIZE=100'), qr/^250/,
	    '5321-4.1.1.11-b there is for less');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
