// Drawing the lane: the corners of a rectangle are dragged, the four numbers of the form follow, and the other way round.
"use strict";

const box = document.getElementById("lane");
const shape = box.querySelector("polygon");
const fields = ["left", "top", "width", "height"].map((id) => document.getElementById(id));
const whole = document.querySelector("input[name=whole]");
let held = null;

const numbers = () => fields.map((field) => Number(field.value) || 0);

function draw() {
  const [x, y, w, h] = numbers();
  shape.setAttribute("points", `${x},${y} ${x + w},${y} ${x + w},${y + h} ${x},${y + h}`);
}

function place(event) {
  const bounds = box.getBoundingClientRect();
  const share = (value, from, size) => Math.min(100, Math.max(0, Math.round(((value - from) / size) * 100)));
  return [share(event.clientX, bounds.left, bounds.width), share(event.clientY, bounds.top, bounds.height)];
}

box.addEventListener("pointerdown", (event) => {
  const [x, y, w, h] = numbers();
  const [px, py] = place(event);
  // The nearest corner is taken; the opposite one stays where it is.
  held = [Math.abs(px - x) < Math.abs(px - x - w) ? x + w : x, Math.abs(py - y) < Math.abs(py - y - h) ? y + h : y];
  box.setPointerCapture(event.pointerId);
  event.preventDefault();
});
box.addEventListener("pointermove", (event) => {
  if (!held) return;
  const [px, py] = place(event);
  const values = [Math.min(px, held[0]), Math.min(py, held[1]), Math.abs(px - held[0]), Math.abs(py - held[1])];
  fields.forEach((field, i) => { field.value = values[i]; });
  whole.checked = false;
  draw();
});
box.addEventListener("pointerup", () => { held = null; });
fields.forEach((field) => field.addEventListener("input", () => { whole.checked = false; draw(); }));
draw();
