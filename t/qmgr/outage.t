# outage.t - a site is away for a day; when it is back, what waits for it does
# not come all at once.

use strict;
use warnings;

use lib 't/lib';
use List::Util qw(max);
use Postrider;
use Test::More;

use constant { MESSAGES => 500, MINUTE => 60, DAY => 86400 };

my $mail = Postrider->new(clock => 1, settings => {
	smtpd_peername_lookup => 'no' });
my $port = Postrider::free_port();
$mail->set(relayhost => "[127.0.0.1]:$port");
$mail->start;

my $client = $mail->client;
$client->expect(220);
$client->command('EHLO client.test', 250);
my @to = map { "r$_\@far.test" } 1 .. MESSAGES;
for my $to (@to) {
	$client->script('MAIL FROM:<al@one.test>' => 250,
	    "RCPT TO:<$to>" => 250, DATA => 354);
	$client->data("Subject: x\n\nx\n");
}
$client->command('QUIT', 221);
$mail->settle(60);
is($mail->queue_count('deferred'), MESSAGES, 'all of them wait');

# --- a day --------------------------------------------------------------------

for (my $passed = 0; $passed < DAY; $passed += 10 * MINUTE) {
	$mail->advance(10 * MINUTE);
	$mail->settle(60);
}
is($mail->queue_count('deferred'), MESSAGES, 'a day later they still do');
my $tries = $mail->said(qr/connect to 127\.0\.0\.1\S+ Connection refused\n/);
my $pauses = $mail->said(qr/temporarily suspended/);
note("in that day the site was tried $tries times; $pauses times a message " .
    'that was due did not bother it');
cmp_ok($tries, '<', DAY / 300 * 5 * 1.1,
    'a dead site is left alone most of the time');

# --- it is back ---------------------------------------------------------------

my $sink = $mail->sink(port => $port);
my $minutes = 0;
while ($sink->count == 0 && $minutes++ < 90) {
	$mail->advance(MINUTE);
	$mail->settle(60);
}
cmp_ok($minutes, '<=', 5300 / MINUTE, "after $minutes minutes it is found " .
    'to be back: no longer than a pause and the time of the dead');
for (1 .. 400) {
	last if $mail->queue_count == 0;
	$mail->advance(1);
	select undef, undef, undef, 0.02;
}
$mail->settle(60);

# By the second in which the log, too, was somewhere in the next week.
my (%second, $first);
for (grep { /status=sent/ } split /\n/, $mail->log) {
	my ($h, $m, $s) = /^\w+ +\d+ (\d+):(\d+):(\d+) / or next;
	my $now = $h * 3600 + $m * 60 + $s;
	$first //= $now;
	$second{ ($now - $first) % DAY }++;
}
my ($last) = sort { $b <=> $a } keys %second;
note(sprintf '%3d s %3d %s', $_, $second{$_} // 0, '*' x ($second{$_} // 0))
    for 0 .. $last;
my $most = max(values %second);
note(sprintf 'all within %d seconds; the busiest has %d of %d (%.1f %%)',
    $last + 1, $most, MESSAGES, 100 * $most / MESSAGES);
cmp_ok($most, '<=', 85, 'they come at fifty in a second, chance aside');
is($mail->queue_count, 0, 'everything is delivered');
my %seen;
$seen{$_}++ for map { @{ $_->{rcpt} } } $sink->messages;
is(scalar(grep { ($seen{$_} // 0) == 1 } @to), MESSAGES, 'once');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
