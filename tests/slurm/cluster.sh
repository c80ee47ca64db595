#!/usr/bin/env bash
# Run a command beside a SLURM cluster of two nodes, n1 and n2, both on this machine; SLURM_CONF leads to it.
set -euo pipefail

fail() {
    echo "error: slurm-test: $1" >&2
    exit 1
}

missing=''
for daemon in slurmctld slurmd munged; do command -v "$daemon" > /dev/null || missing=yes; done
if [ -n "$missing" ] && ! command -v apt-get > /dev/null; then
    echo "slurm-test is left out: SLURM is not installed, and there is no apt-get to install it with"
    exit 0
fi
[ "$(id -u)" = 0 ] || fail "only root can install SLURM and start its daemons; run it as root"
if [ -n "$missing" ]; then
    log=$(mktemp)
    echo "installing slurm-wlm and munge"
    (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends slurm-wlm munge) \
        > "$log" 2>&1 || fail "apt-get does not install slurm-wlm and munge; $log says why"
fi

folder=$(mktemp -d)
chmod 755 "$folder" # munged refuses a folder that others cannot pass, or can write to
mkdir "$folder/state" "$folder/n1" "$folder/n2"
host=$(hostname -s) port=$((20000 + $$ % 10000))
export SLURM_CONF=$folder/slurm.conf
# Each node has two GPUs in name only, so that jobs ask for them as they would; a requeued job starts again after 5 seconds.
cat > "$SLURM_CONF" << END
ClusterName=kid
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/%n
SlurmdPidFile=$folder/%n.pid
SlurmdLogFile=$folder/%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
SchedulerParameters=batch_sched_delay=1,sched_interval=2
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 Gres=gpu:2
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 Gres=gpu:2
PartitionName=all Nodes=n1,n2 Default=YES
PartitionName=gpu Nodes=n1,n2
END
printf 'Name=gpu File=%s\n' /dev/null /dev/zero > "$folder/gres.conf"
touch "$folder/cgroup.conf"
(umask 077 && head --bytes=64 /dev/urandom > "$folder/munge.key")

daemons=()
start() {
    local log=$1
    shift
    # In a group of its own: Ctrl-C is for this script, which stops them when the jobs are gone.
    setsid "$@" > "$folder/$log.out" 2>&1 &
    daemons+=($!)
}
stop() {
    trap '' INT TERM
    scancel --user root 2> /dev/null || true
    for _ in $(seq 40); do
        [ -n "$(squeue --noheader 2> /dev/null || true)" ] || break
        sleep 1
    done
    for daemon in "${daemons[@]}"; do kill "$daemon" 2> /dev/null || true; done
    wait
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

start munged munged --foreground --force --socket "$folder/munge.socket" --key-file "$folder/munge.key" \
    --pid-file "$folder/munged.pid" --seed-file "$folder/munged.seed" --log-file "$folder/munged.log"
for _ in $(seq 20); do [ -S "$folder/munge.socket" ] || sleep 0.2; done
start slurmctld slurmctld -D
start n1 slurmd -D -N n1
start n2 slurmd -D -N n2
for _ in $(seq 60); do
    [ "$(sinfo --noheader --Node --format %T 2> /dev/null | sort | uniq -c | tr -s ' ')" != " 2 idle" ] || break
    sleep 0.5
done
if [ "$(sinfo --noheader --format '%D %T')" != "2 idle" ]; then
    tail -n 5 "$folder"/*.out
    echo "error: the cluster does not come up; its daemons said the above" >&2
    exit 1
fi
"$@"
