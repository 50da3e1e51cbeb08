package Postrider::Crash;

# One message through a running system, and one system call of one of its
# processes that ends otherwise (t/crash/inject.c); what became of the message:
#
#	my $lab = Postrider::Crash->new('mbox');	# a way, see %ways
#	for my $call ($lab->record('qmgr')) {
#		my $r = $lab->hit('qmgr', $call->{key}, 'before');
#		# $r->{hit} state, said, lost, duplicates, damaged, ...
#	}
#
# new() takes another way than those in way => { ... }, with words behind each
# RCPT in asks => ' NOTIFY=...', and other settings in settings => { ... }.
#
# The ledger is here, outside the system: what the client, or sendmail, was
# told, and what is in the mailboxes and at the next hops in the end.

use strict;
use warnings;

use List::Util qw(max);
use POSIX ();
use Time::HiRes qw(sleep time);

use Postrider qw(wait_for slurp spew bin is_alive);

# How a message comes (in), for whom (to), who has to do with it (by), and how
# often it must be where in the end (where). "ID" is the message's. A sink defers what is for "later"
# once and refuses what is for "refused". "helper:cold" is the helper when there
# is no process of the recipient yet.
my @takers = qw(smtpd cleanup qmgr resolve anvil log);
my @storers = qw(local helper:cold mailbox);
my %ways = (
	relay => { to => ['x@relay.test'], where => { sink => 1 },
	    by => [@takers, qw(smtp dns)] },
	bdat => { in => 'bdat', to => ['x@relay.test'],
	    where => { sink => 1 }, by => [@takers, 'smtp'] },
	lmtp => { to => ['x@relay.test'], where => { sink => 1 },
	    is_lmtp => 1, by => [@takers, 'lmtp'] },
	mbox => { to => ['ALICE@local.test'], where => { ALICE => 1 },
	    by => [@takers, @storers, 'mailbox:cold'] },
	maildir => { to => ['ALICE@local.test'], where => { ALICE => 1 },
	    is_maildir => 1, by => [@takers, @storers] },
	alias => { to => ['several@local.test'],
	    where => { ALICE => 1, BOB => 1, sink => 1 },
	    by => [@takers, @storers, 'smtp'] },
	later => { to => ['later@relay.test'], where => { sink => 1 },
	    by => [@takers, 'smtp'] },
	mixed => { to => ['x@relay.test', 'later@relay.test',
	    'ALICE@local.test'], where => { sink => 2, ALICE => 1 },
	    by => [@takers, @storers, 'smtp'] },
	bounce => { to => ['refused-ID@relay.test'], where => { BOB => 1 },
	    is_report => 1, by => [@takers, @storers, qw(smtp bounce)] },
	sendmail => { in => 'sendmail', to => ['ALICE@local.test'],
	    where => { ALICE => 1 },
	    by => [qw(sendmail pickup cleanup qmgr resolve log), @storers] },
	# Through write-ahead logs: gone at once; or with a file of its own, since
	# one recipient has to wait; or with a report, which is logged, too.
	logged => { to => ['x@relay.test'], where => { sink => 1 },
	    is_logged => 1, by => [qw(smtpd cleanup qmgr resolve log smtp)] },
	filed => { to => ['x@relay.test', 'later@relay.test'],
	    where => { sink => 2 }, is_logged => 1,
	    by => [qw(cleanup qmgr smtp)] },
	reported => { to => ['refused-ID@relay.test'], where => { BOB => 1 },
	    is_report => 1, is_logged => 1,
	    by => [qw(cleanup qmgr smtp bounce local)] },
	down => { in => 'down', to => ['ALICE@local.test'],
	    where => { ALICE => 1 },
	    by => [qw(sendmail postdrop pickup cleanup qmgr resolve)] },
);
my %is_command = (sendmail => 1, postdrop => 1);

sub ways { return sort keys %ways }
sub processes { return @{ $ways{$_[-1]}{by} } }

# --- the system ---------------------------------------------------------------

sub new
{
	my ($class, $way, %o) = @_;
	my $w = $o{way} // $ways{$way} or die "no such way: $way";
	my $mail = Postrider->new(master => $w->{is_lmtp} ?
	    "inner unix - - n - - lmtp\n" : '', settings => {
		smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
		minimal_backoff_time => '1s', maximal_backoff_time => '1s',
		# Whoever takes this message takes the next one.
		map({ $_ . '_processes' => 1 } qw(cleanup local resolve smtp
		    smtpd)),
		# A lock file outlives its maker.
		stale_lock_time => '1s',
		queue_run_delay => '1s', notify_classes => '',
		smtpd_client_event_limit_exceptions => '',
		smtpd_client_connection_rate_limit => 0,
		$w->{is_logged} ? %Postrider::LOGGED : (),
		%{ $o{settings} // {} } });
	my $self = bless { way => $w, name => $way, mail => $mail,
	    number => 0, asks => $w->{asks} // '',
	    owner => "m$$" . 'x' . int rand 1e6 }, $class;
	my ($alice, $bob) = ($mail->user(0), $mail->user(1));

	$self->{is_logged} = $way ne 'down' &&
	    ($mail->{settings}{cleanup_wal_rate} // 1) == 0;
	$self->{users} = { ALICE => $alice, BOB => $bob };
	my $seen = $mail->dir . '/seen';
	$self->{sink} = $mail->sink(lmtp => $w->{is_lmtp}, extensions =>
	    [qw(PIPELINING 8BITMIME CHUNKING ENHANCEDSTATUSCODES)],
	    replies => sub {
		my ($verb, $line) = @_;
		return undef unless $verb eq 'RCPT';
		return '550 5.1.1 nobody' if $line =~ /<refused/;
		return undef if $line !~ /<later/ || -e $seen;
		spew($seen, '');
		return '450 4.2.1 later';
	    });
	my $port = $self->{sink}->port;
	my $dir = $mail->dir;
	spew("$dir/etc/aliases",
	    "several $alice, $bob, far\@relay.test\npostmaster $bob\n");
	if ($w->{is_maildir}) {
		mkdir "$dir/mail/dirs";
		for my $user ($alice, $bob) {
			mkdir "$dir/mail/dirs/$user";
			chown +(getpwnam $user)[2, 3], "$dir/mail/dirs/$user";
		}
	}
	$mail->set(relayhost => "[127.0.0.1]:$port", ($w->{is_lmtp} ?
	    (relay_transport => "inner:inet:[127.0.0.1]:$port") : ()),
	    ($w->{is_maildir} ?
	    (mail_spool_directory => "$dir/mail/dirs/") : ()));
	# After two messages everybody who is called runs.
	return $self if eval { $mail->start; $self->_warm(2); 1 };
	my $why = $@;
	$self->close;
	die $why;
}

sub mail { return $_[0]{mail} }

# The end of the system, and of all it has left.
sub close { $_[0]{mail}->_end }

# The processes of a program, wherever they hang.
sub _pids
{
	my ($self, $program) = @_;

	return $self->{mail}->children($program) if $program ne 'mailbox';
	my @helpers = $self->{mail}->children('helper');
	return (@helpers, map { split ' ', slurp("/proc/$_/task/$_/children") }
	    @helpers);
}

# --- a message ----------------------------------------------------------------

sub _text
{
	my ($self, $id) = @_;
	my $body = join '', map { "$id line $_ " . 'x' x 60 . "\n" } 1 .. 40;

	return ("X-Id: $id\nSubject: $id\n", $body);
}

# By SMTP: "accepted", "refused CODE", "unknown" if the reply to the end did
# not come, "none" if the client did not say all.
sub _speak
{
	my ($self, $header, $body, $is_bdat) = @_;
	my $said = 'none';
	my $from = $self->{users}{BOB} . '@local.test';
	my $text = "$header\n$body" =~ s/\n/\r\n/gr;
	my $answer = sub {
		my ($c, $line, $want) = @_;
		$c->raw($line) if length $line;
		my $reply = $c->reply // die "closed\n";
		return if $reply =~ /^$want/;
		$said = 'refused ' . substr $reply, 0, 3;
		$self->{refusal} = $reply;
		die "refused\n";
	};

	eval {
		my $c = Postrider::Client->new($self->{mail}->port,
		    patience => 40);
		$answer->($c, '', 2);
		$answer->($c, "EHLO c.test\r\n", 2);
		$answer->($c, "MAIL FROM:<$from>\r\n", 2);
		$answer->($c, "RCPT TO:<$_>$self->{asks}\r\n", 2)
		    for $self->_recipients;
		if ($is_bdat) {
			my $half = int(length($text) / 2);
			$answer->($c, "BDAT $half\r\n" .
			    substr($text, 0, $half), 2);
			$said = 'unknown';
			$answer->($c, 'BDAT ' . (length($text) - $half) .
			    " LAST\r\n" . substr($text, $half), 2);
		} else {
			$answer->($c, "DATA\r\n", 3);
			$said = 'unknown';
			$answer->($c, "$text.\r\n", 2);
		}
		$said = 'accepted';
		$self->{accepted_at} = time;
		eval { $c->command('QUIT') };
		1;
	};
	$self->{trouble} = $@;
	return $said;
}

sub _recipients
{
	my ($self) = @_;

	return map { s/^(ALICE|BOB)/$self->{users}{$1}/r =~ s/ID/$self->{id}/r }
	    @{ $self->{way}{to} };
}

# By sendmail, maybe with something before its command line.
sub _submit
{
	my ($self, $header, $body, @before) = @_;
	my $mail = $self->{mail};
	my ($status, $output) = $mail->run("$header\n$body", @before,
	    bin() . '/sendmail', '-C', $mail->etc, '-f',
	    $self->{users}{BOB} . '@local.test', $self->_recipients);

	$self->{refusal} = $output;
	$self->{accepted_at} = time if $status == 0;
	return $status == 0 ? 'accepted' : $status == 137 ? 'unknown' :
	    "refused $status";
}

# --- what became of it --------------------------------------------------------

# All that is at a place: strings with \n, and whose they are. At the next hop
# each recipient has one, since one session may bring what otherwise comes in
# two.
sub _copies_at
{
	my ($self, $place) = @_;

	return map { my $text = $_->{data} =~ s/\r\n/\n/gr;
	    map { [$text, $_] } @{ $_->{rcpt} } } $self->{sink}->messages
	    if $place eq 'sink';
	my $user = $self->{users}{$place};
	return map { [$_, $user] } $self->{way}{is_maildir} ?
	    $self->{mail}->maildir($self->{mail}->dir . "/mail/dirs/$user") :
	    $self->{mail}->mbox($user);
}

# How often it is where; how often for whom there, or of reports under which
# Message-ID; and what is wrong with it.
sub _found
{
	my ($self, $id, $body) = @_;
	my $way = $self->{way};
	my (%count, %names, @damaged);

	for my $place (qw(sink ALICE BOB)) {
		$count{$place} = 0;
		for ($self->_copies_at($place)) {
			my ($text, $whose) = @$_;
			next unless $text =~ /^X-Id: \Q$id\E$/m ||
			    $text =~ /\Q$id\E/;
			$count{$place}++;
			my ($name) = $text =~ /^Message-ID: *(\S+)/mi;
			$names{$place}{$way->{is_report} ? $name // '' :
			    $whose}++;
			# What the disk does not give is not in a report.
			next if $self->{way}{is_report} &&
			    $text =~ /^Action: failed$/m && $text =~
			    /^Final-Recipient: rfc822; ?refused-\Q$id\E\@/m;
			# Nor is there more than the header in one of success.
			next if $way->{is_report} &&
			    $text =~ /^Action: (relayed|delivered)$/m;
			# Our own word of what should not have come back.
			if ($text =~ /^Action: failed$/m) {
				$self->{is_returned} = 1;
				next;
			}
			push @damaged, "$place: " . length $text
			    unless $text =~ /\n\n\Q$body\E\n?\z/;
		}
	}
	return (\%count, \%names, \@damaged);
}

# How many copies too many somebody has. A report is a message itself: one kill
# of qmgr, before it has noted that the report is made and that it is delivered,
# makes two reports, and two copies of the first of them.
sub _excess
{
	my ($self, $want, $names) = @_;

	return max(0, $self->{way}{is_report} ? keys(%$names) - $want : 0,
	    map { $_ - 1 } values %$names);
}

sub _wipe
{
	my ($self) = @_;
	my $dir = $self->{mail}->dir;

	unlink glob($self->{sink}{directory} . '/message.*'), "$dir/seen",
	    glob("$dir/mail/dirs/*/new/*");
	truncate $_, 0 for grep { -f } glob "$dir/mail/*";
}

# One message with nothing wrong; dies if it does not arrive.
sub once
{
	my ($self) = @_;
	my $r = $self->_pass('', []);

	die "$self->{name}: a message without a fault: $r->{said}, lost " .
	    "$r->{lost} $self->{trouble} " . ($self->{refusal} // '') .
	    $self->{mail}->log if $r->{said} ne 'accepted' || $r->{lost};
	return $r;
}

# Messages with nothing wrong: so many, or until one goes through a log, where
# logs are wanted.
sub _warm
{
	my ($self, $count) = @_;

	if (!$self->{is_logged}) {
		$self->once for 1 .. $count;
		return;
	}
	kill 'KILL', $self->{mail}->children('cleanup')
	    if delete $self->{is_given_up};
	wait_for(sub {
		my %before = $self->_records;
		$self->once;
		my %now = $self->_records;
		return grep { $now{$_} > ($before{$_} // 0) } keys %now;
	}, 60, "a message in a log\n" . $self->{mail}->log);
}

# How much stands in each log, done with or not.
sub _records
{
	my ($self) = @_;

	return map { $_ => scalar(my @all = Postrider::records_of($_)) }
	    glob $self->{mail}->spool . '/incoming/wal.*';
}

# The daemons on the way that master keeps.
sub _daemons
{
	my ($self) = @_;

	return grep { !$is_command{$_} && $_ ne 'mailbox' }
	    map { s/:cold//r } @{ $self->{way}{by} };
}

# No process of a recipient is left.
sub _chill
{
	my ($self) = @_;
	my @helpers = $self->{mail}->children('helper');
	my @warm = map { split ' ', slurp("/proc/$_/task/$_/children") }
	    @helpers;

	kill 'KILL', @warm;
	wait_for(sub { !grep { is_alive($_) } @warm }, 10, 'no mailbox');
}

# A deferred message is taken out of the queue by a thief. What became of it?
sub steal
{
	my ($self) = @_;

	local $self->{is_stolen} = 1;
	return $self->_pass('', []);
}

# Where everybody stands before a message comes: who was called once runs.
sub _settle
{
	my ($self) = @_;
	my $mail = $self->{mail};

	return if $self->{name} eq 'down';
	wait_for(sub { !grep { $self->{ran}{$_} && !$mail->children($_) }
	    $self->_daemons }, 20, "all processes to run\n" . $mail->log);
	wait_for(sub { $mail->queue_count == 0 }, 30, 'an empty queue');
}

# One message, with the injector's options; what became of it.
sub _pass
{
	my ($self, $process, $options) = @_;
	my $mail = $self->{mail};
	my $way = $self->{way};
	my $in = $way->{in} // 'smtp';
	my $id = $self->{id} = $self->{owner} . 'n' . $self->{number}++;
	my ($header, $body) = $self->_text($id);
	my $log_start = -s $mail->dir . '/log' // 0;
	my ($file, $tracer, @before, @master) = ($mail->dir . '/calls');
	my $is_cold = $process =~ s/:cold$//;
	my %r;

	if ($in eq 'down' && $mail->pid) {
		$mail->stop;
	}
	$self->_settle;
	$self->_chill if $is_cold;
	$self->_wipe;
	unlink $file;
	if ($process ne '') {
		my @command = ($self->_injector, '-o', $file, '-n', $process,
		    '-s', $mail->spool, @$options);
		if ($is_command{$process}) {
			@before = (@command, '--');
		} elsif ($in eq 'down') {
			@master = (@command, '--');
		} else {
			$tracer = _trace($file, @command,
			    $self->_pids($process));
		}
	}
	delete @$self{qw(refusal accepted_at)};
	$self->{trouble} = '';
	my $start = time;
	$r{said} = $in eq 'smtp' || $in eq 'bdat' ?
	    $self->_speak($header, $body, $in eq 'bdat') :
	    $self->_submit($header, $body, @before);
	if ($in eq 'down') {
		local $mail->{before_master} = \@master;
		# Who dies or fails before he is ready makes the start fail;
		# whoever wanted it, systemd or a human, starts once more.
		eval { $mail->start; 1 } or do {
			die $@ unless $@ =~ /did not start/;
			local $mail->{before_master} = [];
			$mail->start;
		};
	}

	# Until it has left the queue: then it is where it had to go.
	my $is_done = sub { $mail->queue_count == 0 };
	if ($self->{is_stolen}) {
		wait_for(sub { unlink glob($mail->spool . '/deferred/*/*') },
		    10, 'a deferred message');
	}
	eval { wait_for($is_done, 40) };
	$r{seconds} = time - $start;
	my $wanted = grep { $_ eq '-w' } @$options;
	eval { wait_for(sub { $wanted && slurp($file) =~ /^hit/m }, 0.3) }
	    if $process ne '';
	eval { wait_for($is_done, 40) };
	if ($tracer) {
		kill 'TERM', $tracer;
		waitpid $tracer, 0;
	} elsif ($process ne '') {
		$self->_end_tracer($file);
	}
	$self->_judge(\%r, $id, $body, $log_start);
	$r{calls} = slurp($file);
	return \%r;
}

# The injector, as a process of ours, when it follows.
sub _trace
{
	my ($file, @command) = @_;
	my $pid = fork // die;

	if ($pid == 0) {
		exec @command or POSIX::_exit(127);
	}
	wait_for(sub { slurp($file) =~ /^ready/ }, 10, 'the injector');
	return $pid;
}

# What a process calls while something else is done; with a call that ends
# otherwise, if one is told: the first one, or the how-manieth; `until` a file is
# there it has no end.
sub during
{
	my ($self, $process, $do, $re, $when, $nth, %o) = @_;
	my $file = $self->{mail}->dir . '/during';

	unlink $file;
	my $tracer = _trace($file, $self->_injector, '-o', $file, '-n',
	    $process, defined $re ? ('-r', $nth // 1, '-m', $re =~
	    s/\(\?\^\w*:/(/gr, '-w', $when, $o{until} ? ('-u', $o{until}) : ()) :
	    (), $self->_pids($process));
	my $is_done = eval { $do->(); 1 };
	my $why = $@;
	kill 'TERM', $tracer;
	waitpid $tracer, 0;
	die $why unless $is_done;
	return slurp($file);
}

# The injector that has put itself behind a command is known by its file.
sub _end_tracer
{
	my ($self, $file) = @_;

	for my $pid (map { m{/(\d+)/} } glob '/proc/[0-9]*/cmdline') {
		my @words = split /\0/, slurp("/proc/$pid/cmdline");
		next unless @words > 2 && $words[0] =~ m{/inject$} &&
		    $words[2] eq $file;
		kill 'TERM', $pid;
		eval { wait_for(sub { !is_alive($pid) }, 5) };
	}
}

sub _judge
{
	my ($self, $r, $id, $body, $log_start) = @_;
	my $way = $self->{way};
	delete $self->{is_returned};
	my ($count, $names, $damaged) = $self->_found($id, $body);
	my $left = $self->{mail}->queue_count;

	@$r{qw(lost duplicates most phantom)} = (0, 0, 0, 0);
	for my $place (keys %$count) {
		my $want = $way->{where}{$place} // 0;
		my $have = $count->{$place};
		$r->{lost}++ if $r->{said} eq 'accepted' && $have < $want &&
		    !$left && !$self->{is_returned};
		$r->{duplicates} += $have - $want if $have > $want;
		$r->{most} = max($r->{most}, $self->_excess($want,
		    $names->{$place} // {}));
		$r->{phantom} = 1 if $have && $r->{said} =~ /^(refused|none)/;
	}
	$r->{damaged} = @$damaged;
	$r->{stuck} = $left;
	$r->{is_returned} = $self->{is_returned};
	$r->{count} = join ' ', map { "$_=$count->{$_}" } sort keys %$count;
	my $log = substr $self->{mail}->log, $log_start;
	$r->{crash} = join '', grep { /panic:|killed by signal (?!9\b)|Sanit/ }
	    split /^/, $log;
	$r->{log} = $log;
	$r->{refusal} = $self->{refusal} // $self->{trouble};
}

sub _injector { return ($ENV{BUILD} // 'build') . '/t/crash/inject' }

# --- calls --------------------------------------------------------------------

# The calls of this process during one message: { key, kind, changes }, in
# their order; is_loading, if they are made by the loader, before the program.
sub record
{
	my ($self, $process) = @_;
	my $r = $self->_pass($process, []);
	my (@calls, %have, $is_loading);

	die "$self->{name}: while $process was watched: $r->{said}, lost " .
	    "$r->{lost}\n$r->{log}" if $r->{said} ne 'accepted' || $r->{lost};
	for (split /\n/, $r->{calls}) {
		my ($word, $kind, $name, $object, $changes, $result) =
		    split /\t/;
		next unless $word eq 'call';
		push @calls, { kind => $kind, name => $name, key =>
		    "$name $object", changes => $changes eq 'changes' }
		    unless $have{"$name $object"}++;
		# The loader begins with this file, and at its end lets go of
		# the list of libraries.
		$is_loading = 1 if $object =~ m{/ld\.so\.preload#1$};
		next unless $is_loading && $name eq 'munmap';
		$_->{is_loading} = 1 for @calls;
		$is_loading = 0;
	}
	return @calls;
}

# One message, and this call ends otherwise: killed "before" or "after" it, or
# with this error's number. Then the system must be as before: with an error,
# one more message shows it.
sub hit
{
	my ($self, $process, $key, $when) = @_;
	my $mail = $self->{mail};

	$self->{ran}{$_} ||= $mail->children($_) for $self->_daemons;
	# Who is new does more than others.
	$self->_warm(1) if delete $self->{is_new};
	my $r = $self->_pass($process, ['-k', $key, '-w', $when]);
	$self->_note_end($r->{calls}, $when);
	my ($hit) = $r->{calls} =~ /^hit\t(.*)$/m;
	$r->{hit} = defined $hit ? 1 : 0;
	$r->{state} = $self->_state($process, $key, $when, $hit, $r);
	return $r;
}

# The same for the first, or a later one, of the calls that look like this.
sub strike
{
	my ($self, $process, $re, $when, $nth) = @_;
	my $mail = $self->{mail};

	$self->{ran}{$_} ||= $mail->children($_) for $self->_daemons;
	$self->_warm(1) if delete $self->{is_new};
	my $r = $self->_pass($process, ['-r', $nth, '-m', $re =~
	    s/\(\?\^\w*:/(/gr, '-w', $when]);
	$self->_note_end($r->{calls}, $when);
	$r->{hit} = $r->{calls} =~ /^hit\t/m ? 1 : 0;
	return $r;
}

# Is there somebody new now? A cleanup that could not write into a log gives
# logs up.
sub _note_end
{
	my ($self, $calls, $when) = @_;

	$self->{is_given_up} = $when =~ /^\d/ && $calls =~
	    m{^hit\t.*\tpwritev2\t.*/wal\.}m;
	$self->{is_new} = $self->{is_given_up} ||
	    $when !~ /^\d/ && $self->{name} ne 'down';
}

# Where a kill struck: the operation itself, or else where the message was.
sub _state
{
	my ($self, $process, $key, $when, $hit, $r) = @_;
	return 'unreached' unless defined $hit;
	my $where = (split /\t/, $hit)[-1];
	my ($name) = $key =~ /^(\w+)/;

	return 'mailbox' if $process eq 'mailbox' && $key =~ m{ mail/} ||
	    $process eq 'mailbox' && $key =~ m{/(tmp|new)/|/\.lock};
	return 'mark' if $process eq 'qmgr' && $name eq 'pwrite64' &&
	    $key =~ m{/wal\.};
	return 'cross-off' if $process eq 'qmgr' && $name eq 'pwrite64';
	return 'rename' if $process eq 'qmgr' && $name =~ /^rename/;
	return 'unlink' if $process eq 'qmgr' && $name =~ /^unlink/;
	return 'commit' if $process eq 'cleanup' &&
	    $key =~ m{/?ID\b|/wal\.} && $where eq 'none';
	return 'after commit' if $where ne 'none';
	return $r->{said} eq 'accepted' && $process =~
	    /^(qmgr|smtp|lmtp|local|helper|mailbox|bounce)$/ ? 'end' :
	    'before commit';
}

1;
