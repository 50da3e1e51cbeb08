# hardening.t - programs carry what the Makefile asks the compiler for.
use strict;
use warnings;
use Test::More;

my @programs = glob "$ENV{BUILD}/bin/*";
cmp_ok(scalar @programs, '>', 15, 'the test sees the programs');

# What readelf must show, and what it must not.
my @wanted = (
	['position independent' => qr/^\s*Type:\s+DYN/m],
	['marked as such' => qr/FLAGS_1.*\bPIE\b/],
	['its tables read-only' => qr/^\s*GNU_RELRO\b/m],
	['bound at start' => qr/FLAGS_1.*\bNOW\b/],
	['the stack protected' => qr/\b__stack_chk_fail\b/],
	['lengths checked' => qr/\b__\w+_chk\b/],
);
my @unwanted = (
	['a stack that may be executed' => qr/^\s*GNU_STACK\b.*\bRWE\b/m],
	['pages both written and executed' => qr/^\s*LOAD\b.*\bRWE\b/m],
	['relocations in its text' => qr/\bTEXTREL\b/],
	['a search path for libraries' => qr/\((?:RPATH|RUNPATH)\)/],
);

for my $program (@programs) {
	my $elf = `readelf -hldW --dyn-syms $program`;
	my @wrong = (
	    (map { "not $_->[0]" } grep { $elf !~ $_->[1] } @wanted),
	    (map { $_->[0] } grep { $elf =~ $_->[1] } @unwanted));
	is(join(', ', @wrong), '', $program);
}

# Each library that is loaded costs a program that starts for each message as
# long as what it does for the message.
for my $program (qw(sendmail postdrop)) {
	my $elf = `readelf -dW $ENV{BUILD}/bin/$program`;
	my @loaded = $elf =~ /\(NEEDED\).*\[(.*?)\.so/g;
	cmp_ok(scalar @loaded, '>', 0, "$program loads something");
	is(join(' ', grep { !/^(?:libc|libbsd|lib[a-z]+san|ld-.*)$/ } @loaded),
	    '', 'but the C library and libbsd nothing');
}
done_testing();
