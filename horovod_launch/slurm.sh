#!/usr/bin/env bash
#SBATCH --job-name=tfdl
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4    # a rank for each GPU
#SBATCH --gpus-per-node=4      # not --gpus-per-task: each rank sees its node's GPUs and takes one
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@90       # 90 s before the end every rank is asked to stop (no "B:": the ranks, not this script)
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
# One model over the tasks of a Slurm job, which goes on by itself when its time is up.
#
#   sbatch horovod_launch/slurm.sh --output runs/resnet --model resnet20 --dataset cifar10 --epochs 200
#   sbatch --nodes=1 --ntasks-per-node=2 --gpus-per-node=0 horovod_launch/slurm.sh --output runs/digits
#
# All options go to `tfdl train`; what the lines above ask for can be asked otherwise on sbatch's command line. Submit
# from an environment in which `tfdl` runs; --output must be a folder that all nodes see, and says where to go on.
#
# srun starts the ranks (no ssh, no horovodrun) and passes SIGUSR1 on to all of them: they stop at the same step, save,
# and answer 75, upon which the job queues again and goes on from there. Slurm does the same by itself when a node fails
# or the job is preempted; training then goes on from the last checkpoint.
set -uo pipefail

fail() {
  echo "slurm.sh: $*" >&2
  exit 2
}

run=
for ((i = 1; i <= $#; i++)); do
  case "${!i}" in
    --output=*) run=${!i#--output=} ;;
    --output) next=$((i + 1)) run=${!next:-} ;;
  esac
done
[[ -n "${SLURM_JOB_ID:-}" ]] || fail "not in a Slurm job, expected: sbatch horovod_launch/slurm.sh --output RUN ..."
[[ -n "$run" ]] || fail "no --output, expected the run directory that the job goes on with: --output runs/NAME"
command -v tfdl >/dev/null || fail "no tfdl on PATH; activate its environment, then submit again"

# Slurm does not hand --cpus-per-task on to srun (since 22.05), and may be set to kill ranks when the first one ends.
srun --kill-on-bad-exit=0 --wait=120 ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} tfdl train --resume "$@"
code=$?
# A job that was cancelled (SIGTERM) answers 75 as well, and must not come back.
if [[ $code == 75 ]] && ! grep -qs "stopped by SIGTERM" "$run/status.json"; then
  echo "slurm.sh: stopped with a checkpoint; the job queues again"
  scontrol requeue "$SLURM_JOB_ID" || fail "cannot queue job $SLURM_JOB_ID again; submit the same command again"
fi
exit "$code"
