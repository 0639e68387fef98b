"""Files are read in a child process with limits, because parsers of foreign files hang, swell and crash.

The child is this module run by the same Python, without a shell and with an almost empty environment. It is told the
limits first, sets them on itself (memory, processor time per file, no writing of files, few open files) and then
answers one JSON line per file. The parent waits with a clock of its own and kills a child that breaks a limit; the next
file gets a new child. So a bad file costs one error, never the parent or the other files.

macOS does not enforce the memory limit; the time limits hold there too. Windows has neither and is refused.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from bot.core.errors import InputError
from retrieval.corpus import Document

READY = b"ready\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    memory: int = 512 * 2**20
    """Bytes of address space of the child."""
    cpu: int = 30
    """Seconds of processor time."""
    wall: float = 60.0
    """Seconds on the clock."""
    file: int = 50 * 2**20
    """Bytes of a file; a larger one is not opened."""
    text: int = 20 * 2**20
    """Bytes of the answer, about the text that a file may hold."""


class Reader:
    """Reads files in a child process, which is started at the first file and after each kill. Use it with `with`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def read(self, data: bytes, suffix: str, source: str) -> list[Document]:
        """The documents of a file with this suffix. `source` is the document id of the file.

        Raises:
            InputError: the file cannot be read, or cost more than the limits.
        """
        if len(data) > self._limits.file:
            raise InputError(f"expected at most {self._limits.file} bytes, found {len(data)}; split the file")
        if self._child is not None and self._child.poll() is not None:
            self.close()
        child = self._child or self._start()
        head = json.dumps({"suffix": suffix, "source": source, "bytes": len(data)}).encode() + b"\n"
        answer = self._ask(child, head + data)
        if "ended" in answer:
            self.close()
        if "error" in answer:
            raise InputError(answer["error"])
        return [Document.from_json(row) for row in answer["documents"]]

    def close(self) -> None:
        """Stop the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "retrieval.sandbox", json.dumps(asdict(self._limits))]
        keep = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "SYSTEMROOT", "COVERAGE_PROCESS_START")
        env = {name: os.environ[name] for name in keep if name in os.environ}
        env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), env.get("PYTHONPATH", "")]).strip(":")
        self._child = subprocess.Popen(  # noqa: S603 (our own module; no shell; file content goes through a pipe)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        if _Exchange(self._child, time.monotonic() + self._limits.wall, len(READY)).run(b"") != READY:
            self.close()
            raise InputError("expected a child process to read files, found it ending at its start; see `bot doctor`")
        return self._child

    def _ask(self, child: subprocess.Popen[bytes], request: bytes) -> dict[str, Any]:
        limits = self._limits
        started = time.monotonic()
        line = _Exchange(child, started + limits.wall, limits.text).run(request)
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        over = time.monotonic() >= started + limits.wall or len(line) > limits.text
        code = "stopped" if over else child.wait(limits.wall)
        self.close()
        if len(line) > limits.text:
            raise InputError(f"expected at most {limits.text} bytes of text in a file, found more; split the file")
        if code in ("stopped", -signal.SIGXCPU):
            raise InputError(f"expected a file that is read in {limits.cpu} s, found that it takes longer; split it")
        raise InputError(
            f"expected a file that can be read in {limits.memory >> 20} MiB, found its reader ended ({code}); split it"
        )


@dataclass(slots=True)
class _Exchange:
    """One request and one line back, written and read at the same time so that no pipe can fill up and block."""

    child: subprocess.Popen[bytes]
    deadline: float
    most: int

    def run(self, request: bytes) -> bytes:
        """The answer; without line end if the child ended, the time was over or the answer was too long."""
        assert self.child.stdin is not None and self.child.stdout is not None
        writer, reader = self.child.stdin.fileno(), self.child.stdout.fileno()
        os.set_blocking(writer, False)
        rest, answer = memoryview(request), bytearray()
        while not answer.endswith(b"\n") and len(answer) <= self.most:
            left = self.deadline - time.monotonic()
            readable, writable, _ = select.select([reader], [writer] if rest else [], [], max(left, 0))
            if not readable and not writable:
                break
            try:
                rest = rest[os.write(writer, rest[:65536]) :] if writable else rest
            except BrokenPipeError:
                rest = memoryview(b"")
            if readable:
                if not (piece := os.read(reader, 65536)):
                    break
                answer += piece
        return bytes(answer)


def main(limits: Limits, requests: IO[bytes], answers: IO[bytes]) -> None:
    """The child: read requests until there are no more. It holds no file of its own and writes to its pipe only."""
    _limit_process(limits)
    sys.excepthook = lambda kind, error, _: _answer(answers, {"error": _why(kind, error, limits), "ended": True})
    from retrieval import readers

    answers.write(READY)
    answers.flush()
    while head := requests.readline():
        ask = json.loads(head)
        data = requests.read(ask["bytes"])
        _limit_time(limits)
        try:
            documents = readers.read(ask["suffix"], data, readers.Source(ask["source"]))
            _answer(answers, {"documents": [document.to_json() for document in documents]})
        except InputError as error:
            _answer(answers, {"error": str(error)})


def _answer(answers: IO[bytes], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def _why(kind: type[BaseException], error: BaseException, limits: Limits) -> str:
    """What an unexpected error in a parser means for the file. The child ends after it."""
    if issubclass(kind, MemoryError):
        return f"expected a file that is read in {limits.memory >> 20} MiB, found it to need more; split it"
    if issubclass(kind, RecursionError):
        return "expected a file with a few levels of nesting, found too many or a loop; save it again"
    return f"expected a file that its reader understands, found {kind.__name__}: {error}; save it again"


def _limit_process(limits: Limits) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


def _limit_time(limits: Limits) -> None:
    """Processor time counts from the child's start, so each file gets its share on top of what was used."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + limits.cpu, hard))


if __name__ == "__main__":
    main(Limits(**json.loads(sys.argv[1])), sys.stdin.buffer, sys.stdout.buffer)
