# log.t - lines have the shape that log readers know, wherever they go.

use strict;
use warnings;
use Test::More;
use Postrider qw(is_root wait_for slurp spew);

my $mail = Postrider->new(settings => { syslog_name => 'postfix' })->start;
my $c = $mail->client;
$c->expect(220);
my $line = $mail->wait_log(qr/^.*connect from .*$/m);
like $line, qr/^\w{3} [ \d]\d \d\d:\d\d:\d\d [\w-]+ postfix\/smtpd\[\d+\]: connect from \S+\[127\.0\.0\.1\]$/,
    'date, host, name/program[number]: text';

my ($status, $text) = $mail->postrider('log', '-w', "two\nlines", "and \x1b[31m");
is $status, 0, 'postrider log';
$line = $mail->wait_log(qr/^.*two.*$/m);
like $line, qr/postfix\/postrider\[\d+\]: two\\012lines and \\033\[31m$/,
    'what strangers say cannot make a line of its own';
unlike $mail->log, qr/[^\x20-\x7e\n]/, 'nothing but printable characters';
is $mail->stop, 0, 'stop';

($status, $text) = $mail->postrider('log', '-w', 'without the system');
is $status, 0, 'postrider log while nothing runs';
like $mail->log, qr/^\w{3} .* postfix\/postrider\[\d+\]: without the system$/m,
    'writes the same shape';

# A burst of lines while log stands still: all of it is written, or counted.
$mail->start;
my ($log) = $mail->children('log');
kill 'STOP', $log;
for (1 .. 200) {
	my $client = $mail->client;
	$client->expect(220);
	$client->command('QUIT', 221);
}
kill 'CONT', $log;
wait_for(sub {
	(() = $mail->log =~ /\bdisconnect from /g) >= 200;
}, 20, 'all lines');
unlike $mail->log, qr/lines of smtpd were lost/, 'a burst of 400 lines fits';
is $mail->stop, 0, 'stop';

# A container's way.
$mail->set(maillog_file => '/dev/stdout');
$mail->start;
wait_for(sub { $mail->output =~ /daemon started/ }, 10, 'standard output');
like $mail->output, qr/postfix\/master\[\d+\]: daemon started -- version/,
    '/dev/stdout is where master was started';
is $mail->stop, 0, 'stop';
like $mail->output, qr/postfix\/master\[\d+\]: terminating on signal 15\n\z/,
    'to the last line';
is_deeply [ $mail->complaints ], [], 'nothing crashed';
done_testing;
