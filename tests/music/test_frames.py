"""Collections of frames in JSON."""

import json
from fractions import Fraction

import pytest

from seqgen.config import CorpusConfig, build_config
from seqgen.data.corpus import open_corpus
from seqgen.data.indexing import ensure_index
from seqgen.errors import CorpusError
from seqgen.music.chorale import ChoraleEncoding
from seqgen.music.frames import read_frames, split_frames
from seqgen.music.read import parse_unit, split_music
from tests.data.real import real

VOICES = [[72, 67, 60, 48], [72, 67, 60, 47], [74, 67, -1, 47]]
ROLL = [[48, 60, 67], [48, 67], []]


@pytest.fixture
def collection(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "frames.json"
    others = [[[60 + k, 55, 50, 45 - k]] * 3 for k in range(5)]
    path.write_text(json.dumps({"train": [VOICES, *others[:2]], "valid": others[2:4], "test": others[4:]}))
    return path


def test_columns_are_voices_and_a_note_goes_on_while_it_comes_again():
    piece = read_frames(json.dumps(VOICES), source="x.json", title="one")
    assert [part.name for part in piece.parts] == ["Soprano", "Alto", "Tenor", "Bass"]
    found = [[(n.onset, n.duration, n.pitch and n.pitch.midi) for n in part.notes] for part in piece.parts]
    quarter = Fraction(1, 4)
    assert found[0] == [(0, 2 * quarter, 72), (2 * quarter, quarter, 74)]
    assert found[1] == [(0, 3 * quarter, 67)]
    assert found[2] == [(0, 2 * quarter, 60), (2 * quarter, quarter, None)]
    assert found[3] == [(0, quarter, 48), (quarter, 2 * quarter, 47)]


def test_frames_of_several_sizes_are_a_piano_roll():
    (part,) = read_frames(json.dumps(ROLL), source="set-8th.json", title="one").parts
    assert [(note.onset, note.duration, note.pitch.midi) for note in part.notes] == [
        (0, 1, 48), (0, Fraction(1, 2), 60), (0, 1, 67),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "quarters"), [("a-quarter.json", 3), ("Jsb16th.json", Fraction(3, 4))])
def test_the_name_tells_how_long_a_frame_is(name, quarters):
    assert read_frames(json.dumps(VOICES), source=name, title="one").duration == quarters


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "[[60.5]]", "[[200]]", '[["C"]]'])
def test_what_is_no_list_of_frames_is_refused(text):
    with pytest.raises(CorpusError, match=r"x\.json: one: expected a list of frames"):
        read_frames(text, source="x.json", title="one")


def test_silence_and_broken_files_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="holds no notes"):
        read_frames("[[-1, -1]]", source="x.json", title="one")
    path = tmp_path / "a.json"
    path.write_text('{"train": [[[60, 1')
    with pytest.raises(CorpusError, match="not valid JSON"):
        split_frames(path)
    path.write_text('{"train": [], "more": []}')
    with pytest.raises(CorpusError, match="expected train, valid and test"):
        split_frames(path)


def test_a_collection_is_a_corpus_in_parts_of_its_own(collection):
    config = build_config({"vocab": {"notes": "chorale", "grid": 4}})
    made = ensure_index([str(collection)], config)
    assert [made.counts(part)["documents"] for part in ("train", "valid", "test")] == [3, 2, 1]
    assert made.record["split"] == "given"
    assert made.config["vocab"]["grid"] == 4
    assert made.tokenizer.encoding == ChoraleEncoding()


def test_other_json_is_text(tmp_path):
    (tmp_path / "a.json").write_text('{"train": "words"}')
    assert open_corpus([str(tmp_path / "a.json")], CorpusConfig()).modality == "text"


def test_every_real_chorale_comes_back_frame_by_frame():
    units = split_music(real("jsb_chorales/Jsb16thSeparated.json"))
    assert len(units) == 382
    encoding = ChoraleEncoding()
    for unit in units[::9]:
        tokens = encoding.encode(parse_unit(unit))
        frames = json.loads(unit.text)
        assert len(tokens) == 4 * len(frames)
        again = [dict.fromkeys(range(len(frames)), -1) for _ in range(4)]
        for found, part in zip(again, encoding.decode(tokens).parts, strict=True):
            for note in part.notes:
                for frame in range(int(note.onset * 4), int(note.end * 4)):
                    found[frame] = note.pitch.midi if note.pitch else -1
        assert [[voice[k] for voice in again] for k in range(len(frames))] == frames
