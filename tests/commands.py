"""The command line as tests run it: in this process, which spares the seconds of starting; or apart, as a user does."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from bot.cli.main import main

COMMAND = (sys.executable, "-c", "from bot.cli.main import main; main()")
"""`bot`, in a process of its own."""


@dataclass(frozen=True)
class Ran:
    """What a run of the command line gave; what it printed as an error stands on one line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def bot(*arguments: object, typed: str = "") -> Ran:
    """Run a verb in this process; `typed` are the lines it reads."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["bot", *map(str, arguments)], io.StringIO(typed)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.argv, sys.stdin = before
    return Ran(code, out.getvalue(), " ".join(err.getvalue().split()))


def bot_apart(*arguments: object, typed: str = "") -> Ran:
    """Run a verb in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, input=typed)
    return Ran(done.returncode, done.stdout, " ".join(done.stderr.split()))
