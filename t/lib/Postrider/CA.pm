package Postrider::CA;

# A certificate authority for tests, made on the fly by the openssl command:
#
#	use Postrider::CA;
#	my $ca = Postrider::CA->new($directory);	# made if it is missing
#	my $mx = $ca->issue(name => 'mx.test', san => ['mx.test'],
#	    key => 'ec', days => 30);
#	# $mx->{key} {cert} {chain} {all}: names of PEM files. chain is the
#	# certificate and those between it and the root, all has the key
#	# before them, as smtpd_tls_chain_files wants it.
#	# $ca->file is the root's certificate, for ..._tls_CAfile.
#
# What issue() takes, each with a default:
#
#	name	'mx.test'	the common name; names the files, too
#	file	from name	the start of the files' names
#	san	[name]		DNS names; a number with dots is an address;
#				[] for none; URI:... stays
#	key	'ec'		'rsa' (2048), 'rsa1024', 'rsa3072', 'ec'
#				(P-256), 'p384', 'ed25519', or the file of a
#				key that is there already
#	days	30		until the end; less than 0 has expired (and
#				began ten days before that)
#	starts	-1		days from now until the beginning
#	ca	this one	another Postrider::CA, or 'self' to sign itself
#	client	0		for clients instead of servers
#	extensions		more lines as openssl.cnf has them
#
# $ca->intermediate(name => 'Middle') is an authority under this one, whose
# certificates have it in their chain and $ca->file as their root; `days` and
# `key` as above. $ca->fingerprint($mx->{cert}, 'sha256') is "AB:CD:...", and
# key_fingerprint() that of the public key.

use strict;
use warnings;

use Carp qw(croak);
use POSIX qw(strftime);

# Run openssl; what it printed, or the end of the test.
sub _openssl
{
	my ($self, @words) = @_;
	my $out = "$$self{dir}/openssl.out";

	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDOUT, '>', $out or POSIX::_exit(126);
		open STDERR, '>', "$out.err" or POSIX::_exit(126);
		open STDIN, '<', '/dev/null';
		delete $ENV{OPENSSL_CONF};
		exec 'openssl', @words or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	croak "openssl @words: " . _read("$out.err") if $? != 0;
	return _read($out);
}

sub _read
{
	my ($file) = @_;

	open my $f, '<', $file or croak "$file: $!";
	local $/;
	return <$f> // '';
}

sub _write
{
	my ($file, $text, $mode) = @_;

	unlink $file;
	open my $f, '>', $file or croak "$file: $!";
	chmod $mode // 0644, $file;
	print $f $text;
	close $f or croak "$file: $!";
	return $file;
}

# A private key in a file.
sub make_key
{
	my ($self, $kind, $file) = @_;
	my @words = $kind =~ /^rsa(\d*)$/ ?
	    ('RSA', '-pkeyopt', 'rsa_keygen_bits:' . ($1 || 2048)) :
	    $kind eq 'ec' ? ('EC', '-pkeyopt', 'ec_paramgen_curve:P-256') :
	    $kind eq 'p384' ? ('EC', '-pkeyopt', 'ec_paramgen_curve:P-384') :
	    $kind eq 'ed25519' ? ('ED25519') : croak "key => $kind?";

	_write($file, '', 0600);
	$self->_openssl('genpkey', '-algorithm', @words, '-out', $file);
	return $file;
}

sub _time
{
	my ($days) = @_;

	return strftime('%Y%m%d%H%M%SZ', gmtime(time + $days * 86400));
}

# Sign a request: by ourselves, or by its own key.
sub _sign
{
	my ($self, $key, $subject, $extensions, $days, $starts, $out,
	    $is_self) = @_;
	my $name = "$$self{dir}/work";

	_write("$name.cnf", <<END);
[ca]
default_ca = this
[this]
database = $name.index
rand_serial = yes
new_certs_dir = $$self{dir}
default_md = default
policy = any
unique_subject = no
email_in_dn = no
[any]
commonName = optional
organizationName = optional
[req]
distinguished_name = dn
prompt = no
[dn]
[more]
subjectKeyIdentifier = hash
@{[$is_self ? '' : 'authorityKeyIdentifier = keyid']}
$extensions
END
	_write("$name.index", '');
	_write("$name.index.attr", '');
	$self->_openssl('req', '-new', '-config', "$name.cnf", '-key', $key,
	    '-subj', $subject, '-utf8', '-out', "$name.csr");
	my @who = $is_self ? ('-selfsign', '-keyfile', $key) :
	    ('-keyfile', $$self{key}, '-cert', $$self{cert});
	$self->_openssl('ca', '-batch', '-notext', '-config', "$name.cnf",
	    '-extensions', 'more', '-startdate', _time($starts), '-enddate',
	    _time($days), @who, '-in', "$name.csr", '-out', $out);
	# openssl keeps another copy under its serial number.
	unlink glob("$$self{dir}/[0-9A-F]*[0-9A-F].pem"), glob "$name.*";
	return $out;
}

# What makes a certificate an authority.
sub _authority
{
	my ($class, $above, $dir, %o) = @_;
	my $self = bless { dir => $dir, above => $above }, $class;
	my $name = $o{name} // ($above ? 'Postrider Test Intermediate' :
	    'Postrider Test Root');
	my $base = $dir . '/' . ($o{file} // ($above ? 'intermediate' : 'ca'));

	mkdir $dir, 0755;
	($$self{key}, $$self{cert}) = ("$base.key", "$base.pem");
	return $self if -s $$self{cert};
	$self->make_key($o{key} // 'ec', $$self{key});
	($above // $self)->_sign($$self{key}, "/O=Postrider test/CN=$name",
	    "basicConstraints = critical, CA:TRUE\n" .
	    'keyUsage = critical, keyCertSign, cRLSign', $o{days} // 365,
	    $o{starts} // (($o{days} // 365) < 0 ? $o{days} - 10 : -1),
	    $$self{cert}, !$above);
	return $self;
}

sub new
{
	my ($class, $dir, %o) = @_;

	return $class->_authority(undef, $dir, %o);
}

sub intermediate
{
	my ($self, %o) = @_;

	return ref($self)->_authority($self, $$self{dir}, %o);
}

# The root's certificate.
sub file
{
	my ($self) = @_;

	return $$self{above} ? $$self{above}->file : $$self{cert};
}

# Our own certificate and key, a root's or an intermediate's.
sub cert { return $_[0]{cert} }
sub key { return $_[0]{key} }

# The certificates between what we sign and the root, as text.
sub _between
{
	my ($self) = @_;

	return $$self{above} ? _read($$self{cert}) . $$self{above}->_between :
	    '';
}

sub issue
{
	my ($self, %o) = @_;
	my $name = $o{name} // 'mx.test';
	my $signer = ref $o{ca} ? $o{ca} : $self;
	my $is_self = defined $o{ca} && $o{ca} eq 'self';
	my $days = $o{days} // 30;
	my $kind = $o{key} // 'ec';
	my @san = map { /^URI:/ ? $_ : /^[\d.]+$|:/ ? "IP:$_" : "DNS:$_" }
	    @{ $o{san} // [$name] };
	my $base = $o{file} // $name =~ s/[^\w.-]/_/gr;

	$base = "$$self{dir}/$base";
	# The same name twice is two certificates: files stay as they were.
	my $n = 1;
	my $stem = $base;
	$base = "$stem-" . ++$n while !defined $o{file} && -e "$base.pem";

	my $key = $kind =~ m{/} ? $kind :
	    $self->make_key($kind, "$base.key");
	my $usage = $o{client} ? 'clientAuth' : 'serverAuth';
	$signer->_sign($key, "/CN=$name", join("\n",
	    'basicConstraints = critical, CA:FALSE',
	    "extendedKeyUsage = $usage",
	    @san ? 'subjectAltName = ' . join(',', @san) : (),
	    $o{extensions} // ()), $days,
	    $o{starts} // ($days < 0 ? $days - 10 : -1), "$base.pem",
	    $is_self);

	my $cert = _read("$base.pem");
	my $between = $is_self ? '' : $signer->_between;
	return {
		key => $key, cert => "$base.pem",
		chain => _write("$base.chain.pem", $cert . $between),
		all => _write("$base.all.pem", _read($key) . $cert . $between,
		    0600),
	};
}

# As smtpd_tls_fingerprint_digest and fingerprints in tables write them.
sub fingerprint
{
	my ($self, $cert, $digest) = @_;
	my $text = $self->_openssl('x509', '-in', $cert, '-noout',
	    '-fingerprint', '-' . ($digest // 'sha256'));

	return $text =~ /=([0-9A-F:]+)/ ? $1 : croak $text;
}

sub key_fingerprint
{
	my ($self, $cert, $digest) = @_;
	my $key = "$$self{dir}/work.pub";

	_write("$key.pem", $self->_openssl('x509', '-in', $cert, '-noout',
	    '-pubkey'));
	$self->_openssl('pkey', '-pubin', '-in', "$key.pem", '-outform',
	    'DER', '-out', $key);
	my $text = $self->_openssl('dgst', '-' . ($digest // 'sha256'), $key);
	unlink $key, "$key.pem";
	$text =~ /= ([0-9a-f]+)/ or croak $text;
	return join ':', uc($1) =~ /../g;
}

1;
