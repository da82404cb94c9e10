#!/usr/bin/env bash
# Trains one model on several hosts that this host reaches by ssh without a password.
#
#   horovod_launch/ssh.sh hosts --output runs/resnet --model resnet20 --dataset cifar10
#
# `hosts` is a file with a line for each host, this host first. The slots are the number of ranks on the host (one for each
# GPU):
#
#   gpu-1 slots=4
#   gpu-2 slots=4
#
# The options go to `tfdl train`. Every host needs tfdl at the same path, and the working directory and --output must be
# on storage that all hosts share. Set another ssh port, user or key in ~/.ssh/config. Further flags for horovodrun go into
# HOROVODRUN_FLAGS, such as HOROVODRUN_FLAGS="--network-interfaces ib0". `tfdl doctor --hostfile hosts` checks names and
# addresses. Use private networks only; README.md explains why.
set -euo pipefail

fail() {
  echo "ssh.sh: $*" >&2
  exit 2
}

[[ $# -gt 1 ]] || fail "expected: ssh.sh HOSTFILE --output RUN ..., and a line such as 'gpu-1 slots=4' for each host"
hostfile=$1
shift
[[ -f "$hostfile" && -r "$hostfile" ]] || fail "no hostfile $hostfile, expected a file with lines such as 'gpu-1 slots=4'"
tfdl=$(command -v tfdl) || fail "no tfdl on PATH; activate its environment"

# The hosts are given to horovodrun with -H: it fails with a traceback on comments and empty lines in a hostfile.
ranks=0
hosts=()
names=()
while read -r line || [[ -n "$line" ]]; do
  line=${line%%#*}
  [[ -n "${line//[[:space:]]/}" ]] || continue
  [[ "$line" =~ ^([A-Za-z0-9_.-]+)[[:space:]]+slots=([1-9][0-9]*)[[:space:]]*$ ]] ||
    fail "hostfile $hostfile: '$line', expected a name and its ranks, such as 'gpu-1 slots=4'"
  names+=("${BASH_REMATCH[1]}")
  hosts+=("${BASH_REMATCH[1]}:${BASH_REMATCH[2]}")
  ranks=$((ranks + BASH_REMATCH[2]))
done <"$hostfile"
[[ $ranks -gt 0 ]] || fail "hostfile $hostfile names no host, expected lines such as 'gpu-1 slots=4'"

# Check ssh to every other host before horovodrun starts, which would report a failure less clearly.
own=" $(hostname -I 2>/dev/null) "
for name in "${names[@]}"; do
  address=$(getent ahostsv4 "$name" | awk 'NR == 1 { print $1 }') || true
  [[ -n "$address" ]] || fail "host $name does not resolve; add it to /etc/hosts or to the name server"
  [[ "$address" != 127.* && "$own" != *" $address "* ]] || continue
  answer=$(ssh -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=accept-new "$name" \
    "cd $(printf %q "$PWD") && test -x $(printf %q "$tfdl") && echo fine" 2>&1) || true
  [[ "$answer" == *fine ]] ||
    fail "host $name: expected ssh without a password, $PWD and $tfdl there, got: ${answer##*$'\n'}"
done

read -ra flags <<<"${HOROVODRUN_FLAGS:-}"
all=$(IFS=, && echo "${hosts[*]}")
exec "$(dirname "${BASH_SOURCE[0]}")/stoppable.sh" -np "$ranks" -H "$all" "${flags[@]}" -- "$tfdl" train "$@"
