# 5321-2.t - RFC 5321 section 2: the model of SMTP.
use strict;
use warnings;
use Test::More;
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(remote => { is_noting => 1 })->start;

# 2.1: who has said 2yz has the message.
{
	my $c = $sut->stranger;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: one\n\nx\n");
	is(scalar($sut->wait_mail('alice', qr/^Subject: one$/m)), 1,
	    '5321-2.1-a what was accepted is delivered');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
