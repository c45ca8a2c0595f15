import json
from pathlib import Path

import pytest

from seqgen.errors import ConfigError
from seqgen.sampling.events import Ended, Sample
from seqgen.sampling.outputs import (
    choose_format,
    json_line,
    make_piece,
    numbered,
    text_pieces,
    title_of,
    tokens_line,
)
from seqgen.sampling.stops import Drawn
from tests.sampling.models import TUNE, abc_piece, char_tokenizer, note_tokenizer

TEXT = char_tokenizer()
MELODY = note_tokenizer([abc_piece(TUNE)])
REMI = note_tokenizer([abc_piece(TUNE)], "remi")


@pytest.mark.parametrize(
    ("tokenizer", "wanted", "output", "form"),
    [
        (TEXT, None, None, "text"),
        (TEXT, None, "x.md", "text"),
        (TEXT, None, "x.abc", "text"),
        (TEXT, None, "x.json", "json"),
        (TEXT, "tokens", "x.json", "tokens"),
        (MELODY, None, None, "abc"),
        (MELODY, None, "x.mid", "midi"),
        (MELODY, None, "x.XML", "musicxml"),
        (MELODY, None, "x.wav", "wav"),
        (MELODY, "png", "x.wav", "png"),
        (MELODY, "json", "x.mid", "json"),
        (MELODY, "abc", "x.pdf", "abc"),
        (MELODY, None, "x", "abc"),
        (REMI, None, None, "midi"),
        (REMI, None, "x.abc", "abc"),
    ],
)
def test_the_form_is_as_wanted_else_by_suffix_else_what_suits_the_model(tokenizer, wanted, output, form):
    assert choose_format(tokenizer, wanted, Path(output) if output else None) == form


def test_a_form_the_model_cannot_take_is_refused():
    with pytest.raises(ConfigError, match="--format text: this model makes music; choose --format abc, midi"):
        choose_format(MELODY, "text", None)
    with pytest.raises(ConfigError, match=r"-o x\.mid: this model makes text"):
        choose_format(TEXT, None, Path("x.mid"))
    with pytest.raises(
        ConfigError, match=r"-o x\.PDF: \.pdf files are not written; use one of \.abc, \.mid, "
    ):
        choose_format(MELODY, None, Path("x.PDF"))


def pieces(*texts, prompt="", documents="files"):
    events = []
    for number, text in enumerate(texts):
        events += [Drawn(number, 5, -1.0, char) for char in text]
        events.append(Ended(number, "eos", -1.0, ""))
    return "".join(text for _, text in text_pieces(events, prompt=prompt, documents=documents))


def test_texts_are_separated_by_an_empty_line():
    assert pieces("one", "two\n", "three") == "one\n\ntwo\n\nthree\n"


def test_texts_of_lines_stand_one_a_line():
    assert pieces("one", "two", documents="lines") == "one\ntwo\n"


def test_every_text_begins_with_the_prompt():
    assert pieces("ne", "wo", prompt="> ") == "> ne\n\n> wo\n"


def test_an_empty_text_is_a_line():
    assert pieces("", "one", documents="lines") == "\none\n"


def test_text_that_is_certain_only_at_the_end_is_shown():
    events = [Drawn(0, 5, -1.0, "a"), Ended(0, "length", 0.0, "\ufffd")]
    shown = [text for _, text in text_pieces(events, prompt="", documents="files")]
    assert shown == ["a", "\ufffd\n"]


def test_token_names_can_be_read_back():
    names = ["<eos>", "a", " ", "\\", "\n", "é", "\u2028"]
    line = tokens_line(names)
    assert line == "<eos> a \\x20 \\\\ \\n é \\u2028"
    read = [
        name if name.isascii() is False else name.encode().decode("unicode_escape")
        for name in line.split(" ")
    ]
    assert read == names


def test_a_json_line_counts_samples_from_one():
    sample = Sample(2, [5, 6], "ab", -3.14159265, "stop")
    assert json.loads(json_line(sample, seed=9, content={"text": "ab"})) == {
        "sample": 3, "seed": 9, "text": "ab", "end": "stop", "logprob_nats": -3.1416, "ids": [5, 6],
    }  # fmt: skip


def test_a_tune_keeps_its_notes_and_takes_its_title():
    tune = abc_piece(TUNE)
    piece = make_piece(MELODY, MELODY.encode(tune).tolist(), "mine")
    assert piece.title == "mine"
    assert [note.pitch for note in piece.parts[0].notes] == [note.pitch for note in tune.parts[0].notes]


def test_a_tune_begins_with_its_prompt_whether_the_model_knows_it_or_not():
    piece = make_piece(MELODY, MELODY.encode_tokens(["Pitch_D5"]).tolist(), "", begin=["Pitch_C#9"])
    assert [note.pitch.name for note in piece.parts[0].notes] == ["C#9", "D5"]


def test_one_of_several_files_is_numbered():
    assert numbered(Path("a/tune.mid"), 3) == Path("a/tune-3.mid")


def test_a_title_names_the_last_maker_alone():
    assert title_of("", "fiddle, seed 2") == "fiddle, seed 2"
    assert title_of("Reel, the old one", "fiddle, seed 2") == "Reel, the old one, by fiddle, seed 2"
    assert title_of("Reel, by fiddle, seed 1", "fiddle, seed 2") == "Reel, by fiddle, seed 2"
    assert title_of("fiddle, seed 1", "jig, beam 3") == "jig, beam 3, after fiddle, seed 1"
    assert title_of("jig, beam 3, after fiddle, seed 1", "a, seed 5") == "a, seed 5, after jig, beam 3"
