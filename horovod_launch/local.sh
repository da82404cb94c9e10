#!/usr/bin/env bash
# One model on this machine: a rank for each GPU, or the number of ranks given first.
#
#   horovod_launch/local.sh                              # every GPU here, 2 ranks without one
#   horovod_launch/local.sh 4 --model cnn --epochs 30    # 4 ranks, the rest goes to `tfdl train`
#
# What horovodrun shall get: HOROVODRUN_FLAGS="--timeline-filename /tmp/timeline.json" horovod_launch/local.sh
set -euo pipefail

if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
  ranks=$1
  shift
else
  ranks=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true)
  [[ "$ranks" -gt 0 ]] || ranks=2
fi
if ! command -v horovodrun >/dev/null; then
  echo "local.sh: no horovodrun on PATH; activate tfdl's environment, and build Horovod there: tfdl install-horovod" >&2
  exit 2
fi

read -ra flags <<<"${HOROVODRUN_FLAGS:-}"
exec horovodrun -np "$ranks" "${flags[@]}" tfdl train "$@"
