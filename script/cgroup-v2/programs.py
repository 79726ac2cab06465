"""The programs of the corpus as they are run in an emulated machine, and a few of its own."""

import re

# MiB.
READ = 16
# The shell says in the end what the kernel has told it of its CPU time and of its children's.
TOLD = "exec bash -c '{}; times'\n"
OWN = {
    "files": "ls /sys/fs/cgroup\n",
    # Past the page cache.
    "direct": f"exec dd if=/usr/bin/containerd of=/dev/null bs=1M count={READ} iflag=direct\n",
    # More than the memory of the profile.
    "reclaim": "# docker-test: profile=fast\ncat /usr/bin/* >/dev/null\nexec sleep 6\n",
    # Two at once, and one processor.
    "throttled": "# docker-test: profile=fast\n"
    '"$DOCKER_TEST" probe burn here 1000 &\n"$DOCKER_TEST" probe burn here 1000\nwait\n',
}


def in_the_guest(script):
    """What is held is held ten times as long: a look at processes is many times dearer there, and keeps away for many
    times its cost. What burns tells its CPU time, because starting a program costs much, and not always the same."""
    held = r"( probe (?:touch|open-files|threads|processes) \d+ )(\d+)|(sleep )([\d.]+)"
    script = re.sub(held, longer, script)
    return re.sub(r"exec (\S+ probe burn .*)\n", lambda found: TOLD.format(found[1]), script)


def longer(found):
    words, amount = [word for word in found.groups() if word is not None]
    return f"{words}{float(amount) * 10:g}"
