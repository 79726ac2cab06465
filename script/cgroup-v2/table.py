"""The table that is printed: a line for each thing that has to hold, and under it what is wrong."""

import subprocess

broken = 0


def report(what, wrong, note=""):
    """One line of the table, and under it what is wrong."""
    global broken
    print(f"{'FAIL' if wrong else 'ok':4}  {what:52}  {note}", flush=True)
    for line in wrong:
        print(f"      | {line}", flush=True)
    broken += bool(wrong)


def command(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False)
