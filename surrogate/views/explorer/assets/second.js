// A second fit, from another report or a document of one: its answers beside these.

// The document in a file's text; null where there is none.
function documentIn(text) {
  const found = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text);
  try {
    const data = JSON.parse(found ? found[1] : text);
    return data && data.theta && data.family && data.fitted ? data : null;
  } catch {
    return null;
  }
}

// Its answer to the same question; null where it has none.
function secondAnswer({ second }, told) {
  if (second.key === told.key) return second.answer;
  const { model } = second, { state } = told, recipe = model.recipes.includes(state.recipe) ? state.recipe : model.recipes[0];
  const question = { ...state, recipe, scales: Object.fromEntries(model.scale_names.map((name) => [name, state.scales[name] ?? model.largest_cell.scales[name]])), lr: null, batch: null };
  const answer = model.choices.length === 2 ? baseOf(model, question) : { refused: "It has one setting only." };
  const isDrawn = !answer.refused && Number.isFinite(answer.found.v) && !hasSides(answer);
  Object.assign(second, { key: told.key, why: answer.refused || "", answer: isDrawn ? answer : null });
  return second.answer;
}

function buildSecond(session, body) {
  const { model } = session, said = el("p", { role: "status", id: "second-said" });
  const input = el("input", { type: "file", id: "second-file", accept: ".html,.json", onchange: () => take(input.files[0]) });
  const drop = el("button", { type: "button", hidden: true, onclick: () => { session.second = null; input.value = ""; session.redraw(); } }, "Leave it out");
  body.replaceChildren(el("p", { class: "note" }, "Choose another report of surrogate, or drop it on this page: its plateau is drawn over this one. It stays on this machine."), el("label", { class: "file", for: "second-file" }, "Another report"), input, drop, said);
  async function take(file) {
    if (!file) return;
    const data = file.size < 2e7 ? documentIn(await file.text()) : null;
    try {
      if (!data) throw new Error("no fit in it");
      session.second = { model: prepare({ ...data, runs: null, draws: null, draws_of: 0 }), name: data.name, key: "" };
      said.textContent = "";
    } catch {
      session.second = null;
      said.textContent = `${plain(file.name, 60)} is no report of surrogate.`;
      return;
    }
    session.redraw();
  }
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer && event.dataTransfer.files[0]);
  });
  return (told) => {
    drop.hidden = !session.second;
    if (!session.second) return;
    const other = secondAnswer(session, told), { base } = told;
    if (!other || base.refused) {
      said.textContent = `${plain(session.second.name, 40)} has no answer here. ${session.second.why}`;
      return;
    }
    const cost = (m, answer, at) => twoDigits(Math.max(Math.expm1(valueAt(answer.surface, ...placeIn(m, at)) - answer.found.v), 0));
    said.textContent = `${plain(session.second.name, 40)}: best lr ${typedLr(other.best.lr, 3)}, batch ${shortBatch(other.best.batch)}, ${trimmed(other.best.lr / base.best.lr)} and ${trimmed(other.best.batch / base.best.batch)} times this fit's (lr ${typedLr(base.best.lr, 3)}, batch ${shortBatch(base.best.batch)}). ` +
      `By this fit its best loses ${cost(model, base, other.best)}; by it, this fit's best loses ${cost(session.second.model, other, base.best)}.`;
  };
}
