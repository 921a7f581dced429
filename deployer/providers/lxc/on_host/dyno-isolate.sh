#!/bin/sh
# Called by LXC for the host's end of a dyno's cable: NAME net up veth BRIDGE VETH.
# Dynos of a host do not hear each other.
echo 1 >"/sys/class/net/$6/brport/isolated"
