#!/usr/bin/env bash
# Trains one model on a changing set of hosts: ranks may die and join while it trains.
#
#   horovod_launch/elastic.sh 2 8 horovod_launch/discover_hosts.sh --output runs/elastic --model resnet20
#
# Starts with 2 ranks and continues with 2 to 8. horovodrun runs the script every second to get the current hosts.
# The options go to `tfdl train --elastic`; docs/elastic.md describes its guarantees. --output must be on storage that all
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
  fail "no horovodrun on PATH; activate tfdl's environment and build Horovod in it: tfdl install-horovod"
found=$("$script") || fail "$script failed, expected it to print hosts such as 'gpu-1:4'"
[[ "$found" == *:* ]] || fail "$script prints no host now, expected lines such as 'gpu-1:4'"
# Before it starts a rank, horovodrun looks for a network that two hosts share. With one host it waits ten minutes.
hosts=$(cut -d: -f1 <<<"$found" | sort -u)
[[ "$hosts" == *$'\n'* || "${HOROVODRUN_FLAGS:-}" == *--network-interface* ]] ||
  fail "one host, $hosts, expected at least two at the start, or the name of the network:" \
    "HOROVODRUN_FLAGS='--network-interfaces eth0' (lo when all ranks are on this machine)"

read -ra flags <<<"${HOROVODRUN_FLAGS:-}"
exec horovodrun -np "$fewest" --min-np "$fewest" --max-np "$most" --host-discovery-script "$script" "${flags[@]}" \
  tfdl train --elastic "$@"
