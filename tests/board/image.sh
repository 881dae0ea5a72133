# shellcheck shell=bash
# Sourced by tests/board/run: what tests/board/board.py boots, a Debian trixie for arm64. All lies in build/board. Needs
# root, and arm64 programs that run through qemu-user.

board=$PWD/build/board

# modules_of MODULE...: their files and those they need, in the order in which they load.
modules_of() {
  local module
  for module in "$@"; do modprobe --dirname "$board/kernel" --set-version "$release" --show-depends "$module"; done |
    awk '$1 == "insmod" && !seen[$2]++ {print $2}'
}

# make_initrd: finds the disk and starts what is on it.
make_initrd() {
  local tree=$board/initrd-tree module
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,dev,proc,sys,system,modules}
  cp "$board/kernel/usr/bin/busybox" "$tree/bin/"
  local number=10
  for module in $(modules_of virtio_blk ext4); do
    xz --decompress --stdout "$module" >"$tree/modules/$number-$(basename "$module" .xz)"
    number=$((number + 1))
  done
  cat >"$tree/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do /bin/busybox insmod "$module"; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /system
/bin/busybox mount --move /dev /system/dev
exec /bin/busybox switch_root /system /sbin/init
END
  chmod +x "$tree/init"
  (cd "$tree" && find . | cpio --quiet --create --format=newc | gzip -1) >"$board/initrd"
}

# make_image WHEELS: a disk with Debian, the tests' agent, the modules for a virtual camera; our files in /mnt.
make_image() {
  local root=$board/root module modules
  modules=$root/usr/lib/modules/$release
  remove_tree "$modules" "$root/mnt"
  mkdir -p "$modules"
  for module in $(modules_of vivid); do
    install -D -m 644 "$module" "$modules/${module#*/modules/"$release"/}"
  done
  cp "$board/kernel/usr/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$modules/"
  depmod --basedir "$root" "$release"
  mkdir -p "$root/mnt"
  cp -r deploy "$root/mnt/deploy"
  cp -r "$1" "$root/mnt/wheels"
  cp tests/board/agent.py "$root/opt/"
  cp tests/board/agent.service "$root/etc/systemd/system/"
  ln -sf ../agent.service "$root/etc/systemd/system/sysinit.target.wants/agent.service"
  echo board >"$root/etc/hostname"
  rm -f "$board/disk.img"
  mke2fs -q -t ext4 -d "$root" "$board/disk.img" 4G
}

# make_board WHEELS
make_board() {
  make_debian "$board/kernel" trixie --variant=extract --architectures=arm64 --include=linux-image-arm64,busybox-static
  ln -sfn usr/lib "$board/kernel/lib"
  release=$(basename "$board"/kernel/usr/lib/modules/*)
  cp "$board/kernel/boot/vmlinuz-$release" "$board/vmlinuz"
  depmod --basedir "$board/kernel" "$release"
  make_initrd
  make_debian "$board/root" trixie --variant=essential --architectures=arm64 \
    --include=systemd,systemd-sysv,udev,kmod,dbus,procps \
    --include=python3,python3-venv,mosquitto,mosquitto-clients,alsa-utils,libportaudio2
  make_image "$1"
}
