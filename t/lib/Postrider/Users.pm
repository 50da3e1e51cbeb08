package Postrider::Users;

# The programs as they are installed, with a set-gid postdrop, and the users
# who run them; the first statements of a test for root:
#
#	use Postrider::Users;
#	my $can_list = Postrider::Users::install();
#	my $mail = Postrider->new(...);
#	Postrider::Users::list($mail);	# postdrop may read its configuration
#	my ($status, $text) = Postrider::Users::run_as('prt-alice',
#	    { input => '...', env => {}, umask => 022, directory => '/' },
#	    'sendmail', ...);
#	END { Postrider::Users::leave($mail) if $mail }
#
# Without a mount namespace of our own there is no /etc that could name the
# configuration, and install() is false.

use strict;
use warnings;

use File::Temp ();
use POSIX ();
use Postrider qw(slurp spew);
use Postrider::Mounts;

my $programs;

sub install
{
	my $alone = Postrider::Mounts::alone();

	Postrider::_make_users();
	$programs = File::Temp->newdir('prt-sgid-XXXX', DIR => '/tmp');
	chmod 0755, "$programs";
	mkdir "$programs/bin" or die;
	system('cp', glob(($ENV{BUILD} // 'build') . '/bin/*'),
	    "$programs/bin") == 0 or die 'cp failed';
	my $postdrop = "$programs/bin/postdrop";
	chown 0, scalar(getgrnam 'postrider-drop'), $postdrop;
	chmod 02755, $postdrop;
	$ENV{BUILD} = "$programs";
	return $alone;
}

sub list
{
	my ($mail) = @_;

	Postrider::Mounts::own_etc($mail->dir);
	mkdir '/etc/postrider';
	spew('/etc/postrider/main.cf', 'alternate_config_directories = ' .
	    $mail->etc . "\n");
}

sub leave
{
	my ($mail) = @_;
	local $?;

	$mail->stop;
	Postrider::Mounts::leave();
}

# Be this user, for good: uid, its group alone, or another group.
sub become
{
	my ($user, $group) = @_;
	my ($uid, $gid) = (getpwnam $user)[2, 3];

	$gid = getgrnam $group if defined $group;
	$) = "$gid $gid";
	$( = $gid;
	POSIX::setuid($uid);
	die "not $user" if $< != $uid || $> != $uid;
}

# In the child, before exec: what the options say.
sub _prepare
{
	my ($user, $o, $out) = @_;

	# What is closed is closed last: $$o{closed} lists 0, 1, 2.
	my $input = $o->{stdin};
	if (!defined $input) {
		$input = "$programs/input.$$";
		spew($input, $o->{input} // '');
	}
	open STDIN, '<', $input or die "$input: $!";
	unlink $input unless defined $o->{stdin};
	open STDOUT, '>', $o->{stdout} // $out or die;
	open STDERR, '>>', $out or die;
	become($user, $o->{group});
	if (defined $o->{directory}) {
		chdir $o->{directory} or die "$o->{directory}: $!";
	}
	umask $o->{umask} if defined $o->{umask};
	%ENV = %{ $o->{env} } if defined $o->{env};
	$SIG{$_} = $o->{signals}{$_} for keys %{ $o->{signals} // {} };
	$o->{before}->() if defined $o->{before};
	POSIX::close($_) for @{ $o->{closed} // [] };
}

# Run it: (exit status, 128 + signal if one ended it; what it said).
sub run_as
{
	my ($user, $o, @command) = @_;
	my $out = "$programs/output.$$";

	spew($out, '');
	$command[0] = "$programs/bin/$command[0]"
	    unless $command[0] =~ m{/};
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		eval {
			_prepare($user, $o, $out);
			no warnings;
			exec { $command[0] } $o->{name} // $command[0],
			    @command[1 .. $#command];
		};
		POSIX::_exit(127);
	}
	waitpid $pid, 0;
	my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	my $text = slurp($out);
	unlink $out;
	return ($status, $text);
}

# --- a message as postdrop reads it (drop.c tells the format) -----------------

sub string { return pack('C V', 3, length $_[0]) . "$_[0]\0" }
sub number { return pack 'C q<', 1, $_[0] }

my @crc;
sub crc32c
{
	my ($data) = @_;
	my $crc = 0xffffffff;

	if (!@crc) {
		for my $n (0 .. 255) {
			my $c = $n;
			$c = $c & 1 ? $c >> 1 ^ 0x82f63b78 : $c >> 1 for 1 .. 8;
			push @crc, $c;
		}
	}
	$crc = $crc[($crc ^ $_) & 0xff] ^ $crc >> 8 for unpack 'C*', $data;
	return $crc ^ 0xffffffff;
}

# drop(sender => 'al', to => [...], content => "...", flags => 0, length =>
# what it says of its content, more => bytes behind the fields)
sub drop
{
	my (%o) = @_;
	my @to = @{ $o{to} // ['bob@far.test'] };
	my $content = $o{content} // "Subject: x\n\nx\n";
	my $head = string($o{sender} // 'al') . string($o{name} // '') .
	    string($o{envelope_id} // '') . string($o{return_what} // '') .
	    string($o{verp} // '') . number($o{flags} // 0) .
	    number($o{length} // length $content) .
	    pack('C V', 6, $o{count} // scalar @to) .
	    join('', map { string($_) . string($o{original} // '') .
	    string($o{orcpt} // '') . number($o{notify} // 0) } @to) .
	    ($o{more} // '');

	return "PRDROP1\n" . pack('V V', length $head, crc32c($head)) . $head .
	    $content;
}

1;
