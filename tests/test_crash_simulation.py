"""Power fails at every call to the storage: what was acknowledged is there, no batch is halved."""

from __future__ import annotations

from random import Random

import pytest
from crash_workload import Expected, check_image, images, open_image, run_workload
from simulated_storage import KINDS, SimulatedStorage, moments

from koru_delta import Config, SyncDatabase

STEPS = 8


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_at_every_call_keeps_what_was_acknowledged(seed: int) -> None:
    random = Random(seed)
    run = run_workload(random, steps=STEPS)
    expected = Expected.of_run(run)
    found = set()
    for index, image in images(run, random):
        found.add(check_image(image, expected, run.head_at(index)))
    assert expected.heads[-1] in found
    assert len(found) > STEPS // 2, "the crashes were at different places"


@pytest.mark.parametrize("seed", range(2))
def test_without_syncs_a_crash_leaves_whole_commits_in_order(seed: int) -> None:
    random = Random(100 + seed)
    run = run_workload(random, steps=STEPS, sync=False)
    expected = Expected.of_run(run)
    for _, image in images(run, random):
        check_image(image, expected, None)


def test_without_syncs_the_death_of_the_process_loses_nothing() -> None:
    random = Random(200)
    run = run_workload(random, steps=STEPS, sync=False)
    expected = Expected.of_run(run)
    for index, image in images(run, random, ["everything"]):
        check_image(image, expected, run.head_at(index))


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_after_a_crash_keeps_both(seed: int) -> None:
    random = Random(300 + seed)
    first = run_workload(random, steps=STEPS)
    before = Expected.of_run(first)
    index, image = random.choice([pair for pair in images(first, random) if pair[1]])
    head = check_image(image, before, first.head_at(index))
    second = run_workload(random, steps=3, start=image)
    expected = Expected.of_run(second)
    assert head in expected.heads
    for index, again in images(second, random):
        # Before the new handle has acknowledged anything, what the old one had is still due.
        check_image(again, expected, second.head_at(index) or head)


def test_the_simulation_would_notice_a_missing_sync() -> None:
    class Forgetful(SimulatedStorage):
        def sync(self) -> None:
            """Nothing."""

    place = Forgetful()
    with SyncDatabase(Config(storage=place)) as db:
        db.put("a", "key", 1)
        head = db.head
    expected = Expected.of(bytes(place.live))
    last = moments(place)[-1]
    assert check_image(KINDS["everything"](last, Random(0)), expected, head) == head
    with pytest.raises(AssertionError, match="1 acknowledged commits are lost"):
        check_image(KINDS["nothing"](last, Random(0)), expected, head)


def test_the_simulation_would_notice_half_a_commit() -> None:
    place = SimulatedStorage()
    with SyncDatabase(Config(storage=place)) as db:
        db.put("a", "key", 1)
        db.put("a", "other", 2)
    content = bytes(place.live)
    expected = Expected.of(content)
    state, _ = open_image(content)
    expected.heads[-1] = "f" * 64
    with pytest.raises(AssertionError, match="half a commit"):
        check_image(content, expected, None)
    assert state["a/other"][0][1] == 2
