package Theirs;

# Debian's Postfix, unpacked from its package, with a configuration, a queue
# and users of its own. One that is installed on this machine is not touched.

use strict;
use warnings;

use File::Path qw(make_path);

use parent 'System';
use Bench qw($dir $unpacked capture run_command spew);
use Postrider::Postfix;

sub name { return 'postfix' }
sub queues { return qw(maildrop incoming active deferred) }
sub sendmail { return ("$unpacked/usr/sbin/sendmail", '-C', "$_[0]{home}/etc") }
sub mailq
{
	return ("$unpacked/usr/sbin/postqueue", '-c', "$_[0]{home}/etc", '-p');
}

sub version
{
	my ($self) = @_;

	return capture("$unpacked/usr/sbin/postconf", '-c',
	    "$self->{home}/etc", '-h', 'mail_version') =~ s/\n//r;
}

sub prepare
{
	my ($self) = @_;
	my $home = $self->{home};

	make_path("$home/data");
	run_command('chown', 'prt-postfix', "$home/data");
	my %names = (HOME => $home, UNPACKED => $unpacked, DIR => $dir,
	    RELAY => Receivers::port('relay'));
	$self->{main} = $self->settings_of('both.cf', %names) .
	    $self->settings_of('postfix.cf', %names);
	spew("$home/etc/main.cf", $self->{main});
	spew("$home/etc/dynamicmaps.cf", '');
	spew("$home/etc/master.cf", Postrider::Postfix::services($unpacked,
	    $self->{port}));
}

sub _postfix
{
	my ($self, $verb) = @_;

	return "$unpacked/usr/sbin/postfix -c $self->{home}/etc $verb " .
	    ">>$self->{home}/out 2>&1";
}

sub command_start { run_command($_[0]->_postfix('start')) }
sub command_stop { system($_[0]->_postfix('stop')) }

1;
