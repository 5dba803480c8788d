/**
 * Ways out of a sandbox, each as a script of bash that ends with 0 where it has got what it wanted. It is told: `$O` a
 * folder outside that everybody may write, with a file `secret`; `$P` a port of this machine, by TCP and UDP; `$IP` an
 * address of it; `$V` a process of the same user; `$U` and `$A` local sockets, by path and abstract. In the workspace
 * lie `planted` and `plantedDir`, links to the secret and its folder.
 */
export type Attempt = {
  name: string;
  script: string;
  /** Without a sandbox it gets what it wants, and harms nothing: that the judge sees it is tested, too. */
  control?: true;
  /** It needs perl to make system calls; where there is none it is skipped. */
  perl?: true;
  /** It is after what is denied in the workspace: `kept/deep/secret`. */
  kept?: true;
  /** It is ended by its limits, however it ends itself. */
  bomb?: true;
};

const rows = (kind: string, scripts: readonly string[], more: Partial<Attempt> = {}): Attempt[] =>
  scripts.map((script) => ({ name: `${kind}: ${script}`, script, ...more }));

const READS = rows(
  'reads',
  [
    'cat "$O/secret"',
    'cat "../../../../../../..$O/secret"',
    'cat "/proc/self/root$O/secret"',
    'cat "/proc/thread-self/root$O/secret"',
    'cat planted',
    'cat plantedDir/secret',
    'ln -s "$O/secret" l; cat l',
    'ln -s / r; cat "r$O/secret"',
    'ln -s "/proc/self/root$O" r; cat r/secret',
    'cd plantedDir && cat secret',
    'tar -cf - "$O" 2>/dev/null | grep -a secret-mark',
    'cp -rL plantedDir copy && cat copy/secret',
    'grep -r secret-mark "$O" plantedDir/',
    'exec 9<"$O/secret"; cat <&9',
    'cat < "/dev/fd/../../..$O/secret"',
    'mapfile -t x < "$O/secret"; echo "${x[@]}" | grep mark',
  ],
  { control: true },
);
const KEPT = rows(
  'denied',
  [
    'grep -r denied-mark .',
    'tar cf - . | grep -a denied-mark',
    'cp -rT . /tmp/c && cat /tmp/c/kept/deep/secret',
    'mv kept moved',
    'mv kept/deep moved',
    'rm -rf kept/deep/secret; [[ ! -e kept/deep ]]',
    'ln kept/deep/secret l && cat l',
    'ln -s kept/deep l; cat l/secret',
    'umount -l kept/deep; cat kept/deep/secret',
    'mount --rbind kept /tmp && cat /tmp/deep/secret',
    'unshare -rm bash -c "umount kept/deep; cat kept/deep/secret"',
    'mkdir kept/new; mv -T --exchange kept/new kept/deep && cat kept/new/secret',
    'cat /proc/1/cwd/kept/deep/secret || cat /proc/self/root/workspace/kept/deep/secret',
    'for d in /proc/*/fd/*; do cat "$d/kept/deep/secret" && exit 0; done; exit 1',
    'while read -r _ _ _ from _; do cat "$from/secret" && exit 0; done < /proc/self/mountinfo; exit 1',
    'cd kept/deep && cat ../../kept/deep/secret',
    'chmod 777 kept/deep || touch kept/deep/new',
  ],
  { kept: true },
);
const HOST_READS = rows('reads', [
  'cat /workspace/../outside/secret',
  'cat /proc/self/cwd/../outside/secret',
  'cat /proc/1/cwd/../outside/secret',
  'cat "/proc/1/root$O/secret"',
  'for d in /proc/1/fd/* /proc/self/fd/*; do cat "$d/../outside/secret" && exit 0; done; exit 1',
  'for d in /proc/1/fd/* /proc/self/fd/*; do [[ -d "$d" && "$d" != /proc/self/fd/* ]] && exit 0; done; exit 1',
  'for d in /proc/*/map_files/*; do cat "$d/../secret" && exit 0; done; exit 1',
  'cat "/proc/$V/root$O/secret" || cat "/proc/$V/cwd/secret"',
  'cat /etc/shadow',
  'cat /etc/gshadow',
  'cat /etc/sudoers',
  'ls /etc/ssh',
  'ls /etc/ssl/private',
  'ls /root',
  'ls /home',
  'ls ~/.ssh || ls ~/.aws || ls ~/.config',
  'ls /var/lib',
  'ls /var/log',
  'ls /run/secrets || ls /run/systemd || ls /var/run/',
  'ls /boot || ls /srv || ls /mnt || ls /media',
  'ls /sys/kernel',
  'ls /oldroot || ls /newroot',
  'ls -A /tmp | grep .',
  'head -c 1 /proc/kcore',
  'timeout 1 head -c 1 /proc/kmsg',
  'timeout 1 head -c 1 /dev/kmsg',
  'head -c 1 /dev/mem || head -c 1 /dev/port',
  'head -c 1 /dev/sda || head -c 1 /dev/vda || head -c 1 /dev/nvme0n1 || head -c 1 /dev/xvda',
  'dmesg | grep .',
]);
const WRITES = rows(
  'writes',
  [
    'echo x > "$O/made"',
    'cd "$O" && mkdir made',
    'echo x >> "$O/secret"',
    'chmod 600 "$O/secret"',
    'mv "$O/secret" "$O/moved"',
    'rm -f "$O/secret"; [[ ! -e "$O/secret" && -d "$O" ]]',
    'echo x > plantedDir/made',
    'echo x > planted',
    'ln -s "$O" l; echo x > l/made',
    'cp /etc/hostname "$O/made" || cp /etc/passwd "$O/made"',
    '[[ -e "$O/secret" ]] && touch t; tar -P -cf t.tar --transform "s|^t$|$O/made|" t; tar -P -xf t.tar; [[ -e "$O/secret" && -e "$O/made" ]]',
    'mkfifo "$O/made"',
  ],
  { control: true },
);
const HOST_WRITES = rows('writes', [
  'echo x > /workspace/../outside/made',
  'echo x > /usr/bin/made || echo x > /usr/local/bin/made',
  'rm -f /usr/bin/env; [[ ! -e /usr/bin/env ]]',
  'mv /usr/bin/env /usr/bin/moved',
  'echo x >> /etc/passwd',
  'echo x > /etc/made',
  'mkdir -p /etc/cron.d; echo x > /etc/cron.d/made',
  'echo x > /made',
  'mkdir /made',
  'echo x > /dev/made',
  'echo x > /run/perdure/made',
  'echo x >> /run/perdure/node',
  'ln "$O/secret" h',
  'ln /usr/bin/env h',
  'ln -f /etc/passwd h && echo x >> h',
  'cat /bin/true > /proc/self/exe',
  'echo x > /proc/1/exe',
  'perl -e \'open(F, ">", "/proc/$$/exe") or exit 1\'',
  'for d in /proc/1/fd/*; do echo x > "$d/../outside/made" && exit 0; done; exit 1',
  'mknod disk b 8 0 && head -c 1 disk',
  'mknod memory c 1 1 && head -c 1 memory',
  'mknod /tmp/null c 1 3 && echo x > /tmp/null',
]);
const KERNEL = rows('kernel', [
  'echo "|$O/evil" > /proc/sys/kernel/core_pattern',
  'echo evil > /proc/sys/kernel/hostname',
  'echo evil > /proc/sys/kernel/modprobe',
  'echo 0 > /proc/sys/kernel/randomize_va_space',
  'echo 3 > /proc/sys/vm/drop_caches',
  'echo 1 > /proc/sys/net/ipv4/ip_forward',
  'echo ":x:M::x::/x:" > /proc/sys/fs/binfmt_misc/register',
  'echo h > /proc/sysrq-trigger',
  'echo 1 > /proc/irq/default_smp_affinity',
  'echo 0 > /proc/self/uid_map',
  'echo allow > /proc/self/setgroups',
  'echo -1000 > /proc/self/oom_score_adj',
  'echo "$O/evil" > /sys/fs/cgroup/release_agent',
  'mkdir /sys/fs/cgroup/made',
  'hostname evil',
  'date -s 2001-01-01',
  'modprobe loop',
  'insmod /x.ko',
]);
const RIGHTS = rows('rights', [
  'cp /bin/bash suid && chmod 6755 suid && [[ "$(./suid -p -c "id -ur; id -u" | sort -u)" == 0 ]]',
  'su -c true',
  'sudo -n true',
  'newgrp root < /dev/null && [[ "$(id -g)" == 0 ]]',
  'passwd -d root',
  'setpriv --reuid 0 true',
  "perl -e '$> = 0; exit($> == 0 ? 0 : 1)'",
  'unshare -Ur true',
  'unshare -m true',
  'unshare -n true',
  'unshare -pf true',
  'unshare -i true',
  'unshare -u true',
  'unshare -C true',
  'nsenter -t 1 -m true || nsenter -t 1 -p true || nsenter -t 1 -U true',
  'chroot . /bin/true',
  'mount -t tmpfs x /tmp',
  'mount -t proc x /tmp',
  'mount --bind /usr /workspace',
  'mount -o remount,rw /usr',
  'mount -o remount,rw / || mount -o remount,rw,bind /etc/passwd',
  'umount /proc || umount -l /etc/passwd',
  'pivot_root . .',
  'bwrap --ro-bind / / true',
  'setcap cap_sys_admin+ep /bin/true || capsh --addamb=cap_sys_admin -- -c true',
  'ulimit -u 100000',
  'ulimit -d unlimited',
  'ulimit -f unlimited',
  'ulimit -n 100000',
]);
const PROCESSES = rows('processes', [
  'kill -9 "$V"',
  'kill -0 "$V"',
  'kill -9 "-$V"',
  'renice -n 19 -p "$V"',
  'ls "/proc/$V"',
  'cat "/proc/$V/environ"',
  'gdb -p 1 -batch </dev/null 2>/dev/null | grep -q "0x" ',
  'strace -p 1 -o /tmp/x & sleep 0.2; [[ -s /tmp/x ]]',
  'dd if=/proc/1/mem of=/tmp/x bs=1 count=1 && [[ -s /tmp/x ]]',
  'echo x > /proc/1/mem',
  'perl -e \'$n = () = glob("/proc/[0-9]*"); exit($n > 12 ? 0 : 1)\'',
  'ipcs -m | grep -q "0x[0-9a-f]*[1-9a-f]"',
]);
const NETWORK = [
  ...rows(
    'network',
    ['exec 9<>"/dev/tcp/127.0.0.1/$P"', 'exec 9<>"/dev/tcp/localhost/$P"', 'exec 9<>"/dev/tcp/$IP/$P"'],
    {
      control: true,
    },
  ),
  ...rows('network', [
    'exec 9<>"/dev/tcp/::1/$P"',
    'exec 9<>"/dev/tcp/0.0.0.0/$P"',
    'timeout 2 bash -c "exec 9<>/dev/tcp/169.254.169.254/80"',
    'timeout 2 bash -c "exec 9<>/dev/tcp/10.0.0.1/22"',
    'timeout 2 bash -c "exec 9<>/dev/tcp/1.1.1.1/443"',
    'timeout 2 bash -c "echo x > /dev/udp/1.1.1.1/53"',
    'timeout 5 getent ahosts example.com',
    'timeout 2 ping -c 1 127.0.0.1 && timeout 2 ping -c 1 1.1.1.1',
    'ip link add x type dummy || ip addr add 10.9.9.9/8 dev lo',
    'ls /run/perdure/proxy',
    'ls /var/run/docker.sock || ls /run/docker.sock || ls /run/containerd',
    'ls /run/dbus/system_bus_socket || ls /run/user',
    'ls /tmp/.X11-unix',
    'grep -q ":$(printf %04X "$P") " /proc/net/tcp',
    'grep -q "$A" /proc/net/unix',
    'iptables -L || nft list ruleset',
  ]),
  ...rows('network', ['echo x > "/dev/udp/127.0.0.1/$P"; sleep 0.05; exit 1'], {}),
  ...rows(
    'network',
    [
      'perl -MSocket -e \'socket(S, AF_UNIX, SOCK_STREAM, 0) or exit 1; connect(S, pack("S a*", AF_UNIX, "\\0$ENV{A}")) or exit 1\'',
      "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) or exit 1; connect(S, sockaddr_un($ENV{U})) or exit 1'",
    ],
    { control: true, perl: true },
  ),
  ...[
    ['packet', 17, 3, 0],
    ['vsock', 40, 1, 0],
    ['alg', 38, 5, 0],
    ['key', 15, 3, 2],
    ['bluetooth', 31, 3, 1],
    ['xdp', 44, 3, 0],
    ['netlink audit', 16, 3, 9],
    ['netlink netfilter', 16, 3, 12],
    ['netlink uevent', 16, 3, 15],
    ['raw ip', 2, 3, 1],
  ].map(([name, ...numbers]): Attempt => ({
    name: `network: a socket of ${name}`,
    script: `perl -e 'socket(S, ${numbers.join(', ')}) or exit 1'`,
    perl: true,
  })),
];
const SECRETS = rows('environment', [
  'env | grep canary-mark',
  'set | grep "canary-[m]ark"',
  'cat /proc/*/environ | grep -a canary-mark',
  'cat /proc/*/task/*/environ | grep -a canary-mark',
  'cat /proc/*/cmdline | grep -a "canary-[m]ark"',
  'cat /proc/1/environ | grep -a .',
  '[[ -n "$SSH_AUTH_SOCK$DBUS_SESSION_BUS_ADDRESS$XDG_RUNTIME_DIR$PERDURE_TOKEN$OPENAI_API_KEY" ]]',
]);
const TERMINAL = [
  ...rows('terminal', [
    'echo x > /dev/tty',
    'echo x > /dev/console',
    'echo x > /dev/tty0 || echo x > /dev/tty1',
    'for t in /dev/pts/[0-9]*; do echo x > "$t" && exit 0; done; exit 1',
    'setsid -c true < /dev/tty',
  ]),
  ...rows(
    'terminal',
    [
      'perl -e \'ioctl(STDIN, 0x5412, my $x = "x") or exit 1\'',
      'perl -e \'ioctl(STDIN, 0x541c, my $x = "\\2") or exit 1\'',
    ],
    { perl: true },
  ),
  // The upper half of the number is not the kernel's, and so not the filter's.
  ...rows('terminal', ['perl -e \'exit(syscall(IOCTL, 0, 0x100005412, my $x = "x") == 0 ? 0 : 1)\''], { perl: true }),
];
const BOMBS = rows(
  'bomb',
  [
    'bomb() { bomb | bomb & }; bomb; sleep 1; exit 1',
    "perl -e 'for (1 .. 400) { my $p = fork(); exit 1 unless defined $p; if (!$p) { sleep 30; exit } } exit 0'",
    'perl -e \'my @x; push @x, "x" x (64 << 20) for 1 .. 16; print scalar @x; exit 0\'',
    'head -c 600M /dev/zero | tail > /tmp/x; [[ "$(stat -c %s /tmp/x)" -gt 50000000 ]]',
    'head -c 100M /dev/zero > /tmp/x',
    'head -c 100M /dev/zero > /dev/shm/x',
    'head -c 100M /dev/zero > /workspace/x',
    'truncate -s 1T /workspace/x',
    'for i in {10..999}; do eval "exec $i</dev/null" || exit 1; done',
    'while :; do :; done',
    'kill -9 -1; sleep 0.2; exit 1',
    'kill -9 1; sleep 0.2; exit 1',
    'trap "" TERM INT HUP; (trap "" TERM; setsid sleep 60 &) ; exit 1',
  ],
  { bomb: true },
);

export const ATTEMPTS: readonly Attempt[] = [
  ...READS,
  ...KEPT,
  ...HOST_READS,
  ...WRITES,
  ...HOST_WRITES,
  ...KERNEL,
  ...RIGHTS,
  ...PROCESSES,
  ...NETWORK,
  ...SECRETS,
  ...TERMINAL,
  ...BOMBS,
];
