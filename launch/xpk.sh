#!/usr/bin/env bash
# A run on a cluster that XPK made (GKE with JobSet and Kueue), restarted until it is finished.
#
#   CLUSTER=... PROJECT=... ZONE=... IMAGE=REGION-docker.pkg.dev/PROJECT/REPOSITORY/wamjax-tpu:TAG \
#     bash launch/xpk.sh NAME --config configs/bridge_tiny.py \
#     --config.data.dir=gs://BUCKET/data/bridge_dataset/1.0.0 --workdir gs://BUCKET/runs/bridge
#
# After NAME come the flags of `wamjax train`. Set if you like: TPU_TYPE (by default v5p-256, in
# Cloud's naming: 256 cores, 128 chips, 4x4x8), SLICES (1), PRIORITY (medium).
# Needs `pip install xpk` and gcloud; the image is launch/Dockerfile.tpu's. Look at it with
# `xpk workload list --cluster $CLUSTER`, end it with `xpk workload delete`.
# Cost: chips x hours x your region's price; `wamjax plan` tells whether the run fits.
set -euo pipefail
usage="usage: CLUSTER=... PROJECT=... ZONE=... IMAGE=... bash launch/xpk.sh NAME [flags of wamjax train]"
[ "$#" -ge 2 ] || { echo "$usage" >&2 && exit 2; }
name="$1"
shift

# Every exit but 0 and 2 is tried again: 75 is a run that has saved, the others died.
exec xpk workload create \
  --workload "$name" \
  --cluster "${CLUSTER:?$usage}" \
  --project "${PROJECT:?$usage}" \
  --zone "${ZONE:?$usage}" \
  --tpu-type "${TPU_TYPE:-v5p-256}" \
  --num-slices "${SLICES:-1}" \
  --priority "${PRIORITY:-medium}" \
  --docker-image "${IMAGE:?$usage}" \
  --max-restarts 100 \
  --restart-on-exit-codes 1,3-255 \
  --termination-grace-period-seconds 600 \
  --command "$(printf '%q ' wamjax train "$@")"
