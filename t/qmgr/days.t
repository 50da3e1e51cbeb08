# days.t - five days of a message that nobody takes, in some seconds: the
# clocks of the system are moved to each time that it waits for.

use strict;
use warnings;

use lib 't/lib';
use List::Util qw(max min sum);
use Postrider qw(wait_for);
use Test::More;

use constant { HOUR => 3600, DAY => 86400, YEAR => 365 * 86400 };
my ($least, $most, $lifetime, $bounce_lifetime, $warning) =
    (300, 4000, 5 * DAY, DAY, 4 * HOUR);

my $mail = Postrider->new(clock => 1, settings => {
	maximal_queue_lifetime => '5d', bounce_queue_lifetime => '1d',
	delay_warning_time => '4h', smtpd_peername_lookup => 'no' },
	master => "asleep unix - - n - - smtp\n");
my $closed = Postrider::free_port();
my $busy = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? '450 4.2.1 not today' : undef;
});
my $back = $mail->sink;

$mail->set(defer_transports => 'asleep', transport_maps => 'inline:{ ' .
    "{ busy.test = smtp:[127.0.0.1]:@{[ $busy->port ]} }, " .
    "{ asleep.test = asleep:[127.0.0.1]:@{[ $back->port ]} }, " .
    "{ back.test = smtp:[127.0.0.1]:@{[ $back->port ]} } }",
    relayhost => "[127.0.0.1]:$closed");
$mail->start;

# --- tools --------------------------------------------------------------------

sub post
{
	my ($from, $to) = @_;
	my $reply = $mail->send(from => $from, to => [$to]);

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# Go to the moment when the next message is due, and let it be tried; true
# while there are any.
sub step
{
	$mail->settle;
	my $due = $mail->due;
	my $first = min values %$due;
	return 0 unless defined $first;
	$mail->advance($first - $mail->now + 0.1) if $first >= $mail->now;
	$mail->settle;
	return 1;
}

sub step_until_gone
{
	my ($id) = @_;
	my $removed = qr/qmgr\[\d+\]: $id: removed/;

	for (1 .. 500) {
		return if $mail->said($removed);
		step() or last;
	}
	$mail->wait_log($removed);	# the log comes after the deed
}

# The lines of a message, and the ages at which it was tried.
sub lines { my ($id) = @_; return grep { /: $id: / } split /^/, $mail->log }
sub ages
{
	my ($id) = @_;
	return map { /: to=.* delay=([\d.]+),/ ? $1 : () } lines($id);
}

sub hours { my ($age) = @_; return sprintf '%d:%02d:%02d', $age / 3600,
    $age / 60 % 60, $age % 60 }

# The text of the reports to an address.
sub reports
{
	my ($to) = @_;
	return map { $_->{data} } grep { $_->{rcpt}[0] eq $to } $back->messages;
}

# What is promised of the times of any message.
sub check_schedule
{
	my ($id, $lives) = @_;
	my @ages = ages($id);
	my @pauses = map { $ages[$_] - $ages[$_ - 1] } 1 .. $#ages;
	my $plain = $least;
	my @wrong;

	for my $n (0 .. $#pauses) {
		push @wrong, "$n: $pauses[$n] (about $plain)"
		    if $pauses[$n] < $plain * 0.75 - 2 ||
		    $pauses[$n] > $plain * 1.25 + 3;
		$plain = min($plain * 2, $most);
	}
	is_deeply(\@wrong, [], sprintf '%d pauses grow from %d s to %d s, ' .
	    'a quarter more or less', scalar @pauses, $least, $most);
	cmp_ok($ages[-1], '>=', $lives, 'it was tried after its time');
	cmp_ok($ages[-2], '<', $lives, 'once');
	is((lines($id))[-1] =~ /: removed$/ ? 1 : 0, 1, 'and then removed');
	return @pauses;
}

# --- five days ----------------------------------------------------------------

my $refused = post('al@back.test', 'bob@busy.test');
my $lost = post('al@nowhere.test', 'bob@unreachable.test');
my $null = post('', 'bob@busy.test');
my $began = time;

step_until_gone($_) for $null, $refused, $lost;

subtest 'a next hop that says 450' => sub {
	my @pauses = check_schedule($refused, $lifetime);
	my @long = @pauses[5 .. $#pauses];

	note('tried at ', join ' ', map { hours($_) } ages($refused));
	note(sprintf '%d tries, pauses after the fifth: least %d s, mean ' .
	    '%d s, greatest %d s', scalar(@pauses) + 1, min(@long),
	    sum(@long) / @long, max(@long));
	cmp_ok(min(@long), '<', $most * 0.9, 'they differ');
	cmp_ok(max(@long), '>', $most * 1.1, 'to both sides');
	cmp_ok(abs(sum(@long) / @long - $most), '<', $most * 0.1,
	    'around the longest one');
};

subtest 'its sender hears of the delay once, and of the end' => sub {
	my $log = $mail->log;
	my @delays = $log =~ /$refused: sender delay notification: \w+/g;
	is(scalar @delays, 1, 'one warning');
	my ($before) = $log =~ /(.*)$refused: sender delay notification/s;
	my @ages = $before =~ /$refused: to=.* delay=([\d.]+),/g;
	cmp_ok($ages[-1], '>=', $warning, 'when it was ' . hours($ages[-1]) .
	    ' old');
	cmp_ok($ages[-2], '<', $warning, 'not earlier and not later');
	($before) = $log =~ /(.*)$refused: from=<al\@back\.test>, status=expired, returned to sender/s
	    or fail('the log says that it expired');
	is(scalar(() = $before =~ /$refused: to=/g), scalar(ages($refused)),
	    'it is given up after the last try');

	my @reports = reports('al@back.test');
	is(scalar @reports, 2, 'two reports');
	like($reports[0], qr/^Action: delayed\r\nStatus: 4\.2\.1\r$/m);
	like($reports[0], qr/^Will-Retry-Until: \S/m, 'until when');
	like($reports[1], qr/^Action: failed\r\nStatus: 4\.\d+\.\d+\r$/m);
	like($reports[1], qr/450 4\.2\.1 not today/, 'with the last reason');
};

subtest 'a next hop that nobody reaches' => sub {
	check_schedule($lost, $lifetime);
	ok($mail->said(qr/$lost: to=.*dsn=4\.4\.1, status=deferred/));
};

subtest 'a message without a sender has a life of its own' => sub {
	check_schedule($null, $bounce_lifetime);
	ok($mail->said(qr/$null: to=<bob\@busy\.test> failed, and /),
	    'the log has why');
	is($mail->said(qr/$null: sender (?:delay|non-delivery)/), 0,
	    'nobody is told');
};

subtest 'a report that cannot be delivered' => sub {
	my ($bounce) = $mail->log =~
	    /$lost: sender non-delivery notification: (\w+)/;
	ok(defined $bounce, 'is sent') or return;
	step_until_gone($bounce);
	check_schedule($bounce, $bounce_lifetime);
	is($mail->said(qr/$bounce: sender non-delivery/), 0,
	    'nobody is told of it');
};

note(sprintf '%.1f days took %d s', ($mail->now - $began) / DAY,
    time - $began);
step_until_gone($_) for keys %{ $mail->due };

# --- clocks that jump ---------------------------------------------------------

subtest 'the wall clock jumps a year while we run' => sub {
	my $id = post('al@back.test', 'jump@busy.test');
	my $tries = 1;
	my $passed = 0;

	# Files' times mean nothing now; qmgr counts on the other clock.
	$mail->wait_log(qr/$id: to=.*status=deferred/);
	$mail->settle;
	$mail->advance(YEAR, only => 'wall');
	while ($passed < 1.25 * $most) {
		$mail->advance(10);
		$passed += 10;
		select undef, undef, undef, 0.02;
		next if ages($id) == $tries;
		$tries++;
		last if $passed > $most / 2;
	}
	cmp_ok($tries, '>=', 3, "tried $tries times in $passed s");
	is($mail->said(qr/$id: .*status=expired/), 0,
	    'an age that nobody believes ends nothing');
	$mail->advance(1.25 * $most);
	$mail->wait_log(qr/$id: removed/);
	is(scalar(ages($id)), $tries + 1, 'it was tried once more');
	is($mail->said(qr/$id: .*status=expired/), 1,
	    'when the clock has run on it is believed');
};

subtest 'a year passes while the system is down' => sub {
	my $asleep = post('al@back.test', 'bob@asleep.test');
	my @dead = map { post('al@back.test', "d$_\@nowhere.test") } 1 .. 12;

	$mail->wait_log(qr/$asleep: to=.*deferred transport/);
	$mail->settle;
	$mail->stop;
	$mail->advance(YEAR);
	$mail->set(defer_transports => '');
	$mail->start;
	$mail->wait_log(qr/$asleep: removed/, 20);
	is(scalar(grep { $_->{rcpt}[0] eq 'bob@asleep.test' }
	    $back->messages), 1, 'what was never tried is delivered');
	is($mail->said(qr/$asleep: .*(?:expired|notification)/), 0,
	    'and nobody is told that it is old');

	# The first few find out that the site is dead; that counts for the
	# others, who would only hear the same.
	step_until_gone($_) for @dead;
	my ($since) = $mail->log =~ /.*daemon started(.*)/s;
	my $ids = join '|', @dead;
	my $tries = () = $since =~ /(?:$ids): to=.*deferred \(connect to/g;
	cmp_ok($tries, '>=', 1, "$tries of " . @dead . ' are tried');
	# Both lines are of one process, and so in their order.
	my ($before) = $since =~ /(.*?)temporarily suspended/s;
	like($before // 'site nowhere is left alone',
	    qr/site \S+ .*is left alone/, 'before the others are not');
	is(scalar(() = $since =~ /(?:$ids): .*status=expired/g),
	    scalar @dead, 'then all of them are too old');
};

subtest 'a transport that sleeps for six days' => sub {
	$mail->set(defer_transports => 'asleep');
	$mail->reload;
	my $id = post('al@back.test', 'bob2@asleep.test');

	$mail->wait_log(qr/$id: to=.*deferred transport/);
	$mail->settle;
	$mail->advance(6 * DAY);
	step() for 1 .. 2;
	is($mail->said(qr/$id: .*status=expired/), 0,
	    'gives up nothing that nobody tried');
	$mail->set(defer_transports => '');
	$mail->reload;
	step_until_gone($id);
	is(scalar(grep { $_->{rcpt}[0] eq 'bob2@asleep.test' }
	    $back->messages), 1, 'and delivers it when it wakes');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
