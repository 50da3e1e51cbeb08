#!/usr/bin/perl
# include.t - lists in files, owners of lists, unknown users.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(settings => { recipient_delimiter => '+',
    minimal_backoff_time => '300s', expand_owner_alias => 'yes',
    allow_mail_to_commands => 'alias, forward, include',
    luser_relay => '$user+$extension-lost@catch.test',
    local_recipient_maps => '', default_destination_recipient_limit => '1000',
    transport_maps => 'inline:{catch.test=discard:, far.test=discard:}' });
my ($dir, $etc) = ($mail->dir, $mail->etc);
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my ($home, $bobs) = map { (getpwnam $_)[7] } $alice, $bob;
my ($uid, $gid) = (getpwnam $alice)[2, 3];
my $lists = "$dir/lists";
my $out = "$dir/out";

mkdir $_ for $lists, $out;
chmod 01777, $out;

sub list
{
	my ($name, $text, $user, $mode) = @_;

	spew("$lists/$name", $text);
	chown +(getpwnam $user)[2, 3], "$lists/$name" if defined $user;
	chmod $mode // 0644, "$lists/$name";
}

list(plain => "# members\n$alice\n\n$bob,\nfar\@far.test\n");
list(long => join '', map { "member$_\@far.test\n" } 1 .. 6000);
list(roots => "\"|id -un > $out/roots\"\n");
list(hers => "\"|id -un > $out/hers\"\n", $alice);
list(fds => "\"|(ls /proc/\$\$/fd > $out/fds); cat > /dev/null\"\n", $alice);
list(open => "$alice\n", 'root', 0666);
list(secret => "$alice\n", 'root', 0600);
list(broken => "$alice\nsecret <<< text\n");
list(nul => "$alice\n\0\n");
list(inner => ":include:$lists/plain\n");
list(loop => "$bob, :include:$lists/loop\n");
list(empty => "# nobody\n");
list("deep$_" => ":include:$lists/deep" . ($_ + 1) . "\n") for 1 .. 9;
list(deep10 => "$bob\n");
symlink '/etc/shadow', "$lists/link";
system('mkfifo', '-m', '666', "$lists/fifo");

spew("$etc/aliases", join('', "postmaster root\n", map {
	"$_ :include:$lists/$_\n"
} qw(plain long roots hers fds open secret broken nul inner loop empty deep1 link
    fifo missing)) . <<"END");
relative :include:lists/plain
owned :include:$lists/plain
owner-owned keeper\@far.test
END
$mail->start;

sub post
{
	my ($to, %o) = @_;
	my $reply = $mail->send(from => $o{from} // '', to => [$to]);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

sub outcome
{
	my ($id, $seconds) = @_;

	$mail->wait_log(qr/\b$id: to=.*status=.*\n/, $seconds);
	return join "\n", map { /dsn=(\S+), status=(.*)/ ? "$1 $2" : () }
	    grep { /\b$id: to=/ } split /^/, $mail->log;
}
sub of { return outcome(post("$_[0]\@local.test")) }

sub in_home
{
	my ($name, $text) = @_;

	unlink "$home/$name";
	return unless defined $text;
	spew("$home/$name", $text);
	chown $uid, $gid, "$home/$name";
	chmod 0644, "$home/$name";
}
in_home('.forward');

subtest 'a list' => sub {
	like(of('plain'), qr/^2\.0\.0 sent \(forwarded as (\w+)\)$/, 'forwarded');
	$mail->wait_log(qr/to=<far\@far\.test>, orig_to=<plain\@local\.test>.*sent/);
	ok($mail->wait_log(qr/to=<$_\@local\.test>, orig_to=<plain\@local\.test>.*sent/),
	    $_) for $alice, $bob;
	like(of('inner'), qr/^2\.0\.0 sent \(forwarded as/, 'a list in a list');
	like(of('deep1'), qr/^2\.0\.0 sent \(forwarded as/, 'ten levels');
	like(of('loop'), qr/^4\.3\.5 deferred .*nested too deeply/,
	    'one that names itself');
	like(of('empty'), qr/^4\.3\.5 deferred \(alias empty names nobody/,
	    'one without members');
};

subtest 'a long list arrives whole' => sub {
	like(outcome(post('long@local.test'), 20), qr/^2\.0\.0 sent/, 'sent');
	wait_for(sub { (() = $mail->log =~
	    /to=<member\d+\@far\.test>, orig_to.*status=sent/g) == 6000 }, 30,
	    'all members');
	pass('all members');
};

subtest 'DLV-03: commands of a list run as its owner, never as root' => sub {
	like(of('roots'), qr/^2\.0\.0 sent \(delivered to command: /, 'root\'s');
	is(slurp("$out/roots"), "nobody\n", 'by default_privs');
	like(of('hers'), qr/^2\.0\.0 sent \(delivered to command: /, 'a user\'s');
	is(slurp("$out/hers"), "$alice\n", 'by her');
	in_home('.forward', ":include:$lists/roots\n");
	unlink "$out/roots";
	of($alice);
	is(slurp("$out/roots"), "$alice\n",
	    'a list of root\'s in a .forward: by the user');
	in_home('.forward');
};

subtest 'DLV-02: a command of a list has nothing of ours' => sub {
	like(of('fds'), qr/^2\.0\.0 sent/, 'sent');
	is(slurp("$out/fds"), "0\n1\n2\n", 'three descriptors');
};

subtest 'a list that is not to be believed makes mail wait' => sub {
	like(of('open'), qr/^4\.3\.0 deferred .*open: everybody can write to it/,
	    'everybody can write it');
	like(of('secret'), qr/^4\.3\.0 deferred .*Permission denied/,
	    'default_privs may not read it');
	like(of('link'), qr/^4\.3\.0 deferred .*symbolic link/, 'a link');
	like(of('fifo'), qr/^4\.3\.0 deferred .*not a regular file/, 'a FIFO');
	like(of('missing'), qr/^4\.3\.0 deferred .*No such file/, 'none');
	like(of('nul'), qr/^4\.3\.5 deferred .*NUL/, 'a NUL byte');
	like(of('relative'), qr/^4\.3\.5 deferred .*no absolute path/,
	    'a path that is none');
	is(of('broken'), "4.3.5 deferred ($lists/broken is malformed)",
	    'nonsense; its text stays here');
};

subtest 'expand_owner_alias' => sub {
	my $id = post('owned@local.test', from => 'a@far.test');

	my ($new) = outcome($id) =~ /forwarded as (\w+)/ or die;
	ok($mail->wait_log(qr/$new: from=<keeper\@far\.test>/),
	    'the sender is whom owner-NAME names');
};

subtest 'luser_relay' => sub {
	my $id = post('strange+x@local.test');
	my ($new) = outcome($id) =~ /forwarded as (\w+)/ or die outcome($id);
	ok($mail->wait_log(qr/$new: to=<strange\+x-lost\@catch\.test>/),
	    'gets mail for unknown names');
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
