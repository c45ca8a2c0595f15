"""Beam search: the likeliest sequences that can be found, instead of drawn ones.

Every step extends each hypothesis by every token and keeps the best of all. A hypothesis that ends leaves the
beam, which narrows by one place (Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural
networks"): a beam of one place is greedy. In the end hypotheses of different lengths are compared as
`seqgen.sampling.ranking` says.

Asked for diversity, the beam is divided into as many groups as sequences are wanted, each of which gives one
(Vijayakumar et al. 2018, "Diverse beam search for improved description of complex scenes"). Groups choose one
after the other, and a token loses `diversity` nats for each hypothesis of the groups before that has just
chosen it. What is lost counts in that choice alone and is not carried on.

What is compared is the sum of the network's log-probabilities and of what the bias adds, which is minus
infinity for what is banned, of all tokens of a sequence. A constraint forbids and shares nothing out anew; if
it concludes, EOS takes over the probability of what it forbids, as in `seqgen.sampling.filters`.

Sizes: B places of the beam, V tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import EOS_ID
from seqgen.errors import ConfigError
from seqgen.sampling.automata import Limits
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import Event, Teller
from seqgen.sampling.filters import forbid_repeats
from seqgen.sampling.ranking import check_length_penalty, penalised

MAX_WIDTH = 1000
OBEYED = {"length", "bias", "stop", "seed", "no_repeat_ngram"}
"""What a search can take of a SampleConfig; all else must be as it is by default."""

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """How wide to search, and for what.

    Attributes:
        width: B, how many hypotheses are kept.
        n_best: How many sequences are wanted, the best first.
        length_penalty: By which they are compared; see `seqgen.sampling.ranking`.
        diversity: What a token loses for each earlier group that has chosen it, in nats.

    Raises:
        ConfigError: If a value makes no sense.
    """

    width: int
    n_best: int = 1
    length_penalty: float = 0.0
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise ConfigError(f"--beam {self.width}: 1 (greedy) to {MAX_WIDTH} hypotheses")
        if not 1 <= self.n_best <= self.width:
            raise ConfigError(f"--n-best {self.n_best}: 1 to what --beam keeps, {self.width}")
        check_length_penalty(self.length_penalty)
        if not 0 <= self.diversity < float("inf"):
            raise ConfigError(f"--diverse {self.diversity}: 0 (off) or more")
        if self.diversity and self.n_best == 1:
            raise ConfigError("--diverse: makes several differ; ask for them with --n-best")


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that may become a result.

    Attributes:
        tokens: Drawn so far, EOS included.
        logprobs: Of each, under the network alone.
        score: What is compared.
        place: The state of the constraint.
    """

    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    score: float = 0.0
    place: int = 0

    def rank(self, penalty: float) -> float:
        """Return the score by which hypotheses of different lengths are compared."""
        return penalised(self.score, len(self.tokens), penalty)


@dataclass
class _Group:
    """Places of the beam that compete among themselves.

    Attributes:
        first: The number of its first place.
        width: How many places it has, those taken by `ended` ones included.
        wanted: How many sequences it must find.
        live: Hypotheses that go on, in the places from `first` on.
        ended: Complete ones.
    """

    first: int
    width: int
    wanted: int
    live: list[Hypothesis]
    ended: list[Hypothesis]

    def results(self, penalty: float) -> list[Hypothesis]:
        """Return what it has found, the best first; of equals the one that ended first."""
        found = self.ended + self.live
        return sorted(found, key=lambda hypothesis: -hypothesis.rank(penalty))


def beam_search(
    sampler: Sampler,
    config: SampleConfig,
    beam: BeamConfig,
    *,
    prompt: Sequence[int] | NDArray[np.integer] = (),
    constraint: Limits | None = None,
) -> Iterator[Event]:
    """Search, then yield the best sequences one after the other; fewer than wanted if there are no more.

    Args:
        sampler: The model.
        config: What to look for; nothing is drawn, so what shapes a draw must be as it is by default.
        beam: How.
        prompt: Token ids that every sequence goes on from; they are not yielded.
        constraint: What may follow the prompt.

    Raises:
        ConfigError: If an option has no meaning here, or for what `Sampler.generate` raises it.
        ArtifactError: If the network's output is not finite.
    """
    check_options(config)
    sampler.check(config, constraint)
    search = _Search(sampler, config, beam, np.asarray(prompt, np.int64), constraint)
    for number, hypothesis in enumerate(search.run()):
        teller = search.teller(number)
        yield from teller.take(hypothesis.tokens, hypothesis.logprobs)
        yield from teller.end("length")


def check_options(config: SampleConfig) -> None:
    """Refuse what shapes a draw.

    Raises:
        ConfigError: If an option is not as it is by default, or there is no end.
    """
    if not config.length:
        raise ConfigError("--length 0: a beam search needs an end")
    plain = SampleConfig()
    for option in fields(SampleConfig):
        if option.name not in OBEYED and getattr(config, option.name) != getattr(plain, option.name):
            flag = "temperature" if "temperature" in option.name else option.name.replace("_", "-")
            raise ConfigError(f"--{flag}: has no meaning with --beam, which draws nothing; leave one out")


class _Search:
    def __init__(
        self,
        sampler: Sampler,
        config: SampleConfig,
        beam: BeamConfig,
        prompt: NDArray[np.int64],
        constraint: Limits | None,
    ) -> None:
        self._sampler, self._config, self._beam = sampler, config, beam
        self._prompt, self._constraint = prompt, constraint
        self._bias = sampler.bias(config).astype(np.float64)
        self._state = sampler.decoder.start([0] * beam.width, prompt)
        self._groups = _groups(beam, Hypothesis(place=constraint.begin if constraint else 0))

    def teller(self, number: int) -> Teller:
        """Return what tells the tokens of a sequence, and where a stop text ends it."""
        return Teller(number, self._sampler.stream(self._prompt), self._config.stop)

    def run(self) -> list[Hypothesis]:
        """Return the best hypotheses, the best first."""
        for step in range(self._config.length):
            self._mark_live()
            if not self._state.draws.live.any():
                break
            self._step(self._config.length - step - 1)
        penalty = self._beam.length_penalty
        if not self._beam.diversity:
            return self._groups[0].results(penalty)[: self._beam.n_best]
        found: dict[tuple[int, ...], Hypothesis] = {}
        for group in self._groups:
            new = (one for one in group.results(penalty) if one.tokens not in found)
            found |= {one.tokens: one for one in [*new][:1]}
        return sorted(found.values(), key=lambda hypothesis: -hypothesis.rank(penalty))

    def _mark_live(self) -> None:
        self._state.draws.live[:] = False
        for group in self._groups:
            if self._is_decided(group):
                group.live = []
            self._state.draws.live[group.first : group.first + len(group.live)] = True

    def _is_decided(self, group: _Group) -> bool:
        """Tell whether no hypothesis that goes on can still be among the wanted ones.

        Scores only fall, unless the bias raises some, and the penalty does most for the longest sequence.
        """
        if len(group.ended) < group.wanted or (self._bias > 0).any():
            return False
        penalty = self._beam.length_penalty
        needed = sorted(ended.rank(penalty) for ended in group.ended)[-group.wanted]
        hope = max((live.score for live in group.live), default=-np.inf)
        return needed >= penalised(hope, self._config.length, penalty)

    def _step(self, left: int) -> None:
        """Extend all hypotheses by a token, after which `left` tokens may still follow."""
        logits = self._sampler.decoder.logits(self._state).astype(np.float64)
        parents, tokens = np.arange(self._beam.width), np.zeros(self._beam.width, np.int64)
        chosen_before = np.zeros(logits.shape[1])
        for group in self._groups:
            if not group.live:
                continue
            rows = slice(group.first, group.first + len(group.live))
            logprobs = _log_softmax(logits[rows])
            if not np.isfinite(logprobs).all():
                raise self._sampler.diverged("the network's output is not finite")
            gains = [
                self._gains(one, row, left) for one, row in zip(group.live, logprobs.copy(), strict=True)
            ]
            scores = np.array([one.score for one in group.live])[:, None] + gains
            offered = scores - self._beam.diversity * chosen_before
            kept = _best(offered, group.width - len(group.ended))
            before, group.live = group.live, []
            for row, token in kept:
                one = self._extend(before[row], token, float(logprobs[row, token]), float(scores[row, token]))
                chosen_before[token] += 1
                if token == EOS_ID or self._stops(one):
                    group.ended.append(one)
                    continue
                parents[group.first + len(group.live)] = group.first + row
                tokens[group.first + len(group.live)] = token
                group.live.append(one)
        self._sampler.decoder.follow(self._state, parents, tokens)

    def _gains(self, hypothesis: Hypothesis, gains: Scores, left: int) -> Scores:
        """Return what each token would add to the score, from log-probabilities that are changed, (V,)."""
        gains += self._bias
        if self._constraint is not None:
            allowed = self._constraint.mask(hypothesis.place, left)
            allowed[EOS_ID] = self._constraint.may_end(hypothesis.place)
            if self._constraint.concludes and allowed[EOS_ID]:
                gains[EOS_ID] = np.logaddexp.reduce(gains[~allowed], initial=gains[EOS_ID])
            gains[~allowed] = -np.inf
        if self._config.no_repeat_ngram:
            seen = [*self._prompt.tolist(), *hypothesis.tokens]
            forbid_repeats(gains, seen, self._config.no_repeat_ngram)
        return gains

    def _extend(self, one: Hypothesis, token: int, logprob: float, score: float) -> Hypothesis:
        place = one.place
        if self._constraint is not None and token != EOS_ID:
            place = self._constraint.advance(place, token)
        return Hypothesis((*one.tokens, token), (*one.logprobs, logprob), score, place)

    def _stops(self, hypothesis: Hypothesis) -> bool:
        if not self._config.stop:
            return False
        teller = self.teller(0)
        for _ in teller.take(hypothesis.tokens, hypothesis.logprobs):
            pass
        return teller.ended


def _groups(beam: BeamConfig, first: Hypothesis) -> list[_Group]:
    """Divide the places of a beam as evenly as possible."""
    count = beam.n_best if beam.diversity else 1
    places = np.array_split(np.arange(beam.width), count)
    wanted = 1 if beam.diversity else beam.n_best
    return [_Group(int(part[0]), len(part), wanted, [first], []) for part in places]


def _log_softmax(logits: Scores) -> Scores:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Scores = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _best(scores: Scores, count: int) -> list[tuple[int, int]]:
    """Return the places of the largest scores of a table, in falling order, the first one of equals first.

    What is minus infinity is left out.
    """
    flat = scores.ravel()
    threshold = np.partition(flat, -count)[-count] if count < len(flat) else -np.inf
    places = np.flatnonzero((flat >= threshold) & (flat > -np.inf))
    order = places[np.argsort(-flat[places], kind="stable")][:count]
    return [divmod(int(place), scores.shape[1]) for place in order]
