"""Attacks by id: what a hostile grader or completion tries. Each body returns True when it has got what it wanted."""

from __future__ import annotations

# What a body may use, besides the modules of `attempts.HEAD` and `libc`: `item` with
# `secret`, `victim` (files that anybody may read and write), `folder` (theirs), `pid` (a process), `tcp`, `udp` (ports),
# `unix` (a listening socket's path), `abstract` (a listening socket's name).
READS = {
    "read.open": "return 'a key' in open(item['secret']).read()",
    "read.slashes": "return 'a key' in open(item['secret'].replace('/', '//')).read()",
    "read.dotdot": "return 'a key' in open('../' * 40 + item['secret'][1:]).read()",
    "read.dev-dotdot": "return 'a key' in open('/dev/..' + item['secret']).read()",
    "read.symlink": "os.symlink(item['secret'], 'l'); return 'a key' in open('l').read()",
    "read.symlink-root": "os.symlink('/', 'r'); return 'a key' in open('r' + item['secret']).read()",
    "read.dirfd": "d = os.open(item['folder'], os.O_RDONLY); return b'a key' in os.read(os.open('secret', 0, dir_fd=d), 99)",
    "read.openat-path": "d = os.open(item['folder'], os.O_PATH); return b'a key' in os.read(os.open('secret', 0, dir_fd=d), 99)",
    "read.proc-root": "return 'a key' in open('/proc/self/root' + item['secret']).read()",
    "read.proc-cwd": "return 'a key' in open('/proc/self/cwd/' + '../' * 40 + item['secret'][1:]).read()",
    "read.proc-fd": "f = os.open(item['secret'], os.O_PATH); return 'a key' in open('/proc/self/fd/%d' % f).read()",
    "read.mmap": "f = os.open(item['secret'], 0); return b'a key' in mmap.mmap(f, 0, access=mmap.ACCESS_READ)[:]",
    "read.sendfile": "o = os.open('o', os.O_CREAT | os.O_RDWR); return os.sendfile(o, os.open(item['secret'], 0), 0, 5) == 5",
    "read.list": "return 'secret' in os.listdir(item['folder'])",
    "read.stat": "return os.stat(item['secret']).st_size > 0",
    "read.passwd": "return 'root' in open('/etc/passwd').read()",
    "read.subprocess": "import subprocess; return b'a key' in subprocess.check_output(['cat', item['secret']])",
    "read.environ-of-others": "return len(open('/proc/%d/environ' % item['pid'], 'rb').read(9)) == 9",
    "read.command-lines": "return b'sleep' in open('/proc/%d/cmdline' % item['pid'], 'rb').read()",
    "read.mounts": "return len(open('/proc/self/mountinfo').read()) > 0",
    "read.kernel": "return 'Linux' in open('/proc/version').read()",
    "read.machine-id": "return len(os.listdir('/sys/class')) > 0",
}
WRITES = {
    "write.open": "open(item['victim'], 'w').write('x'); return True",
    "write.append": "open(item['victim'], 'a').write('x'); return True",
    "write.truncate": "os.truncate(item['victim'], 0); return True",
    "write.chmod": "os.chmod(item['victim'], 0o777); return True",
    "write.utime": "os.utime(item['victim'], (1, 1)); return True",
    "write.rename": "os.rename(item['victim'], item['victim'] + '.x'); return True",
    "write.replace": "open('mine', 'w').write('x'); os.replace(os.path.abspath('mine'), item['victim']); return True",
    "write.unlink": "os.unlink(item['victim']); return True",
    "write.mkdir": "os.mkdir(item['folder'] + '/new'); return True",
    "write.mkfifo": "os.mkfifo(item['folder'] + '/pipe'); return True",
    "write.hardlink": "os.link(item['victim'], item['folder'] + '/hard'); return True",
    "write.symlink": "os.symlink('/', item['folder'] + '/soft'); return True",
    "write.tmp": "n = '/tmp/rft-attack-%d' % item['pid']; open(n, 'w').close(); os.unlink(n); return True",
    "write.shm": "n = '/dev/shm/rft-attack-%d' % item['pid']; open(n, 'w').close(); os.unlink(n); return True",
    "write.sparse": "f = open('sparse', 'wb'); f.truncate(1 << 36); return True",
}
PROCESSES = {
    "process.kill": "os.kill(item['pid'], 9); return True",
    "process.look": "os.kill(item['pid'], 0); return True",
    "process.pidfd": "signal.pidfd_send_signal(os.pidfd_open(item['pid']), 9); return True",
    "process.sigqueue": "return libc.sigqueue(item['pid'], 9, 0) == 0",
    "process.stop": "os.kill(item['pid'], signal.SIGSTOP); os.kill(item['pid'], signal.SIGCONT); return True",
    "process.parent": "os.kill(os.getppid(), 0); return os.getppid() > 1",
    "process.affinity": "os.sched_setaffinity(item['pid'], os.sched_getaffinity(item['pid'])); return True",
    "process.limits": "import resource; resource.prlimit(item['pid'], resource.RLIMIT_CORE, (0, 0)); return True",
    "process.ptrace": "return libc.ptrace(0x4206, item['pid'], 0, 0) == 0",
    "process.memory": "return len(open('/proc/%d/mem' % os.getppid(), 'rb').fileno().__str__()) > 0",
}
NETWORK = {
    "net.tcp": "return bool(socket.create_connection(('127.0.0.1', item['tcp']), 2))",
    "net.udp": "return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', item['udp'])) == 1",
    "net.listen": "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); return True",
    "net.any-address": "return bool(socket.create_connection(('0.0.0.0', item['tcp']), 2))",
    "net.names": "return bool(socket.getaddrinfo('localhost', 80))",
    "net.unix": "socket.socket(socket.AF_UNIX).connect(item['unix']); return True",
    "net.abstract": "socket.socket(socket.AF_UNIX).connect('\\0' + item['abstract']); return True",
    "net.netlink": "return bool(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))",
    "net.interfaces": "return len(socket.if_nameindex()) > 1",
    "net.vsock-or-alg": "return bool(socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))",
    "net.subprocess": """import subprocess
code = 'import socket; socket.create_connection(("127.0.0.1", %d), 2)' % item['tcp']
return subprocess.run([sys.executable, '-c', code], stderr=-3).returncode == 0""",
}
KERNEL = {
    "kernel.user-namespace": "return libc.unshare(0x10000000) == 0",
    "kernel.memfd-exec": "return os.memfd_create('x') > 0",
    "kernel.shared-memory": "s = libc.shmget(0, 4096, 0o1600); return s >= 0 and libc.shmctl(s, 0, 0) == 0",
    "kernel.message-queue": "q = libc.msgget(0, 0o1600); return q >= 0 and libc.msgctl(q, 0, 0) == 0",
    "kernel.keyring": "return libc.syscall({'x86_64': 248}.get(os.uname().machine, 217), b'user', b'rft', b'x', 1, -2) > 0",
    "kernel.io-uring": "return libc.syscall(425, 4, ctypes.create_string_buffer(120)) > 0",
    "kernel.userfaultfd": "return libc.syscall({'x86_64': 323}.get(os.uname().machine, 282), 1) > 0",
    "kernel.inotify": "return libc.inotify_add_watch(libc.inotify_init1(0), item['folder'].encode(), 0xfff) > 0",
    "kernel.personality": "return libc.personality(0x0040000) != -1",
    "kernel.core-limit": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2); return True",
}
ATTACKS: dict[str, str] = {**READS, **WRITES, **PROCESSES, **NETWORK, **KERNEL}

UNSHOWN = {
    "kernel.io-uring": "some kernels are configured without it",
    "kernel.userfaultfd": "some kernels are configured without it",
    "kernel.keyring": "some containers have no keyrings",
    "kernel.user-namespace": "some distributions grant it to nobody",
    "net.vsock-or-alg": "some kernels are configured without it",
    "net.interfaces": "a machine may have the loopback interface alone",
    "process.ptrace": "some distributions let a process trace its children only",
    "process.memory": "some distributions let a process read its children's memory only",
    "read.environ-of-others": "needs the same user, and a kernel that lets one look",
    "write.sparse": "shown by the file limit of the disk tests: a file of 64 GiB needs a file system that holds it",
    "kernel.core-limit": "needs a hard limit that is higher than the soft one",
}
"""Attacks that may fail on a machine without any of our walls, so that their success there proves nothing when it lacks."""

SEEN_AT_PROCESS = {"read.stat": "Landlock hides what a file holds, not that it is there"}
"""Attacks that succeed at the level `process`, as the threat model says, and at `strict` no more."""
