# owed.t - a recipient who has failed, and whose sender is still to be told
# (status "b" in the queue file): what the queue command shows of him, and that
# the sender is told once, and nobody tries the recipient again, whatever is
# done to the message, and although bounce does not answer at first.
use strict;
use warnings;

use lib 't/lib';
use Postrider qw(bin spew wait_for);
use Test::More;

my @fates = qw(plain requeued held expired deleted);
my $mail = Postrider->new(clock => 1, settings => {
	ipc_timeout => '60s', minimal_backoff_time => '600s',
	smtpd_peername_lookup => 'no' });
my $down = "$mail->{dir}/down";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return '550 5.1.1 nobody' if $verb eq 'RCPT' && $line =~ /<nobody/;
	return $verb eq 'RCPT' && $line !~ /<al\@/ && -e $down ?
	    '450 4.2.0 not now' : undef;
});
my $postcat = "$mail->{dir}/postcat";
symlink bin() . '/postrider-queue', $postcat;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
spew($down, '');
$mail->start;

# Time passes in small steps until this is in the log.
sub let_time_pass
{
	my ($re) = @_;

	wait_for(sub {
		return 1 if $mail->log =~ $re;
		$mail->advance(15);
		return 0;
	}, 60, "the log to match $re\n" . $mail->log);
}

# What qmgr writes of one whose report is put off.
sub owe
{
	my ($id, $address) = @_;
	local $ENV{MAIL_CONFIG} = $mail->etc;
	my (undef, $text) = $mail->run('', $postcat, '-oeq', $id);
	my ($at) = $text =~ /^ *(\d+) recipient: \Q$address\E$/m or die $text;
	my ($path) = glob $mail->spool . "/deferred/*/$id";

	open my $f, '+<', $path or die "$path: $!";
	sysseek $f, $at, 0;
	sysread $f, my $byte, 1;
	die "$byte is not R" if $byte ne 'R';
	sysseek $f, $at, 0;
	syswrite $f, 'b';
}

my %id = map { $_ => $mail->send(from => 'al@back.test',
    to => ["owed-$_\@far.test", "later-$_\@far.test"]) =~ /queued as (\w+)/ }
    @fates;
wait_for(sub { $mail->queue_count('deferred') == @fates }, 20, 'deferrals');
$mail->stop;
my $times = { %{ $mail->due } };
for my $fate (@fates) {
	owe($id{$fate}, "owed-$fate\@far.test");
	utime $times->{ $id{$fate} }, $times->{ $id{$fate} },
	    glob $mail->spool . "/deferred/*/$id{$fate}";
}
my (undef, $list) = $mail->postrider('queue', 'list');
is(scalar(() = $list =~ /(?:owed|later)-plain\@far\.test/g), 2,
    'who is owed a report is shown, as is who waits');

# --- bounce is silent ---------------------------------------------------------

$mail->start;
$mail->send(from => 'al@back.test', to => ['nobody@far.test']);
$mail->wait_log(qr/: sender non-delivery notification/);	# it has begun
my ($bounce) = $mail->children('bounce');
kill 'STOP', $bounce;
for (['flush', 'plain'], ['requeue', 'requeued'], ['hold', 'held'],
    ['expire', 'expired'], ['delete', 'deleted']) {
	my ($verb, $fate) = @$_;
	my ($status, $text) = $mail->postrider('queue', $verb, $id{$fate});

	is($status, 0, "$verb while a report is owed") or diag $text;
}
let_time_pass(qr/$id{$_}: bounce does not answer/)
    for qw(plain requeued expired);
wait_for(sub { (stat $mail->spool . "/hold/$id{held}") }, 5, 'one in hold');
unlike($mail->log, qr/$id{requeued}: requeued as/,
    'what is to begin anew waits for its report');
is($mail->said(qr/non-delivery notification/), 1, 'nobody was told of these');
kill 'KILL', $bounce;
wait_for(sub { my ($new) = $mail->children('bounce');
    $new && $new != $bounce }, 20, 'another bounce');

# --- and is there again -------------------------------------------------------

$mail->advance(60);		# it is left alone so long
$mail->postrider('queue', 'release', $id{held});
$mail->postrider('queue', 'flush');
let_time_pass(qr/$id{$_}: sender non-delivery notification/)
    for qw(plain requeued held expired);
let_time_pass(qr/$id{requeued}: requeued as/);
let_time_pass(qr/$id{expired}: removed/);
unlink $down;
wait_for(sub { $mail->postrider('queue', 'flush'); $mail->queue_count == 0 },
    30, 'an empty queue');

my (%told, %got);
for my $m ($sink->messages) {
	$told{$_}++ for $m->{data} =~ /^Final-Recipient: rfc822; (\S+)\@/mg;
	$got{$_}++ for map { s/\@.*//r } @{ $m->{rcpt} };
}
is_deeply([map { $told{"owed-$_"} // 0 } @fates], [1, 1, 1, 1, 0],
    'each sender is told once, but of what was deleted');
is_deeply([map { $told{"later-$_"} // 0 } @fates], [0, 0, 0, 1, 0],
    'also of who was expired');
is_deeply([map { $got{"later-$_"} // 0 } @fates], [1, 1, 1, 0, 0],
    'who waited has his mail');
is_deeply([grep { /^owed/ } keys %got], [], 'who had failed was not tried');
is(join('', grep { !/killed by signal 9/ } $mail->complaints), '',
    'nothing crashed');
done_testing;
