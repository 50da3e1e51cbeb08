# pairs.t - ten main.cf and master.cf as sites have them (t/master/pairs): what
# Debian's postconf prints of them, and what it leaves behind when it edits them,
# is what ours does.

use strict;
use warnings;

use lib 't/lib';
use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use Postrider qw(slurp spew);
use Postrider::Postfix;
use Test::More;

my $theirs = Postrider::Postfix->new
    or plan skip_all => 'no Postfix: ' . Postrider::Postfix::why();
my $build = abs_path($ENV{BUILD} // 'build');
my $postfix = $theirs->{unpacked};
my $dir = tempdir(CLEANUP => 1);
my $pairs = abs_path('t/master/pairs');

$ENV{POSTRIDER_DAEMON_DIRECTORY} = "$build/bin";
$ENV{LD_LIBRARY_PATH} = "$postfix/usr/lib/postfix";
delete $ENV{MAIL_CONFIG};
symlink "$build/bin/postrider-conf", "$dir/postconf" or die;

# (exit status, output) of one of the programs in a directory.
sub run
{
	my ($program, $in, @words) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/out";
		open STDERR, '>', "$dir/err";
		chdir $in or die;
		exec $program, '-c', '.', @words or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return ($? >> 8, slurp("$dir/out"));
}
sub postconf { return run("$postfix/usr/sbin/postconf", @_) }
sub ours { return run("$dir/postconf", @_) }

# A copy of the pair.
sub files
{
	my ($pair, $to) = @_;

	remove_tree($to);
	mkdir $to or die;
	copy("$pairs/$pair/$_", "$to/$_") or die for 'main.cf', 'master.cf';
	spew("$to/dynamicmaps.cf", '');
	spew("$to/main.cf", slurp("$to/main.cf") .
	    "meta_directory = $postfix/etc/postfix\nmail_name = Postfix\n" .
	    "data_directory = /var/lib/postfix\n");
	return $to;
}

# Each program has its own.
my $own = qr/^(?:mail_version|html_directory|readme_directory)$/;

# The names of main.cf that both programs know.
sub both_know
{
	my ($in) = @_;
	my %ours = map { /^(\S+)/ ? ($1 => 1) : () } split /\n/,
	    (ours($in, '-d'))[1];

	return map { $_ => 1 } grep { $ours{$_} && !/$own/ } map {
	    /^(\S+) =/ ? $1 : () } split /\n/, (postconf($in, '-d'))[1];
}

# A service that is as it is to be already stays as it stands here, and the
# comments among its lines stay there; Postfix writes it again and moves them.
# So the services are compared with their white space made one, and the comments
# with what they were.
sub services
{
	my ($text) = @_;

	return join "\n", map { s/\s+/ /gr =~ s/ $//r =~ s/\{ | \}/\{/gr =~
	    s/\{|\}|(?<=-o) //gr =~ s/ ?= ?/=/gr } split /^(?=\S)/m, join '',
	    grep { !/^\s*#|^\s*$/ } split /^/m, $text;
}
sub comments { return [ grep { /^\s*#/ } split /^/m, $_[0] ] }

opendir my $d, $pairs or die;
my @pairs = sort grep { !/^\./ } readdir $d;
is(scalar @pairs, 10, 'ten pairs');

for my $pair (@pairs) {
	my $in = files($pair, "$dir/conf");
	my @services = map { /^([^\s#]\S*)\s+(\S+)/ ? "$1/$2" : () }
	    split /\n/, (postconf($in, '-M'))[1];
	my ($first, $last) = @services[0, -1];

	subtest "$pair: what is printed" => sub {
		for my $words (['-n'], ['-nf'], ['-nx'], ['-nh'], ['-nH'],
		    ['-nC', 'user'], ['-n', 'myhostname', 'relayhost'],
		    ['-h', 'mydestination'], ['-x', 'mydestination', 'myorigin'],
		    ['-xf', 'smtpd_client_restrictions', 'myhostname'],
		    ['-M'], ['-Mf'], ['-Mx'], ['-Mfx'], ['-M', $first],
		    ['-Mf', $last], ['-M', '*/inet'], ['-F'], ['-FH'], ['-Ff'],
		    ['-F', "$first/chroot"], ['-Fh', $first],
		    ['-F', '*/*/process_limit'], ['-P'], ['-Pf'], ['-Px'],
		    ['-PH'], ['-P', $last], ['-P', '*/*/syslog_name'],
		    ['-nf', '-e'], ['-dn']) {
			my @a = postconf($in, @$words);
			my @b = ours($in, @$words);

			is_deeply(\@b, \@a, "postconf @$words");
		}
	};
	subtest "$pair: among all parameters, those that are set" => sub {
		my %known = both_know($in);
		my @set = grep { $known{$_} } map { /^(\S+) =/ ? $1 : () }
		    split /\n/, (postconf($in, '-n'))[1];

		for my $words ([], ['-x']) {
			my ($a, $b) = map { { map { /^(\S+) = ?(.*)$/s }
			    split /\n/, $_ } } (postconf($in, @$words))[1],
			    (ours($in, @$words))[1];

			is_deeply({ map { $_ => $b->{$_} } @set },
			    { map { $_ => $a->{$_} } @set },
			    "postconf @$words");
		}
	};
	subtest "$pair: what is edited" => sub {
		for my $words (['-e', 'relayhost=[x.example]'],
		    ['-e', 'mydestination = a, b'], ['-e', 'new_one=1'],
		    ['mail_owner=y'],
		    ['-#', 'mydestination', 'myhostname'],
		    ['-X', 'mydestination'], ['-X', 'alias_maps', 'mydomain'],
		    ['-e', 'smtpd_client_restrictions = permit'],
		    ['-M', "$first=" . join(' ', split m{/}, $first) .
			' n - y - 7 smtpd -o a=b'],
		    ['-Me', 'new/unix=new unix - - y - - smtp'],
		    ['-M#', $last], ['-MX', $last], ['-MX', $first],
		    ['-F', "$first/chroot=n"], ['-F', "$last/process_limit=3"],
		    ['-F', '*/*/chroot=y'], ['-P', "$first/new_one=x"],
		    ['-P', "$last/syslog_name=z"], ['-PX', '*/*/syslog_name'],
		    ['-PX', "$first/syslog_name"]) {
			my ($a, $b) = (files($pair, "$dir/a"),
			    files($pair, "$dir/b"));
			my ($status) = postconf($a, @$words);
			my ($own_status) = ours($b, @$words);

			is($own_status, $status, "postconf @$words: status");
			is(slurp("$b/main.cf"), slurp("$a/main.cf"),
			    "postconf @$words: main.cf");
			is(services(slurp("$b/master.cf")),
			    services(slurp("$a/master.cf")),
			    "postconf @$words: master.cf");
			is_deeply(comments(slurp("$b/master.cf")),
			    comments(slurp("$pairs/$pair/master.cf")),
			    "postconf @$words: its comments")
			    if "@$words" !~ /^-M[#X]/;
		}
	};
}
done_testing;
