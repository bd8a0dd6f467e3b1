// Decide: what each batch costs, with its best lr, on the GPUs at hand; what to paste.

function buildDecide(session, body) {
  const { model } = session, bracket = (key) => (session.brackets[key] ??= makeBracket(session, key));
  const gpu = el("select", { id: "gpu", class: "bracket", "aria-label": "GPU", onchange: () => session.set({ ...session.state, gpu: gpu.value, gpus: session.state.gpus || 64 }) }, Object.keys(model.gpus).map((name) => el("option", { value: name }, name.toUpperCase())));
  const takes = el("span"), head = el("p", { class: "clause" }, "On ", bracket("gpus").node, " ", gpu, " at ", bracket("mfu").node, " of their peak", takes);
  const table = el("div"), own = el("p", { class: "note" }), laws = el("div"), code = el("pre", { id: "config", tabindex: 0, role: "region", "aria-label": "Configuration to paste" });
  let kind = "torchtitan";
  const kinds = Object.keys(CONFIGS).map((name) => el("button", { type: "button", "data-config": name, onclick: () => { kind = name; write(session.told); } }, name));
  const whose = el("span", { class: "told" }), copied = el("span", { class: "told", role: "status" });
  const take = el("button", { type: "button", onclick: async () => { copied.textContent = (await copy(code.textContent)) ? "Copied." : "The browser refused to copy."; } }, "Copy configuration");
  body.replaceChildren(head, table, own, el("h3", null, "To paste"), el("div", { class: "buttons", role: "group", "aria-label": "Framework" }, kinds, take), el("p", null, whose, " ", copied), code, laws);
  function write(told) {
    const { state, answer } = told, use = answer.choice || (told.kept ? told.kept.decision : told.decision).suggestion, text = answer.refused ? null : configOf(model, state, use, kind);
    code.textContent = text ?? "Nothing to paste: no setting is suggested.";
    whose.textContent = text ? (answer.choice ? "Of your own setting." : "Of what is suggested.") : "";
    for (const button of kinds) button.setAttribute("aria-pressed", String(button.dataset.config === kind));
  }
  return (told) => {
    const { state, decision } = told, times = timesOf(model, state, 1);
    bracket("gpus").show(state);
    bracket("mfu").show(state);
    gpu.value = state.gpu;
    takes.textContent = times ? `: about ${daysText(times.days)} for 6 N D FLOPs.` : ": say how many to see time and sequences a GPU.";
    table.replaceChildren(decision.ladder && decision.ladder.length ? ladderTable(session, told) : el("p", { class: "note" }, "No ladder of batches: the runs do not tell how the loss moves with the batch here."));
    own.textContent = [gpuText(model, told), fixText(model, told)].filter(Boolean).join(" ");
    laws.replaceChildren(...lawTable(model, told));
    write(told);
  };
}

const countOf = (value) => (Number.isInteger(value) ? formatTokens(value) : trimmed(value));

// The rungs; a button keeps a batch, and the sentence then answers at it.
function ladderTable(session, told) {
  const { model } = session, { state, decision } = told, kept = state.keep && state.keep.name === "batch" ? state.keep.value : null, use = decision.suggestion, length = lengthOf(model, state);
  const heads = ["batch", `× ${formatTokens(length)}`, "best lr", "loses", "of the tokens", "steps", ...(state.gpus ? ["seqs a GPU", "time a step"] : []), ""];
  const rows = decision.ladder.map((rung) => {
    const times = timesOf(model, state, rung.batch), isKept = kept === rung.batch;
    const keep = el("button", { type: "button", "aria-pressed": String(isKept), "aria-label": `${isKept ? "Let go of" : "Keep"} a batch of ${typedBatchExact(rung.batch)}`, onclick: () => session.set({ ...session.state, keep: isKept ? null : { name: "batch", value: rung.batch } }) }, isKept ? "kept" : "keep");
    const cells = [typedBatchExact(rung.batch), countOf(rung.batch / length), typedLr(rung.lr), twoDigits(rung.regret), rung.share === null ? "not known" : twoDigits(rung.share), formatCount(rung.steps), ...(times ? [countOf(times.each), secondsText(times.step)] : []), keep];
    const isUse = use && use.batch === rung.batch;
    return el("tr", { class: [rung.regret <= state.tol ? "in" : "", isUse ? "suggested" : "", isKept ? "kept" : ""].join(" ").trim() || null }, cells.map((cell, i) => el(i ? "td" : "th", { scope: i ? null : "row" }, cell, !i && isUse ? el("span", { class: "told" }, " suggested") : "")));
  });
  const caption = `Each batch with its best lr; in bold what stays within ${twoDigits(state.tol)}`;
  const lr = state.keep && state.keep.name === "lr";
  const lock = el("button", { type: "button", "aria-pressed": String(Boolean(lr)), onclick: () => session.set({ ...session.state, keep: lr ? null : { name: "lr", value: state.lr ?? (use ? use.lr : decision.ladder[0].lr) } }) }, lr ? "Let go of the lr" : `Keep lr ${typedLr(state.lr ?? (use ? use.lr : decision.ladder[0].lr))}`);
  return el("div", null, el("p", { class: "caption" }, caption), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Ladder of batches" }, el("table", { id: "ladder" }, el("thead", null, el("tr", null, heads.map((head) => el("th", { scope: "col" }, head || el("span", { class: "hidden" }, "keep"))))), el("tbody", null, rows))), el("div", { class: "buttons" }, lock));
}

// Where a step has less than a sequence for each GPU, and what would do.
function gpuText(model, { state, decision }) {
  const use = decision.suggestion, of = (batch) => timesOf(model, state, batch).each;
  if (!state.gpus || !use || !(use.batch > 0) || of(use.batch) >= 1 || !decision.ladder) return "";
  const rung = decision.ladder.find((one) => Number.isInteger(of(one.batch)));
  const next = rung ? ` The smallest batch of a whole sequence for each is ${typedBatchExact(rung.batch)}: lr ${typedLr(rung.lr)}, which loses ${twoDigits(rung.regret)}${rung.share === null ? "" : `, ${twoDigits(rung.share)} of the tokens`}.` : "";
  return `The suggested ${typedBatchExact(use.batch)} is ${trimmed(of(use.batch))} sequences a GPU: that takes GPUs which share a sequence (tensor, pipeline or context parallel).${next}`;
}

// What one change would mend of one's own setting.
function fixText(model, { alone, answer }) {
  if (!alone || !answer.choice) return "";
  const parts = CHOICES.filter((name) => alone[name]).map((name) => ({ ...alone[name], name })).sort((a, b) => a.regret - b.regret).map(({ name, best, regret, within }) => {
    const form = name === "lr" ? typedLr : shortBatch;
    return `${name} ${form(best)} at your ${name === "lr" ? "batch" : "lr"} loses ${twoDigits(regret)}${within === null ? "" : ` (${form(within)} is enough)`}`;
  });
  return parts.length ? `To mend yours: ${parts.join("; or ")}.` : "";
}

// What each published law's setting loses, and its price.
function lawTable(model, { answer, decision }) {
  if (answer.refused || !decision.suggestion) return [];
  const rows = lawPoints(model, answer.question).filter((law) => law.lr > 0 && law.batch > 0).map((law) => {
    const regret = Math.max(Math.expm1(valueAt(answer.surface, ...placeIn(model, law)) - answer.found.v), 0), share = decision.prices.reason ? null : decision.prices.share(regret);
    return { law, regret, cells: [law.name, typedLr(law.lr), shortBatch(law.batch), twoDigits(regret), share === null ? "not known" : twoDigits(share)] };
  }).sort((a, b) => a.regret - b.regret);
  return rows.length ? [el("h3", null, "What published laws would cost here"), tableOf("Each law's own lr and batch, priced by this fit", ["law", "lr", "batch", "loses", "of the tokens"], rows.map((row) => row.cells))] : [];
}
