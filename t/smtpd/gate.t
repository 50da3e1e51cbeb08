# gate.t - commands that are replaced, forbidden or made to do nothing, and
# lines that are none.
use strict;
use warnings;
use Test::More;
use IO::Select;
use Postrider;

my %settings = (local_recipient_maps => '', smtpd_peername_lookup => 'no',
    relayhost => '[127.0.0.1]:9', smtpd_hard_error_limit => 1000,
    smtpd_error_sleep_time => '0s', smtpd_junk_command_limit => 100000);
my $mail = Postrider->new(settings => \%settings)->start;

sub session {
	my $c = $mail->client;
	$c->expect(220);
	return $c;
}

# Nothing comes for a while; the wait ends as soon as something does.
sub is_silent {
	my ($c, $name) = @_;
	ok(!IO::Select->new($c->socket)->can_read(0.4), $name);
}

# What is no mail client.
for my $line ('GET / HTTP/1.1', 'POST /', 'CONNECT x:25', "\x16\x03\x01\x02",
    '<html>', '-x') {
	my $c = session();
	my $shown = $line =~ s/[^ -~]/?/gr;
	like($c->command($line), qr/^221 2\.7\.0/, "\"$shown\" is sent away");
	ok($c->is_closed, 'at once');
}
$mail->wait_log(qr/non-SMTP command from unknown\[127\.0\.0\.1\]: GET \//);

# What is no command: the session goes on.
{
	my $c = session();
	my @lines = (
		'NOOP with '. 'x' x 500		=> qr/^250/,
		"NOOP \xff"			=> qr/^500 5\.5\.2/,
		"EHLO \xc3\xa9.test"		=> qr/^50[01] 5\.5\.2/,
		'EHLO c.test'			=> qr/^250/,
		"MAIL FROM:<\xc3\xbcser\@x.test>" =>
		    qr/^(?:500 5\.5\.2|553 5\.6\.7)/,
		"MAIL FROM:<a\x7f\@x.test>"	=> qr/^501/,
		"MAIL FROM:<a\x00\@x.test>"	=> qr/^50[01]/,
		"MAIL FROM:<a\rb\@x.test>"	=> qr/^501/,
		'NOOP ' . 'x' x 3000		=> qr/^500 5\.5\.2/,
		'x' x 100_000			=> qr/^500 5\.5\.2/,
		'y' x 1_000_000			=> qr/^500 5\.5\.2/,
		'SEND FROM:<a@b.test>'		=> qr/^50[02]/,
		'XFOO'				=> qr/^500/,
		'NOOP  '			=> qr/^250/,
		'MAIL FROM:<a@b.test> '		=> qr/^250/,
	);
	while (my ($line, $expected) = splice @lines, 0, 2) {
		my $shown = substr $line =~ s/[^ -~]/?/gr, 0, 40;
		like($c->command($line), $expected, "\"$shown\"");
	}
	is($c->command('QUIT'), '221 2.0.0 mail.local.test Bye',
	    'the goodbye tells who we are');
}
{
	my $c = session();
	$c->raw('z' x 1_500_000);
	like($c->reply, qr/^421 4\.7\.0/, 'a line without an end ends it all');
	ok($c->is_closed, 'really');
}

# From our own networks a command may end with LF, from others it may not.
{
	my $c = session();
	$c->raw("NOOP\n");
	like($c->reply, qr/^250/, 'an excepted client may end lines with LF');
}
$mail->set(smtpd_forbid_bare_newline_exclusions => '',
    smtpd_command_filter => 'regexp:{ {/^HELP (.+)/ NOOP $$1}, ' .
    '{/^(RCPT TO:<[^>]*) >/ $${1}>} }',
    smtpd_noop_commands => 'VRFY, frob, bdat',
    smtpd_forbidden_commands => 'EXPN, regexp:{{/^ETR/ no}}');
$mail->reload;
{
	my $c = session();
	$c->raw("EHLO c.test\n");
	is_silent($c, 'for others LF does not end a command');
	$c->raw("QUIT\r\n");
	like($c->reply, qr/^500 5\.5\.2 .*bare <LF>/,
	    'the whole of it is refused at CRLF');
	like($c->command('NOOP'), qr/^250/, 'and the session goes on');
	$c->raw("NOOP\r\nNOOP\nNOOP");
	like($c->reply, qr/^250/, 'what was said before it is answered');
	$c->raw("\r\n");
	like($c->reply, qr/^500/, 'then the line is refused');

	# Filters and lists.
	like($c->command('HELP me'), qr/^250/, 'a command is replaced');
	like($c->command('HELP'), qr/^214/, 'others are not');
	like($c->command('VRFY a@local.test'), qr/^250 2\.0\.0 Ok/,
	    'a known command does nothing');
	like($c->command('FROB'), qr/^250 2\.0\.0 Ok/, 'nor an unknown one');
	like($c->command('GET /'), qr/^500/, 'only what is listed is forbidden');
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250);
	like($c->command('RCPT TO:<a@local.test >'), qr/^250/,
	    'a filter mends what a client says wrongly');
	like($c->command('expn x'), qr/^221 2\.7\.0/, 'a name in the list');
	$c = session();
	like($c->command('ETRN local.test'), qr/^221 2\.7\.0/,
	    'a table in the list');
	$c = session();
	like($c->command("BDAT 6\r\nQUIT\r\n"), qr/^250 2\.0\.0 Ok/,
	    'a chunk may be ignored');
	ok($c->is_closed, 'but what it holds cannot be heard');
}

# What is added to a refusal.
$mail->set(smtpd_reject_footer => '\c. Call $server_name\nas ' .
    '${client_address} at $localtime', smtpd_reject_footer_maps =>
    'regexp:{ {/^501 5\.5\.4 (Syntax)/ Mind the $$1} }');
$mail->reload;
{
	my $c = session();
	like($c->command('DATA'), qr/\A503-5\.5\.1 Error: need MAIL command\. Call mail\.local\.test\n503 5\.5\.1 as 127\.0\.0\.1 at [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d\z/,
	    'a refusal has a footer, with its codes in each line');
	is($c->command('RSET x'), "501-5.5.4 Syntax: RSET takes no " .
	    "argument\n501 5.5.4 Mind the Syntax", 'a table has its own');
	is($c->command('NOOP'), '250 2.0.0 Ok', 'what is no refusal has none');
}

# Who does not wait for an answer.
$mail->set(smtpd_forbid_unauth_pipelining => 'yes',
    smtpd_command_filter => 'fail:now',
    smtpd_reject_footer => undef, smtpd_reject_footer_maps => undef,
    smtpd_forbidden_commands => undef, smtpd_noop_commands => undef);
$mail->reload;
{
	my $c = session();
	like($c->command('NOOP'), qr/^451 4\.3\.0/,
	    'without its table a filter lets nothing through');
	like($c->command("BDAT 8\r\nNOOP\r\n"), qr/^451 4\.3\.0/,
	    'not BDAT, either');
	ok($c->is_closed, 'whose octets are no commands');
}
$mail->set(smtpd_command_filter => undef);
$mail->reload;
{
	my $c = session();
	$c->raw("EHLO c.test\r\nMAIL FROM:<a\@b.test>\r\n");
	like($c->reply, qr/^554 5\.5\.0/, 'behind EHLO nothing may follow');
	ok($c->is_closed, 'the client is sent away');
	$mail->wait_log(qr/improper command pipelining after EHLO from/);
	$c = session();
	$c->command('HELO c.test', 250);
	$c->raw("MAIL FROM:<a\@b.test>\r\nRCPT TO:<c\@local.test>\r\n");
	like($c->reply, qr/^554 5\.5\.0/, 'after HELO there is no pipeline');
	$c = session();
	$c->command('EHLO c.test', 250);
	$c->raw("MAIL FROM:<a\@b.test>\r\nRCPT TO:<c\@local.test>\r\n" .
	    "RSET\r\nMAIL FROM:<a\@b.test>\r\nRCPT TO:<c\@local.test>\r\n" .
	    "BDAT 3\r\nabcBDAT 3\r\nabcNOOP\r\nDATA\r\nx\r\n");
	my @codes = map { substr $c->reply, 0, 3 } 1 .. 9;
	is("@codes", '250 250 250 250 250 250 250 250 554',
	    'after EHLO there is one, which ends with DATA');
	ok($c->is_closed, 'nothing behind it is heard');
}

$mail->stop;
done_testing();
