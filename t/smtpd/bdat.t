# bdat.t - a message in chunks of known size: what arrives is what was sent,
# and no octet of a chunk is ever a command.
use strict;
use warnings;
use Test::More;
use Postrider;

my %settings = (local_recipient_maps => '', smtpd_peername_lookup => 'no',
    relay_domains => 'relay.test', message_size_limit => 200000,
    smtpd_hard_error_limit => 1000, smtpd_error_sleep_time => '0s',
    smtpd_junk_command_limit => 100000, smtp_line_length_limit => 0);
my $mail = Postrider->new(settings => \%settings);
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

my $sent = 0;

sub session {
	my (%o) = @_;
	my $c = $mail->client;
	$c->expect(220);
	$c->command('EHLO c.test', 250);
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250) unless $o{bare};
	return $c;
}

sub chunk {
	my ($c, $octets, $last) = @_;
	$c->raw('BDAT ' . length($octets) . ($last ? " LAST\r\n" : "\r\n") .
	    $octets);
	return $c->reply;
}

sub lines { my ($n) = @_; return join "", map { "y" x 78 . "\r\n" } 1 .. $n }

# The body of the next message at the next hop.
sub arrived {
	$sent++;
	Postrider::wait_for(sub { $sink->count >= $sent }, 20,
	    "message $sent at the next hop\n" . $mail->log);
	my $data = ($sink->messages)[-1]{data};
	$data =~ s/\A.*?\r\n\r\n//s;
	return $data;
}

my $head = "Subject: x\r\n\r\n";

{
	my $c = session(bare => 1);
	like($c->command('EHLO c.test'), qr/^250[- ]CHUNKING$/m,
	    'CHUNKING is offered');
	unlike($c->command('EHLO c.test'), qr/BINARYMIME/,
	    'BINARYMIME is not');
	like($c->command('MAIL FROM:<s@local.test> BODY=BINARYMIME'),
	    qr/^555 5\.5\.4/, 'and not understood');
}

# One chunk, with all that would mean something to DATA.
{
	my $c = session();
	like(chunk($c, "$head.dot\r\n..\r\n.\r\nQUIT\r\nend\r\n", 1),
	    qr/^250 2\.0\.0 Ok: queued as \w+/, 'one chunk is a message');
	is(arrived(), ".dot\r\n..\r\n.\r\nQUIT\r\nend\r\n",
	    'dots and CRLF.CRLF in a chunk are text');
	like($c->command('NOOP'), qr/^250/, 'the session goes on');
	like(chunk($c, "more", 1), qr/^503 5\.5\.1/,
	    'a chunk behind the last one is refused');
	like($c->command('NOOP'), qr/^250/, 'and its octets are thrown away');
}

# Long ones, most of which passes without a look at each line; cut anywhere.
srand 1;
for my $seldom (3, 1000) {
	my $c = session();
	my $text = join '', map { ('', '.')[rand 2] . 'x' x rand(90) .
	    (rand $seldom < 1 ? ("\n", "\r")[rand 2] : "\r\n") } 1 .. 2500;
	my @pieces = ($head, map { substr $text, $_ * 30_011, 30_011 }
	    0 .. length($text) / 30_011);
	my @replies = map { chunk($c, $_) } @pieces;
	is(scalar(grep { !/^250/ } @replies), 0,
	    "long chunks, a line end that is none in $seldom lines");
	like(chunk($c, ".\r\n", 1), qr/^250/, 'are a message');
	ok(arrived() eq ($text =~ s/(?<!\r)\n/\r\n/gr =~
	    s/\r(?!\n)/ /gr) . ".\r\n", 'of which all arrives');
}

# Several chunks, an empty last one; the pieces are acknowledged.
{
	my $c = session();
	like(chunk($c, $head), qr/^250 2\.0\.0 Ok: 14 bytes/,
	    'a chunk is acknowledged');
	like(chunk($c, ''), qr/^250/, 'an empty one too');
	like(chunk($c, "a\r"), qr/^250/, 'a line end may be cut');
	like(chunk($c, "\nb\r\n"), qr/^250/, 'in two');
	like($c->command('RCPT TO:<x@relay.test>'), qr/^503/,
	    'recipients come before chunks');
	like($c->command('DATA'), qr/^503 5\.5\.1/, 'DATA is not mixed in');
	like($c->command('MAIL FROM:<x@local.test>'), qr/^503/,
	    'nor MAIL');
	like($c->command('NOOP'), qr/^250/, 'NOOP is no matter');
	like(chunk($c, '', 1), qr/^250 2\.0\.0 Ok: queued as/,
	    'BDAT 0 LAST ends the message');
	is(arrived(), "a\r\nb\r\n", 'what was cut is whole again');
}

# DATA works beside it; a message may have no end of line, or no octet.
{
	my $c = session();
	$c->command('DATA', 354);
	like($c->data("Subject: x\n\nby data\n"), qr/^250/, 'DATA is there');
	is(arrived(), "by data\r\n", 'as ever');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
	like(chunk($c, "${head}no end", 1), qr/^250/,
	    'a last line without an end');
	is(arrived(), "no end\r\n", 'gets one');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
	like(chunk($c, '', 1), qr/^250/, 'an empty message is accepted');
	arrived();
}

# Ten thousand chunks of one octet, in a pipeline: an answer for each.
{
	my $c = session();
	my $text = $head . ('0123456789abcdef' x 4 . "\r\n") x 152;
	my @octets = split //, substr $text, 0, 10000;
	my $child = fork // die "fork: $!";
	if ($child == 0) {
		$c->raw(join '', map { "BDAT 1\r\n$_" } @octets);
		POSIX::_exit(0);
	}
	my $good = grep { ($c->reply // '') =~ /^250 2\.0\.0 Ok: 1 bytes/ }
	    @octets;
	waitpid $child, 0;
	is($good, 10000, 'ten thousand chunks are acknowledged');
	like(chunk($c, '', 1), qr/^250/, 'and end');
	my $body = arrived();
	$body =~ s/\r\n\z//;
	is($head . $body, join('', @octets), 'all of them arrive');
	my ($pid) = $mail->children('smtpd');
	my ($kib) = Postrider::slurp("/proc/$pid/status") =~ /VmHWM:\s+(\d+)/;
	note("smtpd grew to $kib KiB");
}

# What is refused is read and thrown away.
{
	my $c = session(bare => 1);
	my $octets = "QUIT\r\nMAIL FROM:<evil\@local.test>\r\n";
	like(chunk($c, $octets), qr/^503 5\.5\.1/, 'a chunk without MAIL');
	like(chunk($c, $octets, 1), qr/^503 5\.5\.1/, 'a last one');
	$c->command('MAIL FROM:<s@local.test>', 250);
	like(chunk($c, $octets, 1), qr/^503 5\.5\.1/, 'a chunk without RCPT');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@other.test> X=1' => 555);
	like(chunk($c, $octets, 1), qr/^554 5\.5\.1/,
	    'a chunk with refused recipients');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
	$c->raw("BDAT 6 FIRST\r\nQUIT\r\n");
	like($c->reply, qr/^501 5\.5\.4/, 'a wrong word behind the size');
	like(chunk($c, "${head}the rest of it", 1), qr/^503 5\.5\.1/,
	    'what comes behind a refused chunk is no message');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@other.test> X=1' => 555);
	like(chunk($c, $octets), qr/^554/, 'a chunk for nobody');
	like($c->command('RCPT TO:<r@relay.test>'), qr/^503/,
	    'is for nobody else');
	like(chunk($c, "$head", 1), qr/^503/, 'nor is the next one');
	$c->command('QUIT', 221);
	ok($c->is_closed, 'no reply was out of step');
}

# A pipeline whose recipient is refused: an answer for each chunk.
{
	my $c = session(bare => 1);
	$c->raw("MAIL FROM:<s\@local.test>\r\nRCPT TO:<\@bad>\r\n" .
	    "BDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n" .
	    "RSET\r\nNOOP\r\n");
	my @codes = map { substr $c->reply, 0, 3 } 1 .. 7;
	is("@codes", '250 501 554 503 503 250 250', 'the client keeps step');
}

# Too much: by one chunk, by all of them together, and beyond all measure.
{
	my $c = session();
	like(chunk($c, 'x' x 200001), qr/^552 5\.3\.4/,
	    'one chunk over the limit');
	like(chunk($c, 'x'), qr/^503 5\.5\.1/, 'then no other is taken');
	like($c->command('RCPT TO:<x@relay.test>'), qr/^503/,
	    'nor a recipient');
	$c->command('RSET', 250);
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
	like(chunk($c, lines(2000)), qr/^250/, 'under it');
	like(chunk($c, lines(1000), 1), qr/^552 5\.3\.4/,
	    'over it together');
	like($c->command('RCPT TO:<x@relay.test>'), qr/^503 5\.5\.1/,
	    'the last chunk ends the transaction');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
	like($c->command('BDAT 99999999999 LAST'), qr/^552 5\.3\.4/,
	    'nobody waits for a chunk without an end');
	ok($c->is_closed, 'its client is sent away');
}
for my $size ('x', '-1', '', '99999999999999999999', '1x', '0x10') {
	my $c = session();
	like($c->command("BDAT $size"), qr/^501 5\.5\.4/,
	    "\"BDAT $size\" has no size");
	ok($c->is_closed, 'its octets cannot be told from commands');
}

# RSET and a lost connection forget the chunks.
{
	my $c = session();
	like(chunk($c, "${head}forgotten\r\n"), qr/^250/, 'a chunk');
	$c->script('RSET' => 250, 'DATA' => 503,
	    'MAIL FROM:<s@local.test>' => 250, 'RCPT TO:<r@relay.test>' => 250);
	like(chunk($c, "${head}kept\r\n", 1), qr/^250/, 'after RSET another');
	is(arrived(), "kept\r\n", 'only that one arrives');
	my $lost = session();
	like(chunk($lost, "${head}lost\r\n"), qr/^250/, 'a chunk');
	$lost->raw("BDAT 100\r\nhalf");
	$lost->close;
	$mail->wait_log(qr/lost connection after BDAT \(\d+ bytes\)/);
}

# Answers are not held back by a chunk that is still to come.
{
	my $c = session(bare => 1);
	$c->raw("MAIL FROM:<s\@local.test>\r\nRCPT TO:<r\@relay.test>\r\n" .
	    "BDAT 20 LAST\r\n$head");
	like($c->reply, qr/^250 2\.1\.0/, 'MAIL is answered');
	like($c->reply, qr/^250 2\.1\.5/, 'RCPT is answered');
	$c->raw("abcd\r\n");
	like($c->reply, qr/^250 2\.0\.0/, 'and the chunk when it is whole');
	is(arrived(), "abcd\r\n", 'it arrives');
}

# Line ends that are none (our network is in the exclusions of reject).
{
	my $c = session();
	like(chunk($c, "${head}a\nb\rc\r\n\n.\n", 1), qr/^250/,
	    'bare line ends are made good');
	my $body = arrived();
	unlike($body, qr/(?<!\r)\n|\r(?!\n)/, 'none of them goes on');
	like($body, qr/\Aa\r\nb.?c\r\n\r\n\.\r\n\z/, 'the text does');
	like($mail->log, qr/notes=bare_lf/, 'and is noted')
	    if $c->command('QUIT', 221) && $c->is_closed &&
	    $mail->wait_log(qr/bare_lf/);
}
$mail->set(smtpd_forbid_bare_newline => 'reject',
    smtpd_forbid_bare_newline_exclusions => '');
$mail->reload;
{
	my $c = session();
	like(chunk($c, "${head}a\n"), qr/^250/, 'a chunk with a bare LF');
	like(chunk($c, '', 1), qr/^550 5\.5\.2 .*bare <LF>/,
	    'spoils the message with reject');
	like($c->command('NOOP'), qr/^250/, 'the session goes on');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
	$c->raw("BDAT 16\r\n${head}a\rBDAT 3 LAST\r\n\nb\n");
	$c->reply;
	like($c->reply, qr/^550/, 'one at the end as well');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
	$c->raw("BDAT 16\r\n${head}a\rBDAT 3 LAST\r\n\n\r\n");
	$c->reply;
	like($c->reply, qr/^250/, 'CRLF in two chunks is no bare LF');
	arrived();
}
$mail->set(smtpd_forbid_bare_newline_reject_code => 521,
    smtpd_discard_ehlo_keywords => 'chunking, silent-discard');
$mail->reload;
{
	my $c = session();
	unlike($c->command('EHLO c.test'), qr/CHUNKING/,
	    'it can be left out of the answer to EHLO');
	like(chunk($c, "QUIT\r\n"), qr/^502 5\.5\.1/, 'then there is no BDAT');
	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250, 'DATA' => 354);
	$c->raw("${head}a\n\r\n.\r\n");
	like($c->reply, qr/^521 5\.5\.2/, 'the code of the refusal is ours');
	ok($c->is_closed, 'and 521 hangs up');
}
# A BDAT that is refused before it is understood has octets behind it all the
# same (found by the model of t/crash/model).
for ([ "BDAT 6\0\r\n", 'with a NUL' ], [ "BDAT 6\nx\r\n", 'with an LF' ],
    [ 'BDAT 6 ' . 'x' x 5000 . "\r\n", 'that is too long' ]) {
	my ($line, $how) = @$_;
	my $c = session();
	$c->raw("${line}NOOP\r\nQUIT\r\n");
	like($c->reply, qr/^5/, "BDAT $how is refused");
	ok($c->is_closed, 'and its octets are no commands');
}
is($sink->count, $sent, 'nothing else arrived');

$mail->stop;
done_testing();
