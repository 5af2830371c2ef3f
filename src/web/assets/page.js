// The stewards' page: asks the gate how it is, every second and a half, and draws what it says. No library, no build.
"use strict";

const at = (id) => document.getElementById(id);
const outcomes = { opened: ["已抬杆", "good"], refused: ["未放行", "warn"], failed: ["抬杆失败", "bad"] };
let newest = 0;
let oldest = Infinity;

function say(id, text, kind) {
  const node = at(id);
  node.textContent = text;
  node.className = [id === "overall" ? "badge" : "", kind || ""].join(" ").trim();
}

function cameraWords(status) {
  const camera = status.camera;
  if (camera.state === "live") return `摄像头：正常（${camera.width}×${camera.height}，${status.source}）`;
  if (camera.state === "lost") return `摄像头断开：${camera.reason}（已重试 ${camera.attempts} 次）`;
  if (camera.state === "ended") return "摄像头：画面已结束";
  return "摄像头：正在打开";
}

function draw(status) {
  const failing = status.barrier.stuck || status.camera.state === "lost";
  say("overall", failing ? "需要处理" : status.ready ? "运行正常" : "正在启动", failing ? "bad" : status.ready ? "good" : "warn");
  say("camera", cameraWords(status), status.camera.state === "lost" ? "bad" : "");
  const barrier = status.barrier;
  say("barrier", barrier.stuck ? "继电器未松开" : barrier.pressed ? "正在抬杆" : `待命（${barrier.presses} 次）`, barrier.stuck ? "bad" : "");
  say("vehicles", `${status.register.vehicles} 辆`);
  say("unpaid", `${status.register.unpaid} 辆`);
  say("age", status.frame_age_ms === null ? "–" : `${status.frame_age_ms} 毫秒`);
}

function slotWords(event) {
  return event.slots.filter((s) => s.char !== "_" || s.p < 0.99).map((s) => {
    const others = (s.or || []).map(([c, p]) => `${c} ${(p * 100).toFixed(0)}%`).join(" ");
    return `${s.char} ${(s.p * 100).toFixed(1)}%${others ? ` (${others})` : ""}`;
  }).join(" · ");
}

function row(event) {
  const node = at("row").content.cloneNode(true);
  const find = (selector) => node.querySelector(selector);
  const [word, kind] = outcomes[event.outcome] || [event.outcome, ""];
  find(".plate").textContent = event.plate || event.text || "看不清";
  find(".outcome").textContent = word;
  find(".outcome").classList.add(kind);
  const car = event.vehicle ? (event.vehicle.plate === event.plate ? `，${event.vehicle.household} 户` : `（登记的是 ${event.vehicle.plate}）`) : "";
  const pulse = event.pulse && event.pulse.pressed ? `，${Math.round(event.pulse.pressed.after_ms)} 毫秒抬杆` : "";
  find(".why").textContent = event.rule_zh + car + pulse;
  find(".slots").textContent = slotWords(event);
  const time = find("time");
  time.dateTime = event.at;
  time.textContent = new Date(event.at).toLocaleString("zh-CN", { hour12: false });
  if (event.picture) {
    find(".shot").href = `/api/v1/events/${event.id}/picture`;
    find(".shot img").src = `/api/v1/events/${event.id}/picture`;
    find(".shot img").alt = "来车照片";
  }
  return node;
}

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(4000) });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

async function refresh() {
  try {
    draw(await ask("/api/v1/status"));
    const events = (await ask("/api/v1/events?count=20")).filter((event) => event.id > newest);
    for (const event of events.reverse()) {
      at("events").prepend(row(event));
      newest = Math.max(newest, event.id);
      oldest = Math.min(oldest, event.id);
    }
    at("none").hidden = newest > 0;
    at("more").hidden = !(newest > 0 && oldest > 1);
  } catch {
    say("overall", "连不上道闸主机", "bad");
  }
  setTimeout(refresh, 1500);
}

async function older() {
  for (const event of await ask(`/api/v1/events?count=20&before=${oldest}`)) {
    at("events").append(row(event));
    oldest = Math.min(oldest, event.id);
  }
  at("more").hidden = oldest <= 1;
}

// The next picture is asked for when the last one is there, so that a slow telephone is not flooded.
function look() {
  const next = new Image();
  const again = (wait) => setTimeout(look, document.hidden ? 3000 : wait);
  next.onload = () => { at("live").src = next.src; again(500); };
  next.onerror = () => again(2000);
  next.src = `/live.jpg?${Date.now()}`;
}

at("more").addEventListener("click", () => older().catch(() => say("overall", "连不上道闸主机", "bad")));
refresh();
look();
