"""What script/test-cgroup-v2 runs in the virtual machine: a table of what holds there.

/project holds the program and the repository's suite, read-only. The exit status is 0 only where
everything is as expected; what is not is told below its line. Arguments: the engines to try; with the
word `measure` before them the figures alone.
"""

import os
import shutil
import subprocess
import sys
import time

from compose import compose
from killed import killed
from measure import measure
from outcomes import outcomes
from places import DOCKER, PODMAN, SANDBOXES
from runs import CPUS, MIB, PROGRAM, SOURCE, Run, shown
from spikes import spikes
from table import command, report
import table

BASE = "docker-test-stand-in/alpine"

# The time limits are for a machine that is not emulated; nothing else of the profiles is changed.
MORE_TIME = """
profiles:
  fast: { timeout: 3m, cpu-time: 3m }
  standard: { timeout: 3m, cpu-time: 3m }
  slow: { timeout: 5m, cpu-time: 5m }
"""


def project(place):
    """A copy of the repository's suite that is the user's own."""
    folder = f"{place.folder}/proof"
    if os.path.exists(folder):
        return folder
    os.makedirs(folder)
    for name in ("test", "docker"):
        shutil.copytree(f"{SOURCE}/{name}", f"{folder}/{name}")
    with open(f"{SOURCE}/docker-test.yaml", encoding="utf-8") as file:
        config = file.read()
    with open(f"{folder}/docker-test.yaml", "w", encoding="utf-8") as file:
        file.write(config + MORE_TIME)
    place.own(place.folder)
    return folder


def proof(place, image, *arguments, failing=(), what):
    folder = project(place)
    run = Run(place, folder, "--image", image, *arguments, status=1 if failing else 0)
    for name, event in run.attempts.items():
        if name in failing:
            run.expect(name, ("fail", "exit(1)"), (event["outcome"], event["reason"]))
        elif event["outcome"] != "pass":
            run.wrong.append(f"{name}: {shown(event)}")
    tests = sum(name.endswith("_test.sh") for _, _, names in os.walk(f"{folder}/test") for name in names)
    run.expect("tests", tests, len(run.attempts))
    run.attested()
    run.measured()
    run.report(f"{place.name}: {what}")


def without_reset(place):
    failing = ["2_clean_test.sh"]
    what = "without reset 2_clean_test.sh fails"
    proof(place, "host", "--without-reset", failing=failing, what=what)


def namespaces(event):
    words = (line.split() for line in event["stdout"]["head"].splitlines())
    return {line[1]: line[2] for line in words if line[:1] == ["ns"]}


def pair(place):
    """Two workers that were there at the same time share no namespace, with each other or us."""
    run = Run(place, project(place), "--image", "host", "--workers", "2", "--hold", "2", "test/parallel")
    run.attested()
    run.expect("workers", 2, len({event["worker"] for event in run.attempts.values()}))
    kinds = [event["event"] for event in run.events if event["event"] != "progress"]
    early = kinds[: kinds.index("attempt-finished")] if run.attempts else []
    run.expect("workers before the first result", 2, early.count("worker-started"))
    one, two = [namespaces(event) for event in run.attempts.values()] or [{}, {}]
    run.expect("kinds", ["ipc", "mnt", "net", "pid"], sorted(one))
    run.expect("kinds", sorted(one), sorted(two))
    for kind in one:
        ids = {one[kind], two[kind], os.readlink(f"/proc/self/ns/{kind}")}
        run.expect(f"different {kind} namespaces", 3, len(ids))
    run.report(f"{place.name}: two held workers share no namespace")


def clamping(place):
    """A profile that is larger than the machine gets what there is."""
    arguments = ["--image", "host", "--profile", "intensive", "test/02_memory_test.sh"]
    run = Run(place, f"{place.folder}/outcomes", *arguments)
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) * 1024
    larger = {"cpus": CPUS < 4, "memory": memory < 4096 * MIB}
    run.attested(clamped=[limit for limit, clamped in larger.items() if clamped])
    for worker in run.workers:
        run.expect("cpus", min(4, CPUS), worker["attestation"]["cpus"])
        given = worker["attestation"]["memory_bytes"]
        run.holds(f"{given} bytes are more than {memory}", given <= min(memory, 4096 * MIB))
        note = f"cpus 4 -> {worker['attestation']['cpus']:g}, memory 4096 -> {given // MIB} MiB"
    run.report(f"{place.name}: limits beyond the machine are clamped", note if run.workers else "")


def machine():
    info = command("docker", "info", "--format", "{{.CgroupVersion}} {{json .SecurityOptions}}").stdout
    kind = command("stat", "--file-system", "--format", "%T", "/sys/fs/cgroup").stdout.strip()
    version = command("docker", "version", "--format", "{{.Server.Version}}").stdout.strip()
    wrong = []
    if kind != "cgroup2fs" or not info.startswith("2 "):
        wrong.append(f"the machine has no cgroup v2: {kind}, docker says {info}")
    if "name=apparmor" not in info:
        wrong.append(f"docker does not use AppArmor: {info}")
    note = f"docker {version}, Linux {os.uname().release}, {CPUS} processors"
    report("cgroup v2 and AppArmor", wrong, note)


def stand_in_base():
    made = command(f"{SOURCE}/script/stand-in-base", "alpine", BASE)
    return (made.stdout + made.stderr).splitlines() if made.returncode else []


def isolation_image(place):
    """Built on a base of one busybox, since no registry can be reached."""
    start = time.monotonic()
    wrong = stand_in_base()
    if not wrong:
        argv = [PROGRAM, "build", "isolation", "--base-image", BASE]
        built = subprocess.run(argv, cwd=project(place), capture_output=True, text=True, check=False)
        wrong = (built.stdout + built.stderr).splitlines() if built.returncode else []
    report("the isolation image is built", wrong, f"({time.monotonic() - start:.0f} s)")


def docker():
    measure(DOCKER)
    outcomes(DOCKER)
    clamping(DOCKER)
    spikes(DOCKER)
    pair(DOCKER)
    proof(DOCKER, "host", what="the isolation proof, image host")
    isolation_image(DOCKER)
    proof(DOCKER, "isolation", what="the proof, image isolation")
    without_reset(DOCKER)


def sandbox():
    for place in SANDBOXES:
        measure(place)
        outcomes(place)
        if place.given:
            clamping(place)
        spikes(place)
        pair(place)
        killed(place)
        proof(place, "host", what="the proof")
        without_reset(place)


def podman():
    measure(PODMAN)
    spikes(PODMAN)
    proof(PODMAN, "host", what="the proof")


def by_compose():
    wrong = stand_in_base()
    report("a base to build on", wrong)
    if not wrong:
        compose(BASE)


ENGINES = {"docker": docker, "sandbox": sandbox, "podman": podman, "compose": by_compose}
PLACES = {"docker": [DOCKER], "sandbox": SANDBOXES, "podman": [PODMAN]}


def main():
    engines = sys.argv[1:]
    alone = engines[:1] == ["measure"]
    machine()
    for engine in engines[alone:] or ENGINES:
        if alone:
            for place in PLACES.get(engine, []):
                measure(place)
        else:
            ENGINES[engine]()
    print("all as expected" if not table.broken else f"{table.broken} not as expected")
    return 1 if table.broken else 0


if __name__ == "__main__":
    sys.exit(main())
