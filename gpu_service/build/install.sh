#!/bin/sh
# install.sh VENV LOCK…: a virtual environment of what the locks name, each file checked against its hash.
set -eu
venv=$1
shift
"${PYTHON:-python3}" -m venv "$venv"
for lock in "$@"; do
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes -r "$lock"
done
