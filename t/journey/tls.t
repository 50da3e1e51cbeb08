# tls.t - TLS between this system and programs of others: openssl's client, and
# Debian's Postfix and Exim (with GnuTLS) as clients and as servers, at each
# level of security, with a test's own authority.

use strict;
use warnings;

use lib 't/lib';
use IPC::Open2 ();
use Postrider qw(free_port need_root slurp spew wait_for);
use Postrider::CA;
use Postrider::Exim;
use Postrider::Fixture;
use Postrider::Postfix;
use Test::More;
use Time::HiRes qw(time);

need_root();		# Postfix and Exim want users

my $wrapped = free_port();
my $theirs = free_port();	# Postfix's, TLS at once
my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtpd_tls_loglevel => 1,
	smtpd_tls_received_header => 'yes', smtpd_tls_ask_ccert => 'yes',
	smtp_tls_loglevel => 1, smtp_host_lookup => 'native',
	disable_dns_lookups => 'yes',
    }, master => "127.0.0.1:$wrapped inet n - n - - smtpd\n" .
    "  -o smtpd_tls_wrappermode=yes\n");
my $dir = $sut->dir;
my $ca = Postrider::CA->new("$dir/ca");
my $other = Postrider::CA->new("$dir/other");
my $middle = $ca->intermediate;
my %cert = (
	mx => $middle->issue(name => 'sut.test', ca => $middle,
	    san => ['sut.test', 'localhost']),
	rsa => $middle->issue(name => 'sut.test', ca => $middle,
	    key => 'rsa', san => ['sut.test', 'localhost']),
	sni => $ca->issue(name => 'second.test'),
	client => $ca->issue(name => 'client.test', client => 1),
	theirs => $ca->issue(name => 'theirs.test', key => 'rsa',
	    san => ['theirs.test', 'localhost']),
);
spew("$dir/all.pem", join '', map { slurp($cert{$_}{all}) } qw(mx rsa));
chmod 0600, "$dir/all.pem";
spew("$dir/sni", "second.test $cert{sni}{all}\n");
my $print = $ca->fingerprint($cert{mx}{cert}, 'sha256');
my $their_print = $ca->fingerprint($cert{theirs}{cert}, 'sha256');
$sut->set(smtpd_tls_chain_files => "$dir/all.pem",
    smtpd_tls_CAfile => $ca->file,
    tls_server_sni_maps => "texthash:$dir/sni");

# --- openssl s_client ---------------------------------------------------------

# A session with it: what it printed. It says a mail, in small letters, since
# some capital ones are commands to it.
sub s_client
{
	my ($how, @words) = @_;
	my @to = $how eq 'wrapped' ? ('-connect', "localhost:$wrapped") :
	    ('-connect', 'localhost:' . $sut->port, '-starttls', 'smtp');
	my @say = ('ehlo openssl.test', 'mail from:<s@remote.test>',
	    'rcpt to:<alice@local.test>', 'data',
	    "subject: openssl\r\n\r\nx\r\n.", 'quit');
	my $text = '';

	my $pid = IPC::Open2::open2(my $out, my $in, 'sh', '-c',
	    'exec openssl s_client -crlf "$@" 2>&1', 'sh', @to, '-CAfile',
	    $ca->file, @words);
	local $SIG{PIPE} = 'IGNORE';
	local $SIG{ALRM} = sub { kill 'KILL', $pid };
	alarm 20;
	$in->autoflush(1);
	my $is_due = $how ne 'wrapped';
	# STARTTLS shows no reply that we would have to wait for.
	print $in shift(@say) =~ s/\r//gr, "\n" if $is_due;
	my $heard = 0;
	while (my $line = <$out>) {
		$text .= $line;
		$heard++ if $line =~ /^250-sut\.test/;
		next unless $line =~ /^[2345]\d\d /;
		next if $how ne 'wrapped' && !$heard;
		print $in shift(@say) =~ s/\r//gr, "\n" if @say;
	}
	close $in;
	waitpid $pid, 0;
	alarm 0;
	return $text;
}

sub try_openssl
{
	my ($how) = @_;

	for my $version ('1_2', '1_3') {
		my $shown = 'TLSv' . $version =~ tr/_/./r;
		my $text = s_client($how, "-tls$version", '-verify_hostname',
		    'sut.test', '-verify_return_error', '-sess_out',
		    "$dir/session");
		like($text, qr/New, $shown, Cipher is \S+_?/, $shown);
		like($text, qr/Verify return code: 0 \(ok\)/,
		    'with a chain to its authority');
		like($text, qr/^250 2\.0\.0 Ok: queued as .*^221 /ms,
		    'takes mail') or diag $text;
		# The first session of a process may come before the keys of
		# its tickets.
		for (1 .. 4) {
			s_client($how, "-tls$version", '-sess_out',
			    "$dir/session") if $_ > 1;
			$text = s_client($how, "-tls$version", '-sess_in',
			    "$dir/session");
			last if $text =~ /^Reused/m;
		}
		like($text, qr/Reused, $shown, /, 'and is resumed') or
		    diag $text;
		like($text, qr/^250 2\.0\.0 Ok: queued as .*^221 /ms,
		    'as well as before');
	}
	my $text = s_client($how, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0');
	like($text, qr/protocol version|no protocols available/,
	    'TLS 1.1 is none');
	unlike($text, qr/^250 2/m, 'takes nothing');
	$text = s_client($how, '-tls1_2', '-cipher', 'ECDHE-RSA-AES256-GCM-SHA384');
	like($text, qr/Peer signature type: RSA/, 'who wants RSA has it');
	$text = s_client($how, '-tls1_2', '-cipher',
	    'ECDHE-ECDSA-AES256-GCM-SHA384');
	like($text, qr/Peer signature type: ECDSA/, 'who wants EC, too');
	for (['second.test', 'second.test'], ['none.test', 'sut.test']) {
		$text = s_client($how, '-servername', $_->[0]);
		like($text, qr/^subject=CN = \Q$_->[1]\E$/m,
		    "$_->[0] is $_->[1]");
	}
	for (['smtp', qr/ALPN protocol: smtp/], ['http/1.1,smtp',
	    qr/ALPN protocol: smtp/]) {
		$text = s_client($how, '-alpn', $_->[0]);
		like($text, $_->[1], "ALPN $_->[0]");
		like($text, qr/^221 /m, 'takes mail');
	}
	$text = s_client($how, '-alpn', 'http/1.1');
	like($text, qr/alert no application protocol/, 'HTTP is sent away');
	$text = s_client($how, '-cert', $cert{client}{cert}, '-key',
	    $cert{client}{key});
	like($text, qr/^221 /m, 'with a certificate of its own');
	ok($sut->wait_log(qr/: Trusted TLS connection established from /),
	    'it is trusted');
}

# --- mail through another system ----------------------------------------------

# What a level is in a line of master.cf, and whether mail passes: the log's
# word for it, or why it does not.
sub levels
{
	my ($print) = @_;
	my $at = 'smtp_tls_CAfile=' . $ca->file;
	my $not = 'smtp_tls_CAfile=' . $other->file;
	my $level = 'smtp_tls_security_level';
	my $match = 'smtp_tls_fingerprint_cert_match';

	return (
		none => ["$level=none", ''],
		may => ["$level=may", 'Untrusted'],
		encrypt => ["$level=encrypt", 'Untrusted'],
		trusted => ["$level=encrypt $at", 'Trusted'],
		verify => ["$level=verify $at", 'Verified'],
		secure => ["$level=secure smtp_tls_secure_cert_match=" .
		    "hostname $at", 'Verified'],
		print => ["$level=fingerprint $match=$print " .
		    'smtp_tls_fingerprint_digest=sha256', 'Verified'],
		stranger => ["$level=verify $not",
		    qr/not (?:trusted|verified)/],
		noname => ["$level=secure smtp_tls_secure_cert_match=" .
		    "wrong.test $at", qr/not verified/],
		noprint => ["$level=fingerprint $match=" . 'AB:' x 31 . 'AB ' .
		    'smtp_tls_fingerprint_digest=sha256', qr/not verified/],
		old => ["$level=encrypt smtp_tls_mandatory_protocols=<=TLSv1.2" .
		    ",>=TLSv1.2", 'Untrusted'],
		cert => ["$level=encrypt smtp_tls_chain_files=" .
		    $cert{client}{all}, 'Untrusted'],
		reuse => ["$level=encrypt smtp_connection_cache_on_demand=yes" .
		    ' smtp_tls_connection_reuse=yes' .
		    ' smtp_connection_cache_destinations=localhost',
		    'Untrusted'],
	);
}
my %ours = levels($their_print);
my %postfix = levels($print);

# Lines of master.cf: a service for each level, with STARTTLS and with TLS at
# once, which has a name in the log.
sub services
{
	my (%levels) = @_;
	my $text = '';

	for my $name (sort keys %levels) {
		my $o = join '', map { " -o $_" } split / /, $levels{$name}[0];
		$text .= "start-$name unix - - n - - smtp$o" .
		    " -o syslog_name=start-$name\nwrap-$name unix - - n - - " .
		    "smtp$o -o smtp_tls_wrappermode=yes" .
		    " -o syslog_name=wrap-$name\n";
	}
	return $text;
}

# Rows of transport_maps: mail for NAME.start.WHERE and NAME.wrap.WHERE goes to
# these ports.
sub transports
{
	my ($where, $start, $wrap, %levels) = @_;

	return join '', map { "$_.start.$where start-$_:[localhost]:$start\n" .
	    "$_.wrap.$where wrap-$_:[localhost]:$wrap\n" } keys %levels;
}

# One message to a port for a domain; its recipient.
my $count = 0;
sub post
{
	my ($port, $domain) = @_;
	my $to = 'n' . ++$count . "\@$domain";

	$sut->take($sut->_connect('127.0.0.1', port => $port),
	    from => 's@remote.test', to => [$to],
	    text => "Subject: to $to\n\nx\n");
	return $to;
}

sub arrived
{
	my ($to) = @_;

	return ($sut->wait_remote(qr/^Subject: to \Q$to\E\r$/m))[0]{data};
}

# Mail through a client, whose levels these are, to a server at two ports; what
# the header has when TLS was there.
sub try_levels
{
	my ($client, $log, $where, $ports, $with, %levels) = @_;
	my %to;

	for my $name (sort keys %levels) {
		for my $way (qw(start wrap)) {
			next if $way eq 'wrap' && $name =~ /^(?:none|may)$/;
			$to{"$way-$name"} = post($client,
			    "$name.$way.$where");
		}
	}
	for my $name (sort keys %to) {
		my ($way, $level) = split /-/, $name;
		my ($set, $what) = @{ $levels{$level} };
		my $fate = wait_for(sub {
			$log->() =~ /(.* to=<\Q$to{$name}\E>, .*)\n/ && $1
		}, 20, "the fate of $to{$name}\n" . $log->());
		if (ref $what) {
			like($fate, qr/dsn=4\.7\.5, status=deferred .*$what/,
			    "$name: is kept");
			next;
		}
		like($fate, qr/status=sent/, "$name: is sent") or next;
		my $header = arrived($to{$name});
		if ($what eq '') {
			unlike($header, $with, 'in clear');
			next;
		}
		like($header, $with, 'in TLS');
		my $port = $ports->{$way};
		my ($says) = $log->() =~ /\b$name\/smtp\[\d+\]:\ (\w+)\ TLS
		    \ connection\ established\ to\ localhost\[127\.0\.0\.1\]
		    :$port:\ TLSv1\.[23]\ with\ cipher\ /x;
		is($says, $what, 'and the log says of the server');
	}
}

# Exim's words for its levels, and what its log has of the mail: how it went, or
# why it did not.
my $verify = "\ttls_verify_hosts = *\n\ttls_verify_certificates = ";
my $name = "\ttls_verify_cert_hostnames = *\n";
my %exim_way = (
	none => ["\thosts_avoid_tls = *\n", qr/ => (?!.* X=TLS)/],
	encrypt => ["\thosts_require_tls = *\n", qr/ X=TLS1\.3:\S+ CV=no /],
	verify => ["\thosts_require_tls = *\n$verify" . $ca->file .
	    "\n$name", qr/ X=TLS1\.3:\S+ CV=yes /],
	stranger => ["\thosts_require_tls = *\n$verify" . $other->file .
	    "\n$name", qr/ == .* TLS session: .*certif/],
	old => ["\thosts_require_tls = *\n\ttls_require_ciphers = " .
	    "NORMAL:-VERS-ALL:+VERS-TLS1.2\n", qr/ X=TLS1\.2:\S+ /],
	wrap => ["\tprotocol = smtps\n$verify" . $ca->file . "\n$name",
	    qr/ X=TLS1\.3:\S+ CV=yes /],
	cert => [sub {
		my ($exim) = @_;
		return "\thosts_require_tls = *\n\ttls_certificate = " .
		    $cert{client}{cert} . "\n\ttls_privatekey = " .
		    $exim->own($cert{client}{key}) . "\n";
	}, qr/ X=TLS1\.3:\S+ /],
);
sub exim_route
{
	my ($name) = @_;

	return { host => 'localhost', port => $name eq 'wrap' ? $wrapped :
	    $sut->port, lines => $exim_way{$name}[0] };
}

sub try_exim
{
	my ($exim) = @_;
	my %to = map { $_ => post($exim->port, "$_.here.test") }
	    sort keys %exim_way;

	for my $name (sort keys %to) {
		my $what = $exim_way{$name}[1];
		my $to = $to{$name};
		like(wait_for(sub { $exim->log =~
		    /^(.* (?:=>|==|\*\*) \Q$to\E .*)$/m && $1 }, 20,
		    "the fate of $to\n" . $exim->log), $what,
		    "$name: so it goes");
		next if $name eq 'stranger';
		like(arrived($to), $name eq 'none' ? qr/\) with ESMTP id / :
		    qr/\(using TLSv1\.[23] with cipher .*\tby sut\.test \(\S+\) with ESMTPS id /s,
		    'and arrives');
	}
	like(arrived($to{cert}), qr/\(Client CN "client\.test", Issuer "Postrider Test Root" \(verified OK\)\)/,
	    'its certificate is in the header');
}

# A message of some megabytes, with lines of all lengths and dots, in many
# records of TLS; each domain is reached by a port.
my $large = join '', map { ($_ % 7 ? '' : '.') .
    chr(97 + $_ % 26) x ($_ % 900) . "\n" } 1 .. 6000;
sub try_large
{
	my (@ways) = @_;
	my @to;

	while (my ($port, $domain) = splice @ways, 0, 2) {
		push @to, 'n' . ++$count . "\@$domain";
		$sut->take($sut->_connect('127.0.0.1', port => $port),
		    from => 's@remote.test', to => [$to[-1]],
		    text => "Subject: to $to[-1]\n\n$large");
	}
	for my $to (@to) {
		my $data = arrived($to);
		like($data, qr/^Received: .*(?:using TLSv1\.3|\(TLS1\.3\))/s,
		    "$to: came in TLS");
		my ($body) = $data =~ /\r\n\r\n(.*)\z/s;
		ok($body eq $large =~ s/\n/\r\n/gr, 'every byte is there');
	}
}

# Messages one after the other in one session of TLS.
sub try_reuse
{
	my ($port, $log, $domain) = @_;

	for (1 .. 4) {
		my $to = post($port, $domain);
		arrived($to);
		wait_for(sub { $log->() =~ / to=<\Q$to\E>, .*status=sent/ },
		    10, "the end of $to\n" . $log->());
	}
	like($log->(), qr/ to=<n\d+\@\Q$domain\E>, .*, conn_use=[23], .*status=sent/,
	    'one conversation has several messages');
}

# --- the systems --------------------------------------------------------------

my $postfix = Postrider::Postfix->new(settings => {
	relayhost => '[127.0.0.1]:' . $sut->remote->port,
	smtpd_tls_security_level => 'may', smtpd_tls_loglevel => 1,
	smtpd_tls_received_header => 'yes', smtpd_tls_ask_ccert => 'yes',
	smtpd_tls_cert_file => $cert{theirs}{chain},
	smtpd_tls_key_file => $cert{theirs}{key},
	smtpd_tls_CAfile => $ca->file, smtp_tls_loglevel => 1,
	smtp_tls_security_level => 'may',	# for its tlsproxy
	smtp_host_lookup => 'native', smtp_address_preference => 'ipv4',
	transport_maps => "texthash:$dir/postfix.transports",
	maillog_file => "$dir/postfix.log", minimal_backoff_time => '1000s',
    }, master => "127.0.0.1:$theirs inet n - n - - smtpd" .
    " -o smtpd_tls_wrappermode=yes\ntlsproxy unix - - n - 0 tlsproxy\n" .
    services(%postfix));
spew("$dir/postfix.transports", transports('here.test', $sut->port, $wrapped,
    %postfix));

my $exim = Postrider::Exim->new(tls => { cert => $cert{theirs}{chain},
    key => $cert{theirs}{key} }, options => "tls_verify_certificates = " .
    $ca->file . "\ntls_try_verify_hosts = *\n", routes => [
	(map { ("$_.here.test", exim_route($_)) } sort keys %exim_way),
	'*' => $sut->remote->port ]);

$sut->{master} .= services(%ours);
spew("$dir/transports", ($postfix ? transports('postfix.test', $postfix->port,
    $theirs, %ours) : '') . ($exim ? transports('exim.test', $exim->port,
    $exim->tls_port, %ours) : ''));
$sut->set(transport_maps => "texthash:$dir/transports",
    default_transport => 'smtp:[127.0.0.1]:' . $sut->remote->port);

# --- the claims ---------------------------------------------------------------

$sut->start;
subtest 'openssl, STARTTLS' => sub { try_openssl('starttls') };
subtest 'openssl, TLS at once' => sub { try_openssl('wrapped') };
SKIP: {
	skip 'no Postfix: ' . Postrider::Postfix::why(), 4 unless $postfix;
	$postfix->start;
	my $log = sub { slurp("$dir/postfix.log") };
	subtest 'Postfix is the client' => sub {
		try_levels($postfix->port, $log, 'here.test',
		    { start => $sut->port, wrap => $wrapped },
		    qr/\(using TLSv1\.[23] with cipher .*\tby sut\.test \(\S+\) with ESMTPS id /s,
		    %postfix);
	};
	subtest 'Postfix is the server' => sub {
		try_levels($sut->port, sub { $sut->log }, 'postfix.test',
		    { start => $postfix->port, wrap => $theirs },
		    qr/\(using TLSv1\.[23] with cipher .*\tby mail\.local\.test \(Postfix\) with ESMTPS id /s,
		    %ours);
		like($log->(), qr/ Trusted TLS connection established from /,
		    'it trusts a certificate of ours');
	};
	subtest 'conversations are used again' => sub {
		try_reuse($postfix->port, $log, 'reuse.start.here.test');
		try_reuse($sut->port, sub { $sut->log },
		    'reuse.start.postfix.test');
	};
	subtest 'Postfix and large messages' => sub {
		try_large($postfix->port, 'encrypt.start.here.test',
		    $postfix->port, 'encrypt.wrap.here.test', $sut->port,
		    'encrypt.start.postfix.test', $sut->port,
		    'encrypt.wrap.postfix.test');
	};
}
SKIP: {
	skip 'no Exim: ' . Postrider::Exim::why(), 3 unless $exim;
	$exim->start;
	subtest 'Exim is the client' => sub { try_exim($exim) };
	subtest 'Exim is the server' => sub {
		try_levels($sut->port, sub { $sut->log }, 'exim.test',
		    { start => $exim->port, wrap => $exim->tls_port },
		    qr/by exim\.test with esmtps\s+\(TLS1\.[23]\)/, %ours);
		like($exim->log, qr/CV=yes DN="CN=client\.test"/,
		    'it trusts a certificate of ours');
	};
	subtest 'Exim and large messages' => sub {
		try_large($exim->port, 'encrypt.here.test', $exim->port,
		    'wrap.here.test', $sut->port, 'encrypt.start.exim.test',
		    $sut->port, 'encrypt.wrap.exim.test');
	};
}

$sut->stop;
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
