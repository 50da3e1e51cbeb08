# owned.t - a daemon that is somebody else's cannot do more to master than die.

use strict;
use warnings;
use Test::More;
use Postrider qw(bin spew);

my $mail = Postrider->new;
my $programs = $mail->dir . '/bin';

# What such a smtpd says over descriptor 3: READY, and a status to remember.
my $OWNED = sprintf "#!%s\n", $^X;
$OWNED .= <<'END';
use IO::Handle;
sub number { pack 'C q<', 1, $_[0] }
sub text { pack('C V', 3, length $_[0]) . "$_[0]\0" }
sub say_packet {
	my ($type, $flags, $id, @fields) = @_;
	send $master, pack('v v v v Q<', $type, scalar @fields, 0, $flags,
	    $id) . join('', @fields), 0;
}
exit 0 if $ARGV[0] eq '--check' || $ARGV[0] eq '--parameters';
open our $master, '+<&=', 3 or die;
$master->blocking(1);
for (0 .. $#ARGV - 1) { $name = $ARGV[$_ + 1] if $ARGV[$_] eq '-n' }
say_packet(HELLO, 0, 0, text($name), number(VERSION));
say_packet(READY, 0, 1);
while (defined recv $master, my $packet, 65536, 0) {
	my ($type, $id) = (unpack 'v v v v Q<', $packet)[0, 4];
	last if !length $packet || $type == DRAIN;
	say_packet(STATUS, 1, $id, (number(0)) x 4,
	    text("\e]0;owned\a\nmaster is dead")) if $type == ASK_STATUS;
}
END
my %number = Postrider::packet_numbers();
$OWNED =~ s/\b([A-Z_]{4,})\b/$number{$1} \/\/ $1/ge;

mkdir $programs or die "$!";
chmod 0755, $programs;
symlink $_, "$programs/" . (split m,/,)[-1] for glob(bin() . '/*');
unlink "$programs/smtpd";
spew("$programs/smtpd", $OWNED);
chmod 0755, "$programs/smtpd";
$mail->set(daemon_directory => $programs);
$mail->start;
my $client = $mail->client;
my $status = '';
Postrider::wait_for(sub {
	$status = ($mail->postrider('status'))[1];
	$status =~ /owned/;
}, 20, 'its status');
like $status, qr/ \\033\]0;owned\\007\\012master is dead$/m,
    'its words do not reach the terminal as they are';
unlike $status, qr/[^\x20-\x7e\n]/, 'nothing but printable characters';
is $mail->stop, 0, 'stop';
done_testing;
