# 5321-4.4.t - RFC 5321 section 4.4: where a message has been, and to whom
# reports about it go.
use strict;
use warnings;
use Test::More;
use Postrider qw(is_root slurp spew wait_for);
use Postrider::Fixture;

# Half an hour away from where anybody runs this by chance.
$ENV{TZ} = -e '/usr/share/zoneinfo/Asia/Kolkata' ? 'Asia/Kolkata' :
    'IST-5:30';

my $pipe = is_root() ? <<'END' : '';
tool unix - n n - - pipe
  flags=R user=prt-alice argv=/bin/sh -c
  { cat > DIR/tool.new && mv DIR/tool.new DIR/tool }
END
my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1 },
	relay => { is_noting => 1, replies => sub {
		my ($verb, $line) = @_;
		return $verb eq 'RCPT' && $line =~ /<refused/ ?
		    '550 5.1.1 who?' : undef;
	} },
	aliases => "failing \"|exit 67\"\n" . "fwd prt-alice\n",
	settings => { smtpd_authorized_xclient_hosts => '127.0.0.1',
	    relay_domains => 'relay-ok.test, hop.test, tool.test' });
my $dir = $sut->dir;
mkdir "$dir/out";
chmod 01777, "$dir/out";
$sut->{master} .= $pipe =~ s{DIR}{$dir/out}gr;

# Another system between, which sends what is for hop.test on to us.
my $between = Postrider->new(settings => {
	myhostname => 'between.test', mydestination => '', inet_interfaces =>
	'127.0.0.1', smtpd_peername_lookup => 'no', virtual_alias_maps =>
	'inline:{alice@hop.test=alice@local.test}', virtual_alias_domains =>
	'hop.test', message_drop_headers => 'bcc',
	relayhost => '[127.0.0.1]:' . $sut->port });
$between->set(transport_maps => 'inline:{relay-ok.test=smtp:[127.0.0.1]:' .
    $sut->relay->port . '}');
spew($sut->etc . '/transport', slurp($sut->etc . '/transport') .
    "hop.test smtp:[127.0.0.1]:@{[ $between->port ]}\n" .
    (is_root() ? "tool.test tool:\n" : ''));
$sut->write_config;
$_->start for $sut, $between;

my $number = 0;

# One message, by a stranger if nothing else is said: its subject and id.
sub mail
{
	my ($to, %o) = @_;
	my $subject = 'number-' . $number++;
	my $c = $o{client} // ($o{is_friend} ? $sut->friend(%o) :
	    $sut->stranger(%o));
	my $id = $sut->take($c, from => 's@remote.test', %o,
	    to => ref $to ? $to : [$to], text => ($o{header} // '') .
	    "Subject: $subject\n\n" . ($o{body} // "x\n"));

	$c->command('QUIT', 221);
	return wantarray ? ($subject, $id) : $subject;
}
sub kept
{
	my ($subject, $who) = @_;

	return ($sut->wait_mail($who // 'alice', qr/^Subject: $subject$/m))[0];
}
sub relayed
{
	my ($subject) = @_;

	return ($sut->wait_relay(qr/^Subject: $subject\r$/m))[0]{data} =~
	    s/\r\n/\n/gr;
}

# The fields of a header, from the top.
sub fields
{
	my ($header) = $_[0] =~ /\A(?:From [^\n]*\n)?(.*?\n)\n/s;

	return split /^(?![ \t])/m, $header;
}
sub received { return grep { /^Received:/ } fields($_[0]) }

# --- the grammar of 4.4 -------------------------------------------------------

my $fws = qr/(?:\n?[ \t]+)/;
my $comment = qr/(\((?:[^()\\\n]|\\[^\n]|(?-1))*\))/;
my $cfws = qr/(?:(?:$fws?$comment)+$fws?|$fws)/;
my $label = qr/[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/;
my $domain = qr/$label(?:\.$label)*/;
my $literal = qr/\[(?:\d+(?:\.\d+){3}|IPv6:[0-9A-Fa-f:.]+)\]/;
my $tcp = qr/\((?:$domain$fws)?$literal\)/;
my $extended = qr/(?:$domain(?:$fws$tcp)?|$literal$fws$tcp)/;
my $atext = qr{[A-Za-z0-9!#\$%&'*+/=?^_`\{|\}~-]};
my $path = qr/<(?:$atext+(?:\.$atext+)*|"(?:[^"\\]|\\.)*")
    \@(?:$domain|$literal)>/x;
my $date = qr/(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),[ ]\d{1,2}[ ]
    (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ ]20\d\d[ ]
    \d\d:\d\d:\d\d[ ][+-]\d{4}/x;
my $stamp = qr/\AReceived:${fws}from$fws(?<from>$extended)
    ${cfws}by$fws(?<by>$extended)(?:${cfws}via$fws(?<via>\S+))?
    (?:${cfws}with$fws(?<with>$atext+))?(?:${cfws}id$fws(?<id>$atext+))?
    (?:${cfws}for$fws(?<for>$path))?$cfws?;$fws(?<date>$date)
    (?:$cfws)?\n\z/x;

{
	my ($subject, $id) = mail('alice@local.test', helo => 'EHLO liar.test');
	my $text = kept($subject);
	my @fields = fields($text);
	like($fields[0], qr/^Return-Path: <s\@remote\.test>$/,
	    '5321-4.4-m final delivery puts Return-Path at the top');
	like(join('', map { /^([\w-]+)/ } @fields),
	    qr/\AReturn-Path(?:X-Original-To|Delivered-To)*ReceivedSubject\z/,
	    '5321-4.4-a Received stands above all that came');
	my ($received) = received($text);
	like($received, $stamp, '5321-4.4-d it is as the grammar wants it');
	$received =~ $stamp;
	my %is = %+;
	like($received, qr/^Received: from \S+ \(/,
	    '5321-4.4-b the FROM clause is there');
	is($is{from}, 'liar.test (unknown [127.0.0.2])',
	    '5321-4.4-c with the name that was said and the address that is');
	is($is{by}, 'sut.test', '5321-4.4-d BY is our name');
	is($is{with}, 'ESMTP', '5321-4.4-l WITH after EHLO');
	ok(!defined $is{via}, '5321-4.4-l there is no VIA');
	is($is{id}, $id, '5321-4.4-e ID is that of the answer');
	like($sut->log, qr/ \Q$is{id}\E: client=/, '5321-4.4-e and of the log');
	is($is{for}, '<alice@local.test>', '5321-4.4-f FOR one recipient');
	like($is{date}, qr/ \+0530\z/,
	    '5321-4.4-j the date is local time with its offset');
	like($received, qr/ [+-]\d{4}(?: \([A-Z]+\))?\n\z/,
	    '5321-4.4-i which is a number, a name only in a comment');
	my $year = (gmtime)[5] + 1900;
	like($is{date}, qr/ \d{1,2} [A-Z][a-z]{2} (?:$year|@{[ $year + 1 ]}) /,
	    '5321-4.4-k with four digits of the year');

	$subject = mail('a@relay-ok.test', helo => 'HELO c.test');
	$text = relayed($subject);
	like($text, qr/\AReceived: from c\.test /,
	    '5321-4.4-a what is relayed begins with it');
	($received) = received($text);
	like($received, $stamp, '5321-4.4-d after HELO, too');
	$received =~ $stamp;
	is($+{with}, 'SMTP', '5321-4.4-l WITH after HELO');
	$subject = mail('a@relay-ok.test', helo => 'EHLO [127.0.0.2]');
	($received) = received(relayed($subject));
	like($received, $stamp, '5321-4.4-d with a literal as name, too');
	like($received, qr/from \[127\.0\.0\.2\] \(unknown \[127\.0\.0\.2\]\)$/m,
	    '5321-4.4-c as it was given');
	$subject = mail(['alice@local.test', 'bob@local.test']);
	for my $who ('alice', 'bob') {
		($received) = received(kept($subject, $who));
		cmp_ok(scalar(() = $received =~ /\bfor\s+</g), '<=', 1,
		    '5321-4.4-f of two recipients at most one is named');
	}
}

# Clients elsewhere, by XCLIENT.
for my $from (['192.0.2.7', '[192.0.2.7]'],
    ['IPV6:2001:db8::7', '[IPv6:2001:db8::7]']) {
	my ($addr, $shown) = @$from;
	my $c = $sut->friend(helo => undef);
	$c->command("XCLIENT NAME=[UNAVAILABLE] ADDR=$addr", 220);
	$c->command('EHLO liar.test', 250);
	my ($received) = received(kept(mail('alice@local.test',
	    client => $c)));
	like($received, qr/^Received: from liar\.test \(unknown \Q$shown\E\)$/m,
	    "5321-4.4-c $shown");
	like($received, $stamp, '5321-4.4-d which the grammar knows');
}

# --- 4.4-z: names that are none -----------------------------------------------

{
	my @names = ("a\tb(c)", 'a(b', 'a)b', 'a;b', 'a"b', '<a>', 'a\\b',
	    "a\x0bX-Evil: 1", "a\rX-Evil: 1", 'h' x 400, 'a' . '.b' x 120,
	    '[127.0.0.2', '[127.0.0.2]x', '[IPv6:::1) (]', '(', '@', '=',
	    'from x by y', '[1.2.3.4] (x);', "a\x00b", "a,b", 'x_y.test');
	my $taken = 0;
	for my $name (@names) {
		for my $verb ('EHLO', 'HELO') {
			my $c = $sut->stranger(helo => undef);
			my $shown = substr $name =~ s/[^ -~]/?/gr, 0, 20;
			if ($c->command("$verb $name") !~ /^250/) {
				pass("5321-4.4-z $verb $shown is refused");
				next;
			}
			my $text = kept(mail('alice@local.test',
			    client => $c));
			like(join(' ', map { /^([\w-]+)/ } fields($text)),
			    qr/\AReturn-Path .*Delivered-To Received Subject\z/,
			    "5321-4.4-z $verb $shown brings no field");
			my ($received) = received($text);
			like($received =~ s/x_y/x-y/r, $stamp,
			    '5321-4.4-z and the one is well-formed');
			$taken++;
		}
	}
	cmp_ok($taken, '>', 3, "$taken of them were taken");
	for my $attribute ('HELO=a+0D+0AX-Evil:+201', 'HELO=a(b', 'HELO=a;b',
	    'NAME=a(b', 'NAME=a+0Ab') {
		my $c = $sut->friend(helo => undef);
		if ($c->command("XCLIENT ADDR=127.0.0.2 $attribute") !~
		    /^220/) {
			pass("5321-4.4-z XCLIENT $attribute is refused");
			next;
		}
		$c->command('EHLO c.test', 250) if $attribute =~ /^NAME/;
		my ($received) = received(kept(mail('alice@local.test',
		    client => $c)));
		like($received =~ tr/?/-/r, $stamp,
		    "5321-4.4-z XCLIENT $attribute");
	}
}

# --- Received lines that came -------------------------------------------------

my @came = ("Received: from a.test (a.test [192.0.2.1])\n\tby b.test with " .
    "ESMTP id 1; Mon, 2 Nov 2026 10:00:00 +0000\n",
    "Received: by c.test; 2 Nov 26 09:00 EST\n", "received:garbage ;;;(((\n",
    "Received: \tfrom x;\n     by\t\ty  ; yesterday  \n",
    "RECEIVED: from [10.0.0.1] by z.test; Mon, 2 Nov 2026 08:00:00 GMT\n");
my $old = join '', @came[0 .. 2], "X-Between: here\n", @came[3, 4];
{
	my $text = relayed(mail('a@relay-ok.test', header => $old));
	my @fields = fields($text);
	like($fields[0], $stamp, '5321-4.4-h the new line is the first one');
	is(join('', @fields[1 .. 6]), $old,
	    '5321-4.4-g those that came are as they were');

	my $subject = mail('alice@hop.test', header => $old);
	my @all = fields(kept($subject));
	@fields = grep { !/^(?:Return-Path|X-Orig.*|Delivered-To):/ } @all;
	is(join(' ', map { /\bby (\w+)\.test \(Postrider\)/ } @fields[0 .. 2]),
	    'sut between sut', '5321-4.4-h after three systems the newest is first');
	is(join('', @fields[3 .. 8]), $old,
	    '5321-4.4-h and the old ones follow in their order');
	unlike(join('', map { /^([\w-]+)/ } @fields[9 .. $#fields]), qr/Received/i,
	    '5321-4.4-h no line was put below other fields');
	is(join('', grep { /^received:/i } @fields[3 .. 8]), join('', @came),
	    '5321-4.4-g three systems have changed nothing');
}

# --- Return-Path --------------------------------------------------------------

my $stale = "Return-Path: <old\@x.test>\nReturn-path:\n <older\@y.test>\n";
{
	my $text = kept(mail('alice@local.test', from => ''));
	like($text, qr/\AFrom [^\n]*\nReturn-Path: <>\n/,
	    '5321-4.4-m the null sender is shown as such');
	$text = kept(mail('alice@local.test', header => $stale));
	my @paths = grep { /^return-path:/i } fields($text);
	is("@paths", "Return-Path: <s\@remote.test>\n",
	    '5321-4.4-n at delivery there is one Return-Path');
	unlike($text, qr/old\@x|older\@y/,
	    '5321-4.4-o what was there before is gone');

	my ($status) = $sut->sendmail("To: far\@remote.test\n${stale}Subject: " .
	    "submitted\n\nx\n", '-t', '-f', 'me@local.test');
	is($status, 0, 'a user submits a Return-Path');
	my ($m) = $sut->wait_remote(qr/^Subject: submitted\r$/m);
	unlike($m->{data}, qr/^Return-Path:|old\@x/mi,
	    '5321-4.4-p what goes out has none');
	is($m->{from}, 'me@local.test',
	    '5321-4.4-u the envelope has what the sender is known by');
	unlike($m->{data}, qr/^Return-Path:|older\@y/mi,
	    '5321-4.4-u and the field is removed');
	my $subject = mail('far@remote.test', is_friend => 1,
	    header => $stale);
	($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	unlike($m->{data}, qr/^Return-Path:|old\@x/mi,
	    '5321-4.4-p nor what our network submits by SMTP');
	$between->send(from => 's@remote.test', to => ['a@relay-ok.test'],
	    text => "${stale}Subject: untouched\n\nx\n");
	like(relayed('untouched'), qr/^Return-Path: <old\@x\.test>$/m,
	    'message_drop_headers can let it pass');
}
SKIP: {
	skip 'only root can test this', 5 unless is_root();
	my $forward = $sut->home(0) . '/.forward';
	spew($forward, "far\@remote.test\n");
	chown((getpwnam 'prt-alice')[2, 3], $forward);
	my $subject = mail('fwd@local.test', header => $stale);
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	unlike($m->{data}, qr/^Return-Path:/mi,
	    '5321-4.4-r what is forwarded has no Return-Path');
	is($m->{from}, 's@remote.test',
	    '5321-4.4-r its envelope has the sender');
	unlink $forward;

	$subject = mail('x@tool.test', header => $stale);
	wait_for(sub { -e "$dir/out/tool" }, 20, "the tool\n" . $sut->log);
	my $text = slurp("$dir/out/tool");
	like($text, qr/^Subject: $subject$/m, 'a program took the message');
	like($text, qr/\AReturn-Path: <s\@remote\.test>\n/,
	    '5321-4.4-t with a Return-Path in front');
	is(scalar(() = $text =~ /^return-path:/mgi), 1, '5321-4.4-t and no other');
}

# --- reports ------------------------------------------------------------------

sub reports
{
	my ($subject) = @_;

	return $sut->wait_remote(qr/^Subject: $subject\r$/m);
}
sub failed { return sort $_[0]{data} =~ /^Final-Recipient: rfc822; (\S+)\r$/mg }
{
	my $subject = mail('refused@relay-ok.test', header =>
	    "From: from\@remote.test\nReply-To: reply\@remote.test\n" .
	    "Errors-To: errors\@remote.test\nSender: sender\@remote.test\n" .
	    "Return-Path: <path\@remote.test>\n");
	my @reports = reports($subject);
	is(join(' ', map { @{ $_->{rcpt} } } @reports), 's@remote.test',
	    '5321-4.4-s a report goes to the sender of the envelope alone');
	is(scalar(() = join('', $sut->remote->raw) =~
	    /^RCPT TO:<(?:from|reply|errors|sender|path)\@/mg), 0,
	    '5321-4.4-s to no address of the header');
}
{
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<part@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250,
	    'RCPT TO:<failing@local.test>' => 250, DATA => 354);
	like($c->data("Subject: in part\n\nx\n", qr/^\d/), qr/^250/,
	    '5321-4.4-v what fails later is accepted');
	kept('in part');
	my @reports = reports('in part');
	is(join(' ', failed($reports[0])), 'failing@local.test',
	    '5321-4.4-v and reported, for who failed');
	$sut->wait_empty;
	is(scalar(reports('in part')), 1, '5321-4.4-v once');
}
{
	my @bad = map { "refused$_\@relay-ok.test" } 1 .. 3;
	my $subject = mail([@bad, 'good@relay-ok.test']);
	relayed($subject);
	$sut->wait_empty;
	my @reports = reports($subject);
	is(scalar @reports, 1,
	    '5321-4.4-x for three who fail together there is one report');
	is(join(' ', failed($reports[0])), "@bad",
	    '5321-4.4-x with a group for each of them');
	$subject = mail([@bad, 'failing@local.test']);
	$sut->wait_empty;
	is(join(' ', sort map { failed($_) } reports($subject)),
	    join(' ', sort @bad, 'failing@local.test'),
	    '5321-4.4-w all who failed, here and there, are told of once');
}
{
	my @reports = grep { $_->{data} =~ m{multipart/report} }
	    $sut->remote->messages;
	cmp_ok(scalar @reports, '>=', 4, scalar(@reports) . ' reports came');
	is(join('', map { $_->{from} } @reports), '',
	    '5321-4.4-y all of them from nobody');
	cmp_ok(scalar(grep { $_ eq 'MAIL FROM:<>' } map { /^(MAIL FROM:\S+)/mg }
	    $sut->remote->raw), '>=', scalar @reports,
	    '5321-4.4-y MAIL FROM:<> for each');
}

is(join('', map { $_->complaints } $sut, $between), '', 'nothing crashed');
done_testing();
