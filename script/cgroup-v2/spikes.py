"""Short spikes of memory after a larger test in the same worker: the kernel's counter of the peak tells
them only where the launcher resets it, through a descriptor of its own."""

import os

from runs import MIB, Run

LARGE, SPIKE, SPIKES, TOLERANCE = 300, 100, 20, 5
CONFIG = "workers: 1\nprofiles:\n  standard: { timeout: 5m, cpu-time: 5m }\n"


def spikes(place):
    project = f"{place.folder}/spikes"
    os.makedirs(f"{project}/test")
    with open(f"{project}/docker-test.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIG)
    for number in range(SPIKES + 1):
        what = f"{SPIKE} 5" if number else f"{LARGE} 0"
        with open(f"{project}/test/{number:02}_test.sh", "w", encoding="utf-8") as file:
            file.write(f'"$DOCKER_TEST" probe touch {what}\n')
    place.own(place.folder)

    run = Run(place, project, "--image", "host")
    run.attested()
    run.measured()
    run.expect("tests", SPIKES + 1, len(run.attempts))
    run.expect("workers", 1, len(run.workers))
    exact, note = 0, ""
    for name, row in sorted(run.rows.items())[1:]:
        peak, start, bound = (row[f"memory_{what}_bytes"] for what in ("peak", "start", "peak_bound"))
        if not place.given:
            run.holds(f"{name}: the source of its peak is cgroup", row["memory_peak_source"] != "cgroup")
        elif row["memory_peak_source"] == "cgroup" and abs(peak - start - SPIKE * MIB) <= TOLERANCE * MIB:
            exact += 1
        else:
            run.wrong.append(f"{name}: from {start} up to {peak}, at most {bound}")
    if place.given:
        note = f"{exact} of {SPIKES} exact ({run.seconds:.0f} s)"
    run.report(f"{place.name}: spikes of {SPIKE} MiB after one of {LARGE}", note)
