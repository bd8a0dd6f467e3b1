// What does not change with the question: scores, and what the fit rests on.

const SCORES = {
  regret: "regret of the proposal, measured", regret_smoothed: "regret, read off a smooth local picture",
  mae_ln: "error of ln loss within 2% of the best", mae_wide: "error of ln loss within 10% of the best",
};

function fillScores(model, body) {
  const number = (value) => (Number.isFinite(value) ? (100 * value).toFixed(3) : "unknown");
  const parts = [], scores = Object.entries(model.scores || {}).filter(([, v]) => v && typeof v === "object");
  if (scores.length) {
    parts.push(tableOf("Each cell left out in turn, in per cent of the loss", ["score", "mean", "standard error", "median", "worst cell"],
      scores.map(([name, v]) => [SCORES[name] || name, number(v.mean), number(v.se), number(v.median), number(v.max)])));
  } else parts.push(el("p", null, "The fit has no held-out scores: it takes at least a few cells to leave one out."));
  const chosen = model.selection;
  if (chosen && chosen.parts) {
    const rows = Object.entries(chosen.parts).map(([family, part]) => {
      const of = (protocol, name) => number(part[protocol] && part[protocol][name]);
      return [family === chosen.chosen ? `${family} (chosen)` : family, of("leave-one-cell-out", "mae_ln"), of("leave-largest-out", "mae_ln"), of("leave-one-cell-out", "regret_smoothed"), of("leave-largest-out", "regret_smoothed")];
    });
    parts.push(tableOf("What was compared, in per cent: each cell left out, and the largest left out", ["family", "error, cell out", "error, largest out", "regret, cell out", "regret, largest out"], rows));
  }
  body.replaceChildren(...parts);
}

function fillBasis(model, body) {
  const { provenance } = model, list = (items) => el("ul", null, items.map((text) => el("li", null, plain(text, 600))));
  const family = model.k ? `${model.family.name} of ${model.k} terms` : model.family.name;
  const facts = [
    `${provenance.runs.toLocaleString("en-US")} runs in ${model.cell_count.toLocaleString("en-US")} cells, ${provenance.diverged.toLocaleString("en-US")} diverged, ${provenance.dropped.toLocaleString("en-US")} rows dropped.`,
    `Family ${family}; loss: ${model.loss_kind}, ${unitOf(model)}; parameters counted: ${model.params_kind.replace("_", "-")}.`,
    `Fitted ${provenance.created} with seed ${provenance.seed}.`,
    model.draws.length ? `The page holds ${model.draws.length} of ${model.draws_of} bootstrap draws.` : "The fit has no bootstrap draws: no robust plateau and no chance of being inside.",
    model.leaves.length ? `Intervals: Student's t with ${model.freedom ?? model.leaves.length - 3} degrees of freedom, from ${model.leaves.length} ${model.freedom === null ? "refits without one cell each" : "steps of the fit, one a cause of error"}${model.interval_unit === "runs" ? ": the weaker kind" : ""}.` : "No intervals.",
    model.stability ? `Stability edge from ${model.stability.diverged} diverged of ${model.stability.runs} runs.` : "Stability edge unknown: too few diverged runs to tell.",
    ...Object.entries(model.fitted).map(([name, [low, high]]) => `${plain(name)}: ${name === "lr" ? formatLr(low) : formatCount(low)} to ${name === "lr" ? formatLr(high) : formatCount(high)} fitted.`),
  ];
  const parts = [list(facts)], cautions = [...new Set([...model.warnings, ...model.notes])];
  if (cautions.length) parts.push(el("h3", null, "Warnings of the fit"), list(cautions));
  if (provenance.notes.length) parts.push(el("h3", null, "What reading recognised"), list(provenance.notes));
  const sources = provenance.sources.map((s) => `${s.file}: ${Number(s.rows).toLocaleString("en-US")} rows, SHA-256 ${String(s.sha256).slice(0, 12)}…`);
  if (sources.length) parts.push(el("h3", null, "Files"), list(sources));
  if (provenance.dropped) {
    parts.push(el("h3", null, "Dropped rows"));
    if (!provenance.rows.length) parts.push(el("p", null, `${provenance.dropped} rows were dropped; the fit does not say which.`));
    else {
      if (provenance.rows.length < provenance.dropped) parts.push(el("p", null, `The first ${provenance.rows.length} of ${provenance.dropped}.`));
      parts.push(tableOf("Rows that were not used", ["file", "line", "column", "value", "reason"], provenance.rows.map((r) => [r.file, String(r.line), r.column, r.value, r.reason])));
    }
  }
  body.replaceChildren(...parts);
}
