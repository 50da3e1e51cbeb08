#!/usr/bin/perl
# crowd.t - many deliveries to one mailbox while other programs lock it, write
# to it, rewrite it and die.

use strict;
use warnings;
use lib 't/lib';

use Digest::MD5 qw(md5_hex);
use Fcntl qw(:DEFAULT :flock :seek);
use Postrider qw(need_root slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep);

need_root();

my $mail = Postrider->new(settings => { stale_lock_time => '2s',
    mailbox_delivery_lock => 'fcntl, flock, dotlock',
    local_destination_concurrency_limit => '20',
    minimal_backoff_time => '1s', maximal_backoff_time => '2s',
    queue_run_delay => '1s' })->start;
my $alice = $mail->user(0);
my $box = $mail->dir . "/mail/$alice";
my $turn = $mail->dir . '/turn';
my @kinds = qw(fcntl flock dotlock);

# One lock of this kind on the mailbox, as another program takes it: the file
# that holds it.
sub take
{
	my ($kind) = @_;
	my $lock = pack('s s x4 q q l x4', F_WRLCK, SEEK_SET, 0, 0, 0);
	my $file;

	for (;;) {
		sysopen my $f, $box, O_RDWR or die "$box: $!";
		if ($kind eq 'dotlock') {
			return ($f, "$box.lock") if sysopen my $l,
			    "$box.lock", O_CREAT | O_EXCL | O_WRONLY;
		} elsif ($kind eq 'flock' ? flock($f, LOCK_EX | LOCK_NB) :
		    fcntl($f, F_SETLK, $lock)) {
			return ($f);
		}
		close $f;
		sleep 0.005;
	}
}

sub text_of
{
	my ($who, $n) = @_;

	return join '', map { "$who $n line $_\n" } 1 .. 200;
}

# A program that writes in two parts, or writes the whole file anew. Programs
# of its kind keep out of each other's way by other means.
sub write_some
{
	my ($kind, $count) = @_;

	for my $n (1 .. $count) {
		sysopen my $mine, $turn, O_CREAT | O_RDWR;
		flock $mine, LOCK_EX;
		my ($f, $lock) = take($kind);
		binmode $f;
		if ($n % 3 == 0) {
			local $/;
			my $all = <$f>;
			seek $f, 0, SEEK_SET;
			truncate $f, 0;
			sleep 0.01;
			syswrite $f, $all;
		}
		sysseek $f, 0, SEEK_END;
		my $text = "From w Thu Jan  1 00:00:00 2026\nX-Mark: " .
		    "$kind-$n\n\n" . text_of($kind, $n) . "\n";
		my $half = int(length($text) / 2);
		syswrite $f, substr $text, 0, $half;
		sleep 0.005;
		syswrite $f, substr $text, $half;
		unlink $lock if defined $lock;
		close $f;
		close $mine;
	}
}

sub child
{
	my ($code) = @_;
	my $pid = fork // die "$!";

	if ($pid == 0) {
		$code->();
		POSIX::_exit(0);
	}
	return $pid;
}

# What is in the mailbox: mark => hash of the body.
sub found
{
	my %found;

	for my $message ($mail->mbox($alice)) {
		my ($mark) = $message =~ /^(?:X-Mark|Subject): (\S+)$/m
		    or next;
		my (undef, $body) = split /\n\n/, $message, 2;
		$found{$mark} .= md5_hex($body);
	}
	return \%found;
}

# Send so many at once and wait for all; nothing may be cut or mixed.
sub deliver
{
	my ($who, $count, $seconds) = @_;
	my %ids = map {
		my $n = $_;
		$mail->send(from => '', to => ["$alice\@local.test"],
		    text => "Subject: $who-$n\n\n" . text_of($who, $n)) =~
		    /queued as (\w+)/ or die;
		($1 => 1)
	} 1 .. $count;

	wait_for(sub {
		my %sent = map { /: (\w+): to=.*status=sent/ ? ($1 => 1) : () }
		    split /^/, $mail->log;
		return !grep { !$sent{$_} } keys %ids;
	}, $seconds, "all of $who\n" . $mail->log);
	return map { ("$who-$_" => md5_hex(text_of($who, $_) . "\n")) }
	    1 .. $count;
}

my %all = deliver('first', 1, 10);

{
	my @pids = map { my $kind = $_; child(sub { write_some($kind, 12) }) }
	    @kinds;
	%all = (%all, deliver('mail', 50, 30));
	waitpid $_, 0 for @pids;
	for my $kind (@kinds) {
		$all{"$kind-$_"} = md5_hex(text_of($kind, $_) . "\n")
		    for 1 .. 12;
	}
	is_deeply(found(), \%all,
	    'DLV-08: 50 deliveries beside three other writers: none lost, ' .
	    'none twice, none mixed');
}

# All locks are held by somebody who is killed.
{
	pipe my $ready, my $told;
	my $pid = child(sub {
		my @held = map { take($_) } @kinds;
		syswrite $told, 'x';
		sleep 1000;
	});
	sysread $ready, my $byte, 1;
	my $before = -s $box;
	my $waiting = child(sub {
		wait_for(sub { $mail->log =~ /to=<$alice\@.*cannot lock/ ||
		    grep { slurp($_) =~ /Subject: held/ }
		    glob $mail->spool . '/*/*' }, 10);
		kill 'KILL', $pid;
	});
	%all = (%all, deliver('held', 5, 30));
	waitpid $waiting, 0;
	waitpid $pid, 0;
	cmp_ok(-s $box, '>', $before, 'the mailbox goes on');
	is_deeply(found(), \%all,
	    'DLV-08: a holder of all locks who is killed keeps nobody off ' .
	    'for long');
	ok(!-e "$box.lock", 'his lock file is gone');
}

is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
