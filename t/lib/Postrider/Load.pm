package Postrider::Load;

# A system with a load on all its ways in and out, and the ledger of what was
# accepted and what came of it, outside the system:
#
#	my $lab = Postrider::Load->new(settings => { ... }, master => '...');
#	$lab->mail->start;
#	$lab->begin(writers => 20, rate => 400);	# messages a second
#	...
#	$lab->finish;			# writers end their messages
#	$lab->drain(300);		# how long it took
#	my $r = $lab->judge;		# lost, duplicates, damaged, ...
#	$lab->wipe;			# ready for begin() again
#
# Ways in: SMTP in plain, in TLS, logged in (load.c), and sendmail, with a
# system that is up or looks as if it were down (post). Ways out: a next hop by
# SMTP and by LMTP (hop.c), an mbox, a Maildir of nobody's, a program; refused
# by the next hop or by a transport, so that a report comes back; deferred. A
# recipient is known by its key, the id of its message and a number; where it
# goes is in the id, too.
#
# Verdict.pm judges. The ledger of kills has when, class, state and process of
# each.

use strict;
use warnings;
no warnings 'portable';	# addresses of 64 bits

use Errno ();
use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use List::Util qw(max min sum0);
use MIME::Base64 ();
use POSIX ();
use Time::HiRes qw(sleep time);

use parent 'Postrider::Verdict';
use Postrider qw(wait_for slurp spew bin is_alive);
use Postrider::CA;

# Weights; what is refused comes back as a report. "error" refuses what smtpd
# has not asked about, since an alias leads there.
my @forms = (
	['%@relay.test', 50], ['%@inner.test', 12], ['%@box.test', 12],
	['ALICE+%@local.test', 8], ['later+%@relay.test', 6],
	['refused+%@relay.test', 3], ['%@pipe.test', 2], ['%@gone.test', 2],
);
my %is_returned = map { $_ => 1 } 5, 7;		# of @forms

sub new
{
	my ($class, %o) = @_;
	my $mail = Postrider->new(%o,
	    settings => { _settings(), %{ $o{settings} // {} } });
	my $self = bless { mail => $mail, round => 0,
	    main => $$, forms => $o{forms} // \@forms,
	    is_returned => \%is_returned }, $class;
	my $dir = $mail->dir;
	my $shm = -d '/dev/shm' && -w _ ? '/dev/shm' : '/tmp';

	$self->{ledger} = File::Temp->newdir('prt-ledger-XXXX', DIR => $shm,
	    CLEANUP => 0) . '';
	make_path(map { "$dir/kept/$_" } qw(tmp new));
	make_path("$dir/boxes/all");
	chown +(getpwnam $mail->user(1))[2, 3], "$dir/kept/tmp",
	    "$dir/kept/new", "$dir/boxes/all";
	spew("$dir/keep", "#!/bin/sh\nf=\$(mktemp $dir/kept/tmp/XXXXXXXXXX) " .
	    "|| exit 75\ncat >\"\$f\" && mv \"\$f\" $dir/kept/new || exit 75\n");
	chmod 0755, "$dir/keep";
	$mail->{master} .= 'keep unix - n n - 20 pipe flags=D user=' .
	    $mail->user(1) . " argv=$dir/keep\n";
	$self->_start_hop;
	my $ca = Postrider::CA->new("$dir/etc/ca");
	my $number = (getpwnam $mail->user(1))[2];
	my $hop = "[127.0.0.1]:$self->{port}";
	spew("$dir/etc/transport", "relay.test smtp:$hop\n" .
	    "inner.test lmtp:inet:$hop\npipe.test keep:\n" .
	    "gone.test error:5.1.2 gone\n");
	$mail->set(transport_maps => "texthash:$dir/etc/transport",
	    virtual_mailbox_base => "$dir/boxes",
	    virtual_uid_maps => "static:$number",
	    virtual_gid_maps => 'static:' . (getpwnam $mail->user(1))[3],
	    smtpd_sasl_users => "texthash:$dir/etc/users",
	    smtpd_tls_chain_files => $ca->issue(name => 'mail.local.test')
	    ->{all});
	my ($status, $text) = $mail->run("sesame\n", bin() . '/postrider', '-c',
	    $mail->etc, 'user', 'add', 'ann', '-');
	die "user: $text" if $status;
	return $self;
}

sub _settings
{
	return (
		smtpd_peername_lookup => 'no', relay_domains =>
		    'relay.test inner.test pipe.test gone.test',
		minimal_backoff_time => '1s', maximal_backoff_time => '2s',
		queue_run_delay => '1s', service_throttle_time => '1s',
		smtpd_client_connection_count_limit => 10000,
		smtpd_client_event_limit_exceptions => '',
		smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 10000,
		recipient_delimiter => '+', stale_lock_time => '2s',
		virtual_mailbox_domains => 'box.test',
		virtual_mailbox_maps => 'static:all/',
		virtual_minimum_uid => 1, mailbox_size_limit => 0,
		virtual_mailbox_limit => 0,
		smtp_line_length_limit => 0, notify_classes => '',
		message_size_limit => 4000000,
		smtpd_tls_security_level => 'may', smtpd_tls_auth_only => 'no',
		smtpd_sasl_auth_enable => 'yes',
		smtpd_sasl_type => 'postrider',
		smtpd_sasl_scram_iterations => 4096,
		smtpd_reject_unlisted_recipient => 'no',
		local_recipient_maps => '',
	);
}

sub mail { return $_[0]{mail} }
sub _tool { return ($ENV{BUILD} // 'build') . "/t/crash/$_[0]" }

# A process of ours, which ends with us.
sub _run
{
	my ($self, @command) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		exec @command or POSIX::_exit(127);
	}
	push @{ $self->{pids} }, $pid;
	return $pid;
}

sub _start_hop
{
	my ($self) = @_;
	my $file = "$self->{ledger}/port";

	$self->{hop} = $self->_run(_tool('hop'), '-l', "$self->{ledger}/come",
	    '-p', $file);
	$self->{port} = wait_for(sub { slurp($file) =~ /(\d+)\n/ && $1 }, 10,
	    'the next hop');
}

# Nothing of ours is left, if it is we who have begun it.
sub DESTROY
{
	my ($self) = @_;

	return if $$ != $self->{main};
	local ($?, $@);
	kill 'KILL', @{ $self->{pids} // [] };
	waitpid $_, 0 for @{ $self->{pids} // [] };
	remove_tree($self->{ledger});
}

# --- in -----------------------------------------------------------------------

sub _sender { return $_[0]{mail}->user(1) . '@local.test' }

sub begin
{
	my ($self, %o) = @_;
	my $alice = $self->{mail}->user(0);

	$self->{name} = sprintf 'r%x', time * 10;
	$self->{started} = time;
	$self->{load} = $self->_run(_tool('load'), '-p', $self->{mail}->port,
	    '-l', "$self->{ledger}/told", '-n', $self->{name}, '-w',
	    $o{writers} // 20, '-r', $o{rate} // 0, '-f', $self->_sender,
	    '-m', $o{biggest} // 1000000, '-a', 'ann:sesame', '-t',
	    map { $_->[0] =~ s/ALICE/$alice/r . "=$_->[1]" }
	    @{ $self->{forms} });
	$self->{poster} = fork // die "fork: $!";
	if ($self->{poster} == 0) {
		$self->_post_until_told($o{posts} // 4, $o{strikes} // 0);
		POSIX::_exit(0);
	}
	push @{ $self->{pids} }, $self->{poster};
}

sub finish
{
	my ($self) = @_;
	my @pids = @$self{qw(load poster)};

	kill 'TERM', @pids;
	waitpid $_, 0 for @pids;
	$self->{pids} = [grep { my $pid = $_; !grep { $_ == $pid } @pids }
	    @{ $self->{pids} }];
	$self->{finished} = time;
}

# By sendmail, so many a second. Of this share sendmail, or postdrop while
# pickup cannot be found, is killed at some call.
sub _post_until_told
{
	my ($self, $rate, $strikes) = @_;
	my $is_over = 0;
	my $to = '%@relay.test';

	srand $$;
	$SIG{TERM} = sub { $is_over = 1 };
	for (my $n = 0; !$is_over; $n++) {
		my $program = rand() >= $strikes ? '' :
		    rand() < 0.5 ? 'sendmail' : 'postdrop';
		eval { $self->_post("$self->{name}p0n${n}f0", $to, $program) };
		sleep rand 2 / $rate unless $is_over;
	}
}

# One message. Its ledger is the one of load.c.
sub _post
{
	my ($self, $id, $form, $program) = @_;
	my $mail = $self->{mail};
	my $file = "$self->{ledger}/strike.post";
	my $text = $self->_message($id);
	my $is_away = $program eq 'postdrop' || rand() < 0.2;
	my $socket = $mail->spool . '/public/pickup';
	my $start = time;
	my $when = rand() < 0.5 ? 'before' : 'after';
	my @strike = $program eq '' ? () : (_tool('inject'), '-o', $file, '-n',
	    $program, '-r', 1 + int rand 7, '-m', $program eq 'sendmail' ?
	    '^(openat|write|connect|send|recv|close|poll|pipe|v?fork|clone).*' .
	    '( /tmp/|/tmp#|pickup|pipe| -$)' : 'maildrop|pipe', '-w', $when,
	    '--');

	unlink $file;
	$is_away &&= rename $socket, "$socket.away";
	my ($status) = $mail->run($text, @strike, bin() . '/sendmail', '-C',
	    $mail->etc, '-f', $self->_sender, $form =~ s/%/$id-0/r);
	# Another one may be there by now, and newer.
	if ($is_away) {
		link "$socket.away", $socket;
		unlink "$socket.away";
	}
	my $code = $status == 0 ? 250 : $status == 75 ? 451 :
	    $status == 137 ? '000' : undef;
	$self->_add('told', defined $code ? sprintf('%s %s 0 %.3f %.3f', $code,
	    $id, $start, time) : "bad sendmail: exit status $status");
	return if $program eq '';
	$self->_end_tracer($file);
	$self->_note_strike($program, $file, $when);
}

# A message of load.c's kind: short, and made here.
sub _message
{
	my ($self, $id) = @_;

	return `@{[_tool('load')]} -x $id` =~ s/\r//gr;
}

# The injector that has put itself behind a command is known by its file.
sub _end_tracer
{
	my ($self, $file) = @_;

	for my $pid (map { m{/(\d+)/} } glob '/proc/[0-9]*/cmdline') {
		my @words = split /\0/, slurp("/proc/$pid/cmdline");
		kill 'TERM', $pid if @words > 2 && $words[0] =~ m{/inject$} &&
		    $words[2] eq $file;
	}
}

# A line for one of our ledgers.
sub _add
{
	my ($self, $name, $line) = @_;

	open my $f, '>>', "$self->{ledger}/$name" or die "$name: $!";
	syswrite $f, "$line\n";
}

# --- kills --------------------------------------------------------------------

# The processes of a class: a service of master.cf, or a program.
sub pids
{
	my ($self, $class) = @_;

	return $self->{mail}{pid} // () if $class eq 'master';
	return map { split ' ', slurp("/proc/$_/task/$_/children") }
	    $self->pids('helper') if $class eq 'mailbox';
	$class = 'keep' if $class eq 'pipe';
	return grep {
		my @words = split /\0/, slurp("/proc/$_/cmdline");
		@words > 4 && ($words[0] eq $class && $class eq 'smtpd' ||
		    $words[4] eq $class);
	} $self->{mail}->children;
}

# What a process was at, from a call and what that is about.
sub state_of
{
	my ($class, $call, $object, $when) = @_;
	my $is_file = $object =~ m{^(spool/|mail/|boxes/|.*/(incoming|deferred|
	    maildrop)/|(incoming|deferred|maildrop|tmp|new)/)}x;

	return 'idle' if $call =~ /^(epoll_p?wait|p?poll|futex|restart|
	    clock_nanosleep|wait4)/x;
	return 'at work' if $call eq 'none';
	return 'talk' if $call =~ /^(send|recv|accept|connect|shutdown)/;
	return 'mailbox' if $class eq 'mailbox';
	return 'log' if $class eq 'log';
	return 'spool' if $class eq 'sendmail' && $object =~ m{^/tmp};
	if ($class eq 'qmgr') {
		return 'mark' if $call =~ /^pwrite/ && $object =~ m{/wal\.};
		return 'cross-off' if $call =~ /^pwrite/;
		return 'rename' if $call =~ /^rename/;
		return 'unlink' if $call =~ /^unlink/;
		return 'sync' if $call =~ /^f(data)?sync/;
		return $is_file ? 'scan' : 'other';
	}
	return 'other' unless $is_file && $class =~
	    /^(cleanup|pickup|sendmail|postdrop)$/;
	return $when eq 'after' ? 'after commit' : 'commit'
	    if $call =~ /^f(data)?sync|^pwritev2/;
	return 'after commit' if $call eq 'close';
	return 'unlink' if $call =~ /^unlink/;
	return $class eq 'pickup' ? 'scan' : 'before commit';
}

# What an injector has hit goes into the ledger of kills.
sub _note_strike
{
	my ($self, $class, $file, $how, $pid) = @_;
	my ($call, $object, $time) = slurp($file) =~
	    /^hit\t\S*\t(\S+)\t(\S+?)#\d+\t.*\nat\t(\S+)$/m or return 0;

	$self->_add('kills', join "\t", $time, $class, state_of($class, $call,
	    $object, $how), $pid // 0);
	return 1;
}

# Where aimed kills go: the calls of which a class has few among many. What is
# rare is waited for longer.
my %aims = (
	cleanup => ['incoming', '^fsync', '^fsync', '^pwritev2', '^pwritev2',
	    '^send'],
	qmgr => [('^pwrite') x 4, ('^rename') x 4, '^unlink', '^f(data)?sync',
	    '^send', '^openat'],
	mailbox => ['^(write|pwrite|writev|fsync|link|rename|ftruncate|unlink)',
	    '^fsync', '^(link|rename)'],
	pickup => ['maildrop', '^unlink', '^(send|recv)'],
);

# Begin to strike at a process; undef, or what _struck() asks about.
sub strike
{
	my ($self, $class) = @_;
	my $aims = $aims{$class} // [];
	my $aim = $aims->[rand @$aims];
	my $file = "$self->{ledger}/strike." . ++$self->{strikes};
	my $when = rand() < 0.5 ? 'before' : 'after';
	my @pids = $class eq 'mailbox' ? $self->pids('helper') :
	    $self->pids($class) or return undef;
	my $pid = $pids[rand @pids];
	my $program = $class eq 'mailbox' ? 'mailbox' :
	    slurp("/proc/$pid/comm") =~ s/\n//r;
	my $tracer = $self->_run(_tool('inject'), '-o', $file, '-n', $program,
	    '-r', 1 + int rand(defined $aim ? 3 : 30), (defined $aim ?
	    ('-m', $aim) : ()), '-w', $when, $pid,
	    $class eq 'mailbox' ? split(' ',
	    slurp("/proc/$pid/task/$pid/children")) : ());
	return { class => $class, pid => $pid, tracer => $tracer,
	    file => $file, when => $when, until => time +
	    (($aim // '') =~ /pwrite|rename/ ? 10 : 3) };
}

# Has it ended? undef: not yet; else whether it killed.
sub struck
{
	my ($self, $s) = @_;

	if (waitpid($s->{tracer}, POSIX::WNOHANG()) == 0) {
		return undef if time < $s->{until};
		kill 'TERM', $s->{tracer};
		waitpid $s->{tracer}, 0;
	}
	$self->{pids} = [grep { $_ != $s->{tracer} } @{ $self->{pids} }];
	my $is_hit = $self->_note_strike($s->{class}, $s->{file}, $s->{when},
	    $s->{pid});
	unlink $s->{file};
	return $is_hit;
}

my %names = (0 => 'read', 1 => 'write', 3 => 'close', 7 => 'poll',
    17 => 'pread64', 18 => 'pwrite64', 20 => 'writev', 44 => 'sendto',
    45 => 'recvfrom', 46 => 'sendmsg', 47 => 'recvmsg', 61 => 'wait4',
    74 => 'fsync', 75 => 'fdatasync', 82 => 'rename', 86 => 'link',
    87 => 'unlink', 202 => 'futex', 230 => 'clock_nanosleep',
    232 => 'epoll_wait', 257 => 'openat', 263 => 'unlinkat',
    264 => 'renameat', 265 => 'linkat', 281 => 'epoll_pwait',
    316 => 'renameat2', 288 => 'accept4', -1 => 'none');

# Kill a process, or this one, at whatever moment this is; false if there is
# none.
sub kill_now
{
	my ($self, $class, @pids) = @_;
	my $dir = $self->{mail}->dir;
	my %seen;

	@pids = $self->pids($class) unless @pids;
	my $pid = @pids ? $pids[rand @pids] : return 0;

	kill 'STOP', $pid or return 0;
	for my $task (glob "/proc/$pid/task/*") {
		my ($number, @args) = split ' ', slurp("$task/syscall") || next;
		my $call = $number eq 'running' ? 'none' :
		    $names{$number} // "call$number";
		my $object = @args ? readlink("/proc/$pid/fd/" .
		    hex $args[0]) // '' : '';
		$seen{state_of($class, $call, $object =~ s{^\Q$dir\E/}{}r,
		    'before')} = 1;
	}
	my ($state) = sort grep { $_ ne 'idle' } keys %seen;
	my $when = time;
	return 0 unless kill 'KILL', $pid;
	$self->_add('kills', sprintf "%.3f\t%s\t%s\t%d", $when, $class,
	    $state // 'idle', $pid);
	return 1;
}

# Something else that may make a process leave what it has.
sub note_kill
{
	my ($self, $class, $state, $pid) = @_;

	$self->_add('kills', sprintf "%.3f\t%s\t%s\t%d", time, $class, $state,
	    $pid);
}

# Master, and maybe all it has started. It comes again at once.
sub kill_master
{
	my ($self) = @_;
	my $mail = $self->{mail};
	my $is_all = rand() < 0.5;

	$self->_add('kills', sprintf "%.3f\tmaster\t%s\t0", time,
	    $is_all ? 'with all daemons' : 'alone');
	if ($is_all) {
		$mail->crash;
	} else {
		kill 'KILL', $mail->pid;
		waitpid delete $mail->{pid}, 0;
	}
	$self->start;
}

# Who dies before he is ready makes a start fail, and so does a connection of
# somebody else that has our port as its own meanwhile: then again.
sub start
{
	my ($self) = @_;
	my ($last, $left) = (time + 120, 5);

	until (eval { $self->{mail}->start; 1 }) {
		die $@ if $@ !~ /did not start/ || time > $last;
		my $is_taken = $self->{mail}->output =~
		    /Address already in use\n\z/;
		die $@ if !$is_taken && --$left == 0;
		sleep 0.5 if $is_taken;
	}
}

# --- the end ------------------------------------------------------------------

# How long until the queue is empty; dies if it does not become so.
sub drain
{
	my ($self, $seconds) = @_;
	my $start = time;

	wait_for(sub { $self->{mail}->queue_count == 0 }, $seconds,
	    "the queue to run empty\n" . substr $self->{mail}->log, -3000);
	return time - $start;
}

# All messages and ledgers of a round away; the system may run on.
sub wipe
{
	my ($self) = @_;
	my $dir = $self->{mail}->dir;

	for my $box ("$dir/boxes/all/new", "$dir/kept/new", "$dir/kept/tmp",
	    "$dir/boxes/all/tmp") {
		opendir my $d, $box or next;
		unlink map { "$box/$_" } grep { !/^\./ } readdir $d;
	}
	truncate $_, 0 for "$dir/log", "$dir/output",
	    grep { -f } glob("$dir/mail/*"),
	    map { "$self->{ledger}/$_" } qw(told come kills);
}

1;
