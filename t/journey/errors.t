# errors.t - each mistake gives one clear message and loses nothing.
use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', smtpd_error_sleep_time => '0s',
	smtpd_hard_error_limit => 1000,
});
my $user = $mail->user(0);
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
my $sent = 0;

# The number of the line in main.cf that sets this.
sub line_of {
	my ($name) = @_;
	my $n = 0;
	for (split /\n/, Postrider::slurp($mail->etc . '/main.cf')) {
		$n++;
		return $n if /^\Q$name\E\s*=/;
	}
	die "$name is not set";
}

# How often the log has it.
sub told {
	my ($re) = @_;
	return scalar(() = $mail->log =~ /$re/g);
}

# Mail goes through to the next hop, now or after a short while.
sub flows {
	my ($name) = @_;
	my $n = ++$sent;
	my $reply = Postrider::wait_for(sub { eval { $mail->send(
	    from => 's@local.test', to => ["m$n\@relay.test"]) } }, 15,
	    "a message to be taken: $name\n" . $mail->log);
	Postrider::wait_for(sub { grep { $_->{rcpt}[0] eq "m$n\@relay.test" }
	    $sink->messages }, 15, "the message: $name\n" . $mail->log);
	pass("$name: mail flows");
}

sub rcpt {
	my ($to) = @_;
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@local.test>' => 250);
	my $reply = $c->command("RCPT TO:<$to>");
	$c->command('QUIT', 221);
	return $reply;
}

# Who runs: to see that a refused change touched nobody.
sub pids { return join ' ', sort { $a <=> $b } $mail->children }

# Nobody has been started since; who drained from before may have left.
sub nobody_is_new
{
	my ($before) = @_;
	my %known = map { $_ => 1 } split ' ', $before;

	is(join(' ', grep { !$known{$_} } split ' ', pids()), '',
	    'nothing was restarted');
}

# --- a name that nobody knows -------------------------------------------------

$mail->set(no_such_parameter => 'x');
my $line = line_of('no_such_parameter');
$mail->start;
my $warning = qr/warning: \S*main\.cf:$line: no_such_parameter is not a parameter\n/;
$mail->wait_log($warning);
flows('an unknown parameter');
is(told($warning), 1, 'an unknown parameter is one warning with its place');
$mail->set(no_such_parameter => undef);

# --- numbers ------------------------------------------------------------------

# A reload with this setting is refused with this text, and nothing changes.
sub refuses {
	my ($name, $value, $re) = @_;
	my $old = $mail->{settings}{$name};
	$mail->set($name => $value);
	my $at = line_of($name);
	my $before = pids();
	my ($status, $text) = $mail->postrider('reload');
	isnt($status, 0, "$name = $value: a reload is refused");
	like($text, qr/main\.cf:$at: \Q$name = $value\E: $re/,
	    'with file, line, value and bounds');
	is(() = $text =~ /\Q$name = $value\E/g, 1, 'once');
	nobody_is_new($before);
	flows('the old configuration');
	($status, $text) = $mail->postrider('check');
	isnt($status, 0, 'check says so too');
	$mail->set($name => $old);
}

refuses('smtpd_recipient_limit', 'many', qr/.*\b1\b.*\b1000000\b/);
refuses('smtpd_recipient_limit', '0', qr/.*\b1\b.*\b1000000\b/);
refuses('smtpd_timeout', '2 fortnights', qr/.*\S/);
refuses('message_size_limit', '-1', qr/.*\b0\b/);
refuses('smtpd_peername_lookup', 'perhaps', qr/.*yes.*no/);
refuses('queue_directory', 'spool', qr/.*begins with \//);

# SIGHUP to master does without the command's check.
{
	$mail->set(smtpd_recipient_limit => 'many');
	my $at = line_of('smtpd_recipient_limit');
	kill 'HUP', $mail->pid;
	$mail->wait_log(qr/main\.cf:$at: smtpd_recipient_limit = many: /);
	flows('SIGHUP with a bad number');
	$mail->set(smtpd_recipient_limit => undef);
	$mail->reload;
	flows('and repaired');
}

# --- master.cf ----------------------------------------------------------------

{
	my $before = pids();
	$mail->{master} = "broken line\n";
	$mail->write_config;
	my ($status, $text) = $mail->postrider('reload');
	isnt($status, 0, 'a broken master.cf is refused');
	like($text, qr/master\.cf:2: \S/, 'with file and line');
	nobody_is_new($before);
	$mail->{master} = '';
	$mail->write_config;
	flows('after a broken master.cf');
}

# --- a port in use ------------------------------------------------------------

my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
    Proto => 'tcp') or die "no port: $!";
my $port = $taken->sockport;
{
	my $before = pids();
	$mail->{master} = "127.0.0.1:$port inet n - n - - smtpd\n";
	$mail->write_config;
	my ($status, $text) = $mail->postrider('reload');
	isnt($status, 0, 'a reload to a port in use is refused');
	like($text, qr/127\.0\.0\.1:$port.*Address already in use/,
	    'with the address and the reason');
	is(() = $text =~ /already in use/g, 1, 'once');
	nobody_is_new($before);
	flows('after a port in use');
	$mail->stop;

	($status, $text) = $mail->postrider('start');
	isnt($status, 0, 'a start at a port in use is refused');
	like($text, qr/master\.cf:2: port $port at 127\.0\.0\.1: Address already in use/,
	    'with file, line, address and reason');
	($status, $text) = $mail->run('', Postrider::bin() . '/master', '-c',
	    $mail->etc, '-f');
	isnt($status, 0, 'master alone refuses it too');
	like($text, qr/master\.cf:2: .*127\.0\.0\.1:$port: Address already in use/,
	    'with file, line and reason');
	$mail->{master} = '';
	$mail->write_config;
	$mail->start;
	flows('started elsewhere');
}

# --- tables -------------------------------------------------------------------

# The system starts with a table like this: recipients are postponed, mail of
# local users waits; with the table in order everything goes.
my $table = $mail->etc . '/transport';
sub suffers {
	my ($name, $break, $re) = @_;
	$mail->stop;
	system('rm', '-rf', $table, "$table.db");
	$break->();
	my ($status, $text) = $mail->postrider('check');
	isnt($status, 0, "$name: check fails");
	like($text, $re, 'and says why');
	Postrider::spew($mail->dir . '/log', '');
	$mail->start;
	like(rcpt('x@relay.test'), qr/^451 4\.3\.0 <x\@relay\.test>: /,
	    "$name: a recipient is postponed");
	my $n = ++$sent;
	($status, $text) = $mail->sendmail("To: m$n\@relay.test\n\nx\n", '-t');
	is($status, 0, 'sendmail takes mail') or diag $text;
	$mail->wait_log(qr/to=<m$n\@relay\.test>, .*status=deferred/);
	rcpt('y@relay.test') for 1 .. 3;
	my $lines = told(qr/error: transport_maps: .*\n/);
	cmp_ok($lines, '>=', 1, 'the log says it');
	cmp_ok($lines, '<=', 2, 'once for each process that reads it');
	like($mail->log, qr/error: transport_maps: $re/, 'with the reason');

	system('rm', '-rf', $table, "$table.db");
	Postrider::spew($table, "nobody.test smtp:[127.0.0.1]\n");
	if ($name =~ /hash/) {
		($status, $text) = $mail->postrider('map', "hash:$table");
		is($status, 0, 'the table is made') or diag $text;
	}
	Postrider::wait_for(sub { rcpt('x@relay.test') =~ /^250/ }, 10,
	    "the table\n" . $mail->log);
	Postrider::wait_for(sub { grep { $_->{rcpt}[0] eq
	    "m$n\@relay.test" } $sink->messages }, 20,
	    "what was deferred\n" . $mail->log);
	pass("$name: what waited is delivered when the table is back");
	flows($name);
}

$mail->set(transport_maps => "texthash:$table");
suffers('a missing table', sub { },
    qr/.*\Q$table\E: No such file or directory/);
suffers('a broken table', sub { Postrider::spew($table, "one\ntwo three\n") },
    qr/.*\Q$table\E:1: expected a key, white space, and a value/);
suffers('an unreadable table', sub {
	mkdir $table or die;		# nobody can read that, not even root
}, qr/.*\Q$table\E: Is a directory/);
SKIP: {
	skip 'root may read everything', 1 if Postrider::is_root();
	suffers('a forbidden table', sub {
		Postrider::spew($table, '');
		chmod 0, $table;
	}, qr/.*\Q$table\E: Permission denied/);
}
$mail->set(transport_maps => "hash:$table");
suffers('a missing hash table', sub { },
    qr/.*\Q$table\E.*no such file/);
suffers('a broken hash table',
    sub { Postrider::spew("$table.db", 'x' x 10000) }, qr/.*\Q$table\E/);

# While it runs: what may no longer be true is not answered either.
{
	$mail->set(transport_maps => "texthash:$table",
	    local_recipient_maps => '');
	Postrider::spew($table, "gone.test error:5.1.2 no such place\n");
	$mail->reload;
	Postrider::wait_for(sub { rcpt('x@gone.test') =~ /^550/ }, 10,
	    'the table to act');
	Postrider::spew($table, "gone.test\n");
	Postrider::wait_for(sub { rcpt('x@gone.test') =~ /^451/ }, 10,
	    'the broken table to be seen');
	ok($mail->wait_log(qr/error: transport_maps: .*\Q$table\E:1: /),
	    'a table that breaks while we run is told with file and line');
	Postrider::spew($table, "gone.test error:5.1.2 no such place\n");
	Postrider::wait_for(sub { rcpt('x@gone.test') =~ /^550/ }, 10,
	    'the repaired table to act');
	pass('and acts again when it is repaired');
	$mail->set(transport_maps => undef, local_recipient_maps => undef);
	$mail->reload;
	flows('without the table');
}

# --- a user who is missing ----------------------------------------------------

SKIP: {
	skip 'without root there are no users to be missing', 1
	    unless Postrider::is_root();
	my ($status, $text);
	$mail->set(setgid_group => 'no-such-group');
	($status, $text) = $mail->postrider('reload');
	isnt($status, 0, 'a group that there is not is refused');
	like($text, qr/there is no group no-such-group/, 'by its name');
	$mail->set(setgid_group => undef);
	flows('after a missing group');

	my $passwd = $mail->dir . '/passwd';
	my @hide = ('unshare', '-m', '--propagation', 'private', 'sh', '-c',
	    'mount --bind "$0" /etc/passwd && exec "$@"', $passwd);
	Postrider::spew($passwd, join '', grep { !/^postrider-smtpd:/ }
	    split /^/, Postrider::slurp('/etc/passwd'));
	chmod 0644, $passwd;
	skip 'there are no mount namespaces here', 1
	    if ($mail->run('', @hide, 'true'))[0] != 0;
	($status, $text) = $mail->run('', @hide, 'getent', 'passwd',
	    'postrider-smtpd');
	skip 'users come from elsewhere than /etc/passwd', 1 if $status == 0;
	$mail->stop;
	for my $verb ('check', 'start') {
		($status, $text) = $mail->run('', @hide, Postrider::bin() .
		    '/postrider', '-c', $mail->etc, $verb);
		isnt($status, 0, "$verb without a user of ours fails");
		like($text, qr/there is no user postrider-smtpd, as whom smtpd runs/,
		    'and names user and program');
		is(() = $text =~ /postrider-smtpd, as whom smtpd/g, 1, 'once');
	}
	ok(!-e $mail->spool . '/private/control', 'nothing was started');
	$mail->start;
	flows('with the user back');
}

# --- a mailbox that cannot be written -----------------------------------------

{
	my $box = $mail->dir . "/mail/$user";
	$mail->send(from => 's@far.test', to => ["$user\@local.test"],
	    text => "Subject: first\n\nx\n");
	Postrider::wait_for(sub { $mail->mbox($user) == 1 }, 10,
	    "the first message\n" . $mail->log);
	chmod 0400, $box or die;
	my ($id) = $mail->send(from => 's@far.test',
	    to => ["$user\@local.test"], text => "Subject: second\n\nx\n")
	    =~ /queued as (\w+)/;
	$mail->wait_log(qr/$id: to=<\Q$user\E\@local\.test>, .*dsn=4\.\d\.\d, status=deferred \(.*(Permission denied|not writable).*\)/);
	is(scalar($mail->mbox($user)), 1, 'the mailbox is as it was');
	chmod 0660, $box or die;
	$mail->wait_log(qr/$id: removed/, 15);
	is(scalar($mail->mbox($user)), 2,
	    'a mailbox that can be written again gets what waited, once');
}

$mail->wait_empty;
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
