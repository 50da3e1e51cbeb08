# names.t - hosts found by name: MX, SRV, their order, and when there is none.
use strict;
use warnings;
use lib 't/lib', 't/resolve';
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Alone;
use Postrider qw(free_port spew);

plan skip_all => 'nsd is not installed' unless Alone::nsd();

my $dns = free_port();
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_connect_timeout => '2s', inet_protocols => 'all',
	inet_interfaces => '127.0.0.1', minimal_backoff_time => '1000s',
	notify_classes => '', dns_servers => "127.0.0.1\@$dns",
	dns_timeout => '3s', use_srv_lookup => 'submission',
});
my $etc = $mail->etc;

# Two hosts that listen, at the same port of other addresses.
my $first = $mail->sink(address => '127.0.0.3');
my $port = $first->port;
my $second = $mail->sink(address => '127.0.0.4', port => $port);

spew("$etc/test.zone", <<"END");
\$ORIGIN test.
\$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
ns	A	127.0.0.1
deaf	A	127.0.0.2
one	A	127.0.0.3
two	A	127.0.0.4
order	MX	20 two
order	MX	10 one
down	MX	10 deaf
down	MX	20 two
nomx	CNAME	one
null	MX	0 .
us	MX	10 mail.local.test.
behind	MX	5 deaf
behind	MX	10 mail.local.test.
behind	MX	20 two
mail.local.test.	A	127.0.0.1
noaddress	MX	10 missing
halfaddress	MX	10 missing
halfaddress	MX	20 two
filtered	MX	10 one
filtered	MX	20 two
allgone	MX	10 one.allgone
one.allgone	A	127.0.0.3
_submission._tcp.offer	SRV	10 0 $port two
_submission._tcp.offer	SRV	5 0 $port deaf
_submission._tcp.refuse	SRV	0 0 0 .
fallsback	MX	10 one
zero	MX	10 nowhere
nowhere	A	0.0.0.0
literal	MX	10 127.0.0.3.
alias	MX	10 nick
nick	CNAME	two
END
open my $zone, '>>', "$etc/test.zone";
print $zone "both\tAAAA\t100::$_\n" for 1 .. 8;
print $zone "both\tA\t127.0.0.4\n";
close $zone;
Alone::name_server($etc, $dns, 'test' => 'test.zone');

# Where the client comes from: a host that only tells that.
my $listener = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1',
    Proto => 'tcp') or die "no listener: $!";
my ($own, $teller) = ($$, fork // die "fork: $!");
END { kill 'KILL', $teller if defined $own && $$ == $own }
if ($teller == 0) {
	while (my $client = $listener->accept) {
		syswrite $client, '554 you are ' . $client->peerhost . "\r\n";
	}
	POSIX::_exit(0);
}

spew("$etc/routes", join '', map { "$_->[0].test smtp:$_->[1]\n" }
    (map { [$_, "$_.test:$port"] } qw(order down nomx null noaddress
    halfaddress filtered allgone literal alias)),
    (map { [$_, "$_.test:submission"] } qw(offer refuse fallsback)),
    ['both', "[both.test]:$port"],
    ['named', '[two.test]:smtps'],
    ['from', '[127.0.0.1]:' . $listener->sockport]);
spew("$etc/filter.regexp", <<'END');
/^filtered\.test\. [0-9]+ IN MX 10 one\.test\.$/	IGNORE
/^one\.allgone\.test\. [0-9]+ IN A 127\.0\.0\.3$/	IGNORE
END
$mail->set(transport_maps => "texthash:$etc/routes");
$mail->start;

sub outcome { return $mail->try_domain(@_) }

like(outcome('order.test'), qr/relay=one\.test\[127\.0\.0\.3\]:$port, .*sent/,
    'the host of the lowest preference comes first');
like(outcome('down.test'), qr/relay=two\.test\[127\.0\.0\.4\]:$port, .*sent/,
    'when it is down, the next one');
like($mail->log, qr/: connect to deaf\.test\[127\.0\.0\.2\]:$port: Connection refused\n/,
    'and the log tells it');
like(outcome('nomx.test'), qr/\[127\.0\.0\.3\]:$port, .*sent/,
    'without MX the domain is its own host');
like(outcome('null.test'), qr/dsn=5\.1\.10, status=bounced \(Domain null\.test does not accept mail \(nullMX\)\)/,
    'null MX');
like(outcome('us.test'), qr/dsn=5\.4\.6, status=bounced \(mail for us\.test loops back to myself\)/,
    'a domain whose best host is us');
like(outcome('zero.test'), qr/dsn=5\.4\.6, status=bounced \(mail for zero\.test loops back to myself\)/,
    'a host with the address of nobody, which would be us');
like(outcome('literal.test'), qr/relay=none, .*status=(?:bounced|deferred) \(Host or domain name not found/,
    'an address is no name of a host');
like(outcome('alias.test'), qr/\[127\.0\.0\.4\]:$port, .*sent/,
    'a host that is an alias is its target');
like(outcome('behind.test'), qr/status=deferred \(connect to deaf\.test\[127\.0\.0\.2\]:25: Connection refused\)/,
    'a domain that has us as its second host waits for the first');
unlike($mail->log, qr/connect to two\.test\[127\.0\.0\.4\]:25/,
    'and no host behind us is asked');
like(outcome('missing.test'), qr/dsn=5\.4\.4, status=bounced \(Host or domain name not found\. Name service error for name=missing\.test type=MX: Host not found/,
    'a domain that does not exist');
like(outcome('far.example'), qr/dsn=4\.4\.3, status=deferred \(Host or domain name not found\. Name service error for name=far\.example type=MX: /,
    'a domain that nobody can tell of now');
like(outcome('noaddress.test'), qr/dsn=5\.4\.4, status=bounced/,
    'no MX host has an address');
like(outcome('halfaddress.test'), qr/\[127\.0\.0\.4\].*sent/,
    'some MX host has an address');
like(outcome('offer.test'), qr/relay=two\.test\[127\.0\.0\.4\]:$port, .*sent/,
    'SRV: hosts and ports from there, in order');
like(outcome('refuse.test'), qr/status=bounced/, 'SRV: a service that is not');
like(outcome('fallsback.test'), qr/dsn=5\.4\.4, status=bounced/,
    'SRV: a service that nobody tells of');
like(outcome('named.test'), qr/connect to two\.test\[127\.0\.0\.4\]:465:/,
    'a port by its name');
like(outcome('both.test'), qr/\[127\.0\.0\.4\].*sent/,
    'among the first few addresses are both families');

# Other ways, by other settings.
$mail->set(smtp_defer_if_no_mx_address_found => 'yes',
    allow_srv_lookup_fallback => 'yes', smtp_tcp_port => $port,
    smtp_balance_inet_protocols => 'no', smtp_address_preference => 'ipv6',
    smtp_dns_reply_filter => "regexp:$etc/filter.regexp",
    smtp_bind_address => '[127.0.0.5]');
$mail->reload;
like(outcome('noaddress.test'), qr/dsn=4\.4\.4, status=deferred/,
    'smtp_defer_if_no_mx_address_found');
like(outcome('both.test'), qr/status=deferred/,
    'without balance IPv6 may use up the addresses');
like(outcome('fallsback.test'), qr/connect to one\.test\[127\.0\.0\.3\]:587/,
    'allow_srv_lookup_fallback: MX instead of SRV');
like(outcome('filtered.test'), qr/\[127\.0\.0\.4\].*sent/,
    'smtp_dns_reply_filter drops a host');
like($mail->log, qr/: ignoring DNS RR: filtered\.test\. \d+ IN MX 10 one\.test\.\n/,
    'and the log tells it');
like(outcome('allgone.test'), qr/dsn=4\.7\.0, status=deferred \(unable to look up host allgone\.test: DNS reply filter drops all results\)/,
    'what loses all its hosts so waits');
like(outcome('from.test'), qr/554 you are 127\.0\.0\.5/,
    'smtp_bind_address is where we come from');

$mail->set(smtp_bind_address => '192.0.2.55');
$mail->reload;
like(outcome('from.test'), qr/554 you are 127\.0\.0\.1/,
    'one that we do not have is passed over');
like($mail->log, qr/warning: smtp_bind_address: cannot connect from 192\.0\.2\.55: Cannot assign/,
    'with a warning');
$mail->set(smtp_bind_address_enforce => 'yes');
$mail->reload;
like(outcome('from.test'), qr/status=deferred \(connect to 127\.0\.0\.1.*Cannot assign/,
    'smtp_bind_address_enforce: the mail waits');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
