from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from one_step import unmoved
from torch import Tensor
from torch.nn import functional

from baselines.macridvae import MacridVAE
from models.interactions import Interactions

Form = Literal["paper", "recbole"]
FORMS: tuple[Form, ...] = ("paper", "recbole")
USERS = torch.tensor([3, 0, 1])
EVERYBODY = torch.arange(4)


def built(train: Interactions, **options: Any) -> MacridVAE:
    model = MacridVAE(**{"embedding_dim": 3, "hidden_dim": 5, "num_concepts": 2} | options)
    torch.manual_seed(1)
    model.build(train)
    model.step = 1
    for bias in (model.input_bias, model.output_bias):  # zeros would hide their absence
        torch.nn.init.uniform_(bias)
    return model.eval()


def seeded_loss(model: MacridVAE, users: Tensor) -> Tensor:
    torch.manual_seed(7)
    return model.loss(users)


def rows(train: Interactions) -> Tensor:
    x = torch.zeros(train.num_users, train.num_items)
    x[train.users, train.items] = 1
    return x


def expected(train: Interactions, model: MacridVAE, users: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and, without the penalty, loss by dense matrices; noise in the model's order."""
    tau, paper = model.temperature, model.form == "paper"
    x = rows(train)[users]
    items, prototypes = (
        matrix / matrix.norm(dim=1, keepdim=True)
        for matrix in (model.item_embedding, model.prototypes)
    )
    concept_logits = items @ prototypes.T / tau
    if model.training:
        concept_logits = concept_logits - torch.empty_like(concept_logits).exponential_().log()
    concepts = concept_logits.softmax(1)
    dim, means, log_ratios = model.embedding_dim, [], []
    kept = torch.ones(model.num_concepts if paper else 1, int(x.sum()))
    kept = functional.dropout(kept, model.dropout, model.training)
    for k, c in enumerate(concepts.T):
        dropout = torch.zeros_like(x)
        dropout[x > 0] = kept[k if paper else 0]
        scaled = x * c if paper else x
        scaled = scaled / scaled.norm(dim=1, keepdim=True).clamp_min(1e-12)
        scaled = (scaled if paper else scaled * c) * dropout
        hidden = torch.tanh(scaled @ model.input_weight + model.input_bias)
        out = hidden @ model.output_weight + model.output_bias
        means.append(out[:, :dim] / out[:, :dim].norm(dim=1, keepdim=True))
        log_ratios.append(-out[:, dim:] if paper else out[:, dim:])
    mean, log_ratio = torch.stack(means), torch.stack(log_ratios)
    if model.training:
        mean = mean + model.prior_std * log_ratio.exp().sqrt() * torch.randn_like(mean)
    states = mean / mean.norm(dim=2, keepdim=True)
    pairs = zip(concepts.T, states, strict=True)
    scores = torch.stack([c * (z @ items.T / tau).exp() for c, z in pairs])
    logits = scores.sum(0).log()
    divergence = (log_ratio.exp() - log_ratio - 1).sum((0, 2)) / 2
    reconstruction = -(x * logits.log_softmax(1)).sum(1)
    return logits, (reconstruction + model.beta() * divergence).mean()


@pytest.mark.usefixtures("float64")
def test_golden(fill: Callable[[tuple[int, ...], int], Tensor]) -> None:
    train = Interactions(
        torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 2, 0, 1, 3]), num_users=2, num_items=4
    )
    model = MacridVAE(embedding_dim=2, hidden_dim=2, num_concepts=2, reg=0.0)
    model.build(train)
    model.load_state_dict(
        {
            "item_embedding": fill((4, 2), 1),
            "prototypes": fill((2, 2), 4),
            "input_weight": fill((4, 2), 2),
            "input_bias": fill((2,), 3),
            "output_weight": fill((2, 4), 5),
            "output_bias": fill((4,), 6),
        }
    )
    model.eval()
    concepts = model.log_concepts(functional.normalize(model.item_embedding)).exp()
    golden_concepts = torch.tensor(
        [[0.167865, 0.832135], [0.178097, 0.821903], [0.013714, 0.986286], [0.996285, 0.003715]]
    )
    torch.testing.assert_close(concepts, golden_concepts, atol=1e-6, rtol=0)
    golden_logits = torch.tensor(
        [[4.630535, -5.371638, -9.906215, 9.983786], [4.953745, -7.968659, -9.951752, 6.637315]]
    )
    users = torch.arange(2)
    torch.testing.assert_close(model.score(users), golden_logits, atol=1e-6, rtol=0)
    model.max_beta = 0.0
    reconstruction = model.loss(users).item()
    model.max_beta, model.step = 1.0, 1000
    assert reconstruction == pytest.approx(21.026632, abs=1e-6)
    assert model.loss(users).item() - reconstruction == pytest.approx(0.038391, abs=1e-6)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("training", [False, True])
def test_logits_and_loss_equal_dense_matrices(
    train: Interactions, form: Form, training: bool
) -> None:
    model = built(train, form=form, reg=0.0)
    logits, _ = expected(train, model, USERS)
    torch.testing.assert_close(model.score(USERS), logits)
    model.train(training)
    torch.manual_seed(7)
    _, loss = expected(train, model, USERS)
    torch.testing.assert_close(seeded_loss(model, USERS), loss)


@pytest.mark.usefixtures("float64")
def test_one_concept_is_a_softmax_of_cosines(train: Interactions) -> None:
    model = built(train, num_concepts=1)
    items = functional.normalize(model.item_embedding)
    assert torch.equal(model.log_concepts(items), torch.zeros(6, 1))
    hidden = torch.tanh(functional.normalize(rows(train)) @ model.input_weight + model.input_bias)
    latent = functional.normalize((hidden @ model.output_weight + model.output_bias)[:, :3])
    torch.testing.assert_close(model.score(EVERYBODY), latent @ items.T / 0.1)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_lengths_of_items_and_prototypes_do_not_matter(train: Interactions, form: Form) -> None:
    model = built(train, form=form)
    before = model.score(EVERYBODY)
    model.item_embedding.data *= torch.arange(1, 7)[:, None]
    model.prototypes.data *= torch.tensor([[0.3], [20.0]])
    torch.testing.assert_close(model.score(EVERYBODY), before)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_order_of_concepts_does_not_matter(train: Interactions, form: Form) -> None:
    model = built(train, form=form, num_concepts=3)
    scores, loss = model.score(EVERYBODY), model.loss(USERS)
    model.prototypes.data = model.prototypes.data[[2, 0, 1]]
    torch.testing.assert_close(model.score(EVERYBODY), scores)
    torch.testing.assert_close(model.loss(USERS), loss)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_divergence_is_zero_only_at_the_prior(train: Interactions, form: Form) -> None:
    model = built(train, form=form)

    def divergence() -> float:
        model.max_beta, model.step = 1.0, 1000
        loss = model.loss(USERS).item()
        model.step = 0
        return loss - model.loss(USERS).item()

    model.output_weight.data[:, 3:] = 0
    for b, positive in ((0.0, False), (0.1, True), (-0.1, True)):
        model.output_bias.data[3:] = b
        assert (divergence() > 1e-6) is positive


@pytest.mark.usefixtures("float64")
def test_training_items_compete_in_the_softmax(train: Interactions) -> None:
    """A user's one item has less than all of the probability, and no score is masked."""
    model = built(train, reg=0.0)
    model.step = 0
    scores = model.score(torch.tensor([3]))
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(model.loss(torch.tensor([3])), -scores.log_softmax(1)[0, 1])


@pytest.mark.usefixtures("float64")
def test_input_of_one_item_is_that_item_for_every_concept(train: Interactions) -> None:
    model = built(train)
    user = torch.tensor([3])  # has item 1 alone
    latent, _ = model.encode(user, model.log_concepts(functional.normalize(model.item_embedding)))
    hidden = torch.tanh(model.input_weight[1] + model.input_bias)
    mean = functional.normalize((hidden @ model.output_weight + model.output_bias)[:3], dim=0)
    torch.testing.assert_close(latent[:, 0], mean.expand(2, -1))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_gradient_with_fixed_noise(train: Interactions, form: Form) -> None:
    model = built(train, form=form, reg=0.1).train()
    users = torch.tensor([3, 2, 0])
    assert torch.autograd.gradcheck(lambda *_: seeded_loss(model, users), tuple(model.parameters()))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_penalty(train: Interactions, form: Form) -> None:
    model, plain = built(train, form=form, reg=0.1), built(train, form=form, reg=0.0)
    matrices = model.item_embedding, model.prototypes, model.input_weight, model.output_weight
    squares = [matrix.square().sum() for matrix in matrices]
    penalty = sum(value if form == "paper" else value.sqrt() for value in squares)
    torch.testing.assert_close(model.loss(USERS) - plain.loss(USERS), 0.1 * penalty)


def test_beta_reaches_its_cap_after_one_epoch(checkerboard: Interactions) -> None:
    model = MacridVAE(batch_size=10, epochs=1)
    model.build(checkerboard)
    betas, generator = [], torch.Generator().manual_seed(0)
    for _ in range(2):
        betas += [model.beta() for _ in model.batches(checkerboard, generator)]
        model.history.append({"loss": 0.0})
    assert betas == pytest.approx([1 / 15, 2 / 15, 0.2, 0.2, 0.2, 0.2])
    model.annealing_epochs, model.step = 0, 0
    assert model.beta() == 0.2


def test_an_epoch_visits_every_user_with_items_once(train: Interactions) -> None:
    model = MacridVAE(batch_size=2)
    model.build(train)
    batches = [users for (users,) in model.batches(train, torch.Generator().manual_seed(0))]
    assert [len(users) for users in batches] == [2, 1]
    assert sorted(torch.cat(batches).tolist()) == [0, 1, 3]


@pytest.mark.parametrize("form", FORMS)
def test_one_step_moves_every_parameter(train: Interactions, form: Form) -> None:
    model = built(train, form=form, reg=0.0, dropout=0.0).train()
    torch.manual_seed(7)
    assert unmoved(model, USERS) == set()


@pytest.mark.parametrize("form", FORMS)
def test_noise_only_in_training(train: Interactions, form: Form) -> None:
    model = built(train, form=form)
    assert torch.equal(model.loss(USERS), model.loss(USERS))
    model.train()
    assert not torch.equal(model.loss(USERS), model.loss(USERS))


@pytest.mark.parametrize("form", FORMS)
def test_users_without_items_are_finite(train: Interactions, form: Form) -> None:
    model = MacridVAE(form=form, epochs=3).fit(train)
    assert torch.isfinite(model.score(EVERYBODY)).all()


def test_batches_of_500_users_by_default() -> None:
    assert MacridVAE().params()["batch_size"] == MacridVAE.defaults()["batch_size"] == 500


def test_recbole_form_equals_recbole(train: Interactions) -> None:
    peer = pytest.importorskip("recbole.model.general_recommender.macridvae").MacridVAE
    model = built(train, form="recbole", reg=0.1)
    x = rows(train)[USERS]
    # its own constructor reads a configuration and a data set; only its formulas are of interest
    other = peer.__new__(peer)
    torch.nn.Module.__init__(other)
    other.k_embedding = SimpleNamespace(weight=model.prototypes)
    other.item_embedding = SimpleNamespace(weight=model.item_embedding)
    other.encoder = other.mlp_layers([6, 5, 6])
    first = {"0.weight": model.input_weight.T, "0.bias": model.input_bias}
    second = {"2.weight": model.output_weight.T, "2.bias": model.output_bias}
    other.encoder.load_state_dict(first | second)
    other.kfac, other.tau, other.embedding_size, other.std = 2, 0.1, 3, 0.075
    other.nogb, other.drop_out, other.regs = False, 0.5, [0.1, 0.1]
    other.update, other.anneal_cap, other.total_anneal_steps = 0, 0.2, 5
    other.USER_ID, other.get_rating_matrix = "user", lambda users: rows(train)[users]
    other.eval()
    torch.testing.assert_close(model.score(USERS), other.forward(x)[0])
    assert model.beta() == pytest.approx(1 / 5)
    torch.testing.assert_close(model.loss(USERS), other.calculate_loss({"user": USERS}))
