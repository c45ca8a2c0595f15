import pytest

from seqgen.music.pieces import Key, parse_pitch
from seqgen.music.scales import SCALES, parse_key_name, pitch_class, scale_of


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("G", Key("G")),
        ("Bb", Key("Bb")),
        ("F#m", Key("F#", "minor")),
        ("Am", Key("A", "minor")),
        ("Ador", Key("A", "dorian")),
        ("Gmix", Key("G", "mixolydian")),
        ("D minor", Key("D", "minor")),
        ("E-phrygian", Key("E", "phrygian")),
    ],
)
def test_keys_are_read_as_musicians_write_them(text, key):
    assert parse_key_name(text) == key


@pytest.mark.parametrize("text", ["H", "HP", "none", "", "Gsus", "6/8"])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError, match="key"):
        parse_key_name(text)


def names(scale, key):
    found = scale_of(scale, key)
    every = [f"{step}{sign}4" for step in "CDEFGAB" for sign in ("b", "", "#")]
    return [name[:-1] for name in every if found(parse_pitch(name))]


def test_the_scale_of_a_key_is_spelled_as_its_signature():
    assert names("key", Key("E", "dorian")) == ["C#", "D", "E", "F#", "G", "A", "B"]
    assert names("key", Key("Bb")) == ["C", "D", "Eb", "F", "G", "A", "Bb"]


def test_a_named_scale_is_built_on_the_tonic():
    assert names("minor", Key("D")) == ["C", "D", "E", "F", "G", "A", "Bb"]
    assert names("mixolydian", Key("D", "minor")) == ["C", "D", "E", "F#", "G", "A", "B"]


def test_scales_with_gaps_follow_the_third_of_the_key():
    assert {pitch_class(name) for name in names("pentatonic", Key("G"))} == {7, 9, 11, 2, 4}
    assert {pitch_class(name) for name in names("pentatonic", Key("A", "minor"))} == {9, 0, 2, 4, 7}
    assert len({pitch_class(name) for name in names("blues", Key("A", "minor"))}) == 6
    assert len(names("chromatic", Key("C"))) == 21


def test_every_scale_has_its_tonic():
    for scale in SCALES:
        assert "F#" in names(scale, Key("F#", "minor"))


def test_notes_without_octave_are_read():
    assert [pitch_class(name) for name in ("C", "F#", "Bb", "Cb", "B#")] == [0, 6, 10, 11, 0]
    with pytest.raises(ValueError, match="no note"):
        pitch_class("D4")
