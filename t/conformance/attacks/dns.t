# dns.t - name servers that lie, repeat themselves or fall silent, and names
# that are made to send mail astray or to make everybody wait.
#
# The name server is this test's own, at the standard port of a network of its
# own, so that /etc/resolv.conf can be ours as well.
use strict;
use warnings;

use lib 't/lib', 't/resolve';
use Alone;
use IO::Socket::INET;
use POSIX ();
use Postrider qw(is_root slurp spew wait_for);
use Postrider::Fixture;
use Socket qw(inet_aton);
use Test::More;
use Time::HiRes qw(time);

# Without libunbound there is no cache, and few questions are under way at once.
my $has_cache = `ldd '@{[Postrider::bin()]}/dns'` =~ /libunbound/;
my $far = '192.0.2.53';		# a name server that is not at the loopback
if (is_root() && !$ENV{PRIVATE_NETWORK} &&
    system("unshare -n -m ip link show lo >/dev/null 2>&1") == 0) {
	my $conf = "/tmp/prt-resolv.$$";
	spew($conf, "search evil.test test\nnameserver 127.0.0.1\n" .
	    "options ndots:5 trust-ad\n");
	chmod 0644, $conf;
	$ENV{PRIVATE_NETWORK} = $conf;
	@ENV{qw(LOCALDOMAIN RES_OPTIONS)} = ('evil.test', 'ndots:9 trust-ad');
	exec 'unshare', '-n', '-m', 'sh', '-c', 'mount --bind "$1" ' .
	    '/etc/resolv.conf && shift && ip link set lo up && ip addr add ' .
	    "$far/32 dev lo && ip addr add 10.9.0.1/16 dev lo && " .
	    'exec "$@"', 'sh', $conf, $^X, '-It/lib',
	    $0;
}
plan skip_all => 'a network of our own needs root and ip'
    unless $ENV{PRIVATE_NETWORK};
unlink $ENV{PRIVATE_NETWORK};
plan skip_all => 'no resolv.conf of our own here'
    if slurp('/etc/resolv.conf') !~ /^search evil\.test/;

# --- a name server ------------------------------------------------------------

my %number = (A => 1, NS => 2, SOA => 6, PTR => 12, MX => 15, AAAA => 28);
my %type = reverse %number;

sub name_bytes
{
	return join('', map { chr(length) . $_ } split /\./, $_[0]) . "\0";
}

sub data_bytes
{
	my ($type, $text) = @_;

	return inet_aton($text) if $type eq 'A';
	return name_bytes($text) if $type eq 'PTR';
	my ($preference, $host) = split / /, $text;
	return pack('n', $preference) . name_bytes($host eq '.' ? '' : $host);
}

# What is asked goes to $answer->(name, type), which returns lists of type,
# data and time to live; NX; or undef for silence. AD is always set.
sub name_server
{
	my ($at, $list, $answer) = @_;
	my $socket = IO::Socket::INET->new(LocalAddr => $at, LocalPort => 53,
	    Proto => 'udp') or die "port 53 of $at: $!";
	my $pid = fork // die "fork: $!";

	return $pid if $pid != 0;
	while (defined(my $from = $socket->recv(my $q, 4096))) {
		my ($id, @labels) = unpack 'n', $q;
		my $place = 12;
		while (my $n = ord substr $q, $place, 1) {
			push @labels, substr $q, $place + 1, $n;
			$place += $n + 1;
		}
		my $type = $type{ unpack 'n', substr $q, $place + 1, 2 } // '?';
		my $name = lc join '.', @labels;
		open my $f, '>>', $list;
		syswrite $f, "$type $name\n";
		my $said = $answer->($name, $type) // next;
		my @rows = $said eq 'NX' ? () : @$said;
		my $packet = pack('nnnnnn', $id, 0x8000 | 0x400 | 0x100 | 0x80 |
		    0x20 | ($said eq 'NX' ? 3 : 0), 1, scalar @rows, 0, 0) .
		    substr($q, 12, $place + 5 - 12);
		for (@rows) {
			my ($kind, $text, $ttl) = @$_;
			my $data = data_bytes($kind, $text);
			$packet .= "\xc0\x0c" . pack('nnNn', $number{$kind}, 1,
			    $ttl // 300, length $data) . $data;
		}
		$socket->send($packet, 0, $from);
	}
	POSIX::_exit(0);
}

my $good = '127.0.0.11';
my %flips;
my $answer = sub {
	my ($name, $type) = @_;

	return undef if $name =~ /\.9\.10\.in-addr\.arpa$/;
	return undef if $name =~ /(?:^|\.)silent\.test$/;
	return $type eq 'A' ? [['A', $good]] : [] if $name =~ /evil\.test$/;
	if ($name =~ /^null\d?\.x\.test$/) {
		return [['MX', '0 .']] if $type eq 'MX';
		return $type eq 'A' ? [['A', $good]] : [];
	}
	if ($name eq 'mixed.x.test') {
		return [['MX', '0 .'], ['MX', '10 good.x.test']]
		    if $type eq 'MX';
		return $type eq 'A' ? [['A', '127.0.0.12']] : [];
	}
	return $type eq 'MX' ? [['MX', "10 at$1.x.test"]] : []
	    if $name =~ /^flip(\d+)\.x\.test$/;
	# Every time another one: ours is the first one for every second name.
	return $type ne 'A' ? [] : [['A', ($1 + $flips{$name}++) % 2 ? $good :
	    '127.0.0.1', 0]] if $name =~ /^at(\d+)\.x\.test$/;
	if ($name =~ /^many\d+\.x\.test$/) {
		return $type ne 'MX' ? [] :
		    [map { ['MX', "10 h$_.x.test"] } 1 .. 150];
	}
	return $type eq 'A' ? [['A', '127.0.0.13']] : [] if $name =~ /^h\d+\./;
	return $type eq 'A' ? [['A', $good]] : []
	    if $name =~ /^(?:good|d\d+)\.x\.test$/;
	return 'NX';
};

my $sut = Postrider::Fixture->new(settings => {
	default_transport => 'smtp', smtpd_peername_lookup => 'yes',
	dns_timeout => '3s', smtp_connect_timeout => '2s',
	smtpd_client_connection_count_limit => 0,
	smtpd_recipient_limit => 2000,
	relay_domains => 'relay-ok.test', notify_classes => '',
}, master => "127.0.0.1:25 inet n - n - - smtpd\n");
my $list = $sut->dir . '/asked';
my @servers = (name_server('127.0.0.1', $list, $answer),
    name_server($far, "$list.far", $answer));
my $own = $$;
END { kill 'KILL', @servers if @servers && defined $own && $$ == $own }

sub asked { return split /\n/, slurp($list) }

my $sink = $sut->sink(address => $good, port => 25);
$sut->start;

sub post
{
	my (@to) = @_;
	my $c = $sut->friend;
	my $id = $sut->take($c, from => '', to => \@to);

	$c->command('QUIT', 221);
	return $id;
}

sub outcome
{
	my ($id, $to) = @_;
	my $line = $sut->wait_log(qr/ $id: to=<\Q$to\E>,.*status=.*\n/, 25);

	return $line =~ /relay=(.*?), .*dsn=(\S+), status=(\S+) (.*)/ ?
	    "$3 $2 $1 $4" : $line;
}

# --- DNS-03 -------------------------------------------------------------------

{
	my $began = time;
	my @ids = map { post("r\@null$_.x.test") } 1 .. 3;
	like(outcome($ids[$_ - 1], "r\@null$_.x.test"),
	    qr/^bounced 5\.1\.10 none .*null ?MX/i,
	    'DNS-03 a domain that takes no mail') for 1 .. 3;
	cmp_ok(time - $began, '<', 3, 'DNS-03 at once');
	is(scalar(grep { /^A+ null/ } asked()), 0,
	    'DNS-03 and its address is not even asked for');
	is($sink->sessions, 0, 'DNS-03 nor called');
	like(outcome(post('r@mixed.x.test'), 'r@mixed.x.test'),
	    qr/^sent 2\.0\.0 good\.x\.test\[$good\]/,
	    'DNS-03 beside a host "." is nothing');
	is(scalar(grep { /^A+ (?:mixed|$)/ } asked()), 0,
	    'DNS-03 and again it is no address that counts');
}

# --- DNS-08 -------------------------------------------------------------------

{
	my $before = $sink->sessions;
	my @to = ('r@single', 'r@nx.x.test', 'r@a.b', 'r@x');
	my @ids = map { post($_) } @to;
	like(outcome($ids[$_], $to[$_]), qr/^(?:bounced 5|deferred 4)/,
	    "DNS-08 $to[$_] is nobody") for 0 .. $#to;
	is($sink->sessions, $before, 'DNS-08 nobody else gets it');
	my @asked = asked();
	is(join(' ', grep { /evil\.test|single\.|\.test\.test/ } @asked), '',
	    'DNS-08 the search list of resolv.conf and the environment ' .
	    'complete no name');
	ok(scalar(grep { $_ eq 'MX nx.x.test' } @asked),
	    'DNS-08 names are asked for as they are');
}

# --- DNS-10 -------------------------------------------------------------------

{
	my $c = $sut->friend(helo => undef);
	my @wrong;
	my @names = (map({ '0' x $_ } 1, 2, 3, 10, 63, 64, 100, 255, 256, 1000,
	    2000), map({ '0.' x $_ . '0' } 1, 3, 50, 127, 128, 500, 999),
	    map({ '1' x $_ . '.' . '2' x $_ } 100, 500), '.' x 1000,
	    'x' x 1000, join('.', ('y' x 63) x 15) . '.test');
	for my $name (@names) {
		for my $verb ('EHLO', 'HELO') {
			my $said = $c->command("$verb $name") // 'closed';
			push @wrong, "$verb $name: $said"
			    unless $said =~ /\A(?:250|50[01])[ -]/;
		}
		$c->command('EHLO c.test', 250);
		for my $said ($c->command("MAIL FROM:<a\@$name>"),
		    $c->command('RSET'), $c->command('MAIL FROM:<>'),
		    $c->command("RCPT TO:<a\@$name>"), $c->command('RSET')) {
			push @wrong, "$name: $said"
			    unless $said =~ /\A[25]\d\d /;
		}
	}
	is("@wrong", '', 'DNS-10 digits and dots are names, or are refused');
	is(join(' ', grep { /000|1111|yyy|xxx|0\.0/ } asked()), '',
	    'DNS-10 and no name server hears of them');
	my @linked;
	for my $program (qw(smtpd smtp cleanup qmgr)) {
		my $symbols = `nm -uD '@{[Postrider::bin()]}/$program'`;
		push @linked, $program if $symbols =~
		    /\bU (?:getaddrinfo|getnameinfo|gethostby\w+|res_\w+|__res_\w+|ub_resolve\w*|ns_\w+)\b/;
	}
	is("@linked", '', 'DNS-10 none of them can ask one');
}

# --- DNS-11 -------------------------------------------------------------------

{
	my @to = map { my $d = $_; map { "r$_\@d$d.x.test" } 1 .. 5 } 1 .. 40;
	my $id = post(@to);
	wait_for(sub { (() = $sut->log =~ / $id: to=.*status=sent/g) == @to },
	    25, 'two hundred recipients');
	my %times;
	$times{$_}++ for grep { /^\w+ d\d+\.x\.test$/ } asked();
	is(join(' ', grep { $times{$_} > 1 } sort keys %times), '',
	    'DNS-11 a question of one message is asked once') if $has_cache;
	cmp_ok(scalar keys %times, '<=', 40 * 3, 'DNS-11 three for a domain');
	# Hosts beyond number, and a message for each of those domains.
	my @ids = map { post("r\@many$_.x.test") } 1 .. 4;
	like(outcome($ids[$_ - 1], "r\@many$_.x.test"), qr/^deferred 4/,
	    'DNS-11 a domain with 150 dead hosts') for 1 .. 4;
	%times = ();
	$times{$_}++ for grep { /^A+ h\d+\./ } asked();
	cmp_ok(scalar keys %times, '<=', 4 * 2 * 100,
	    'DNS-11 has no more than a hundred');
	is(join(' ', grep { $times{$_} > 1 } sort keys %times), '',
	    'DNS-11 and those are known the next time') if $has_cache;
}

# --- DNS-12 -------------------------------------------------------------------

{
	my $began = time;
	my @clients = map { Postrider::Client->new($sut->port,
	    from => "10.9.$_.5", patience => 25) } 1 .. 120;
	my $c = $sut->friend;	# his name is known
	cmp_ok(time - $began, '<', 2, 'DNS-12 who has a name need not wait ' .
	    'for who has none');
	my $id = $sut->take($c, from => '', to => ['alice@local.test'],
	    text => "Subject: meanwhile\n\nx\n");
	$sut->wait_mail('alice', qr/^Subject: meanwhile/m);
	cmp_ok(time - $began, '<', 3, 'DNS-12 and his mail is taken');
	like(outcome(post('r@d99.x.test'), 'r@d99.x.test'), qr/^sent/,
	    'DNS-12 other names are found');
	cmp_ok(time - $began, '<', $has_cache ? 3 : 8, 'DNS-12 at once');
	$_->expect(220) for @clients;
	my $took = time - $began;
	cmp_ok($took, '>', 1, 'DNS-12 they were waited for');
	cmp_ok($took, '<', 10, 'DNS-12 all at the same time');
	is($sut->said(qr/\]: connect from unknown\[10\.9\.\d+\.5\]/), 120,
	    'DNS-12 and are unknown');
}

# --- DNS-13 -------------------------------------------------------------------

{
	my $before = $sut->said(qr/\]: connect from localhost\[127\.0\.0\.1\]/);
	my @ids = map { post("r\@flip$_.x.test") } 1 .. 16;
	my %how;
	for my $n (1 .. 16) {
		my $said = outcome($ids[$n - 1], "r\@flip$n.x.test");
		$how{ $said =~ /^sent \S+ at\d+\.x\.test\[\Q$good\E\]/ ?
		    'sent' : $said =~ /loops back to myself/ ? 'loop' : $said }++;
	}
	is(join(' ', grep { !/^(?:sent|loop)$/ } keys %how), '',
	    'DNS-13 an address that changes is good, or is our own');
	is($sut->said(qr/\]: connect from localhost\[127\.0\.0\.1\]/), $before + 16,
	    'DNS-13 we never called ourselves');
	is($sut->said(qr/relay=\S*\[127\.0\.0\.1\]/), 0,
	    'DNS-13 by whatever name');
	my %times;
	$times{$_}++ for grep { /^A at\d/ } asked();
	is(join(' ', grep { $times{$_} != 1 } sort keys %times), '',
	    'DNS-13 who is called is who was looked at: one question');
	is(scalar keys %times, 16, 'DNS-13 for each');
	ok($how{sent} && $how{loop}, 'DNS-13 both were seen');
}

# --- DNS-09 -------------------------------------------------------------------

for my $where (["$far\@53", 'far away'], ['127.0.0.1@53', 'near by']) {
	my ($server, $name) = @$where;
	my $dir = File::Temp->newdir('prt-dns-XXXX', DIR => '/tmp');
	chmod 0755, "$dir";
	Alone::prepare("$dir", dns_servers => $server, dns_hosts_file => '',
	    dns_timeout => '5s');
	my $dns = Alone->new(program => 'dns', dir => "$dir");
	my $h = $dns->ask_as('smtp', 'ASK_HOSTS', ['str', 'd1.x.test'],
	    ['int', 1]);
	is($h->{hosts}[0]{addresses}[0]{address}, $good,
	    "DNS-09 a name server $name has an answer");
	is($h->{is_secure}, 0, 'DNS-09 that is not secure because it says so');
	$h = $dns->ask_as('smtp', 'ASK_HOSTS', ['str', 'x' x 1000], ['int', 1])
	    // { result => 'closed' };
	isnt($h->{result}, 0, 'DNS-10 a name of 1 kB has no hosts');
	is($dns->stop, 0, 'DNS-09 it ends in order');
}
ok(scalar(grep { /^\w+ d1\.x\.test$/ } split /\n/, slurp("$list.far")),
    'DNS-09 the one far away was asked');
is(scalar(grep { /xxx/ } split /\n/, slurp("$list.far")), 0,
    'DNS-10 and not for a name that is none');

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
