from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from one_step import unmoved
from small_data import shuffled
from torch import Tensor
from torch.nn import functional

from baselines.disengcn import DisenGCN
from models.errors import UsageError
from models.interactions import Interactions

Form = Literal["paper", "official"]
FORMS: tuple[Form, ...] = ("paper", "official")
BATCH = (torch.tensor([0, 1, 3]), torch.tensor([0, 2, 1]), torch.tensor([3, 0, 4]))
EVERYBODY = torch.arange(4)


def built(train: Interactions, **options: Any) -> DisenGCN:
    model = DisenGCN(**{"embedding_dim": 6, "num_channels": 3, "num_iterations": 2} | options)
    torch.manual_seed(1)
    model.build(train)
    for bias in model.biases:  # biases of zeros would hide their absence
        torch.nn.init.uniform_(bias)
    return model.eval()


def neighbours(train: Interactions) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(train.num_users + train.num_items)]
    for user, item in zip(train.users.tolist(), train.items.tolist(), strict=True):
        found[user].append(train.num_users + item)
        found[train.num_users + item].append(user)
    return found


def unit(x: Tensor) -> Tensor:
    return functional.normalize(x, dim=0)


def expected(train: Interactions, model: DisenGCN) -> Tensor:
    """Channels of all nodes ``[num_nodes, K, c]``, node by node, edge by edge."""
    channels, official = range(model.num_channels), model.form == "official"
    x = [row.reshape(model.num_channels, -1) for row in model.embedding]
    for layer in range(model.num_layers):
        z = []
        for row in x:
            if layer == 0 or not official:
                row = (row.flatten() @ model.weights[layer] + model.biases[layer]).view_as(row)
            z.append([unit(functional.leaky_relu(row[k])) for k in channels])
        x = []
        for u, around in enumerate(neighbours(train)):
            centre = z[u]
            for iteration in range(model.num_iterations):
                after = list(z[u])
                for v in around:
                    affinity = torch.stack([z[v][k] @ centre[k] for k in channels])
                    share = affinity.exp() / affinity.exp().sum()
                    if official and iteration == 0:
                        share = torch.full_like(share, 1 / model.num_channels)
                    for k in channels:
                        after[k] = after[k] + share[k] * z[v][k]
                last = official and iteration == model.num_iterations - 1
                centre = after if last else [unit(c) for c in after]
            x.append(torch.stack(centre))
    return torch.stack(x)


@pytest.mark.usefixtures("float64")
def test_golden_scores(fill: Callable[[tuple[int, ...], int], Tensor]) -> None:
    train = Interactions(
        torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 2]), num_users=2, num_items=3
    )
    model = DisenGCN(embedding_dim=4, num_channels=2, num_iterations=2, num_layers=1)
    model.build(train)
    model.load_state_dict(
        {"embedding": fill((5, 4), 1), "weights.0": fill((4, 4), 3), "biases.0": fill((4,), 2)}
    )
    golden = torch.tensor([[0.751969, 1.993842, 1.995938], [0.662557, 1.999473, 1.999745]])
    torch.testing.assert_close(model.eval().score(torch.arange(2)), golden, atol=1e-6, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("num_iterations", [1, 3])
def test_scores_equal_loops_over_nodes(
    train: Interactions, form: Form, num_iterations: int
) -> None:
    model = built(train, form=form, num_iterations=num_iterations)
    nodes = expected(train, model).flatten(1)
    torch.testing.assert_close(model.score(EVERYBODY), nodes[:4] @ nodes[4:].T)


@pytest.mark.usefixtures("float64")
def test_one_channel_is_plain_aggregation(train: Interactions) -> None:
    z = functional.normalize(torch.randn(1, 10, 6), dim=2)
    around = neighbours(train)
    sums = torch.stack([z[0, u] + z[0, around[u]].sum(0) for u in range(10)])
    for num_iterations in (1, 4):
        model = built(train, num_channels=1, num_iterations=num_iterations)
        assert torch.equal(model.shares(z, z), torch.ones(1, 2 * len(train)))
        torch.testing.assert_close(model.route(z)[0], functional.normalize(sums))


@pytest.mark.usefixtures("float64")
def test_messages_meet_the_receivers_centre() -> None:
    """User 0 and item 0, an edge each way; lengths differ, or both ways would be alike."""
    pair = Interactions(torch.tensor([0]), torch.tensor([0]), num_users=1, num_items=1)
    z = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0))
    first = built(pair, num_channels=2, num_iterations=1).route(z)
    share = (z[:, 1] * first[:, 0]).sum(1).softmax(0)
    opposite = (z[:, 0] * first[:, 1]).sum(1).softmax(0)
    assert not torch.allclose(share, opposite)
    second = built(pair, num_channels=2, num_iterations=2).route(z)
    user = functional.normalize(z[:, 0] + share[:, None] * z[:, 1])
    item = functional.normalize(z[:, 1] + opposite[:, None] * z[:, 0])
    torch.testing.assert_close(second, torch.stack([user, item], dim=1))


@pytest.mark.usefixtures("float64")
def test_invariants_of_routing(train: Interactions) -> None:
    model = built(train)
    z = functional.normalize(torch.randn(3, 10, 2), dim=2)
    torch.testing.assert_close(model.shares(z, z).sum(0), torch.ones(2 * len(train)))
    centres = model.route(z)
    torch.testing.assert_close(centres.norm(dim=2), torch.ones(3, 10))
    isolated = [2, 4 + 4, 4 + 5]
    torch.testing.assert_close(centres[:, isolated], z[:, isolated])


@pytest.mark.usefixtures("float64")
def test_order_of_channels_does_not_matter(train: Interactions) -> None:
    model = built(train, num_layers=1)
    before, (user, _) = model.score(EVERYBODY), model.forward()
    order = torch.tensor([4, 5, 0, 1, 2, 3])  # channels 2, 0, 1
    model.weights[0].data = model.weights[0].data[:, order]
    model.biases[0].data = model.biases[0].data[order]
    model.eval()
    torch.testing.assert_close(model.forward()[0], user[:, order])
    torch.testing.assert_close(model.score(EVERYBODY), before)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_renumbering_users_and_items_renumbers_scores(train: Interactions, form: Form) -> None:
    model = built(train, form=form)
    other, user_order, item_order = shuffled(train)
    renumbered = built(other, form=form)
    node_order = torch.cat([user_order, 4 + item_order])
    renumbered.embedding.data = model.embedding.data[node_order]
    found = renumbered.score(EVERYBODY)
    torch.testing.assert_close(found, model.score(EVERYBODY)[user_order][:, item_order])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_loss_by_hand(train: Interactions, form: Form) -> None:
    model = built(train, form=form, reg=0.1)
    nodes = expected(train, model).flatten(1)
    users, pos_items, neg_items = BATCH
    margin = (nodes[users] * (nodes[4 + pos_items] - nodes[4 + neg_items])).sum(1)
    ids = model.embedding[torch.cat([users, 4 + pos_items, 4 + neg_items])]
    penalty = ids.square().sum() / 6 + sum(w.square().sum() / 6 for w in model.weights)
    expected_loss = -torch.log(torch.sigmoid(margin)).mean() + 0.1 * penalty
    torch.testing.assert_close(model.loss(*BATCH), expected_loss)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("options", [{"form": "paper", "learn_scale": True}, {"form": "official"}])
def test_gradient(train: Interactions, options: dict[str, Any]) -> None:
    model = built(train, reg=0.1, **options)
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), tuple(model.parameters()))


@pytest.mark.usefixtures("float64")
def test_learned_scale_multiplies_scores(train: Interactions) -> None:
    plain, scaled = built(train), built(train, learn_scale=True)
    torch.testing.assert_close(scaled.score(EVERYBODY), plain.score(EVERYBODY))
    assert scaled.log_scale is not None
    scaled.log_scale.data += torch.tensor(3.0).log()
    torch.testing.assert_close(scaled.eval().score(EVERYBODY), 3 * plain.score(EVERYBODY))


@pytest.mark.parametrize("form", FORMS)
def test_one_step_moves_every_parameter(train: Interactions, form: Form) -> None:
    model = built(train, form=form, learn_scale=True)
    assert unmoved(model, *BATCH) == set()


@pytest.mark.parametrize("form", FORMS)
def test_dropout_only_in_training(train: Interactions, form: Form) -> None:
    model = built(train, form=form, dropout=0.5)
    assert torch.equal(model.forward()[0], model.forward()[0])
    model.train()
    assert not torch.equal(model.forward()[0], model.forward()[0])


@pytest.mark.parametrize("form", FORMS)
def test_isolated_nodes_are_finite(train: Interactions, form: Form) -> None:
    model = DisenGCN(form=form, epochs=3).fit(train)
    assert torch.isfinite(model.score(EVERYBODY)).all()


@pytest.mark.parametrize("num_channels", [0, 5])
def test_channels_divide_the_width(train: Interactions, num_channels: int) -> None:
    with pytest.raises(UsageError, match=r"'num_channels'.*got \d and 64"):
        DisenGCN(num_channels=num_channels).fit(train)
