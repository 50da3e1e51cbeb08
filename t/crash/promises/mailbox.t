# mailbox.t - a mailbox has the whole message or none of it: local/mbox.c,
# mbox_mark.c and maildir.c, struck at.
use strict;
use warnings;
use File::Path qw(remove_tree);
use POSIX qw(EDQUOT EIO ENOSPC);
use Test::More;
use Postrider;
use Postrider::Promise;

# Whatever a lock file has to wait for, it is not its age.
my $lab = laboratory('mbox', settings => { stale_lock_time => '500s' });
my $box = qr{mail/prt-alice};

promise('mailbox-1', sub {
	my @calls = watch($lab, 'mailbox');
	order(\@calls, 'the sync of the directory' => qr/^fsync mail#\d+ = 0/,
	    'the message' => qr/^write $box#/,
	    'the sync' => qr/^fsync $box#\d+ = 0/,
	    'the close' => qr/^close $box#\d+ = 0/,
	    'the answer' => qr/^sendmsg unix/);
	strike($lab, 'mailbox', qr/^fsync $box$/, EIO);
	strike($lab, 'mailbox', qr/^fsync $box$/, 'before', twice => 1);
	# The close of a file that was synced has nothing to lose.
	strike($lab, 'mailbox', qr/^close $box$/, EIO, twice => 1);
	strike($lab, 'mailbox', qr/^sendmsg unix/, 'before', twice => 1);
});

promise('mailbox-2', sub {
	strike($lab, 'mailbox', qr/^write $box$/, $_) for ENOSPC, EDQUOT;
	my $r = strike($lab, 'mailbox', qr/^write $box$/, 'after', twice => 1);
	is($r->{count} =~ /ALICE=(\d)/ && $1, 2, 'the next one is a message ' .
	    'of its own behind what a kill has left');
});

promise('mailbox-3', sub {
	for my $call (qr/^linkat .*\.lock/, qr/^fsync $box$/) {
		my $r = strike($lab, 'mailbox', $call, 'after', twice => 1);
		cmp_ok($r->{seconds}, '<', 10, 'the lock of the dead ' .
		    'process is nobody\'s');
	}
	my $mail = $lab->mail;
	is(join(' ', glob $mail->dir . '/mail/*.lock'), '', 'and is removed');
});
$lab->close;

$lab = laboratory('maildir');
my $dir = qr{mail/dirs/prt-alice};
my $path = $lab->mail->dir . '/mail/dirs/' . $lab->mail->user(0);

promise('mailbox-4', sub {
	my @calls = watch($lab, 'mailbox');
	order(\@calls, 'the message' => qr{^write $dir/tmp/},
	    'its sync' => qr{^fsync $dir/tmp/\S+ = 0},
	    'the move' => qr{^renameat2 $dir/new/\S+ = 0},
	    'the sync of new' => qr{^fsync $dir/new#\d+ = 0},
	    'the answer' => qr/^sendmsg unix/);
	strike($lab, 'mailbox', qr{^fsync $dir/tmp/}, EIO);
	strike($lab, 'mailbox', qr{^fsync $dir/new$}, EIO, twice => 1);
	strike($lab, 'mailbox', qr{^fsync $dir/new$}, $_, twice => 1)
	    for 'before', 'after';
});

promise('mailbox-5', sub {
	for my $call (qr{^write $dir/tmp/}, qr{^fsync $dir/tmp/},
	    qr{^renameat2 $dir/new}) {
		strike($lab, 'mailbox', $call, 'before');
	}
	strike($lab, 'mailbox', qr{^renameat2 $dir/new}, 'after', twice => 1);
});

promise('mailbox-6', sub {
	unlink glob "$path/tmp/*";
	strike($lab, 'mailbox', @$_) for [qr{^write $dir/tmp/}, ENOSPC],
	    [qr{^fsync $dir/tmp/}, EIO], [qr{^renameat2 $dir/new}, ENOSPC];
	is(join(' ', glob "$path/tmp/*"), '', 'an error leaves nothing');
	strike($lab, 'mailbox', qr{^fsync $dir/tmp/}, 'before');
	is(scalar(my @left = glob "$path/tmp/*"), 1,
	    'a kill leaves one file, in tmp');
});

promise('mailbox-7', sub {
	remove_tree("$path/$_") for qw(tmp new cur);
	my @calls = watch($lab, 'mailbox');
	order(\@calls, 'new is made' => qr{^mkdir(at)? \S*/new#\d+ = 0},
	    'it is synced above' => qr{^fsync $dir#\d+ = 0},
	    'the message' => qr{^write $dir/tmp/});
	remove_tree("$path/$_") for qw(tmp new cur);
	strike($lab, 'mailbox', qr{^mkdir(at)? .*/new}, 'after');
});
$lab->close;
done_testing();
