# Included by the Makefile: everything about testing and showing.
#
# Three builds are tested: the one that is installed, with the sandbox on; one
# with sanitizers, where the sandbox must be off; one with nothing but OpenSSL,
# Berkeley DB and libbsd, of which only that is asked again in which a missing
# library has a part. What is compared with Debian's commands, or read by other
# people's programs, is so once. One prove runs them all, so that one summary
# counts.

MINIMAL_WITHOUT	:= unbound pcre2 seccomp lmdb cdb idn2

PERL_TESTS	:= $(sort $(wildcard t/smtpd/*.t t/smtp/*.t t/qmgr/*.t \
		   t/cleanup/*.t t/local/*.t t/resolve/*.t t/master/*.t \
		   t/daemon/*.t t/journey/*.t t/conformance/*.t \
		   t/conformance/attacks/*.t))
# Names are looked up, written and matched otherwise, tables are others, and
# nothing but the users keeps daemons apart.
MINIMAL_TESTS	:= $(sort $(wildcard t/resolve/*.t t/daemon/*.t) \
		   $(addprefix t/cleanup/,canonical.t checks.t cleanup.t \
		   full.t sendmail.t) \
		   $(addprefix t/smtp/,delivery.t downgrade.t login.t names.t \
		   policy.t reuse.t security.t starttls.t) \
		   t/smtpd/unicode.t t/smtpd/relay.t \
		   t/smtpd/starttls.t t/master/check.t t/master/life.t \
		   $(addprefix t/journey/,errors.t first.t hosts.t lmtp.t \
		   outcomes.t submission.t unprivileged.t))
BESIDE_TESTS	:= t/master/postconf.t t/master/pairs.t t/qmgr/beside.t \
		   t/cleanup/envelope.t t/journey/package.t t/journey/logs.t \
		   t/journey/dsn_parsers.t
STYLE_TESTS	:= $(sort $(wildcard t/style/*.t))
CRASH_TESTS	:= $(sort $(wildcard t/crash/*.t t/crash/promises/*.t))
LOAD_TESTS	:= $(sort $(wildcard t/load/*.t))

C_TESTS		= $(TEST_FILES:%.c=%.t)
PROVE		:= prove --exec t/lib/run
# Tests wait more than they work: so many at a time keep two processors busy.
JOBS		?= 8

# Those that take longest, or much of the machine; the longest comes first.
LONG_TESTS	:= $(addprefix t/journey/,package.t logs.t reload.t) \
		   t/master/pairs.t $(CRASH_TESTS) $(LOAD_TESTS)

# t/lib/round tells what could not be seen on this machine or in a build.
BUILDS		:= build build/sanitize build/minimal

.PHONY: check check-builds
check: test-deps users
	$(Q)$(MAKE) --no-print-directory check-builds
	$(Q)t/lib/round "$(BUILDS)" "$(LONG_TESTS:%=build:%)" \
	    -j$(JOBS) --merge \
	    $(patsubst %,build:%,$(filter-out $(LONG_TESTS),$(PERL_TESTS))) \
	    $(patsubst %,build/sanitize:%,$(filter-out $(BESIDE_TESTS),$(PERL_TESTS))) \
	    $(patsubst %,build/minimal:%,$(filter-out $(BESIDE_TESTS),$(MINIMAL_TESTS))) \
	    $(foreach b,$(BUILDS), $(C_TESTS:%=$(b):$(b)/%)) \
	    $(STYLE_TESTS:%=build:%)

# Clocks that tests move; $(SANITIZERS) stay out of other people's programs.
tests: $(BUILD)/t/lib/clock.so
$(BUILD)/t/lib/clock.so: t/lib/clock.c $(BUILD)/.flags
	$(call say,LD $@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(WARNINGS) -shared -fPIC \
	    -o $@ $<

# Fills a queue, for tests of long ones.
tests: $(BUILD)/t/lib/fill
$(BUILD)/t/lib/fill: $(BUILD)/t/lib/fill.o $(LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Disks that remember, and what a power cut leaves of them.
tests: $(BUILD)/t/crash/disk $(BUILD)/t/crash/cut $(BUILD)/t/crash/nosync.so \
    $(BUILD)/t/crash/nomemory.so
$(BUILD)/t/crash/disk $(BUILD)/t/crash/cut: %: %.o
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $<

$(BUILD)/t/crash/nosync.so $(BUILD)/t/crash/nomemory.so: \
    $(BUILD)/t/crash/%.so: t/crash/%.c $(BUILD)/.flags
	$(call say,LD $@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(WARNINGS) -shared -fPIC \
	    -o $@ $<

# Servers that never get anything done.
tests: $(BUILD)/t/load/tarpit
$(BUILD)/t/load/tarpit: t/load/tarpit.c $(BUILD)/.flags
	$(call say,LD $@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(WARNINGS) -o $@ $<

# Ends one system call of a daemon otherwise.
tests: $(BUILD)/t/crash/inject
$(BUILD)/t/crash/inject: t/crash/inject.c t/crash/object.c t/crash/object.h \
    t/crash/calls.c t/crash/calls.h $(BUILD)/.flags
	$(call say,LD $@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -I. -O2 $(WARNINGS) -o $@ \
	    $(filter %.c,$^)

# The load of the crash laboratory: who sends, who takes, who counts.
CRASH_LOAD	:= load hop tally
tests: $(CRASH_LOAD:%=$(BUILD)/t/crash/%)
$(CRASH_LOAD:%=$(BUILD)/t/crash/%): $(BUILD)/t/crash/%: t/crash/%.c \
    t/crash/message.c t/crash/message.h $(BUILD)/.flags
	$(call say,LD $@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -I. -O2 $(WARNINGS) -pthread \
	    -o $@ $(filter %.c,$^) -lssl -lcrypto

# Programs of the next version, which call with another HELLO.
NEXT		:= $(BUILD)/t/crash/next
NEXT_PROGRAMS	:= $(filter-out master mailbox,$(DAEMONS)) sendmail postrider
NEXT_FILES	:= $(shell grep -l 'IPC_VERSION' common/*/*.c \
		   $(sort $(foreach p,$(NEXT_PROGRAMS),$($(p)_FILES))))

$(NEXT)/common/ipc/packets.h: common/ipc/packets.h
	@mkdir -p $(@D)
	$(Q)awk '/IPC_VERSION =/ { sub(/[0-9]+/, $$5 + 1) } { print }' $< > $@

$(NEXT)/%.o: %.c $(NEXT)/common/ipc/packets.h $(BUILD)/.flags
	$(call say,CC $< (next))
	@mkdir -p $(@D)
	$(Q)$(CC) -I$(NEXT) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

define next_program
tests: $(NEXT)/bin/$(1)
$(NEXT)/bin/$(1): $$(patsubst %,$(BUILD)/%, \
    $$(filter-out $(NEXT_FILES:%.c=%.o),$$($(1)_FILES:%.c=%.o))) $(EXTRA) \
    $$(patsubst %,$(NEXT)/%, $$(filter $$($(1)_FILES:%.c=%.o) \
    common/%,$(NEXT_FILES:%.c=%.o))) $(LIB)
	$$(call say,LD $$@)
	@mkdir -p $$(@D)
	$$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ $(LDLIBS)
endef
$(foreach p,$(NEXT_PROGRAMS),$(eval $(call next_program,$(p))))

# The bench's own clients, next hops and disk.
BENCH		:= $(addprefix $(BUILD)/t/bench/,source sink tlsload disk)
$(BUILD)/t/bench/source $(BUILD)/t/bench/sink: $(BUILD)/t/bench/wire.o
$(BENCH:%=%.o) $(BUILD)/t/bench/wire.o: t/bench/wire.h
$(BENCH): %: %.o
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lbsd -lssl -lcrypto

check-builds:
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build tests
	$(Q)! command -v clang >/dev/null || \
	    $(MAKE) --no-print-directory -j2 BUILD=build fuzz-build
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build/sanitize SANITIZE=1 tests
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build/minimal \
	    WITHOUT="$(MINIMAL_WITHOUT)" tests

# What the standards ask for, and which of it holds: a table by document.
.PHONY: conformance
conformance: test-deps users tests
	$(Q)! command -v clang >/dev/null || \
	    $(MAKE) --no-print-directory -j2 BUILD=$(BUILD) fuzz-build
	$(Q)rm -f $(BUILD)/rows
	$(Q)$(PROVE) -j$(JOBS) --merge $$(t/conformance/table --files | \
	    sed 's,^,$(BUILD):,') || true
	$(Q)t/conformance/table $(BUILD)

# Do the checks notice deliberate faults?
.PHONY: conformance-mutants
conformance-mutants: test-deps users tests
	$(Q)t/conformance/mutants $(BUILD)

# The quick round while working: one build, no kills.
.PHONY: test
test: tests
	$(Q)t/lib/round "$(BUILD)" "" -j$(JOBS) $(STYLE_TESTS:%=$(BUILD):%) \
	    $(C_TESTS:%=$(BUILD):$(BUILD)/%) $(PERL_TESTS:%=$(BUILD):%)

.PHONY: demo
demo: deps users
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build
	$(Q)BUILD=build t/demo

.PHONY: bench
bench: test-deps users
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build all bench-load
	$(Q)BUILD=build t/bench/run

.PHONY: bench-load
bench-load: $(BENCH) $(BUILD)/t/lib/fill

# Where the microseconds of a relayed message go, process by process.
.PHONY: profile
profile: test-deps users
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build/profile \
	    CFLAGS="-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer" \
	    all bench-load
	$(Q)BUILD=build/profile t/bench/profile

# A million messages in the queue, and Postfix with a tenth of them beside it;
# a quarter of an hour on a machine that does nothing else.
.PHONY: million
million: test-deps users
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build tests bench-load
	$(Q)BUILD=build POSTRIDER_ROUNDS=1 POSTRIDER_BENCH=million t/bench/run
	$(Q)POSTRIDER_LONG=1000000 $(PROVE) -v build:t/load/million.t

.PHONY: crash
crash: test-deps users
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=build tests
	$(Q)POSTRIDER_KILLS=$${POSTRIDER_KILLS:-50} \
	    POSTRIDER_MESSAGES=$${POSTRIDER_MESSAGES:-20000} \
	    POSTRIDER_IMAGES=$${POSTRIDER_IMAGES:-240} \
	    POSTRIDER_LEDGER=t/crash/LEDGER \
	    $(PROVE) -v $(CRASH_TESTS:%=build:%)

# What the compilers do not see. t/style/lint.suppress tells what is not so.
# ANALYZE=1 adds gcc's analyzer, which takes a minute and guesses.
LINT		:= common master smtpd smtp qmgr cleanup local resolve
LINT_FLAGS	= $(filter-out -isystem /usr/include/bsd,$(CPPFLAGS)) \
		  -I/usr/include/bsd -D__linux__ -D__GNUC__

.PHONY: lint
lint: $(BUILD)/common/param/known.inc
	$(Q)cppcheck -q --std=c11 --error-exitcode=1 \
	    --enable=warning,performance,portability \
	    --library=posix,gnu,bsd,t/style/lint.cfg \
	    --suppressions-list=t/style/lint.suppress \
	    --template='{file}:{line}: {severity}: {id}: {message}' \
	    $(LINT_FLAGS) $(LINT)
ifdef ANALYZE
	$(Q)for f in $(wildcard common/*/*.c $(LINT:%=%/*.c)); do \
	    gcc $(CPPFLAGS) -std=gnu17 -O2 -fanalyzer -c -o /dev/null $$f \
	    || exit 1; done
endif

include t/fuzz.mk
