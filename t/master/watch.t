# watch.t - who falls is replaced, and nothing is said twice or forgotten.

use strict;
use warnings;
use Test::More;
use Postrider qw(is_root wait_for slurp spew bin is_alive);
use Time::HiRes qw(time);

my $mail = Postrider->new->start;
my ($status, $text);

# W2: a death is told in Postfix's words, and a successor comes.
my ($qmgr) = $mail->children('qmgr');
kill 'KILL', $qmgr;
my $next = wait_for(sub { (grep { $_ != $qmgr } $mail->children('qmgr'))[0] },
    10, 'another qmgr');
ok $next, 'a killed qmgr is replaced';
$mail->wait_log(qr/warning: process \S+\/qmgr pid $qmgr killed by signal 9/);
pass 'its death is in the log';
is scalar($mail->children('qmgr')), 1, 'there is one qmgr, not two (W4)';

# A restart of log loses no line.
my ($log) = $mail->children('log');
kill 'STOP', $log;
$mail->postrider('log', '-w', "line $_") for 1 .. 20;
kill 'KILL', $log;
wait_for(sub { $mail->log =~ /: line 20$/m }, 10, 'the last line');
is_deeply [ $mail->log =~ /: line (\d+)$/mg ], [ 1 .. 20 ],
    'all lines are written, in their order, by the next log';

# A service that cannot start is tried again with growing pauses.
is $mail->stop, 0, 'stop';
mkdir $mail->dir . '/bin' or die "$!";
chmod 0755, $mail->dir . '/bin';
symlink $_, $mail->dir . '/bin/' . (split m,/,)[-1] for glob(bin() . '/*');
$mail->set(daemon_directory => $mail->dir . '/bin');
$mail->start;
unlink $mail->dir . '/bin/smtpd';
spew($mail->dir . '/bin/smtpd', "#!/bin/sh\nexit 9\n");
chmod 0755, $mail->dir . '/bin/smtpd';
my $client = $mail->client;
$mail->wait_log(qr/bin\/smtpd pid \d+ exit status 9/);
$mail->wait_log(qr/bin\/smtpd: bad command startup -- throttling/);
pass 'a bad start is told and throttled';
unlink $mail->dir . '/bin/smtpd';
symlink bin() . '/smtpd', $mail->dir . '/bin/smtpd';
like $client->expect(220), qr/^220/,
    'the client who waited is served when it works again';

# The system does not start when a part that it needs does not.
$mail->stop;
unlink $mail->dir . '/bin/pickup';
spew($mail->dir . '/bin/pickup', "#!/bin/sh\n[ \"\$1\" = --check ] || exit 9\n");
chmod 0755, $mail->dir . '/bin/pickup';
($status, $text) = $mail->postrider('start');
is $status, 1, 'start fails when pickup cannot start';
like $text, qr/did not start: process \S+pickup pid \d+ exit status 9/,
    'and says which program failed';
is +($mail->postrider('status'))[0], 1, 'nothing is left running';

# W6: who is killed before he is ready, or finds no memory, is tried again.
sub weak
{
	my ($lives, $end) = @_;
	my $dir = $mail->dir;

	unlink "$dir/bin/pickup", "$dir/tries";
	spew("$dir/bin/pickup", "#!/bin/sh\n" .
	    "[ \"\$1\" = --check ] && exec " . bin() . "/pickup \"\$@\"\n" .
	    "echo >>$dir/tries\n" .
	    "[ `wc -l <$dir/tries` -gt $lives ] && exec " . bin() .
	    "/pickup \"\$@\"\n$end\n");
	chmod 0755, "$dir/bin/pickup";
	($status, $text) = $mail->postrider('start');
	return length slurp("$dir/tries");
}
is weak(2, 'kill -KILL $$'), 3, 'pickup is started a third time';
is $status, 0, 'and the system starts' or diag $text;
is +($mail->postrider('stop'))[0], 0, 'it runs';
is weak(1, 'exit 75'), 2, 'who says "not now" is asked again';
is $status, 0, 'and the system starts' or diag $text;
is +($mail->postrider('stop'))[0], 0, 'it runs';
is weak(100, 'kill -SEGV $$'), 4, 'who always dies is given up';
is $status, 1, 'and the start with him';
like $text, qr/did not start: process \S+pickup pid \d+ killed by signal 11/,
    'which is said';
unlink $mail->dir . '/bin/pickup';
symlink bin() . '/pickup', $mail->dir . '/bin/pickup';

# kill -9 of master: the next one starts at once, with one qmgr.
$mail->start;
($qmgr) = $mail->children('qmgr');
kill 'STOP', $qmgr;
my @old = $mail->children;
kill 'KILL', $mail->pid;
waitpid $mail->pid, 0;
delete $mail->{pid};
$mail->start;
ok !is_alive($qmgr), 'the qmgr of a dead master is gone before another starts';
is scalar($mail->children('qmgr')), 1, 'and there is one';
wait_for(sub { !grep { is_alive($_) } @old }, 20,
    'the end of the old daemons');
pass 'daemons leave when their master has died';

is $mail->stop, 0, 'stop';
done_testing;
