// A pad for plates: provinces first, then letters and digits; and what is known of the plate as it is typed. The form works
// without it.
"use strict";

const plate = document.getElementById("plate");
const pad = document.getElementById("pad");
const hint = document.getElementById("hint");
let asked = 0;

function fill() {
  const keys = plate.value === "" ? [...plate.dataset.provinces] : [..."0123456789ABCDEFGHJKLMNPQRSTUVWXYZ警学挂港澳"];
  const box = document.createElement("div");
  box.className = "pad";
  for (const key of [...keys, "⌫"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = key;
    button.addEventListener("click", () => {
      plate.value = key === "⌫" ? [...plate.value].slice(0, -1).join("") : plate.value + key;
      changed();
    });
    box.append(button);
  }
  pad.replaceChildren(box);
  pad.hidden = plate.matches(":disabled") || [...plate.value].length >= 8;
}

async function changed() {
  fill();
  const mine = ++asked;
  if ([...plate.value].length < 7) { hint.replaceChildren(); return; }
  const answer = await fetch(`/cars/hint?plate=${encodeURIComponent(plate.value)}`);
  // A piece of the page that the gate itself drew, with everything escaped.
  if (answer.ok && mine === asked) hint.innerHTML = await answer.text();
}

plate.addEventListener("input", changed);
fill();
