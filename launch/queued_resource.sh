#!/usr/bin/env bash
# A run on a Cloud TPU slice without Kubernetes: asks for it in the queue and, when it comes, every
# host starts the run by itself, at every boot, so that a slice that was maintained or given again
# goes on.
#
#   PROJECT=... ZONE=... IMAGE=REGION-docker.pkg.dev/PROJECT/REPOSITORY/wamjax-tpu:TAG \
#     bash launch/queued_resource.sh NAME --config configs/bridge_tiny.py \
#     --config.data.dir=gs://BUCKET/data/bridge_dataset/1.0.0 --workdir gs://BUCKET/runs/bridge
#
# After NAME come the flags of `wamjax train`. Set if you like: TPU_TYPE (by default v5p-256: 256
# cores, 128 chips), RUNTIME (v2-alpha-tpuv5), SPOT=1 (cheaper, may be taken away), SLICES (1),
# SERVICE_ACCOUNT. The image is launch/Dockerfile.tpu's. With SPOT=1 this script stays, looks every
# minute, and asks again for a slice that was taken away until WORKDIR/final.json is there.
# Logs: gcloud compute tpus tpu-vm ssh NAME --worker=0 --command 'sudo docker logs -f wamjax'
# End:  gcloud compute tpus queued-resources delete NAME --force      (it costs until then!)
# Cost: chips x hours x your region's price; `wamjax plan` tells whether the run fits.
set -euo pipefail
usage="usage: PROJECT=... ZONE=... IMAGE=... bash launch/queued_resource.sh NAME [flags of wamjax train]"
[ "$#" -ge 2 ] || { echo "$usage" >&2 && exit 2; }
name="$1"
shift
project="${PROJECT:?$usage}" zone="${ZONE:?$usage}" image="${IMAGE:?$usage}"

workdir=""
previous=""
for word in "$@"; do
  case "$word" in --workdir=*) workdir="${word#*=}" ;; esac
  [ "$previous" = --workdir ] && workdir="$word"
  previous="$word"
done
case "$workdir" in
  gs://*) ;;
  *) echo "--workdir is '$workdir'; give a bucket (gs://...): the slice's disks go with it." >&2 && exit 2 ;;
esac

# What each host runs, as root, at every boot. Exit code 2 is a wrong setting; after any other but 0 all
# hosts start again and find one another.
startup="$(mktemp)"
trap 'rm -f "$startup"' EXIT
cat >"$startup" <<HOST
#!/usr/bin/env bash
set -uo pipefail
gcloud auth configure-docker --quiet ${image%%/*}
docker rm --force wamjax 2>/dev/null
while true; do
  # The host's network and devices: jax asks the metadata who the others are, libtpu opens the chips.
  docker run --name wamjax --network host --privileged --user 0 --stop-timeout 600 \\
    --volume /var/cache/wamjax:/cache --env JAX_COMPILATION_CACHE_DIR=/cache \\
    $image $(printf '%q ' wamjax train "$@")
  code=\$?
  case \$code in 0 | 2) exit \$code ;; esac
  echo "wamjax ended with \$code; again in 10 seconds"
  sleep 10
  docker rm --force wamjax
done
HOST

resources() { gcloud compute tpus queued-resources "$@" --project "$project" --zone "$zone"; }

ask() {
  local options=(--accelerator-type "${TPU_TYPE:-v5p-256}" --runtime-version "${RUNTIME:-v2-alpha-tpuv5}")
  options+=(--metadata-from-file "startup-script=$startup")
  if [ "${SLICES:-1}" -gt 1 ]; then
    options+=(--node-count "$SLICES" --node-prefix "$name")
  else
    options+=(--node-id "$name")
  fi
  [ -z "${SPOT:-}" ] || options+=(--spot)
  [ -z "${SERVICE_ACCOUNT:-}" ] || options+=(--service-account "$SERVICE_ACCOUNT")
  resources create "$name" "${options[@]}"
}

ask
[ -n "${SPOT:-}" ] || exit 0
while ! gcloud storage ls "${workdir%/}/final.json" >/dev/null 2>&1; do
  sleep "${LOOK_EVERY:-60}"
  state="$(resources describe "$name" --format 'value(state.state)')"
  case "$state" in
    SUSPENDED | FAILED)
      echo "queued_resource: $name is $state; asking again"
      resources delete "$name" --force --quiet
      ask
      ;;
  esac
done
echo "queued_resource: finished; giving the slice back"
resources delete "$name" --force --quiet
