# Bellhop. `make help` says what there is.
#
#   BUILD   where everything is built; make check SAN=... uses a folder of its own below it
#   SAN     sanitizers, for example SAN=address,undefined
#   CC      gcc or clang

SAN     ?=
BUILD   ?= build$(if $(SAN),/san)
PREFIX  ?= /usr/local
DESTDIR ?=
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)

# For a make that builds, unless who calls has said how much at once.
SIDE_BY_SIDE = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

# Tests at once: they mostly wait.
JOBS    ?= $(shell expr $$(nproc) + 2)

# Debian's own Python, whose pytest is the package python3-pytest.
PYTHON  := /usr/bin/python3

BUILD_PACKAGES := gcc libc6-dev pkg-config libargon2-dev libcrypt-dev libcurl4-openssl-dev libevent-dev libidn-dev \
	libidn2-dev libjansson-dev libmicrohttpd-dev liboath-dev libqrencode-dev libseccomp-dev libsodium-dev \
	libsqlite3-dev libssl-dev libsystemd-dev libxxhash-dev uthash-dev
RUN_PACKAGES   := python3 ca-certificates curl openssl
CHECK_PACKAGES := libcmocka-dev python3-cryptography python3-jwt python3-pytest \
	python3-pytest-xdist fetchmail hydra mpop sqlite3 procps testssl.sh zbar-tools
# Node.js may be there from elsewhere, which Debian's packages would exclude.
NODE_PACKAGES   = $(if $(shell command -v node 2>&1),,nodejs) $(if $(shell command -v npm 2>&1),,npm)
PROXY_PACKAGES := haproxy nginx libnginx-mod-mail
# Mail servers are unpacked, because they exclude each other; what they need is installed.
MTA_PACKAGES   := swaks libnet-ssleay-perl util-linux libdb5.3 libicu72 libnsl2 libsasl2-2 libgnutls-dane0 \
	libidn12 libldap-2.5-0 libmariadb3 libpam0g libpcre2-8-0 libperl5.36 libpq5 libspf2-2
MTA_UNPACKED   := postfix exim4-daemon-heavy opensmtpd
# For promtool; the server in it is not to run.
PEERS_UNPACKED := prometheus
BENCH_PACKAGES := dovecot-core dovecot-lmtpd dovecot-pop3d dovecot-sqlite wrk
LINT_PACKAGES  := clang clang-format clang-tidy cppcheck shellcheck
FUZZ_PACKAGES  := clang libclang-rt-dev

# --- how to compile ------------------------------------------------------------------------------

# clang's warning for each of gcc's, and the other way round, so that both compilers are quiet.
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wundef -Werror
HARDEN   := $(if $(SAN),,-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
CFLAGS   ?= -O2 -g
override CFLAGS += -std=c17 -D_GNU_SOURCE -I. $(WARNINGS) -fPIE -fno-omit-frame-pointer \
	$(HARDEN) $(if $(SAN),-DBELLHOP_SANITIZED -fsanitize=$(SAN) -fno-sanitize-recover=all)
override LDFLAGS += -pie -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN))

LIB_SOURCES := $(sort $(wildcard lib/*.c))
LIB_LIBS    := libevent_core libidn libidn2 libseccomp libsodium libsystemd

DB_SOURCES := $(sort $(wildcard db/*.c))
DB_LIBS    := sqlite3

# One paragraph a program: its sources, the library folders it stands on, its packages.
POP3D_SOURCES := $(sort $(wildcard pop3d/*.c))
POP3D_LIBS    := libssl libcrypto

AUTHD_SOURCES := $(sort $(wildcard authd/*.c))
AUTHD_LIBS    := jansson libargon2 libcrypt libcrypto -pthread

STORED_SOURCES := $(sort $(wildcard stored/*.c))
STORED_LIBS    := jansson sqlite3 libxxhash -pthread

LMTPD_SOURCES := $(sort $(wildcard lmtpd/*.c))
LMTPD_LIBS    :=

ADMIN_SOURCES := $(sort $(wildcard admin/*.c))
ADMIN_LIBS    := jansson libssl libcrypto libevent_extra liboath libmicrohttpd libqrencode -pthread

FETCHD_SOURCES := $(sort $(wildcard fetchd/*.c))
FETCHD_LIBS    := libcurl libssl libcrypto

BELLHOP_SOURCES := $(sort $(wildcard cli/*.c))
BELLHOP_LIBS    := jansson libcrypto libcurl libqrencode

# --- what is built -------------------------------------------------------------------------------

PROGRAMS := pop3d authd stored lmtpd fetchd admin bellhop
BINARIES := $(PROGRAMS:%=$(BUILD)/bin/%)

.PHONY: all built-to-check faults help deps lint-deps fuzz-deps run check check-built unit fuzz fuzz-built fuzz-replay crash torture grade system load storm bench bench-built bench-deps bench-http compare compare-built measure-scale lint install clean
.DELETE_ON_ERROR:

all: $(BINARIES)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
# The flags of packages, and what stands there as a flag already.
link_flags = $(shell pkg-config --libs $(filter-out -%,$(1))) $(filter -%,$(1))

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $<")
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

define archive
$(BUILD)/lib/$(1).a: $(call objects,$(2))
	@mkdir -p $$(@D)
	$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
endef

# A program is its main.o and an archive of the rest, which its unit tests are linked with as well.
# $(1) program, $(2) prefix of its variables, $(3) folder
define program
$(eval $(call archive,$(1),$(filter-out $(3)/main.c,$($(2)_SOURCES))))
$(BUILD)/bin/$(1): $(BUILD)/obj/$(3)/main.o $(BUILD)/lib/$(1).a $(BUILD)/lib/db.a $(BUILD)/lib/lib.a
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LINK  $$@")
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(call link_flags,$(LIB_LIBS) $(DB_LIBS) $($(2)_LIBS))
endef

$(eval $(call archive,lib,$(LIB_SOURCES)))
$(eval $(call archive,db,$(DB_SOURCES)))
$(eval $(call program,pop3d,POP3D,pop3d))
$(eval $(call program,authd,AUTHD,authd))
$(eval $(call program,stored,STORED,stored))
$(eval $(call program,lmtpd,LMTPD,lmtpd))
$(eval $(call program,fetchd,FETCHD,fetchd))
$(eval $(call program,admin,ADMIN,admin))
$(eval $(call program,bellhop,BELLHOP,cli))

# Migrations and texts are taken in by the assembler, which tells no dependencies.
$(BUILD)/obj/db/migrations.o: $(wildcard migrations/*.sql)
$(BUILD)/obj/lib/notice.o: $(wildcard texts/*.txt)
$(BUILD)/obj/lib/commonpassword.o: texts/common-passwords.txt
$(BUILD)/obj/admin/document.o: admin/schemas.json

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# The same programs with the points at which a test lets them die or fail (lib/fault.h). What has
# such points is compiled again and comes before the archives, so theirs is not taken.
FAULT_SOURCES := $(filter-out lib/fault.c,$(shell grep -l '"lib/fault\.h"' $(foreach folder,\
	lib db pop3d authd stored lmtpd fetchd admin cli,$(wildcard $(folder)/*.c))))

$(BUILD)/faults/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $< (faults)")
	$(Q)$(CC) $(CFLAGS) -DBELLHOP_FAULTS -MMD -MP -c -o $@ $<

# $(1) program, $(2) prefix of its variables, $(3) folder
define fault_program
$(BUILD)/faults/bin/$(1): $(patsubst %.c,$(BUILD)/faults/obj/%.o,$(filter $(FAULT_SOURCES),$(LIB_SOURCES) \
		$(DB_SOURCES) $($(2)_SOURCES))) $(if $(filter $(3)/main.c,$(FAULT_SOURCES)),,$(BUILD)/obj/$(3)/main.o) \
		$(BUILD)/lib/$(1).a $(BUILD)/lib/db.a $(BUILD)/lib/lib.a
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LINK  $$@")
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(call link_flags,$(LIB_LIBS) $(DB_LIBS) $($(2)_LIBS))
endef

$(eval $(call fault_program,pop3d,POP3D,pop3d))
$(eval $(call fault_program,authd,AUTHD,authd))
$(eval $(call fault_program,stored,STORED,stored))
$(eval $(call fault_program,lmtpd,LMTPD,lmtpd))
$(eval $(call fault_program,fetchd,FETCHD,fetchd))
$(eval $(call fault_program,admin,ADMIN,admin))
$(eval $(call fault_program,bellhop,BELLHOP,cli))

faults: $(PROGRAMS:%=$(BUILD)/faults/bin/%)

-include $(shell find $(BUILD)/faults/obj -name '*.d' 2>/dev/null)

# The load generator, and the bare programs that deliveries and RETR are measured against; tools of
# their own, so they stand on the libraries alone.
APPENDER_SOURCES := tests/bench/appender.c tests/bench/bare.c tests/bench/latency.c
SENDER_SOURCES   := tests/bench/sender.c tests/bench/bare.c
LOAD_SOURCES     := $(filter-out tests/bench/appender.c $(SENDER_SOURCES),$(wildcard tests/bench/*.c))
BENCH_PROGRAMS   := $(BUILD)/bench/appender $(BUILD)/bench/load $(BUILD)/bench/sender
$(BUILD)/bench/load: $(call objects,$(LOAD_SOURCES)) $(BUILD)/lib/lib.a
$(BUILD)/bench/appender: $(call objects,$(APPENDER_SOURCES)) $(BUILD)/lib/lib.a
$(BUILD)/bench/load: BENCH_LIBS := libssl libcrypto
$(BUILD)/bench/sender: $(call objects,$(SENDER_SOURCES)) $(BUILD)/lib/lib.a
$(BENCH_PROGRAMS):
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call link_flags,$(LIB_LIBS) $(BENCH_LIBS)) -pthread

# Fills a store, so it stands on stored's archive.
$(BUILD)/bench/fill: $(call objects,tests/bench/scale/fill.c) $(BUILD)/lib/stored.a $(BUILD)/lib/lib.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call link_flags,$(LIB_LIBS) $(STORED_LIBS))

# What stands between stored and its files in system tests; without sanitizers, in front of libc.
$(BUILD)/tests/disk.so: tests/disk/disk.c Makefile
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LINK  $@")
	$(Q)$(CC) -O2 -g -std=c17 -D_GNU_SOURCE $(WARNINGS) -fPIC -shared -o $@ $<

# What lets a running program make a system call, in test_confinement.py.
$(BUILD)/tests/inject: tests/confine/inject.c Makefile
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LINK  $@")
	$(Q)$(CC) -O2 -g -std=c17 -D_GNU_SOURCE $(WARNINGS) -o $@ $< $(call link_flags,libseccomp)

# QUICK=1 does little of everything; ROWS='LMTP|RETR' only what matches.
bench: deps bench-deps
	@$(MAKE) --no-print-directory bench-built

bench-built: all $(BENCH_PROGRAMS) $(BUILD)/bench/fill $(BUILD)/tests/disk.so
	$(PYTHON) tests/bench/bench $(BUILD) $(if $(QUICK),--quick) $(if $(ROWS),--rows '$(ROWS)')

# The HTTP API under wrk.
bench-http: deps bench-deps all
	BELLHOP_BIN=$(abspath $(BUILD)/bin) $(PYTHON) tests/bench/http/measure $(BUILD)

measure-scale: all $(BENCH_PROGRAMS) $(BUILD)/bench/fill
	$(PYTHON) tests/bench/scale/measure $(BUILD)

# Writes docs/conformance.md.
compare: deps bench-deps
	@$(MAKE) --no-print-directory compare-built

compare-built: all
	$(PYTHON) tests/conformance/compare $(BUILD)

# --- tests ---------------------------------------------------------------------------------------

# tests/unit/test_PROGRAM_NOUN.c is linked with that program's archive, any other with the libraries.
UNIT_TESTS    := $(basename $(notdir $(wildcard tests/unit/test_*.c)))
UNIT_PROGRAMS := $(UNIT_TESTS:%=$(BUILD)/unit/%)
UNIT_LIBS     := cmocka $(LIB_LIBS) $(DB_LIBS) jansson libssl libcrypto libqrencode

# No test takes longer, in seconds, however loaded the machine is.
UNIT_TIME     := 300

# What several tests stand on; what one needs of it is taken, and the rest of the archive stays.
$(eval $(call archive,unit,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c))))

# $(1) test, $(2) archive and $(3) prefix of the program's variables, or empty
define unit_test
$(BUILD)/unit/$(1): $(BUILD)/obj/tests/unit/$(1).o $(BUILD)/lib/unit.a $(if $(2),$(BUILD)/lib/$(2).a) \
		$(BUILD)/lib/db.a $(BUILD)/lib/lib.a
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LINK  $$@")
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(call link_flags,$(UNIT_LIBS) $(if $(3),$($(3)_LIBS)))
endef

define unit_tests_of
$(foreach test,$(filter test_$(1)_%,$(UNIT_TESTS)),$(eval $(call unit_test,$(test),$(2),$(3))))
endef

$(call unit_tests_of,pop3d,pop3d,POP3D)
$(call unit_tests_of,authd,authd,AUTHD)
$(call unit_tests_of,stored,stored,STORED)
$(call unit_tests_of,lmtpd,lmtpd,LMTPD)
$(call unit_tests_of,fetchd,fetchd,FETCHD)
$(call unit_tests_of,admin,admin,ADMIN)
$(call unit_tests_of,cli,bellhop,BELLHOP)
$(foreach test,$(filter-out $(foreach program,pop3d authd stored lmtpd fetchd admin cli,test_$(program)_%),\
	$(UNIT_TESTS)),$(eval $(call unit_test,$(test))))

# A fuzz target is what has a corpus; tests/fuzz/PROGRAM_NOUN.c is linked as a unit test is. With
# FUZZER=1, in clang, libFuzzer is its main(), which else runs over files.
FUZZER       ?=
FUZZ_TARGETS := $(notdir $(wildcard tests/fuzz/corpus/*))
FUZZ_COMMON  := $(filter-out $(FUZZ_TARGETS:%=tests/fuzz/%.c) $(if $(FUZZER),tests/fuzz/replay.c),\
	$(wildcard tests/fuzz/*.c))

# $(1) target, $(2) archive and $(3) prefix of the program's variables, or empty
define fuzz_target
$(BUILD)/fuzz/$(1): $(call objects,tests/fuzz/$(1).c $(FUZZ_COMMON)) $(BUILD)/lib/unit.a \
		$(if $(2),$(BUILD)/lib/$(2).a) $(BUILD)/lib/db.a $(BUILD)/lib/lib.a
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LINK  $$@")
	$$(Q)$$(CC) $$(LDFLAGS) $(if $(FUZZER),-fsanitize=fuzzer) -o $$@ $$^ \
		$$(call link_flags,$(UNIT_LIBS) $(if $(3),$($(3)_LIBS)))
endef

define fuzz_targets_of
$(foreach target,$(filter $(1)_%,$(FUZZ_TARGETS)),$(eval $(call fuzz_target,$(target),$(2),$(3))))
endef

$(call fuzz_targets_of,pop3d,pop3d,POP3D)
$(call fuzz_targets_of,authd,authd,AUTHD)
$(call fuzz_targets_of,stored,stored,STORED)
$(call fuzz_targets_of,lmtpd,lmtpd,LMTPD)
$(call fuzz_targets_of,admin,admin,ADMIN)
$(call fuzz_targets_of,cli,bellhop,BELLHOP)
$(foreach target,$(filter-out $(foreach program,pop3d authd stored lmtpd admin cli,$(program)_%),\
	$(FUZZ_TARGETS)),$(eval $(call fuzz_target,$(target))))

fuzz-replay: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
	@for target in $^; do \
		echo "  REPLAY  $$target"; \
		timeout --foreground -k 5 $(UNIT_TIME) $$target tests/fuzz/corpus/$${target##*/}/* || exit 1; \
	done

# Each target for SECONDS; FUZZ='pop3d_session surrogate' only those. Findings in build/fuzz/findings.
SECONDS := 60
FUZZ    ?= $(FUZZ_TARGETS)

fuzz: deps fuzz-deps
	@$(MAKE) --no-print-directory fuzz-built BUILD=build/libfuzzer CC=clang SAN=address,undefined \
		FUZZER=1 CFLAGS='-O1 -g -fsanitize=fuzzer-no-link'

fuzz-built: $(FUZZ:%=$(BUILD)/fuzz/%)
	@tests/fuzz/run $(SECONDS) $^

# Power loss (tests/crash/power.c): the store in one process with the harness's own disk.
CRASH_SOURCES := $(wildcard tests/crash/*.c)
$(BUILD)/crash/power: $(call objects,$(CRASH_SOURCES)) $(BUILD)/lib/stored.a $(BUILD)/lib/lib.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -rdynamic -o $@ $^ $(call link_flags,$(LIB_LIBS) $(STORED_LIBS))

crash: $(BUILD)/crash/power
	$< --images 100

torture: $(BUILD)/crash/power all $(BUILD)/tests/disk.so
	$< --images 2000
	BELLHOP_TORTURE=1 BELLHOP_BIN=$(abspath $(BUILD)/bin) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) \
		tests/system/test_failing_disk.py tests/system/test_space.py

# All that testssl.sh looks for, in some minutes; `make check` has a part of it.
grade: all
	BELLHOP_GRADE=1 BELLHOP_BIN=$(abspath $(BUILD)/bin) $(PYTHON) -m pytest -q -n $(JOBS) $(PYTEST_FLAGS) \
		tests/system/test_testssl.py

unit: $(UNIT_PROGRAMS) fuzz-replay
	@printf '%s\n' $(UNIT_PROGRAMS) | xargs -P $(JOBS) -n 1 tests/unit/run $(UNIT_TIME)

SYSTEM_NEEDS := all faults $(BUILD)/bench/fill $(BUILD)/bench/load $(BUILD)/tests/disk.so $(BUILD)/tests/inject

system: $(SYSTEM_NEEDS)
	BELLHOP_BIN=$(abspath $(BUILD)/bin) $(PYTHON) -m pytest -q -n $(JOBS) $(PYTEST_FLAGS) tests/system

# Thousands of clients that take much and give nothing; some five minutes.
load: all $(BUILD)/bench/fill $(BUILD)/bench/load
	BELLHOP_LOAD=1 BELLHOP_BIN=$(abspath $(BUILD)/bin) $(PYTHON) -m pytest -q -s $(PYTEST_FLAGS) \
		tests/system/test_load.py tests/system/test_http_robust.py

# A stale password among 100 mailboxes, and hydra, for ten minutes each; 20,000 clients at once.
storm: all $(BUILD)/bench/fill $(BUILD)/bench/load
	BELLHOP_STORM=1 BELLHOP_BIN=$(abspath $(BUILD)/bin) $(PYTHON) -m pytest -q -s $(PYTEST_FLAGS) \
		tests/system/test_storm.py
	BELLHOP_STORM=1 BELLHOP_BIN=$(abspath $(BUILD)/bin) $(PYTHON) -m pytest -q -n 2 -rP $(PYTEST_FLAGS) \
		tests/system/test_throttle.py -k 'stale or hydra'

check: deps
	@$(MAKE) --no-print-directory check-built

check-built:
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) built-to-check
	@$(MAKE) --no-print-directory -j1 unit crash system

built-to-check: $(SYSTEM_NEEDS) $(UNIT_PROGRAMS) $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%) $(BUILD)/crash/power

# --- what people call ----------------------------------------------------------------------------

help:
	@echo 'make run      install what is missing, build, serve a demo instance until Ctrl-C'
	@echo 'make check    install what is missing, build, run all tests; SAN=address,undefined'
	@echo 'make deps     install the missing Debian packages (asks sudo where it is not root) and npm packages'
	@echo 'make          build; programs are in build/bin'
	@echo 'make unit     the unit tests; make system: the system tests'
	@echo 'make crash    100 power losses; make torture: 2,000 of them, and every call on a failing disk'
	@echo 'make storm    20,000 clients at once; ten minutes of wrong passwords, by mistake and by hydra'
	@echo 'make load     15,000 idle, slow, deaf and half-open clients, and how others are served meanwhile'
	@echo 'make grade    what testssl.sh finds at both ports, in some minutes'
	@echo 'make faults   the programs with the points of lib/fault.h, in build/faults/bin'
	@echo 'make fuzz     SECONDS=60 of made-up input for each target in tests/fuzz; FUZZ=surrogate for one'
	@echo 'make lint     formatting, static analysis, layers'
	@echo 'make bench    Bellhop measured beside Dovecot, which is installed for it; QUICK=1 for a trial'
	@echo 'make bench-http  the HTTP API under wrk'
	@echo 'make compare  the conformance suite against Bellhop and Dovecot: docs/conformance.md'
	@echo 'make measure-scale  how it does with much mail'
	@echo 'make install  PREFIX=/usr/local DESTDIR='
	@echo 'make clean    remove build/'

# Asks the package manager for nothing where nothing is missing, so it works without a network.
# $(1) packages, $(2) what runs the installation, or nothing
define install_packages
	@missing=; for package in $(1); do \
		dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || \
		missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
		$$as_root apt-get -q update && \
		$$as_root env DEBIAN_FRONTEND=noninteractive $(2) apt-get -q install -y \
			--no-install-recommends $$missing; \
	fi
endef

deps:
	$(call install_packages,$(BUILD_PACKAGES) $(RUN_PACKAGES) $(CHECK_PACKAGES) $(NODE_PACKAGES))
	@tests/openapi/install
	$(call install_packages,$(PROXY_PACKAGES),tests/unserved 'haproxy.service nginx.service')
	$(call install_packages,$(MTA_PACKAGES))
	@tests/mta/fetch $(BUILD)/mta $(MTA_UNPACKED)
	@tests/mta/fetch $(BUILD)/peers $(PEERS_UNPACKED)

bench-deps:
	$(call install_packages,$(BENCH_PACKAGES),tests/unserved 'dovecot.service dovecot.socket')

lint-deps:
	$(call install_packages,$(BUILD_PACKAGES) $(CHECK_PACKAGES) $(LINT_PACKAGES))

fuzz-deps:
	$(call install_packages,$(FUZZ_PACKAGES))

LINT_C := $(shell git ls-files '*.c' 2>/dev/null)
LINT_H := $(shell git ls-files '*.h' 2>/dev/null)
LINT_SH := $(shell git grep -lE '^#!.*\b(bash|sh)$$' -- ':!*.md' 2>/dev/null)

lint: lint-deps
	clang-format --dry-run -Werror $(LINT_C) $(LINT_H)
	tests/lint/layers
	shellcheck $(LINT_SH)
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability \
		--suppress=missingIncludeSystem --suppress=ctuuninitvar \
		--include=/usr/include/uthash.h --include=/usr/include/utlist.h -D_GNU_SOURCE -I. $(LINT_C)
	printf '%s\n' $(LINT_C) | xargs -P2 -n4 sh -c 'clang-tidy --quiet "$$@" -- -std=c17 -D_GNU_SOURCE -I. 2>/dev/null' clang-tidy

run: deps
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) all
	@tests/demo $(BUILD)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/bellhop
	install -m 755 $(BUILD)/bin/bellhop $(DESTDIR)$(PREFIX)/bin/bellhop
	install -m 755 $(filter-out %/bellhop,$(BINARIES)) $(DESTDIR)$(PREFIX)/libexec/bellhop
ifeq ($(DESTDIR),)
	[ "$$(id -u)" != 0 ] || getent passwd bellhop >/dev/null || \
		useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin bellhop
endif

clean:
	rm -rf build
