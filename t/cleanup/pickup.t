# pickup.t - what is posted while the system is down, what is no message, and
# who is not who he says.

use strict;
use warnings;

use lib 't/lib';
use Fcntl qw(:flock);
use POSIX ();
use Postrider qw(slurp spew wait_for);
use Postrider::QueueFile;
use Socket;
use Test::More;

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s', queue_run_delay => '1s' });
my $drop = $mail->spool . '/maildrop';

$mail->start;
$mail->stop;

# The names in maildrop/.
sub names
{
	opendir my $d, $drop or die "$drop: $!";
	my @names = sort grep { !/^\./ } readdir $d;
	return @names;
}

# A file for pickup to find, with the owner it would have; open.
sub plant
{
	my ($name, $text, $mode, $lock) = @_;

	spew("$drop/new-$name", $text);
	chown +(stat $drop)[4, 5], "$drop/new-$name";
	chmod $mode, "$drop/new-$name";
	open my $f, '+<', "$drop/new-$name" or die;
	flock $f, LOCK_EX | LOCK_NB or die "lock: $!" if $lock;
	rename "$drop/new-$name", "$drop/$name" or die "rename: $!";
	return $f;
}

subtest 'posted while the system is down' => sub {
	my ($status, $output) = $mail->sendmail("Subject: later\n\nx\n",
	    '-f', 'al@some.test', 'bob@far.test');
	is($status, 0) or diag($output);
	my ($id, @more) = names();
	is(@more, 0, 'one file');
	is((stat "$drop/$id")[2] & 0777, 0740, 'complete');

	$mail->start;
	my $line = $mail->wait_log(
	    qr/pickup\[\d+\]: \w+: uid=$> from=<al\@some\.test>/);
	my ($new) = $line =~ /: (\w+): uid/;
	my $f = Postrider::QueueFile->find($mail, $new);
	like($f->{content}, qr/\r\nSubject: later\r\n/);
	is_deeply($f->{recipients}, ['bob@far.test']);
	wait_for(sub { !names() }, 10, 'an empty maildrop');
};

# drop-4, P1 of maildrop.c
subtest 'what is no message is kept aside or left alone' => sub {
	plant('BBBBBBBB1', 'garbage that is long enough', 0740);
	plant('BBBBBBBB2', "PRDROP1\n\xff\xff\xff\x7f\0\0\0\0", 0740);
	plant('BBBBBBBB3', '', 0740);
	symlink '/etc/passwd', "$drop/BBBBBBBB4";
	mkdir "$drop/BBBBBBBB5", 0755;
	POSIX::mkfifo("$drop/BBBBBBBB6", 0740);
	$mail->wait_log(qr{kept as maildrop/bad-BBBBBBBB$_}) for 1 .. 3;
	is_deeply([names()], [qw(BBBBBBBB4 BBBBBBBB5 BBBBBBBB6
	    bad-BBBBBBBB1 bad-BBBBBBBB2 bad-BBBBBBBB3)]);
	unlink map { "$drop/$_" } grep { !/5$/ } names();
	rmdir "$drop/BBBBBBBB5";
};

# recovery-1
subtest 'unfinished files go when nobody writes them' => sub {
	my $f = plant('CCCCCCCC1', 'half', 0640, 1);
	plant('CCCCCCCC2', 'half', 0640);
	wait_for(sub { !-e "$drop/CCCCCCCC2" }, 10, 'its end');
	ok(-e "$drop/CCCCCCCC1", 'the locked one stays');
	close $f;
	wait_for(sub { !names() }, 10, 'an empty maildrop');
};

subtest 'postdrop believes nothing' => sub {
	my @command = (Postrider::bin() . '/postdrop', '-c', $mail->etc);
	for my $input ('', 'x', 'garbage that is long enough to be read',
	    "PRDROP1\n\0\0\0\0\0\0\0\0", "PRDROP1\n\x40\0\0\0\0\0\0\0" .
	    'a' x 64, "PRDROP1\n\xff\xff\xff\xff\0\0\0\0") {
		my ($status, $output) = $mail->run($input, @command);
		is($status, 65, 'exit 65');
		like($output, qr/postdrop: (message|standard input): /);
	}
	is_deeply([names()], [], 'nothing is left');
	my ($status) = $mail->run('', Postrider::bin() . '/postdrop', '-c',
	    '/nonexistent');
	is($status, 78);
};

# drop-3
subtest 'what cleanup will never take goes back' => sub {
	$mail->stop;
	my ($status) = $mail->sendmail(("Received: x\n" x 60) .
	    "Subject: loop\n\nx\n", '-f', 'al@some.test', 'bob@far.test');
	is($status, 0);
	$mail->start;
	my $line = $mail->wait_log(
	    qr/returned to sender as \w+: 554 5\.4\.6 Error: too many hops/);
	my ($id) = $line =~ /as (\w+):/;
	my $f = Postrider::QueueFile->find($mail, $id);
	is($f->{sender}, '');
	is_deeply($f->{recipients}, ['al@some.test']);
	like($f->{content}, qr/too many hops/);
	like($f->{content}, qr/Subject: loop/);
	like($f->{content}, qr/\r\nContent-Type: multipart\/report; report-type=delivery-status;\r\n/,
	    'as a delivery status notification');
	like($f->{content}, qr/\r\nFinal-Recipient: rfc822; bob\@far\.test\r\nAction: failed\r\nStatus: 5\.4\.6\r\n/,
	    'with its fields');
	wait_for(sub { !names() }, 10, 'an empty maildrop');

	$mail->stop;
	($status) = $mail->sendmail(("Received: x\n" x 60) . "\nx\n",
	    '-N', 'never', 'bob@far.test');
	is($status, 0);
	$mail->start;
	$mail->wait_log(qr/not accepted, and by NOTIFY nobody is to be told: 554/);
	wait_for(sub { !names() }, 10, 'an empty maildrop');
	pass('who does not want to hear hears nothing');
};

# A connection to pickup that says what it likes; everything that comes back.
sub rogue
{
	my (@packets) = @_;

	socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die "$!";
	connect $s, pack_sockaddr_un($mail->spool . '/public/pickup')
	    or die "connect: $!";
	local $SIG{PIPE} = 'IGNORE';
	send $s, $_, 0 for @packets;
	shutdown $s, 1;
	my $all = '';
	for (1 .. 10) {
		my $r = '';
		vec($r, fileno $s, 1) = 1;
		last unless select $r, undef, undef, 5;
		last unless defined recv $s, my $data, 65536, 0;
		last unless length $data;
		$all .= $data;
	}
	return $all;
}

sub packet
{
	my ($type, $fields, $body) = @_;

	return pack('v4 Q<', $type, $fields, 0, 0, 1) . $body;
}

subtest 'rogue clients close their own channel only' => sub {
	my ($pid) = wait_for(sub { ($mail->children('pickup'))[0] }, 10);
	my $hello = packet(1, 2, pack('C V/a x C q<', 3, 'sendmail', 1, 1));

	rogue('');
	rogue("\xff" x 3);
	rogue("\xff" x 65536);
	rogue(packet(1, 2, 'x'));
	rogue(packet($_, 8, "\3\0\0\0\0\0")) for 0 .. 50;
	rogue($hello, packet($_, 8, "\4\xff\xff\xff\xff")) for 0 .. 60;
	rogue($hello, $hello);
	srand 1;
	for my $round (1 .. 300) {
		rogue($hello, join '', map { chr rand 256 } 1 .. rand 200);
	}
	is(($mail->children('pickup'))[0], $pid, 'pickup lives');
	my ($status) = $mail->sendmail("\nx\n", 'bob@far.test');
	is($status, 0, 'and works');
};

# drop-5, drop-6, commit-1
subtest 'pickup and cleanup die while mail is posted' => sub {
	my %wanted;

	for my $n (1 .. 40) {
		my ($pid) = $mail->children($n % 2 ? 'pickup' : 'cleanup');
		my $killer = fork // die;
		if ($killer == 0) {
			select undef, undef, undef, rand 0.02;
			kill 'KILL', $pid if defined $pid;
			POSIX::_exit(0);
		}
		my ($status) = $mail->sendmail("Subject: kill$n\n\nx\n",
		    'bob@far.test');
		waitpid $killer, 0;
		$wanted{"kill$n"} = 1 if $status == 0;
	}
	cmp_ok(scalar keys %wanted, '>', 30, 'most were accepted');
	wait_for(sub { !names() && $mail->queue_count('incoming') == 0 }, 60,
	    'an empty maildrop and incoming');
	for my $path (glob($mail->spool . '/incoming/*'),
	    glob($mail->spool . '/deferred/*/*')) {
		my $f = Postrider::QueueFile->read($path) // next;
		delete $wanted{$1} if $f->{content} =~
		    /\r\nSubject: (\w+)\r\n/;
	}
	is(join(' ', sort keys %wanted), '', 'none of them is lost');
};

is(join('', grep { !/killed by signal 9/ } $mail->complaints), '',
    'nothing crashed');
$mail->stop;
done_testing;
