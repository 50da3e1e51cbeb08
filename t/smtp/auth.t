# auth.t - AUTH as a client: mechanisms, refusals, servers that lie.
use strict;
use warnings;
use MIME::Base64 qw(encode_base64 decode_base64);
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => '1',
	smtp_connection_cache_on_demand => 'no',
	smtp_helo_timeout => '4s', minimal_backoff_time => '1000s',
	queue_run_delay => '1000s', notify_classes => 'protocol',
	smtp_sasl_auth_enable => 'yes',
	smtp_sasl_security_options => 'noanonymous',
	smtp_tls_security_level => 'none',
	debug_peer_list => '127.0.0.1', debug_peer_level => '2',
});
my $etc = $mail->etc;
my ($routes, $passwords, $tokens) = ('', '', '');
my %sink;
my %alice = (user => 'alice', password => 'pass%word', is_required => 1);

# A sink for NAME.test, to which we have a password or a token.
sub server
{
	my ($name, %o) = @_;
	my $entry = delete $o{entry} // 'alice:pass%word';
	my $table = delete $o{table} // \$passwords;
	my $sink = $mail->sink(is_noting => 1, %o);

	$sink{$name} = $sink;
	$routes .= "$name.test smtp:[127.0.0.1]:" . $sink->port . "\n";
	$$table .= '[127.0.0.1]:' . $sink->port . " $entry\n"
	    if $entry ne '';
	return $sink;
}

sub outcome
{
	my ($name, %o) = @_;

	return $mail->try_domain("$name.test", $o{from});
}

# --- mechanisms ---------------------------------------------------------------

server(lc, auth => { %alice, mechanisms => $_ }) for qw(PLAIN LOGIN CRAM-MD5
    SCRAM-SHA-256);
server('best', auth => { %alice, mechanisms =>
    'LOGIN PLAIN CRAM-MD5 SCRAM-SHA-256 NTLM' });
server('old', extensions => ['AUTH=LOGIN'], auth => { %alice,
    mechanisms => 'GSSAPI' });
my %oauth = (user => 'a@x.test', token => 'ya29.tokentoken');
server('oauthbearer', table => \$tokens, entry => 'a@x.test:ya29.tokentoken',
    auth => { %oauth, mechanisms => 'XOAUTH2 OAUTHBEARER' });
server('xoauth2', table => \$tokens, entry => 'a@x.test:ya29.tokentoken',
    auth => { %oauth, mechanisms => 'XOAUTH2 PLAIN' });
my $long = 'ya29.' . 'long' x 200;
server('long', table => \$tokens, entry => "a\@x.test:$long",
    auth => { %oauth, token => $long, mechanisms => 'XOAUTH2' });
server("stale\L$_", table => \$tokens, entry => 'a@x.test:stale.token',
    auth => { %oauth, mechanisms => $_ }) for qw(XOAUTH2 OAUTHBEARER);

# --- refusals and trouble -----------------------------------------------------

# Answers AUTH with this.
sub answering
{
	my ($name, $reply, %o) = @_;
	my $verb = delete $o{verb} // 'AUTH';

	server($name, %o, auth => { %alice,
	    mechanisms => $o{mechanisms} // 'PLAIN' }, replies => sub {
		return $_[0] eq $verb ? $reply : undef;
	});
}
answering('wrong', '535 5.7.8 bad credentials');
answering('locked', '454 4.7.0 later');
answering('noenhanced', '535 no');
answering('weak', '534 5.7.9 too weak');
answering('closing', 'CLOSE');
answering('leaving', '421 4.3.2 bye');
answering('hanging', 'HANG');
answering('garbage', \"what is this\r\n");
answering('odd', '354 go ahead');
answering('ok250', '250 fine');
answering('huge', \("334 " . 'A' x 1_000_000 . "\r\n"),
    mechanisms => 'CRAM-MD5');
answering('binary', '334 !!!not-base64', mechanisms => 'CRAM-MD5');
answering('padded', '334 AAA=BBB=', mechanisms => 'LOGIN');
answering('nul', \"334 AA\0A\r\n", mechanisms => 'CRAM-MD5');
answering('nulinside', '334 ' . encode_base64("<a\0b>", ''),
    mechanisms => 'CRAM-MD5');
answering('multiline', "334-AAAA\r\n334 BBBB", mechanisms => 'LOGIN');
answering('endless', '334 ' . encode_base64('more', ''), verb => 'RESPONSE',
    mechanisms => 'LOGIN');
answering('greedy', '334 ', mechanisms => 'PLAIN');
answering('ntlm', '334 TlRMTVNTUAACAAAADAAMADgAAAAFgomi', mechanisms =>
    'SCRAM-SHA-256');
answering('second', 'CLOSE', verb => 'RESPONSE', mechanisms => 'LOGIN');
answering('second5', '535 5.7.8 no', verb => 'RESPONSE',
    mechanisms => 'LOGIN');
server('echo', auth => { %alice, mechanisms => 'PLAIN' }, replies => sub {
	my ($verb, $line) = @_;
	return $verb ne 'AUTH' ? undef :
	    "535 5.7.8 cannot take \"$line\" with password pass%word";
});
server('none', auth => { %alice, mechanisms => 'NTLM GSSAPI' });
server('noauth');
server('nobody', entry => '');
server('crowd', auth => { %alice, mechanisms =>
    join(' ', map { "MECHANISM-$_" } 1 .. 5000) });
server('impostor', auth => { %alice, mechanisms => 'SCRAM-SHA-256',
    password => 'another', lie => 'proof' });
server('silent', auth => { %alice, mechanisms => 'SCRAM-SHA-256',
    password => 'another', lie => 'silent' });
server('slow', auth => { %alice, mechanisms => 'SCRAM-SHA-256',
    rounds => 5_000_000_000 });
server('cheap', auth => { %alice, mechanisms => 'SCRAM-SHA-256',
    rounds => 1 });
server('mistake', entry => 'nocolon', auth => { %alice,
    mechanisms => 'PLAIN' });
server('discarded', extensions => [], auth => { %alice, is_required => 0,
    mechanisms => 'PLAIN' });
server('binaryname', entry => "al\1ice:pass%word", auth => { %alice,
    mechanisms => 'PLAIN' });

sub spill
{
	Postrider::spew("$etc/routes", $routes);
	Postrider::spew("$etc/passwords", $passwords);
	Postrider::spew("$etc/tokens", $tokens);
	chmod 0600, "$etc/passwords", "$etc/tokens";
}
spill();
$mail->set(transport_maps => "texthash:$etc/routes",
    smtp_sasl_password_maps => "texthash:$etc/passwords",
    smtp_sasl_token_maps => "texthash:$etc/tokens");
$mail->start;

# What the server got in its only, or last, session: lines.
sub heard { return (($sink{$_[0]}->raw)[-1] // '') =~ s/\r//gr }

subtest 'each mechanism' => sub {
	for my $name (qw(plain login cram-md5 scram-sha-256)) {
		like(outcome($name), qr/status=sent/, $name) or next;
		my ($m) = $sink{$name}->messages;
		is($m->{auth}, 'alice', "$name: as alice");
		like($m->{auth_lines}[0], qr/^AUTH \U$name\E\b/, 'by that name');
	}
	like(heard('plain'), qr/^AUTH PLAIN ${\encode_base64(
	    "\0alice\0pass%word", '')}$/m, 'PLAIN in one line');
	unlike(heard('cram-md5') . heard('scram-sha-256'),
	    qr/${\encode_base64('pass%word', '')}|pass%word/,
	    'what shows no password does not');
	like(outcome('best'), qr/status=sent/, 'of many');
	like(heard('best'), qr/^AUTH SCRAM-SHA-256 /m, 'the strongest');
	like(outcome('old'), qr/status=sent/, 'offered in the old way');
	like(heard('old'), qr/^AUTH LOGIN$/m, 'is taken');
};

subtest 'tokens' => sub {
	for my $name (qw(oauthbearer xoauth2)) {
		like(outcome($name), qr/status=sent/, $name);
		like(heard($name), qr/^AUTH \U$name\E \S+$/m, 'by that name');
	}
	like(outcome('long'), qr/status=sent/, 'a long one');
	like(heard('long'), qr/^AUTH XOAUTH2\n\S{1000,}$/m,
	    'is sent in a line of its own');
	like(outcome('stalexoauth2'), qr/dsn=4\.7\.8,\ status=deferred\ \(SASL
	    \ authentication\ failed;\ server\ \S+\ said:\ 535/x,
	    'XOAUTH2: one that is not good any more');
	like(heard('stalexoauth2'), qr/^AUTH XOAUTH2 \S+\n\nQUIT/m,
	    'and its error is answered with nothing');
	like(outcome('staleoauthbearer'), qr/status=deferred .*535/,
	    'OAUTHBEARER: the same');
	like(heard('staleoauthbearer'), qr/^AUTH OAUTHBEARER \S+\nAQ==\nQUIT/m,
	    'and its error is answered with one byte');
	ok($mail->said(qr/SASL OAUTHBEARER error answer: .*invalid_token/),
	    'which is told');
};

my $cannot = qr/SASL\ authentication\ failed;\ cannot\ authenticate\ to\ server
    \ 127\.0\.0\.1\[127\.0\.0\.1\]:/x;
my $said = qr/SASL\ authentication\ failed;\ server
    \ 127\.0\.0\.1\[127\.0\.0\.1\]\ said:/x;

subtest 'refusals' => sub {
	like(outcome('wrong'), qr/dsn=4\.7\.8,\ status=deferred\ \($said\ 535
	    \ 5\.7\.8\ bad/x, '535 defers');
	unlike(heard('wrong'), qr/^MAIL/m, 'and nothing is sent');
	like(heard('wrong'), qr/^QUIT$/m, 'but QUIT');
	like(outcome('locked'), qr/dsn=4\.7\.0, status=deferred \($said 454/,
	    '454 does');
	like(outcome('noenhanced'), qr/dsn=4\.7\.8, status=deferred/,
	    'without an enhanced code');
	like(outcome('weak'), qr/dsn=4\.7\.9, status=deferred/, 'a weak mechanism');
	like(outcome('none'), qr/dsn=4\.7\.0,\ status=deferred\ \($cannot
	    \ no\ mechanism\ available/x, 'no mechanism that we have');
	unlike(heard('none'), qr/^AUTH|^MAIL/m, 'none is tried');
	like(outcome('noauth'), qr/status=deferred \($cannot no mech/,
	    'no AUTH');
	unlike(heard('noauth'), qr/^MAIL/m, 'and no mail without it');
	like(outcome('nobody'), qr/status=sent/, 'who has no entry needs none');
	like(outcome('crowd'), qr/status=deferred/, 'too many mechanisms');
};

subtest 'servers that go away' => sub {
	like(outcome('closing'), qr/dsn=4\.4\.2,\ status=deferred\ \(lost
	    \ connection/x, 'at AUTH');
	like(outcome('second'), qr/dsn=4\.4\.2, status=deferred/, 'at the next');
	like(outcome('hanging'), qr/dsn=4\.4\.2,\ status=deferred
	    \ \(conversation\ with\ .*timed\ out/x, 'those that say nothing');
	like(outcome('leaving'), qr/status=deferred .*421/, 'after 421');
};

subtest 'servers that lie' => sub {
	for (qw(garbage odd nul huge)) {
		like(outcome($_), qr/status=deferred/, "$_: deferred");
		unlike(heard($_), qr/^MAIL/m, "$_: nothing is sent");
	}
	for (qw(binary padded multiline ntlm greedy endless)) {
		like(outcome($_), qr/dsn=4\.7\.0, status=deferred \($cannot/,
		    "$_: deferred");
		like(heard($_), qr/^\*\n/m, "$_: cancelled");
		unlike(heard($_), qr/^MAIL/m, "$_: nothing is sent");
	}
	unlike(heard('padded'), qr/${\encode_base64('alice', '')}/,
	    'nobody is named to it');
	unlike(heard('greedy'), qr/^(?!QUIT)[A-Za-z0-9+\/=]+\n/m,
	    'PLAIN is said once');
	like(outcome('nulinside'), qr/status=(?:sent|deferred)/,
	    'NUL in a challenge is data');
	like(outcome('second5'), qr/dsn=4\.7\.8, status=deferred/,
	    'a refusal in the middle');
	like(outcome('ok250'), qr/status=/, '250 for 235');
};

subtest 'SCRAM: who does not know the password' => sub {
	like(outcome('impostor'), qr/dsn=4\.7\.0, status=deferred \($cannot/,
	    'shows a wrong proof');
	like(outcome('silent'), qr/status=deferred\ .*did\ not\ show/x,
	    'or none');
	for (qw(impostor silent)) {
		unlike(heard($_), qr/^MAIL/m, "$_ gets no mail");
		is($sink{$_}->count, 0, 'none');
	}
	for (qw(slow cheap)) {
		like(outcome($_), qr/status=deferred \($cannot/,
		    "$_: a count of iterations that has no sense");
	}
};

subtest 'entries with a mistake' => sub {
	like(outcome('mistake'), qr/dsn=4\.3\.0,\ status=deferred\ .*expected
	    \ user:password/x, 'defer the mail');
	is($sink{mistake}->sessions, 0, 'and nobody is called');
	like(outcome('binaryname'), qr/status=deferred .*control/,
	    'control characters in a name');
};

subtest 'no log shows a secret' => sub {
	like(outcome('echo'), qr/status=deferred\ \($said\ 535\ 5\.7\.8\ cannot
	    \ take\ "AUTH\ PLAIN\ \*+"\ with\ password\ \*+\)/x,
	    'not even one that is repeated');
	Postrider::wait_for(sub { -s $mail->dir . '/mail/root' ||
	    $mail->log =~ /to=<\S*postmaster\S*>.*status=/ }, 20, 'a notice');
	my $shown = $mail->log . $mail->output . join('', map {
	    Postrider::slurp($_) } glob $mail->dir . '/mail/*');
	like($shown, qr/> 127\S+: AUTH PLAIN \.\.\.$/m, 'the log shows AUTH');
	like($shown, qr/ Out: AUTH \S+ \.\.\.$/m,
	    'and so do notices to the postmaster');
	for my $secret ('pass%word', encode_base64("\0alice\0pass%word", ''),
	    encode_base64('pass%word', ''), 'ya29', encode_base64(
	    "user=a\@x.test\1auth=Bearer ya29.tokentoken\1\1", '')) {
		is(index($shown, $secret), -1, 'neither shows it');
	}
};

# --- settings -----------------------------------------------------------------

sub reset_to
{
	my (%o) = @_;

	$mail->set(%o);
	$mail->reload;
}

subtest 'for good' => sub {
	reset_to(smtp_sasl_auth_soft_bounce => 'no');
	like(outcome('wrong'), qr/dsn=5\.7\.8, status=bounced \($said 535/,
	    'smtp_sasl_auth_soft_bounce = no returns mail at 535');
	like(outcome('locked'), qr/dsn=4\.7\.0, status=deferred/,
	    'and defers it at 454');
	like(outcome('none'), qr/status=deferred/, 'or without a mechanism');
	reset_to(smtp_sasl_auth_soft_bounce => undef);
};

subtest 'what a mechanism must be like' => sub {
	reset_to(smtp_sasl_security_options => undef);
	for (qw(plain login)) {
		my $before = $sink{$_}->sessions;
		like(outcome($_), qr/status=deferred \($cannot no mechanism/,
		    "noplaintext is the default: not $_ in clear");
		cmp_ok($sink{$_}->sessions, '>', $before, 'it was asked');
		unlike(heard($_), qr/^AUTH/m, 'no secret was shown');
	}
	like(outcome('best'), qr/status=sent/, 'but SCRAM');
	like(outcome('cram-md5'), qr/status=sent/, 'and CRAM-MD5');
	like(outcome('xoauth2'), qr/status=deferred \($cannot no mech/,
	    'a token is a plain secret, too');
	reset_to(smtp_sasl_security_options => 'mutual_auth');
	like(outcome('cram-md5'), qr/status=deferred/, 'mutual_auth: not that');
	like(outcome('best'), qr/status=sent/, 'but SCRAM');
	$mail->set(smtp_sasl_security_options => 'noplain');
	ok(!eval { $mail->reload; 1 }, 'an unknown word is no setting');
	like($@, qr/smtp_sasl_security_options = noplain: unknown word/,
	    'and is told');
	reset_to(smtp_sasl_security_options => 'noanonymous');
};

subtest 'smtp_sasl_mechanism_filter' => sub {
	my %chosen = ('plain, login' => 'PLAIN', 'login' => 'LOGIN',
	    '!scram-sha-256, static:rest' => 'CRAM-MD5');
	Postrider::spew("$etc/mechanisms", "login yes\n");
	$chosen{"texthash:$etc/mechanisms"} = 'LOGIN';
	for my $filter (sort keys %chosen) {
		reset_to(smtp_sasl_mechanism_filter => $filter);
		outcome('best');
		like(heard('best'), qr/^AUTH $chosen{$filter}\b/m, $filter);
	}
	reset_to(smtp_sasl_mechanism_filter => 'gssapi');
	like(outcome('best'), qr/$cannot no mechanism/, 'nothing is left');
	reset_to(smtp_sasl_mechanism_filter => undef,
	    smtp_discard_ehlo_keywords => 'auth');
	like(outcome('discarded'), qr/status=sent/,
	    'smtp_discard_ehlo_keywords = auth: without it');
	unlike(heard('discarded'), qr/^AUTH/m, 'really');
	reset_to(smtp_discard_ehlo_keywords => undef);
};

subtest 'AUTH=<>' => sub {
	outcome('plain');
	unlike(heard('plain'), qr/^MAIL .*AUTH=/m, 'is not said by default');
	reset_to(smtp_send_dummy_mail_auth => 'yes');
	outcome('plain');
	like(heard('plain'), qr/^MAIL FROM:<>.* AUTH=<>$/m,
	    'but with smtp_send_dummy_mail_auth');
	outcome('nobody');
	unlike(heard('nobody'), qr/AUTH=/, 'and not where we did not log in');
	reset_to(smtp_send_dummy_mail_auth => undef);
};

subtest 'logins that were refused' => sub {
	$passwords .= "s\@x.test alice:pass%word\n";
	spill();
	reset_to(smtp_sasl_auth_cache_name => 'texthash:/nowhere',
	    smtp_sender_dependent_authentication => 'yes');
	my @from = (from => 's@x.test');
	outcome('wrong', @from);
	my $before = $sink{wrong}->sessions;
	like(outcome('wrong', @from), qr/status=deferred \($said 535/,
	    'are answered as before');
	cmp_ok($sink{wrong}->sessions, '>', $before, 'the host is called');
	unlike(heard('wrong'), qr/^AUTH/m, 'but not asked again');
	$passwords =~ s/^(s\S+ alice):.*$/$1:changed/m;
	spill();
	my $text;
	Postrider::wait_for(sub { outcome('wrong', @from);
	    ($text = heard('wrong')) =~ /^AUTH/m }, 30, 'AUTH');
	like($text, qr/^AUTH PLAIN ${\encode_base64("\0alice\0changed", '')}/m,
	    'until the password is another one');
	reset_to(smtp_sasl_auth_cache_name => undef,
	    smtp_sender_dependent_authentication => undef);
};

subtest 'off' => sub {
	reset_to(smtp_sasl_auth_enable => 'no');
	like(outcome('discarded'), qr/status=sent/, 'nobody logs in');
	unlike(heard('discarded'), qr/^AUTH/m, 'really');
	reset_to(smtp_sasl_auth_enable => 'yes');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
