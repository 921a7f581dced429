#!/bin/sh
# demo.sh FOLDER: a practice fleet of three hosts, examples/hello on it, and the proof that it serves.
# What it changed is undone when it fails; when it succeeds the fleet stays, and `deploy lab down` removes it.
set -eu
folder=$1
deploy=${DEPLOY:-deploy}
here=$(dirname "$0")

say() { printf '\n== %s\n' "$*"; }
failed() {
	status=$?
	[ $status -eq 0 ] || { say "the demo failed: removing the practice fleet"; "$deploy" lab down; }
	exit $status
}
trap failed EXIT

say "a practice fleet of three plain Debian hosts"
mkdir -p "$folder"
cp -R "$here/hello/." "$folder/"
"$deploy" lab up --hosts 3 -C "$folder"

say "deploy plan: what differs"
"$deploy" plan -C "$folder"

say "deploy apply: make it so, and prove it"
"$deploy" apply -C "$folder" --yes

say "every router hands requests to each web dyno in turn"
for router in 10.77.0.11 10.77.0.12; do
	for _ in 1 2 3 4; do
		printf '%s: ' "$router"
		curl -fsS --retry 3 --retry-connrefused --max-time 10 "http://$router/"
	done
done

say "deploy ps"
"$deploy" ps -C "$folder"

say "deploy logs: the last lines of web and worker"
sleep 2
"$deploy" logs -C "$folder" -n 4 --ps web
"$deploy" logs -C "$folder" -n 4 --ps worker

say "deploy plan once more"
"$deploy" plan -C "$folder" --detailed-exitcode

say "the fleet stays up. Go on with: $deploy ps -C $folder; remove it with: $deploy lab down"
