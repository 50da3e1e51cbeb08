# 5321-7.t - RFC 5321 sections 7 and 8: what a server tells to whom, whom it
# refuses, and the names in its trace.
use strict;
use warnings;
use Test::More;
use Postrider qw(free_port spew wait_for);
use Postrider::Fixture;

my %port = map { ($_ => free_port()) } qw(quiet expand limit client helo
    sender recipient lists bare closed refused);
my $rules = 'smtpd_delay_reject=no';
my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1 },
	relay => { is_noting => 1, replies => sub {
		my ($verb, $line) = @_;
		return $verb eq 'RCPT' && $line =~ /<moved/ ?
		    '551 5.1.6 please try <new@remote.test>' : $verb eq 'RCPT' &&
		    $line =~ /<gone-on/ ? '251 2.1.5 will go to ' .
		    '<new@remote.test>' : undef;
	} },
	aliases => "secret bob\n",
	master => <<"END");
127.0.0.1:$port{quiet} inet n - n - - smtpd -o disable_vrfy_command=yes
127.0.0.1:$port{expand} inet n - n - - smtpd -o smtpd_expn_clients=127.0.0.1
127.0.0.1:$port{limit} inet n - n - - smtpd -o smtpd_hard_error_limit=20
127.0.0.1:$port{client} inet n - n - - smtpd -o $rules
  -o smtpd_client_restrictions=permit_mynetworks,reject
127.0.0.1:$port{helo} inet n - n - - smtpd -o $rules
  -o smtpd_helo_restrictions=permit_mynetworks,reject
127.0.0.1:$port{sender} inet n - n - - smtpd -o $rules
  -o smtpd_sender_restrictions=permit_mynetworks,reject
127.0.0.1:$port{recipient} inet n - n - - smtpd
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
127.0.0.1:$port{lists} inet n - n - - smtpd
  -o smtpd_client_restrictions=permit_mynetworks,defer
127.0.0.1:$port{bare} inet n - n - - smtpd
  -o { smtpd_banner = \$myhostname ESMTP \$mail_name \$mail_version }
127.0.0.1:$port{closed} inet n - n - - smtpd
  -o { smtpd_refusal_greeting = 521 takes no mail }
END
# Who gets by the rules can send anywhere.
$sut->set(default_transport => 'smtp:[127.0.0.1]:' . $sut->relay->port);
$sut->start;
my $number = 0;

# One message; its subject.
sub mail { return $sut->post(@_) }

sub at { my ($name, %o) = @_; return $sut->stranger(port => $port{$name}, %o) }

# What a service says to these commands, one after the other.
sub said
{
	my ($name, @commands) = @_;
	my $c = Postrider::Client->new($port{$name}, from => '127.0.0.2');

	return [$c->reply, map { $c->command($_) // '' } @commands];
}

# --- 7.1: senders -------------------------------------------------------------

{
	my $subject = 'as-' . $number++;
	my ($status) = $sut->sendmail("From: Other <other\@elsewhere.test>\n" .
	    "Subject: $subject\n\nx\n", '-f', 'me@other.test', 'far@remote.test');
	is($status, 0, '5321-7.1-a a user may post for another address');
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is($m->{from}, 'me@other.test', '5321-7.1-a in the envelope');
	like($m->{data}, qr/^From: Other <other\@elsewhere\.test>\r$/m,
	    '5321-7.1-a and in the header');
}

# --- 7.2: blind copies --------------------------------------------------------

{
	my @to = map { "$_\@relay-ok.test" } qw(one two hidden);
	for my $is_friend (0, 1) {
		my $who = $is_friend ? 'a friend' : 'a stranger';
		my $subject = mail(\@to, is_friend => $is_friend,
		    header => "To: one\@relay-ok.test\n");
		my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
		unlike($m->{data}, qr/two|hidden/,
		    "5321-7.2-a the header of $who does not tell who gets it");
		unlike($m->{data}, qr/^(?:\t| +)for </m,
		    '5321-7.6-a Received has no FOR for several recipients');
		is(join(' ', $m->{data} =~ /^(To|Cc|Bcc|Apparently-To):/mgi),
		    'To', '5321-7.2-b and no recipients are added to it');
		like($m->{data}, qr/^To: one\@relay-ok\.test\r$/m,
		    '5321-7.2-b nor taken away');
		$subject = mail('only@relay-ok.test', is_friend => $is_friend);
		($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
		is(scalar(() = $m->{data} =~ /^\tfor <only\@relay-ok\.test>/mg),
		    1, '5321-7.6-a one recipient may be named');
		unlike($m->{data}, qr/^(?:Apparently-To|To|Cc|Bcc):/mi,
		    "5321-7.2-c mail of $who to nobody stays so");
	}
	my $subject = mail(['alice@local.test', 'bob@local.test']);
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	unlike($m, qr/^Apparently-To:|bob\@/mi,
	    '5321-7.2-c in a mailbox, too');
	$subject = mail('alice@local.test',
	    header => "To: undisclosed-recipients:;\n");
	($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($m, qr/^To: undisclosed-recipients:;$/m,
	    '5321-7.2-b the header stays as it was');
}
{
	my $subject = 'blind-' . $number++;
	$sut->sendmail("To: a\@relay-ok.test\nBcc: b\@remote.test\n" .
	    "Subject: $subject\n\nx\n", '-t');
	my ($one) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my ($two) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is("@{ $one->{rcpt} }", 'a@relay-ok.test',
	    '5321-7.2-d a host hears of its recipients');
	is("@{ $two->{rcpt} }", 'b@remote.test', '5321-7.2-d and no others');
	unlike($one->{data}, qr/b\@remote\.test/, '5321-7.2-d anywhere');
}

# --- 7.3: VRFY and EXPN -------------------------------------------------------

{
	my $c = at('quiet');
	my @replies = map { $c->command("VRFY $_") =~ s/<\S+>//r }
	    qw(alice no-such bob@local.test x@elsewhere.test);
	is(scalar(grep { $_ ne $replies[0] } @replies), 0,
	    '5321-7.3-a VRFY says the same of everybody when disabled');
	is($c->command('EXPN team'), $c->command('EXPN no-such'),
	    '5321-7.3-a as EXPN does');
	unlike($c->command('EXPN team'), qr/^2/,
	    '5321-7.3-a which does not pretend to have looked');
	like($_, qr/^252 /, '5321-7.3-b the reply is 252') for @replies;
	for my $client ($sut->stranger, $sut->friend) {
		like($client->command('VRFY alice'), qr/^25[02] /,
		    '5321-7.3-c VRFY of a user is not 550');
	}
	like($sut->friend->command('VRFY no-such'), qr/^550 /,
	    '5321-7.3-c which is for those who do not exist');
	my $friend = $sut->friend(port => $port{expand});
	my $reply = $friend->command('EXPN team');
	like($reply, qr/\A250-.*<alice\@local\.test>\n250 .*<bob\@local\.test>\z/,
	    '5321-7.3-d whom a site trusts gets EXPN');
	unlike(at('expand')->command('EXPN team'), qr/^250/,
	    '5321-7.3-d and nobody else');
	like($friend->command('EHLO c.test'), qr/^250[- ]EXPN/m,
	    '5321-7.3-d it is announced');
}

# --- 7.4: 251 and 551 ---------------------------------------------------------

{
	my $subject = mail(['moved@relay-ok.test']);
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is("@{ $m->{rcpt} }", 's@remote.test',
	    '5321-7.4-a 551 makes a report');
	like($m->{data} =~ s/\r\n[ \t]+/ /gr, qr/551 5\.1\.6 please try/,
	    '5321-7.4-a which quotes it');
	$subject = mail(['gone-on@relay-ok.test']);
	$sut->wait_relay(qr/^Subject: $subject\r$/m);
	$sut->wait_empty;
	is(scalar(grep { "@{ $_->{rcpt} }" =~ /new\@/ }
	    $sut->remote->messages), 0,
	    '5321-7.4-a and nothing is sent to the new address');
}

# --- 7.5: versions ------------------------------------------------------------

like(said('bare')->[0], qr/^220 sut\.test ESMTP Postrider \d+\.\d/,
    '5321-7.5-a the greeting can tell type and version');
unlike(said('bare')->[0], qr/Debian|Linux/i, '5321-7.5-a and no more');

# --- 7.8, 7.9: whom a server refuses ------------------------------------------

{
	my $c = at('limit');
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my $count = 0;
	my $reply = '';
	while ($count < 200) {
		$reply = $c->command("RCPT TO:<no-such-$count\@local.test>")
		    // last;
		last unless $reply =~ /^550/;
		$count++;
	}
	like($reply, qr/^421 /, '5321-7.8-a who errs too often hears 421');
	ok($count >= 10 && $count <= 20, "5321-7.8-a after $count errors");
	ok($c->is_closed, '5321-7.8-a and the connection is closed');
}
{
	my @steps = ('EHLO c.test', 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<alice@local.test>');
	my %at = (client => 0, helo => 1, sender => 2, recipient => 3);
	for my $name (sort keys %at) {
		my $replies = said($name, @steps);
		my ($n) = grep { $replies->[$_] !~ /^2/ } 0 .. $#$replies;
		like($replies->[$n], qr/^55[04] (?:\S+ )?5\.7\.1 /,
		    "5321-7.9-c a rule about the $name refuses with 5.7.1");
		is($n, $at{$name}, '5321-7.9-c at its place')
		    if $name ne 'client';
		my $c = $sut->friend(port => $port{$name});
		ok(!grep({ $c->command($_) !~ /^250/ } @steps),
		    '5321-7.9-a whom the rule permits may send');
	}
	like(said('lists', @steps)->[3], qr/^450 4\.7\.1 /,
	    '5321-7.9-a a rule may refuse for the moment');
}

# No open relay.
my @forms = map { my $x = 'elsewhere.test';
	s/X/$x/gr } ('u@X', '"u"@X', '"u@X"', 'u%X@local.test', 'u%X',
	'"u@X"@local.test', '"u%X"@local.test', 'X!u', 'X!u@local.test',
	'"X!u"@local.test', '@local.test:u@X', '@X:u@X', '@X,@local.test:u@X',
	'u@[192.0.2.7]', 'u@[IPv6:2001:db8::7]', 'u@X@local.test',
	'u@local.test@X', '@local.test,@sut.test:u%X@local.test', 'u@X.',
	'u@[127.0.0.1]@X', 'u%X%local.test@sut.test', '"u X"@X',
	'u@sut.test.X', 'u@localX', '"u@X"@sut.test', 'u@xrelay-ok.test');
{
	my $c = $sut->stranger;
	for my $from ('s@remote.test', '', 'alice@local.test',
	    'postmaster@sut.test') {
		$c->command("MAIL FROM:<$from>", 250);
		for my $form (@forms) {
			like($c->command("RCPT TO:<$form>"), qr/^5\d\d /,
			    "5321-7.9-b no relay to <$form> for <$from>");
			$c->command('NOOP', 250);
		}
		$c->command('RSET', 250);
	}
	for my $form (@forms) {
		$c->command('MAIL FROM:<s@remote.test>', 250);
		like($c->command("RCPT TO:$form"), qr/^5\d\d /,
		    "2505-2.1-a nor to $form without brackets");
		like($c->command("RCPT TO:<$form>"), qr/^5\d\d /,
		    "2505-2.1-a nor to <$form>");
		like($c->command('DATA'), qr/^5\d\d /,
		    '2505-2.1-a and no message is taken');
		$c->command('RSET', 250);
	}
	my $friend = $sut->friend;
	$friend->command('MAIL FROM:<s@remote.test>', 250);
	like($friend->command('RCPT TO:<u@elsewhere.test>'), qr/^250/,
	    '5321-7.9-b who is known may send anywhere');
}

# --- 8: the names of protocols ------------------------------------------------

{
	my $c = $sut->stranger(helo => 'HELO c.test');
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: by-helo\n\nx\n");
	my ($old) = $sut->wait_mail('alice', qr/^Subject: by-helo$/m);
	$c = $sut->stranger;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: by-ehlo\n\nx\n");
	my ($new) = $sut->wait_mail('alice', qr/^Subject: by-ehlo$/m);
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    mail => ' SMTPUTF8', text => "Subject: by-utf8\n\nx\n");
	my ($utf8) = $sut->wait_mail('alice', qr/^Subject: by-utf8$/m);
	for my $row ('5321-8-a', '2505+5068+6647-3848-a') {
		like($old, qr/\swith SMTP\sid /, "$row HELO is SMTP");
		like($new, qr/\swith ESMTP\sid /, "$row EHLO is ESMTP");
		like($utf8, qr/\swith UTF8SMTP\sid /,
		    "$row SMTPUTF8 is UTF8SMTP");
	}
}

# --- RFC 7504: a host that takes no mail --------------------------------------

{
	my $c = Postrider::Client->new($port{closed}, from => '127.0.0.2');
	like($c->reply, qr/^521 sut\.test takes no mail/,
	    '7504-3-a a service that takes no mail greets with 521');
	my $reply = $c->command('EHLO c.test');
	ok(!defined $reply || $reply =~ /^521/,
	    '7504-3-c and says so again, or nothing');
	ok(!defined $reply || ($c->command('QUIT') // '221') =~ /^(?:221|521)/,
	    '7504-3-c until QUIT');
	for my $name (qw(client helo sender recipient)) {
		unlike(join("\n", @{ said($name, 'EHLO c.test',
		    'MAIL FROM:<s@remote.test>', 'RCPT TO:<alice@local.test>') }),
		    qr/^521/m, "7504-3-b no rule about the $name says 521");
	}
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
