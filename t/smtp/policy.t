# policy.t - smtp_tls_policy_maps: under which keys a next hop is found, what
# mistakes do, and who shares conversations and TLS sessions.
use strict;
use warnings;
use Test::More;
use Postrider;
use Postrider::CA;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => 1,
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', smtp_tls_loglevel => 1,
	smtp_connection_cache_time_limit => '30s',
	smtp_tls_security_level => 'none', lmtp_host_lookup => 'native',
	lmtp_tls_loglevel => 1,
}, master => "cold unix - - n - - smtp " .
    "-o smtp_connection_cache_on_demand=no\n");
my $etc = $mail->etc;
my $ca = Postrider::CA->new("$etc/ca");
my $certificate = $ca->issue(san => ['mx.test', '*.test']);
my %tls = (tls => { cert => $certificate->{chain},
    key => $certificate->{key} });
my $host = $mail->sink(%tls);
my $shared = $mail->sink(%tls);
my $cold = $mail->sink(%tls);
my $store = $mail->sink(%tls, lmtp => 1);
my ($port, $shared_port, $cold_port, $store_port) = map { $_->port } $host,
    $shared, $cold, $store;

# Domains, their next hops (with the service, if it is not smtp), and what the
# table says of these.
my @domains = (
	# found under what is written, and only that
	[exact => "[exact.test]:$port", "[exact.test]:$port encrypt"],
	[brackets => "[brackets.test]:$port",
	    "brackets.test encrypt\n[brackets.test] encrypt\n" .
	    ".test encrypt"],
	[cases => "[Cases.Test]:$port", "[cases.test]:$port encrypt"],
	[bare => "lmtp:bare.test:$store_port",
	    "bare.test:$store_port encrypt\nbare.test none"],
	[inet => "lmtp:inet:inet.test:$store_port",
	    "inet.test:$store_port encrypt"],
	# mistakes
	[level => "[level.test]:$port", "[level.test]:$port encript"],
	[dane => "[dane.test]:$port", "[dane.test]:$port dane"],
	[match => "[match.test]:$port", "[match.test]:$port secure match"],
	[weak => "[weak.test]:$port", "[weak.test]:$port may protocols=SSL9"],
	# the same host under two spellings
	[one => "[mx.test]:$shared_port", "[mx.test]:$shared_port encrypt"],
	[two => "[mx.test]:0$shared_port", "[mx.test]:0$shared_port may"],
	[three => "[mx.test]:00$shared_port",
	    "[mx.test]:00$shared_port encrypt"],
	[clear => "[mx.test]:000$shared_port", ''],
	[again => "cold:[mx.test]:$cold_port",
	    "[mx.test]:$cold_port encrypt"],
	[other => "cold:[mx.test]:0$cold_port",
	    "[mx.test]:0$cold_port encrypt ciphers=high"],
);
Postrider::spew("$etc/hosts", join '', map { "127.0.0.1 $_.test\n" } 'mx',
    map { $_->[0] } @domains);
Postrider::spew("$etc/routes", join '', map { "$_->[0].test " .
    ($_->[1] =~ /^(?:cold|lmtp):/ ? '' : 'smtp:') . "$_->[1]\n" } @domains);
Postrider::spew("$etc/policies", join '', map { "$_->[2]\n" } @domains);
$mail->set(transport_maps => "texthash:$etc/routes",
    dns_hosts_file => "$etc/hosts", smtp_tls_CAfile => $ca->file,
    smtp_tls_policy_maps => "texthash:$etc/policies",
    lmtp_tls_policy_maps => '$smtp_tls_policy_maps');
$mail->start;

sub outcome { return $mail->try_domain("$_[0].test") }

# Sent; whether in TLS.
sub is_encrypted {
	my ($sink, $domain) = @_;
	my $line = outcome($domain);

	return $line =~ /status=sent/ ?
	    !!($sink->messages)[-1]{tls} : $line;
}

is(is_encrypted($host, 'exact'), 1, 'a next hop as it is written');
is(is_encrypted($host, 'brackets'), '', 'brackets and port belong to it');
is(is_encrypted($host, 'cases'), 1, 'the case of letters does not');
is(is_encrypted($store, 'bare'), 1, 'a domain has its port');
is(is_encrypted($store, 'inet'), 1, '"inet:" does not belong to it');

my $before = $host->sessions;
like(outcome('level'), qr/dsn=4\.7\.5, status=deferred .*"encript" is no/,
    'an unknown level defers the mail');
like(outcome('dane'), qr/status=deferred .*dane is not supported yet/,
    'so does one that is not there yet');
like(outcome('match'), qr/status=deferred .*expected name=value/,
    'so does a wrong attribute');
like(outcome('weak'), qr/status=deferred .*SSL9/,
    'and at the level may, too');
is($host->sessions, $before, 'and nobody was called');

unlike(outcome('one'), qr/conn_use/, 'a conversation begins');
like(outcome('one'), qr/conn_use=2, .*status=sent/, 'and is used again');
like($mail->log, qr/TLS\ connection\ reused\ to\ mx\.test\[127\.0\.0\.1\]:
    $shared_port:\ TLSv1/x, 'which the log tells');
unlike(outcome('two'), qr/conn_use/, 'but not with another policy');
like(outcome('three'), qr/conn_use=3, .*status=sent/,
    'an equal policy shares it');
unlike(outcome('clear'), qr/conn_use/, 'one without TLS does not');
is(($shared->messages)[-1]{tls}, undef, 'and is without TLS');
like(outcome('clear'), qr/conn_use=2, .*status=sent/, 'it has its own');
like(outcome('one'), qr/conn_use=4, .*status=sent/,
    'the next hop finds the one that is protected as it wants');
is($shared->sessions, 3, 'three conversations in all');

sub is_resumed {
	my ($domain) = @_;

	outcome($domain);
	return ($cold->messages)[-1]{tls}{is_resumed};
}
is(is_resumed('again'), 0, 'a TLS session begins');
is(is_resumed('again'), 1, 'and is resumed in another conversation');
is(is_resumed('other'), 0, 'but not with another policy');

# A domain without brackets and port is looked up with those above it.
$mail->stop;
Postrider::spew("$etc/policies", ".up.test encrypt\nup.test none\n" .
    "a.down.test none\n.down.test encrypt\n");
Postrider::spew("$etc/routes", join '', map { "$_ lmtp:$_\n" }
    qw(up.test x.up.test y.x.up.test a.down.test b.down.test));
Postrider::spew("$etc/hosts", join '', map { "127.0.0.1 $_\n" }
    qw(up.test x.up.test y.x.up.test a.down.test b.down.test));
$mail->set(lmtp_tcp_port => $store_port);
$mail->start;
is(is_encrypted($store, 'up'), '', 'a domain');
is(is_encrypted($store, 'x.up'), 1, 'one below it, by ".domain"');
is(is_encrypted($store, 'y.x.up'), 1, 'and one further below');
is(is_encrypted($store, 'a.down'), '', 'the longest key comes first');
is(is_encrypted($store, 'b.down'), 1, 'and the other one has ".domain"');

# A table that does not answer.
$mail->stop;
$mail->set(lmtp_tls_policy_maps => "unix:$etc/nobody");
$mail->start;
$before = $store->sessions;
like(outcome('up'), qr/dsn=4\.7\.5, status=deferred .*lmtp_tls_policy_maps/,
    'a table that does not answer defers the mail');
is($store->sessions, $before, 'and nobody is called');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
