from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from models.pooling import pool
from models.propagation import SparseMatrix

SHARES = [0.0, 0.2, 0.9]


def inputs(share: float) -> tuple[Tensor, Tensor, SparseMatrix]:
    """Assignments of seven nodes to three groups in two modalities, and a symmetric graph."""
    upper = np.triu(np.random.default_rng(0).random((7, 7)) < share, 1)
    graph = (upper | upper.T).astype(np.float32)
    generator = torch.Generator().manual_seed(0)
    gamma = torch.randn(7, 2, 3, generator=generator).softmax(2).requires_grad_()
    matrix = SparseMatrix(sp.csr_array(graph), "cpu", symmetric=True)
    return gamma, torch.from_numpy(graph).to(gamma.dtype), matrix


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("share", SHARES)
def test_pooled_graph_of_every_modality(share: float) -> None:
    gamma, dense, graph = inputs(share)
    pooled = pool(gamma, graph)
    assert pooled.shape == (2, 3, 3)
    for modality in range(2):
        of_one = gamma[:, modality]
        torch.testing.assert_close(pooled[modality], of_one.T @ dense @ of_one)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("share", SHARES)
def test_gradient(share: float) -> None:
    gamma, _, graph = inputs(share)
    assert torch.autograd.gradcheck(lambda x: pool(x, graph), (gamma,))


@pytest.mark.usefixtures("float64")
def test_gradient_beside_other_uses_of_the_assignments() -> None:
    gamma, dense, graph = inputs(0.5)
    weights = torch.arange(18).reshape(2, 3, 3).double()  # not symmetric

    def loss(pooled: Tensor) -> Tensor:
        return (weights * pooled).sum() + gamma.square().sum()

    plain = torch.einsum("imk,ij,jml->mkl", gamma, dense, gamma)
    (expected,) = torch.autograd.grad(loss(plain), gamma)
    (found,) = torch.autograd.grad(loss(pool(gamma, graph)), gamma)
    torch.testing.assert_close(found, expected)
