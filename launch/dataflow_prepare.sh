#!/usr/bin/env bash
# A store made by Dataflow: any data set in a bucket, shards by as many workers as there are.
# Usage: PROJECT=my-project REGION=europe-west4 BUCKET=gs://my-bucket \
#          bash launch/dataflow_prepare.sh gs://DATA/DIR STORE [flags of `wamjax data prepare`]
# for example: ... gs://data/droid/1.0.1 stores/droid --card data/cards/droid.toml --size 128
#
# STORE is on this machine, which puts the shards together and checks them: it needs room for all of
# it; `gcloud storage cp --recursive STORE "$BUCKET/"` brings it to a bucket, where training reads it.
# Needed: `pip install 'wamjax[beam]' 'apache-beam[gcp]' gcsfs` in an environment of its own, and
# `gcloud auth application-default login`. Workers install wamjax from this checkout; IMAGE names a
# container with it instead, which starts faster. DRY=1 prints the command only.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
: "${PROJECT:?is the Google Cloud project}" "${REGION:?is where the workers run}"
: "${BUCKET:?is gs://..., for what is handed over}"
from="$1" store="$2"
shift 2
here="$(cd "$(dirname "$0")/.." && pwd)"
name="$(basename "$store" | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9\n' '-')"

options=(
  runner=DataflowRunner
  "project=$PROJECT"
  "region=$REGION"
  "job_name=wamjax-prepare-${name}"
  "temp_location=$BUCKET/dataflow/tmp"
  "staging_location=$BUCKET/dataflow/staging"
  "max_num_workers=${WORKERS:-64}"
  "machine_type=${MACHINE:-n2-standard-4}"
  "disk_size_gb=${DISK_GB:-100}"
)
if [ -n "${IMAGE:-}" ]; then
  options+=("sdk_container_image=$IMAGE" sdk_location=container)
else
  needs="$(mktemp)"
  trap 'rm -f "$needs"' EXIT
  echo gcsfs >"$needs"
  options+=("setup_file=$here/setup.py" "requirements_file=$needs")
fi

command=(wamjax data prepare --from "$from" --out "$store" --beam
  --beam-exchange "$BUCKET/dataflow/shards/$name")
for option in "${options[@]}"; do command+=(--beam-option "$option"); done
command+=("$@")
echo "+ ${command[*]}"
[ -n "${DRY:-}" ] || "${command[@]}"
