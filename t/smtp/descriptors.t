# descriptors.t - more mail at once than there are descriptors for it.
use strict;
use warnings;
use Test::More;
use Postrider;

# Everything that this test starts has few.
if (!$ENV{HAS_FEW}) {
	$ENV{HAS_FEW} = 1;
	exec 'sh', '-c', 'ulimit -n 300; exec "$0" "$@"', $^X,
	    map({ "-I$_" } @INC), $0;
}

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => '1',
	smtp_rcpt_timeout => '4s', smtp_connection_cache_time_limit => '0',
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '',
	initial_destination_concurrency => '200',
	default_destination_concurrency_limit => '200',
	default_destination_concurrency_failed_cohort_limit => '1000',
});
my $pit = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? 'HANG' : undef;
});
my $good = $mail->sink;
Postrider::spew($mail->etc . '/routes',
    "good.test smtp:[127.0.0.1]:@{[ $good->port ]}\n" .
    join '', map { "pit$_.test smtp:[127.0.0.1]:@{[ $pit->port ]}\n" } 1 .. 100);
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/routes');
$mail->start;

my $c = $mail->client;
$c->script('EHLO x.test' => 250) if $c->expect(220);
for my $n (1 .. 100) {
	$c->script('MAIL FROM:<>' => 250, "RCPT TO:<r\@pit$n.test>" => 250,
	    DATA => 354);
	$c->data("Subject: few\n\nText.\n");
}
$c->command('QUIT', 221);
Postrider::wait_for(sub { $mail->said(qr/to=<r\@pit\d+\.test>, relay=/) == 100 },
    90, 'outcomes');
is($mail->said(qr/to=<r\@pit\d+\.test>, .*status=deferred/), 100,
    'mail that there is no descriptor for waits');
is($mail->said(qr/is gone: \d+ deliveries are begun again/), 0,
    'and what is on its way is not disturbed');
$mail->send(from => '', to => ['late@good.test']);
like($mail->wait_log(qr/to=<late\@good\.test>, relay=.*\n/, 20),
    qr/status=sent/, 'and when there are some again, mail goes out');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
