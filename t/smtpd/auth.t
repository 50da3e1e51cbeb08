# auth.t - who may log in where, what is told of it, and what is not.
use strict;
use warnings;
use MIME::Base64;
use Test::More;
use Time::HiRes qw(time);
use Postrider qw(free_port wait_for);
use Postrider::AuthServer;
use Postrider::Fixture;
use Postrider::Scram;

my %port = map { $_ => free_port() }
    qw(main rates slow filter cyrus tables hide brief hasty step own);
sub service
{
	my ($name, @settings) = @_;

	return "127.0.0.1:$port{$name} inet n - n - - smtpd\n" .
	    "  -o smtpd_sasl_auth_enable=yes\n" .
	    join '', map { "  -o { $_ }\n" } @settings;
}
my $sut = Postrider::Fixture->new(settings => {
	smtpd_sasl_type => 'dovecot',
	smtpd_sasl_exceptions_networks => '127.0.0.3',
	smtpd_sasl_service => 'mailservice',
	smtpd_relay_restrictions =>
	    'permit_sasl_authenticated, reject_unauth_destination',
	smtpd_discard_ehlo_keyword_address_maps => 'inline:{127.0.0.4=auth}',
	smtpd_authorized_xclient_hosts => '127.0.0.9',
	debug_peer_list => '127.0.0.6', debug_peer_level => 2,
	notify_classes => 'policy, protocol',
	smtpd_client_event_limit_exceptions => '127.0.0.5',
    }, master => service('main') .
    service('rates', 'smtpd_client_auth_rate_limit = 2') .
    service('slow', 'smtpd_error_sleep_time = 1s') .
    service('filter', 'smtpd_command_filter = ' .
	'inline:{ {AUTH PLAIN AAAA=QUIT}, {NOOP x=QUIT} }',
	'smtpd_forbid_unauth_pipelining = yes') .
    service('cyrus', 'smtpd_sasl_type = cyrus') .
    service('tables',
	'smtpd_sasl_mechanism_filter = !/no/file, static:rest') .
    service('hide', 'smtpd_hide_client_session = yes',
	'smtpd_sasl_authenticated_header = yes') .
    service('brief', 'smtpd_sasl_response_limit = 512') .
    service('hasty', 'smtpd_timeout = 2s') . service('step') .
    service('own', 'smtpd_sasl_type = postrider'));
my $auth = Postrider::AuthServer->new($sut->dir . '/auth',
    users => { alice => 'good', 'a(b)\\c' => 'good', "\xc3\xa9" => 'good' });
$sut->set(smtpd_sasl_path => $sut->dir . '/auth',
    smtpd_sasl_users => 'texthash:' . $sut->etc . '/users',
    smtpd_sasl_scram_iterations => 4096);
$sut->write_config;
is(($sut->run("sesame\n", Postrider::bin() . '/postrider', '-c', $sut->etc,
    'user', 'add', 'ann', '-'))[0], 0, 'a user of our own');
$sut->start;

sub plain { return encode_base64(join("\0", '', @_), '') }
my $good = plain('alice', 'good');

sub session
{
	my ($name, $from, %o) = @_;

	return $sut->_connect($from // '127.0.0.2', port => $port{$name}, %o);
}

# --- for whom -------------------------------------------------------------------

for (['127.0.0.3', 'smtpd_sasl_exceptions_networks'],
    ['127.0.0.4', 'discarded EHLO keywords']) {
	my ($from, $why) = @$_;
	my $c = session('main', $from, helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/AUTH/,
	    "$why: it is not announced");
	like($c->command("AUTH PLAIN $good"), qr/^502 5\.5\.1 /,
	    "$why: nor is it there");
	like($c->command('MAIL FROM:<a@b.test> AUTH=<>'), qr/^555 5\.5\.4 /,
	    "$why: nor its parameter");
}
{
	my $c = session('main');
	$c->command("AUTH PLAIN $good", 235);
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250/, 'who is in');
	like($c->command('RCPT TO:<far@remote.test>'), qr/^250/, 'may relay');
	$c->command('RSET', 250);
	$c->command('EHLO again.test', 250);
	like($c->command("AUTH PLAIN $good"), qr/^503 5\.5\.1 /,
	    'EHLO forgets nobody');
	my ($told) = grep { /rip=127\.0\.0\.2\b/ } $auth->heard;
	like($told, qr/\tPLAIN\t.*service=mailservice\b/,
	    'smtpd_sasl_service names the service');
	like($told, qr/\tlip=127\.0\.0\.1\b/, 'the server\'s address, too');
	$c = session('main', '127.0.0.9');
	$c->command('XCLIENT ADDR=192.0.2.1 LOGIN=somebody', 220);
	$c->command('EHLO c.test', 250);
	like($c->command("AUTH PLAIN $good"), qr/^503 5\.5\.1 /,
	    'whom XCLIENT has logged in needs no AUTH');
	$c = session('main', '127.0.0.9');
	$c->command("AUTH PLAIN $good", 235);
	$c->command('XCLIENT ADDR=192.0.2.1', 220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250);
	like($c->command('RCPT TO:<far@remote.test>'), qr/^554 5\.7\.1 /,
	    'whom XCLIENT names did not log in, whoever said it');
}

# --- the dialogue ---------------------------------------------------------------

{
	my $c = session('main');
	for (["AGFsaWNlAGdvb2Q\0=", 'a NUL'], ["QUJD\nQUJD", 'a bare LF']) {
		$c->command('AUTH PLAIN', 334);
		like($c->command($_->[0]), qr/^501 5\.5\.2 /, $_->[1]);
	}
	$c->command('NOOP', 250);
	$c = session('brief');
	like($c->command('AUTH PLAIN ' . 'A' x 516), qr/^500 5\.5\.6 /,
	    'smtpd_sasl_response_limit and an initial response');
	$c->command('AUTH PLAIN', 334);
	like($c->command('A' x 516), qr/^500 5\.5\.6 /, 'and another one');
	$c->command('AUTH PLAIN', 334);
	like($c->command('A' x 512), qr/^535 /, 'one that fits');

	$c = session('step');
	my $n = 0;
	my $reply = $c->command('AUTH STEPS ' . encode_base64('1000', ''));
	while ($reply =~ /^334 / && $n++ < 100) {
		$reply = $c->command('AAAA');
	}
	like($reply, qr/^454 4\.7\.0 /, 'an exchange has an end');
	cmp_ok($n, '<', 20, "after $n steps");

	$c = session('hasty');
	$c->command('AUTH LOGIN', 334);
	like($c->reply, qr/^421 4\.4\.2 /, 'who says nothing');
	ok($sut->wait_log(qr/timeout after AUTH from unknown\[127\.0\.0\.2\]/),
	    'hears so and is gone');
	$c = session('main', '127.0.0.5');
	$c->command('AUTH LOGIN', 334);
	$c->close;
	ok($sut->wait_log(qr/lost connection after AUTH from unknown\[127\.0\.0\.5\]/),
	    'who hangs up');
	$c = session('main', '127.0.0.5');
	$c->command('AUTH LOGIN', 334);
	$c->command('*', 501);
	ok($sut->wait_log(qr/warning: unknown\[127\.0\.0\.5\]: SASL LOGIN authentication aborted/),
	    'who gives up');
}

# --- our own users ----------------------------------------------------------------

{
	my $c = session('own', undef, helo => undef);
	like($c->command('EHLO c.test', 250),
	    qr/^250[- ]AUTH (?=.*\bPLAIN\b)(?=.*\bLOGIN\b).*\bSCRAM-SHA-256\b/m,
	    'smtpd_sasl_type = postrider: what it has');
	$c->command('AUTH PLAIN ' . plain('ann', 'other'), 535);
	$c->command('AUTH PLAIN ' . plain('ann', 'sesame'), 235);
	for (['sesame', qr/^235 2\.7\.0 /], ['open', qr/^535 5\.7\.8 /]) {
		my ($password, $re) = @$_;
		my $scram = Postrider::Scram->new(user => 'ann',
		    password => $password);
		$c = session('own');
		my ($first) = $c->command('AUTH SCRAM-SHA-256 ' .
		    encode_base64($scram->first, ''), 334) =~ /^334 (.*)/;
		my $reply = $c->command(encode_base64($scram->final(
		    decode_base64($first)), ''));
		if ($reply =~ /^334 (.*)/) {
			ok($scram->is_server(decode_base64($1)),
			    'the server shows who it is, too');
			$reply = $c->command('');
		}
		like($reply, $re, "SCRAM with $password");
	}
}

# --- failures -------------------------------------------------------------------

{
	my $c = session('slow');
	my $began = time;
	$c->command('AUTH PLAIN ' . plain('alice', 'bad'), 535);
	cmp_ok(time - $began, '>', 0.9, 'a failure is answered late');
	$began = time;
	$c->command("AUTH PLAIN $good", 235);
	cmp_ok(time - $began, '<', 0.9, 'success is not');

	$c = session('main');
	$c->command('AUTH PLAIN ' . plain("x\ny\r]: SASL\t\e[1m, sasl_username=z",
	    'bad'), 535);
	ok($sut->wait_log(qr/SASL PLAIN authentication failed: [^,]+, sasl_username=x[\\0-7?]+y/),
	    'what a stranger calls himself');
	unlike($sut->log, qr/\e|^y/m, 'stays one line');
	$c->command('AUTH PLAIN ' . plain('u' x 3000, 'bad'), 535);
	ok($sut->wait_log(qr/sasl_username=u{200,255}$/m), 'of a bounded length');
	for my $user ('gone', 'odd', 'long') {
		like($c->command('AUTH PLAIN ' . plain($user, 'x')),
		    qr/^454 4\.7\.0 /, "an answer that is none: $user");
		like($c->command('MAIL FROM:<a@b.test>'), qr/^250 /,
		    'lets nobody in');
		like($c->command('RCPT TO:<far@remote.test>'), qr/^554 5\.7\.1/,
		    'as is seen');
		$c->command('RSET', 250);
	}
	$c = session('cyrus', undef, helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/AUTH/,
	    'a type that there is not announces nothing');
	like($c->command("AUTH PLAIN $good"), qr/^454 4\.7\.0 /,
	    'and lets nobody in');
	ok($sut->wait_log(qr/error: smtpd_sasl_type = cyrus: /),
	    'the log has the parameter');

	$c = session('tables', undef, helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/AUTH/,
	    'a filter with a file is no filter without it');
	like($c->command("AUTH PLAIN $good"), qr/^454 4\.7\.0 /,
	    'and lets nobody in');
	ok($sut->wait_log(qr/error: smtpd_sasl_mechanism_filter = !\/no\/file/),
	    'the log has its parameter');

	$c = session('rates');
	$c->command('AUTH PLAIN ' . plain('alice', 'bad'), 535) for 1 .. 2;
	$c = session('rates');
	like($c->command("AUTH PLAIN $good"), qr/^450 4\.7\.1 /,
	    'smtpd_client_auth_rate_limit, over sessions');
	ok($sut->wait_log(qr/warning: AUTH command rate limit exceeded: 3 from unknown\[127\.0\.0\.2\] for service /),
	    'the log says so');
	$c = session('rates', '127.0.0.5');
	$c->command('AUTH PLAIN ' . plain('alice', 'bad'), 535) for 1 .. 3;
	like($c->command("AUTH PLAIN $good"), qr/^235 /,
	    'exceptions are not limited');
}

# --- what the log, tables and letters see ------------------------------------------

{
	my $secret = plain('alice', 'hush-hush');
	my $login = encode_base64('hush-hush', '');
	my $c = session('filter', '127.0.0.6');
	$c->command("AUTH PLAIN $secret", 535);
	$c->command('AUTH PLAIN', 334);
	$c->command($secret, 535);
	$c->command('AUTH LOGIN', 334);
	$c->command('hush-hush, this is not base64', 501);
	$c->command('AUTH LOGIN', 334);
	$c->command('QUxJQ0U=', 334);
	$c->command($login, 535);
	# Who goes on though it is over; it begins with no letter.
	$c->command('AUTH LOGIN', 334);
	$c->command('*', 501);
	$c->raw("9abc$login\r\n");
	$c->reply;
	$c = session('filter', '127.0.0.6');
	like($c->command('AUTH PLAIN AAAA'), qr/^535/,
	    'smtpd_command_filter does not see AUTH');
	like($c->command('NOOP x'), qr/^221/, 'but all else');
	$c = session('filter', '127.0.0.6');
	$c->raw("NOOP\r\nEHLO x.test\r\nAUTH PLAIN $secret\r\n");
	$c->reply;
	$c = session('filter', '127.0.0.6');
	$c->raw("AUTH LOGIN\r\n$login\r\n");
	$c->reply;
	ok($sut->wait_log(qr/improper command pipelining after AUTH/),
	    'responses that come too early are improper');
	$c = session('filter', '127.0.0.6');
	$c->raw("DATA\r\nAUTH PLAIN $secret\r\n");
	$c->reply;
	ok($sut->wait_log(qr/improper command pipelining after (?:DATA|EHLO)[^\n]*AUTH$/m),
	    'nor is AUTH shown that comes too early');
	like($sut->log, qr/: < \S+: AUTH PLAIN$/m, 'debug_peer_list shows AUTH');
	like($sut->log, qr/: < \S+: \(not shown\)$/m, 'and that more was said');
	$sut->settle;
	my $letters = join '', $sut->mail('alice');
	like($letters, qr/In:  AUTH PLAIN$/m, 'so does a letter to postmaster')
	    if Postrider::is_root();
	for my $blob ($secret, $login, 'hush-hush') {
		unlike($sut->log . $letters, qr/\Q$blob\E/,
		    "nowhere is $blob");
	}
}

# --- in the header ----------------------------------------------------------------

for (['a(b)\\c', 'a\?b\?\?c'], ["\xc3\xa9", '\?\?']) {
	my ($user, $shown) = @$_;
	my $c = session('hide');
	$c->command('AUTH PLAIN ' . plain($user, 'good'), 235);
	my $subject = $sut->subject;
	$sut->take($c, from => 'a@b.test', to => ['far@remote.test'],
	    text => "Subject: $subject\n\nx\n");
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	like($m->{data}, qr/^Received: by sut\.test \(\S+\) with ESMTPA id \w+\r\n\t\(Authenticated sender: $shown\)\r\n\tfor <far\@remote\.test>; /m,
	    'smtpd_hide_client_session, and a name with signs in it');
	unlike($m->{data}, qr/127\.0\.0\.2|c\.test/, 'no client in it');
}
$sut->stop;
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
