#!/usr/bin/env bash
# One model on hosts that come and go: ranks may die and join while it trains.
#
#   horovod_launch/elastic.sh 2 8 horovod_launch/discover_hosts.sh --output runs/elastic --model resnet20
#
# Begins with 2 ranks, goes on with as few as 2 and as many as 8, and asks the script every second which hosts there are.
# The rest goes to `tfdl train --elastic`; docs/elastic.md says what is promised. --output must be on storage that all
# hosts share.
set -euo pipefail

fail() {
  echo "elastic.sh: $*" >&2
  exit 2
}

[[ $# -gt 3 && "$1" =~ ^[1-9][0-9]*$ && "$2" =~ ^[1-9][0-9]*$ && "$1" -le "$2" ]] ||
  fail "expected: elastic.sh FEWEST MOST DISCOVERY_SCRIPT --output RUN ..., such as: elastic.sh 2 8 ./discover_hosts.sh"
fewest=$1 most=$2
script=$(realpath -- "$3")
shift 3
[[ -x "$script" && -f "$script" ]] || fail "no program $script, expected one that prints hosts such as 'gpu-1:4'"
command -v horovodrun >/dev/null ||
  fail "no horovodrun on PATH; activate the environment of tfdl, and build Horovod there: tfdl install-horovod"
found=$("$script") || fail "$script failed, expected it to print hosts such as 'gpu-1:4'"
[[ "$found" == *:* ]] || fail "$script prints no host now, expected lines such as 'gpu-1:4'"
# horovodrun looks for a network that two hosts share before it starts a rank, and would wait ten minutes for the second.
hosts=$(cut -d: -f1 <<<"$found" | sort -u)
[[ "$hosts" == *$'\n'* || "${HOROVODRUN_FLAGS:-}" == *--network-interface* ]] ||
  fail "one host, $hosts, expected two to begin with, or the network's name:" \
    "HOROVODRUN_FLAGS='--network-interfaces eth0' (lo where all ranks are on this machine)"

read -ra flags <<<"${HOROVODRUN_FLAGS:-}"
exec horovodrun -np "$fewest" --min-np "$fewest" --max-np "$most" --host-discovery-script "$script" "${flags[@]}" \
  tfdl train --elastic "$@"
