// Small pictures, one of each hidden unit: its output over the plane.

import { mix, rgb } from "./colors.js";

export class Units {
  constructor(box) {
    this.box = box;
    this.canvases = [];
  }

  setFrame(frame) {
    this.lay(frame.layers.map((units) => units.length));
    // 256 colours from the most negative over paper to the most positive, as the canvas's bytes.
    const [paper, negative, positive] = ["paper", "negative", "positive"].map(rgb);
    const bytes = new Uint8ClampedArray(4 * 256);
    for (let i = 0; i < 256; i++) {
      const color = i < 128 ? mix(paper, negative, (128 - i) / 127) : mix(paper, positive, (i - 128) / 127);
      bytes.set([...color, 255], 4 * i);
    }
    const colors = new Uint32Array(bytes.buffer);
    frame.layers.forEach((maps, l) => maps.forEach((map, u) => this.paint(this.canvases[l][u], map, frame.unitSide, colors)));
  }

  paint(canvas, map, side, colors) {
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    const image = context.createImageData(side, side);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < map.length; i++) pixels[i] = colors[map[i]];
    context.putImageData(image, 0, 0);
  }

  // Make the canvases that there must be, if they are not those that there are.
  lay(sizes) {
    if (sizes.join() === this.canvases.map((row) => row.length).join()) return;
    this.canvases = sizes.map((units, l) => Array.from({ length: units }, (_, u) => {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Layer ${l + 1}, unit ${u + 1}: its output over the plane`);
      return canvas;
    }));
    this.box.replaceChildren(...this.canvases.map((row, l) => {
      const layer = document.createElement("div");
      const title = document.createElement("h3");
      title.textContent = `Layer ${l + 1}: ${row.length} ${row.length === 1 ? "unit" : "units"}`;
      const list = document.createElement("ul");
      list.append(...row.map((canvas) => {
        const item = document.createElement("li");
        item.append(canvas);
        return item;
      }));
      layer.append(title, list);
      return layer;
    }));
  }
}
