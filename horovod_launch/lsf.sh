#!/usr/bin/env bash
#BSUB -J tfdl
#BSUB -n 8                    # ranks, one for each GPU
#BSUB -R "span[ptile=4]"      # ranks on each host
#BSUB -gpu "num=4"            # GPUs of each host
#BSUB -W 4:00
#BSUB -wa USR1                # send SIGUSR1
#BSUB -wt 2                   # two minutes before the end
#BSUB -Q "75"                 # requeue the job when it stopped with a checkpoint
#BSUB -r                      # requeue the job when a host has failed
#BSUB -o tfdl-%J.out
# Trains one model on the slots of an LSF job, which is requeued and resumed when its time is up.
#
#   vi horovod_launch/lsf.sh             # edit the lines above and the options below
#   bsub < horovod_launch/lsf.sh         # from the folder that contains horovod_launch, with tfdl's environment active
#
# horovodrun starts the ranks by ssh: the hosts of a job must reach each other without a password. On SIGUSR1 all ranks
# stop at the same step and save a checkpoint. The job exits with 75, is requeued (-Q) and resumes from there. A job that has
# saved no new checkpoint exits with 1 and is not requeued: its time limit is too short.
options=(
  --output runs/resnet # on storage that all hosts share
  --model resnet20
  --dataset cifar10
  --epochs 200
)
set -euo pipefail

fail() {
  echo "lsf.sh: $*" >&2
  exit 2
}

[[ -n "${LSB_JOBID:-}" ]] || fail "not in an LSF job, expected: bsub < horovod_launch/lsf.sh"
[[ -n "${LSB_MCPU_HOSTS:-}" ]] || fail "LSB_MCPU_HOSTS is empty, expected LSF's list of hosts and their slots"
command -v tfdl >/dev/null || fail "no tfdl on PATH; activate its environment, then submit again"
stoppable=horovod_launch/stoppable.sh
[[ -x "$stoppable" ]] || fail "no $stoppable in $PWD; submit from the folder that contains horovod_launch"

ranks=0
hosts=()
read -ra words <<<"$LSB_MCPU_HOSTS" # such as: gpu-1 4 gpu-2 4
for ((i = 0; i < ${#words[@]}; i += 2)); do
  hosts+=("${words[i]}:${words[i + 1]}")
  ranks=$((ranks + words[i + 1]))
done

# With LSB_JOBID set, horovodrun does not look for the network interface, which it needs without MPI.
unset LSB_JOBID
read -ra flags <<<"${HOROVODRUN_FLAGS:-}"
all=$(IFS=, && echo "${hosts[*]}")
exec "$stoppable" -np "$ranks" -H "$all" "${flags[@]}" -- tfdl train --resume "${options[@]}" "$@"
