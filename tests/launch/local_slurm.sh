#!/usr/bin/env bash
# A SLURM cluster of one node on this machine, for as long as one command runs.
#
#   apt-get install slurm-wlm munge
#   bash tests/launch/local_slurm.sh sbatch --wait launch/slurm.sbatch --config ... --workdir ...
#
# The node has two CPUs or as many as there are cores; a requeued job starts again after seconds
# rather than minutes. Keys, state and logs are in a temporary folder (or in SLURM_LOCAL, which is
# kept); nothing outside it is written, and the machine's own SLURM and MUNGE are not used.
set -euo pipefail
PATH="$PATH:/usr/sbin"
for program in munged slurmctld slurmd sbatch srun scontrol; do
  command -v "$program" >/dev/null || { echo "no $program; run: apt-get install slurm-wlm munge" >&2 && exit 2; }
done
[ "$#" -gt 0 ] || { echo "usage: bash tests/launch/local_slurm.sh COMMAND [ARGUMENTS]" >&2 && exit 2; }

if [ -n "${SLURM_LOCAL:-}" ]; then
  folder="$(mkdir -p "$SLURM_LOCAL" && cd "$SLURM_LOCAL" && pwd)"
else
  folder="$(mktemp -d /tmp/slurm.XXXXXX)"
fi
chmod 711 "$folder"
mkdir -p "$folder/state" "$folder/spool"

free_port() {
  local port=$((20000 + RANDOM % 10000))
  while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((20000 + RANDOM % 10000)); done
  echo "$port"
}
name="$(hostname -s)"
cores="$(nproc)"
[ "$cores" -ge 2 ] || cores=2
cat >"$folder/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
# A requeued job waits until the credentials of its last visit have expired; by default 120 s.
AuthInfo=socket=$folder/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
# Neither cgroups nor accounting: what every machine has.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
# Seconds that a job has between SIGTERM and SIGKILL.
KillWait=60
SchedulerParameters=sched_min_interval=1000000,bf_interval=2
SlurmdParameters=config_overrides
NodeName=$name NodeAddr=127.0.0.1 CPUs=$cores State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$folder/slurm.conf"

daemons=()
stop() {
  # Whoever swallows SIGTERM would outlive the daemons.
  scancel --quiet --full --signal=KILL --user="$(id -un)" 2>/dev/null || true
  scancel --quiet --user="$(id -un)" 2>/dev/null || true
  for _ in $(seq 300); do
    [ -n "$(squeue --noheader 2>/dev/null)" ] || break
    sleep 0.1
  done
  [ "${#daemons[@]}" = 0 ] || kill "${daemons[@]}" 2>/dev/null || true
  wait
  [ -n "${SLURM_LOCAL:-}" ] || rm -rf "$folder"
}
trap stop EXIT

(umask 077 && [ -s "$folder/munge.key" ] || head -c 1024 /dev/urandom >"$folder/munge.key")
chmod 600 "$folder/munge.key"
# --force: whoever owns the folder, which is in /tmp.
munged --foreground --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
  --pid-file="$folder/munge.pid" --seed-file="$folder/munge.seed" --log-file="$folder/munge.log" \
  >"$folder/munged.out" 2>&1 &
daemons+=("$!")
for _ in $(seq 50); do
  [ ! -S "$folder/munge.socket" ] || break
  sleep 0.1
done
slurmctld -D >"$folder/slurmctld.out" 2>&1 &
daemons+=("$!")
slurmd -D -N "$name" >"$folder/slurmd.out" 2>&1 &
daemons+=("$!")
state=""
for _ in $(seq 300); do
  state="$(sinfo --noheader --format=%t 2>/dev/null || true)"
  # Somebody may already have submitted a job.
  case "$state" in idle | mix | alloc) break ;; esac
  sleep 0.1
done
if [[ ! "$state" =~ ^(idle|mix|alloc)$ ]]; then
  echo "the node did not come up:" >&2
  tail -n 20 "$folder"/*.out "$folder"/*.log >&2
  exit 1
fi
"$@"
