# Sourced by quickstart.sh and test.sh: a virtual environment in .venv with wamjax installed.
# Usage: source launch/environment.sh EXTRAS     for example: source launch/environment.sh "[dev]"
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
extras="${1:-}"

python=""
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python="$candidate"
    break
  fi
done
if [ -z "$python" ]; then
  echo "wamjax needs Python 3.11 or newer; install it or set PYTHON to it." >&2
  exit 2
fi

if [ ! -x .venv/bin/python ]; then
  echo "+ $python -m venv .venv"
  "$python" -m venv .venv
fi

version="$(.venv/bin/python -c 'import sys; print("py%d%d" % sys.version_info[:2])')"
constraints="launch/constraints-$version.txt"
[ -f "$constraints" ] || constraints=""

# What was installed, from which lists: a second run has nothing to do.
stamp=".venv/wamjax-$(printf '%s' "$extras" | tr -dc '[:lower:]')"
wanted="$(cat setup.py ${constraints:+"$constraints"} | .venv/bin/python -c \
  'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  if .venv/bin/python -m uv --version >/dev/null 2>&1 ||
    .venv/bin/python -m pip install --quiet uv 2>/dev/null; then
    # uv does not read pip's configuration, so what pip was told is handed on.
    installer=(.venv/bin/python -m uv pip install --python .venv/bin/python --compile-bytecode)
    index="$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)"
    [ -n "$index" ] && export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
  else
    installer=(.venv/bin/python -m pip install)
  fi
  echo "+ ${installer[*]} ${constraints:+--constraint $constraints} --editable .$extras"
  if ! "${installer[@]}" ${constraints:+--constraint "$constraints"} --editable ".$extras"; then
    echo "uv could not install; trying pip."
    .venv/bin/python -m pip install ${constraints:+--constraint "$constraints"} --editable ".$extras"
  fi
  printf '%s' "$wanted" >"$stamp"
fi
