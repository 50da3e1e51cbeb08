package Postrider::Sasl;

# The server's side of AUTH, as a sink has it:
#
#	my $sasl = Postrider::Sasl->new('SCRAM-SHA-256', user => 'alice',
#	    password => 'secret', exporter => $bytes);
#	my ($code, $text) = $sasl->step($response);	# undef: none came
#
# Responses and challenges are without base64. The code is 334 with a challenge,
# 235, 535 or 501. lie => 'proof' makes it one that does not know the password
# and says that all is well; lie => 'silent' leaves its proof out.

use strict;
use warnings;

use Digest::MD5 ();
use Digest::SHA qw(hmac_sha256 sha256);
use MIME::Base64 qw(encode_base64 decode_base64);

my %mechanisms = (
	'PLAIN' => \&_plain, 'LOGIN' => \&_login, 'CRAM-MD5' => \&_cram_md5,
	'SCRAM-SHA-256' => \&_scram, 'SCRAM-SHA-256-PLUS' => \&_scram,
	'XOAUTH2' => \&_xoauth2, 'OAUTHBEARER' => \&_oauthbearer,
);

sub new
{
	my ($class, $mechanism, %o) = @_;

	return bless { %o, mechanism => uc $mechanism, number => 0 }, $class;
}

sub is_known { return exists $mechanisms{uc $_[1]} }

# Who it was, once he said so.
sub who { return $_[0]{who} }

sub step
{
	my ($self, $response) = @_;

	return $mechanisms{$self->{mechanism}}->($self, $response);
}

sub _verdict { return $_[0] ? (235, '') : (535, '') }

sub _plain
{
	my ($self, $said) = @_;

	return (334, '') if !defined $said;
	my ($authorize, $user, $password) = split /\0/, $said, -1;
	$self->{who} = $user;
	return _verdict(defined $password && $authorize eq '' &&
	    $user eq $self->{user} && $password eq $self->{password});
}

sub _login
{
	my ($self, $said) = @_;

	if (!$self->{number}++) {
		return (334, 'Username:') if !defined $said;
	}
	if (!defined $self->{who}) {
		$self->{who} = $said;
		return (334, 'Password:');
	}
	return _verdict($self->{who} eq $self->{user} &&
	    $said eq $self->{password});
}

sub _hmac_md5
{
	my ($data, $key) = @_;

	$key = Digest::MD5::md5($key) if length $key > 64;
	$key .= "\0" x (64 - length $key);
	return unpack 'H*', Digest::MD5::md5(($key ^ "\x5c" x 64) .
	    Digest::MD5::md5(($key ^ "\x36" x 64) . $data));
}

sub _cram_md5
{
	my ($self, $said) = @_;

	if (!defined $said) {
		$self->{challenge} = "<$$." . time . '@sink.test>';
		return (334, $self->{challenge});
	}
	($self->{who}) = $said =~ /^(.*) /s;
	return _verdict($said eq "$self->{user} " .
	    _hmac_md5($self->{challenge}, $self->{password}));
}

# --- SCRAM (RFC 5802, 7677) ---------------------------------------------------

sub _salted
{
	my ($password, $salt, $rounds) = @_;
	my $u = hmac_sha256($salt . pack('N', 1), $password);
	my $result = $u;

	for (2 .. $rounds) {
		$u = hmac_sha256($u, $password);
		$result ^= $u;
	}
	return $result;
}

sub _scram
{
	my ($self, $said) = @_;
	my $number = $self->{number}++;

	return $self->_scram_first($said) if $number == 0;
	return $self->_scram_last($said) if $number == 1;
	return _verdict($number == 2 && $said eq '');
}

sub _scram_first
{
	my ($self, $said) = @_;

	if (!defined $said) {
		$self->{number} = 0;
		return (334, '');
	}
	my ($header, $bare, $user, $nonce) =
	    $said =~ /^([nyp][^,]*,[^,]*,)(n=([^,]*),r=([^,]*))$/
	    or return (501, '');
	@$self{qw(header bare who)} = ($header, $bare, $user);
	return (535, '') if ($header =~ /^p/) !=
	    ($self->{mechanism} =~ /PLUS/);
	$self->{nonce} = $nonce . 'sinksinksink';
	$self->{rounds} //= 4096;
	$self->{salt} = 'saltsaltsalt';
	$self->{first} = $self->{says} // "r=$self->{nonce},s=" .
	    encode_base64($self->{salt}, '') . ",i=$self->{rounds}";
	return (334, $self->{first});
}

sub _scram_last
{
	my ($self, $said) = @_;
	my ($without, $binding, $nonce, $proof) =
	    $said =~ /^(c=([^,]*),r=([^,]*)),p=(.*)$/ or return (501, '');
	my $expected = $self->{header};

	$expected .= $self->{exporter} // '' if $expected =~ /^p/;
	return (235, '') if ($self->{lie} // '') eq 'silent';
	return (334, 'v=' . encode_base64('x' x 32, ''))
	    if ($self->{lie} // '') eq 'proof';
	my $salted = _salted(@$self{qw(password salt rounds)});
	my $stored = sha256(hmac_sha256('Client Key', $salted));
	my $message = "$self->{bare},$self->{first},$without";
	my $key = decode_base64($proof) ^ hmac_sha256($message, $stored);
	return (535, '') unless $nonce eq $self->{nonce} &&
	    decode_base64($binding) eq $expected &&
	    sha256($key) eq $stored && $self->{who} eq $self->{user};
	return (334, 'v=' . encode_base64(hmac_sha256($message,
	    hmac_sha256('Server Key', $salted)), ''));
}

# --- OAuth --------------------------------------------------------------------

# RFC 7628 3.2.2: what is wrong is said first; 535 comes after the answer.
sub _token
{
	my ($self, $is_good, $said, $empty) = @_;

	return (235, '') if $is_good;
	if (!$self->{was_told}++) {
		return (334, '{"status":"invalid_token"}');
	}
	return $said eq $empty ? (535, '') : (501, '');
}

sub _xoauth2
{
	my ($self, $said) = @_;

	return (334, '') if !defined $said;
	$self->{who} = $1 if $said =~ /^user=([^\x01]*)/;
	return $self->_token($said eq "user=$self->{user}\1auth=Bearer " .
	    "$self->{token}\1\1", $said, '');
}

sub _oauthbearer
{
	my ($self, $said) = @_;

	return (334, '') if !defined $said;
	$self->{who} = $1 if $said =~ /^n,a=([^,]*),/;
	my $is_good = $said =~ /^n,a=\Q$self->{user}\E,\x01host=[^\x01]+
	    \x01port=\d+\x01auth=Bearer\ \Q$self->{token}\E\x01\x01$/x;
	return $self->_token($is_good, $said, "\1");
}

1;
