"""What the paper's tables and figures consist of, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.damage import EVERY, POLICIES, Damage
from benchmark.protocols import SWITCHES
from models.registry import label, registered

PAPER_MODELS = ("vbpr", "duif", "cb2cf", "ngcf", "mmgcn", "disengcn", "macridvae", "huign")
"""The columns of Table 2, in the paper's order; every other model is an anchor beside them."""

PROPOSED = "huign"
"""The one among them that the paper is about."""

RELEASED = ("huign_official", "mmgcn_official")
"""Forms that follow released code, mistakes included; run only when they are named."""

FOR_NEW_ITEMS = ("huign_plus",)
"""Forms made for items without interactions; run only when they are named."""

STRUCTURES = ((32,), (32, 8), (32, 8, 4), (64, 16, 4), (64, 32, 8, 4))
"""Table 3: numbers of intents per level."""

MIN_CO_USERS = (4, 5, 6, 7, 8)
"""Figure 3: the paper's "> 3" to "> 7" common users of two connected items."""

NEEDS = {
    "table3": "huign among the models and a modality",
    "table4": "huign among the models and two modalities",
    "figure3": "huign among the models and a modality",
    "figure4": "huign among the models and a modality",
    "protocol": "--protocol corrected",
    "missing": "a modality and a model that takes it",
    "ablation": "huign among the models and a modality",
    "hierarchy": "huign among the models and data with planted intents, such as synthetic-small",
}
"""Without which there is no such experiment, see :func:`experiments`; for messages."""

ABLATIONS: Mapping[str, Mapping[str, float]] = {
    "HUIGN": {},
    "HUIGN-C": {"entropy_weight": 0.0},
    "HUIGN-I": {"independence_weight": 0.0},
    "HUIGN-C-I": {"entropy_weight": 0.0, "independence_weight": 0.0},
}
"""Figure 3: which losses are left out."""

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "temperature 0.1": {"temperature": 0.1},
    "temperature 0.01": {"temperature": 0.01},
    "temperature 0.1, no losses": {"temperature": 0.1, **ABLATIONS["HUIGN-C-I"]},
    "intents shared by modalities": {"user_intents": "shared"},
    "isolated items by themselves": {"isolated": "self"},
    "isolated items without intents": {"isolated": "drop"},
}
"""Ablation: what else the paper chose, or left open, and what one would try to mend HUIGN with."""

FORMS: Mapping[str, Mapping[str, float]] = {
    "HUIGN": {},
    "HUIGN (temperature 0.1)": {"temperature": 0.1},
    "HUIGN (temperature 0.01)": {"temperature": 0.01},
    "HUIGN-C-I": ABLATIONS["HUIGN-C-I"],
}
"""Planted hierarchy: what decides whether HUIGN's intents collapse; its temperature is 1."""

CONTROL = "for comparison"
"""Planted hierarchy: stands for a form where a place is one to hold the others against."""

MISSING_RATES = (0.3, 0.6, 0.9)
"""Missing modalities: the share of the items that lose one."""

CONTROLS = {"knock-out": "mask", "shuffle": "shuffle"}
"""Missing modalities: what is done to all items to see whether a model uses a modality at all."""


@dataclass(frozen=True)
class Variant:
    """A model with some hyper-parameters fixed.

    Args:
        label: What tables print; two variants with one label are the same variant.
        model: Registered name.
        fixed: Hyper-parameters that are not tuned.
        tuned_as: Take the tuned hyper-parameters of this variant instead of tuning again.
        switches: Of :data:`benchmark.protocols.SWITCHES`, those turned on for it.
        damage: What happens to the item features before it is trained.
    """

    label: str
    model: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    tuned_as: Variant | None = None
    switches: Sequence[str] = ()
    damage: Damage | None = None


@dataclass(frozen=True)
class Experiment:
    """A table or figure: named places and the variant that fills each of them.

    Args:
        name: Of its files, such as ``table3``.
        title: What it shows.
        cells: Pairs of a place, as columns and their values, and a variant.
    """

    name: str
    title: str
    cells: Sequence[tuple[Mapping[str, Any], Variant]]


def experiments(
    models: Iterable[str], modalities: Sequence[str], planted: Sequence[int] = ()
) -> list[Experiment]:
    """Everything that these models allow on data with these modalities.

    Table 2 and the protocol's switches always; Tables 3 and 4, Figures 3 and 4 and the ablation
    where HUIGN is among the models, missing modalities where one of them takes any, the planted
    hierarchy where there is one. All but Table 2 take the hyper-parameters that Table 2 was given,
    so they cost trainings but no studies.

    Args:
        models: Registered names.
        modalities: Names of item features.
        planted: Numbers of planted intents by level, fine ones first; none of real data.
    """
    models = paper_first(models)
    huign = Variant(label("huign"), "huign")
    with_intents = "huign" in models and bool(modalities)
    found = [table2(models)]
    if with_intents:
        several = [table4(huign, modalities)] if len(modalities) > 1 else []
        found += [table3(huign), *several, figure3(huign), figure4(huign)]
    found.append(protocol(models))
    if with_intents:
        found.append(ablation(huign))
    if takers := [name for name in models if takes_features(name, modalities)]:
        found.append(missing(takers, modalities))
    if with_intents and planted:
        found.append(hierarchy(huign, planted))
    return found


def takes_features(model: str, modalities: Sequence[str]) -> bool:
    """Whether a model is known to require item features, and these suffice."""
    cls = registered().get(model)
    return cls is not None and bool(cls.requires) and cls.missing_modality(modalities) is None


def default_models() -> list[str]:
    """All registered models except the released forms and those for new items."""
    return sorted(set(registered()) - {*RELEASED, *FOR_NEW_ITEMS})


def paper_first(models: Iterable[str]) -> list[str]:
    """The paper's models in its order, then the others."""
    models = list(models)
    paper = [name for name in PAPER_MODELS if name in models]
    return [*paper, *(name for name in models if name not in PAPER_MODELS)]


def table2(models: Sequence[str]) -> Experiment:
    """Overall performance, the paper's models first."""
    models = paper_first(models)
    cells = [({"model": label(name)}, Variant(label(name), name)) for name in models]
    return Experiment("table2", "Overall performance", cells)


def table3(huign: Variant) -> Experiment:
    """The structure of the intents."""
    cells = []
    for levels in STRUCTURES:
        name = "-".join(map(str, levels))
        variant = Variant(f"HUIGN {name}", "huign", {"levels": levels}, huign)
        cells.append(({"structure": name}, huign if levels == (32, 8, 4) else variant))
    return Experiment("table3", "Structure of the intents", cells)


def table4(huign: Variant, modalities: Sequence[str]) -> Experiment:
    """One modality at a time, and all together."""
    cells = [
        ({"modality": name}, Variant(f"HUIGN {name}", "huign", {"modalities": [name]}, huign))
        for name in modalities
    ]
    return Experiment("table4", "Modalities", [*cells, ({"modality": "multiple"}, huign)])


def figure3(huign: Variant) -> Experiment:
    """The two losses against the density of the item graph."""
    cells = [
        ({"variant": name, "min_co_users": least}, of_figure3(name, least, huign))
        for name in ABLATIONS
        for least in MIN_CO_USERS
    ]
    return Experiment("figure3", "Losses and density of the item graph", cells)


def of_figure3(name: str, least: int, huign: Variant) -> Variant:
    """HUIGN with some of its losses, on an item graph of some density."""
    if name == "HUIGN" and least == 5:
        return huign  # its defaults
    fixed = {**ABLATIONS[name], "min_co_users": least}
    return Variant(f"{name} >={least}", "huign", fixed, huign)


def figure4(huign: Variant) -> Experiment:
    """The items by their intents; what is drawn is kept when HUIGN is tested."""
    return Experiment("figure4", "Intents of the items", [({}, huign)])


def ablation(huign: Variant) -> Experiment:
    """HUIGN without its parts, and with other choices than the paper's."""
    sparser = of_figure3("HUIGN-I", 8, huign)
    flat = Variant(f"{sparser.label} 32", "huign", {**sparser.fixed, "levels": (32,)}, huign)
    blind = replace(
        sparser, label=f"{sparser.label}, shuffled", damage=Damage(EVERY, "shuffle", 1.0)
    )
    cells = [
        ({"form": "as published"}, huign),
        ({"form": "no intents (BPR-MF)"}, without_intents(huign)),
        ({"form": "no losses"}, of_figure3("HUIGN-C-I", 5, huign)),
        ({"form": "HUIGN-I, 8 common users"}, sparser),
        ({"form": "HUIGN-I, 8 common users, one level"}, flat),
        ({"form": "HUIGN-I, 8 common users, features shuffled"}, blind),
        ({"form": "HUIGN-I, 16 common users"}, of_figure3("HUIGN-I", 16, huign)),
    ]
    for form, fixed in CHOICES.items():
        cells.append(({"form": form}, Variant(f"HUIGN, {form}", "huign", fixed, huign)))
    return Experiment("ablation", "Parts and choices of HUIGN", cells)


def without_intents(huign: Variant) -> Variant:
    """What is left is matrix factorisation with HUIGN's hyper-parameters."""
    return Variant("HUIGN without intents", "huign", {"modalities": ()}, huign)


def protocol(models: Sequence[str]) -> Experiment:
    """What each habit of the released code is worth to each model, and all of them together."""
    cells = []
    for name in models:
        base = Variant(label(name), name)
        cells.append(({"model": base.label, "switch": "corrected"}, base))
        for title, switches in (*((each, [each]) for each in SWITCHES), ("official", SWITCHES)):
            variant = Variant(f"{base.label}, {title}", name, {}, base, tuple(switches))
            cells.append(({"model": base.label, "switch": title}, variant))
    return Experiment("protocol", "Fidelity to the released code", cells)


def missing(models: Sequence[str], modalities: Sequence[str]) -> Experiment:
    """Every modality missing for more and more items, and controls that take it from all."""
    shares = [(policy, policy, rate) for policy in POLICIES for rate in MISSING_RATES]
    controls = [(title, policy, 1.0) for title, policy in CONTROLS.items()]
    cells = []
    for name in models:
        base = Variant(label(name), name)
        for modality in modalities:
            place = {"model": base.label, "modality": modality}
            cells.append(({**place, "policy": "complete", "rate": 0.0}, base))
            for title, policy, rate in (*shares, *controls):
                what = title if rate == 1 else f"{title} {100 * rate:.0f} %"
                damage = Damage(modality, policy, rate)
                shown = f"{base.label}, {modality} {what}"
                variant = Variant(shown, name, tuned_as=base, damage=damage)
                cells.append(({**place, "policy": title, "rate": rate}, variant))
    return Experiment("missing", "Missing modalities", cells)


def hierarchy(huign: Variant, planted: Sequence[int]) -> Experiment:
    """One, two, ... of the planted levels, by what decides whether HUIGN's intents collapse.

    Args:
        huign: The model as it is.
        planted: Numbers of planted intents by level, fine ones first.
    """
    cells = []
    for form, fixed in FORMS.items():
        for depth in range(1, len(planted) + 1):
            levels = tuple(planted[:depth])
            name = "-".join(map(str, levels))
            # of the first form the variants of Table 3
            variant = Variant(f"{form} {name}", "huign", {**fixed, "levels": levels}, huign)
            default = not fixed and levels == (32, 8, 4)
            cells.append(({"variant": form, "structure": name}, huign if default else variant))
    cells.append(({"variant": CONTROL, "structure": "no intents"}, without_intents(huign)))
    return Experiment("hierarchy", "Planted hierarchy of intents", cells)
