# interop.t - mail between this system and programs of others, in both
# directions: clients (swaks, curl, msmtp, smtplib) and servers (aiosmtpd,
# Postfix, Exim). What they are told and what they take is compared byte by
# byte behind them.

use strict;
use warnings;

use lib 't/lib';
use File::Path qw(make_path);
use IO::Socket::INET;
use Postrider qw(bin free_port is_alive need_root slurp spew wait_for);
use Postrider::Exim;
use Postrider::Postfix;
use Postrider::Tap;
use Test::More;

need_root();		# Postfix and Exim want users

my $python = '/usr/bin/python3';	# the one that has Debian's modules
my $joerg = "j\xc3\xb6rg";
my $small = free_port();		# ours, for at most 100,000 bytes
my $limit = 200_000;			# theirs
my ($bigger, $biggest) = map { "Subject: big\n\n" . ('y' x 99 . "\n") x $_ }
    1500, 3000;

my %text = (
	plain => "Hello.\n",
	dots => ".\n..\n.dot\n\n" . 'x' x 990 . "\nFrom me\n." . 'z' x 980 .
	    "\n" . ".line\n" x 3000 . "\n\n.\nend\n",
	eight => "gr\xfc\xdfe \xe2\x82\xac \xff\xfe.\n.\xe4\n",
);
my %type = (eight => "MIME-Version: 1.0\nContent-Type: text/plain; " .
    "charset=x-unknown\nContent-Transfer-Encoding: 8bit\n");

# --- the systems --------------------------------------------------------------

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', disable_dns_lookups => 'yes',
	relay_domains => 'via.test', relay_recipient_maps => 'inline:{ ' .
	    join(', ', map { "{ $_\@via.test = 1 }" } qw(r one two),
	    $joerg) . ' }',
	smtp_connection_cache_on_demand => 'no',
}, master => <<"END");
127.0.0.1:$small inet n - n - - smtpd -o message_size_limit=100000
dotted unix - - n - - smtp -o smtp_discard_ehlo_keywords=chunking
END
my $dir = $mail->dir;
my $sink = $mail->sink(extensions => [qw(PIPELINING 8BITMIME
    ENHANCEDSTATUSCODES DSN SMTPUTF8), 'SIZE 0']);

# Between this system and others there is somebody who listens.
sub tap { return Postrider::Tap->new(file => "$dir/tap-$_[0]", to => $_[1]) }

my $in = tap('in', $mail->port);
my $postfix = Postrider::Postfix->new(settings => {
	relayhost => '[127.0.0.1]:' . $sink->port,
	smtpd_recipient_restrictions => 'check_recipient_access ' .
	    'inline:{ { refused@postfix.test = 550 5.1.1 not him } }',
	message_size_limit => $limit, maillog_file => "$dir/postfix.log",
	transport_maps => 'inline:{ { via.test = smtp:[127.0.0.1]:' .
	    $in->port . " } { small.test = smtp:[127.0.0.1]:$small } }",
});
my $exim_in = tap('exim-in', $mail->port);
my $exim = Postrider::Exim->new(
	options => "chunking_advertise_hosts = *\ndsn_advertise_hosts = *\n" .
	    "smtputf8_advertise_hosts = *\nmessage_size_limit = $limit\n",
	rcpt => "\tdeny local_parts = refused\n\t\tdomains = exim.test\n" .
	    "\t\tmessage = not him\n",
	routes => [ 'via.test' => $exim_in->port, 'small.test' => $small,
	    '*' => $sink->port ]);

# --- messages -----------------------------------------------------------------

my $count = 0;
sub token { return "token-$$-" . ++$count }

sub message
{
	my ($kind, $token) = @_;

	return "From: s\@from.test\nTo: r\@to.test\nSubject: $token\n" .
	    ($type{$kind} // '') . "\n$text{$kind}";
}

# What is there with this subject, without reports about it.
sub having
{
	my ($token) = @_;

	return grep { $_->{data} =~ /^Subject: $token\r$/m &&
	    $_->{data} !~ /^Content-Type: multipart\/report/m }
	    $sink->messages;
}

# The same, when it has arrived: the first.
sub arrived
{
	my ($token, $log) = @_;
	my @found;

	eval {
		wait_for(sub {
			@found = having($token);
		}, 15, $token);
	} or diag $@, $mail->log, $log // '';
	return $found[0] // { data => '', mail => '', rcpt => [],
	    rcpt_lines => [] };
}

sub same
{
	my ($token, $kind, $what, $log) = @_;
	my $message = arrived($token, $log);
	my ($body) = $message->{data} =~ /\r\n\r\n(.*)\z/s;

	ok(($body // '') eq $text{$kind} =~ s/\n/\r\n/gr, $what)
	    or diag 'sent ', length $text{$kind}, ', arrived ',
	    length($body // ''), ': ', substr $body // '', 0, 300;
	return $message;
}

# A message from a client of ours to a port; the queue id.
sub post
{
	my ($port, $text, $mail_words, @to) = @_;
	my $client = $mail->client($port);

	$client->expect(220);
	$client->command('EHLO client.test', 250);
	$client->command("MAIL FROM:<s\@from.test>$mail_words", 250);
	$client->command('RCPT TO:' . (/^</ ? $_ : "<$_>"), 250) for @to;
	$client->command('DATA', 354);
	my $reply = $client->data($text);
	$client->command('QUIT', 221);
	return $reply =~ /(?:queued as|id=)\s*([\w-]+)/ ? $1 : die $reply;
}

# --- clients ------------------------------------------------------------------

sub has { return grep { -x "$_/$_[0]" } split /:/, $ENV{PATH} }

# Each takes a port, a sender, a message with \n, and recipients, and says what
# it was told: (status, text).
my %client = (
	swaks => sub {
		my ($port, $text, @to) = @_;
		spew("$dir/text", $text =~ s/\n\z//r);	# it adds one
		return $mail->run('', 'swaks', '--server', '127.0.0.1',
		    '--port', $port, '--helo', 'client.test', '--from',
		    's@from.test', '--to', join(',', @to), '--data',
		    "\@$dir/text", '--suppress-data', '--pipeline');
	},
	curl => sub {
		my ($port, $text, @to) = @_;
		spew("$dir/text", $text =~ s/\n/\r\n/gr);
		return $mail->run('', 'env', 'LC_ALL=C.UTF-8', 'curl', '-q',
		    '-vsS', '--noproxy', '*', '--max-time', 10,
		    "smtp://127.0.0.1:$port/client.test",
		    '--mail-from', 's@from.test',
		    (map { ('--mail-rcpt', $_) } @to), '-T', "$dir/text");
	},
	msmtp => sub {
		my ($port, $text, @to) = @_;
		return $mail->run($text, 'msmtp', '--host=127.0.0.1',
		    "--port=$port", '--domain=client.test', '--auth=off',
		    '--tls=off', '--from=s@from.test', '--timeout=10',
		    '--dsn-notify=failure', '--dsn-return=headers', '--', @to);
	},
	smtplib => sub {
		my ($port, $text, @to) = @_;
		$text =~ s/\n/\r\n/g;
		return $mail->run($text, $python, '-c', <<'END', $port, @to);
import os, smtplib, sys
to = [os.fsencode(a).decode("utf-8") for a in sys.argv[2:]]
options = ["RET=HDRS", "ENVID=QQ1", "BODY=8BITMIME"]
if not all(a.isascii() for a in to):
    options.append("SMTPUTF8")
server = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "client.test")
text = sys.stdin.buffer.read()
try:
    server.ehlo()
    if "SMTPUTF8" in options:
        server.command_encoding = "utf-8"
    print(server.sendmail("s@from.test", to, text, options,
        ["NOTIFY=FAILURE", "ORCPT=rfc822;o+2Bx@o.test"]))
    server.quit()
except smtplib.SMTPException as e:
    print(repr(e))
    sys.exit(9)
END
	},
);

# What each makes of one recipient of two that is refused: its status, what it
# says, and whether the other one gets the message; and of a size that is too
# big.
my %verdict = (
	swaks => [ 0, qr/RCPT TO:<refused.*<\*\* 550 5\.1\.1/s, 1,
	    26, qr/<\*\* 552 5\.3\.4/ ],
	curl => [ 55, qr/< 550 5\.1\.1/, 0, 55, qr/> MAIL .*SIZE=.*< 552 5\.3\.4/s ],
	msmtp => [ 65, qr/refused\@via\.test not accepted.*550 5\.1\.1/s, 0,
	    69, qr/552 5\.3\.4/ ],
	smtplib => [ 0, qr/'refused\@via\.test': \(550, b'5\.1\.1/, 1,
	    9, qr/SMTPSenderRefused\(552, b'5\.3\.4/ ],
);

sub try_client
{
	my ($name) = @_;
	my $send = $client{$name};
	my ($partly, $told, $goes_on, $too_big, $why) = @{ $verdict{$name} };

	for my $kind (sort keys %text) {
		my $token = token();
		my ($status, $text) = $send->($mail->port,
		    message($kind, $token), 'r@via.test');
		is($status, 0, "$kind: taken") or diag $text;
		my $m = same($token, $kind, "$kind: every byte is there");
		like($m->{mail}, qr/ RET=HDRS\b/, 'RET went through')
		    if $name =~ /msmtp|smtplib/;
		like($m->{rcpt_lines}[0], qr/ NOTIFY=FAILURE\b/i,
		    'and NOTIFY') if $name =~ /msmtp|smtplib/;
		like("$m->{mail} $m->{rcpt_lines}[0]",
		    qr/ ENVID=QQ1\b.* ORCPT=rfc822;o\+2Bx\@o\.test/,
		    'ENVID and ORCPT too') if $name eq 'smtplib';
	}
	my $token = token();
	my ($status, $text) = $send->($mail->port, message('plain', $token),
	    'one@via.test', 'refused@via.test');
	is($status, $partly, 'of two one is refused: its status') or diag $text;
	like($text, $told, 'and it says why');
	is_deeply(arrived($token)->{rcpt}, ['one@via.test'],
	    'the other one gets it') if $goes_on;
	($status, $text) = $send->($small, $bigger, 'r@via.test');
	is($status, $too_big, 'too big: its status') or diag $text;
	like($text, $why, 'and it says so');
	return unless $name =~ /curl|smtplib/;
	$token = token();
	($status, $text) = $send->($mail->port, message('plain', $token),
	    "$joerg\@via.test");
	is($status, 0, 'an address in UTF-8') or diag $text;
	my $m = arrived($token);
	is($m->{rcpt}[0], "$joerg\@via.test", 'arrives');
	like($m->{mail}, qr/ SMTPUTF8\b/, 'with SMTPUTF8');
}

# --- servers ------------------------------------------------------------------

# Did the client say MAIL and RCPT in one breath? How did it say the text?
sub is_pipelining { return grep { /^MAIL .*\r\nRCPT /m } $_[0]->flights }
sub chunks { return scalar(() = join('', $_[0]->flights) =~ /^BDAT \d+/mg) }

# Mail through this system to a server, which has a domain, and from there on
# to the sink.
sub try_server
{
	my ($domain, $tap, $log, %o) = @_;

	for my $kind (sort keys %text) {
		my $token = token();
		post($mail->port, message($kind, $token), $kind eq 'eight' ?
		    ' BODY=8BITMIME' : '', "r\@$domain");
		same($token, $kind, "$kind: every byte is there", $log->());
	}
	my $token = token();
	my $id = post($mail->port, message('plain', $token), '',
	    "one\@$domain", "refused\@$domain", "two\@$domain");
	ok($mail->wait_log(qr/$id: to=<refused\@$domain>, .*status=bounced \(host 127\.0\.0\.1\[127\.0\.0\.1\]:?\d* said: 550 /),
	    'of three one is refused: so we say');
	ok(eval { wait_for(sub {
		2 == (() = $mail->log =~
		    /$id: to=<(?:one|two)\@$domain>, .*status=sent/g)
	}); 1 }, 'and that the others are not');
	ok(eval { wait_for(sub {
		2 == grep { /^(one|two)\@$domain$/ } map { @{ $_->{rcpt} } }
		    having($token);
	}, 10) }, 'they get it');
	$id = post($mail->port, $biggest, '', "r\@$domain");
	ok($mail->wait_log(qr/$id: to=<r\@$domain>, .*dsn=5\.3\.4, status=bounced /),
	    'a message above its SIZE comes back');
	my $at_all = join '', $tap->flights;
	unlike($at_all, qr/yyyyy/, 'and was not sent at all');
	$token = token();
	post($mail->port, message('plain', $token), ' SMTPUTF8',
	    "$joerg\@$domain");
	my $m = arrived($token, $log->());
	is($m->{rcpt}[0], "$joerg\@$domain", 'an address in UTF-8 arrives');
	like($m->{mail}, qr/ SMTPUTF8\b/, 'with SMTPUTF8');
	like(join('', $tap->flights),
	    qr/^MAIL .* SMTPUTF8.*\r\nRCPT TO:<$joerg\@/m,
	    'as we have said it');
	return if $o{is_poor};
	dsn($mail->port, $domain, $log);
	ok(is_pipelining($tap), 'our commands come in one flight');
	cmp_ok(chunks($tap), '>=', 4, 'and the text by BDAT');
	unlike(join('', $tap->flights), qr/^DATA\r$/m, 'always');
	$token = token();
	post($mail->port, message('dots', $token), '', "r\@dots.$domain");
	same($token, 'dots', 'dots by DATA: every byte is there', $log->());
	like(join('', $tap->flights), qr/^DATA\r$/m, 'it was DATA');
}

# What DSN has to say (RFC 3461) arrives behind the other system.
sub dsn
{
	my ($port, $domain, $log) = @_;
	my $token = token();

	post($port, message('plain', $token), ' RET=HDRS ENVID=QQ+2B314',
	    "<r\@$domain> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+2Bx\@o.test");
	my $m = arrived($token, $log->());
	like($m->{mail}, qr/ RET=HDRS\b/, 'RET has passed');
	like($m->{mail}, qr/ ENVID=QQ\+2B314(?: |$)/, 'ENVID has passed');
	like($m->{rcpt_lines}[0] // '', qr/ NOTIFY=SUCCESS,FAILURE(?: |$)/i,
	    'NOTIFY has passed');
	like($m->{rcpt_lines}[0] // '', qr/ ORCPT=rfc822;o\+2Bx\@o\.test(?: |$)/,
	    'ORCPT has passed');
}

# Mail through another mail system to this one.
sub try_sender
{
	my ($port, $tap, $log, %o) = @_;

	for my $kind (sort keys %text) {
		my $token = token();
		post($port, message($kind, $token), $kind eq 'eight' ?
		    ' BODY=8BITMIME' : '', 'r@via.test');
		same($token, $kind, "$kind: every byte is there", $log->());
	}
	my $token = token();
	post($port, message('plain', $token), '', 'one@via.test',
	    'refused@via.test', 'two@via.test');
	ok(eval { wait_for(sub { $log->() =~ $o{refused} }, 10) },
	    'of three one is refused: so it says') or diag $log->();
	ok(eval { wait_for(sub {
		'one@via.test two@via.test' eq join ' ', sort
		    map { @{ $_->{rcpt} } } having($token);
	}, 10) }, 'the others get it') or diag $log->();
	post($port, $bigger, '', 'r@small.test');
	ok(eval { wait_for(sub { $log->() =~ $o{too_big} }, 10) },
	    'our SIZE is too small: so it says') or diag $log->();
	$token = token();
	post($port, message('plain', $token), ' SMTPUTF8', "$joerg\@via.test");
	my $m = arrived($token, $log->());
	is($m->{rcpt}[0], "$joerg\@via.test", 'an address in UTF-8 arrives');
	like($m->{mail}, qr/ SMTPUTF8\b/, 'with SMTPUTF8');
	dsn($port, 'via.test', $log);
	ok(is_pipelining($tap), 'its commands come in one flight');
}

# A server of Python's: it keeps nothing, but passes on to the sink.
my $aio;
my $aio_port = free_port();
sub start_aio
{
	spew("$dir/aio.py", <<'END');
import asyncio, smtplib, sys
from aiosmtpd.smtp import SMTP
class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 not him"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"
    async def handle_DATA(self, server, session, envelope):
        def on():
            options = list(envelope.mail_options)
            with smtplib.SMTP("127.0.0.1", int(sys.argv[2])) as next:
                next.ehlo()
                if "SMTPUTF8" in options:
                    next.command_encoding = "utf-8"
                next.sendmail(envelope.mail_from, envelope.rcpt_tos,
                    envelope.original_content, [o for o in options
                    if not o.startswith("SIZE=")])
        await asyncio.get_running_loop().run_in_executor(None, on)
        return "250 2.0.0 Ok"
async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), loop=loop,
        enable_SMTPUTF8=True, data_size_limit=int(sys.argv[3]),
        hostname="aio.test"), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
END
	$aio = fork // die "fork: $!";
	if ($aio == 0) {
		open STDOUT, '>>', "$dir/aio.log";
		open STDERR, '>&', \*STDOUT;
		exec $python, "$dir/aio.py", $aio_port, $sink->port, $limit
		    or POSIX::_exit(127);
	}
	wait_for(sub {
		die slurp("$dir/aio.log") if waitpid($aio, 1) == $aio;
		IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $aio_port) }, 15, 'aiosmtpd');
}
END { if ($aio) { local $?; kill 'TERM', $aio; waitpid $aio, 0 } }

# --- the claims ---------------------------------------------------------------

my %out = (aio => tap('aio', $aio_port));
$out{postfix} = tap('postfix', $postfix->port) if $postfix;
$out{exim} = tap('exim', $exim->port) if $exim;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port,
    transport_maps => 'inline:{ ' . join(', ', '{ via.test = ' .
    'smtp:[127.0.0.1]:' . $sink->port . ' }', map {
	my $to = '[127.0.0.1]:' . $out{$_}->port;
	"{ $_.test = smtp:$to }, { dots.$_.test = dotted:$to }"
    } sort keys %out) . ' }');
$mail->start;

for my $name (sort keys %client) {
	subtest "$name to us" => sub {
		plan skip_all => "$name is not there (make test-deps)"
		    unless has($name eq 'smtplib' ? 'python3' : $name);
		try_client($name);
	};
}

subtest 'us to aiosmtpd' => sub {
	plan skip_all => 'python3-aiosmtpd is not there (make test-deps)'
	    if system("$python -c 'import aiosmtpd' 2>/dev/null") != 0;
	start_aio();
	try_server('aio.test', $out{aio}, sub { slurp("$dir/aio.log") },
	    is_poor => 1);
};

subtest 'Postfix' => sub {
	plan skip_all => 'no Postfix: ' . Postrider::Postfix::why()
	    unless $postfix;
	my $log = sub { slurp("$dir/postfix.log") };
	$postfix->start;
	subtest 'us to Postfix' => sub {
		try_server('postfix.test', $out{postfix}, $log);
	};
	subtest 'Postfix to us' => sub {
		try_sender($postfix->port, $in, $log,
		    refused => qr/to=<refused\@via\.test>.*status=bounced .*said: 550 5\.1\.1/,
		    too_big => qr/to=<r\@small\.test>.*dsn=5\.3\.4, status=bounced/);
	};
};

subtest 'Exim' => sub {
	plan skip_all => 'no Exim: ' . Postrider::Exim::why() unless $exim;
	my $log = sub { $exim->log };
	$exim->start;
	subtest 'us to Exim' => sub {
		try_server('exim.test', $out{exim}, $log);
		like($exim->log, qr/ <= .* K /,
		    'it says that CHUNKING was used');
	};
	subtest 'Exim to us' => sub {
		try_sender($exim->port, $exim_in, $log,
		    refused => qr/\*\* refused\@via\.test.* 550 5\.1\.1/,
		    too_big => qr/\*\* r\@small\.test.* 552 5\.3\.4/);
		like($exim->log, qr/ => r\@via\.test .* K /,
		    'it says that it used CHUNKING');
		cmp_ok(chunks($exim_in), '>=', 4, 'which is true');
		unlike(join('', $exim_in->flights), qr/^DATA\r$/m, 'always');
	};
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
