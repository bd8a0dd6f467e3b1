"""The released dumps that are known: where they are, what they are, and whose."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from surrogate.base.arguments import checked
from surrogate.base.errors import DataError
from surrogate.base.units import quote

_RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Dump:
    """One released file of runs.

    Attributes:
        name: what it is fetched by.
        file: its name on this machine.
        about: what it is.
        runs: how many; None where that is not known of the whole file.
        source: repository and commit.
        licence: of the data, as their repository has it.
        url: of the file; "" where no single file is published.
        sha256: of its bytes; "" where they are recorded at the first fetch.
        size: in bytes; 0 where it is not known.
    """

    name: str
    file: str
    about: str
    runs: int | None
    source: str
    licence: str
    url: str = ""
    sha256: str = ""
    size: int = 0


_STEP_LAW = f"{_RAW}/step-law/steplaw/32a8f4c/data"
_OPEN_EURO = (
    f"{_RAW}/OpenEuroLLM/dense_english_scaling_laws/"
    "781af4364e3ba03886f7d8fd9a6cf9d8e873eff4/data"
)
DUMPS = (
    Dump(
        name="steplaw-dense",
        file="dense_lr_bs_loss.csv",
        about="Step Law dense sweep: lr x batch in 17 cells of (N, D), 215M to 1.07B",
        runs=1911,
        source="github step-law/steplaw, 32a8f4c",
        licence="none stated",
        url=f"{_STEP_LAW}/dense_lr_bs_loss.csv",
        sha256="9e46181076c04d450294d75dfe6f72adc416e231e154a07b337e378f9410002c",
        size=344_476,
    ),
    Dump(
        name="steplaw-moe",
        file="moe_lr_bs_loss.csv",
        about="Step Law MoE sweep: 4 expert structures x 4 D, 9 lr x 5 batch",
        runs=708,
        source="github step-law/steplaw, 32a8f4c",
        licence="none stated",
        url=f"{_STEP_LAW}/moe_lr_bs_loss.csv",
        sha256="653d585244a7b227423007e8b796bc16d76f6d24eb87b1919b8f048a91897b92",
        size=232_920,
    ),
    Dump(
        name="openeurollm",
        file="loss_all_exps_post_annealing.csv",
        about="OpenEuroLLM sweep (arXiv 2608.28308): lr x batch x N x D, WSD annealed",
        runs=None,
        source="github OpenEuroLLM/dense_english_scaling_laws, 781af436",
        licence="none stated",
        url=f"{_OPEN_EURO}/loss_all_exps_post_annealing.csv",
    ),
    Dump(
        name="marin-optimizers",
        file="marin_optimizer_sweep.csv",
        about="Marin optimizer sweep: 12 optimizers, one factor at a time",
        runs=None,
        source="github WhenWen/marin, 39c567c2, many files put together",
        licence="Apache-2.0",
    ),
    Dump(
        name="lr-scheduling",
        file="lr_scheduling_runs.csv",
        about="lr x steps x schedule at one batch a size",
        runs=235,
        source="github fabian-sp/lr-scheduling, 8ace3a32, many files put together",
        licence="MIT",
    ),
)


@checked()
def find(name: str) -> Dump:
    """The dump of a name.

    Raises:
        DataError: there is none; with the names that there are.
    """
    names = [dump.name for dump in DUMPS]
    if name in names:
        return DUMPS[names.index(name)]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise DataError(
        f"data fetch: expected one of {', '.join(names)}, got {quote(name)}.{hint}"
    )
