#!/usr/bin/env bash
# Starts a job of horovodrun again after the loss of a host, for launchers that no scheduler restarts (mpijob.yaml).
#
#   horovod_launch/restarting.sh horovodrun -np 8 --hostfile hosts tfdl train --output runs/big --resume
#
# A job that fails is started again if it has saved a new checkpoint, or if a host does not answer to ssh. The script waits
# for such a host for 15 minutes. Otherwise it exits with the job's code: a typing error, or a loss that is NaN at the same
# step again, ends at once. SIGTERM and SIGINT end the job and the script.
set -uo pipefail

fail() {
  echo "restarting.sh: $*" >&2
  exit 2
}

run=
hostfile=
resumes=
for ((i = 1; i <= $#; i++)); do
  next=$((i + 1))
  case "${!i}" in
    --output=*) run=${!i#--output=} ;;
    --output) run=${!next:-} ;;
    --hostfile) hostfile=${!next:-} ;;
    --resume) resumes=yes ;;
  esac
done
[[ -n "$run" && -n "$resumes" ]] ||
  fail "expected: restarting.sh horovodrun ... tfdl train --output RUN --resume, which continues from its checkpoints"
[[ -z "$hostfile" || -r "$hostfile" ]] || fail "no hostfile $hostfile, expected a file with lines such as 'gpu-1 slots=4'"

newest_checkpoint() {
  local folders=("$run"/checkpoints/step-*)
  echo "${folders[-1]}"
}

# Prints the first host that does not answer.
find_lost_host() {
  local name
  [[ -n "$hostfile" ]] || return
  while read -r name _; do
    [[ -n "$name" && "$name" != "#"* ]] || continue
    ssh -n -o BatchMode=yes -o ConnectTimeout=10 "$name" true >/dev/null 2>&1 || { echo "$name" && return; }
  done <"$hostfile"
}

stopped=
# shellcheck disable=SC2329  # the traps call it
stop() {
  stopped=yes
  kill -"$1" "$job" 2>/dev/null
}
job=
trap 'stop TERM' TERM
trap 'stop INT' INT
while true; do
  before=$(newest_checkpoint)
  "$@" &
  job=$!
  code=0
  while kill -0 "$job" 2>/dev/null; do # `wait` also returns when a signal to this script is handled
    wait "$job"
    code=$?
  done
  [[ $code != 0 && -z "$stopped" ]] || exit "$code"
  lost=$(find_lost_host)
  if [[ -z "$lost" && "$(newest_checkpoint)" == "$before" ]]; then
    echo "restarting.sh: no new checkpoint and all hosts answer; the job would fail again (exit code $code)" >&2
    exit "$code"
  fi
  SECONDS=0
  while [[ -n "$lost" ]]; do
    [[ $SECONDS -lt 900 && -z "$stopped" ]] || { echo "restarting.sh: host $lost does not answer" >&2 && exit "$code"; }
    sleep 5 &
    wait $!
    lost=$(find_lost_host)
  done
  echo "restarting.sh: starting the job again" >&2
done
