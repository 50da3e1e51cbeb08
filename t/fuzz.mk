# Included by t/check.mk: programs that attack, the rogue and the fuzz targets.
#
#   make fuzz         each target for FUZZ_SECONDS, a line each in t/fuzz/LEDGER
#   make fuzz-short   three seconds each, no line: do they still build and run?
#   make fuzz-build  only build them, for t/conformance/attacks/fuzz.t
#   make fuzz FUZZ_TARGETS="data header"

# --- the rogue: t/daemon/rogue.t runs it -------------------------------------
# Its booty is a program that needs nothing, to be started where nothing is.

ROGUE_FILES	:= $(filter-out t/daemon/booty.c,$(wildcard t/daemon/*.c)) \
		   local/become.c local/permits.c local/spool.c

$(BUILD)/t/daemon/rogue: $(ROGUE_FILES:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(ROGUE_FILES:%.c=$(BUILD)/%.o) $(LIB) \
	    $(LDLIBS)

$(BUILD)/t/daemon/booty: t/daemon/booty.c
	$(call say,LD $@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -static -nostdlib -ffreestanding -fno-stack-protector \
	    -o $@ $<

tests: $(BUILD)/t/daemon/rogue $(BUILD)/t/daemon/booty

# --- fuzz targets: clang's libFuzzer, a library of their own -----------------

FUZZ_SECONDS	?= 60
FUZZ_NAMES	:= $(patsubst t/fuzz/%.c,%,$(wildcard t/fuzz/*.c))
FUZZ_TARGETS	?= $(FUZZ_NAMES)
FUZZ_CFLAGS	:= -std=gnu17 -O1 -g -fno-omit-frame-pointer -pthread \
		   -DSANITIZED \
		   -fsanitize=fuzzer-no-link,address,undefined \
		   -fno-sanitize-recover=undefined
FUZZ_LIB	:= $(BUILD)/fuzz/libcommon.a

$(BUILD)/fuzz/obj/%.o: %.c $(BUILD)/common/param/known.inc
	$(call say,FUZZ CC $<)
	@mkdir -p $(@D)
	$(Q)clang $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_LIB): $(LIB_FILES:%.c=$(BUILD)/fuzz/obj/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^

# A target of a daemon's file names what it needs besides the library, as unit
# tests do: "needs: dir/file.c ...".
fuzz_needs	= $(shell sed -n 's,.*needs: \(.*\)\.c.*,\1,p' $(1))

$(FUZZ_NAMES:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: \
    $(BUILD)/fuzz/obj/t/fuzz/%.o $(FUZZ_LIB)
	$(call say,FUZZ LD $@)
	$(Q)clang -pthread -fsanitize=fuzzer,address,undefined \
	    $(FUZZ_LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(FUZZ_LIB) $(LDLIBS)

$(foreach n,$(FUZZ_NAMES),$(eval $(BUILD)/fuzz/$(n): \
    $(patsubst %,$(BUILD)/fuzz/obj/%.o,$(call fuzz_needs,t/fuzz/$(n).c))))

# resolve is played by the target.
$(BUILD)/fuzz/dovecot: FUZZ_LDFLAGS := -Wl,--wrap=link_ask

.PHONY: fuzz fuzz-short fuzz-build
fuzz-build: $(FUZZ_NAMES:%=$(BUILD)/fuzz/%)
fuzz: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
	$(Q)BUILD=$(BUILD) t/fuzz/run $(FUZZ_SECONDS) $(FUZZ_TARGETS)

fuzz-short: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
	$(Q)BUILD=$(BUILD) LEDGER=/dev/null t/fuzz/run 3 $(FUZZ_TARGETS)
