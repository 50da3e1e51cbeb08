# 5321-5.t - RFC 5321 section 5: which host mail goes to. A real name server
# says what there is; every question to it is seen, and all hosts have port 25.
use strict;
use warnings;
use lib 't/lib', 't/resolve';
use Postrider::Net;
my $has_net;
BEGIN { $has_net = Postrider::Net::alone('fd00::11', 'fd00::13') }
use Test::More;
use Alone;
use IO::Socket::INET;
use Postrider qw(slurp spew wait_for);
use Postrider::Fixture;

plan skip_all => 'no network of its own can be had' unless $has_net;
plan skip_all => 'nsd is not installed' unless Alone::nsd();

my $line = 'unix - - n - - smtp';
my $sut = Postrider::Fixture->new(clock => 1, settings => {
	default_transport => 'smtp', dns_servers => '127.0.0.1',
	inet_protocols => 'all', proxy_interfaces => '127.0.0.99',
	dns_timeout => '3s', smtp_connect_timeout => '1s',
	single_destination_recipient_limit => 1,
	relay_domains => 'relay-ok.test, backup.r.test, best.r.test, ' .
	    'third.r.test, fourth.r.test, proxied.r.test, gate.r.test, ' .
	    'hosta.local.test, hosta.test' },
    master => <<"END");
six $line -o smtp_address_preference=ipv6
four $line -o smtp_address_preference=ipv4
only-four $line -o inet_protocols=ipv4
single $line
gate unix - n n - - pipe user=prt-alice argv=/usr/bin/env true \${recipient}
END
my $dir = $sut->dir;

# --- hosts --------------------------------------------------------------------

my (%host, %at, @kept);
my %replies = (
	good => {}, fine => {}, spare => {}, six => {},
	closed => { CONNECT => '521 5.3.2 no mail here' },
	unwilling => { RCPT => '556 5.1.10 that domain takes no mail' },
);
my $next = 11;
for my $name (sort keys %replies) {
	my $say = $replies{$name};
	$at{$name} = $name eq 'six' ? 'fd00::11' : '127.0.0.' . $next++;
	$host{$name} = $sut->sink(address => $at{$name}, port => 25,
	    replies => sub { return $say->{ $_[0] } });
}
$host{self} = $sut->sink(port => 25);	# whoever calls there calls us
$at{dead} = '127.0.0.30';
$at{silent} = '127.0.0.31';		# a full queue
{
	my %o = (Proto => 'tcp');
	my $s = IO::Socket::INET->new(%o, Listen => 1, LocalPort => 25,
	    LocalAddr => $at{silent}) or die "listen: $!";
	listen $s, 0;
	push @kept, $s, map { IO::Socket::INET->new(%o, PeerPort => 25,
	    PeerAddr => $at{silent}, Blocking => 0) } 1 .. 4;
}

# --- names --------------------------------------------------------------------

my %domain = (
	one => ['MX 10 good'], alias => ['CNAME target'],
	target => ['MX 10 fine'], chain => ['CNAME alias'],
	plain => ["A $at{good}"], plain6 => ["AAAA $at{six}"],
	both => ['MX 10 dead', "A $at{spare}"],
	empty => ['MX 10 nobody', 'MX 20 no-such', "A $at{spare}"],
	nodata => ['TXT "nothing"'], broken => ['MX 10 good'],
	mute => ['MX 10 fine'], 'mx-alias' => ['MX 10 nickname'],
	'mx-ring' => ['MX 10 ring1'], order => ['MX 20 fine', 'MX 10 good'],
	all => ['MX 10 dead', 'MX 20 silent', 'MX 30 good'],
	two => ['MX 10 half'], second => ['MX 10 dead', 'MX 20 good'],
	many => [map { "MX ${_}0 ten$_" } 1 .. 9],
	equal => ['MX 10 good', 'MX 10 fine'],
	given => ['MX 10 several'], given2 => ['MX 10 others'],
	backup => ['MX 10 dead', 'MX 20 sut.test.', 'MX 30 spare'],
	best => ['MX 10 sut.test.', 'MX 20 spare'],
	third => ['MX 30 sut.test.', 'MX 20 fine', 'MX 10 good'],
	fourth => ['MX 30 sut.test.', 'MX 20 fine', 'MX 10 dead'],
	proxied => ['MX 10 nat', 'MX 20 spare'],
	dual => ['MX 10 half6'], only6 => ['MX 10 six'],
	pref6 => ['MX 10 twin'], pref4 => ['MX 10 twin'],
	no6 => ['MX 10 half6'], gate => ['MX 10 sut.test.'],
	null => ['MX 0 .', "A $at{spare}"],
	nullish => ['MX 0 .', 'MX 10 good'],
	521 => ['MX 10 closed', 'MX 20 good'],
	'all521' => ['MX 10 closed'], 556 => ['MX 10 unwilling', 'MX 20 good'],
);
my $soa = "SOA ns.h.test. me.h.test. 1 3600 600 86400 1\n\tNS ns.h.test.\n";
my $start = "\$TTL 300\n@\t$soa";
Postrider::Net::names($dir, 'r.test' => $start . join('', map {
	my $name = $_;
	map { "$name\t" . s/^(MX \d+ )([\w-]+)$/$1$2.h.test./r . "\n" }
	    @{ $domain{$name} }
    } sort keys %domain), 'h.test' => $start . join('',
    (map { "$_\t" . ($at{$_} =~ /:/ ? 'AAAA' : 'A') . " $at{$_}\n" }
    sort keys %at), (map { "ten$_\tA 127.0.1.$_\n" } 1 .. 9),
    (map { ("several\tA 127.0.2.$_\n",
    "others\tA 127.0.2.$_\n") } 1 .. 5), <<"END"),
ns A 127.0.0.1
nobody TXT "no address"
nickname CNAME good
ring1 CNAME ring2
ring2 CNAME ring1
half A $at{dead}
half A $at{good}
half6 A $at{good}
half6 AAAA fd00::13
twin A $at{good}
twin AAAA $at{six}
nat A 127.0.0.99
END
    'test' => "$start\nsut A 127.0.0.1\nlocal MX 10 sut\nhosta A " .
    "$at{spare}\nhosta.local A $at{spare}\nrelay-ok MX 10 sut\n",
    '.' => $start);
Postrider::Net::trouble(servfail => '^broken\.r', silent => '^mute\.r');
{
	open my $f, '>>', $sut->etc . '/transport' or die;
	print $f "$_->[0].r.test $_->[1]:\n" for ['equal', 'single'],
	    ['pref6', 'six'], ['pref4', 'four'],
	    ['no6', 'only-four'], ['gate', 'gate'];
}
$sut->start;

# --- all messages at once -----------------------------------------------------

my %ours = map { ($_ => 1) } qw(backup best third fourth proxied gate);
my ($friend, $stranger) = ($sut->friend, $sut->stranger);
my @names = (grep({ $_ ne 'equal' && $_ ne 'target' } sort keys %domain), 'nx');
$sut->take($ours{$_} ? $stranger : $friend, from => "$_\@remote.test",
    to => ["x\@$_.r.test"]) for @names;
$sut->take($friend, from => 'hosta@remote.test', to => ['x@hosta']);
$sut->take($friend, from => 'equal@remote.test',
    to => [map { "r$_\@equal.r.test" } 1 .. 100]);

my $log;
wait_for(sub {
	$log = slurp("$dir/log");
	return !grep { $log !~ / to=<x\@\Q$_\E\.r\.test>,/ } @names;
}, 30, 'outcomes');
$sut->settle;
$log = $sut->log;
my @asked = Postrider::Net::asked();

# The first line of the log about a recipient.
sub line
{
	my ($name) = @_;

	return $log =~ /^(.* to=<x\@\Q$name\E\.r\.test>, .*)$/m ? $1 : '';
}

sub is_sent
{
	my ($name, $by, $row, $text) = @_;

	like(line($name), qr/relay=\S+\[\Q$at{$by}\E\]:25,.* status=sent /,
	    "$row $text");
}

# How many reports the sender has.
sub reports
{
	my ($name) = @_;
	return scalar grep { $_->{rcpt}[0] eq "$name\@remote.test" }
	    $sut->remote->messages;
}

sub is_returned
{
	my ($name, $dsn, $row, $text) = @_;

	like(line($name), qr/ dsn=\Q$dsn\E, status=bounced /, "$row $text");
	is(reports($name), 1, "$row with one report at once");
}

sub is_waiting
{
	my ($name, $dsn, $row, $text) = @_;

	like(line($name), qr/ dsn=\Q$dsn\E, status=deferred /, "$row $text");
}

sub asked { my ($what) = @_; return scalar grep { $_ eq $what } @asked }

# --- names that lead to hosts -------------------------------------------------

is_sent('one', 'good', '5321-5.1-a',
    'mail goes to the host that only DNS names');
ok(asked('one.r.test MX'), '5321-5.1-a DNS is asked for it');
my ($first) = grep { /^plain\.r\.test (?:MX|A|AAAA)$/ } @asked;
is($first, 'plain.r.test MX', '5321-5.1-d MX is looked up first');
is_sent('alias', 'fine', '5321-5.1-d', 'an alias is followed');
is_sent('chain', 'fine', '5321-5.1-d', 'and one behind it');
ok(scalar(grep({ $_->{rcpt}[0] eq 'x@alias.r.test' } $host{fine}->messages)),
    '5321-5.1-d with the domain of the envelope unchanged');
is_returned('nx', '5.4.4', '5321-5.1-e', 'a name that is not is an error');
is_returned('nx', '5.4.4', '5321-2.3.5-b',
    'a name that cannot be resolved is no domain');
is_waiting('broken', '4.4.3', '5321-5.1-f', 'SERVFAIL lets mail wait');
is_waiting('mute', '4.4.3', '5321-5.1-f', 'as no answer does');
is_sent('plain', 'good', '5321-5.1-g', 'without MX the A record is used');
is_sent('plain6', 'six', '5321-5.1-g', 'or the AAAA record');
is_returned('empty', '5.4.4', '5321-5.1-h', 'MX hosts without addresses');
is_returned('nodata', '5.4.4', '5321-5.1-h', 'a domain without address');
is_waiting('both', '4.4.1', '5321-5.1-i', 'a dead MX host lets mail wait');
is($host{spare}->sessions, 0,
    '5321-5.1-i no address of a domain that has MX was called');
is_sent('mx-alias', 'good', '5321-5.1-j', 'an MX host that is an alias is used');
like(line('mx-ring'), qr/status=(?:bounced|deferred)/,
    '5321-5.1-j one in a ring of aliases is an error');

{
	my ($status, $at) = ($log =~ / to=<x\@hosta>, .*status=(\w+)/);
	is($status, 'bounced', '5321-5.1-b a partial name is no address');
	is_deeply([grep { /^hosta\./ } @asked], [],
	    '5321-5.1-b and nothing is guessed behind it');
	$stranger->command('MAIL FROM:<s@remote.test>', 250);
	like($stranger->command('RCPT TO:<bob@hosta>'),
	    qr/^554 5\.7\.1 <bob\@hosta>/,
	    '5321-5.1-c nor for who submits by plain SMTP');
	like($stranger->command('RCPT TO:<bob@hosta.local.test>'), qr/^250/,
	    '5321-5.1-c which the full name would have been');
	$stranger->command('RSET', 250);
}

# --- several hosts ------------------------------------------------------------

is_sent('all', 'good', '5321-5.1-k', 'the third host takes what two could not');
like($log, qr/connect\ to\ dead\.h\.test.*:\ Connection\ refused\n(?s:.*)
    connect\ to\ silent\.h\.test\[\S+\ Connection\ timed\ out/x,
    '5321-5.1-k which were tried in order, in the same attempt');
{
	my %tried = map { ($_ => 1) } $log =~ /connect to (ten\d)\.h\.test/g;
	is(join(' ', sort keys %tried), 'ten1 ten2 ten3 ten4 ten5',
	    '5321-5.1-l five addresses of nine are tried');
	is_waiting('many', '4.4.1', '5321-5.1-l', 'then the mail waits');
}
is_sent('second', 'good', '5321-5.1-m', 'the second host is tried at once');
is_sent('two', 'good', '5321-5.1-m', 'as is the second address of a host');
is_sent('order', 'good', '5321-5.1-n', 'the lowest preference comes first');
{
	my %by = map { ($_ => scalar grep { $_->{rcpt}[0] =~ /\@equal/ }
	    $host{$_}->messages) } qw(good fine);
	is($by{good} + $by{fine}, 100, '5321-5.1-o one hundred deliveries');
	ok($by{good} >= 22 && $by{good} <= 78, "5321-5.1-o $by{good} to one " .
	    "host, $by{fine} to the other of equal preference");
}
# The resolver rotates what the name server has.
for my $name (qw(given given2)) {
	my ($host) = $domain{$name}[0] =~ /(\w+)$/;
	my @tried = $log =~
	    /: connect to $host\.h\.test\[127\.0\.2\.(\d)\]/g;
	is(scalar @tried, 5, "5321-5.1-p $name: all addresses are tried");
	ok(index('1234512345', join '', @tried) >= 0,
	    "5321-5.1-p in the resolver's order: @tried");
}

# --- we are among them --------------------------------------------------------

like(line('gate'), qr/relay=gate, .*status=sent/,
    '5321-5.1-q a host that is MX may be a gateway');
{
	$sut->take($stranger, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: mx-local\n\nx\n");
	ok(scalar($sut->wait_mail('alice', qr/^Subject: mx-local$/m)),
	    '5321-5.1-q or deliver');
	$sut->take($stranger, from => 's@remote.test',
	    to => ['u@relay-ok.test'], text => "Subject: mx-relay\n\nx\n");
	ok(scalar($sut->wait_relay(qr/^Subject: mx-relay\r$/m)),
	    '5321-5.1-q or relay');
}
is_waiting('backup', '4.4.1', '5321-5.1-r', 'MX 20 waits for MX 10');
is($host{self}->sessions, 0, '5321-5.1-r and never calls itself');
is_waiting('backup', '4.4.1', '5321-5.1-s', 'while the better host is down');
ok(!grep({ $_->{rcpt}[0] =~ /backup/ } $host{spare}->messages),
    '5321-5.1-s and the worse one is not asked');
is_returned('best', '5.4.6', '5321-5.1-t', 'nothing is left for the best MX');
like((grep { $_->{rcpt}[0] eq 'best@remote.test' } $sut->remote->messages)[0]
    ->{data}, qr/loops back to myself/, '5321-5.1-t which says why');
is_sent('third', 'good', '5321-5.1-u', 'of two better ones the best is tried');
is_sent('fourth', 'fine', '5321-5.1-u', 'then the other');
is_returned('proxied', '5.4.6', '5321-5.1-v', 'the proxy\'s address is ours');
{
	$sut->take($stranger, from => 's@remote.test',
	    to => ['alice@[127.0.0.99]'], text => "Subject: literal\n\nx\n");
	ok(scalar($sut->wait_mail('alice', qr/^Subject: literal$/m)),
	    '5321-5.1-v in a literal as well');
}

# --- 5.2: IPv6 ----------------------------------------------------------------

is_sent('dual', 'good', '5321-5.2-a', 'a dead IPv6 address costs no delivery');
ok(asked('half6.h.test A') && asked('half6.h.test AAAA'),
    '5321-5.2-a both kinds of address are asked for');
is_sent('only6', 'six', '5321-5.2-b', 'a host with IPv6 only is reached');
is_sent('pref6', 'six', '5321-5.2-c', 'IPv6 may be preferred');
is_sent('pref4', 'good', '5321-5.2-c', 'or IPv4');
is_sent('no6', 'good', '5321-5.2-c', 'or be the only one');

# --- hosts and domains that take no mail (RFC 7504, RFC 7505) -----------------

is_returned('null', '5.1.10', '7505-3-b', 'a null MX');
is(asked('null.r.test A') + asked('null.r.test AAAA'), 0,
    '7505-3-b no address is asked for');
like(line('null'), qr/relay=none,/, '7505-3-b and nobody is called');
like(line('nullish'), qr/relay=\S+\[\Q$at{good}\E\]:25,.*status=sent/,
    '7505-3-a "." beside other hosts is ignored');
is(asked('. A') + asked('. AAAA'), 0, '7505-3-a and has no address');
like(line('521'), qr/relay=\S+\[\Q$at{good}\E\]:25,.*status=sent/,
    '7504-4-b a greeting 521 sends mail to the next host');
is_returned('all521', '5.3.2', '7504-4-b', 'no host is left');
is_returned('556', '5.1.10', '7504-4-b', '556 is for good');

# --- later --------------------------------------------------------------------

Postrider::Net::trouble();
$sut->advance(1300);
for my $name (qw(broken mute)) {
	$sut->wait_log(qr/ to=<x\@$name\.r\.test>, .*status=sent/, 20);
	pass("5321-5.1-f $name is sent when DNS answers");
}
is(reports('broken') + reports('mute'), 0, '5321-5.1-f without a report');
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
