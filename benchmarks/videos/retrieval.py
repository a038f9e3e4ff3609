"""Retrieval: R@k, FID and MM-Dist of motions and captions that were embedded in one space."""

from __future__ import annotations

from typing import Sequence

import numpy as np

__all__ = ["distances", "frechet", "mm_distance", "recall", "recall_in_pools"]

POOL = 32  # as text-to-motion work reports it since Guo et al. 2022
TOP = (1, 2, 3)


def distances(motions: np.ndarray, captions: np.ndarray) -> np.ndarray:
    """(N, C) Euclidean, of motions (N, D) to captions (C, D)."""
    return np.linalg.norm(motions[:, None] - captions[None], axis=2)


def recall(far: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """R@1, R@2 and R@3 over all captions, for distances (N, C); ``truth``: (N,) the caption of each motion.

    A motion that is not there (its row is NaN) finds nothing.
    """
    rows = np.arange(len(far))
    nearer = (far <= far[rows, truth][:, None]).sum(1)  # (N,) its rank; what is as near stands before it
    nearer[~np.isfinite(far).all(1)] = far.shape[1] + 1
    return {f"R@{k}": float((nearer <= k).mean()) for k in TOP}


def recall_in_pools(far: np.ndarray, truth: np.ndarray, draws: int = 20, seed: int = 0) -> dict[str, float]:
    """The same where each motion chooses among its own caption and 31 drawn from the others."""
    rng = np.random.default_rng(seed)
    size = min(POOL, far.shape[1])
    found = []
    for _ in range(draws):
        pools = np.array([_pool(rng, far.shape[1], int(own), size) for own in truth])  # (N, POOL), own first
        found.append(recall(np.take_along_axis(far, pools, 1), np.zeros(len(far), int)))
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}


def _pool(rng: np.random.Generator, captions: int, own: int, size: int) -> np.ndarray:
    others = rng.permutation(captions - 1)[: size - 1]
    return np.concatenate([[own], others + (others >= own)])


def mm_distance(far: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of a motion from its own caption, of the motions that are there."""
    return float(np.nanmean(far[np.arange(len(far)), truth]))


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of two clouds (N, D), (M, D), each taken for a Gaussian (FID).

    The trace of the root of a product of covariances needs the eigenvalues of a symmetric matrix alone.
    """
    clouds: Sequence[np.ndarray] = (first, second)
    (mean_a, cov_a), (mean_b, cov_b) = ((cloud.mean(0), np.cov(cloud, rowvar=False)) for cloud in clouds)
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)
