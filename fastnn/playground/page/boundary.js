// Lines between the regions in which one class is the most probable: marching squares.

// Segments [ax, ay, bx, by] in cells of the map, of the line on which a class is as probable as the best of the others.
export function* boundary(classes, side) {
  const lines = classes.length === 2 ? classes.slice(0, 1) : classes;
  for (const [k, map] of lines.entries()) {
    const lead = new Float32Array(side * side);
    for (let i = 0; i < lead.length; i++) {
      let best = -1;
      let tie = 0.5; // a tie is won by the first, so that each corner is on one side
      for (let j = 0; j < classes.length; j++) {
        if (j === k || classes[j][i] < best) continue;
        best = classes[j][i];
        if (best === map[i] && j < k) tie = -0.5;
      }
      lead[i] = map[i] - best || tie;
    }
    yield* zeros(lead, side);
  }
}

function* zeros(lead, side) {
  for (let y = 0; y + 1 < side; y++) {
    for (let x = 0; x + 1 < side; x++) {
      const at = y * side + x;
      const [a, b, c, d] = [lead[at], lead[at + 1], lead[at + side + 1], lead[at + side]]; // clockwise
      const positive = (a > 0) + (b > 0) + (c > 0) + (d > 0);
      if (positive === 0 || positive === 4) continue;
      const crossings = [];
      if (a > 0 !== b > 0) crossings.push([x + a / (a - b), y]);
      if (b > 0 !== c > 0) crossings.push([x + 1, y + b / (b - c)]);
      if (c > 0 !== d > 0) crossings.push([x + 1 - c / (c - d), y + 1]);
      if (d > 0 !== a > 0) crossings.push([x, y + 1 - d / (d - a)]);
      for (let i = 0; i < crossings.length; i += 2) yield [...crossings[i], ...crossings[i + 1]];
    }
  }
}
