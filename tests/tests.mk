# The checks. Included by the Makefile.
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
CSRC := $(wildcard base/*.[ch] cloud/*.[ch] provision/*.[ch] migrations/*.[ch] cmd/*.[ch] tests/unit/*.[ch] \
	tests/fake/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch])
FUZZ := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_SECONDS ?= 60
ASAN := VARIANT=asan HARDEN= CFLAGS='-O1 -g -fno-omit-frame-pointer' SAN='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
TSAN := VARIANT=tsan HARDEN= LDHARDEN= CFLAGS='-O1 -g' SAN='-fsanitize=thread'

help:
	@echo 'make demo     install what is missing, build, and step a sample project on a throwaway box'
	@echo 'make test     install what is missing, build, run all tests'
	@echo 'make all      build build/release/stepbox      make install  PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)'
	@echo 'make test-openstack   the main job on a real OpenStack (OS_CLOUD, or the lab)'
	@echo 'make sweep    kills and failing API calls at every point of a run on the fake cloud (30 min)'
	@echo 'make lint     clang-format, clang-tidy, cppcheck, shellcheck       make layers   who includes whom'
	@echo 'make asan     tests under AddressSanitizer and UBSan               make tsan     under ThreadSanitizer'
	@echo 'make fuzz     each fuzzer for $(FUZZ_SECONDS) s                            make bench    performance, as ratios'

# The fake cloud's servers are local boxes: this starts them.
FAKEBOX := $(B)/fake/fakebox
$(B)/fake/fakebox: tests/fake/fakebox.c $(B)/libstepbox.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDHARDEN) -o $@ $< $(B)/libstepbox.a $(LIBS)

deps:
	@sh tests/deps.sh build run

demo: deps
	@$(MAKE) -s all
	@sh tests/demo.sh $(B)/stepbox

test:
	@sh tests/deps.sh build run test
	@$(MAKE) -s all unit-build layers
	@sh tests/run.sh $(B) $(sort $(UNITBIN)) $(sort $(wildcard tests/e2e/*.sh))

unit-build: $(UNITBIN) $(FAKEBOX)

# Against a real OpenStack: the cloud named by OS_CLOUD, else the lab beside this tree. Not part of make test.
test-openstack:
	@sh tests/deps.sh build run test
	@$(MAKE) -s all
	@sh tests/openstack/run.sh $(B); rc=$$?; [ $$rc = 0 ] || [ $$rc = 77 ]

# Without boxes: only the programs of tests/unit.
unit: unit-build
	@sh tests/run.sh $(B) $(sort $(UNITBIN))

# Half an hour: a kill at 220 system calls of a run, and every API call failing in ten ways; nothing may be left.
sweep:
	@sh tests/deps.sh build run test
	@$(MAKE) -s all $(FAKEBOX)
	@STEPBOX=$(CURDIR)/$(B)/stepbox POINTS=220 sh tests/sweep/kill.sh
	@STEPBOX=$(CURDIR)/$(B)/stepbox sh tests/sweep/faults.sh

asan:
	@sh tests/deps.sh build run test
	@$(MAKE) -s $(ASAN) all unit-build
	@ASAN_OPTIONS=detect_leaks=1 sh tests/run.sh build/asan $(patsubst $(B)/%,build/asan/%,$(sort $(UNITBIN))) tests/e2e/demo.sh tests/e2e/walk.sh tests/e2e/hostile.sh tests/e2e/cloud.sh tests/e2e/cloud-faults.sh

tsan:
	@sh tests/deps.sh build run test
	@$(MAKE) -s $(TSAN) all unit-build
	@TSAN_OPTIONS=halt_on_error=1 sh tests/run.sh build/tsan \
		$(foreach t,$(TSAN_TESTS),$(if $(wildcard tests/unit/test_$(t).c),build/tsan/tests/test_$(t))) tests/e2e/vary.sh tests/e2e/cloud-fleet.sh

# What has threads or is shared by them.
TSAN_TESTS := db store log wait ssh flight http session poll quota

layers:
	@sh tests/layers.sh

lint:
	@sh tests/deps.sh build test lint
	@$(CLANG_FORMAT) --dry-run -Werror $(CSRC)
	@$(MAKE) -s $(B)/templates.c
	@printf '%s\n' $(SRC) $(UNIT) | xargs -P 2 -n 1 sh -c '$(CLANG_TIDY) -quiet "$$@" -- -std=c11 -D_GNU_SOURCE -I. $(shell pkg-config --cflags $(PKGS) cmocka) 2>/dev/null' tidy
	@cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem -D_GNU_SOURCE -I. base cloud provision migrations cmd
	@shellcheck -x -P SCRIPTDIR -S warning $(SH) .ci/run

fuzz:
	@sh tests/deps.sh build fuzz
	@mkdir -p build/fuzz
	@$(MAKE) -s VARIANT=fuzzlib CC=clang HARDEN= SAN='-fsanitize=address,undefined,fuzzer-no-link' CFLAGS='-O1 -g' build/fuzzlib/libstepbox.a
	@for f in $(FUZZ); do n=$$(basename $$f .c); echo "$$n: $(FUZZ_SECONDS) s"; \
		clang -std=c11 -D_GNU_SOURCE -I. -O1 -g -fsanitize=address,undefined,fuzzer $$f build/fuzzlib/libstepbox.a \
			$(shell pkg-config --cflags $(PKGS)) $(LIBS) -o build/fuzz/$$n && \
		mkdir -p build/fuzz/corpus-$$n && \
		build/fuzz/$$n -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=0 -verbosity=0 \
			build/fuzz/corpus-$$n $$(ls -d tests/data/fuzz/$${n#fuzz_} 2>/dev/null) || exit 1; done

bench:
	@sh tests/deps.sh build run test bench
	@$(MAKE) -s all $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
	@sh tests/bench/run.sh $(B)

$(B)/bench/%: tests/bench/%.c $(B)/libstepbox.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDHARDEN) -o $@ $< $(B)/libstepbox.a $(LIBS)

format:
	$(CLANG_FORMAT) -i $(CSRC)

install: all
	install -D -m 0755 $(B)/stepbox $(DESTDIR)$(PREFIX)/bin/stepbox
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(B)/stepbox completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/stepbox
