# rogue.t - an intruder in every daemon: what he can do is what the design
# says, and nothing else.
#
# The table at the end was written from the design (who may touch what, who
# calls whom) and from roles.c. It has a row for each attempt and a column
# for each program. A letter says what is expected, and which of our fences is
# the first that holds, so that each can be tested where the others are not
# (a build with sanitizers has neither Landlock nor seccomp):
#
#	+  allowed, by design
#	=  allowed, since another program of the same user may do it
#	u  refused by users, groups, modes, capabilities and the jail
#	d  the same, by the process's memory being nobody's
#	l  refused by Landlock at the latest
#	s  refused by seccomp at the latest
#	.  there is nothing to try it with
#	?  what this kernel gives to every user, of which we take nothing away
use strict;
use warnings;
use Test::More;

use lib 't/lib';
use Postrider qw(need_root bin spew);

need_root();

my $build = $ENV{BUILD} // 'build';
my $rogue = "$build/t/daemon/rogue";
die "there is no $rogue: run make tests first\n" unless -x $rogue;
delete $ENV{POSTRIDER_NO_SANDBOX};
delete $ENV{POSTRIDER_ALLOW_CORES};

# --- a system that runs, with something to steal ------------------------------

my $mail = Postrider->new;
my ($dir, $etc) = ($mail->dir, $mail->etc);
my ($user, $other) = ($mail->user(1), $mail->user(0));
my $mailbox = "$dir/mail/$other";

$mail->start;
mkdir "$etc/rogue" or die "$etc/rogue: $!";
for my $copy ([ $rogue, "$etc/rogue/mailbox" ],
    [ "$build/t/daemon/booty", "$etc/booty" ]) {
	system('cp', @$copy) == 0 or die "cannot copy $$copy[0]\n";
	chmod 0755, $copy->[1];
}
spew($mailbox, "From somebody\n");
chown +(getpwnam $other)[2], scalar getgrnam('mail'), $mailbox;
chmod 0660, $mailbox;
spew("$etc/secret", "user password\n");
chmod 0600, "$etc/secret";

# --- what happened ------------------------------------------------------------

my ($status, $output) = $mail->run('', $rogue, $etc, $user, $mailbox,
    "$etc/secret", "$etc/booty");
is($status, 0, 'all attempts were made') or diag($output);

my (%got, %detail, @order);
for my $line (split /\n/, $output) {
	my ($role, $attempt, $result, $detail) = split /\t/, $line, 4;
	next unless defined $result;
	push @order, $attempt if $role eq 'control';
	$got{$role}{$attempt} = $result;
	$detail{$role}{$attempt} = $detail // '';
}

# --- what was to happen -------------------------------------------------------

my (@roles, %expected);
while (my $line = <DATA>) {
	next if $line =~ /^(?:#|$)/;
	chomp $line;
	if (!@roles) {
		@roles = split ' ', $line;
		next;
	}
	my ($attempt, @letters) = $line =~ /^(.{22})\s*(.*)$/
	    ? ($1, split ' ', $2) : die "bad row: $line\n";
	$attempt =~ s/\s+$//;
	die "bad row: $line\n" unless @letters == @roles;
	@{ $expected{$attempt} }{@roles} = @letters;
}
is(join(', ', grep { !$expected{$_} } @order), '',
    'every attempt has a row in the table');
is(join(', ', grep { !$got{control}{$_} } sort keys %expected), '',
    'every row of the table was tried');

# --- which fences stand here --------------------------------------------------

my $is_sandboxed = !$got{build}{sandbox};
my $has_seccomp = $is_sandboxed && !$got{build}{seccomp} &&
    Postrider::slurp('/proc/self/status') =~ /^Seccomp:/m;
my $abi = $is_sandboxed ? syscall(444, 0, 0, 1) : 0;
$abi = 0 if $abi < 0;
diag('this build has sanitizers and no sandbox: columns of Landlock and ' .
    'seccomp are not compared') unless $is_sandboxed;
diag('no seccomp in this build or kernel: not compared')
    if $is_sandboxed && !$has_seccomp;
diag("Landlock has ABI $abi: what needs 6 is not compared")
    if $is_sandboxed && $abi < 6;

# The ABI of Landlock that an attempt is refused by.
sub abi_for
{
	my ($attempt) = @_;

	return 6 if $attempt =~ /^(?:signal|abstract)/;
	return 4 if $attempt =~ /^(?:tcp|bind|listen)/;
	return 2;
}

# Does the fence of this letter stand?
sub stands
{
	my ($letter, $attempt) = @_;

	return $is_sandboxed if $letter eq 'd';
	return $abi >= abi_for($attempt) if $letter eq 'l';
	return $has_seccomp if $letter eq 's';
	return 1;
}

# Is the result what the letter says? undef: it cannot be told here.
sub is_right
{
	my ($role, $attempt) = @_;
	my $letter = $expected{$attempt}{$role};
	my $result = $got{$role}{$attempt} // 'missing';

	return 0 if $result =~ /^(?:broken|missing)$/;
	return $result eq 'none' if $letter eq '.';
	return if $letter eq '?' || $got{control}{$attempt} ne 'allowed' ||
	    !stands($letter, $attempt);
	return $result eq 'allowed' if $letter =~ /[+=]/;
	return $result eq 'denied' || $result eq 'killed';
}

# --- compare ------------------------------------------------------------------

my @impossible = grep { $got{control}{$_} ne 'allowed' } @order;
cmp_ok(@order - @impossible, '>', 100, 'root without fences can do it all');
diag('not compared, since not even root can do it here: ' .
    join(', ', @impossible)) if @impossible;

my $compared = 0;
for my $role (@roles) {
	my @wrong;
	for my $attempt (@order) {
		my $right = is_right($role, $attempt);
		$compared++ if defined $right;
		next if !defined $right || $right;
		push @wrong, sprintf '%s: expected %s, was %s %s', $attempt,
		    $expected{$attempt}{$role},
		    $got{$role}{$attempt} // 'missing',
		    $detail{$role}{$attempt} // '';
	}
	is(join("\n", @wrong), '', "LOC-19: an owned $role can do " .
	    'what it may and nothing else');
}

# --- show ---------------------------------------------------------------------

my %sign = (allowed => '+', denied => '-', killed => 'x', none => '.');

note('+ allowed, - refused, x killed: ' . join(' ', @roles));
for my $attempt (@order) {
	note(sprintf '%-22s %s', $attempt, join ' ',
	    map { $sign{$got{$_}{$attempt} // ''} // '?' } @roles);
}
# Where a fence is missing, much succeeds that nobody asked about.
my $show = $has_seccomp && $abi >= 6 ? \&diag : \&note;

diag("$compared results compared");
$show->('what succeeded, by program:');
for my $role (@roles) {
	my (%objects, @verbs);
	for my $attempt (grep { ($got{$role}{$_} // '') eq 'allowed' } @order) {
		my ($verb, $object) = split ' ', $attempt, 2;
		push @verbs, $verb unless $objects{$verb};
		push @{ $objects{$verb} }, ($object // '') .
		    ($expected{$attempt}{$role} eq '=' ? '=' : '');
	}
	$show->(sprintf '  %-8s %s', $role, join('; ', map {
		my $objects = join ', ', grep { length } @{ $objects{$_} };
		length $objects ? "$_ $objects" : $_;
	} @verbs) || 'nothing');
}

is($mail->stop, 0, 'the system that was attacked still stops in order');
is(join('', $mail->complaints), '', 'and nothing in it broke');
done_testing();

__DATA__
#                      s a l d s l e r c q b p h m k a t
smtpd anvil log dns smtp local error resolve cleanup qmgr bounce pickup helper mailbox keys auth token

# The queue belongs to cleanup (incoming) and qmgr; pickup has maildrop. A
# mode is set on an open file, never by name; times are qmgr's.
list incoming          u u u u u u u u + + l u u u u u u
read incoming          u u u u u u u u + + l u u u u u u
write incoming         u u u u u u u u + + l u u u u u u
create incoming        u u u u u u u u + + l u u u u u u
remove incoming        u u u u u u u u + + l u u u u u u
mode incoming          u u u u u u u u s s s u u u u u u
time incoming          u u u u u u u u s + s u u u u u u
list deferred          u u u u u u u u l + l u u u u u u
read deferred          u u u u u u u u l + l u u u u u u
write deferred         u u u u u u u u l + l u u u u u u
create deferred        u u u u u u u u l + l u u u u u u
remove deferred        u u u u u u u u l + l u u u u u u
mode deferred          u u u u u u u u s s s u u u u u u
time deferred          u u u u u u u u s + s u u u u u u
list hold              u u u u u u u u l + l u u u u u u
read hold              u u u u u u u u l + l u u u u u u
write hold             u u u u u u u u l + l u u u u u u
create hold            u u u u u u u u l + l u u u u u u
remove hold            u u u u u u u u l + l u u u u u u
mode hold              u u u u u u u u s s s u u u u u u
time hold              u u u u u u u u s + s u u u u u u
list corrupt           u u u u u u u u l + l u u u u u u
read corrupt           u u u u u u u u l + l u u u u u u
write corrupt          u u u u u u u u l + l u u u u u u
create corrupt         u u u u u u u u l + l u u u u u u
remove corrupt         u u u u u u u u l + l u u u u u u
mode corrupt           u u u u u u u u s s s u u u u u u
time corrupt           u u u u u u u u s + s u u u u u u
list maildrop          u u u u u u u u u u u + u u u u u
read maildrop          u u u u u u u u u u u + u u u u u
write maildrop         u u u u u u u u u u u + u u u u u
create maildrop        u u u u u u u u u u u + u u u u u
remove maildrop        u u u u u u u u u u u + u u u u u
mode maildrop          u u u u u u u u u u u s u u u u u
time maildrop          u u u u u u u u u u u s u u u u u

# Directories of root: everybody on the machine may look into two of them.
# helper is root, though without the right to pass by owners and modes.
list pid               u u u u u u u + l l l l + + u u +
read pid               u u u u u u u + l l l l + + u u +
write pid              u u u u u u u u u u u u + u u u +
create pid             u u u u u u u u u u u u + u u u +
remove pid             u u u u u u u u u u u u + u u u +
mode pid               u u u u u u u u u u u u + u u u +
time pid               u u u u u u u u u u u u + u u u +
list private           u u u u u u u u u u u u + u u u +
read private           u u u u u u u u u u u u + u u u +
write private          u u u u u u u u u u u u + u u u +
create private         u u u u u u u u u u u u + u u u +
remove private         u u u u u u u u u u u u + u u u +
mode private           u u u u u u u u u u u u + u u u +
time private           u u u u u u u u u u u u + u u u +
list public            u u u u u u u + l l l l + + u u +
read public            u u u u u u u + l l l l + + u u +
write public           u u u u u u u u u u u u + u u u +
create public          u u u u u u u u u u u u + u u u +
remove public          u u u u u u u u u u u u + u u u +
mode public            u u u u u u u u u u u u + u u u +
time public            u u u u u u u u u u u u + u u u +
mkdir queue            u u u u u u u u u u u u + u u u +

# Nothing but files and hash directories is made in a program's own directory.
mkdir own              u u u u u u u u + + u + + + u u +
symlink own            u u u u u u u u l l u l + + u u +
fifo own               u u u u u u u u l l u l + + u u +
device own             u u u u u u u u u u u u u u u u u
execute own            u u u u u u u u l l u l + + u u +

# Files of the system: resolve reads what everybody may read.
read passwd            u u u u u u u + u u u u + + u u +
read shadow            u u u u u u u u u u u u + u u u +
read main.cf           u u u u u u u + u u u u + + u u +
read root's table      u u u u u u u u u u u u + u u u +
read a mailbox         u u u u u u u u u u u u u u u u u
mailbox by group       u u u u u u u u u u u u u = u u u
read init's environ    u u u u u u u u u u u u u u u u u
read /dev/mem          u u u u u u u u u u u u u u u u u
write passwd           u u u u u u u u u u u u + u u u +
write /tmp             u u u u u u u l u u u u + + u u +
escape jail            u u u u u u u . u u u u . . u u .

# Who calls whom.
connect anvil          + s u u u u u u u u u u u u u u u
connect cleanup        + u u u u + u u u u + + + u u u +
connect resolve        + u u u + + u u + + u + + u u u +
connect dns            + u u u + u u + u u u u + u u u +
connect qmgr           + u u u u u u u + u u u + u u u +
connect bounce         + u u u + u u u u + u u + u u u +
connect pickup         u u u u u u u u = + = u u u u u u
connect smtp           u u u u u u u u = + = u u u u u u
connect local          u u u u u u u u = + = u u u u u u
connect error          u u u u u u u u = + = u u u u u u
connect helper         u u u u u + s u u u u u u u u u u
connect keys           + u u u + u u u u u u u + u u u +
connect auth           + s u u u u u u u u u u u u u u u
connect token          u u u u u u u + u u u u u u u u u
connect control        u u u u u u u u u u u u + u u u +
connect public qmgr    u u u u u u u + + + + + + + u u +
connect public pickup  u u u u u u u + + + + + + + u u +
abstract socket        l l l l l l l l l l l l + + l l +
serve a socket         u u u u u u u u l l u l + + u u +

# The world: smtp calls out, resolve opens what is configured (a Dovecot's
# port), dns asks, nobody else does either.
tcp                    l l l + + l l + l l l l + + l l +
mptcp                  s s s + s s s s s s s s + + s s +
tcp by reuse           l . . . . . . . . . . . . . . . .
udp                    s s s + s s s s s s s s + + s s +
bind low port          u u u u u u u u u u u u u u u u u
bind high port         l l l l l l l l l l l l + + l l +
listen                 l l l s s l l s l l l l + + l l +
raw socket             u u u u u u u u u u u u u u u u u
packet socket          u u u u u u u u u u u u u u u u u
netlink                s s s + s s s s s s s s + + s s +
vsock                  s s s s s s s s s s s s + + s s +

# Other processes.
signal root            u u u u u u u u u u u u + u u u +
signal postrider       u u u u u u u u l l l u + u u u +
signal postrider-log   u u l u u u u u u u u u + u u u +
signal postrider-smtpd l l u u u u u u u u u u + u u u +
signal postrider-drop  u u u u u u u u u u u l + u u u +
signal postrider-map   u u u u u u u l u u u u + u u u +
signal postrider-dns   u u u l u u u u u u u u + u u u +
signal postrider-smtp  u u u u l u u u u u u u + u u u +
signal postrider-local u u u u u l l u u u u u + u u u +
signal postrider-key   u u u u u u u u u u u u + u l u +
signal postrider-auth  u u u u u u u u u u u u + u u l +
signal own user        l l l l l l l l l l l l + + l l +
trace own user         d d d d d d d d d d d d d d d d d
memory of own user     d d d d d d d d d d d d d d d d d
its /proc/PID/mem      d d d d d d d d d d d d d d d d d
limits of own user     s s s s s s s s s s s s + u s s +
slow own user down     s s s s s s s s s s s s + + s s u

# More processes, other programs, other users.
fork                   s s s s s s s s s s s s + + s s +
thread                 s s s + s s s + + + s + + + + + +
execute a program      u u u u u u u l u u u u + + u u +
execute memory         s s s s s s s s s s s s + + s s +
become root            u u u u u u u u u u u u + u u u +
group of root          u u u u u u u u u u u u + u u u +
become nobody          u u u u u u u u u u u u + u u u +

# The kernel.
chroot                 u u u u u u u u u u u u + u u u u
mount                  u u u u u u u u u u u u u u u u u
unshare                u u u u u u u s u u u u ? ? u u ?
file by handle         u u u u u u u u u u u u u u u u u
kernel module          u u u u u u u u u u u u u u u u u
reboot                 u u u u u u u u u u u u u u u u u
swap                   u u u u u u u u u u u u u u u u u
clock                  u u u u u u u u u u u u u u u u u
host name              u u u u u u u u u u u u u u u u u
bpf                    s s s s s s s s s s s s ? ? s s ?
io_uring               s s s s s s s s s s s s ? ? s s ?
keys                   s s s s s s s s s s s s ? ? s s ?
perf                   s s s s s s s s s s s s ? ? s s ?
userfault              s s s s s s s s s s s s ? ? s s ?
show memory            s s s s s s s s s s s s + + s s +
