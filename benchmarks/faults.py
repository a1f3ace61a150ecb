"""Random kills: whether anything is lost, doubled or left behind.

    python benchmarks/faults.py [--seed N] [--kills 20] [--minutes 30] [--lanes 2]
        [--only SCENARIO] [--keep] [--write]

A tiny project runs undisturbed, twice at once. Then it runs again and again in folders
of its own, and its processes get signals, at moments that are uniform over the time of
an undisturbed run, or aimed at: while results are written and renamed, while mlflow.db
is created, while DVC writes dvc.lock. The stage is rerun after each kill, three times
at most at the end, and must leave what `tests/pipelines/faults.py` compares: results of
equal bytes, each run FINISHED, each metric point and model version once, short
messages, and no process and no temporary file. A scenario and its kills follow from the
seed, which is another one at each call unless it is given; what a kill hits follows
from the time as well.

What a kill costs is mostly the start of the stage after it: imports, and the processes
of Ray. So an episode has many kills, its reruns are killed in what a rerun takes, and a
worker, which restarts alone, is often killed before the driver is.

--write writes benchmarks/faults.md. The exit status is 1 if something is wrong.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `tests` is a package of this folder only

from tests.conftest import free_port
from tests.pipelines import faults
from tests.pipelines.faults import Kill, Place, Reference
from tests.pipelines.servers import sqlite_server

PAGE = Path(__file__).with_suffix(".md")

ONE, CLONES, DVC, TWO = (
    "one driver",
    "two clones with one store",
    "dvc repro",
    "two drivers in one folder",
)
SCENARIOS = {ONE: 5, CLONES: 3, DVC: 2, TWO: 2}
"Scenarios, and how often each is taken."

TARGETS = {"driver": 10, "worker": 12, "group": 4, "raylet": 1, "coordinator": 1}
TARGETS_WITH_DVC = {"dvc": 8, "driver": 4, "group": 4, "worker": 6}
SLOW = {"gcs": 1}
"The driver notices a lost control service after half a minute: one in an episode."

SIGNALS = {"SIGKILL": 4, "SIGTERM": 3, "SIGINT": 2, "SIGHUP": 2}
AIMED = ("trials report", "final fits report", "results are written")
DELAYS = {
    "mlflow.db is created": 3.0,
    "results are written": 2.0,
    "results are renamed": 0.02,
    "dvc.lock is written": 0.8,
}
"The longest delay after an aimed moment, in s; without one, half a second."

RERUN = 0.7
"Of the time of an undisturbed run, what a rerun takes: it has less to do."

KILLS = (8, 12)
"The least and the most kills of an episode."

PADDING = 52
"Stages that are added to dvc.lock, so that it is as long as that of this project."


@dataclass
class Episode:
    """Kills in one or two folders, until the stage has succeeded and is checked."""

    number: int
    scenario: str
    kills: list[Kill] = field(default_factory=list)
    "those that have hit a process"

    reruns: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Setting:
    """What all episodes share."""

    root: Path
    seed: int
    template: Path
    store: Path
    "an empty MLflow store"

    expected: Reference
    server: str
    server_store: Path
    keep: bool

    @property
    def limit(self) -> float:
        """Return the seconds after which a run counts as stuck."""
        return 120 + 12 * self.expected.seconds


def main() -> int:
    options = parsed()
    for name in ("RAY_TMPDIR", "FTML_STORAGE", "FTML_IDENTITY"):  # each has its own
        os.environ.pop(name, None)
    # `nohup` and `&` have these ignored, also by the stages. A handler, unlike that, is
    # not inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, lambda *_: None)
    root = Path(tempfile.mkdtemp(prefix="ff-", dir="/tmp"))  # Ray needs a short path
    try:
        template, store = prepare(root)
        expected = undisturbed(root, template, store)
        seconds = f"{expected.seconds:.0f} s"
        print(f"seed {options.seed}; an undisturbed run takes {seconds}", flush=True)
        port = free_port()
        (root / "server").mkdir()
        shutil.copy(store, root / "server/mlflow.db")
        with sqlite_server(root / "server", port):
            address = f"http://127.0.0.1:{port}"
            server_store = root / "server/mlflow.db"
            setting = Setting(
                root, options.seed, template, store, expected, address, server_store,
                options.keep,
            )  # fmt: skip
            start = time.monotonic()
            episodes = run(setting, options, until=start + 60 * options.minutes)
            minutes = (time.monotonic() - start) / 60
    finally:
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)
    text = page(episodes, options, expected, minutes)
    print(text)
    if options.write:
        PAGE.write_text(text)
    return 1 if any(each.problems for each in episodes) else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, help="by default another one each time")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--lanes", type=int, default=2, help="episodes at once")
    parser.add_argument("--only", choices=[*SCENARIOS], help="one scenario only")
    parser.add_argument("--keep", action="store_true", help="keep all folders")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    return options


def prepare(root: Path) -> tuple[Path, Path]:
    """Return a folder with prepared data, under DVC, and an empty MLflow store."""
    template = root / "template"
    faults.write_project(template)
    faults.pad_lock(template, PADDING)
    (root / "empty").mkdir()
    return template, faults.make_store(root / "empty")


def undisturbed(root: Path, template: Path, store: Path) -> Reference:
    """Run the project in two folders at once; return what both have left."""
    places = [new_place(root / f"u{n}", template, store) for n in range(2)]
    start = time.monotonic()
    processes = [place.start() for place in places]
    for place, process in zip(places, processes, strict=True):
        if process.wait():
            raise SystemExit(place.printed())
    seconds = time.monotonic() - start
    expected = faults.reference(places[0], seconds, twin=places[1])
    if found := [each for place in places for each in faults.problems(place, expected)]:
        raise SystemExit(f"undisturbed runs differ: {found}")
    return expected


def new_place(
    folder: Path, template: Path, store: Path | None, *, dvc: bool = False
) -> Place:
    place = faults.make_place(folder, template, dvc=dvc)
    if store:
        shutil.copy(store, place.store)
    return place


def run(
    setting: Setting, options: argparse.Namespace, *, until: float
) -> list[Episode]:
    """Run episodes in lanes until there were enough kills, or the time is over."""
    episodes: list[Episode] = []
    lock = threading.Lock()

    def lane() -> None:
        while True:
            with lock:
                kills = sum(len(each.kills) for each in episodes)
                if kills >= options.kills or time.monotonic() > until:
                    return
                rng = random.Random(f"{setting.seed}/{len(episodes)}")
                scenario = options.only or taken(rng, SCENARIOS)
                episodes.append(Episode(len(episodes), scenario))
                episode = episodes[-1]
            PLAYED[scenario](setting, episode, rng)
            for line in described(episode):
                print(line, flush=True)

    with ThreadPoolExecutor(options.lanes) as executor:
        for done in [executor.submit(lane) for _ in range(options.lanes)]:
            done.result()
    return episodes


def described(episode: Episode) -> list[str]:
    kills = "; ".join(map(str, episode.kills))
    head = f"{episode.number}, {episode.scenario}: {kills}; {episode.reruns} reruns"
    return [head, *(f"    FAIL {each}" for each in episode.problems)]


def taken(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices([*weights], [*weights.values()])[0]


def drawn(rng: random.Random, *, dvc: bool, first: bool, store: bool) -> Kill:
    """Return a random kill. store: whether mlflow.db is there."""
    target = taken(rng, TARGETS_WITH_DVC if dvc else TARGETS | (SLOW if first else {}))
    of_ray = target in ("worker", "raylet", "gcs", "coordinator")
    name = taken(rng, {"SIGKILL": 4, "SIGTERM": 1} if of_ray else SIGNALS)
    number = signal.Signals[name]
    if first and not store:
        aimed = "mlflow.db is created"
    elif dvc and target == "dvc" and rng.random() < 0.5:
        aimed = "dvc.lock is written"
    elif rng.random() < 0.3:
        aimed = rng.choice([*AIMED, "results are renamed"])
    else:
        latest = 1 if first else RERUN
        return Kill(target, number, round(rng.uniform(0, latest), 3))
    return Kill(target, number, aimed, round(rng.uniform(0, DELAYS.get(aimed, 0.5)), 3))


def kill_again_and_again(
    setting: Setting,
    place: Place,
    rng: random.Random,
    episode: Episode,
    *,
    rerun_at_once: bool = False,
) -> None:
    """Run the stage and kill, several times; then let it run to its end.

    rerun_at_once: start the stage again while that of a killed dvc runs.
    """
    process, status = None, None
    for number in range(rng.randint(*KILLS)):
        store = place.store.exists()
        kill = drawn(rng, dvc=place.dvc, first=number == 0, store=store)
        if rerun_at_once and number == 0:
            kill = Kill("dvc", signal.SIGKILL, round(rng.uniform(0.3, 0.9), 3))
        if process is None:
            process, started = place.start(), time.monotonic()
            episode.reruns += number > 0
        duration = setting.expected.seconds
        if faults.strike(place, process, kill, started=started, duration=duration):
            episode.kills.append(kill)
            if kill.target == "worker":
                continue  # the driver continues
        status = faults.wait(place, process, limit=setting.limit)
        if not rerun_at_once:
            faults.wait_for_drivers(place, limit=setting.limit)
        faults.check_output(place)
        if kill.target == "driver" and kill.number != signal.SIGKILL and not place.dvc:
            faults.check_closed(place, process)
        process = None
        if status == 0:
            break
    if process is not None:
        status = faults.wait(place, process, limit=setting.limit)
        faults.check_output(place)
    faults.wait_for_drivers(place, limit=setting.limit)
    if status != 0:
        episode.reruns += faults.complete(place, limit=setting.limit)


def checked(setting: Setting, episode: Episode, places: Sequence[Place]) -> None:
    for place in places:
        episode.problems += faults.problems(place, setting.expected)
    if not setting.keep:
        for place in places:
            for path in setting.root.glob(f"{place.folder.name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def play_one(setting: Setting, episode: Episode, rng: random.Random) -> None:
    store = setting.store if rng.random() < 0.75 else None
    place = new_place(setting.root / f"e{episode.number}", setting.template, store)
    kill_again_and_again(setting, place, rng, episode)
    checked(setting, episode, [place])


def play_dvc(setting: Setting, episode: Episode, rng: random.Random) -> None:
    folder = setting.root / f"e{episode.number}"
    place = new_place(folder, setting.template, setting.store, dvc=True)
    again = episode.scenario == TWO
    kill_again_and_again(setting, place, rng, episode, rerun_at_once=again)
    checked(setting, episode, [place])


def play_clones(setting: Setting, episode: Episode, rng: random.Random) -> None:
    name = f"e{episode.number}"
    places = [
        new_place(setting.root / f"{name}{clone}", setting.template, None)
        for clone in "ab"
    ]
    served = rng.random() < 0.5
    shared = setting.root / f"{name}s"
    shared.mkdir()
    for place in places:
        place.store = setting.server_store if served else shared / "mlflow.db"
        place.address = setting.server if served else f"sqlite:///{place.store}"
    seeds = [rng.random() for _ in places]
    with ThreadPoolExecutor(2) as executor:
        played = [
            executor.submit(
                kill_again_and_again, setting, place, random.Random(seed), episode
            )
            for place, seed in zip(places, seeds, strict=True)
        ]
        for each in played:
            each.result()
    checked(setting, episode, places)


PLAYED: dict[str, Callable[[Setting, Episode, random.Random], None]] = {
    ONE: play_one,
    CLONES: play_clones,
    DVC: play_dvc,
    TWO: play_dvc,
}

ABOUT = """# Random kills

Written by `python benchmarks/faults.py --seed {seed} --kills {kills} --write`.

{made} kills in {episodes} episodes and {minutes:.0f} minutes, {lanes} episodes at once,
on {cores} cores; an undisturbed run took {seconds:.0f} s. Each episode kills processes
of a stage several times and reruns it; a rerun is a start of the stage after a kill.
An episode fails unless the stage succeeds in at most three reruns, its results have the
bytes of an undisturbed run, all runs are FINISHED in MLflow, each run, metric point,
logged model and model version is there once, no message has more than five lines, and
no process or temporary file is left. A failed episode counts for its last kill.
"""


def page(
    episodes: Sequence[Episode],
    options: argparse.Namespace,
    expected: Reference,
    minutes: float,
) -> str:
    made = [(each, kill) for each in episodes for kill in each.kills]
    head = ABOUT.format(
        seed=options.seed, kills=options.kills, made=len(made), minutes=minutes,
        episodes=len(episodes), lanes=options.lanes, cores=os.cpu_count(),
        seconds=expected.seconds,
    )  # fmt: skip
    kills = Counter((each.scenario, k.target, k.number.name) for each, k in made)
    failed = Counter(
        (each.scenario, each.kills[-1].target, each.kills[-1].number.name)
        for each in episodes
        if each.problems and each.kills
    )
    reruns = Counter[str]()
    for each in episodes:
        reruns[each.scenario] += each.reruns
    bad = sum(bool(each.problems) for each in episodes)
    return "\n".join(
        [
            head,
            table(["scenario", "target", "signal", "kills", "failed episodes"],
                  [[*key, kills[key], failed[key]] for key in sorted(kills)]),
            table(["moment", "kills"], moments(made)),
            table(["scenario", "reruns"], [[*pair] for pair in sorted(reruns.items())]),
            f"{bad} episodes failed{':' if bad else '.'}\n",
            *(f"- {line.strip()}" for each in episodes if each.problems
              for line in described(each)),
        ]
    ).rstrip() + "\n"  # fmt: skip


def moments(made: Sequence[tuple[Episode, Kill]]) -> list[list[object]]:
    counts = Counter(
        k.moment if isinstance(k.moment, str) else "uniform" for _, k in made
    )
    return [[name, count] for name, count in sorted(counts.items())]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:], ""])


if __name__ == "__main__":
    sys.exit(main())
