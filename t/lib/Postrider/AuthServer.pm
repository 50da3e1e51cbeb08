package Postrider::AuthServer;

# A server that knows users, by Dovecot's protocol, for tests of who asks it:
#
#	my $auth = Postrider::AuthServer->new("$dir/auth",
#	    users => { alice => 'good' });
#	$auth->stop; $auth->start;	# nobody to ask; there again
#	my @lines = $auth->heard;	# what it was told, without responses
#
# It has PLAIN and LOGIN, EXTERNAL (an empty response lets "ext" in), ANONYMOUS
# (anybody), STEPS (as many challenges as the first response says, of 900
# bytes, then "stepper"), LAST (a last word with the OK). Some users have a
# life of their own: temp fails for now, gone makes it hang up, odd has a name
# with a line end, long one of 300 bytes.

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use MIME::Base64;
use POSIX ();

my $caller = $$;

sub new
{
	my ($class, $path, %o) = @_;

	return bless({ path => $path, users => $o{users},
	    notes => "$path.notes" }, $class)->start;
}

sub start
{
	my ($self) = @_;

	unlink $self->{path};
	my $listener = IO::Socket::UNIX->new(Local => $self->{path},
	    Listen => 16) or die "$self->{path}: $!";
	chmod 0666, $self->{path};
	$self->{pid} = fork // die "fork: $!";
	return $self if $self->{pid};
	$SIG{PIPE} = 'IGNORE';
	$self->_serve($listener);
	POSIX::_exit(0);
}

sub stop
{
	my ($self) = @_;

	return unless $self->{pid};
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	unlink $self->{path};
	delete $self->{pid};
}

sub heard
{
	my ($self) = @_;

	open my $in, '<', $self->{notes} or return;
	return map { chomp; $_ } <$in>;
}

sub DESTROY { $_[0]->stop if $$ == $caller }

# --- in the child -------------------------------------------------------------

sub _serve
{
	my ($self, $listener) = @_;
	my $all = IO::Select->new($listener);
	my %rest;

	open $self->{note}, '>>', $self->{notes} or die;
	while (my @ready = $all->can_read) {
		for my $s (@ready) {
			if ($s == $listener) {
				my $new = $s->accept or next;
				$all->add($new);
				$rest{$new} = '';
				syswrite $new, "VERSION\t1\t2\n" .
				    "MECH\tPLAIN\tplaintext\n" .
				    "MECH\tLOGIN\tplaintext\n" .
				    "MECH\tEXTERNAL\n" .
				    "MECH\tANONYMOUS\tanonymous\n" .
				    "MECH\tSTEPS\nMECH\tLAST\n" .
				    "SPID\t$$\nCUID\t1\n" .
				    "COOKIE\t" . '0' x 32 . "\nDONE\n";
				next;
			}
			my $n = sysread $s, $rest{$s}, 65536,
			    length $rest{$s};
			my $goes_on = $n;
			while ($goes_on && $rest{$s} =~ s/\A([^\n]*)\n//) {
				$goes_on = $self->_line($s, $1);
			}
			next if $goes_on;
			$all->remove($s);
			close $s;
		}
	}
}

# One line; false: hang up.
sub _line
{
	my ($self, $s, $line) = @_;
	my ($verb, $id, @words) = split /\t/, $line, -1;

	syswrite $self->{note}, ($line =~ s/\tresp=.*//r) . "\n"
	    if $verb eq 'AUTH';
	if ($verb eq 'AUTH') {
		my $mechanism = shift @words;
		my ($initial) = map { /^resp=(.*)/s ? $1 : () } @words;
		$self->{state}{$id} = { mechanism => $mechanism, said => [] };
		return $self->_step($s, $id, $initial);
	}
	return $self->_step($s, $id, $words[0]) if $verb eq 'CONT';
	delete $self->{state}{$id} if $verb eq 'CANCEL';
	return 1;
}

sub _step
{
	my ($self, $s, $id, $response) = @_;
	my $x = $self->{state}{$id} or return 1;
	my $said = $x->{said};
	my $ask = sub {
		syswrite $s, "CONT\t$id\t" . encode_base64($_[0], '') . "\n";
		return 1;
	};

	push @$said, decode_base64($response) if defined $response;
	if ($x->{mechanism} eq 'PLAIN') {
		return $ask->('') unless @$said;
		my (undef, $user, $password, @more) =
		    split /\0/, $said->[0], -1;
		return $self->_judge($s, $id, @more ? '' : $user // '',
		    $password);
	}
	if ($x->{mechanism} eq 'LOGIN') {
		return $ask->('Username:') unless @$said;
		return $ask->('Password:') if @$said == 1;
		return $self->_judge($s, $id, @$said);
	}
	if ($x->{mechanism} eq 'EXTERNAL') {
		return $ask->('') unless @$said;
		return $self->_ok($s, $id, 'ext') if $said->[0] eq '';
	}
	if ($x->{mechanism} eq 'STEPS') {
		return $ask->('how many') unless @$said;
		return $ask->('x' x 900) if @$said <= $said->[0];
		return $self->_ok($s, $id, 'stepper');
	}
	if ($x->{mechanism} eq 'LAST') {
		return $ask->('') unless @$said;
		syswrite $s, "OK\t$id\tuser=laster\tresp=" .
		    encode_base64('the end', '') . "\n";
		return 1;
	}
	return $self->_ok($s, $id, 'anonymous')
	    if $x->{mechanism} eq 'ANONYMOUS';
	syswrite $s, "FAIL\t$id\n";
	return 1;
}

sub _ok
{
	my ($self, $s, $id, $user) = @_;

	syswrite $s, "OK\t$id\tuser=$user\n";
	return 1;
}

sub _judge
{
	my ($self, $s, $id, $user, $password) = @_;
	my $known = $self->{users}{$user};

	return 0 if $user eq 'gone';
	return $self->_ok($s, $id, "od\001nd") if $user eq 'odd';
	return $self->_ok($s, $id, 'l' x 300) if $user eq 'long';
	return $self->_ok($s, $id, $user)
	    if defined $known && $known eq ($password // '');
	my $named = $user =~ s/([\001\t\r\n])/"\001" .
	    { "\001" => 1, "\t" => 't', "\r" => 'r', "\n" => 'n' }->{$1}/gre;
	syswrite $s, "FAIL\t$id\tuser=$named" .
	    ($user eq 'temp' ? "\ttemp" : '') . "\n";
	return 1;
}

1;
