"""Kill the trainer again and again: is the live bundle always whole, and does a resumed run end with the same bytes?

    python benchmarks/trainer_kill.py [--kills 50] [--seed 1]

Makes a small project (`bot init --template empty`), trains it once unhurt, then lets `bot train` run on a copy and
kills it at random moments. After each kill the live bundle, if there is one, is verified byte by byte; where a run came
to its end before it was killed, a fresh copy is begun. Then two trainers are started at once. Prints one JSON object;
exit code 1 when a bundle was broken or ended with other bytes than the unhurt one.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bot.bundles import BundleStore  # noqa: E402

BOT = str(Path(sys.executable).with_name("bot"))


@dataclass
class Tally:
    """What happened."""

    kills: int = 0
    killed_before_the_end: int = 0
    with_fitted_skills_kept: int = 0
    bundles_verified: int = 0
    ended_with_other_bytes: int = 0
    broken: list[str] = field(default_factory=list)


def train(project: Path) -> subprocess.Popen[bytes]:
    """Start a trainer."""
    return subprocess.Popen([BOT, "train", str(project)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def content(project: Path) -> str | None:
    """The digest of the live bundle, every byte of which is checked; None before the first."""
    opened = BundleStore(project / ".bot" / "models").open_current()
    return None if opened is None else opened.manifest.content


def fresh(place: Path, template: Path, number: int) -> Path:
    """A copy of the untrained project."""
    folder = place / f"copy-{number}"
    shutil.copytree(template, folder)
    return folder


def kill_often(place: Path, template: Path, expected: str, whole: float, options: argparse.Namespace) -> Tally:
    """The kills, one after the other."""
    chance, tally, copies = random.Random(options.seed), Tally(), 0
    folder = fresh(place, template, copies)
    while tally.kills < options.kills:
        process = train(folder)
        time.sleep(chance.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        process.wait()
        tally.kills += 1
        found = content(folder)
        tally.bundles_verified += found is not None
        tally.with_fitted_skills_kept += bool(list((folder / ".bot" / "runs").glob("*/made.json")))
        sys.stderr.write(f"\r{tally.kills} of {options.kills} kills")
        if found is None:
            tally.killed_before_the_end += 1
            continue
        tally.ended_with_other_bytes += found != expected
        copies += 1
        folder = fresh(place, template, copies)
    train(folder).wait()
    tally.ended_with_other_bytes += content(folder) != expected
    return tally


def at_once(place: Path, template: Path) -> dict[str, object]:
    """Two trainers on one project."""
    folder = fresh(place, template, -1)
    both = [train(folder), train(folder)]
    codes = [process.wait() for process in both]
    store = BundleStore(folder / ".bot" / "models")
    return {"exit_codes": codes, "bundles": len(store.list()), "live_bundle_whole": store.open_current() is not None}


def main() -> int:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        template = place / "template"
        subprocess.run([BOT, "init", str(template), "--template", "empty"], check=True, stdout=subprocess.DEVNULL)
        unhurt = fresh(place, template, -2)
        began = time.monotonic()
        train(unhurt).wait()
        whole = time.monotonic() - began
        expected = content(unhurt)
        assert expected is not None, "the unhurt run promoted nothing"
        tally = kill_often(place, template, expected, whole, options)
        two = at_once(place, template)
    fine = not tally.ended_with_other_bytes and bool(two["live_bundle_whole"])
    sys.stdout.write(json.dumps({"seconds_unhurt": round(whole, 1), **tally.__dict__, "two_at_once": two}) + "\n")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
