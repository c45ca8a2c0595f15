"""What a step of the sampling loop does beside the products with its weights."""

from typing import Any

import numpy as np

from seqgen.kernels.exponential import exp, sigmoid, tanh
from seqgen.kernels.jit import compiled
from seqgen.kernels.layout import CELLS

LSTM, GRU = CELLS["lstm"], CELLS["gru"]
ZERO = np.float32(0)


@compiled
def forget(state: Any, row: Any) -> None:
    """Zero a row's state: at a document's edge, what came before does not matter."""
    for layer in range(state.hidden.shape[0]):
        for j in range(state.hidden.shape[2]):
            state.hidden[layer, row, j] = ZERO
            state.memory[layer, row, j] = ZERO


@compiled
def copy(source: Any, target: Any) -> None:
    """Copy a row."""
    for j in range(len(source)):
        target[j] = source[j]


@compiled
def divide_among_clusters(logits: Any, clusters: Any) -> None:
    """Move the logits of each cluster's tokens, so that together they weigh what the cluster does."""
    vocab = clusters[len(clusters) - 1]
    for number in range(len(clusters) - 1):
        tokens = logits[clusters[number] : clusters[number + 1]]
        largest = tokens.max()
        total = 0.0
        for v in range(len(tokens)):
            total += np.float64(exp(tokens[v] - largest))
        shift = logits[vocab + number] - largest - np.float32(np.log(total))
        for v in range(len(tokens)):
            tokens[v] += shift


@compiled
def update(gates: Any, from_input: Any, from_hidden: Any, hidden: Any, memory: Any) -> None:
    """Squash the gates of one sequence and update its hidden state (and memory), each (H,), in place."""
    size = len(hidden)
    if gates == LSTM:
        for j in range(size):
            i = sigmoid(from_input[j] + from_hidden[j])
            f = sigmoid(from_input[size + j] + from_hidden[size + j])
            g = tanh(from_input[2 * size + j] + from_hidden[2 * size + j])
            o = sigmoid(from_input[3 * size + j] + from_hidden[3 * size + j])
            memory[j] = f * memory[j] + i * g
            hidden[j] = o * tanh(memory[j])
    elif gates == GRU:
        for j in range(size):
            r = sigmoid(from_input[j] + from_hidden[j])
            z = sigmoid(from_input[size + j] + from_hidden[size + j])
            n = tanh(from_input[2 * size + j] + r * from_hidden[2 * size + j])
            hidden[j] = n + z * (hidden[j] - n)
    else:
        for j in range(size):
            hidden[j] = tanh(from_input[j] + from_hidden[j])
