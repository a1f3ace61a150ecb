#!/bin/sh
# Installs what a lock file pins and `.venv` lacks, and compiles it: infra/install.sh requirements.lock
#
# With uv, if there is one (`make setup UV=` does without). With pip, four processes fetch
# wheels, since pip computes for a long time on the pages of the package index, then one
# installs them, and all cores compile. After a kill, a rerun fetches what is still missing.
set -eu
lock=$1
python=.venv/bin/python
pip() { "$python" -m pip --quiet --disable-pip-version-check "$@"; }

if [ -n "${UV=uv}" ] && command -v "$UV" > /dev/null; then
    # uv reads neither the configuration of pip nor its variables.
    if pip config list | grep -Eq "index|find-links|constraint"; then
        echo "installing with pip: its configuration names where packages come from, which uv does not read"
    else
        exec "$UV" pip install --quiet --python "$python" --compile-bytecode --requirements "$lock"
    fi
fi

work=.venv/install
rm -rf "$work" && mkdir "$work"
trap 'rm -rf "$work"' EXIT
pip freeze --all | sed 's/+.*//' > "$work/installed" # torch 2.13.0+cpu is torch 2.13.0
if grep -vxFf "$work/installed" "$lock" > "$work/missing"; then
    echo "installing $(wc -l < "$work/missing" | tr -d ' ') packages of $lock (a minute or two)"
    xargs -n 24 -P 4 "$python" -m pip wheel --quiet --disable-pip-version-check \
        --no-deps --wheel-dir "$work" < "$work/missing"
    pip install --no-compile --no-deps --no-index --find-links "$work" -r "$work/missing"
fi
# What another platform or another version of Python needs beside them, such as CUDA.
pip check > /dev/null || pip install --no-compile -r "$lock"
# Modules that only tests of packages import are compiled when they do.
"$python" -m compileall -qq -j 0 -x '/tests/' .venv/lib || true
