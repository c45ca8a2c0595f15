from seqgen.music.intervals import UNKNOWN, IntervalReader

TOKENS = [
    "<eos>", "<unk>", "Pitch_C4", "Pitch_D4", "Pitch_E4", "Pitch_F#4", "Duration_1", "Duration_2", "Bar_|",
    "Rest", "Key_C-major", "Beat_2", "Pitch_60", "Pitch_62", "PitchDrum_36", "Tie",
]  # fmt: skip


def read(names):
    import numpy as np

    codes, places = IntervalReader(TOKENS).read(np.array([TOKENS.index(name) for name in names], np.uint8))
    return codes.tolist(), places.tolist()


def test_a_transposed_melody_has_the_same_symbols_however_it_is_barred():
    plain, _ = read(["Key_C-major", "Pitch_C4", "Duration_1", "Pitch_D4", "Rest", "Pitch_E4", "<eos>"])
    moved, places = read(
        ["Pitch_D4", "Bar_|", "Duration_1", "Pitch_E4", "Beat_2", "Rest", "Pitch_F#4", "<eos>"]
    )
    assert plain == moved
    assert places == [0, 3, 5, 6, 7]


def test_rhythm_interval_and_rest_make_a_difference():
    plain, _ = read(["Pitch_C4", "Pitch_D4", "Pitch_E4"])
    assert read(["Pitch_C4", "Duration_1", "Pitch_D4", "Pitch_E4"])[0][1] != plain[1]
    assert (
        read(["Pitch_C4", "Duration_1", "Pitch_D4"])[0][1]
        != read(["Pitch_C4", "Duration_2", "Pitch_D4"])[0][1]
    )
    assert read(["Pitch_C4", "Tie", "Pitch_D4"])[0][1] != plain[1]
    assert read(["Pitch_C4", "Pitch_E4", "Pitch_D4"])[0][1] != plain[1]
    assert read(["Pitch_C4", "Rest", "Pitch_E4"])[0][1] != plain[1]


def test_numbered_and_named_pitches_are_the_same_and_drums_are_apart():
    assert read(["Pitch_60", "Pitch_62"])[0] == read(["Pitch_C4", "Pitch_D4"])[0]
    codes, _ = read(["Pitch_60", "PitchDrum_36", "Pitch_62"])
    assert len(set(codes)) == 3


def test_a_token_that_may_be_a_note_is_no_silence():
    codes, _ = read(["Pitch_C4", "<unk>", "Pitch_D4"])
    assert codes[1] == UNKNOWN


def test_no_interval_reaches_across_the_edge_of_a_document():
    codes, _ = read(["Pitch_C4", "Pitch_D4", "<eos>", "Pitch_E4", "Pitch_F#4"])
    assert codes[2] == 0
    assert codes[3:] == codes[:2]
