# quota.t - files that may not grow, and quotas that are full, of the queue and
# of mailboxes: under load, no accepted message is lost, what cannot be kept is
# refused for now, and what cannot be delivered waits. A mbox has no part of a
# message in it afterwards.
#
# The greatest size of a file (RLIMIT_FSIZE) is set for the running daemons; the
# quota is one of btrfs, since that is what kernels without disk quotas have.
# Both come and go at random, just above what there is: writes are cut in the
# middle.
#
# POSTRIDER_LEDGER makes it the long round: POSTRIDER_ROUNDS (20) of each.
use strict;
use warnings;
use Test::More;
use Postrider::Mounts;
use Postrider qw(slurp wait_for);
use Postrider::Disk;
use Postrider::Traffic;
use List::Util qw(max);
use Time::HiRes qw(sleep time);

my $is_alone = Postrider::Mounts::alone();
my $rounds = defined $ENV{POSTRIDER_LEDGER} ? $ENV{POSTRIDER_ROUNDS} || 20 : 2;
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
plan(skip_all => 'a private mount namespace cannot be had here')
    unless $is_alone;
diag("seed $seed");
srand $seed;

my $mail = Postrider->new(settings => { Postrider::Traffic::settings() });
my ($dir, $spool, $user) = ($mail->dir, $mail->spool, $mail->user(0));
my ($main, $sink, $lab) = ($$, $mail->sink, $mail->dir . '/lab');
my %disk;		# place => the file system that it is a part of
END {
	if ($mail && $$ == $main) {
		local $?;
		eval { $mail->stop(now => 1) };
		system("umount -R -l $_ 2>/dev/null")
		    for $spool, "$dir/mail", values %disk, $lab;
	}
}
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);

# --- quotas -------------------------------------------------------------------

# A part of a file system, with a quota, at this place; false where it cannot be
# had.
sub with_quota {
	my ($place) = @_;
	my $disk = $disk{$place} = "$lab/" . $place =~ s{.*/}{}r;

	mkdir $place;
	my @st = stat $place;
	open my $f, '>', "$disk.image" or die "$disk.image: $!";
	truncate $f, 256 << 20 or die;
	return 0 if system("mkfs.btrfs -q -f -M $disk.image >/dev/null 2>&1");
	eval { Postrider::Disk::attach("$disk.image", $disk); 1 } or return 0;
	return 0 if system("btrfs quota enable $disk && " .
	    "btrfs subvolume create $disk/part >/dev/null && " .
	    "mount --bind $disk/part $place");
	chown @st[4, 5], $place;
	chmod $st[2] & 07777, $place;
	return 1;
}

# There is room for so many bytes more, or for all; what is taken is known when
# it has been written.
sub set_quota {
	my ($place, $room) = @_;
	my $disk = $disk{$place};
	my ($part, $taken) = `btrfs qgroup show --sync --raw $disk` =~
	    m{^(0/(?!5\s)\d+)\s+(\d+)}m or die "no quota at $disk";

	system('btrfs', 'qgroup', 'limit', defined $room ? $taken + $room :
	    'none', $part, $disk) == 0 or die 'btrfs qgroup limit';
}

# --- sizes --------------------------------------------------------------------

# The greatest size of a file that these programs may write; undef: any.
sub set_size {
	my ($bytes, @programs) = @_;

	for my $pid (map { $mail->children($_) } @programs) {
		# As its user, who may; root need not be almighty here.
		my ($user) = slurp("/proc/$pid/status") =~ /^Uid:\t(\d+)/m
		    or next;
		my ($group) = slurp("/proc/$pid/status") =~ /^Gid:\t(\d+)/m;
		system('setpriv', "--reuid=$user", "--regid=$group",
		    '--clear-groups', 'prlimit', '--pid', $pid, '--fsize=' .
		    ($bytes // 'unlimited') . ':unlimited') == 0 or
		    !-d "/proc/$pid" or die 'prlimit';
	}
}

# The same for the processes that write mailboxes: those to come have it from
# helper. Those that are there are killed, since nobody may change them.
my $kills = 0;
sub set_home_size {
	my ($bytes) = @_;

	set_size($bytes, 'helper');
	for my $helper ($mail->children('helper')) {
		$kills += kill 'KILL', split ' ',
		    slurp("/proc/$helper/task/$helper/children");
	}
}

# --- parts --------------------------------------------------------------------

my $traffic = Postrider::Traffic->new($mail, sink => $sink, seed => $seed,
    writers => 4, users => [$user], to => Postrider::Traffic::mixed($user));

# Mail flows, something is limited and free again; `shows` is what the log must
# say of it.
sub part {
	my ($name, %o) = @_;
	my @recoveries;

	# After a 452 an smtpd says it for a second, whatever there is now.
	$mail->wait_room(1.2);
	$traffic->begin($name =~ s/\W+/-/gr);
	wait_for(sub { $traffic->accepted > 20 }, 30, 'mail');
	for my $round (1 .. $rounds) {
		$o{limit}->();
		sleep 0.3 + rand 1;
		$o{free}->();
		next if $round % 2;
		push @recoveries, $traffic->recovery(time);
	}
	$traffic->end;
	my $log = $traffic->log;
	ok($log =~ $o{shows}, "$name: the log tells") or
	    diag(substr $log, -1000);
	is(join('', $log =~ /^.*status=(?:bounced|expired).*\n/mg), '',
	    "$name: nothing is returned");
	$traffic->judge(name => $name, faults => $rounds, fine => $o{fine},
	    worst => max(@recoveries), twice => $kills);
	$kills = 0;
}

my $later = qr/^(?:250|45[12])$/;
mkdir $lab;
Postrider::Mounts::tmpfs($lab, 'mode=755');
my $has_quota = with_quota($spool) && with_quota("$dir/mail");
$mail->start;

part('file limit, queue', fine => $later,
    shows => qr/File too large|insufficient system storage|write error/,
    limit => sub { set_size(int rand 20_000, 'cleanup', 'qmgr') },
    free => sub { set_size(undef, 'cleanup', 'qmgr') });

part('file limit, home', fine => qr/^250$/,
    shows => qr/to=<\Q$user\E\@.*status=deferred .*File too large/,
    limit => sub { set_home_size((-s "$dir/mail/$user") + int rand 5000) },
    free => sub { set_home_size(undef) });

SKIP: {
	skip 'there is no file system with quotas (btrfs)', 1
	    unless $has_quota;
	part('quota, queue', fine => $later,
	    shows => qr/quota exceeded|insufficient system storage|write error/,
	    limit => sub { set_quota($spool, int rand 100_000) },
	    free => sub { set_quota($spool, undef) });
	part('quota, home', fine => qr/^250$/,
	    shows => qr/to=<\Q$user\E\@.*status=deferred .*quota exceeded/,
	    limit => sub { set_quota("$dir/mail", int rand 20_000) },
	    free => sub { set_quota("$dir/mail", undef) });
}

is(join('', grep { !/killed by signal 9$/ } $mail->complaints), '',
    'nothing crashed');
done_testing();
