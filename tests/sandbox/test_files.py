"""No sight of the machine's files, by any spelling, and no writing outside the scratch directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders.sandbox.client import SandboxClient
from tests.sandbox.attempts import attempt, loading

READS = {
    "as it is": "open(path).read()",
    "twice the slashes": "open(path.replace('/', '//')).read()",
    "by way of ..": "open('/dev/../' + path).read()",
    "far up": "open('../' * 40 + path[1:]).read()",
    "by a symbolic link": "os.symlink(path, 'link') or open('link').read()",
    "by a link to the root": "os.symlink('/', 'root') or open('root' + path).read()",
    "by a hard link": "os.link(path, 'link') or open('link').read()",
    "by the directory's descriptor": "os.open(os.path.basename(path), 0, dir_fd=os.open(os.path.dirname(path), os.O_PATH))",
    "by /proc/self/root": "open('/proc/self/root' + path).read()",
    "by /proc/1/root": "open('/proc/1/root' + path).read()",
    "by /proc/self/cwd": "open('/proc/self/cwd/' + '../' * 40 + path[1:]).read()",
    "by mapping": "mmap.mmap(os.open(path, os.O_RDONLY), 0, access=mmap.ACCESS_READ)[:]",
    "by listing": "os.listdir(os.path.dirname(path))",
    "by sendfile": "os.sendfile(os.open('out', os.O_CREAT | os.O_WRONLY), os.open(path, 0), 0, 10)",
    "by execution": "os.execv(path, [path])",
    "by changing the root": "os.chroot('.') or open(path).read()",
    "with O_PATH": "os.read(os.open('/proc/self/fd/%d' % os.open(path, os.O_PATH), os.O_RDONLY), 10)",
}


@pytest.mark.parametrize("spelling", READS)
def test_a_secret_is_not_read(sandbox: SandboxClient, spelling: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a key")
    secret.chmod(0o755)
    tmp_path.chmod(0o755)
    reply = attempt(sandbox, "path = item['path']", READS[spelling], "return True", item={"path": str(secret)})
    assert (reply.value, "Error" in str(reply.error)) == (None, True)


@pytest.mark.parametrize(
    "path",
    ["/", "/etc/shadow", "/etc/hostname", "/root", "/home", "/sys", "/proc/self/environ", "/proc/kcore", "/proc/1/cmdline",
     "/proc/self/maps", "/proc/mounts", "/var", "/run", "/tmp", "/dev", "/dev/kmsg", "/dev/mem", "/dev/tty", "/bin/sh"],
)  # fmt: skip
def test_the_machine_is_not_read(sandbox: SandboxClient, path: str) -> None:
    reply = attempt(
        sandbox,
        "path = item['path']",
        "return len(os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1))",
        item={"path": path},
    )
    assert reply.value in (None, 0)


WRITES = {
    "a new file": "open(path + '.new', 'w')",
    "the file": "open(path, 'w')",
    "its end": "open(path, 'a')",
    "its length": "os.truncate(path, 0)",
    "by opening to read": "os.open(path, os.O_RDONLY | os.O_TRUNC)",
    "its mode": "os.chmod(path, 0o777)",
    "its owner": "os.chown(path, os.getuid(), os.getgid())",
    "its times": "os.utime(path)",
    "its attributes": "os.setxattr(path, 'user.x', b'x')",
    "its name": "os.rename(path, path + '.new')",
    "its place": "os.rename(path, 'stolen')",
    "its existence": "os.unlink(path)",
    "a new directory": "os.mkdir(path + '.new')",
    "a link": "os.symlink('x', path + '.new')",
    "a pipe": "os.mkfifo(path + '.new')",
    "the standard library": "open(os.__file__, 'a')",
    "shared memory": "open('/dev/shm/rft-test', 'w')",
    "a directory for all": "open('/tmp/rft-test', 'w')",
}


@pytest.mark.parametrize("change", WRITES)
def test_nothing_outside_is_changed(sandbox: SandboxClient, change: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    victim = tmp_path / "victim"
    victim.write_text("whole")
    victim.chmod(0o666)
    before = victim.stat()
    reply = attempt(sandbox, "path = item['path']", WRITES[change], "return True", item={"path": str(victim)})
    assert (reply.value, "Error" in str(reply.error)) == (None, True)
    assert (list(tmp_path.iterdir()), victim.read_text()) == ([victim], "whole")
    assert (victim.stat().st_mode, victim.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@pytest.mark.parametrize("maker", ["os.mknod('d', 0o60666, os.makedev(8, 0))", "os.mknod('d', 0o20666, os.makedev(1, 1))"])
def test_devices_are_not_made(sandbox: SandboxClient, maker: str) -> None:
    assert attempt(sandbox, maker, "return True").value is None


def test_only_interpreter_and_devices_are_in_the_tree(strict: SandboxClient, tmp_path: Path) -> None:
    places = [
        str(tmp_path),
        "/home",
        "/var",
        "/sys",
        "/proc/self",
        "/usr/bin",
        "/usr/sbin",
        "/etc/ssl",
        "/opt",
        "/mnt",
        "/run",
        "/boot",
    ]
    assert attempt(strict, "return sum(map(os.path.exists, item['places']))", item={"places": places}).value == 0


@pytest.mark.parametrize("device", ["null", "zero", "full", "urandom", "random"])
def test_the_devices_that_programs_need_are_there(sandbox: SandboxClient, device: str) -> None:
    assert attempt(sandbox, f"return os.path.exists('/dev/{device}') and open('/dev/{device}', 'rb') is not None").value is True


def test_scratch_is_a_place_to_work_in(sandbox: SandboxClient) -> None:
    lines = (
        "import tempfile, sqlite3, shutil",
        "with tempfile.TemporaryDirectory() as d, open(d + '/a', 'w') as f: f.write('x')",
        "os.makedirs('a/b'); os.rename('a/b', 'c'); os.symlink('c', 'd'); open('c/e', 'w').write('y')",
        "sqlite3.connect('data.db').execute('create table t (x)')",
        "shutil.rmtree('a')",
        "return sorted(os.listdir()) == ['c', 'd', 'data.db'] and open('d/e').read() == 'y'",
    )
    assert attempt(sandbox, *lines).value is True


@pytest.mark.parametrize("change", ["the file", "its mode", "its times", "its existence", "the standard library"])
def test_nothing_outside_is_changed_while_a_source_loads(sandbox: SandboxClient, change: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    victim = tmp_path / "victim"
    victim.write_text("whole")
    before = victim.stat()
    assert "Error" in str(loading(sandbox, f"path = {str(victim)!r}\n{WRITES[change]}").error)
    assert (victim.read_text(), victim.stat().st_mode, victim.stat().st_mtime_ns) == ("whole", before.st_mode, before.st_mtime_ns)
