# rename.t - a message has one name, before and after it is moved:
# common/queue/dirs.c and qmgr/change.c, struck at.
use strict;
use warnings;
use POSIX qw(EEXIST EIO EROFS);
use Test::More;
use Postrider;
use Postrider::Promise;

my $lab = laboratory('later');
my $move = qr{^renameat2 spool/deferred};

promise('rename-1', sub {
	my @calls = watch($lab, 'qmgr');
	is(join(' ', grep { /^(rename|renameat|link|linkat) / } @calls), '',
	    'no call that could replace something, or make two names');
	strike($lab, 'qmgr', $move, $_)
	    for 'before', 'after', EEXIST, EIO, EROFS;
});
$lab->close;

# What the administrator was told has been done.
my $mail = Postrider->new(settings => { relay_domains => 'relay.test',
    minimal_backoff_time => '1s', maximal_backoff_time => '1s',
    queue_run_delay => '1s', service_throttle_time => '1s' });
my $is_open = $mail->dir . '/open';
my $sink = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' && !-e $is_open ? '450 4.2.1 later' : undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# Kill qmgr the moment the command has ended; where is the message then?
sub told
{
	my ($verb, $id) = @_;
	my ($status, $text) = $mail->postrider('queue', $verb, $id);

	my ($qmgr) = $mail->children('qmgr');
	kill 'KILL', $qmgr;
	is($status, 0, "$verb is answered") or diag $text;
	Postrider::wait_for(sub { grep { $_ != $qmgr }
	    $mail->children('qmgr') }, 10, 'the next qmgr');
}

promise('rename-2', sub {
	my ($id) = $mail->send(from => '', to => ['a@relay.test']) =~
	    /queued as (\w+)/;
	$mail->wait_log(qr/$id: .*status=deferred/);
	told('hold', $id);
	ok(-e $mail->spool . "/hold/$id", 'what was held is on hold');
	told('release', $id);
	Postrider::spew($is_open, '');
	Postrider::wait_for(sub { $mail->queue_count == 0 }, 20, 'its end');
	is(scalar($sink->messages), 1, 'what was released is delivered once');
	unlink $is_open;
	($id) = $mail->send(from => '', to => ['b@relay.test']) =~
	    /queued as (\w+)/;
	$mail->wait_log(qr/$id: .*status=deferred/);
	told('delete', $id);
	Postrider::spew($is_open, '');
	is($mail->queue_count, 0, 'what was deleted is gone');
	$mail->send(from => '', to => ['c@relay.test']);
	Postrider::wait_for(sub { $mail->queue_count == 0 }, 20, 'its end');
	is(join(' ', map { @{ $_->{rcpt} } } $sink->messages),
	    'a@relay.test c@relay.test', 'and stays away');
});
$mail->stop;
done_testing();
