"""Writes docs/gallery/*.png and docs/gallery.md: one picture of each kind.

    python scripts/gallery.py [NAME]...

Draws from the bundled fits, with the runs of Step Law's dumps where SURROGATE_DATA
(default ../shared/data from the project's root) has them, and from the newest results
in bench/results. Names choose pictures; without any, the page is written too. Each
picture is what the command below it draws.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from surrogate.cli.main import main as surrogate

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "gallery"
LIMIT = 150_000
_HEAD = """\
# Gallery

Written by `python scripts/gallery.py`; do not edit. Each picture is what the command
below it draws (also to SVG and PDF); the runs are Step Law's released ones, in
SURROGATE_DATA.
"""


class Picture(NamedTuple):
    """One picture: its file, what is drawn and what it shows.

    Attributes:
        name: of the file.
        command: what stands between `plot` and `--out`; DATA and RESULT are replaced.
        alt: what it shows, for those who cannot see it.
    """

    name: str
    command: str
    alt: str


PICTURES = (
    Picture(
        "surface",
        "surface steplaw-dense --params 1.07B --tokens 20B --lr 3e-4 --batch 512x2048 "
        "--runs DATA/steplaw/dense_lr_bs_loss.csv",
        "Contours of excess loss over learning rate and batch size at 1.07B parameters "
        "and 20B tokens, with the plateau within 0.25 %, the optimum and its interval, "
        "a choice that loses 2.2 %, the measured runs, and the stability edge at high "
        "learning rates.",
    ),
    Picture(
        "slices",
        "slices steplaw-dense --params 1.07B --tokens 20B "
        "--runs DATA/steplaw/dense_lr_bs_loss.csv",
        "Two curves with bands: loss along learning rate at the best batch, and along "
        "batch at the best learning rate, each with the plateau and measured runs.",
    ),
    Picture(
        "scaling",
        "scaling steplaw-dense --runs DATA/steplaw/dense_lr_bs_loss.csv",
        "Four panels: the best learning rate falls with parameters and rises with "
        "tokens; the best batch rises with tokens and hardly depends on parameters. "
        "Extrapolated parts are dashed, with widening bands.",
    ),
    Picture(
        "residuals",
        "residuals steplaw-dense --runs DATA/steplaw/dense_lr_bs_loss.csv",
        "Residuals of 1,730 runs: within a few permille up to 3 % of excess loss, up "
        "to 50 permille beyond; and the median of each of 17 cells, within 3 permille.",
    ),
    Picture(
        "surface-moe",
        "surface steplaw-moe --params 2.15B --tokens 8B --scale active=590M "
        "--runs DATA/steplaw/moe_lr_bs_loss.csv --map active=Na",
        "The surface of a mixture of experts with 590M active parameters.",
    ),
    Picture(
        "coverage",
        "coverage RESULT",
        "Coverage of 95 % intervals by setting: optimum, plateau edges and regret.",
    ),
    Picture(
        "throughput",
        "throughput RESULT",
        "Fits a second against the number of problems, with other programs as lines.",
    ),
)


def main(names: list[str]) -> int:
    """Draw what can be drawn here; the page lists the pictures that are there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        if not names or picture.name in names:
            _draw(picture)
    if not names:
        shown = [p for p in PICTURES if (FOLDER / f"{p.name}.png").is_file()]
        page = "\n".join([_HEAD, *map(_section, shown)])
        (ROOT / "docs" / "gallery.md").write_text(page, encoding="utf-8")
    return 0


def _draw(picture: Picture) -> None:
    command = _command(picture)
    missing = "RESULT" in command or ("DATA" in picture.command and not _data())
    if missing:
        print(f"{picture.name}: nothing here to draw it from, left as it is")
        return
    out = FOLDER / f"{picture.name}.png"
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        words = shlex.split(command.replace("DATA", str(_data())))
        code = surrogate(["plot", *words, "--out", str(out), "--overwrite"])
    if code:
        sys.exit(f"{picture.name}: exit code {code}")
    size = _smaller(out)
    print(f"{picture.name}: {size:,} bytes")
    if size > LIMIT:
        sys.exit(f"{picture.name}: more than {LIMIT:,} bytes")


def _smaller(path: Path) -> int:
    """The PNG again with a palette, of which figures miss nothing."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    image = image.quantize(
        256, method=Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE
    )
    image.save(path, optimize=True)
    return path.stat().st_size


def _command(picture: Picture) -> str:
    """With the newest kept result in place of RESULT, where there is one."""
    kind = picture.name
    kept = sorted((ROOT / "bench" / "results").glob(f"{kind}_*.json"))
    if not kept:
        return picture.command
    return picture.command.replace("RESULT", str(kept[-1].relative_to(ROOT)))


def _data() -> Path | None:
    folder = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data")).resolve()
    return folder if folder.is_dir() else None


def _section(picture: Picture) -> str:
    command = _command(picture).replace("DATA", "$SURROGATE_DATA")
    return (
        f"## {picture.name}\n\n![{picture.alt}](gallery/{picture.name}.png)\n\n"
        f"```bash\nsurrogate plot {command} --out {picture.name}.png\n```\n"
    )


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
