# instances.t - several systems on one machine, each complete in itself.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Postrider;

my %common = (smtpd_peername_lookup => 'no');
my $one = Postrider->new(settings => { %common,
	syslog_name => 'one', myhostname => 'mail.one.test',
	mydomain => 'one.test', mydestination => 'one.test' });
my $two = Postrider->new(settings => { %common,
	syslog_name => 'two', myhostname => 'mail.two.test',
	mydomain => 'two.test', mydestination => 'two.test',
	relayhost => '[127.0.0.1]:' . $one->port });
my $user = $one->user(0);
$one->set(relayhost => '[127.0.0.1]:' . $two->port);

# Each is the other's next hop, and has mailboxes of its own.
$_->start for $one, $two;
$one->send(from => "$user\@one.test", to => ["$user\@two.test"],
    text => "Subject: from one to two\n\nx\n");
$two->send(from => "$user\@two.test", to => ["$user\@one.test"],
    text => "Subject: from two to one\n\nx\n");
Postrider::wait_for(sub { $one->mbox($user) && $two->mbox($user) }, 20,
    "both messages\n" . $one->log . $two->log);
like(join('', $one->mbox($user)), qr/^Subject: from two to one$/m,
    'the first has its mail');
like(join('', $two->mbox($user)), qr/^Subject: from one to two$/m,
    'the second has its own');
unlike($one->log, qr{ two/}, 'no line of the second is in the first\'s log');
like($two->log, qr{ two/qmgr\[\d+\]: }, 'lines have the name of their system');

# Which one is meant: -C, -c, MAIL_CONFIG.
for my $system ($one, $two) {
	my $name = $system->{settings}{syslog_name};
	my $boxes = $system->mbox($user);
	my ($status, $text) = $system->sendmail(
	    "To: $user\nSubject: by -C\n\nx\n", '-t');
	is($status, 0, "sendmail -C of $name") or diag $text;
	{
		local $ENV{MAIL_CONFIG} = $system->etc;
		($status, $text) = $system->run(
		    "To: $user\nSubject: by MAIL_CONFIG\n\nx\n",
		    Postrider::bin() . '/sendmail', '-t');
		is($status, 0, "MAIL_CONFIG and sendmail of $name") or
		    diag $text;
		($status, $text) = $system->run('', Postrider::bin() .
		    '/postrider', 'status');
		is($status, 0, "MAIL_CONFIG and postrider of $name");
		like($text, qr/process @{[ $system->pid ]},.* queue \Q@{[
		    $system->spool ]}\E/, 'which shows the right one');
	}
	Postrider::wait_for(sub { $system->mbox($user) == $boxes + 2 }, 15,
	    "two messages in the mailbox of $name\n" . $system->log);
	($status, $text) = $system->postrider('status');
	like($text, qr/process @{[ $system->pid ]}, /, "postrider -c of $name");
	($status, $text) = $system->postrider('conf', '-h', 'myhostname');
	is($text, "mail.$name.test\n", "a verb that is a program, of $name");
}

# One queue, one master: by the same directory, and by another that names the
# same queue.
my $master = Postrider::bin() . '/master';
my $other = $one->dir . '/other';
mkdir $other or die;
Postrider::spew("$other/main.cf", Postrider::slurp($one->etc . '/main.cf'));
Postrider::spew("$other/master.cf", '');
for my $etc ($one->etc, $other) {
	my ($status, $text) = $one->run('', $master, '-c', $etc, '-f');
	isnt($status, 0, 'a second master on one queue does not run');
	like($text, qr/already running: process @{[ $one->pid ]} uses \Q@{[
	    $one->spool ]}\E/, 'and says who does');
	($status, $text) = $one->run('', Postrider::bin() . '/postrider',
	    '-c', $etc, 'start');
	is($status, 1, 'start twice fails');
	like($text, qr/already running: process @{[ $one->pid ]}\b/,
	    'and says why');
}
$one->send(from => 's@one.test', to => ["$user\@one.test"],
    text => "Subject: undisturbed\n\nx\n");
Postrider::wait_for(sub { grep { /^Subject: undisturbed$/m }
    $one->mbox($user) }, 10, 'the first to work on');
pass('the first one is not disturbed');

# The end of one is not the end of the other.
is($one->stop, 0, 'the first stops');
my ($status, $text) = $one->postrider('stop');
is($status, 1, 'stop twice fails');
like($text, qr/not running/, 'and says why');
is(($two->postrider('status'))[0], 0, 'the second runs on');

# In the background, as administrators start it.
my $background;
END { kill 'TERM', $background if $background }
{
	local $^F = 1000;		# what is open now is inherited
	my @secrets = map { open my $f, '>', $one->dir . '/secret' or die; $f }
	    1 .. 20;
	($status, $text) = $one->postrider('start');
}
is($status, 0, 'postrider start') or diag $text;
($background) = Postrider::slurp($one->spool . '/pid/master.pid') =~ /(\d+)/;
ok($background && kill(0, $background), 'the pid file has its number');
my @holders = grep { my $pid = $_; grep { (readlink // '') =~ m{/secret$} }
    glob "/proc/$pid/fd/*" } $background, split ' ',
    Postrider::slurp("/proc/$background/task/$background/children");
is("@holders", '', 'no daemon has what the caller had open');
like($one->send(from => 's@one.test', to => ["$user\@one.test"]), qr/^250/,
    'mail is taken as soon as start returns');

# Master dies alone: its daemons leave, and a start needs no help.
kill 'KILL', $background;
my $start = time;
Postrider::wait_for(sub {
	($status, $text) = $one->postrider('start');
	$status == 0;
}, 20, 'a start after kill -9 of master') or diag $text;
diag(sprintf 'started again %.1f s after kill -9 of master', time - $start);
($background) = Postrider::slurp($one->spool . '/pid/master.pid') =~ /(\d+)/;
like($one->send(from => 's@one.test', to => ["$user\@one.test"]), qr/^250/,
    'and mail is taken again');
($status, $text) = $one->postrider('stop');
is($status, 0, 'postrider stop') or diag $text;
($status, $text) = $one->postrider('start');
is($status, 0, 'a start can follow at once') or diag $text;
($background) = Postrider::slurp($one->spool . '/pid/master.pid') =~ /(\d+)/;
is(($one->postrider('stop', '--now'))[0], 0, 'stop --now');
is(($one->postrider('status'))[0], 1, 'status says that nothing runs');
undef $background;

# Whom a delivery needs is started for it, even while the system stops; what
# was not begun is there after the next start. A message that the death above
# interrupted comes then, too.
my $boxes = $one->mbox($user) + $one->queue_count('incoming') +
    $one->queue_count('deferred');
my @took;
for my $n (1 .. 4) {
	$one->start;
	$one->send(from => 's@one.test', to => ["$user\@one.test"]);
	$start = time;
	is($one->stop, 0, 'a stop in the middle of a delivery');
	push @took, time - $start;
}
# The quickest tells how slow this machine is now.
@took = sort { $a <=> $b } @took;
cmp_ok($took[-1], '<', 4.5 + 3 * $took[0],
    'none of them waited for its last moment');
$one->start;
# What a death interrupted would wait for its next attempt.
$one->postrider('queue', 'flush');
$one->wait_empty;
is($one->mbox($user), $boxes + 4, 'each message is delivered once')
    or diag $one->log;

is(join('', map { $_->complaints } $one, $two), '', 'nothing crashed');
done_testing();
