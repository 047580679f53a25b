// The picture of the plane: what the network says of each place, and the points.

import { boundary } from "./boundary.js";
import { CLASSES, color, css, mix, rgb, sharp, trace } from "./colors.js";

export class Plane {
  constructor(canvas) {
    this.canvas = canvas;
    this.map = document.createElement("canvas");
    this.points = [];
    this.validation = [];
    [this.low, this.high] = [-1, 1];
    this.cursor = null;
    this.frame = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  setData({ points, validation, low, high }) {
    Object.assign(this, { points, validation, low, high });
  }

  setFrame(frame) {
    this.frame = frame;
    this.draw();
  }

  // From coordinates of the plane to pixels of the canvas, and back.
  place(x, y) {
    const scale = this.canvas.clientWidth / (this.high - this.low);
    return [(x - this.low) * scale, (this.high - y) * scale];
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const side = this.canvas.clientWidth;
    const across = (event.clientX - box.left - this.canvas.clientLeft) / side;
    const down = (event.clientY - box.top - this.canvas.clientTop) / side;
    return [this.low + across * (this.high - this.low), this.high - down * (this.high - this.low)];
  }

  draw() {
    const { context, width, height } = sharp(this.canvas);
    if (this.frame === null || width === 0) return;
    this.paint();
    context.imageSmoothingEnabled = true;
    // The outermost points of the map are on the edges of the picture.
    const side = this.frame.side - 1;
    context.drawImage(this.map, 0.5, 0.5, side, side, 0, 0, width, height);
    this.bounds(context, width);
    const size = Math.max(2.5, width / 130);
    for (const point of this.validation) this.mark(context, point, size * 0.8, true);
    for (const point of this.points) this.mark(context, point, size, false);
    if (this.cursor) this.cross(context);
  }

  // Each place in the mixture of the classes' colours.
  paint() {
    const { side, classes } = this.frame;
    this.map.width = this.map.height = side;
    const context = this.map.getContext("2d");
    const image = context.createImageData(side, side);
    const paper = rgb("paper");
    const tints = classes.map((_, k) => mix(CLASSES[k].rgb, paper, 0.35));
    for (let i = 0; i < side * side; i++) {
      let [r, g, b, sum] = [0, 0, 0, 0];
      for (let k = 0; k < classes.length; k++) {
        const p = classes[k][i];
        r += p * tints[k][0];
        g += p * tints[k][1];
        b += p * tints[k][2];
        sum += p;
      }
      const at = 4 * i;
      image.data[at] = sum ? r / sum : paper[0]; // a network that has diverged says nothing
      image.data[at + 1] = sum ? g / sum : paper[1];
      image.data[at + 2] = sum ? b / sum : paper[2];
      image.data[at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  // The lines between regions.
  bounds(context, width) {
    context.beginPath();
    const scale = width / (this.frame.side - 1);
    for (const [ax, ay, bx, by] of boundary(this.frame.classes, this.frame.side)) {
      context.moveTo(ax * scale, ay * scale);
      context.lineTo(bx * scale, by * scale);
    }
    context.lineWidth = 2;
    context.lineCap = "round";
    context.strokeStyle = color("ink");
    context.stroke();
  }

  // A sample of training is filled, one of validation is an outline.
  mark(context, [x, y, label], size, hollow) {
    const { rgb: parts, shape } = CLASSES[label];
    trace(context, shape, ...this.place(x, y), size);
    context.lineWidth = hollow ? 1.2 : 1.4;
    context.strokeStyle = hollow ? color("ink") : color("paper");
    if (hollow) context.globalAlpha = 0.55;
    else {
      context.fillStyle = css(mix(parts, rgb("ink"), 0.25));
      context.fill();
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  cross(context) {
    const [x, y] = this.place(...this.cursor);
    for (const [width, name] of [[5, "paper"], [2, "ink"]]) {
      context.beginPath();
      context.moveTo(x - 12, y);
      context.lineTo(x + 12, y);
      context.moveTo(x, y - 12);
      context.lineTo(x, y + 12);
      context.lineWidth = width;
      context.strokeStyle = color(name);
      context.stroke();
    }
  }
}
