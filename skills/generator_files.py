"""What belongs together: a generator's weights, its tokenizer, the form of its prompts, and what was trained on them.

    GENERATOR/adapter/          what was learned, as the peft library lays it out; other servers take it as it is
    GENERATOR/merged/           the base with the adapter in its weights: what the bot's own engine is made of
    GENERATOR/generator.json    the digests of the base, and of the prompts' form

An adapter on another base writes nonsense without any error, so digests are compared before anything is loaded. No
torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bot.core.errors import IntegrityError, NotFound
from skills.digests import sha256_of
from skills.prompting import MARKS, Task, prompt, special_tokens
from skills.values import Values

STARTER = Path(__file__).parent / "starter"
"""The base model that comes with the installation."""
ADAPTER, MERGED, CARD = "adapter", "merged", "generator.json"
FORMAT = 1
_TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer.model")
_FORM = Task((("user", "a"), ("bot", "b 2")), ("c",), "d", {"e": "f"}, "g")


@dataclass(frozen=True, slots=True)
class Base:
    """A model, by the sha256 of its config and weights, of its tokenizer, and of the form of its prompts."""

    weights: str
    tokenizer: str
    template: str

    @classmethod
    def of(cls, folder: Path) -> Base:
        """The digests of a model's folder.

        Raises:
            NotFound: it holds no weights or no tokenizer.
        """
        weights = sorted(folder.glob("*.safetensors"))
        tokenizer = [folder / name for name in _TOKENIZER if (folder / name).is_file()]
        if not weights or not tokenizer:
            missing = "*.safetensors" if not weights else "tokenizer.json"
            raise NotFound(f"{folder} holds no {missing}; a generator's folder is what save_pretrained wrote")
        return cls(_digest(*weights, folder / "config.json"), _digest(*tokenizer), _template(folder))


_WHAT = {
    "weights": "another base model",
    "tokenizer": "a base with another tokenizer",
    "template": "another form of prompts (chat template)",
}


def write_card(folder: Path, base: Base, facts: dict[str, Any]) -> None:
    """Note what an adapter was trained on."""
    plain = {"format": FORMAT, "base": asdict(base), **facts}
    (folder / CARD).write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_card(folder: Path) -> dict[str, Any]:
    """What was noted.

    Raises:
        IntegrityError: it is missing, or not what this version writes.
    """
    try:
        found = json.loads((folder / CARD).read_text(encoding="utf-8"))
        Base(**found["base"])
        known = found["format"] == FORMAT
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IntegrityError(str(folder / CARD), f"does not tell what the adapter belongs to: {error}") from error
    if not known:
        raise IntegrityError(str(folder / CARD), f"expected format {FORMAT}, found {found['format']}; train again")
    return dict(found)


def check_base(folder: Path, base: Path) -> None:
    """Whether a trained generator belongs to a base.

    Raises:
        IntegrityError: it was trained on another one; says what differs and what to do.
    """
    trained, found = Base(**read_card(folder)["base"]), Base.of(base)
    for name, what in _WHAT.items():
        expected, present = getattr(trained, name), getattr(found, name)
        if expected != present:
            raise IntegrityError(
                str(folder),
                f"was trained on {what} than {base} (expected {name} {expected[:12]}, found {present[:12]}); "
                "name its own base in `generator.model`, or train again: bot train",
            )


def knows_marks(folder: Path) -> bool:
    """Whether a model's tokenizer has the marks of our own prompts; others are asked by their chat template."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return False
    added = {item["content"] for item in json.loads(path.read_text(encoding="utf-8")).get("added_tokens", ())}
    return added.issuperset(MARKS)


def _template(folder: Path) -> str:
    if knows_marks(folder):
        form = (*special_tokens(), prompt(_FORM, Values()))
        return hashlib.sha256("\n".join(form).encode()).hexdigest()
    config, file = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    known = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    written = file.read_text(encoding="utf-8") if file.is_file() else str(known.get("chat_template") or "")
    return hashlib.sha256(written.encode()).hexdigest()


def _digest(*files: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        if file.is_file():
            stat = file.stat()
            whole.update(f"{file.name} {_sha256(file, stat.st_size, stat.st_mtime_ns)}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=64)
def _sha256(file: Path, size: int, changed: int) -> str:
    """The sha256 of a file's content; read again only if it changed."""
    return sha256_of(file)
