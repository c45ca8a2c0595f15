"""Merges of note tokens, compared with a slow learner."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from seqgen.config import build_config
from seqgen.data.indexing import build_vocab, ensure_index
from seqgen.data.merges import Merges, learn_merges, merged_names
from seqgen.data.tokenizers import load_tokenizer
from seqgen.errors import ConfigError
from seqgen.music.encodings import count_notes
from seqgen.sampling.kinds import relative_sharpness
from seqgen.sampling.novelty import open_originals
from seqgen.sampling.outputs import make_piece
from seqgen.sampling.prompts import tune_prompt
from seqgen.sampling.tune_rules import TuneRules, constrain_tune
from seqgen.sampling.varying import infill, keep

SIZE, BAR = 9, 4
BEGINS_BAR = np.arange(SIZE) == BAR
TUNES = [np.random.default_rng(seed).integers(1, SIZE, 60).astype(np.uint32) for seed in range(7)]


def slowly_cut(tune):
    """Cut a tune before bars and around unknown tokens."""
    bars = [[]]
    for number in tune.tolist():
        if number in (BAR, 1):
            bars.append([])
        if number != 1:
            bars[-1].append(number)
        else:
            bars.append([])
    return [bar for bar in bars if bar]


def slowly_merged(bar, pair):
    merged, place = [], 0
    while place < len(bar):
        both = bar[place] + bar[place + 1] if place + 1 < len(bar) else None
        hit = both is not None and (bar[place], bar[place + 1]) == pair
        merged.append(both if hit else bar[place])
        place += 2 if hit else 1
    return merged


def test_each_merge_is_of_a_most_frequent_pair():
    merges = learn_merges(TUNES, 12, size=SIZE, begins_bar=BEGINS_BAR)
    assert len(merges) == 12
    bars = [[(number,) for number in bar] for tune in TUNES for bar in slowly_cut(tune)]
    parts = Merges(merges, SIZE + 12).parts
    for left, right, merged in merges:
        counts = Counter(pair for bar in bars for pair in pairwise(bar))
        assert counts[parts[left], parts[right]] == max(counts.values())
        assert parts[merged] == parts[left] + parts[right]
        bars = [slowly_merged(bar, (parts[left], parts[right])) for bar in bars]
    applied = [Merges(merges, SIZE + 12).apply(tune) for tune in TUNES]
    known = [parts[number] for tune in applied for number in tune.tolist() if number != 1]
    assert known == [part for bar in bars for part in bar]


def test_merged_ids_are_parted_again():
    merges = Merges(learn_merges(TUNES, 12, size=SIZE, begins_bar=BEGINS_BAR), SIZE + 12)
    for tune in TUNES:
        ids = merges.apply(tune)
        single, places = merges.undo(ids)
        assert len(ids) < len(tune)
        assert single.tolist() == tune.tolist()
        assert np.bincount(places).tolist() == [len(merges.parts[number]) for number in ids.tolist()]


def test_no_merge_reaches_over_a_bar_line_or_holds_an_unknown_token():
    merges = learn_merges(TUNES, 40, size=SIZE, begins_bar=BEGINS_BAR)
    parts = Merges(merges, SIZE + 40).parts
    assert all(BAR not in part[1:] and 1 not in part for part in parts[SIZE:])
    assert any(part[0] == BAR for part in parts[SIZE:])


def test_only_pairs_that_come_again_are_merged():
    assert learn_merges([np.array([2, 3, 5, 6])], 5, size=SIZE, begins_bar=BEGINS_BAR) == []


def test_names_tell_what_is_merged():
    merges = [(2, 3, 4), (4, 2, 5), (3, 2, 6), (2, 6, 5)]
    assert list(merged_names(["<eos>", "<unk>", "A_1", "B_2"], merges)) == [
        "A_1+B_2",
        "A_1+B_2+A_1",
        "B_2+A_1",
    ]


def abc(number):
    pitches = ["CDEFGABc"[(number + 3 * bar + beat) % 8] for bar in range(8) for beat in range(4)]
    bars = ("2".join(pitches[start : start + 4]) + "2" for start in range(0, 32, 4))
    return f"X:{number}\nT:{number}\nM:4/4\nL:1/8\nK:C\n{' | '.join(bars)} |]\n"


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text("\n".join(abc(number) for number in range(1, 41)))
    return path


def merged(book, notes="melody", merges=30):
    config = build_config({"vocab": {"notes": notes, "merges": merges}})
    return ensure_index([str(book)], config, cache=book.parent / "cache")


@pytest.mark.parametrize("notes", ["melody", "remi", "tsd"])
def test_a_merged_index_holds_the_same_tunes_in_fewer_tokens(book, notes):
    plain, short = (merged(book, notes, merges) for merges in (0, 30))
    assert len(short.tokenizer.tokens) == len(plain.tokenizer.tokens) + 30
    assert short.counts("train")["tokens"] < 0.7 * plain.counts("train")["tokens"]
    assert short.counts("train")["notes"] == plain.counts("train")["notes"]
    for one, two in ((plain.tokenizer, plain), (short.tokenizer, short)):
        tokens = two.tokens("train")
        seen = np.bincount(tokens, minlength=len(one.tokens))
        assert seen[1:].tolist() == list(one.counts[1:])
    whole = [list(index.tokenizer.decode_tokens(index.tokens("train").tolist())) for index in (plain, short)]
    assert whole[0] == whole[1]
    assert count_notes(whole[1]) == short.counts("train")["notes"]


def test_a_merged_vocabulary_is_rebuilt_from_its_file(book, tmp_path):
    config = build_config({"vocab": {"notes": "melody", "merges": 30}})
    built = build_vocab([str(book)], config).tokenizer
    built.save(tmp_path / "vocab.json")
    again = load_tokenizer(tmp_path / "vocab.json")
    assert again.tokens == built.tokens
    assert any("+" in token for token in again.tokens)
    single = build_vocab([str(book)], build_config({"vocab": {"notes": "melody"}})).tokenizer
    assert again.content_hash != single.content_hash


def test_too_many_merges_are_told(book):
    told = []
    config = build_config({"vocab": {"notes": "melody", "merges": 100_000}})
    build_vocab([str(book)], config, notify=told.append)
    assert any("pairs occur more than once" in line for line in told)


def test_prompts_kinds_and_novelty_work_with_merged_tokens(book):
    index = merged(book)
    tokenizer = index.tokenizer
    prompt = tune_prompt(tokenizer, book, number=3)
    assert tokenizer.decode_tokens(prompt.ids.tolist()) == list(prompt.names)
    assert len(prompt.ids) < len(prompt.names)
    piece = make_piece(tokenizer, prompt.ids.tolist(), "")
    assert piece.note_count == 32
    sharper = relative_sharpness(tokenizer, 1.0, {"pitch": 0.5})
    first_pitch = [token.startswith("Pitch_") for token in tokenizer.tokens]
    assert (sharper == np.where(first_pitch, 2, 1)).all()
    found = open_originals(index).compare(index.tokens("train"), index.documents("train"))
    assert len(found.lengths) == index.counts("train")["notes"]
    assert found.share(8) == 1.0


def test_rules_for_single_tokens_are_refused(book):
    tokenizer = merged(book).tokenizer
    piece = make_piece(tokenizer, tune_prompt(tokenizer, book).ids.tolist(), "")
    reason = "tokens of this model stand for several"
    with pytest.raises(ConfigError, match=f"--key: {reason}"):
        constrain_tune(TuneRules(key="C"), tokenizer, prompt=[], length=300)
    nothing, remark = constrain_tune(TuneRules(), tokenizer, prompt=[], length=300)
    assert nothing is None
    assert "bars need not add up" in remark
    assert constrain_tune(TuneRules(valid=False), tokenizer, prompt=[], length=300) == (None, "")
    with pytest.raises(ConfigError, match=f"--fix rhythm: {reason}"):
        keep(tokenizer, piece, "rhythm")
    with pytest.raises(ConfigError, match=f"--infill: {reason}"):
        infill(tokenizer, piece, (1, 2))


def test_merges_are_for_notes_alone(tmp_path):
    (tmp_path / "a.txt").write_text("text\n" * 50)
    for key, flag in (("merges", "--merges"), ("velocities", "--without velocity")):
        config = build_config({"vocab": {"level": "char", key: 0 if key == "velocities" else 3}})
        with pytest.raises(ConfigError, match=f"^{flag} has no meaning at level char"):
            build_vocab([str(tmp_path / "a.txt")], config)
