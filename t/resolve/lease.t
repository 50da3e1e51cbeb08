# lease.t - how long resolve says that an answer holds, and for whom else; and
# what the administrator changes acts as soon as it ever did.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use Test::More;
use Time::HiRes qw(sleep time);

use Alone;
use Postrider qw(bin spew wait_for);

use constant { ANY_SENDER => 1, DOMAIN => 2 };

my $temp = File::Temp->newdir('prt-lease-XXXX', DIR => '/tmp');
my $dir = "$temp";
chmod 0755, $dir;
my $e = "$dir/etc";

sub table { return Alone::table($e, @_) }

my %common = (mydestination => 'local.test', myorigin => 'local.test',
    relay_domains => 'relay.test', alias_maps => '',
    relayhost => '[127.0.0.1]', local_recipient_maps => '');
Alone::prepare($dir, %common);
spew("$e/master.cf", "smtp unix - - n - - smtp\nrelay unix - - n - - smtp\n" .
    "local unix - n n - - local\n");
my $resolve = Alone->new(program => 'resolve', dir => $dir);

sub recipient
{
	my ($address) = @_;

	return $resolve->ask_as('smtpd', 'ASK_RECIPIENT', ['str', $address],
	    ['str', 's@s.test']);
}

sub route
{
	my ($address, $via) = @_;

	return $resolve->ask_as('qmgr', 'ASK_ROUTE', ['str', $address],
	    ['str', 's@s.test'], ['str', $via // '']);
}

# Read main.cf with these settings more.
sub settings
{
	Alone::prepare($dir, %common, @_);
	my $before = route('x@far.test')->{generation};
	$resolve->reload;
	wait_for(sub { route('x@far.test')->{generation} != $before }, 10,
	    'the reload');
}

# The scope of an answer that somebody may remember, or 'none'. Just before the
# files are looked at again nobody may: then the next answer tells.
sub scope
{
	my ($ask, @what) = @_;
	my $answer;

	for (1 .. 5) {
		$answer = $ask->(@what);
		return $answer->{scope} if $answer->{time} > 0;
		sleep 0.3;
	}
	return 'none';
}

# --- without tables --------------------------------------------------------

is(scope(\&recipient, 'x@far.test'), ANY_SENDER | DOMAIN,
    'without tables an answer is for all senders and the whole domain');
is(scope(\&route, 'x@far.test'), ANY_SENDER | DOMAIN, 'a route too');
is(scope(\&recipient, 'x@relay.test'), ANY_SENDER | DOMAIN,
    'and one about a domain that we relay for');
is(scope(\&route, 'x@local.test'), ANY_SENDER,
    'but the route to a mailbox is its own');
is(scope(\&recipient, 'x'), ANY_SENDER,
    'an address that is completed stands for no other');
is(scope(\&recipient, 'x@far.test.'), ANY_SENDER, 'in any way');
cmp_ok(recipient('x@far.test')->{time}, '<=', 1000,
    'no answer holds longer than a second');

# --- with tables -----------------------------------------------------------

table('known', "known\@relay.test x\n");
settings(relay_recipient_maps => "texthash:$e/known");
is(scope(\&recipient, 'known@relay.test'), ANY_SENDER,
    'where a table knows recipients, an answer is for this one');
is(scope(\&recipient, 'x@far.test'), ANY_SENDER | DOMAIN,
    'which has nothing to do with other domains');

for my $parameter (qw(virtual_alias_maps canonical_maps relocated_maps
    recipient_canonical_maps transport_maps)) {
	settings($parameter => 'inline:{a@b.test=c}');
	is(scope(\&recipient, 'x@far.test'), ANY_SENDER,
	    "$parameter: for this address");
	settings($parameter => 'unix:passwd.byname');
	is(scope(\&recipient, 'x@far.test'), 'none',
	    "$parameter: users change unseen, nothing is remembered");
	is(scope(\&route, 'x@far.test'), 'none', '... of routes neither');
}
for my $parameter (qw(sender_dependent_relayhost_maps
    sender_dependent_default_transport_maps)) {
	settings($parameter => 'inline:{a@b.test=smtp:c}');
	is(scope(\&route, 'x@far.test'), DOMAIN, "$parameter: for this sender");
}
settings(local_recipient_maps => 'unix:passwd.byname');
is(scope(\&recipient, 'root@local.test'), 'none', 'users of the system');
is(scope(\&recipient, 'x@far.test'), ANY_SENDER | DOMAIN,
    'matter for local addresses only');
settings(mydestination => 'unix:passwd.byname');
is(scope(\&recipient, 'x@far.test'), 'none',
    'where a domain is ours perhaps, nothing is remembered');

SKIP: {
	spew("$e/base", "known\@relay.test x\n");
	system(bin() . "/postrider-map", '-c', $e,
	    "hash:$e/base") == 0 or skip 'no Berkeley DB', 1;
	chmod 0644, "$e/base.db";
	settings(relay_recipient_maps => "hash:$e/base");
	is(scope(\&recipient, 'known@relay.test'), 'none',
	    'a database can be changed where it is, and is asked each time');
}

# --- changes ---------------------------------------------------------------

settings(relay_recipient_maps => "texthash:$e/known");
my ($granted, $answer);
wait_for(sub {
	$granted = time;
	($answer = recipient('known@relay.test'))->{time} > 0
}, 10, 'a lease');
table('known', "other\@relay.test x\n");
my $overlap = 0;
wait_for(sub {
	my $now = recipient('known@relay.test');
	my $is_old = $now->{result} == 0;

	# Whoever holds the lease is told what resolve itself would say.
	$overlap++ if !$is_old &&
	    (time - $granted) * 1000 < $answer->{time} - 50;
	return !$is_old;
}, 10, 'the new table');
is($overlap, 0, 'no answer holds when resolve says something else');

# --- CHANGED ---------------------------------------------------------------

# What comes on this channel up to CHANGED.
my $heard = '';
{
	my $s = $resolve->channel('smtpd');
	my %name = %{ Alone::names() };

	recipient('x@far.test');
	$resolve->reload;
	wait_for(sub {
		my $in = '';

		vec($in, fileno $s, 1) = 1;
		return 0 unless select $in, undef, undef, 0.1;
		sysread $s, my $packet, 65536 or die 'resolve has gone';
		$heard .= $name{unpack 'v', $packet} . ' ';
		return $heard =~ /CHANGED/;
	}, 10, 'CHANGED');
}
is($heard, 'CHANGED ', 'smtpd hears of a reload without asking');

is($resolve->stop, 0, 'resolve ends well');
done_testing();
