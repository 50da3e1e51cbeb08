# stuck.t - a queue that cannot be written to for a while: what was delivered
# is not delivered again, its file goes within seconds when it can, and the
# system can be stopped meanwhile.
use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for);
use Test::More;
use Time::HiRes qw(sleep time);

Postrider::need_root();
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	message_size_limit => 100000, minimal_backoff_time => '1s',
	maximal_backoff_time => '1s', queue_run_delay => '1s' });
my $incoming = $mail->spool . '/incoming';
my $go = "$mail->{dir}/go";
my $sink = $mail->sink(replies => sub {
	sleep 0.05 while $_[0] eq 'RCPT' && !-e $go;
	return undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# Messages on their way while the directory becomes read-only; the ids.
sub deliver_and_fail
{
	my ($count) = @_;

	unlink $go;
	my @ids = map { $mail->send(from => 's@far.test',
	    to => ["r$_\@relay.test"]) =~ /queued as (\w+)/ } 1 .. $count;
	my $before = $sink->count;
	wait_for(sub { $mail->log =~ /$ids[-1]: from=/ }, 20, 'the last one');
	chmod 0500, $incoming or die;
	Postrider::spew($go, '');
	wait_for(sub { $sink->count == $before + $count }, 20,
	    'the deliveries');
	$mail->wait_log(qr/$ids[0]: cannot be removed: Permission/, 10);
	return @ids;
}

my @ids = deliver_and_fail(3);
wait_for(sub { $mail->said(qr/$ids[0]: cannot be removed/) >= 3 }, 10,
    'more attempts');
pass('it is tried again after seconds');
chmod 0700, $incoming;
my $begin = time;
wait_for(sub { my $log = $mail->log; !grep { $log !~ /$_: removed/ } @ids },
    20, 'the files to go');
cmp_ok(time - $begin, '<', 9, 'soon after that the files are gone');
is($sink->count, 3, 'and nothing was delivered again');

deliver_and_fail(3);
$begin = time;
is($mail->stop, 0, 'it can be stopped with a disk that has failed');
cmp_ok(time - $begin, '<', 6, 'within seconds');
note(sprintf 'the stop took %.1f s', time - $begin);
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
