# lmtp.t - mail to a real Dovecot by LMTP: into Maildirs, with an answer for
# each recipient.
#
# A Dovecot that is installed is used with a configuration of its own; without
# one its packages are unpacked (not installed: that would start a service),
# and seen as if they were installed by this Dovecot alone.

use strict;
use warnings;

use lib 't/lib';
use Cwd qw(abs_path);
use File::Path qw(make_path);
use Postrider qw(free_port is_alive need_root slurp spew wait_for);
use Test::More;

need_root();		# dovecot wants users

# --- dovecot ----------------------------------------------------------------------

my @before;		# words before the command

# What to write before "dovecot" so that it is found; undef when there is none.
sub find_dovecot
{
	return () if -x '/usr/sbin/dovecot' && -x '/usr/lib/dovecot/lmtp';
	my $build = abs_path($ENV{BUILD} // 'build');
	my ($to) = grep { -x "$_/usr/lib/dovecot/lmtp" } "$build/dovecot",
	    abs_path("$build/..") . '/dovecot', abs_path('.') .
	    '/build/dovecot';
	defined $to or plan skip_all =>
	    'dovecot-lmtpd is not there (make test-deps)';
	my @words = ('unshare', '-m', '--propagation', 'private', 'sh', '-c',
	    "mount -t overlay overlay -o lowerdir=$to/usr:/usr /usr && " .
	    'exec "$0" "$@"');
	system(@words, 'true') == 0
	    or plan skip_all => 'there are no mount namespaces here';
	return @words;
}
@before = find_dovecot();

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', virtual_mailbox_domains => 'box.test',
	minimal_backoff_time => '2s', maximal_backoff_time => '2s',
	queue_run_delay => '1s', local_recipient_maps => '' });
my $dir = "$mail->{dir}/dovecot";
my ($uid, $gid) = (getpwnam $mail->user(1))[2, 3];
my $port = free_port();
make_path("$dir/base", "$dir/mail");
chmod 0755, $dir, "$dir/mail";
chown $uid, $gid, "$dir/mail";

# Everything it has is in $dir. "full" may have one message of a kilobyte.
spew("$dir/conf", <<"END");
base_dir = $dir/base
state_dir = $dir/base
log_path = $dir/log
protocols = lmtp
ssl = no
default_internal_user = @{[ $mail->user(1) ]}
default_internal_group = @{[ scalar getgrgid $gid ]}
default_login_user = @{[ $mail->user(0) ]}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:$dir/mail/%n
mail_uid = $uid
mail_gid = $gid
auth_username_format = %n
mail_plugins = quota
plugin {
	quota = maildir:User quota
	quota_grace = 0
}
passdb {
	driver = passwd-file
	args = $dir/users
}
userdb {
	driver = passwd-file
	args = $dir/users
}
service lmtp {
	inet_listener lmtp {
		address = 127.0.0.1
		port = $port
	}
	unix_listener $dir/lmtp.sock {
		mode = 0666
	}
}
service stats {
	chroot =
}
END
spew("$dir/users", join '', map {
	"${_}:::::$dir/mail/${_}::" . (/full/ ? 'userdb_quota_rule=*:storage=1K'
	    : '') . "\n"
} qw(carol dave erin full));
chmod 0644, "$dir/users";

my $pid;
sub start_dovecot
{
	$pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDOUT, '>>', "$dir/out";
		open STDERR, '>&', \*STDOUT;
		exec @before, '/usr/sbin/dovecot', '-F', '-c', "$dir/conf"
		    or POSIX::_exit(127);
	}
	wait_for(sub {
		return 1 if IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $port);
		die slurp("$dir/out") . slurp("$dir/log")
		    if waitpid($pid, 1) == $pid;
	}, 30, 'dovecot to listen');
}
sub stop_dovecot
{
	return unless defined $pid;
	kill 'TERM', $pid;
	wait_for(sub { waitpid($pid, 1); !is_alive($pid) }, 15,
	    'the end of dovecot');
	undef $pid;
}
END { local $?; eval { stop_dovecot() } }

sub boxes { return scalar(my @all = $mail->maildir("$dir/mail/$_[0]")) }

start_dovecot();
my $back = $mail->sink;
my $transports = $mail->etc . '/transport';
spew($transports, "back.test smtp:[127.0.0.1]:@{[ $back->port ]}\n");
$mail->set(transport_maps => "texthash:$transports",
    virtual_transport => "lmtp:unix:$dir/lmtp.sock");
$mail->start;

# --- the claims -----------------------------------------------------------------

sub post
{
	my ($from, $text, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to, text => $text);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# The same over each kind of connection.
sub try_all
{
	my ($kind, $relay) = @_;
	my $before = boxes('carol');
	my $from = "$kind\@back.test";

	my $id = post($from, "Subject: $kind\n\n.dot\nHello.\n",
	    'carol@box.test');
	$mail->wait_log(qr/lmtp\[\d+\]: $id: to=<carol\@box\.test>, relay=$relay.*, dsn=2\.0\.0, status=sent \(250 2\.0\.0 <carol\@box\.test> \S+ Saved\)/, 20);
	$mail->wait_log(qr/$id: removed/);
	is(boxes('carol'), $before + 1, 'a message is in the Maildir');
	my ($text) = grep { /^Subject: $kind\r?$/m }
	    $mail->maildir("$dir/mail/carol");
	like($text, qr/^Return-Path: <\Q$from\E>\r?$/m, 'with its sender');
	like($text, qr/\n\r?\n\.dot\r?\nHello\.\r?\n\z/, 'as it was');

	# Known, unknown and full mailboxes of one message.
	$id = post($from, "Subject: $kind-many\n\n" . ('x' x 60 . "\n") x 50,
	    map { "$_\@box.test" } qw(dave nobody full erin));
	for (['dave', 'sent', '2.0.0'], ['nobody', 'bounced', '5.1.1'],
	    ['full', 'bounced', '5.2.2'], ['erin', 'sent', '2.0.0']) {
		my ($user, $status, $dsn) = @$_;
		ok($mail->wait_log(qr/$id: to=<$user\@box\.test>, .*dsn=\Q$dsn\E, status=$status /, 20),
		    "$user: $status");
	}
	$mail->wait_log(qr/$id: removed/);
	is(scalar(grep { /^Subject: $kind-many\r?$/m }
	    $mail->maildir("$dir/mail/$_")), 1, "$_ has it once")
	    for qw(dave erin);
	is(boxes('full'), 0, 'the full one has not');
	wait_for(sub { grep { $_->{rcpt}[0] eq $from } $back->messages }, 10,
	    'the report');
	my ($report) = grep { $_->{rcpt}[0] eq $from } $back->messages;
	is_deeply([sort $report->{data} =~
	    /^Final-Recipient: rfc822; (\S+)\r$/mg],
	    ['full@box.test', 'nobody@box.test'], 'its sender knows of two');
	is_deeply([sort $report->{data} =~ /^Status: (\S+)\r$/mg],
	    ['5.1.1', '5.2.2'], 'and why');
}

subtest 'over a UNIX socket' => sub {
	try_all('unix', qr/[^,]*\Q$dir\E\/lmtp\.sock[^,]*/);
};

subtest 'over TCP' => sub {
	$mail->set(virtual_transport => "lmtp:inet:127.0.0.1:$port");
	$mail->reload;
	try_all('tcp', qr/127\.0\.0\.1\[127\.0\.0\.1\]:$port/);
};

subtest 'many messages at once' => sub {
	my $before = boxes('carol');
	my $client = $mail->client;

	$client->expect(220);
	$client->command('EHLO client.test', 250);
	for (1 .. 40) {
		$client->script('MAIL FROM:<al@back.test>' => 250,
		    'RCPT TO:<carol@box.test>' => 250, DATA => 354);
		$client->data("Subject: $_\n\nx\n");
	}
	$client->command('QUIT', 221);
	$mail->wait_empty(30);
	is(boxes('carol') - $before, 40, 'all are there, once');
};

subtest 'while dovecot is away mail waits' => sub {
	for my $to ("lmtp:inet:127.0.0.1:$port", "lmtp:unix:$dir/lmtp.sock") {
		$mail->set(virtual_transport => $to);
		$mail->reload;
		stop_dovecot();
		my $before = boxes('carol');
		my $id = post('al@back.test', "Subject: later\n\nx\n",
		    'carol@box.test');
		$mail->wait_log(qr/$id: to=<carol\@box\.test>, relay=none, .*dsn=4\.4\.1, status=deferred/, 20);
		start_dovecot();
		$mail->wait_log(qr/$id: removed/, 30);
		is(boxes('carol'), $before + 1, "$to: it comes later");
	}
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
