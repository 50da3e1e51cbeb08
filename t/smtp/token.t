# token.t - OAuth tokens that a command fetches.
use strict;
use warnings;
use Test::More;
use Postrider;

Postrider::need_root();

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => '1',
	resolve_processes => '1', notify_classes => '',
	smtp_connection_cache_on_demand => 'no',
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	smtp_tls_security_level => 'none',
	smtp_sasl_auth_enable => 'yes',
	smtp_sasl_security_options => 'noanonymous',
	smtp_sender_dependent_authentication => 'yes',
	smtp_sasl_oauth_token_user => 'prt-alice',
	smtp_sasl_oauth_token_time_limit => '2s',
	export_environment => 'SECRET_STORE=here',
}, master => "token unix - n n - - token\n");
my $etc = $mail->etc;
my $log = $mail->dir . '/runs';		# a line for each run
my $sink = $mail->sink(auth => { mechanisms => 'XOAUTH2', user => 'any',
    token => 'x', is_required => 1 }, is_noting => 1, replies => sub {
	my ($verb, $line) = @_;
	return $verb eq 'AUTH' ? '235 2.7.0 welcome' : undef;
});

# The command; what it does depends on the user's name.
my $command = "$etc/fetch";
Postrider::spew($command, <<"END");
#!/usr/bin/perl
use strict;
use warnings;
\$| = 1;
open my \$runs, '>>', '$log' or die "$log: \$!";
my %open = map { \$_ => 1 } grep { defined readlink "/proc/self/fd/\$_" }
    map { m{(\\d+)\$} } glob '/proc/self/fd/*';
my (\$status) = do { open my \$s, '<', '/proc/self/status'; local \$/; <\$s> };
my (\$caps) = \$status =~ /^CapEff:\\s*(\\w+)/m;
delete \$open{fileno \$runs};
my \$groups = \$);
syswrite \$runs, "args=[" . join('|', \@ARGV) . "] uid=\$<,\$> " .
    "groups=\$groups caps=\$caps fds=" .
    join(' ', sort keys %open) . " env=" . join(',', map { "\$_=\$ENV{\$_}" }
    sort keys %ENV) . " cwd=" . readlink('/proc/self/cwd') . "\\n";
my (\$user) = \$ARGV[0] =~ /^user=(.*)\\@/s;
print "tok.\$user.\$\$\\n";
print "3600\\n" if \$user =~ /^long/;
print "3\\n" if \$user eq 'short';
sleep 100 if \$user eq 'hanging';
if (\$user eq 'forking') { my \$p = fork; if (!\$p) { sleep 5 } }
if (\$user eq 'failing') { print STDERR "refresh token expired\\nmore\\n";
    exit 1 }
if (\$user eq 'noisy') { print STDERR 'x' x 200_000, "\\n" }
print 'x' x 100_000, "\\n" if \$user eq 'much';
print "soon\\n" if \$user eq 'wrong';
kill 'KILL', \$\$ if \$user eq 'killed';
END
chmod 0755, $command;
Postrider::spew($log, '');
chmod 0666, $log;
chmod 0755, $etc;

my @users = qw(long short untold hanging failing noisy much wrong killed
    forking);
Postrider::spew("$etc/tokens", join('', map { "$_\@x.test $_\@idp.test\n" }
    @users) . join('', map { "$_->[0] $_->[1]\n" }
    ['dash@x.test', '-rf@idp.test'], ['odd@x.test', 'long;x y$(id)@idp.test'],
    ['table@x.test', 'long@idp.test:table.token'],
    ['many@x.test', 'longmany@idp.test']));
Postrider::spew("$etc/routes", 'host.test smtp:[127.0.0.1]:' . $sink->port .
    "\n");
$mail->set(transport_maps => "texthash:$etc/routes",
    smtp_sasl_token_maps => "texthash:$etc/tokens",
    smtp_sasl_oauth_token_command =>
    "$command user=%u {host %h} 100%% plain");
$mail->start;

sub outcome { return $mail->try_domain('host.test', "$_[0]\@x.test") }
sub runs { return split /\n/, Postrider::slurp($log) }
sub tokens { return map { $_->{auth_lines}[0] =~ /^AUTH XOAUTH2 (\S+)$/ ?
    MIME::Base64::decode_base64($1) =~ tr/\x01/|/r : () } $sink->messages }
require MIME::Base64;

subtest 'a command that works' => sub {
	like(outcome('long'), qr/status=sent/, 'gives a token');
	my ($run) = runs();
	my ($uid, $gid) = (getpwnam 'prt-alice')[2, 3];
	like((tokens())[-1],
	    qr/^user=long\@idp\.test\|auth=Bearer tok\.long\.\d+\|\|$/,
	    'which the host gets');
	like($run, qr/^args=\[user=long\@idp\.test\|host\ 127\.0\.0\.1\|100%
	    \|plain\]/x, 'its words are filled in, each by itself');
	like($run, qr/ uid=$uid,$uid groups=$gid $gid caps=0+ /,
	    'it runs as the user named');
	like($run, qr/ fds=0 1 2 /, 'with three descriptors');
	like($run, qr{ env=PATH=/usr/bin:/bin,SECRET_STORE=here cwd=/$},
	    'and its own environment');
	like(outcome('long'), qr/status=sent/, 'the next mail');
	is(scalar(runs()), 1, 'uses the same token');
};

subtest 'one that is over' => sub {
	my $before = runs();
	outcome('short');
	is(runs(), $before + 1, 'a token for three seconds');
	Postrider::wait_for(sub { outcome('short');
	    runs() == $before + 2 }, 15, 'another run');
	my @different = grep { /short/ } tokens();
	isnt($different[0], $different[-1], 'is fetched again');
};

subtest 'many at once' => sub {
	my $before = runs();
	my @to = map { "m$_\@host.test" } 1 .. 10;
	$mail->send(from => 'many@x.test', to => [$_]) for @to;
	ok($mail->wait_log(qr/to=<\Q$_\E>, relay=.*status=sent/, 20), $_)
	    for @to;
	is(runs(), $before + 1, 'one command for all');
};

subtest 'a token in the table' => sub {
	my $before = runs();
	like(outcome('table'), qr/status=sent/, 'needs no command');
	is(runs(), $before, 'really');
	like((tokens())[-1], qr/Bearer table\.token/, 'it is the one');
};

my $cannot = qr/dsn=4\.7\.0, status=deferred \(SASL authentication failed; /;
subtest 'a command that does not' => sub {
	like(outcome('failing'), qr/${cannot}cannot\ authenticate\ .*command
	    \ failed/x, 'exit status 1 defers');
	ok($mail->said(qr/fetch\ for\ failing\@idp\.test\ at\ 127\.0\.0\.1:
	    \ refresh\ token\ expired$/mx), 'and its complaint is logged');
	my $before = runs();
	outcome('failing');
	is(runs(), $before, 'it is not run again at once');
	like(outcome('killed'), qr/$cannot/, 'a signal does');
	like(outcome('hanging'), qr/$cannot/, 'the end of its time');
	ok($mail->said(qr/process \d+ is killed: its time is over/), 'told');
	like(outcome('much'), qr/$cannot.*too much/, 'too long a token');
	like(outcome('wrong'), qr/$cannot.*no number of seconds/,
	    'what is no token');
	like(outcome('noisy'), qr/status=sent/,
	    'one that says much on standard error works');
	like(outcome('forking'), qr/status=sent/,
	    'and one that leaves a child behind');
};

subtest 'names' => sub {
	my $before = runs();
	like(outcome('dash'), qr/$cannot/, 'nobody is called -rf');
	is(runs(), $before, 'for a command');
	outcome('odd');
	like((runs())[-1], qr/args=\[user=long;x\ y\$\(id\)\@idp\.test\|host
	    \ 127/x, 'no shell sees it');
};

subtest 'settings with a mistake' => sub {
	my %why = (
		smtp_sasl_oauth_token_user => ['root', qr/do not run as root/],
		smtp_sasl_oauth_token_command => ['fetch %u',
		    qr/begins with a slash/],
	);
	for my $name (sort keys %why) {
		my $good = $mail->{settings}{$name};
		$mail->set($name => $why{$name}[0]);
		my ($status, $text) = (0, '');
		eval { $mail->reload; 1 } or $text = $@;
		like($text, qr/$name.*$why{$name}[1]/, $name);
		$mail->set($name => $good);
	}
	$mail->set(smtp_sasl_oauth_token_command => '');
	$mail->reload;
	like(outcome('long'), qr/$cannot.*smtp_sasl_oauth_token_command\ is
	    \ empty/x, 'no command');
};

unlike($mail->log, qr/tok\.\w+\.\d/, 'no token is in the log');
is(join('', grep { !/fetch: process/ } $mail->complaints), '',
    'nothing crashed');
done_testing();
