#!/bin/sh
# Installs what a lock file pins and `.venv` lacks, and compiles it: infra/install.sh requirements.lock
#
# With uv: the one on the path, or one that pip installs into .venv/uv, which takes 3 s of
# CPU time and saves 100. Where uv fails, and for `make setup UV=`, with pip: four
# processes fetch wheels, since pip computes for a long time on the pages of the package
# index, then one installs them. After a kill, a rerun fetches what is still missing.
set -eu
lock=$1
python=.venv/bin/python
pip() { "$python" -m pip --quiet --disable-pip-version-check "$@"; }

# The value of an option of pip: of its variable, else of [install], else of [global].
option() {
    for section in global install :env:; do
        printf '%s\n' "$configuration" | sed -n "s/^$section\.$1='\(.*\)'\$/\1/p"
    done | sed 's/\\n/ /g; s/^ *//' | tail -n 1
}

# Set a variable of uv, which reads neither the configuration of pip nor its variables.
translate() {
    value=$(option "$2" | sed "s/  */${3- }/g")
    [ -z "$value" ] || export "$1=$value"
}

with_uv() {
    [ -n "${UV=uv}" ] || return 1
    if ! command -v "$UV" > /dev/null; then
        UV=.venv/uv/bin/uv
        [ -x "$UV" ] || pip install --no-compile --target .venv/uv 'uv<1' || return 1
    fi
    configuration=$("$python" -m pip config list) || return 1 # --quiet would print nothing
    translate UV_DEFAULT_INDEX index-url
    translate UV_EXTRA_INDEX_URL extra-index-url
    translate UV_FIND_LINKS find-links ,
    translate UV_NO_INDEX no-index
    translate UV_CONSTRAINT constraint
    translate SSL_CERT_FILE cert
    # Of several indexes, pip takes the best version of all.
    "$UV" pip install --quiet --python "$python" --index-strategy unsafe-best-match \
        --requirements "$lock"
}

with_pip() {
    work=.venv/install
    rm -rf "$work" && mkdir "$work"
    trap 'rm -rf "$work"' EXIT
    pip freeze --all | sed 's/+.*//' > "$work/installed" # torch 2.13.0+cpu is torch 2.13.0
    if grep -vxFf "$work/installed" "$lock" > "$work/missing"; then
        xargs -n 24 -P 4 "$python" -m pip wheel --quiet --disable-pip-version-check \
            --no-deps --wheel-dir "$work" < "$work/missing"
        pip install --no-compile --no-deps --no-index --find-links "$work" -r "$work/missing"
    fi
    # What another platform or another version of Python needs beside them, such as CUDA.
    pip check > /dev/null || pip install --no-compile -r "$lock"
}

echo "installing $lock (a minute or two)"
if ! with_uv; then
    echo "installing with pip, which takes longer"
    with_pip
fi
# Packages that no stage and no command imports are compiled when something imports them.
"$python" -m compileall -qq -j 0 -x '/(tests|celery|databricks|pip|uv|ray/(llm|rllib|serve)|torch/(_inductor/(codegen|fx_passes|kernel)|testing/_internal))/' \
    .venv/lib || true
