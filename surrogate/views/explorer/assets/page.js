// The page: state -> answer -> pictures. What is quick is drawn in the next frame; what
// needs every draw, and what reads aloud, follows when the question rests.

const REST = 140; // milliseconds

function start() {
  try {
    run(prepare(unpacked(JSON.parse(byId("data").textContent))));
  } catch (error) {
    const box = byId("failure");
    box.hidden = false;
    box.textContent = `The page could not be drawn: ${error.message}`;
    throw error;
  }
}

const unpacked = (data) => ({ ...data, draws_of: data.draws ? data.draws.of : 0 });

function run(model) {
  let [state, refused] = stateOf(model, location.hash, firstState(model)), answer = null, sure = null, frame = 0, timer = 0;
  unpackRuns(model);
  describe(model);
  const show = buildControls(model, byId("fields"), () => state, setState);
  const parts = buildAnswer(model, () => [answer, sure], () => state, setState);
  fillScores(model, byId("scores-body"));
  fillBasis(model, byId("basis-body"));

  function setState(next, unread = []) {
    [state, refused] = [next, unread];
    renew();
  }
  function renew() {
    sure = null;
    if (!frame) frame = requestAnimationFrame(quick);
    clearTimeout(timer);
    timer = setTimeout(slow, REST);
  }
  function quick() {
    frame = 0;
    let next = answerOf(model, state);
    if (!isAnswered(model, next)) {
      [state, refused] = [answer ? answer.question : firstState(model), ["The fit has no finite answer to what was asked, so that what is shown stays."]];
      next = answerOf(model, state);
    }
    answer = next;
    byId("refused").textContent = refused.join(" ");
    show(state);
    parts.show(answer, sure, state);
    drawSlices(model, answer);
  }
  function slow() {
    if (frame) { cancelAnimationFrame(frame); quick(); }
    sure = fromDraws(model, answer, model.probability);
    parts.show(answer, sure, state);
    parts.say(answer, sure);
    drawScalings(model, answer);
    const hash = hashOf(model, state);
    if (location.hash !== hash) history.replaceState(null, "", hash);
    document.documentElement.dataset.ready = String(Number(document.documentElement.dataset.ready || 0) + 1);
  }
  addEventListener("hashchange", () => { if (location.hash.includes("=")) setState(...stateOf(model, location.hash, firstState(model))); });
  let width = document.body.clientWidth;
  fillResiduals(model, byId("residuals-body"), byId("residuals-body").clientWidth);
  const resized = () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    fillResiduals(model, byId("residuals-body"), byId("residuals-body").clientWidth);
    if (answer) renew();
  };
  new ResizeObserver(resized).observe(document.body);
  const began = performance.now();
  quick();
  performance.measure("first-contour", { start: began });
  timer = setTimeout(slow, 0);
}

function describe(model) {
  const kinds = `${model.family.name} surface of ${model.provenance.runs.toLocaleString("en-US")} runs in ${model.cell_count} ${model.cell_count === 1 ? "cell" : "cells"}`;
  byId("about").textContent = `Fit ${plain(model.name)}: ${kinds}, loss ${model.loss_kind.replace("_", " ")}, ${unitOf(model)}. Everything here is computed in this page; it loads and sends nothing.`;
  byId("foot").textContent = `Made by surrogate ${plain(model.provenance.version || "")}. The address of this page holds what is asked: copy it to share the question.`;
}

function buildAnswer(model, answers, getState, setState) {
  const told = el("span", { class: "told", role: "status" });
  const copier = (label, text) => el("button", { type: "button", onclick: async () => {
    const [answer, sure] = answers();
    told.textContent = (await copy(text(answer, sure))) ? `${label}: copied.` : "The browser refused to copy.";
  } }, label);
  const verbs = model.choices.length > 1 ? ["plateau", "optimum", "regret"] : ["plateau", "regret"];
  const command = el("code", { id: "command" });
  byId("copying").replaceChildren(
    el("div", { class: "buttons" },
      copier("Copy as text", (answer, sure) => answerText(model, answer, sure)),
      ...verbs.map((verb) => copier(`Copy ${verb} command`, (answer) => commandOf(model, answer.question, verb))),
      copier("Copy link", () => location.href)), told, el("p", { class: "command" }, command));
  const map = toldChoices(model).length > 1 ? buildMap(model, answers, getState, setState) : null;
  return {
    show(answer, sure, state) {
      const rows = answerRows(model, answer, sure);
      byId("numbers").replaceChildren(el("dl", null, rows.map(([what, value], i) => el("div", { class: what.startsWith("best") ? "main" : null }, el("dt", null, what), el("dd", null, value)))));
      byId("cautions").replaceChildren(...cautionsOf(model, answer, sure).map((text) => el("li", null, text)));
      command.textContent = commandOf(model, answer.question, verbs[0]);
      if (answer.refused || !map) byId("map-body").replaceChildren(el("p", null, answer.refused ? NOTHING : noMap(model)));
      else map(answer, sure);
    },
    say(answer, sure) {
      if (answer.refused) {
        byId("said").textContent = `For ${sizesText(model, answer.question)}: no answer. ${answer.refused}`;
        return;
      }
      const best = toldChoices(model).map((name) => (answer.sides[name]
        ? `the best ${NAMES[name]} lies ${rangeText(name, answer.interval[name] || answer.plateau[name], answer.question)}`
        : `best ${NAMES[name]} ${settingText(name, answer.best[name], answer.question)}`)).join(", ");
      const loses = answer.choice && !answer.choice.refused ? ` Your choice loses ${formatPermille(answer.choice.regret)}.` : "";
      byId("said").textContent = `For ${sizesText(model, answer.question)}: ${best}, ${answer.hasBest ? `loss ${formatLoss(answer.loss)}.` : "no lowest loss."}${loses}`;
    },
  };
}

const NOTHING = "Nothing to draw: there is no answer to what is asked.";

// Why there is no map.
function noMap(model) {
  const missing = CHOICES.find((name) => !toldChoices(model).includes(name));
  return `${untoldReasons(model).length ? `These runs do not show a best ${NAMES[missing]}` : "Only one of learning rate and batch can be told apart in the fitted runs"}, so there is no map: the slice below is the whole answer.`;
}

// The map takes clicks, and arrow keys once it has the focus; both move the choice.
function buildMap(model, answers, getState, setState) {
  const area = el("div", { class: "map", id: "map-area", tabindex: 0, role: "group", "aria-label": "Map of the loss. Arrow keys move your choice by an eighth of an octave." });
  const legend = el("div"), near = el("p", { class: "note", id: "near" }), best = el("div");
  const views = [["near", "Near the plateau"], ["box", "Whole range"]].map(([view, text]) =>
    el("button", { type: "button", "data-view": view, onclick: () => setState({ ...getState(), view }) }, text));
  const all = [el("div", { class: "buttons", role: "group", "aria-label": "What the map shows" }, views), area, legend, near, best];
  let chart = null, view = null, isHeld = false;
  const choose = (lr, batch) => setState({ ...getState(), lr: rounded(clamp(lr, ...limitsOf(model, "lr"))), batch: Math.round(clamp(batch, ...limitsOf(model, "batch"))) });
  const pointed = (event) => {
    const frame = chart.svg.getBoundingClientRect(), x = event.clientX - frame.left, y = event.clientY - frame.top;
    const [within, lower] = [clamp(x, chart.left, chart.right), clamp(y, chart.top, chart.bottom)];
    if (!isHeld && (within !== x || lower !== y)) return false;
    choose(chart.x.back(within), chart.y.back(lower));
    return true;
  };
  area.addEventListener("pointerdown", (event) => {
    if (event.button || !pointed(event)) return;
    isHeld = true;
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => { if (isHeld && event.pointerType === "mouse") pointed(event); });
  area.addEventListener("lostpointercapture", () => {
    isHeld = false;
    draw(...answers());
  });
  area.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const state = getState();
    choose(state.lr * 2 ** (move[0] / 8), state.batch * 2 ** (move[1] / 8));
  });
  function draw(answer, sure) {
    if (area.parentNode !== byId("map-body")) byId("map-body").replaceChildren(...all);
    // Axes that moved under the hand would carry the choice away with them.
    if (!isHeld) view = viewOf(model, answer);
    chart = drawMap(model, answer, sure, view, Math.max(area.clientWidth, 240));
    area.replaceChildren(chart.svg);
    legend.replaceChildren(mapLegend(model, answer, sure, chart));
    for (const button of views) button.setAttribute("aria-pressed", String(button.dataset.view === answer.question.view));
    const { cell, runs } = nearestRuns(model, answer.question);
    if (sure && cell) best.replaceChildren(bestRuns(model, cell, runs));
    const edge = answer.region.cut ? "" : answer.region.isBeyond ? " All of the box is beyond the stability edge." : " Stability edge unknown: too few diverged runs.";
    near.textContent = `Shades: loss above the lowest, in percent. ${cell ? `Runs of the nearest cell: ${cellName(model, cell)} tokens.` : "No measured runs in this page: make it with --runs FILE to see them."}${edge}`;
  }
  return draw;
}

function figureWidth(body, most) {
  const columns = Math.max(1, Math.min(most, Math.floor(body.clientWidth / 285)));
  return Math.floor((body.clientWidth - 16 * (columns - 1)) / columns);
}

function drawSlices(model, answer) {
  const body = byId("slices-body"), width = figureWidth(body, 2);
  if (answer.refused) {
    body.replaceChildren(el("p", null, NOTHING));
    return;
  }
  const isOpen = Object.keys(answer.sides).length > 0, lowest = isOpen ? "at the end of what was tried" : "lowest";
  body.replaceChildren(...toldChoices(model).map((name) => drawSlice(model, answer, model.choices.indexOf(name), width)),
    legendOf([["line", "curve", "fitted loss"], ["line", "limit", `${lowest} + ${formatPercent(answer.question.tol)}`], ["area", "within", isOpen ? "plateau, open where nothing was tried" : "plateau"], ...(isOpen ? [["area", "untried", "not tried"]] : []),
      ...(model.leaves.length ? [["area", "spread", `${intervalText(model)} of the surface`]] : [])]));
}

function drawScalings(model, answer) {
  const body = byId("scaling-body"), width = figureWidth(body, 4);
  if (!model.givens.length) body.replaceChildren(el("p", null, "The fitted runs do not tell how the optimum moves with size."));
  else if (answer.refused) body.replaceChildren(el("p", null, NOTHING));
  else body.replaceChildren(...scalingFigures(model, answer, width),
    legendOf([["line", "curve", "optimum"], ["area", "within", "fitted range"], ...(model.leaves.length ? [["area", "spread", intervalText(model)]] : []), ...model.laws.slice(0, 1).map((law) => ["line", "lawline", `published law: ${plain(law.name)}`])]));
  // Where every figure is a sentence there is nothing to explain.
  if (!body.querySelector("figure svg")) body.querySelector(".legend")?.remove();
}
