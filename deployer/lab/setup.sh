# Runs inside the new Debian root, once: what the installer of a VM would have done.
set -eu

update-ca-certificates >/dev/null
rm -f /etc/ssh/ssh_host_*

useradd --create-home --shell /bin/bash "$ADMIN"
useradd --create-home --shell /bin/bash --groups sudo "$ASKER"
printf '%s:%s\n' "$ASKER" "$ASKER_PASSWORD" | chpasswd
printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\n' "$ADMIN" >/etc/sudoers.d/lab
chmod 0440 /etc/sudoers.d/lab

cat >/etc/ssh/sshd_config.d/lab.conf <<'CONF'
PasswordAuthentication no
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/lab_keys
CONF

# An update that starts by itself would hold dpkg's lock in the middle of somebody's test.
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer

# Debian's lxc makes its bridge lxcbr0 everywhere but in an LXC container, and then waits 30 s for it. As on a VM:
mkdir -p /etc/systemd/system/lxc-net.service.d
cat >/etc/systemd/system/lxc-net.service.d/lab.conf <<'UNIT'
[Unit]
ConditionVirtualization=
UNIT

# As many as the hosts of several labs need together: the devices are the machine's, and so are their numbers.
cat >/etc/tmpfiles.d/lab-loop.conf <<'CONF'
c! /dev/loop-control 0660 root disk - 10:237
CONF
for number in $(seq 0 255); do
    printf 'b! /dev/loop%d 0660 root disk - 7:%d\n' "$number" "$number"
done >>/etc/tmpfiles.d/lab-loop.conf

# Where the machine mounts cpu and cpuacct apart (cgroup v1), systemd in a container replaces both mounts by
# links to a joint hierarchy that does not exist, and no LXC container starts in there.
cat >/usr/local/sbin/lab-cgroup <<'SCRIPT'
#!/bin/sh
set -eu
mount -o remount,rw /sys/fs/cgroup
for controller in cpu cpuacct; do
    rm -f "/sys/fs/cgroup/$controller"
    mkdir -p "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
done
SCRIPT
chmod 0755 /usr/local/sbin/lab-cgroup
cat >/etc/systemd/system/lab-cgroup.service <<'UNIT'
[Unit]
Description=Mount cpu and cpuacct apart, as on the machine of the lab
DefaultDependencies=no
Before=sysinit.target
ConditionPathIsSymbolicLink=/sys/fs/cgroup/cpu
ConditionPathIsMountPoint=!/sys/fs/cgroup/cpu,cpuacct

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/lab-cgroup
RemainAfterExit=yes

[Install]
WantedBy=sysinit.target
UNIT
systemctl --quiet enable lab-cgroup.service
