# login.t - who we are to whom, and what conversations are shared.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => '1',
	smtp_connection_cache_time_limit => '30s',
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', smtp_tls_security_level => 'none',
	smtp_sasl_auth_enable => 'yes',
	smtp_sasl_security_options => 'noanonymous',
	recipient_delimiter => '+',
});
my $etc = $mail->etc;

# Takes whoever comes.
my $any = sub {
	my ($verb) = @_;
	return $verb eq 'AUTH' ? '235 2.7.0 welcome' : undef;
};
my %auth = (user => 'x', password => 'y', mechanisms => 'PLAIN');
my ($host, $other, $lmtp) = map { $mail->sink(auth => { %auth },
    replies => $any, is_noting => 1, lmtp => $_) } 0, 0, 1;
my ($port, $other_port) = ($host->port, $other->port);

Postrider::spew("$etc/hosts", "127.0.0.1 mx.test\n127.0.0.1 alias.test\n");
Postrider::spew("$etc/routes", "one.test smtp:[mx.test]:$port\n" .
    "two.test smtp:[MX.test]:$port\n" .
    "three.test smtp:[alias.test]:$port\n" .
    "four.test smtp:[127.0.0.1]:$other_port\n" .
    "five.test lmtp:inet:127.0.0.1:" . $lmtp->port . "\n");
sub passwords { Postrider::spew("$etc/passwords", join('', map { "$_\n" } @_)) }
passwords("[mx.test]:$port hop:1", "alias.test host:2",
    "alice\@x.test alice:3", "\@domain.test domain:4", "carol\@x.test hop:1");
$mail->set(transport_maps => "texthash:$etc/routes",
    dns_hosts_file => "$etc/hosts",
    smtp_sasl_password_maps => "texthash:$etc/passwords");
$mail->start;

sub outcome { return $mail->try_domain(@_) }
# Who sent the last message, as the host knows him.
sub who { my ($sink) = @_; return (($sink // $host)->messages)[-1]{auth} //
    'nobody' }

# What the sink believes is what PLAIN said.
subtest 'the key of an entry' => sub {
	like(outcome('one.test'), qr/status=sent/, 'the next hop as written');
	is(who(), 'hop', 'says who we are');
	like(outcome('three.test'), qr/status=sent/, 'the name of the host');
	is(who(), 'host', 'does');
	outcome('four.test', 'alice@x.test');
	is(who($other), 'nobody', 'the sender does not');
	like(outcome('one.test', 'alice@x.test'), qr/conn_use=\d/,
	    'so that a conversation serves all');
	is(who(), 'hop', 'as the same');
};

$mail->set(smtp_sender_dependent_authentication => 'yes');
$mail->reload;
subtest 'smtp_sender_dependent_authentication' => sub {
	unlike(outcome('one.test', 'alice@x.test'), qr/conn_use/, 'a sender');
	is(who(), 'alice', 'has a login of his own');
	unlike(outcome('one.test', 'bob@x.test'), qr/conn_use/,
	    'and a conversation of his own');
	is(who(), 'hop', 'others have that of the next hop');
	like(outcome('one.test', 'alice+x@x.test'), qr/conn_use=2/,
	    'his own is used again') or diag(who());
	like(outcome('one.test', ''), qr/conn_use=2/, 'and that of the others');
	is(who(), 'hop', 'with the empty sender, too');
	like(outcome('two.test', 'alice@x.test'), qr/conn_use=3/,
	    'by another domain with the same host');
	is(who(), 'alice', 'as himself');
	outcome('one.test', 'any@domain.test');
	is(who(), 'domain', 'a whole domain has one');
	outcome('four.test', 'alice@x.test');
	is(who($other), 'alice', 'at each host');
	unlike(outcome('four.test', 'bob@x.test'), qr/conn_use/,
	    'whose conversations serve nobody without a login');
	is(who($other), 'nobody', 'really');
};

subtest 'LMTP' => sub {
	$mail->set(lmtp_sasl_auth_enable => 'yes',
	    lmtp_sasl_password_maps => 'inline:{127.0.0.1=lmtp:5}',
	    lmtp_sasl_security_options => '');
	$mail->reload;
	outcome('five.test');
	is(who($lmtp), 'lmtp', 'has parameters of its own');
	outcome('four.test');
	is(who($other), 'nobody', 'which are not for SMTP');
};

subtest 'a table that does not answer' => sub {
	$mail->set(smtp_sasl_password_maps => 'fail:nothing');
	$mail->reload;
	my $before = $host->sessions;
	like(outcome('one.test'), qr/dsn=4\.3\.0,\ status=deferred
	    \ \(smtp_sasl_password_maps:/x, 'defers the mail');
	is($host->sessions, $before, 'and nobody is called');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
