// The runs of a cell as a table that sorts, and marks on the map what a row is.

const SHOWN_RUNS = 150;

function buildRuns(session, body) {
  const { model } = session;
  if (!model.runs) {
    body.replaceChildren(el("p", null, "This fit came without its runs. Make the page again with ", el("code", null, "--runs FILE"), " to see them here and on the map."));
    return () => {};
  }
  const columns = [["run", (r) => r.name || `${r.index + 1}`], ["lr", (r) => r.lr, (r) => formatLr(r.lr)], ["batch", (r) => r.batch, (r) => shortBatch(r.batch)], ["loss", (r) => (r.diverged ? Infinity : r.loss), (r) => (r.diverged ? "diverged" : formatLoss(r.loss))],
    ["over the best", (r) => (r.diverged ? Infinity : r.loss / r.best - 1), (r) => (r.diverged ? "" : twoDigits(Math.max(r.loss / r.best - 1, 0)))], ["measured - fitted", (r) => (Number.isFinite(r.residual) ? r.residual : Infinity), (r) => (Number.isFinite(r.residual) ? `${(100 * r.residual).toFixed(2)} %` : "")]];
  let sorted = 3, isDown = false, chosen = -1;
  const select = el("select", { "aria-label": "Cell", onchange: () => { chosen = select.selectedIndex - 1; draw(); } }, el("option", null, "the nearest cell"), model.runs.cells.map((cell) => el("option", null, `${cellName(model, cell)} tokens`)));
  const area = el("div"), note = el("p", { class: "note" });
  body.replaceChildren(el("div", { class: "buttons" }, select), note, area);
  const heads = columns.map(([name], k) => el("th", { scope: "col" }, el("button", { type: "button", class: "sort", onclick: () => { isDown = sorted === k ? !isDown : false; sorted = k; draw(); } }, name)));
  const rows = el("tbody"), table = el("table", { id: "runs-table" }, el("thead", null, el("tr", null, heads)), rows);
  area.append(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Runs of the cell" }, table));
  for (const [kind, index] of [["pointerover", (t) => t.dataset.run], ["pointerleave", () => ""]]) table.addEventListener(kind, (event) => {
    const row = event.target.closest && event.target.closest("tr");
    session.map.mark(kind === "pointerleave" || !row ? "" : index(row));
  });
  function draw() {
    const cell = chosen < 0 ? nearestCell(model.runs.cells, session.state) : model.runs.cells[chosen], index = model.runs.cells.indexOf(cell), key = columns[sorted][1];
    const own = model.runs.rows.filter((run) => run.cell === index).map((run) => ({ ...run, best: cell.best }));
    own.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (isDown ? -1 : 1));
    heads.forEach((head, k) => head.setAttribute("aria-sort", k === sorted ? (isDown ? "descending" : "ascending") : "none"));
    rows.replaceChildren(...own.slice(0, SHOWN_RUNS).map((run) => el("tr", { "data-run": run.index }, columns.map(([, value, text], k) => el(k ? "td" : "th", { scope: k ? null : "row" }, plain((text || value)(run), 40))))));
    note.textContent = cell ? `${own.length} runs at ${cellName(model, cell)} tokens${own.length > SHOWN_RUNS ? `, the first ${SHOWN_RUNS}` : ""}. Point at a row to find it on the map.` : "No run of that recipe.";
  }
  return draw;
}
