package Postrider::QueueFile;

# What a queue file says, for tests; the format is told in common/queue.
#
#	my $f = Postrider::QueueFile->find($mail, $id);
#	like($f->{content}, qr/^Subject: hello\r\n/m);
#	is_deeply($f->{recipients}, ['bob@x.test']);

use strict;
use warnings;

use Carp qw(croak);

# The fields of one record: numbers and strings in their order.
sub _fields
{
	my ($data) = @_;
	my @values;

	while (length $data) {
		my $kind = unpack 'C', substr $data, 0, 1, '';
		if ($kind == 1) {
			push @values, unpack 'q<', substr $data, 0, 8, '';
		} elsif ($kind == 3) {
			my $len = unpack 'V', substr $data, 0, 4, '';
			push @values, substr $data, 0, $len, '';
			substr $data, 0, 1, '';
		} elsif ($kind == 4) {		# a string, or none
			my $len = unpack 'V', substr $data, 0, 4, '';
			my $is_there = $len != 0xffffffff;
			push @values, $is_there ? substr $data, 0, $len, '' :
			    undef;
			substr $data, 0, 1, '' if $is_there;
		} else {
			croak "unexpected field of kind $kind";
		}
	}
	return @values;
}

# The file of a message wherever it waits, or undef.
sub path
{
	my ($class, $mail, $id) = @_;
	my $spool = $mail->spool;
	my ($path) = grep { -e } "$spool/incoming/$id", "$spool/hold/$id",
	    glob("$spool/deferred/*/$id");

	return $path;
}

# A file; undef if it is gone or not complete.
sub read
{
	my ($class, $path) = @_;
	my $self = bless { path => $path }, $class;
	my $data;

	open my $f, '<:raw', $path or return undef;
	{ local $/; $data = <$f>; }
	$self->{mode} = (stat $f)[2] & 07777;
	return undef unless $self->{mode} & 0100;
	croak "$path: no queue file" unless $data =~ /^PRQUEUE\n/;
	my ($at, $len, $envelope_at, $envelope_len) =
	    unpack 'q<4', substr $data, 16, 32;
	$self->{content} = substr $data, $at, $len;
	my $e = substr $data, $envelope_at, $envelope_len;
	my @head = _fields(substr $e, 4, unpack 'V', $e);
	@$self{qw(sender origin)} = @head;
	$self->{full_name} = $head[6];
	$self->{envelope_id} = $head[7];
	$self->{return_what} = $head[8];
	$self->{flags} = $head[12];
	$self->{verp} = $head[15];
	$self->{filter} = $head[18];
	substr $e, 0, 4 + unpack('V', $e), '';
	my $count = unpack 'V', substr $e, 0, 4, '';
	for (1 .. $count) {
		push @{ $self->{status} }, substr $e, 0, 1, '';
		my $size = unpack 'V', substr $e, 0, 4, '';
		my ($address, $original, $orcpt, $notify) =
		    _fields(substr $e, 0, $size, '');
		push @{ $self->{recipients} }, $address;
		push @{ $self->{originals} }, $original;
		push @{ $self->{orcpts} }, $orcpt;
		push @{ $self->{notify} }, $notify;
	}
	croak "$path: something follows the last recipient" if length $e;
	return $self;
}

# The file of a message that is queued; qmgr may be moving it.
sub find
{
	my ($class, $mail, $id) = @_;

	for (1 .. 100) {
		my $path = $class->path($mail, $id) // next;
		my $self = $class->read($path) // next;
		return $self;
	} continue {
		select undef, undef, undef, 0.02;
	}
	croak "no file of $id\n" . $mail->log;
}

1;
