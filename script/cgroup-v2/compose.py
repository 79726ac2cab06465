"""The compose file, by compose alone: its images, its replicas, its exit status."""

import os
import shutil
import subprocess
import time

from places import USER, WORK
from runs import PROGRAM, SOURCE
from table import command, report

FOLDER = f"{WORK}/compose"
TESTS = 12


def call(base, *words):
    argv = ["docker", "compose", "-f", "docker-compose.test.yml", *words]
    environment = {**os.environ, "BASE_IMAGE": base}
    said = subprocess.run(
        argv,
        cwd=FOLDER,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return said.returncode, said.stdout.splitlines()


def project():
    release = f"{FOLDER}/target/x86_64-unknown-linux-gnu/release"
    for folder in (release, f"{FOLDER}/test"):
        os.makedirs(folder)
    shutil.copy(PROGRAM, f"{release}/docker-test")
    shutil.copytree(f"{SOURCE}/docker", f"{FOLDER}/docker")
    shutil.copy(f"{SOURCE}/docker-compose.test.yml", FOLDER)
    for number in range(TESTS):
        with open(f"{FOLDER}/test/t{number}_test.sh", "w", encoding="ascii") as file:
            file.write("test \"$(id -u)\" = 1001 && ! touch /work/x 2>/dev/null\n")
    with open(f"{FOLDER}/test/bad_test.sh", "w", encoding="ascii") as file:
        file.write("exit 3\n")
    # Nobody stops a test for the emulator's slowness.
    with open(f"{FOLDER}/docker-test.yaml", "w", encoding="ascii") as file:
        file.write("profiles:\n  standard: { timeout: 3m, cpu-time: 3m }\n")
    command("chown", "-R", f"{USER}:", FOLDER)


def compose(base):
    version = command("docker", "compose", "version", "--short").stdout.strip()
    project()
    start = time.monotonic()
    status, lines = call(base, "build", "test-parallel")
    report("compose builds the image", lines if status else [], f"compose {version}")
    words = ["--scale", "test-parallel=3", "--attach", "test-run", "--exit-code-from", "test-run"]
    status, lines = call(base, "up", *words)
    wrong = [] if status == 1 else [f"the exit status is {status}, not 1"]
    expected = f"{TESTS + 1} tests in "
    if not any(expected in line and f": {TESTS} pass, 1 fail" in line for line in lines):
        wrong.append(f"no line has `{expected}…: {TESTS} pass, 1 fail`")
    if any("replaced" in line or "unenforced" in line for line in lines):
        wrong.append("a replica was replaced, or a limit does not hold")
    results = f"{FOLDER}/test-results"
    owner = command("stat", "--format", "%U", results, f"{results}/docker-test.db").stdout.split()
    if owner != [USER, USER]:
        wrong.append(f"the results belong to {owner}")
    if wrong:
        wrong += lines[-25:]
    report("three replicas run a suite, by compose alone", wrong, f"({time.monotonic() - start:.0f} s)")
    status, lines = call(base, "run", "--rm", "-T", "test-isolation", "test", "test/t1_test.sh")
    passed = status == 0 and any("1 test in" in line and "1 pass" in line for line in lines)
    report("run --rm test-isolation runs a test", [] if passed else lines[-25:])
    status, lines = call(base, "down", "--volumes")
    report("compose removes it all", lines if status else [])
