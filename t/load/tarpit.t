# tarpit.t - very many receivers accept connections and then say nothing, or
# one byte in ten seconds, and very much mail waits for them: other mail is not
# delayed.
#
# POSTRIDER_LONG: 1,000 of them and 500,000 messages.

use strict;
use warnings;

use lib 't/lib';
use IPC::Open2;
use Postrider qw(slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'with sanitizers this measures the sanitizers'
    if Postrider::is_sanitized();

my $is_long = $ENV{POSTRIDER_LONG};
my ($sites, $messages, $slots, $room) = $is_long ?
    (1000, 500_000, 5000, 20_000) : (40, 4000, 100, 1000);
my $build = $ENV{BUILD} // 'build';

my $pid = open2(my $told, my $alive, "$build/t/load/tarpit");
chomp(my $port = <$told>);
END {
	if ($pid) {
		local $?;
		kill 'TERM', $pid;
		waitpid $pid, 0;
	}
}
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', notify_classes => '',
	qmgr_message_active_limit => $room },
	master => "smtp unix - - n - $slots smtp\n");
my @good = map { $mail->sink } 1 .. 20;
my $table = $mail->etc . '/transport';
spew($table, join '', map({
	sprintf "d%d.test\tsmtp:[127.1.%d.%d]:%d\n", $_, $_ / 250,
	    1 + $_ % 250, $port } 0 .. $sites - 1),
    map { "good$_.test\tsmtp:[127.0.0.1]:" . $good[$_]->port . "\n" } 0 .. 19);
$mail->set(transport_maps => "texthash:$table");
$mail->start;
$mail->stop;
my $start = time;
is(system("$build/t/lib/fill", $mail->spool, 'deferred', $messages, $sites,
    '-1'), 0, "$messages messages wait for $sites tarpits, and are due");
note(sprintf 'filled in %.1f s', time - $start);
$start = time;
$mail->start;

# One new message; the seconds until it has been delivered.
my $number = 0;
sub probe
{
	my ($site) = @_;
	my $sent = time;
	my ($id) = $mail->send(from => 'al@flow.test',
	    to => ['p' . ++$number . "\@$site"]) =~ /queued as (\w+)/;

	wait_for(sub { !-e $mail->spool . "/incoming/$id" }, 60,
	    "the delivery of $id");
	return time - $sent;
}

sub check
{
	my ($what, @took) = @_;

	@took = sort { $a <=> $b } @took;
	diag(sprintf '%s: %d messages, median %.0f ms, p95 %.0f, greatest %.0f',
	    $what, scalar @took, 1000 * $took[@took / 2],
	    1000 * $took[@took * 0.95], 1000 * $took[-1]);
	cmp_ok($took[@took * 0.95], '<', 2, "$what: no more than two seconds");
}

# From the start on, a site that answers well, and sites that nobody knows yet.
my (@known, @new);
my $lasts = $is_long ? 120 : 12;
while (time < $start + $lasts) {
	push @known, probe('good0.test');
	push @new, probe('good' . (1 + @new) . '.test')
	    if @new < 19 && (time - $start) / $lasts > @new / 20;
	sleep($is_long ? 0.5 : 0.1);
}
check('to a site that answers', @known);
check('to sites that nobody knows', @new);
my ($qmgr) = $mail->children('qmgr');
diag(sprintf 'qmgr: %.0f MB', (slurp("/proc/$qmgr/status") =~
    /^VmHWM:\s+(\d+)/m)[0] / 1000);
cmp_ok($mail->queue_count('deferred'), '>', $messages * 0.9,
    'what is for the tarpits is still there');
$mail->wait_log(qr/$messages messages were in the queue/, 120);
my $arrived = 0;
$arrived += $_->messages for @good;
is($arrived, $number, 'each of the others has arrived');
$start = time;
is($mail->stop, 0, 'it stops');
diag(sprintf 'stopped in %.1f s', time - $start);
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
