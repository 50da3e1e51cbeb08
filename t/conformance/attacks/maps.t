# maps.t - tables that are damaged, exchanged, endless or everybody's: who asks
# has the old answer, the new one, or hears that there is none now; never that
# a key is not there which is.
use strict;
use warnings;

use lib 't/lib';
use Fcntl qw(:flock);
use File::Temp ();
use IO::Handle;
use POSIX ();
use Postrider qw(is_root slurp spew wait_for);
use Postrider::Fixture;
use Test::More;
use Time::HiRes qw(sleep time);

my $sut = Postrider::Fixture->new(settings => {
	virtual_alias_domains => 'v.test, p.test',
	smtpd_hard_error_limit => 100_000,
	smtpd_recipient_limit => 100_000 });
my ($etc, $bin) = ($sut->etc, Postrider::bin());
my @types = grep { my $t = $_; grep { $_ eq $t }
    split /\n/, `$bin/postrider-conf -m` } qw(hash btree lmdb cdb);

sub postmap { return $sut->run('', "$bin/postrider-map", '-c', $etc, @_) }

# One key; ($status, what was said): 0 and the value, 1 and nothing when it is
# not there, 1 and why when nobody can tell.
sub ask { return postmap('-q', $_[0], $_[1]) }

spew("$etc/va", join '', map { "k$_\@v.test far$_\@remote.test\n" } 0 .. 499);
postmap("hash:$etc/va");
$sut->set(virtual_alias_maps => "hash:$etc/va, regexp:$etc/patterns");
spew("$etc/patterns", "/^x\@p\\.test\$/ far\@remote.test\n");
$sut->start;

# What a recipient is told, by a connection that is kept.
my $c = $sut->stranger;
sub rcpt
{
	my ($to) = @_;

	$c->command('RSET', 250);
	$c->command('MAIL FROM:<s@remote.test>', 250);
	return $c->command("RCPT TO:<$to>");
}

# Until each of the processes that look up has seen that a table is good.
sub settled
{
	my $n = 0;

	wait_for(sub {
		$n = rcpt('k9@v.test') =~ /^250/ ? $n + 1 : 0;
		return $n > 8;
	}, 10, 'the table');
}

# A file that everybody may read, at once in place of another.
sub put
{
	my ($file, $bytes) = @_;

	spew("$file.next", $bytes);
	chmod 0644, "$file.next";
	rename "$file.next", $file or die "$file: $!";
}

# --- MAP-01 -------------------------------------------------------------------

my %bytes;
for my $type (qw(hash btree)) {
	spew("$etc/$type", slurp("$etc/va"));
	postmap("$type:$etc/$type");
	$bytes{$type} = slurp("$etc/$type.db");
}

# Ways to spoil it all; the pages say nothing then.
sub spoilt
{
	my ($type) = @_;
	my $all = $bytes{$type};
	my $meta = sub { my ($at, $new) = @_;
	    substr(my $x = $all, $at, length $new, $new); return $x };

	return ('no byte' => '', 'one byte' => substr($all, 0, 1),
	    'less than a page' => substr($all, 0, 511),
	    'one page' => substr($all, 0, 4096),
	    'half of it' => substr($all, 0, length($all) / 2),
	    'the other type' =>
	    $bytes{ $type eq 'hash' ? 'btree' : 'hash' },
	    'the other order of bytes' => $all =~ s/(.)(.)(.)(.)/$4$3$2$1/gsr,
	    'zeros' => "\0" x length $all, 'text' => "k1\@v.test x\n" x 1000,
	    'another magic number' => $meta->(12, "\1\2\3\4"),
	    'another version' => $meta->(16, "\xff\0\0\0"),
	    'a page size of zero' => $meta->(20, "\0\0\0\0"),
	    'a page size of 3' => $meta->(20, "\3\0\0\0"),
	    'a page size of 2^31' => $meta->(20, "\0\0\0\x80"),
	    'a page type of its own' => $meta->(25, "\xff"),
	    'pages of 0xff' => substr($all, 0, 4096) .
	    "\xff" x (length($all) - 4096));
}

# Questions for tables in files of their own: (crashes, wrong answers).
sub try
{
	my ($type, $bytes) = @_;

	put("$etc/spoilt.db", $bytes);
	my ($status, $said) = ask('k7@v.test', "$type:$etc/spoilt");
	return $status > 1 ? 'crash' : $status == 0 ?
	    ($said eq "far7\@remote.test\n" ? 'right' : 'wrong') :
	    $said eq '' ? 'none' : 'error';
}
for my $type (qw(hash btree)) {
	my %spoilt = spoilt($type);
	for my $how (sort keys %spoilt) {
		# Not all of the first page matters.
		like(try($type, $spoilt{$how}), $how =~ /page type/ ?
		    qr/^(?:error|right)$/ : qr/^error$/,
		    "MAP-01 $type: $how is no table");
	}
	srand 1;
	my %seen;
	for (1 .. (Postrider::is_sanitized() ? 20 : 60)) {
		my $x = $bytes{$type};
		substr($x, rand length $x, 1) = chr rand 256
		    for 0 .. rand 30;
		$seen{try($type, $x)}++;
	}
	note(join ' ', map { "$_ $seen{$_}" } sort keys %seen);
	is($seen{crash} // 0, 0, "MAP-01 $type: no crash");
	# What lies in the middle of a key or a value, nobody can see.
	cmp_ok(($seen{none} // 0) + ($seen{wrong} // 0), '<=', 10,
	    "MAP-01 $type: nearly every answer is right, or there is none");
}

# The same beside a system at work.
{
	my %said;
	my $good = slurp("$etc/va.db");
	my %spoilt = spoilt('hash');
	for my $how (sort keys %spoilt) {
		put("$etc/va.db", $spoilt{$how});
		my $seen = 0;
		for (1 .. 20) {
			my ($code) = rcpt('k' . int(rand 500) . '@v.test') =~
			    /^(\d+)/;
			$said{$code}++;
			last if $code != 250 && $seen++;
			sleep 0.02;
		}
		put("$etc/va.db", $good);
		ok(eval { wait_for(sub { rcpt('k9@v.test') =~ /^250/ }, 10) },
		    "MAP-01 after $how a good table is a good one");
	}
	is(join(' ', grep { !/^(?:250|451)$/ } sort keys %said), '',
	    'MAP-01 nobody hears that he is not there');
	cmp_ok($said{451} // 0, '>', 10, 'MAP-01 but to come again');
	settled();
	$c->command('RSET', 250);
	$sut->take($c, from => 's@remote.test', to => ['k3@v.test'],
	    text => "Subject: after\n\nx\n");
	my ($m) = $sut->wait_remote(qr/^Subject: after\r$/m);
	is($m->{rcpt}[0], 'far3@remote.test', 'MAP-01 mail goes on');
	# Accepted with a good table, delivered with a bad one: it waits.
	$sut->set(transport_maps => "hash:$etc/spoilt, " .
	    $sut->{settings}{transport_maps});
	put("$etc/spoilt.db", $good);
	$sut->reload;
	put("$etc/spoilt.db", $spoilt{zeros});
	wait_for(sub { rcpt('x@relay-ok.test') !~ /^250/ }, 10, 'no table');
	my $seen = length $sut->log;
	$sut->sendmail("Subject: waits\n\nx\n", '-f', 's@remote.test',
	    'far@remote.test');
	wait_for(sub { substr($sut->log, $seen) =~
	    /to=<far\@remote\.test>.*status=deferred/ }, 10, 'a message ' .
	    'that waits');
	unlike(substr($sut->log, $seen), qr/status=bounced/,
	    'MAP-01 without a table mail waits');
	put("$etc/spoilt.db", $good);
	$sut->set(transport_maps => $sut->{settings}{transport_maps} =~
	    s/.*spoilt, //r);
	$sut->reload;
	$sut->postrider('queue', 'flush');
	$sut->wait_remote(qr/^Subject: waits\r$/m);
	pass('MAP-01 and goes when there is one');
}

# --- MAP-02 -------------------------------------------------------------------

# Questions without end, by a process of its own; what it heard.
sub asking
{
	my ($code) = @_;
	my $list = $sut->dir . '/heard';

	unlink $list, "$list.end";
	$c->command('QUIT');
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		$c = $sut->stranger;
		my %said;
		until (-e "$list.end") {
			my $said = rcpt('k' . int(rand 500) . '@v.test');
			$said{ substr $said, 0, 3 }++;
		}
		spew($list, join '', map { "$_ $said{$_}\n" } keys %said);
		POSIX::_exit(0);
	}
	$code->();
	spew("$list.end", '');
	waitpid $pid, 0;
	$c = $sut->stranger;
	settled();
	return map { split } split /\n/, slurp($list);
}
{
	my $source = slurp("$etc/va");
	my $good = slurp("$etc/va.db");
	settled();
	my %said = asking(sub {
		postmap("hash:$etc/va") for 1 .. 8;
	});
	cmp_ok($said{250}, '>', 10, 'MAP-02 questions while a table is built');
	is(join(' ', keys %said), '250', 'MAP-02 and all have answers');
	%said = asking(sub {
		for (1 .. 12) {
			put("$etc/va.db", $good);
			sleep 0.01;
		}
	});
	is(join(' ', sort keys %said), '250', 'MAP-02 mv over it');
	%said = asking(sub {
		for (1 .. 5) {
			unlink "$etc/va.db";
			sleep 0.03;
			put("$etc/va.db", $good);
			sleep 0.03;
		}
	});
	is(join(' ', grep { !/^(?:250|451)$/ } sort keys %said), '',
	    'MAP-02 rm: nobody is unknown');
	# As programs do that know no better: in place, under the lock.
	%said = asking(sub {
		for (1 .. 5) {
			open my $f, '+<', "$etc/va.db" or die;
			flock $f, LOCK_EX;
			truncate $f, 0;
			sleep 0.02;
			print $f $good;
			$f->flush;
			flock $f, LOCK_UN;
			close $f;
			sleep 0.02;
		}
	});
	is(join(' ', grep { !/^(?:250|451)$/ } sort keys %said), '',
	    'MAP-02 written in place: nobody is unknown');
	%said = asking(sub {
		for (1 .. 3) {
			truncate "$etc/va.db", 4096;
			sleep 0.05;
			put("$etc/va.db", $good);
			sleep 0.02;
		}
	});
	is(join(' ', grep { !/^(?:250|451)$/ } sort keys %said), '',
	    'MAP-02 truncated: nobody is unknown');

	# A builder that dies in the middle, a hundred times as much to do.
	my $count = 0;
	spew("$etc/va", $source . join '', map { "more$_\@v.test x\n" }
	    1 .. 60_000);
	%said = asking(sub {
		for my $n (1 .. 5) {
			my $pid = fork // die;
			if ($pid == 0) {
				exec "$bin/postrider-map", '-c', $etc,
				    "hash:$etc/va" or POSIX::_exit(127);
			}
			sleep 0.004 * $n;
			kill 'KILL', $pid;
			waitpid $pid, 0;
			$count++ if $? & 127;
		}
	});
	cmp_ok($count, '>', 2, "MAP-02 kill -9 hit $count builders");
	is(join(' ', sort keys %said), '250', 'MAP-02 and the table is whole');
	spew("$etc/va", $source);
	is((postmap("hash:$etc/va"))[0], 0, 'MAP-02 the next one can be built');
}

# --- MAP-04 -------------------------------------------------------------------

{
	my %patterns = (
		invalid => "/^(x\@p/ far\@remote.test\n",
		'no end' => "/^x\@p\n", 'no value' => "/^x\@p\\.test\$/\n",
		'if without endif' => "if /x/\n" x 50 . "/^y/ z\n",
		'endif without if' => "endif\n/^x/ far\@remote.test\n",
		'a flag that is none' => "/^x/qqq far\@remote.test\n",
		'a group that is not there' => "/^x/ \$7\@remote.test\n",
	);
	for my $what (sort keys %patterns) {
		for my $type (qw(regexp pcre)) {
			put("$etc/$type.bad", $patterns{$what});
			my ($status, $said) = ask('x@p.test',
			    "$type:$etc/$type.bad");
			ok($status == 1 && $said ne '' || $status == 0,
			    "MAP-04 $type: $what: a word about it");
		}
	}
	put("$etc/patterns", $patterns{invalid});
	ok(eval { wait_for(sub { rcpt('x@p.test') =~ /^451/ }, 10) },
	    'MAP-04 a table that cannot be read has no answer now');
	my $n = 0;
	ok(eval { wait_for(sub {
		$n = rcpt('y@p.test') =~ /^451/ ? $n + 1 : 0;
		return $n > 8;
	}, 10) }, 'MAP-04 for nobody');
	like(rcpt('k1@v.test'), qr/^250/, 'MAP-04 others have theirs');
	put("$etc/patterns", "/^x\@p\\.test\$/ far\@remote.test\n");
	ok(eval { wait_for(sub { rcpt('x@p.test') =~ /^250/ }, 10) },
	    'MAP-04 until it is mended');

	my %large = (
		'100,000 patterns' => join('', map { "/^no$_\@p/ x\n" }
		    1 .. 100_000) . "/^x\@p/ found\n",
		'1000 if in each other' => "if /x/\n" x 1000 .
		    "/^x\@p/ found\n" . "endif\n" x 1000,
		'a pattern of 1 MB' => '/^' . 'a?' x 500_000 . "\$/ x\n" .
		    "/^x\@p/ found\n",
		'recursion' => "/^(.|(?R))*\$/ found\n",
		'backtracking' => "/^(x+x+)+y\$/ no\n/x\@p|xx/ found\n",
	);
	for my $what (sort keys %large) {
		for my $type (qw(regexp pcre)) {
			my $key = $what eq 'backtracking' ? 'x' x 60 :
			    'x@p.test';
			next if $type eq 'regexp' && $what eq 'backtracking';
			put("$etc/large", $large{$what});
			my $began = time;
			my ($status, $said) = $sut->run('', 'timeout', '30',
			    "$bin/postrider-map", '-c', $etc, '-q', $key,
			    "$type:$etc/large");
			ok($status == 0 && $said eq "found\n" ||
			    $status == 1 && $said ne '',
			    "MAP-04 $type: $what: an answer, or why not") or
			    diag "$status $said";
			cmp_ok(time - $began, '<',
			    Postrider::is_sanitized() ? 25 : 6,
			    "MAP-04 $type: $what: soon");
		}
	}
}

# --- MAP-05 -------------------------------------------------------------------

{
	put("$etc/text", 'big x' . 'y' x 10_000_000 . "\@remote.test\n" .
	    "nul a\0b\n");
	my ($status, $said) = ask('nul', "texthash:$etc/text");
	isnt($status, 0, 'MAP-05 a table with a NUL has no answers');
	put("$etc/text", join '', 'big@v.test ', 'x' x 10_000_000,
	    "\@remote.test\n", "loop1\@v.test loop2\@v.test\n",
	    "loop2\@v.test loop1\@v.test\n", 'wide@v.test ', join(',',
	    map { "w$_\@remote.test" } 1 .. 100_000), "\n",
	    "control\@v.test a\x01b\@remote.test\n",
	    "grow\@v.test grow\@v.test, x\@remote.test, grow+a\@v.test\n");
	$sut->set(virtual_alias_maps => "texthash:$etc/text, hash:$etc/va");
	spew("$etc/checks", "/^X-Format:/ REJECT %n%s%d\n" .
	    "/^X-Both:/ HOLD DISCARD\n/^X-Line:/ REJECT a\\r\\nb \x01\n" .
	    "/^X-Unknown:/ REJECTED x\n/^X-Long:/ REJECT " . 'z' x 100_000 .
	    "\n");
	$sut->set(header_checks => "regexp:$etc/checks");
	$sut->reload;
	wait_for(sub { rcpt('loop1@v.test') }, 10, 'the settings');

	# Who gets how far with such an address; nothing leaves for it.
	my $send = sub {
		my ($to, $header) = @_;
		$c->command('RSET', 250);
		for my $command ('MAIL FROM:<s@remote.test>', "RCPT TO:<$to>",
		    'DATA') {
			my $said = $c->command($command);
			return $said if $said !~ /^[23]/;
		}
		return $c->data(($header // 'X: y') . "\n\nx\n", qr/^\d/);
	};
	for my $to (qw(big wide)) {
		like($send->("$to\@v.test"), qr/^4\d\d /,
		    "MAP-05 a result that is too much ($to)");
	}
	like($send->('k2@v.test'), qr/^250/, 'MAP-05 harms nobody else');
	like($send->($_), qr/^(?:[45]\d\d|250) /, "MAP-05 $_ ends") for
	    'loop1@v.test', 'grow@v.test', 'control@v.test';
	$sut->settle(20);
	is(scalar(grep { grep { /^(?:xxx|w\d)|[^ -~]/ } @{ $_->{rcpt} } }
	    $sut->remote->messages), 0, 'MAP-05 and nobody has such mail');
	wait_for(sub { $send->('k1@v.test', 'X-Format: a') =~ /^5/ }, 10);
	like($send->('k1@v.test', 'X-Format: a'), qr/^550 5\.7\.1 %n%s%d$/,
	    'MAP-05 a text is no format');
	my $before = $sut->queue_count('hold');
	like($send->('k1@v.test', 'X-Both: a'), qr/^250/, 'MAP-05 one action');
	ok(eval { wait_for(sub { $sut->queue_count('hold') == $before + 1 },
	    10) }, 'MAP-05 is the first word');
	$said = $send->('k1@v.test', 'X-Line: a');
	like($said, qr/\A550 5\.7\.1 [ -~]+\z/,
	    'MAP-05 controls do not reach the reply');
	$said = $send->('k1@v.test', 'X-Long: a');
	like($said, qr/\A(?:550 5\.7\.1 z+|451 4\.3\.0 )/,
	    'MAP-05 a long text');
	my @long = grep { length > 510 } split /\n/, $said;
	is(scalar @long, 0, 'MAP-05 has lines as long as replies may have');
	like($send->('k1@v.test', 'X-Unknown: a'), qr/^(?:250|451) /,
	    'MAP-05 a word that is no action is none');
	my ($status2, $text) = $sut->postrider('check');
	ok($sut->said(qr/REJECTED/) || $text =~ /REJECTED/,
	    'MAP-05 and somebody tells of it');
	$sut->set(header_checks => '');
	$sut->reload;
	my ($deep) = 'inline:{a=a}';
	$deep = "pipemap:{$deep, inline:{a=a}}" for 1 .. 200;
	($status) = ask('a', $deep);
	cmp_ok($status, '<', 2, 'MAP-05 tables in tables in tables');
}

# --- MAP-06 -------------------------------------------------------------------

SKIP: {
	skip 'only root has what others must not write', 1 unless is_root();
	my $open = $sut->dir . '/open';
	mkdir $open;
	chmod 01777, $open;
	my $proof = "$open/proof";
	my $aliases = slurp("$etc/aliases");
	my $owner = getpwnam $sut->user(1);
	$c->command('QUIT');
	$c = $sut->friend;
	put("$etc/aliases", $aliases . "cmd \"|touch $proof\"\n" .
	    "file $proof\n");
	my $line = sub {
		my ($to) = @_;
		my $f = $sut->friend;
		my $id = $sut->take($f, from => 's@remote.test',
		    to => ["$to\@local.test"]);
		return $sut->wait_log(qr/ $id: to=.*status=.*\n/, 20);
	};
	# Each of the processes that look tables up has to see it.
	wait_for(sub {
		5 == grep { rcpt('cmd@local.test') =~ /^250/ } 1 .. 5
	}, 10, 'aliases');
	chmod 0666, "$etc/aliases";
	for my $to (qw(cmd file)) {
		like($line->($to), qr/status=(?:deferred|bounced)/,
		    "MAP-06 aliases that everybody may write: $to");
	}
	ok(!-e $proof, 'MAP-06 nothing was done');
	chmod 0644, "$etc/aliases";
	chown $owner, -1, "$etc/aliases";
	wait_for(sub { $line->('cmd') =~ /status=sent/ }, 10, 'cmd');
	is((stat $proof)[4], $owner,
	    'MAP-06 aliases that are somebody\'s run as he');
	unlink $proof;
	chown 0, -1, "$etc/aliases";
	$sut->postrider('queue', 'delete', 'ALL');

	for my $case (['main.cf', 0666], ['master.cf', 0666]) {
		my ($name, $mode) = @$case;
		chmod $mode, "$etc/$name";
		my ($status, $text) = $sut->postrider('check');
		like($text, qr/\Q$name\E.*(?:writ|mode|owner)/i,
		    "MAP-06 check tells that everybody may write $name");
		isnt($status, 0, 'MAP-06 and fails');
		chmod 0644, "$etc/$name";
		chown $owner, -1, "$etc/$name";
		($status, $text) = $sut->postrider('check');
		like($text, qr/\Q$name\E.*(?:writ|owner|belongs)/i,
		    "MAP-06 or that it is not root's");
		isnt($status, 0, 'MAP-06 and fails');
		chown 0, -1, "$etc/$name";
	}
	chmod 0777, $etc;
	my ($status, $text) = $sut->postrider('check');
	like($text, qr/etc\b.*(?:writ|mode)/i, 'MAP-06 or where it lies');
	isnt($status, 0, 'MAP-06 and fails');
	chmod 0755, $etc;
	($status, $text) = $sut->postrider('check');
	is($status, 0, 'MAP-06 all is well again') or diag $text;
}

# --- MAP-07 -------------------------------------------------------------------

{
	srand 7;
	my @keys = ('Alice@Example.ORG', 'ALICE', 'bob+ext@x.test', 'bob+ext',
	    'trailing.dot@x.test.', 'x.test.', "caf\xc3\xa9\@x.test",
	    "cafe\xcc\x81\@x.test", "CAF\xc3\x89\@x.test", 'a=b', 'it\'s',
	    'a\\b', '100%', '@x.test', '.x.test', 'a:b', '#', 'a,b', '<>',
	    'x' x 500, "\xe2\x80\x8bz");
	push @keys, join '', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9, '.', '+',
	    '-', '_', '@', "\xc3\xbc")[rand 68] } 1 .. 5 + rand 20 for 1 .. 60;
	my (%seen, @used);
	for (@keys) {
		push @used, $_ if !$seen{lc $_}++ && !/^#/;
	}
	my $folded = sub { return $_[0] =~ tr/A-Z/a-z/r };
	for my $type (@types, 'texthash') {
		spew("$etc/keys", join '', map { "$used[$_] value-$_\n" }
		    0 .. $#used);
		postmap("$type:$etc/keys") if $type ne 'texthash';
		my ($status, $said) = $sut->run(join('', map { "$_\n" } @used),
		    "$bin/postrider-map", '-c', $etc, '-q', '-',
		    "$type:$etc/keys");
		my %value = map { split /\t/, $_, 2 } split /\n/, $said;
		my @wrong = grep { ($value{ $used[$_] } // '') ne
		    "value-$_" } 0 .. $#used;
		is(join(' ', map { $used[$_] } @wrong), '',
		    "MAP-07 $type: what was put in comes out");
		# In any case, but only by letters of ASCII.
		($status, $said) = $sut->run(join('', map { "$_\n" } map {
		    tr/a-zA-Z/A-Za-z/r } @used), "$bin/postrider-map", '-c',
		    $etc, '-q', '-', "$type:$etc/keys");
		is(scalar(() = $said =~ /\n/g), scalar @used,
		    "MAP-07 $type: in upper and lower case");
		is((ask("caf\xc3\xa9\@x.test", "$type:$etc/keys"))[1] eq
		    (ask("cafe\xcc\x81\@x.test", "$type:$etc/keys"))[1], '',
		    "MAP-07 $type: two ways to write a letter are two keys");
		is((ask('x.test', "$type:$etc/keys"))[0], 1,
		    "MAP-07 $type: a final dot makes another key");
	}
	spew("$etc/va", "Mixed\@V.test far\@remote.test\n" .
	    "ext+One\@v.test far\@remote.test\n\"q r\"\@v.test x\@remote.test\n");
	postmap("hash:$etc/va");
	$sut->set(virtual_alias_maps => "hash:$etc/va");
	$sut->reload;
	ok(eval { wait_for(sub { rcpt('mIXED@v.TEST') =~ /^250/ }, 10) },
	    'MAP-07 an address in any case');
	like(rcpt('EXT+one@v.test'), qr/^250/, 'MAP-07 and with an extension');
	like(rcpt('mixed+x@v.test'), qr/^250/, 'MAP-07 of its own');
	like(rcpt('other@v.test'), qr/^550/, 'MAP-07 and no other');
}

my @complaints = grep { !/resolve/ } $sut->complaints;
is(join('', @complaints), '', 'nothing crashed');
done_testing();
