# stepbox: make help
PREFIX ?= /usr/local
DESTDIR ?=
VARIANT ?= release
B := build/$(VARIANT)
CC ?= cc
PKGS := libfyaml libcurl libssh2 jansson sqlite3 libzstd zlib libcrypto
WARN := -Wall -Wextra -Wshadow -Wvla -Wundef -Wformat=2 -Wcast-qual -Wwrite-strings -Wpointer-arith \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wswitch-enum
HARDEN ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
LDHARDEN ?= -pie -Wl,-z,relro,-z,now
CFLAGS ?= -O2 -g
SAN ?=
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. $(WARN) $(CFLAGS) $(HARDEN) $(SAN) $(shell pkg-config --cflags $(PKGS)) -pthread -MMD -MP
LIBS = $(shell pkg-config --libs $(PKGS)) -pthread

SRC := $(wildcard base/*.c cloud/*.c provision/*.c migrations/*.c cmd/*.c)
LIBSRC := $(filter-out cmd/main.c,$(SRC))
OBJ := $(LIBSRC:%.c=$(B)/%.o) $(B)/templates.o $(B)/templates_blob.o
TEMPLATES := $(sort $(shell find templates -type f))
UNIT := $(wildcard tests/unit/test_*.c)
UNITBIN := $(UNIT:tests/unit/%.c=$(B)/tests/%)
SH := $(sort $(shell find templates tests .ci -name '*.sh' 2>/dev/null))

.PHONY: all demo test test-openstack sweep unit e2e asan tsan lint layers fuzz bench install clean help deps format
all: $(B)/stepbox

-include tests/tests.mk

$(B)/stepbox: $(B)/cmd/main.o $(B)/libstepbox.a
	$(CC) $(SAN) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libstepbox.a: $(OBJ)
	rm -f $@ && ar rcsP $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# templates/ inside the program: the bytes by ld, a table of names by a few lines of shell.
$(B)/templates_blob.o: $(TEMPLATES)
	@mkdir -p $(@D)
	ld -r -b binary -z noexecstack -o $@ $(TEMPLATES)

$(B)/templates.c: $(TEMPLATES) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "base/template_table.h"'; \
	for f in $(TEMPLATES); do s=$$(echo $$f | sed 's/[^A-Za-z0-9]/_/g'); \
		echo "extern const char _binary_$${s}_start[], _binary_$${s}_end[];"; done; \
	echo 'const struct template_entry template_table[] = {'; \
	for f in $(TEMPLATES); do s=$$(echo $$f | sed 's/[^A-Za-z0-9]/_/g'); \
		echo "	{\"$${f#templates/}\", _binary_$${s}_start, _binary_$${s}_end},"; done; \
	echo '	{0, 0, 0}};'; } > $@

$(B)/templates.o: $(B)/templates.c base/template_table.h
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/tests/%: tests/unit/%.c $(B)/libstepbox.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDHARDEN) -o $@ $< $(B)/libstepbox.a $(LIBS) $(shell pkg-config --libs cmocka)

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
