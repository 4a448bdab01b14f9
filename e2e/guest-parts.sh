#!/usr/bin/env bash
# What a Linux guest is made of, out of Debian packages that are unpacked and not installed: a kernel for virtual
# machines with its modules, and a busybox that needs no libraries. Wants apt with the lists of its packages; no root.
set -euo pipefail
target="$(cd "$(dirname "$0")/.." && pwd)/node_modules/.cache/ringwire-guest"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

# The package without a version says which one it is now.
kernel="$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')"
apt-get -q -o APT::Sandbox::User=root download "${kernel:?apt knows no linux-image-cloud-amd64}" busybox-static
for package in ./*.deb; do dpkg-deb -x "$package" tree; done

mkdir -p parts/modules
mv "$(find tree -name 'vmlinuz-*' -type f)" parts/vmlinuz
mv "$(find tree -name busybox -type f -perm -1 | head -1)" parts/busybox
find tree -name '*.ko*' -exec mv -t parts/modules {} +
find parts/modules -name '*.xz' -exec xz -d {} +

rm -rf "$target"
mkdir -p "$(dirname "$target")"
mv parts "$target"
echo "$kernel and busybox are in $target"
