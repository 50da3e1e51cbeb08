# beside.t - postcat, postqueue and postsuper with every option, beside
# Debian's: the same commands for the same messages, the same exit statuses, and
# the same output but for what has to be different.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(bin slurp spew wait_for);
use Postrider::Client;
use Postrider::Postfix;
use Test::More;
use Time::HiRes qw(sleep);

my $mail = Postrider->new(settings => { minimal_backoff_time => '600s' });
my $go = "$mail->{dir}/go";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef if $verb ne 'RCPT';
	for (1 .. 400) {
		last if $line !~ /slow/ || -e $go;
		sleep 0.05;
	}
	return $line =~ /later/ ? '450 4.2.0 not now' : undef;
});
my %same = (relayhost => '[127.0.0.1]:' . $sink->port,
    local_header_rewrite_clients => '', always_add_missing_headers => 'no',
    smtp_connection_cache_on_demand => 'no');
my $postfix = Postrider::Postfix->new(settings => { %same,
    enable_long_queue_ids => 'yes', minimal_backoff_time => '600s' })
    or plan skip_all => 'no Postfix to compare with: ' .
	Postrider::Postfix::why();
$mail->set(%same);
$mail->start;
$postfix->start;

my $names = "$mail->{dir}/names";
mkdir $names;
symlink bin() . '/postrider-queue', "$names/$_"
    for qw(mailq postqueue postsuper postcat);

sub ours
{
	my ($name, @words) = @_;
	local $ENV{MAIL_CONFIG} = $mail->etc;
	my ($status, $text) = $mail->run('', "$names/$name", @words);

	$text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mg;
	return ($status, $text);
}

sub post
{
	my ($port, $from, $text, @to) = @_;
	my $c = Postrider::Client->new($port);

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command("MAIL FROM:<$from>", 250);
	$c->command("RCPT TO:<$_> ORCPT=rfc822;$_", 250) for @to;
	$c->command('DATA', 354);
	my $reply = $c->data($text);
	$c->command('QUIT', 221);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

my (@ours, @theirs);
for (['al@one.test', "Subject: a\nX-Long: b\n\tc\nFrom: al\n\nHello.\nX: b\n",
    'later1@far.test', 'ok@far.test'],
    ['', "Subject: none\n\nno from\n", 'later2@far.test'],
    ['b@two.test', "no header at all\n", 'later3@far.test']) {
	push @ours, post($mail->port, @$_);
	push @theirs, post($postfix->port, @$_);
}
wait_for(sub { 3 == (() = $_->log =~ /status=deferred/g) }, 20, 'deferrals')
    for $mail, $postfix;
wait_for(sub { (ours('postqueue', '-p'))[1] !~ /\*/ &&
    (ours('postcat', '-q', $ours[0]))[1] =~ /done_rec/ }, 10, 'the end');
wait_for(sub { ($postfix->run('postqueue', '-p'))[1] !~ /\*/ }, 10, 'theirs');

# The numbers in front of a line, and what depends on the program.
sub normal
{
	my ($text, $ids) = @_;

	for my $i (0 .. $#$ids) {
		$text =~ s/$ids->[$i]/ID$i/g;
	}
	$text =~ s{^(postcat|postqueue|postsuper): (?:name_mask|inet_addr).*\n}{}mg;
	$text =~ s{^\S*/(post\w+): }{$1: }mg;
	$text =~ s{/\w+/ID}{/ID}g;
	$text =~ s/^(post\w+: (?:fatal|invalid option)).*/$1/mg;
	$text =~ s/(not a valid queue file).*/$1/;
	$text =~ s/^( +\d+ )?( *\d+ )?named_attribute: (log_ident|rewrite_context|log_.*|(server|reverse|client)_\w+|helo_name|protocol_name)=.*\n//mg;
	$text =~ s/^( +\d+ )/"N "/meg;
	$text =~ s/message_size:( +\d+){6}/message_size: 6 numbers/g;
	$text =~ s/\w{3} \w{3} .\d \d\d:\d\d:\d\d( \d{4})?/DATE/g;
	$text =~ s/\w{3}, \d\d? \w{3} \d{4} .*/DATE/g;
	$text =~ s/;\n(N )?(\s*\d+ )?(regular_text: )?\t/; /g;
	$text =~ s/\(Postfix\)/(Postrider)/g;
	$text =~ s/^((?:regular_text: )?[\tN\d ]*by) \S+ \(/$1 HOST (/mg;
	$text =~ s/\w+ \[127/CLIENT [127/g;
	$text =~ s/127\.0\.0\.1:\d+/HOST/g;
	$text =~ s/^(\w+[!#*]* +)\d+ DATE/$1 SIZE DATE/mg;
	$text =~ s/(size": )\d+|(arrival_time": )\d+/($1 || $2) . 'N'/ge;
	return $text;
}

# One command with both; {0} is the first message.
sub both
{
	my (@words) = @_;
	my @w = map { my $w = $_; $w =~ s/\{(\d)\}/$ours[$1]/g; $w } @words;
	my @v = map { my $v = $_; $v =~ s/\{(\d)\}/$theirs[$1]/g; $v } @words;
	my ($status, $text) = ours(@w);
	my ($their_status, $their_text) = $postfix->run(@v);

	is("$status\n" . normal($text, \@ours), "$their_status\n" .
	    normal($their_text, \@theirs), "@words");
}

subtest 'postcat' => sub {
	both('postcat', '-q', '{0}');
	both('postcat', '-q', '{1}', '{0}');
	both('postcat', "-q$_", '{0}') for qw(b h e bh be bd hd d v o bo ho bv
	    hv bhd eo r do br x f n m);
	both('postcat', '-qb', "{$_}") for 0 .. 2;
	both('postcat', '-qh', "{$_}") for 0 .. 2;
	both('postcat', '-q', 'NOSUCHID');
	both('postcat', '-q', 'no/such');
	both('postcat', '-q', '');
	both('postcat', '/etc/passwd');
	both('postcat', '/nonexistent');
	both('postcat');
	both('postcat', '-q');
	both('postcat', '-s', 'x', '-q', '{0}');
	both('postcat', '-q', '-s', '999999', '{0}');
	both('postcat', '-q', '-b', '-s', '0', '{0}');
};

subtest 'postqueue' => sub {
	both('postqueue', @$_) for [], ['-x'], ['-p', '-f'], ['-p', '-p'],
	    ['-p', 'x'], ['-i', 'NOSUCHID'], ['-i', 'x!'], ['-s', ''],
	    ['-s', 'a b'], ['-j', '-i', 'x'], ['-c'];
};

subtest 'postsuper' => sub {
	both('postsuper', @$_) for ['-x'], ['-h', '{0}', '-h', '{1}'],
	    ['-h', '{0}'], ['-h', 'x!'], ['-h', 'NOSUCHID'], ['-h', 'all'],
	    ['-h', ''], ['-H', 'ALL', '-e', '{0}'], ['-e', '{1}', 'hold'],
	    ['-H', '{2}'], ['-h', '{1}'], ['-e', '{1}'], ['-e', '{1}'],
	    ['-f', '{1}', 'deferred'], ['-H', '{1}'], ['-h', '{2}'],
	    ['-f', '{2}'], ['-h', 'ALL', 'hold'], ['-H', 'ALL', 'deferred'],
	    ['-d', 'X1', '-e', 'X1', '-f', 'X1', '-h', 'X1', '-H', 'X1', '-r',
		'X1'], ['-e', 'X1', '-f', 'X1'], ['-f', 'X1', '-H', 'X1'],
	    ['-d', 'X1', 'nosuch'], ['-d', 'X1', 'bounce'],
	    ['-d', 'ALL', 'maildrop'], ['-s', 'nosuch'], ['-s', 'flush'],
	    ['-d', 'ALL', 'corrupt'], ['-h', 'ALL', 'flush'], ['-d'], ['-h'],
	    ['incoming'], ['nosuch'], ['-s'], ['-S'], ['-p'],
	    ['-ps', 'incoming'], [], ['-d', '-'];
};

subtest 'the list, with mail in every state' => sub {
	unlink $go;
	ours('postsuper', '-d', 'ALL');
	$postfix->run('postsuper', '-d', 'ALL');
	wait_for(sub { (ours('postqueue', '-p'))[1] =~ /empty/ }, 20);
	my @before = map { scalar(() = $_->log =~ /=deferred/g) } $mail,
	    $postfix;
	@ours = @theirs = ();
	for (['al@one.test', "a\n", 'slow@far.test', 'later@far.test'],
	    ['', "b\n", 'later1@far.test', 'later2@far.test'],
	    ['"a b"@one.test', "c\n", 'later3@far.test']) {
		push @ours, post($mail->port, @$_);
		push @theirs, post($postfix->port, @$_);
	}
	wait_for(sub { $before[0] + 3 <= (() = $mail->log =~ /=deferred/g) &&
	    $before[1] + 3 <= (() = $postfix->log =~ /=deferred/g) }, 20,
	    'deferrals');
	ours('postsuper', '-h', $ours[1]);
	$postfix->run('postsuper', '-h', $theirs[1]);
	ours('postsuper', '-e', $ours[1]);
	$postfix->run('postsuper', '-e', $theirs[1]);
	ours('postsuper', '-e', $ours[2]);
	$postfix->run('postsuper', '-e', $theirs[2]);
	my @blocks = map { [sort split /\n\n/, s/^--.*//mgr =~
	    s/ +SIZE/ SIZE/gr] }
	    normal((ours('postqueue', '-p'))[1], \@ours),
	    normal(($postfix->run('postqueue', '-p'))[1], \@theirs);
	is_deeply($blocks[0], $blocks[1], 'the same, in any order');
	like((ours('postqueue', '-p'))[1], qr/^$ours[0]\* /m);
	like((ours('postqueue', '-p'))[1], qr/^$ours[1]!# /m);
	like((ours('postqueue', '-p'))[1], qr/^$ours[2]# /m);
	spew($go, '');
	wait_for(sub { (ours('postqueue', '-p'))[1] !~ /\*/ }, 20);
	both('postsuper', '-h', 'ALL');
	both('postsuper', '-H', '{0}', '-d', '{2}');
	wait_for(sub { (ours('postqueue', '-p'))[1] !~ /\*/ }, 20);
	both('postsuper', '-d', 'ALL', '-d', '{0}');
	both('postsuper', '-d', 'ALL', '-r', 'ALL');
	both('postqueue', '-p');
	both('postqueue', '-j');
	both('postqueue', '-f');
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
