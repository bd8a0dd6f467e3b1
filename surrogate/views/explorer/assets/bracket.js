// A number in the sentence that one types, drags sideways, or moves by arrow keys.

const PIXELS_A_STEP = 7;

// How each bracket is read, stepped and named.
function bracketKind(model, key) {
  const count = { read: (text) => readCount(text), step: nextDigits, page: (v, way) => nearDigits(v * 2 ** way) };
  const batch = { name: "your batch", read: readBatch, step: nextBatch, page: (v, way) => Math.max(1, Math.round(v * 2 ** way)) };
  const lr = { name: "your learning rate", read: readLr, step: nextDigits, page: (v, way) => nearDigits(v * 2 ** way) };
  const doubled = { read: (text) => readCount(text, "a whole number"), step: (v, way) => Math.max(1, Math.round(v * 2 ** way)), page: (v, way) => Math.max(1, Math.round(v * 4 ** way)) };
  const percent = { read: readPercent, step: nextDigits, page: (v, way) => nearDigits(v * 2 ** way) };
  const kinds = {
    params: { ...count, name: "parameters N" }, tokens: { ...count, name: "training tokens D", read: (text, state) => readTokens(text, state.params) },
    lr: { ...lr, hint: "lr" }, batch: { ...batch, hint: "batch" }, tol: { ...percent, name: "tolerance, per cent of the loss" }, mfu: { ...percent, name: "model FLOPs utilisation, per cent" },
    seq: { ...doubled, name: "sequence length in tokens" }, gpus: { ...doubled, name: "number of GPUs", hint: "how many" },
  };
  if (key.startsWith("scale:")) return { ...count, name: plain(key.slice(6), 40) };
  return kinds[key];
}

// The value that a bracket has, or begins at where it is empty.
function bracketValue(session, key) {
  const { model, state, told } = session, use = told && told.decision.suggestion;
  if (key === "keep") return state.keep.value;
  if (key === "seq") return lengthOf(model, state);
  if (key === "gpus") return state.gpus || 64;
  const value = valueIn(state, key);
  if (value !== null) return value;
  return use && Number.isFinite(use[key]) ? use[key] : Math.sqrt(model.fitted[key][0] * model.fitted[key][1]);
}

// A state with one bracket changed. A choice has both settings: the other begins at what
// is suggested.
function withBracket(session, key, value) {
  const { model, state } = session;
  if (key === "keep") return { ...state, keep: { ...state.keep, value } };
  if (key !== "lr" && key !== "batch") return withValue(state, key, value);
  const other = key === "lr" ? "batch" : "lr";
  return { ...state, [key]: value, [other]: state[other] ?? typedNear(other, bracketValue(session, other)), keep: state.keep && state.keep.name === key ? { name: key, value } : state.keep };
}

const typedNear = (name, value) => (name === "lr" ? nearDigits(value) : Number.isInteger(value) ? value : nearBatch(value));

function makeBracket(session, key) {
  const { model } = session, of = () => (key === "keep" ? session.state.keep.name : key), kind = () => bracketKind(model, of());
  const input = el("input", { class: "bracket", type: "text", role: "spinbutton", spellcheck: "false", autocomplete: "off", "data-key": key, "aria-label": key === "keep" ? "kept setting" : kind().name, placeholder: kind() ? kind().hint || "" : "" });
  let scrub = null;
  const refusal = (value) => refusalOf(model, of(), value);
  const say = (wrong) => {
    input.setAttribute("aria-invalid", String(Boolean(wrong)));
    return !wrong;
  };
  const set = (value) => session.set(withBracket(session, key, value));
  const clear = () => session.set(key === "gpus" ? { ...session.state, gpus: 0 } : { ...session.state, lr: null, batch: null });
  const canClear = ["lr", "batch", "gpus"].includes(key);
  const read = () => {
    if (canClear && !input.value.trim()) return null;
    const value = kind().read(input.value, session.state), wrong = refusal(value);
    if (wrong) refuse(wrong);
    return value;
  };
  const limited = (value) => clamp(value, ...limitsOf(model, of()));
  const step = (way, isPage) => {
    const value = limited(kind()[isPage ? "page" : "step"](bracketValue(session, key), way));
    say("");
    set(value);
    show(session.state, true);
  };
  input.addEventListener("input", () => {
    try {
      const value = read();
      say("");
      session.refuse("");
      if (value !== null) set(value);
    } catch (error) {
      say(error.message);
    }
  });
  const commit = () => {
    try {
      const value = read();
      say("");
      if (value === null) clear();
      else if (value !== (key === "seq" ? session.state.seq : bracketValue(session, key))) set(value);
      session.refuse("");
    } catch (error) {
      session.refuse(`${kind().name}: ${error.message} What was there stays.`);
      say("");
    }
    show(session.state, true);
  };
  input.addEventListener("blur", () => { if (input.value !== shownIn(model, session.state, key)) commit(); });
  input.addEventListener("keydown", (event) => {
    const way = { ArrowUp: 1, ArrowDown: -1, PageUp: 1, PageDown: -1 }[event.key];
    if (way) {
      event.preventDefault();
      step(way, event.key.startsWith("Page") || event.shiftKey);
    } else if (event.key === "Enter") {
      commit();
      input.select();
    } else if (event.key === "Escape") {
      show(session.state, true);
      say("");
    }
  });
  // A press that stays where it is types; one that moves sideways drags.
  input.addEventListener("pointerdown", (event) => { if (!event.button) scrub = { x: event.clientX, last: 0, isOn: false, isNew: document.activeElement !== input }; });
  input.addEventListener("pointermove", (event) => {
    if (!scrub || !(event.buttons & 1)) return;
    const off = event.clientX - scrub.x;
    if (!scrub.isOn && Math.abs(off) > 4) {
      scrub.isOn = true;
      session.hold(true);
      input.setPointerCapture(event.pointerId);
      input.classList.add("held");
    }
    if (!scrub.isOn) return;
    event.preventDefault();
    for (const steps = Math.trunc(off / PIXELS_A_STEP); scrub.last !== steps; scrub.last += Math.sign(steps - scrub.last)) step(Math.sign(steps - scrub.last), false);
    input.setSelectionRange(0, 0);
  });
  const end = () => {
    if (scrub && scrub.isOn) {
      session.hold(false);
      input.classList.remove("held");
      input.blur();
    } else if (scrub && scrub.isNew) input.select();
    scrub = null;
  };
  for (const name of ["pointerup", "pointercancel"]) input.addEventListener(name, end);
  function show(state, isForced) {
    const text = shownIn(model, state, key);
    // Set only where it changes: the width is what a frame waits for.
    if ((isForced || document.activeElement !== input || scrub) && input.value !== text) input.value = text;
    const shown = input.value || kind().hint || "", wide = `${Math.max(shown.length, 2) + (/[M%]/.test(shown) ? 1.4 : 0.8)}ch`;
    if (input.style.width !== wide) input.style.width = wide;
    const value = bracketValue(session, key);
    input.setAttribute("aria-valuenow", String(value));
    input.setAttribute("aria-valuetext", text || "not set");
  }
  return { node: input, show };
}

// The recipe among the brackets.
function makeRecipe(session) {
  const { model } = session;
  const node = el("select", { class: "bracket", "aria-label": "Recipe", id: "recipe", onchange: () => session.set({ ...session.state, recipe: model.recipes[node.selectedIndex] }) },
    model.recipes.map((name) => el("option", null, plain(name || "(unnamed)", 60))));
  return { node, show: (state) => { node.selectedIndex = model.recipes.indexOf(state.recipe); } };
}

// Clauses written into paragraphs, brackets kept: only texts that changed are set.
function clauseWriter(session, name, node) {
  let shape = "", parts = [];
  const brackets = session.brackets, bracket = (key) => (brackets[key] ??= key === "recipe" ? makeRecipe(session) : makeBracket(session, key));
  return (clause, state) => {
    const now = clause.map((part) => (typeof part === "string" ? "t" : part.key ? `[${part.key}${part.key === "keep" ? state.keep.name : ""}]` : part.trust ? "w" : "s")).join("");
    if (now !== shape) {
      shape = now;
      parts = clause.map((part) => (typeof part === "string" ? document.createTextNode(part) : part.key ? bracket(part.key).node : el(part.trust ? "b" : "strong", null, part.strong ?? part.text)));
      node.replaceChildren(...parts);
      node.hidden = !clause.length;
    }
    clause.forEach((part, i) => {
      if (part.key) {
        bracket(part.key).show(state);
        return;
      }
      const text = typeof part === "string" ? part : part.strong ?? part.text;
      if (parts[i].textContent !== text) parts[i].textContent = text;
      if (part.trust && parts[i].className !== part.trust) parts[i].className = part.trust;
    });
  };
}

function buildSentence(session, body) {
  const writers = CLAUSES.map((name) => {
    const node = el("p", { class: `clause ${name}`, hidden: true });
    body.append(node);
    return clauseWriter(session, name, node);
  });
  return (told, state) => {
    const clauses = clausesOf(session.model, state, told);
    CLAUSES.forEach((name, i) => writers[i](clauses[name], state));
    body.classList.toggle("bare", !told.answer.choice);
  };
}
