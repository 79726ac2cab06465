"""What the sandbox leaves where its launcher, or its monitor with it, is killed."""

import os
import signal
import subprocess
import time

from places import processes_of_ours
from runs import PROGRAM, Run

LAUNCHER, MONITOR, WORKER = "run", "sandbox-monitor", "--sealed"
CONFIG = "workers: 1\nprofiles:\n  standard: { timeout: 5m, cpu-time: 5m }\n"
# Seconds until a run has started, or what was killed is gone.
PATIENCE = 60


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    return condition()


def containers():
    """Groups of containers; not our folders above them, which the next run removes."""
    return [
        os.path.join(folder, name)
        for folder, names, _ in os.walk("/sys/fs/cgroup")
        if os.path.basename(folder) == "docker-test"
        for name in names
    ]


def interrupted(place, project, *roles):
    """Starts a run, kills processes of these roles, and says what is wrong then."""
    argv = [PROGRAM, "run", "--engine", place.engine, "--image", "host", "test/long_test.sh"]
    null = subprocess.DEVNULL
    run = subprocess.Popen(place.argv(*argv), cwd=project, stdout=null, stderr=null)
    wrong = []
    if not until(lambda: any(processes_of_ours(WORKER))):
        wrong.append("no container has started")
    elif bool(containers()) != place.given:
        wrong.append(f"the container's groups are {containers()}")
    for pid in list(processes_of_ours(*roles)):
        os.kill(pid, signal.SIGKILL)
    run.wait()
    if not until(lambda: not any(processes_of_ours(MONITOR, WORKER))):
        wrong.append("its processes are there still")
    if MONITOR not in roles and not until(lambda: not containers()):
        wrong.append(f"its monitor has left {containers()}")
    return wrong


def killed(place):
    project = f"{place.folder}/killed"
    os.makedirs(f"{project}/test")
    for name, text in (
        ("docker-test.yaml", CONFIG),
        ("test/long_test.sh", "sleep 600\n"),
        ("test/short_test.sh", "exit 0\n"),
    ):
        with open(f"{project}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    place.own(place.folder)
    wrong = interrupted(place, project, LAUNCHER)
    wrong += interrupted(place, project, LAUNCHER, MONITOR)
    # Sweeps what nobody was left to remove.
    run = Run(place, project, "--image", "host", "test/short_test.sh")
    run.wrong += wrong
    run.report(f"{place.name}: killed, it leaves nothing to the next run")
