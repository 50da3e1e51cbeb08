# answers.t - answers that are none, too long, too late, or about something
# else: whose mail goes where then, and that nobody gets it twice.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_randomize_addresses => 'no',
	smtp_helo_timeout => '5s', smtp_mail_timeout => '2s',
	smtp_data_done_timeout => '5s', smtp_processes => '1',
	smtp_connection_cache_time_limit => '30s',
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', message_size_limit => 20_000_000,
}, master => <<'END');
waiting   unix - - n - - smtp -o smtp_skip_quit_response=no -o smtp_quit_timeout=2s -o smtp_connection_cache_time_limit=0
END
my $etc = $mail->etc;
my (%sink, %second, %third, $hosts, $routes);

# How often a host was told this verb.
sub heard
{
	my ($name, $verb) = @_;

	return -s "$etc/$name.$verb" || 0;
}

sub count_one
{
	my ($name, $verb) = @_;

	open my $f, '>>', "$etc/$name.$verb" or die;
	syswrite $f, '.';
}

# A domain whose first host talks so; two more at the next addresses.
sub domain
{
	my ($name, $talk, $talk_of_second) = @_;

	$sink{$name} = $mail->sink(replies => sub {
		count_one($name, $_[0]);
		return $talk->(@_);
	});
	my $port = $sink{$name}->port;
	$second{$name} = $mail->sink(address => '127.0.0.2', port => $port,
	    replies => $talk_of_second);
	$third{$name} = $mail->sink(address => '127.0.0.3', port => $port);
	$hosts .= "127.0.0.$_ $name.test\n" for 1 .. 3;
	$routes .= "$name.test smtp:[$name.test]:$port\n";
}

# A server of our own that is worse than a sink can be.
my @servers;
sub server
{
	my ($talk) = @_;
	my $listener = IO::Socket::INET->new(Listen => 8,
	    LocalAddr => '127.0.0.1', Proto => 'tcp') or die "no listener: $!";
	setsockopt $listener, SOL_SOCKET, SO_RCVBUF, 4096;
	my $pid = fork // die "fork: $!";

	push @servers, $pid;
	return $listener->sockport if $pid != 0;
	while (my $client = $listener->accept) {
		next if fork;
		syswrite $client, "220 server.test\r\n";
		$talk->($client);
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

domain('long', sub {
	return $_[0] eq 'DOT' ? '250 2.0.0 Ok: ' . 'x' x 5000 : undef;
});
domain('dot354', sub { return $_[0] eq 'DOT' ? '354 more' : undef });
domain('rcpt354', sub { return $_[0] eq 'RCPT' ? '354 what' : undef });
domain('hangs', sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'MAIL' && $s->{count} > 0 ? 'HANG' : undef;
});
domain('full', sub {
	my ($verb, $line, $s) = @_;
	return '452 4.5.3 too many' if $verb eq 'RCPT' && @{ $s->{rcpt} } >= 2;
	return $verb eq 'DOT' ? '452 4.3.1 full' : undef;
});
my $patience = sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'RCPT' && $line =~ /again/ ? '450 4.7.1 later' : undef;
};
domain('grey', $patience, $patience);
domain('closed', sub { return $_[0] eq 'CONNECT' ? '521 go away' : undef });
domain('moved', sub { return undef });
domain('slow', sub {
	return undef unless $_[0] eq 'DOT';
	sleep 2;
	return '452 4.3.1 full, after all';
});

# One host with two names; one that never takes mail.
my $named = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? '450 4.7.1 later' : undef;
});
my $never = $mail->sink(replies => sub {
	return $_[0] eq 'CONNECT' ? '521 5.3.2 no mail here' : undef;
});

# It will say nothing any more, and tells so before it has the message.
my $gone = server(sub {
	my ($client) = @_;
	my $text = '';

	while (sysread $client, $text, 65536) {
		syswrite $client, $text =~ /^DATA/ ? "354 go ahead\r\n" :
		    "250 Ok\r\n";
		shutdown $client, 1 if $text =~ /^DATA/;
	}
});
my $there = $mail->sink(address => '127.0.0.2', port => $gone);

# It reads nothing of a message, refuses it and hangs up: what we write is lost,
# and the kernel says EPIPE.
my $rude = server(sub {
	my ($client) = @_;
	my $text = '';

	while (sysread $client, $text, 65536) {
		syswrite $client, $text =~ /^DATA/ ? "354 go ahead\r\n" :
		    "250 Ok\r\n";
		next unless $text =~ /^DATA/;
		select undef, undef, undef, 0.5;
		syswrite $client, "552 5.3.4 too big\r\n";
		return;
	}
});

# One answer that is none, then it is a host like others.
my $odd = $mail->sink(replies => sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'RCPT' && $line =~ /first/ ? '354 what' : undef;
});

# Its goodbye takes an hour, a byte at a time.
my $goodbye = server(sub {
	my ($client) = @_;
	my ($text, $began) = '';

	local $SIG{PIPE} = 'IGNORE';
	while (sysread $client, $text, 65536) {
		if ($text =~ /^DATA/) {
			syswrite $client, "354 go ahead\r\n";
			for (my $body = ''; $body !~ /\r\n\.\r\n\z/; ) {
				sysread $client, $body, 65536, length $body
				    or return;
			}
		}
		last if $text =~ /^QUIT/;
		syswrite $client, "250 2.0.0 Ok\r\n";
	}
	$began = time;
	for (1 .. 20) {
		syswrite $client, 'x' or last;
		select undef, undef, undef, 0.5;
	}
	Postrider::spew("$etc/goodbye", time - $began);
});

my $own = $$;
END { kill 'KILL', @servers if defined $own && $$ == $own }

# As much as a reply may be, to each of fifty recipients.
my $wordy = server(sub {
	my ($client) = @_;
	my $reply = ('550-' . 'x' x 2000 . "\r\n") x 900 . "550 no\r\n";

	while (my $line = <$client>) {
		print $client $line =~ /^RCPT/ ? $reply : "250 Ok\r\n";
		$client->flush;
	}
});

$hosts .= "127.0.0.1 a.test\n127.0.0.1 b.test\n127.0.0.1 gone.test\n" .
    "127.0.0.2 gone.test\n";
$routes .= "named.test smtp:[a.test]:@{[ $named->port ]}, " .
    "[b.test]:@{[ $named->port ]}\n" .
    "never.test smtp:[127.0.0.1]:@{[ $never->port ]}\n" .
    "gone.test smtp:[gone.test]:$gone\n" .
    "rude.test smtp:[127.0.0.1]:$rude\n" .
    "odd.test smtp:[127.0.0.1]:@{[ $odd->port ]}\n" .
    "goodbye.test waiting:[127.0.0.1]:$goodbye\n" .
    "wordy.test smtp:[127.0.0.1]:$wordy\n";
Postrider::spew("$etc/hosts", $hosts);
Postrider::spew("$etc/routes", $routes);
$mail->set(dns_hosts_file => "$etc/hosts",
    transport_maps => "texthash:$etc/routes");
$mail->start;

# Send, wait until the last of them has an outcome.
sub outcome
{
	my ($to, $text) = @_;
	my @to = ref $to ? @$to : $to;

	$mail->send(from => '', to => \@to,
	    (defined $text ? (text => $text) : ()));
	return (map { $mail->wait_log(qr/to=<\Q$_\E>, relay=.*\n/, 20) }
	    @to)[-1];
}

my $big = "Subject: big\n\n" . ('x' x 70 . "\n") x 120_000;

like(outcome('r@long.test'), qr/status=sent \(250 2\.0\.0 Ok: xxx/,
    'a very long "yes" is a yes');

like(outcome('r@dot354.test'), qr/dsn=4\.5\.0, status=deferred \(host .* said: 354 more \(in reply to end of DATA command\)\)/,
    '354 to the final dot');
is($second{dot354}->sessions, 0, 'and nobody else gets what may be there');

like(outcome('r@rcpt354.test'), qr/\[127\.0\.0\.2\].*status=sent/,
    '354 to RCPT: the next host');
like(outcome('first@odd.test'), qr/dsn=4\.5\.0, status=deferred/,
    'or later, where there is none');
unlike(outcome('second@odd.test'), qr/conn_use/,
    'and who may be out of step is not talked to any more');

like(outcome('r@rude.test', $big),
    qr/dsn=5\.3\.4, status=bounced \(host .* said: 552 5\.3\.4 too big/,
    'who refuses half way and hangs up is heard');

like(outcome('r@gone.test', $big),
    qr/\[127\.0\.0\.2\].*status=sent/,
    'who cannot answer any more gets no final dot: the next host');

outcome('r1@hangs.test');
like(outcome('r2@hangs.test'), qr/\[127\.0\.0\.2\].*status=sent/,
    'a warm conversation that hangs');
is($sink{hangs}->sessions, 1, 'tells enough of the host');

outcome([map { "r$_\@full.test" } 1 .. 5]);
is(heard('full', 'CONTENT'), 1,
    'who takes few recipients and no message gets it once');

outcome('r@grey.test');
like(outcome('again@grey.test'), qr/\[127\.0\.0\.2\].*status=deferred/,
    'a warm host that wants patience: one more is asked');
is($third{grey}->sessions, 0, 'and no third one: it was a conversation, too');

like(outcome('r@named.test'), qr/relay=a\.test.*status=deferred/,
    'two names of one host');
is($named->sessions, 1, 'are one host');

like(outcome('r@closed.test'), qr/\[127\.0\.0\.2\].*status=sent/,
    '521: another host takes it');
like(outcome('r@never.test'), qr/dsn=5\.3\.2, status=bounced \(host .* refused to talk to me: 521/,
    'or nobody ever will');

SKIP: {
	skip 'with sanitizers everything is large', 1
	    if Postrider::is_sanitized();
	outcome([map { "r$_\@wordy.test" } 1 .. 50]);
	my ($peak) = sort { $b <=> $a } map { Postrider::slurp(
	    "/proc/$_/status") =~ /^VmHWM:\s+(\d+)/m } $mail->children('smtp');
	cmp_ok($peak, '<', 40_000, "ninety megabytes of replies need few: $peak kB");
}

outcome('r@goodbye.test');
Postrider::wait_for(sub { -e "$etc/goodbye" }, 15, 'the goodbye');
cmp_ok(Postrider::slurp("$etc/goodbye"), '<', 6, 'a goodbye has its time');

# SMTPUTF8 for the header alone.
my $plain = $mail->sink(extensions => ['8BITMIME']);
my $global = $mail->sink(extensions => ['8BITMIME', 'SMTPUTF8']);
Postrider::spew("$etc/routes", "$routes\n" .
    "plain.test smtp:[127.0.0.1]:@{[ $plain->port ]}\n" .
    "global.test smtp:[127.0.0.1]:@{[ $global->port ]}\n");
$mail->reload;
$mail->sendmail(join("\r\n", 'EHLO x.test', 'MAIL FROM:<> SMTPUTF8',
    'RCPT TO:<r@plain.test>', 'RCPT TO:<r@global.test>', 'DATA',
    "Subject: caf\xc3\xa9", '', 'Text.', '.', 'MAIL FROM:<> SMTPUTF8',
    'RCPT TO:<ascii@plain.test>', 'DATA', 'Subject: cafe', '', "T\xc3\xa9xt.",
    '.', 'QUIT', ''), '-bs');
like($mail->wait_log(qr/to=<r\@plain\.test>, relay=.*\n/, 20),
    qr/dsn=5\.6\.7, status=bounced \(SMTPUTF8 is required/,
    'a header in UTF-8 does not go to who has no SMTPUTF8');
like($mail->wait_log(qr/to=<r\@global\.test>, relay=.*\n/, 20),
    qr/status=sent/, 'but to who has');
like(($global->messages)[0]{mail}, qr/ SMTPUTF8/, 'and says so');
like($mail->wait_log(qr/to=<ascii\@plain\.test>, relay=.*\n/, 20),
    qr/status=sent/, 'a header in ASCII goes, whatever was promised');

# The system stops while a host thinks about the dot: it is heard, but nobody
# is asked after it.
$mail->send(from => '', to => ['r@slow.test']);
Postrider::wait_for(sub { heard('slow', 'DOT') > 0 }, 10, 'the dot');
is($mail->stop, 0, 'the system stops');
like($mail->log, qr/to=<r\@slow\.test>.*dsn=4\.3\.1, status=deferred \(host .* said: 452 4\.3\.1 full, after all/,
    'the answer to the dot is heard');
is($second{slow}->sessions, 0, 'and nobody is asked any more');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
