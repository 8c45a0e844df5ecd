"""Data sets whose interactions are a sparse matrix that SciPy saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmark.datasets.assembly import assemble
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.modalities import LARGEST_ID, check_size, find_features
from benchmark.datasets.reading import readable
from benchmark.foreign_files import check_archive
from models.errors import UsageError

NAME = "interactions.npz"


def read_interaction_matrix(folder: Path) -> Dataset:
    """Read one folder::

        shop/
          interactions.npz    scipy.sparse.save_npz of a matrix users x items (CSR, CSC or COO);
                              whatever is not 0 is an interaction
          image_feat.npy      row i belongs to item i; any number of <modality>_feat.npy
          text.json           or {item number: [numbers]}, or a folder of <item number>.npy

    There is no split in this layout: one is drawn.

    Raises:
        UsageError: If a file is missing, unreadable or malformed; the message names it.
    """
    path = folder / NAME
    matrix = _read(path)
    found = find_features(folder, ("_feat.npy", ".json"))
    users, items = matrix.row.astype(np.int64), matrix.col.astype(np.int64)
    if len(users) == 0:
        raise UsageError(f"{path}: holds no interaction; every entry is 0")
    rows = found.num_items
    if rows not in (None, matrix.shape[1]):
        raise UsageError(
            f"{path}: has {matrix.shape[1]} columns, and "
            f"{next(iter(found.files.values())).name} has {rows} rows; both are the items"
        )
    if rows is None:
        check_size("item", matrix.shape[1], len(items), path)
    return assemble(
        path,
        f"a sparse matrix of SciPy ({NAME})",
        users,
        items,
        labels=None,
        num_users=matrix.shape[0],
        num_items=matrix.shape[1],
        features=found.features_by_number(matrix.shape[1]),
    )


def _read(path: Path) -> Any:
    """The matrix in COO form, its ids checked, since SciPy's own routines trust them."""
    fix = "save it with scipy.sparse.save_npz(path, matrix.tocsr())"
    try:
        with readable(path):
            check_archive(path)
            matrix: Any = sp.load_npz(path)
            if matrix.format not in ("csr", "csc", "coo"):
                raise ValueError(f"its format is {matrix.format}")
            if max(matrix.shape) > LARGEST_ID:
                raise ValueError(f"its shape is {matrix.shape}")
            if matrix.format != "coo":
                matrix.check_format(full_check=True)
            matrix = matrix.tocoo()
            if matrix.dtype.kind not in "biuf" or not np.isfinite(matrix.data).all():
                raise ValueError("its entries are no finite numbers")
            if ((matrix.row < 0) | (matrix.col < 0)).any():
                raise ValueError("an index is negative")
            matrix.eliminate_zeros()
            return matrix
    except UsageError:
        raise
    except Exception as error:  # a damaged archive raises nearly everything
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise UsageError(f"{path}: is no sparse matrix of SciPy ({detail}); {fix}") from error
