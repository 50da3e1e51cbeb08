# dns.t - what dns says of domains, hosts and addresses, from a real server.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use Test::More;
use Time::HiRes qw(time);

use Alone;
use Postrider qw(free_port spew);

plan skip_all => 'nsd is not installed' unless Alone::nsd();

# --- a name server of our own -------------------------------------------------

my $dir = File::Temp->newdir('prt-dns-XXXX', DIR => '/tmp');
chmod 0755, "$dir";
my $port = free_port();

spew("$dir/example.zone", <<'END');
$ORIGIN example.test.
$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
@	MX	20 mx2
@	MX	10 MX1
@	MX	20 a-mx2
ns	A	127.0.0.1
mx1	A	192.0.2.1
mx1	A	192.0.2.2
mx1	AAAA	2001:db8::1
mx2	A	192.0.2.3
a-mx2	A	192.0.2.4
null	MX	0 .
mixed	MX	0 .
mixed	MX	10 mx1
plain	A	192.0.2.10
six	AAAA	2001:db8::10
alias	CNAME	real
real	MX	5 mx1
hostalias CNAME	plain
loop	CNAME	loop2
loop2	CNAME	loop
nothing	TXT	"no address here"
nomx	MX	10 missing
nomx	MX	20 nothing
badmx	MX	10 bad\032name
onebad	MX	10 bad\032name
onebad	MX	20 mx1
viacname MX	10 hostalias
dead	NS	ns.dead
ns.dead	A	127.0.0.1
short	60	A	192.0.2.11
END
open my $zone, '>>', "$dir/example.zone";
printf $zone "many\tMX\t%d host%d\n", $_, $_ for 1 .. 150;
printf $zone "host%d\tA\t198.51.100.%d\n", $_, $_ for 1 .. 150;
printf $zone "wide\tA\t203.0.113.%d\n", $_ for 1 .. 100;
close $zone;

spew("$dir/reverse.zone", <<'END');
$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@	SOA	ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
@	NS	ns.example.test.
1	PTR	mx1.example.test.
3	PTR	mx1.example.test.
5	PTR	no\032host.example.test.
6	PTR	missing.example.test.
7	PTR	missing.example.test.
7	PTR	short.example.test.
10	PTR	Plain.Example.Test.
END
spew("$dir/six.zone", <<'END');
$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
$TTL 300
@	SOA	ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
@	NS	ns.example.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0	PTR	mx1.example.test.
END
Alone::name_server("$dir", $port, 'example.test' => 'example.zone',
    '2.0.192.in-addr.arpa' => 'reverse.zone',
    '8.b.d.0.1.0.0.2.ip6.arpa' => 'six.zone');

# --- dns ----------------------------------------------------------------------

spew("$dir/hosts", <<'END');
127.0.0.1	localhost
192.0.2.77	Inside.example.test inside	# a comment
192.0.2.78	inside
2001:db8::77	inside6.example.test
END
Alone::prepare("$dir", dns_servers => "127.0.0.1\@$port",
    dns_hosts_file => "$dir/hosts", dns_timeout => '5s');
my $dns = Alone->new(program => 'dns', dir => "$dir");

# Result numbers of packets.h.
my ($ok, $none, $no_domain, $null_mx, $temporary) = 0 .. 4;
my ($with_mx, $names_only) = (1, 2);

sub hosts
{
	my ($name, $flags, $daemon) = @_;

	return ($daemon // $dns)->ask_as('smtp', 'ASK_HOSTS', ['str', $name],
	    ['int', $flags // $with_mx]);
}

# "10 mx1.example.test 192.0.2.1 ...; ..."
sub told
{
	my ($h) = @_;

	return join '; ', map {
		join ' ', $_->{preference}, $_->{name},
		    sort map { $_->{address} } @{ $_->{addresses} }
	} @{ $h->{hosts} };
}

my $h = hosts('example.test');
is($h->{result}, $ok, 'a domain with MX records has hosts');
is(told($h), '10 mx1.example.test 192.0.2.1 192.0.2.2 2001:db8::1; ' .
    '20 a-mx2.example.test 192.0.2.4; 20 mx2.example.test 192.0.2.3',
    'they come by preference, in lower case, with both families');
ok($h->{had_mx}, 'and it is told that MX records were there');
cmp_ok($h->{ttl}, '<=', 300, 'the time to live is at most that of the zone');
cmp_ok($h->{ttl}, '>=', 1, 'and at least a second');

$h = hosts('EXAMPLE.test.');
is($h->{result}, $ok, 'case and a final dot make no difference');
$h = hosts('example.test', $with_mx | $names_only);
is(told($h), '10 mx1.example.test; 20 a-mx2.example.test; ' .
    '20 mx2.example.test', 'names only: no addresses are looked up');

$h = hosts('null.example.test');
is($h->{result}, $null_mx, 'a single "." is a null MX');
like($h->{text}, qr/does not accept mail \(nullMX\)/, 'and the text says so');
is(told(hosts('mixed.example.test')),
    '10 mx1.example.test 192.0.2.1 192.0.2.2 2001:db8::1',
    'beside other hosts a "." means nothing');

$h = hosts('plain.example.test');
is($h->{result}, $ok, 'without MX the domain is its own host');
is(told($h), '0 plain.example.test 192.0.2.10', 'with its address');
ok(!$h->{had_mx}, 'and no MX is claimed');
is(told(hosts('six.example.test')), '0 six.example.test 2001:db8::10',
    'an IPv6 address alone is enough');

is(told(hosts('alias.example.test')),
    '5 mx1.example.test 192.0.2.1 192.0.2.2 2001:db8::1',
    'a CNAME is followed to the MX records behind it');
is(told(hosts('hostalias.example.test')),
    '0 hostalias.example.test 192.0.2.10',
    'a CNAME is followed to the address behind it');
is(told(hosts('viacname.example.test')),
    '10 hostalias.example.test 192.0.2.10',
    'an MX host that is a CNAME is tolerated');
is(hosts('loop.example.test')->{result}, $temporary,
    'CNAMEs in a circle are a temporary failure');

$h = hosts('missing.example.test');
is($h->{result}, $no_domain, 'NXDOMAIN: no such domain');
is($h->{text}, 'Host or domain name not found. Name service error for ' .
    'name=missing.example.test type=MX: Host not found', 'in known words');
$h = hosts('nothing.example.test');
is($h->{result}, $none, 'NODATA: the domain has no host');
like($h->{text}, qr/type=A+: Host found but no data record of requested type/,
    'in known words');
$h = hosts('nomx.example.test');
is($h->{result}, $none, 'MX hosts without addresses are no hosts');
is(scalar @{ $h->{hosts} }, 2, 'they are told all the same');
is($h->{hosts}[0]{result}, $no_domain, 'each with its own reason');

$h = hosts('badmx.example.test');
is($h->{result}, $temporary,
    'an MX that is no host name does not make the domain its own host');
is(told(hosts('onebad.example.test')),
    '20 mx1.example.test 192.0.2.1 192.0.2.2 2001:db8::1',
    'it is left out when there are others');

$h = hosts('many.example.test', $with_mx | $names_only);
is(scalar @{ $h->{hosts} }, 100, 'more than a hundred hosts are cut');
is($h->{hosts}[0]{name}, 'host1.example.test', 'the best ones are kept');
$h = hosts('wide.example.test', 0);
cmp_ok(scalar @{ $h->{hosts}[0]{addresses} }, '<=', 100,
    'the addresses of a host are bounded');

# --- without MX ---------------------------------------------------------------

is(told(hosts('example.test', 0)), '0 example.test',
    'no MX asked: no MX hosts');
is(hosts('example.test', 0)->{result}, $none, 'but the name itself');
is(told(hosts('mx1.example.test', 0)),
    '0 mx1.example.test 192.0.2.1 192.0.2.2 2001:db8::1',
    'a host by its name');
is(told(hosts('[192.0.2.9]')), '0 192.0.2.9 192.0.2.9',
    'an address literal is its own answer');
is(told(hosts('[IPv6:2001:db8::9]')), '0 2001:db8::9 2001:db8::9',
    'of either family');
is(told(hosts('localhost', 0)), '0 localhost 127.0.0.1 ::1',
    'localhost needs no server');
is(told(hosts('inside.example.test', 0)),
    '0 inside.example.test 192.0.2.77', 'the hosts file counts');
is(told(hosts('INSIDE', 0)), '0 inside 192.0.2.77 192.0.2.78',
    'with all its lines');
is(hosts('inside.example.test')->{result}, $no_domain,
    'but not where MX records are asked for');
is(hosts('bad name')->{result}, $no_domain, 'what is no name has no hosts');
is(hosts('a..b')->{result}, $no_domain, 'nor has an empty label');
is(hosts(('x' x 64) . '.test')->{result}, $no_domain, 'nor a long one');

# --- reverse ------------------------------------------------------------------

sub reverse_of
{
	my $r = $dns->ask_as('smtpd', 'ASK_REVERSE', ['str', $_[0]]);

	return "$r->{result} $r->{name} $r->{claimed}";
}

is(reverse_of('192.0.2.1'), "$ok mx1.example.test mx1.example.test",
    'a name that has the address is believed');
is(reverse_of('2001:db8::1'), "$ok mx1.example.test mx1.example.test",
    'for IPv6 as well');
is(reverse_of('192.0.2.10'), "$ok plain.example.test plain.example.test",
    'names come in lower case');
is(reverse_of('192.0.2.3'), "$none unknown mx1.example.test",
    'a name that has other addresses is only claimed');
is(reverse_of('192.0.2.6'), "$none unknown missing.example.test",
    'nor is one that does not exist believed');
is(reverse_of('192.0.2.200'), "$none unknown unknown",
    'an address without a name is unknown');
like(reverse_of('192.0.2.5'), qr/^$temporary unknown unknown$/,
    'a name with a space inside reaches nobody');
is(reverse_of('192.0.2.77'), "$ok inside.example.test inside.example.test",
    'the hosts file has names');
is(reverse_of('127.0.0.1'), "$ok localhost localhost", 'and localhost');
is(reverse_of('not an address'), "$none unknown unknown",
    'what is no address has no name');

# --- who may ask --------------------------------------------------------------

is($dns->ask_as('local', 'ASK_REVERSE', ['str', '192.0.2.1']), undef,
    'local has no business with dns');
is(hosts('example.test')->{result}, $ok, 'others are not disturbed by it');

# --- many at once -------------------------------------------------------------

{
	my $start = time;
	my $s = $dns->channel('smtp');
	syswrite $s, Alone::encode('ASK_HOSTS', 0, 1000 + $_,
	    ['str', "host$_.example.test"], ['int', $with_mx]) for 1 .. 150;
	my %seen;
	while (keys %seen < 150) {
		my $in = '';
		vec($in, fileno $s, 1) = 1;
		select($in, undef, undef, 20) or last;
		sysread $s, my $packet, 65536 or last;
		$seen{unpack 'x8Q<', $packet} = 1;
	}
	is(scalar keys %seen, 150, '150 questions at once all have answers');
	cmp_ok(time - $start, '<', 15, 'and do not wait for each other');
}

# --- no server ----------------------------------------------------------------

{
	my $other = File::Temp->newdir('prt-dns-XXXX', DIR => '/tmp');
	chmod 0755, "$other";
	my $nobody = free_port();
	Alone::prepare("$other", dns_servers => "127.0.0.1\@$nobody",
	    dns_hosts_file => '', dns_timeout => '2s');
	my $alone = Alone->new(program => 'dns', dir => "$other");
	my $start = time;
	my $answer = hosts('example.test', $with_mx, $alone);
	is($answer->{result}, $temporary,
	    'no server to ask is a temporary failure');
	like($answer->{text}, qr/type=MX: Host not found, try again/,
	    'in known words');
	cmp_ok(time - $start, '<', 30, 'in bounded time');
	is($alone->stop, 0, 'it ends in order');
}

is($dns->stop, 0, 'dns ends in order');
unlike($dns->log, qr/(?:panic|fatal|Sanitizer)/, 'the log has no complaint');
done_testing();
