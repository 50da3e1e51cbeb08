# transcript.t - the postmaster hears of sessions that break the protocol.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	minimal_backoff_time => '1000s', notify_classes => 'protocol',
	error_notice_recipient => 'boss@notice.test',
	smtp_connection_cache_time_limit => '30s', smtp_processes => '1',
});
my $notices = $mail->sink;
my $odd = $mail->sink(replies => sub {
	my ($verb, $line, $s) = @_;

	return '500 5.5.2 what is that?' if $verb eq 'RCPT' && $line =~ /<odd/;
	return '550 5.1.1 nobody' if $verb eq 'RCPT' && $line =~ /<gone/;
	return undef;
});
my $junk = $mail->sink(replies => sub {
	return $_[0] eq 'CONNECT' ? 'hello, my friend' : undef;
});
$mail->set(transport_maps => 'inline:{ { notice.test = smtp:[127.0.0.1]:' .
    $notices->port . ' }, { odd.test = smtp:[127.0.0.1]:' . $odd->port .
    ' }, { junk.test = smtp:[127.0.0.1]:' . $junk->port . ' } }');
$mail->start;

sub notice {
	my ($count) = @_;

	Postrider::wait_for(sub { $notices->count >= $count }, 20,
	    "notice $count\n" . $mail->log);
	my @all = $notices->messages;
	return $all[$count - 1]{data};
}

$mail->send(from => '', to => ['gone@odd.test']);
$mail->wait_log(qr/to=<gone\@odd.test>, relay=.*\n/);
$mail->send(from => '', to => ['odd@odd.test']);
my $text = notice(1);
like($text, qr/Out: RCPT TO:<odd\@odd\.test>.*In:  500 5\.5\.2 what is that\?/s,
    'a syntax error that is ours or theirs is told, word by word');
like($text, qr/In:  220 sink\.test ESMTP\s+Out: EHLO mail\.local\.test/,
    'from the greeting on');
unlike($text, qr/gone/, 'without the mail before it');

$mail->send(from => '', to => ['r@junk.test']);
like(notice(2), qr/In:  hello, my friend/, 'and so is a reply that is none');
is($notices->count, 2, 'a refusal is no protocol error');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
