# xforward.t - where a message came from at first is told by XFORWARD: it is
# logged, kept, and told to the next host, and changes nothing else.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	local_recipient_maps => '', mydestination => 'local.test',
	smtpd_peername_lookup => 'no', smtpd_error_sleep_time => '0s',
	smtpd_hard_error_limit => 1000, notify_classes => '',
	smtpd_authorized_xforward_hosts => '127.0.0.1',
	smtp_send_xforward_command => 'yes', myhostname => 'mail.local.test',
	local_header_rewrite_clients => '', remote_header_rewrite_domain => '',
	append_dot_mydomain => 'yes',
}, master => <<'END');
quiet     unix - - n - - smtp -o smtp_send_xforward_command=no
plain     unix - - n - - smtp -o smtp_discard_ehlo_keywords=xforward
END
my (%heard, @sinks);
my $attributes = 'XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE';

# A sink that offers this, and keeps what it is told in a file.
sub sink {
	my ($name, $offer, $answer) = @_;
	my $file = $mail->etc . "/$name.heard";
	my $sink = $mail->sink(extensions => ['PIPELINING', $offer],
	    replies => sub {
		my ($verb, $line) = @_;
		open my $f, '>>', $file or die "$file: $!";
		syswrite $f, "$line\n";
		return $verb eq 'XFORWARD' ? $answer // '250 2.0.0 Ok' :
		    undef;
	});
	$heard{$name} = $file;
	return $sink->port;
}

# What it was told before MAIL, the last time.
sub told {
	my ($name) = @_;
	my @lines = split /\n/, Postrider::slurp($heard{$name});
	my (@told, @x);

	for (@lines) {
		@x = () if /^EHLO|^QUIT|^DATA/;
		push @x, $_ =~ s/^XFORWARD //r if /^XFORWARD/;
		@told = @x if /^MAIL/;
	}
	return join ' ', @told;
}

my $all = sink('all', $attributes);
my $some = sink('some', 'XFORWARD NAME HELO NEW');
my $refuses = sink('refuses', $attributes, '501 5.5.4 Bad syntax');
$mail->set(transport_maps => 'inline:{ ' . join(', ',
    "{ all.test = smtp:[127.0.0.1]:$all }",
    "{ some.test = smtp:[127.0.0.1]:$some }",
    "{ refuses.test = smtp:[127.0.0.1]:$refuses }",
    "{ quiet.test = quiet:[127.0.0.1]:$all }",
    "{ plain.test = plain:[127.0.0.1]:$all }",
    '{ later.test = smtp:[127.0.0.1]:1 }') . ' }');
$mail->start;

sub session {
	my ($from) = @_;
	my $c = Postrider::Client->new($mail->port, from => $from);
	$c->expect(220);
	$c->command('EHLO filter.test', 250);
	return $c;
}

# Send a message with these commands before it; its id.
sub message {
	my ($to, @before) = @_;
	my $c = session();

	$c->command($_, 250) for @before;
	$c->script('MAIL FROM:<a@b.test>' => 250, "RCPT TO:<$to>" => 250,
	    'DATA' => 354);
	my ($id) = $c->data("From: joe\@host\nSubject: x\n\ny\n") =~
	    /queued as (\w+)/;
	$c->command('QUIT', 221);
	return $id;
}

# Who may, and how.
{
	my $c = Postrider::Client->new($mail->port, from => '127.0.0.2');
	$c->expect(220);
	unlike($c->command('EHLO c.test', 250), qr/XFORWARD/,
	    'a stranger is not offered it');
	like($c->command('XFORWARD NAME=x.test'), qr/^550 5\.7\.0/,
	    'and may not use it');
	$c = Postrider::Client->new($mail->port);
	$c->expect(220);
	like($c->command('EHLO c.test', 250),
	    qr/^250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT$/m,
	    'EHLO tells the attributes');
	my @bad = (
		'' => 'Syntax: XFORWARD attribute=value...',
		'NAME' => 'Error: attribute=value expected',
		'LOGIN=x' => 'Bad XFORWARD attribute name: LOGIN',
		'ADDR=x' => 'Bad ADDR syntax: x',
		'SOURCE=here' => 'Bad SOURCE syntax: here',
		'PROTO=' . 'x' x 65 => 'Bad PROTO syntax: ' . 'x' x 65,
		'IDENT=a+0Ab' => 'Bad IDENT syntax: a+0Ab',
	);
	while (my ($args, $why) = splice @bad, 0, 2) {
		is($c->command("XFORWARD $args"), "501 5.5.4 $why", $why);
	}
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('XFORWARD NAME=x.test'), qr/^503 5\.5\.1/,
	    'not within a transaction');
	$c->command('QUIT', 221);
}

# The log, the queue file, and what does not change.
{
	my $id = message('r@later.test', 'XFORWARD NAME=orig.test ' .
	    'ADDR=IPV6:2001:db8::2 PORT=99', 'XFORWARD HELO=h+20h PROTO=SMTP ' .
	    'IDENT=ABC123 SOURCE=REMOTE');
	ok($mail->wait_log(qr/$id: client=unknown\[127\.0\.0\.1\], orig_queue_id=ABC123, orig_client=orig\.test\[2001:db8::2\]\n/),
	    'the log has the original client beside the real one');
	my ($status, $text) = $mail->postrider('queue', 'cat', $id);
	my %is = $text =~ /named_attribute: (\w+)=(.*)$/mg;
	my %should = (log_client_name => 'orig.test',
	    log_client_address => '2001:db8::2', log_client_port => 99,
	    log_helo_name => 'h h', log_protocol_name => 'SMTP',
	    log_ident => 'ABC123', rewrite_context => 'remote',
	    client_name => 'unknown', client_address => '127.0.0.1',
	    helo_name => 'filter.test', protocol_name => 'ESMTP');
	is($is{$_}, $should{$_}, "postcat: $_") for sort keys %should;
	like($text, qr/^Received: from filter\.test \(unknown \[127\.0\.0\.1\]\)/m,
	    'Received tells who brought it');
	like($text, qr/^From: joe\@host\r?$/m,
	    'SOURCE=REMOTE: headers are not ours to rewrite');
	$id = message('r@later.test', 'XFORWARD SOURCE=LOCAL');
	($status, $text) = $mail->postrider('queue', 'cat', $id);
	like($text, qr/^From: joe\@host\.local\.test\r?$/m,
	    'SOURCE=LOCAL: they are');
	like($text, qr/rewrite_context=local/, 'and postcat says so');
}

# It is for one transaction.
{
	my $c = session();
	$c->command('XFORWARD NAME=orig.test', 250);
	for my $expected (qr/: client=\S+, orig_client=orig\.test\n/,
	    qr/: client=\S+\[127\.0\.0\.1\]\n/) {
		$c->script('MAIL FROM:<a@b.test>' => 250,
		    'RCPT TO:<r@later.test>' => 250, 'DATA' => 354);
		my ($id) = $c->data("x\n") =~ /queued as (\w+)/;
		ok($mail->wait_log(qr/$id$expected/), "$expected");
	}
	$c->script('XFORWARD NAME=orig.test' => 250, 'RSET' => 250,
	    'MAIL FROM:<a@b.test>' => 250, 'RCPT TO:<r@later.test>' => 250,
	    'DATA' => 354);
	my ($id) = $c->data("x\n") =~ /queued as (\w+)/;
	ok($mail->wait_log(qr/$id: client=\S+\[127\.0\.0\.1\]\n/),
	    'RSET forgets it');
	$c->command('QUIT', 221);
}

# To the next host.
sub sent {
	my ($to, @before) = @_;
	my $id = message($to, @before);
	$mail->wait_log(qr/$id: to=<\Q$to\E>.*status=sent/, 15);
	return $id;
}
{
	my $id = sent('r@all.test', 'XFORWARD NAME=orig.test ADDR=192.0.2.7 ' .
	    'PORT=99 PROTO=SMTP HELO=h+20h IDENT=ABC123 SOURCE=REMOTE');
	is(told('all'), 'NAME=orig.test ADDR=192.0.2.7 PORT=99 PROTO=SMTP ' .
	    'HELO=h+20h IDENT=ABC123 SOURCE=REMOTE',
	    'what was told is told on');
	$id = sent('r@all.test', 'XFORWARD ADDR=IPV6:2001:db8::2');
	is(told('all'), 'NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::2 ' .
	    'PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE] ' .
	    "IDENT=$id SOURCE=REMOTE", 'what is not known is not made up');
	$id = sent('r@all.test');
	like(told('all'), qr/^NAME=\[UNAVAILABLE\] ADDR=127\.0\.0\.1 PORT=\d+ PROTO=ESMTP HELO=filter\.test IDENT=$id SOURCE=REMOTE$/,
	    'without it, our own client is told');
	$mail->sendmail("Subject: x\n\ny\n", '-f', 'a@b.test', 'l@all.test');
	$mail->wait_log(qr/to=<l\@all\.test>.*status=sent/, 15);
	like(told('all'), qr/^NAME=\[UNAVAILABLE\] ADDR=\[UNAVAILABLE\] .* SOURCE=LOCAL$/,
	    'mail of this host is LOCAL');
	sent('r@some.test', 'XFORWARD NAME=orig.test HELO=h.test');
	is(told('some'), 'NAME=orig.test HELO=h.test',
	    'only what the host knows');
	sent('r@refuses.test');
	ok($mail->wait_log(qr/warning: \w+: host \S+ said: 501 5\.5\.4 Bad syntax \(in reply to XFORWARD\)/),
	    'a refusal is told, and the mail goes');
	sent("r\@$_.test") for 'quiet', 'plain';
	is(told('all'), '', 'not where it is off');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
