#!/usr/bin/env bash
# horovodrun for jobs that a scheduler may stop: the ranks have the time to save, and the script exits with tfdl's code.
#
#   horovod_launch/stoppable.sh -np 4 -H a:2,b:2 -- tfdl train --output runs/big --resume
#
# The arguments before `--` go to horovodrun. On SIGUSR1, SIGTERM or SIGINT the script asks rank 0 to stop; all ranks then
# stop at the same step, save a checkpoint and exit with 75. Run the same command again to resume. If no new checkpoint was
# saved, the script exits with 1: a scheduler that starts the job again at 75 would do so for ever. Without this script
# horovodrun kills its ranks five seconds after SIGTERM, dies of SIGUSR1, and exits with 1 for every code of its ranks.
# Rank 0 runs on the first of the hosts, which must be this one; elsewhere the ranks have only horovodrun's five seconds.
set -uo pipefail

fail() {
  echo "stoppable.sh: $*" >&2
  exit 2
}

flags=()
while [[ $# -gt 0 && "$1" != -- ]]; do
  flags+=("$1")
  shift
done
[[ $# -gt 1 ]] || fail "expected: stoppable.sh HOROVODRUN_FLAGS -- tfdl train --output RUN ..."
shift
run=
for ((i = 1; i <= $#; i++)); do
  case "${!i}" in
    --output=*) run=${!i#--output=} ;;
    --output) next=$((i + 1)) run=${!next:-} ;;
  esac
done
[[ -n "$run" ]] || fail "no --output, expected the run directory, whose status.json has the exit code: --output runs/NAME"
command -v horovodrun >/dev/null ||
  fail "no horovodrun on PATH; activate tfdl's environment and build Horovod in it: tfdl install-horovod"

# Changes whenever status.json is written.
status() { stat --format='%i %y' "$run/status.json" 2>/dev/null || echo none; }

newest_checkpoint() {
  local folders=("$run"/checkpoints/step-*)
  echo "${folders[-1]}"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
asked=
# shellcheck disable=SC2329  # the traps call it
ask() {
  asked=$1
  if rank_0=$(cat "$work/rank-0" 2>/dev/null) && kill -USR1 "$rank_0" 2>/dev/null; then
    echo "stoppable.sh: $1: the ranks were asked to stop and save" >&2
  else
    echo "stoppable.sh: $1: rank 0 is not on this host; horovodrun ends the ranks in five seconds" >&2
    kill -TERM "$job"
  fi
}
trap 'ask SIGUSR1' USR1
trap 'ask SIGTERM' TERM
trap 'ask SIGINT' INT

before=$(status)
checkpoint_before=$(newest_checkpoint)
# Some schedulers signal every process of a job. horovodrun must ignore SIGUSR1, which would kill it; tfdl installs its own
# handler again. Rank 0 writes its process id into a file; exec keeps the id when the shell becomes tfdl.
(
  trap '' USR1
  # shellcheck disable=SC2016  # for the rank's shell to expand
  exec horovodrun "${flags[@]}" bash -c '
    [[ "$HOROVOD_RANK" != 0 ]] || echo $$ 2>/dev/null >"$0/rank-0"
    exec "$@"' "$work" "$@"
) &
job=$!
code=0
while kill -0 "$job" 2>/dev/null; do # `wait` also returns when a signal to this script is handled
  wait "$job"
  code=$?
done

if [[ $code != 0 && "$(status)" != "$before" ]]; then # this job has written the file
  found=$(sed -n 's/.*"code": *\([0-9]*\).*/\1/p' "$run/status.json")
  [[ "${found:-0}" == 0 ]] || code=$found
elif [[ $code != 0 && -n "$asked" ]]; then
  code=75 # killed before it had saved: it can be resumed from its last checkpoint
fi
if [[ $code == 75 && "$(newest_checkpoint)" == "$checkpoint_before" ]]; then
  echo "stoppable.sh: stopped before a new checkpoint was saved; if a scheduler stops the job, raise its time limit" >&2
  exit 1
fi
exit "$code"
