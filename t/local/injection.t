#!/usr/bin/perl
# injection.t - text of strangers on its way into commands, paths, mailboxes
# and lists. Names like INJ-05 are those of the attacks that the mail system is
# held against.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $dir = File::Temp->newdir('prt-inj-XXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir;
my $out = "$dir/out";
my $canary = "$out/canary";
mkdir $out;
chmod 01777, $out;

# Writes its words, each in brackets, and what it knows of the message.
spew("$dir/show", <<"END");
#!/bin/sh
{ printf '%s:' "\$#"; for word; do printf '[%s]' "\$word"; done; echo
env; echo ===; cat; } > $out/new.\$\$
mv $out/new.\$\$ $out/run.\$\$
END

# A shell with the hole of 2014: it does what stands in its environment.
spew("$dir/hollow", <<'END');
#!/bin/sh
env > "$0.env.$$"
while IFS= read -r line; do
	case ${line#*=} in
	'() {'*) eval "${line#*\};}" ;;
	esac
done < "$0.env.$$"
rm "$0.env.$$"
exec /bin/sh "$@"
END
chmod 0755, "$dir/show", "$dir/hollow";
chmod 01777, $dir;

my $line = 'unix - n n - - pipe';
my $mail = Postrider->new(files => { aliases => <<'END',
postmaster root
shell "|printf '%s\n' $LOCAL $EXTENSION $SENDER > OUT/env"
bash "|cat > /dev/null"
END
    virtual => join('', map { "$_\n" }
	"v1\@virtual.test \"|/bin/touch $canary\"",
	"v2\@virtual.test $canary", 'v3@virtual.test :include:/etc/shadow',
	"v4\@virtual.test |/bin/touch\${IFS}$canary",
	'v5@virtual.test ' . 'x' x 1000000 . '@far.test',
	'v6@virtual.test ' . join(',', map { "u$_\@far.test" } 1 .. 100000)),
    boxes => <<'END', upward => "/^(.*)\@dir\\.test\$/ \$1/\n" },
up1@v.test ../escaped
up2@v.test a/../../escaped
up3@v.test ..
up4@v.test /../escaped/
passwd@v.test /etc/passwd
dot@v.test .
code@v.test a%2f..
END
    master => <<"END",
words $line user=prt-alice argv=$dir/show \${sender} \${recipient}
fixed $line user=prt-alice null_sender=
  argv=$dir/show -u \${user} -e \${extension} -s \${sender}
plain $line user=prt-alice argv=$dir/show \${sender} \${recipient} \${user}
holed $line user=prt-alice argv=$dir/hollow -c {cat >/dev/null}
helo $line user=prt-alice argv=$dir/show \${client_helo} \${envid}
END
    settings => { recipient_delimiter => '+', local_recipient_maps => '',
    minimal_backoff_time => '300s', virtual_uid_maps => 'static:5001',
    virtual_gid_maps => 'static:5001', virtual_mailbox_domains =>
    'v.test dir.test', virtual_alias_domains => 'virtual.test',
    message_size_limit => '30000000',
    forward_path => '$home/fwd/$extension $home/.forward+$extension',
    transport_maps => 'inline:{words.test=words:, fixed.test=fixed:, ' .
    'plain.test=plain:, holed.test=holed:, helo.test=helo:, ' .
    'far.test=discard:}' });
my ($etc, $alice) = ($mail->etc, $mail->user(0));
my ($uid, $gid, $home) = (getpwnam $alice)[2, 3, 7];
my $base = $mail->dir . '/virtual';
my $box = $mail->dir . "/mail/$alice";

spew("$etc/aliases", slurp("$etc/aliases") =~ s/OUT/$out/r);
mkdir $base;
chown 5001, 5001, $base;
unlink "$home/.forward";
$mail->set(virtual_mailbox_base => $base,
    virtual_mailbox_maps => "texthash:$etc/boxes, regexp:$etc/upward",
    virtual_alias_maps => "texthash:$etc/virtual");
$mail->start;

# Say it by SMTP: "dsn status (text)" of the recipients, or the refusal.
sub say_it
{
	my ($from, $to, %o) = @_;
	my $c = $mail->client;
	my $reply;

	unlink glob "$out/run.*";
	$c->expect(220);
	$c->command('EHLO ' . ($o{helo} // 'client.test'));
	for my $command ("MAIL FROM:<$from>" . ($o{mail} // ''),
	    "RCPT TO:<$to>" . ($o{rcpt} // ''), 'DATA') {
		$reply = $c->command($command);
		return $reply if $reply !~ /^[23]/;
	}
	$reply = $c->data($o{text} // "Subject: x\n\ny\n", qr/^\d/);
	my ($id) = $reply =~ /queued as (\w+)/ or return $reply;
	return outcome($id);
}

sub outcome
{
	my ($id) = @_;

	$mail->wait_log(qr/\b$id: to=.*status=.*\n/, 20);
	return join "\n", map { /dsn=(\S+), status=(.*)/ ? "$1 $2" : () }
	    grep { /\b$id: to=/ } split /^/, $mail->log;
}

# The words of the last run, "" when there was none.
sub words { return join '', map { slurp($_) =~ /\A(.*)\n/ } glob "$out/run.*" }

sub forward
{
	my ($text, $name) = @_;
	my $path = "$home/" . ($name // '.forward+');

	unlink $path;
	return unless defined $text;
	spew($path, $text);
	chown $uid, $gid, $path;
}

subtest 'INJ-01: commands in addresses' => sub {
	like(say_it(';for i in 0 1;do read r;done;sh;exit 0;',
	    'u@words.test'), qr/^5\d\d /, 'spaces are no address');
	for my $nasty (";touch$canary;", "|touch\${IFS}$canary|",
	    "`touch\${IFS}$canary`") {
		my $said = say_it("$nasty\@far.test", 'u@words.test');
		like($said, qr/^(?:5\d\d |2\.0\.0 sent)/, "$nasty: " . $said);
		is(words(), "2:[$nasty\@far.test][u\@words.test]",
		    'one word') if $said =~ /sent/;
	}
	my $quoted = "; touch $canary; \$(touch $canary) `touch $canary`";
	like(say_it("\"$quoted\"\@far.test", "\"$quoted\"\@words.test"),
	    qr/^2\.0\.0 sent/, 'quoted');
	is(words(), "2:[$quoted\@far.test][$quoted\@words.test]",
	    'both are words of their own');
	spew("$home/.forward+sh", "\"|echo \$SENDER > $out/fwd\"\n");
	chown $uid, $gid, "$home/.forward+sh";
	like(say_it("\"$quoted\"\@far.test", "$alice+sh\@local.test"),
	    qr/^2\.0\.0 sent/, 'a command of a .forward');
	like(slurp("$out/fwd"), qr{^___touch_${canary}____touch_${canary}}m,
	    'sees letters only');
	like(say_it("\"$quoted\"\@far.test", "$alice\@local.test"),
	    qr/^2\.0\.0 sent/, 'a mailbox');
	is(scalar(my @m = $mail->mbox($alice)), 1, 'has one message');
	forward(undef, '.forward+sh');
	ok(!-e $canary, 'nothing was run');
};

subtest 'INJ-05: functions in the environment' => sub {
	my $hole = "() { :;}; touch $canary";

	for my $to ('bash+' . $hole, "$alice+$hole") {
		like(say_it("\"$hole\"\@far.test", "\"$to\"\@local.test",
		    helo => $hole =~ s/ //gr), qr/^(?:2\.0\.0 sent|5)/, $to);
	}
	like(say_it("\"$hole\"\@far.test", "\"$hole\"\@holed.test",
	    text => "Subject: $hole\n\nx\n"), qr/^2\.0\.0 sent/, 'pipe');
	ok(!-e $canary, 'nothing was run');
	$mail->set(local_command_shell => "$dir/hollow -c",
	    mailbox_command => "$dir/show mailbox");
	$mail->stop;
	$mail->start;
	like(say_it("\"$hole\"\@far.test", "\"bash+$hole\"\@local.test",
	    helo => $hole =~ s/ //gr), qr/^2\.0\.0 sent/, 'a holed shell');
	like(say_it("\"$hole\"\@far.test", "\"$alice+$hole\"\@local.test",
	    rcpt => " ORCPT=rfc822;()+20{+20:;};touch"), qr/^2\.0\.0 sent/,
	    'as the shell of mailbox_command');
	my ($text) = map { slurp($_) } glob "$out/run.*";
	my %env = $text =~ /^(LOCAL|EXTENSION|SENDER|RECIPIENT|ORIGINAL_RECIPIENT|CLIENT_\w+|DOMAIN)=(.*)$/mg;
	cmp_ok(scalar keys %env, '>', 6, 'what strangers chose is there');
	is(join(' ', grep { $env{$_} =~ m{[^A-Za-z0-9!@%_=+:,./-]} }
	    sort keys %env), '', 'of harmless characters');
	ok(!-e $canary, 'nothing was run');
	$mail->set(local_command_shell => undef, mailbox_command => undef);
	$mail->stop;
	$mail->start;
};

subtest 'INJ-06: addresses that look like options' => sub {
	for my $to ('-froot@plain.test', '--exec=x@plain.test', '-@plain.test',
	    '"-x"@plain.test', '"\-x"@plain.test', 'u+-x@fixed.test') {
		like(say_it('s@far.test', $to), qr/^(?:5\.1\.3 bounced|5\d\d )/,
		    $to);
		is(words(), '', 'runs nothing');
	}
	like(say_it('-oQ/tmp@far.test', 'u@plain.test'),
	    qr/^(?:5\.1\.3 bounced|5\d\d )/, 'a sender');
	is(words(), '', 'runs nothing');
	like(say_it('s@far.test', 'u+-x@plain.test'), qr/^2\.0\.0 sent/,
	    'an extension inside of a word');
	is(words(), '3:[s@far.test][u+-x@plain.test][u]', 'is none');
	say_it('s@far.test', 'u@helo.test', mail => ' ENVID=-x');
	is(words(), '2:[client.test][_x]', 'what else a client says');
	my $said = say_it('s@far.test', 'u@helo.test', helo => '-froot');
	like($said . words(), qr/^5|\[(?:_froot)?\]/, 'his name');
};

subtest 'INJ-07: empty words stay' => sub {
	for (['""@fixed.test', 's@far.test', '[-u][][-e][][-s][s@far.test]'],
	    ['+ext@fixed.test', '', '[-u][+ext][-e][][-s][]'],
	    ['user+..@fixed.test', '', '[-u][user][-e][..][-s][]'],
	    ['user+@fixed.test', '', '[-u][user][-e][][-s][]'],
	    ['user@fixed.test', '', '[-u][user][-e][][-s][]']) {
		my ($to, $from, $words) = @$_;
		my $said = say_it($from, $to);
		if ($said =~ /^5/) {
			is(words(), '', "$to is no address");
		} else {
			is(words(), "6:$words", "$to: six words");
		}
	}
};

subtest 'INJ-08: shell text in what an alias\'s command may use' => sub {
	for my $text ('$(id)', '`id`', ';id', '|id', '\'', '&', "\xc3\xa9",
	    "touch $canary", '>x<', '*?[a]', '#!') {
		unlink "$out/env";
		my $said = say_it("\"$text\"\@far.test",
		    "\"shell+$text\"\@local.test");
		next if $said =~ /^5\d\d /;	# no address
		like($said, qr/^2\.0\.0 sent/, $text);
		like(slurp("$out/env"), qr{\A[A-Za-z0-9!@%_=+:,./\n-]+\z},
		    'reaches it as letters');
	}
	ok(!-e $canary, 'nothing was run');
};

subtest 'INJ-09: names that are paths' => sub {
	my $up = '../' x 6;

	mkdir "$home/fwd";
	spew("$home/secret", "x\@far.test\n");
	forward("x\@far.test\n", '.ssh');
	chown $uid, $gid, "$home/fwd", "$home/secret";
	like(say_it('s@far.test', "\"$alice+$_\"\@local.test"),
	    qr/^2\.0\.0 sent \(delivered to mailbox\)/, "extension $_")
	    for '../secret', '.ssh', "${up}$home/secret", '..', '.', '';
	unlink "$home/secret", "$home/.ssh";
	rmdir "$home/fwd";
	for my $name ('/etc/passwd', '..', '.', 'a%2f..', '', "$up$canary",
	    "$canary") {
		like(say_it('s@far.test', "\"$name\"\@local.test"),
		    qr/^(?:5\.1\.1 bounced \(unknown user|5\d\d )/,
		    "\"$name\" is no user");
		like(say_it('s@far.test', "\"$name\"\@$_"),
		    qr/^[45]/, "nor a mailbox in $_") for qw(v.test dir.test);
	}
	$mail->set(virtual_mailbox_maps => "texthash:$etc/boxes");
	$mail->stop;
	$mail->start;
	like(say_it('s@far.test', "up$_\@v.test"),
	    qr/^4\.3\.5 deferred .*bad value/, "a table that leads up: $_")
	    for 1 .. 4;
	like(say_it('s@far.test', 'passwd@v.test'),
	    qr/^4\.2\.0 deferred .*\Q$base\E\/\/etc\/passwd/,
	    'a path that is one below the base');
	like(say_it('s@far.test', 'dot@v.test'), qr/^4\.2\.0 deferred/,
	    'the base itself');
	like(say_it('s@far.test', 'code@v.test'), qr/^2\.0\.0 sent/, 'a name');
	is(join(' ', map { s/.*\///r } glob "$base/*"), 'a%2f..',
	    'is what it is');
	ok(!-e $canary, 'nothing was written elsewhere');
	ok(!-e $mail->dir . '/escaped', 'nor above the base');
};

subtest 'INJ-10: one message stays one' => sub {
	my $count = sub {
		my (undef, $n) = $mail->run('', 'python3', '-c', <<'END', $box);
import mailbox, sys
box = mailbox.mbox(sys.argv[1])
print(len(box), sorted(len(m.as_bytes()) > 0 for m in box))
END
		return $n =~ /^(\d+)/ ? $1 : $n;
	};
	my @texts = ("Subject: a\n\nx\n\nFrom evil Mon Jan  1 00:00:00 2026\n" .
	    "Subject: b\n\ny\n", "Subject: no end\n\nFrom here",
	    "Subject: cr\n\na\rb\r\rc\n", "Subject: nul\n\na\0b\n",
	    "Subject: empty\n\n", "\nFrom the start\n",
	    "From me Mon Jan  1 00:00:00 2026\nSubject: z\n\nFrom\n");
	unlink $box;
	my $n = 0;
	for my $text (@texts) {
		my $before = length $mail->log;
		$mail->sendmail($text, '-f', '"a b From x"@far.test',
		    "$alice\@local.test");
		wait_for(sub { substr($mail->log, $before) =~
		    /to=<$alice\@.*status=sent/ }, 10, $mail->log);
		is($count->(), ++$n, 'one more');
	}
	my @mbox = $mail->mbox($alice);
	is(scalar @mbox, scalar @texts, 'all in all');
	like($mbox[0], qr/\n\nx\n\n>From evil Mon.*\nSubject: b\n\ny\n\n\z/,
	    'no more is changed than a line that begins with From');
	like($mbox[1], qr/\n\n>From here\n\n\z/, 'the last line is ended');
	like($mbox[2], qr{\n\na[\r ]b[\r ]{2}c\n\n\z}, 'CR is no line end');
};

subtest 'INJ-20: destinations by SMTP and in headers' => sub {
	my @nasty = ("|/bin/touch $canary", "/$canary", $canary,
	    ':include:/etc/shadow');
	my $c = $mail->client;

	for my $nasty (@nasty) {
		like(say_it('s@far.test', "\"$nasty\"\@local.test",
		    rcpt => ' ORCPT=rfc822;' . $nasty =~ s/ /+20/gr),
		    qr/^(?:5\.1\.1 bounced \(unknown user|5\d\d )/, $nasty);
		my $before = length $mail->log;
		$mail->sendmail("To: \"$nasty\"\@local.test\nSubject: x\n\ny\n",
		    '-t', '-f', 's@far.test');
		$mail->sendmail("To: $nasty\nSubject: x\n\ny\n", '-t', '-f',
		    's@far.test');
		$mail->settle(10);
		unlike(substr($mail->log, $before), qr{ relay=(?!none)\S+ .*status=sent},
		    'the same in a header') if $nasty !~ /include/;
	}
	$c->expect(220);
	like($c->command($_), qr/^50\d /, $_) for qw(DEBUG WIZ);
	ok(!-e $canary, 'nothing was run or written');
	unlike($mail->log, qr/root:[*!\$]/, 'nothing was read');
};

subtest 'INJ-23: nobody calls a shell by accident' => sub {
	like(say_it('s@far.test', "\"root+:|touch $canary\"\@local.test",
	    text => "Subject: x\nMIME-Version: 1.0\nContent-Type: " .
	    "application/zip; name=\"a';touch $canary;'.zip\"\n\nx\n"),
	    qr/^2\.0\.0 sent \(delivered to mailbox/, 'root');
	ok(!-e $canary, 'nothing was run');
	my @callers;
	for my $program (glob Postrider::bin() . '/*') {
		my $symbols = `nm -uD '$program' 2>/dev/null`;
		push @callers, $program
		    if $symbols =~ /\bU (?:popen|system|wordexp)\b/;
	}
	is("@callers", '', 'no program can call popen or system');
};

subtest 'INJ-21: destinations in tables of addresses' => sub {
	for my $n (1 .. 6) {
		my $said = say_it('s@far.test', "v$n\@virtual.test");
		like($said, qr/^(?:[45]\d\d |[45]\.\d\.\d (?:deferred|bounced))/,
		    "v$n: " . substr $said, 0, 70);
	}
	ok(!-e $canary, 'nothing was run or written');
	unlike($mail->log, qr/root:[*!\$]/, 'nothing was read');
	like(say_it('s@far.test', "$alice\@local.test"), qr/^2\.0\.0 sent/,
	    'everything else goes on');
	spew("$etc/virtual", "v7\@virtual.test a\0b\@far.test\n");
	like(wait_for(sub {
		my $said = say_it('s@far.test', 'v7@virtual.test');
		return $said =~ /^451/ ? $said : undef;
	}, 10), qr/^451 4\.3\.0/, 'a table with a NUL says nothing');
	spew("$etc/virtual", '');
	wait_for(sub { say_it('s@far.test', "$alice\@local.test") =~
	    /^2\.0\.0 sent/ }, 10, 'the table');
};

is_deeply([grep { !/texthash|virtual_alias|too (?:long|many)|NUL/ }
    $mail->complaints], [], 'no complaints');
done_testing();
