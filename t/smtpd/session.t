# session.t - what a client hears, from greeting to goodbye.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	local_recipient_maps => '', mydestination => 'local.test',
	smtpd_peername_lookup => 'no', relayhost => '[127.0.0.1]:9',
	smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 1000,
	smtpd_junk_command_limit => 100000,
})->start;

sub session {
	my $c = $mail->client;
	$c->expect(qr/^220 mail\.local\.test ESMTP/);
	return $c;
}

# Each command of RFC 5321 4.5.1, and the order they must keep.
{
	my $c = session();
	my $ehlo = $c->command('EHLO client.test', 250);
	for my $keyword (qw(PIPELINING 8BITMIME ENHANCEDSTATUSCODES)) {
		like($ehlo, qr/^250[- ]$keyword$/m, "EHLO offers $keyword");
	}
	like($ehlo, qr/^250[- ]SIZE 10240000$/m, 'EHLO offers SIZE');
	my @steps = (
		'RCPT TO:<a@local.test>'	=> qr/^503 5\.5\.1/,
		'DATA'				=> qr/^503 5\.5\.1/,
		'NOOP with words'		=> qr/^250 2\.0\.0/,
		'RSET'				=> qr/^250 2\.0\.0/,
		'RSET now'			=> qr/^501 5\.5\.4/,
		'VRFY postmaster'		=> qr/^252 2\.0\.0/,
		'EXPN staff'			=> qr/^502 5\.5\.1/,
		'HELP'				=> qr/^214/,
		'mail from:<s@remote.test>'	=> qr/^250 2\.1\.0/,
		'MAIL FROM:<s@remote.test>'	=> qr/^503 5\.5\.1/,
		'DATA'				=> qr/^503 5\.5\.1/,
		'rcpt to:<a@local.test>'	=> qr/^250 2\.1\.5/,
		'DATA now'			=> qr/^501 5\.5\.4/,
		'RSET'				=> qr/^250/,
		'RCPT TO:<a@local.test>'	=> qr/^503/,
		'WHAT'				=> qr/^500 5\.5\.2/,
		''				=> qr/^500 5\.5\.2/,
		'QUIT now'			=> qr/^501/,
	);
	while (my ($command, $expected) = splice @steps, 0, 2) {
		like($c->command($command), $expected,
		    "\"$command\" is answered by $expected");
	}
	like($c->command('QUIT'), qr/^221 2\.0\.0/, 'QUIT is answered');
	ok($c->is_closed, 'and the connection is closed');
}

# Paths and parameters.
{
	my $c = session();
	$c->command('EHLO client.test', 250);
	my @senders = (
		'<>' => 250, '<a@b.test>' => 250, '<"a b"@b.test>' => 250,
		'<@x.test,@y.test:a@b.test>' => 250, '<a@[192.0.2.1]>' => 250,
		'<a@[IPv6:2001:db8::1]>' => 250, ' <a@b.test>' => 250,
		'<a@b.test> SIZE=100' => 250, '<a@b.test> BODY=8BITMIME' => 250,
		'<a@b.test> SIZE=100 BODY=7BIT' => 250,
		'<a@b.test' => 501, '<a@@b.test>' => 501, '<a b@c.test>' => 501,
		'<a@b.test> SIZE=x' => 501, '<a@b.test> SIZE=' => 501,
		'<a@b.test> SIZE=-1' => 501, '<a@b.test> BODY=9BIT' => 501,
		'<a@b.test> SIZE=1 SIZE=2' => 501,
		'<a@b.test> SIZE=' . '1' x 21 => 501,
		'<a@b.test> SIZE=99999999999' => 552,
		'<a@b.test> NONSENSE' => 555, '<a@b.test> X=y' => 555,
	);
	while (my ($path, $code) = splice @senders, 0, 2) {
		like($c->command("MAIL FROM:$path"), qr/^$code/,
		    "MAIL FROM:$path: $code");
		$c->command('RSET', 250);
	}
	$c->command('MAIL FROM:<>', 250);
	my @recipients = (
		'<a@local.test>' => 250, '<postmaster>' => 250,
		'<Postmaster@local.test>' => 250, '<@x.test:a@local.test>' => 250,
		'<>' => 501, '<a@local.test> X' => 555, 'a b' => 555,
		'<a@local.test' => 501,
	);
	while (my ($path, $code) = splice @recipients, 0, 2) {
		like($c->command("RCPT TO:$path"), qr/^$code/,
		    "RCPT TO:$path: $code");
	}
	$c->command('HELO client.test', 250);
	like($c->command('MAIL FROM:<a@b.test> SIZE=1'), qr/^503/,
	    'after HELO there are no parameters');
	like($c->command('HELO'), qr/^501/, 'HELO needs a name');
	like($c->command('EHLO foo(bar)'), qr/^501/, 'EHLO needs a good name');
	like($c->command('EHLO [127.0.0.1]'), qr/^250/, 'a literal is a name');
	like($c->command('EHLO 192.0.2.1'), qr/^250/, 'so are numbers');
	like($c->command('HELO host.test.'), qr/^250/, 'and a final dot');
}

# A pipelined group is answered in order.
{
	my $c = session();
	$c->raw(join "\r\n", 'EHLO client.test', 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<a@local.test>', 'RCPT TO:<bad', 'RCPT TO:<b@local.test>',
	    'DATA', '');
	my @codes = map { substr $c->reply, 0, 3 } 1 .. 6;
	is("@codes", '250 250 250 501 250 354', 'answers come in order');
	like($c->data("Subject: p\n\nx\n"), qr/^250 2\.0\.0 Ok: queued as \w+/,
	    'and the message is accepted');
	like($c->command('RCPT TO:<a@local.test>'), qr/^503/,
	    'after the message its transaction is over');
}

# An answer waits for no half line.
{
	my $c = session();
	$c->raw("NOOP\r\nNO");
	like($c->reply, qr/^250/, 'half a command does not hold answers back');
	$c->raw("OP\r\n");
	like($c->reply, qr/^250/, 'and becomes a whole one');
}

# A client that does not wait for 354 gets none: its text is not run.
{
	my $c = session();
	$c->command('EHLO client.test', 250);
	$c->raw(join "\r\n", 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<nobody@elsewhere', 'DATA', 'Subject: x', '',
	    'MAIL FROM:<evil@local.test>', 'RCPT TO:<a@local.test>', '.', '');
	my @codes = map { substr $c->reply, 0, 3 } 1 .. 3;
	is("@codes", '250 501 554', 'DATA without recipients is refused');
	ok($c->is_closed, 'and the text behind it ends the session');
	ok($mail->wait_log(qr/improper command pipelining after DATA from/),
	    'the log says why');
}

# Lines that are too long, NULs, and other languages.
{
	my $c = session();
	like($c->command('NOOP ' . 'x' x 2040), qr/^250/, 'a long line is fine');
	like($c->command('NOOP ' . 'x' x 4000), qr/^500 5\.5\.2/,
	    'a longer one is not');
	like($c->command("NOOP a\0b"), qr/^500/, 'a NUL is not');
	like($c->command('NOOP'), qr/^250/, 'and the session goes on');
	my $web = session();
	like($web->command('GET / HTTP/1.1'), qr/^221/, 'browsers are sent away');
	ok($web->is_closed, 'and are sent away');
}

# The line that ends a session's log counts what was said.
{
	my $c = session();
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<>' => 250,
	    'RCPT TO:<bad' => 501, 'RCPT TO:<a@local.test>' => 250,
	    'FOO' => 500, 'QUIT' => 221);
	ok($mail->wait_log(qr/disconnect from unknown\[127\.0\.0\.1\] ehlo=1 mail=1 rcpt=1\/2 quit=1 unknown=0\/1 commands=4\/6\n/),
	    'the last log line has the counters');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
