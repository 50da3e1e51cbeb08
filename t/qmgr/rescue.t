# rescue.t - mail that is in somebody else's hands when things go wrong.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(spew wait_for);
use Test::More;

my $mail = Postrider->new(settings => {
	minimal_backoff_time => '1000s', message_size_limit => 20000,
	smtp_destination_recipient_limit => 1,
	initial_destination_concurrency => 10, smtp_processes => 1,
	local_recipient_maps => '', smtpd_peername_lookup => 'no' });
my $free = "$mail->{dir}/free";
my $stuck = "$mail->{dir}/stuck";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef if $verb ne 'RCPT';
	return '550 5.1.1 no such user' if $line =~ /nobody/;
	return undef if $line !~ /stuck/ || -e $free;
	open my $f, '>>', $stuck;
	syswrite $f, '.';
	return 'HANG';
});

$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

subtest 'one dead agent is one death, however much it had' => sub {
	my @to = map { "stuck$_\@far.test" } 1 .. 8;

	$mail->send(from => '', to => \@to);
	wait_for(sub { (-s $stuck // 0) == 8 }, 20, 'eight deliveries');
	spew($free, '');
	kill 'KILL', $mail->children('smtp');
	$mail->wait_log(qr/8 deliveries are begun again/);
	wait_for(sub { $sink->count == 8 }, 20, 'all of them once more');
	unlike($mail->log, qr/status=deferred/, 'none waits for it');
	$mail->wait_empty;
};

subtest 'a report is never too big to be sent' => sub {
	my $reply = $mail->send(from => 'al@back.test',
	    to => ['nobody@far.test'], text => "Subject: big\n\n" .
	    ('x' x 70 . "\n") x 270);
	my ($id) = $reply =~ /queued as (\w+)/;

	$mail->wait_log(qr/$id: to=<nobody\@far\.test>.*status=bounced/);
	ok(eval { $mail->wait_log(qr/$id: removed/) }, 'the message is done');
	my $report = wait_for(sub { (grep { $_->{rcpt}[0] eq 'al@back.test' }
	    $sink->messages)[0] }, 20, 'the report');
	cmp_ok(length $report->{data}, '>', 20000,
	    'the report passes the limit of what comes from outside');
};

is_deeply([grep { !/signal 9/ } $mail->complaints], [], 'no complaints');
done_testing;
