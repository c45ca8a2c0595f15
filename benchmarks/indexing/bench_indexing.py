"""Index text and tunes from files to ids on disk, each in a fresh process; compare words with Hugging Face.

Every time is that of a whole command, interpreter start included; memory is the peak of resident memory.
Compiled code is loaded from a warm cache, as on any day but the first.

    python benchmarks/indexing/bench_indexing.py [--large-mb 1000] [--word-mb 100]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import describe_machine

SHARED = Path(__file__).parents[3] / "shared" / "data"
SEQGEN = [sys.executable, "-m", "seqgen"]
TEXTS = ["canterbury/bible.txt", "canterbury/world192.txt", "wikitext2/wiki.train.tokens"]

ENSURE = """
import sys
from seqgen.config import build_config
from seqgen.data.indexing import ensure_index
if __name__ == "__main__":
    index = ensure_index([sys.argv[1]], build_config({}))
    print(sum(index.counts(part)["documents"] for part in ("train", "valid", "test")))
"""

HUGGING_FACE = """
import json, sys
import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
words = json.load(open(sys.argv[2]))
tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
tokenizer.pre_tokenizer = Whitespace()
with open(sys.argv[1], encoding="utf-8") as text, open(sys.argv[3], "wb") as ids:
    while lines := text.readlines(1 << 24):
        for encoding in tokenizer.encode_batch_fast(lines):
            ids.write(np.array(encoding.ids, dtype=np.uint16).data)
"""


def run(command: list[str], cache: Path) -> tuple[float, float, str]:
    """Run a command; return its seconds, its peak memory in MB and its output."""
    environment = {**os.environ, "SEQGEN_CACHE": str(cache)}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    out = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command[:6]} failed; run it by hand to see why")
    return seconds, usage.ru_maxrss / 1024, out


def text_stretches() -> Iterator[bytes]:
    while True:
        for name in TEXTS:
            yield (SHARED / name).read_bytes()


def write_text(path: Path, megabytes: int) -> Path:
    with path.open("wb") as file:
        for stretch in text_stretches():
            file.write(stretch[: megabytes * 10**6 - file.tell()])
            if file.tell() >= megabytes * 10**6:
                return path
    raise AssertionError


def warm_up(folder: Path, cache: Path) -> None:
    """Compile what is compiled once a machine."""
    text = write_text(folder / "warm.txt", 8)
    for level in ("char", "word"):
        run([*SEQGEN, "vocab", str(text), "--level", level, "-o", str(folder / f"{level}.json")], cache)
        run(
            [
                *SEQGEN,
                "index",
                str(text),
                "--vocab",
                str(folder / f"{level}.json"),
                "-o",
                str(folder / level),
            ],
            cache,
        )


def bench_characters(folder: Path, cache: Path, sizes_mb: list[int]) -> list[dict[str, object]]:
    """From a text file to an index, with a vocabulary made before."""
    rows = []
    for kind in ("files", "lines"):
        for megabytes in sizes_mb:
            text = write_text(folder / "text.txt", megabytes)
            command = [*SEQGEN, "index", str(text), "--vocab", str(folder / "char.json"), "--documents", kind]
            seconds, memory_mb, _ = run([*command, "-o", str(folder / f"{kind}-{megabytes}")], cache)
            unchanged_s, _, _ = run([*command, "-o", str(folder / f"{kind}-{megabytes}")], cache)
            rows.append(
                {
                    "documents": kind, "text_mb": megabytes, "seconds": round(seconds, 2),
                    "mb_per_s": round(megabytes / seconds, 1), "peak_memory_mb": round(memory_mb),
                    "unchanged_s": round(unchanged_s, 2),
                }
            )  # fmt: skip
            print(rows[-1])
    return rows


def bench_words(folder: Path, cache: Path, megabytes: int, repeats: int) -> dict[str, object]:
    """Word ids by seqgen and by Hugging Face `tokenizers`, in turn; the best of each counts."""
    from seqgen.data.words import cut_words

    text = write_text(folder / "text.txt", megabytes)
    sample = write_text(folder / "sample.txt", 8).read_text(encoding="utf-8", errors="ignore")
    words = ["[UNK]", *sorted({word.strip() for word in cut_words(sample, "words")} - {""})]
    (folder / "words.json").write_text(json.dumps(words))
    ours = [*SEQGEN, "index", str(text), "--vocab", str(folder / "word.json"), "-o"]
    theirs = [
        sys.executable,
        "-c",
        HUGGING_FACE,
        str(text),
        str(folder / "words.json"),
        str(folder / "hf.ids"),
    ]
    times: dict[str, list[float]] = {"seqgen": [], "hugging_face": []}
    for repeat in range(repeats):
        times["seqgen"].append(run([*ours, str(folder / f"word-{repeat}")], cache)[0])
        times["hugging_face"].append(run(theirs, cache)[0])
    best = {name: round(megabytes / min(seconds), 1) for name, seconds in times.items()}
    row = {"text_mb": megabytes, "mb_per_s": best, "ratio": round(best["seqgen"] / best["hugging_face"], 2)}
    print(row)
    return row


def bench_tunes(folder: Path) -> list[dict[str, object]]:
    """From tunes to an index with nothing cached, and again when nothing changed."""
    rows = []
    for name in ("nottingham_abc", "nottingham_midi"):
        cache = folder / f"cache-{name}"
        command = [sys.executable, "-c", ENSURE, str(SHARED / name)]
        seconds, _, documents = run(command, cache)
        unchanged_s, _, _ = run(command, cache)
        row = {"corpus": name, "documents": int(documents), "seconds": round(seconds, 2)}
        rows.append(row | {"unchanged_s": round(unchanged_s, 2)})
        print(rows[-1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large-mb", type=int, default=1000)
    parser.add_argument("--word-mb", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    if not SHARED.is_dir():
        print(json.dumps({"skipped": f"{SHARED} is absent"}))
        return
    with tempfile.TemporaryDirectory(prefix="seqgen-bench-") as name:
        folder, cache = Path(name), Path(name) / "cache"
        tunes = bench_tunes(folder)
        warm_up(folder, cache)
        words = bench_words(folder, cache, options.word_mb, options.repeats)
        characters = bench_characters(folder, cache, [10, options.large_mb])
    result = {"machine": describe_machine(), "characters": characters, "words": words, "tunes": tunes}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
