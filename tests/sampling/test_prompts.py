import pytest

from seqgen.data.tokenizers import byte_vocab, make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.errors import CorpusError
from seqgen.music.write import write_midi, write_musicxml
from seqgen.sampling.prompts import text_prompt, tune_prompt, tune_prompt_from_bytes
from tests.sampling.models import TUNE, abc_piece, char_tokenizer, note_tokenizer

MELODY = note_tokenizer([abc_piece(TUNE)])


def names(tokenizer, prompt):
    return [tokenizer.tokens[i] for i in prompt.ids]


def test_a_text_is_encoded_and_kept_as_given():
    prompt = text_prompt(char_tokenizer(), "a bad\n")
    assert prompt.text == "a bad\n"
    assert prompt.ids.tolist() == char_tokenizer().encode("a bad\n").tolist()
    assert prompt.remarks == ()


def test_each_unseen_character_is_named_once():
    prompt = text_prompt(char_tokenizer(), "xa\txé")
    assert prompt.remarks == ("the model has never seen x '\\t' é; read as <unk>",)
    assert prompt.ids.tolist() == [1, 2, 1, 1, 1]


def test_at_byte_level_nothing_is_unseen():
    assert text_prompt(make_tokenizer(byte_vocab()), "é😀\x00").remarks == ()


def test_at_word_level_unseen_words_are_counted():
    words = Vocab(level="word", modality="text", tokens=(EOS, UNK, "a", " bed"), options={"words": "words"})
    prompt = text_prompt(make_tokenizer(words), "a bed here")
    assert prompt.remarks == ("the model has never seen 1 of its 3 words; read as <unk>",)


def test_at_subword_level_unseen_characters_are_spelled_as_bytes():
    from seqgen.data.subwords import train_subwords

    vocab = train_subwords(["a bad cab. " * 30], kind="unigram", size=280, lowercase=False)
    prompt = text_prompt(make_tokenizer(vocab), "a é cab")
    assert prompt.remarks == ("the model has never seen é; spelled as bytes",)


@pytest.fixture
def tune(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text(TUNE)
    return path


def test_a_tune_is_gone_on_from_without_its_final_bar_line(tune):
    found = names(MELODY, tune_prompt(MELODY, tune))
    assert found == MELODY.encoding.encode(abc_piece(TUNE))[:-1]
    assert found[-1].startswith("Pitch_")


def test_of_several_tunes_the_first_is_used(tune):
    alone = tune_prompt(MELODY, tune)
    tune.write_text(TUNE + "\n" + TUNE.replace("ABcd", "dcBA"))
    prompt = tune_prompt(MELODY, tune)
    assert prompt.ids.tolist() == alone.ids.tolist()
    assert prompt.remarks == ("of 2 tunes the first is used",)


def test_unseen_notes_are_told(tune):
    tune.write_text(TUNE.replace("ABcd", "A,Bcd"))
    assert tune_prompt(MELODY, tune).remarks == (
        f"the model has never seen 1 of the {len(MELODY.encoding.encode(abc_piece(TUNE))) - 1} tokens; "
        "read as <unk>",
    )


@pytest.mark.parametrize(
    "content",
    [TUNE.encode(), write_midi(abc_piece(TUNE)), write_musicxml(abc_piece(TUNE)).encode()],
    ids=["abc", "midi", "musicxml"],
)
def test_the_kind_of_a_nameless_tune_is_seen_from_its_content(content):
    remi = note_tokenizer([abc_piece(TUNE)], "remi")
    prompt = tune_prompt_from_bytes(remi, content, source="standard input")
    assert sum(name.startswith("Pitch_") for name in names(remi, prompt)) >= 11


def test_a_nameless_file_without_a_tune_is_told_by_its_source():
    with pytest.raises(CorpusError, match=r"^standard input: no tune"):
        tune_prompt_from_bytes(MELODY, b"hello", source="standard input")
