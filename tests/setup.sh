#!/bin/sh
# Makes .venv with what the end-to-end tests need of Python, in the versions that
# tests/e2e/requirements.txt says. Does nothing when that has been done.
set -eu
cd "$(dirname "$0")/.."

requirements=tests/e2e/requirements.txt
stamp=.venv/requirements.txt
python=${PYTHON:-python3}

if [ -x .venv/bin/python ] && cmp -s "$requirements" "$stamp"; then
    exit 0
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "tests/setup.sh: needs Python 3.11 or newer; set PYTHON to one" >&2
    exit 1
fi
# A virtual environment that was cut short is not mended but made again.
rm -rf .venv
if ! "$python" -m venv .venv; then
    echo "tests/setup.sh: no venv in $python; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
.venv/bin/python -m pip --disable-pip-version-check check >&2
cp "$requirements" "$stamp"
