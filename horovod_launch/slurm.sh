#!/usr/bin/env bash
#SBATCH --job-name=tfdl
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4    # a rank for each GPU
#SBATCH --gpus-per-node=4      # not --gpus-per-task: each rank sees all GPUs of its node and uses one
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@90       # 90 s before the end SIGUSR1 asks the ranks to stop ("B:USR1" would signal this script)
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
# Trains one model on the tasks of a Slurm job, which is requeued and resumed when its time is up.
#
#   sbatch horovod_launch/slurm.sh --output runs/resnet --model resnet20 --dataset cifar10 --epochs 200
#   sbatch --nodes=1 --ntasks-per-node=2 --gpus-per-node=0 horovod_launch/slurm.sh --output runs/digits
#
# All options go to `tfdl train`. Options on sbatch's command line override the lines above. Submit from an environment in
# which `tfdl` runs. --output must be a folder that all nodes see: the requeued job resumes the run in it.
#
# srun starts the ranks, without ssh and horovodrun. Slurm sends SIGUSR1 to all of them: they stop at the same step, save
# a checkpoint and exit with 75. The script then requeues the job, which resumes from there. Slurm itself requeues the job
# when a node fails or the job is preempted; training then resumes from the last checkpoint.
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
[[ -n "$run" ]] || fail "no --output, expected the run directory that the job resumes: --output runs/NAME"
command -v tfdl >/dev/null || fail "no tfdl on PATH; activate its environment, then submit again"

# Since 22.05 Slurm does not pass --cpus-per-task to srun. A cluster may be configured to kill all ranks when the first one
# exits; they must have the time to save.
srun --kill-on-bad-exit=0 --wait=120 ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} tfdl train --resume "$@"
code=$?
# A cancelled job (SIGTERM) exits with 75 as well, and must not be requeued.
if [[ $code == 75 ]] && ! grep -qs "stopped by SIGTERM" "$run/status.json"; then
  echo "slurm.sh: stopped with a checkpoint; requeuing the job"
  scontrol requeue "$SLURM_JOB_ID" || fail "cannot requeue job $SLURM_JOB_ID; submit the same command again"
fi
exit "$code"
