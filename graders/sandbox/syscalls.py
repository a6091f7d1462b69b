"""Numbers of system calls, and which of them are denied."""

from __future__ import annotations

from graders.sandbox import kernel

FIRST_UNKNOWN = 451
"""Up to here this list has been read; what came later is denied as a whole. (From 424 on all machines share the numbers.)"""

DENIED = (
    # Other processes' memory, descriptors and scheduling.
    "kcmp", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd",
    "pidfd_send_signal", "move_pages", "migrate_pages", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "setpriority", "ioprio_set", "perf_event_open",
    # Namespaces, mounts, roots.
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "mount_setattr", "open_tree", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick",
    # The network: no socket of any family. Pairs of connected ones stay.
    "socket",
    # Kernel services with a long history of holes, or of no use here.
    "bpf", "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_submit", "userfaultfd", "add_key",
    "request_key", "keyctl", "fanotify_init", "fanotify_mark", "name_to_handle_at", "open_by_handle_at", "lookup_dcookie",
    "memfd_secret", "vmsplice", "mbind", "set_mempolicy", "set_mempolicy_home_node", "remap_file_pages", "personality",
    # Memory outside the limits on a process, and ways between one call and the next.
    "memfd_create", "shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop",
    "semctl", "mq_open", "mq_unlink", "mlockall",
    # The machine.
    "acct", "adjtimex", "clock_adjtime", "clock_settime", "settimeofday", "delete_module", "init_module", "finit_module",
    "kexec_load", "kexec_file_load", "ioperm", "iopl", "modify_ldt", "nfsservctl", "quotactl", "quotactl_fd", "reboot",
    "sethostname", "setdomainname", "swapon", "swapoff", "syslog", "sysfs", "_sysctl", "uselib", "ustat", "vhangup",
)  # fmt: skip

NEEDED_BY_THE_ZYGOTE = ("seccomp", "pidfd_open")
"""Denied to the calls that it forks."""

SIGNALS_TO_OTHERS = ("tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
"""Where process ids are the machine's."""

CHANGES_OF_FILES = (
    "chmod", "fchmodat", "chown", "lchown", "fchownat", "setxattr", "lsetxattr", "removexattr", "lremovexattr", "truncate",
    "utime", "utimes", "futimesat", "utimensat", "inotify_init", "inotify_init1", "inotify_add_watch",
)  # fmt: skip
"""By path: Landlock does not stand in their way."""

STARTS_OF_PROCESSES = ("fork", "vfork")

_X86_64 = {
    "acct": 163, "add_key": 248, "adjtimex": 159, "bpf": 321, "chmod": 90, "chown": 92, "chroot": 161, "clock_adjtime": 305,
    "clock_settime": 227, "clone": 56, "delete_module": 176, "fanotify_init": 300, "fanotify_mark": 301, "fchmodat": 268,
    "fchownat": 260, "finit_module": 313, "fork": 57, "futimesat": 261, "init_module": 175, "inotify_add_watch": 254,
    "inotify_init": 253, "inotify_init1": 294, "io_setup": 206, "io_submit": 209, "ioperm": 173, "iopl": 172, "ioprio_set": 251,
    "kcmp": 312, "kexec_file_load": 320, "kexec_load": 246, "keyctl": 250, "kill": 62, "lchown": 94, "lookup_dcookie": 212,
    "lremovexattr": 198, "lsetxattr": 189, "mbind": 237, "memfd_create": 319, "migrate_pages": 256, "mlockall": 151, "mmap": 9,
    "modify_ldt": 154, "mount": 165, "move_pages": 279, "mq_open": 240, "mq_unlink": 241, "msgctl": 71, "msgget": 68,
    "msgrcv": 70, "msgsnd": 69, "name_to_handle_at": 303, "nfsservctl": 180, "open_by_handle_at": 304, "perf_event_open": 298,
    "personality": 135, "pivot_root": 155, "prlimit64": 302, "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101,
    "quotactl": 179, "reboot": 169, "remap_file_pages": 216, "removexattr": 197, "request_key": 249, "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297, "sched_setaffinity": 203, "sched_setattr": 314, "sched_setparam": 142, "sched_setscheduler": 144,
    "seccomp": 317, "semctl": 66, "semget": 64, "semop": 65, "semtimedop": 220, "set_mempolicy": 238, "setdomainname": 171,
    "sethostname": 170, "setns": 308, "setpriority": 141, "settimeofday": 164, "setxattr": 188, "shmat": 30, "shmctl": 31,
    "shmget": 29, "socket": 41, "swapoff": 168, "swapon": 167, "sysfs": 139, "_sysctl": 156, "syslog": 103, "tgkill": 234,
    "tkill": 200, "truncate": 76, "umount2": 166, "unshare": 272, "uselib": 134, "userfaultfd": 323, "ustat": 136, "utime": 132,
    "utimensat": 280, "utimes": 235, "vfork": 58, "vhangup": 153, "vmsplice": 278,
}  # fmt: skip

_AARCH64 = {
    "acct": 89, "add_key": 217, "adjtimex": 171, "bpf": 280, "chroot": 51, "clock_adjtime": 266, "clock_settime": 112,
    "clone": 220, "delete_module": 106, "fanotify_init": 262, "fanotify_mark": 263, "fchmodat": 53, "fchownat": 54,
    "finit_module": 273, "init_module": 105, "inotify_add_watch": 27, "inotify_init1": 26, "io_setup": 0, "io_submit": 2,
    "ioprio_set": 30, "kcmp": 272, "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219, "kill": 129, "lookup_dcookie": 18,
    "lremovexattr": 15, "lsetxattr": 6, "mbind": 235, "memfd_create": 279, "migrate_pages": 238, "mlockall": 230, "mmap": 222,
    "mount": 40, "move_pages": 239, "mq_open": 180, "mq_unlink": 181, "msgctl": 187, "msgget": 186, "msgrcv": 188, "msgsnd": 189,
    "name_to_handle_at": 264, "nfsservctl": 42, "open_by_handle_at": 265, "perf_event_open": 241, "personality": 92,
    "pivot_root": 41, "prlimit64": 261, "process_vm_readv": 270, "process_vm_writev": 271, "ptrace": 117, "quotactl": 60,
    "reboot": 142, "remap_file_pages": 234, "removexattr": 14, "request_key": 218, "rt_sigqueueinfo": 138,
    "rt_tgsigqueueinfo": 240, "sched_setaffinity": 122, "sched_setattr": 274, "sched_setparam": 118, "sched_setscheduler": 119,
    "seccomp": 277, "semctl": 191, "semget": 190, "semop": 193, "semtimedop": 192, "set_mempolicy": 237, "setdomainname": 162,
    "sethostname": 161, "setns": 268, "setpriority": 140, "settimeofday": 170, "setxattr": 5, "shmat": 196, "shmctl": 195,
    "shmget": 194, "socket": 198, "swapoff": 225, "swapon": 224, "syslog": 116, "tgkill": 131, "tkill": 130, "truncate": 45,
    "umount2": 39, "unshare": 97, "userfaultfd": 282, "utimensat": 88, "vhangup": 58, "vmsplice": 75,
}  # fmt: skip

_SHARED = {
    "clone3": 435, "fsconfig": 431, "fsmount": 432, "fsopen": 430, "fspick": 433, "io_uring_enter": 426, "io_uring_register": 427,
    "io_uring_setup": 425, "memfd_secret": 447, "mount_setattr": 442, "move_mount": 429, "open_tree": 428, "pidfd_getfd": 438,
    "pidfd_open": 434, "pidfd_send_signal": 424, "process_madvise": 440, "process_mrelease": 448, "quotactl_fd": 443,
    "set_mempolicy_home_node": 450,
}  # fmt: skip

BY_MACHINE = {"x86_64": _X86_64 | _SHARED, "aarch64": _AARCH64 | _SHARED}
NUMBERS = BY_MACHINE.get(kernel.MACHINE, {})
"""This machine's. A name that is missing is no call of this machine."""
