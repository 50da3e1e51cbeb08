#!/usr/bin/perl
# nnp.t - delivery where no_new_privs is set, as containers and service
# managers do: exec would then make a real group that differs the effective
# one, so the recipient's process must have no group but his.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp);
use Test::More;

need_root();
exec('setpriv', '--no-new-privs', $^X, map({ "-I$_" } @INC), $0) or die "$!"
    unless slurp('/proc/self/status') =~ /^NoNewPrivs:\t1$/m;

my $mail = Postrider->new->start;
my $alice = $mail->user(0);
my $group = (getpwnam $alice)[3];

$mail->send(from => '', to => ["$alice\@local.test"]);
$mail->wait_log(qr/status=sent \(delivered to mailbox\)/);
my ($process) = grep {
	my $line = slurp("$_/cmdline");
	$line =~ /\Amailbox\0/ && $line =~ /\0\Q$mail->{dir}\E/;
} glob '/proc/[0-9]*';
like(slurp("$process/status"), qr/^Gid:(?:\t$group){4}$/m,
    'the process has no group but the user\'s');
is(scalar($mail->mbox($alice)), 1, 'and delivers');
is_deeply([ $mail->complaints ], [], 'no complaints');
done_testing();
