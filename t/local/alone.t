#!/usr/bin/perl
# alone.t - an instance without root delivers to its own user, and only to him.
# When root runs this, it becomes one of the test's users first.

use strict;
use warnings;
use lib 't/lib';

use POSIX ();
use Postrider qw(is_root);
use Test::More;

if (is_root()) {
	Postrider::bin();
	Postrider::_make_users();
	my ($uid, $gid, $home) = (getpwnam $Postrider::USERS[0])[2, 3, 7];
	$) = "$gid $gid";
	POSIX::setgid($gid);
	POSIX::setuid($uid);
	$> == $uid or plan(skip_all => 'cannot become another user');
	$ENV{HOME} = $home;
}

my $mail = Postrider->new->start;
my ($me, $home) = (getpwuid $>)[0, 7];

my $id = ($mail->send(from => '', to => ["$me\@local.test"],
    text => "Subject: x\n\nFrom me\n") =~ /queued as (\w+)/)[0];
like($mail->wait_log(qr/$id: to=.*status=.*/),
    qr/status=sent \(delivered to mailbox\)/, 'delivered');
my @messages = $mail->mbox($me);
is(scalar @messages, 1, 'one message');
like($messages[0], qr/^>From me$/m, 'as it should be');

$id = ($mail->send(from => '', to => ['daemon@local.test']) =~
    /queued as (\w+)/)[0];
like($mail->wait_log(qr/$id: to=.*status=.*/),
    qr/status=deferred \(this instance runs without root and cannot deliver to user "daemon"\)/,
    'mail for somebody else waits');
is_deeply([$mail->complaints], [], 'no complaints');

done_testing();
