# keys.t - the process that has the private keys: what it signs, for whom, and
# what it does not; that nobody else has them.
use strict;
use warnings;
use Test::More;
use Postrider qw(bin is_alive need_root slurp spew wait_for);
use Postrider::Memory qw(search_memory);
use Errno ();
use POSIX ();
use Socket qw(AF_UNIX SOCK_SEQPACKET MSG_DONTWAIT pack_sockaddr_un);
use Time::HiRes qw(time);

need_root();

my $mail = Postrider->new;
my ($dir, $etc) = ($mail->dir, $mail->etc);
my $sane = !Postrider::is_sanitized();

# --- keys ---------------------------------------------------------------------

# A key and a certificate in one file, NAME.pem; NAME.pub and NAME.der too.
sub make
{
	my ($name, @how) = @_;

	for my $command (['req', '-x509', '-newkey', @how, '-nodes', '-keyout',
	    "$etc/$name.key", '-out', "$etc/$name.crt", '-days', '2',
	    '-subj', "/CN=$name.test"],
	    ['x509', '-in', "$etc/$name.crt", '-pubkey', '-noout', '-out',
	    "$etc/$name.pub"],
	    ['x509', '-in', "$etc/$name.crt", '-outform', 'DER', '-out',
	    "$etc/$name.der"],
	    ['pkey', '-pubin', '-in', "$etc/$name.pub", '-outform', 'DER',
	    '-out', "$etc/$name.spki"]) {
		system("openssl @$command 2>/dev/null") == 0
		    or die "openssl @$command";
	}
	# x509 -pubkey -out writes to standard output in some versions.
	spew("$etc/$name.pem", slurp("$etc/$name.key") .
	    slurp("$etc/$name.crt"));
	chmod 0600, "$etc/$name.pem", "$etc/$name.key";
	return ($name => digest(slurp("$etc/$name.spki")));
}

sub digest { require Digest::SHA; return Digest::SHA::sha256($_[0]) }

my %id = (make('rsa', 'rsa:2048'),
    make('ec', 'ec -pkeyopt ec_paramgen_curve:P-256'),
    make('ed', 'ed25519'),
    make('client', 'ec -pkeyopt ec_paramgen_curve:P-256'));

# --- packets ------------------------------------------------------------------

my %number = Postrider::packet_numbers();

sub number { return pack 'C q<', 1, $_[0] }
sub bool { return pack 'C C', 2, $_[0] ? 1 : 0 }
sub string { return pack('C V', 3, length $_[0]) . "$_[0]\0" }
sub data { return pack('C V', 5, length $_[0]) . $_[0] }
sub packet
{
	my ($type, $id, @fields) = @_;

	return pack('v v v v Q<', $number{$type}, scalar @fields, 0, 0, $id) .
	    join('', @fields);
}

# A channel to keys, made by this user, who says that it is this program.
sub channel
{
	my ($user, $hello) = @_;
	my ($uid, $gid) = (getpwnam $user)[2, 3];
	my $group = getgrnam 'postrider-to-keys';
	my @was = ($>, $));
	my $connected;

	socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die "$!";
	$) = $user eq 'nobody' ? "$gid $gid" : "$gid $group";
	$> = $uid;
	$connected = connect $s,
	    pack_sockaddr_un($mail->spool . '/private/keys.1');
	my $why = $!;
	($>, $)) = @was;
	if (!$connected) {
		$! = $why;
		return;
	}
	tell_it($s, packet('HELLO', 0, string($hello),
	    number($number{VERSION})));
	return $s;
}

# False when the other side has gone.
sub tell_it { my ($s, $packet) = @_; return defined send $s, $packet, 0x4000 }

# The next reply: (type, id, body); nothing at the end. Who closes with our
# packets unread is told of before what he said.
sub hear
{
	my ($s) = @_;

	local $SIG{ALRM} = sub { die "keys does not answer\n" };
	alarm 20;
	my $got = recv $s, my $packet, 65536, 0;
	$got = recv $s, $packet, 65536, 0 if !defined $got && $!{ECONNRESET};
	alarm 0;
	return unless defined $got && length $packet;
	my ($type, undef, undef, undef, $id) = unpack 'v v v v Q<', $packet;
	return ($type, $id, substr $packet, 16);
}

my $last = 0;
sub ask_signature
{
	my ($key, $message, %o) = @_;

	return packet('ASK_SIGNATURE', ++$last, data($key),
	    string($o{digest} // 'SHA256'), bool($o{pss} // 0),
	    number($o{salt} // -1), data($message));
}

# (signature, why not); dies when the channel is closed.
sub sign
{
	my ($s, @how) = @_;

	tell_it($s, ask_signature(@how)) or die "closed\n";
	my ($type, $id, $body) = hear($s) or die "closed\n";
	$type == $number{SIGNATURE} && $id == $last or die "a strange reply\n";
	my $length = unpack 'x V', $body;
	return (substr($body, 5, $length),
	    substr($body, 5 + $length + 5) =~ s/\0\z//r);
}

sub certificates
{
	my ($s, $service, $program, $name) = @_;

	tell_it($s, packet('ASK_CERTIFICATES', ++$last, string($service),
	    string($program), string($name))) or die "closed\n";
	my (undef, undef, $body) = hear($s) or die "closed\n";
	my ($is_there, $count) = unpack 'x C x8 x x V', $body;
	my $at = 2 + 9 + 5;
	my @der = map {
		my $length = unpack 'x V', substr $body, $at;
		my $der = substr $body, $at + 5, $length;
		$at += 5 + $length;
		$der;
	} 1 .. $count;
	return ($is_there, @der);
}

sub tickets
{
	my ($s, $service, $lifetime) = @_;

	tell_it($s, packet('ASK_TICKETS', ++$last, string($service),
	    number($lifetime))) or die "closed\n";
	my ($type, undef, $body) = hear($s) or return;
	return if $type != $number{TICKETS};
	return unpack 'x V x5 a16 x5 a32 x5 a32', $body;
}

# --- what handshakes have signed ----------------------------------------------

sub verify13
{
	my ($side, $size) = @_;
	return ' ' x 64 . "TLS 1.3, $side CertificateVerify\0" .
	    'h' x ($size // 32);
}
my $exchange = 'r' x 64 . pack('C n C', 3, 29, 32) . 'p' x 32;
my $transcript = join '', map { my $body = "\3\3" . 'm' x 48;
    pack('C C n', $_, 0, length $body) . $body } 1, 2, 11, 12, 13, 14, 11, 16;

# Does openssl find it good?
sub is_good
{
	my ($name, $message, $signature, @options) = @_;

	spew("$dir/message", $message);
	spew("$dir/signature", $signature);
	return system("openssl dgst @options -verify $etc/$name.pub " .
	    "-signature $dir/signature $dir/message >/dev/null 2>&1") == 0;
}
my @pss = map { ('-sigopt', $_) } 'rsa_padding_mode:pss',
    'rsa_pss_saltlen:digest';

# --- the system ---------------------------------------------------------------

spew("$etc/names", join '', map { "n$_.a.test $etc/ec.pem\n" } 1 .. 10_000);
$mail->set(smtpd_tls_chain_files => join(', ', map { "$etc/$_.pem" }
    qw(rsa ec ed)), smtp_tls_chain_files => "$etc/client.pem",
    tls_server_sni_maps => "texthash:$etc/names",
    tls_certificate_check_interval => '1h');
$mail->start;

# Processes that hold keys, not those that look at files for a moment.
sub holders
{
	return grep { slurp("/proc/$_/cmdline") !~ /\0--check\0/ }
	    $mail->children('keys');
}
my $smtpd = channel('postrider-smtpd', 'smtpd');
my $smtp = channel('postrider-smtp', 'smtp');
my $keys = wait_for(sub { (holders())[0] }, 10, 'keys');

# Seconds of a processor that a process has had.
sub cpu
{
	my @field = split ' ', slurp("/proc/$_[0]/stat") =~ s/^.*\) //r;

	return ($field[11] + $field[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

subtest 'certificates, and who may ask for which' => sub {
	my ($is_there, @der) = certificates($smtpd, 'smtp/inet', 'smtpd', '');
	is($is_there, 1, 'there are some');
	is(join(' ', map { unpack 'H*', digest($_) } sort @der),
	    join(' ', map { unpack 'H*', digest($_) } sort map {
	    slurp("$etc/$_.der") } qw(rsa ec ed)), 'the ones of main.cf');
	($is_there) = certificates($smtpd, '', 'smtpd', 'no.such.test');
	is($is_there, 0, 'none for a name without a row');
	($is_there, @der) = certificates($smtp, 'smtp/unix', 'smtp', '');
	ok($is_there && @der == 1 && $der[0] eq slurp("$etc/client.der"),
	    'the client\'s own');
	is((certificates($smtp, '', 'smtpd', ''))[0], 0,
	    'smtp does not get the server\'s');
	is((certificates($smtpd, '', 'smtp', ''))[0], 0,
	    'nor smtpd the client\'s');
};

# A stranger chooses the names that smtpd asks for.
subtest 'many names cost no time to look for' => sub {
	my $begin = cpu($keys);

	is((certificates($smtpd, 'smtp/inet', 'smtpd', 'n9999.a.test'))[0], 1,
	    'one of ten thousand');
	for (1 .. 300) {
		my $name = join '.', map { chr 97 + rand 26 } 1 .. 120;
		my ($is_there) = certificates($smtpd, 'smtp/inet', 'smtpd',
		    $name);
		is($is_there, 0, $name), last if $is_there;
	}
	cmp_ok(cpu($keys) - $begin, '<', 0.3, 'seconds for 300 long ones')
	    if $sane;
};

subtest 'it signs handshakes' => sub {
	for my $try (
	    ['rsa', verify13('server'), { pss => 1 }, '-sha256', @pss],
	    ['rsa', verify13('server', 48), { pss => 1, salt => 48,
	    digest => 'SHA384' }, '-sha384', @pss],
	    ['rsa', $exchange, { pss => 1, digest => 'SHA512' }, '-sha512',
	    @pss],
	    ['rsa', $exchange, {}, '-sha256'],
	    ['ec', verify13('server'), {}, '-sha256'],
	    ['ec', $exchange, { digest => 'SHA384' }, '-sha384']) {
		my ($name, $message, $o, @options) = @$try;
		my ($signature, $why) = sign($smtpd, $id{$name}, $message,
		    %$o);
		ok(is_good($name, $message, $signature, @options),
		    "$name @options") or diag $why;
	}
	my ($signature) = sign($smtpd, $id{ed}, verify13('server'),
	    digest => '');
	is(length $signature, 64, 'Ed25519');
	for my $message (verify13('client'), $transcript) {
		my ($got) = sign($smtp, $id{client}, $message);
		ok(is_good('client', $message, $got, '-sha256'), 'a client');
	}
};

# What an owned smtpd or smtp may try. Each is refused by a reply.
my $mail_text = "From: a\@local.test\nSubject: x\n\n" . 'x' x 100;
my @forbidden = (
    ['an unknown key', $smtpd, 'k' x 32, $exchange],
    ['a message', $smtpd, $id{rsa}, $mail_text],
    ['a certificate', $smtpd, $id{ec}, slurp("$etc/rsa.der")],
    ['a digest instead of a message', $smtpd, $id{ec}, digest('x')],
    ['raw RSA', $smtpd, $id{rsa}, "\0\1" . "\xff" x 221 . "\0" . 'h' x 32,
	digest => ''],
    ['raw RSA of a handshake', $smtpd, $id{rsa}, $exchange, digest => ''],
    (map { ["digest $_", $smtpd, $id{rsa}, $exchange, digest => $_] }
	qw(MD5 SHA1 MD5-SHA1 sha256 SHAKE256 NULL ../x)),
    ['a digest of Ed25519', $smtpd, $id{ed}, $exchange],
    ['PKCS 1 in TLS 1.3', $smtpd, $id{rsa}, verify13('server')],
    ['another salt', $smtpd, $id{rsa}, $exchange, pss => 1, salt => 20],
    ['no salt', $smtpd, $id{rsa}, $exchange, pss => 1, salt => 0],
    ['the longest salt', $smtpd, $id{rsa}, $exchange, pss => 1, salt => -3],
    ['PSS of a curve', $smtpd, $id{ec}, $exchange, pss => 1],
    ['a client\'s part by smtpd', $smtpd, $id{ec}, verify13('client')],
    ['a client\'s transcript by smtpd', $smtpd, $id{ec}, $transcript],
    ['the client\'s key by smtpd', $smtpd, $id{client}, $exchange],
    ['the server\'s key by smtp', $smtp, $id{ec}, verify13('server')],
    ['the same for a client\'s part', $smtp, $id{ec}, verify13('client')],
    ['a server\'s part by smtp', $smtp, $id{client}, verify13('server')],
    ['a key exchange by smtp', $smtp, $id{client}, $exchange]);

for my $try (@forbidden) {
	my ($what, $s, @how) = @$try;
	my ($signature, $why) = eval { sign($s, @how) };

	ok(defined $signature && $signature eq '' && length $why,
	    "TLS-17 $what is refused") or diag $@;
}

# Packets that are none: the channel is closed, and nothing else.
{
	my $good = ask_signature($id{ec}, $exchange);
	my $head = 16;
	my @bad = (
	    ['length 0 of a key', packet('ASK_SIGNATURE', 1, data(''),
		string('SHA256'), bool(0), number(-1), data($exchange))],
	    ['length 0 of a message', ask_signature($id{ec}, '')],
	    ['length -1', $good =~ s/\x05\K\x20\0\0\0/\xff\xff\xff\xff/r],
	    ['length 2^31', $good =~ s/\x05\K\x20\0\0\0/\0\0\0\x80/r],
	    ['a salt of 2^31', ask_signature($id{rsa}, $exchange, pss => 1,
		salt => 2 ** 31)],
	    ['half a packet', substr $good, 0, length($good) / 2],
	    ['a head alone', substr $good, 0, $head],
	    ['a byte too many', $good . 'x'],
	    ['ticket keys for smtp', packet('ASK_TICKETS', 1,
		string('smtp/inet'), number(60)), 'smtp']);
	# Every other request that there is: among them nothing decrypts.
	my @others = grep { !/^(?:HELLO|GOODBYE|REFUSED|ASK_CERTIFICATES|ASK_SIGNATURE|ASK_TICKETS|VERSION|TYPES|NONE)$/ }
	    sort { $number{$a} <=> $number{$b} } keys %number;

	for my $try (@bad, map { [$_, packet($_, 1, data($id{ec}))] }
	    @others) {
		my ($what, $packet, $who) = @$try;
		my $s = channel('postrider-' . ($who // 'smtpd'),
		    $who // 'smtpd') or die "$what: $!";
		tell_it($s, $packet);
		my @reply = hear($s);
		ok(!@reply, "TLS-17 $what closes the channel");
	}
}

subtest 'TLS-17 who it is decides, not what he says' => sub {
	my $s = channel('postrider-smtp', 'smtpd');
	tell_it($s, ask_signature($id{ec}, $exchange));
	my ($type) = hear($s);
	is($type // -1, $number{REFUSED}, 'smtp\'s user is not smtpd');
	ok(!defined hear($s), 'and the channel is closed');
	for my $name ('qmgr', 'keys', 'master', '*', '') {
		my $other = channel('postrider-smtpd', $name);
		tell_it($other, ask_signature($id{ec}, $exchange));
		my ($said) = hear($other);
		ok(!defined $said || $said == $number{REFUSED},
		    "smtpd is not $name");
	}
	for my $user (qw(postrider postrider-drop postrider-map postrider-dns
	    postrider-local postrider-log postrider-auth)) {
		my ($uid, $gid) = (getpwnam $user)[2, 3];
		my @groups = split ' ', qx(id -G $user);
		my $to = getgrnam 'postrider-to-keys';
		ok(!grep({ $_ == $to } @groups),
		    "$user has no way to the socket");
	}
	is(channel('nobody', 'smtpd'), undef, 'nobody cannot connect');
};

# Closed in the middle of everything, and never reading.
for my $round (1 .. 50) {
	my $s = channel('postrider-smtpd', 'smtpd') or last;
	tell_it($s, ask_signature($id{rsa}, $exchange, pss => 1)) for 1 .. 20;
	tell_it($s, substr ask_signature($id{rsa}, $exchange), 0, $round);
	close $s;
}
is((sign($smtpd, $id{ec}, $exchange))[1], '',
    'TLS-17 peers that leave without a word stop nobody');

# A million of them, as fast as they are taken; every one is answered.
subtest 'TLS-17 a million requests' => sub {
	my $count = $sane ? 1_000_000 : 20_000;
	my $flood = channel('postrider-smtpd', 'smtpd');
	my $bad = ask_signature('k' x 32, $exchange);
	my ($sent, $heard, $slowest, $next) = (0, 0, 0, 0);
	my $lines = $mail->said(qr/refused to smtpd/);

	while ($heard < $count) {
		$sent++ while $sent < $count && $sent - $heard < 500 &&
		    tell_it($flood, $bad);
		last unless defined recv $flood, my $reply, 65536, 0;
		last unless length $reply;
		$heard++;
		while (defined recv $flood, $reply, 65536, MSG_DONTWAIT) {
			last unless length $reply;
			$heard++;
		}
		next if $heard < $next;
		$next = $heard + $count / 20;
		my $begin = time;
		sign($smtp, $id{client}, verify13('client'));
		$slowest = time - $begin if time - $begin > $slowest;
	}
	is($heard, $count, 'all are answered');
	cmp_ok($slowest, '<', 2, 'while others are served in time');
	cmp_ok($mail->said(qr/refused to smtpd/) - $lines, '<=', 20,
	    'the log is not flooded');
	my ($rss) = slurp("/proc/$keys/status") =~ /^VmRSS:\s+(\d+)/m;
	cmp_ok($rss, '<', $sane ? 150_000 : 1_500_000, "memory: $rss KiB");
};

subtest 'TLS-17 good requests are limited as well' => sub {
	my $flood = channel('postrider-smtpd', 'smtpd');
	my $good = ask_signature($id{rsa}, $exchange, pss => 1);
	my $count = 3000;
	my ($signed, $refused) = (0, 0);

	tell_it($flood, $good) for 1 .. $count;
	my $begin = time;
	my ($signature) = sign($smtp, $id{client}, verify13('client'));
	ok(length $signature && time - $begin < 3,
	    'threads sign RSA, others go on');
	for (1 .. $count) {
		my (undef, undef, $body) = hear($flood) or last;
		if (unpack 'x V', $body) { $signed++ } else { $refused++ }
	}
	is($signed + $refused, $count, 'each is answered');
	cmp_ok($signed, '>=', 500, "signed: $signed");
	cmp_ok($refused, '>=', 1, "refused: $refused");
};

is(join(' ', holders()), $keys, 'TLS-17 the holder survives');
ok(is_good('ec', $exchange, (sign($smtpd, $id{ec}, $exchange))[0],
    '-sha256'), 'TLS-17 and signs on');

subtest 'ticket keys' => sub {
	my @a = tickets($smtpd, 'smtp/inet', 3600);
	my @b = tickets($smtpd, 'submission/inet', 3600);
	my $other = channel('postrider-smtpd', 'smtpd');
	my @c = tickets($other, 'smtp/inet', 3600);

	is($a[0], 1, 'one to begin with');
	isnt($a[$_], $b[$_], 'another one for another service') for 1 .. 3;
	is("@a", "@c", 'the same for every process of a service');
};

# --- who has the keys ---------------------------------------------------------

# What is secret in a private key: as PEM, as bytes, as OpenSSL's words.
sub secrets
{
	my ($name) = @_;
	my $text = qx(openssl pkey -in $etc/$name.key -text -noout);
	my @found;

	while ($text =~ /^(privateExponent|prime1|prime2|exponent1|priv):\s*\n((?:\s+[0-9a-f:]+\n)+)/mg) {
		my ($what, $hex) = ($1, $2);
		$hex =~ s/[^0-9a-f]//g;
		$hex =~ s/^00//;
		my $bytes = pack 'H*', $hex;
		# Parts are enough, and find what is half overwritten.
		push @found, [ "$name $what", substr $bytes, 0, 24 ],
		    [ "$name $what, reversed",
		    substr scalar(reverse $bytes), 0, 24 ];
	}
	my @lines = grep { length == 64 } split /\n/, slurp("$etc/$name.key");
	push @found, [ "$name PEM", $lines[-1] ] if @lines;
	return @found;
}

# Which of them are in a process's memory.
sub search
{
	my ($pid, @secrets) = @_;
	my %name = map { $_->[1] => $_->[0] } @secrets;

	return join ', ', sort map { $name{$_} }
	    search_memory($pid, keys %name);
}

my @secrets = map { secrets($_) } qw(rsa ec client);
cmp_ok(scalar @secrets, '>=', 12, 'secrets to look for: ' . @secrets);

subtest 'private keys are in one process' => sub {
	like(search($keys, @secrets), qr/rsa prime1, reversed/,
	    'the search finds them where they are');
	unlike(search($keys, @secrets), qr/PEM/,
	    'there their files\' text is gone');
	SKIP: {
		$mail->set(smtpd_tls_security_level => 'may');
		$mail->reload;
		my $said = '';
		eval { wait_for(sub {
			my $c = $mail->client;
			$c->expect(220);
			$said = $c->command('EHLO c.test', 250);
			$said =~ /STARTTLS/ }, 10, 'STARTTLS') };
		ok($said =~ /STARTTLS/, 'smtpd offers STARTTLS') or
		    skip 'no TLS to look at', 1;
		for my $how ('-tls1_2 -cipher DHE-RSA-AES256-GCM-SHA384',
		    '-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256',
		    '-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256',
		    '-tls1_3 -sigalgs rsa_pss_rsae_sha256',
		    '-tls1_3 -sigalgs ecdsa_secp256r1_sha256') {
			my $out = qx(printf 'QUIT\\r\\n' | timeout 20 openssl s_client -starttls smtp -connect 127.0.0.1:@{[$mail->port]} $how 2>&1);
			like($out, qr/Peer signature type: (?:RSA|ECDSA)/,
			    "a handshake: $how") or diag $out;
		}
		my @pids = grep { $_ } map { $mail->children($_) }
		    qw(smtpd resolve qmgr cleanup log);
		is(search($_, @secrets), '',
		    slurp("/proc/$_/comm") =~ s/\n//r . ' has none')
		    for @pids;
		is(search($mail->pid, @secrets), '', 'nor has master');
	}
};

subtest 'a key that is kept elsewhere cannot be read by its user' => sub {
	my $pid = (holders())[-1];
	my ($uid, $gid) = (getpwnam 'postrider-key')[2, 3];
	my $could = '';
	my $child = fork // die;
	if ($child == 0) {
		$) = "$gid $gid";
		POSIX::setgid($gid);
		POSIX::setuid($uid);
		POSIX::_exit(scalar grep { open my $f, '<', "/proc/$pid/$_" }
		    qw(mem maps environ));
	}
	waitpid $child, 0;
	is($? >> 8, 0, 'its memory is nobody\'s') if $sane;
	my @files = grep { !/^(?:socket|pipe|anon_inode):|^\/dev\/null$/ }
	    map { readlink } grep { !m{/2$} } glob "/proc/$pid/fd/*";
	is("@files", '', 'it has no file open but standard error');
	is(readlink("/proc/$pid/root"), $mail->spool . '/private',
	    'and sees none');
	is(slurp("/proc/$pid/status") =~ /^Uid:\s+(\d+)\s+\1\s+\1/m ? $1 : -1,
	    $uid, 'it runs as its own user');
};

subtest 'a process that is replaced serves who began with it' => sub {
	close $_ for $smtpd, $smtp;
	my $before = wait_for(sub { my @all = holders();
	    @all == 1 && $all[0] }, 15, 'the end of the one before');
	my $old = channel('postrider-smtpd', 'smtpd');
	sign($old, $id{ec}, $exchange);
	make('ec', 'ec -pkeyopt ec_paramgen_curve:P-256');
	my $ec = digest(slurp("$etc/ec.spki"));
	my @tickets = tickets($old, 'smtp/inet', 3600);
	$mail->reload;
	my $after = wait_for(sub { (grep { $_ != $before } holders())[0] },
	    10, 'another keys process');
	my ($type) = hear($old);
	is($type, $number{GOODBYE}, 'it says goodbye');
	my ($signature) = sign($old, $id{ec}, $exchange);
	cmp_ok(length $signature, '>', 60, 'and signs with the old key');
	my $fresh = channel('postrider-smtpd', 'smtpd');
	($signature) = sign($fresh, $ec, $exchange);
	ok(is_good('ec', $exchange, $signature, '-sha256'),
	    'the other one with the new key');
	is((sign($fresh, $id{ec}, $exchange))[0], '', 'not with the old one');
	isnt((tickets($fresh, 'smtp/inet', 3600))[2], $tickets[2],
	    'its ticket keys are others');
	ok(is_alive($before), 'the old one waits for who may still need it');
	close $old;
	wait_for(sub { !is_alive($before) }, 15, 'its end');
	pass('and goes when nobody does');
	is(join(' ', holders()), $after, 'the new one stays');
};

is(join('', $mail->complaints), '', 'nothing fell');
$mail->stop;
done_testing();
