#!/usr/bin/perl
# levels.t - ten levels of aliases, lists and .forward files, and circles of
# them.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(settings => { recipient_delimiter => '+',
    local_recipient_maps => '', minimal_backoff_time => '300s' });
my ($dir, $etc) = ($mail->dir, $mail->etc);
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my ($home, $bobs) = map { (getpwnam $_)[7] } $alice, $bob;

# a1 .. a10 are aliases of each other, c1 .. c10 with a list between any two,
# x1 .. x10 with a .forward between any two.
spew("$etc/aliases", join '', "postmaster root\n",
    (map { "a$_ a" . ($_ + 1) . "\nc$_ :include:$dir/list$_\n" .
    "x$_ $alice+x$_\n" } 1 .. 10), "a11 $bob\nc11 $bob\nx11 $bob\n",
    "ring1 ring2\nring2 ring3, $bob\nring3 ring1\n",
    "round1 :include:$dir/round\nmixed $alice+m\n",
    (map { my $next = 'w' . ($_ + 1); "w$_ $next, $next\@local.test, " .
    uc($next) . "\n" } 1 .. 18), "w19 $bob, $alice\n");
spew("$dir/list$_", 'c' . ($_ + 1) . "\n") for 1 .. 10;
spew("$dir/round", "round2\@local.test, $bob\n");
spew("$etc/aliases", slurp("$etc/aliases") . "round2 round1\n");

sub forward
{
	my ($user, $name, $text) = @_;
	my ($u, $g, $where) = (getpwnam $user)[2, 3, 7];

	unlink "$where/$name";
	return unless defined $text;
	spew("$where/$name", $text);
	chown $u, $g, "$where/$name";
}
unlink glob "$home/.forward* $bobs/.forward*";
forward($alice, ".forward+$_", "$alice+" . ($_ + 1) . "\n") for 1 .. 9;
forward($alice, '.forward+10', "$bob\n");
forward($alice, ".forward+x$_", 'x' . ($_ + 1) . "\n") for 1 .. 10;
forward($alice, '.forward+m', "mixed\n");
$mail->start;

my $number = 0;

# Post and wait for the end: the copies in bob's mailbox, reports to root.
sub post
{
	my ($to) = @_;
	my $mark = 'mark' . ++$number;

	$mail->send(from => 'root@local.test', to => ["$to\@local.test"],
	    text => "Subject: $mark\n\nx\n");
	$mail->wait_empty(30);
	my @copies = grep { /^Subject: $mark$/m } $mail->mbox($bob);
	my @reports = grep { /^Subject: $mark$/m && /^Action: /m }
	    $mail->mbox('root');
	return (scalar @copies, scalar @reports, $copies[0], $reports[0]);
}

for my $frozen (qw(yes no)) {
	subtest "ten levels, frozen_delivered_to = $frozen" => sub {
		$mail->set(frozen_delivered_to => $frozen);
		$mail->stop;
		$mail->start;
		for (['a1', 'aliases', $frozen eq 'yes' ? 2 : 12],
		    ['c1', 'lists', $frozen eq 'yes' ? 11 : 12],
		    ["$alice+1", '.forwards', 11],
		    ['x1', 'aliases and .forwards',
		    $frozen eq 'yes' ? undef : 22]) {
			my ($to, $what, $trail) = @$_;
			my ($copies, $reports, $text) = post($to);
			is($copies, 1, "$what: delivered once");
			is($reports, 0, "$what: and not returned");
			is(scalar(() = ($text // '') =~ /^Delivered-To: /mg),
			    $trail, "$what: the way it took") if $trail;
		}
	};
}

subtest 'X3: many ways to the same alias' => sub {
	$mail->set(frozen_delivered_to => 'yes');
	$mail->stop;
	$mail->start;
	forward($_, '.forward') for $alice, $bob;
	my ($copies, $reports) = post('w1');	# 3 to the power of 18 ways
	is($copies, 1, 'one copy');
	is($reports, 0, 'and not returned');
	my ($line) = grep { /to=<w1\@/ } split /\n/, $mail->log;
	like($line, qr/status=sent \(forwarded as/, 'by one message');
};

for my $frozen (qw(no yes)) {
	subtest "DLV-09: circles, frozen_delivered_to = $frozen" => sub {
		$mail->set(frozen_delivered_to => $frozen);
		$mail->stop;
		$mail->start;
		for (['ring1', 'aliases', 1], ['round1', 'lists', 1]) {
			my ($to, $what, $expected) = @$_;
			my ($copies, $reports, undef, $report) = post($to);
			is($copies, $expected, "$what: others have theirs once");
			is($reports, 1, "$what: returned once");
			like($report, qr/^Status: 5\.4\.6$/m, "$what: as a loop");
		}
	};
}

subtest 'DLV-09: .forward files of each other' => sub {
	for (["$bob\n", "$alice\n", 'two users'],
	    [uc($bob) . "\@LOCAL.test\n", "Prt-Alice\@local.TEST\n",
	    'in other letters'],
	    ["$bob+1\n", "$alice+zz\n", 'with extensions']) {
		my ($hers, $his, $what) = @$_;
		forward($alice, '.forward', $hers);
		forward($bob, '.forward', $his);
		my ($copies, $reports, undef, $report) = post($alice);
		is($reports, 1, "$what: returned once");
		like($report, qr/^Status: 5\.4\.6$/m, "$what: as a loop");
		is($copies, 0, "$what: to nobody");
	}
	forward($_, '.forward') for $alice, $bob;
	forward($bob, '.forward', "mixed\n");
	my ($copies, $reports) = post('mixed');
	is($reports, 0, 'an alias and a .forward that means its user');
	forward($bob, '.forward');
};

subtest 'DLV-09: a Delivered-To of a stranger\'s' => sub {
	my $id = ($mail->send(from => 'root@local.test',
	    to => ["$bob\@local.test"], text => "Delivered-To: " . uc($bob) .
	    "\@Local.Test\nSubject: forged\n\nx\n") =~ /as (\w+)/)[0];
	like($mail->wait_log(qr/$id: to=.*status=.*/),
	    qr/dsn=5\.4\.6, status=bounced/, 'returns the message');
	$mail->wait_empty;
	is(scalar(grep { /^Subject: forged$/m } $mail->mbox('root')), 1,
	    'once');
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
