#!/bin/sh
# Builds imaged and runs every test. Installs what that needs (deploy/deps.sh).
#
#   sh tests/run.sh                 everything
#   sh tests/run.sh STAGE...        only these stages
#
# Stages, in order:
#   build        gcc, into build/
#   unit         the cmocka programs
#   conformance  tests/conformance/run.sh: the wire, against foreign clients
#   integration  the daemon and imagectl against real and fake registries
#   crash        a short kill sweep and power-loss replay (wide: tests/crash/sweep.sh)
#   clang        clang with warnings as errors, ASan, UBSan and libFuzzer, into build-asan/
#   asan         all unit tests and much of the integration tests under ASan + UBSan, with assertions
#   fuzz         every fuzz target for FUZZ_SECONDS (3)
#   tsan         all unit tests, and the integration tests in which threads meet, under TSan, in build-tsan/
#   valgrind     a short pull scenario under valgrind
#   lint         clang-format, clang-tidy, cppcheck
#
# Ends with a line "N passed, N failed, N skipped"; skipped tests are named above
# it. Exit status 0 when nothing failed.
set -u

cd "$(dirname "$0")/.." || exit 2
export LC_ALL=C.UTF-8
ALL_STAGES="build unit conformance integration crash clang asan fuzz tsan valgrind lint"
JOBS=${JOBS:-2}
FUZZ_SECONDS=${FUZZ_SECONDS:-3}
TIDY_NODES=${TIDY_NODES:-20000} # how far the analyzer looks; its own default, 225000, takes five times as long
PYTHON=/usr/bin/python3 # Debian's: it has grpcio
RESULTS=$(mktemp /tmp/imaged-results.XXXXXX)
TIMES=$(mktemp /tmp/imaged-times.XXXXXX)
trap 'rm -f "$RESULTS" "$TIMES"' EXIT
trap 'exit 130' INT TERM

record() { # pass|fail|skip NAME [REASON]
	printf '%s\n' "$*" >>"$RESULTS"
	printf '%s\n' "$*"
}

# attempt NAME COMMAND...: one test that is one command; its output shows on failure.
attempt() {
	attempt_name=$1
	shift
	attempt_output=$(mktemp /tmp/imaged-output.XXXXXX)
	attempt_status=0
	"$@" >"$attempt_output" 2>&1 </dev/null || attempt_status=$?
	if [ "$attempt_status" = 0 ]; then
		record pass "$attempt_name"
	else
		tail -n 80 "$attempt_output"
		record fail "$attempt_name" "(exit $attempt_status)"
	fi
	rm -f "$attempt_output"
	return "$attempt_status"
}

configure() { # DIRECTORY OPTION...
	configure_in=$1
	shift
	cmake -S . -B "$configure_in" -G Ninja -DIMAGED_TESTS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "$@"
}

build_in() { # NAME DIRECTORY OPTION...
	build_name=$1 build_directory=$2
	shift 2
	attempt "$build_name.configure" configure "$build_directory" "$@" &&
		attempt "$build_name.compile" cmake --build "$build_directory" -j "$JOBS"
}

python_tests() { # LABEL FILE...: stage-wide environment comes from the caller
	label=$1
	shift
	lines=$(mktemp /tmp/imaged-lines.XXXXXX)
	status=0
	$PYTHON tests/lib/runner.py -j "${TEST_JOBS:-$((JOBS + 1))}" --results "$lines" ${TEST_ONLY:+--only "$TEST_ONLY"} "$@" || status=$?
	sed "s/^\([a-z]*\) /\1 $label./" "$lines" >>"$RESULTS"
	[ -s "$lines" ] || record fail "$label.runner" "(no test ran)"
	if [ "$status" != 0 ] && ! grep -q '^fail ' "$lines"; then record fail "$label.runner" "(exit $status)"; fi
	rm -f "$lines"
}

stage_build() { build_in build build -DCMAKE_BUILD_TYPE=RelWithDebInfo; }

stage_unit() { $PYTHON tests/lib/unit.py build --results "$RESULTS"; }

stage_conformance() {
	if [ -f tests/conformance/run.sh ]; then
		IMAGED_RESULTS=$RESULTS attempt conformance sh tests/conformance/run.sh build
	else
		record skip conformance "tests/conformance/run.sh does not exist"
	fi
}

stage_integration() { python_tests integration tests/integration/test_*.py; }

stage_crash() { python_tests crash tests/crash/test_*.py; }

stage_clang() {
	build_in clang build-asan -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
		-DIMAGED_SANITIZE=address -DIMAGED_FUZZ=ON
}

# Calls of every kind, many at a time, and hostile bytes; not those that measure memory.
sanitized_tests() { # LABEL BUILD FILE...: those and some more
	label=$1 build=$2
	shift 2
	IMAGED_BIN_DIR=$PWD/$build/bin IMAGED_TEST_SLOW=4 python_tests "$label" tests/integration/test_scenario.py \
		tests/integration/test_concurrency.py tests/integration/test_hostile.py tests/integration/test_load_protocol.py \
		tests/integration/test_build_agents.py tests/integration/test_build_language.py "$@"
}

asan_environment() {
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1
	export UBSAN_OPTIONS=print_stacktrace=1
	export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
}

stage_asan() (
	asan_environment
	$PYTHON tests/lib/unit.py build-asan --label asan --results "$RESULTS" --timeout 300
	# These have few threads that meet: for tsan the others do.
	sanitized_tests asan build-asan tests/integration/test_import.py tests/integration/test_load.py \
		tests/integration/test_save.py tests/integration/test_build_run.py tests/integration/test_build_layer.py \
		tests/integration/test_build_rootless.py tests/integration/test_build_threats.py
)

fuzz_one() { # PROGRAM
	target=$(basename "$1")
	corpus=$(mktemp -d /tmp/imaged-corpus.XXXXXX)
	[ ! -d "tests/fuzz/seeds/$target" ] || cp -r "tests/fuzz/seeds/$target/." "$corpus"
	( cd "$corpus" && "$OLDPWD/$1" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$OLDPWD/build-asan/fuzz/$target-" "$corpus" )
	fuzz_status=$?
	rm -rf "$corpus"
	return "$fuzz_status"
}

# Every JOBS-th target, from the LANE-th on: each runs on one core.
fuzz_lane() { # LANE PROGRAM...
	lane=$1 number=0
	shift
	for program; do
		number=$((number + 1))
		[ $((number % JOBS)) != "$lane" ] || attempt "fuzz.$(basename "$program")" fuzz_one "$program"
	done
}

stage_fuzz() (
	asan_environment
	programs=$(find build-asan/fuzz -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort)
	[ -n "$programs" ] || record fail fuzz "(no target is built)"
	lane=0
	while [ "$lane" -lt "$JOBS" ]; do
		# shellcheck disable=SC2086 # a list of files
		fuzz_lane "$lane" $programs &
		lane=$((lane + 1))
	done
	wait
)

stage_tsan() (
	build_in tsan build-tsan -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DIMAGED_SANITIZE=thread || return
	export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:halt_on_error=0:second_deadlock_stack=1
	$PYTHON tests/lib/unit.py build-tsan --label tsan --results "$RESULTS" --timeout 300
	sanitized_tests tsan build-tsan
)

stage_valgrind() (
	export IMAGED_VALGRIND="valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
--show-leak-kinds=definite --suppressions=$PWD/tests/valgrind.supp"
	IMAGED_TEST_SLOW=10 TEST_JOBS=1 TEST_ONLY=short python_tests valgrind tests/integration/test_scenario.py
)

sources() { find proto store service client tests -name "$1" -not -path '*/node_modules/*' | sort; }

# Findings go to stdout; stderr only counts what was suppressed.
tidy() { # OPTION...: the files come from stdin
	xargs -P "$JOBS" -n 4 clang-tidy -p build-asan --quiet --warnings-as-errors='*' --extra-arg=-Xclang \
		--extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg="max-nodes=$TIDY_NODES" "$@" 2>/dev/null
}

lint_tidy() {
	# The runtime's own files define what analyzer.h redefines.
	sources '*.c' | grep -v '^tests/' | grep -v '^proto/runtime/' |
		tidy --extra-arg=-include --extra-arg="$PWD/tests/lib/analyzer.h" &&
		sources '*.c' | grep '^proto/runtime/' | tidy
}

lint_cppcheck() {
	sources '*.c' | grep -v '^tests/' | cppcheck --file-list=- -j "$JOBS" --quiet --std=c11 --language=c \
		--enable=warning,performance,portability --inline-suppr --suppressions-list=tests/cppcheck.supp \
		--error-exitcode=1 -I . -I build/generated -D_GNU_SOURCE -DIMAGED_VERSION='""' \
		--include=proto/runtime/banned.h --template=gcc
}

stage_lint() {
	# shellcheck disable=SC2046 # a list of files
	attempt lint.clang-format clang-format --dry-run -Werror $(sources '*.[ch]')
	attempt lint.clang-tidy lint_tidy
	attempt lint.cppcheck lint_cppcheck
}

prerequisites() {
	sh deploy/deps.sh install build run demo test || exit 2
}

require() { # STAGE BUILD-STAGE FILE: a stage that is run alone makes what it stands on
	[ -e "$3" ] || run_stage "$2"
}

run_stage() {
	case $1 in
	unit | conformance | integration | crash | valgrind) require "$1" build build/bin/imaged ;;
	asan | fuzz) require "$1" clang build-asan/bin/imaged ;;
	lint)
		require lint build build/compile_commands.json
		require lint clang build-asan/compile_commands.json
		;;
	esac
	stage_begin=$(date +%s)
	printf '\n== %s\n' "$1"
	stage_failures=$(grep -c '^fail ' "$RESULTS")
	"stage_$1" || {
		stage_status=$?
		# Whatever broke off without a word of its own.
		[ "$(grep -c '^fail ' "$RESULTS")" != "$stage_failures" ] || record fail "$1" "(exit $stage_status)"
	}
	printf '%5d s  %s\n' $(($(date +%s) - stage_begin)) "$1" >>"$TIMES"
}

for stage; do
	case " $ALL_STAGES " in
	*" $stage "*) ;;
	*)
		echo "run.sh: unknown stage '$stage'; one of: $ALL_STAGES" >&2
		exit 2
		;;
	esac
done

prerequisites
begin=$(date +%s)
for stage in ${*:-$ALL_STAGES}; do run_stage "$stage"; done

printf '\n== summary\n'
cat "$TIMES"
printf '%5d s  in all\n' $(($(date +%s) - begin))
count() { grep -c "^$1 " "$RESULTS"; }
passed=$(count pass) failed=$(count fail) skipped=$(count skip)
grep '^fail ' "$RESULTS"
grep '^skip ' "$RESULTS"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
