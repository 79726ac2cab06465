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
    "reclaim": "# docker-test: profile=fast\ncat /usr/bin/* >/dev/null\nexec sleep 1\n",
    # Two at once, and one processor.
    "throttled": "# docker-test: profile=fast\n"
    '"$DOCKER_TEST" probe burn here 1000 &\n"$DOCKER_TEST" probe burn here 1000\nwait\n',
}
# How many times longer something is held there, for looks that are dearer there and keep away for many times what they
# cost: at processes, and, dearest, at the parts of memory.
LONGER = {"touch": 20, "open-files": 10, "threads": 10, "processes": 10, "sleep": 10}


def in_the_guest(script):
    """A program as it is run there. What burns tells its CPU time, because starting a program costs much there, and
    not always the same."""
    script = re.sub(r"\b(touch \d+|open-files \d+|threads \d+|processes \d+|sleep) ([\d.]+)$", longer, script, flags=re.M)
    return re.sub(r"exec (\S+ probe burn .*)\n", lambda found: TOLD.format(found[1]), script)


def longer(found):
    what = found[1].split()[0]
    return f"{found[1]} {float(found[2]) * LONGER[what]:g}"
