// Elements. Text from data only ever becomes text nodes or attribute values.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const el = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
const sv = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);
const byId = (id) => document.getElementById(id);

// A table whose first column heads its rows; numbers go right.
function tableOf(caption, heads, rows) {
  const cell = (value, i) => el(i ? "td" : "th", { scope: i ? null : "row" }, plain(value ?? "unknown"));
  return el("div", null, el("p", { class: "caption" }, caption), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", null,
      el("thead", null, el("tr", null, heads.map((head) => el("th", { scope: "col" }, plain(head))))),
      el("tbody", null, rows.map((row) => el("tr", null, row.map(cell)))))));
}

// Copies text where the clipboard allows it, else through a selection.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "hidden", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
