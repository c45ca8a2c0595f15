from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from seqgen.sampling.stops import Drawn, StopWatch

TEXTS = st.lists(st.text("ab\n", max_size=3), max_size=12)
STOPS = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)


def fed(stops, texts):
    """Return the watch and what it passed on after each token."""
    watch = StopWatch(stops)
    passed = []
    for number, text in enumerate(texts):
        passed.append(watch.feed(Drawn(0, number, -1.0, text)))
        if watch.stopped:
            break
    return watch, passed


def shown(drawn):
    return "".join(token.text for token in drawn)


@given(TEXTS, STOPS)
def test_what_is_shown_ends_before_the_first_stop_text(texts, stops):
    expected, whole = None, ""
    for text in texts:
        whole += text
        places = [place for stop in stops if (place := whole.find(stop)) >= 0]
        if places:
            expected = whole[: min(places)]
            break
    watch, passed = fed(stops, texts)
    assert watch.stopped == (expected is not None)
    assert shown(chain(*passed, watch.flush())) == (whole if expected is None else expected)


@given(TEXTS, STOPS)
def test_text_is_shown_as_soon_as_no_stop_text_can_begin_in_it(texts, stops):
    watch, _ = fed(stops, [char for text in texts for char in text])
    if not watch.stopped:
        longest = max(map(len, stops), default=1)
        assert len(shown(watch.flush())) < longest


def test_a_token_in_which_the_stop_text_begins_is_shortened():
    _, passed = fed(["END"], ["one ", "two E", "ND three"])
    assert passed[-1] == [Drawn(0, 1, -1.0, "two ")]


def test_tokens_of_the_stop_text_alone_are_dropped():
    _, passed = fed(["\n\n"], ["a", "\n", "\n"])
    assert [token.token for token in chain(*passed)] == [0]


def test_text_that_looked_like_a_stop_text_is_passed_on_when_it_is_none():
    _, passed = fed(["stop"], ["sto", "ry"])
    assert [shown(drawn) for drawn in passed] == ["", "story"]


def test_without_stop_texts_everything_passes_at_once():
    _, passed = fed([], ["a", "", "b"])
    assert [len(drawn) for drawn in passed] == [1, 1, 1]
