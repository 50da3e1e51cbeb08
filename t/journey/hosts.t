# hosts.t - where mail goes when some of its hosts are dead, or when the name
# service has no answer or a strange one; a real name server says so.

use strict;
use warnings;

use lib 't/lib', 't/resolve';
use Alone;
use IO::Socket::INET;
use Postrider qw(free_port spew wait_for);
use Postrider::Outcome;
use Test::More;

plan skip_all => 'nsd is not installed' unless Alone::nsd();

my $dns = free_port();
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', minimal_backoff_time => '1000s',
	queue_run_delay => '1000s', dns_servers => "127.0.0.1\@$dns",
	dns_timeout => '4s', smtp_connection_cache_on_demand => 'no',
	map { ("smtp_${_}_timeout" => '3s') } qw(connect helo mail rcpt
	    data_init data_xfer data_done rset quit) });
my $dir = $mail->dir;

# --- hosts: 127.0.0.11 and on, all at one port ---------------------------------

my (%host, $port, @kept);
my %replies = (
	good => {}, fine => {},
	busy => { CONNECT => '421 4.3.2 busy' },
	rude => { CONNECT => '554 5.7.1 go away' },
	curt => { EHLO => 'CLOSE', HELO => 'CLOSE' },
	refusing => { RCPT => '550 5.1.1 who?' },
);

# A port that is free at all of these addresses; the listeners.
sub take_port
{
	my @at = map { "127.0.0.$_" } 11 .. 20;

	for (1 .. 50) {
		my $try = free_port();
		my @taken = map { IO::Socket::INET->new(Listen => 1,
		    LocalAddr => $_, LocalPort => $try, Proto => 'tcp') } @at;
		return $try if grep({ defined } @taken) == @at;
	}
	die "no port is free at all of @at\n";
}
$port = take_port();
my $next = 11;
for my $name (sort keys %replies) {
	my $say = $replies{$name};
	$host{$name} = $mail->sink(address => "127.0.0.$next",
	    port => $port, replies => sub { return $say->{ $_[0] } });
	$replies{$name}{at} = '127.0.0.' . $next++;
}

# Nobody is there; and somebody who never answers: a full queue.
$replies{dead}{at} = '127.0.0.' . $next++;
$replies{dead2}{at} = '127.0.0.' . $next++;
$replies{silent}{at} = '127.0.0.' . $next++;
{
	my %at = (LocalAddr => $replies{silent}{at}, LocalPort => $port);
	my $s = IO::Socket::INET->new(Listen => 1, ReuseAddr => 1,
	    Proto => 'tcp', %at) or die "listen: $!";
	listen $s, 0;
	push @kept, $s, map { IO::Socket::INET->new(PeerAddr =>
	    $replies{silent}{at}, PeerPort => $port, Blocking => 0) } 1 .. 4;
}

# --- domains -------------------------------------------------------------------

# name => { records of the zone hop.test; what becomes of a message }
my $no_name = qr/Host or domain name not found|does not exist|no .*address/i;
my $later = qr/Host or domain name not found.*try again|name service/i;
my %sent = (status => 'sent', dsn => '2.0.0', text => qr/250 2\.0\.0 Ok/);
my %cases = (
	# hosts of which some are dead
	'plain' => { at => "A $replies{good}{at}", %sent, by => 'good' },
	'one' => { at => 'MX 10 good', %sent, by => 'good' },
	'order' => { at => ['MX 20 fine', 'MX 10 good'], %sent,
	    by => 'good' },
	'dead-first' => { at => ['MX 10 dead', 'MX 20 good'], %sent,
	    by => 'good', also => qr/connect to dead\.hop\.test\[\S+ Connection refused/ },
	'silent-first' => { at => ['MX 10 silent', 'MX 20 fine'], %sent,
	    by => 'fine', also => qr/connect to silent\.hop\.test\[\S+ Connection timed out/ },
	'busy-first' => { at => ['MX 10 busy', 'MX 20 good'], %sent,
	    by => 'good', also => qr/host busy\.hop\.test\[\S+ refused to talk to me: 421/ },
	'rude-first' => { at => ['MX 10 rude', 'MX 20 good'], %sent,
	    by => 'good', also => qr/host rude\.hop\.test\[\S+ refused to talk to me: 554/ },
	'curt-first' => { at => ['MX 10 curt', 'MX 20 good'], %sent,
	    by => 'good', also => qr/lost connection with curt\.hop\.test\[/ },
	'two-dead' => { at => ['MX 10 dead', 'MX 20 dead2', 'MX 30 good'],
	    %sent, by => 'good' },
	'half-dead' => { at => ['MX 10 half'], %sent, by => 'good' },
	# An answer is an answer: nobody else is asked.
	'refusing-first' => { at => ['MX 10 refusing', 'MX 20 good'],
	    status => 'bounced', dsn => '5.1.1',
	    text => qr/host refusing\.hop\.test\[\S+\]\S* said: 550 5\.1\.1/ },
	'all-dead' => { at => ['MX 10 dead', 'MX 20 dead2'],
	    status => 'deferred', dsn => '4.4.1',
	    text => qr/connect to dead2?\.hop\.test\[\S+ Connection refused/ },
	'all-busy' => { at => ['MX 10 busy'], status => 'deferred',
	    dsn => qr/4\.\d\.\d/, text => qr/refused to talk to me: 421/ },

	# names
	'alias' => { at => 'CNAME one', %sent, by => 'good' },
	'alias-host' => { at => 'MX 10 other-name', %sent, by => 'good' },
	'missing-first' => { at => ['MX 10 no-such-host', 'MX 20 good'],
	    %sent, by => 'good' },
	'missing-hosts' => { at => ['MX 10 no-such-host', 'MX 20 nobody'],
	    status => 'bounced', dsn => '5.4.4', text => $no_name },
	'doubtful-first' => { at => ['MX 10 a.servfail.test.', 'MX 20 good'],
	    %sent, by => 'good' },
	# Perhaps that host exists: nobody knows now.
	'doubtful' => { at => ['MX 10 a.servfail.test.'],
	    status => 'deferred', dsn => '4.4.3', text => $later },
	'doubtful-2' => { at => ['MX 10 no-such-host',
	    'MX 20 a.servfail.test.'], status => 'deferred',
	    dsn => '4.4.3', text => $later },
	'null' => { at => 'MX 0 .', status => 'bounced', dsn => '5.1.10',
	    text => qr/null ?MX/i },
	'nodata' => { at => 'TXT "nothing here"', status => 'bounced',
	    dsn => '5.4.4', text => $no_name },
	'nxdomain' => { status => 'bounced', dsn => '5.4.4',
	    text => $no_name },
	# The name server sends us elsewhere in place of an answer.
	'referral' => { at => ['NS ns.lame'], status => 'deferred',
	    dsn => '4.4.3', text => $later },
	'loop' => { at => 'MX 10 mail.local.test.', without_port => 1,
	    status => 'bounced', dsn => '5.4.6',
	    text => qr/loops back to myself/ },
	'loop-alias' => { at => 'CNAME loop', without_port => 1,
	    status => 'bounced', dsn => '5.4.6',
	    text => qr/loops back to myself/ },
	# We are the second best: whoever is worse would send it back to us.
	'backup' => { at => ['MX 10 a.servfail.test.', 'MX 20 mail.local.test.',
	    'MX 30 good'], without_port => 1, status => 'deferred',
	    dsn => '4.4.3', text => $later },
	'servfail' => { domain => 'servfail.test', status => 'deferred',
	    dsn => '4.4.3', text => $later },
	'refused' => { domain => 'not-served.test', status => 'deferred',
	    dsn => '4.4.3', text => $later },
);

sub domain
{
	my ($name) = @_;
	return $cases{$name}{domain} // "$name.hop.test";
}

spew("$dir/hop.zone", join '', <<"END",
\$ORIGIN hop.test.
\$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
ns	A	127.0.0.1
ns.lame	A	127.0.0.20
half	A	$replies{dead}{at}
half	A	$replies{good}{at}
equal	MX	10 good
equal	MX	10 fine
other-name	CNAME	good
nobody	TXT	"no address"
END
    (map { "$_\tA\t$replies{$_}{at}\n" } sort keys %replies),
    map {
	my $name = $_;
	my $at = $cases{$name}{at} // [];
	map { "$name\t$_\n" } ref $at ? @$at : $at;
    } sort keys %cases);
spew("$dir/local.zone", <<'END');
$ORIGIN local.test.
$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	mail
mail	A	127.0.0.1
END
Alone::name_server($dir, $dns, 'hop.test' => 'hop.zone',
    'local.test' => 'local.zone', 'servfail.test' => 'missing.zone');

my $back = $mail->sink;
spew("$dir/etc/transport", join '',
    (map { domain($_) . ' smtp:' . domain($_) .
    ($cases{$_}{without_port} ? '' : ":$port") . "\n" } sort keys %cases),
    "equal.hop.test smtp:equal.hop.test:$port\n",
    "timeout.hop.test smtp:timeout.hop.test:$port\n",
    "back.test smtp:[127.0.0.1]:@{[ $back->port ]}\n");
$mail->set(transport_maps => "texthash:$dir/etc/transport");
$mail->start;

# --- all at once ----------------------------------------------------------------

sub post
{
	my ($from, $to) = @_;
	my $reply = $mail->send(from => $from, to => [$to]);

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

my %id = map { ($_ => post("$_\@back.test", 'r@' . domain($_))) }
    sort keys %cases;
my $outcome = Postrider::Outcome->new($mail, $back);
$outcome->wait_for(40, values %id);

for my $name (sort keys %cases) {
	my $case = $cases{$name};

	subtest $name => sub {
		my $line = $outcome->check($id{$name}, %$case,
		    to => 'r@' . domain($name), from => "$name\@back.test",
		    pause => 1000);
		like($line, qr/ relay=[\w.-]+\[\Q$replies{ $case->{by} }{at}\E\]:$port,/,
		    "by $case->{by}") if $case->{by};
		ok($mail->said($case->{also}), 'the log tells of the other')
		    if $case->{also};
	};
}

is(scalar(grep { $_->{rcpt}[0] =~ /refusing-first|backup/ }
    map { $host{$_}->messages } qw(good fine)), 0,
    'who was refused, or would come back, was offered to nobody else');

subtest 'hosts of equal preference share the work' => sub {
	my @ids = map { post("equal\@back.test", "r$_\@equal.hop.test") }
	    1 .. 20;
	$outcome->wait_for(20, @ids);
	my %by;
	$by{$_} = grep { $_->{rcpt}[0] =~ /\@equal/ } $host{$_}->messages
	    for qw(good fine);
	is($by{good} + $by{fine}, 20, 'each has come once');
	ok($by{good} > 0 && $by{fine} > 0, "$by{good} to one, $by{fine} to " .
	    'the other');
};

subtest 'a name server that is silent' => sub {
	Alone::stop_name_server();
	my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
	    LocalPort => $dns, Proto => 'udp') or die "port $dns: $!";
	my $id = post('timeout@back.test', 'r@timeout.hop.test');
	$outcome->wait_for(40, $id);
	$outcome->check($id, to => 'r@timeout.hop.test',
	    from => 'timeout@back.test', pause => 1000, status => 'deferred',
	    dsn => '4.4.3', text => $later);
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
