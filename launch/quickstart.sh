#!/usr/bin/env bash
# The main job on a fresh machine: install, then demonstrations -> training -> evaluation -> report.
# Usage: bash launch/quickstart.sh [arguments of `wamjax quickstart`]
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "$0")/environment.sh" ""
if [ "$#" -eq 0 ]; then
  set -- --workdir runs/quickstart
fi
echo "+ wamjax quickstart $*"
exec .venv/bin/wamjax quickstart "$@"
