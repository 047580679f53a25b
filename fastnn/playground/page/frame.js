// A frame as the server packs it: fastnn/playground/frame.py.

const HEAD = 42;

export function decode(buffer) {
  const view = new DataView(buffer);
  const [loss, valLoss, accuracy, valAccuracy, rate] = [12, 16, 20, 24, 28].map((at) => view.getFloat32(at, true));
  const side = view.getUint16(32, true);
  const unitSide = view.getUint16(34, true);
  const classes = view.getUint8(36);
  const layers = [37, 38, 39, 40].map((at) => view.getUint8(at)).filter((units) => units > 0);
  let at = HEAD;
  const take = (Numbers, size) => {
    const numbers = new Numbers(buffer, at, size);
    at += numbers.byteLength;
    return numbers;
  };
  return {
    steps: view.getFloat64(0, true),
    epochs: view.getUint32(8, true),
    loss, valLoss, accuracy, valAccuracy, rate, side, unitSide,
    classes: Array.from({ length: classes }, () => take(Uint16Array, side * side)),
    layers: layers.map((units) => Array.from({ length: units }, () => take(Uint8Array, unitSide * unitSide))),
  };
}
