// Measured runs against the fitted surface.

const SHOWN_CELLS = 30;

// A column of few values.
function levelsOf({ levels, size, index }) {
  const raw = atob(index), byte = (i) => raw.charCodeAt(i);
  return Array.from({ length: raw.length / size }, (_, i) => levels[size === 1 ? byte(i) : byte(2 * i) + 256 * byte(2 * i + 1)]);
}

// The page's runs with their columns unpacked, each with its residual in ln loss.
function unpackRuns(model) {
  const packed = model.runs;
  if (!packed) return;
  const [lr, batch, cell, diverged] = ["lr", "batch", "cell", "diverged"].map((key) => levelsOf(packed[key])), loss = decode(packed.loss, false);
  const surfaces = packed.cells.map((c) => surfaceOf(model.family, model.shape, model.theta,
    givenOf(model, { params: c.params, tokens: c.tokens, scales: c.scales, recipe: c.recipe })));
  packed.rows = Array.from(lr, (_, i) => {
    const run = { index: i, lr: lr[i], batch: batch[i], loss: loss[i], cell: cell[i], diverged: diverged[i] > 0, name: packed.names ? packed.names[i] : "" };
    const u = model.choices.map((name, j) => toU(model, j, run[name]));
    run.residual = run.diverged ? NaN : Math.log(run.loss) - model.level - valueAt(surfaces[run.cell], u[0], u[1] ?? 0);
    return run;
  });
}

function cellName(model, cell) {
  const scales = Object.entries(cell.scales).map(([name, value]) => `, ${plain(name, 20)} ${formatCount(value)}`).join("");
  return `${model.recipes.length > 1 ? `${plain(cell.recipe, 24)}, ` : ""}${formatCount(cell.params)}, ${formatCount(cell.tokens)}${scales}`;
}

// One strip a cell: residuals of its runs, those near its best stronger.
function drawResiduals(model, width) {
  const cells = model.runs.cells.slice(0, SHOWN_CELLS), rows = model.runs.rows.filter((run) => run.cell < cells.length && !run.diverged);
  const near = rows.filter((run) => run.loss <= 1.1 * cells[run.cell].best).map((run) => Math.abs(run.residual)).sort((a, b) => a - b);
  const limit = 100 * Math.max(near[Math.floor(0.99 * (near.length - 1))] || 0.01, 1e-4) * 1.15, height = 60 + 20 * cells.length;
  const left = width > 560 ? 150 : 96, x = (v) => left + 8 + ((v + limit) / (2 * limit)) * (width - left - 20);
  const ticks = linearTicks(-limit, limit, (v) => trimmed(v));
  const svg = sv("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Residuals of ln loss by cell, in per cent; the table below has the numbers" },
    ticks.map((t) => [sv("line", { class: t.at === 0 ? "zero" : "grid", x1: x(t.at), x2: x(t.at), y1: 6, y2: height - 40 }),
      sv("text", { class: "tick", x: x(t.at), y: height - 26, "text-anchor": "middle" }, t.text)]),
    sv("text", { class: "label", x: x(0), y: height - 8, "text-anchor": "middle" }, "measured minus fitted ln loss [%]"));
  cells.forEach((cell, i) => {
    const y = 18 + 20 * i;
    svg.append(sv("text", { class: "tick", x: left, y: y + 4, "text-anchor": "end" }, plain(cellName(model, cell), width > 560 ? 26 : 15)));
    for (const run of rows) {
      if (run.cell !== i) continue;
      const tier = [0.0025, 0.01, 0.05].filter((e) => run.loss > (1 + e) * cell.best).length;
      svg.append(sv("circle", { class: `run run${tier}`, cx: x(clamp(100 * run.residual, -limit, limit)).toFixed(1), cy: y, r: 2.6 }));
    }
  });
  return svg;
}

function residualTable(model) {
  const rows = model.runs.cells.map((cell, i) => {
    const near = model.runs.rows.filter((run) => run.cell === i && !run.diverged && run.loss <= 1.02 * cell.best).map((run) => run.residual);
    const mean = near.reduce((sum, v) => sum + v, 0) / near.length;
    const rms = Math.sqrt(near.reduce((sum, v) => sum + v * v, 0) / near.length);
    return [cellName(model, cell), String(cell.runs), String(cell.diverged), formatLoss(cell.best), String(near.length), (100 * mean).toFixed(2), (100 * rms).toFixed(2)];
  });
  return tableOf("Residuals of ln loss within 2% of each cell's best, in per cent",
    ["cell: parameters, tokens", "runs", "diverged", "best loss", "near best", "mean", "rms"], rows);
}

function fillResiduals(model, body, width) {
  if (!model.runs) {
    body.replaceChildren(el("p", null, "This fit came without its runs. Make the page again with ", el("code", null, "--runs FILE"), " to see them here and on the map."));
    return;
  }
  const { count, of, cells } = model.runs, parts = [];
  if (count < of) parts.push(el("p", { class: "note" }, `The page holds ${count.toLocaleString("en-US")} of ${of.toLocaleString("en-US")} runs, thinned evenly cell by cell.`));
  if (cells.length > SHOWN_CELLS) parts.push(el("p", { class: "note" }, `The picture shows the first ${SHOWN_CELLS} of ${cells.length} cells; the table all.`));
  body.replaceChildren(...parts, drawResiduals(model, width), residualTable(model));
}
