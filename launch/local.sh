#!/usr/bin/env bash
# N processes on one machine, one GPU each where there are GPUs, else on the CPU: a rehearsal of many
# hosts, and the way to use a machine with several GPUs.
#
#   bash launch/local.sh 2 --config configs/bridge_tiny.py --config.data.dir=DIR --workdir runs/bridge
#
# After N come the flags of `wamjax train`. The same command goes on where the run was.
# Set if you like: LOGS (by default WORKDIR/logs; process I writes process-I.log, process 0 to the
# terminal, too), GRACE (seconds that the others have to end after one has ended, by default 60).
# SIGTERM and Ctrl-C are passed on: all save at the same step. Exit code: 0 finished, 75 saved and
# unfinished, else that of the first process that died; the others are stopped then.
# Cost: nothing. Size: N times the memory of one process, and N processes share the cores.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source=launch/hosts.sh
source "$root/launch/hosts.sh"

usage="usage: bash launch/local.sh N --config FILE --workdir DIR [flags of wamjax train]"
count="${1:-}"
if ! [[ "$count" =~ ^[1-9][0-9]*$ ]]; then
  echo "N is '$count'; $usage" >&2
  exit "$MISTAKE"
fi
shift

workdir=""
previous=""
for word in "$@"; do
  case "$word" in --workdir=*) workdir="${word#*=}" ;; esac
  [ "$previous" = --workdir ] && workdir="$word"
  previous="$word"
done
case "$workdir" in
  "") echo "there is no --workdir; $usage" >&2 && exit "$MISTAKE" ;;
  *://*) logs="${LOGS:-logs}" ;;
  *) logs="${LOGS:-$workdir/logs}" ;;
esac
mkdir -p "$logs"

gpus=0
if command -v nvidia-smi >/dev/null 2>&1; then
  gpus="$(nvidia-smi --list-gpus 2>/dev/null | grep -c '^GPU' || true)"
fi
if [ "$gpus" -gt 0 ] && [ "$gpus" -lt "$count" ]; then
  echo "$count processes want a GPU each and there are $gpus; give N=$gpus or JAX_PLATFORMS=cpu." >&2
  [ "${JAX_PLATFORMS:-}" = cpu ] || exit "$MISTAKE"
fi

# A port that nobody listens on, below those that the system hands out itself.
port=$((20000 + RANDOM % 10000))
while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  port=$((20000 + RANDOM % 10000))
done
export JAX_COORDINATOR_ADDRESS="127.0.0.1:$port"
export JAX_COORDINATOR_BIND_ADDRESS="127.0.0.1:$port"
export JAX_NUM_PROCESSES="$count"

processes=()
pass_on() { kill -s "$1" "${processes[@]}" 2>/dev/null || true; }
trap 'pass_on TERM' TERM INT HUP

for ((index = 0; index < count; index++)); do
  log="$logs/process-$index.log"
  (
    export JAX_PROCESS_ID="$index"
    if [ "$gpus" -gt 0 ]; then export CUDA_VISIBLE_DEVICES="$index"; fi
    if [ "$index" = 0 ]; then exec > >(tee -a "$log") 2>&1; else exec >>"$log" 2>&1; fi
    exec wamjax train "$@"
  ) &
  processes+=("$!")
done
echo "local: processes ${processes[*]}, logs in $logs" >&2

# `wait -n` loses one of two that end together, so each is looked at.
status=0
deadline=""
while [ "${#processes[@]}" -gt 0 ]; do
  sleep 0.2 || true
  left=()
  for process in "${processes[@]}"; do
    if kill -s 0 "$process" 2>/dev/null; then
      left+=("$process")
      continue
    fi
    code=0
    wait "$process" || code=$?
    if [ "$code" != 0 ] && [ "$status" = 0 ]; then
      status="$code"
      # Those that are left save and follow if all were asked to, else they would wait forever.
      deadline=$((SECONDS + ${GRACE:-60}))
      if [ "$code" != "$UNFINISHED" ]; then
        echo "local: process $process ended with $code; stopping the others (see $logs)." >&2
        pass_on TERM
      fi
    fi
  done
  processes=("${left[@]}")
  [ -z "$deadline" ] || [ "$SECONDS" -lt "$deadline" ] || pass_on KILL
done
exit "$status"
