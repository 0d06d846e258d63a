#!/bin/sh
# Makes .venv what a target of the Makefile needs, which is `demo` or `dev`; nothing is done, or said, if it is already.
# PYTHON is the Python that somebody asked for; without it that of .venv is kept, or python3 taken.
set -eu
wanted=$1

version_of() {
    "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || true
}

refuse() {
    echo "make: $1" >&2
    exit 1
}

is_new_enough() {
    case $1 in
        3.1[1-9].* | 3.[2-9][0-9].*) true ;;
        *) false ;;
    esac
}

made_by=
if [ -e .venv ] || [ -L .venv ]; then
    [ -e .venv/.installed ] || refuse ".venv was not made by this Makefile; move it away, then run make again"
    made_by=$(version_of .venv/bin/python)
fi

if [ -n "${PYTHON:-}" ] || ! is_new_enough "$made_by"; then
    python=${PYTHON:-python3}
    version=$(version_of "$python")
    [ -n "$version" ] || refuse "$python cannot be run; name a Python of 3.11 or newer, such as PYTHON=python3.12"
    is_new_enough "$version" ||
        refuse "Python 3.11 or newer is needed, and $python is $version; name another, such as PYTHON=python3.12"
    if [ "$version" != "$made_by" ]; then
        [ ! -e .venv ] || echo "Removing .venv, which was made by another Python (${made_by:-it is gone})"
        rm -rf .venv
        echo "Making .venv with Python $version"
        if ! "$python" -m venv .venv; then
            rm -rf .venv
            refuse "$python cannot make an environment; on Debian and Ubuntu install python3-venv"
        fi
        : >.venv/.installed # the mark of ours, even if what follows is interrupted
    fi
fi

state="$wanted $(cksum <pyproject.toml)"
case "$(cat .venv/.installed)" in
    "$state" | "dev ${state#* }") exit 0 ;; # dev has everything that demo has
esac
if [ "$wanted" = dev ]; then
    echo "Installing the package and the tools of its development into .venv; this takes a few minutes"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    .venv/bin/python -m pip install --quiet --group dev --editable '.[simulator,cli,phonenumbers,campaign]'
else
    echo "Installing the package, its simulator and its command into .venv; this takes half a minute"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[simulator,cli]'
fi
echo "$state" >.venv/.installed
