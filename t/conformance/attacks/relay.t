# relay.t - mail for others that comes in disguise, clients that pretend to be
# ours, and questions who is here.
use strict;
use warnings;
use IO::Socket::IP;
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider qw(free_port slurp spew wait_for);
use Postrider::Fixture;

my $seed = $ENV{SEED} // 20261122;
my $elsewhere = 'ext.test';

my $sut = Postrider::Fixture->new(settings => {
	smtpd_authorized_xclient_hosts => '127.0.0.9',
	mynetworks => '127.0.0.1/32, 192.0.2.0/24, [2001:db8:1::]/48',
	local_recipient_maps => '$alias_maps', relayhost => '' });
my $sink = $sut->sink(is_noting => 1);
{
	# Whatever got out would come here.
	my $port = $sink->port;
	open my $f, '>>', $sut->etc . '/transport';
	print $f "$elsewhere smtp:[127.0.0.1]:$port\n";
	$sut->set(default_transport => "smtp:[127.0.0.1]:$port");
}
$sut->start;

# --- disguises ----------------------------------------------------------------

# Everything that was once understood as u@ext.test.
my @disguises = map { s/EXT/$elsewhere/gr } (
	'u%EXT@local.test', 'u@EXT@local.test', '"u@EXT"@local.test',
	'EXT!u@local.test', 'u@EXT.', 'u@[127.0.0.1]', 'u@localhost',
	'u%EXT@[127.0.0.1]', 'u@EXT@', 'u@LOCAL.TEST@EXT',
	'@local.test:u@EXT', '@local.test,@sut.test:u@EXT', 'u%EXT',
	'EXT!u', '"u@EXT"', '"u%EXT"@local.test', 'u%EXT%local.test',
	'"EXT!u"@local.test', 'EXT!u%x@local.test', 'u%EXT@localhost',
	'u%EXT@relay-ok.test%local.test', 'local.test!EXT!u',
	'u@EXT%local.test', 'u+x%EXT@local.test', 'u@[IPv6:::1]',
	'u@[IPv6:::ffff:127.0.0.1]', 'u@2130706433', 'u@127.0.0.1',
	'u@[192.0.2.1]', 'u@[127.0.0.1', 'u@EXT>, <alice@local.test',
	'alice@local.test,u@EXT', 'alice@local.test u@EXT',
	'team@local.test@EXT', 'u@EXT#@local.test', "u\@EXT\\\@local.test",
	'u@EXT;local.test', 'u@@EXT', 'u@local.test.EXT', 'u@xlocal.test',
	'"alice@local.test>"@EXT', '(x)u@EXT', 'u(@local.test)@EXT');
for my $to (@disguises) {
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my $reply = $c->command("RCPT TO:<$to>");
	like($reply, qr/^5(?:01|5[034]) 5\./, "REL-01 <$to>: " .
	    substr $reply, 0, 20);
	like($c->command('DATA'), qr/^(?:503|554) /,
	    'REL-01 and nothing is taken');
}
# The same behind what is ours: what is taken must stay here.
for my $to ('"u@' . $elsewhere . '"', 'u%' . $elsewhere) {
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my $reply = $c->command("RCPT TO:<$to\@relay-ok.test>");
	like($reply, qr/^5(?:01|5[034]) 5\./,
	    "REL-01 <$to\@relay-ok.test> is not passed to a host that may " .
	    'relay it') or note($reply);
}
{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250/,
	    'REL-01 a good address is taken');
	$sut->wait_empty;
	is($sink->sessions, 0, 'REL-01 and nobody was asked to relay');
	is($sut->relay->sessions, 0, 'REL-01 not even by way of a friend');
}

# --- who the client is --------------------------------------------------------

# How RCPT for somebody else is answered to a client with this address.
sub relays
{
	my ($address) = @_;
	my $c = Postrider::Client->new($sut->port, from => '127.0.0.9');

	$c->expect(220);
	$c->command('EHLO proxy.test', 250);
	my $reply = $c->command("XCLIENT ADDR=$address");
	return $reply unless $reply =~ /^220/;
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@remote.test>' => 250);
	return $c->command("RCPT TO:<u\@$elsewhere>");
}
my %clients = ('192.0.2.9' => 250, '192.0.3.9' => 554, '127.0.0.1' => 250,
    '127.0.0.2' => 554, 'IPV6:::1' => 554, 'IPV6:::ffff:127.0.0.1' => 250,
    'IPV6:::ffff:192.0.2.9' => 250, 'IPV6:::FFFF:C000:209' => 250,
    'IPV6:::ffff:192.0.3.9' => 554, 'IPV6:fe80::1' => 554,
    'IPV6:64:ff9b::192.0.2.9' => 554, 'IPV6:2002:c000:209::1' => 554,
    'IPV6:::192.0.2.9' => 554, 'IPV6:2001:db8:1::9' => 250,
    'IPV6:2001:DB8:1:0:0:0:0:9' => 250, 'IPV6:2001:db8:2::9' => 554,
    'IPV6:2001:db8:1:ffff:ffff:ffff:ffff:ffff' => 250);
for my $address (sort keys %clients) {
	like(relays($address), qr/^$clients{$address} /,
	    "REL-02 $address: $clients{$address}");
}
for my $bad ('192.0.2.9.', '192.0.2.09', '0300.0.2.9', '192.0.2', '3221225993',
    'IPV6:2001:db8:1::9%lo', 'IPV6:192.0.2.9', 'IPV6:[2001:db8:1::9]') {
	like(relays($bad), qr/^(?:501|554) /, "REL-02 $bad is no friend");
}
# Those who really come by IPv6.
SKIP: {
	my $probe = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) or
	    skip 'there is no IPv6 here', 3;
	my $port = $probe->sockport;
	$probe->close;
	my $six = Postrider::Fixture->new(settings => {
		inet_protocols => 'all', inet_interfaces => '127.0.0.1, ::1',
		mynetworks => '127.0.0.0/8' },
	    master => "[::1]:$port inet n - n - - smtpd\n")->start;
	my $says = sub {
		my $socket = IO::Socket::IP->new(PeerHost => '::1',
		    PeerPort => $port) or return "no connection: $@";
		my $c = bless { socket => $socket, buffer => '',
		    patience => 20 }, 'Postrider::Client';
		$socket->autoflush(1);
		$c->expect(220);
		$c->script('EHLO c.test' => 250,
		    'MAIL FROM:<s@remote.test>' => 250);
		return $c->command("RCPT TO:<u\@remote.test>");
	};
	like($says->(), qr/^554 5\.7\.1/,
	    'REL-02 ::1 is not one of 127.0.0.0/8');
	like($six->log, qr/ connect from unknown\[::1\]/,
	    'REL-02 though that was it');
	$six->set(mynetworks => '[::1]/128');
	$six->stop;
	$six->start;
	like($says->(), qr/^250/, 'REL-02 and is one of [::1]/128');
}
# Networks that are not what they seem: nobody is served, or nothing starts.
my @bad = ('127.0.0.1/8', '10.0.0.1/8', '192.0.2.0/33', '192.0.2.0/-1',
    '192.0.2.0/2x', '192.0.2/24', '300.0.0.0/8', '[2001:db8::1]/32',
    '[2001:db8::]/129', '2001:db8::/32/1', '127.0.0.0/8;10.0.0.0/8',
    '127.0.0.0/', '/8', '127.0.0.0/255.0.0.0');
for my $bad (@bad) {
	$sut->set(mynetworks => $bad);
	my ($status, $text) = $sut->postrider('check');
	isnt($status, 0, "REL-02 mynetworks = $bad: check fails");
	like($text, qr/mynetworks/, "REL-02 mynetworks = $bad: and says why");
}
{
	my $bad = Postrider::Fixture->new(settings => {
		mynetworks => '127.0.0.1/8, 0.0.0.0/0x' });
	my $reply = eval {
		$bad->start;
		my $c = Postrider::Client->new($bad->port, from => '127.0.0.2',
		    patience => 3);
		$c->expect(220);
		$c->script('EHLO c.test' => 250,
		    'MAIL FROM:<s@remote.test>' => 250);
		$c->command('RCPT TO:<u@ext.test>');
	} // 'none';
	unlike($reply, qr/^2/, 'REL-02 and nobody relays then');
	like($bad->log . $bad->output, qr/mynetworks/,
	    'REL-02 the log tells why');
}
# Everybody, when that is what it says: but check is no friend of it.
for my $all ('0.0.0.0/0', '[::]/0') {
	my @networks = ("127.0.0.1/32, $all");
	$sut->set(mynetworks => "@networks");
	my ($status, $text) = $sut->postrider('check');
	ok($status != 0 || $text =~ /mynetworks|relay/,
	    "REL-02 mynetworks = $all is spoken of") or note($text);
}
$sut->set(mynetworks => '127.0.0.1/32');

# --- who is here --------------------------------------------------------------

{
	my $c = $sut->stranger;
	my %replies;
	for my $who ('root', 'alice', 'no-such', 'alice@local.test',
	    'no-such@local.test', 'u@ext.test', 'bob', 'x' x 60) {
		my $reply = $c->command("VRFY $who");
		like($reply, qr/^25[02] |^502 /, "REL-05 VRFY $who");
		$reply =~ s/\Q$who\E//;
		$reply =~ s/\@\S+>/>/;
		$replies{$reply}++;
	}
	is(scalar(keys %replies), 1,
	    'REL-05 VRFY says the same of everybody') or diag(join "\n", %replies);
	like($c->command("EXPN $_"), qr/^50[02] /, "REL-05 EXPN $_")
	    for 'team', 'list', 'no-such';
	# Time tells nothing either: half a millisecond is lost in the noise.
	my %time;
	for (1 .. 150) {
		for my $who ('alice@local.test', 'no-such@local.test') {
			my $began = time;
			$c->command("VRFY $who");
			push @{ $time{$who} }, time - $began;
		}
	}
	my ($known, $unknown) = map { (sort { $a <=> $b } @$_)[75] }
	    @time{'alice@local.test', 'no-such@local.test'};
	cmp_ok(abs($known - $unknown), '<', 0.0005,
	    sprintf 'REL-05 nor does it take longer: %.0f and %.0f us',
	    $known * 1e6, $unknown * 1e6);
}
{
	my $usual = Postrider::Fixture->new(settings => {
		smtpd_hard_error_limit => undef,
		smtpd_error_sleep_time => '1s',
		smtpd_soft_error_limit => 18 })->start;
	my $c = $usual->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my $began = time;
	my @replies;
	for my $i (1 .. 1000) {
		my $reply = eval { $c->command("RCPT TO:<no-$i\@local.test>") }
		    // last;
		push @replies, substr $reply, 0, 3;
		last if $reply =~ /^421/;
	}
	my $last = eval { $c->reply } // 'closed';
	cmp_ok(scalar @replies, '<=', 21,
	    'REL-05 guessing ends after ' . @replies . ' recipients');
	ok($last =~ /^421 4\.7\.0/ || $replies[-1] eq '421',
	    "REL-05 with 421: $replies[-1], $last");
	cmp_ok(time - $began, '>', 0.9, 'REL-05 and answers were delayed');
	ok(eval { $c->is_closed } // 1, 'REL-05 the connection is closed');
}

# --- one address everywhere ---------------------------------------------------

# The form without needless quotes, as RFC 5321 4.1.2 has it.
sub plain
{
	my ($local, $domain) = $_[0] =~ /^(.*)@(.*)$/s;
	return $_[0] unless $local =~ s/^"(.*)"$/$1/s;
	$local =~ s/\\(.)/$1/gs;
	my $atom = qr/[A-Za-z0-9!#\$%&'*+\/=?^_`{|}~-]+/;
	return "$local\@$domain" if $local =~ /^$atom(?:\.$atom)*$/;
	$local =~ s/(["\\])/\\$1/g;
	return "\"$local\"\@$domain";
}

# Many addresses, made of all that may be in one: what RCPT said, what is
# logged, what the next host hears, and what a table is asked for are the same.
{
	srand $seed;
	note("seed $seed");
	my @atoms = (split(//, 'abcXYZ019!#$&\'*-/=?^_`{|}~+'), 'owner-',
	    '-request', 'a.b');
	my @quoted = (' ', '@', '\\"', '\\\\', '.', '..', ',', ';', ':', '(',
	    ')', '<', '>', 'a', '%', '!', "\\a");
	my @domains = ('relay-ok.test', 'RELAY-OK.test', 'Relay-Ok.Test');
	my (%sent, %has);
	while (keys %sent < 400) {
		my $local = rand() < 0.6 ?
		    join('', map { $atoms[rand @atoms] } 1 .. 1 + rand 12) :
		    '"' . join('', map { $quoted[rand @quoted] } 1 .. 1 +
		    rand 8) . '"';
		next if $local =~ /^\.|\.$|\.\./ && $local !~ /^"/;
		my $to = "$local\@$domains[rand @domains]";
		$sent{$to} = 1 unless $has{lc plain($to)}++;
	}
	$sut->set(smtpd_recipient_limit => 1000, mynetworks => '127.0.0.1/32',
	    resolve_dequoted_address => 'no', swap_bangpath => 'no',
	    allow_percent_hack => 'no', recipient_delimiter => '',
	    recipient_canonical_maps => 'regexp:${config_directory}/asked');
	# A table whose every answer is its key: what it is asked for is what
	# goes on.
	spew($sut->etc . '/asked', "/^asked\@/ told\@relay-ok.test\n" .
	    "/^(.*\@relay-ok\\.test)\$/ \$1\n");
	my %want = map { plain($_) => 1 } keys %sent;
	$sut->stop;
	$sut->start;
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my $said = 0;
	for my $to (sort keys %sent) {
		my $reply = $c->command("RCPT TO:<$to>");
		$said++ if $reply =~ /^250/;
		like($reply, qr/^250 /, "REL-08 $to") unless $reply =~ /^250/;
	}
	$c->command('RCPT TO:<asked@relay-ok.test>', 250);
	is($said, 400, "REL-08 seed $seed: 400 addresses are taken");
	$c->command('DATA', 354);
	my ($id) = $c->data("Subject: many\n\nx\n") =~ /queued as (\w+)/;
	wait_for(sub { $sut->said(qr/ $id: to=</) > keys %want }, 20,
	    'all to be sent');
	my %heard = map { $_ => 1 } map { @{ $_->{rcpt_lines} } }
	    $sut->relay->messages;
	ok(delete $heard{'RCPT TO:<told@relay-ok.test> ' .
	    'ORCPT=rfc822;asked@relay-ok.test'},
	    'REL-08 the table was asked') or note(join "\n", grep { /told/ }
	    keys %heard);
	my %lines = map { ("RCPT TO:<$_>" => 1) } keys %want;
	my @odd = grep { my $line = $_; $line =~ s/> (?:ORCPT|NOTIFY)=.*/>/;
	    !$lines{$line} } sort keys %heard;
	is("@odd[0 .. ($#odd > 3 ? 3 : $#odd)]", '',
	    'REL-08 the next host hears what we heard');
	my %logged = map { $_ => 1 }
	    $sut->log =~ / $id: to=<((?!told@).*?)>, relay=/g;
	@odd = grep { !$want{s/\\\\/\\/gr} && !$want{$_} } sort keys %logged;
	is("@odd[0 .. ($#odd > 3 ? 3 : $#odd)]", '',
	    'REL-08 and the log has the same');
	is(scalar(keys %logged), scalar(keys %want), 'REL-08 of all');
}

# --- lists that cannot be asked -----------------------------------------------

{
	my $rule = Postrider::Fixture->new(settings => {
		smtpd_end_of_data_restrictions =>
		    'check_recipient_access texthash:/nowhere, reject' });
	$rule->start;
	my ($status, $text) = $rule->postrider('check');
	isnt($status, 0, 'REL-09 check names a list that is not asked');
	like($text, qr/smtpd_end_of_data_restrictions/, 'REL-09 by its name');
	for my $count (1, 2) {
		my $c = $rule->stranger;
		my $reply = $c->command('MAIL FROM:<s@remote.test>');
		$reply = $c->command('RCPT TO:<alice@local.test>')
		    if $reply =~ /^250/;
		like($reply, qr/^451 4\.3\.5/,
		    "REL-09 and there is no service without it ($count)");
		unlike($c->command('DATA'), qr/^354/,
		    'REL-09 nor can a message be sent');
	}
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
