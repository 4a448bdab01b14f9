#!/usr/bin/env bash
# What a 32-bit PC boots from, out of Debian packages that are unpacked and not installed: a kernel with the modules of
# network cards, a busybox that needs no libraries, and SeaBIOS. Wants apt and its sources, and keeps lists of its own, so that
# the machine need not know of i386; no root.
set -euo pipefail
target="$(cd "$(dirname "$0")/../.." && pwd)/node_modules/.cache/ringwire-v86"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p lists/partial archives/partial
: >status
# A source that has nothing for i386, or does not answer, is no reason to stop: the others may do.
options=(-q -o APT::Architecture=i386 -o APT::Architectures=i386 -o APT::Sandbox::User=root -o Acquire::Languages=none
  -o Dir::State="$work" -o Dir::State::status="$work/status" -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work")
apt-get "${options[@]}" update || true

# The package without a version says which one it is now.
kernel="$(apt-cache "${options[@]}" depends linux-image-686 | awk '/Depends: linux-image-/ { print $2; exit }')"
apt-get "${options[@]}" download "${kernel:?apt knows no linux-image-686}" busybox-static seabios
for package in ./*.deb; do dpkg-deb -x "$package" tree; done

mkdir -p parts/modules
mv "$(find tree -name 'vmlinuz-*' -type f)" parts/vmlinuz
mv "$(find tree -name busybox -type f -perm -1 | head -1)" parts/busybox
mv tree/usr/share/seabios/bios.bin parts/bios.bin
mv tree/usr/share/seabios/vgabios-stdvga.bin parts/vgabios.bin
for module in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net pktgen; do
  find tree \( -name "$module.ko" -o -name "$module.ko.xz" \) -exec mv -t parts/modules {} +
done
find parts/modules -name '*.xz' -exec xz -d {} +

rm -rf "$target"
mkdir -p "$(dirname "$target")"
mv parts "$target"
echo "$kernel, busybox and SeaBIOS are in $target"
