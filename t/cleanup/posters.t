# posters.t - users of this machine share pickup and maildrop/ fairly: nobody
# waits behind somebody else's heap of mail, nobody fills the disk, nobody posts
# faster than he may; and whose file hangs hurts only himself.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(need_root slurp spew wait_for);
use Postrider::Users;
use Test::More;
use Time::HiRes qw(sleep time);

need_root();
my $can_list = Postrider::Users::install();
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s', in_flow_delay => '0s',
	maildrop_user_file_limit => 300, maildrop_user_space_limit => 1000000,
	message_size_limit => 600000 });
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $drop = $mail->spool . '/maildrop';
Postrider::Users::list($mail) if $can_list;
plan(skip_all => 'no mount namespace') unless $can_list;
END { Postrider::Users::leave($mail) if $mail }

# Post as somebody: (status, what it said).
sub post
{
	my ($user, %o) = @_;
	return Postrider::Users::run_as($user, {
		input => "Subject: " . ($o{subject} // 'x') . "\n\n" .
		    ($o{body} // "x\n") }, 'sendmail', '-C', $mail->etc,
	    'far@far.test');
}

sub names
{
	opendir my $d, $drop or die "$drop: $!";
	return grep { !/^\./ } readdir $d;
}

# Files as postdrop would leave them, many at a time.
sub plant
{
	my ($user, $count) = @_;
	my ($uid) = (getpwnam $user)[2];
	my $gid = (stat $drop)[5];
	my $text = Postrider::Users::drop(sender => $user);

	for my $n (1 .. $count) {
		my $name = sprintf 'BBBBBB%06d', $n;
		$name =~ tr/0-9/BCDFGHJKLM/;
		spew("$drop/new-$name", $text);
		chown $uid, $gid, "$drop/new-$name";
		chmod 0740, "$drop/new-$name";
		rename "$drop/new-$name", "$drop/$name" or die "rename: $!";
	}
}

sub taken_from
{
	my ($user) = @_;
	my $uid = (getpwnam $user)[2];
	return $mail->said(qr/pickup\[\d+\]: \w+: uid=$uid /);
}

$mail->start;
$mail->stop;

# tally.c
subtest 'nobody fills maildrop/ alone' => sub {
	my ($status, $text);
	my $body = ('x' x 79 . "\n") x 5000;		# 400,000 bytes
	for my $n (1 .. 2) {
		($status, $text) = post($alice, body => $body);
		is($status, 0, "a large message, number $n") or diag $text;
	}
	($status, $text) = post($alice, body => $body);
	is($status, 75, 'the third is too much');
	like($text, qr/maildrop: too much of your mail waits there/);
	is(scalar names(), 2, 'and leaves nothing');
	($status, $text) = post($alice);
	is($status, 0, 'a small one has room') or diag $text;
	($status, $text) = post($bob, body => $body);
	is($status, 0, 'and so has somebody else') or diag $text;
	is(scalar(() = glob "$drop/.posted.*"), 2, 'both are counted');
	for (1 .. 3) {
		($status, $text) = $mail->sendmail("x\n\n$body", 'r@far.test');
		is($status, 0, 'root is not') or diag $text;
	}
	$mail->start;
	wait_for(sub { !names() && !glob "$drop/.posted.*" }, 30,
	    'an empty maildrop, and nothing counted');
	$mail->stop;
};

# P1 of posters.c, P1 of fair.c
subtest 'one message does not wait behind thousands of another user' => sub {
	my $many = 1500;
	plant($alice, $many);
	$mail->start;
	wait_for(sub { taken_from($alice) > 100 }, 30, 'some of them');
	my $began = time;
	# What pickup does not answer lies in maildrop with the others.
	my $uid = (getpwnam $bob)[2];
	my $gid = (stat $drop)[5];
	spew("$drop/new", Postrider::Users::drop(sender => $bob));
	chown $uid, $gid, "$drop/new";
	chmod 0740, "$drop/new";
	rename "$drop/new", "$drop/CCCCCCCC" or die;
	my $before = taken_from($bob);
	wait_for(sub { taken_from($bob) > $before }, 20, 'the other');
	my $took = time - $began;
	my $done = taken_from($alice);
	diag(sprintf 'after %.2f s, when %d of %d were taken', $took, $done,
	    $many);
	cmp_ok($took, '<', 5, 'in maildrop/');
	cmp_ok($done, '<', $many, 'while the heap is still there');

	$began = time;
	my ($status, $text) = post($bob);
	is($status, 0, 'and through the socket') or diag $text;
	cmp_ok(time - $began, '<', 5, 'at once');
	wait_for(sub { !names() }, 120, 'an empty maildrop');
	is(taken_from($alice), $many + 3, 'all of them came once');
};

# allowance.c
subtest 'who posts too fast goes on slowly, and others do not' => sub {
	$mail->set(pickup_user_message_rate_limit => 60);
	$mail->stop;
	$mail->start;
	my ($a, $b) = (taken_from($alice), taken_from($bob));
	my $began = time;
	my $told = qr/pickup\[\d+\]: uid=\d+ has posted very much: it waits/;
	my ($n, $before) = (0, $mail->said($told));
	# Where posting takes long he gets some more allowed meanwhile.
	until (($n >= 66 && $mail->said($told) > $before) || $n == 400) {
		my ($status, $text) = post($alice);
		next if ++$n <= 60;
		is($status, 0, "number $n is taken") or diag $text;
	}
	cmp_ok($mail->said($told), '>', $before, "not all $n at once");
	my ($status) = post($bob);
	is($status, 0, 'somebody else is not concerned');
	is(taken_from($bob), $b + 1, 'at all');
	wait_for(sub { taken_from($alice) == $a + $n }, 30 + $n - 60,
	    'the others');
	my $took = time - $began;
	cmp_ok($took, '>', 5, 'they came one a second');
	wait_for(sub { !names() }, 20, 'an empty maildrop');
	for (1 .. 70) {
		my ($ok) = $mail->sendmail("x\n", 'r@far.test');
		last if $ok != 0;
	}
	is($mail->said(qr/uid=0 has posted very much/), 0,
	    'root posts as he likes');
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
