// The page: state -> answer -> pictures. What is quick is drawn in the next frame; what
// needs every draw, and what reads aloud, follows when the question rests.

const REST = 140; // milliseconds

function start() {
  try {
    run(JSON.parse(byId("data").textContent));
  } catch (error) {
    const box = byId("failure");
    box.hidden = false;
    box.textContent = `The page could not be drawn: ${error.message}`;
    throw error;
  }
}

function run(data) {
  const model = prepare({ ...data, draws_of: data.draws ? data.draws.of : 0 });
  const [first, unread] = stateOf(model, location.hash, firstState(model));
  unpackRuns(model);
  describe(model);
  const session = { model, state: first, told: null, brackets: {}, second: null, isHeld: false, playing: null };
  let frame = 0, timer = 0, more = null;
  const said = byId("refused");
  Object.assign(session, {
    set(next) {
      session.state = next;
      said.textContent = "";
      renew();
    },
    hold(isHeld) {
      session.isHeld = isHeld;
      renew();
    },
    refuse(text) { said.textContent = text; },
    redraw: () => rest(),
  });
  const ask = refiner(model, { ...data, runs: null }, (found) => {
    more = found;
    rest();
  });
  const parts = partsOf(session);
  function renew() {
    document.documentElement.dataset.busy = "";
    if (!frame) frame = requestAnimationFrame(quick);
    clearTimeout(timer);
    timer = setTimeout(slow, REST);
  }
  function quick() {
    frame = 0;
    let next = toldOf(model, session.state, session.told);
    if (!isAnswered(model, next.base)) {
      session.state = session.told ? session.told.state : firstState(model);
      session.refuse("The fit has no finite answer to what was asked, so that what is shown stays.");
      next = toldOf(model, session.state, session.told);
    }
    session.told = next;
    parts.show(next, false);
  }
  function slow() {
    if (frame) { cancelAnimationFrame(frame); quick(); }
    ask(session.state);
    parts.show(session.told, true);
    const hash = hashOf(model, session.state);
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }
  // With what all draws tell.
  function rest() {
    if (frame || !session.told) return;
    session.told = withRefined(session.told, more);
    parts.show(session.told, true);
    const isCurrent = more && more.key === session.told.key && more.lr === session.state.lr && more.batch === session.state.batch;
    if (!isCurrent) return;
    delete document.documentElement.dataset.busy;
    byId("said").textContent = sentenceText(model, session.state, session.told);
    document.documentElement.dataset.ready = String(Number(document.documentElement.dataset.ready || 0) + 1);
  }
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    const [next, wrong] = stateOf(model, location.hash, firstState(model));
    session.set(next);
    session.refuse(wrong.join(" "));
  });
  let width = document.body.clientWidth;
  new ResizeObserver(() => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    parts.resize();
    renew();
  }).observe(document.body);
  const began = performance.now();
  quick();
  performance.measure("first-contour", { start: began });
  session.refuse(unread.join(" "));
  timer = setTimeout(slow, 0);
}

function describe(model) {
  const runs = `${model.provenance.runs.toLocaleString("en-US")} runs in ${model.cell_count} ${model.cell_count === 1 ? "cell" : "cells"}`;
  byId("about").textContent = `From ${plain(model.name)}: ${runs}. ${model.recipe_said} All is computed in this page; it loads and sends nothing.`;
  byId("foot").textContent = `Made by surrogate ${plain(model.provenance.version || "")}. The address of this page holds what is asked: copy it to share the question.`;
}

// Every part of the page, and what shows an answer in each.
function partsOf(session) {
  const { model } = session, sentence = buildSentence(session, byId("lines"));
  const hasMap = toldChoices(model).length > 1;
  session.map = hasMap ? buildMap(session, byId("map-body")) : { show() {}, frame: () => null, mark() {} };
  if (!hasMap) byId("map-body").replaceChildren(el("p", null, noMap(model)));
  const profiles = buildProfiles(session, { below: byId("profile-lr"), beside: byId("profile-batch") });
  const plane = buildPlane(session, byId("plane-body")), decide = buildDecide(session, byId("decide-body")), second = buildSecond(session, byId("second-body"));
  const runs = buildRuns(session, byId("runs-body")), take = buildTakeAway(session, byId("take-body"));
  const seen = whenSeen();
  const scaling = seen(byId("scaling"), () => drawScalings(model, session.told.answer));
  const table = seen(byId("runs"), () => runs());
  const once = [seen(byId("holds"), () => fillCells(model, byId("cells-body"))), seen(byId("residuals"), () => fillResiduals(model, byId("residuals-body"), byId("residuals-body").clientWidth))];
  once.forEach((fill) => fill());
  fillScores(model, byId("scores-body"));
  fillBasis(model, byId("basis-body"));
  const bar = byId("bar");
  new IntersectionObserver(([entry]) => { bar.classList.toggle("on", !entry.isIntersecting && entry.boundingClientRect.top < 0); }).observe(byId("lines"));
  return {
    show(told, isResting) {
      sentence(told, session.state);
      session.map.show(told, isResting);
      profiles(told, session.map.frame());
      plane(told, isResting);
      if (!isResting) return;
      const { answer, sure } = told, use = (told.kept ? told.kept.decision : told.decision).suggestion;
      const rows = answerRows(model, answer, model.draws.length && !sure ? null : sure || { robust: told.robust, regret: null });
      byId("numbers").replaceChildren(el("dl", null, rows.map(([what, value]) => el("div", { class: what.startsWith("best") ? "main" : null }, el("dt", null, what), el("dd", null, value)))));
      // The sentence says where the question lies.
      byId("cautions").replaceChildren(...cautionsOf(model, answer, sure).filter((text) => !text.startsWith("Extrapolation:") && text !== answer.refused).map((text) => el("li", null, text)));
      bar.textContent = use ? `lr ${typedLr(use.lr, 3)}${Number.isFinite(use.batch) ? `, batch ${typedBatchExact(use.batch)}` : ""} for ${formatCount(session.state.params)} on ${formatCount(session.state.tokens)}${answer.choice ? `; yours loses ${twoDigits(answer.choice.regret)}` : ""}` : "No answer";
      decide(told);
      second(told);
      take(told);
      scaling();
      table();
    },
    resize: () => once.forEach((fill) => fill()),
  };
}

// What is far down is drawn when it is scrolled to, and again when it has changed.
function whenSeen() {
  const known = new Map(), watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const one = known.get(entry.target);
      one.isNear = entry.isIntersecting;
      if (one.isNear && one.isDue) one.draw();
    }
  }, { rootMargin: "200px" });
  return (section, draw) => {
    const one = { isNear: false, isDue: false, draw: () => { one.isDue = false; draw(); } };
    known.set(section, one);
    watch.observe(section);
    return () => {
      one.isDue = true;
      if (one.isNear) one.draw();
    };
  };
}

function figureWidth(body, most) {
  const columns = Math.max(1, Math.min(most, Math.floor(body.clientWidth / 285)));
  return Math.floor((body.clientWidth - 16 * (columns - 1)) / columns);
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
