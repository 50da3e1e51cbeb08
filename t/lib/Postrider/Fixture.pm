package Postrider::Fixture;

# The system that the requirements are tested with: sut.test, which takes mail
# for local.test and second.test, may relay to relay-ok.test, and sends what is
# for remote.test to a server that keeps it. 127.0.0.1 is trusted, any other
# address is a stranger.
#
#	my $sut = Postrider::Fixture->new(settings => { ... })->start;
#	my $c = $sut->stranger;			# greeted with EHLO c.test
#	my $c = $sut->stranger(helo => undef);	# only connected
#	my $id = $sut->take($c, from => 's@remote.test',
#	    to => ['alice@local.test'], text => "Subject: a\n\nb\n");
#	my ($message) = $sut->wait_mail('alice', qr/^Subject: a/m);
#	my ($report) = $sut->wait_remote(qr/Final-Recipient/);
#
# alice and bob have mailboxes; team is both of them; list has an owner;
# no-such does not exist; far-off is forwarded to far@remote.test. It is a
# Postrider, so everything of that can be asked of it too.

use strict;
use warnings;

use Postrider qw(wait_for free_port spew);
use Postrider::Client;

our @ISA = ('Postrider');

my $aliases = <<'END_OF_ALIASES';
postmaster ALICE
root ALICE
alice ALICE
bob BOB
team alice, bob
list alice, bob
owner-list keeper@remote.test
far-off far@remote.test
END_OF_ALIASES

# What Postrider->new takes, and: aliases => more lines; remote, relay =>
# { what Sink->new takes }.
sub new
{
	my ($class, %o) = @_;
	my $self = Postrider->new(%o, settings => {
		myhostname => 'sut.test', mydomain => 'test',
		myorigin => 'local.test',
		mydestination => 'sut.test, local.test, second.test, localhost',
		mynetworks => '127.0.0.1/32', relay_domains => 'relay-ok.test',
		smtpd_relay_restrictions =>
		    'permit_mynetworks, reject_unauth_destination',
		relay_recipient_maps => '', smtpd_peername_lookup => 'no',
		smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 1000,
		smtpd_junk_command_limit => 100000,
		recipient_delimiter => '+',
		minimal_backoff_time => '1000s', queue_run_delay => '1000s',
		smtp_connection_cache_on_demand => 'no' });

	bless $self, $class;
	$self->{number} = 0;
	$self->{remote} = $self->sink(%{ $o{remote} // {} });
	$self->{relay} = $self->sink(%{ $o{relay} // {} });
	my ($alice, $bob) = ($self->user(0), $self->user(1));
	my $text = $aliases . ($o{aliases} // '');
	$text =~ s/\bALICE\b/\\$alice/g;
	$text =~ s/\bBOB\b/\\$bob/g;
	spew($self->etc . '/aliases', $text);
	my $transports = $self->etc . '/transport';
	spew($transports, join('', map { "$_->[0] smtp:[127.0.0.1]:" .
	    "$_->[1]\n" } ['remote.test', $self->{remote}->port],
	    ['relay-ok.test', $self->{relay}->port]));
	$self->set(alias_maps => 'texthash:' . $self->etc . '/aliases',
	    transport_maps => "texthash:$transports",
	    default_transport => 'error:5.1.2 no way there', %{ $o{settings} // {} });
	return $self;
}

# The servers behind remote.test and relay-ok.test; see Sink.pm.
sub remote { return $_[0]{remote} }
sub relay { return $_[0]{relay} }

# A connection from an address, greeted.
sub _connect
{
	my ($self, $from, %o) = @_;
	my $c = Postrider::Client->new($o{port} // $self->port, from => $from);

	$c->expect(220);
	my $helo = exists $o{helo} ? $o{helo} : 'EHLO c.test';
	$c->command($helo, 250) if defined $helo;
	return $c;
}

sub stranger { my ($self, %o) = @_; return $self->_connect('127.0.0.2', %o) }
sub friend { my ($self, %o) = @_; return $self->_connect('127.0.0.1', %o) }

# One message over a connection; its queue id. Lines end with \n here.
sub take
{
	my ($self, $c, %o) = @_;

	$c->command("MAIL FROM:<$o{from}>" . ($o{mail} // ''), 250);
	$c->command("RCPT TO:<$_>" . ($o{rcpt} // ''), 250) for @{ $o{to} };
	$c->command('DATA', 354);
	return ($c->data($o{text} // "Subject: test\n\nHello.\n") =~
	    /queued as (\w+)/)[0];
}

# The beginning of a message, after DATA, until cleanup has a file for it: what
# breaks then breaks something.
sub give_beginning
{
	my ($self, $c, $text) = @_;
	my $incoming = $self->spool . '/incoming';
	my %before = map { $_ => 1 } glob "$incoming/*";

	$c->raw($text =~ s/\r?\n/\r\n/gr);
	Postrider::wait_for(sub { grep { !$before{$_} } glob "$incoming/*" },
	    10, 'the file of a message');
}

# A subject that no other message has, by which it is found.
sub subject { my ($self) = @_; return 'number-' . $self->{number}++ }

# One message for one or several, by a stranger if nothing else is said; its
# subject. header and body may be more; the rest is as for take().
sub post
{
	my ($self, $to, %o) = @_;
	my $subject = $self->subject;
	my $c = $o{is_friend} ? $self->friend : $self->stranger;

	$self->take($c, from => 's@remote.test', %o,
	    to => ref $to ? $to : [$to], text => ($o{header} // '') .
	    "Subject: $subject\n\n" . ($o{body} // "x\n"));
	$c->command('QUIT', 221);
	return $subject;
}

# The messages in the mailbox of alice or bob.
sub mail
{
	my ($self, $who) = @_;

	return $self->mbox($self->user($who eq 'bob' ? 1 : 0));
}

# Wait for messages that match; all of those.
sub wait_mail
{
	my ($self, $who, $re, $count) = @_;
	my @found;

	wait_for(sub { (@found = grep { $_ =~ $re } $self->mail($who)) >=
	    ($count // 1) }, 20, "mail of $who to match $re\n" . $self->log);
	return @found;
}

# The same of what came to remote.test or relay-ok.test; those are Sink's.
sub wait_remote { my $self = shift; return $self->wait_at($self->remote, @_) }
sub wait_relay { my $self = shift; return $self->wait_at($self->relay, @_) }

# The same at any server of the test.
sub wait_at
{
	my ($self, $sink, $re, $count) = @_;
	my @found;

	wait_for(sub { (@found = grep { $_->{data} =~ $re }
	    $sink->messages) >= ($count // 1) }, 20,
	    "a message like $re\n" . $self->log);
	return @found;
}

1;
