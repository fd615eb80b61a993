#!/usr/bin/env bash
# Builds the two images that tests run against, from Debian packages alone, and imports them into the
# container engine. An image that is there already is left alone; `--rebuild` makes both anew.
#   toolchain   bash, python3 and ansible-core: what an action needs
#   ssh-target  sshd, sudo and PostgreSQL: the machine that the acme story's playbook works on
# Needs root, debootstrap and a running engine: sudo test/support/images.sh
set -euo pipefail

readonly TOOLCHAIN=polycrate-mcp-test/toolchain:1
readonly SSH_TARGET=polycrate-mcp-test/ssh-target:1
readonly RELEASE=bookworm

die() {
  echo "images.sh: $*" >&2
  exit 1
}

present() {
  docker image inspect "$1" >/dev/null 2>&1
}

# The mirror and proxy that this machine's own apt uses, so that the script works wherever apt does.
mirror() {
  local found
  found=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: $RELEASE" \
    "Component: main" 2>/dev/null | head -n 1)
  echo "${found:-http://deb.debian.org/debian}"
}

unmount() {
  if mountpoint -q "$1/proc"; then umount "$1/proc"; fi
}

# Never delete a tree that still has /proc of the host inside.
clean_up() {
  local tree
  for tree in "$work"/*; do
    if [ -d "$tree/proc" ]; then unmount "$tree" || return; fi
  done
  rm -rf "$work"
}

base() {
  debootstrap --variant=minbase --include=python3,openssh-client,ca-certificates "$RELEASE" "$1" "$(mirror)"
}

# `install_in TREE PACKAGE...`: apt in the chroot; maintainer scripts want /proc, and must start no service.
install_in() {
  local tree=$1
  shift
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  mount --bind /proc "$tree/proc"
  chroot "$tree" apt-get update
  chroot "$tree" apt-get install -y --no-install-recommends "$@"
  chroot "$tree" apt-get clean
  unmount "$tree"
  rm -rf "$tree/usr/sbin/policy-rc.d" "$tree"/var/lib/apt/lists/*
}

import() {
  tar -C "$1" --numeric-owner -c . | docker import --change 'ENV LANG=C.UTF-8' --change 'WORKDIR /workspace' - "$2" >/dev/null
  echo "images.sh: built $2"
}

toolchain() {
  install_in "$1" ansible-core
  import "$1" "$TOOLCHAIN"
}

# A user who may do what it must through sudo, and a PostgreSQL that listens on its Unix socket only: the
# container shares the host's network and must not collide with a database there.
ssh_target() {
  local tree=$1
  install_in "$tree" openssh-server sudo postgresql procps
  mkdir -p "$tree/run/sshd"
  chroot "$tree" useradd --create-home --shell /bin/bash --password '*' deploy
  echo 'deploy ALL=(ALL) NOPASSWD: ALL' >"$tree/etc/sudoers.d/deploy"
  chmod 440 "$tree/etc/sudoers.d/deploy"
  echo "listen_addresses = ''" >"$tree/etc/postgresql/15/main/conf.d/socket-only.conf"
  import "$tree" "$SSH_TARGET"
}

command -v docker >/dev/null || die 'the docker command is missing (Debian: apt-get install docker.io)'
docker version >/dev/null 2>&1 || die 'no container engine answers `docker version`; start it first'

rebuild=no
case "${1:-}" in
  '') ;;
  --rebuild) rebuild=yes ;;
  *) die "unknown argument $1; the only one is --rebuild" ;;
esac

if [ "$rebuild" = no ] && present "$TOOLCHAIN" && present "$SSH_TARGET"; then
  echo "images.sh: $TOOLCHAIN and $SSH_TARGET are there"
  exit 0
fi

[ "$(id -u)" = 0 ] || die 'must run as root, because it makes a system tree: sudo test/support/images.sh'
command -v debootstrap >/dev/null || die 'debootstrap is missing (Debian: apt-get install debootstrap)'

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
proxy=$(apt-config shell proxy Acquire::http::Proxy | sed -n "s/^proxy='\(.*\)'$/\1/p")
if [ -n "$proxy" ]; then export http_proxy=$proxy; fi

work=$(mktemp -d)
trap clean_up EXIT
base "$work/base"
if [ "$rebuild" = yes ] || ! present "$TOOLCHAIN"; then
  cp -a "$work/base" "$work/toolchain"
  toolchain "$work/toolchain"
fi
if [ "$rebuild" = yes ] || ! present "$SSH_TARGET"; then ssh_target "$work/base"; fi
