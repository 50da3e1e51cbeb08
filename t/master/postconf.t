# postconf.t - the same files, postconf's output and ours.
#
# Debian's postconf (3.7) is asked beside postrider-conf; what differs is
# listed with its reason. The texts of warnings are not compared.
use strict;
use warnings;
use Test::More;
use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Postrider qw(slurp spew);
use Postrider::Postfix;

my $theirs = Postrider::Postfix->new
    or plan skip_all => 'no Postfix: ' . Postrider::Postfix::why();
my $build = abs_path($ENV{BUILD} // 'build');
my $postfix = $theirs->{unpacked};
my $dir = tempdir(CLEANUP => 1);

$ENV{POSTRIDER_DAEMON_DIRECTORY} = "$build/bin";
$ENV{LD_LIBRARY_PATH} = "$postfix/usr/lib/postfix";
delete $ENV{MAIL_CONFIG};
symlink "$build/bin/postrider-conf", "$dir/postconf" or die;

# Run one of them in a directory: (exit status, output).
sub run {
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

my $main = <<"END";
# the head of the file
myhostname = mail.example.com
mail_owner = prt-postfix
setgid_group = prt-postdrop
meta_directory = $postfix/etc/postfix
shlib_directory = no

mydestination = \$myhostname,
# a comment inside
	localhost.\$mydomain,   localhost
relayhost =
mynetworks = 127.0.0.0/8 10.0.0.0/8 192.168.0.0/16 172.16.0.0/12 [::1]/128 192.0.2.0/24 198.51.100.0/24
mine = x \$myhostname
smtpd_banner = \$mine ESMTP
#relayhost = [commented]
fancy_destination_concurrency_limit = 4
smtpd_restriction_classes = myclass
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, myclass, check_client_access cidr:/etc/x
myclass = permit
smtpd_timeout = \${stress?{10}:{300}}s
mylevel = may
END
my $master = <<'END';
# the head
smtp      inet  n       -       n       -       -       smtpd
    -o { smtpd_banner = a b }
# a comment inside
    -o syslog_name=x -v
    -o smtpd_tls_security_level=$mylevel
relay unix - - n - 2 smtp
a-very-long-name unix - n n - 10 pipe flags=DRhu user=x argv=/bin/y ${recipient}
  ${sender}
#submission inet n - y - - smtpd
fancy unix - - n - - smtp -o smtp_helo_name=$myhostname -o smtp_bind_address=127.0.0.1 -o smtp_helo_timeout=9 -osmtp_x=4
127.0.0.1:10025 inet n - n - - smtpd -o content_filter=
[::1]:10026 inet n - n - - smtpd -v -v -o a=b -v
b unix - - n - - smtp -o a=b foo bar
c unix - - n - - pipe -v flags=x user=y
d unix - - n - - pipe flags=x {user = y} argv={ /bin/x  a b }
e unix - - n - - smtpd -o a=b -o a=c -v -v
f unix - - n - - smtpd -o {a = } -o b=c -vv -o zz=very_long_value_that_goes_past_the_line_limit_of_a_terminal_and_more
policy unix - n n - 0 spawn user=nobody argv=/usr/bin/perl /usr/sbin/postgrey a-long-argument another-long-argument yet-another-long -o x=y
wake unix - - n 300? 1 smtp -o {k={b c}}
END

sub files {
	my ($to) = @_;
	mkdir $to;
	spew("$to/main.cf", $main);
	spew("$to/master.cf", $master);
	spew("$to/dynamicmaps.cf", '');
	return $to;
}

my $in = files("$dir/conf");

# --- the same output -----------------------------------------------------------

for my $words (
    ['-n'], ['-nf'], ['-nx'], ['-nh'], ['-nH'], ['-nC', 'user'],
    ['-nC', 'builtin'], ['-nC', 'service'], ['-n', 'mydomain', 'relayhost'],
    ['-h', 'mydomain'], ['-H', 'mydomain', 'relayhost'], ['-d', 'relayhost'],
    ['-d', 'mydestination'], ['-dh', 'mydestination'], ['-x', 'mydestination'],
    ['-p', 'relayhost'], ['mail_owner', 'smtpd_banner'], ['no_such_name'],
    ['-h', 'no_such_name', 'mydomain'], ['-x', '-o', 'stress=yes',
    'smtpd_timeout'], ['-x', 'smtpd_timeout'], ['-hx', '-o', 'mydomain=a.b',
    'mydestination'], ['-dn'], ['-ne', 'a=b'], ['-e'], ['-C', 'wrong'],
    ['-h', 'relay_destination_recipient_limit', 'fancy_recipient_limit',
    'policy_time_limit'], ['-xh', 'fancy_destination_concurrency_limit'],
    ['-M'], ['-Mf'], ['-Mx'], ['-Mfx'], ['-M', 'smtp/inet'], ['-M', 'smtp'],
    ['-M', '*/inet'], ['-M', '[::1]:10026'], ['-Mf', 'fancy/unix', 'relay'],
    ['-M', 'nothing'], ['-Md'], ['-Mn'], ['-MF'],
    ['-F'], ['-Ff'], ['-FH'], ['-Fh', 'smtp/inet', 'relay/unix'],
    ['-F', 'smtp/inet/command'], ['-F', '*/inet/chroot'], ['-F', 'fancy'],
    ['-F', '*/*/private', 'relay'],
    ['-M', 'relay', 'relay/unix', '*'], ['-P', 'fancy', '*/*/smtp_x'], ['-F', 'smtp/inet/nothing'],
    ['-F', 'nothing/inet'],
    ['-P'], ['-Pf'], ['-Px'], ['-Ph', 'smtp'], ['-PH', 'smtp'],
    ['-P', 'smtp/inet/syslog_name'], ['-P', 'fancy'], ['-P', '*/*/a'],
    ['-P', 'smtp/inet/nothing'], ['-P', 'e/unix/a'],
    ['-T', 'run-version'], ['-T', 'public-key-algorithms'], ['-T', 'x'],
    ['-P#', 'smtp/inet/x'], ['-F#', 'smtp/inet/chroot'],
    ['-FX', 'smtp/inet/chroot'], ['-Z'],
) {
	my @a = postconf($in, @$words);
	my @b = ours($in, @$words);
	is_deeply(\@b, \@a, "postconf @$words");
}

# Every setting of a transport that both know.
{
	my ($status, $text) = postconf($in, '-C', 'service');
	my %is = map { /^(\S+) = ?(.*)$/ } split /\n/, $text;
	my (undef, $own) = ours($in, '-C', 'service');
	my %ours = map { /^(\S+) = ?(.*)$/ } split /\n/, $own;
	my @wrong = grep { ($ours{$_} // 'missing') ne $is{$_} }
	    grep { !/_transport_rate_delay$/ || exists $ours{$_} } sort keys %is;
	is("@wrong", '', 'the settings of transports: ' . keys %is);
}

# --- defaults -----------------------------------------------------------------

# What differs on purpose, or not yet.
my %reason = map { my ($why, @names) = @$_; map { $_ => $why } @names } (
	[ 'our own names and places', qw(config_directory daemon_directory
	    data_directory queue_directory mail_owner setgid_group syslog_name
	    mail_version mail_name html_directory readme_directory
	    sendmail_path mailq_path newaliases_path manpage_directory) ],
	[ 'the newest level of compatibility is the default',
	    qw(compatibility_level) ],
	[ 'safer: this machine alone, unless the level is an old one',
	    qw(mynetworks mynetworks_style) ],
	[ 'a process holds many sessions', qw(default_process_limit) ],
	[ 'no NIS', qw(alias_maps) ],
	[ 'safer', qw(smtpd_forbid_bare_newline smtpd_per_request_deadline) ],
	[ 'RFC 9325: TLS 1.2 at least, and the order of the server',
	    qw(smtpd_tls_protocols smtpd_tls_mandatory_protocols
	    smtp_tls_protocols smtp_tls_mandatory_protocols
	    lmtp_tls_protocols lmtp_tls_mandatory_protocols
	    tls_preempt_cipherlist) ],
	[ 'RFC 9525: a wildcard is one label',
	    qw(tls_wildcard_matches_multiple_labels) ],
	[ 'MD5 is no fingerprint any more, whatever the level',
	    qw(smtpd_tls_fingerprint_digest smtp_tls_fingerprint_digest
	    lmtp_tls_fingerprint_digest) ],
	[ 'there is no Cyrus SASL', qw(smtpd_sasl_type) ],
	[ 'RFC 6531 3.7.1 asks for it', qw(strict_smtputf8) ],
	[ 'a packet is answered at once', qw(ipc_timeout) ],
	[ 'the environment has other names', qw(import_environment) ],
	[ 'reports join their threads', qw(enable_threaded_bounces) ],
	[ 'the load decides, not the environment', qw(smtpd_timeout
	    smtpd_hard_error_limit smtpd_junk_command_limit) ],
	[ 'the old name is not looked at', qw(virtual_alias_maps
	    smtp_per_request_deadline lmtp_per_request_deadline
	    smtpd_client_event_limit_exceptions smtpd_authorized_verp_clients)
	    ],
);
{
	my (undef, $text) = postconf($in, '-d');
	my %is = map { s/ =$/ = /r =~ /^(\S+) = (.*)$/ } split /\n/, $text;
	my (undef, $own) = ours($in, '-d');
	my %ours = map { s/ =$/ = /r =~ /^(\S+) = (.*)$/ } split /\n/, $own;
	my @both = grep { exists $is{$_} } sort keys %ours;
	cmp_ok(scalar @both, '>', 300, 'parameters that both have: ' . @both);
	my @wrong = grep { $ours{$_} ne $is{$_} && !$reason{$_} } @both;
	diag "$_: postconf: $is{$_}, ours: $ours{$_}" for @wrong;
	is("@wrong", '', 'have the same default, but for those with a reason');
}

# What the older levels mean.
for my $level (qw(0 1 2 2.0 3.5 3.5.9 3.6 3.10 10)) {
	my @names = qw(append_dot_mydomain relay_domains
	    smtpd_relay_restrictions smtpd_banner);
	push @names, 'smtputf8_enable';
	push @names, 'mynetworks_style' if $level =~ /^[01]$/;
	mkdir "$dir/level";
	spew("$dir/level/main.cf", "compatibility_level = $level\n" .
	    "myhostname = a.b.example\nmydestination = one.example\n" .
	    "above = \${{\$compatibility_level} >level {3.9} ? {yes} : {no}}\n" .
	    "upto = \${{\$compatibility_level} <=level {3.5} ? {yes} : {no}}\n" .
	    "same = \${{\$compatibility_level} ==level {2} ? {yes} : {no}}\n" .
	    "other = \${{\$compatibility_level} !=level {3.6} ? {yes} : {no}}\n".
	    "smtpd_banner = x \$above \$upto \$same \$other\n" .
	    "mail_owner = daemon\nsetgid_group = games\n");
	spew("$dir/level/master.cf", '');
	my @is = postconf("$dir/level", '-x', @names);
	my @ours = ours("$dir/level", '-x', @names);
	is("@ours", "@is", "compatibility_level = $level");
}

# --- the same changes -----------------------------------------------------------

# Without comments: those inside of a service stay behind it here; Postfix
# moves them, and those behind it, before it.
sub bare {
	return join '', grep { !/^#[ a-z]/ } split /^/m, $_[0];
}

for my $words (
    ['-e', 'relayhost=[x]', 'new_one=1', 'mydestination = a'],
    ['-e', 'relayhost='], ['-e', 'smtpd_banner=a  b'], ['relayhost=y'],
    ['-#', 'relayhost', 'mydestination', 'nothere'],
    ['-X', 'mydestination', 'nothere'], ['-X', 'relayhost=3'],
    ['-e', 'relayhost'], ['-#', 'relayhost=1'], ['-eX', 'relayhost'],
    ['-Me', 'smtp/inet=smtp inet n - y - - smtpd -o { a = b c } -o x=y'],
    ['-Me', 'new/unix=new unix - - y - - smtp'],
    ['-M', 'relay/unix=relay unix - - y - - smtp -o a=b -v'],
    ['-Me', 'new=other unix - - y - - smtp'],
    ['-Me', 'new/unix=new unix - - y'],
    ['-M#', 'smtp/inet'], ['-M#', 'smtp'], ['-M#', 'fancy/unix', 'no/unix'],
    ['-MX', 'smtp/inet'], ['-MX', 'smtp/*'], ['-MX', '*/inet'],
    ['-Fe', 'smtp/inet/chroot=y'], ['-F', 'relay/unix/process_limit=7'],
    ['-F', 'smtp/inet/command=smtpd -v -o x=y'],
    ['-F', 'smtp/inet/chroot=q'], ['-F', '*/inet/chroot=y'],
    ['-F', 'smtp/*/chroot=y', 'relay/unix/command=lmtp -v'],
    ['-F', 'smtp/inet/nothing=y'], ['-F', 'smtp/inet=y'],
    ['-F', 'new/inet/chroot=y'], ['-F', 'smtp/inet/type=unix'],
    ['-Pe', 'smtp/inet/syslog_name=y'], ['-P', 'smtp/inet/new=z'],
    ['-P', 'smtp/inet/content_filter='],
    ['-P', 'a-very-long-name/unix/syslog_name=q'],
    ['-P', 'fancy/unix/syslog_name=q', 'relay/unix/a=b'],
    ['-P', '127.0.0.1:10025/inet/content_filter=x'],
    ['-P', '*/*/foo=1'], ['-PX', 'smtp/inet/syslog_name'],
    ['-PX', 'smtp/*/syslog_name'], ['-PX', 'fancy/unix/smtp_x'],
) {
	my ($a, $b) = (files("$dir/a"), files("$dir/b"));
	my ($status) = postconf($a, @$words);
	my ($own) = ours($b, @$words);
	is($own, $status, "postconf @$words: exit status");
	is(slurp("$b/main.cf"), slurp("$a/main.cf"),
	    "postconf @$words: main.cf");
	is(bare(slurp("$b/master.cf")), bare(slurp("$a/master.cf")),
	    "postconf @$words: master.cf");
}

# --- what we keep better ----------------------------------------------------------

sub comments { return [ grep { /^#/ } split /^/m, $_[0] ] }
for my $words (['-e', 'mydestination=a'], ['-P', '*/*/foo=1'],
    ['-F', '*/*/chroot=y'], ['-MX', 'smtp/inet'], ['-X', 'relayhost']) {
	my $b = files("$dir/b");
	is((ours($b, @$words))[0], 0, "postconf @$words");
	is_deeply(comments(slurp("$b/$_")), comments($_ eq 'main.cf' ?
	    $main : $master), "every comment of $_ stays") for
	    'main.cf', 'master.cf';
}
{
	my $b = files("$dir/b");
	ours($b, '-PX', 'smtp/inet/nothing');
	ours($b, '-F', 'smtp/inet/chroot=n');
	ours($b, '-PX', 'relay/*/syslog_name');
	is(slurp("$b/master.cf"), $master, 'what is so already stays as it is');
	my ($status) = ours($b, '-P', 'smtp/inet/syslog_name=y z');
	is($status, 0, 'a value with white space');
	is((ours($b, '-Ph', 'smtp/inet/syslog_name'))[1], "y z\n",
	    'is kept, in braces');
	($status) = ours($b, '-Me', 'x/unix=smtp inet n - n - - smtpd');
	is($status, 1, 'a second service of one name is refused');
	chmod 0600, "$b/master.cf";
	ours($b, '-F', 'relay/unix/chroot=y');
	is((stat "$b/master.cf")[2] & 07777, 0600, 'the mode stays');
	symlink "$b/master.cf", "$b/link";
	is(scalar(() = glob "$b/master.cf?*"), 0, 'nothing is left behind');
}

# --- editors at the same time -----------------------------------------------------

{
	my $b = files("$dir/b");
	my @children;
	for my $n (1 .. 8) {
		my $pid = fork // die;
		if ($pid == 0) {
			open STDERR, '>', '/dev/null';
			exec "$dir/postconf", '-c', $b, $n % 2 ?
			    ('-e', "mine_$n = $n") :
			    ('-P', "relay/unix/mine_$n=$n")
			    or POSIX::_exit(127);
		}
		push @children, $pid;
	}
	waitpid $_, 0 for @children;
	my @lost = grep { my $n = $_; ($n % 2 ?
	    slurp("$b/main.cf") : slurp("$b/master.cf")) !~ /mine_$n ?= ?$n$/m
	    } 1 .. 8;
	is("@lost", '', 'eight editors at once lose nothing');
}

done_testing();
