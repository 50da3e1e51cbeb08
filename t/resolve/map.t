# map.t - postmap and postalias: what they build, say and answer.
use strict;
use warnings;
use Test::More;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Postrider qw(is_root slurp spew);
use Postrider::Postfix;

my $build = abs_path($ENV{BUILD} // 'build');
my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
chdir $dir or die;
symlink "$build/bin/postrider-map", $_ or die for qw(postmap postalias
    newaliases);
mkdir 'etc' or die;
spew('etc/main.cf', "myhostname = a.example\nalias_database = " .
    "hash:$dir/al\ndefault_database_type = hash\n");
delete $ENV{MAIL_CONFIG};

# Run a program with this input: (exit status, output, errors).
my $input = '';
sub run {
	my (@words) = @_;
	spew('in', $input);
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', 'in';
		open STDOUT, '>', 'out';
		open STDERR, '>', 'err';
		exec @words or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return ($? >> 8, slurp('out'), slurp('err'));
}
sub postmap { return run('./postmap', '-c', 'etc', @_) }
sub postalias { return run('./postalias', '-c', 'etc', @_) }
sub mode { return sprintf '%o', (stat $_[0])[2] & 07777 }
sub rows { return join '', sort split /^/m, $_[0] }

my $text = <<'END';
# a comment
Alice	alice@Example.org
BOB   bob
  more of bob
bob	second
"quoted key"  v w
lonely
@dom.example   everybody
END
my $aliases = <<'END';
Root: alice
"Quoted User": x@y, "|/bin/cmd a b"
bob: :include:/etc/list,
   carol
bob: again
file: /var/mail/x
a bad line
END

# --- building -------------------------------------------------------------------

my @types = grep { my $t = $_; grep { $_ eq $t }
    split /\n/, `$build/bin/postrider-conf -m` } qw(hash btree lmdb);
for my $type (@types) {
	my $file = $type eq 'lmdb' ? "$type.lmdb" : "$type.db";
	spew($type, $text);
	chmod 0640, $type;
	my ($status, $out, $err) = postmap("$type:$type");
	is($status, 0, "$type: a table is built");
	is($err, "postmap: warning: $type:5: bob is there already; the first "
	    . "one counts\npostmap: warning: $type:7: expected a key, white "
	    . "space, and a value; the line is passed over\n",
	    "$type: with a line for what is odd");
	is(mode($file), '640', "$type: the mode is the source's");
	my @is = postmap('-q', 'ALICE', "$type:$type");
	is("@is[0, 1]", "0 alice\@Example.org\n", "$type: keys are folded");
	is((postmap('-q', 'nobody', "$type:$type"))[0], 1,
	    "$type: not found is status 1");
	is((postmap('-fq', 'ALICE', "$type:$type"))[0], 1,
	    "$type: -f does not fold the question");
	is((postmap('-q', '"Quoted key"', "$type:$type"))[1], "v w\n",
	    "$type: a quoted key");
	$input = "alice\nnobody\nBob\n";
	is((postmap('-q', '-', "$type:$type"))[1], "alice\talice\@Example.org"
	    . "\nBob\tbob  more of bob\n", "$type: keys from the input");
	is(rows((postmap('-s', "$type:$type"))[1]), rows("alice\t"
	    . "alice\@Example.org\nbob\tbob  more of bob\n\"quoted key\"\tv w"
	    . "\n\@dom.example\teverybody\n"), "$type: -s shows all of it");
	$input = "bob third\nnew one\n";
	($status, $out, $err) = postmap('-i', "$type:$type");
	is("$status $err", "0 postmap: warning: standard input:1: bob is there"
	    . " already; the first one counts\n", "$type: -i adds");
	is((postmap('-iw', "$type:$type"))[2], '', "$type: -w is silent");
	is((postmap('-ir', "$type:$type"))[2], '', "$type: so is -r");
	is((postmap('-q', 'bob', "$type:$type"))[1], "third\n",
	    "$type: which replaces");
	is((postmap('-d', 'BOB', "$type:$type"))[0], 0, "$type: -d removes");
	is((postmap('-d', 'bob', "$type:$type"))[0], 1,
	    "$type: what is there");
	$input = "nothing\nnew\n";
	is((postmap('-d', '-', "$type:$type"))[0], 0, "$type: -d -");
	is((postmap('-q', 'new', "$type:$type"))[0], 1, "$type: is gone");
	chmod 0604, $file;
	postmap("$type:$type");
	is(mode($file), '604', "$type: a table that is there keeps its mode");
	unlink $file;
	postmap('-p', "$type:$type");
	is(mode($file), '644', "$type: -p");
	unlink $file;
	postmap('-fw', "$type:$type");
	is((postmap('-fq', 'Alice', "$type:$type"))[1],
	    "alice\@Example.org\n", "$type: -f keeps the case of keys");
}

# --- mistakes -------------------------------------------------------------------

is((postmap('hash:none'))[0], 1, 'no source');
is((postmap('-q', 'x', 'hash:none'))[0], 1, 'no table');
is((postmap('-q', 'x', 'wrong:none'))[0], 1, 'no such type');
is((postmap('regexp:hash'))[0], 1, 'a text is not built');
is((postmap('-s', '-q', 'x', 'hash:hash'))[0], 1, 'one thing at a time');
is((postmap())[0], 1, 'no table named');
spew('broken', " begins wrong\n");
is((postmap('hash:broken'))[0], 1, 'a text that cannot be read');
ok(!-e 'broken.db', 'leaves nothing');
is(join(' ', glob '*.new'), '', 'not even a beginning');

spew('good', "alice alice\@Example.org\nbob bob\n");

# --- other types ----------------------------------------------------------------

for ([ 'a', 'static:{a b}', 'a b' ], [ 'z', 'inline:{k=v, {z = y y}}', 'y y' ],
    [ 'A/B', 'regexp:{ {/(.)\/b/ got $1} }', 'got A' ],
    [ '10.1.2.3', 'cidr:{ {10.1.0.0/16 near} {0.0.0.0/0 far} }', 'near' ],
    [ '11.1.2.3', 'cidr:{ {10.1.0.0/16 near} {0.0.0.0/0 far} }', 'far' ],
    [ 'alice', 'texthash:good', 'alice@Example.org' ],
    [ 'k', 'pipemap:{inline:{k=l}, inline:{l=m}}', 'm' ],
    [ 'k', 'unionmap:{static:a, static:b}', 'a,b' ],
    [ 'k', 'proxy:inline:{k=v}', 'v' ],
) {
	my ($key, $table, $value) = @$_;
	is((postmap('-q', $key, $table))[1], "$value\n", "$table: $key");
}
is((postmap('-q', 'x', 'fail:it'))[0], 1, 'fail: fails');
is((postmap('-q', 'bob', 'inline:{a=b}', 'texthash:good'))[1],
    "bob\n", 'the first table that has it answers');

# A message as keys.
$input = <<'END';
Subject: a
 folded
Content-Type: multipart/mixed; boundary=xx

pre
--xx
X-In: 1

text
--xx--
END
my $echo = 'regexp:{ {/^(.+)$/ <$1>} }';
is((postmap('-hq', '-', $echo))[1], "Subject: a\n folded\t<Subject: a\n folded>"
    . "\nContent-Type: multipart/mixed; boundary=xx\t<Content-Type: "
    . "multipart/mixed; boundary=xx>\n", '-h: headers');
is((postmap('-bq', '-', $echo))[1], join('', map { "$_\t<$_>\n" }
    'pre', '--xx', 'X-In: 1', 'text', '--xx--'), '-b: body');
like((postmap('-hmq', '-', $echo))[1], qr/^X-In: 1\t/m,
    '-hm: headers of parts');
unlike((postmap('-bmq', '-', $echo))[1], qr/^X-In/m, '-bm: which are no body');

# Files as values.
spew('one', "cert\n");
spew('two', "key\n");
spew('sni', "host $dir/one, $dir/two\n");
is((postmap('-F', 'hash:sni'))[0], 0, '-F stores the text of files');
is((postmap('-Fq', 'host', 'hash:sni'))[1], "cert\n\nkey\n\n",
    'and shows it');
unlike((postmap('-q', 'host', 'hash:sni'))[1], qr/cert/, 'in base64');

# --- aliases --------------------------------------------------------------------

$input = '';
spew('al', $aliases);
my ($status, $out, $err) = postalias('hash:al');
is($status, 0, 'postalias');
like($err, qr/al:5: bob is there already/, 'tells what is there twice');
like($err, qr/al:7: expected a name, a colon/, 'and what is no alias');
is((postalias('-q', 'root', 'hash:al'))[1], "alice\n", 'a name');
is((postalias('-q', 'quoted user', 'hash:al'))[1],
    "x\@y, \"|/bin/cmd a b\"\n", 'a quoted name');
like((postalias('-q', 'bob', 'hash:al'))[1], qr/^:include:\/etc\/list,\s+carol$/,
    'a continued line');
like((postalias('-s', 'hash:al'))[1], qr/^file:\t\/var\/mail\/x$/m,
    '-s is the source again');
$input = "zed: a, b\n";
is((postalias('-i', 'hash:al'))[0], 0, 'postalias -i');
is((postalias('-q', 'zed', 'hash:al'))[1], "a, b\n", 'adds');
unlink 'al.db';
$ENV{MAIL_CONFIG} = "$dir/etc";
is((run('./newaliases'))[0], 0, 'newaliases');
ok(-e 'al.db', 'builds alias_database');
is((run('./postmap', '-q', 'root', "$dir/al"))[1], "alice\n",
    'default_database_type is the type of a bare name');
delete $ENV{MAIL_CONFIG};

# --- owners ---------------------------------------------------------------------

SKIP: {
	skip 'only root builds for others', 3 unless is_root();
	my $uid = getpwnam 'nobody';
	mkdir 'his' or die;
	chown $uid, -1, 'his';
	spew('his/t', "a b\n");
	chown $uid, -1, 'his/t';
	is((postmap('hash:his/t'))[0], 0, 'root builds in a directory of others');
	is((stat 'his/t.db')[4], $uid, 'as the owner of the source');
	unlink 'his/t.db';
	postmap('-o', 'hash:his/t');
	is((stat 'his/t.db')[4], $uid, '-o gives the table to him, too');
}

# --- cdb, which is built as a whole -----------------------------------------------

my $has_cdb = `$build/bin/postrider-conf -m` =~ /^cdb$/m;
SKIP: {
	skip 'no cdb in this build', 8 unless $has_cdb;
	$input = '';
	spew('cdb', $text);
	chmod 0640, 'cdb';
	my ($status, $out, $err) = postmap('cdb:cdb');
	is($status, 0, 'cdb: a table is built');
	like($err, qr/cdb:5: bob is there already; the first one counts\n.*cdb:7/,
	    'cdb: with a line for what is odd');
	is(mode('cdb.cdb'), '640', 'cdb: the mode is the source\'s');
	is((postmap('-q', 'ALICE', 'cdb:cdb'))[1], "alice\@Example.org\n",
	    'cdb: keys are folded');
	is(rows((postmap('-s', 'cdb:cdb'))[1]), rows("alice\t"
	    . "alice\@Example.org\nbob\tbob  more of bob\n\"quoted key\"\tv w"
	    . "\n\@dom.example\teverybody\n"), 'cdb: -s shows all of it');
	$input = "new one\n";
	($status, $out, $err) = postmap('-i', 'cdb:cdb');
	is($status, 1, 'cdb: no lines are added');
	like($err, qr/built as a whole/, 'cdb: and why');
	is((postmap('-d', 'bob', 'cdb:cdb'))[0], 1, 'cdb: nor removed');
	$input = '';
}

# --- other people's directories ---------------------------------------------------

SKIP: {
	skip 'only root builds for others', 10 unless is_root();
	my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
	mkdir 'mallory' or die;
	chown $uid, $gid, 'mallory';
	for my $owner ($uid, 0) {
		my $whose = $owner ? 'his source' : 'a source of root\'s';
		spew('canary', "untouched\n");
		spew('mallory/t', "a b\n");
		chown $owner, -1, 'mallory/t';
		unlink 'mallory/t.db';
		symlink "$dir/canary", 'mallory/t.db' or die;
		postmap('hash:mallory/t');
		$input = "c d\n";
		postmap('-i', 'hash:mallory/t');
		postmap('-d', 'a', 'hash:mallory/t');
		is(slurp('canary'), "untouched\n",
		    "LOC-13: $whose: a link in the table's place");
		unlink 'mallory/t.db';
		symlink "$dir/empty", 'mallory/t.db' or die;
		postmap('-i', 'hash:mallory/t');
		ok(!-e 'empty', "LOC-13: $whose: a link to nothing");
		unlink 'mallory/t.db';
		link 'canary', 'mallory/t.db' or die;
		postmap('hash:mallory/t');
		is(slurp('canary'), "untouched\n",
		    "LOC-13: $whose: another name of a file");
	}
	# A link that comes and goes while tables are built.
	my $racer = fork // die "fork: $!";
	if ($racer == 0) {
		$( = $gid; $) = "$gid $gid"; $< = $> = $uid;
		for (;;) {
			unlink 'mallory/t.db', glob 'mallory/t.db.*.new';
			symlink "$dir/canary", 'mallory/t.db';
			symlink "$dir/canary", 'mallory/t.db.' . ($_ + 1)
			    . '.new' for $$ .. $$ + 60;
		}
	}
	$input = '';
	chown $uid, -1, 'mallory/t';
	postmap('hash:mallory/t') for 1 .. 40;
	kill 'KILL', $racer;
	waitpid $racer, 0;
	is(slurp('canary'), "untouched\n", 'LOC-13: a race');
	is((stat 'canary')[4], 0, 'LOC-13: and it is still root\'s');
}

# --- keys that are none -------------------------------------------------------------

for my $table ('inline:{a=b}', 'texthash:good', 'hash:good', 'cdb:good',
    'pipemap:{texthash:good, hash:good}', 'unionmap:{inline:{a=b}}',
    'regexp:{ {/^a$/ b} }', 'pcre:{ {/^a\\z/ b} }', 'cidr:{ {10.0.0.0/8 b} }',
    'unix:passwd.byname') {
	my ($type) = split /:/, $table;
	next unless `$build/bin/postrider-conf -m` =~ /^$type$/m;
	$input = '';
	postmap("$type:good") if $type =~ /^(?:hash|cdb)$/;
	postmap('hash:good') if $type eq 'pipemap';
	my @wrong = grep { my @is = postmap('-q', $_, $table);
	    $is[0] != 1 || $is[1] ne '' } "a\nb", "a\n", ' ', ':', "\t:\n",
	    'x' x 100_000, "\xff\xfe'", '%00', '\\', "'; --", '*)(uid=*';
	is("@wrong", '', "INJ-17: $type: strange keys are in no table");
	$input = 'k' x 10_000_000 . "\n";
	my @is = postmap('-q', '-', $table);
	is("$is[0] $is[1]", '1 ', "INJ-17: $type: nor is one of 10 MB");
	$input = "a\0b\n";
	isnt((postmap('-q', '-', $table))[0], 0,
	    "INJ-17: $type: nor is one with a NUL");
}
$input = '';

# --- Postfix reads ours, and we read its -------------------------------------------

SKIP: {
	my $postfix = Postrider::Postfix->new or
	    skip 'no Postfix: ' . Postrider::Postfix::why(), 1;
	my $bin = "$postfix->{unpacked}/usr/sbin";
	my $etc = $postfix->dir . '/etc';
	local $ENV{LD_LIBRARY_PATH} = "$postfix->{unpacked}/usr/lib/postfix";
	my @keys = ('alice', 'BOB', 'quoted key', '"quoted key"',
	    '@dom.example', 'nobody');

	for my $type (qw(hash btree)) {
		for my $builder ('./postmap', "$bin/postmap") {
			my $whose = $builder =~ /sbin/ ? "Postfix's" : 'our';
			spew('t', $text);
			unlink 't.db';
			run($builder, '-c', $whose eq 'our' ? 'etc' : $etc,
			    "$type:t");
			my $both = join '', map { "$_: " . join ' ',
			    (postmap('-q', $_, "$type:t"))[0, 1] } @keys;
			my $its = join '', map { "$_: " . join ' ', (run(
			    "$bin/postmap", '-c', $etc, '-q', $_,
			    "$type:t"))[0, 1] } @keys;
			is($both, $its, "$whose $type table has the same "
			    . 'answers for both');
			is(rows((postmap('-s', "$type:t"))[1]),
			    rows((run("$bin/postmap", '-c', $etc, '-s',
			    "$type:t"))[1]), 'and the same rows')
			    if $whose eq 'our';
		}
	}
	# Its cdb is a package of its own.
	my ($library) = grep { -e } map { "$_/usr/lib/postfix/postfix-cdb.so" }
	    "$build/bench/postfix-cdb", "$build/../bench/postfix-cdb",
	    abs_path("$postfix->{unpacked}/..") . '/postfix-cdb';
	SKIP: {
		skip 'no cdb in this build', 2 unless $has_cdb;
		skip 'no postfix-cdb (make test-deps)', 2 unless $library;
		system('cp', '-r', $etc, 'cdb-etc') == 0 or die;
		spew('cdb-etc/dynamicmaps.cf',
		    "cdb $library dict_cdb_open mkmap_cdb_open\n");
		spew('cdb-etc/main.cf', slurp("$etc/main.cf") .
		    "meta_directory = $dir/cdb-etc\n" .
		    "shlib_directory = $postfix->{unpacked}/usr/lib/postfix\n");
		for my $builder ('./postmap', "$bin/postmap") {
			my $whose = $builder =~ /sbin/ ? "Postfix's" : 'our';
			spew('t', $text);
			unlink 't.cdb';
			run($builder, '-c', $whose eq 'our' ? 'etc' : 'cdb-etc',
			    'cdb:t');
			my @answers = map { my $which = $_; join '', map {
			    "$_: " . join ' ', (run(@$which, '-q', $_,
			    'cdb:t'))[0, 1] } @keys } [ './postmap', '-c',
			    'etc' ], [ "$bin/postmap", '-c', 'cdb-etc' ];
			like($answers[0], qr/^alice: 0 alice/,
			    "$whose cdb table is there");
			is($answers[0], $answers[1], "$whose cdb table has "
			    . 'the same answers for both');
		}
	}
	for my $builder ('./postalias', "$bin/postalias") {
		spew('al', $aliases);
		unlink 'al.db';
		run($builder, '-c', $builder =~ /sbin/ ? $etc : 'etc',
		    'hash:al');
		my @two = map { my $p = $_; join '', map { (run($p->[0], '-c',
		    $p->[1], '-q', $_, 'hash:al'))[1] =~ s/,\s+/, /gr }
		    'root', 'bob', 'quoted user', 'file' }
		    [ './postalias', 'etc' ], [ "$bin/postalias", $etc ];
		is($two[0], $two[1], "aliases of $builder");
	}
}

chdir '/';
done_testing();
