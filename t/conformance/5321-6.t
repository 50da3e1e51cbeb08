# 5321-6.t - RFC 5321 section 6: reliable delivery, unwanted mail, loops, and
# what may be mended in a message.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Postrider qw(wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(clock => 1,
	relay => { replies => sub {
		my ($verb, $line, $session) = @_;
		return undef unless $verb eq 'DOT' &&
		    $session->{rcpt}[0] =~ /^swallow/;
		my ($file) = $session->{data} =~ /^X-Once: (\S+)\r$/m;
		return undef if -e $file;
		open my $f, '>', $file;
		return 'CLOSE';
	} },
	aliases => "failing \"|exit 67\"\n" . "ring ring2\nring2 ring\n" .
	    "out back\@loop.test\n",
	settings => { hopcount_limit => 100, relay_domains =>
	    'relay-ok.test, loop.test', header_checks =>
	    'regexp:{{/^Subject: hostile/ REJECT hostile content} ' .
	    '{/^Subject: unwanted/ DISCARD unwanted}}' });
{
	open my $f, '>>', $sut->etc . '/transport' or die;
	print $f 'loop.test smtp:[127.0.0.1]:' . $sut->port . "\n";
}
$sut->start;

my $number = 0;

# One message; its subject and the answer to its end.
sub mail
{
	my ($from, $to, %o) = @_;
	my $subject = $o{subject} // 'number-' . $number++;
	my $c = $o{is_friend} ? $sut->friend : $sut->stranger;
	my $text = ($o{header} // '') . "Subject: $subject\n\n" .
	    ($o{body} // "x\n");

	$c->script("MAIL FROM:<$from>" => 250, "RCPT TO:<$to>" => 250,
	    'DATA' => 354);
	my $reply = $c->data($text, qr/^\d/);
	$c->command('QUIT', 221);
	return wantarray ? ($subject, $reply) : $subject;
}

# --- 6.1: what was accepted is not lost ---------------------------------------

{
	my $subject = mail('s@remote.test', 'failing@local.test');
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	like($m->{mail}, qr/^MAIL FROM:<>/,
	    '5321-6.1-b a notification has the null reverse path');
	like($m->{data}, qr/^Final-Recipient: rfc822; failing\@local\.test\r$/m,
	    '5321-6.1-b and tells of the failed recipient');
	for my $sender ('S.MiXeD+x@remote.test', '"two words"@remote.test') {
		$subject = mail($sender, 'failing@local.test');
		($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
		is("@{ $m->{rcpt} }", $sender,
		    '5321-6.1-c it goes to the return path, as it was');
		like($m->{data}, qr/^To: \Q$sender\E\r$/m,
		    '5321-6.1-c in the header as well');
	}
	$subject = mail('@a.test,@b.test:user@remote.test',
	    'failing@local.test');
	($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	like($m->{rcpt_lines}[0], qr/^RCPT TO:<user\@remote\.test>/,
	    '5321-6.1-e of a source route the last hop is left');
	unlike($m->{data}, qr/\@a\.test,/, '5321-6.1-e everywhere');
}
{
	my $before = $sut->remote->count + $sut->relay->count;
	my ($subject, $reply) = mail('', 'failing@local.test');
	my ($id) = $reply =~ /queued as (\w+)/;
	$sut->wait_log(qr/qmgr\[\d+\]: $id: removed/);
	$sut->wait_empty;
	is($sut->remote->count + $sut->relay->count, $before,
	    '5321-6.1-d mail from <> that fails is answered by no mail');
	is(scalar(grep { /^Subject: $subject$/m } map { $sut->mail($_) }
	    qw(alice bob)), 0, '5321-6.1-d nor by local mail to somebody');
	like($sut->log, qr/ $id: to=<failing\@local\.test>, .*status=bounced/,
	    '5321-6.1-d the log tells of it');
}
{
	my $c = $sut->stranger;
	my @took;
	for (1 .. 40) {
		$c->script('MAIL FROM:<s@remote.test>' => 250,
		    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
		my $at = time;
		$c->data("Subject: quick\n\nx\n", 250);
		push @took, time - $at;
	}
	$sut->wait_empty;
	@took = sort { $a <=> $b } @took;
	ok($took[20] < 0.5, sprintf('5321-6.1-f the reply to the dot takes ' .
	    '%.0f ms', 1000 * $took[20]));
	ok($took[38] < 1, sprintf('5321-6.1-f and seldom more than %.0f ms',
	    1000 * $took[38]));
}
{
	my $flag = $sut->dir . '/sink-has-closed';
	my $subject = mail('s@remote.test', 'swallow@relay-ok.test',
	    header => "X-Once: $flag\n");
	$sut->wait_log(qr/to=<swallow\@relay-ok\.test>, .*status=deferred/);
	is(scalar(grep { $_->{rcpt}[0] =~ /swallow/ } $sut->relay->messages),
	    0, '5321-6.1-g a host that hangs up after the dot has taken nothing');
	is(scalar(grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sut->remote->messages), 0, '5321-6.1-g nothing is returned');
	$sut->advance(1300);
	is(scalar($sut->wait_relay(qr/^Subject: $subject\r$/m)), 1,
	    '5321-6.1-g and the message is sent again');
	$sut->wait_empty;
}

# --- 6.2: unwanted mail -------------------------------------------------------

{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<no-such@local.test>'), qr/^550/,
	    '5321-6.2-a what cannot be delivered is refused at once');
	my ($subject, $reply) = mail('s@remote.test', 'alice@local.test',
	    subject => 'unwanted');
	my ($id) = $reply =~ /^250 .*queued as (\w+)/;
	like($sut->wait_log(qr/.* (?:\w+: )?discard: header Subject: unwanted .*/),
	    qr/to=<alice\@local\.test>/,
	    '5321-6.2-a what is dropped by order is logged');
	is(scalar(grep { /^Subject: unwanted/m } $sut->mail('alice')), 0,
	    '5321-6.2-a and is gone');
	$subject = mail('x@nx-domain.test', 'alice@local.test');
	ok(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)),
	    '5321-6.2-b mail of a doubtful sender is delivered');
	my $reports = $sut->remote->count;
	($subject, $reply) = mail('s@remote.test', 'alice@local.test',
	    subject => 'hostile');
	like($reply, qr/^550 5\.7\.1 .*hostile content/,
	    '5321-6.2-c hostile content is refused before it is accepted');
	$sut->wait_empty;
	is($sut->remote->count, $reports, '5321-6.2-c and nothing is sent back');
}

# --- 6.3: loops ---------------------------------------------------------------

# The threshold that RFC 5321 6.3 speaks of, where it is set.
{
	my $hop = "Received: from a.test by b.test; " .
	    "Sun, 22 Nov 2026 10:00:00 +0000\n";
	my ($subject, $reply) = mail('s@remote.test', 'u@relay-ok.test',
	    header => $hop x 98);
	like($reply, qr/^250/, '98 Received fields are accepted');
	ok(scalar($sut->wait_relay(qr/^Subject: $subject\r$/m)),
	    'and go on');
	($subject, $reply) = mail('s@remote.test', 'u@relay-ok.test',
	    header => $hop x 101);
	like($reply, qr/^5\d\d 5\.4\.[60] .*hop/i,
	    'more than the limit are a loop');
}
{
	my $subject = mail('s@remote.test', 'x@loop.test');
	my @m = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	$sut->wait_empty;
	@m = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is(scalar @m, 1,
	    '5321-6.3-b a host that sends mail back: one report');
	like($m[0]{data}, qr/^Status: 5\.4\.[06]\r$/m,
	    '5321-6.3-b which says that it is a loop');
	$subject = mail('s@remote.test', 'ring@local.test');
	@m = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is(scalar @m, 1, '5321-6.3-b aliases in a ring: one report');
	like($m[0]{data}, qr/^Status: 5\.4\.6\r$/m, '5321-6.3-b of a loop');
	$subject = mail('s@remote.test', 'alice@local.test',
	    header => "Delivered-To: alice\@local.test\n");
	@m = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	like($m[0]{data}, qr/^Status: 5\.4\.6\r$/m,
	    '2505+5068+6647-9228-a mail that was delivered before comes back');
	$subject = mail('s@remote.test', 'alice@local.test');
	my ($kept) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	is(scalar(() = $kept =~ /^Delivered-To: alice\@local\.test$/mg), 1,
	    '2505+5068+6647-9228-a a delivery adds one Delivered-To');
}

# --- 6.4: what may be mended --------------------------------------------------

{
	my $subject = mail('s@local.test', 'u@relay-ok.test', is_friend => 1,
	    header => "To: bob\n");
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my ($head) = $m->{data} =~ /\A(.*?\r\n)\r\n/s;
	is(scalar(() = $head =~ /^Message-ID: <\S+\@sut\.test>\r$/mg), 1,
	    '5321-6.4-a a friend\'s mail gets a Message-ID');
	is(scalar(() = $head =~ /^Date:\ [A-Z][a-z]{2},\ \d+\ [A-Z][a-z]{2}
	    \ \d{4}\ \d\d:\d\d:\d\d\ [-+]\d{4}\r$/mgx), 1,
	    '5321-6.4-b and a Date with its zone');
	like($head, qr/^To: bob\@local\.test\r$/m,
	    '5321-6.4-c and full addresses');
	like($head, qr/\AReceived: (?:.*\r\n[ \t])*.*by sut\.test \(Postrider\)/,
	    '5321-6.4-e whose host the trace above it names');
	is($head =~ s/\AReceived: .*?\r\n(?![ \t])//sr
	    =~ s/^(?:Message-ID|Date|From): \S.*\r\n//mgr,
	    "To: bob\@local.test\r\nSubject: $subject\r\n",
	    '5321-6.4-e what is added stands in lines of its own');
}
{
	my $header = "To: bob\nFrom: x\nDate: 1 Jan 99 10:00 EST\n";
	my $subject = mail('s@remote.test', 'u@relay-ok.test',
	    header => $header);
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is($m->{data} =~ s/\AReceived: .*?\r\n(?![ \t])//sr,
	    "${header}Subject: $subject\n\nx\n" =~ s/\n/\r\n/gr,
	    '5321-6.4-d nothing else of a stranger\'s mail changes');
}

# --- 6.1: crashes -------------------------------------------------------------

{
	my @subjects;
	for my $round (1 .. 3) {
		my $c = $sut->stranger;
		for (1 .. 8) {
			my $subject = "crash-$round-$_";
			$sut->take($c, from => 's@remote.test',
			    to => ['bob@local.test'],
			    text => "Subject: $subject\n\nx\n");
			push @subjects, $subject;
		}
		$sut->crash;
		$sut->start;
	}
	# A crash may double one, so that their number says little.
	my %got;
	eval { wait_for(sub {
		%got = map { /^Subject: (crash-\S+)$/m ? ($1 => 1) : () }
		    $sut->mail('bob');
		return keys %got == @subjects;
	}, 20) };
	is(join(' ', grep { !$got{$_} } @subjects), '', '5321-6.1-a what was ' .
	    'accepted just before a crash is delivered after it');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
