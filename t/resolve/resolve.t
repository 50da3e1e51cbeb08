# resolve.t - what resolve says of addresses: class, route, existence, aliases.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use Test::More;

use Alone;
use Postrider qw(bin free_port is_root slurp spew wait_for);

plan skip_all => 'nsd is not installed' unless Alone::nsd();

my $temp = File::Temp->newdir('prt-resolve-XXXX', DIR => '/tmp');
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
sister	MX	5 MX1.big
sister	MX	6 mx2.big
other	MX	10 mx.other
plain	A	192.0.2.1
mx1.big	A	192.0.2.1
mx2.big	A	192.0.2.1
mx.other A	192.0.2.1
END
Alone::name_server($dir, $port, 'test' => 'test.zone');

Alone::prepare($dir, dns_servers => "127.0.0.1\@$port",
    dns_hosts_file => '',
    myorigin => 'local.test', recipient_delimiter => '+',
    mydestination => 'local.test, mail.local.test, .sub.local.test',
    local_recipient_maps => "unix:passwd.byname \$alias_maps",
    alias_maps => "hash:$e/aliases",
    virtual_alias_maps => "proxy:texthash:$e/virtual",
    virtual_alias_domains => 'valias.test',
    virtual_mailbox_domains => "texthash:$e/vdomains",
    virtual_mailbox_maps => "texthash:$e/vmailbox",
    relay_domains => 'relay.test',
    relay_recipient_maps => "texthash:$e/relay",
    transport_maps => "texthash:$e/transport",
    virtual_alias_expansion_limit => 50,
    virtual_alias_recursion_limit => 20);
table('virtual', <<'END');
info@valias.test	alice, bob@far.test
many@valias.test	info@valias.test, carol@far.test
self@local.test		self@local.test, copy@far.test
loop1@valias.test	loop2@valias.test
loop2@valias.test	loop1@valias.test
two@valias.test		x1@valias.test, x2@valias.test
x1@valias.test		y@valias.test
x2@valias.test		y@valias.test
y@valias.test		final@far.test
@catch.test		@far.test
@one.test		one@far.test
short			short@far.test
broken@valias.test	"unbalanced
deep0@valias.test	deep1@valias.test
END
table('virtual', slurp("$e/virtual") . join '', map {
	"deep$_\@valias.test deep" . ($_ + 1) . "\@valias.test\n" } 1 .. 40);
table('virtual', slurp("$e/virtual") . 'wide@valias.test ' .
    join(', ', map { "u$_\@far.test" } 1 .. 60) . "\n");
table('vdomains', "vbox.test anything\n");
table('vmailbox', "ann\@vbox.test ann/\n");
table('relay', "known\@relay.test x\n");
table('transport', <<'END');
fixed.test		smtp:[10.0.0.1]:2525
.fixed.test		smtp:[10.0.0.2]
user@fixed.test		slow:
nexthop.test		:[10.0.0.3]
null.test		:
gone.test		error:5.1.2 this domain has moved
drop.test		discard:
ann+lists@vbox.test	smtp:[10.0.0.4]
END
table('aliases', "postmaster: root\nlist: alice, bob\n");
is(system(bin() . '/postrider-map', '-a', "hash:$e/aliases"), 0,
    'the alias table is built');
spew("$e/master.cf", "smtp unix - - n - - smtp\n" .
    "relay unix - - n - - smtp\nslow unix - - n - 2 smtp\n" .
    "local unix - n n - - local\n");

my $dns = Alone->new(program => 'dns', dir => $dir);
my $resolve = Alone->new(program => 'resolve', dir => $dir);

# --- routes -------------------------------------------------------------------

sub route
{
	my ($address) = @_;

	return $resolve->ask_as('qmgr', 'ASK_ROUTE', ['str', $address],
	    ['str', ''], ['str', '']);
}

# "transport nexthop site", or "result dsn text".
sub way
{
	my ($r) = map { route($_) } @_;

	return join ' ', $r->{result} == 0 ? @$r{qw(transport nexthop site)} :
	    @$r{qw(result dsn text)};
}

is(way('alice@local.test'), 'local mail.local.test alice@local.test',
    'a local address: a site for each mailbox');
is(way('Alice+x@LOCAL.test'), 'local mail.local.test alice@local.test',
    'whatever its case and extension');
is(way('alice'), 'local mail.local.test alice@local.test',
    'an address without a domain belongs to myorigin');
is(route('alice')->{recipient}, 'alice@local.test', 'and is completed');
is(route('')->{recipient}, 'MAILER-DAEMON@local.test',
    'the null address has a recipient');
is(route('a@[127.0.0.1]')->{address_class}, 'local',
    'a literal of our own is local');
is(route('a@[192.0.2.200]')->{address_class}, 'default',
    'another one is not');
is(route('a@x.sub.local.test')->{address_class}, 'local',
    'a pattern with a dot stands for sub-domains');
is(route('a@sub.local.test')->{address_class}, 'default',
    'but not for itself');

is(way('x@big.test'), 'smtp big.test mx1.big.test,mx2.big.test',
    'the site is the set of MX hosts');
is(way('x@sister.test'), 'smtp sister.test mx1.big.test,mx2.big.test',
    'domains that share their receivers share the site');
is(way('x@other.test'), 'smtp other.test mx.other.test', 'others do not');
is(way('x@plain.test'), 'smtp plain.test plain.test',
    'a domain without MX is its own site');
is(way('x@MISSING.test'), 'smtp MISSING.test missing.test',
    'and so is one that does not exist');
is(way('x@[192.0.2.7]'), 'smtp [192.0.2.7] [192.0.2.7]',
    'an address literal is a next hop');

is(way('x@relay.test'), 'relay relay.test relay.test',
    'relay domains go by relay_transport');
is(route('x@deep.relay.test')->{address_class}, 'relay',
    'with their sub-domains');
is(route('x@notrelay.test')->{address_class}, 'default',
    'a common ending is not a sub-domain');
is(way('ann@vbox.test'), 'virtual vbox.test ann@vbox.test',
    'virtual mailboxes go by virtual_transport');
is(way('nobody@valias.test'),
    '2 5.1.1 User unknown in virtual alias table',
    'what is left of an alias domain has no way');
is(way('a@'), '2 5.1.3 Bad recipient address syntax',
    'an empty domain is an error');

is(way('x@fixed.test'), 'smtp [10.0.0.1]:2525 [10.0.0.1]:2525',
    'transport_maps know domains');
is(way('x@a.b.fixed.test'), 'smtp [10.0.0.2] [10.0.0.2]',
    'their sub-domains');
is(way('user+ext@fixed.test'), 'slow fixed.test fixed.test',
    'and addresses, with a next hop of their own domain');
is(way('ann+lists@vbox.test'), 'smtp [10.0.0.4] [10.0.0.4]',
    'an extension can have its own way');
is(way('x@nexthop.test'), 'smtp [10.0.0.3] [10.0.0.3]',
    'a next hop alone keeps the transport');
is(way('x@null.test'), 'smtp null.test null.test',
    'an empty entry changes nothing');
is(way('x@gone.test'),
    'error 5.1.2 this domain has moved 5.1.2 this domain has moved',
    'error: carries its text');
is(way('x@drop.test'), 'discard drop.test drop.test', 'discard: is one too');

# --- recipients ---------------------------------------------------------------

my ($exists, $unknown, $later) = 0 .. 2;

sub recipient
{
	my $r = $resolve->ask_as('smtpd', 'ASK_RECIPIENT', ['str', $_[0]],
	    ['str', '']);

	return join ' ', @$r{qw(result address_class is_final text)};
}

is(recipient('root@local.test'), "$exists local 1 ", 'a user exists');
is(recipient('root+x@local.test'), "$exists local 1 ",
    'with an extension, too');
is(recipient('LIST@mail.local.test'), "$exists local 1 ", 'an alias exists');
is(recipient('nobodyatall@local.test'),
    "$unknown local 1 User unknown in local recipient table",
    'others do not');
is(recipient('info@valias.test'), "$exists virtual-alias 1 ",
    'a virtual alias exists');
is(recipient('none@valias.test'),
    "$unknown virtual-alias 1 User unknown in virtual alias table",
    'others of its domain do not');
is(recipient('ann@vbox.test'), "$exists virtual-mailbox 1 ",
    'a virtual mailbox exists');
is(recipient('bob@vbox.test'),
    "$unknown virtual-mailbox 1 User unknown in virtual mailbox table",
    'others do not');
is(recipient('known@relay.test'), "$exists relay 1 ",
    'a relay recipient exists');
is(recipient('unknown@relay.test'),
    "$unknown relay 1 User unknown in relay recipient table",
    'others do not');
is(recipient('x@anywhere.example'), "$exists default 0 ",
    'everybody else is assumed to exist, and is not ours');
is(recipient('short@local.test'), "$exists local 1 ",
    'a virtual alias by local part alone, in our domains');
is(recipient('x@catch.test'), "$exists default 0 ",
    'a catch-all of a domain that is not listed makes it no destination');
is(recipient('x@gone.test'), "$unknown default 0 5.1.2 this domain " .
    "has moved",
    'an address routed to error is refused at once');

# --- virtual aliases ----------------------------------------------------------

sub expand
{
	my $a = $resolve->ask_as('cleanup', 'ASK_EXPAND', ['list', [map {
		[['str', $_], ['str', ''], ['str', ''], ['int', 0]]
	} @_]]);

	return "later: $a->{text}" if $a->{result} != 0;
	return join ' ', map {
		$_->{original} eq '' ? $_->{address} :
		    "$_->{address}($_->{original})"
	} @{ $a->{rows} };
}

is(expand('x@far.test'), 'x@far.test', 'what is no alias stays as it is');
is(expand('info@valias.test'), 'alice@local.test(info@valias.test) ' .
    'bob@far.test(info@valias.test)',
    'an alias becomes its addresses, completed, with the original told');
is(expand('many@valias.test'), 'carol@far.test(many@valias.test) ' .
    'alice@local.test(many@valias.test) bob@far.test(many@valias.test)',
    'aliases of aliases are followed');
is(expand('self@local.test'),
    'self@local.test copy@far.test(self@local.test)',
    'an alias may keep its own address');
like(expand('loop1@valias.test'), qr/^loop1\@valias.test/,
    'a circle ends where it began');
is(expand('two@valias.test'), 'final@far.test(two@valias.test)',
    'what two branches share is delivered once');
is(expand('x@catch.test'), 'x@far.test(x@catch.test)',
    '@domain: the same local part elsewhere');
is(expand('x@one.test'), 'one@far.test(x@one.test)',
    'or one address for all');
is(expand('info+list@valias.test'),
    'alice+list@local.test(info+list@valias.test) ' .
    'bob+list@far.test(info+list@valias.test)',
    'an extension that the table does not know is propagated');
is(expand('short@local.test'), 'short@far.test(short@local.test)',
    'local parts are keys in our domains');
is(expand('short@far.test'), 'short@far.test', 'and only there');
is(expand('info@valias.test', 'x@far.test'),
    'alice@local.test(info@valias.test) bob@far.test(info@valias.test) ' .
    'x@far.test', 'several recipients in one question');
like(expand('deep0@valias.test'), qr/^later: .*too deep/,
    'depth has a limit');
like(expand('wide@valias.test'), qr/^later: .*too many/,
    'width has a limit');
like(expand('broken@valias.test'), qr/^later: .*virtual_alias_maps/,
    'a broken value is a temporary failure');

# --- other tables -------------------------------------------------------------

sub lookup
{
	my ($service, $parameter, @keys) = @_;
	my $f = $resolve->ask_as($service, 'ASK_LOOKUP', ['str', ''],
	    ['str', $parameter], ['int', 0], ['list', [map { [['str', $_]] } @keys]]);

	return join ' ', @$f{qw(result which value text)};
}

is(lookup('local', 'alias_maps', 'list+x', 'list'), '0 1 alice, bob ',
    'local may read aliases; the first key that hits is told');
is(lookup('local', 'alias_maps', 'none'), '1 0  ', 'or that there is none');
like(lookup('local', 'transport_maps', 'fixed.test'), qr/^2 0  .*not yours/,
    'it may not ask for anything else');
like(lookup('smtpd', 'transport_maps', 'list'), qr/^2 0  .*not yours/,
    'nor may others ask for its parameters');
is($resolve->ask_as('smtpd', 'ASK_ROUTE', ['str', 'a@b'], ['str', ''],
    ['str', '']),
    undef, 'smtpd may not ask for routes');

# --- changes ------------------------------------------------------------------

my $before = route('x@far.test')->{generation};
table('relay', "known\@relay.test x\nnewcomer\@relay.test x\n");
wait_for(sub { recipient('newcomer@relay.test') =~ /^$exists / }, 10,
    'the change of a text table');
pass('a changed text table is noticed');
cmp_ok(route('x@far.test')->{generation}, '>', $before,
    'and routes have a new generation');

table('aliases', "postmaster: root\nnewlist: alice\n");
system(bin() . '/postrider-map', '-a', "hash:$e/aliases");
wait_for(sub { lookup('local', 'alias_maps', 'newlist') =~ /^0/ }, 10,
    'the change of a built table');
pass('a table that was built anew is noticed');
like(lookup('local', 'alias_maps', 'list'), qr/^1/,
    'what is no longer in it is gone');

spew("$e/transport", "fixed.test smtp:[10.9.9.9]\n /broken\nline\n");
wait_for(sub { route('x@fixed.test');
    $resolve->log =~ /transport_maps: .*transport:3: expected/ }, 10,
    'the complaint');
pass('a broken table is told with file and line');
like(way('x@fixed.test'), qr/^1 4\.3\.0 .*transport:3: expected/,
    'and its questions wait until it is well again');
table('transport', "fixed.test smtp:[10.9.9.9]\n");
wait_for(sub { way('x@fixed.test') eq 'smtp [10.9.9.9] [10.9.9.9]' }, 10,
    'the table to be well again');
pass('which is noticed');

spew("$e/aliases.db", 'half of a table');
wait_for(sub { lookup('local', 'alias_maps', 'newlist') =~ /^2/ }, 10,
    'the temporary failure');
pass('a table that is half written is a temporary failure');
wait_for(sub { recipient('nobodyatall@local.test') =~ /^$later / }, 10,
    'the other user of the file');
like(recipient('nobodyatall@local.test'), qr/^$later /,
    'nobody is unknown because of it');
system(bin() . '/postrider-map', '-a', "hash:$e/aliases");
wait_for(sub { lookup('local', 'alias_maps', 'newlist') =~ /^0/ }, 10,
    'the table to be well again');
pass('it recovers when the table is whole');

Alone::prepare($dir, dns_servers => "127.0.0.1\@$port",
    mydestination => 'new.test', relayhost => '[relay.far.test]:587',
    local_recipient_maps => '', alias_maps => "hash:$e/missing",
    virtual_alias_maps => 'fail:always', virtual_alias_domains => '',
    relay_domains => 'relay.test',
    transport_maps => '');
$resolve->reload;
wait_for(sub { route('x@new.test')->{address_class} eq 'local' }, 10,
    'the reload');
pass('reload acts in place');
is(way('x@far.test'),
    'smtp [relay.far.test]:587 [relay.far.test]:587',
    'relayhost is the next hop of other domains');
is(way('x@relay.test'),
    'relay [relay.far.test]:587 [relay.far.test]:587',
    'and of relay domains');
is(way('x@new.test'), 'local mail.local.test x@new.test',
    'but not of ours');
like(recipient('anyone@new.test'), qr/^$later /,
    'a table that fails refuses nobody for good');
like(expand('a@b.test'), qr/^later: /, 'and expands nobody wrongly');
like($resolve->log, qr{alias_maps: hash:\S+/missing: .*no such file},
    'a missing table is told once');

$dns->stop;
is(way('x@sister.test'), way('x@sister.test'),
    'without dns there is still a route');
is($resolve->stop, 0, 'resolve ends in order');
unlike($resolve->log, qr/(?:panic|fatal|Sanitizer)/,
    'the log has no complaint of that kind');
done_testing();
