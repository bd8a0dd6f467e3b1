// Fields and sliders: each setting has both, and they move together.

// Shown so that it reads back as the same number.
const exactCount = (value) => (parseNumber(formatCount(value)) === value ? formatCount(value) : String(value));
const exactBatch = (value) => (parseNumber(formatBinary(value)) === value ? formatBinary(value) : String(value));
const rounded = (value) => Number(value.toPrecision(3));

// What can be asked: how each is named, read, shown, and how far its slider goes.
function settingsOf(model, state) {
  const wide = (name, times) => { const [low, high] = model.fitted[name]; return [low / times, high * times]; };
  const note = (name) => (model.givens.includes(name) ? "" : "not fitted: how the optimum moves with it is not known");
  const count = "a number above 0, such as 1e9, 7B or 512Ki";
  const unit = state.seq || 1;
  return [
    { key: "params", label: "Parameters N", hint: note("params"), expected: count, parse: parseNumber, show: exactCount, snap: rounded, range: wide("params", 8) },
    { key: "tokens", label: "Training tokens D", hint: note("tokens"), expected: count, parse: parseNumber, show: exactCount, snap: rounded, range: wide("tokens", 8) },
    ...model.scale_names.map((name) => ({ key: `scale:${name}`, label: plain(name, 40), hint: "scale variable", expected: count, parse: parseNumber, show: exactCount, snap: rounded, range: wide(name, 4) })),
    { key: "tol", label: "Tolerance [%]", hint: "of the loss, in per cent: 0.5 is 0.5%", expected: "per cent above 0, such as 0.25", parse: parsePercent, show: exactPercent, snap: (v) => Number(v.toPrecision(2)), range: [1e-4, 0.05] },
    { key: "lr", label: "Your learning rate", hint: "", expected: "a number above 0, such as 3e-4", parse: parseNumber, show: (v) => String(v), snap: rounded, range: wide("lr", model.widen) },
    { key: "batch", label: "Your batch", hint: state.seq ? `sequences of ${formatTokens(state.seq)} tokens` : "tokens, or sequences x length as 256x2048", expected: "a number above 0, such as 512Ki, or 256x2048", parse: (text) => parseBatch(text, unit), show: (v) => exactBatch(v / unit), snap: (v) => unit * Math.max(1, unit > 1 ? Math.round(v / unit) : 2 ** (Math.round(4 * Math.log2(v)) / 4) | 0), range: wide("batch", model.widen) },
  ];
}

// Builds the form once; returns a function that shows a state in it.
function buildControls(model, form, getState, setState) {
  const rows = settingsOf(model, getState()).map((setting, index) => fieldRow(model, index, setting, getState, setState));
  form.addEventListener("submit", (event) => event.preventDefault());
  const recipe = model.recipes.length > 1 ? recipeRow(model, getState, setState) : null;
  const unit = unitRow(model, getState, setState);
  form.replaceChildren(...(recipe ? [recipe.node] : []), ...rows.map((row) => row.node), unit.node);
  return (state) => {
    settingsOf(model, state).forEach((setting, i) => rows[i].show(setting, valueIn(state, setting.key)));
    if (recipe) recipe.show(state);
    unit.show(state);
  };
}

function fieldRow(model, index, first, getState, setState) {
  const id = `field${index}`;
  let setting = first;
  const hint = el("span", { class: "hint", id: `${id}-hint` }), error = el("span", { class: "error", id: `${id}-error`, role: "alert" });
  const text = el("input", { id, type: "text", inputmode: "text", spellcheck: "false", "aria-describedby": `${id}-hint ${id}-error`, "data-key": first.key });
  const slider = el("input", { type: "range", step: "any", "aria-label": `${first.label}, slider`, "data-slider": first.key });
  let isHeld = false;
  const judge = (wrong) => {
    error.textContent = wrong;
    text.setAttribute("aria-invalid", String(wrong !== ""));
    return wrong === "";
  };
  const wrongIn = (value) => (value > 0 ? refusalOf(model, setting.key, value) : `Expected ${setting.expected}.`);
  text.addEventListener("input", () => {
    const value = setting.parse(text.value);
    if (judge(wrongIn(value))) setState(withValue(getState(), setting.key, value));
  });
  text.addEventListener("change", () => { if (!error.textContent) text.value = setting.show(valueIn(getState(), setting.key)); });
  const hold = (event) => {
    isHeld = event.type === "pointerdown";
    if (isHeld) slider.setPointerCapture(event.pointerId);
    else show(setting, valueIn(getState(), setting.key));
  };
  for (const kind of ["pointerdown", "lostpointercapture"]) slider.addEventListener(kind, hold);
  slider.addEventListener("input", () => {
    judge("");
    setState(withValue(getState(), setting.key, setting.snap(Math.exp(Number(slider.value)))));
  });
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -4, PageUp: 4 }[event.key];
    if (!step) return;
    event.preventDefault();
    const value = setting.snap(clamp(valueIn(getState(), setting.key) * 2 ** (step / 4), ...setting.range));
    slider.value = Math.log(value);
    setState(withValue(getState(), setting.key, value));
  });
  const show = (now, value) => {
    setting = now;
    hint.textContent = now.hint;
    if (document.activeElement !== text) {
      text.value = now.show(value);
      judge("");
    }
    // A scale that moved under the hand would run away from it.
    if (!isHeld) {
      const [low, high] = now.range;
      slider.min = Math.log(Math.min(low, value));
      slider.max = Math.log(Math.max(high, value));
    }
    if (document.activeElement !== slider || Math.abs(Number(slider.value) - Math.log(value)) > 0.2) slider.value = Math.log(value);
    slider.setAttribute("aria-valuetext", now.show(value));
  };
  return { node: el("div", { class: "field" }, el("label", { for: id }, first.label), text, slider, hint, error), show };
}

function recipeRow(model, getState, setState) {
  const select = el("select", { id: "recipe", onchange: () => setState({ ...getState(), recipe: model.recipes[select.selectedIndex] }) },
    model.recipes.map((name) => el("option", null, plain(name || "(unnamed)", 80))));
  return { node: el("div", { class: "field wide" }, el("label", { for: "recipe" }, "Recipe"), select), show: (state) => { select.selectedIndex = model.recipes.indexOf(state.recipe); } };
}

// Batches in tokens, or in sequences of a length.
function unitRow(model, getState, setState) {
  let length = getState().seq || 4096;
  const error = el("span", { class: "error", id: "seq-error", role: "alert" });
  const seq = el("input", { id: "seq", type: "number", min: 1, step: 1, "aria-describedby": "seq-error" }), unit = el("select", { id: "unit" }, el("option", null, "tokens"), el("option", null, "sequences"));
  const change = () => {
    error.textContent = refusalOf(model, "seq", Number(seq.value));
    seq.setAttribute("aria-invalid", String(error.textContent !== ""));
    if (!error.textContent) length = Number(seq.value);
    setState({ ...getState(), seq: unit.selectedIndex ? length : 0 });
  };
  unit.addEventListener("change", change);
  seq.addEventListener("change", change);
  const node = el("div", { class: "field units" }, el("label", { for: "unit" }, "Batch in"), unit, el("label", { for: "seq" }, "of length"), seq, error);
  return { node, show: (state) => {
    unit.selectedIndex = state.seq ? 1 : 0;
    length = state.seq || length;
    if (document.activeElement !== seq) seq.value = length;
    seq.disabled = !state.seq;
  } };
}
