#!/usr/bin/perl
# death.t - an agent that dies between two recipients of a message delivers to
# none of the first a second time; one whose qmgr dies, to none that follows
# (L2).

use strict;
use warnings;
use lib 't/lib';

use Fcntl qw(:flock);
use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $dir = File::Temp->newdir('prt-death-XXXX', DIR => '/tmp', CLEANUP => 1);
chmod 01777, $dir;

# Notes its recipient; waits before that for one of them.
my $program = "$dir/note";
spew($program, <<"END");
#!/bin/sh
case \$1 in
held*|kept*)
	while [ -d $dir ] && [ ! -e $dir/open.\$1 ]; do sleep 0.05; done;;
esac
cat >/dev/null
echo "\$1" >> $dir/noted
END
chmod 0755, $program;

my $mail = Postrider->new(settings => { mailbox_delivery_lock => 'flock',
    local_destination_recipient_limit => 50, minimal_backoff_time => '1s',
    queue_run_delay => '1s', virtual_mailbox_domains => 'piped.test',
    resolve_processes => 1,	# so that they keep their order
    local_recipient_maps => '', virtual_mailbox_maps => 'static:x',
    virtual_transport => 'note', relay_domains => 'long.test' },
    master => <<"END");
note unix - n n - - pipe
  flags=D user=prt-alice argv=$program \${recipient}
long unix - n n - - pipe
  flags=D user=prt-bob argv=$dir/long
END
my ($alice, $bob) = ($mail->user(0), $mail->user(1));

# Reads the beginning, and the rest when it may.
spew("$dir/long", <<"END");
#!/bin/sh
read first
echo \$\$ > $dir/long.pid
while [ -d $dir ] && [ ! -e $dir/open.long ]; do sleep 0.05; done
END
chmod 0755, "$dir/long";
spew($mail->etc . '/transport', "long.test long:\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport');
$mail->start;

# Kill -9 a process between two recipients, and let the rest go when there is
# another.
sub die_between
{
	my ($service, $from, @to) = @_;
	my $open = pop @to;
	my $id = ($mail->send(from => $from, to => \@to) =~
	    /queued as (\w+)/)[0];

	$mail->wait_log(qr/ $id: to=<\Q$to[0]\E>.*status=sent/);
	wait_for(sub { ($mail->postrider('queue', 'list', '-j'))[1] !~
	    /$to[0]/ }, 10, 'the first to be crossed off');
	my @before = $mail->children;
	wait_for(sub { kill 'KILL', grep { slurp("/proc/$_/cmdline") =~
	    /\0-n\0$service\0/ } $mail->children }, 10,
	    "a process of $service");
	wait_for(sub { my %old = map { $_ => 1 } @before; grep { !$old{$_} &&
	    slurp("/proc/$_/cmdline") =~ /\0-n\0$service\0/ }
	    $mail->children }, 10, "another $service");
	$open->();
	$mail->wait_empty;
	return $mail->said(qr/ $id: to=<\Q$to[0]\E>.*status=sent/);
}

my $box = $mail->dir . "/mail/$bob";
spew($box, '');
chown +(getpwnam $bob)[2, 3], $box;
open my $lock, '<', $box or die "$box: $!";
flock $lock, LOCK_EX or die "flock: $!";
is(die_between('local', 's@remote.test', "$alice\@local.test",
    "$bob\@local.test", sub { close $lock }), 1,
    'local says once that the first has it');
is($mail->mbox($alice), 1, 'the first mailbox has it once');
cmp_ok($mail->mbox($bob), '>=', 1, 'the one at hand has it');

is(die_between('note', 's@remote.test', map({ "$_\@piped.test" } 'first',
    'second', 'held'), sub { spew("$dir/open.held\@piped.test", '') }), 1,
    'pipe says once that the first has it');

# How often the program got it for this one.
sub noted
{
	my ($who) = @_;

	return grep { $_ eq "$who\@piped.test" } split /\n/,
	    slurp("$dir/noted");
}
is(noted('first'), 1, 'the first has it once');
cmp_ok(noted('held'), '>=', 1, 'the one at hand has it');

unlink "$dir/noted";
is(die_between('qmgr', 's@remote.test', map({ "$_\@piped.test" } 'first',
    'kept', 'third'), sub { spew("$dir/open.kept\@piped.test", '') }), 1,
    'qmgr had written down who has it');
is(noted($_), 1, "the $_ has it once") for 'first', 'third';

# What a command gets of a message whose giver has died is not the message.
$mail->send(from => 's@remote.test', to => ['x@long.test'],
    text => "Subject: long\n\n" . ('x' x 70 . "\n") x 4000);
wait_for(sub { -s "$dir/long.pid" }, 20, 'the command');
my $command = slurp("$dir/long.pid") + 0;
unlink "$dir/long.pid";
my ($mailbox) = slurp("/proc/$command/stat") =~ /\) \w (\d+)/;
ok($mailbox && kill('KILL', $mailbox), 'the mailbox process is killed');
wait_for(sub { !kill 0, $command }, 10, 'the end of the command');
pass('its command dies with it');
spew("$dir/open.long", '');
$mail->postrider('queue', 'flush');
$mail->wait_empty;

is(join('', grep { !/killed by signal 9$/ } $mail->complaints), '',
    'nothing crashed of itself');
done_testing();
