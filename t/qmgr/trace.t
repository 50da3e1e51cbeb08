# trace.t - what sendmail -v and -bv ask for: what the reports hide, and that
# waiting for them costs nobody a second copy.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp wait_for);
use Test::More;

my $mail = Postrider->new(settings => { minimal_backoff_time => '600s',
	always_bcc => 'spy@far.test' });
my $sink = $mail->sink;
my $user = $mail->user;
my $from = "$user\@local.test";

$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

sub post
{
	my ($status, $text) = $mail->sendmail("Subject: x\n\nx\n", '-f',
	    $from, @_);

	is($status, 0, "sendmail @_") or diag $text;
}

# How many copies this recipient has.
sub copies
{
	my ($to) = @_;

	return scalar grep { grep { $_ eq $to } @{ $_->{rcpt} } }
	    $sink->messages;
}

# The report that is the last in the mailbox, the n-th there.
sub report
{
	my ($n) = @_;

	return wait_for(sub { my @all = $mail->mbox($user);
	    @all == $n && $all[-1] }, 20, "report $n\n" . $mail->log);
}

subtest 'the sender hears nothing of copies' => sub {
	post('-v', 'one@far.test');
	my $text = report(1);
	like($text, qr/^Final-Recipient: rfc822; one\@far\.test$/m);
	unlike($text, qr/spy/, '-v does not name who got a copy');
	is(copies('spy@far.test'), 1, 'who got one');
	post('-bv', 'two@far.test');
	$text = report(2);
	like($text, qr/^Final-Recipient: rfc822; two\@far\.test$/m);
	unlike($text, qr/spy/, 'and -bv does not');
	unlike($mail->log, qr/to=<spy.*status=deliverable/,
	    'a question is not copied at all');
	$mail->wait_empty;
};

subtest 'who has the mail is crossed off before the report is made' => sub {
	my ($bounce) = $mail->children('bounce');

	kill 'STOP', $bounce;
	post('-v', 'three@far.test');
	my $id = $mail->wait_log(qr/\w+(?=: to=<three\@far\.test>.*=sent)/);
	wait_for(sub { join('', map { slurp($_) } glob($mail->spool .
	    "/incoming/$id")) =~ /X.{4}.{0,8}three\@far/s }, 10,
	    'the byte of who has it');
	$mail->crash;
	$mail->start;
	$mail->wait_empty;
	is(copies('three@far.test'), 1, 'a crash delivers nothing twice');
};

is_deeply([grep { !/signal 9/ } $mail->complaints], [], 'no complaints');
done_testing;
