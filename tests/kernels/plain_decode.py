"""The sampling loop as one would write it in numpy, in float64: what the compiled loop is tested against."""

import numpy as np

from seqgen.kernels.philox import uniforms
from seqgen.sampling.filters import draw, probabilities
from tests.data.plain_suffixes import occurrences

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def random_weights(
    cell, *, vocab=11, embedding=5, hidden=9, layers=2, seed=0, spread=1.0, rounds=0, rank=0, norm=False
):
    """Return weights by the names of an artifact, all sizes different unless asked otherwise."""
    generator = np.random.default_rng(seed)

    def normal(*shape):
        return (spread * generator.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    weights = {"embedding.weight": normal(vocab, embedding)}
    for layer in range(layers):
        rows, inputs = GATES[cell] * hidden, hidden if layer else embedding
        weights[f"encoder.{layer}.weight_ih"] = normal(rows, inputs)
        weights[f"encoder.{layer}.weight_hh"] = normal(rows, hidden)
        weights[f"encoder.{layer}.bias_ih"] = normal(rows)
        weights[f"encoder.{layer}.bias_hh"] = normal(rows)
    weights |= {"head.weight": 4 * normal(vocab, hidden), "head.bias": normal(vocab)}
    for layer in range(layers):
        sizes = hidden if layer else embedding, hidden
        for number in range(rounds):
            rows, columns = sizes[:: -1 if number % 2 else 1]
            shapes = [(rows, rank), (rank, columns)] if rank else [(rows, columns)]
            for index, shape in enumerate(shapes):
                weights[f"encoder.{layer}.mogrifier.{number}.{index}"] = normal(*shape)
        if norm:
            for name, size in norm_sizes(cell, hidden).items():
                weights[f"encoder.{layer}.norm.{name}"] = name.startswith("gain") + normal(size)
    return weights


def norm_sizes(cell, hidden):
    gates = GATES[cell] * hidden
    of_memory = {"gain_c": hidden, "bias_c": hidden} if cell == "lstm" else {}
    return {"gain_ih": gates, "gain_hh": gates, **of_memory}


def fixed_distribution(logits):
    """Return the weights of a network that gives the same logits at every step."""
    weights = random_weights("rnn", vocab=len(logits), layers=1, spread=0.0)
    return weights | {"head.bias": np.asarray(logits, np.float32)}


class PlainDecoder:
    """One sequence of one network; not `exact`, hidden states and what multiplies them are rounded."""

    def __init__(self, weights, cell, *, exact=True):
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}
        self.cell = cell
        self.exact = exact
        self.layers = sum(name.endswith("weight_hh") for name in weights)
        self.hidden = [
            np.zeros(weights[f"encoder.{layer}.weight_hh"].shape[1]) for layer in range(self.layers)
        ]
        self.memory = [state.copy() for state in self.hidden]

    def logits(self, token):
        """Consume a token and return the logits of the next, (V,)."""
        features = self.weights["embedding.weight"][token]
        for layer in range(self.layers):
            features = self._step(layer, features)
        return self._product(self.weights["head.weight"], features) + self.weights["head.bias"]

    def _rounds(self, layer):
        """Return the matrices of a layer's mogrifier, factors multiplied out."""
        matrices = []
        while (name := f"encoder.{layer}.mogrifier.{len(matrices)}") + ".0" in self.weights:
            left, right = self.weights[f"{name}.0"], self.weights.get(f"{name}.1")
            matrices.append(left if right is None else left @ right)
        return matrices

    def _mogrify(self, rounds, features, hidden):
        for number, matrix in enumerate(rounds):
            if number % 2 == 0:
                features = features * 2 * _sigmoid(self._scaled_product(matrix, hidden))
            else:
                hidden = hidden * 2 * _sigmoid(self._scaled_product(matrix, features))
        return features, hidden

    def _scaled_product(self, weights, vector, *, scaled=True):
        """Multiply with a vector that is divided by a power of two first, so that it lies within ±1."""
        largest = np.abs(vector).max()
        scale = np.exp2(np.ceil(np.log2(largest))) if scaled and largest > 0 else 1.0
        return scale * self._product(weights, vector / scale)

    def _product(self, weights, vector):
        """Return weights times a hidden state, of 8 bits a row and 12 bits if they are rounded."""
        if self.exact:
            return weights @ vector
        scales = np.abs(weights).max(axis=1) / 127
        whole = np.rint(weights / np.where(scales > 0, scales, 1)[:, None])
        return scales * (whole @ np.floor(vector * 2047 + 0.5)) / 2047

    def _step(self, layer, features):
        def weight(name):
            return self.weights[f"encoder.{layer}.{name}"]

        rounds = self._rounds(layer)
        normed = f"encoder.{layer}.norm.gain_ih" in self.weights
        optional = bool(rounds) or normed
        features, hidden = self._mogrify(rounds, features, self.hidden[layer])
        from_input = self._scaled_product(weight("weight_ih"), features, scaled=optional or layer == 0)
        from_hidden = self._scaled_product(weight("weight_hh"), hidden, scaled=optional)
        if normed:
            from_input = weight("norm.gain_ih") * _normalised(from_input)
            from_hidden = weight("norm.gain_hh") * _normalised(from_hidden)
        from_input, from_hidden = from_input + weight("bias_ih"), from_hidden + weight("bias_hh")
        if self.cell == "lstm":
            i, f, g, o = np.split(from_input + from_hidden, 4)
            self.memory[layer] = _sigmoid(f) * self.memory[layer] + _sigmoid(i) * np.tanh(g)
            shown = self.memory[layer]
            if normed:
                shown = weight("norm.gain_c") * _normalised(shown) + weight("norm.bias_c")
            self.hidden[layer] = _sigmoid(o) * np.tanh(shown)
        elif self.cell == "gru":
            (r, z, n), (hr, hz, hn) = np.split(from_input, 3), np.split(from_hidden, 3)
            n = np.tanh(n + _sigmoid(r + hr) * hn)
            z = _sigmoid(z + hz)
            self.hidden[layer] = (1 - z) * n + z * self.hidden[layer]
        else:
            self.hidden[layer] = np.tanh(from_input + from_hidden)
        return self.hidden[layer]


def _not_copied(text, longest, seen, vocab):
    """Return which tokens make no run of more than `longest` tokens that the text holds, (V,)."""
    allowed = np.ones(vocab, np.bool_)
    if len(seen) >= longest:
        allowed[1:] = [
            not occurrences(text, [*seen[len(seen) - longest :], token]) for token in range(1, vocab)
        ]
    return allowed


def _normalised(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_sample(
    weights,
    cell,
    *,
    sequence,
    seed,
    length,
    prompt=(),
    exact=True,
    automaton=None,
    temperature=1.0,
    slope=0.0,
    slope_steps=0,
    uncopied=None,
    **filters,
):
    """Return tokens, up to and with EOS, and their log-probabilities under the network alone.

    `uncopied` is a text and how many tokens of it may be copied in a row.
    """
    decoder, tokens, logprobs = PlainDecoder(weights, cell, exact=exact), [], []
    pending, place = [0, *prompt], 0
    for step in range(length):
        for token in pending:
            logits = decoder.logits(token)
        if automaton is not None:
            allowed = automaton.mask(place, left=length - step - 1)
            allowed[0] = automaton.accepting[place]
            filters |= {"allowed": allowed, "concludes": automaton.concludes}
        if uncopied is not None:
            filters |= {"allowed": _not_copied(*uncopied, [*prompt, *tokens], len(logits))}
        now = temperature + slope * min(step, slope_steps)
        shares = probabilities(logits, temperature=now, seen=[*prompt, *tokens], **filters)
        token = draw(shares, float(uniforms(seed, sequence, step)))
        tokens.append(token)
        logprobs.append(logits[token] - np.log(np.exp(logits).sum()))
        if token == 0:
            break
        place = place if automaton is None else automaton.advance(place, token)
        pending = [token]
    return tokens, logprobs
