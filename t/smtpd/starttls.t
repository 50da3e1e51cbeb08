# starttls.t - TLS in a session that began without.
use strict;
use warnings;
use Test::More;
use IO::Select;
use IO::Socket::SSL;
use Time::HiRes qw(time);
use Postrider qw(free_port spew wait_for);
use Postrider::CA;
use Postrider::Fixture;

# Services that differ from the first one by a setting.
my %port = map { $_ => free_port() }
    qw(must need ask rates hasty full strict plain early listed bare);
sub service
{
	my ($name, @settings) = @_;

	return "127.0.0.1:$port{$name} inet n - n - - smtpd\n" .
	    join '', map { "  -o { $_ }\n" } @settings;
}
my $sut = Postrider::Fixture->new(
    settings => {
	smtpd_tls_security_level => 'may', smtpd_tls_loglevel => 2,
	smtpd_tls_received_header => 'yes',
	smtpd_tls_CAfile => '${config_directory}/ca/ca.pem',
	smtpd_authorized_xclient_hosts => '127.0.0.9',
	relay_clientcerts => 'texthash:${config_directory}/certs',
	smtpd_client_event_limit_exceptions => '127.0.0.1',
    },
    master => service('must', 'smtpd_tls_security_level = encrypt') .
    service('need', 'smtpd_tls_security_level = encrypt',
	'smtpd_tls_req_ccert = yes') .
    service('ask', 'smtpd_tls_ask_ccert = yes',
	'smtpd_relay_restrictions = permit_tls_all_clientcerts, ' .
	'reject_unauth_destination') .
    service('listed', 'smtpd_tls_ask_ccert = yes',
	'smtpd_relay_restrictions = permit_tls_clientcerts, ' .
	'reject_unauth_destination') .
    service('rates', 'smtpd_client_new_tls_session_rate_limit = 2') .
    service('hasty', 'smtpd_starttls_timeout = 2s') .
    service('full', 'smtpd_overload_timeout = 2s',
	'smtpd_processes = 1') =~ s/- smtpd/5 smtpd/r .
    service('strict', 'smtpd_forbid_unauth_pipelining = yes') .
    service('plain', 'smtpd_sender_restrictions = ' .
	'reject_plaintext_session') .
    service('early') =~ s/smtpd\n/postscreen -o postscreen_greet_wait=1s\n/r .
    service('bare', 'smtpd_tls_security_level = none'));

my $ca = Postrider::CA->new($sut->etc . '/ca');
my $mx = $ca->issue(name => 'sut.test');
my $known = $ca->issue(name => 'known.test', client => 1);
my $key_known = $ca->issue(name => 'bykey.test', client => 1);
my $other = Postrider::CA->new($sut->etc . '/other');
my $strange = $other->issue(name => 'strange (x) test', client => 1,
    san => []);
my $listed = $other->issue(name => 'listed.test', client => 1);
spew($sut->etc . '/certs', join "\n",
    $ca->fingerprint($known->{cert}) . ' known',
    $ca->fingerprint($listed->{cert}) . ' listed',
    $ca->key_fingerprint($key_known->{cert}) . " by key\n");
$sut->set(smtpd_tls_chain_files => $mx->{all});
$sut->start;

# The log's part about a client, by what it called itself.
my $number = 0;
sub with_cert
{
	my ($name, $cert) = @_;
	my $c = $sut->stranger(port => $port{$name});

	$c->starttls(SSL_cert_file => $cert->{chain},
	    SSL_key_file => $cert->{key}, SSL_use_cert => 1);
	return $c;
}

sub relays
{
	my ($c) = @_;

	$c->command('MAIL FROM:<a@b.test>', 250);
	return $c->command('RCPT TO:<x@remote.test>');
}

# --- the usual way ------------------------------------------------------------
{
	my $c = $sut->stranger(helo => undef);
	my $offer = $c->command('EHLO c.test', 250);
	like($offer, qr/^250-STARTTLS$/m, 'STARTTLS is offered');
	$c->command('STARTTLS', qr/^220 2\.0\.0 /);
	is($c->encrypt(SSL_verify_mode => SSL_VERIFY_PEER,
	    SSL_ca_file => $ca->file, SSL_verifycn_scheme => 'smtp',
	    SSL_verifycn_name => 'sut.test'), undef,
	    'the handshake shows our certificate');
	ok(!$c->has_input(0.3), 'there is no second greeting');
	like($c->command('MAIL FROM:<a@b.test>'), qr/^503 5\.5\.1 /,
	    'EHLO has to be said again');
	unlike($c->command('EHLO c.test', 250), qr/STARTTLS/,
	    'and not offered twice');
	my $subject = $sut->subject;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: $subject\n\nx\n");
	$c->command('QUIT', 221);
	my ($mail) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($mail, qr/\(using TLSv1\.3 with cipher \S+ \(\d+\/\d+ bits\)/,
	    'Received tells of TLS');
	like($mail, qr/\(No client certificate requested\)/,
	    'and that no certificate was asked for');
	like($mail, qr/with ESMTPS id \w+\s+for <alice\@local\.test>\s+tls TLS_/,
	    'in the clauses of RFC 3848 and RFC 8314');
	ok($sut->wait_log(qr/setting up TLS connection from unknown\[127\.0\.0\.2\]/),
	    'the log tells of the beginning');
	ok($sut->wait_log(qr/Anonymous TLS connection established from unknown\[127\.0\.0\.2\]: TLSv1\.3 with cipher TLS_\S+ \(\d+\/\d+ bits\)/),
	    'and of the end, in the usual shape');
	ok($sut->wait_log(qr/disconnect from unknown\[127\.0\.0\.2\] ehlo=2 starttls=1 mail=.* quit=1 commands=\d+/),
	    'STARTTLS is counted');
}

# --- out of place -------------------------------------------------------------
{
	my $c = $sut->stranger(helo => undef);
	like($c->command('STARTTLS'), qr/^503 5\.5\.1 /, 'EHLO comes first');
	$c->command('EHLO c.test', 250);
	like($c->command('STARTTLS now'), qr/^501 5\.5\.4 /,
	    'there is no argument');
	$c->command('MAIL FROM:<a@b.test>', 250);
	$c->command('RCPT TO:<alice@local.test>', 250);
	$c->command('STARTTLS', 220);
	is($c->encrypt, undef, 'it may come in a transaction');
	like($c->command('DATA'), qr/^503 /, 'of which nothing is left');
	$c->command('EHLO c.test', 250);
	like($c->command('STARTTLS'), qr/^503 5\.5\.1 /, 'once is enough');
	$c->command('QUIT', 221);
}
{
	my $c = $sut->stranger(port => $port{bare});
	unlike($c->command('EHLO c.test', 250), qr/STARTTLS/,
	    'smtpd_tls_security_level = none does not offer it');
	like($c->command('STARTTLS'), qr/^502 5\.5\.1 /, 'nor have it');
}

# --- a client that sends behind STARTTLS --------------------------------------
{
	my $c = $sut->stranger;
	$c->raw("STARTTLS\r\nRSET\r\n");
	like($c->reply, qr/^554 5\.5\.0 /, 'what comes behind STARTTLS is wrong');
	ok($c->is_closed, 'and ends the session');
	ok($sut->wait_log(qr/improper command pipelining after STARTTLS from unknown\[127\.0\.0\.2\]: RSET/),
	    'the log tells');
	# No TLS there, but a command.
	$c = $sut->stranger;
	$c->command('STARTTLS', 220);
	$c->raw("MAIL FROM:<a\@b.test>\r\n");
	my $heard = '';
	while (defined(my $line = eval { $c->line })) { $heard .= $line }
	unlike($heard, qr/^\d\d\d /m, 'a command is no handshake');
	ok($sut->wait_log(qr/SSL_accept error from unknown\[127\.0\.0\.2\]: \S/),
	    'a failed handshake is logged');
	ok($sut->wait_log(qr/lost connection after STARTTLS from unknown\[127\.0\.0\.2\]/),
	    'as a lost connection');
	ok($sut->wait_log(qr/disconnect from unknown\[127\.0\.0\.2\] ehlo=1 starttls=0\/1 commands=1\/2/),
	    'that did not begin TLS');
}

# --- early talkers inside TLS -------------------------------------------------
{
	my $c = $sut->stranger(port => $port{strict});
	$c->starttls;
	$c->raw("EHLO a.test\r\nMAIL FROM:<a\@b.test>\r\n");
	my @said = map { $c->reply // 'closed' } 1 .. 2;
	like("@said", qr/554 5\.5\.0 /,
	    'pipelining is noticed inside TLS as well');
	$c = $sut->stranger(port => $port{strict});
	$c->starttls;
	$c->raw("MAIL FROM:<a\@b.test>\r\nRCPT TO:<alice\@local.test>\r\n" .
	    "DATA\r\n");
	$c->expect($_) for 250, 250, 354;
	like($c->data("Subject: x\n\nx\n"), qr/^250 /, 'and good groups are not');
}
{
	my $c = Postrider::Client->new($port{early}, from => '127.0.0.7');
	$c->expect(qr/^220-.*^220 /ms);
	$c->command('EHLO c.test', qr/STARTTLS/);
	like($c->starttls, qr/^250-/, 'there is TLS behind the pause, too');
}

# --- TLS or nothing -----------------------------------------------------------
{
	my $c = $sut->stranger(port => $port{must}, helo => undef);
	for my $line ('MAIL FROM:<a@b.test>', 'HELO c.test', 'RSET',
	    'VRFY alice', 'RCPT TO:<alice@local.test>', 'DATA', 'HELP',
	    'ETRN local.test', 'XFOO') {
		like($c->command($line), qr/^530 5\.7\.0 .*STARTTLS/,
		    "\"$line\" hears 530");
	}
	like($c->command('NOOP'), qr/^250 /, 'NOOP does not');
	like($c->command('EHLO c.test'), qr/STARTTLS/, 'nor EHLO');
	$c->starttls;
	like(relays($c), qr/^554 5\.7\.1 .*Relay access denied/,
	    'TLS alone lets nobody relay');
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250 /,
	    'what is for us is taken');
	$c = $sut->stranger(port => $port{must});
	$c->raw("BDAT 12 LAST\r\nQUIT\r\nNOOP\r\n");
	like($c->reply, qr/^530 /, 'a chunk hears 530');
	ok($c->is_closed, 'and is not taken for commands');
	$c = $sut->stranger(port => $port{must});
	like($c->command('QUIT'), qr/^221 /, 'QUIT is heard');
}
{
	my $c = $sut->stranger(port => $port{plain});
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<alice@local.test>'),
	    qr/^450 4\.7\.1 Session encryption is required/,
	    'reject_plaintext_session refuses who is in clear');
	$c->starttls;
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250 /,
	    'and nobody else');
}

# --- certificates of clients --------------------------------------------------
{
	my $c = $sut->stranger(port => $port{need});
	$c->command('STARTTLS', 220);
	is($c->encrypt, undef, 'a client without a certificate gets TLS');
	for my $line ('EHLO c.test', 'NOOP', 'MAIL FROM:<a@b.test>', 'XFOO') {
		like($c->command($line), qr/^554 5\.7\.0 /,
		    "\"$line\" hears 554");
	}
	like($c->command('QUIT'), qr/^221 /, 'QUIT is heard');
	ok($sut->wait_log(qr/NOQUEUE: abort: TLS from unknown\[127\.0\.0\.2\]: no client certificate presented/),
	    'the log tells why');
	$c = $sut->stranger(port => $port{need});
	$c->command('STARTTLS', 220);
	is($c->encrypt(SSL_cert_file => $strange->{chain},
	    SSL_key_file => $strange->{key}, SSL_use_cert => 1), undef,
	    'one with a bad certificate, too');
	like($c->command('EHLO c.test'), qr/^554 5\.7\.0 /, 'and hears 554');
	ok($sut->wait_log(qr/NOQUEUE: abort: TLS from unknown\[127\.0\.0\.2\]: client certificate not trusted/),
	    'the log tells that');
	$c = with_cert('need', $known);
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250 /,
	    'a good certificate is enough');
}
{
	like(relays(with_cert('ask', $known)), qr/^250 /,
	    'permit_tls_all_clientcerts: a good chain');
	like(relays(with_cert('ask', $listed)), qr/^554 /,
	    'no other one, listed or not');
	my $c = $sut->stranger(port => $port{ask});
	like(relays($c), qr/^554 /, 'nobody in clear');
	$c->starttls;
	like(relays($c), qr/^554 /, 'nobody without a certificate');

	like(relays(with_cert('listed', $known)), qr/^250 /,
	    'permit_tls_clientcerts: by fingerprint');
	like(relays(with_cert('listed', $listed)), qr/^250 /,
	    'whatever its chain');
	like(relays(with_cert('listed', $key_known)), qr/^250 /,
	    'by the fingerprint of its key');
	like(relays(with_cert('listed', $strange)), qr/^554 /,
	    'and no other one');
	ok($sut->wait_log(qr/Trusted TLS connection established from unknown\[127\.0\.0\.2\]: TLSv1\.3 with cipher .* client-signature/),
	    'the log tells of trust');
	ok($sut->wait_log(qr/Untrusted TLS connection established from/),
	    'and of its lack');
	my $print = $ca->fingerprint($listed->{cert});
	ok($sut->wait_log(qr/subject_CN=listed\.test, issuer_CN=.*, fingerprint=\Q$print\E, pkey_fingerprint=[0-9A-F:]+/),
	    'and of the certificate');
}
{
	my %with = map { $_->[0] => $sut->subject } ['known'], ['strange'];
	for (['known', $known], ['strange', $strange]) {
		my $c = with_cert('ask', $_->[1]);
		$sut->take($c, from => 's@remote.test',
		    to => ['bob@local.test'],
		    text => "Subject: $with{$_->[0]}\n\nx\n");
	}
	my ($mail) = $sut->wait_mail('bob', qr/^Subject: $with{known}$/m);
	like($mail, qr/\(Client CN "?known\.test"?, Issuer "[^"]*" \(verified OK\)\)/,
	    'Received tells of a good certificate');
	($mail) = $sut->wait_mail('bob', qr/^Subject: $with{strange}$/m);
	my ($received) = $mail =~ /^(Received: .*?(?:\n\s.*?)*)\n(?=\S)/m;
	like($received, qr/\(not verified\)/, 'and of one that is not');
	unlike($received, qr/strange \(x\)/,
	    'whose name does not open a comment');
}

# --- limits -------------------------------------------------------------------
{
	my @said = map {
		my $c = $sut->stranger(port => $port{rates});
		my $reply = $c->command('STARTTLS');
		$c->encrypt(SSL_session_cache_size => 0) if $reply =~ /^220/;
		$c->command('QUIT') if $reply =~ /^220/;
		$reply;
	} 1 .. 3;
	like($said[1], qr/^220 /, 'new TLS sessions up to the limit');
	like($said[2], qr/^454 4\.7\.0 .*too many new TLS sessions/,
	    'and no more');
	ok($sut->wait_log(qr/warning: New TLS session rate limit exceeded: 3 from unknown\[127\.0\.0\.2\] for service/),
	    'in the log, too');
	my $c = $sut->friend(port => $port{rates});
	like($c->command('STARTTLS'), qr/^220 /, 'some clients are not counted');
}
{
	my $c = $sut->stranger(port => $port{hasty});
	$c->command('STARTTLS', 220);
	my $start = time;
	# A byte now and then is no progress.
	my $n = 0;
	while (time - $start < 10) {
		last if IO::Select->new($c->socket)->can_read(0.4);
		eval { $c->raw(substr "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" .
		    'x' x 100, $n++, 1); 1 } or last;
	}
	my $took = time - $start;
	cmp_ok($took, '<', 8, 'smtpd_starttls_timeout is for all of it');
	cmp_ok($took, '>', 1.5, 'and not less');
	ok($sut->wait_log(qr/SSL_accept error from unknown\[127\.0\.0\.2\]: .*time/i),
	    'which the log tells');
	my @others = map { $sut->stranger(port => $port{full}) } 1 .. 3;
	$c = $sut->stranger(port => $port{full});
	$c->command('STARTTLS', 220);
	ok(IO::Select->new($c->socket)->can_read(20),
	    'where most sessions are in use, smtpd_overload_timeout is');
}

# --- somebody else ------------------------------------------------------------
{
	my $c = Postrider::Client->new($sut->port, from => '127.0.0.9');
	$c->expect(220);
	$c->command('EHLO proxy.test', 250);
	$c->command('XCLIENT ADDR=192.0.2.7 NAME=far.test LOGIN=joe', 220);
	$c->command('EHLO far.test', 250);
	$c->starttls;
	my $subject = $sut->subject;
	$sut->take($c, from => 's@remote.test', to => ['bob@local.test'],
	    text => "Subject: $subject\n\nx\n");
	my ($mail) = $sut->wait_mail('bob', qr/^Subject: $subject$/m);
	like($mail, qr/\(far\.test \[192\.0\.2\.7\]\)/,
	    'what XCLIENT said of the connection stays');
	like($mail, qr/with ESMTPS id/, 'but nobody is logged in any more');

	$c = Postrider::Client->new($sut->port, from => '127.0.0.9');
	$c->expect(220);
	$c->command('EHLO proxy.test', 250);
	$c->starttls;
	$c->command('XCLIENT ADDR=192.0.2.7 NAME=far.test LOGIN=joe', 220);
	unlike($c->command('EHLO far.test', 250), qr/STARTTLS/,
	    'after XCLIENT TLS is still there');
	$subject = $sut->subject;
	$sut->take($c, from => 's@remote.test', to => ['bob@local.test'],
	    text => "Subject: $subject\n\nx\n");
	($mail) = $sut->wait_mail('bob', qr/^Subject: $subject$/m);
	like($mail, qr/with ESMTPSA id/, 'with a login it is ESMTPSA');
}

# --- the end of the system ----------------------------------------------------
{
	my $c = $sut->stranger;
	$c->command('STARTTLS', 220);
	my $idle = $sut->stranger;
	$idle->starttls;
	my $start = time;
	$sut->stop;
	cmp_ok(time - $start, '<', 20, 'a handshake does not hold up a stop');
	like($idle->reply // 'closed', qr/^421 4\.3\.2 /,
	    'who waits inside TLS hears 421 there');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
