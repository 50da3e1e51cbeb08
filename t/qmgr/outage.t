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
my @minutes;
while (@minutes < 120) {
	my $before = $sink->count;

	$mail->advance(MINUTE);
	$mail->settle(60);
	push @minutes, $sink->count - $before;
	last if $sink->count == MESSAGES && $mail->queue_count == 0;
}

note(sprintf '%3d min %3d %s', $_, $minutes[$_], '*' x $minutes[$_])
    for 0 .. $#minutes;
my $most = max(@minutes);
note(sprintf 'all after %d minutes; the busiest minute has %d of %d (%.1f %%)',
    scalar @minutes, $most, MESSAGES, 100 * $most / MESSAGES);
cmp_ok($most, '<=', MESSAGES * 0.06, 'no minute has more than six percent');
cmp_ok(scalar @minutes, '<=', 5300 / MINUTE,
    'nobody waits longer than the longest pause and the time of the dead');
is($mail->queue_count, 0, 'everything is delivered');
my %seen;
$seen{$_}++ for map { @{ $_->{rcpt} } } $sink->messages;
is(scalar(grep { ($seen{$_} // 0) == 1 } @to), MESSAGES, 'once');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
