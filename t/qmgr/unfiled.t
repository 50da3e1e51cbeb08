# unfiled.t - messages that are committed in a write-ahead log: delivered from
# there, given files when they wait, found after crashes of any of the three
# that know them, and shown to whoever looks at the queue.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(settings => {
	cleanup_processes => 1, cleanup_wal_rate => 0, cleanup_wal_size => '1M',
	relay_domains => 'far.test', smtpd_peername_lookup => 'no',
	in_flow_delay => '0s', minimal_backoff_time => '1000s' });
my $answer = $mail->dir . '/answer';
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return undef unless $verb eq 'RCPT' && $line =~ /<(\w+)-/;
	return $1 eq 'later' ? '450 4.2.1 later' :
	    $1 eq 'never' ? '550 5.1.1 nobody' : undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
my $incoming = $mail->spool . '/incoming';

sub logs { my @l = glob "$incoming/wal.*"; return @l }
sub files { return grep { !/wal/ } map { glob "$_/*" } $incoming,
    glob($mail->spool . '/deferred/*') }

my $posted = 0;

# Messages in one session; their ids.
sub post
{
	my ($count, @to) = @_;
	my $c = $mail->client;
	my @ids;

	$c->expect(220);
	$c->command('EHLO c.test', 250);
	for my $n (1 .. $count) {
		$c->command('MAIL FROM:<' . $mail->user(0) .
		    '@mail.local.test>', 250);
		$c->command("RCPT TO:<$_$n." . ++$posted . "\@far.test>", 250)
		    for @to;
		$c->command('DATA', 354);
		my $reply = $c->command("Subject: $n\r\n\r\ntext $n\r\n.", 250);
		push @ids, $reply =~ /queued as (\w+)/;
	}
	$c->command('QUIT', 221);
	return @ids;
}

sub arrived
{
	my %seen;

	$seen{$_}++ for map { @{ $_->{rcpt} } } $sink->messages;
	return \%seen;
}

post(1, 'first-');
wait_for(sub { logs() && post(1, "warm-") && $mail->queue_count == 0 }, 20,
    'a log');
is(-s (logs())[0], 1 << 20, 'it is of its size');

my @ids = post(20, 'fast-');
wait_for(sub { 20 == grep { /^<?fast/ } keys %{ arrived() } }, 20,
    'twenty messages');
is(scalar(grep { $_ > 1 } values %{ arrived() }), 0, 'each once');
is(scalar(grep { my $id = $_; $mail->log =~ /$id: removed/ } @ids), 20,
    'each is removed');

# --- who waits ---------------------------------------------------------------

my ($later) = post(1, 'later-');
$mail->wait_log(qr/$later: .*status=deferred/);
wait_for(sub { grep { /deferred.*$later$/ } files() }, 20, 'a file');
pass('what is postponed is a file');
my ($status, $listed) = $mail->run('', Postrider::bin() . '/postrider-queue',
    '-c', $mail->etc, 'list');
like($listed, qr/$later.*later-1\.\d+\@far\.test/s, 'which is listed');

my ($both) = post(1, 'later-both', 'fast-both');
$mail->wait_log(qr/$both: .*status=deferred/);
wait_for(sub { grep { /deferred.*$both$/ } files() }, 20, 'another file');
like(slurp((grep { /$both$/ } files())[0]), qr/R.*X|X.*R/s,
    'one of whose recipients is crossed off');

my ($never) = post(1, 'never-');
$mail->wait_log(qr/$never: .*status=bounced/);
$mail->wait_log(qr/$never: removed/);
wait_for(sub { join('', $mail->mbox($mail->user(0))) =~ /never-1\.\d+\@far/ },
    20, 'a report');
pass('what fails is reported');

# --- crashes -----------------------------------------------------------------

# Each with messages that stay in the log, since nobody delivers. A cleanup
# process that has just been started has none yet.
sub stop_smtp
{
	kill 'STOP', $mail->children('smtp');
	wait_for(sub {
		my ($id) = post(1, 'warm-');
		return !grep { /$id$/ } files();
	}, 20, 'a log that is written');
}

for my $program (qw(qmgr cleanup master)) {
	my $word = "x$program-";
	stop_smtp();
	my @some = post(10, $word);
	cmp_ok(scalar(grep { my $id = $_; grep { /$id$/ } files() } @some),
	    '<', 8, "$program: ten messages, some without files");
	if ($program eq 'master') {
		$mail->crash;
		$mail->start;
	} else {
		my ($pid) = $mail->children($program);
		kill 'KILL', $pid;
		wait_for(sub { grep { $_ != $pid } $mail->children($program) },
		    20, "another $program");
		kill 'KILL', $mail->children('smtp') if $program ne 'cleanup';
		kill 'CONT', $mail->children('smtp');
	}
	wait_for(sub { 10 == grep { /^<?$word/ } keys %{ arrived() } }, 40,
	    "ten messages after the end of $program\n" . $mail->log);
	pass("$program: they arrive");
	cmp_ok((sort { $b <=> $a } values %{ arrived() })[0], '<=', 2,
	    'none more than twice');
	post(2, 'again-');
}

# --- administrators ----------------------------------------------------------

stop_smtp();
my ($shown, $deleted, $held) = post(3, 'wish-');
($status, $listed) = $mail->run('', Postrider::bin() . '/postrider-queue',
    '-c', $mail->etc, 'show', $shown);
like($listed, qr/<?wish-1\.\d+\@far\.test/, 'one without a file is shown');
($status, $listed) = $mail->run('', Postrider::bin() . '/postrider-queue',
    '-c', $mail->etc, 'list');
like($listed, qr/$shown/, 'the list shows it');
($status) = $mail->run('', Postrider::bin() . '/postrider-queue', '-c',
    $mail->etc, 'delete', $deleted);
is($status, 0, 'one is deleted');
($status) = $mail->run('', Postrider::bin() . '/postrider-queue', '-c',
    $mail->etc, 'hold', $held);
is($status, 0, 'one is held');
kill 'KILL', $mail->children('smtp');
kill 'CONT', $mail->children('smtp');
wait_for(sub { grep { /^<?wish-1/ } keys %{ arrived() } }, 40, 'the first');
ok(-e $mail->spool . "/hold/$held", 'the held one is in hold/');

# --- again and again ---------------------------------------------------------

# More than several logs hold: they are used again.
my $before = () = $mail->log =~ /: removed$/mg;
post(1500, 'many-');
wait_for(sub { $before + 1500 <= (() = $mail->log =~ /: removed$/mg) }, 60,
    'many messages');
my $seen = arrived();
is(join(' ', grep { /^<?many/ && $seen->{$_} > 1 } sort keys %$seen), '',
    'none twice');
cmp_ok(scalar(logs()), '<=', 8, 'in a few logs: ' . scalar(logs()));
is($mail->queue_count('incoming'), 0, 'nothing is left in them');

# --- damage ------------------------------------------------------------------

# Each record's head, and the image of some, of messages that wait: who knows
# them makes their files of what he has, and one who finds them tells.
sub damage
{
	my ($how, @ids) = @_;
	my $count = 0;

	for my $path (logs()) {
		my $log = slurp($path);
		for my $id (@ids) {
			my $at = index $log, $id;
			next if $at < 24 || substr($log, $at - 24, 4) ne 'PRwr';
			open my $f, '+<:raw', $path or die "$path: $!";
			seek $f, $at + { head => -20, content => 240,
			    envelope => 500 }->{$how}, 0;
			print $f '!!';
			close $f or die;
			$count++;
		}
	}
	return $count;
}

stop_smtp();
my @damaged = post(10, 'damaged-');
is(damage(head => @damaged[3, 5]) + damage(envelope => $damaged[7]), 3,
    'three are damaged');
wait_for(sub { my %is = map { s{.*/}{}r => 1 } files();
    !grep { !$is{$_} } @damaged }, 20, 'files of those that are in memory');
pass('damage to a log harms nobody who is in memory');
kill 'KILL', $mail->children('smtp');
wait_for(sub { 10 == grep { /^<?damaged/ } keys %{ arrived() } }, 40, 'ten');

stop_smtp();
@damaged = post(10, 'bad-');
is(damage(head => $damaged[3]) + damage(content => $damaged[5]), 2,
    'two are damaged');
$mail->crash;
my $aside = $mail->spool . "/corrupt/$damaged[5]";
mkdir $aside or die;			# there is no place for it yet
$mail->start;
wait_for(sub { 8 == grep { /^<?bad/ } keys %{ arrived() } }, 40,
    'who stands behind them');
pass('others arrive');
$mail->wait_log(qr/wal\.\d+: what stands at \d+ is damaged/);
$mail->wait_log(qr/$damaged[5]: damaged; it cannot be moved/);
rmdir $aside or die;
$mail->reload;				# qmgr looks at its directories
$mail->wait_log(qr/$damaged[5]: damaged in .*corrupt/);
ok(-e $aside, 'what there is is kept');
is(scalar(grep { /^<?bad-6/ } keys %{ arrived() }), 0,
    'nobody gets what is damaged');
unlink $mail->spool . "/corrupt/$damaged[5]";

# --- hands in the queue ------------------------------------------------------

# Somebody removes all logs while they are written. The maker of another one
# has died, and one is damaged.
unlink logs();
spew("$incoming/wal.0", "\0" x 5000);
spew("$incoming/wal.63", 'no log');
chown +(stat $incoming)[4, 5], logs();
($status, $listed) = $mail->run('', Postrider::bin() . '/postrider-queue',
    '-c', $mail->etc, 'check');
unlike($listed, qr/Not messages/, 'logs are no strays');

stop_smtp();
my @kept = post(1, 'removed-');
is(-s "$incoming/wal.0", 1 << 20, 'what had no head is made anew');
push @kept, post(10, 'removed-');
$mail->crash;
$mail->start;
wait_for(sub { 11 == grep { /^<?removed/ } keys %{ arrived() } }, 60,
    "who came then, after a crash\n" . $mail->log);
pass('nobody is lost with them');
like($mail->log, qr/wal\.63: its head is damaged/, 'damage is told');

is($mail->stop, 0, 'all stops');
is(join('', grep { !/killed by signal 9$/ } $mail->complaints), '',
    'nothing crashed');
done_testing();
