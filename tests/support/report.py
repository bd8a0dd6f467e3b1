"""What tests and bench of the page share: its core under node, Python's answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrogate.answers import Fit, stability_edge
from surrogate.families import Family
from surrogate.numerics import argmin, plateau
from surrogate.numerics.half_plane import Cut
from surrogate.views.explorer import page
from surrogate.views.explorer.document import document as whole

NODE = shutil.which("node")
TOL = 0.0025
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def run_core(script: str, given: Any) -> Any:
    """What a script returns that follows the page's core, with `given` to read."""
    assert NODE is not None
    program = (
        f"'use strict';\n{page.joined(page.CORE)}\n"
        "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
        f"const answered = (() => {{ {script} }})();\n"
        "process.stdout.write(JSON.stringify(answered));\n"
    )
    # Longer than an argument may be.
    with tempfile.NamedTemporaryFile("w", suffix=".js") as file:
        file.write(program)
        file.flush()
        done = subprocess.run(
            [NODE, file.name],
            input=page.embedded(given),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def questions(fit: Fit, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Random (N, D) from half the smallest fitted to four times the largest."""
    rng = np.random.default_rng(seed)

    def sizes(name: str) -> list[float]:
        low, high = fit.features.fitted[name]
        return np.exp(rng.uniform(np.log(low / 2), np.log(high * 4), count)).tolist()

    scales = {
        n: float(np.sqrt(np.prod(fit.features.fitted[n]))) for n in fit.scale_names
    }
    return [
        {
            "params": params,
            "tokens": tokens,
            "scales": scales,
            "recipe": fit.recipes[-1],
            "tol": TOL,
            "lr": 1e-3,
            "batch": 2.0**19,
            "seq": 0,
            "view": "near",
        }
        for params, tokens in zip(sizes("params"), sizes("tokens"), strict=True)
    ]


def document(fit: Fit) -> dict[str, Any]:
    """What the page of a fit embeds."""
    return whole(fit, fit.runs, "FIT")


def python_answers(fit: Fit, asked: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Ln loss, optimum and plateau extents [ln], each question one line."""
    parts = [
        fit.at(**{k: q[k] for k in ("params", "tokens", "scales", "recipe")}).question
        for q in asked
    ]
    low, high = fit.features.box()
    limits = [stability_edge.bounds(part, low, high, {}) for part in parts]
    assert not any(limit.is_beyond for limit in limits)
    cuts = [limit.cut for limit in limits if limit.cut is not None]
    with jax.enable_x64(True):
        cut = (
            Cut(
                jnp.stack([jnp.asarray(c.normal) for c in cuts]),
                jnp.stack([jnp.asarray(c.bound) for c in cuts]),
            )
            if cuts
            else None
        )
        assert cut is None or len(cuts) == len(asked)
        s = jnp.asarray(np.stack([part.s for part in parts]))
        arrays = map(jnp.asarray, (fit.theta, low, high, np.log1p(TOL)))
        found, edges = _answers(fit.family, s, cut, *arrays)
    mean = np.asarray(fit.features.mean[: len(low)])
    scale = fit.features.u_scale
    return {
        "loss": np.asarray(found.value) + fit.features.level,
        "best": np.asarray(found.u) * scale + mean,
        "edges": np.asarray(edges.edges) * scale[:, None] + mean[:, None],
        "is_cut": np.asarray(found.is_cut),
    }


@partial(jax.jit, static_argnums=0)
def _answers(
    family: Family, s: Any, cut: Any, theta: Any, low: Any, high: Any, log_tol: Any
) -> tuple[argmin.Minimum, plateau.Extents]:
    surface = family.log_loss

    def one(s: Any, cut: Any) -> tuple[argmin.Minimum, plateau.Extents]:
        place = argmin.Place(s, low, high, cut)
        found = argmin.argmin(surface, theta, 0.5 * (low + high), place)
        level = found.value + log_tol
        return found, plateau.extents(surface, theta, found, place, level)

    return jax.vmap(one)(s, cut)


# The page's own answers to `given.asked`, in the form of `python_answers`.
ANSWERS = """
  const model = prepare(given.document);
  return given.asked.map((question) => {
    const answer = answerOf(model, question);
    return {
      loss: Math.log(answer.loss), isCut: answer.found.isCut,
      best: model.choices.map((name) => Math.log(answer.best[name])),
      edges: model.choices.map((name) => answer.plateau[name].map(Math.log)),
    };
  });
"""


def differences(
    answered: list[dict[str, Any]], expected: dict[str, np.ndarray]
) -> dict[str, float]:
    """Largest relative differences of losses and settings, by their logarithms."""
    return {
        key: float(np.abs(np.array([a[key] for a in answered]) - expected[key]).max())
        for key in ("loss", "best", "edges")
    }
