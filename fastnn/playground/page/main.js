// The page: its controls send commands, and what the server sends is drawn.

import { CLASSES, color, css, mix, onThemeChange, rgb as parts, sharp, trace } from "./colors.js";
import { connect } from "./connection.js";
import { Curve } from "./curve.js";
import { decode } from "./frame.js";
import { OwnPoints } from "./own.js";
import { Plane } from "./plane.js";
import { SettingsForm } from "./settings.js";
import { Units } from "./units.js";

const find = (id) => document.getElementById(id);
const plane = new Plane(find("plane"));
const curve = new Curve(find("curve"));
const units = new Units(find("layers"));
const form = new SettingsForm(find("settings"), change, setRate);
const own = new OwnPoints(plane, find("tools"), build);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

let playing = false; // what was last asked for, or answered
let answered = false; // what the server last said
let arrived = null; // the newest frame, until it is drawn
let latest = null; // the frame that is drawn
let drawn = []; // when the frames of the last second were drawn

const send = connect({
  onOpen() {
    setMotion();
    setPace();
    build();
  },
  onFrame(buffer) {
    if (arrived === null) requestAnimationFrame(draw);
    else send("seen"); // it is never drawn
    arrived = buffer;
  },
  onMessage({ type, ...what }) {
    messages[type](what);
  },
  onClose(reason) {
    setPlaying(false);
    for (const control of document.querySelectorAll("button, select, input")) control.disabled = true;
    showError(`The connection is closed${reason ? ` (${reason})` : ""}. Start the playground again, or load the page again.`);
  },
});

const messages = {
  busy() {
    say("Building the network …");
  },
  built(what) {
    find("error").hidden = true;
    plane.setData(what);
    curve.clear();
    showLegend(what.classes);
    say(`${what.parameters} parameters, ${what.steps_per_epoch} steps an epoch. Not trained yet.`);
    find("step").setAttribute("aria-label", `Step: one epoch, ${what.steps_per_epoch} steps`);
    hideProgram();
  },
  state(what) {
    answered = what.playing;
    setPlaying(answered);
  },
  program({ text }) {
    find("text").textContent = text;
    find("text").hidden = find("copy").hidden = false;
    say("The program is shown.");
  },
  error({ text }) {
    showError(text);
    if (playing !== answered) setPlaying(answered);
  },
};

function draw(now) {
  latest = decode(arrived);
  arrived = null;
  send("seen");
  drawn = [...drawn.filter((time) => now - time < 1000), now];
  curve.add(latest);
  show();
}

function show() {
  if (latest === null) return;
  plane.setFrame(latest);
  units.setFrame(latest);
  const whole = (value) => Math.round(value).toLocaleString("en");
  const percent = (value) => (Number.isNaN(value) ? "–" : `${(100 * value).toFixed(1)} %`);
  const short = (value) => {
    if (Number.isNaN(value)) return "–";
    return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toPrecision(3);
  };
  const figures = {
    epochs: whole(latest.epochs),
    steps: whole(latest.steps),
    rate: whole(latest.rate),
    frames: playing ? String(drawn.length) : "0",
    accuracy: percent(latest.accuracy),
    val_accuracy: percent(latest.valAccuracy),
    loss: short(latest.loss),
    val_loss: short(latest.valLoss),
  };
  for (const [id, text] of Object.entries(figures)) find(id).textContent = text;
  if (!playing && latest.epochs > 0) {
    const epochs = `${figures.epochs} epoch${latest.epochs === 1 ? "" : "s"}`;
    say(`After ${epochs}: accuracy ${figures.accuracy} in training, ${figures.val_accuracy} in validation.`);
  }
}

function say(text) {
  find("status").textContent = text;
}

function showError(text) {
  find("error").textContent = text;
  find("error").hidden = false;
}

function setPlaying(now) {
  if (playing && !now) say("Paused.");
  playing = now;
  find("play").textContent = now ? "Pause" : "Play";
  if (now) {
    drawn = [];
    say("Training …");
    hideProgram();
  } else find("frames").textContent = "0";
}

function hideProgram() {
  find("text").hidden = find("copy").hidden = true;
}

function build() {
  send("build", { settings: form.values(own.points) });
}

function change() {
  own.set(form.data === "own", form.classes);
  build();
}

function setRate(learning_rate) {
  send("rate", { learning_rate });
}

function showLegend(classes) {
  const items = CLASSES.slice(0, classes).map(({ rgb, shape }, k) => {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    canvas.className = "sample";
    const item = document.createElement("li");
    item.append(canvas, `class ${k + 1}`);
    return [item, canvas, rgb, shape];
  });
  const hint = document.createElement("li");
  hint.textContent = form.data === "own" ? "" : "filled: training, outlined: validation";
  find("legend").replaceChildren(...items.map(([item]) => item), hint);
  for (const [, canvas, rgb, shape] of items) {
    const { context, width, height } = sharp(canvas);
    trace(context, shape, width / 2, height / 2, 5.5);
    context.fillStyle = css(mix(rgb, parts("ink"), 0.25));
    context.fill();
    context.strokeStyle = color("ink");
    context.stroke();
  }
}

function setPace() {
  const { value } = find("pace");
  send("pace", { epochs_per_second: value === "" ? null : Number(value) });
}

function setMotion() {
  send("frames", { per_second: calm.matches ? 1 : 20 });
}

find("play").addEventListener("click", () => {
  send(playing ? "pause" : "play");
  setPlaying(!playing); // so that a second click, before the answer, takes the first one back
});
find("step").addEventListener("click", () => send("step"));
find("reset").addEventListener("click", () => send("reset"));
find("program").addEventListener("click", () => send("program"));
find("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(find("text").textContent);
  say("Copied.");
});
find("pace").addEventListener("change", setPace);
calm.addEventListener("change", setMotion);
onThemeChange(() => {
  show();
  curve.draw();
  if (latest !== null) showLegend(latest.classes.length);
});
