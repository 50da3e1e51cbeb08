# reuse.t - conversations that serve more than one message.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => '1',
	smtp_connection_cache_time_limit => '30s',
	minimal_backoff_time => '1000s', notify_classes => '',
});
my $etc = $mail->etc;
my ($shared, $other, $listed) = map { $mail->sink } 1 .. 3;
my $weary = $mail->sink(replies => sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'RCPT' && $s->{count} > 0 ? 'CLOSE' : undef;
});
my $quitter = $mail->sink(replies => sub {
	my ($verb) = @_;

	Postrider::spew("$etc/quit", 'said') if $verb eq 'QUIT';
	return undef;
});

Postrider::spew("$etc/hosts", "127.0.0.1 mx.test\n127.0.0.1 alias.test\n");
Postrider::spew("$etc/routes", 'one.test smtp:[mx.test]:' . $shared->port .
    "\ntwo.test smtp:[MX.test]:" . $shared->port .
    "\nalias.test smtp:[alias.test]:" . $shared->port .
    "\nother.test smtp:[mx.test]:" . $other->port .
    "\nlisted.test smtp:[127.0.0.1]:" . $listed->port .
    "\nweary.test smtp:[mx.test]:" . $weary->port .
    "\nquit.test smtp:[mx.test]:" . $quitter->port . "\n");
$mail->set(transport_maps => "texthash:$etc/routes",
    dns_hosts_file => "$etc/hosts");
$mail->start;

sub outcome { return $mail->try_domain(@_) }

unlike(outcome('one.test'), qr/conn_use/, 'the first message opens it');
like(outcome('one.test'), qr/conn_use=2, .*status=sent/, 'the second uses it');
like(outcome('two.test'), qr/conn_use=3, .*status=sent/,
    'and another domain with the same host');
like(outcome('two.test'), qr/conn_use=4, .*status=sent/, 'which finds it again');
unlike(outcome('other.test'), qr/conn_use/, 'but not another port');
unlike(outcome('alias.test'), qr/conn_use/, 'nor another name of the host');
is($shared->sessions, 2, 'two conversations in all');

outcome('weary.test');
like(outcome('weary.test'), qr/status=sent/,
    'a warm conversation that breaks');
cmp_ok($weary->sessions, '>=', 2, 'is replaced by a new one');

outcome('quit.test');
$mail->set(smtp_connection_reuse_count_limit => '2');
$mail->reload;
Postrider::wait_for(sub { -e "$etc/quit" }, 5, 'QUIT');
pass('a warm conversation ends with QUIT when the process does');
outcome('one.test');
like(outcome('one.test'), qr/conn_use=2/, 'reuse_count_limit: twice');
unlike(outcome('one.test'), qr/conn_use/, 'and no more');

$mail->set(smtp_connection_reuse_count_limit => '0',
    smtp_connection_cache_on_demand => 'no',
    smtp_connection_cache_destinations => '127.0.0.1');
$mail->reload;
outcome('one.test');
unlike(outcome('one.test'), qr/conn_use/, 'not on demand: none is kept');
outcome('listed.test');
like(outcome('listed.test'), qr/conn_use=2/, 'but for listed destinations');

Postrider::spew("$etc/kept", "mx.test yes\n");
$mail->set(smtp_connection_cache_destinations => "texthash:$etc/kept");
$mail->reload;
# A table that was just written is not believed at once.
ok(eval { Postrider::wait_for(sub { outcome('one.test') =~ /conn_use=2/ },
    10); 1 }, 'or those of a table');
outcome('listed.test');
unlike(outcome('listed.test'), qr/conn_use/, 'where others are not');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
