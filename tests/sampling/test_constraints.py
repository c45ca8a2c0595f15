import re

import pytest

from seqgen.data.subwords import train_subwords
from seqgen.data.tokenizers import byte_vocab, make_tokenizer, ranked_vocab
from seqgen.data.words import cut_words
from seqgen.errors import ConfigError
from seqgen.sampling.constraints import TextRules, constrain
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from tests.corpora import sentences
from tests.sampling.models import (
    TUNE,
    abc_piece,
    char_tokenizer,
    note_tokenizer,
    spelling_weights,
    write_model,
)

LETTERS = char_tokenizer("abcdeTh .\n")


def word_tokenizer():
    counts = {}
    for text in ["\n".join(sentences(30)), "Odd\nthe", "cat\n"]:
        for word in cut_words(text, "words"):
            counts[word] = counts.get(word, 0) + 1
    return make_tokenizer(ranked_vocab("word", counts, options={"normalize": "nfc", "words": "words"}))


def subword_tokenizer():
    return make_tokenizer(train_subwords(sentences(300), kind="bpe", size=330, lowercase=False))


TOKENIZERS = {
    "char": lambda: LETTERS,
    "byte": lambda: make_tokenizer(byte_vocab()),
    "word": word_tokenizer,
    "subword": subword_tokenizer,
}
EXPRESSIONS = {
    "char": r"(?:T|h)[a-e]+ [a-e ]*\.",
    "byte": r"[A-Z]\w+, [^\W\d]{3,9}!?",
    "word": r"\w+(?: [a-z]+){2,5}\.",
    "subword": r"(?:the|a|Zürich)(?: [a-z]+){2,5}\.",
}


def texts(tmp_path, tokenizer, rules, *, count=100, length=60, prompt="", cell="lstm", **settings):
    """Return samples of a random model under some rules, prompt included."""
    sampler = Sampler(write_model(tmp_path / "m", tokenizer, cell=cell))
    constraint = constrain(rules, tokenizer, prompt=prompt, length=length)
    config = SampleConfig(count=count, length=length, seed=3, **settings)
    events = sampler.generate(config, prompt=tokenizer.encode(prompt), constraint=constraint)
    return [prompt + sample.text for sample in collect(events)]


@pytest.mark.parametrize("level", TOKENIZERS)
def test_all_samples_match_an_expression_at_every_level(tmp_path, level):
    expression = EXPRESSIONS[level]
    found = texts(tmp_path, TOKENIZERS[level](), TextRules(regex=expression), count=1000)
    assert len(set(found)) > 500
    assert [text for text in found if not re.fullmatch(expression, text)] == []


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.0}, {"top_k": 1}, {"no_repeat_ngram": 2}, {"typical": 0.2}]
)
def test_filters_never_break_a_constraint(tmp_path, settings):
    expression = "(?:[abc]{3}\\.){3,}[de]{1,4}T"
    found = texts(tmp_path, LETTERS, TextRules(regex=expression), length=23, **settings)
    assert all(re.fullmatch(expression, text) for text in found)


def test_a_text_ends_where_the_model_would_leave_an_expression(tmp_path):
    sampler = Sampler(
        write_model(tmp_path / "m", LETTERS, cell="rnn", weights=spelling_weights(LETTERS, "abcabc.dd"))
    )
    constraint = constrain(TextRules(regex="[a-e]+"), LETTERS, prompt="", length=50)
    (sample,) = collect(sampler.generate(SampleConfig(length=50), constraint=constraint))
    assert (sample.text, sample.reason) == ("abcabc", "eos")


def test_a_prompt_is_a_part_of_what_matches(tmp_path):
    found = texts(tmp_path, LETTERS, TextRules(regex="(?:abc )+[de]+"), prompt="abc ab", length=9)
    assert all(re.fullmatch("(?:abc )+[de]+", text) for text in found)
    assert {text[:6] for text in found} == {"abc ab"}


def test_a_prompt_of_unknown_characters_is_read_as_it_is_written(tmp_path):
    found = texts(tmp_path, LETTERS, TextRules(regex="[^a]*é[ab]{2}"), prompt="xé", count=5)
    assert all(re.fullmatch("xé[ab]{2}", text) for text in found)


@pytest.mark.parametrize(
    ("rules", "holds"),
    [
        ({"line_regex": "[ab]+c"}, lambda lines: all(re.fullmatch("[ab]+c", line) for line in lines)),
        ({"line_regex": r"[^a]\s"}, lambda lines: all(re.fullmatch("[^a] ", line) for line in lines)),
        ({"lines": 3}, lambda lines: len(lines) == 3),
        ({"lines": 1}, lambda lines: len(lines) == 1),
        ({"max_line_length": 4}, lambda lines: max(map(len, lines), default=0) <= 4),
        ({"starts": "a.b"}, lambda lines: "\n".join(lines).startswith("a.b")),
        ({"ends": "e\nb"}, lambda lines: "\n".join(lines).endswith("e\nb")),
        ({"acrostic": "CaD"}, lambda lines: [line[0] for line in lines] == list("cad")),
        (
            {"acrostic": "bad", "line_regex": r"\w+ \w+\.", "max_line_length": 9, "ends": "e."},
            lambda lines: (
                "".join(line[0] for line in lines) == "bad"
                and max(map(len, lines)) <= 9
                and all(re.fullmatch(r"\w+ \w+\.", line) for line in lines)
                and lines[-1].endswith("e.")
            ),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "holds",
)
def test_rules_hold_in_every_sample(tmp_path, rules, holds):
    found = texts(tmp_path, LETTERS, TextRules(**rules), length=40)
    assert len(set(found)) > 20
    assert [text for text in found if not holds(text.removesuffix("\n").split("\n"))] == []


def test_only_words_of_a_file_appear_in_either_case(tmp_path):
    words = tmp_path / "words"
    words.write_text("bad  THE\ncab ab b\n")
    found = texts(tmp_path, LETTERS, TextRules(words_from=words), length=50)
    said = {word for text in found for word in re.findall(r"\w+", text)}
    assert said == {"bad", "The", "cab", "ab", "b"}


NONE = "there is no such text in the tokens of this model"
LONG = "takes at least 35 tokens, but --length is 20"
SIMPLER = "ask for something simpler"
EXPLODING = "(?:a|b)*a(?:a|b){40}"


def error_of(rules, tokenizer=LETTERS, *, prompt="", length=20, **more):
    with pytest.raises(ConfigError) as caught:
        constrain(TextRules(**rules), tokenizer, prompt=prompt, length=length, **more)
    return str(caught.value)


def test_no_rules_are_no_constraint():
    assert constrain(TextRules(), LETTERS, prompt="", length=5) is None


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"regex": "("}, "--regex (: missing ), unterminated subpattern at position 0"),
        ({"regex": "a(?=b)b"}, "--regex a(?=b)b: (?=...) and (?<=...) are not possible"),
        ({"regex": "xyz"}, f"--regex xyz: {NONE}"),
        ({"regex": "a{30}"}, "--regex a{30}: takes at least 30 tokens, but --length is 20"),
        ({"line_regex": EXPLODING}, f"--line-regex {EXPLODING}: needs more than 100,000 states; {SIMPLER}"),
        ({"regex": "[ab]+", "ends": "c"}, f"--regex and --ends together: {NONE}"),
        ({"lines": 2, "acrostic": "abc"}, f"--lines and --acrostic together: {NONE}"),
        ({"lines": 9, "line_regex": "aaa"}, f"--line-regex and --lines together: {LONG}"),
    ],
)
def test_what_is_impossible_is_told_by_name(rules, message):
    assert error_of(rules) == message


def test_rules_that_are_possible_together_are_no_error():
    rules = TextRules(lines=4, starts="aaaaaaa", acrostic="abcd", line_regex="[a-d]+")
    assert constrain(rules, LETTERS, prompt="", length=14).shortest == 13


def test_a_prompt_outside_is_told_with_its_place():
    found = error_of({"regex": "[ab]+"}, prompt="abac")
    assert found == "--prompt: 'c', its character 4, is against --regex [ab]+, which is on the whole text"


def test_a_banned_token_may_make_a_constraint_impossible():
    letter = LETTERS.encode("b")[0]
    assert error_of({"regex": "a+b"}, banned=[letter]).startswith("--regex a+b: there is no such text")
    assert error_of({"regex": "a+b"}, banned=[0]).startswith("--ban <eos>: ")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"lines": 0}, "--lines 0: at least 1"),
        ({"max_line_length": -1}, "--max-line-length -1: at least 1"),
        ({"starts": ""}, "--starts: an empty text asks for nothing; leave it out"),
        ({"regex": ""}, "--regex: an empty text asks for nothing; leave it out"),
        ({"line_regex": ""}, "--line-regex: an empty text asks for nothing; leave it out"),
        ({"acrostic": "a b"}, "--acrostic 'a b': without spaces; each letter begins a line"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules, message):
    with pytest.raises(ConfigError) as caught:
        TextRules(**rules)
    assert str(caught.value) == message


def test_a_file_of_words_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "long").write_text("a" * 101)
    assert error_of({"words_from": tmp_path / "absent"}).endswith(
        "absent: no such file; check its name and folder"
    )
    assert error_of({"words_from": tmp_path / "empty"}).endswith("empty: holds no words")
    assert error_of({"words_from": tmp_path / "bytes"}).endswith("bytes: byte 0 is not UTF-8")
    assert error_of({"words_from": tmp_path / "long"}).endswith("is longer than 100 characters")


def test_music_has_no_text_to_constrain():
    tokenizer = note_tokenizer([abc_piece(TUNE)])
    assert error_of({"lines": 2}, tokenizer) == "--lines: this model makes music, which has no text"


def test_a_stop_text_and_a_constraint_are_refused_together(tmp_path):
    with pytest.raises(ConfigError, match="--stop: would cut samples off"):
        texts(tmp_path, LETTERS, TextRules(lines=2), stop=("a",))
