/** Numbers of Linux's system calls, from its headers (`asm/unistd_64.h`, `asm-generic/unistd.h`). */

export type Machine = {
  /** AUDIT_ARCH of `linux/audit.h`. */
  audit: number;
  /** The last call that this table knows; what came after is refused unseen. */
  last: number;
  /** Calls of the x32 interface begin here, on a machine that has one. */
  x32: number | null;
  denied: readonly number[];
  clone: number;
  ioctl: number;
  socket: number;
  personality: number;
};

/** Since kernel 5.1 new calls have one number everywhere. */
const CLONE3 = 435;
const COMMON_DENIED = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_getfd: 438,
  mount_setattr: 442,
  quotactl_fd: 443,
  open_tree_attr: 467,
};
const LAST = 469;

const X64_DENIED = {
  ptrace: 101,
  syslog: 103,
  uselib: 134,
  ustat: 136,
  sysfs: 139,
  vhangup: 153,
  modify_ldt: 154,
  pivot_root: 155,
  adjtimex: 159,
  chroot: 161,
  acct: 163,
  settimeofday: 164,
  mount: 165,
  umount2: 166,
  swapon: 167,
  swapoff: 168,
  reboot: 169,
  sethostname: 170,
  setdomainname: 171,
  iopl: 172,
  ioperm: 173,
  init_module: 175,
  delete_module: 176,
  quotactl: 179,
  lookup_dcookie: 212,
  clock_settime: 227,
  kexec_load: 246,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  migrate_pages: 256,
  unshare: 272,
  move_pages: 279,
  perf_event_open: 298,
  fanotify_init: 300,
  name_to_handle_at: 303,
  open_by_handle_at: 304,
  clock_adjtime: 305,
  setns: 308,
  process_vm_readv: 310,
  process_vm_writev: 311,
  kcmp: 312,
  finit_module: 313,
  kexec_file_load: 320,
  bpf: 321,
  userfaultfd: 323,
};

const ARM64_DENIED = {
  lookup_dcookie: 18,
  umount2: 39,
  mount: 40,
  pivot_root: 41,
  chroot: 51,
  vhangup: 58,
  quotactl: 60,
  acct: 89,
  unshare: 97,
  kexec_load: 104,
  init_module: 105,
  delete_module: 106,
  clock_settime: 112,
  syslog: 116,
  ptrace: 117,
  reboot: 142,
  sethostname: 161,
  setdomainname: 162,
  settimeofday: 170,
  adjtimex: 171,
  add_key: 217,
  request_key: 218,
  keyctl: 219,
  swapon: 224,
  swapoff: 225,
  migrate_pages: 238,
  move_pages: 239,
  perf_event_open: 241,
  fanotify_init: 262,
  name_to_handle_at: 264,
  open_by_handle_at: 265,
  clock_adjtime: 266,
  setns: 268,
  process_vm_readv: 270,
  process_vm_writev: 271,
  kcmp: 272,
  finit_module: 273,
  bpf: 280,
  userfaultfd: 282,
  kexec_file_load: 294,
};

const numbers = (table: { readonly [name: string]: number }): number[] => Object.values({ ...table, ...COMMON_DENIED });

/** By `process.arch`; on any other machine there is no filter, and so no sandbox. */
export const MACHINES: { readonly [arch: string]: Machine | undefined } = {
  x64: {
    audit: 0xc000003e,
    last: LAST,
    x32: 0x40000000,
    denied: numbers(X64_DENIED),
    clone: 56,
    ioctl: 16,
    socket: 41,
    personality: 135,
  },
  arm64: {
    audit: 0xc00000b7,
    last: LAST,
    x32: null,
    denied: numbers(ARM64_DENIED),
    clone: 220,
    ioctl: 29,
    socket: 198,
    personality: 92,
  },
};

/** Told to be missing, so that the C library takes `clone`, whose flags can be read. */
export const MISSING: readonly number[] = [CLONE3];
