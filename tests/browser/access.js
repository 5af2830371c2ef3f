// Gives a list of faults of the page that is shown. Numbers in brackets are success criteria of WCAG 2.2.
const faults = [];
const called = (e) => `<${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${e.getAttribute("class") ? "." + e.getAttribute("class") : ""}> ${(e.textContent || "").trim().slice(0, 24)}`;
const isSeen = (e) => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  return box.width > 0 && box.height > 0 && style.visibility !== "hidden" && box.right > 0;
};
const all = (query) => [...document.querySelectorAll(query)].filter(isSeen);

// Structure (1.3.1, 2.4.2, 2.4.6, 3.1.1).
if (!["zh-CN", "en"].includes(document.documentElement.lang)) faults.push("no language [3.1.1]");
if (document.title.trim().length < 3) faults.push("no title [2.4.2]");
if (document.querySelectorAll("h1").length !== 1) faults.push(`${document.querySelectorAll("h1").length} h1 [2.4.6]`);
if (document.querySelectorAll("main").length !== 1) faults.push("no main [1.3.1]");
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) faults.push(`a level is left out before ${called(heading)} [1.3.1]`);
  level = next;
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`two #${id} [4.1.2]`);
for (const e of document.querySelectorAll("[aria-describedby], [aria-labelledby], [aria-controls]")) {
  for (const kind of ["aria-describedby", "aria-labelledby", "aria-controls"]) {
    for (const id of (e.getAttribute(kind) || "").split(" ").filter(Boolean)) if (!document.getElementById(id)) faults.push(`${kind} leads nowhere: ${called(e)}`);
  }
}
for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) faults.push(`tabindex of ${called(e)} [2.4.3]`);

// Names (1.1.1, 1.3.1, 4.1.2).
for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  const label = [...(e.labels || [])].map((l) => [...l.childNodes].filter((n) => n !== e).map((n) => n.textContent).join("").trim()).join("");
  if (!label && !e.getAttribute("aria-label")) faults.push(`no label: ${called(e)} ${e.name} [1.3.1]`);
}
for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) faults.push(`no alt: ${called(e)} [1.1.1]`);
for (const e of all("svg")) {
  const named = e.closest("[aria-hidden=true]") || e.closest("[role=img][aria-label]") || e.getAttribute("aria-label");
  if (!named) faults.push(`a drawing without a name in ${called(e.parentElement)} [1.1.1]`);
}
for (const e of document.querySelectorAll("a[href], button, summary")) {
  if (!e.textContent.trim() && !e.getAttribute("aria-label")) faults.push(`no name: ${called(e)} [4.1.2]`);
}
for (const e of document.querySelectorAll("progress, [role=img]")) if (!e.getAttribute("aria-label")) faults.push(`no name: ${called(e)} [4.1.2]`);
for (const e of document.querySelectorAll("fieldset")) {
  if (e.querySelectorAll("input[type=radio], input[type=checkbox]").length > 1 && !e.querySelector("legend") && !e.getAttribute("aria-label")) faults.push(`a group without a name: ${called(e)} [1.3.1]`);
}
for (const e of document.querySelectorAll("table")) if (!e.querySelector("th") && e.querySelectorAll("td").length > 20) faults.push(`a table without headers: ${called(e)} [1.3.1]`);

// Contrast (1.4.3, 1.4.11).
const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
const light = ([r, g, b]) => {
  const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const ground = (e) => {
  const layers = [];
  for (let at = e; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour[3] > 0) layers.push(colour);
    if (colour[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const looked = new Set();
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || looked.has(e) || !isSeen(e) || e.closest("svg, script, noscript, option")) continue;
  looked.add(e);
  const style = getComputedStyle(e), below = ground(e);
  // What cannot be used just now need not be read easily.
  if (e.closest(":disabled, fieldset[disabled]")) continue;
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const found = contrast(over(parse(style.color), below), below);
  if (found < (large ? 3 : 4.5)) faults.push(`contrast ${found.toFixed(2)} of ${called(e)} [1.4.3]`);
}
for (const e of all("input, select, textarea, button")) {
  if (e.closest(":disabled, fieldset[disabled]") || ["checkbox", "radio", "hidden", "file"].includes(e.type)) continue;
  const style = getComputedStyle(e);
  if (e.tagName === "BUTTON" && parseFloat(style.borderTopWidth) === 0) continue;
  const around = ground(e.parentElement);
  const edge = Math.max(contrast(over(parse(style.borderTopColor), around), around), contrast(ground(e), around));
  if (edge < 3) faults.push(`the edge of ${called(e)} ${e.name} has ${edge.toFixed(2)} [1.4.11]`);
}

// Sizes (2.5.8): 24 by 24 unless it is a link within text.
for (const e of all("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
  const box = e.getBoundingClientRect();
  const target = ["checkbox", "radio"].includes(e.type) && e.labels && e.labels[0] ? e.labels[0].getBoundingClientRect() : box;
  const inText = e.tagName === "A" && getComputedStyle(e).display === "inline";
  if (!inText && !e.classList.contains("skip") && (target.width < 24 || target.height < 24)) faults.push(`${Math.round(target.width)}×${Math.round(target.height)}: ${called(e)} [2.5.8]`);
}
return [...new Set(faults)];
