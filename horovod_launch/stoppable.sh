#!/usr/bin/env bash
# horovodrun for jobs that a scheduler may stop: the ranks get the time to save, and tfdl's exit code comes through.
#
#   horovod_launch/stoppable.sh -np 4 -H a:2,b:2 -- tfdl train --output runs/big --resume
#
# What stands before `--` goes to horovodrun. On SIGUSR1, SIGTERM or SIGINT rank 0 is asked to stop, and all ranks stop at
# the same step, save, and answer 75: run the same command again to go on. horovodrun by itself would kill its ranks five
# seconds after SIGTERM, die of SIGUSR1, and answer 1 whatever its ranks answer.
# Rank 0 must be on this host, that is, the first of the hosts; elsewhere the ranks have horovodrun's five seconds.
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
[[ -n "$run" ]] || fail "no --output, expected the run directory that says how the run ended: --output runs/NAME"
command -v horovodrun >/dev/null ||
  fail "no horovodrun on PATH; activate the environment of tfdl, and build Horovod there: tfdl install-horovod"

status() { stat --format='%i %y' "$run/status.json" 2>/dev/null || echo none; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
asked=
# shellcheck disable=SC2329  # the traps call it
ask() {
  asked=$1
  if rank_0=$(cat "$work/rank-0" 2>/dev/null) && kill -USR1 "$rank_0" 2>/dev/null; then
    echo "stoppable.sh: $1: the ranks were asked to stop and save" >&2
  else
    echo "stoppable.sh: $1: rank 0 is not on this host; horovodrun gives the ranks five seconds" >&2
    kill -TERM "$job"
  fi
}
trap 'ask SIGUSR1' USR1
trap 'ask SIGTERM' TERM
trap 'ask SIGINT' INT

before=$(status)
# Some schedulers signal every process of a job: horovodrun must not die of SIGUSR1, which tfdl takes for itself again.
# Each rank becomes tfdl under the process number that rank 0 has noted.
(
  trap '' USR1
  # shellcheck disable=SC2016  # for the rank's shell to expand
  exec horovodrun "${flags[@]}" bash -c '
    [[ "$HOROVOD_RANK" != 0 ]] || echo $$ 2>/dev/null >"$0/rank-0"
    exec "$@"' "$work" "$@"
) &
job=$!
code=0
while kill -0 "$job" 2>/dev/null; do # `wait` also returns for a signal to this script
  wait "$job"
  code=$?
done

if [[ $code != 0 && "$(status)" != "$before" ]]; then # written by this job
  found=$(sed -n 's/.*"code": *\([0-9]*\).*/\1/p' "$run/status.json")
  [[ "${found:-0}" == 0 ]] || exit "$found"
fi
# Killed before it had saved: what the last checkpoint holds is there to go on from.
[[ $code == 0 || -z "$asked" ]] || exit 75
exit "$code"
