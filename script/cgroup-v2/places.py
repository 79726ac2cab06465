"""Where runs take place: an engine, and who starts it with which rights."""

import os
import pwd
import time

from table import command

USER = "dev"
WORK = "/var/tmp/test-cgroup-v2"
# What a cgroup limits. Where there is none, the worker says so.
OF_A_CGROUP = {"memory", "swap", "cpus"}
# How long systemd may take to remove the group of a scope that has ended.
PATIENCE = 10


class Place:
    """`engine`, started as `user` behind `prefix`; `given`: a cgroup of its own is to be had there."""

    def __init__(self, name, engine, *, user="root", prefix=(), given=True, apparmor="unconfined"):
        self.name = name
        self.engine = engine
        self.user = pwd.getpwnam(user)
        self.given = given
        self.apparmor = apparmor
        self.prefix = []
        if user != "root":
            home, runtime = self.user.pw_dir, f"/run/user/{self.user.pw_uid}"
            # What a login gives; root's own would lead to root's systemd.
            known = [f"HOME={home}", f"USER={user}", f"PATH={os.environ['PATH']}"]
            known += [f"XDG_RUNTIME_DIR={runtime}", f"DBUS_SESSION_BUS_ADDRESS=unix:path={runtime}/bus"]
            self.prefix = ["runuser", "-u", user, "--", "env", "-i", *known, *prefix]
        self.folder = f"{WORK}/{name.replace(' ', '-')}"

    def own(self, folder):
        """Makes everything in a folder the user's."""
        for path, _, names in os.walk(folder):
            for name in ["", *names]:
                os.chown(os.path.join(path, name), self.user.pw_uid, self.user.pw_gid)

    def argv(self, *words):
        return [*self.prefix, *words]

    def left(self):
        """What is there of containers of ours when no run is there."""
        if self.engine == "sandbox":
            return left_of_the_sandbox()
        listed = command(
            *self.argv(self.engine, "ps", "--all", "--quiet", "--filter", "label=dev.docker-test.run")
        )
        # Beside an answer it is advice.
        told = listed.stderr.splitlines() if listed.returncode else []
        return [f"container {name}" for name in listed.stdout.split()] + told


def groups_of_ours():
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            if name.startswith("docker-test"):
                yield os.path.join(folder, name)


def processes_of_ours(*wanted):
    """Process ids of programs of ours that were called with one of these words."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "docker-test" in words[0] and set(wanted) & set(words[1:3]):
            yield int(pid)


def left_of_the_sandbox():
    deadline = time.monotonic() + PATIENCE
    while True:
        left = [f"cgroup {folder}" for folder in groups_of_ours()]
        left += [f"process {pid}" for pid in processes_of_ours("sandbox-monitor", "--sealed")]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


DELEGATED = ["systemd-run", "--user", "--scope", "--quiet", "-p", "Delegate=yes", "--"]

DOCKER = Place("docker", "docker", apparmor="docker-default (enforce)")
SANDBOXES = [
    Place("sandbox as root", "sandbox"),
    Place("sandbox as a user", "sandbox", user=USER, given=False),
    Place("sandbox in a delegated group", "sandbox", user=USER, prefix=DELEGATED),
]
PODMAN = Place("podman as a user", "podman", user=USER)
