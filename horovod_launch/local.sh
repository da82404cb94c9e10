#!/usr/bin/env bash
# Trains one model on this machine, with a rank for each GPU or with a given number of ranks.
#
#   horovod_launch/local.sh                              # every GPU of this machine; 2 ranks when it has none
#   horovod_launch/local.sh 4 --model cnn --epochs 30    # 4 ranks; the options go to `tfdl train`
#
# Flags for horovodrun: HOROVODRUN_FLAGS="--timeline-filename /tmp/timeline.json" horovod_launch/local.sh
set -euo pipefail

if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
  ranks=$1
  shift
else
  ranks=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true)
  [[ "$ranks" -gt 0 ]] || ranks=2
fi
if ! command -v horovodrun >/dev/null; then
  echo "local.sh: no horovodrun on PATH; activate tfdl's environment and build Horovod in it: tfdl install-horovod" >&2
  exit 2
fi

read -ra flags <<<"${HOROVODRUN_FLAGS:-}"
exec horovodrun -np "$ranks" "${flags[@]}" tfdl train "$@"
