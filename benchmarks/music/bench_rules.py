"""Sample tunes under rules and have them checked by others: do they parse, add up, keep key, meter and range?

The tunes are written as ABC and read by music21, in a process pool, which also counts the quarters of each
bar, and by symusic's ABC reader. `seqgen novelty` tells the longest copy from the corpus. The speed is that
of sampling with and without the constraint, in alternation. The last line is JSON.

    python -m benchmarks.music.bench_rules [MODEL] [--count 1000] [--key D] [--meter 6/8] [--bars 16] ...

Without MODEL one is trained on the corpus first, for two minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from seqgen.artifacts import load_artifact
from seqgen.config import CorpusConfig
from seqgen.data.corpus import open_corpus
from seqgen.data.tunes import read_tunes
from seqgen.music.measures import measures, wrong_measures
from seqgen.music.pieces import Piece
from seqgen.music.read import MusicUnit, parse_unit
from seqgen.music.write import write_abc
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.outputs import make_piece
from seqgen.sampling.tune_rules import TuneRules, constrain_tune

TURNS, TURN_COUNT = 3, 128


def rules_of(options: argparse.Namespace) -> TuneRules:
    return TuneRules(key=options.key, meter=options.meter, bars=options.bars, range=options.range)


def judge(piece: Piece, rules: TuneRules) -> Counter[str]:
    """Count what holds of a tune as seqgen reads it back from ABC."""
    low, high = rules.parsed("range") or (0, 127)
    heights = [note.pitch.midi for note in piece.parts[0].notes if note.pitch]
    key, meter = rules.parsed("key"), rules.parsed("meter")
    counted = [measure.number for measure in measures(piece)]
    has_endings = any(bar.ending for bar in piece.bars)  # whose bars are numbered in another way
    return Counter(
        bars_add_up=not wrong_measures(piece),
        key=key is None or [value for _, value in piece.keys] == [key],
        meter=meter is None or [value for _, value in piece.meters] == [meter],
        range=all(low <= height <= high for height in heights),
        bars=rules.bars is None or counted[-1] == rules.bars or has_endings,
    )


def by_music21(tune: str) -> Counter[str]:
    """Parse a tune with music21: can it, and do its bars have the quarters of the meter?"""
    from music21 import converter

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = converter.parse(tune, format="abc")
            bars = list(score.parts[0].getElementsByClass("Measure"))
            lengths = [float(bar.duration.quarterLength) for bar in bars]
            full = float(bars[0].timeSignature.barDuration.quarterLength)
    except Exception as error:
        return Counter({f"music21: {type(error).__name__}": 1})
    long = any(length > full + 1e-6 for length in lengths)
    return Counter(
        music21_parses=1, music21_no_bar_too_long=not long, music21_notes=len(score.recurse().notes)
    )


def by_symusic(tune: str) -> bool:
    import symusic

    try:
        return symusic.Score.from_abc(tune).note_num() > 0
    except Exception:  # whatever it raises, it cannot read the tune
        return False


def hush() -> None:
    """Let other programs tell nothing: symusic's reader warns of every repeat that is not opened."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)


def by_others(tune: str) -> Counter[str]:
    return by_music21(tune) + Counter(symusic_parses=by_symusic(tune))


def longest_copy(book: Path, corpus: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "seqgen", "novelty", str(book), "--index", corpus, "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {key: found[key] for key in ("unit", "share_copied")} | {"longest": found["longest"][:1]}


def whole_in_corpus(corpus: str, tokenizer: Any) -> dict[str, int]:
    """Count the tunes of a corpus without wrong bars, and those of them that a tune without rules may be."""
    found = read_tunes(open_corpus([corpus], CorpusConfig(), level="note"), tokenizer.encoding)
    constraint, _ = constrain_tune(TuneRules(), tokenizer, prompt=[], length=10_000)
    if constraint is None:
        raise ValueError("the model makes no whole tunes")
    names, counts = list(found.symbols), Counter[str]()
    for document in found.documents:
        tokens = [names[number] for number in document]
        if not wrong_measures(tokenizer.encoding.decode(tokens)):
            ids = tokenizer.encode_tokens(tokens)
            count, rest = constraint.obeyed(ids)
            counts += Counter(without_wrong_bars=1, allowed=count == len(ids) and rest.shortest == 0)
    return dict(counts)


def speeds(sampler: Sampler, constraint: Any, length: int) -> dict[str, float]:
    """Return tokens a second, the best of some turns taken in alternation."""
    best = {"free": 0.0, "constrained": 0.0}
    for turn in range(TURNS):
        for name, limit in (("free", None), ("constrained", constraint)):
            config = SampleConfig(count=TURN_COUNT, length=length, seed=turn)
            start = time.perf_counter()
            drawn = sum(len(s.tokens) for s in collect(sampler.generate(config, constraint=limit)))
            best[name] = max(best[name], drawn / (time.perf_counter() - start))
    return best


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Sample tunes and have them judged."""
    rules = rules_of(options)
    sampler, tokenizer = Sampler(load_artifact(options.model)), load_artifact(options.model).tokenizer
    start = time.perf_counter()
    constraint, _ = constrain_tune(rules, tokenizer, prompt=[], length=options.length)
    compiling = time.perf_counter() - start
    config = SampleConfig(count=options.count, length=options.length, temperature=options.temperature, seed=1)
    drawn = list(collect(sampler.generate(config, constraint=constraint)))
    pieces = [make_piece(tokenizer, s.tokens, f"tune {s.sequence + 1}") for s in drawn]
    options.output.write_text(write_abc(iter(pieces)), encoding="utf-8")
    tunes = [write_abc([piece]) for piece in pieces]
    held: Counter[str] = Counter()
    for tune in tunes:
        held += judge(parse_unit(MusicUnit(options.output, text=tune)), rules)
    with ProcessPoolExecutor(initializer=hush) as pool:
        for found in pool.map(by_others, tunes, chunksize=25):
            held += found
    return {
        "benchmark": "rules",
        "machine": describe_machine(),
        "rules": {name: getattr(rules, name) for name in rules.given},
        "temperature": options.temperature,
        "tunes": len(tunes),
        "distinct": len({tuple(s.tokens) for s in drawn}),
        "tokens": sum(len(s.tokens) for s in drawn),
        "held": dict(held),
        "novelty": longest_copy(options.output, options.corpus),
        "corpus": whole_in_corpus(options.corpus, tokenizer),
        "constraint_seconds": round(compiling, 3),
        "tokens_a_second": {name: round(rate) for name, rate in speeds(sampler, constraint, 400).items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--corpus", default="fiddle")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--key", default="D")
    parser.add_argument("--meter", default="6/8")
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--range", default="D4:B5")
    parser.add_argument("--output", "-o", type=Path, help="Keep the tunes.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.output = options.output or Path(folder) / "tunes.abc"
        if options.model is None:
            options.model = Path(folder) / "model"
            train = ["train", options.corpus, "-o", str(options.model), "--minutes", "2"]
            subprocess.run([sys.executable, "-m", "seqgen", *train], check=True)
        print(json.dumps(measure(options)))


if __name__ == "__main__":
    main()
