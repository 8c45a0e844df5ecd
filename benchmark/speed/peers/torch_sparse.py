"""The sparse formats of torch and of SciPy."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmark.speed.timing import Form


def propagation(matrix: Any, x: Tensor, grad: Tensor, layout: Literal["COO", "CSR"]) -> Form:
    """``matrix @ x`` and its gradient by ``torch.sparse.mm``; both dense ones ``[*, d]``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        offsets, columns = torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices)
        values = torch.from_numpy(matrix.data).to(x.dtype)
        sparse = torch.sparse_csr_tensor(
            offsets, columns, values, matrix.shape, device=x.device, check_invariants=False
        )
        if layout == "COO":
            sparse = sparse.to_sparse(layout=torch.sparse_coo).coalesce()

    def run(parts: int) -> tuple[Tensor, Tensor]:
        source = x.clone().requires_grad_()
        result = torch.sparse.mm(sparse, source)
        result.backward(grad)
        assert source.grad is not None
        return result.detach(), source.grad

    return Form(f"torch.sparse {layout}", run)


def scipy_propagation(matrix: Any, x: Tensor, grad: Tensor) -> Form:
    """``matrix @ x`` and ``matrix @ grad``, the gradient where the matrix is symmetric."""
    single = matrix.astype(np.float32)
    x, grad = x.cpu(), grad.cpu()

    def run(parts: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(single @ x.numpy()), torch.from_numpy(single @ grad.numpy())

    return Form("SciPy CSR", run)


def scipy_item_graph(users: Tensor, items: Tensor, shape: tuple[int, int], least: int) -> Form:
    """The whole product of the interactions with themselves, then the threshold."""
    import scipy.sparse as sp

    rows, columns = users.cpu().int().numpy(), items.cpu().int().numpy()

    def run(parts: int) -> Any:
        ones = np.ones(len(rows), dtype=np.int32)
        r = sp.csr_array((ones, (rows, columns)), shape=shape)
        shared = (r.T.tocsr() @ r).tocsr()
        own = np.repeat(np.arange(shape[1]), np.diff(shared.indptr))
        shared.data = ((shared.data >= least) & (shared.indices != own)).astype(np.float32)
        shared.eliminate_zeros()
        return shared

    return Form("SciPy", run)
