#!/usr/bin/perl
# env.t - mailbox_command: who runs it, what it may know, what strangers can
# put there.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $dir = File::Temp->newdir('prt-env-XXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir;
my $out = "$dir/out";
mkdir $out;
chmod 01777, $out;
spew("$dir/show", <<"END");
#!/bin/sh
{ echo "\$#: \$*"; id -un; pwd; env; echo ===; cat; } > $out/new.\$\$
mv $out/new.\$\$ $out/run.\$\$
END
spew("$dir/shell", "#!/bin/sh\necho \"\$@\" > $out/shell\ncat > /dev/null\n");
spew("$dir/maps", "prt-bob	$dir/show bobs\n");
chmod 0755, "$dir/show", "$dir/shell";

my $mail = Postrider->new(settings => { recipient_delimiter => '+',
    minimal_backoff_time => '300s',
    mailbox_command => "$dir/show -a \"\$EXTENSION\" -u \"\$USER\"",
    mailbox_command_maps => "texthash:$dir/maps",
    export_environment => 'TZ=UTC MAIL_CONFIG LANG FOO=bar' });
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $home = (getpwnam $alice)[7];
unlink "$_/.forward" for map { (getpwnam $_)[7] } $alice, $bob;
$mail->start;

sub deliver
{
	my ($to, %o) = @_;
	my $c = $mail->client;

	unlink glob "$out/run.*";
	$c->expect(220);
	$c->command('EHLO ' . ($o{helo} // 'client.test'), 250);
	$c->command('MAIL FROM:<' . ($o{from} // 'a@far.test') . '>', 250);
	$c->command("RCPT TO:<$to>", 250);
	$c->command('DATA', 354);
	my ($id) = $c->data("Subject: x\n\ny\n") =~ /queued as (\w+)/ or die;
	$c->command('QUIT', 221);
	$mail->wait_log(qr/\b$id: to=.*status=.*\n/) =~
	    /dsn=(\S+), status=(.*)/;
	my ($text) = map { slurp($_) } glob "$out/run.*";
	return ("$1 $2", $text // '');
}

subtest 'the environment' => sub {
	my ($status, $text) = deliver("$alice+Ext\@local.test");

	is($status, "2.0.0 sent (delivered to command: $dir/show -a \"\$EXTENSION\" -u \"\$USER\")",
	    'sent');
	like($text, qr/\A4: -a ext -u $alice\n$alice\n\Q$home\E\n/,
	    'words, user, directory');
	my ($env) = $text =~ /\A(?:[^\n]*\n){3}(.*?)^===/ms;
	my %env = map { /^(\w+)=(.*)$/ } split /\n/, $env;
	delete @env{qw(PWD OLDPWD _ SHLVL)};
	is_deeply(\%env, {
	    CLIENT_ADDRESS => '127.0.0.1', CLIENT_HELO => 'client.test',
	    CLIENT_HOSTNAME => 'localhost', CLIENT_PROTOCOL => 'ESMTP',
	    DOMAIN => 'local.test', EXTENSION => 'ext', FOO => 'bar',
	    HOME => $home, LANG => 'C', LOCAL => "$alice+ext",
	    LOGNAME => $alice, MAIL_CONFIG => $mail->etc,
	    ORIGINAL_RECIPIENT => "$alice+Ext\@local.test",
	    PATH => '/usr/bin:/bin', RECIPIENT => "$alice+Ext\@local.test",
	    SENDER => 'a@far.test', SHELL => '/bin/sh', TZ => 'UTC',
	    USER => $alice }, 'this, and nothing else');
	like($text, qr/^===\nFrom a\@far\.test .*\nReturn-Path: <a\@far\.test>\nX-Original-To: .*\nDelivered-To: /m,
	    'the message');
};

subtest 'hostile values lose what a shell could take' => sub {
	my ($status, $text) = deliver('"' . $alice .
	    '+$(id>/tmp/owned);`x`|\\"\'&*?"@local.test',
	    from => '"$(reboot);\'x"@far.test');

	like($text, qr/\A4: -a __id_\/tmp\/owned___x_______ -u $alice\n/,
	    'an extension');
	like($text, qr/^SENDER=___reboot___x_\@far\.test$/m, 'a sender');
	ok(!-e '/tmp/owned', 'nothing was run');
};

subtest 'mailbox_command_maps' => sub {
	my ($status, $text) = deliver("$bob\@local.test");

	like($status, qr/\(delivered to command: \Q$dir\E\/show bobs\)/, 'found');
	like($text, qr/\A1: bobs\n$bob\n/, 'his own');
};

subtest 'DLV-03: root\'s mail is not for a command of root' => sub {
	my ($status, $text) = deliver('root@local.test');

	like($status, qr/^2\.0\.0 sent \(delivered to command/, 'sent');
	like($text, qr/\A.*\nnobody\n/, 'default_privs run it');
};

is_deeply([$mail->complaints], [], 'no complaints');
$mail->stop;

sub with
{
	my (%settings) = @_;
	my $m = Postrider->new(settings => { minimal_backoff_time => '300s',
	    %settings })->start;

	$m->send(from => '', to => ["$alice\@local.test"]);
	$m->wait_log(qr/to=<.*status=.*\n/) =~ /dsn=(\S+), status=(.*)/;
	is_deeply([$m->complaints], [], 'no complaints');
	return ("$1 $2", $m);
}

subtest 'DLV-10: local_command_shell' => sub {
	my ($status) = with(local_command_shell => "$dir/shell -c",
	    mailbox_command => '/bin/words alone');
	like($status, qr/^2\.0\.0 sent/, 'sent');
	is(slurp("$out/shell"), "-c /bin/words alone\n", 'gets every command');
};

subtest 'settings that need care' => sub {
	like((with(mailbox_command => '/bin/cat',
	    command_execution_directory => '$home/nowhere'))[0],
	    qr/^4\.3\.0 deferred \(cannot run in directory \Q$home\E\/nowhere: /, 'a directory that is missing');
	like((with(mailbox_command => '/bin/cat',
	    command_execution_directory => '$nonsense'))[0],
	    qr/^4\.3\.5 deferred/, 'a name that means nothing');
	my ($status, $m) = with(prepend_delivered_header => 'forward');
	unlike(($m->mbox($alice))[0], qr/^Delivered-To:/m,
	    'prepend_delivered_header');
	($status, $m) = with(require_home_directory => 'yes');
	like($status, qr/^2\.0\.0 sent/, 'who has a home');
	$m->send(from => '', to => ['nobody@local.test']);
	like($m->wait_log(qr/to=<nobody\@.*status=.*\n/),
	    qr/dsn=4\.3\.0, status=deferred \(home directory of user/,
	    'require_home_directory');
};

subtest 'forward_path' => sub {
	spew("$dir/$alice.fwd", "/dev/null\n");
	chown +(getpwnam $alice)[2, 3], "$dir/$alice.fwd";
	chmod 0644, "$dir/$alice.fwd";
	is((with(forward_path => "/no/\$home, $dir/\$user.fwd"))[0],
	    '2.0.0 sent (delivered to file: /dev/null)', 'elsewhere');
};

done_testing();
