# bcc.t - nobody reads who else got a message in secret, however many they are.

use strict;
use warnings;

use lib 't/lib';
use Postrider;
use Test::More;

my $mail = Postrider->new;
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

for my $count (10, 4000, 20_000) {
	my ($status, $text) = $mail->sendmail("To: open\@far.test\nBcc: " .
	    join(",\n ", map { "secret$_\@far.test" } 1 .. $count) .
	    "\nSubject: news\n\nNews.\n", '-t', '-f', "al$count\@local.test");

	is($status, 0, "a message to $count and one is taken") or diag $text;
	$mail->wait_log(qr/from=<al$count\@\S+, size=\d+, nrcpt=\d+/, 30);
	$mail->wait_empty(60);
	my @copies = grep { $_->{from} eq "al$count\@local.test" }
	    $sink->messages;
	my %to = map { ($_ => 1) } map { @{ $_->{rcpt} } } @copies;
	is(scalar keys %to, $count + 1, 'each of them has it');
	is(scalar(grep { $_->{data} =~ /secret|^Bcc/mi } @copies), 0,
	    'and none of their names is in it');
	is(scalar(grep { $_->{data} =~ /^Subject: news\r$/m &&
	    $_->{data} =~ /\r\n\r\nNews\.\r\n\z/ } @copies), scalar @copies,
	    'but everything else');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
