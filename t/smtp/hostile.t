# hostile.t - hosts that break the rules harm nobody's mail but their own.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtp_mail_timeout => '5s',
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_helo_timeout => '5s', smtp_data_done_timeout => '5s',
	smtp_connection_cache_time_limit => '30s',
	minimal_backoff_time => '1000s', notify_classes => '',
	smtp_randomize_addresses => 'no', smtp_host_lookup => 'dns, native',
});
my $etc = $mail->etc;

# A host that refuses DATA without recipients keeps the transaction open, as
# RFC 5321 4.1.1.4 lets it: the next MAIL would be nested.
my $strict = $mail->sink(replies => sub {
	my ($verb, $line, $s) = @_;

	if ($verb eq 'MAIL') {
		return '503 5.5.1 nested MAIL' if $s->{is_open};
		$s->{is_open} = 1;
		$s->{good} = 0;
	} elsif ($verb eq 'RCPT') {
		return '550 5.1.1 who?' if $line =~ /bad/;
		$s->{good}++;
	} elsif ($verb eq 'DATA') {
		return '554 5.5.1 no valid recipients' unless $s->{good};
	} elsif ($verb eq 'RSET' || $verb eq 'DOT') {
		$s->{is_open} = 0;
	}
	return undef;
});

# A server of our own that is worse than a sink can be: a port, a process.
my @servers;
sub server {
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

# Without PIPELINING: what is sent before an answer is thrown away, one line
# is heard in each segment.
my $deaf = server(sub {
	my ($client) = @_;
	my $text = '';

	while (sysread $client, $text, 65536) {
		my ($verb) = $text =~ /^(\w+)/;
		syswrite $client, $verb eq 'DATA' ? "354 go ahead\r\n" :
		    $text =~ /^RCPT.*bad/ ? "550 5.1.1 who?\r\n" :
		    "250 Ok\r\n";
		next unless $verb eq 'DATA';
		for (my $body = ''; $body !~ /\r\n\.\r\n\z/; ) {
			sysread $client, $body, 65536, length $body or return;
		}
		syswrite $client, "250 2.0.0 Ok: taken\r\n";
	}
});

# It hangs up in the middle of a message; another address of it does not.
my $faint = server(sub {
	my ($client) = @_;
	my $text = '';

	while (sysread $client, $text, 65536) {
		syswrite $client, $text =~ /^DATA/ ? "354 go ahead\r\n" :
		    "250 Ok\r\n";
		return sysread $client, $text, 65536 if $text =~ /^DATA/;
	}
});
my $healthy = $mail->sink(address => '127.0.0.2', port => $faint);

# An answer as long as we take, from a host with a long name.
my $long = join '.', ('a' x 60) x 4, 'test';
Postrider::spew("$etc/hosts", "127.0.0.1 $long\n" .
    "127.0.0.1 two.test\n127.0.0.2 two.test\n");
my $wordy = $mail->sink(replies => sub {
	my ($verb) = @_;

	return undef unless $verb eq 'RCPT';
	return join "\r\n", (map { '450-4.2.1 ' . 'x' x 900 } 1 .. 8),
	    '450 4.2.1 later';
});

# One reply too many: what follows belongs to no command.
my $chatty = $mail->sink(replies => sub {
	my ($verb) = @_;

	return undef unless $verb eq 'DOT';
	return "250 2.0.0 Ok: taken\r\n550 5.7.1 and one more";
});

# 250 before it has seen the message.
my $hasty = $mail->sink(replies => sub {
	my ($verb) = @_;

	return undef unless $verb eq 'DATA';
	return "354 go ahead\r\n250 2.0.0 Ok: taken";
});

# 421 to the next message of a warm conversation.
my $tired = $mail->sink(replies => sub {
	my ($verb, $line, $s) = @_;

	return $verb eq 'MAIL' && $s->{count} > 0 ?
	    '421 4.3.2 enough for now' : undef;
});

$mail->set(dns_hosts_file => "$etc/hosts", transport_maps => 'inline:{ ' .
    join(', ', map { "{ $_->[0].test = smtp:$_->[1]:" . $_->[2]->port . ' }' }
    ['strict', '[127.0.0.1]', $strict],
    ['wordy', "[$long]", $wordy], ['chatty', '[127.0.0.1]', $chatty],
    ['hasty', '[127.0.0.1]', $hasty], ['tired', '[127.0.0.1]', $tired]) .
    ", { deaf.test = smtp:[127.0.0.1]:$deaf }, " .
    "{ faint.test = smtp:[two.test]:$faint } }");
$mail->start;

# Send one, wait for the line in the log that tells its end.
sub outcome {
	my (@to) = @_;

	$mail->send(from => '', to => \@to);
	return $mail->wait_log(qr/to=<\Q$to[-1]\E>, relay=.*\n/, 20);
}

for my $host ('strict', 'deaf') {
	like(outcome("bad1\@$host.test"), qr/status=bounced/,
	    "$host: nobody is there");
	like(outcome("good1\@$host.test"), qr/conn_use=2.*status=sent/,
	    'the next message in that conversation arrives');
}

like(outcome('r@wordy.test'), qr/status=deferred/,
    'a very long answer is an answer');
ok(eval { Postrider::wait_for(sub { $mail->queue_count('deferred') == 1 }, 10,
    'the message to be put back') }, 'and reaches the queue manager');

like(outcome('r1@chatty.test'), qr/status=sent/, 'a word too many');
like(outcome('r2@chatty.test'), qr/status=sent/,
    'is not taken for the answer to the next message');

like(outcome('r@hasty.test'), qr/status=deferred/,
    'an answer before the final dot is none');

like(outcome('r1@tired.test'), qr/status=sent/, 'a host takes a message');
like(outcome('r2@tired.test'), qr/status=sent/,
    '421 in a warm conversation is no reason to wait');

$mail->send(from => '', to => ['r@faint.test'],
    text => "Subject: long\n\n" . ('x' x 70 . "\n") x 120000);	# more than buffers hold
like($mail->wait_log(qr/to=<r\@faint.test>, relay=.*\n/, 20),
    qr/\[127\.0\.0\.2\].*status=sent/,
    'a message that was cut short is offered to the next host');

kill 'KILL', @servers;
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
