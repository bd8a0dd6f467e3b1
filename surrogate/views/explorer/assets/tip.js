// What is known of one setting: the read-out at the pointer.

// Draws of what is shown, on this side; asked once a question, when a pointer first rests.
function drawsHere(session) {
  const { model, told } = session;
  if (told.drawsHere === undefined && !session.isHeld && !told.base.refused) {
    told.drawsHere = model.draws.length && !isAny(told.base.sides) ? drawnOf(model, told.base, told.state.tol) : null;
  }
  return told.drawsHere || null;
}

// Lines of [what, value] about lr and batch at the question.
function tipLines(session, lr, batch) {
  const { model, state, told } = session, { base, decision } = told, values = { lr, batch }, u = placeIn(model, values);
  const regret = Math.max(Math.expm1(valueAt(base.surface, ...u) - base.found.v), 0), share = decision.prices && !decision.prices.reason ? decision.prices.share(regret) : null;
  const risk = riskOf(model, state, values), drawn = drawsHere(session), length = lengthOf(model, state), lines = [];
  lines.push(["", `lr ${typedLr(lr, 3)}, batch ${typedBatchExact(batch)}`], ["", `${trimmed(batch / length)} × ${formatTokens(length)} tokens, ${formatCount(state.tokens / batch)} steps`]);
  lines.push(["loses", `${twoDigits(regret)}${share === null ? (decision.prices && !decision.prices.reason && regret > 0 ? `: ${beyondText(model, state).split(",")[0]}` : "") : `: ${twoDigits(share)} of the tokens`}`]);
  if (drawn) {
    const inside = drawnRegrets(drawn, u).filter((r) => r <= state.tol).length / drawn.surfaces.length;
    lines.push(["inside in", `${Math.round(100 * (isHeldBy(base.region, ...u) ? inside : 0))} % of refits`]);
  }
  if (risk) lines.push(["diverges", `probability ${risk.probability.toFixed(2)}`]);
  return lines;
}

// A box that follows the pointer within an area, and never under it.
function makeTip(area) {
  const node = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  area.append(node);
  return {
    node,
    show(lines, x, y) {
      node.replaceChildren(...lines.map(([what, value]) => el("div", null, what ? el("span", null, `${what} `) : "", value)));
      node.hidden = false;
      const { offsetWidth: w, offsetHeight: h } = node, wide = area.clientWidth;
      const left = x + 16 + w <= wide ? x + 16 : Math.max(x - 16 - w, 0), top = y - h - 14 >= 0 ? y - h - 14 : y + 18;
      node.style.left = `${Math.min(left, Math.max(wide - w, 0))}px`;
      node.style.top = `${top}px`;
    },
    hide() { node.hidden = true; },
  };
}
