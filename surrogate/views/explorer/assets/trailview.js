// On the map beside the answer: the trail of the optimum, the fan of refits, and up to
// four settings that are pinned.

const PLAY_STEPS = 48, PLAY_MS = 90;

function paintTrail(model, frame, answer) {
  const trail = trailOf(model, answer), places = trail.map(({ u }) => frame.place(u));
  const ends = trail.length ? [0, trail.length - 1].map((k) => {
    const [x, y] = places[k], isIn = x > frame.left && x < frame.right - 40 && y > frame.top + 12 && y < frame.bottom && trail[k].tokens !== answer.question.tokens;
    return isIn ? [mark("dot", x, y, "trailend", `optimum at ${formatCount(trail[k].tokens)} tokens`), sv("text", { class: "level", x: x + 7, y: y - 5 }, formatCount(trail[k].tokens))] : [];
  }).flat() : [];
  frame.layers.trail.replaceChildren(sv("path", { class: "trail", d: path(places) }), ...ends);
  return trail.length > 0;
}

// Optima of refits, as draws have them.
function paintFan(frame, fan) {
  frame.layers.fan.replaceChildren(...(fan || []).map((u) => mark("speck", ...frame.place(u), "fan")));
}

function paintPins(frame, pins) {
  frame.layers.pins.replaceChildren(...pins.flatMap((pin, k) => {
    const [x, y] = [frame.x(pin.lr), frame.y(pin.batch)];
    return [mark("square", x, y, "pin", `pinned ${k + 1}`), sv("text", { class: "level", x: x + 7, y: y - 5 }, String(k + 1))];
  }));
}

// Buttons over the map, and the list of pins under it.
function buildTrail(session) {
  const { model } = session, list = el("ol", { class: "pins", id: "pins" });
  let before = null;
  const canPlay = model.givens.includes("tokens") && toldChoices(model).length > 1;
  const play = el("button", { type: "button", id: "play", hidden: !canPlay, onclick: () => (session.playing ? stop() : begin()) }, "Play along D");
  const pin = el("button", { type: "button", id: "pin", onclick: () => add() }, "Pin yours");
  function stop() {
    clearInterval(session.playing.timer);
    session.playing = null;
    play.textContent = "Play along D";
    session.hold(false);
    session.set(before);
  }
  function begin() {
    const ends = trailEnds(model, session.state);
    let step = 0;
    before = session.state;
    session.set({ ...before, view: "box" });
    play.textContent = "Stop";
    session.playing = { ends, timer: setInterval(() => {
      session.hold(true);
      session.set({ ...before, view: "box", tokens: nearDigits(alongEnds(ends, step / PLAY_STEPS)) });
      step += 1;
      if (step > PLAY_STEPS) stop();
    }, PLAY_MS) };
  }
  const isPinned = ({ lr, batch }) => session.state.pins.some((one) => one.lr === lr && one.batch === batch);
  function add() {
    const { lr, batch, pins } = session.state;
    if (lr === null || pins.length >= MOST_PINS || isPinned({ lr, batch })) return;
    session.set({ ...session.state, pins: [...pins, { lr, batch }] });
  }
  const line = (answer, one) => {
    const found = answer.refused ? null : choiceOf(model, { ...answer.question, ...one }, answer);
    const loses = !found || found.refused ? "no answer" : `loses ${twoDigits(found.regret)}${found.isInside !== false ? "" : ", off the plateau"}`;
    const drop = el("button", { type: "button", "aria-label": `Unpin lr ${typedLr(one.lr)}`, onclick: () => session.set({ ...session.state, pins: session.state.pins.filter((each) => each !== one) }) }, "×");
    const take = el("button", { type: "button", onclick: () => session.set({ ...session.state, lr: one.lr, batch: one.batch }) }, `lr ${typedLr(one.lr)}, batch ${typedBatchExact(one.batch)}`);
    return el("li", null, take, ` ${loses} `, drop);
  };
  return {
    buttons: [play, pin],
    list,
    show(told) {
      const { lr, batch, pins } = told.state;
      pin.disabled = lr === null || pins.length >= MOST_PINS || isPinned({ lr, batch });
      pin.title = lr === null ? "Set a choice of your own first" : `At most ${MOST_PINS} are kept`;
      list.replaceChildren(...pins.map((one) => line(told.answer, one)));
      list.hidden = !pins.length;
    },
  };
}
