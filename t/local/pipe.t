#!/usr/bin/perl
# pipe.t - the service pipe: what its flags, names and users do.

use strict;
use warnings;
use lib 't/lib';

use File::Basename qw(dirname);
use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $dir = File::Temp->newdir('prt-pipe-XXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir;
my $out = "$dir/out";
mkdir $out;
chmod 01777, $out;

# Writes its words, each in brackets, and the message.
my $show = "$dir/show";
spew($show, <<"END");
#!/bin/sh
name=\$1
shift
{ for word; do printf '[%s]' "\$word"; done; echo; id -un; id -G; pwd; env
echo ===; cat; } > $out/new.\$\$
mv $out/new.\$\$ $out/\$name.\$\$
echo "said \$name"
END
chmod 0755, $show;

# A root with a shell in it and nothing else.
my @shell = ('/bin/sh', map { m{(/\S+) \(0x} } `ldd /bin/sh`);
for my $file (@shell) {
	system('mkdir', '-p', "$dir/jail" . dirname($file));
	system('cp', '-L', $file, "$dir/jail$file");
}
mkdir "$dir/jail/out";
chmod 01777, "$dir/jail/out";

my $line = "unix - n n - - pipe";
my $mail = Postrider->new(master => <<"END", settings => {
plain $line
  user=prt-alice argv=$show plain \${sender} \${recipient} \${user}
  \${extension} \${domain} \${mailbox} \${nexthop} \${queue_id} \${size}
  \${original_recipient} (\$recipient) \$nexthop!rmail
flags $line
  flags=BDFORXhqu.> user=prt-alice:nogroup directory=$out
  argv=$show flags \${sender} \${recipient} \${domain} \${user}
empty $line
  user=prt-alice null_sender= argv=$show empty -f \${sender} -u \${extension} end
many $line
  user=prt-alice argv=$show many \${sender} \${recipient} -- \${user}
eol $line
  user=prt-alice eol=\\r\\n argv=$show eol
small $line
  user=prt-alice size=200 argv=$show small
slow $line
  user=prt-alice argv=/bin/sleep 1000
fails $line
  user=prt-alice argv=/bin/sh -c { echo 5.7.1 not you; exit 65 }
root $line
  user=root argv=/bin/cat
rootgroup $line
  user=prt-alice:root argv=/bin/cat
owner $line
  user=postrider argv=/bin/cat
nobody-there $line
  user=prt-nosuchuser argv=/bin/cat
wrong $line
  flags=Z user=prt-alice argv=/bin/cat
name $line
  user=prt-alice argv=/bin/cat \${nonsense}
jail $line
  chroot=$dir/jail user=prt-alice directory=/out argv=/bin/sh -c
  { echo \$\$0 \$\$(pwd) > told; while [ ! -e go ]; do :; done; while read -r x;
  do echo "\$\$x"; done > text } me
nojail $line
  user=prt-alice chroot=$dir/nowhere argv=/bin/cat
wrongjail $line
  user=prt-alice chroot=jail argv=/bin/cat
null $line
  flags=FR user=prt-alice null_sender=<none> argv=$show null \${sender}
facts $line
  user=prt-alice argv=/bin/sh -c { (ls /proc/\$\$\$\$/fd > $out/fds);
  cat /proc/self/status > $out/status; ps -o sid=,pid= -p \$\$\$\$ > $out/sid;
  cat > /dev/null }
octal $line
  user=prt-alice eol=\\015\\12 argv=$show octal
END
    recipient_delimiter => '+', minimal_backoff_time => '300s',
    relay_domains => 'pipe.test', slow_time_limit => '1s',
    export_environment => 'FOO=bar TZ MAIL_CONFIG',
    empty_destination_recipient_limit => '1',
    default_transport => 'plain:', local_transport => 'error:none' });

sub transport
{
	my ($service) = @_;

	spew($mail->etc . '/transport', "* $service:the.Hop\n");
	$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport');
	$mail->reload if $mail->pid;
}
transport('plain');
$mail->start;

# Send; the log's "dsn status (text)" of the first recipient.
sub deliver
{
	my ($service, %o) = @_;
	my $to = $o{to} // ['User+Ext@Pipe.test'];

	transport($service);
	my $reply = $mail->send(from => $o{from} // 'Sender@far.test',
	    to => $to, text => $o{text} // "Subject: x\n\nFrom me\n.dot\nend\n");
	my ($id) = $reply =~ /queued as (\w+)/ or die $reply;
	$mail->wait_log(qr/$id: to=.*status=.*\n/) =~
	    /relay=(\S+), .*dsn=(\S+), status=(.*)/;
	return wantarray ? ("$2 $3", $id, $1) : "$2 $3";
}

# What the last run by this name wrote: words, other lines, message.
sub run_of
{
	my ($name) = @_;
	my @files = wait_for(sub { my @f = glob "$out/$name.[0-9]*"; @f > 0 &&
	    $f[0] }, 5, "a run of $name\n" . $mail->log);
	my @texts = map { my $t = slurp($_); unlink $_; $t } glob
	    "$out/$name.[0-9]*";
	my ($facts, $text) = split /^===\n/m, $texts[0], 2;
	my ($words, $rest) = split /\n/, $facts, 2;
	return ($words, $rest, $text, scalar @texts);
}

subtest 'names' => sub {
	my ($status, $id, $relay) = deliver('plain');
	my ($words, $rest, $text) = run_of('plain');
	my ($size) = $words =~ /\[(\d+)\]/;

	is($status, '2.0.0 sent (delivered via plain service (said plain))',
	    'the text');
	is($relay, 'plain', 'relay is the service');
	like($mail->log, qr{/pipe\[\d+\]: $id: to=}, 'the program is pipe');
	is($words, '[Sender@far.test][User+Ext@Pipe.test][User][Ext]' .
	    "[Pipe.test][User+Ext][the.Hop][$id][$size]" .
	    '[User+Ext@Pipe.test][(User+Ext@Pipe.test)][the.Hop!rmail]',
	    'words');
	like($rest, qr/\Aprt-alice\n/, 'the user');
	like($rest, qr/^FOO=bar$/m, 'export_environment');
	like($rest, qr/^MAIL_CONFIG=\Q@{[$mail->etc]}\E$/m, 'MAIL_CONFIG');
	like($rest, qr{^PATH=/usr/bin:/bin$}m, 'PATH');
	unlike($rest, qr/LD_PRELOAD|SENDER|HOME=/, 'and no more');
	like($text, qr/\AReceived: /, 'nothing is put in front');
	like($text, qr/\n\nFrom me\n\.dot\nend\n\z/, 'nothing is changed');
};

subtest 'flags' => sub {
	deliver('flags', from => '"a b"@far.test', to => ['"X y"@Pipe.TEST']);
	my ($words, $rest, $text) = run_of('flags');

	is($words, '["a b"@far.test]["x y"@pipe.test][pipe.test][x y]',
	    'h, q, u');
	like($rest, qr/\Aprt-alice\n\d+\n\Q$out\E\n/, 'directory, one group');
	is((split /\n/, $rest)[1], scalar(getgrnam 'nogroup'), 'the group');
	like($text, qr/\AFrom "a b"\@far\.test \w{3} .*\nReturn-Path: <"a b"\@far\.test>\nX-Original-To: "X y"\@Pipe\.TEST\nDelivered-To: "X y"\@Pipe\.TEST\nReceived: /,
	    'D, F, O, R');
	like($text, qr/\n\n>From me\n\.\.dot\nend\n\n\z/, 'B, . and >');
};

subtest 'DLV-02: a command of the service pipe has nothing of ours' => sub {
	like(scalar deliver('facts'), qr/^2\.0\.0 sent/, 'sent');
	is(slurp("$out/fds"), "0\n1\n2\n", 'three descriptors');
	my $status = slurp("$out/status");
	like($status, qr/^Groups:\t\d+ ?$/m, 'one group');
	like($status, qr/^Cap(?:Prm|Eff|Inh|Amb):\t0+$/m, 'no capabilities');
	like($status, qr/^SigBlk:\t0+$/m, 'no signal is blocked');
	like(slurp("$out/sid"), qr/^ *(\d+) +\1$/, 'a session of its own');
};

subtest 'empty words stay' => sub {
	deliver('empty', from => '', to => ['plain@pipe.test']);
	is((run_of('empty'))[0], '[-f][][-u][][end]',
	    'null sender, no extension');
};

subtest 'several recipients' => sub {
	my @to = map { "u$_\@pipe.test" } 1 .. 30;
	my (undef, $id) = deliver('many', to => \@to);
	wait_for(sub { (() = $mail->log =~ /$id: to=.*status=sent/g) == 30 },
	    10, 'all to be logged');
	my @texts = map { slurp($_) =~ /\A(.*)\n/ } glob "$out/many.[0-9]*";
	cmp_ok(scalar @texts, '<', 10, 'few runs for all');
	my (%seen, $is_right);
	for (@texts) {
		my ($first, $second) = /^\[Sender\@far\.test\](.*)\[--\](.*)$/;
		my @there = $first =~ /\[(.*?)\]/g;
		$seen{$_}++ for @there;
		$is_right += join('', map { "[$_]" } @there) eq
		    $second =~ s/\]/\@pipe.test]/gr;
	}
	is($is_right, scalar @texts, 'both names go together');
	is_deeply(\%seen, { map { $_ => 1 } @to }, 'everybody once');
	unlink glob "$out/many.[0-9]*";
	deliver('flags', to => ['a@pipe.test', 'b@pipe.test']);
	wait_for(sub { (my @f = glob "$out/flags.[0-9]*") == 2 }, 10, 'two runs');
	is((run_of('flags'))[3], 2, 'with D or O, a run for each');
};

subtest 'INJ-06: hostile addresses' => sub {
	my $nasty = '"; touch /tmp/owned; $(id) `id` \\"|& -x"@pipe.test';
	deliver('many', to => [$nasty]);
	my ($words) = run_of('many');
	is($words, '[Sender@far.test][; touch /tmp/owned; $(id) `id` "|& -x@pipe.test]' .
	    '[--][; touch /tmp/owned; $(id) `id` "|& -x]', 'one word each');
	ok(!-e '/tmp/owned', 'no shell saw it');
	like(scalar deliver('many', to => ['-froot@pipe.test']),
	    qr/^5\.1\.3 bounced/, 'no option');
	like(scalar deliver('many', from => '-oQ/tmp@far.test'),
	    qr/^5\.1\.3 bounced/, 'nor as the sender');
};

subtest 'line ends, size, time, exit' => sub {
	deliver('eol');
	like((run_of('eol'))[2], qr/\r\n\r\nFrom me\r\n\.dot\r\nend\r\n\z/,
	    'eol');
	like(scalar deliver('small'),
	    qr/^5\.2\.3 bounced \(message size \d+ exceeds size limit 200 of transport small\)/,
	    'size');
	is(scalar deliver('slow'),
	    '4.3.0 deferred (Command time limit exceeded: "/bin/sleep")',
	    'transport_time_limit');
	is(scalar deliver('fails'), '5.7.1 bounced (not you)', 'its code');
};

subtest 'what a line may not say' => sub {
	like(scalar deliver('root'), qr/^4\.3\.5 deferred .*must not be root/,
	    'root');
	like(scalar deliver('rootgroup'), qr/^4\.3\.5 deferred .*must not be root/,
	    'root\'s group');
	like(scalar deliver('owner'), qr/^4\.3\.5 deferred \(unknown user: "postrider"/,
	    'a user of the mail system');
	like(scalar deliver('nobody-there'), qr/^4\.3\.5 deferred \(unknown user/,
	    'a user who does not exist');
	like(scalar deliver('wrong'), qr/^4\.3\.5 deferred .*flag "Z"/, 'a flag');
	like(scalar deliver('name'), qr/^4\.3\.5 deferred .*"nonsense" is not known/,
	    'a name');
	like(scalar deliver('wrongjail'), qr/^4\.3\.5 deferred .*no absolute path|not an absolute path/,
	    'a root that is no path');
	like(scalar deliver('nojail'), qr/^4\.3\.0 deferred \(cannot chroot to .*No such file/,
	    'a root that is not there');
};

subtest 'chroot' => sub {
	transport('jail');
	my ($id) = $mail->send(from => 'a@far.test', to => ['a@pipe.test'],
	    text => "Subject: x\n\nend\n") =~ /queued as (\w+)/;
	is(wait_for(sub { slurp("$dir/jail/out/told") }, 10,
	    $mail->log), "me /out\n",
	    'it runs there');
	my ($process) = grep { (readlink("$_/root") // '') eq "$dir/jail" }
	    glob '/proc/[0-9]*';
	my $status = slurp("$process/status");
	my ($uid, $gid) = (getpwnam 'prt-alice')[2, 3];
	like($status, qr/^Uid:(?:\t$uid){4}$/m, 'as the user');
	like($status, qr/^Gid:(?:\t$gid){4}$/m, 'with his group');
	like($status, qr/^Cap$_:\t0+$/m, "no capabilities: $_")
	    for qw(Inh Prm Eff Amb);
	like($status, qr/^NoNewPrivs:\t1$/m, 'and none to be had');
	my ($parent) = $status =~ /^PPid:\t(\d+)$/m;
	like(slurp("/proc/$parent/status"), qr/^CapEff:\t0+40000$/m,
	    'who runs it can do no more than chroot');
	like(slurp("/proc/$parent/status"), qr/^Uid:(?:\t$uid){4}$/m,
	    'and is the user');
	spew("$dir/jail/out/go", '');
	$mail->wait_log(qr/$id: to=.*status=sent \(delivered via jail/);
	like(slurp("$dir/jail/out/text"), qr/^Subject: x\n(?s:.*)\nend\n\z/m,
	    'it gets the message');
	deliver('plain');
	my ($words, $rest, $text) = run_of('plain');
	like($rest, qr/\Aprt-alice\n/, 'others of the user run outside');
};

subtest 'null_sender and eol' => sub {
	deliver('null', from => '');
	my ($words, undef, $text) = run_of('null');
	is($words, '[<none>]', 'in words');
	like($text, qr/\AFrom <none> .*\nReturn-Path: <.?<none>.?>\n/,
	    'in front of the message');
	deliver('octal');
	like((run_of('octal'))[2], qr/\r\n\r\nFrom me\r\n/, 'octal numbers');
};

subtest 'a loop is found by D' => sub {
	like(scalar deliver('flags', to => ['l@pipe.test'],
	    text => "Delivered-To: l\@pipe.test\n\nx\n"),
	    qr/^5\.4\.6 bounced/, 'returned');
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
