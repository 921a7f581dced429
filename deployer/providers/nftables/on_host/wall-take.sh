#!/bin/sh
# wall-take FILE...: loads each file, which replaces one table whole, and notes what the kernel made of it; the table
# of a file that is not there goes.
# Exit: 0, or that of nft; the tables that were there stay when a file is refused.
set -eu
mkdir -p /run/deployer/wall
for file; do
	name=$(basename "$file" .nft)
	if [ ! -e "$file" ]; then
		rm -f "/run/deployer/wall/$name"
		nft delete table ip "$name" 2>/dev/null || true
		continue
	fi
	nft -f "$file"
	{
		sha256sum <"$file" | cut -d' ' -f1
		nft -nn list table ip "$name" | sha256sum | cut -d' ' -f1
	} >"/run/deployer/wall/$name.new"
	mv "/run/deployer/wall/$name.new" "/run/deployer/wall/$name"
done
