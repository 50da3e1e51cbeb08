# full.t - a queue on a file system that is full: a temporary refusal, nothing
# lost, nothing left behind, and work again when there is room.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for spew);
use Postrider::QueueFile;
use Test::More;

Postrider::need_root();

# A mount of our own, which ends with us.
unless ($ENV{POSTRIDER_OWN_MOUNTS}) {
	$ENV{POSTRIDER_OWN_MOUNTS} = 1;
	exec 'unshare', '-m', '--propagation', 'private', $^X, '-It/lib', $0
	    or plan(skip_all => 'no mount namespace');
}

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s',
	message_size_limit => 100000 });
my $spool = $mail->spool;

mkdir $spool or die;
system('mount', '-t', 'tmpfs', '-o', 'size=3m,mode=755', 'tmpfs', $spool) == 0
    or plan(skip_all => 'cannot mount');
$mail->start;

my $body = ('x' x 79 . "\n") x 1000;
my @accepted;

# Post until it is refused; the exit status.
sub fill
{
	for my $n (1 .. 200) {
		my ($status, $output) = $mail->sendmail("Subject: full$n\n\n" .
		    $body, 'bob@far.test');
		return ($status, $output) if $status != 0;
		push @accepted, "full$n";
	}
	return 0;
}

# Subjects of what is queued.
sub queued
{
	return map { $_->{content} =~ /\r\nSubject: (\w+)\r\n/ ? $1 : () }
	    grep { defined } map { Postrider::QueueFile->read($_) }
	    glob("$spool/incoming/* $spool/deferred/*/*");
}

my ($status, $output) = fill();
is($status, 75, 'a full disk: EX_TEMPFAIL') or diag($output);
cmp_ok(scalar @accepted, '>', 5, 'after some that had room');
$mail->wait_log(qr/cleanup\[\d+\]: error: \w+: cannot begin the queue file: insufficient system storage: mail is refused/);

subtest 'SMTP clients are told to come again' => sub {
	my $c = $mail->client;
	my $reply;
	$c->expect(220);
	$c->command('EHLO c.test', 250);
	$reply = $c->command('MAIL FROM:<a@b.test>');
	if ($reply =~ /^250/) {
		$c->script('RCPT TO:<b@far.test>' => 250, DATA => 354);
		$reply = $c->data($body, qr/./);
	}
	like($reply, qr/^452 4\.3\.1 /);
};

wait_for(sub { $mail->queue_count('incoming') == 0 }, 20, 'an empty incoming/');
is_deeply([sort(queued())], [sort @accepted], 'what was accepted is there, ' .
    'and nothing else');
is(() = glob("$spool/maildrop/*"), 0, 'nothing is left in maildrop');

system('mount', '-o', 'remount,size=30m', $spool) == 0 or die;
my $count = @accepted;
($status, $output) = $mail->sendmail("Subject: again\n\n$body",
    'bob@far.test');
is($status, 0, 'with room it works again') or diag($output);
push @accepted, 'again';
wait_for(sub { queued() == @accepted }, 10, 'it is queued');

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop;
system('umount', '-l', $spool);
done_testing;
