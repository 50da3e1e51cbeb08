# descriptors.t - few open files: fewer sessions, and nobody waits outside.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(settings => {
	smtpd_processes => 1, smtpd_client_connection_count_limit => 0 });

# Master raises the limit where it can; here it cannot.
Postrider::need_root();
$sut->{before_master} = ['sh', '-c', 'ulimit -n 300 && exec setpriv ' .
    '--bounding-set=-sys_resource "$@"', 'sh'];
$sut->start;
my (@held, %codes, $longest);
sub arrive
{
	my $start = time;
	my $c = Postrider::Client->new($sut->port, from => '127.0.0.2');
	my $code = substr $c->reply, 0, 3;
	my $took = time - $start;

	$longest = $took if $took > ($longest // 0);
	$codes{$code}++;
	push @held, $c if $code eq '220';
	return $code;
}
arrive() for 1 .. 44;
ok($sut->wait_log(qr/warning: service "\S+": 44 sessions in this process, not \d+: more would need more open files/),
    'the log tells how many sessions there can be, and why');
is($codes{220}, 44, 'so many are greeted');
is(arrive(), '421', 'who comes next, and nobody is idle, hears 421');
sleep 1.1;
arrive() for 1 .. 300;
cmp_ok($codes{220}, '>=', 88, 'later those who are idle make room');
cmp_ok($longest, '<', 1, 'nobody waits for his answer');
is($sut->said(qr/cannot accept connections now/), 0,
    'descriptors have not run out');
$_->close for @held;
Postrider::wait_for(sub { arrive() eq '220' }, 5, 'room');
my $subject = $sut->post('alice');
ok($sut->wait_mail('alice', qr/$subject/), 'and mail comes in');
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
