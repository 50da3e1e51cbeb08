# hello.t - EHLO, what it offers, and what is made of it.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_helo_timeout => '3s', minimal_backoff_time => '1000s',
	notify_classes => '', smtp_helo_name => 'client.local.test',
	smtp_connection_cache_time_limit => '0',
}, master => <<'END');
shy       unix - - n - - smtp -o smtp_never_send_ehlo=yes
waiting   unix - - n - - smtp -o smtp_always_send_ehlo=no
broken    unix - - n - - smtp -o smtp_quote_rfc821_envelope=no
plain     unix - - n - - smtp -o smtp_discard_ehlo_keywords=pipelining,size,dsn
polite    unix - - n - - smtp -o smtp_skip_quit_response=no
hurried   unix - - n - - smtp -o smtp_per_request_deadline=yes
END
my $etc = $mail->etc;
my $sink = $mail->sink;
my $port = $sink->port;
my $old = $mail->sink(replies => sub {
	my ($verb) = @_;
	return '220 old.test' if $verb eq 'CONNECT';
	return '250 old.test' if $verb eq 'EHLO';
	return undef;
});
my $loud = $mail->sink(replies => sub {
	my ($verb) = @_;
	return "250-2.1.0 Ok\r\n250-more\r\n250" if $verb eq 'MAIL';
	return "550 5.7.1 \xe9\x01\x02 no\ttabs " . 'x' x 1500
	    if $verb eq 'RCPT';
	return undef;
});
my $wrong = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? '550 4.1.1 which is it?' : undef;
});

# It sends its greeting a byte at a time, each of them in time.
my $listener = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1',
    Proto => 'tcp') or die "no listener: $!";
my $dripping = fork // die "fork: $!";
if ($dripping == 0) {
	while (my $client = $listener->accept) {
		next if fork;
		local $SIG{PIPE} = 'DEFAULT';
		for (split //, '220 ' . 'x' x 60) {
			syswrite $client, $_ or last;
			select undef, undef, undef, 0.5;
		}
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

Postrider::spew("$etc/routes", join '', map { "$_->[0].test $_->[1]\n" }
    ['usual', "smtp:[127.0.0.1]:$port"], ['shy', "shy:[127.0.0.1]:$port"],
    ['waiting', 'waiting:[127.0.0.1]:' . $old->port],
    ['broken', "broken:[127.0.0.1]:$port"],
    ['plain', "plain:[127.0.0.1]:$port"],
    ['polite', "polite:[127.0.0.1]:$port"],
    ['loud', 'smtp:[127.0.0.1]:' . $loud->port],
    ['wrong', 'smtp:[127.0.0.1]:' . $wrong->port],
    ['drip', 'hurried:[127.0.0.1]:' . $listener->sockport]);
$mail->set(transport_maps => "texthash:$etc/routes");
$mail->start;

sub wait_for_line {
	my ($to) = @_;

	return $mail->wait_log(qr/to=<\Q$to\E>, (?:orig_to=\S+ )?relay=.*\n/, 20);
}

# Send with these parameters of MAIL and RCPT; the message as it arrived.
sub arrived {
	my ($to, $mail_extra, $rcpt_extra) = @_;
	my $c = $mail->client;
	my $before = $sink->count + $old->count;

	$c->script('EHLO x.test' => 250,
	    "MAIL FROM:<a\@b.test>" . ($mail_extra // '') => 250,
	    "RCPT TO:<$to>" . ($rcpt_extra // '') => 250, 'DATA' => 354)
	    if $c->expect(220);
	$c->data("Subject: hello\n\nText.\n");
	$c->command('QUIT', 221);
	Postrider::wait_for(sub { $sink->count + $old->count > $before }, 20,
	    "a message for $to\n" . $mail->log);
	my ($m) = grep { $_->{rcpt}[0] =~ /\Q$to\E|\@broken/ }
	    reverse $sink->messages, $old->messages;
	return $m;
}

my $m = arrived('r@usual.test');
is($m->{helo}, 'EHLO client.local.test', 'EHLO with our name');
like($m->{mail}, qr/^MAIL FROM:<a\@b\.test> SIZE=\d+$/,
    'SIZE, and nothing that was not asked for');
is($m->{rcpt_lines}[0], 'RCPT TO:<r@usual.test>', 'a plain RCPT');

$m = arrived('d@usual.test', ' RET=HDRS ENVID=one+2Btwo',
    ' NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Blast@b.test');
like($m->{mail}, qr/ RET=HDRS ENVID=one\+2Btwo$/, 'DSN: RET and ENVID go on');
is($m->{rcpt_lines}[0], 'RCPT TO:<d@usual.test> NOTIFY=SUCCESS,DELAY ' .
    'ORCPT=rfc822;first+2Blast@b.test', 'and NOTIFY and ORCPT');
$m = arrived('n@usual.test', '', ' NOTIFY=NEVER');
is($m->{rcpt_lines}[0], 'RCPT TO:<n@usual.test> NOTIFY=NEVER', 'NEVER, too');

$m = arrived('d@plain.test', ' RET=HDRS', ' NOTIFY=FAILURE');
is($m->{mail}, 'MAIL FROM:<a@b.test>',
    'smtp_discard_ehlo_keywords: no SIZE, no RET');
is($m->{rcpt_lines}[0], 'RCPT TO:<d@plain.test>', 'no NOTIFY');

ok($mail->wait_log(qr/: discarding EHLO keywords: PIPELINING DSN SIZE\n/),
    'and the log tells it');

is(arrived('r@shy.test')->{helo}, 'HELO client.local.test',
    'smtp_never_send_ehlo');
is(arrived('r@waiting.test')->{helo}, 'HELO client.local.test',
    'smtp_always_send_ehlo = no, and a greeting without ESMTP');

is(arrived('"a..b"@broken.test')->{rcpt_lines}[0],
    'RCPT TO:<a..b@broken.test>', 'smtp_quote_rfc821_envelope = no');
is(arrived('"a b"@broken.test')->{rcpt_lines}[0],
    'RCPT TO:<"a b"@broken.test>', 'but not what would be no address then');

like(wait_for_line('r@shy.test'), qr/status=sent/, 'all is well');
ok(arrived('r@polite.test'), 'smtp_skip_quit_response = no');

$mail->send(from => '', to => ['r@loud.test', 'x@wrong.test']);
my $line = wait_for_line('r@loud.test');
like($line, qr/dsn=5\.7\.1, status=bounced \(host .* said: 550 5\.7\.1 \S+ no tabs x/,
    'a refusal full of odd bytes');
unlike($line, qr/[\x01\x02]|\xe9/, 'arrives without them');
like(wait_for_line('x@wrong.test'), qr/dsn=5\.0\.0, status=bounced/,
    'an enhanced code of another class than the code\'s does not count');

$mail->send(from => '', to => ['r@drip.test']);
like(wait_for_line('r@drip.test'), qr/timed out while receiving the initial server greeting/,
    'smtp_per_request_deadline: a greeting that drips is late');

# By address.
Postrider::spew("$etc/keywords", "127.0.0.1 dsn, silent-discard\n");
$mail->set(smtp_discard_ehlo_keyword_address_maps =>
    "texthash:$etc/keywords");
$mail->reload;
$m = arrived('k@usual.test', ' RET=HDRS', ' NOTIFY=FAILURE');
like($m->{mail}, qr/ SIZE=\d+$/,
    'smtp_discard_ehlo_keyword_address_maps: no RET there');
unlike($mail->log, qr/: discarding EHLO keywords: DSN\n/, 'and no word of it');

kill 'KILL', $dripping;
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
