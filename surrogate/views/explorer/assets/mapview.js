// The map in its place: it takes a hand, keys and a hover, and keeps its axes meanwhile.

function buildMap(session, body) {
  const { model } = session;
  const area = el("div", { class: "map", id: "map-area", tabindex: 0, role: "group", "aria-label": "Map of the loss over learning rate and batch. Arrow keys move your own setting." });
  const views = [["near", "Near the plateau"], ["box", "Whole range"]].map(([view, text]) => el("button", { type: "button", "data-view": view, onclick: () => session.set({ ...session.state, view }) }, text));
  const trail = buildTrail(session), legend = el("div"), tip = makeTip(area), note = el("p", { class: "note", id: "near" });
  body.replaceChildren(area);
  byId("map-under").replaceChildren(el("div", { class: "under" }, legend, el("div", { class: "buttons", role: "group", "aria-label": "What the map shows" }, views, trail.buttons)), trail.list, note);
  let frame = null, painted = {}, isDown = false;
  const setting = (event) => {
    const box = frame.svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const [within, lower] = [clamp(x, frame.left, frame.right), clamp(y, frame.top, frame.bottom)];
    return { isIn: within === x && lower === y, ...snapped(model, frame.x.back(within), frame.y.back(lower)) };
  };
  const choose = ({ lr, batch }) => { if (lr !== session.state.lr || batch !== session.state.batch) session.set({ ...session.state, lr, batch }); };
  const tell = ({ lr, batch }) => tip.show(tipLines(session, lr, batch), frame.x(lr), frame.y(batch));
  area.addEventListener("pointerdown", (event) => {
    const at = setting(event);
    if (event.button || !at.isIn) return;
    isDown = true;
    session.hold(true);
    area.setPointerCapture(event.pointerId);
    choose(at);
    tell(at);
  });
  area.addEventListener("pointermove", (event) => {
    if (!frame) return;
    const at = setting(event);
    if (isDown) choose(at);
    if (isDown || at.isIn) tell(at);
    else tip.hide();
  });
  area.addEventListener("pointerleave", () => { if (!isDown) tip.hide(); });
  const release = () => {
    if (!isDown) return;
    isDown = false;
    tip.hide();
    session.hold(false);
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) area.addEventListener(name, release);
  area.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: ["lr", -1], ArrowRight: ["lr", 1], ArrowUp: ["batch", 1], ArrowDown: ["batch", -1] }[event.key];
    if (event.key === "Escape") session.set({ ...session.state, lr: null, batch: null });
    if (!move) return;
    event.preventDefault();
    const now = { lr: bracketValue(session, "lr"), batch: bracketValue(session, "batch") }, [name, way] = move;
    const next = { lr: nearDigits(now.lr), batch: typedNear("batch", now.batch), [name]: (name === "lr" ? nextDigits : nextBatch)(now[name], way) };
    choose({ lr: clamp(next.lr, ...limitsOf(model, "lr")), batch: clamp(next.batch, ...limitsOf(model, "batch")) });
    tell(next);
  });
  area.addEventListener("blur", () => tip.hide());
  return {
    show(told, isResting) {
      if (told.answer.refused) {
        area.hidden = true;
        note.textContent = NOTHING;
        legend.replaceChildren();
        return;
      }
      area.hidden = false;
      const width = Math.max(area.clientWidth, 240), height = mapHeight(width), { answer, state } = told;
      const isNew = !frame || painted.width !== width || painted.view !== state.view;
      // Axes that moved under the hand would carry the choice away with them.
      const wanted = isNew || (isResting && !session.isHeld) ? viewOf(model, answer, state.view) : frame.view;
      if (isNew || !isGoodView(frame.view, wanted)) {
        frame = frameOf(model, wanted, width, height, `Loss over learning rate and batch for ${sizesText(model, state)}`);
        area.replaceChildren(frame.svg, tip.node);
        painted = { width, view: state.view };
      }
      const near = nearestRuns(model, state), isMoved = painted.base !== told.base;
      if (isMoved) {
        paintBands(frame, told.base);
        paintEdge(frame, told.base.whole.region);
        paintRidge(model, frame, told.base);
        frame.layers.untried.replaceChildren(...untriedRects(told.base.sides, frame));
        paintLaws(model, frame, state);
        frame.svg.setAttribute("aria-label", `Loss over learning rate and batch for ${sizesText(model, state)}`);
      }
      if (near.cell !== painted.cell || isNew || !painted.runs || painted.runs !== near.isNear) paintRuns(model, frame, near);
      if (isMoved || painted.decision !== told.decision || painted.kept !== told.kept) {
        paintBox(frame, told.decision);
        painted.goesOn = paintBest(model, frame, told);
      }
      if (isMoved || painted.robust !== told.robust) {
        const outline = told.robust && told.robust.outline ? told.robust.outline : [];
        frame.layers.robust.firstChild.setAttribute("d", outline.map((loop) => closed(loop.map(frame.place))).join(""));
      }
      const about = JSON.stringify([state.params, state.scales, state.recipe, painted.view, painted.width]), ends = session.playing ? session.playing.ends : trailEnds(model, state);
      if (isNew || painted.about !== about) frame.layers.trail.replaceChildren();
      if ((session.playing || (isResting && !session.isHeld)) && (isNew || painted.about !== about || painted.ends !== String(ends))) {
        painted.trail = paintTrail(model, frame, told.base) ? ends : null;
        Object.assign(painted, { about, ends: String(ends) });
      }
      if (isNew || painted.fan !== told.fan) paintFan(frame, told.fan);
      if (isNew || painted.pins !== state.pins) paintPins(frame, state.pins);
      paintChoice(frame, answer.choice);
      paintSecond(session, frame, told);
      Object.assign(painted, { base: told.base, decision: told.decision, kept: told.kept, robust: told.robust, fan: told.fan, pins: state.pins, cell: near.cell, runs: near.isNear });
      if (isResting) {
        trail.show(told);
        legend.replaceChildren(mapLegend(model, { ...told, trail: painted.trail }, painted.goesOn, near));
        for (const button of views) button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
        note.textContent = mapNote(model, told, near);
      }
    },
    frame: () => frame,
    mark: (index) => { if (frame) for (const node of frame.layers.runs.childNodes) node.classList.toggle("brushed", node.dataset.run === String(index)); },
  };
}

const snapped = (model, lr, batch) => ({ lr: clamp(nearDigits(lr), ...limitsOf(model, "lr")), batch: clamp(nearBatch(batch), ...limitsOf(model, "batch")) });

// So that the answer and the map are on the first screen of a phone and of a desk.
function mapHeight(width) {
  const room = window.innerHeight - (width < 480 ? 420 : 360);
  return Math.round(clamp(width < 480 ? 0.86 * width : 0.66 * width, 240, Math.max(room, 250)));
}

function paintChoice(frame, choice) {
  frame.layers.choice.replaceChildren(...(choice ? [mark("diamond", frame.x(choice.lr), frame.y(choice.batch), "choice", "your own")] : []));
}

// The plateau and the best of a second fit, where one was dropped.
function paintSecond(session, frame, told) {
  const other = session.second ? secondAnswer(session, told) : null;
  if (!other) {
    if (frame.layers.second.firstChild) frame.layers.second.replaceChildren();
    return;
  }
  const { model } = session.second, place = ([x, y]) => [frame.x(fromU(model, 0, x)), frame.y(fromU(model, 1, y))];
  const ring = outlineOf(other.surface, other.whole.region, other.whole.found.free, other.level, 144).map(place);
  frame.layers.second.replaceChildren(sv("path", { class: "second", d: closed(ring) }), mark("plus", frame.x(other.best.lr), frame.y(other.best.batch), "second", "best of the second fit"));
}

const NOTHING = "Nothing to draw: there is no answer to what is asked.";

function mapNote(model, told, near) {
  const said = ["Shades: loss above the lowest, in per cent. Point for a read-out; click or drag to set your own."];
  if (!model.runs) said.push("No measured runs in this page: make it with --runs FILE to see them.");
  else if (near.cell && !near.isNear) said.push(`No measured run is near: the nearest are of ${cellName(model, near.cell)} tokens.`);
  if (!told.answer.region.cut) said.push(told.answer.region.isBeyond ? "All of the box is beyond the stability edge." : "Stability edge unknown: too few diverged runs.");
  return said.join(" ");
}

// Why there is no map.
function noMap(model) {
  const missing = CHOICES.find((name) => !toldChoices(model).includes(name));
  return `${untoldReasons(model).length ? `These runs do not show a best ${NAMES[missing]}` : "Only one of learning rate and batch can be told apart in the fitted runs"}, so there is no map: the profile below is the whole answer.`;
}
