// Okabe and Ito's colours, which are told apart with any kind of colour vision; each class has a shape too.

export const CLASSES = [
  { rgb: [0, 114, 178], shape: "circle" },
  { rgb: [230, 159, 0], shape: "square" },
  { rgb: [0, 158, 115], shape: "triangle" },
];

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export function onThemeChange(call) {
  dark.addEventListener("change", call);
}

// A colour of style.css.
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function rgb(name) {
  const text = color(name);
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

export function css(parts) {
  return `rgb(${parts.join(" ")})`;
}

export function mix(a, b, share) {
  return a.map((part, i) => part + (b[i] - part) * share);
}

// A canvas in as many pixels as the screen has there; the context counts CSS pixels.
export function sharp(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

// The path of a class's shape.
export function trace(context, shape, x, y, size) {
  context.beginPath();
  if (shape === "circle") context.arc(x, y, size, 0, 2 * Math.PI);
  else if (shape === "square") context.rect(x - 0.88 * size, y - 0.88 * size, 1.76 * size, 1.76 * size);
  else {
    context.moveTo(x, y - 1.2 * size);
    context.lineTo(x + 1.1 * size, y + 0.8 * size);
    context.lineTo(x - 1.1 * size, y + 0.8 * size);
    context.closePath();
  }
}
