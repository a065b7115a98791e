# Sourced by tests/run and .ci/run: what a suite needs from the system.
# shellcheck shell=bash

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# needs COMMAND=PACKAGE…: sees to it that the commands are there. As root it installs the Debian packages of those that
# are not; else, or if that does not help, it says which command would and ends this suite as skipped (exit code 77).
needs() {
    local packages
    packages=$(missing "$@")
    if [ -z "$packages" ]; then return; fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086  # a list of words
        apt_install $packages || true
        packages=$(missing "$@")
    fi
    if [ -n "$packages" ]; then
        echo "skipped: not installed here: apt-get install $packages"
        exit 77
    fi
}

# missing COMMAND=PACKAGE…: the packages of the commands that are not there.
missing() {
    local pair packages=()
    for pair in "$@"; do
        case $pair in
        ensurepip=*) python3 -c 'import ensurepip' 2>/dev/null || packages+=("${pair#*=}") ;;
        *) command -v "${pair%%=*}" >/dev/null || packages+=("${pair#*=}") ;;
        esac
    done
    echo "${packages[*]}"
}

# apt_install PACKAGE…: asks for fresh lists only if the ones here do not do.
apt_install() {
    local install=(apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300)
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" "$@" || { apt-get update -qq && "${install[@]}" "$@"; }
}
