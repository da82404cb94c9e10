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
#   sbatch --nodes=1 --ntasks-per-node=2 --gpus-per-node=0 --cpus-per-task=1 \
#     horovod_launch/slurm.sh --output runs/digits                                  # on CPUs
#
#   sbatch --array=1-5 horovod_launch/slurm.sh --output runs/five --model resnet20    # runs/five/seed-1 to runs/five/seed-5
#
# All options go to `tfdl train`. Options on sbatch's command line override the lines above. Submit from an environment in
# which `tfdl` runs. --output must be a folder that all nodes see: the requeued job resumes the run in it.
#
# srun starts the ranks, without ssh and horovodrun. The job is requeued, and resumes from its last checkpoint, when
#   - its time is up: Slurm sends SIGUSR1 to all ranks, and they stop at the same step, save a checkpoint and exit with 75;
#   - it is preempted: with GraceTime Slurm sends SIGTERM first, and the ranks save as well;
#   - a node fails.
# `scancel JOB` ends it for good. A job that has not saved a new checkpoint when its time is up fails: it would make no
# progress however often it started. Errors of tfdl are not requeued either.
set -uo pipefail

fail() {
  local code=$1
  shift
  echo "slurm.sh: $*" >&2
  exit "$code"
}

run=
seed=
for ((i = 1; i <= $#; i++)); do
  case "${!i}" in
    --output=*) run=${!i#--output=} ;;
    --output) next=$((i + 1)) run=${!next:-} ;;
    --seed | --seed=*) seed=${!i} ;;
  esac
done
[[ -n "${SLURM_JOB_ID:-}" ]] || fail 2 "not in a Slurm job, expected: sbatch horovod_launch/slurm.sh --output RUN ..."
[[ -n "$run" ]] || fail 2 "no --output, expected the run directory that the job resumes: --output runs/NAME"
command -v tfdl >/dev/null || fail 2 "no tfdl on PATH; activate its environment, then submit again"
job=$SLURM_JOB_ID
if [[ -n "${SLURM_ARRAY_TASK_ID:-}" ]]; then
  [[ -z "$seed" ]] || fail 2 "$seed in an array, whose numbers are the seeds; leave it out"
  job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID # the number of one task may also be that of the whole array
  run=$run/seed-$SLURM_ARRAY_TASK_ID
  set -- "$@" --output "$run" --seed "$SLURM_ARRAY_TASK_ID" # the last --output counts
fi

# A field of Slurm's description of this job, such as JobState.
job_field() { scontrol show job "$job" | sed -n "s/.*\b$1=\([^ ]*\).*/\1/p"; }

newest_checkpoint() {
  local folders=("$run"/checkpoints/step-*)
  echo "${folders[-1]}"
}

# Slurm declares a lost node down only after minutes (SlurmdTimeout), and the ranks of the other nodes end before that. It
# marks a node that does not answer with * after some time. Until then a program that does not start there shows it.
find_lost_node() {
  local code lines
  lines=$(sinfo --noheader --Node --nodes="$SLURM_JOB_NODELIST" --format="%N is %T" | grep -E -m 1 "\*|down") &&
    echo "node $lines" && return
  lines=$(timeout --kill-after=10 90 srun --overlap --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    --ntasks-per-node=1 --cpus-per-task=1 true 2>&1)
  code=$?
  [[ $code != 124 && $code != 137 ]] || echo "a node does not answer"
  grep -oE -m 1 "failed on node [^ :]+|Node failure on [^ :]+" <<<"$lines"
}

requeue() {
  echo "slurm.sh: $*; requeuing the job"
  scontrol requeue "$job" || fail 1 "cannot requeue job $job; submit the same command again"
  exit 75 # Slurm ends this script before
}

before=$(newest_checkpoint)
# A signal that comes before tfdl can handle it has to wait: its default action would end this rank, and the others would
# fail. An old `env` (before coreutils 8.31) cannot do that.
start=(env)
env --block-signal=USR1 true 2>/dev/null && start+=(--block-signal=USR1 --block-signal=TERM)
# Since 22.05 Slurm does not pass --cpus-per-task to srun. A cluster may be configured to kill all ranks when the first one
# exits; they must have the time to save.
srun --kill-on-bad-exit=0 --wait=120 ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} \
  "${start[@]}" tfdl train --resume "$@"
code=$?
[[ $code != 0 && $code != 2 ]] || exit "$code"
[[ $(job_field JobState) == RUNNING ]] || exit "$code" # cancelled, or requeued by someone else
# 138 and 143: SIGUSR1 or SIGTERM has ended a rank that could not handle it yet.
if [[ $code =~ ^(75|138|143)$ ]]; then
  preempted=$(job_field PreemptTime)
  [[ "${preempted:-None}" == None ]] || requeue "preempted at $preempted"
  [[ "$(newest_checkpoint)" == "$before" ]] || requeue "stopped with a new checkpoint"
  fail 1 "stopped before a new checkpoint was saved; the time limit is too short for the start of the job, a step, and" \
    "the seconds before the end at which Slurm warns (--signal): raise --time"
fi
lost=$(find_lost_node)
[[ -z "$lost" ]] || requeue "$lost"
exit "$code"
