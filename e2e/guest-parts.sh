#!/usr/bin/env bash
# What a Linux guest is made of, out of Debian packages that are unpacked and not installed: a kernel for virtual
# machines with its modules, and a busybox that needs no libraries. Wants apt with the lists of its packages; no root.
#   guest-parts.sh          a guest of this machine's own suite
#   guest-parts.sh vduse    one whose kernel has VDUSE: of the suite's backports, whose lists are fetched apart
set -euo pipefail
kind="${1:-}"
cache="$(cd "$(dirname "$0")/.." && pwd)/node_modules/.cache"
target="$cache/ringwire-guest${kind:+-$kind}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

apt=(-q -o APT::Sandbox::User=root)
if [ "$kind" = vduse ]; then
  # From where this machine has its own suite, and with its keys: whatever mirror that is.
  suite="$(. /etc/os-release && echo "${VERSION_CODENAME:?this is no Debian}")"
  mirror="$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | awk -v suite="$suite" '$1 == suite { print $2; exit }')"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e "$keys" ] && signed="[signed-by=$keys]" || signed=
  mkdir -p apt/lists/partial apt/cache/archives/partial
  : >apt/status
  echo "deb $signed ${mirror:?apt has no sources of $suite} $suite-backports main" >apt/sources.list
  apt+=(-o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$work/apt"
    -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt/cache" -o Acquire::Languages=none)
  apt-get "${apt[@]}" update
fi

# The package without a version says which one it is now.
kernel="$(apt-cache "${apt[@]}" depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')"
packages=("${kernel:?apt knows no linux-image-cloud-amd64}")
[ -n "$kind" ] || packages+=(busybox-static)
apt-get "${apt[@]}" download "${packages[@]}"
for package in ./*.deb; do dpkg-deb -x "$package" tree; done

mkdir -p parts/modules
mv "$(find tree -name 'vmlinuz-*' -type f)" parts/vmlinuz
[ -n "$kind" ] || mv "$(find tree -name busybox -type f -perm -1 | head -1)" parts/busybox
find tree -name '*.ko*' -exec mv -t parts/modules {} +
find parts/modules -name '*.xz' -exec xz -d {} +
[ "$kind" != vduse ] || [ -e parts/modules/vduse.ko ] || { echo "$kernel has no VDUSE"; exit 1; }

rm -rf "$target"
mkdir -p "$cache"
mv parts "$target"
echo "${packages[*]}: in $target"
