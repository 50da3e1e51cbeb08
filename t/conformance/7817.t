# 7817.t - names in certificates (RFC 7817, RFC 9525): which of them are those
# of the host that we wanted.
use strict;
use warnings;
use Test::More;
use Postrider::CA;
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(settings => {
	smtp_host_lookup => 'native', smtp_tls_security_level => 'verify',
	smtp_processes => 1 });
my $etc = $sut->etc;
my $ca = Postrider::CA->new("$etc/ca");

# Certificates: common name and DNS names; do they fit mx.dom.test?
my @certificates = (
	[exact => 'x', ['mx.dom.test'], 1],
	[case => 'x', ['MX.Dom.TEST'], 1],
	[another => 'x', ['other.test', 'mx.dom.test'], 1],
	[wildcard => 'x', ['*.dom.test'], 1],
	[partial => 'x', ['m*.dom.test'], 0],
	[double => 'x', ['*.*.test'], 0],
	[inner => 'x', ['mx.*.test'], 0],
	[above => 'x', ['dom.test'], 0],
	[widest => 'x', ['*.test'], 0],
	[below => 'x', ['*.mx.dom.test'], 0],
	[wrong => 'x', ['other.test'], 0],
	[common => 'mx.dom.test', ['other.test'], 0],
	[uri => 'x', ['x.test', 'URI:smtp://mx.dom.test'], 0],
	[address => 'x', ['127.0.0.1'], 0],
);
my %sink;
for (@certificates) {
	my ($kind, $cn, $names) = @$_;
	my $c = $ca->issue(name => $cn, file => $kind, san => $names);

	$sink{$kind} = $sut->sink(tls => { cert => $c->{chain},
	    key => $c->{key} });
}
Postrider::spew("$etc/hosts", "127.0.0.1 mx.dom.test\n");
Postrider::spew("$etc/transport", join '', map { "$_.test smtp:" .
    "[mx.dom.test]:" . $sink{$_}->port . "\n" } keys %sink);
$sut->set(dns_hosts_file => "$etc/hosts", smtp_tls_CAfile => $ca->file);
$sut->start;

for (@certificates) {
	my ($kind, $cn, $names, $fits) = @$_;
	my $id = $sut->take($sut->friend, from => 's@local.test',
	    to => ["r\@$kind.test"]);
	my $line = $sut->wait_log(qr/$id: to=<r\@.*\n/, 30);

	like($line, $fits ? qr/status=sent/ :
	    qr/status=deferred \(Server certificate not verified\)/,
	    "7817-3-a: $kind (@$names) " . ($fits ? 'is' : 'is not') .
	    ' mx.dom.test');
	is($sink{$kind}->count, $fits ? 1 : 0,
	    '7817-3-a: and gets ' . ($fits ? 'the mail' : 'nothing'));
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
