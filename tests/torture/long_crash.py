"""A crash at every call of random workloads over a simulated disk, as often as asked."""

from __future__ import annotations

from random import Random

from crash_workload import Expected, check_image, images, run_workload

STEPS = 10
PROGRESS_EVERY = 10_000


def run(count: int, seed: int) -> str:
    """Opens that many images: workloads with and without syncs, and crashes after crashes."""
    done = workloads = acknowledged = generations = 0
    while done < count:
        random = Random(f"{seed}-{workloads}")
        sync = workloads % 4 != 3
        before = b""
        head: str | None = None
        for _generation in range(1 + workloads % 3):
            made = run_workload(random, steps=random.randint(1, STEPS), sync=sync, start=before)
            expected = Expected.of_run(made)
            survivors = [(before, head)]
            for index, image in images(made, random):
                least = made.head_at(index) or head if sync else None
                found = check_image(image, expected, least)
                acknowledged += least is not None
                survivors.append((image, found if sync and image else None))
                done += 1
                if done % PROGRESS_EVERY == 0:
                    print(f"crash: {done} images", flush=True)
            before, head = random.choice(survivors)
            generations += 1
        workloads += 1
    return (
        f"{done} images of {generations} workloads, {acknowledged} of them with something "
        "acknowledged: 0 acknowledged writes lost, 0 half batches"
    )
