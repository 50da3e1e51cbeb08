# unwanted.t - write-ahead logs that an administrator does not want any more go
# when nothing in them is open, and not before.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(need_root wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(settings => {
	cleanup_processes => 1, cleanup_wal_rate => 0,
	cleanup_wal_size => '256K',
	relay_domains => 'far.test', smtpd_peername_lookup => 'no',
	in_flow_delay => '0s' });
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
my $incoming = $mail->spool . '/incoming';

sub logs { my @l = glob "$incoming/wal.*"; return @l }

sub post
{
	my ($to) = @_;

	return $mail->send(from => 's@one.test', to => ["$to\@far.test"]) =~
	    /queued as (\w+)/ ? $1 : die;
}

# Some in a log, which are not delivered before they get files.
my $warm = 0;
wait_for(sub {
	my $id = post('warm' . $warm++);
	$mail->wait_log(qr/$id: removed/);
	return grep { Postrider::records_of($_) } logs();
}, 20, 'a log');
kill 'STOP', $mail->children('smtp');
my @ids = map { post("stays$_") } 1 .. 3;
is(scalar(grep { -e "$incoming/$_" } @ids), 0, 'three have no files');

$mail->set(cleanup_wal_size => 0);
$mail->reload;
kill 'CONT', $mail->children('smtp');
wait_for(sub { logs() == 0 }, 40, 'the end of all logs');
pass('the logs are gone');
$mail->wait_empty;
is(scalar(grep { /^<?stays/ } map { @{ $_->{rcpt} } } $sink->messages), 3,
    'and the messages have arrived, once');
like($mail->log, qr/write-ahead logs of before are removed/, 'which is told');
my $id = post('after');
$mail->wait_log(qr/$id: removed/);
is(scalar(logs()), 0, 'there are no others');

$mail->set(cleanup_wal_size => '256K');
$mail->reload;
wait_for(sub { post('again' . $warm++); logs() > 0 }, 20,
    'logs, when they are wanted again');
pass('they come again when they are wanted');
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
