# route.t - classes, senders, lists of next hops, ways inside addresses, and
# domains whose best MX host is this one.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use Test::More;

use Alone;
use Postrider qw(free_port spew wait_for);

plan skip_all => 'nsd is not installed' unless Alone::nsd();

my $temp = File::Temp->newdir('prt-route-XXXX', DIR => '/tmp');
my $dir = "$temp";
chmod 0755, $dir;
my $port = free_port();
my $e = "$dir/etc";

sub table { return Alone::table($e, @_) }

spew("$dir/test.zone", <<'END');
$ORIGIN test.
$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
ns	A	127.0.0.1
big	MX	10 mx2.big
big	MX	20 mx1.big
mx1.big	A	192.0.2.1
mx2.big	A	192.0.2.1
other	MX	10 mx.other
mx.other A	192.0.2.2
ours	MX	10 mail.local
oursaddr MX	10 alias.here
oursaddr MX	10 mx.other
backup	MX	10 mx.other
backup	MX	20 mail.local
proxied	MX	10 front
front	A	192.0.2.99
alias.here A	127.0.0.1
mail.local A	192.0.2.50
plain	A	127.0.0.1
relay	MX	1 mx.relay
mx.relay A	192.0.2.3
_submission._tcp.srv	SRV	10 5 2587 sub1.srv
_submission._tcp.srv	SRV	20 5 587 sub2.srv
sub1.srv A	192.0.2.4
sub2.srv A	192.0.2.5
_submission._tcp.nosrv	SRV	0 0 0 .
both	MX	10 mx.other
END
Alone::name_server($dir, $port, 'test' => 'test.zone');

my %common = (dns_servers => "127.0.0.1\@$port", dns_hosts_file => '',
    myorigin => 'local.test', recipient_delimiter => '+',
    mydestination => 'local.test, mail.local.test',
    alias_maps => '', local_recipient_maps => '');
my %first = (%common,
    virtual_alias_maps => "inline:{ { odd%far.test\@local.test = " .
	"x\@valias.test } }",
    virtual_alias_domains => 'valias.test',
    virtual_mailbox_domains => 'vbox.test',
    virtual_transport => 'lmtp:unix:private/Box',
    relay_domains => 'relay.test',
    proxy_interfaces => '192.0.2.99',
    best_mx_transport => 'local',
    use_srv_lookup => 'submission',
    transport_maps => "texthash:$e/transport");
Alone::prepare($dir, %first);
table('transport', <<'END');
list.test	smtp:big.test, [relay1.test]:submission other.test:587
blank.test	smtp:other.test big.test
one.test	smtp:big.test:25
two.test	smtp:big.test:smtp
sub.test	smtp:big.test:587
named.test	smtp:big.test:submission
ls.test		lmtp:unix:/run/Dovecot/lmtp
li.test		lmtp:inet:Box.test:24
lp.test		lmtp:inet:box.test:2400
six.test	smtp:[IPv6:2001:db8::1]:25
viasrv.test	smtp:srv.test:submission
dead.test	smtp:nosrv.test:submission
back.test	smtp:both.test:submission
ours.sub.test	smtp:[mail.local.test]
.star.test	slow:
END
spew("$e/master.cf", "smtp unix - - n - - smtp\n" .
    "relay unix - - n - - smtp\nslow unix - - n - 2 smtp\n" .
    "lmtp unix - - n - - lmtp\nlocal unix - n n - - local\n");

my $dns = Alone->new(program => 'dns', dir => $dir);
my $resolve = Alone->new(program => 'resolve', dir => $dir);

sub route
{
	my ($address, $sender, $via) = @_;

	return $resolve->ask_as('qmgr', 'ASK_ROUTE', ['str', $address],
	    ['str', $sender // ''], ['str', $via // '']);
}

# "transport nexthop site", or "result dsn text".
sub way
{
	my ($r) = route(@_);

	return join ' ', $r->{result} == 0 ? @$r{qw(transport nexthop site)} :
	    @$r{qw(result dsn text)};
}

sub site { return route(@_)->{site} }

# --- lists of next hops -------------------------------------------------------

is(way('x@list.test'),
    'smtp big.test, [relay1.test]:submission other.test:587 ' .
    '[relay1.test]:587,mx.other.test:587,mx1.big.test,mx2.big.test',
    'a list stays a list; its site is the union of its hosts');
is(site('x@blank.test'), 'mx.other.test,mx1.big.test,mx2.big.test',
    'white space separates as well');
is(site('x@one.test'), 'mx1.big.test,mx2.big.test',
    'the usual port is no other site');
is(site('x@two.test'), site('x@one.test'), 'by name, too');
is(site('x@sub.test'), 'mx1.big.test:587,mx2.big.test:587',
    'another port is');
is(site('x@six.test'), '[ipv6:2001:db8::1]',
    'a literal with colons has a port behind its brackets');
is(way('x@ls.test'), 'lmtp unix:/run/Dovecot/lmtp unix:/run/Dovecot/lmtp',
    'a socket is its own site, case and all');
is(way('x@li.test'), 'lmtp inet:Box.test:24 box.test',
    'lmtp over TCP has a site, too');
is(site('x@lp.test'), 'box.test:2400', 'with its port');
is(way('ann@vbox.test'), 'lmtp unix:private/Box unix:private/Box',
    'virtual_transport may be lmtp');
is(way('x@a.star.test'), 'slow a.star.test a.star.test',
    'a parent with a dot stands for sub-domains');
is(way('x@star.test'), 'smtp star.test star.test', 'and not for itself');

# --- services -----------------------------------------------------------------

is(site('x@viasrv.test'), 'sub1.srv.test:2587,sub2.srv.test:587',
    'a service of use_srv_lookup has the hosts of its SRV records');
is(site('x@named.test'), 'big.test:587',
    'without any it is a site of its own');
is(site('x@dead.test'), 'nosrv.test:587', 'and when they say "."');
is(site('x@sub.test'), 'mx1.big.test:587,mx2.big.test:587',
    'the number of the port asks for no service');

# --- ways inside addresses ----------------------------------------------------

# "class recipient" of a route.
sub meant
{
	my $r = route(@_);

	return $r->{result} == 0 ? "$r->{address_class} $r->{recipient}" :
	    "$r->{result} $r->{dsn}";
}

is(meant('@a.test,@b.test:x@far.test'), 'default x@far.test',
    'a source route is taken off');
is(meant('x%far.test@local.test'), 'default x@far.test',
    'user%place in a domain of ours means the place');
is(meant('x%far.test%local.test@mail.local.test'), 'default x@far.test',
    'again and again');
is(meant('far.test!x@local.test'), 'default x@far.test',
    'and so does place!user');
is(meant('a.test!far.test!x@local.test'), 'default far.test!x@a.test',
    'the first place is next');
is(meant('"x@far.test"@local.test'), 'default x@far.test',
    'and an address in quotes');
is(meant('x%far.test'), 'default x@far.test',
    'without a domain behind it, too');
is(meant('far.test!x'), 'default x@far.test', 'in both styles');
is(meant('x%local.test@local.test'), 'local x@local.test',
    'a place that is ours is us');
is(meant('x%@local.test'), 'local x%@local.test',
    'a sign without a place is a part of the name');
is(meant('%x@local.test'), 'local %x@local.test', 'or without a user');
is(meant('x%far.test@relay.test'), 'relay x%far.test@relay.test',
    'in domains of others it is not our business');
is(meant('x@192.0.2.7'), '2 5.1.3', 'a number is no domain');
is(meant('x@[127.0.0.1]'), 'local x@[127.0.0.1]',
    'a literal of ours is local');
is(meant('x@[192.0.2.99]'), 'local x@[192.0.2.99]',
    'also that of a proxy in front');

sub final
{
	my $r = $resolve->ask_as('smtpd', 'ASK_RECIPIENT', ['str', $_[0]],
	    ['str', '']);

	return "$r->{result} $r->{address_class} $r->{is_final}";
}

is(final('x@relay.test'), '0 relay 1', 'a relay domain takes its own mail');
is(final('x%far.test@relay.test'), '0 relay 0',
    'but nobody is final who orders it to send on');
is(final('far.test!x@relay.test'), '0 relay 0', 'in any style');
is(final('"x@far.test"@vbox.test'), '0 virtual-mailbox 0', 'quoted or not');
is(final('x%far.test@local.test'), '0 default 0',
    'what means another place is not ours');
is(final('x%relay.test@local.test'), '0 relay 1',
    'unless that is a destination, too');
is(final('odd%far.test@local.test'), '0 default 0',
    'an alias for such an address still makes it exist');
is(final('x@192.0.2.7'), '1 default 0', 'a number is refused at once');

# --- best MX ------------------------------------------------------------------

is(way('Ann+x@ours.test'), 'local ours.test ann@ours.test',
    'a domain whose best MX host has our name goes by best_mx_transport');
is(way('ann@oursaddr.test'), 'local oursaddr.test ann@oursaddr.test',
    'or our address, even among equals');
is(way('ann@proxied.test'), 'local proxied.test ann@proxied.test',
    'or the address of a proxy in front of us');
is(way('ann@backup.test'), 'smtp backup.test mail.local.test,mx.other.test',
    'a host that is better than we are has it first');
is(way('ann@plain.test'), 'smtp plain.test plain.test',
    'without MX records nothing is said about us');
is(way('ann@ours.sub.test'), 'smtp [mail.local.test] [mail.local.test]',
    'and a host in brackets is what it is');

# --- agents that pass mail on ---------------------------------------------------

is(way('ann@local.test', '', 'lmtp:unix:private/Box'),
    'lmtp unix:private/Box unix:private/Box',
    'what an agent passed on goes where he says');
is(way('x@ours.test', '', 'smtp:big.test'),
    'smtp big.test mx1.big.test,mx2.big.test', 'with the site of that way');
is(way('x@big.test', '', 'slow:'), 'slow big.test mx1.big.test,mx2.big.test',
    'no next hop: the domain');
is(way('x@ours.test', '', 'smtp:ours.test'), 'smtp ours.test mail.local.test',
    'nothing changes it');
is(way('x@valias.test', '', 'local:'), 'local valias.test x@valias.test',
    'not even the class');

# --- senders ------------------------------------------------------------------

Alone::prepare($dir, %common,
    relay_domains => 'relay.test', relayhost => 'big.test',
    allow_percent_hack => 'no', swap_bangpath => 'no',
    resolve_dequoted_address => 'no', resolve_numeric_domain => 'yes',
    use_srv_lookup => 'submission', allow_srv_lookup_fallback => 'yes',
    sender_dependent_relayhost_maps => "texthash:$e/hosts",
    sender_dependent_default_transport_maps => "texthash:$e/transports",
    transport_maps => "texthash:$e/transport");
table('hosts', <<'END');
ann@a.test	[ann.test]:587
@a.test		other.test
bob@a.test	DUNNO
<>		null.test
t@a.test	[never.test]
END
table('transports', <<'END');
@t.test		slow:
t@a.test	slow:[fixed.test]
hop@t.test	:[only.test]
bob@t.test	DUNNO
<>		slow:
END
table('transport', "fixed.test smtp:[10.0.0.1]\n" .
    "back.test smtp:both.test:submission\n");
$resolve->reload;
wait_for(sub { way('x@far.test', 'zoe@z.test') =~ /^smtp big.test / }, 10,
    'the reload');
is(way('x@far.test', 'zoe@z.test'),
    'smtp big.test mx1.big.test,mx2.big.test',
    'a sender without an entry uses relayhost');
is(way('x@far.test', 'ann@a.test'), 'smtp [ann.test]:587 [ann.test]:587',
    'one with an entry has a relayhost of his own');
is(way('x@far.test', 'ann+x@a.test'), 'smtp [ann.test]:587 [ann.test]:587',
    'with any extension');
is(way('x@far.test', 'carl@a.test'), 'smtp other.test mx.other.test',
    'or that of his domain');
is(way('x@far.test', 'bob@a.test'),
    'smtp big.test mx1.big.test,mx2.big.test', 'DUNNO ends the search');
is(way('x@relay.test', 'ann@a.test'),
    'relay [ann.test]:587 [ann.test]:587', 'relay domains go the same way');
is(way('x@local.test', 'ann@a.test'), 'local mail.local.test x@local.test',
    'our own mail stays');
is(way('x@fixed.test', 'ann@a.test'), 'smtp [10.0.0.1] [10.0.0.1]',
    'transport_maps have the last word');
is(way('x@far.test', 'u@t.test'), 'slow big.test mx1.big.test,mx2.big.test',
    'a sender may have a transport, with relayhost as the next hop');
is(way('x@far.test', 't@a.test'), 'slow [fixed.test] [fixed.test]',
    'a transport with a next hop overrules relayhosts');
is(way('x@far.test', 'hop@t.test'), 'smtp [only.test] [only.test]',
    'a next hop alone keeps the transport');
is(way('x@far.test', 'bob@t.test'),
    'smtp big.test mx1.big.test,mx2.big.test', 'DUNNO again');
is(way('x@relay.test', 'u@t.test'),
    'relay big.test mx1.big.test,mx2.big.test',
    'but only in place of default_transport');
is(way('x@far.test', ''), 'slow null.test null.test',
    'the null sender has a key');

is(meant('x%far.test@local.test'), 'local x%far.test@local.test',
    'with the hacks off, signs are parts of names');
is(meant('far.test!x@local.test'), 'local far.test!x@local.test',
    'in either style');
is(meant('"x@far.test"@local.test'), 'local "x@far.test"@local.test',
    'and what is in quotes is not looked at');
is(meant('x%far.test'), 'local x%far.test@local.test', 'nor completed');
is(meant('x@192.0.2.7'), 'default x@[192.0.2.7]',
    'resolve_numeric_domain makes a literal');
is(meant('x@127.0.0.1'), 'local x@[127.0.0.1]', 'perhaps one of ours');
is(site('x@back.test'), 'mx.other.test:587',
    'allow_srv_lookup_fallback: MX records in place of SRV records');
is(site('x@ours.test', 'zoe@z.test'), 'mx1.big.test,mx2.big.test',
    'without best_mx_transport nothing is special');

# --- what is remembered -------------------------------------------------------

my $before = route('x@memory.test', 'zoe@z.test');
is($before->{nexthop}, 'big.test', 'a domain without an entry');
table('transport', "memory.test smtp:[10.0.0.2]\n");
wait_for(sub { route('x@memory.test', 'zoe@z.test')->{nexthop} eq
    '[10.0.0.2]' }, 10, 'the change');
pass('an entry that is new is noticed for a domain that was asked before');
cmp_ok(route('x@memory.test', 'z@z.test')->{generation}, '>',
    $before->{generation}, 'and the generation has grown');
table('transport', "\n");
wait_for(sub { route('x@memory.test', 'zoe@z.test')->{nexthop} eq
    'big.test' }, 10, 'the change back');
pass('and so is one that has gone');

table('domains', "here.test x\n");
table('hosts', "<> [lost.test]\nbroken\n");
Alone::prepare($dir, %common, mydestination => "texthash:$e/domains",
    sender_dependent_relayhost_maps => "texthash:$e/nowhere");
$resolve->reload;
wait_for(sub { route('x@here.test')->{address_class} eq 'local' }, 10,
    'the reload');
like(way('x@far.test', 'u@t.test'), qr/^1 4\.3\.0 .*nowhere/,
    'a table of senders that is missing is a temporary failure');
is(way('x@here.test', 'u@t.test'), 'local mail.local.test x@here.test',
    'for those whom it concerns');
table('domains', "there.test x\n");
wait_for(sub { route('x@here.test', 'u@t.test')->{address_class} eq
    'default' }, 10, 'the change');
is(route('x@there.test')->{address_class}, 'local',
    'a table of domains is watched, too');

$dns->stop;
is($resolve->stop, 0, 'resolve ends in order');
unlike($resolve->log, qr/(?:panic|fatal|Sanitizer)/,
    'the log has no complaint of that kind');
done_testing();
