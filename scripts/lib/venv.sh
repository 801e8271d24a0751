# shellcheck shell=bash
# For scripts that install a tool from PyPI: `venv NAME` puts what scripts/lib/NAME.txt pins into
# target/NAME. What is there already with these versions stays as it is.

fail() { printf 'scripts/%s: %s\n' "$name" "$*" >&2; exit 1; }

run() {
    "$@" >"$home/install.log" 2>&1 </dev/null && return
    tail -n 30 "$home/install.log" >&2
    fail "failed: $*; the whole output is in $home/install.log"
}

venv() {
    name=$1 home=target/$1
    local pins=scripts/lib/$name.txt wanted

    command -v python3 >/dev/null || fail "missing: python3; apt-get install python3"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 cannot make virtual environments; apt-get install python3-venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$(python3 --version) is too old; 3.10 or newer is needed"

    # A virtual environment names its interpreter and its own folder, so that both belong to the stamp.
    wanted=$(
        cat "$pins"
        python3 -c 'import sys; print(sys.base_prefix, sys.version)'
        pwd -P
    )

    mkdir -p "$home"
    exec 9>"$home/lock"
    flock 9
    if [[ -e $home/stamp && $(<"$home/stamp") == "$wanted" ]]; then return; fi
    rm -rf "$home/stamp" "$home/venv"
    echo "installing $name into $home"
    run python3 -m venv "$home/venv"
    run "$home/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$pins"
    printf '%s\n' "$wanted" >"$home/stamp"
}
