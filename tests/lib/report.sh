# Sourced by tests/run: runs suites one by one, reads what their logs say, prints the table and the totals. A test that
# one suite ignores and another one runs (a kernel with the driver, one without) is not skipped but run elsewhere.
# shellcheck shell=bash disable=SC2154  # logs: set by tests/run

ran=()
results=()
broken=()

# read_log FILE: prints PASSED FAILED SKIPPED LATER LINES, summed over the result lines of the four forms in use:
# libtest and libtest-mimic, pytest, `N passed, N failed, N skipped`, and `checked` below. LATER are ignored tests whose
# name begins with "long_", which is not a skip: `tests/run long` runs them. A Rust test that finds it cannot run here
# prints a line `skipped: REASON` and returns; libtest calls that passed, we do not.
read_log() {
    awk '
        function number(word,    found) {
            return match($0, "[0-9]+ " word) ? substr($0, RSTART, RLENGTH) + 0 : 0
        }
        /^test ([a-z0-9_:]*::)?long_[^ ]* .*ignored/ { later++ }
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

# trials OUTCOME FILE: the names, each behind its target's, of the Rust tests that ended so: "ok" or "ignored". What a
# test prints may stand between its name and its outcome.
trials() {
    awk -v outcome="$1" '
        / Running .*\(.*\)$/ { target = $NF; gsub(/.*\/|-[0-9a-f]*\)$/, "", target) }
        /^test .* \.\.\./ { name = $2 }
        /^test result: / { name = "" }
        name && /(^|\.\.\. )(ok|FAILED|ignored.*)$/ {
            end = $0
            sub(/^test .* \.\.\. /, "", end)
            if (index(end, outcome) == 1 && name !~ /(^|::)long_/) print target, name
            name = ""
        }' "$2" | sort -u
}

# elsewhere NAME: how many tests that the suite ignored passed in another suite of this run, on a kernel that suits them.
elsewhere() {
    local other
    for other in "${ran[@]}"; do
        [ "$other" = "$1" ] || trials ok "$logs/$other.log"
    done | sort -u | comm -12 - <(trials ignored "$logs/$1.log") | wc -l
}

# failures FILE: what a log says of the tests that failed, in the words of libtest, pytest, tests/c/check.h and our scripts:
# their names, and the line of the source with what was found there.
failures() {
    awk '
        / Running .*\(.*\)$/ { target = $NF }
        /^test .* \.\.\./ { name = $2 }
        /(^|\.\.\. )FAILED$/ { print "FAILED: " name, target; next }
        /^---- .* ----$/ { left = 12 }
        /^test result: |^failures:$/ { left = 0 }
        left > 0 { left--; print; next }
        /panicked at / { left = 4; print; next }
        /^(not ok|checked: .*FAILED|FAILED|FAIL)[: ]/ || /^(E  |ERROR)/ || /: (not so|error): / || /^error(\[|:)/ { print }
    ' "$1" | cut -c1-400 | awk '!seen[$0]++' | head -n "${LOG_LINES:-60}"
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
        echo "    ${why:+$why; }what failed in $log, and its end:"
        failures "$log" | sed 's/^/    ! /'
        tail -n 20 "$log" | sed 's/^/    | /'
        broken+=("$name")
    fi
    ran+=("$name")
    results+=("$name $passed $failed $skipped $seconds")
}

# skip_reasons FILE: the lines that say why something was skipped, each once.
skip_reasons() {
    grep -E '^skipped: |^test .* \.\.\. ignored|^SKIPPED ' "$1" | grep -vE '^test ([a-z0-9_:]*::)?long_' | sort | uniq -c |
        sed 's/^ *1 //; s/^ *\([0-9]*\) /\1 times /' || true
}

# report: the table, the reasons of the skips, and the totals as the last line. Fails if anything failed.
report() {
    local result name passed failed skipped seconds moved reasons=() all=(0 0 0)
    printf '\n%-12s %7s %7s %8s %10s %8s\n' suite passed failed skipped elsewhere seconds
    for result in "${results[@]}"; do
        read -r name passed failed skipped seconds <<<"$result"
        moved=$(elsewhere "$name")
        skipped=$((skipped - moved))
        printf '%-12s %7d %7d %8d %10d %8d\n' "$name" "$passed" "$failed" "$skipped" "$moved" "$seconds"
        all=($((all[0] + passed)) $((all[1] + failed)) $((all[2] + skipped)))
        if [ "$skipped" != 0 ]; then
            while IFS= read -r line; do reasons+=("$name: $line"); done < <(skip_reasons "$logs/$name.log")
        fi
    done
    if [ ${#reasons[@]} != 0 ]; then
        printf '\nskipped (among them those that another suite ran):\n'
        printf '    %s\n' "${reasons[@]}"
    fi
    # Again, since the end is what is read first.
    for name in "${broken[@]}"; do
        printf '\nfailed in %s:\n' "$name"
        failures "$logs/$name.log" | sed 's/^/    ! /'
    done
    local bad=${all[1]}
    if [ "${CI-}" = true ] && [ "${all[2]}" != 0 ]; then
        printf '\nCI: every test must run; the %d skipped make this run fail\n' "${all[2]}"
        bad=$((bad + all[2]))
    fi
    printf '\n%d passed, %d failed, %d skipped\n' "${all[@]}"
    [ "$bad" = 0 ]
}
