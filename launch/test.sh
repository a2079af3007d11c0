#!/usr/bin/env bash
# All checks and tests on a fresh machine: format, lint, types, import contract, tests, notebooks.
# Usage: bash launch/test.sh [--slow] [arguments of pytest]
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "$0")/environment.sh" "[dev]"
bin=.venv/bin
echo "+ ruff format --check" && $bin/ruff format --check --quiet .
echo "+ ruff check" && $bin/ruff check --quiet .
echo "+ lint-imports" && $bin/lint-imports --no-logo >/dev/null || $bin/lint-imports
echo "+ pyright" && $bin/pyright --pythonpath $bin/python
echo "+ pytest $*"
exec $bin/python -m pytest "$@"
