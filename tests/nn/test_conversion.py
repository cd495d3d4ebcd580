"""KAN layers in the place of linear layers of torch models, and grids that change in a training loop of one's own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from helpers import is_one_sentence
from superpose import KAN, DataError, KANLayer, OptionError, ShapeError
from superpose.nn import adapt_grids, convert, match_grids, refine_grids


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.fixture(autouse=True)
def own_random_state() -> Any:
    """Models here start from torch's own generator, as other people's do."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Mlp(nn.Module):
    """The MLP of transformers, as timm and others write it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.drop = nn.Dropout(0.1)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.drop(self.act(self.fc1(x))))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = Mlp(width)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        h, length = self.norm1(x), x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length) if self.causal else None
        x = x + self.attention(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Pictures ``[B, 1, 8, 8]`` of four kinds of stripes."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, 4)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 4, width))
        self.blocks = nn.Sequential(Block(width, 4, causal=False), Block(width, 4, causal=False))
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT + self.positions
        return self.head(self.blocks(tokens).mean(1))

    def loss(self) -> Tensor:
        kinds = torch.arange(64) % 4
        steps = torch.arange(8.0)
        waves = [torch.sin(2 * steps), torch.sin(0.7 * steps)]
        kind = [wave.expand(8, 8) if n == 0 else wave.expand(8, 8).mT for wave in waves for n in range(2)]
        noise = 0.3 * torch.randn(64, 1, 8, 8, generator=generator())
        return nn.functional.cross_entropy(self(torch.stack([kind[k] for k in kinds])[:, None] + noise), kinds)


class CharacterTransformer(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.text = "the curves of a layer are one tensor and the layer is a sum of its curves. " * 3
        self.letters = sorted(set(self.text))
        self.embedding = nn.Embedding(len(self.letters), width)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.blocks = nn.Sequential(Block(width, 4, causal=True))
        self.head = nn.Linear(width, len(self.letters), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embedding(x) + self.positions))

    def loss(self) -> Tensor:
        codes = torch.tensor([self.letters.index(letter) for letter in self.text])
        rows = codes[: 17 * (len(codes) // 17)].view(-1, 17)
        return nn.functional.cross_entropy(self(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


@pytest.mark.parametrize("kind", [VisionTransformer, CharacterTransformer])
def test_converted_blocks_of_transformers_train_at_the_same_cost(kind: Any) -> None:
    model = kind()
    converted = convert(model, "blocks.*.mlp")
    assert not any(isinstance(module, KANLayer) for module in model.modules())
    for old, new in zip(model.blocks, converted.blocks, strict=True):
        assert [type(part) for part in new.mlp] == [KANLayer, nn.Dropout, KANLayer]
        assert 0.9 * count(old.mlp) < count(new.mlp) <= count(old.mlp)
    optimizer = torch.optim.AdamW(converted.parameters(), lr=0.01)
    start = converted.loss().item()
    for _ in range(40):
        optimizer.zero_grad()
        loss = converted.loss()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * start


def test_converted_encoders_of_torch_compute_in_evaluation_too() -> None:
    """torch's own encoder reads the weights of its linear layers there, past their forward pass."""
    layer = nn.TransformerEncoderLayer(16, 2, 64, batch_first=True, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 2)
    converted = convert(encoder, "*.linear?", grid_size=2, degree=2)
    x = torch.randn(3, 5, 16)
    trained = converted(x)
    with torch.no_grad():
        torch.testing.assert_close(converted.eval()(x), trained.detach())
    kept = convert(encoder, "*.linear?", cost="none").eval()
    with torch.no_grad():
        torch.testing.assert_close(kept(x), encoder.eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_without_a_cost_the_function_is_kept(bias: bool, dtype: torch.dtype) -> None:
    linear = nn.Linear(5, 4, bias=bias, dtype=dtype).eval()
    linear.weight.requires_grad_(False)
    model = nn.Sequential(linear, nn.ReLU(), nn.Linear(4, 2, dtype=dtype))
    converted = convert(model, cost="none")
    assert [type(part) for part in converted] == [KANLayer, nn.ReLU, KANLayer]
    assert converted[0].dtype is dtype and not converted[0].training
    assert [parameter.requires_grad for parameter in converted.parameters()] == [False, True]
    for lead in ((), (7,), (2, 3)):
        # Far outside the grid too, where curves are straight lines.
        x = (3 * torch.randn(*lead, 5, generator=generator())).to(dtype)
        close = 20 * torch.finfo(dtype).eps
        torch.testing.assert_close(converted(x), model(x), rtol=close, atol=10 * close)


@pytest.mark.parametrize("cost", ["parameters", "flops"])
def test_a_single_layer_becomes_two_of_its_cost(cost: str) -> None:
    model = nn.Sequential(nn.Linear(96, 80), nn.ReLU(), nn.Linear(80, 3))
    converted = convert(model, "0", cost=cost, grid_size=7)
    first, second = converted[0]
    assert converted[2].weight.equal(model[2].weight)
    per_edge = {"parameters": 7 + 3 + 1, "flops": 3 + 2}[cost]
    edges = first.in_features * first.out_features + second.in_features * second.out_features
    assert 0.85 * 96 * 80 < per_edge * edges <= 97 * 80
    assert converted(torch.randn(2, 5, 96)).shape == (2, 5, 3)
    again = convert(model, "0", cost=cost, grid_size=7)
    other = convert(model, "0", cost=cost, grid_size=7, seed=1)
    assert again[0][0].coefficients.equal(first.coefficients) and not other[0][0].coefficients.equal(first.coefficients)


def test_a_layer_at_two_places_stays_one() -> None:
    shared = nn.Linear(64, 64)
    model = nn.ModuleDict({"a": shared, "b": shared, "c": nn.Linear(64, 64)})
    before = torch.get_rng_state()
    converted = convert(model, "a")
    assert torch.equal(torch.get_rng_state(), before)
    assert converted["a"] is converted["b"] and isinstance(converted["c"], nn.Linear)


class Residual(Mlp):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def hooked() -> nn.Module:
    layer = nn.Linear(64, 64)
    layer.register_forward_hook(lambda *_: None)
    return layer


def tied() -> nn.Module:
    embedding, head = nn.Embedding(64, 64), nn.Linear(64, 64, bias=False)
    head.weight = embedding.weight
    return nn.ModuleDict({"embedding": embedding, "head": head})


@pytest.mark.parametrize(
    ("model", "names", "message"),
    [
        (nn.Sequential(hooked()), "0", "'0' cannot be converted, since it has hooks"),
        (tied(), "head", "shares a parameter with the layer 'embedding'"),
        (nn.Sequential(parametrizations.weight_norm(nn.Linear(64, 64))), "0", "is parametrised"),
        (nn.MultiheadAttention(64, 2), "out_proj", "NonDynamicallyQuantizableLinear"),
        (nn.Sequential(Residual(64)), "0", "no block of them one after another; the model has '0.fc1', '0.fc2'"),
        (nn.Sequential(nn.Linear(64, 64)), "head", "the model has '0'"),
        (nn.Sequential(nn.Linear(4, 4)), None, "too small for KAN layers of its cost"),
    ],
)
def test_what_cannot_be_converted_is_named(model: nn.Module, names: str | None, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        convert(model, names)
    assert is_one_sentence(str(caught.value)) and message in str(caught.value)


def test_a_cost_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError, match="did you mean 'flops'"):
        convert(nn.Linear(64, 64), cost="flop")


# -- grids in a loop of one's own


def target(x: Tensor) -> Tensor:
    return torch.sin(5 * x[:, :1]) * x[:, 1:] + torch.exp(-4 * x[:, 1:] ** 2)


def training() -> tuple[nn.Sequential, torch.optim.Optimizer, Tensor]:
    made = generator()
    model = nn.Sequential(KANLayer(2, 6, generator=made), nn.Dropout(0.0), KANLayer(6, 1, generator=made))
    return model, torch.optim.AdamW(model.parameters(), lr=0.01), 2 * torch.rand(256, 2, generator=made) - 1


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, number: int) -> float:
    """The loss before the last step."""
    held = []
    for _ in range(number):

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), target(x))
            loss.backward()
            # A loop that names its loss holds its graph, whose nodes know the shapes of parameters.
            held[:] = [loss]
            return loss

        optimizer.step(closure)
    model.held = held
    return held[0].item()


def test_an_optimiser_goes_on_after_its_grids_were_refined() -> None:
    model, optimizer, x = training()
    steps(model, optimizer, x, 300)
    before, held = steps(model, optimizer, x, 1), list(model.parameters())
    expected = model(x).detach()
    refine_grids(model, 10, optimizer=optimizer)
    assert [model[0].grid_size, model[2].grid_size] == [10, 10]
    assert all(now is then for now, then in zip(model.parameters(), held, strict=True))
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    # Adam that started anew would take steps of full length here: the loss would be two and a half times as large.
    assert steps(model, optimizer, x, 6) < before
    assert steps(model, optimizer, x, 60) < 0.7 * before


@pytest.mark.parametrize(
    "kind", ["SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD", "LBFGS"]
)
def test_every_optimiser_goes_on(kind: str) -> None:
    model, _, x = training()
    options = {"lr": 0.01} | ({"momentum": 0.9} if kind == "SGD" else {})
    optimizer = getattr(torch.optim, kind)(model.parameters(), **options)
    steps(model, optimizer, x, 10)
    before = steps(model, optimizer, x, 1)
    refine_grids(model, 8, optimizer=optimizer)
    after = steps(model, optimizer, x, 1)
    adapt_grids(model, x, optimizer=optimizer, grid_size=6)
    last = steps(model, optimizer, x, 3)
    assert after < 1.2 * before and last < 1.2 * after


def test_grids_follow_the_inputs_that_layers_see() -> None:
    inner = KAN([3, 2, 1], dtype=torch.float32)
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.9), inner).train()
    x = 5 * torch.randn(200, 2, generator=generator())
    adapt_grids(model, x, blend=0.0)
    hidden = model[0](x).detach()
    ends = inner.layer(0).knots[:, [3, -4]]
    torch.testing.assert_close(ends, torch.stack([hidden.min(0).values, hidden.max(0).values], 1))
    assert model.training and model[1].training and not inner.layer(0)._forward_pre_hooks
    y, optimizer = hidden.square().sum(1, keepdim=True), torch.optim.Adam(model.parameters())
    before = inner(hidden).detach()
    refine_grids(model, 9, optimizer=optimizer)
    torch.testing.assert_close(inner(hidden), before, rtol=1e-4, atol=1e-4)
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()


def test_an_average_takes_the_grids_of_its_model() -> None:
    model, optimizer, x = training()
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    for _ in range(3):
        steps(model, optimizer, x, 5)
        average.update_parameters(model)
    expected = average(x).detach()
    refine_grids(model, 9, optimizer=optimizer)
    match_grids(average, model)
    torch.testing.assert_close(average(x), expected, rtol=1e-4, atol=1e-5)
    adapt_grids(model, x, optimizer=optimizer)
    match_grids(average, model)
    torch.testing.assert_close(average(x), expected, rtol=0, atol=0.05)
    steps(model, optimizer, x, 1)
    average.update_parameters(model)
    assert torch.equal(average.module[0].knots, model[0].knots)


def test_grids_that_cannot_change_are_named() -> None:
    twins = nn.ModuleDict({"a": KANLayer(2, 2), "b": KANLayer(2, 2)})
    twins["b"].coefficients = twins["a"].coefficients
    normed = parametrizations.weight_norm(KANLayer(2, 2), "coefficients")
    layer, x = KANLayer(2, 1), torch.zeros(4, 2)
    unused = nn.ModuleDict({"a": copy.deepcopy(layer)})
    unused.forward = lambda x: x
    cases: list[tuple[type[Exception], Any, str]] = [
        (OptionError, lambda: refine_grids(nn.Linear(2, 2), 9), "without KAN layers"),
        (OptionError, lambda: refine_grids(twins, 9), "share one parameter"),
        (OptionError, lambda: refine_grids(normed, 9), "are parametrised"),
        (OptionError, lambda: refine_grids(layer, 0), "grid_size"),
        (OptionError, lambda: adapt_grids(layer, x, blend=2), "blend"),
        (OptionError, lambda: adapt_grids(layer, x, margin=-1), "margin"),
        (DataError, lambda: adapt_grids(layer, x / 0), "no finite inputs"),
        (DataError, lambda: adapt_grids(unused, x), "'a' follows its inputs, but it was not used"),
        (ShapeError, lambda: match_grids(KANLayer(2, 3), layer), "same KAN layers"),
    ]
    for kind, call, message in cases:
        with pytest.raises(kind) as caught:
            call()
        assert is_one_sentence(str(caught.value)) and message in str(caught.value)
    assert layer.grid_size == 5
