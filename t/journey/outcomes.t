# outcomes.t - whatever a next hop does: what the log says of it, where the
# message is then, what its sender hears, and when it is tried again.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Postrider qw(free_port);
use Postrider::Outcome;
use Test::More;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', minimal_backoff_time => '1000s',
	queue_run_delay => '1000s', message_size_limit => 20_000_000,
	map { ("smtp_${_}_timeout" => '3s') } qw(connect helo mail rcpt
	    data_init data_xfer data_done rset quit) });

# --- next hops ----------------------------------------------------------------

# A host that never answers: whoever connects waits in a queue that is full.
# Its socket and those that fill it are kept.
my @kept;
sub black_hole
{
	my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
	    Proto => 'tcp') or die "listen: $!";

	listen $s, 0;
	push @kept, $s, map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $s->sockport, Blocking => 0) } 1 .. 4;
	return $s->sockport;
}

# Lines of a reply.
sub lines { return join "\r\n", @_ }

my $said = qr/host 127\.0\.0\.1\[127\.0\.0\.1\](?::\d+)? said: /;
my $lost = qr/lost connection with 127\.0\.0\.1\[127\.0\.0\.1\](?::\d+)? while /;
my $slow = qr/conversation with 127\.0\.0\.1\[127\.0\.0\.1\](?::\d+)? timed out while /;
my $turned_away = qr/host 127\.0\.0\.1\[127\.0\.0\.1\](?::\d+)? refused to talk to me: /;
my $in_reply = sub { return qr/ \(in reply to \Q$_[0]\E\)/ };

# name => { what it answers by verb; status, dsn, text of the log line }.
# `port` instead of answers: nobody is there.
my %cases = (
	# before anything is said
	'connect-refused' => { port => free_port(), dsn => '4.4.1',
	    text => qr/connect to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: Connection refused/ },
	'connect-timeout' => { port => black_hole(), dsn => '4.4.1',
	    text => qr/connect to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: Connection timed out/ },

	# the greeting
	'greeting-421' => { CONNECT => '421 4.3.2 busy', dsn => '4.3.2',
	    text => qr/${turned_away}421 4\.3\.2 busy/ },
	'greeting-450' => { CONNECT => '450 go away', dsn => '4.0.0',
	    text => qr/${turned_away}450 go away/ },
	'greeting-554' => { CONNECT => '554 5.7.1 no service',
	    dsn => qr/4\.\d\.\d/, text => qr/${turned_away}554 5\.7\.1 no service/ },
	'greeting-silent' => { CONNECT => 'HANG', dsn => '4.4.2',
	    text => qr/${slow}receiving the initial server greeting/ },
	'greeting-closed' => { CONNECT => 'CLOSE', dsn => '4.4.2',
	    text => qr/${lost}receiving the initial server greeting/ },
	'greeting-reset' => { CONNECT => 'RESET', dsn => '4.4.2',
	    text => qr/${lost}receiving the initial server greeting/ },
	'greeting-garbage' => { CONNECT => \"\x16\x03\x01\x00\xff\r\n",
	    dsn => qr/4\.\d\.\d/, text => qr/./ },
	'greeting-endless' => { CONNECT => \('220-more' . "\r\n220-more" x
	    100_000), dsn => qr/4\.\d\.\d/, text => qr/./ },
	'greeting-other' => { CONNECT => '354 what do you want',
	    dsn => qr/4\.\d\.\d/, text => qr/./ },

	# EHLO and HELO
	'ehlo-502' => { EHLO => '502 5.5.1 what', status => 'sent',
	    dsn => '2.0.0', text => qr/250 2\.0\.0 Ok: taken/ },
	'ehlo-421' => { EHLO => '421 4.3.2 too many', dsn => '4.3.2',
	    text => qr/${turned_away}421 4\.3\.2 too many/ },
	'ehlo-silent' => { EHLO => 'HANG', dsn => '4.4.2',
	    text => qr/${slow}performing the EHLO handshake/ },
	# Some know HELO only, and say so by hanging up.
	'ehlo-closed' => { EHLO => 'CLOSE', status => 'sent',
	    dsn => '2.0.0', text => qr/250 2\.0\.0 Ok: taken/ },
	'ehlo-reset' => { EHLO => 'RESET', status => 'sent',
	    dsn => '2.0.0', text => qr/250 2\.0\.0 Ok: taken/ },
	'helo-closed' => { EHLO => 'CLOSE', HELO => 'CLOSE', dsn => '4.4.2',
	    text => qr/${lost}performing the HELO handshake/ },
	'helo-550' => { EHLO => '502 what', HELO => '550 5.7.1 not from you',
	    dsn => qr/4\.\d\.\d|5\.7\.1/, status => qr/deferred|bounced/,
	    text => qr/${turned_away}550 5\.7\.1 not from you/ },
	'helo-450' => { EHLO => '502 what', HELO => '450 4.7.0 later',
	    dsn => '4.7.0', text => qr/${turned_away}450 4\.7\.0 later/ },
	'helo-silent' => { EHLO => '502 what', HELO => 'HANG', dsn => '4.4.2',
	    text => qr/${slow}performing the HELO handshake/ },

	# MAIL
	'mail-450' => { MAIL => '450 4.7.1 greylisted', dsn => '4.7.1',
	    text => qr/${said}450 4\.7\.1 greylisted@{[ $in_reply->('MAIL FROM command') ]}/ },
	'mail-421' => { MAIL => ['421 4.3.2 leaving', 'CLOSE'],
	    dsn => '4.3.2', text => qr/${said}421 4\.3\.2 leaving/ },
	'mail-550' => { MAIL => '550 5.7.1 not you', status => 'bounced',
	    dsn => '5.7.1', text => qr/${said}550 5\.7\.1 not you@{[ $in_reply->('MAIL FROM command') ]}/ },
	'mail-silent' => { MAIL => 'HANG', dsn => '4.4.2',
	    text => qr/${slow}sending MAIL FROM/ },
	'mail-closed' => { MAIL => 'CLOSE', dsn => '4.4.2',
	    text => qr/${lost}sending MAIL FROM/ },
	'mail-reset' => { MAIL => 'RESET', dsn => '4.4.2',
	    text => qr/${lost}sending MAIL FROM/ },
	'mail-garbage' => { MAIL => 'well, perhaps', dsn => '4.4.2',
	    text => qr/malformed reply/ },

	# RCPT
	'rcpt-450' => { RCPT => '450 4.2.1 later', dsn => '4.2.1',
	    text => qr/${said}450 4\.2\.1 later@{[ $in_reply->('RCPT TO command') ]}/ },
	'rcpt-550' => { RCPT => '550 5.1.1 who?', status => 'bounced',
	    dsn => '5.1.1', text => qr/${said}550 5\.1\.1 who\?@{[ $in_reply->('RCPT TO command') ]}/ },
	'rcpt-551' => { RCPT => '551 5.1.6 try <b@new.test>',
	    status => 'bounced', dsn => '5.1.6', text => qr/${said}551/ },
	# RFC 5321 4.5.3.1.10: too many recipients, whatever the digit says
	'rcpt-552' => { RCPT => '552 too many', dsn => '4.0.0',
	    text => qr/${said}[45]52 too many/ },
	'rcpt-plain' => { RCPT => '553 no code here', status => 'bounced',
	    dsn => '5.0.0', text => qr/${said}553 no code here/ },
	# RFC 2034: the classes of the two codes must agree
	'rcpt-strange' => { RCPT => '550 4.1.1 which?', status => 'bounced',
	    dsn => qr/5\.\d\.\d/, text => qr/${said}550 4\.1\.1 which\?/ },
	'rcpt-251' => { RCPT => '251 2.1.5 will forward', status => 'sent',
	    dsn => '2.0.0', text => qr/250/ },
	'rcpt-silent' => { RCPT => 'HANG', dsn => '4.4.2',
	    text => qr/${slow}sending RCPT TO/ },
	'rcpt-closed' => { RCPT => 'CLOSE', dsn => '4.4.2',
	    text => qr/${lost}sending RCPT TO/ },
	'rcpt-reset' => { RCPT => 'RESET', dsn => '4.4.2',
	    text => qr/${lost}sending RCPT TO/ },

	# DATA
	'data-451' => { DATA => '451 4.3.0 no', dsn => '4.3.0',
	    text => qr/${said}451 4\.3\.0 no@{[ $in_reply->('DATA command') ]}/ },
	'data-554' => { DATA => '554 5.7.1 no', status => 'bounced',
	    dsn => '5.7.1', text => qr/${said}554 5\.7\.1 no@{[ $in_reply->('DATA command') ]}/ },
	'data-250' => { DATA => '250 fine', dsn => qr/4\.\d\.\d/,
	    text => qr/./ },
	'data-silent' => { DATA => 'HANG', dsn => '4.4.2',
	    text => qr/${slow}sending DATA command/ },
	'data-closed' => { DATA => 'CLOSE', dsn => '4.4.2',
	    text => qr/${lost}sending DATA command/ },
	'data-reset' => { DATA => 'RESET', dsn => '4.4.2',
	    text => qr/${lost}sending DATA command/ },

	# the content
	'content-stuck' => { CONTENT => 'HANG', is_big => 1, dsn => '4.4.2',
	    text => qr/${slow}sending message body/ },
	'content-closed' => { CONTENT => 'CLOSE', is_big => 1,
	    dsn => '4.4.2', text => qr/${lost}sending message body/ },
	'content-reset' => { CONTENT => 'RESET', is_big => 1,
	    dsn => '4.4.2', text => qr/${lost}sending message body/ },
	# A host that refuses halfway and hangs up: its words are not lost.
	'content-552' => { CONTENT => ['552 5.3.4 too big', 'CLOSE'],
	    is_big => 1, status => qr/deferred|bounced/,
	    dsn => qr/[45]\.\d\.\d/, text => qr/552 5\.3\.4|lost connection/ },
	'too-small' => { extensions => ['SIZE 10'], status => 'bounced',
	    dsn => '5.3.4', text => qr/exceeds size limit 10 of server/ },

	# the dot
	'dot-452' => { DOT => '452 4.3.1 full', dsn => '4.3.1',
	    text => qr/${said}452 4\.3\.1 full@{[ $in_reply->('end of DATA command') ]}/ },
	'dot-554' => { DOT => '554 5.7.1 spam', status => 'bounced',
	    dsn => '5.7.1', text => qr/${said}554 5\.7\.1 spam@{[ $in_reply->('end of DATA command') ]}/ },
	'dot-silent' => { DOT => 'HANG', dsn => '4.4.2',
	    text => qr/${slow}sending end of data -- message may be sent more than once/ },
	'dot-closed' => { DOT => 'CLOSE', dsn => '4.4.2',
	    text => qr/${lost}sending end of data -- message may be sent more than once/ },
	'dot-reset' => { DOT => 'RESET', dsn => '4.4.2',
	    text => qr/${lost}sending end of data -- message may be sent more than once/ },
	'dot-half' => { DOT => [\"250-2.0.0 well\r\n250", 'CLOSE'],
	    dsn => '4.4.2', text => qr/${lost}sending end of data/ },
	'dot-garbage' => { DOT => 'taken', dsn => '4.4.2', text => qr/./ },
	'dot-354' => { DOT => '354 more', dsn => qr/4\.\d\.\d/, text => qr/./ },

	# taken, in several ways
	'ok' => { status => 'sent', dsn => '2.0.0',
	    text => qr/250 2\.0\.0 Ok: taken/ },
	'ok-plain' => { extensions => [], DOT => '250 yes', status => 'sent',
	    dsn => '2.0.0', text => qr/250 yes/ },
	'ok-code' => { DOT => '250 2.6.0 queued', status => 'sent',
	    dsn => '2.6.0', text => qr/250 2\.6\.0 queued/ },
	'ok-lines' => { DOT => lines('250-2.0.0 one', '250-2.0.0 two',
	    '250 2.0.0 three'), status => 'sent', dsn => '2.0.0',
	    text => qr/one.*two.*three/ },
	'ok-then-closed' => { DOT => ['250 2.0.0 Ok: taken', 'CLOSE'],
	    status => 'sent', dsn => '2.0.0', text => qr/250 2\.0\.0 Ok/ },
	'ok-bare-lf' => { DOT => \"250 2.0.0 Ok: taken\n", status => 'sent',
	    dsn => '2.0.0', text => qr/250 2\.0\.0 Ok/ },
	'ok-ehlo-lines' => { EHLO => lines('250-x', '250-PIPELINING',
	    '250-', '250-UNKNOWN with words', '250 8BITMIME'),
	    status => 'sent', dsn => '2.0.0', text => qr/250/ },
	'refused-lines' => { RCPT => lines('550-5.1.1 one', '550-5.1.1 two',
	    '550 5.1.1 three'), status => 'bounced', dsn => '5.1.1',
	    text => qr/${said}550[ -]5\.1\.1 one.*two.*three/ },
);
$cases{$_}{status} //= 'deferred' for keys %cases;

my $back = $mail->sink;
my $partly = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return undef unless $verb eq 'RCPT';
	return '550 5.1.1 no' if $line =~ /bad/;
	return '450 4.2.1 later' if $line =~ /busy/;
	return undef;
});
my %port = map {
	my $case = $cases{$_};
	($_ => $case->{port} // $mail->sink(
	    ($case->{extensions} ? (extensions => $case->{extensions}) : ()),
	    replies => sub { return $case->{ $_[0] } })->port);
} keys %cases;

Postrider::spew($mail->etc . '/transport', join '',
    (map { "$_.test smtp:[127.0.0.1]:$port{$_}\n" } sort keys %port),
    "back.test smtp:[127.0.0.1]:@{[ $back->port ]}\n",
    "partly.test smtp:[127.0.0.1]:@{[ $partly->port ]}\n");
$mail->set(transport_maps => "texthash:$mail->{dir}/etc/transport");
$mail->start;

# --- all at once --------------------------------------------------------------

my $client = $mail->client;
$client->expect(220);
$client->command('EHLO client.test', 250);
my $body = "Subject: test\n\nHello.\n";
my $big = $body . ('x' x 997 . "\n") x 12_000;

# Send, from a sender that is named after the case; the queue id.
sub post
{
	my ($case, @to) = @_;

	$client->script("MAIL FROM:<$case\@back.test>" => 250,
	    (map { ("RCPT TO:<$_>" => 250) } @to), DATA => 354);
	my $reply = $client->data(exists $cases{$case} &&
	    $cases{$case}{is_big} ? $big : $body);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

my %id = map { ($_ => post($_, "r\@$_.test")) } sort keys %cases;
$id{partly} = post('partly', map { "$_\@partly.test" }
    qw(good bad busy fine worse-bad));
$client->command('QUIT', 221);

# --- what came of it ----------------------------------------------------------

my $outcome = Postrider::Outcome->new($mail, $back);
$outcome->wait_for(40, values %id);

for my $name (sort keys %cases) {
	subtest $name => sub {
		$outcome->check($id{$name}, %{ $cases{$name} },
		    to => "r\@$name.test", from => "$name\@back.test",
		    pause => 1000);
	};
}

subtest 'some are taken, some are not' => sub {
	my $id = $id{partly};
	my %status = $mail->log =~
	    / $id: to=<([^@]+)\@partly\.test>.* status=(\S+) /g;

	is_deeply(\%status, { good => 'sent', fine => 'sent',
	    bad => 'bounced', 'worse-bad' => 'bounced', busy => 'deferred' });
	$outcome->check_waiting($id, qr/450 4\.2\.1 later/, 1000,
	    'busy@partly.test');
	$outcome->check_report('partly@back.test', '5.1.1', qr/550 5\.1\.1 no/,
	    'bad@partly.test', 'worse-bad@partly.test');
	is_deeply([map { join ' ', sort @{ $_->{rcpt} } } $partly->messages],
	    ['fine@partly.test good@partly.test'],
	    'one copy for those who were taken');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
