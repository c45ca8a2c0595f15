import pytest
import torch
from torch import nn

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.decode import Decoder
from seqgen.networks.heads import IGNORED, AdaptiveSoftmax, choose_cutoffs, make_head
from seqgen.networks.tasks import LanguageModel

T, B, V, H = 5, 6, 41, 64
CUTOFFS = (7, 18)


def batch():
    draw = torch.Generator().manual_seed(1)
    targets = torch.randint(0, V, (T, B), generator=draw)
    return torch.randn(T, B, H, generator=draw).requires_grad_(), targets


def adaptive():
    torch.manual_seed(0)
    head = AdaptiveSoftmax(H, V, CUTOFFS)
    for name, parameter in head.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return head


def torch_twin(head):
    """torch's own adaptive softmax with the same weights; its tails have no biases, so they are 0 here."""
    twin = nn.AdaptiveLogSoftmaxWithLoss(H, V, list(CUTOFFS), div_value=4.0, head_bias=True)
    with torch.no_grad():
        twin.head.weight.copy_(head.short.weight)
        twin.head.bias.copy_(head.short.bias)
        for tail, (projection, matrix) in zip(head.tails, twin.tail, strict=True):
            projection.weight.copy_(tail.projection)
            matrix.weight.copy_(tail.softmax.weight)
            tail.softmax.bias.zero_()
    return twin


def log_probabilities(head, features):
    """The distribution over all tokens of each row of features, (R, H) -> (R, V), by definition."""
    short = (features @ head.short.weight.T + head.short.bias).log_softmax(1)
    parts = [short[:, : CUTOFFS[0]]]
    for number, tail in enumerate(head.tails):
        logits = features @ tail.projection.T @ tail.softmax.weight.T + tail.softmax.bias
        parts.append(short[:, CUTOFFS[0] + number, None] + logits.log_softmax(1))
    return torch.cat(parts, 1)


def test_an_adaptive_softmax_equals_torch_s():
    head, (features, targets) = adaptive(), batch()
    twin = torch_twin(head)
    expected = twin(features.flatten(0, 1), targets.flatten())
    loss = head.mean_loss(features, targets, precision=torch.float32)
    torch.testing.assert_close(loss, expected.loss)
    torch.testing.assert_close(
        head.losses(features, targets, precision=torch.float32), -expected.output.view(T, B)
    )
    pairs = [(features, features), (head.short.weight, twin.head.weight)]
    for tail, (projection, matrix) in zip(head.tails, twin.tail, strict=True):
        pairs += [(tail.projection, projection.weight), (tail.softmax.weight, matrix.weight)]
    found = torch.autograd.grad(loss, [own for own, _ in pairs])
    wanted = torch.autograd.grad(expected.loss, [other for _, other in pairs])
    for own, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)


def test_the_losses_of_all_tokens_are_a_distribution():
    head, (features, _) = adaptive(), batch()
    every = torch.arange(V).expand(T * B, V)
    rows = features.flatten(0, 1)[:, None].expand(-1, V, -1)
    losses = head.losses(rows, every, precision=torch.float32)
    torch.testing.assert_close((-losses).exp().sum(1), torch.ones(T * B))
    torch.testing.assert_close(-losses, log_probabilities(head, features.flatten(0, 1)).detach())


def test_ignored_targets_of_an_adaptive_softmax_cost_nothing():
    head, (features, targets) = adaptive(), batch()
    kept = head.mean_loss(features[:2], targets[:2], precision=torch.float32)
    targets[2:] = IGNORED
    torch.testing.assert_close(head.mean_loss(features, targets, precision=torch.float32), kept)
    assert not head.losses(features, targets, precision=torch.float32)[2:].any()


def test_tails_without_targets_get_gradients_of_zero():
    head, (features, targets) = adaptive(), batch()
    head.mean_loss(features, targets % CUTOFFS[0], precision=torch.float32).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    assert not head.tails[1].projection.grad.any()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_smoothing_leaves_the_adaptive_loss_and_moves_its_gradient(smoothing):
    head, (features, targets) = adaptive(), batch()
    plain = head.mean_loss(features, targets, precision=torch.float32)
    loss = head.mean_loss(features, targets, smoothing=smoothing, precision=torch.float32)
    torch.testing.assert_close(loss, plain)
    gradients = [torch.autograd.grad(value, features)[0] for value in (plain, loss)]
    assert torch.equal(*gradients) == (smoothing == 0)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_bfloat16_features_are_welcome_everywhere(precision):
    head, (features, targets) = adaptive(), batch()
    half = features.detach().bfloat16().requires_grad_()
    loss = head.mean_loss(half, targets, precision=precision)
    loss.backward()
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(
        loss, head.mean_loss(features, targets, precision=precision), rtol=0.02, atol=0
    )


def test_cutoffs_ascend_within_the_vocabulary():
    assert choose_cutoffs(33_278) == (2079, 8319)
    assert choose_cutoffs(16) == (1, 4)
    assert choose_cutoffs(30, (3, 29)) == (3, 29)


@pytest.mark.parametrize("cutoffs", [(3, 3), (9, 4), (5, 30)])
def test_cutoffs_that_do_not_ascend_are_refused(cutoffs):
    with pytest.raises(ConfigError, match=r"model\.cutoffs .*: must ascend from 1 to at most 29"):
        choose_cutoffs(30, cutoffs)


def test_a_vocabulary_that_cannot_be_cut_is_refused():
    with pytest.raises(ConfigError, match="a vocabulary of 12 is too small"):
        choose_cutoffs(12)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"softmax": "adaptive", "tied": True}, "set only one"), ({"cutoffs": (3, 9)}, "leave the cutoffs out")],
)
def test_configurations_that_contradict_themselves_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make_head(ModelConfig(**options), H, nn.Embedding(V, H))


@pytest.mark.parametrize(
    "options",
    [{}, {"tied": True}, {"softmax": "adaptive", "cutoffs": CUTOFFS}, {"tied": True, "layers": 3}],
    ids=str,
)
def test_the_sampler_draws_from_the_distribution_that_is_trained(options):
    torch.manual_seed(2)
    net = LanguageModel(ModelConfig(cell="lstm", embedding_size=16, hidden_size=24, **options), V).eval()
    weights = {name: parameter.detach().numpy() for name, parameter in net.named_parameters()}
    prompt = torch.tensor([0, 5, 30, 9])
    with torch.no_grad():
        features, _ = net(prompt[:, None], net.initial_state(1), torch.zeros(4, 1, dtype=torch.bool))
        trained = (-net.losses(features[-1].expand(V, -1), torch.arange(V))).exp()
    decoder = Decoder(weights, cell="lstm")
    drawn = torch.from_numpy(decoder.logits(decoder.start([0], prompt[1:].numpy()))).softmax(1)[0]
    torch.testing.assert_close(drawn, trained, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(trained.sum(), torch.tensor(1.0))


@pytest.mark.parametrize(
    "options", [{}, {"tied": True}, {"softmax": "adaptive", "cutoffs": CUTOFFS}], ids=str
)
def test_logits_make_the_probabilities_that_are_trained(options):
    torch.manual_seed(2)
    net = LanguageModel(ModelConfig(embedding_size=16, hidden_size=16, **options), V)
    features, targets = torch.randn(3, 5, 16), torch.randint(V, (3, 5))
    logits = net.logits(features)
    assert logits.shape == (3, 5, V)
    found = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(found, net.losses(features, targets), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"tied": True}, {"softmax": "adaptive", "cutoffs": CUTOFFS}], ids=str
)
def test_what_was_counted_is_predicted_without_features(options):
    head = LanguageModel(ModelConfig(embedding_size=16, hidden_size=16, **options), V).head
    counts = torch.arange(V, 0, -1).float()
    counts[:3] = 1000.0
    counts[-1] = 0.0
    head.expect(counts)
    predicted = head.logits(torch.zeros(1, 16)).softmax(-1)[0]
    tolerance = 0.1 if "softmax" in options else 1e-5  # where one more is assumed of every cluster, too
    torch.testing.assert_close(predicted, (counts + 1) / (counts + 1).sum(), rtol=tolerance, atol=0)


def test_a_shared_matrix_is_stored_once_and_learns_from_both_its_uses():
    net = LanguageModel(ModelConfig(embedding_size=16, hidden_size=24, tied=True), V)
    names = [name for name, _ in net.named_parameters()]
    assert "head.weight" not in names
    assert {"embedding.weight", "head.bias"} < set(names)
    inputs = torch.tensor([[3]])
    features, _ = net(inputs, net.initial_state(1), torch.zeros(1, 1, dtype=torch.bool))
    net.mean_loss(features, torch.tensor([[7]])).backward()
    as_output = torch.autograd.grad(net.mean_loss(features.detach(), torch.tensor([[7]])), net.head.weight)[0]
    changed = (net.embedding.weight.grad - as_output).abs().sum(1) > 1e-7
    assert changed.nonzero().flatten().tolist() == [3]
