# delivery.t - what the client makes of what hosts say.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_helo_timeout => '2s', smtp_data_done_timeout => '2s',
	smtp_rcpt_timeout => '2s', smtp_connect_timeout => '2s',
	minimal_backoff_time => '1000s', notify_classes => '',
});

# One host per case: what it says by verb, what is expected of the message.
my %cases = (
	ok => {
		status => 'sent', dsn => '2.0.0',
		text => qr/250 2\.0\.0 Ok: taken/,
	},
	'no-pipelining' => {
		extensions => [], status => 'sent', dsn => '2.0.0',
		text => qr/250 2\.0\.0/,
	},
	'helo-only' => {
		EHLO => '502 5.5.1 what', status => 'sent', dsn => '2.0.0',
		text => qr/250/,
	},
	'greeting-421' => {
		CONNECT => '421 4.3.2 busy', status => 'deferred',
		dsn => '4.3.2', text => qr/refused to talk to me: 421 4\.3\.2/,
	},
	'greeting-554' => {
		CONNECT => '554 5.7.1 go away', status => 'deferred',
		dsn => '4.0.0', text => qr/refused to talk to me: 554/,
	},
	'mail-450' => {
		MAIL => '450 4.7.1 greylisted', status => 'deferred',
		dsn => '4.7.1',
		text => qr/said: 450 4\.7\.1 greylisted \(in reply to MAIL FROM command\)/,
	},
	'mail-550' => {
		MAIL => '550 5.7.1 not you', status => 'bounced',
		dsn => '5.7.1', text => qr/in reply to MAIL FROM command/,
	},
	'rcpt-450' => {
		RCPT => '450 4.2.1 later', status => 'deferred',
		dsn => '4.2.1',
		text => qr/said: 450 4\.2\.1 later \(in reply to RCPT TO command\)/,
	},
	'rcpt-550' => {
		RCPT => '550 5.1.1 who?', status => 'bounced', dsn => '5.1.1',
		text => qr/said: 550 5\.1\.1 who\? \(in reply to RCPT TO command\)/,
	},
	'rcpt-552' => {
		RCPT => '552 too many', status => 'deferred', dsn => '4.0.0',
		text => qr/in reply to RCPT TO command/,
	},
	'data-451' => {
		DATA => '451 4.3.0 no', status => 'deferred', dsn => '4.3.0',
		text => qr/in reply to DATA command/,
	},
	'dot-452' => {
		DOT => '452 4.3.1 full', status => 'deferred', dsn => '4.3.1',
		text => qr/in reply to end of DATA command/,
	},
	'dot-554' => {
		DOT => '554 5.7.1 spam', status => 'bounced', dsn => '5.7.1',
		text => qr/in reply to end of DATA command/,
	},
	'dot-close' => {
		DOT => 'CLOSE', status => 'deferred', dsn => '4.4.2',
		text => qr/lost connection with .* while sending end of data/,
	},
	'dot-hang' => {
		DOT => 'HANG', status => 'deferred', dsn => '4.4.2',
		text => qr/timed out while sending end of data/,
	},
	'rcpt-hang' => {
		RCPT => 'HANG', status => 'deferred', dsn => '4.4.2',
		text => qr/timed out while sending RCPT TO/,
	},
	'mail-close' => {
		MAIL => 'CLOSE', status => 'deferred', dsn => '4.4.2',
		text => qr/lost connection with .* while sending MAIL FROM/,
	},
	'nonsense' => {
		MAIL => 'hello there', status => 'deferred', dsn => '4.4.2',
		text => qr/malformed reply/,
	},
	'small-host' => {
		extensions => ['SIZE 10'], status => 'bounced',
		dsn => '5.3.4', text => qr/exceeds size limit 10 of server/,
	},
	'many-lines' => {
		DOT => "250-2.0.0 Ok:\r\n250-2.0.0 three\r\n250 2.0.0 lines",
		status => 'sent', dsn => '2.0.0', text => qr/three/,
	},
);

my %sink;
for my $case (sort keys %cases) {
	my %say = %{ $cases{$case} };
	$sink{$case} = $mail->sink(
	    ($say{extensions} ? (extensions => $say{extensions}) : ()),
	    replies => sub { return $say{ $_[0] } });
}
$mail->set(transport_maps => 'inline:{ ' . join(', ', map {
	"{ $_.test = smtp:[127.0.0.1]:" . $sink{$_}->port . ' }'
    } sort keys %cases) . ' }');
$mail->start;

for my $case (sort keys %cases) {
	my $say = $cases{$case};
	$mail->send(from => '', to => ["r\@$case.test"],
	    text => "Subject: $case\n\n.dot\nHello.\n");
	my $line = $mail->wait_log(qr/to=<r\@\Q$case\E\.test>, relay=.*\n/, 20);
	like($line, qr/dsn=\Q$say->{dsn}\E, status=$say->{status} \(.*$say->{text}/,
	    "$case: $say->{status}");
}

my ($message) = $sink{ok}->messages;
like($message->{data}, qr/\r\n\r\n\.dot\r\nHello\.\r\n\z/, 'the text arrives');
unlike($message->{data}, qr/(?<!\r)\n|\r(?!\n)/, 'with CRLF line ends only');
is($message->{mail}, 'MAIL FROM:<> SIZE=' . length($message->{data}),
    'SIZE tells how many bytes come');

# Several recipients, one transaction, each with its own answer.
my $mixed = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return undef unless $verb eq 'RCPT';
	return '550 5.1.1 no' if $line =~ /bad/;
	return '450 4.2.1 later' if $line =~ /busy/;
	return undef;
});
$mail->set(transport_maps => '', relayhost => '[127.0.0.1]:' . $mixed->port);
$mail->reload;
$mail->send(from => '', to => [map { "$_\@many.test" } qw(good bad busy fine)]);
for my $expected (['good', 'sent'], ['bad', 'bounced'], ['busy', 'deferred'],
    ['fine', 'sent']) {
	ok($mail->wait_log(
	    qr/to=<$expected->[0]\@many\.test>.*status=$expected->[1]/),
	    "$expected->[0] is $expected->[1]");
}
is(scalar($mixed->messages), 1, 'one copy for all of them');
is(join(' ', sort @{ ($mixed->messages)[0]{rcpt} }),
    'fine@many.test good@many.test',
    'for those who were accepted');

# Conversations are used again.
my $before = $mixed->sessions;
$mail->send(from => '', to => ["one$_\@many.test"]) for 1 .. 10;
Postrider::wait_for(sub { $mixed->count == 11 }, 20, 'ten more messages');
cmp_ok($mixed->sessions - $before, '<', 10,
    'ten messages take fewer than ten conversations');
like($mail->log, qr/conn_use=\d+/, 'and the log says so');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
