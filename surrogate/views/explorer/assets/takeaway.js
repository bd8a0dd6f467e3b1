// What one takes away: words, commands, a link, pictures, numbers, a print.

const DRAWN = ["fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin", "font-size", "font-family", "font-weight", "paint-order", "opacity"];

// A picture that looks the same without this page's style.
function standalone(svg) {
  const copyOf = svg.cloneNode(true), from = [svg, ...svg.querySelectorAll("*")], to = [copyOf, ...copyOf.querySelectorAll("*")];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const name of DRAWN) {
      const value = style.getPropertyValue(name);
      if (value && !value.includes("url(")) to[i].setAttribute(name, value);
    }
    to[i].removeAttribute("class");
  });
  copyOf.setAttribute("xmlns", SVG);
  copyOf.prepend(sv("rect", { width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor }));
  return new XMLSerializer().serializeToString(copyOf);
}

function save(name, blob) {
  const url = URL.createObjectURL(blob), link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// Twice as many pixels, for a slide.
async function pngOf(svg) {
  const image = new Image(), { width, height } = svg.viewBox.baseVal, canvas = el("canvas", { width: 2 * width, height: 2 * height });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg))}`;
  await image.decode();
  canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

// Everything told, by the names of the command's JSON.
function jsonOf(model, state, told) {
  const { answer, decision, cost, sure } = told, pair = (box) => box && { lr: box.lr, batch: box.batch };
  const price = (p) => p && { of: p.of, tokens_share: p.share, tokens: p.tokens, flops: p.flops, interval: p.upper === null ? null : [0, p.upper], reason: p.reason };
  const use = decision.suggestion, choice = answer.choice;
  return {
    schema: 1, fit: model.name, params: state.params, tokens: state.tokens, scales: state.scales, recipe: state.recipe, tol: state.tol, status: answer.status, lr: answer.best.lr ?? null, batch: answer.best.batch ?? null, loss_min: answer.loss ?? null,
    interval: { level: model.level_of_intervals, ...answer.interval }, plateau: answer.plateau,
    suggestion: use && { lr: use.lr, batch: Number.isFinite(use.batch) ? use.batch : null, seq_len: lengthOf(model, state), steps: Number.isFinite(use.steps) ? use.steps : null, regret: use.regret, regret_upper: use.upper },
    inner: pair(decision.inner), inner_robust: pair(decision.robust), price: price(decision.price),
    ladder: decision.ladder && decision.ladder.map((r) => ({ batch: r.batch, lr: r.lr, loss: r.loss, regret: r.regret, tokens_share: r.share, steps: r.steps })),
    trust: { level: decision.trust.level, loss_level: decision.trust.ofLoss, reasons: decision.trust.reasons },
    choice: choice && { lr: choice.lr, batch: choice.batch, regret: choice.regret, inside: choice.isInside, regret_upper: sure && sure.regret ? sure.regret.upper : null, probability_inside: sure && sure.regret ? sure.regret.probability : null, price: price(cost) },
    about: model.recipe_about, warnings: cautionsOf(model, answer, sure),
  };
}

const csvField = (value) => (/^[=+@\t-]|[",\n]/.test(String(value)) ? `"${String(value).replace(/"/g, '""')}"` : String(value));

function csvOf(model, state, told) {
  const rows = [["batch_tokens", "sequences", "lr", "loss", "regret", "tokens_share", "steps"], ...(told.decision.ladder || []).map((r) => [r.batch, r.batch / lengthOf(model, state), r.lr, r.loss, r.regret, r.share ?? "", r.steps])];
  return rows.map((row) => row.map(csvField).join(",")).join("\n");
}

function buildTakeAway(session, body) {
  const { model } = session, told = el("span", { class: "told", role: "status" }), command = el("code", { id: "command" });
  const button = (label, act) => el("button", { type: "button", onclick: async () => {
    try {
      told.textContent = `${label}: ${(await act()) === false ? "the browser refused." : "done."}`;
    } catch {
      told.textContent = `${label}: the browser refused.`;
    }
  } }, label);
  const copier = (label, text) => button(label, () => copy(text()));
  const text = (kind, name, of) => button(name, () => save(`surrogate.${kind}`, new Blob([of()], { type: "text/plain" })));
  const svg = () => session.map.frame().svg, verbs = model.choices.length > 1 ? ["plateau", "optimum", "regret"] : ["plateau", "regret"];
  const pictures = toldChoices(model).length > 1 ? [button("Map as SVG", () => save("surrogate-map.svg", new Blob([standalone(svg())], { type: "image/svg+xml" }))), button("Map as PNG", async () => save("surrogate-map.png", await pngOf(svg())))] : [];
  body.replaceChildren(
    el("div", { class: "buttons" }, copier("Copy sentence", () => sentenceText(model, session.state, session.told)), copier("Copy as text", () => answerText(model, session.told.answer, session.told.sure)), copier("Copy link", () => location.href), ...pictures,
      text("csv", "Ladder as CSV", () => csvOf(model, session.state, session.told)), text("json", "Answer as JSON", () => JSON.stringify(jsonOf(model, session.state, session.told), null, 1)), button("Print", () => window.print())),
    el("div", { class: "buttons" }, verbs.map((verb) => copier(`Copy ${verb} command`, () => commandOf(model, ownQuestion(session), verb)))), told, el("p", { class: "command" }, command));
  return ({ answer }) => { command.textContent = commandOf(model, answer.question, verbs[0]); };
}

// A regret is asked of one's own setting, else of what is suggested.
function ownQuestion({ state, told }) {
  const use = told.decision.suggestion;
  return state.lr || !use ? state : { ...state, lr: use.lr, batch: use.batch };
}
