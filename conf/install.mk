# Included by the Makefile: dependencies, users, install and uninstall.

# --- what the machine needs ---------------------------------------------------
# Only what is missing is asked for, so that a machine that has everything
# needs no network. A build works without the optional libraries.

DEPS		:= gcc make pkg-config libc6-dev libssl-dev libdb-dev libbsd-dev
DEPS_OPTIONAL	:= libunbound-dev libpcre2-dev libseccomp-dev liblmdb-dev \
		   libcdb-dev libidn2-dev
TEST_DEPS	:= perl libcmocka-dev nsd swaks curl msmtp clang universal-ctags strace \
		   valgrind gdb cppcheck procps util-linux iproute2 openssl \
		   python3 python3-flufl.bounce python3-aiosmtpd spin \
		   libgnutls-dane0 libnsl2 libidn12 libsasl2-modules \
		   libmail-deliverystatus-bounceparser-perl \
		   libio-socket-ssl-perl \
		   mandoc debhelper fakeroot e2fsprogs xfsprogs btrfs-progs \
		   mount nftables

# missing PACKAGES: those of them that dpkg does not know as installed.
missing = $(shell for p in $(1); do \
	dpkg-query -W -f='$${Status}' $$p 2>/dev/null | \
	grep -q 'install ok installed' || echo $$p; done)

# fetch PACKAGES: install them; root does, others are told what to do.
define fetch
	@if [ "$$(id -u)" -ne 0 ]; then \
		echo "as root: apt-get install $(1)" >&2; exit 1; fi
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
	    --no-install-recommends $(1)
endef

.PHONY: deps test-deps users
deps:
	$(if $(call missing,$(DEPS)),$(call fetch,$(call missing,$(DEPS) $(DEPS_OPTIONAL))))

test-deps: deps
	$(if $(call missing,$(TEST_DEPS) $(DEPS_OPTIONAL)),$(call fetch,$(call missing,$(TEST_DEPS) $(DEPS_OPTIONAL))))
	@t/lib/unpack build/bench/postfix postfix
	@t/lib/unpack build/bench/postfix-cdb postfix-cdb
	@t/lib/unpack build/readers pflogsumm fail2ban logwatch \
	    libdate-calc-perl libcarp-clan-perl
	@t/lib/unpack build/testssl testssl.sh bsdextrautils
	@t/lib/unpack build/exim exim4-daemon-light exim4-base
	@t/lib/unpack build/dovecot dovecot-core dovecot-lmtpd \
	    libexttextcat-2.0-0 liblua5.4-0 libwrap0

# The system users; without root an instance runs as one user and needs none.
users:
	@if [ "$$(id -u)" -eq 0 ]; then sh conf/users.sh; fi

# --- install ------------------------------------------------------------------
# With DESTDIR nothing outside of it is touched: no user, no owner, no check
# of what else is installed; whoever unpacks the tree runs
# `postrider set-permissions` once.

CONFDIR		:= $(SYSCONFDIR)/postrider
TO		= $(DESTDIR)

# Manual pages are beside their programs; main.cf's is made, because every
# parameter describes itself. A page may answer to more names than one.
MAINCF_PAGE	:= $(BUILD)/man/postrider-main.cf.5
MANUALS		= $(wildcard */*.[1578]) $(MAINCF_PAGE)
MANUAL_LINKS	:= mailq.1=sendmail.1 newaliases.1=sendmail.1 \
		   postrider-lmtp.8=postrider-smtp.8 \
		   postrider-mailbox.8=postrider-helper.8 \
		   postrider-retry.8=postrider-error.8 \
		   postrider-discard.8=postrider-error.8

$(MAINCF_PAGE): master/postrider-main.cf.5.in conf/manual.awk \
    common/param/known.tsv $(PROGRAMS:%=$(BIN)/%)
	$(call say,GEN $@)
	@mkdir -p $(@D)
	$(Q)POSTRIDER_DAEMON_DIRECTORY=$(BIN) ASAN_OPTIONS=detect_leaks=0 \
	    $(BIN)/postrider-conf --manual > $@.rows
	$(Q)awk -v rows=$@.rows -v known=common/param/known.tsv \
	    -f conf/manual.awk $< > $@.tmp && mv $@.tmp $@

.PHONY: manuals
manuals: $(MAINCF_PAGE)
all: manuals

.PHONY: install uninstall
install: all $(if $(DESTDIR),,check-place users)
	install -d $(TO)$(LIBEXECDIR) $(TO)$(SBINDIR) $(TO)$(BINDIR) \
	    $(TO)$(CONFDIR) $(TO)$(UNITDIR) $(TO)$(SYSUSERSDIR) \
	    $(TO)$(PREFIX)/lib
	install -d -m 755 $(TO)$(SPOOLDIR)
	for p in $(DAEMONS); do \
	    install -m 755 $(BIN)/$$p $(TO)$(LIBEXECDIR)/$$p || exit 1; done
	ln -sf smtp $(TO)$(LIBEXECDIR)/lmtp
	for p in $(filter-out postdrop,$(COMMANDS)); do \
	    install -m 755 $(BIN)/$$p $(TO)$(SBINDIR)/$$p || exit 1; done
	install -m 755 $(BIN)/postdrop $(TO)$(SBINDIR)/postdrop
	ln -sf $(SBINDIR)/sendmail $(TO)$(BINDIR)/mailq
	ln -sf $(SBINDIR)/sendmail $(TO)$(BINDIR)/newaliases
	ln -sf $(SBINDIR)/sendmail $(TO)$(PREFIX)/lib/sendmail
	umask 022; sed 's,@SBINDIR@,$(SBINDIR),g' conf/postrider.service \
	    > $(TO)$(UNITDIR)/postrider.service
	install -m 644 conf/postrider.sysusers \
	    $(TO)$(SYSUSERSDIR)/postrider.conf
	install -m 644 conf/bounce.cf.default $(TO)$(CONFDIR)
	umask 022; for f in main.cf master.cf; do \
	    test -e $(TO)$(CONFDIR)/$$f || \
	    sed 's,/etc/aliases,$(SYSCONFDIR)/aliases,g' conf/$$f \
	        > $(TO)$(CONFDIR)/$$f || exit 1; done
	for m in $(MANUALS); do \
	    d=$(TO)$(MANDIR)/man$${m##*.}; \
	    install -d $$d && install -m 644 $$m $$d/ || exit 1; done
	for l in $(MANUAL_LINKS); do \
	    ln -sf $${l#*=} $(TO)$(MANDIR)/man$${l##*.}/$${l%=*} || exit 1; done
ifeq ($(DESTDIR),)
	umask 022; test -e $(SYSCONFDIR)/aliases || \
	    printf 'mailer-daemon: postmaster\npostmaster: root\n' \
	    > $(SYSCONFDIR)/aliases
	$(SBINDIR)/postrider set-permissions
	test -e $(SYSCONFDIR)/aliases.db || $(BINDIR)/newaliases || \
	    echo "run newaliases before you start the system" >&2
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
endif

# Another mail system's sendmail is not overwritten.
.PHONY: check-place
check-place:
	@if [ "$$(id -u)" -ne 0 ]; then \
	    echo "make install is for root, or set DESTDIR" >&2; exit 1; fi
	@owner=$$(dpkg -S $(SBINDIR)/sendmail 2>/dev/null | \
	    grep -v '^diversion' | cut -d: -f1); \
	if [ -n "$$owner" ] && [ "$$owner" != postrider ]; then \
	    echo "$(SBINDIR)/sendmail belongs to the package $$owner:" \
	        "remove that, or choose another PREFIX" >&2; exit 1; fi

# Configuration, queue and users stay: they hold what is not ours.
uninstall:
	rm -rf $(TO)$(LIBEXECDIR)
	for p in $(COMMANDS); do rm -f $(TO)$(SBINDIR)/$$p; done
	for l in $(BINDIR)/mailq $(BINDIR)/newaliases $(PREFIX)/lib/sendmail; do \
	    if [ "$$(readlink $(TO)$$l)" = $(SBINDIR)/sendmail ]; then \
	        rm -f $(TO)$$l; fi; done
	rm -f $(TO)$(UNITDIR)/postrider.service \
	    $(TO)$(SYSUSERSDIR)/postrider.conf \
	    $(TO)$(CONFDIR)/bounce.cf.default
	for m in $(notdir $(MANUALS)) $(foreach l,$(MANUAL_LINKS),$(firstword \
	    $(subst =, ,$(l)))); do \
	    rm -f $(TO)$(MANDIR)/man$${m##*.}/$$m; done

# --- the names of Postfix's commands ------------------------------------
# The same programs answer to them. Scripts and guides go on working; a
# machine cannot have these and Postfix.

POSTFIX_NAMES	:= postconf=postrider-conf postqueue=postrider-queue \
		   postsuper=postrider-queue postcat=postrider-queue \
		   postmap=postrider-map postalias=postrider-map \
		   postfix=postrider postlog=postrider postkick=postrider \
		   postlock=postrider

.PHONY: install-postfix-names uninstall-postfix-names
install-postfix-names:
	install -d $(TO)$(SBINDIR)
	for l in $(POSTFIX_NAMES); do \
	    f=$(TO)$(SBINDIR)/$${l%%=*}; \
	    if [ -e $$f ] && [ ! -L $$f ]; then \
	        echo "$$f belongs to Postfix: remove that first" >&2; \
	        exit 1; fi; done
	install -d $(TO)$(MANDIR)/man1
	umask 022; for l in $(POSTFIX_NAMES); do \
	    ln -sf $${l#*=} $(TO)$(SBINDIR)/$${l%%=*} && \
	    echo ".so man8/$${l#*=}.8" > $(TO)$(MANDIR)/man1/$${l%%=*}.1 || \
	    exit 1; done

uninstall-postfix-names:
	for l in $(POSTFIX_NAMES); do \
	    f=$(TO)$(SBINDIR)/$${l%%=*}; \
	    if [ "$$(readlink $$f)" = $${l#*=} ]; then \
	        rm -f $$f $(TO)$(MANDIR)/man1/$${l%%=*}.1; fi; done
