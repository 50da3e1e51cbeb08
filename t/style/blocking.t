# blocking.t - what smtpd, smtp and other fiber programs link may not block.
use strict;
use warnings;
use Test::More;

my $bin = "$ENV{BUILD}/bin";

# Calls that stop every session of a process while they last.
my @blocking = qw(sleep usleep nanosleep poll select getaddrinfo gethostbyname
    gethostbyname_r gethostbyaddr getnameinfo res_query res_search res_nquery
    system popen wait waitpid sem_wait pause sigsuspend flock lockf);
my @users = qw(getpwnam getpwuid getgrnam getgrgid);
my @syncs = qw(fsync fdatasync sync syncfs sync_file_range);

# What a program may call all the same, with the reason. Start-up, before the
# event loop, is common/daemon's: it looks its user up and reads files.
my %start = map { $_ => 'common/daemon before the jail' } @users;
my %threads = map { $_ => 'common/fiber/offload, on threads' }
    qw(fsync sem_wait);
my %reason = (
	smtpd	=> { %start },
	smtp	=> { %start },
	anvil	=> { %start },
	cleanup	=> { %start, %threads,
	    flock => 'one try without waiting, on its own new file' },
	qmgr	=> { %start, %threads,
	    flock => 'one try without waiting, at start' },
	bounce	=> { %start },
	local	=> { %start },
	error	=> { %start },
);

sub undefined_symbols {
	my ($program) = @_;
	my %found;
	open my $nm, '-|', 'nm', '-uD', "$bin/$program" or die "nm: $!";
	while (<$nm>) {
		$found{$1} = 1 if /\bU (\w+)/;
	}
	return %found;
}

for my $program (sort keys %reason) {
	my %calls = undefined_symbols($program);
	cmp_ok(scalar keys %calls, '>', 20, "$program: the test sees calls");
	my @bad = grep { $calls{$_} && !$reason{$program}{$_} }
	    @blocking, @users, @syncs;
	is("@bad", '', "$program links no call that blocks");
}

# What links what: the set-id program stays small; nobody but resolve and its
# tool reads tables.
sub libraries {
	my ($program) = @_;
	return join ' ', map { /NEEDED.*\[(.*?)\]/ ? $1 : () }
	    `readelf -d $bin/$program`;
}
unlike(libraries('postdrop'), qr/crypto|libdb|unbound|pcre|lmdb|libcdb/,
    'postdrop links no library of tables or cryptography');
for my $program (qw(smtpd smtp qmgr cleanup pickup local helper mailbox)) {
	unlike(libraries($program), qr/libdb|pcre|lmdb|unbound|libcdb/,
	    "$program links no library of tables or DNS");
}
done_testing();
