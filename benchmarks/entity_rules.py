"""What the rule and built-in entity extractors cost for one message, and for the worst messages that we know.

python benchmarks/entity_rules.py

All eight built-in types are active, and a lookup table of 10,000 entries and two patterns. Process CPU time.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from bot.core.protocols import Utterance
from skills.encoder import Encoding
from skills.entities import BUILT_IN, EntityExtractor, EntityRules

NORMAL = {
    "no value": "hello, the parcel that you sent me still has not come and nobody answers my mails",
    "a word of time": "where is my parcel, i ordered it some days back and nothing came",
    "order number": "my order number is 48213, where is it",
    "date, time, phone": "can you call me tomorrow at 3pm on 212-555-0123",
    "Chinese": "你好，我的包裹还没有到，明天下午三点可以打电话给我吗",
}
WORST = (
    "1",
    "1,",
    "5 March ",
    "a",
    "a.",
    "a@",
    "212 555 0123 ",
    "(",
    "+1 (",
    "one two ",
    "一",
    "12:30 ",
    "in 3 days ",
    " ",
)


def milliseconds(extractor: EntityExtractor, text: str, times: int) -> float:
    """Median CPU milliseconds of one message."""
    samples, batch, nothing = list[float](), [Utterance(text, 1_800_000_000.0)], [Encoding(np.zeros(1, np.float32))]
    for _ in range(times):
        start = time.process_time_ns()
        extractor.run(batch, nothing)
        samples.append((time.process_time_ns() - start) / 1e6)
    return median(samples)


def main() -> None:
    """Print the table."""
    rules = EntityRules(
        lookups={"product": tuple(f"product number {number}" for number in range(10_000))},
        patterns={"order_id": (r"\b\d{5}\b",), "code": (r"\b[A-Z]{2}-\d{4}\b",)},
        built_in=BUILT_IN,
    )
    extractor = EntityExtractor(rules=rules)
    for name, text in NORMAL.items():
        print(f"{name:20} {milliseconds(extractor, text, 500):7.3f} ms")
    for part in WORST:
        text = part * (100_000 // len(part))
        print(f"100 kB of {part!r:18} {milliseconds(extractor, text, 7):7.1f} ms")


if __name__ == "__main__":
    main()
