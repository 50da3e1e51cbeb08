# chunks.t - a message goes by BDAT to who takes it so, whole and once; who
# only says so gets it by DATA.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_RCVBUF TCP_MAXSEG);
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_data_done_timeout => '3s', smtp_data_xfer_timeout => '5s',
	minimal_backoff_time => '1000s', notify_classes => '',
	smtp_connection_cache_time_limit => '30s', smtp_processes => 1,
	smtp_randomize_addresses => 'no', smtp_host_lookup => 'native',
	message_size_limit => 20_000_000, smtp_line_length_limit => 0,
}, master => <<'END');
plain     unix - - n - - smtp -o smtp_discard_ehlo_keywords=chunking
mailboxes unix - - n - - lmtp -o lmtp_host_lookup=native
    -o lmtp_randomize_addresses=no
END
my $etc = $mail->etc;
my ($hosts, $routes, %sink, %second) = ('', '');

sub heard { return Postrider::slurp("$etc/$_[0].heard") }

# A domain with one host that talks so, and another.
sub domain {
	my ($name, %o) = @_;
	my $talk = $o{replies};
	my @more = $o{lmtp} ? (lmtp => 1) : ();

	$sink{$name} = $mail->sink(extensions => $o{extensions} //
	    [qw(PIPELINING 8BITMIME CHUNKING), 'SIZE 0'], @more,
	    replies => sub {
		my ($verb, $line) = @_;
		open my $f, '>>', "$etc/$name.heard" or die;
		syswrite $f, "$line\n" unless $verb =~ /^(DOT|CONTENT)$/;
		return $talk ? $talk->(@_) : undef;
	});
	my $port = $sink{$name}->port;
	$second{$name} = $mail->sink(address => '127.0.0.2', port => $port,
	    @more, extensions => [qw(PIPELINING 8BITMIME CHUNKING)]);
	$hosts .= "127.0.0.$_ $name.test\n" for 1, 2;
	my $transport = $o{transport} // 'smtp';
	my $inet = $o{lmtp} ? "inet:$name.test:$port" : "[$name.test]:$port";
	$routes .= "$name.test $transport:$inet\n";
}

domain('good');
domain('simple', extensions => ['CHUNKING']);
domain('plain', transport => 'plain');
domain('first', replies => sub {
	return $_[0] eq 'BDAT' ? '452 4.3.1 no room' : undef;
});
domain('slow', extensions => ['CHUNKING'], replies => sub {
	return $_[0] eq 'BDAT' && @{ $_[2]{chunks} } == 2 ?
	    '552 5.3.4 too much' : undef;
});
domain('late', replies => sub {
	return $_[0] eq 'DOT' ? '450 4.7.1 later' : undef;
});
domain('never', replies => sub {
	return $_[0] eq 'DOT' ? '554 5.7.1 no' : undef;
});
domain('liar', replies => sub {
	return $_[0] eq 'BDAT' ? '500 5.5.2 what?' : undef;
});

# A host that answers each chunk at once. With last words it has a small window
# and reads none: when we cannot write any more it says them and hangs up. DATA
# it takes.
my @hosts;
sub host {
	my ($name, $words) = @_;
	my $listener = IO::Socket::INET->new(Proto => 'tcp',
	    LocalAddr => '127.0.0.3') or die;
	if ($words) {
		setsockopt $listener, SOL_SOCKET, SO_RCVBUF, 4096;
		setsockopt $listener, IPPROTO_TCP, TCP_MAXSEG, 536;
	}
	listen $listener, 5;
	$hosts .= "127.0.0.3 $name.test\n";
	$routes .= "$name.test smtp:[$name.test]:" . $listener->sockport . "\n";
	defined(my $child = fork) or die "fork: $!";
	return push @hosts, $child if $child;
	local $SIG{PIPE} = 'IGNORE';
	while (my $c = $listener->accept) {
		my $data = 0;
		print $c "220 rude\r\n";
		while (my $line = <$c>) {
			if ($data ? $line eq ".\r\n" : $line =~ /^[MR]/) {
				print $c "250 Ok\r\n";
				$data = 0;
			} elsif ($data) {
				next;
			} elsif ($line =~ /^EHLO/) {
				print $c "250-rude\r\n250-PIPELINING\r\n" .
				    "250 CHUNKING\r\n";
			} elsif ($line =~ /^DATA/) {
				print $c "354 go\r\n";
				$data = 1;
			} elsif (!$words && $line =~ /^BDAT (\d+)/) {
				read $c, my $chunk, $1;
				syswrite $c, "250 Ok\r\n";
			} else {
				if ($line =~ /^BDAT/) {
					select undef, undef, undef, 0.7;
					print $c $words;
				}
				last;
			}
		}
		close $c;
	}
	POSIX::_exit(0);
}
host('rude', "500 5.5.2 what?\r\n");
host('parting', "250 Ok\r\n552 5.3.4 enough\r\n");
host('steady');
END { kill 'TERM', @hosts }

domain('nobody', replies => sub {
	return $_[0] eq 'RCPT' ? '550 5.1.1 who?' : undef;
});
domain('closes', replies => sub {
	return $_[0] eq 'BDAT' && @{ $_[2]{chunks} } == 2 ? 'CLOSE' : undef;
});
domain('gone', replies => sub { return $_[0] eq 'DOT' ? 'CLOSE' : undef });
domain('hangs', replies => sub { return $_[0] eq 'DOT' ? 'HANG' : undef });
domain('eager', replies => sub {
	return $_[0] eq 'RCPT' ? "250 2.1.5 Ok\r\n554 5.7.1 not this one" :
	    undef;
});
domain('lmtp', lmtp => 1, transport => 'mailboxes', replies => sub {
	my ($verb, $line) = @_;
	return undef if $verb ne 'DOT';
	return $line =~ /full/ ? '452 4.2.2 full' :
	    $line =~ /gone/ ? '550 5.1.1 gone' : undef;
});
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

# The text as it should have arrived.
sub arrived {
	my ($sink) = @_;
	my ($m) = reverse $sink->messages;
	my ($body) = $m->{data} =~ /\r\n\r\n(.*)\z/s;

	return ($body, $m);
}

my $dots = "Subject: dots\n\n.\n..\n.x\na.\n\n.\nlast";
like(outcome('r@good.test', $dots), qr/status=sent \(250 2\.0\.0 Ok: taken/,
    'a message in one chunk');
my ($body, $m) = arrived($sink{good});
is($body, ".\r\n..\r\n.x\r\na.\r\n\r\n.\r\nlast\r\n",
    'dots are nothing special');
is("@{ $m->{chunks} }", length $m->{data}, 'the size is what it has');
unlike(heard('good'), qr/^DATA/m, 'DATA is not said');
like(heard('good'), qr/^MAIL.*\nRCPT.*\nBDAT \d+ LAST$/m, 'but BDAT');

my $big = "Subject: big\n\n" . join '', map { "$_ " . 'x' x 60 . "\n" }
    1 .. 20_000;
for my $host ('good', 'simple') {
	like(outcome("big\@$host.test", $big), qr/status=sent/,
	    "$host: a big one");
	($body, $m) = arrived($sink{$host});
	my $sum = 0;
	$sum += $_ for @{ $m->{chunks} };
	is($sum, length $m->{data}, "$host: sizes are right");
	cmp_ok(@{ $m->{chunks} }, '>', 5, "$host: it comes in several");
	is($body, ($big =~ s/^.*?\n\n//sr) =~ s/\n/\r\n/gr,
	    "$host: and is whole");
	like((heard($host) =~ /(BDAT.*\n)(?!BDAT)/g)[-1], qr/ LAST$/,
	    "$host: the last one says so");
}
like(outcome('next@good.test'), qr/conn_use=\d.*status=sent/,
    'the conversation goes on');

like(outcome('r@plain.test', $dots), qr/status=sent/,
    'smtp_discard_ehlo_keywords = chunking');
unlike(heard('plain'), qr/^BDAT/m, 'is respected');

like(outcome('r@first.test', $big), qr/\[127\.0\.0\.2\].*status=sent/,
    'who refuses a chunk for now: another host');
like($mail->log, qr/host first\.test\S+ said: 452 4\.3\.1 no room \(in reply to BDAT command\)/,
    'the log says what it said');
like(outcome('r@slow.test', $big),
    qr/dsn=5\.3\.4, status=bounced \(host .* said: 552 5\.3\.4 too much/,
    'who refuses the second for good');
like(heard('slow'), qr/^BDAT \d+\nBDAT \d+\n(?!BDAT)/m,
    'hears no third');
like(outcome('again@slow.test'), qr/conn_use=2.*status=sent/,
    'but the next message');
like(heard('slow'), qr/^BDAT \d+\nRSET\nMAIL/m, 'behind RSET');
like(outcome('r@late.test'), qr/\[127\.0\.0\.2\].*status=sent/,
    '4yz to the last chunk: another host');
like(outcome('r@never.test'), qr/dsn=5\.7\.1, status=bounced/,
    '5yz to it is final');
outcome('next@never.test');
like(heard('never'), qr/LAST\nRSET\nMAIL/, 'RSET follows, too');

like(outcome('r@liar.test'), qr/\[127\.0\.0\.1\].*status=sent/,
    'who does not know BDAT gets DATA');
like(heard('liar'), qr/^BDAT.*\n+EHLO.*\nMAIL.*\nRCPT.*\nDATA/m,
    'in another conversation');
is($sink{liar}->sessions, 2, 'with the same host');

# Their last words, while we are still sending.
my $huge = "Subject: huge\n\n" . ('x' x 70 . "\n") x 200_000;
like(outcome('r@parting.test', $huge), qr/dsn=5\.3\.4, status=bounced \(host .* said: 552 5\.3\.4 enough/,
    'a refusal behind a "250" is heard, though the host hangs up');
like(outcome('r@rude.test', $huge), qr/\[127\.0\.0\.3\].*status=sent/,
    'who hangs up at BDAT gets DATA');

# Answers to chunks come while we speak, at whatever instant.
my @lost = grep { !/status=sent/ } map { outcome("r$_\@steady.test", $huge) }
    1 .. 12;
is("@lost", '', 'an answer to a chunk is never taken for another one');

like(outcome('r@nobody.test'), qr/status=bounced/, 'without recipients');
unlike(heard('nobody'), qr/^BDAT/m, 'no chunk is sent');

like(outcome('r@closes.test', $big), qr/\[127\.0\.0\.2\].*status=sent/,
    'a conversation that breaks before the last chunk: another host');
for my $host ('gone', 'hangs') {
	like(outcome("r\@$host.test"), qr/dsn=4\.4\.2, status=deferred \(\S+.* while sending end of data -- message may be sent more than once\)/,
	    "$host: no answer to the last chunk");
	is($second{$host}->sessions, 0, 'nobody else may get it');
}
like(outcome('r@eager.test'), qr/dsn=5\.7\.1, status=bounced/,
    'a refusal before the last byte is heard');
is($sink{eager}->count, 0, 'and nothing was delivered');

outcome([map { "$_\@lmtp.test" } qw(ok full gone fine)]);
for ([ok => 'sent'], [full => 'sent'], [gone => 'bounced'],
    [fine => 'sent']) {
	like($mail->log, qr/to=<$_->[0]\@lmtp\.test>,.*status=$_->[1]/,
	    "LMTP: $_->[0] is $_->[1]");
}
like($mail->log, qr/to=<full\@.*\[127\.0\.0\.2\].*status=sent/,
    'by another host, where it was full');
like(heard('lmtp'), qr/^BDAT \d+ LAST$/m, 'by BDAT, an answer for each');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
