#!/usr/bin/env bash
# All checks and tests on a fresh machine: format, lint, types, import contract, tests, notebooks.
# Usage: bash launch/test.sh [--slow] [arguments of pytest]
# --slow also installs torch and diffusers, which blocks are compared with, and runs what takes
# minutes. Tests run on as many processes as there are cores, at most four; -n 0 runs them in one.
set -euo pipefail
extras="[dev]"
case " $* " in *" --slow "*) extras="[dev,reference]" ;; esac
# shellcheck source=launch/environment.sh
source "$(dirname "$0")/environment.sh" "$extras"
bin=.venv/bin
# The ray caster is compared with MuJoCo's OpenGL pictures; without a library the tests say so.
if ! ldconfig -p 2>/dev/null | grep -e 'libEGL\.so' -e 'libOSMesa\.so' >/dev/null &&
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "+ apt-get install libegl1 libgl1 libgl1-mesa-dri"
  (timeout 60 apt-get -qq update && DEBIAN_FRONTEND=noninteractive timeout 180 apt-get -qq install \
    --yes --no-install-recommends libegl1 libgl1 libgl1-mesa-dri) >/dev/null 2>&1 ||
    echo "not installed; the OpenGL tests will be skipped"
fi
echo "+ ruff format --check" && $bin/ruff format --check --quiet .
echo "+ ruff check" && $bin/ruff check --quiet .
echo "+ lint-imports"
$bin/lint-imports --no-logo >/dev/null || $bin/lint-imports
# One process that leaves the other cores idle: beside the tests, and heard of where it finds a fault,
# so that a run without any ends with pytest's summary.
types="$(mktemp)"
echo "+ pyright (beside the tests)"
$bin/pyright --pythonpath $bin/python >"$types" 2>&1 &
checker=$!
trap 'rm -f "$types"; kill "$checker" 2>/dev/null || true' EXIT
cores=$($bin/python -c 'import os; print(min(4, len(os.sched_getaffinity(0))))')
echo "+ pytest --numprocesses $cores --max-worker-restart 0 --dist loadfile --no-loadscope-reorder $*"
# A process that dies ends the run: a new one in its place was seen to wait for ever.
# Files are handed out in tests/conftest.py's order, the longest first, so that nobody waits at the end.
status=0
$bin/python -m pytest --numprocesses "$cores" --max-worker-restart 0 --dist loadfile --no-loadscope-reorder "$@" || status=$?
wait "$checker" || { status=$? && cat "$types"; }
exit "$status"
