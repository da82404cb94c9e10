#!/usr/bin/env bash
# Prints the hosts that an elastic job may use now, one line such as `gpu-7:4` for each. horovodrun runs it every second.
#
# They are the lines of a file that you, or the cluster's own tools, change while the job runs: $TFDL_HOSTS, or
# hosts.elastic in the working directory. A host whose ssh port does not answer within a second is omitted.
# Horovod excludes a whole line once one of its ranks has failed: put ranks that fail together on one line, and no others.
set -euo pipefail

file=${TFDL_HOSTS:-hosts.elastic}
if [[ ! -r "$file" ]]; then
  echo "discover_hosts.sh: no file $file, expected lines such as 'gpu-7:4' (TFDL_HOSTS names another)" >&2
  exit 1
fi

own=" localhost $(hostname) $(hostname -I 2>/dev/null) "
while IFS=: read -r host slots || [[ -n "$host" ]]; do
  [[ -n "$host" && "$host" != \#* ]] || continue
  if [[ "$own" == *" $host "* || "$host" == 127.* ]] || timeout 1 bash -c ": </dev/tcp/$host/22" 2>/dev/null; then
    echo "$host:${slots:-1}"
  fi &
done <"$file"
wait
