# quirks.t - what hosts out there do, and that it loses, doubles or delays no
# mail. Greylisting is in answers.t; tarpits, odd bytes in replies and HELO for
# who refuses EHLO are in hello.t and delivery.t; names that lead nowhere are in
# names.t; LMTP is in lmtp.t; what we must not send is in content.t.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_helo_timeout => '5s', smtp_mail_timeout => '2s',
	smtp_rcpt_timeout => '2s', smtp_data_init_timeout => '2s',
	smtp_data_done_timeout => '5s', smtp_processes => 1,
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', smtp_connection_cache_time_limit => '30s',
	smtp_randomize_addresses => 'no', smtp_host_lookup => 'native',
	smtp_pix_workaround_threshold_time => '0s',
	smtp_pix_workaround_delay_time => '2s',
}, master => <<'END');
brave     unix - - n - - smtp -o smtp_pix_workarounds=
mapped    unix - - n - - smtp -o smtp_pix_workaround_threshold_time=1h
  -o smtp_pix_workaround_maps=inline:{127.0.0.1=delay_dotcrlf}
warm      unix - - n - - smtp -o smtp_skip_quit_response=no
END
my $etc = $mail->etc;
my ($hosts, $routes, %sink, %second) = ('', '');

sub heard { return Postrider::slurp("$etc/$_[0].heard") }

# A domain whose first host talks so; the other one is as it should be.
sub domain {
	my ($name, %o) = @_;
	my $talk = $o{replies};

	$sink{$name} = $mail->sink(extensions => $o{extensions} //
	    [qw(PIPELINING 8BITMIME DSN), 'SIZE 0'], replies => sub {
		my ($verb, $line) = @_;
		open my $f, '>>', "$etc/$name.heard" or die;
		syswrite $f, "$line\n" unless $verb =~ /^(CONNECT|DOT|CONTENT)$/;
		return $talk ? $talk->(@_) : undef;
	});
	my $port = $sink{$name}->port;
	$second{$name} = $mail->sink(address => '127.0.0.2', port => $port,
	    extensions => $o{second} // [qw(8BITMIME SMTPUTF8)]);
	$hosts .= "127.0.0.$_ $name.test\n" for 1, 2;
	$routes .= "$name.test " . ($o{transport} // 'smtp') .
	    ":[$name.test]:$port\n";
}

# A verb that is answered so.
sub says {
	my ($what, $answer) = @_;
	return sub { return $_[0] eq $what ? $answer : undef };
}

# A server of our own, whose lines are read as they come in segments.
my @servers;
sub server {
	my ($name, $talk) = @_;
	my $listener = IO::Socket::INET->new(Listen => 8,
	    LocalAddr => '127.0.0.1', Proto => 'tcp') or die "no listener: $!";
	my $pid = fork // die "fork: $!";

	$hosts .= "127.0.0.1 $name.test\n";
	$routes .= "$name.test smtp:[$name.test]:" . $listener->sockport . "\n";
	push @servers, $pid;
	return if $pid != 0;
	for (my $number = 1; my $client = $listener->accept; $number++) {
		next if fork;
		$client->autoflush(1);
		$talk->($client, $number);
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}
my $own = $$;
END { kill 'KILL', @servers if defined $own && $$ == $own }

# 1
domain('ehloclose', replies => says(EHLO => 'CLOSE'));
domain('hangsup', replies => sub {
	return $_[0] =~ /^(EHLO|HELO)$/ ? 'CLOSE' : undef;
});
# 2, 3
domain('silent', replies => says(CONNECT => '220'));
domain('long', replies => says(CONNECT => join "\r\n",
    (map { "220-" . 'x' x 900 } 1 .. 300), '220 ready'));
server('late', sub {
	my ($client) = @_;
	my $early = '';
	select undef, undef, undef, 1;
	my $fds = '';
	vec($fds, fileno $client, 1) = 1;
	$early = select($fds, undef, undef, 0) ? 'spoke' : 'waited';
	Postrider::spew("$etc/late.heard", $early);
	print $client "220 late\r\n";
	while (my $line = <$client>) {
		print $client $line =~ /^DATA/ ? "354 go\r\n" : "250 Ok\r\n";
		last if $line =~ /^QUIT/;
		next unless $line =~ /^DATA/;
		while (defined($line = <$client>) && $line ne ".\r\n") { }
		print $client "250 taken\r\n";
	}
});
# 4
domain('odd', replies => says(EHLO => join "\r\n", '250-odd.test Hello',
    '250-pipelining', '250-  SiZe   100000', "250-DSN\t", '250-', '250-AUTH=LOGIN',
    '250-8bitmime', '250-8BITMIME', '250-X-NONSENSE a b c', '250 HELP'));
# 5
domain('lines', replies => sub {
	my ($verb) = @_;
	return "250-one\r\n550 two" if $verb eq 'RCPT' && $_[1] =~ /no/;
	return "550-one\r\n250 two" if $verb eq 'RCPT';
	return '250' if $verb eq 'MAIL';
	return \"354\r\n\r\n" if $verb eq 'DATA';
	return \"250 2.0.0 Ok: taken\r\n\n\n" if $verb eq 'DOT';
	return undef;
});
# 6
my $stars = '220 ' . '*' x 40 . '02' . '*' x 10 . '0*';
for (['pix', 'smtp'], ['brave', 'brave'], ['mapped', 'mapped']) {
	domain($_->[0], transport => $_->[1], extensions =>
	    [qw(PIPELINING CHUNKING SIZE)], replies => says(CONNECT => $stars));
}
# 7
domain('rcptclose', replies => sub {
	my ($verb, $line) = @_;
	return ['550 5.1.1 who?', 'CLOSE'] if $verb eq 'RCPT' &&
	    $line =~ /bad/;
	return undef;
});
server('flush', sub {
	my ($client) = @_;
	my $text = '';
	print $client "220 flush\r\n";
	while (sysread $client, $text, 65536) {	# one line of each segment
		my ($verb) = $text =~ /^(\w+)/;
		print $client $verb eq 'EHLO' ?
		    "250-flush\r\n250 PIPELINING\r\n" :
		    $verb eq 'DATA' ? "354 go ahead\r\n" : "250 Ok\r\n";
		next unless $verb eq 'DATA';
		for (my $body = ''; $body !~ /\r\n\.\r\n\z/; ) {
			sysread $client, $body, 65536, length $body or return;
		}
		print $client "250 2.0.0 Ok: taken\r\n";
	}
});
# 8
domain('eager', replies => sub {
	my ($verb, $line, $s) = @_;
	return '550 5.1.1 who?' if $verb eq 'RCPT' && $line =~ /bad/;
	return '354 go ahead' if $verb eq 'DATA';
	return $verb eq 'DOT' && !@{ $s->{rcpt} } ?
	    '554 5.5.1 no recipients' : undef;
});
# 9
domain("size$_->[0]", extensions => [$_->[1]]) for ['bare', 'SIZE'],
    ['zero', 'SIZE 0'], ['word', 'SIZE unlimited'], ['minus', 'SIZE -1'];
domain('sizelie', extensions => ['SIZE 100000'],
    replies => says(MAIL => '552 5.3.4 too big after all'));
# 10, 11
domain('eight', extensions => ['8BITMIME'],
    replies => says(RCPT => '450 4.2.1 later'), second => []);
domain('utf', extensions => ['8BITMIME'], second => [qw(8BITMIME SMTPUTF8)]);
domain('noutf', extensions => ['8BITMIME'], second => ['8BITMIME']);
# 15, 16
domain('tired', replies => sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'RCPT' && $line =~ /third/ ? '421 4.3.2 tired' : undef;
});
domain('once', replies => sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'MAIL' && $s->{count} > 0 ? 'CLOSE' : undef;
});
domain('unasked', replies => says(DOT =>
    ['250 2.0.0 Ok: taken', '421 4.3.2 and now go']));
# 17
domain('closed', replies => says(CONNECT => '554 5.3.2 not today'));
# 18
domain('few', replies => sub {
	my ($verb, $line, $s) = @_;
	return undef if $verb ne 'RCPT' || @{ $s->{rcpt} } < 2;
	return $s->{count} == 0 ? '552 5.5.3 too many' : '452 4.5.3 too many';
});
# 19
domain('codes', replies => sub {
	return '251 2.1.5 will forward' if $_[0] eq 'RCPT' && $_[1] =~ /a@/;
	return '252 2.1.5 cannot tell' if $_[0] eq 'RCPT';
	return $_[0] eq 'DATA' ? '350 well' : undef;
});
# 26
domain('rude', replies => says(QUIT => 'RESET'), transport => 'warm');

Postrider::spew("$etc/hosts", $hosts);
Postrider::spew("$etc/routes", $routes);
$mail->set(dns_hosts_file => "$etc/hosts",
    transport_maps => "texthash:$etc/routes");
$mail->start;

# Send; the line that tells what became of the last recipient.
sub outcome {
	my ($to, $text) = @_;
	my @to = ref $to ? @$to : $to;

	$mail->send(from => '', to => \@to,
	    (defined $text ? (text => $text) : ()));
	return (map { $mail->wait_log(qr/to=<\Q$_\E>, relay=.*\n/, 20) }
	    @to)[-1];
}
my $first = qr/\[127\.0\.0\.1\].*status=sent/;
my $other = qr/\[127\.0\.0\.2\].*status=sent/;

like(outcome('r@ehloclose.test'), $first, '1: EHLO closes: HELO');
is($sink{ehloclose}->sessions, 2, 'with the same host');
like(outcome('r@hangsup.test'), $other, '1: both close: the next host');
is($sink{hangsup}->sessions, 2, 'after one of each');

like(outcome('r@silent.test'), $first, '2: a greeting without a word');
like(heard('silent'), qr/^EHLO/m, 'is answered by EHLO');
like(outcome('r@long.test'), $first, '3: a very long greeting');
like(outcome('r@late.test'), $first, '3: a late greeting');
is(heard('late'), 'waited', 'nothing is said before it');

like(outcome('r@odd.test'), $first, '4: an odd answer to EHLO');
like(heard('odd'), qr/^MAIL FROM:<> SIZE=\d+$/m, 'is understood');
outcome('r@odd.test', 'x' x 100 . "\n");
like(outcome('big@odd.test', "x\n" x 60_000),
    qr/dsn=5\.3\.4, status=bounced \(message size/, 'with its number');

like(outcome(['no@lines.test', 'r@lines.test']), $first,
    '5: the last line of a reply counts');
like($mail->log, qr/to=<no\@lines\.test>.*status=bounced/, 'in both ways');
like(outcome('again@lines.test'), qr/conn_use=2.*status=sent/,
    'empty lines put nobody out of step');

my $began = time;
like(outcome('r@pix.test'), $first, '6: a firewall behind asterisks');
cmp_ok(time - $began, '>=', 1, 'its final dot comes later');
like(heard('pix'), qr/^HELO \S+\nMAIL FROM:<>\nRCPT TO:<r\@pix\.test>\nDATA$/m,
    'after HELO and nothing new');
like($mail->log, qr/: enabling PIX workarounds: disable_esmtp delay_dotcrlf for pix\.test\[127\.0\.0\.1\]\n/,
    'the log tells of it');
like(outcome('r@brave.test'), $first, 'smtp_pix_workarounds =');
like(heard('brave'), qr/^EHLO[^\n]*\nMAIL[^\n]*\nRCPT[^\n]*\nBDAT/m,
    'is without them');
$began = time;
like(outcome('r@mapped.test'), $first, 'smtp_pix_workaround_maps');
like($mail->log, qr/: enabling PIX workarounds: delay_dotcrlf for mapped\.test/,
    'says by address what to do');
like(heard('mapped'), qr/^EHLO[^\n]*\nMAIL[^\n]*\nRCPT[^\n]*\nDATA/m,
    'a dot that may have to wait is one of DATA');
cmp_ok(time - $began, '<', 2, 'and a new message does not wait yet');

like(outcome([qw(r1@rcptclose.test bad@rcptclose.test r2@rcptclose.test)]),
    $first, '7: closes on a bad recipient');
like($mail->log, qr/to=<bad\@rcptclose\.test>.*dsn=5\.1\.1, status=bounced/,
    'which is the only one refused');
like(outcome('r@flush.test'), $first,
    '7: PIPELINING that loses what comes in a group');

like(outcome('bad@eager.test'), qr/status=bounced/,
    '8: 354 though nobody was taken');
is($sink{eager}->count, 0, 'nothing is delivered');
like(outcome('r@eager.test'), qr/conn_use=2.*status=sent/,
    'and the conversation is in step');

like(outcome("r\@size$_.test"), $first, "9: SIZE: $_")
    for qw(bare zero word minus);
like(outcome('r@sizelie.test'), qr/dsn=5\.3\.4, status=bounced/,
    '9: 552 to MAIL though SIZE allows it');

$mail->sendmail("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n" .
    "Content-Transfer-Encoding: 8bit\nSubject: x\n\nc\xc3\xa9\n", '-f', 'a@b.test',
    '-B8BITMIME', 'r@eight.test');
$mail->wait_log(qr/to=<r\@eight\.test>.*$other/, 20);
like(heard('eight'), qr/BODY=8BITMIME/, '10: 8BITMIME here');
like(($second{eight}->messages)[0]{data}, qr/c=C3=A9/,
    '10: and converted there');

$mail->sendmail(join("\r\n", 'EHLO x.test', (map {
    ('MAIL FROM:<> SMTPUTF8', "RCPT TO:<r\@$_.test>", 'DATA',
    "Subject: caf\xc3\xa9", '', 'Text.', '.') } 'utf', 'noutf'), 'QUIT', ''),
    '-bs');
like($mail->wait_log(qr/to=<r\@utf\.test>, relay=.*\n/, 20), $other,
    '11: SMTPUTF8 at one of the hosts only');
like($mail->wait_log(qr/to=<r\@noutf\.test>, relay=.*\n/, 20),
    qr/dsn=5\.6\.7, status=bounced \(SMTPUTF8 is required/,
    '11: or at none of them');

like(outcome([qw(r1@tired.test r2@tired.test third@tired.test)]), $other,
    '15: 421 in the middle: the next host');
is($sink{tired}->count, 0, 'for all of them');
outcome('r1@once.test');
like(outcome('r2@once.test'), $first,
    '16: one message in a conversation: another conversation');
like(outcome('r1@unasked.test'), $first, '15: 421 that nobody asked for');
like(outcome('r2@unasked.test'), $first, 'is not taken for an answer');
is($sink{unasked}->sessions, 2, 'and ends the conversation');

like(outcome('r@closed.test'), $other, '17: 554 for today');

outcome([map { "r$_\@few.test" } 1 .. 5]);
is(join(' ', map { scalar @{ $_->{rcpt} } } $sink{few}->messages), '2 2 1',
    '18: as many recipients as it takes, the others next');

like(outcome(['a@codes.test', 'b@codes.test']), $first,
    '19: other codes of the same class');

like(outcome('r@rude.test'), $first, '26: no answer to QUIT');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
