# Sourced by local.sh, slurm.sbatch and queued_resource.sh's start-up script: what every host of a
# run sets before `wamjax train`. Needs `root`, the checkout.
# shellcheck shell=bash
: "${root:?the checkout}"

# The environment that is active, else the checkout's own, as launch/quickstart.sh makes it.
if ! command -v wamjax >/dev/null 2>&1 && [ -x "$root/.venv/bin/wamjax" ]; then
  PATH="$root/.venv/bin:$PATH"
fi
if ! command -v wamjax >/dev/null 2>&1; then
  echo "no wamjax in $root/.venv or on the PATH; run: pip install -c launch/constraints-py311.txt -e ." >&2
  exit 2
fi

# Compiled programs outlive a restart. Process 0 writes them; where the folder is on storage that
# all hosts see (a home directory mostly is), the others need not compile either.
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$HOME/.cache/wamjax/jax}"

# Lines, not blocks, in the logs of a process that is killed.
export PYTHONUNBUFFERED=1

# `wamjax train` ends with 0: finished. 75: SIGTERM, saved, the same command goes on. 2: a setting
# is wrong, trying again is no use. Anything else: it died, the same command goes on from the last
# checkpoint.
# shellcheck disable=SC2034  # read by who sources this
readonly UNFINISHED=75 MISTAKE=2
