// The loss of training and validation over epochs, on a logarithmic axis.

import { color, sharp } from "./colors.js";

const MOST = 800;
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 8, 8, 26];

export class Curve {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  clear() {
    this.seen = [];
  }

  add({ epochs, loss, valLoss }) {
    if (Number.isNaN(loss)) return;
    if (this.seen.length && this.seen.at(-1).epochs === epochs) this.seen.pop();
    this.seen.push({ epochs, loss, valLoss });
    // Every second one goes, but for the last.
    if (this.seen.length > MOST) this.seen = this.seen.filter((_, i, all) => i % 2 === 0 || i === all.length - 1);
    this.draw();
  }

  draw() {
    const { context, width, height } = sharp(this.canvas);
    if (width === 0) return;
    context.clearRect(0, 0, width, height);
    const values = this.seen.flatMap(({ loss, valLoss }) => [loss, valLoss]).filter((v) => v > 0 && Number.isFinite(v));
    let low = Math.floor(Math.log10(Math.max(Math.min(1, ...values), 1e-12)));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, ...values))));
    if (low === 0) low = -1;
    const last = Math.max(1, this.seen.length ? this.seen.at(-1).epochs : 1);
    const x = (epochs) => LEFT + (epochs / last) * (width - LEFT - RIGHT);
    const y = (loss) => {
      const level = (Math.log10(Math.max(loss, 10 ** low)) - low) / (high - low);
      return height - BOTTOM - level * (height - TOP - BOTTOM);
    };
    this.axes(context, width, height, { low, high, last, y });
    this.line(context, this.seen.map((s) => [x(s.epochs), y(s.loss), s.loss]), color("training"), []);
    this.line(context, this.seen.map((s) => [x(s.epochs), y(s.valLoss), s.valLoss]), color("validation"), [6, 4]);
    this.key(context, width);
  }

  axes(context, width, height, { low, high, last, y }) {
    context.font = "12px system-ui, sans-serif";
    context.lineWidth = 1;
    context.setLineDash([]);
    const every = Math.ceil((high - low) / 5);
    for (let power = low; power <= high; power += every) {
      context.strokeStyle = color("line");
      context.globalAlpha = 0.4;
      context.beginPath();
      context.moveTo(LEFT, y(10 ** power));
      context.lineTo(width - RIGHT, y(10 ** power));
      context.stroke();
      context.globalAlpha = 1;
      context.fillStyle = color("quiet");
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(power < -4 ? `1e${power}` : String(Number((10 ** power).toFixed(4))), LEFT - 6, y(10 ** power));
    }
    context.textBaseline = "alphabetic";
    context.fillText(`${last.toLocaleString("en")} epochs`, width - RIGHT, height - 6);
    context.textAlign = "left";
    context.fillText("0", LEFT, height - 6);
  }

  line(context, points, stroke, dashes) {
    context.strokeStyle = stroke;
    context.lineWidth = 2;
    context.setLineDash(dashes);
    context.beginPath();
    let under = false;
    for (const [x, y, value] of points) {
      if (Number.isNaN(value)) continue;
      if (under) context.lineTo(x, y);
      else context.moveTo(x, y);
      under = true;
    }
    context.stroke();
    context.setLineDash([]);
  }

  key(context, width) {
    context.textAlign = "right";
    context.textBaseline = "top";
    for (const [row, name, dashes] of [[0, "training", []], [1, "validation", [6, 4]]]) {
      const top = TOP + 4 + 17 * row;
      context.fillStyle = color("ink");
      context.fillText(name, width - RIGHT - 4, top);
      context.strokeStyle = color(name);
      context.lineWidth = 2;
      context.setLineDash(dashes);
      context.beginPath();
      context.moveTo(width - RIGHT - 100, top + 6);
      context.lineTo(width - RIGHT - 72, top + 6);
      context.stroke();
    }
    context.setLineDash([]);
  }
}
