# framing.t - where a message ends: attempts to make it end elsewhere, for us
# or for whoever gets it from us, by every way in and out.
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider qw(bin slurp spew wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(relay => { is_noting => 1 },
    settings => { relay_domains => 'relay-ok.test, store.test, chunks.test',
	message_size_limit => 5_000_000,
	lmtp_connection_cache_on_demand => 'no',
	header_checks => 'regexp:${config_directory}/seen' });
my $store = $sut->sink(lmtp => 1, is_noting => 1);
my $chunks = $sut->sink(is_noting => 1, extensions =>
    [qw(PIPELINING 8BITMIME CHUNKING)]);
{
	open my $f, '>>', $sut->etc . '/transport';
	print $f 'store.test lmtp:[127.0.0.1]:' . $store->port . "\n" .
	    'chunks.test smtp:[127.0.0.1]:' . $chunks->port . "\n";
	spew($sut->etc . '/seen', "/./ INFO seen\n");
}
$sut->start;

my %ways_out = (relay => $sut->relay, store => $store, chunks => $chunks);
my @everywhere = ('u@relay-ok.test', 'u@store.test', 'u@chunks.test');
my $number = 0;

sub visible
{
	return $_[0] =~ s/\r/CR/gr =~ s/\n/LF/gr =~ s/\0/NUL/gr =~ s/ /SP/gr;
}

# A session that has its recipients.
sub opened
{
	my ($sut, $who, @to) = @_;
	my $c = $who eq 'friend' ? $sut->friend : $sut->stranger;

	$c->command('MAIL FROM:<s@remote.test>', 250);
	$c->command("RCPT TO:<$_>", 250) for @to ? @to : @everywhere;
	return $c;
}

# One message by DATA, its end included: the reply, when nothing else was said
# and the session is in step.
sub by_data
{
	my ($c, $bytes) = @_;

	$c->command('DATA', 354);
	$c->raw("$bytes\r\n.\r\n");
	return one_reply($c);
}

# The only reply there is, behind which NOOP is understood.
sub one_reply
{
	my ($c) = @_;
	my $reply = $c->reply // 'closed';

	$c->raw("NOOP\r\n");
	my $next = $c->reply // 'closed';
	return $next =~ /^250 / && !$c->has_input(0.01) ? $reply :
	    "$reply, and then $next";
}

sub by_chunk
{
	my ($c, $bytes) = @_;

	$c->raw('BDAT ' . length($bytes) . " LAST\r\n$bytes");
	return one_reply($c);
}

# sendmail -bs: how many messages it said it has.
sub by_dialogue
{
	my ($bytes) = @_;
	my (undef, $out) = $sut->sendmail("EHLO c\r\n" .
	    "MAIL FROM:<s\@remote.test>\r\n" . join('', map { "RCPT TO:<$_>\r\n" } @everywhere) .
	    "DATA\r\n$bytes\r\n.\r\nQUIT\r\n", '-bs');

	return scalar(() = $out =~ /queued as/g);
}

sub by_stdin
{
	my ($bytes) = @_;
	my ($status) = $sut->sendmail($bytes, '-i', '-f', 's@remote.test',
	    @everywhere);

	return $status == 0 ? 1 : 0;
}

# Wait until each way out has had so many messages with this word in the
# subject, and nothing waits; then see that there are no others.
sub check_out
{
	my ($row, $word, $count) = @_;

	for my $name (sort keys %ways_out) {
		my $sink = $ways_out{$name};
		wait_for(sub { my @m = grep { $_->{data} =~
		    /^Subject: $word/m } $sink->messages; @m >= $count }, 20,
		    "$count messages at $name\n" . $sut->log);
	}
	$sut->wait_empty;
	for my $name (sort keys %ways_out) {
		my @all = $ways_out{$name}->messages;
		is(scalar(grep { $_->{data} =~ /^Subject: $word/m } @all),
		    $count, "$row $name has each message once");
		is(scalar(grep { $_->{data} =~
		    /\A(?:\S+:.*\r\n(?:[ \t].*\r\n)*)*Subject: smuggled/ }
		    @all), 0, "$row and none was smuggled to $name");
		is(scalar(grep { $_->{from} ne 's@remote.test' } @all), 0,
		    "$row nor has another sender at $name");
	}
	is(scalar($sut->mail('alice')), 0, "$row nobody here has any");
}

# What went over the wire to all of them: line ends, and ends of messages.
sub check_wire
{
	my ($row) = @_;

	for my $name (sort keys %ways_out) {
		my $sink = $ways_out{$name};
		my $wire = join '', $sink->raw;
		is(scalar(() = $wire =~ /(?<!\r)\n|\r(?!\n)/g), 0,
		    "$row no bare CR or LF went to $name");
		next if $name eq 'chunks';
		my @ends = $wire =~ /\r\n\.\r\n(?=(.{0,4}))/sg;
		is(scalar @ends, $sink->count,
		    "$row one CRLF.CRLF a message to $name");
		is(scalar(grep { !/^(?:QUIT|RSET|MAIL|)$/ } @ends), 0,
		    "$row and then a command");
	}
}

my $smuggled = "MAIL FROM:<adm\@local.test>\r\nRCPT TO:<alice\@local.test>" .
    "\r\nDATA\r\nSubject: smuggled\r\n\r\ny";

# --- what seems to end a message ----------------------------------------------

my %forged = ('SMG-01' => ["\n.\n"], 'SMG-02' => ["\n.\r\n"],
    'SMG-03' => ["\r\n\r.\r\n"],
    'SMG-04' => ["\r\n.\r\r\n", "\r\r\n.\r\r\n", "\r\n. \r\n",
	"\r\n.\0\r\n", "\r\n\0.\r\n"]);
for my $before ("\r", "\n", "\r\n") {
	for my $after ("\r", "\n", "\r\n") {
		push @{ $forged{'SMG-03'} }, "$before.$after"
		    unless "$before$after" eq "\r\n\r\n";
	}
}
for my $row (sort keys %forged) {
	my $count = 0;
	for my $end (@{ $forged{$row} }) {
		my $seen = visible($end);
		my $text = sub { 'Subject: ' . lc($row) . '-' . $number++ .
		    "\r\n\r\nx$end$smuggled" };
		for my $who ('stranger', 'friend') {
			my $c = opened($sut, $who);
			like(by_data($c, $text->()), qr/^250 2\.0\.0[^\n]*\z/,
			    "$row $seen by DATA of a $who");
		}
		like(by_chunk(opened($sut, 'stranger'), $text->() . "\r\n"),
		    qr/^250 2\.0\.0[^\n]*\z/, "$row $seen by BDAT");
		is(by_dialogue($text->()), 1, "$row $seen by sendmail -bs");
		$count += 4;
	}
	check_out($row, lc $row, $count);
	check_wire($row);
	for my $m (grep { $_->{data} =~ /^Subject: \L$row/m }
	    map { $_->messages } values %ways_out) {
		like($m->{data},
		    qr/\r\n\r\nx.*MAIL FROM:<adm.*smuggled.*y\r\n\z/s,
		    "$row the commands are text");
	}
}

# The same where bare line ends are refused.
{
	my $strict = Postrider::Fixture->new(settings => {
		smtpd_forbid_bare_newline => 'reject',
		always_add_missing_headers => 'yes' })->start;
	my %want = (stranger => qr/^550 5\.5\.2/, friend => qr/^250 2\.0\.0/);
	for my $row ('SMG-01', 'SMG-02') {
		for my $who (sort keys %want) {
			my $c = opened($strict, $who, 'bob@local.test');
			like(by_data($c, "Subject: $row-$who\r\n\r\nx" .
			    "$forged{$row}[0]$smuggled"), $want{$who},
			    "$row refused: what a $who hears");
		}
		$strict->wait_mail('bob', qr/^Subject: $row-friend$/m);
		$strict->wait_empty;
		is(scalar(grep { /^Subject: $row/m } $strict->mail('bob')), 1,
		    "$row refused: nothing of the stranger is delivered");
		is(scalar($strict->mail('alice')), 0,
		    "$row refused: and nothing is smuggled");
	}
	# Nothing, or nearly, with all headers that can be added.
	my $c = opened($strict, 'friend', 'bob@local.test',
	    'far-off@local.test');
	for my $text (".\r\n", "..\r\n.\r\n", "\r\n.\r\n") {
		$c->command('DATA', 354);
		$c->raw($text);
		like(one_reply($c), qr/^250 2\.0\.0[^\n]*\z/,
		    'SMG-14 ' . visible($text) . ' is one message');
		$c->script('MAIL FROM:<s@remote.test>' => 250,
		    'RCPT TO:<bob@local.test>' => 250,
		    'RCPT TO:<far-off@local.test>' => 250);
	}
	my @got = $strict->wait_mail('bob',
	    qr/\A(?!.*^Subject:).*^Message-ID:.*^Date:/ms, 3);
	is(scalar @got, 3, 'SMG-14 with the headers that are added');
	wait_for(sub { $strict->remote->count >= 3 }, 20, 'three copies');
	is(scalar(grep { $_->{data} =~
	    /^Message-ID: .*\r\n\r\n(?:\.?\r\n)?\z/ms }
	    $strict->remote->messages), 3, 'SMG-14 and bodies that are empty or a dot, passed on');
	is(join('', $strict->complaints), '', 'SMG-14 nothing crashed');
}

# --- cut anywhere -------------------------------------------------------------

# All near misses in one message, which is cut in two at each offset.
my $near = join '', "Message-ID: <cut\@c.test>\r\nDate: Sun, 22 Nov 2026 " .
    "06:00:00 +0000\r\nSubject: cut\r\n\r\n",
    (map { "a${_}b" } map { @{ $forged{$_} } } sort keys %forged),
    "\r\n..\r\n...\r\n.x\r\n\r\r\n\n\n\r\n" . 'x' x 300 . "\r\n..end";
my $answer = qr/\A250 2\.0\.0 [^\n]*\r\n\z/;

# So many connections at once, cut at these offsets: how many were answered as
# they should be.
sub cut
{
	my ($bytes, $opening, @offsets) = @_;
	my @clients = map { my $c = opened($sut, 'friend', 'u@relay-ok.test');
	    setsockopt $c->socket, IPPROTO_TCP, TCP_NODELAY, 1; $c } @offsets;

	if ($opening eq 'DATA') {
		$_->command('DATA', 354) for @clients;
	}
	for my $i (0 .. $#offsets) {
		$clients[$i]->raw(substr $bytes, 0, $offsets[$i]);
	}
	sleep 0.002;
	for my $i (0 .. $#offsets) {
		$clients[$i]->raw(substr $bytes, $offsets[$i]);
	}
	return scalar(grep { ($_->reply // '') =~ /^250 2\.0\.0/ } @clients);
}
{
	my %wire = (DATA => "$near\r\n.\r\n",
	    BDAT => 'BDAT ' . length("$near\r\n") . " LAST\r\n$near\r\n");
	my $had = $sut->relay->count;
	my %count;
	for my $way (sort keys %wire) {
		my $bytes = $wire{$way};
		# Inside the commonest bytes every seventh offset will do.
		my $dull = index($bytes, 'x' x 300);
		my @offsets = grep { $_ < $dull || $_ >= $dull + 300 ||
		    $_ % 7 == 0 } 1 .. length($bytes) - 1;
		my $good = 0;
		$count{$way} = @offsets;
		while (my @some = splice @offsets, 0, 40) {
			$good += cut($bytes, $way, @some);
		}
		is($good, $count{$way},
		    "SMG-05 $way cut at each of $count{$way} offsets");
		my $c = opened($sut, 'friend', 'u@relay-ok.test');
		setsockopt $c->socket, IPPROTO_TCP, TCP_NODELAY, 1;
		$c->command('DATA', 354) if $way eq 'DATA';
		$c->raw($_) for split //, $bytes;
		like($c->reply, qr/^250 2\.0\.0/,
		    "SMG-05 $way by single bytes");
		$count{$way}++;
	}
	my $all = $count{DATA} + $count{BDAT};
	wait_for(sub { $sut->relay->count - $had >= $all }, 30, 'all cuts');
	$sut->wait_empty;
	is($sut->relay->count - $had, $all, 'SMG-05 one message for each');
	my %texts;
	for my $m (grep { $_->{data} =~ /^Subject: cut\r$/m }
	    $sut->relay->messages) {
		$texts{ $m->{data} =~ s/\A.*?(?=^Message)//msr }++;
	}
	# A chunk has no dots to be taken away.
	is(join(' ', sort { $a <=> $b } values %texts),
	    join(' ', sort { $a <=> $b } values %count),
	    'SMG-05 and all of a way are the same, byte by byte');
}

# --- long lines and dots ------------------------------------------------------

sub unfolded { return $_[0] =~ s/\r\n (?=[^\r\n])//gr }

{
	my @lengths = (510 .. 512, 997 .. 1001, 2046 .. 2049, 4094 .. 4097,
	    8190 .. 8193, 65534 .. 65537);
	my $c = opened($sut, 'friend', 'u@relay-ok.test', 'u@store.test');
	for my $n (@lengths) {
		my $text = "Subject: smg-06-$n\r\n\r\n" . 'A' x $n . ".\r\n" .
		    'A' x $n . ".\r\nQUIT";
		like(by_data($c, $text), qr/^250 2\.0\.0[^\n]*\z/,
		    "SMG-06 $n bytes and a dot");
		$c->script('MAIL FROM:<s@remote.test>' => 250,
		    'RCPT TO:<u@relay-ok.test>' => 250,
		    'RCPT TO:<u@store.test>' => 250);
	}
	$sut->wait_empty;
	for my $name ('relay', 'store') {
		my %got = map { $_->{data} =~ /^Subject: smg-06-(\d+)\r$/m ?
		    ($1 => $_->{data}) : () } $ways_out{$name}->messages;
		for my $n (@lengths) {
			my ($body) = ($got{$n} // '') =~ /\r\n\r\n(.*)\z/s;
			ok(unfolded($body // '') eq 'A' x $n . ".\r\n" .
			    'A' x $n . ".\r\nQUIT\r\n",
			    "SMG-06 $n bytes reach $name");
			unlike($body // '.', qr/^\.\r$/m,
			    "SMG-06 $n: no dot alone on the way to $name");
		}
	}
	check_wire('SMG-06');
}
{
	my $body = 'B' x 998 . ".\r\n" . 'B' x 998 . ".\r\n.next\r\n.\r\n" .
	    "..two\r\n" . 'C' x 1996 . ".\r\n";
	my $c = opened($sut, 'friend');
	like(by_data($c, "Subject: smg-07\r\n\r\n" .
	    ($body =~ s/^\./../mgr) =~ s/\r\n\z//r), qr/^250 2\.0\.0/,
	    'SMG-07 dots where lines are cut');
	check_out('SMG-07', 'smg-07', 1);
	for my $name ('relay', 'store') {
		my $sink = $ways_out{$name};
		my ($m) = grep { $_->{data} =~ /^Subject: smg-07\r$/m }
		    $sink->messages;
		ok(unfolded($m->{data} =~ s/\A.*?\r\n\r\n//sr) eq
		    $body, "SMG-07 what $name unstuffs is the message");
		my ($raw) = grep { /^Subject: smg-07\r$/m } $sink->raw;
		my ($sent) = $raw =~
		    /^(Subject: smg-07\r.*?\r\n)\.\r\n(?:QUIT|\z)/ms;
		is(scalar(() = $sent =~ /^\.(?!\.)/mg), 0,
		    "SMG-07 each dot in front is doubled for $name");
		is(scalar(() = $sent =~ /^\.\./mg), 3,
		    "SMG-07 of which there are three");
	}
	check_wire('SMG-07');
}

# --- other ways in ------------------------------------------------------------

my $evil = "Subject: smg-08 %s\n\na\n.\nMAIL FROM:<x\@y>\na\r.\ra\r\n.\nb\n" .
    "\r\r\n.\r\nc\n\r.\r\n.\r";
{
	my $count = 0;
	like(by_chunk(opened($sut, 'stranger'), sprintf $evil, 'chunk'),
	    qr/^250 2\.0\.0/, 'SMG-08 by BDAT');
	is(by_stdin(sprintf $evil, 'stdin'), 1, 'SMG-08 by sendmail');
	$count += 2;

	# What sendmail gives to postdrop, with other text behind its envelope.
	my $fake = $sut->dir . '/commands';
	mkdir $fake, 0755;
	symlink bin() . "/$_", "$fake/$_" for qw(sendmail postrider-queue);
	spew("$fake/postdrop", "#!/bin/sh\ncat > $fake/dropped\nexit 75\n");
	chmod 0755, "$fake/postdrop";
	$sut->wait_empty;
	$sut->stop;
	$sut->set(command_directory => $fake);
	my $text = sprintf $evil, 'postdrop';
	$sut->sendmail("Subject: x\n\n" . 'X' x (length($text) - 12) . "\n",
	    '-i', '-f', 's@remote.test', @everywhere);
	$sut->set(command_directory => bin());
	my $dropped = slurp("$fake/dropped");
	like($dropped, qr/Subject: x\r?\n\r?\nX+/,
	    'SMG-08 what postdrop reads');
	my $at = index $dropped, 'Subject: x';
	substr $dropped, $at, length($dropped) - $at,
	    substr $text . ' ' x 10, 0, length($dropped) - $at;
	my ($status, $name) = $sut->run($dropped, bin() . '/postdrop', '-c',
	    $sut->etc);
	is($status, 0, 'SMG-08 postdrop takes it') or diag($name);
	$sut->start;
	$count++;
	check_out('SMG-08', 'smg-08', $count);
	check_wire('SMG-08');
	for my $m ($sut->relay->messages, $store->messages) {
		next unless $m->{data} =~ /^Subject: smg-08/m;
		like($m->{data}, qr/MAIL FROM:<x\@y>\r\na.*b\r\n/s,
		    'SMG-08 the whole text has come');
	}
}
{
	my $c = opened($sut, 'stranger');
	my $chunk = "Subject: q\r\n\r\n.\r\nRSET\r\n";
	is(length $chunk, 23, 'SMG-09 a chunk of 23 octets');
	like(by_chunk($c, $chunk), qr/^250 2\.0\.0[^\n]*\z/,
	    'SMG-09 is one message');
	check_out('SMG-09', 'q\r', 1);
	for my $name ('relay', 'store') {
		my ($raw) = grep { /^Subject: q\r$/m } $ways_out{$name}->raw;
		like($raw, qr/^Subject: q\r\n\r\n\.\.\r\nRSET\r\n\.\r\n/m,
		    "SMG-09 its dot is doubled for $name");
	}
	my ($m) = grep { $_->{data} =~ /^Subject: q\r$/m } $chunks->messages;
	like($m->{data}, qr/^Subject: q\r\n\r\n\.\r\nRSET\r\n\z/m,
	    'SMG-09 and stays alone in a chunk');
}

# --- sizes that are none ------------------------------------------------------

for my $args ('-1', '0', '0 LAST', '4294967296 LAST', '18446744073709551617',
    '1e3', '5 LAST X', ' 5', '', '+5', '0x10', '99999999999999999999 LAST',
    '5LAST') {
	my $c = opened($sut, 'friend', 'u@relay-ok.test');
	my $size = $args =~ /^\s*(\d)(?= |$)/ ? $1 : 0;
	my ($pid) = $sut->children('smtpd');
	$c->raw("BDAT $args\r\n" . 'x' x $size);
	my $is_good = $args =~ /^0/ && $args !~ /x/ || $args eq ' 5';
	ok($c->has_input(5), "SMG-11 BDAT $args has an answer") or next;
	my $reply = $c->reply;
	like($reply, $is_good ? qr/^(?:250|50[01]|55\d) / :
	    qr/^(?:50[01]|55[24]) /, "SMG-11 BDAT $args: " .
	    substr $reply, 0, 3);
	$c->raw("NOOP\r\n");
	my $next = eval { $c->reply } // 'closed';
	like($next, qr/^(?:closed|250 2\.0\.0 Ok)\z/,
	    "SMG-11 BDAT $args: in step or closed");
	for my $pid ($sut->children('smtpd')) {
		my ($kb) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
		cmp_ok($kb, '<', Postrider::is_sanitized() ? 400_000 : 60_000,
		    "SMG-11 BDAT $args: memory");
	}
}

# --- headers ------------------------------------------------------------------

# The names of the fields, as header_checks has seen them and as a parser of
# others finds them in what was passed on.
my $parser = <<'END_OF_PARSER';
import email, email.policy, json, sys
raw = sys.stdin.buffer.read()
print(json.dumps([[n.lower() for n in email.message_from_bytes(raw,
    policy=p).keys()] for p in (email.policy.compat32, email.policy.default)]))
END_OF_PARSER
{
	my @heads = ("Subject: smg-17\rFrom: admin\@local.test\r\n\r\nb\r\n",
	    "Subject: smg-17\nBcc: x\@y\r\n\r\nb\r\n",
	    "Subject: smg-17\r\nX:\r\n\r \r\nFrom: b\r\n\r\nb\r\n",
	    "Subject: smg-17\r\n \r\nFrom: c\r\n\r\nbody\r\n",
	    "Subject: smg-17\r\n\t\r\n\r\nFrom: d\r\n\r\nbody\r\n",
	    "Subject: smg-17\r\n\rFrom: e\r\n\r\nbody\r\n",
	    "Subject: smg-17\r\nX-\0: f\r\nTo: g\@y\r\n\r\nbody\r\n",
	    "Subject: smg-17\r\nno field\r\nFrom: h\r\n\r\nbody\r\n");
	for my $i (0 .. $#heads) {
		my $c = opened($sut, 'stranger', 'u@relay-ok.test');
		my $had = $sut->relay->count;
		my $reply = by_data($c, $heads[$i] . "number $i");
		my ($id) = $reply =~ /queued as (\w+)/;
		ok($id, "SMG-17 header $i is taken") or next;
		wait_for(sub { $sut->relay->count > $had }, 20, 'it');
		my ($m) = grep { $_->{data} =~ /number $i\r\n\z/ }
		    $sut->relay->messages;
		my (undef, $json) = $sut->run($m->{data}, 'python3', '-c',
		    $parser);
		my @theirs = @{ JSON::PP::decode_json($json) };
		# Bcc does not go on (message_drop_headers).
		my @ours = grep { $_ ne 'bcc' } map { lc } $sut->log =~
		    / $id: info: header ([^:\s]+) *:/g;
		ok(scalar @ours > 1, "SMG-17 header $i: $#ours fields and one");
		is("@{ $theirs[$_] }", "@ours",
		    "SMG-17 header $i: others see what we saw ($_)") for 0, 1;
	}
	$sut->wait_empty;
	check_wire('SMG-17');
}

# --- sendmail -----------------------------------------------------------------

{
	my $text = "To: bob\@local.test\r\nSubject: smg-19-%d\r\n\r\n" .
	    "a\r\n.\r\nb\n.\nc\n";
	is(($sut->sendmail(sprintf($text, 1), '-t', '-f', 's@remote.test'))[0],
	    0, 'SMG-19 without -i');
	is(($sut->sendmail(sprintf($text, 2), '-t', '-i', '-f',
	    's@remote.test'))[0], 0, 'SMG-19 with -i');
	my ($cut) = $sut->wait_mail('bob', qr/^Subject: smg-19-1$/m);
	my ($whole) = $sut->wait_mail('bob', qr/^Subject: smg-19-2$/m);
	like($cut, qr/\n\na\n\n?\z/, 'SMG-19 a dot ends it without -i');
	like($whole, qr/\n\na\n\.\nb\n\.\nc\n\n?\z/,
	    'SMG-19 with -i it is text');
	unlike("$cut$whole", qr/\r/, 'SMG-19 no CR is left');
	$sut->wait_empty;
	is(scalar($sut->mail('bob')), 2, 'SMG-19 and there are two messages');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
