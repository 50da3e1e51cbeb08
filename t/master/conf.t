# postrider-conf: what it shows and what it changes.
use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);

my $build = $ENV{BUILD} || 'build';
my $conf = "$build/bin/postrider-conf";
my $dir = tempdir(CLEANUP => 1);
$ENV{POSTRIDER_DAEMON_DIRECTORY} = "$build/bin";
delete $ENV{MAIL_CONFIG};

# Run it; (exit status, standard output, standard error).
sub conf {
	my @arguments = @_;
	my $pid = fork() // die "fork: $!";
	if ($pid == 0) {
		open STDOUT, '>', "$dir/out" or die;
		open STDERR, '>', "$dir/err" or die;
		exec $conf, @arguments or exit 99;
	}
	waitpid $pid, 0;
	return ($? >> 8, slurp("$dir/out"), slurp("$dir/err"));
}

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!";
	local $/;
	return scalar <$file>;
}

sub spew {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "$path: $!";
	print $file $text;
	close $file or die;
}

# The output for a main.cf with this text; nothing may be complained of.
sub shows {
	my ($text, $arguments, $expected, $name) = @_;
	spew("$dir/main.cf", $text);
	my ($status, $out, $err) = conf('-c', $dir, @$arguments);
	is($out, $expected, $name);
	is($err, '', "$name: without complaint");
	is($status, 0, "$name: exit 0");
}

my $text = <<"END";
# head
myhostname = mail.example.com
mydestination = \$myhostname,
# inside
	localhost.\$mydomain,   localhost
relayhost =
END

my $own = "config_directory = $dir\n";	# as -c sets it
shows($text, ['-n'], "${own}mydestination = \$myhostname, localhost.\$mydomain, "
    . "localhost\nmyhostname = mail.example.com\nrelayhost =\n",
    '-n shows what is set, sorted');
shows($text, ['-nx', 'mydestination'], "mydestination = mail.example.com, "
    . "localhost.example.com, localhost\n", '-x expands');
shows($text, ['-h', 'mydomain', 'relayhost'], "example.com\n\n",
    '-h leaves the names out');
shows($text, ['-H', 'mydomain', 'relayhost'], "mydomain\nrelayhost\n",
    '-H leaves the values out');
shows($text, ['-d', 'mydestination'], "mydestination = \$myhostname, "
    . "localhost.\$mydomain, localhost\n", '-d shows defaults');
shows($text, ['-o', 'myhostname=a.b.example', 'myhostname', 'mydomain'],
    "myhostname = a.b.example\nmydomain = b.example\n",
    '-o overrides');
shows("mynetworks = " . join(', ', map { "192.0.2.$_" } 1 .. 9) . "\n",
    ['-nf'], "${own}mynetworks = 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, "
    . "192.0.2.5, "
    . "192.0.2.6,\n    192.0.2.7, 192.0.2.8, 192.0.2.9\n",
    '-f folds');
shows("mine = x\nmydestination = \$mine\n", ['-n'],
    "${own}mine = x\nmydestination = \$mine\n", 'names of one\'s own are shown');
shows('', ['-h', 'virtual_minimum_uid'], "100\n",
    'a parameter that does not act has its default');

{
	spew("$dir/main.cf", "");
	local $ENV{MAIL_CONFIG} = $dir;
	my ($status, $out) = conf('-h', 'config_directory');
	is($out, "$dir\n", 'MAIL_CONFIG names the directory');
}
{
	my ($status, $out, $err) = conf('-c', $dir, 'no_such_name');
	is($out, '', 'an unknown name shows nothing');
	is($err, "postrider-conf: warning: no_such_name: unknown parameter\n",
	    'an unknown name is told');
}
{
	spew("$dir/main.cf", "mydestnation = x\nsmtpd_milters = y\n"
	    . "default_process_limit = many\n");
	my ($status, $out, $err) = conf('-c', $dir, '-n');
	like($err, qr/main\.cf:1: mydestnation is not a parameter\n/,
	    'a name that means nothing is told');
	like($err, qr/main\.cf:2: smtpd_milters = y is not supported yet/,
	    'a setting that is not supported is told');
	like($err, qr/main\.cf:3: default_process_limit = many: expected/,
	    'a bad value is told');
	is($status, 0, 'and what can be shown is shown');
}
{
	my ($status, $out, $err) = conf('-c', "$dir/none", '-n');
	is($status, 1, 'no main.cf, exit 1');
	like($err, qr/none\/main\.cf: No such file/, 'and it is told');
}

# Changes.
sub changes {
	my ($before, $arguments, $after, $name) = @_;
	spew("$dir/main.cf", $before);
	my ($status, $out, $err) = conf('-c', $dir, @$arguments);
	is($err, '', "$name: without complaint");
	is($status, 0, "$name: exit 0");
	is(slurp("$dir/main.cf"), $after, $name);
}

changes($text, ['-e', 'mydestination = a, b'], <<"END",
# head
myhostname = mail.example.com
mydestination = a, b
# inside
relayhost =
END
    '-e changes a value and keeps comments and order');
changes($text, ['relayhost=[x]', 'myorigin=$mydomain'],
    $text =~ s/relayhost =/relayhost = [x]/r . "myorigin = \$mydomain\n",
    '-e may be left out, new names go to the end');
changes($text, ['-X', 'mydestination'],
    "# head\nmyhostname = mail.example.com\n# inside\nrelayhost =\n",
    '-X removes');
changes($text, ['-#', 'myhostname'], $text =~ s/^myhost/#myhost/mr,
    '-# comments out');
{
	spew("$dir/main.cf", $text);
	my ($status, $out, $err) = conf('-c', $dir, '-e', 'relayhost=[x]',
	    'default_process_limit=0');
	is($status, 1, 'a bad value is refused');
	like($err, qr/default_process_limit = 0: expected .*1 .*1000000/,
	    'with its bounds');
	is(slurp("$dir/main.cf"), $text, 'and nothing changes');
	($status, $out, $err) = conf('-c', $dir, '-e', 'relayhost');
	is($status, 1, '-e wants name=value');
	($status, $out, $err) = conf('-c', $dir, '-X', 'relayhost=x');
	is($status, 1, '-X wants a name');
	($status, $out, $err) = conf('-c', $dir, '-e');
	is($status, 1, '-e alone is a mistake');
	like($err, qr/^usage: /m, 'and shows how');
}

# Services.
spew("$dir/master.cf", <<'END');
# head
smtp      inet  n       -       n       -       -       smtpd
    -o { smtpd_banner = a b }
    -o syslog_name=x
relay unix - - n - 2 smtp
a-very-long-name unix - n n - 10 pipe user=x argv=/bin/y ${recipient}
END
spew("$dir/main.cf", '');
{
	my ($status, $out, $err) = conf('-c', $dir, '-M');
	is($out, <<'END', '-M shows services in columns');
smtp       inet  n       -       n       -       -       smtpd -o {smtpd_banner=a b} -o syslog_name=x
relay      unix  -       -       n       -       2       smtp
a-very-long-name unix -  n       n       -       10      pipe user=x argv=/bin/y ${recipient}
END
	($status, $out, $err) = conf('-c', $dir, '-Mf', 'smtp/inet');
	is($out, <<'END', '-Mf shows options in lines of their own');
smtp       inet  n       -       n       -       -       smtpd
    -o {smtpd_banner=a b}
    -o syslog_name=x
END
	($status, $out, $err) = conf('-c', $dir, '-M', 'no/unix');
	like($err, qr/unmatched request: "no\/unix"/,
	    '-M tells what it does not find');
}

# The table of all parameters and the rows of the programs agree.
{
	my (%standing, %default);
	for (split /\n/, slurp('common/param/known.tsv')) {
		my ($name, $standing, undef, undef, $default) = split /\t/;
		$standing{$name} = $standing;
		$default{$name} = $default =~ s/\s+/ /gr;
	}
	my ($status, $out, $err) = conf('-d', '-C', 'builtin');
	my %row = map { /^(\S+) = ?(.*)$/ ? ($1, $2) : () }
	    map { s/ =$/ = /r } split /\n/, $out;
	my @wrong = grep { ($standing{$_} // 'unknown') ne 'acts' }
	    sort keys %row;
	is("@wrong", '', 'every parameter that a program declares acts');
	my @missing = grep {
		$standing{$_} eq 'acts' && !exists $row{$_} && !/^\*/
	} sort keys %standing;
	is("@missing", '', 'every parameter that acts is declared');
	my @other = map { "$_: table $default{$_}, row $row{$_}" } grep {
		$default{$_} ne '' && exists $row{$_}
		    && $default{$_} ne $row{$_}
	} sort keys %default;
	is("@other", '', 'the table and the rows have the same defaults');
	is($err, '', 'every program tells its parameters');
	($status, $out, $err) = conf('--manual');
	my @items = $out =~ /^\.It Ic (\S+)$/mg;
	is_deeply(\@items, [ sort keys %row ], 'the manual has them all');
}

done_testing();
