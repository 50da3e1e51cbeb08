# first.t - from sendmail and from SMTP, to a mailbox and to a next hop.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
});
my $user = $mail->user(0);
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# By SMTP to a mailbox.
my $reply = $mail->send(from => 's@far.test', to => ["$user\@local.test"],
    text => "From: s\@far.test\nSubject: by SMTP\n\nFrom me.\n.\nEnd.\n");
my ($id) = $reply =~ /queued as (\w+)/;
$mail->wait_log(qr/$id: removed/);
my ($box) = $mail->mbox($user);
like($box, qr/\AFrom s\@far\.test \w{3} \w{3} /, 'the mailbox has a From_ line');
like($box, qr/^Return-Path: <s\@far\.test>$/m, 'and a Return-Path');
like($box, qr/^Delivered-To: \Q$user\E\@local\.test$/m, 'and Delivered-To');
like($box, qr/^Received: from c\S+ \(.*\n\tby mail\.local\.test \(Postrider\) with ESMTP id $id/m,
    'Received tells the way');
like($box, qr/\n\n>From me\.\n\.\nEnd\.\n\n\z/, 'the text is what was sent');
unlike($box, qr/\r/, 'with the line ends of this system');
for my $line (qr/smtpd\[\d+\]: connect from unknown\[127\.0\.0\.1\]/,
    qr/smtpd\[\d+\]: $id: client=unknown\[127\.0\.0\.1\]/,
    qr/cleanup\[\d+\]: $id: message-id=<\S+>/,
    qr/qmgr\[\d+\]: $id: from=<s\@far\.test>, size=\d+, nrcpt=1 \(queue active\)/,
    qr/local\[\d+\]: $id: to=<\Q$user\E\@local\.test>, relay=local, delay=[\d.]+, delays=[\d.\/]+, dsn=2\.0\.0, status=sent \(delivered to mailbox\)/,
    qr/qmgr\[\d+\]: $id: removed/) {
	like($mail->log, $line, 'the log has the line of its way');
}

# By sendmail to a next hop.
my ($status, $text) = $mail->sendmail("To: r\@relay.test\nBcc: b\@relay.test\n" .
    "Subject: by sendmail\n\nHello.\n.\nMore.\n", '-t', '-i');
is($status, 0, 'sendmail -t takes the message') or diag $text;
Postrider::wait_for(sub { $sink->count }, 20, "the next hop\n" . $mail->log);
my ($copy) = $sink->messages;
is_deeply([sort @{ $copy->{rcpt} }], ['b@relay.test', 'r@relay.test'],
    'recipients come from the header');
unlike($copy->{data}, qr/^Bcc:/mi, 'Bcc is gone');
for my $field (qw(Date Message-ID From Received)) {
	like($copy->{data}, qr/^$field: \S/m, "$field is there");
}
like($copy->{data}, qr/\r\n\r\nHello\.\r\n\.\r\nMore\.\r\n\z/,
    'the text arrives, its lone dot with it');

# Nobody there: the sender hears of it.
$mail->set(local_recipient_maps => '');
$mail->reload;
Postrider::wait_for(sub {
	eval { $mail->send(from => "$user\@local.test",
	    to => ['nobody-here@local.test']) };
}, 10, 'the reload');
$mail->wait_log(qr/to=<nobody-here\@local\.test>, .*dsn=5\.1\.1, status=bounced/);
$mail->wait_log(qr/sender non-delivery notification: \w+/);
my ($report) = Postrider::wait_for(sub {
	my @found = grep { /^From .*MAILER-DAEMON/m && /multipart\/report/ }
	    $mail->mbox($user);
	return @found ? $found[0] : undef;
}, 20, "the report\n" . $mail->log);
like($report, qr/^Return-Path: <>$/m, 'a report has the null sender');
like($report, qr/^Auto-Submitted: auto-replied$/m, 'and says what it is');
like($report, qr/^Final-Recipient: rfc822; ?nobody-here\@local\.test$/m,
    'it names the recipient');
like($report, qr/^Status: 5\.1\.1$/m, 'and the status');
like($report, qr/^Action: failed$/m, 'and the action');

$mail->wait_empty;
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
