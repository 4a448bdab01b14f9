/** The line that a guest says when it takes commands, and the one that ends what a command said, with its exit code. */
export const READY: RegExp = /^#ready$/m;
export const DONE: RegExp = /^#done (\d+)$/m;

/** Load the guest's modules, those first that others depend on. */
export const LOAD_MODULES = 'while read -r module; do insmod /modules/$module.ko; done < /modules/order';

/**
 * A guest's first program. Commands come as lines from the first serial port, and what they say goes there; the kernel has
 * the second one.
 * @param first lines of shell that are done before commands are taken
 */
export const guestInit = (first = ''): string => `#!/bin/sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
${first}# Held open: closing it would lose what has come already.
exec 3<>/dev/ttyS0
stty raw -echo <&3
echo '#ready' >&3
while IFS= read -r line <&3; do
  eval "$line" >&3 2>&1 </dev/null
  echo "#done $?" >&3
done
`;
