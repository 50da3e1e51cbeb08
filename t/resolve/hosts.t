# hosts.t - services in DNS, the hosts file as smtp_host_lookup wants it, and
# the ways in which DNS can fail.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

use Alone;
use Postrider qw(free_port spew);

plan skip_all => 'nsd is not installed' unless Alone::nsd();

my $temp = File::Temp->newdir('prt-hosts-XXXX', DIR => '/tmp');
my $dir = "$temp";
chmod 0755, $dir;
my $port = free_port();

spew("$dir/test.zone", <<'END');
$ORIGIN example.test.
$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
ns	A	127.0.0.1
_submission._tcp	SRV	10 0 2587 Second
_submission._tcp	SRV	5 100 587 first
_submission._tcp	SRV	20 0 587 alias
first	A	192.0.2.1
first	AAAA	2001:db8::1
second	A	192.0.2.2
alias	CNAME	second
_none._tcp	SRV	0 0 0 .
_dead._tcp	SRV	0 0 25 missing
_named._tcp	CNAME	_submission._tcp
_twice._tcp	SRV	1 0 25 first
_twice._tcp	SRV	1 0 26 first
inside	A	192.0.2.10
mxfile	MX	10 inside
mxfile	MX	20 fileonly
half	MX	10 missing
half	MX	20 first
later	MX	10 x.broken.test.
later	MX	20 missing
better	MX	10 x.broken.test.
better	MX	20 first
under_score A	192.0.2.11
xn--bcher-kva	MX	10 xn--mx-kva
xn--mx-kva	A	192.0.2.12
chain	CNAME	chain2
chain2	CNAME	chain3
chain3	MX	1 chained
chained	CNAME	chained2
chained2 CNAME	first
numeric	MX	10 192.0.2.1
short	20	MX	10 first
lame	NS	ns.lame
ns.lame	A	127.0.0.1
END
open my $zone, '>>', "$dir/test.zone";
printf $zone "long\tMX\t%d a-rather-long-name-for-host-number-%d.under\n",
    $_, $_ for 1 .. 180;
printf $zone "a-rather-long-name-for-host-number-%d.under\tA\t10.0.0.%d\n",
    $_, $_ for 1 .. 180;
printf $zone "bomb\tMX\t%d a-host-whose-name-is-quite-long-%d.under\n",
    $_, $_ for 1 .. 100;
for my $host (1 .. 100) {
	printf $zone "a-host-whose-name-is-quite-long-%d.under\tAAAA\t" .
	    "2001:db8:1111:2222:3333:4444:%x:%x\n", $host, 0x1000 + $host,
	    0x1000 + $_ for 1 .. 40;
}
printf $zone "_many._tcp\tSRV\t%d 0 25 host%d.under\n", $_, $_ for 1 .. 150;
close $zone;
Alone::name_server($dir, $port, 'example.test' => 'test.zone');

spew("$dir/hosts", <<'END');
192.0.2.77	inside.example.test inside
192.0.2.78	fileonly.example.test fileonly
END

my %common = (dns_hosts_file => "$dir/hosts", dns_timeout => '3s');
Alone::prepare($dir, %common, dns_servers => "127.0.0.1\@$port");
my $dns = Alone->new(program => 'dns', dir => $dir);

# Numbers of packets.h.
my ($ok, $none, $no_domain, $null_mx, $temporary) = 0 .. 4;
my ($mx, $names_only, $srv, $dns_first, $file) = (1, 2, 4, 8, 16);

sub hosts
{
	my ($name, $flags, $daemon) = @_;

	return ($daemon // $dns)->ask_as('smtp', 'ASK_HOSTS', ['str', $name],
	    ['int', $flags // $mx]);
}

# "10 mx1.example.test:587 192.0.2.1 ...; ..."
sub told
{
	my ($h) = @_;

	return join '; ', map {
		join ' ', $_->{preference},
		    $_->{name} . ($_->{port} ? ":$_->{port}" : ''),
		    sort map { $_->{address} } @{ $_->{addresses} }
	} @{ $h->{hosts} };
}

# --- too much of everything ------------------------------------------------------

my $bomb = hosts('bomb.example.test');
is(ref $bomb->{hosts}, 'ARRAY', 'hosts and addresses that no packet would hold');
is($bomb->{result}, $ok, 'are an answer');
is(scalar @{ $bomb->{hosts} }, 100, 'with all the hosts');
is(scalar(map { @{ $_->{addresses} } } @{ $bomb->{hosts} }), 450,
    'and the addresses of the best');
is(scalar @{ $bomb->{hosts}[0]{addresses} }, 40, 'first of all of the first');

# --- services -----------------------------------------------------------------

my $service = '_submission._tcp.example.test';
my $h = hosts($service, $srv);
is($h->{result}, $ok, 'a service has hosts');
is(told($h), '5 first.example.test:587 192.0.2.1 2001:db8::1; ' .
    '10 second.example.test:2587 192.0.2.2; ' .
    '20 alias.example.test:587 192.0.2.2',
    'by priority, with their ports, through aliases too');
ok($h->{had_mx}, 'and it is told that there were records');
is(told(hosts(uc $service, $srv | $names_only)),
    '5 first.example.test:587; 10 second.example.test:2587; ' .
    '20 alias.example.test:587', 'names only: no addresses');
is(told(hosts('_named._tcp.example.test', $srv | $names_only)),
    told(hosts($service, $srv | $names_only)),
    'a service that is an alias is followed');
my %order;
$order{told(hosts('_twice._tcp.example.test', $srv | $names_only))}++
    for 1 .. 60;
is(scalar keys %order, 2, 'equals come in any order');

$h = hosts('_none._tcp.example.test', $srv);
is($h->{result}, $null_mx, '"." says that there is no such service');
like($h->{text}, qr/_none\._tcp\.example\.test is not available/,
    'in words');
is(hosts('_dead._tcp.example.test', $srv)->{result}, $none,
    'hosts without addresses are no hosts');
is(hosts('_other._tcp.example.test', $srv)->{result}, $no_domain,
    'no records: no such name');
like(hosts('first.example.test', $srv)->{text}, qr/type=SRV: Host found but/,
    'or no such data');
is(scalar @{ hosts('_many._tcp.example.test', $srv | $names_only)->{hosts} },
    100, 'there are bounds');
is(hosts("_x._tcp.broken.test", $srv)->{result}, $temporary,
    'a server that refuses is a temporary failure');

# --- the hosts file -----------------------------------------------------------

my $name = 'inside.example.test';
is(told(hosts($name, 0)), "0 $name 192.0.2.77", 'a word less: file first');
is(told(hosts($name, $dns_first)), "0 $name 192.0.2.10", 'dns: only DNS');
is(told(hosts($name, $file)), "0 $name 192.0.2.77", 'native: file first');
is(told(hosts($name, $dns_first | $file)), "0 $name 192.0.2.10",
    'dns, native: DNS first');
is(told(hosts('fileonly.example.test', $dns_first | $file)),
    '0 fileonly.example.test 192.0.2.78', 'then the file');
is(hosts('fileonly.example.test', $dns_first)->{result}, $no_domain,
    'which DNS alone does not know');
is(told(hosts('first.example.test', $file)),
    '0 first.example.test 192.0.2.1 2001:db8::1',
    'what is not in the file is asked for');

my $both = 'mxfile.example.test';
is(told(hosts($both)), '10 inside.example.test 192.0.2.10; ' .
    '20 fileonly.example.test', 'MX hosts are not in the file');
is(told(hosts($both, $mx | $dns_first | $file)),
    '10 inside.example.test 192.0.2.10; 20 fileonly.example.test 192.0.2.78',
    'unless it is wanted for those that DNS has not');
is(told(hosts($both, $mx | $file)), '10 inside.example.test 192.0.2.77; ' .
    '20 fileonly.example.test 192.0.2.78', 'or in the first place');
is(told(hosts('localhost', $mx | $dns_first)), '0 localhost 127.0.0.1 ::1',
    'localhost is never asked for');

# --- kinds of failure ---------------------------------------------------------

$h = hosts('half.example.test');
is($h->{result}, $ok, 'one host with an address is enough');
is(join(' ', map { $_->{result} } @{ $h->{hosts} }), "$no_domain $ok",
    'each host tells its own result');
$h = hosts('better.example.test');
is("$h->{result} " . join(' ', map { $_->{result} } @{ $h->{hosts} }),
    "$ok $temporary $ok", 'also that a better one may come back');
$h = hosts('later.example.test');
is($h->{result}, $temporary, 'if one of them may come back, all wait');
like($h->{text}, qr/name=x\.broken\.test .*try again/, 'for that one');
like(hosts('x.broken.test')->{text}, qr/type=MX: .*try again \(.+\)/,
    'the reason of a failure is told');
is(hosts('lame.example.test')->{result}, $temporary,
    'a server that only knows others to ask has not answered');
is(told(hosts('under_score.example.test')),
    '0 under_score.example.test 192.0.2.11', 'underscores are tolerated');
is(told(hosts('xn--bcher-kva.example.test')),
    '10 xn--mx-kva.example.test 192.0.2.12', 'A-labels are names');
is(told(hosts('chain.example.test')),
    '1 chained.example.test 192.0.2.1 2001:db8::1',
    'aliases of aliases are followed, at both ends');
is(hosts('numeric.example.test')->{result}, $none,
    'an address is no name of an MX host');
cmp_ok(hosts('short.example.test', $mx | $names_only)->{ttl}, '<=', 20,
    'the shortest time to live counts');
$h = hosts('long.example.test');
is(scalar @{ $h->{hosts} }, 100, 'an answer too long for UDP comes by TCP');
is($h->{hosts}[99]{addresses}[0]{address}, '10.0.0.100', 'with addresses');
is($dns->stop, 0, 'dns ends in order');

# --- a server that is silent --------------------------------------------------

{
	my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
	    Proto => 'udp') or die "socket: $!";
	Alone::prepare($dir, %common, ignore_mx_lookup_error => 'yes',
	    dns_servers => '127.0.0.1@' . $mute->sockport,
	    dns_timeout => '2s');
	my $waiting = Alone->new(program => 'dns', dir => $dir);
	my $start = time;
	$h = hosts('inside.example.test', $mx | $file, $waiting);
	is(told($h), '0 inside.example.test 192.0.2.77',
	    'ignore_mx_lookup_error: without an answer the domain is a host');
	cmp_ok(time - $start, '<', 4, 'when dns_timeout is over');
	is(hosts('first.example.test', 0, $waiting)->{result}, $temporary,
	    'silence is a temporary failure');
	is($waiting->stop, 0, 'it ends in order');
}

# --- without DNS --------------------------------------------------------------

Alone::prepare($dir, %common, dns_servers => "127.0.0.1\@$port",
    disable_dns_lookups => 'yes', inet_protocols => 'ipv4');
my $blind = Alone->new(program => 'dns', dir => $dir);
is(told(hosts('mxfile.example.test', $mx, $blind)), '0 mxfile.example.test',
    'disable_dns_lookups: a domain is its own host');
is(told(hosts('inside.example.test', $mx | $dns_first, $blind)),
    '0 inside.example.test 192.0.2.77', 'and the file counts');
is(told(hosts('first.example.test', 0, $blind)),
    '0 first.example.test 192.0.2.1',
    'inet_protocols: only addresses that are of use');
is($blind->stop, 0, 'it ends in order');
Alone::prepare($dir, %common, dns_servers => "127.0.0.1\@$port",
    smtp_dns_support_level => 'disabled');
$blind = Alone->new(program => 'dns', dir => $dir);
is(told(hosts('mxfile.example.test', $mx, $blind)), '0 mxfile.example.test',
    'smtp_dns_support_level may say the same for mail that goes out');
ok($blind->ask_as('smtpd', 'ASK_HOSTS', ['str', 'mxfile.example.test'],
    ['int', $mx | $names_only])->{had_mx}, 'but not for smtpd');
is($blind->stop, 0, 'it ends in order');

unlike($dns->log, qr/(?:panic|fatal|Sanitizer)/, 'the log has no complaint');
done_testing();
