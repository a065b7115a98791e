# Sourced by tests/run: runs suites one by one, reads what their logs say, prints the table and the totals.
# shellcheck shell=bash disable=SC2154  # logs: set by tests/run

rows=()
reasons=()
passed_in_all=0 failed_in_all=0 skipped_in_all=0

# read_log FILE: prints PASSED FAILED SKIPPED LATER LINES, summed over the result lines of the four forms in use:
# libtest and libtest-mimic, pytest, `N passed, N failed, N skipped`, and `checked` below. LATER are ignored tests whose
# reason starts with "long", which is not a skip: `tests/run long` runs them. A Rust test that finds it cannot run here
# prints a line `skipped: REASON` and returns; libtest calls that passed, we do not.
read_log() {
    awk '
        function number(word,    found) {
            return match($0, "[0-9]+ " word) ? substr($0, RSTART, RLENGTH) + 0 : 0
        }
        /^test .* ignored(, | \()long/ { later++ }
        /^skipped: / { said++ }
        /^test result: / {
            lines++; libtest = 1
            passed += number("passed"); failed += number("failed"); skipped += number("ignored")
        }
        /^=+ .*(passed|failed|skipped|error|no tests ran).* in [0-9.]+s.* =+$/ {
            lines++
            passed += number("passed") + number("xfailed"); skipped += number("skipped")
            failed += number(" failed") + number("error") + number("xpassed")
        }
        /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
            lines++; passed += $1; failed += $3; skipped += $5
        }
        /^checked: .* ok$/ { lines++; passed++ }
        /^checked: .* FAILED$/ { lines++; failed++ }
        END {
            if (libtest) { passed -= said; skipped += said }
            print passed + 0, failed + 0, skipped - later, later + 0, lines + 0
        }' "$1"
}

# checked WHAT COMMAND…: a command that is a test by itself; it passes or it fails.
checked() {
    local what=$1
    shift
    if "$@"; then echo "checked: $what ok"; else echo "checked: $what FAILED"; fi
}

# run_suite NAME: suite_NAME in a shell of its own, into a log.
run_suite() {
    local name=$1 log=$logs/$1.log started=$SECONDS code=0 passed failed skipped later lines why=
    printf '%-12s ' "$name"
    # Not under a condition, which would switch `set -e` off inside.
    set +e
    (
        set -e
        "suite_${name//-/_}"
    ) >"$log" 2>&1 </dev/null
    code=$?
    set -e
    read -r passed failed skipped later lines < <(read_log "$log")
    if [ "$code" = 77 ]; then
        passed=0 failed=0 skipped=1
    elif [ "$code" != 0 ] && [ "$failed" = 0 ]; then
        failed=1 why="ended with code $code"
    elif [ "$lines" = 0 ]; then
        failed=1 why="reported no result"
    fi
    local seconds=$((SECONDS - started))
    printf '%d passed, %d failed, %d skipped, %d s\n' "$passed" "$failed" "$skipped" "$seconds"
    if [ "$later" != 0 ]; then echo "    $later more by tests/run long"; fi
    if [ "$failed" != 0 ]; then
        echo "    ${why:+$why; }the end of $log:"
        tail -n "${LOG_LINES:-60}" "$log" | sed 's/^/    | /'
    fi
    rows+=("$(printf '%-12s %7d %7d %8d %8d' "$name" "$passed" "$failed" "$skipped" "$seconds")")
    if [ "$skipped" != 0 ]; then
        while IFS= read -r line; do reasons+=("$name: $line"); done < <(skip_reasons "$log")
    fi
    passed_in_all=$((passed_in_all + passed))
    failed_in_all=$((failed_in_all + failed))
    skipped_in_all=$((skipped_in_all + skipped))
}

# skip_reasons FILE: the lines that say why something was skipped, each once.
skip_reasons() {
    grep -E '^skipped: |^test .* ignored|^SKIPPED ' "$1" | grep -vE 'ignored(, | \()long' | sort | uniq -c |
        sed 's/^ *1 //; s/^ *\([0-9]*\) /\1 times /' || true
}

# report: the table, the reasons of all skips, and the totals as the last line. Fails if anything failed.
report() {
    printf '\n%-12s %7s %7s %8s %8s\n' suite passed failed skipped seconds
    printf '%s\n' "${rows[@]}"
    if [ ${#reasons[@]} != 0 ]; then
        printf '\nskipped:\n'
        printf '    %s\n' "${reasons[@]}"
    fi
    local bad=$failed_in_all
    if [ "${CI-}" = true ] && [ "$skipped_in_all" != 0 ]; then
        printf '\nCI: every test must run; the %d skipped above make this run fail\n' "$skipped_in_all"
        bad=$((bad + skipped_in_all))
    fi
    printf '\n%d passed, %d failed, %d skipped\n' "$passed_in_all" "$failed_in_all" "$skipped_in_all"
    [ "$bad" = 0 ]
}
