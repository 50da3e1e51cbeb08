# auth.t - passwords are checked by a process that can do nothing else.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use Test::More;
use Time::HiRes qw(time);

use Alone;
use Postrider qw(bin is_root slurp spew wait_for);
use Postrider::Scram;
use Postrider::Memory qw(search_memory);

use constant { OK => 0, CONTINUE => 1, REFUSED => 2, MALFORMED => 3,
    UNKNOWN => 4, UNAVAILABLE => 6 };

my $temp = File::Temp->newdir('prt-auth-XXXX', DIR => '/tmp');
my $dir = "$temp";
my $users = "$dir/etc/users";
chmod 0755, $dir;
Alone::prepare($dir, smtpd_sasl_scram_iterations => 4096);

# postrider user, with its input.
sub user
{
	my ($input, @words) = @_;

	open my $to, '|-', bin() . '/postrider-user', '-c', "$dir/etc", @words
	    or die;
	print $to $input;
	close $to;
	return $?;
}

is(user("open sesame\n", 'add', 'ann@example.com', '-'), 0, 'a user');
is(user("tiger\n", 'add', 'bob', '-'), 0, 'another one');
my $written = slurp($users);
my ($verifier) = $written =~ /(SCRAM\S+)$/m;
my ($hash) = $written =~ /(\{CRYPT\}\S+)/;

my $auth = Alone->new(program => 'auth', dir => $dir);
my $number = 0;

# One exchange: the answers to what is said. What is said may be made from the
# answer before.
sub converse
{
	my ($mechanism, $initial, @said) = @_;
	my %bound = ref $said[-1] eq 'HASH' ? %{ pop @said } : ();
	my $id = ++$number;
	my @answers = $auth->ask_as('smtpd', 'AUTHENTICATE', ['int', $id],
	    ['str', $mechanism], ['bool', defined $initial], ['bool', 1],
	    ['data', $initial // ''], ['data', $bound{exporter} // ''],
	    ['data', $bound{end_point} // ''], ['str', '192.0.2.1']);
	for my $next (@said) {
		$next = $next->($answers[-1]{data}) if ref $next;
		push @answers, $auth->ask_as('smtpd', 'AUTH_CONTINUE',
		    ['int', $id], ['data', $next]);
	}
	return @answers;
}

sub result { return join ' ', map { $_->{result} } converse(@_) }

sub scram
{
	my ($mechanism, $c, $bound) = @_;

	return converse($mechanism, $c->first, sub { $c->final($_[0]) },
	    $bound // {});
}

# --- PLAIN and LOGIN --------------------------------------------------------

is($auth->ask_as('smtpd', 'ASK_MECHANISMS', ['str', 'submission'])->{words},
    'SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN', 'the mechanisms');

my ($plain) = converse('PLAIN', "\0ann\@example.com\0open sesame");
is($plain->{result}, OK, 'PLAIN with the password');
is($plain->{user}, 'ann@example.com', 'it says who that is');
($plain) = converse('plain', "\0ANN\@Example.com\0open sesame");
is("$plain->{result} $plain->{user}", OK . ' ann@example.com',
    'the case of names and mechanisms does not matter');
is(result('PLAIN', undef, "\0bob\0tiger"), CONTINUE . ' ' . OK,
    'PLAIN without an initial response');
($plain) = converse('PLAIN', "\0bob\0lion");
is("$plain->{result} $plain->{user}", REFUSED . ' bob',
    'a wrong password is refused, and the log hears whose');
is(result('PLAIN', "bob\0bob\0tiger"), OK, 'one may act as oneself');
is(result('PLAIN', "ann\@example.com\0bob\0tiger"), REFUSED,
    'and as nobody else');
is(result('PLAIN', $_->[1]), MALFORMED, "PLAIN $_->[0]") for
    ['without a second NUL', "bob\0tiger"],
    ['with a third one', "\0bob\0tiger\0"],
    ['without a name', "\0\0tiger"],
    ['without a password', "\0bob\0"],
    ['empty', ''], ['of a NUL', "\0"], ['of two', "\0\0"],
    ['with a name that is not UTF-8', "\0b\xffb\0tiger"],
    ['with a line end in the name', "\0bob\n\0tiger"],
    ['with a name that is too long', "\0" . 'x' x 2000 . "\0tiger"];

my @login = converse('LOGIN', undef, 'bob', 'tiger');
is(join('|', map { $_->{data} } @login[0, 1]), 'Username:|Password:',
    'LOGIN asks for name and password');
is($login[2]{result}, OK, 'and believes them');
is(result('LOGIN', 'bob', 'tiger'), CONTINUE . ' ' . OK,
    'LOGIN with the name at once');
is(result('LOGIN', undef, 'bob', 'lion'), '1 1 ' . REFUSED,
    'LOGIN with a wrong password');
is(result('LOGIN', undef, "b\0b"), '1 ' . MALFORMED, 'a name with a NUL');
is(result('LOGIN', 'bob', "tiger\0x"), '1 ' . REFUSED,
    'what stands behind a NUL counts');
is(result('CRAM-MD5', undef), UNKNOWN, 'no other mechanism');

# --- SCRAM ------------------------------------------------------------------

my $c = Postrider::Scram->new(user => 'bob', password => 'tiger');
my @scram = scram('SCRAM-SHA-256', $c);
is("$scram[1]{result} $scram[1]{user}", OK . ' bob', 'SCRAM-SHA-256');
ok($c->is_server($scram[1]{data}), 'and the server knows him, too');
$c = Postrider::Scram->new(user => 'bob', password => 'lion');
is((scram('SCRAM-SHA-256', $c))[1]{result}, REFUSED, 'a wrong password');
is(result('SCRAM-SHA-256', 'n,,n=bob'), MALFORMED, 'half a message');

my $bound = { exporter => 'e' x 32, end_point => 'p' x 32 };
for (['tls-exporter', 'e' x 32, OK], ['tls-server-end-point', 'p' x 32, OK],
    ['tls-exporter', 'x' x 32, REFUSED]) {
	my ($type, $bytes, $wanted) = @$_;
	$c = Postrider::Scram->new(user => 'bob', password => 'tiger',
	    binding => [$type, $bytes]);
	is((scram('SCRAM-SHA-256-PLUS', $c, $bound))[1]{result}, $wanted,
	    "SCRAM-SHA-256-PLUS with $type " . ($wanted == OK ?
	    'of this channel' : 'of another channel'));
}
$c = Postrider::Scram->new(user => 'bob', password => 'tiger',
    header => 'y,,');
is(result('SCRAM-SHA-256', $c->first, $bound), MALFORMED,
    'who did not see -PLUS was deceived');
is(result('SCRAM-SHA-256', $c->first), CONTINUE,
    'unless there is no channel to bind');

# A proof from before, and no number that is known.
$c = Postrider::Scram->new(user => 'bob', password => 'tiger');
my $last;
converse('SCRAM-SHA-256', $c->first, sub { $last = $c->final($_[0]) });
is((converse('SCRAM-SHA-256', $c->first, $last))[1]{result}, REFUSED,
    'a proof is good once');
is($auth->ask_as('smtpd', 'AUTH_CONTINUE', ['int', 99999], ['data', 'x'])
    ->{result}, UNAVAILABLE, 'an exchange that nobody began');

# --- nobody learns who there is ---------------------------------------------

sub seconds
{
	my ($code) = @_;
	my $start = time;

	$code->() for 1 .. 5;
	return time - $start;
}

my $known = seconds(sub { converse('PLAIN', "\0bob\0lion") });
my $unknown = seconds(sub { converse('PLAIN', "\0nobody\0lion") });
cmp_ok($unknown, '>', $known / 4, 'an unknown name costs as much');
cmp_ok($unknown, '<', $known * 4, 'and not more');

sub challenge
{
	my ($name, $authorize) = @_;
	my ($step) = converse('SCRAM-SHA-256', 'n,' . ($authorize // '') .
	    ",n=$name,r=abc");

	return $step->{data} =~ s/^r=abc[^,]+,//r;
}

my $salt = challenge('nobody');
like($salt, qr/^s=[\w+\/]{22}==,i=4096$/, 'an unknown name has a salt');
is(challenge('nobody'), $salt, 'which stays the same');
isnt(challenge('somebody'), $salt, 'another name has another one');
for my $name (qw(nobody bob)) {
	is(challenge(uc $name), challenge($name),
	    "$name has one salt in capitals, too");
	is(challenge($name, 'a=eve'), challenge($name),
	    "$name has the same salt when he wants to be somebody else");
}
$c = Postrider::Scram->new(user => 'bob', password => 'tiger',
    header => 'n,a=eve,');
is((scram('SCRAM-SHA-256', $c))[1]{result}, REFUSED,
    'which nobody may, whose salt it ever is');
$c = Postrider::Scram->new(user => 'nobody', password => 'tiger');
is((scram('SCRAM-SHA-256', $c))[1]{result}, REFUSED, 'and no password');

# --- nobody keeps the others out --------------------------------------------

{
	my $more = 10_000;
	open my $cpus, '-|', 'getconf', '_NPROCESSORS_ONLN' or die;
	my $guesses = 100 * <$cpus> + 20;
	syswrite $auth->channel('smtpd'), Alone::encode('AUTHENTICATE', 0,
	    $more + $_, ['int', $more + $_], ['str', 'PLAIN'], ['bool', 1],
	    ['bool', 1], ['data', "\0bob\0guess$_"], ['data', ''],
	    ['data', ''], ['str', '198.51.100.66']) for 1 .. $guesses;
	is(result('PLAIN', "\0bob\0tiger"), OK,
	    "$guesses guesses of one client leave room for another");
	like($auth->log, qr/\d+ passwords wait to be checked, \d+ of them from 198\.51\.100\.66: no more of those now/,
	    'the log has the guesser');
}

# --- what the process is ----------------------------------------------------

SKIP: {
	skip 'only root has jails', 2 unless is_root();
	is(readlink("/proc/$auth->{pid}/root"), "$dir/spool/private",
	    'auth sees no files');
	my ($uid) = slurp("/proc/$auth->{pid}/status") =~ /^Uid:\s+(\d+)/m;
	is($uid, scalar getpwnam('postrider-auth'), 'it has its own user');
}

# Does this text stand anywhere in the memory of the process?
sub remembers { return 0 + search_memory($auth->{pid}, @_) }

my $secret = join '', map { chr(97 + ($_ * 7 + $$) % 26) } 1 .. 20;
converse('PLAIN', "\0bob\0${secret}A");
converse('LOGIN', 'bob', "${secret}B");
is(remembers("postrider-auth-nowhere"), 0, 'the search finds no fiction');
is(remembers('SCRAM-SHA-256$4096:'), 1, 'it finds what is there');
is(remembers($secret), 0, 'passwords are wiped from memory');

is($auth->ask_as('smtp', 'ASK_MECHANISMS', ['str', 'x']), undef,
    'others than smtpd have no business here');

# --- changes of the table ---------------------------------------------------

# Wait until the process ended by itself.
sub leaves
{
	my $pid = $auth->{pid};
	my $gone;

	close $_ for values %{ $auth->{as} };
	wait_for(sub { $gone = waitpid($pid, POSIX::WNOHANG()) == $pid }, 20,
	    'auth to leave');
	delete $auth->{pid};
	return $gone;
}

# Those who begin and are gone at once, and one who never says his name.
for (1 .. 100) {
	delete $auth->{as}{smtpd};
	syswrite $auth->channel('smtpd'), Alone::encode('AUTHENTICATE', 0, 1,
	    ['int', 1], ['str', 'LOGIN'], ['bool', 0], ['bool', 1],
	    ['data', ''], ['data', ''], ['data', ''], ['str', '192.0.2.1']);
}
delete $auth->{as}{smtpd};
is(result('LOGIN', undef), CONTINUE, 'somebody logs in slowly');
is(user("sesame\n", 'add', 'eve', '-'), 0, 'a user comes');
syswrite $auth->channel('smtpd'), Alone::encode('GOODBYE', 0, 0);
{
	local $auth->{as} = {};		# stays open
	ok(leaves(), 'the process leaves for a fresh one, and waits for '
	    . 'nobody who is slow');
}
delete $auth->{as}{smtpd};
$auth = Alone->new(program => 'auth', dir => $dir);
is(result('PLAIN', "\0eve\0sesame"), OK, 'which knows her');
is(challenge('nobody'), $salt, 'and has the same salts for nobody');

spew("$users.new", <<"END");
# comment
ann $verifier
bob
bob	$hash
  $verifier
carl {CRYPT}nonsense
dora {PLAIN}secret
eve SCRAM-SHA-256\$1:x\$y:z
bob $verifier
END
chmod 0640, "$users.new";
rename "$users.new", $users or die;
ok(leaves(), 'an edited file is noticed as well');
$auth = Alone->new(program => 'auth', dir => $dir);
my $log = $auth->log;
like($log, qr{etc/users:$_->[0]: passed over: $_->[1]}, "line $_->[0] is told")
    for [3, 'there is nothing'], [6, 'crypt'], [7, 'expected words'],
    [8, 'expected SCRAM'];
like($log, qr/bob is there twice/, 'and what is there twice');
is(result('PLAIN', "\0ann\0open sesame"), OK, 'PLAIN by a verifier alone');
is(result('PLAIN', "\0ann\0lion"), REFUSED, 'which knows what is wrong');
is(result('PLAIN', "\0bob\0open sesame"), OK, 'the hash counts for PLAIN');

spew($users, "bob $hash\n");
ok(leaves(), 'so is one that is written in place');
$auth = Alone->new(program => 'auth', dir => $dir);
like($auth->log, qr/SCRAM is not offered: bob has no verifier/,
    'SCRAM is for all of them or for none');
is($auth->ask_as('smtpd', 'ASK_MECHANISMS', ['str', ''])->{words},
    'PLAIN LOGIN', 'it is not offered');
is(result('SCRAM-SHA-256', 'n,,n=bob,r=abc'), UNKNOWN, 'nor done');

unlink $users;
ok(leaves(), 'and one that goes');
$auth = Alone->new(program => 'auth', dir => $dir);
like($auth->log, qr/there are no users/, 'no file, no users');
is(result('PLAIN', "\0bob\0open sesame"), REFUSED, 'nobody gets in');
spew($users, "bob $hash\n");
ok(leaves(), 'a file that comes is noticed');

# --- other types of tables --------------------------------------------------

spew("$dir/etc/more", "bob $hash $verifier\nann nonsense\n");
is(system(bin() . '/postrider-map', "hash:$dir/etc/more"), 0, 'a hash');
Alone::prepare($dir, smtpd_sasl_users => "hash:$dir/etc/more");
$auth = Alone->new(program => 'auth', dir => $dir);
is(result('PLAIN', "\0bob\0open sesame"), OK, 'users in a hash');
is(result('PLAIN', "\0ann\0nonsense"), REFUSED, 'whose bad rows are users '
    . 'without a password');
like($auth->log, qr/the row of ann is passed over/, 'and told');
is(system(bin() . '/postrider-map', "hash:$dir/etc/more"), 0, 'it is rebuilt');
ok(leaves(), 'which is noticed');

done_testing();
