// The live picture: the one thing on the page that needs a script. It draws what the stream says; it has no words of its own.
"use strict";

const at = (id) => document.getElementById(id);
const live = at("live");
let newest = 0;
let shown = 0;
let fetching = false;

// The next picture is asked for when the last one is there, so that a slow telephone is not flooded.
function fetchPicture() {
  if (fetching || shown === newest || document.hidden) return;
  fetching = true;
  const number = newest;
  const next = new Image();
  next.onload = () => { live.src = next.src; shown = number; fetching = false; fetchPicture(); };
  next.onerror = () => { fetching = false; };
  next.src = `/live.jpg?${number}`;
}

function drawMarks(marks) {
  const box = at("marks");
  box.replaceChildren(...marks.map((mark) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
    shape.setAttribute("points", mark.corners.map(([x, y]) => `${x},${y}`).join(" "));
    return shape;
  }));
  at("read").textContent = marks.map((mark) => mark.text).join("　");
}

const stream = new EventSource("/live/events");
stream.addEventListener("view", (event) => {
  const view = JSON.parse(event.data);
  newest = view.number;
  drawMarks(view.marks);
  fetchPicture();
});
// These are pieces of the page that the gate itself drew, with everything escaped.
for (const id of ["states", "arrivals"]) {
  stream.addEventListener(id, (event) => {
    if (!at(id).contains(document.activeElement)) at(id).innerHTML = event.data;
  });
}
document.addEventListener("visibilitychange", fetchPicture);
