# wrapper.t - TLS from the first byte on, and clients that other people wrote.
use strict;
use warnings;
use Test::More;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::SSL;
use Postrider qw(free_port slurp spew wait_for);
use Postrider::CA;
use Postrider::Fixture;

my %port = map { $_ => free_port() } qw(proxy few rates pause none need);
sub service
{
	my ($name, @settings) = @_;

	return "127.0.0.1:$port{$name} inet n - n - - smtpd\n" .
	    join '', map { "  -o { $_ }\n" } 'smtpd_tls_wrappermode = yes',
	    @settings;
}
my $sut = Postrider::Fixture->new(
    settings => {
	smtpd_tls_security_level => 'may', smtpd_tls_loglevel => 1,
	smtpd_tls_received_header => 'yes', smtpd_starttls_timeout => '3s',
	smtpd_client_event_limit_exceptions => '127.0.0.1',
	smtpd_tls_CAfile => '${config_directory}/ca/ca.pem',
    },
    master => service('proxy', 'smtpd_upstream_proxy_protocol = haproxy') .
    service('few', 'smtpd_client_connection_count_limit = 2') .
    service('rates', 'smtpd_client_new_tls_session_rate_limit = 1') .
    service('need', 'smtpd_tls_req_ccert = yes') .
    service('pause') =~ s/smtpd\n/postscreen -o postscreen_greet_wait=1s\n/r);
my $wrapped = free_port();
$sut->{master} .= "127.0.0.1:$wrapped inet n - n - - smtpd\n" .
    "  -o smtpd_tls_wrappermode=yes\n";
my $ca = Postrider::CA->new($sut->etc . '/ca');
my $mx = $ca->issue(name => 'sut.test', san => ['sut.test', '127.0.0.1']);
my $client = $ca->issue(name => 'client.test', client => 1);
$sut->set(smtpd_tls_chain_files => $mx->{all});
$sut->start;

# A connection that has said nothing yet.
sub bare
{
	my ($name, %o) = @_;

	return Postrider::Client->new($name =~ /^\d+$/ ? $name : $port{$name},
	    from => $o{from} // '127.0.0.2');
}

# One that has TLS, with its greeting.
sub wrapped
{
	my ($name, %o) = @_;
	my $from = delete $o{from};
	my $c = bare($name, from => $from);
	my $why = $c->encrypt(%o);

	die "TLS: $why" if defined $why;
	$c->expect(220);
	return $c;
}

# --- the port -----------------------------------------------------------------
{
	my $c = bare($wrapped);
	ok(!$c->has_input(0.5), 'nothing is said in clear');
	is($c->encrypt(SSL_verify_mode => SSL_VERIFY_PEER,
	    SSL_ca_file => $ca->file, SSL_verifycn_scheme => 'smtp',
	    SSL_verifycn_name => 'sut.test'), undef, 'TLS comes first');
	like($c->expect(220), qr/^220 sut\.test ESMTP/, 'then the greeting');
	unlike($c->command('EHLO c.test', 250), qr/STARTTLS/,
	    'which does not offer TLS again');
	like($c->command('STARTTLS'), qr/^503 /, 'nor have it');
	my $subject = $sut->subject;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: $subject\n\nx\n");
	like($c->command('QUIT'), qr/^221 /, 'QUIT is answered');
	my ($mail) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($mail, qr/with ESMTPS id/, 'Received says ESMTPS');
	ok($sut->wait_log(qr/disconnect from unknown\[127\.0\.0\.2\] ehlo=1 starttls=0\/1 mail=1/),
	    'the session is counted as any other');
}
{
	my $c = bare($wrapped);
	$c->raw("EHLO c.test\r\n");
	my $heard = '';
	while (defined(my $line = eval { $c->line })) { $heard .= $line }
	unlike($heard, qr/^[2345]\d\d/m, 'who speaks in clear hears no word');
	ok($sut->wait_log(qr/SSL_accept error from unknown\[127\.0\.0\.2\]: /),
	    'and is logged');
	ok($sut->wait_log(qr/lost connection after CONNECT from unknown\[127\.0\.0\.2\]/),
	    'as lost before anything');
}
{
	my $c = bare($wrapped);
	my $start = time;
	$c->is_closed;
	cmp_ok(time - $start, '<', 10, 'who says nothing is not waited for');
	ok($sut->wait_log(qr/SSL_accept error from unknown\[127\.0\.0\.2\]: .*time/i),
	    'the log says so');
}

# --- what comes before and with it --------------------------------------------
{
	my $c = bare('proxy');
	$c->raw("PROXY TCP4 192.0.2.77 127.0.0.1 4711 465\r\n");
	is($c->encrypt, undef, 'TLS begins behind the header of a proxy');
	$c->expect(220);
	$c->command('QUIT', 221);
	ok($sut->wait_log(qr/Anonymous TLS connection established from unknown\[192\.0\.2\.77\]/),
	    'and is that of its client');
	$c = bare('proxy');
	# Version 2, TCP over IPv4, with ALPN, authority and SSL among what follows.
	my $more = "\x01\x00\x02h2" . "\x02\x00\x06a.test" .
	    "\x20\x00\x05\x07\x00\x00\x00\x00";
	$c->raw("\r\n\r\n\x00\r\nQUIT\n\x21\x11" . pack('n', 12 + length $more) .
	    "\xc0\x00\x02\x4e\x7f\x00\x00\x01\x12\x67\x01\xd1" . $more);
	is($c->encrypt, undef, 'what else a header of version 2 tells is passed over');
	like($c->expect(220), qr/^220 /, 'then all is as usual');
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<x@remote.test>'), qr/^554 /,
	    'and nobody is trusted for it');
}
{
	my @held = map { wrapped('few') } 1 .. 2;
	my $c = bare('few');
	my $why = $c->encrypt;
	ok(defined $why, 'one connection too many gets no handshake');
	ok($sut->wait_log(qr/Connection concurrency limit exceeded: 3 from unknown\[127\.0\.0\.2\]/),
	    'the log says why');
	$_->command('QUIT', 221) for @held;
}
{
	wrapped('rates')->command('QUIT', 221);
	ok(defined bare('rates')->encrypt, 'nor does one TLS session too many');
	ok($sut->wait_log(qr/New TLS session rate limit exceeded: 2 from/),
	    'the log says that, too');
	wrapped('rates', from => '127.0.0.1')->command('QUIT', 221) for 1 .. 2;
	pass('an excepted client is not counted');
}
{
	my $c = bare('pause');
	is($c->encrypt, undef, 'the pause comes behind the handshake');
	like($c->reply, qr/^220-.*^220 /ms, 'and inside TLS');
}
{
	my $c = wrapped('need');
	like($c->command('EHLO c.test'), qr/^554 5\.7\.0 /,
	    'TLS from the start is mandatory TLS');
	$c = wrapped('need', SSL_cert_file => $client->{chain},
	    SSL_key_file => $client->{key}, SSL_use_cert => 1);
	like($c->command('EHLO c.test'), qr/^250/, 'a certificate helps');
}

# --- other people's clients ---------------------------------------------------

# What a command prints, with its status; input from a text.
sub run
{
	my ($input, @words) = @_;
	my $file = $sut->etc . '/input';

	spew($file, $input);
	my $words = join ' ', map { "'" . s/'/'\\''/gr . "'" } @words;
	my $out = `$words <'$file' 2>&1`;
	return ($? >> 8, $out);
}

for (['STARTTLS', $sut->port, '-tls', 'smtp'],
    ['TLS', $wrapped, '-tlsc', 'smtps']) {
	my ($how, $to, $swaks, $scheme) = @$_;

	my ($status, $out) = run('', 'swaks', '--server', '127.0.0.1',
	    '--port', $to, $swaks, '--ehlo', 'swaks.test', '--from',
	    's@remote.test', '--to', 'alice@local.test', '--header',
	    "Subject: swaks $how");
	is($status, 0, "swaks, $how") or diag $out;
	($status, $out) = run("Subject: curl $how\r\n\r\nx\r\n", 'curl', '-sS',
	    '--url', "$scheme://127.0.0.1:$to/curl.test", '--ssl-reqd',
	    '--cacert', $ca->file, '--mail-from', 's@remote.test',
	    '--mail-rcpt', 'alice@local.test', '--upload-file', '-');
	is($status, 0, "curl, $how") or diag $out;
	($status, $out) = run("Subject: msmtp $how\n\nx\n", 'msmtp',
	    '--host=127.0.0.1', "--port=$to", '--tls=on', '--tls-starttls=' .
	    ($how eq 'TLS' ? 'off' : 'on'), '--tls-trust-file=' . $ca->file,
	    '--from=s@remote.test', '--auth=off', 'alice@local.test');
	is($status, 0, "msmtp, $how") or diag $out;
	my $class = $how eq 'TLS' ? 'SMTP_SSL' : 'SMTP';
	my $context = "ssl.create_default_context(cafile='" . $ca->file . "')";
	($status, $out) = run(join("\n", 'import smtplib, ssl',
	    "s = smtplib.$class('127.0.0.1', $to" .
	    ($how eq 'TLS' ? ", context=$context" : '') . ')',
	    ($how eq 'TLS' ? () : ("s.starttls(context=$context)")),
	    "s.sendmail('s\@remote.test', ['alice\@local.test'], " .
	    "'Subject: python $how\\r\\n\\r\\nx\\r\\n')", 's.quit()', ''),
	    'python3', '-');
	is($status, 0, "Python's smtplib, $how") or diag $out;
	my ($mail) = $sut->wait_mail('alice', qr/^Subject: \w+ $how$/m, 4);
	my @with = map { /with (\w+) id/ } grep { /^Subject: \w+ $how$/m }
	    $sut->mail('alice');
	is("@with", join(' ', ('ESMTPS') x 4), 'all of them with ESMTPS');

	my @way = $how eq 'TLS' ? () : ('-starttls', 'smtp');
	($status, $out) = run("QUIT\r\n", 'openssl', 's_client', '-quiet',
	    '-connect', "127.0.0.1:$to", @way, '-CAfile', $ca->file,
	    '-verify_return_error', '-verify_hostname', 'sut.test');
	like($out, qr/^221 /m, "openssl s_client, $how") or diag $out;
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
