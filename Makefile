# Postrider. One Makefile; objects and programs go to $(BUILD), never beside
# the sources.
#
#   make [-j2]            build                    make deps       what it needs
#   make check            all tests                make test-deps  what tests need
#   make demo             see a message travel     make install    (as root)
#   make lint             what cppcheck says       make uninstall
#   make bench            beside Postfix           make test      the quick round
#   make conformance      what the standards ask   make fuzz crash  long rounds
#   make million          a very long queue        make profile    where time goes
#
# Knobs: V=1 shows commands. SANITIZE=1 builds with ASan and UBSan. CC=clang.
# WITHOUT="unbound pcre2 seccomp lmdb cdb idn2" leaves libraries out. BUILD=dir.
# PREFIX, SYSCONFDIR, SPOOLDIR, DESTDIR as usual.

PREFIX		?= /usr
SYSCONFDIR	?= /etc
SPOOLDIR	?= /var/spool/postrider
SBINDIR		?= $(PREFIX)/sbin
BINDIR		?= $(PREFIX)/bin
LIBEXECDIR	?= $(PREFIX)/lib/postrider
MANDIR		?= $(PREFIX)/share/man
UNITDIR		?= /usr/lib/systemd/system
SYSUSERSDIR	?= /usr/lib/sysusers.d
DESTDIR		?=

ifeq ($(origin CC),default)
CC		:= gcc
endif

ifdef SANITIZE
BUILD		?= build/sanitize
else
BUILD		?= build
endif

VERSION		:= 0.1.0

# --- what is found -----------------------------------------------------------

have = $(if $(filter $(1),$(WITHOUT)),,$(shell pkg-config --exists $(2) && echo yes))

# Debian's libunbound.pc wants the packages of a static link; look ourselves.
HAVE_UNBOUND	:= $(if $(filter unbound,$(WITHOUT)),,$(shell $(CC) -E \
		   -include unbound.h -x c /dev/null >/dev/null 2>&1 && echo yes))
HAVE_PCRE2	:= $(call have,pcre2,libpcre2-8)
HAVE_SECCOMP	:= $(call have,seccomp,libseccomp)
HAVE_LMDB	:= $(call have,lmdb,lmdb)
HAVE_CDB	:= $(call have,cdb,libcdb)
HAVE_IDN2	:= $(call have,idn2,libidn2)

FEATURES	:= $(if $(HAVE_UNBOUND),unbound) $(if $(HAVE_PCRE2),pcre2) \
		   $(if $(HAVE_SECCOMP),seccomp) $(if $(HAVE_LMDB),lmdb) \
		   $(if $(HAVE_CDB),cdb) $(if $(HAVE_IDN2),idn2)

# --- how it is compiled ------------------------------------------------------
# CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS of yours are added, and come last.

WARNINGS	:= -Wall -Wextra -Wshadow -Wvla -Wframe-larger-than=2048 \
		   -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Werror
HARDENING	:= -fstack-protector-strong -fPIE -fno-strict-overflow \
		   -fno-strict-aliasing -fno-delete-null-pointer-checks \
		   $(if $(findstring clang,$(CC)),,-ftrivial-auto-var-init=zero) \
		   $(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full) \
		   $(if $(findstring clang,$(CC)),,-fstack-clash-protection)
ifdef SANITIZE
SANITIZERS	:= -fsanitize=address,undefined -fno-sanitize-recover=undefined \
		   -DSANITIZED
WARNINGS	:= $(filter-out -Wframe-larger-than=2048,$(WARNINGS))
OPTIMIZE	:= -O1
else
OPTIMIZE	:= -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

override CPPFLAGS := -I. -I$(BUILD) -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
		   -DPOSTRIDER_VERSION='"$(VERSION)"' \
		   -DDEFAULT_CONFIG_DIRECTORY='"$(SYSCONFDIR)/postrider"' \
		   -DDEFAULT_QUEUE_DIRECTORY='"$(SPOOLDIR)"' \
		   -DDEFAULT_DAEMON_DIRECTORY='"$(LIBEXECDIR)"' \
		   -DDEFAULT_COMMAND_DIRECTORY='"$(SBINDIR)"' \
		   $(if $(HAVE_UNBOUND),-DHAVE_UNBOUND) $(if $(HAVE_PCRE2),-DHAVE_PCRE2) \
		   $(if $(HAVE_SECCOMP),-DHAVE_SECCOMP) $(if $(HAVE_LMDB),-DHAVE_LMDB) \
		   $(if $(HAVE_CDB),-DHAVE_CDB) $(if $(HAVE_IDN2),-DHAVE_IDN2) \
		   $(CPPFLAGS)
override CFLAGS	:= -std=gnu17 $(OPTIMIZE) -g -fno-omit-frame-pointer -pthread \
		   -ffunction-sections -fdata-sections \
		   $(WARNINGS) $(HARDENING) $(SANITIZERS) $(CFLAGS)
override LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack \
		   -Wl,--as-needed -Wl,--gc-sections \
		   $(SANITIZERS) $(LDFLAGS)

# sendmail and postdrop start for each message: what they load costs more than
# what they do, so libbsd's two functions are linked in where that can be.
LIBBSD		:= $(or $(wildcard $(shell $(CC) -print-file-name=libbsd.a)),-lbsd)
sendmail_LIBS	:= $(LIBBSD) $(LDLIBS)
postdrop_LIBS	:= $(LIBBSD) $(LDLIBS)

override LDLIBS	:= -lbsd -ldb -lssl -lcrypto -lcrypt \
		   $(if $(HAVE_UNBOUND),-lunbound) $(if $(HAVE_PCRE2),-lpcre2-8) \
		   $(if $(HAVE_SECCOMP),-lseccomp) $(if $(HAVE_LMDB),-llmdb) \
		   $(if $(HAVE_CDB),-lcdb) $(if $(HAVE_IDN2),-lidn2) -lresolv \
		   $(LDLIBS)
unexport CPPFLAGS CFLAGS LDFLAGS LDLIBS

# --- what is built -----------------------------------------------------------
# A program is a list of files of one directory; all of common/ is a library.

DAEMONS		:= master log smtpd anvil cleanup pickup qmgr bounce resolve dns \
		   smtp local helper mailbox error spawn keys auth token
COMMANDS	:= sendmail postdrop postrider postrider-conf postrider-queue \
		   postrider-map postrider-user
PROGRAMS	:= $(DAEMONS) $(COMMANDS)

master_FILES	:= $(filter-out master/conf% master/log.c master/postrider% \
		   master/check% master/exec.c master/keys%,$(wildcard master/*.c))
log_FILES	:= master/log.c
keys_FILES	:= $(wildcard master/keys*.c)
postrider_FILES	:= $(wildcard master/postrider*.c master/check*.c) \
		   master/services.c \
		   master/addresses.c master/directories.c master/sockets.c \
		   master/logfile.c
postrider-conf_FILES := $(wildcard master/conf*.c)
smtpd_FILES	:= $(filter-out smtpd/anvil.c,$(wildcard smtpd/*.c))
anvil_FILES	:= smtpd/anvil.c
cleanup_FILES	:= cleanup/main.c cleanup/intake.c cleanup/inbox.c \
		   cleanup/sevenbit.c cleanup/stray.c \
		   cleanup/headers.c cleanup/canonical.c cleanup/lookup.c \
		   cleanup/clients.c cleanup/inspect.c cleanup/characters.c \
		   cleanup/checks.c cleanup/actions.c cleanup/copies.c \
		   cleanup/unicode.c cleanup/room.c cleanup/inflow.c \
		   cleanup/alias.c cleanup/write.c cleanup/commit.c \
		   cleanup/batch.c cleanup/unwanted.c
pickup_FILES	:= cleanup/pickup.c cleanup/bring.c cleanup/maildrop.c \
		   cleanup/ticket.c cleanup/drop.c cleanup/undelivered.c \
		   cleanup/permit.c cleanup/submitters.c cleanup/requeue.c \
		   cleanup/posters.c cleanup/source.c cleanup/fair.c \
		   cleanup/allowance.c cleanup/tally.c
postdrop_FILES	:= cleanup/postdrop.c cleanup/drop.c cleanup/submitters.c \
		   cleanup/tally.c
sendmail_FILES	:= cleanup/sendmail.c cleanup/spool.c cleanup/extract.c \
		   cleanup/submit.c cleanup/dialogue.c cleanup/drop.c
bounce_FILES	:= qmgr/bounce.c qmgr/report.c qmgr/template.c qmgr/postmaster.c \
		   qmgr/post.c qmgr/original.c
qmgr_FILES	:= $(filter-out $(bounce_FILES) qmgr/select.c qmgr/queue%,$(wildcard qmgr/*.c))
postrider-queue_FILES := $(wildcard qmgr/queue*.c) qmgr/entry.c \
		   qmgr/listing.c qmgr/select.c
resolve_FILES	:= $(filter-out resolve/dns%.c resolve/map% resolve/auth% \
		   resolve/user%,$(wildcard resolve/*.c))
auth_FILES	:= $(wildcard resolve/auth*.c)
postrider-user_FILES := $(wildcard resolve/user*.c)
dns_FILES	:= $(wildcard resolve/dns*.c)
postrider-map_FILES := $(wildcard resolve/map*.c)
smtp_FILES	:= $(wildcard smtp/*.c)
local_FILES	:= local/main.c local/recipient.c local/alias.c local/expand.c \
		   local/forward.c local/repost.c local/homes.c local/loops.c \
		   local/lookup.c local/reroute.c local/spool.c \
		   local/outcome.c local/deposit.c local/include.c \
		   local/errand.c local/command.c local/shell.c local/macro.c \
		   local/virtual.c local/pipe.c local/pipe_line.c \
		   local/locking.c local/nested.c local/seen.c \
		   local/turns.c
helper_FILES	:= local/helper.c local/become.c local/permits.c local/spool.c
mailbox_FILES	:= local/mailbox.c local/batch.c local/mbox.c \
		   local/mbox_lock.c local/mbox_mark.c local/mboxes.c \
		   local/maildir.c local/maildirs.c local/copy.c \
		   local/storing.c local/reading.c local/running.c
error_FILES	:= local/refuse.c
spawn_FILES	:= local/spawn.c local/account.c local/child.c
token_FILES	:= local/token.c local/account.c local/child.c

LIB_FILES	:= $(wildcard common/*/*.c)
TEST_FILES	:= $(wildcard t/common/*/*.c t/smtpd/*.c t/smtp/*.c t/qmgr/*.c \
		   t/cleanup/*.c t/local/*.c t/resolve/*.c t/master/*.c)

# --- rules -------------------------------------------------------------------

ifdef V
Q		:=
say		= @:
else
Q		:= @
say		= @echo "  $(1)"
endif

LIB		:= $(BUILD)/libcommon.a
ifdef SANITIZE
EXTRA		:= $(BUILD)/t/lib/sanitized.o
endif
BIN		:= $(BUILD)/bin
TESTS		:= $(TEST_FILES:%.c=$(BUILD)/%.t)

.PHONY: all
all: $(BUILD)/.found $(PROGRAMS:%=$(BIN)/%) $(BIN)/lmtp

# Objects depend on the flags they were compiled with.
ALL_FLAGS	= $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS) $(LIBBSD)

$(BUILD)/.flags: FORCE
	@mkdir -p $(BUILD)
	@echo '$(ALL_FLAGS)' | cmp -s - $@ || echo '$(ALL_FLAGS)' > $@

$(BUILD)/.found: $(BUILD)/.flags
	@echo "found: openssl berkeley-db libbsd $(strip $(FEATURES))"
	@touch $@

$(BUILD)/%.o: %.c $(BUILD)/.flags
	$(call say,CC $<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The table of all parameters is data.
$(BUILD)/common/param/known.inc: common/param/known.tsv common/param/known.awk
	$(call say,GEN $@)
	@mkdir -p $(@D)
	$(Q)awk -f common/param/known.awk $< > $@.tmp && mv $@.tmp $@

$(BUILD)/common/param/known.o: $(BUILD)/common/param/known.inc

$(LIB): $(LIB_FILES:%.c=$(BUILD)/%.o)
	$(call say,AR $@)
	$(Q)rm -f $@ && ar rcs $@ $^

define program
$(BIN)/$(1): $$($(1)_FILES:%.c=$(BUILD)/%.o) $(EXTRA) $(LIB)
	$$(call say,LD $$@)
	@mkdir -p $$(@D)
	$$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ $(or $($(1)_LIBS),$(LDLIBS))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# The client's other name, which it looks at.
$(BIN)/lmtp: $(BIN)/smtp
	$(Q)ln -sf smtp $@

# A unit test is one file; a test of a daemon's file names the sources that it
# needs besides the library in a line "needs: dir/file.c ...".
$(BUILD)/needs.mk: $(TEST_FILES)
	@mkdir -p $(@D)
	@awk -v build=$(BUILD)/ '/needs: / && !seen[FILENAME]++ { \
	    sub(/.*needs: /, ""); sub(/\*\/.*/, ""); \
	    test = FILENAME; sub(/c$$/, "t:", test); line = build test; \
	    for (i = 1; i <= NF; i++) { sub(/c$$/, "o", $$i); \
	        line = line " " build $$i } \
	    print line }' $^ > $@.tmp && mv $@.tmp $@

-include $(BUILD)/needs.mk

$(TESTS): $(BUILD)/%.t: $(BUILD)/%.o $(LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS) -lcmocka

.PHONY: tests
tests: all $(TESTS)

.PHONY: FORCE
FORCE:

-include $(shell find $(BUILD) -path '*/bench' -prune -o -name '*.d' -type f -print 2>/dev/null)

include t/check.mk
include conf/install.mk
