package Postrider::Scram;

# The client's side of SCRAM-SHA-256, written from RFC 5802 once more, for
# tests of ours.
#
#	my $c = Postrider::Scram->new(user => 'ann', password => 'sesame',
#	    binding => ['tls-exporter', $bytes]);
#	$c->first; $c->final($challenge); $c->is_server($last)

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 sha256);
use MIME::Base64 qw(encode_base64 decode_base64);

my $count = 0;

# header: another gs2 header than the one that fits.
sub new
{
	my ($class, %o) = @_;
	my $c = bless { nonce => "nonce$$." . ++$count, %o }, $class;

	$c->{header} //= $o{binding} ? "p=$o{binding}[0],," : 'n,,';
	return $c;
}

sub first
{
	my ($c) = @_;

	$c->{bare} = "n=$c->{user},r=$c->{nonce}";
	return $c->{header} . $c->{bare};
}

# PBKDF2 with one block.
sub salted
{
	my ($password, $salt, $iterations) = @_;
	my $u = hmac_sha256($salt . pack('N', 1), $password);
	my $all = $u;

	for (2 .. $iterations) {
		$u = hmac_sha256($u, $password);
		$all ^= $u;
	}
	return $all;
}

# What the server says of the verifier.
sub parse
{
	my ($challenge) = @_;

	my @parts = $challenge =~ /^r=([^,]+),s=([^,]+),i=(\d+)$/;
	die "no challenge: $challenge" if !@parts;
	return @parts;
}

sub final
{
	my ($c, $challenge) = @_;
	my ($nonce, $salt, $iterations) = parse($challenge);
	my $key = salted($c->{password}, decode_base64($salt), $iterations);
	my $client = hmac_sha256('Client Key', $key);
	my $bound = $c->{header} . ($c->{binding} ? $c->{binding}[1] : '');
	my $last = 'c=' . encode_base64($bound, '') . ",r=$nonce";
	my $all = "$c->{bare},$challenge,$last";

	$c->{signature} = hmac_sha256($all, hmac_sha256('Server Key', $key));
	return "$last,p=" . encode_base64($client ^
	    hmac_sha256($all, sha256($client)), '');
}

sub is_server
{
	my ($c, $last) = @_;

	return $last eq 'v=' . encode_base64($c->{signature}, '');
}

1;
